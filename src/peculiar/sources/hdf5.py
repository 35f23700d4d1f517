"""HDF5 files in the layout of Galaxy10: ``images`` (n, height, width, 3) uint8 and ``ans`` (n,) integers.

Leung & Bovy, https://github.com/henrysky/Galaxy10: 17,736 DECaLS pictures of 256 x 256, or 21,785 SDSS pictures of
69 x 69, with ten classes each.
"""

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from peculiar.errors import DataError
from peculiar.files.limits import CHUNK_BYTES
from peculiar.questions.question import GALAXY10_DECALS, GALAXY10_SDSS
from peculiar.sources.paths import as_text
from peculiar.sources.stack import Stack, StackSource, has_unknown
from peculiar.sources.stream import MISSING, Row
from peculiar.tables.identifiers import ArrayIds, name_of_ids

_ANSWERS = ("ans", "labels", "label")

# Exceptions of h5py for damage in different places.
_DAMAGE = (OSError, RuntimeError, LookupError, TypeError, ValueError, AttributeError, MemoryError, OverflowError)


class Hdf5Source(StackSource):
    """The pictures of an HDF5 file, read in small pieces. No other file is opened, even if it is referred to.

    Ids are those of a dataset with the name of a column of ids (``id``, ``objid`` ...), otherwise the name of the file
    and the row. Classes have Galaxy10's names if the size of the pictures identifies the edition, otherwise their
    numbers. ``ra`` and ``dec`` are positions in degrees.

    Parameters
    ----------
    path : path
    white : float, optional
        The value of white, if the pixels are not uint8; default: by their range.

    Raises
    ------
    DataError
        If ``images`` is missing or of another shape or type, or ``ans`` (or ``labels``) does not fit it.
    """

    kind = "hdf5"

    def __init__(self, path: Path, white: float | None = None) -> None:
        try:
            with h5py.File(path, "r") as file:
                images = _dataset(file, "images", path)
                if images is None:
                    message = f"{path}: has no dataset 'images'; there are: {', '.join(map(str, file)) or 'none'}"
                    raise DataError(message)
                stack = Stack.of(images.shape, images.dtype, "images", path)
                stack.check_size(path.stat().st_size, "images", path)
                if white is None:
                    stack = stack.whitened(_pieces(images, stack, 0, len(images)), "images", path)
                self._stack = stack if white is None else replace(stack, white=white)
                self._answers, self._ra, self._dec = _columns(file, path, len(images))
                self._ids = ArrayIds.of(_read_ids(file, path), len(images), as_text(path.stem))
        except DataError:
            raise
        except _DAMAGE as error:
            message = f"{path}: cannot be read as HDF5 ({error}); it is damaged, cut short or of another kind"
            raise DataError(message) from error
        self._question = {256: GALAXY10_DECALS, 69: GALAXY10_SDSS}.get(self._stack.picture[0])
        name = self._question.name if self._question else "ans"
        self.positioned = self._ra is not None and self._dec is not None
        super().__init__(path, None if self._answers is None else name)

    def labels(self) -> list[str | None]:
        """Return the name of every picture's class."""
        if self._answers is None:
            return [None] * len(self)
        return [self._name(int(answer)) for answer in self._answers]

    def __reduce__(self) -> tuple[type["Hdf5Source"], tuple[Path, float]]:
        """Pickle as the path and the value of white."""
        return Hdf5Source, (self.path, self._stack.white)

    def rows(self, start: int = 0, stop: int | None = None) -> Iterator[Row]:
        """Yield the pixels of pictures."""
        labels, number = self.labels(), start
        stop = len(self) if stop is None else min(stop, len(self))
        with h5py.File(self.path, "r") as file:
            pieces = _pieces(_dataset(file, "images", self.path), self._stack, start, stop)
            while number < stop:
                try:
                    piece = next(pieces)
                except _DAMAGE as error:
                    message = f"{self.path}: is damaged from row {number} on ({error}); download or write it again"
                    raise DataError(message) from error
                for pixels, unknown in zip(self._stack.pixels(piece), has_unknown(piece), strict=True):
                    yield Row(
                        self._ids[number], pixels, labels[number], self._position(number), MISSING if unknown else 0
                    )
                    number += 1

    def _position(self, number: int) -> tuple[float, float] | None:
        if self._ra is None or self._dec is None:
            return None
        return float(self._ra[number]), float(self._dec[number])

    def _name(self, answer: int) -> str:
        if self._question and 0 <= answer < len(self._question.answers):
            return self._question.answers[answer]
        return str(answer)


def _dataset(file: h5py.File, name: str, path: Path) -> h5py.Dataset | None:
    """Return a dataset whose values are in the file itself, in readable chunks; None if there is none."""
    link = file.get(name, getlink=True)
    if link is not None and not isinstance(link, h5py.HardLink):
        message = f"{path}: {name!r} is a link, which is not followed; give the path of the file that has the values"
        raise DataError(message)
    found = None if link is None else file[name]
    if not isinstance(found, h5py.Dataset):
        return None
    if found.external or found.is_virtual:
        message = f"{path}: the values of {name!r} are in other files, which are not opened; copy them into one file"
        raise DataError(message)
    chunk = math.prod(found.chunks or (0,)) * found.dtype.itemsize
    if chunk > CHUNK_BYTES:
        message = f"{path}: {name!r} claims chunks of {chunk:,} bytes, more than {CHUNK_BYTES:,}; write smaller ones"
        raise DataError(message)
    return found


def _pieces(images: h5py.Dataset, stack: Stack, start: int, stop: int) -> Iterator[NDArray[Any]]:
    for first in range(start, stop, stack.once):
        yield images[first : min(first + stack.once, stop)]


def _columns(
    file: h5py.File, path: Path, count: int
) -> tuple[NDArray[np.integer] | None, NDArray[np.floating] | None, NDArray[np.floating] | None]:
    """Return the numbers of the classes and the positions, if there are any."""
    answers = None
    for name in _ANSWERS:
        found = _dataset(file, name, path)
        if found is None:
            continue
        kind, shape = found.dtype.kind, found.shape
        if kind not in "buif" or not shape or shape[0] != count or len(shape) > 2:
            message = f"{path}: {name!r} has to hold {count} integers, is {found.dtype} {shape}"
            raise DataError(message)
        answers = _class_numbers(np.asarray(found), name, path)
        break
    return answers, _numbers(file, "ra", path, count), _numbers(file, "dec", path, count)


def _read_ids(file: h5py.File, path: Path) -> NDArray[Any] | None:
    named = name_of_ids(list(file))
    found = None if named is None else _dataset(file, named, path)
    small = found is not None and found.size * found.dtype.itemsize <= CHUNK_BYTES
    return np.asarray(found) if small else None


def _class_numbers(values: NDArray[Any], name: str, path: Path) -> NDArray[np.integer]:
    """Return the numbers of classes, also from one-hot rows."""
    if values.ndim == 1 and values.dtype.kind in "bui":
        return values.astype(np.int64)
    if values.ndim == 2 and values.shape[1] > 1 and (np.isin(values, (0, 1)).all() and (values.sum(axis=1) == 1).all()):
        return np.asarray(values.argmax(axis=1))
    message = f"{path}: {name!r} has to hold {len(values)} integers, is {values.dtype} {values.shape}"
    raise DataError(message)


def _numbers(file: h5py.File, name: str, path: Path, count: int) -> NDArray[np.floating] | None:
    found = _dataset(file, name, path)
    if found is None or found.shape != (count,) or found.dtype.kind not in "uif":
        return None
    return np.asarray(found, np.float64)
