"""Embeddings of a catalogue made comparable: centred, of length 1, in one array that is mapped into memory.

The cosine of the angle between any two is then a product of matrices, and a second search has nothing to prepare.
"""

import os
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from peculiar.catalogs.store import BLOCK


class Embeddings:
    """Embeddings of a catalogue, made comparable.

    Parameters
    ----------
    array : ndarray of float32, shape (1 + n, d + 1)
        The centre, then the centred embeddings, scaled to length 1, with the length that they had in the last column;
        NaN where a galaxy has none.

    Attributes
    ----------
    centre : ndarray of float32, shape (d,)
    vectors : ndarray of float32, shape (n, d)
        Directions from the centre, of length 1.
    """

    def __init__(self, array: NDArray[np.float32]) -> None:
        self._array = array
        self.centre, self.vectors, self._lengths = np.array(array[0, :-1]), array[1:, :-1], array[1:, -1]

    @cached_property
    def lengths(self) -> NDArray[np.float32]:
        """Distances from the centre, shape (n,); the first call reads the whole array."""
        return np.array(self._lengths)

    @cached_property
    def known(self) -> NDArray[np.bool_]:
        """Which galaxies have an embedding, shape (n,)."""
        return ~np.isnan(self.lengths)

    @classmethod
    def of(cls, embeddings: NDArray[np.floating]) -> "Embeddings":
        """Make embeddings in memory comparable, shape (n, d); NaN where there is none."""
        centre = np.asarray(np.nanmean(embeddings, axis=0, dtype=np.float64), dtype=np.float32)
        return cls(np.vstack([np.append(centre, 0), _comparable(embeddings.astype(np.float32), centre)]))

    def take(self, rows: NDArray[np.integer]) -> "Embeddings":
        """Return those of some galaxies, seen from the same centre."""
        return Embeddings(self._array[np.append(0, rows + 1)])

    def __len__(self) -> int:
        """Return the number of galaxies, those without an embedding among them."""
        return len(self.vectors)

    def blocks(self) -> Iterator[tuple[slice, NDArray[np.float32]]]:
        """Yield the vectors a few thousand at a time, and which rows they are."""
        for start in range(0, len(self), BLOCK):
            rows = slice(start, min(start + BLOCK, len(self)))
            yield rows, self.vectors[rows]

    def place(self, embedding: NDArray[np.floating]) -> NDArray[np.float32]:
        """Centre an embedding of shape (..., d), and scale it to length 1: comparable with `vectors`."""
        return _comparable(np.asarray(embedding, dtype=np.float32), self.centre)[..., :-1]

    def cosines(self, vector: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the cosine of the angle between a vector of length 1, shape (d,), and each galaxy's; NaN for none."""
        found = np.empty(len(self), dtype=np.float32)
        for rows, block in self.blocks():
            found[rows] = block @ vector
        return found


def prepare(file: Path, count: int, width: int, batches: Iterable[pa.RecordBatch]) -> bool:
    """Write the array of `Embeddings`.

    Parameters
    ----------
    file : path
    count : int
        Number of galaxies.
    width : int
        Number of values of an embedding.
    batches : iterable of pyarrow.RecordBatch
        The embeddings, the only column.

    Returns
    -------
    bool
        Whether any galaxy has one.
    """
    np.lib.format.open_memmap(file, mode="w+", dtype=np.float32, shape=(count + 1, width + 1)).flush()
    _allocate(file)
    total, there, start = np.zeros(width), 0, 1
    for batch in batches:
        block = _matrix(batch.column(0), width)
        known = np.isfinite(block).all(axis=1)
        block[~known] = np.nan
        total += block[known].sum(axis=0, dtype=np.float64)
        there += int(known.sum())
        # Mapped anew for each block, since pages that were written to count as memory until they are let go.
        np.load(file, mmap_mode="r+")[start : start + len(block), :-1] = block
        start += len(block)
    if not there:
        return False
    centre = (total / there).astype(np.float32)
    np.load(file, mmap_mode="r+")[0] = np.append(centre, 0)
    for start in range(1, count + 1, BLOCK):
        array = np.load(file, mmap_mode="r+")
        array[start : start + BLOCK] = _comparable(array[start : start + BLOCK, :-1], centre)
    return True


def _comparable(embeddings: NDArray[np.float32], centre: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return directions from the centre, of length 1, and in one more column the distance from it."""
    centred = embeddings - centre
    lengths = np.sqrt(np.einsum("...d,...d->...", centred, centred))[..., None]
    return np.concatenate([centred / np.maximum(lengths, np.finfo(np.float32).tiny), lengths], axis=-1)


def _allocate(file: Path) -> None:
    """Give a file its room on the disk: a write to memory that it is mapped to could not say that there is none."""
    if hasattr(os, "posix_fallocate"):
        with file.open("rb+") as opened:
            os.posix_fallocate(opened.fileno(), 0, file.stat().st_size)


def _matrix(array: Any, width: int) -> NDArray[np.float32]:
    """Return a list a row as a matrix, shape (n, width); NaN where there is none."""
    matrix = np.full((len(array), width), np.nan, dtype=np.float32)
    known = array.is_valid().to_numpy(zero_copy_only=False)
    matrix[known] = array.flatten().to_numpy(zero_copy_only=False).reshape(-1, width)
    return matrix
