"""NPZ files in the exercise's layout: ``data`` (n, height, width, 3) uint8 and ``labels`` (n, classes) one-hot."""

import io
import json
import lzma
import math
import os
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from peculiar.cache import writing
from peculiar.errors import DataError, LabelError
from peculiar.schema import FOUR_CLASS
from peculiar.sources.stream import Row, Source, as_text

T = TypeVar("T")

_CHUNK = 64

# What zipfile, its decompressors and NumPy say of damage, depending on where it lies.
_DAMAGE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, OSError, EOFError, ValueError, RuntimeError, MemoryError)


class NpzSource(Source):
    """The pictures of an NPZ file, unpacked in small pieces.

    Ids are the file's name and the row. Four columns of labels are the exercise's four classes.

    Parameters
    ----------
    path : path

    Raises
    ------
    DataError
        If ``data`` or ``labels`` is missing, of another shape or type, or pickled.
    LabelError
        If the labels are not one-hot.
    """

    kind = "npz"

    def __init__(self, path: Path) -> None:
        with _open_zip(path) as archive:
            shape, dtype, _ = _read_header(archive, path, "data")
            if len(shape) != 4 or shape[3] != 3 or 0 in shape:
                message = f"{path}: 'data' has to have the shape (n, height, width, 3), received {shape}"
                raise DataError(message)
            if dtype != np.uint8:
                message = (
                    f"{path}: 'data' has to hold uint8 pixels of 0 to 255, received {dtype}. If they run from 0 to 1, "
                    "write them as (data * 255).round().astype('uint8')"
                )
                raise DataError(message)
            self._shape = shape
            self.one_hot = _check_labels(_read_array(archive, path, "labels"), shape[0], path)
        classes = self.one_hot.shape[1]
        self.answers = FOUR_CLASS.answers if classes == 4 else tuple(f"class_{index}" for index in range(classes))
        super().__init__(path, FOUR_CLASS.name if classes == 4 else "labels")

    def __len__(self) -> int:
        """Return the number of pictures."""
        return self._shape[0]

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Shape of ``data``: pictures, height, width, colours."""
        return self._shape

    def labels(self) -> list[str | None]:
        """Return the name of every picture's class."""
        return [self.answers[index] for index in self.one_hot.argmax(axis=1)]

    def pixels(self) -> NDArray[np.uint8]:
        """Read ``data`` whole, uint8 (n, height, width, 3)."""
        with _open_zip(self.path) as archive:
            return _read_array(archive, self.path, "data")

    def __reduce__(self) -> tuple[type["NpzSource"], tuple[Path]]:
        """Travel between processes as the path alone."""
        return NpzSource, (self.path,)

    def rows(self, start: int = 0, stop: int | None = None) -> Iterator[Row]:
        """Yield pictures' pixels."""
        labels = self.labels()
        count, *picture = self._shape
        stop = count if stop is None else min(stop, count)
        with _open_zip(self.path) as archive, _guard(lambda: archive.open("data.npy"), self.path) as member:
            fortran_order = _header(member, self.path, "data")[2]
            # Column by column, a picture lies scattered over the whole file.
            whole = self.pixels() if fortran_order else None
            if whole is None:
                _guard(lambda: member.seek(start * math.prod(picture), os.SEEK_CUR), self.path)
            for first in range(start, stop, _CHUNK):
                chunk = min(_CHUNK, stop - first)
                pictures = (
                    _read_pixels(member, self.path, (chunk, *picture))
                    if whole is None
                    else whole[first : first + chunk]
                )
                for index, pixels in enumerate(pictures, first):
                    yield Row(f"{as_text(self.path.stem)}-{index}", pixels, labels[index])


def write_npz(
    path: Path, pictures: NDArray[np.uint8], labels: NDArray[np.float32], *, parameters: list[dict[str, Any]]
) -> None:
    """Write pictures in the exercise's layout, in one step, with the truth about each as JSON in ``parameters``."""
    with writing(path) as temporary, temporary.open("wb") as file:
        truth = np.array([json.dumps(one) for one in parameters])
        np.savez_compressed(file, data=pictures, labels=labels, parameters=truth)


def _open_zip(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except _DAMAGE as error:
        message = (
            f"{path}: cannot be read as NPZ ({error}). It may have been cut short, or be a single array (.npy): fetch "
            "it again, or write it with np.savez_compressed(path, data=pictures, labels=labels)"
        )
        raise DataError(message) from error


def _header(member: IO[bytes], path: Path, name: str) -> tuple[tuple[int, ...], np.dtype[Any], bool]:
    """Read shape, type and order (column by column?), and refuse pickles: they can run any program."""
    try:
        version = np.lib.format.read_magic(member)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran_order, dtype = read(member)
    except _DAMAGE as error:
        message = f"{path}: {name!r} is damaged ({error})"
        raise DataError(message) from error
    if dtype.hasobject:
        message = (
            f"{path}: {name!r} holds pickled Python objects, which can run any program and are not read. Write it as "
            "a plain array of numbers"
        )
        raise DataError(message)
    return shape, dtype, fortran_order


def _read_header(archive: zipfile.ZipFile, path: Path, name: str) -> tuple[tuple[int, ...], np.dtype[Any], bool]:
    if f"{name}.npy" not in archive.namelist():
        found = ", ".join(sorted(entry.removesuffix(".npy") for entry in archive.namelist())) or "none"
        message = f"{path}: has no array {name!r}; needed are 'data' and 'labels', there are: {found}"
        raise DataError(message)
    with _guard(lambda: archive.open(f"{name}.npy"), path) as member:
        return _header(member, path, name)


def _read_array(archive: zipfile.ZipFile, path: Path, name: str) -> NDArray[Any]:
    _read_header(archive, path, name)
    content = _guard(lambda: archive.read(f"{name}.npy"), path)
    return _guard(lambda: np.lib.format.read_array(io.BytesIO(content), allow_pickle=False), path)


def _read_pixels(member: IO[bytes], path: Path, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    return _guard(lambda: np.frombuffer(member.read(math.prod(shape)), np.uint8).reshape(shape), path)


def _guard(read: Callable[[], T], path: Path) -> T:
    try:
        return read()
    except _DAMAGE as error:
        message = f"{path}: is damaged ({error}); fetch or write it again"
        raise DataError(message) from error


def _check_labels(labels: NDArray[Any], count: int, path: Path) -> NDArray[np.float32]:
    if labels.ndim == 1 and np.issubdtype(labels.dtype, np.integer):
        message = (
            f"{path}: 'labels' are integers of shape {labels.shape}; they have to be one-hot, which "
            "np.eye(labels.max() + 1)[labels] makes of them"
        )
        raise LabelError(message)
    if labels.ndim != 2 or labels.shape[0] != count or labels.shape[1] < 2:
        message = f"{path}: 'labels' have to have the shape ({count}, classes) to fit 'data', received {labels.shape}"
        raise LabelError(message)
    if labels.dtype.kind not in "biuf":
        message = f"{path}: 'labels' have to be numbers, received {labels.dtype}"
        raise LabelError(message)
    wrong = np.flatnonzero(~(np.isin(labels, (0, 1)).all(axis=1) & (labels.sum(axis=1) == 1)))
    if wrong.size:
        message = (
            f"{path}: 'labels' are not one-hot in {wrong.size} of {count} rows, the first of them row {wrong[0]}: "
            f"{labels[wrong[0]].tolist()}"
        )
        raise LabelError(message)
    return labels.astype(np.float32)
