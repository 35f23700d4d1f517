"""NPZ files in the exercise's layout: ``data`` (n, height, width, 3) uint8, and ``labels`` (n, classes) one-hot."""

import json
import lzma
import math
import os
import tokenize
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO, Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from peculiar.errors import DataError, LabelError, PeculiarWarning
from peculiar.files.limits import CHUNK_BYTES, DEFLATE_TIMES, WHOLE_BYTES
from peculiar.files.writing import writing
from peculiar.questions.question import FOUR_CLASS
from peculiar.sources.paths import as_text
from peculiar.sources.stack import Stack, StackSource, has_unknown
from peculiar.sources.stream import MISSING, Row
from peculiar.tables.identifiers import ArrayIds, name_of_ids
from peculiar.text import nth_row, reason

T = TypeVar("T")

# Exceptions of zipfile, its decompressors and NumPy for damage in different places. A header with many brackets exceeds
# the depth of Python's parser (RecursionError, a RuntimeError, or MemoryError).
_DAMAGE = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, OSError, EOFError, ValueError, TypeError, SyntaxError),
    *(RuntimeError, MemoryError, OverflowError, LookupError, tokenize.TokenError),
)


class NpzSource(StackSource):
    """The pictures of an NPZ file, or of an NPY file; decompressed in small pieces.

    Ids are those of an array with the name of a column of ids (``id``, ``objid`` ...), otherwise the name of the file
    and the row. Four columns of labels are the exercise's four classes.

    Parameters
    ----------
    path : path
    white : float, optional
        Which value is white, where the pixels are not uint8; by default as their range decides.

    Raises
    ------
    DataError
        If ``data`` is missing, has another shape or type, is pickled, or claims more than the file can hold.
    LabelError
        If ``labels`` exist and are not one-hot.

    Warns
    -----
    PeculiarWarning
        If the value of white is a guess, or there are other arrays and no ``labels``.
    """

    kind = "npz"

    def __init__(self, path: Path, white: float | None = None) -> None:
        super().__init__(path, None)
        names = _names(path)
        with _open_array(path, "data", names) as (_, stack, _, stored):
            stack.check_size(stored, "data", path)
            self._stack = stack if white is None else replace(stack, white=white)
        if white is None:
            self._stack = self._stack.whitened(self._pieces(0, len(self)), "data", path)
        named = name_of_ids([one for one in names if one not in ("data", "labels")])
        self._ids = ArrayIds.of(_read_ids(path, named, names), len(self), as_text(path.stem))
        self.one_hot: NDArray[np.float32] | None = None
        self.answers: tuple[str, ...] = ()
        if "labels" in names:
            self.one_hot = _check_labels(_read_array(path, "labels", names), len(self), path)
            classes = self.one_hot.shape[1]
            self.answers = FOUR_CLASS.answers if classes == 4 else tuple(f"class_{index}" for index in range(classes))
        elif white is None and {*names} - {"data", named}:
            others = ", ".join(sorted({*names} - {"data", named}))
            message = f"{path}: has no array 'labels', so it is read as pictures without labels; not used: {others}"
            warnings.warn(message, PeculiarWarning, stacklevel=3)
        name = FOUR_CLASS.name if len(self.answers) == 4 else "labels"
        self.label = None if self.one_hot is None else name

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of ``data``: pictures, height, width, colours."""
        return self._stack.shape

    def labels(self) -> list[str | None]:
        """Return the name of every picture's class."""
        if self.one_hot is None:
            return [None] * len(self)
        return [self.answers[index] for index in self.one_hot.argmax(axis=1)]

    def pixels(self) -> NDArray[np.uint8]:
        """Read all of ``data``, uint8 (n, height, width, 3)."""
        pieces = [self._stack.pixels(piece) for piece in self._pieces(0, len(self))]
        return np.concatenate(pieces)

    def __reduce__(self) -> tuple[type["NpzSource"], tuple[Path, float]]:
        """Travel between processes as the path and the value of white."""
        return NpzSource, (self.path, self._stack.white)

    def rows(self, start: int = 0, stop: int | None = None) -> Iterator[Row]:
        """Yield pictures' pixels."""
        labels, number = self.labels(), start
        for piece in self._pieces(start, len(self) if stop is None else min(stop, len(self))):
            for pixels, unknown in zip(self._stack.pixels(piece), has_unknown(piece), strict=True):
                yield Row(self._ids[number], pixels, labels[number], flags=MISSING if unknown else 0)
                number += 1

    def _pieces(self, start: int, stop: int) -> Iterator[NDArray[Any]]:
        """Yield pictures in the layout of the file, a few at a time."""
        with _open_array(self.path, "data", _names(self.path)) as (member, stack, fortran_order, _):
            if fortran_order:
                # In Fortran order, a picture is scattered over the whole file.
                whole = _read_scattered(member, stack, self.path)
                for first in range(start, stop, stack.once):
                    yield whole[first : min(first + stack.once, stop)]
                return
            _guard(lambda: member.seek(start * stack.bytes, os.SEEK_CUR), self.path)
            for first in range(start, stop, stack.once):
                shape = (min(stack.once, stop - first), *stack.shape[1:])
                yield _read_values(member, stack.dtype, shape, self.path)


def write_npz(
    path: Path, pictures: NDArray[np.uint8], labels: NDArray[np.float32], *, parameters: list[dict[str, Any]]
) -> None:
    """Write pictures in the exercise's layout, atomically, with the truth about each as JSON in ``parameters``."""
    with writing(path) as temporary, temporary.open("wb") as file:
        truth = np.array([json.dumps(one) for one in parameters])
        np.savez_compressed(file, data=pictures, labels=labels, parameters=truth)


def _open_zip(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except _DAMAGE as error:
        message = (
            f"{path}: cannot be read as NPZ ({error}). It may have been cut short: download it again, or write it with "
            "np.savez_compressed(path, data=pictures, labels=labels)"
        )
        raise DataError(message) from error


def _is_single(path: Path) -> bool:
    """Return whether a file is an NPY file, with one array."""
    with path.open("rb") as file:
        return file.read(6) == b"\x93NUMPY"


def _names(path: Path) -> list[str]:
    """Return the names of the arrays in a file; the one of an NPY file is called "data"."""
    if _is_single(path):
        return ["data"]
    with _open_zip(path) as archive:
        names = [name.removesuffix(".npy") for name in archive.namelist()]
    if "data" not in names:
        found = ", ".join(sorted(names)[:20]) or "none"
        message = (
            f"{path}: has no array 'data' with pictures; to train, 'labels' are needed too; there are: {found}. Write "
            "them with np.savez_compressed(path, data=pictures, labels=labels)"
        )
        raise DataError(message)
    return names


@contextmanager
def _open_array(path: Path, name: str, names: list[str]) -> Iterator[tuple[IO[bytes], Stack, bool, int]]:
    """Open an array of pictures: its values as a file, their layout, whether in Fortran order, and the stored bytes."""
    with _open_member(path, name, names) as (member, stored):
        shape, dtype, fortran_order = _header(member, path, name)
        yield member, Stack.of(shape, dtype, name, path), fortran_order, stored


@contextmanager
def _open_member(path: Path, name: str, names: list[str]) -> Iterator[tuple[IO[bytes], int]]:
    """Open an array with its header, and return the number of stored bytes."""
    size = path.stat().st_size
    if names == ["data"] and _is_single(path):
        with path.open("rb") as file:
            # Uncompressed, it cannot be larger than its file.
            yield file, -(-size // DEFLATE_TIMES)
        return
    with _open_zip(path) as archive:
        info = _guard(lambda: archive.getinfo(f"{name}.npy"), path)
        with _guard(lambda: archive.open(info), path) as member:
            yield member, min(info.compress_size, size)


def _header(member: IO[bytes], path: Path, name: str) -> tuple[tuple[int, ...], np.dtype[Any], bool]:
    """Read shape, type and order (Fortran or not), and refuse pickles, which can run any program."""
    try:
        version = np.lib.format.read_magic(member)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran_order, dtype = read(member)
    except _DAMAGE as error:
        message = f"{path}: {name!r} is damaged ({reason(error)})"
        raise DataError(message) from error
    if dtype.hasobject:
        message = (
            f"{path}: {name!r} holds pickled Python objects, which can run any program and are not read. Write it as "
            "a plain array of numbers"
        )
        raise DataError(message)
    return shape, dtype, fortran_order


def _read_values(
    member: IO[bytes], dtype: np.dtype[Any], shape: tuple[int, ...], path: Path, order: Literal["C", "F"] = "C"
) -> NDArray[Any]:
    size = math.prod(shape) * dtype.itemsize
    return _guard(lambda: np.frombuffer(member.read(size), dtype).reshape(shape, order=order), path)


def _read_scattered(member: IO[bytes], stack: Stack, path: Path) -> NDArray[Any]:
    size = stack.shape[0] * stack.bytes
    if size > WHOLE_BYTES:
        message = (
            f"{path}: 'data' lies column by column, and with {size:,} bytes is too large to be read as a whole; write "
            "np.ascontiguousarray(data)"
        )
        raise DataError(message)
    return _read_values(member, stack.dtype, stack.shape, path, "F")


def _guard(read: Callable[[], T], path: Path) -> T:
    try:
        return read()
    except _DAMAGE as error:
        message = f"{path}: is damaged ({error}); download or write it again"
        raise DataError(message) from error


def _read_ids(path: Path, name: str | None, names: list[str]) -> NDArray[Any] | None:
    try:
        return None if name is None else _read_array(path, name, names)
    except DataError as error:  # such as pickled text
        warnings.warn(f"{error}; their rows serve as ids", PeculiarWarning, stacklevel=4)
        return None


def _read_array(path: Path, name: str, names: list[str]) -> NDArray[Any]:
    with _open_member(path, name, names) as (member, _):
        shape, dtype, fortran_order = _header(member, path, name)
        size = math.prod(shape) * dtype.itemsize
        if size > CHUNK_BYTES:
            message = f"{path}: is damaged ({name!r} claims {size:,} bytes); download or write it again"
            raise DataError(message)
        return _read_values(member, dtype, shape, path, "F" if fortran_order else "C")


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
            f"{path}: 'labels' are not one-hot in {wrong.size} of {count} rows, the first of them "
            f"{nth_row(int(wrong[0]))}: {labels[wrong[0]].tolist()}"
        )
        raise LabelError(message)
    return labels.astype(np.float32)
