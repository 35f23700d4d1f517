"""HDF5 files in the layout of Galaxy10: ``images`` (n, height, width, 3) uint8 and ``ans`` (n,) integers.

Leung & Bovy, https://github.com/henrysky/Galaxy10: 17,736 DECaLS pictures of 256 x 256, or 21,785 SDSS pictures of
69 x 69, with ten classes each. GalaxyMNIST, https://github.com/mwalmsley/galaxy_mnist, has ``labels`` of four classes,
and 10,000 pictures of 64 x 64 or 224 x 224.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from peculiar.errors import DataError, UnknownNameError
from peculiar.files.limits import CHUNK_BYTES
from peculiar.questions.question import GALAXY10_DECALS, GALAXY10_SDSS, GALAXY_MNIST, Question
from peculiar.sources.columns import known_sky, positions_of, warn_of_positions
from peculiar.sources.paths import as_text
from peculiar.sources.stack import Stack, StackSource, has_unknown
from peculiar.sources.stream import MISSING, Row
from peculiar.tables.column import Column
from peculiar.tables.identifiers import ArrayIds, entry_text, name_of_ids
from peculiar.tables.key_columns import FOUND
from peculiar.tables.reader import TableReader
from peculiar.tables.sky import DEC_NAMES, RA_NAMES, Sky
from peculiar.tables.typed import typed_batches
from peculiar.text import nth_row

_ANSWERS = ("ans", "labels", "label")

# Exceptions of h5py for damage in different places.
_DAMAGE = (OSError, RuntimeError, LookupError, TypeError, ValueError, AttributeError, MemoryError, OverflowError)


class Hdf5Source(StackSource):
    """The pictures of an HDF5 file, read in small pieces. No other file is opened, even if it is referred to.

    Ids are those of a dataset with the name of a column of ids (``id``, ``objid`` ...), otherwise the name of the file
    and the row. Classes have the names of Galaxy10 or GalaxyMNIST if the size of the pictures identifies the edition,
    otherwise their numbers. ``ra`` and ``dec``, or datasets with other usual names of positions, are in degrees, or in
    the unit of their attribute ``unit``. Other datasets with a number or a text for each picture are columns.

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
                answers, self._answers = _answers(file, path, len(images))
                self.table = _read_columns(file, path, len(images))
                self._ids = ArrayIds.of(_read_ids(file, path), len(images), as_text(path.stem))
        except DataError:
            raise
        except _DAMAGE as error:
            message = f"{path}: cannot be read as HDF5 ({error}); it is damaged, cut short or of another kind"
            raise DataError(message) from error
        self._question = _edition(answers, self._answers, self._stack.picture[0])
        self._sky = known_sky(TableReader.of(self.table, str(path)), FOUND)
        self.positioned = self._sky is not None
        self._places = [] if self._sky is None else _positions(self._sky, self.table)
        if self._sky is not None:
            warn_of_positions(path, self._sky, map(self._sky.read, self.table.to_batches()))
        name = self._question.name if self._question else "ans"
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
                    message = f"{self.path}: is damaged from {nth_row(number)} on: {error}; download or write it again"
                    raise DataError(message) from error
                for pixels, unknown in zip(self._stack.pixels(piece), has_unknown(piece), strict=True):
                    yield Row(
                        self._ids[number], pixels, labels[number], self._position(number), MISSING if unknown else 0
                    )
                    number += 1

    def column(self, name: str) -> list[str | None]:
        """Return the entries of a dataset as text; all None where there is none with an entry for each picture."""
        if name == self.label or name not in self.table.column_names:
            return super().column(name)
        return [entry_text(value) for value in self.table[name].to_pylist()]

    def described(self, names: Sequence[str]) -> list[Column]:
        """Return the datasets with a number or a text for each picture as columns."""
        for name in names:
            if name not in self.table.column_names:
                raise UnknownNameError("column", name, self.table.column_names, where=f"in {self.path.name}")
        return [Column.of(self.table.schema.field(name)) for name in names]

    def carried(self, columns: Sequence[Column], start: int, stop: int | None) -> Iterator[pa.RecordBatch]:
        """Yield columns of the rows from `start` to before `stop`; null if there is none of that name."""
        if not self.table.num_columns:
            yield from super().carried(columns, start, stop)
            return
        batches = self.table.slice(start, None if stop is None else stop - start).to_batches()
        yield from typed_batches(batches, columns, text=False, path=self.path)

    def _position(self, number: int) -> tuple[float, float] | None:
        return self._places[number] if self._places else None

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


def _answers(file: h5py.File, path: Path, count: int) -> tuple[str, NDArray[np.integer] | None]:
    """Return the name of the dataset of classes, and their numbers; None if there is none."""
    for name in _ANSWERS:
        found = _dataset(file, name, path)
        if found is None:
            continue
        kind, shape = found.dtype.kind, found.shape
        if kind not in "buif" or not shape or shape[0] != count or len(shape) > 2:
            message = f"{path}: {name!r} has to hold {count} integers, is {found.dtype} {shape}"
            raise DataError(message)
        return name, _class_numbers(np.asarray(found), name, path)
    return "", None


def _edition(name: str, answers: NDArray[np.integer] | None, height: int) -> Question | None:
    """Return the published set that a file is of, by the dataset of classes and the height of the pictures."""
    if name == "labels" and height in {64, 224}:
        few = answers is not None and bool((answers < len(GALAXY_MNIST.answers)).all())
        return GALAXY_MNIST if few else None
    return {256: GALAXY10_DECALS, 69: GALAXY10_SDSS}.get(height)


def _read_columns(file: h5py.File, path: Path, count: int) -> pa.Table:
    """Return the datasets with a number or a text for each picture, and their units."""
    columns, fields = [], []
    for name in file:
        link = file.get(name, getlink=True)
        # A link is not followed; one that stands for positions is refused, because they would be missed.
        wanted = isinstance(link, h5py.HardLink) or name.lower() in (*RA_NAMES, *DEC_NAMES)
        found = _dataset(file, name, path) if wanted else None
        if found is None or found.shape != (count,) or found.dtype.kind not in "buifSO" or _is_large(found):
            continue
        values = np.asarray(found)
        text = values.dtype.kind in "SO"
        array = pa.array([entry_text(one) for one in values.tolist()] if text else _native(values))
        unit = next((entry_text(found.attrs[key]) for key in ("unit", "units") if key in found.attrs), None)
        columns.append(array)
        fields.append(Column(name, array.type, unit=unit or "").field())
    return pa.table(columns, schema=pa.schema(fields))


def _is_large(dataset: h5py.Dataset) -> bool:
    return bool(dataset.size * dataset.dtype.itemsize > CHUNK_BYTES)


def _native(values: NDArray[Any]) -> NDArray[Any]:
    """Return numbers in the order of bytes of this machine, halves as floats."""
    values = values.astype(values.dtype.newbyteorder("="), copy=False)
    return values.astype(np.float32) if values.dtype == np.float16 else values


def _positions(sky: Sky, table: pa.Table) -> list[tuple[float, float] | None]:
    return [position for batch in table.to_batches() for position in positions_of(sky, batch)]


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
