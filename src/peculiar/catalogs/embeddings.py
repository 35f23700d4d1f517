"""Normalised embeddings of a catalogue: centred, of length 1, in one memory-mapped array.

The cosine similarity of any two is then a matrix product, and a second search needs no preparation.
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
    """Normalised embeddings of a catalogue.

    Parameters
    ----------
    array : ndarray of float32, shape (1 + n, d + 1)
        The centre, then the centred embeddings scaled to length 1, with the original length in the last column; NaN for
        a galaxy without an embedding.

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
        """Distances from the centre, shape (n,); the first access reads the whole array."""
        return np.array(self._lengths)

    @cached_property
    def known(self) -> NDArray[np.bool_]:
        """Mask of the galaxies with an embedding, shape (n,)."""
        return ~np.isnan(self.lengths)

    @classmethod
    def of(cls, embeddings: NDArray[np.floating]) -> "Embeddings":
        """Normalise embeddings in memory, shape (n, d); NaN for a missing one."""
        centre = np.asarray(np.nanmean(embeddings, axis=0, dtype=np.float64), dtype=np.float32)
        return cls(np.vstack([np.append(centre, 0), _comparable(embeddings.astype(np.float32), centre)]))

    def take(self, rows: NDArray[np.integer]) -> "Embeddings":
        """Return the embeddings of some galaxies, with the same centre."""
        return Embeddings(self._array[np.append(0, rows + 1)])

    def __len__(self) -> int:
        """Return the number of galaxies, including those without an embedding."""
        return len(self.vectors)

    def blocks(self) -> Iterator[tuple[slice, NDArray[np.float32]]]:
        """Yield the rows and vectors of a few thousand galaxies at a time."""
        for start in range(0, len(self), BLOCK):
            rows = slice(start, min(start + BLOCK, len(self)))
            yield rows, self.vectors[rows]

    def raw(self, rows: NDArray[np.integer]) -> NDArray[np.float32]:
        """Return embeddings as the network gave them but for rounding, shape (k, d); NaN where there is none."""
        return np.asarray(self.vectors[rows] * self._lengths[rows][:, None] + self.centre, dtype=np.float32)

    def place(self, embedding: NDArray[np.floating]) -> NDArray[np.float32]:
        """Centre embeddings, shape (..., d), and scale them to length 1, as `vectors`."""
        return _comparable(np.asarray(embedding, dtype=np.float32), self.centre)[..., :-1]

    def cosines(self, vector: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the cosine similarity of each galaxy to a vector of length 1, shape (d,); NaN without an embedding."""
        found = np.empty(len(self), dtype=np.float32)
        for rows, block in self.blocks():
            found[rows] = block @ vector
        return found


def of_column(batches: Iterable[pa.RecordBatch], width: int) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    """Yield the vectors of a column of lists, the only one, and which rows they are of; NaN where there is none."""
    start = 0
    for batch in batches:
        block = _matrix(batch.column(0), width)
        yield slice(start, start + len(block)), block
        start += len(block)


def prepare(
    file: Path,
    count: int,
    width: int,
    blocks: Iterable[tuple[slice | NDArray[np.integer], NDArray[np.float32]]],
    *,
    whole: bool = True,
) -> bool:
    """Write the array of `Embeddings`.

    Parameters
    ----------
    file : path
    count : int
        Number of galaxies.
    width : int
        Number of values of an embedding.
    blocks : iterable of tuple
        Rows, and their embeddings as the network gave them; those with a value that is not finite count as none.
    whole : bool
        Whether all rows are among them; the others get none.

    Returns
    -------
    bool
        Whether any galaxy has an embedding.
    """
    np.lib.format.open_memmap(file, mode="w+", dtype=np.float32, shape=(count + 1, width + 1)).flush()
    _allocate(file)
    for start in () if whole else range(1, count + 1, BLOCK):
        np.load(file, mmap_mode="r+")[start : start + BLOCK] = np.nan
    total, there = np.zeros(width), 0
    for rows, block in blocks:
        known = np.isfinite(block).all(axis=1)
        block[~known] = np.nan
        total += block[known].sum(axis=0, dtype=np.float64)
        there += int(known.sum())
        # Mapped again for each block, because written pages count as memory until they are released.
        np.load(file, mmap_mode="r+")[1:, :-1][rows] = block
    if not there:
        return False
    centre = (total / there).astype(np.float32)
    np.load(file, mmap_mode="r+")[0] = np.append(centre, 0)
    for start in range(1, count + 1, BLOCK):
        array = np.load(file, mmap_mode="r+")
        array[start : start + BLOCK] = _comparable(array[start : start + BLOCK, :-1], centre)
    return True


def _comparable(embeddings: NDArray[np.float32], centre: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return unit vectors from the centre, with the distance from it in one more column."""
    centred = embeddings - centre
    lengths = np.sqrt(np.einsum("...d,...d->...", centred, centred))[..., None]
    return np.concatenate([centred / np.maximum(lengths, np.finfo(np.float32).tiny), lengths], axis=-1)


def _allocate(file: Path) -> None:
    """Reserve disk space for a file, because a write to mapped memory cannot report a full disk."""
    if hasattr(os, "posix_fallocate"):
        with file.open("rb+") as opened:
            os.posix_fallocate(opened.fileno(), 0, file.stat().st_size)


def _matrix(array: Any, width: int) -> NDArray[np.float32]:
    """Return a column of lists as a matrix, shape (n, width); NaN for null lists."""
    matrix = np.full((len(array), width), np.nan, dtype=np.float32)
    known = array.is_valid().to_numpy(zero_copy_only=False)
    matrix[known] = array.flatten().to_numpy(zero_copy_only=False).reshape(-1, width)
    return matrix
