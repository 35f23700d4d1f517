"""Pictures in one array of a file: its axes, and the conversion of its values to bytes."""

import math
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from peculiar.errors import DataError, PeculiarWarning, PictureError
from peculiar.files.limits import DEFLATE_TIMES, PIXELS
from peculiar.images.depth import to_bytes, white_between
from peculiar.sources.stream import Source
from peculiar.tables.identifiers import ArrayIds

_ONCE = 64
_ONCE_BYTES = 1 << 25


@dataclass(frozen=True, slots=True)
class Stack:
    """Layout of pictures in an array whose first axis counts them.

    Parameters
    ----------
    shape : tuple of int
        (n, height, width, colours), (n, colours, height, width) or (n, height, width), with one colour or three.
    dtype : numpy.dtype
    white : float
        The value that is white.
    """

    shape: tuple[int, ...]
    dtype: "np.dtype[Any]"
    white: float = 255

    @classmethod
    def of(cls, shape: tuple[int, ...], dtype: "np.dtype[Any]", name: str, path: Path) -> "Stack":
        """Check the shape and type of an array of pictures.

        Raises
        ------
        DataError
            If it is not an array of pictures, or the pictures are too large.
        """
        stack = cls(shape, dtype)
        if len(shape) not in {3, 4} or min(shape) < 1 or (len(shape) == 4 and not {shape[1], shape[3]} & {1, 3}):
            message = f"{path}: {name!r} has to have the shape (n, height, width, 3), received {shape}"
            raise DataError(message)
        if dtype.kind not in "buif":
            message = f"{path}: {name!r} has to hold numbers, uint8 from 0 to 255 at best, received {dtype}"
            raise DataError(message)
        if math.prod(stack.picture) > PIXELS:
            message = f"{path}: the pictures in {name!r} claim {stack.picture[0]} x {stack.picture[1]} pixels each"
            raise DataError(message)
        return stack

    @property
    def picture(self) -> tuple[int, int]:
        """Height and width of a picture."""
        if len(self.shape) == 4 and self.shape[3] not in {1, 3}:
            return self.shape[2], self.shape[3]
        return self.shape[1], self.shape[2]

    @property
    def bytes(self) -> int:
        """Bytes of one picture in the file."""
        return math.prod(self.shape[1:]) * self.dtype.itemsize

    @property
    def once(self) -> int:
        """Number of pictures that are read at a time."""
        return max(1, min(_ONCE, _ONCE_BYTES // max(self.bytes, 1)))

    def check_size(self, stored: int, name: str, path: Path) -> None:
        """Raise `DataError` if the array claims more than so many stored bytes can hold."""
        claimed = self.shape[0] * self.bytes
        if claimed > DEFLATE_TIMES * stored:
            message = (
                f"{path}: is damaged ({name!r} claims {claimed:,} bytes and has {stored:,}); download or write it again"
            )
            raise DataError(message)

    def whitened(self, pieces: Iterable[NDArray[Any]], name: str, path: Path) -> "Stack":
        """Return the same layout with the value of white, from all pieces of the array if the type does not decide it.

        Raises
        ------
        DataError
            If the value of white is unknown.

        Warns
        -----
        PeculiarWarning
            If it is a guess.
        """
        if self.dtype == np.uint8:
            return self
        low, high = math.inf, -math.inf
        for piece in pieces:
            low, high = min(low, float(np.fmin.reduce(piece, None))), max(high, float(np.fmax.reduce(piece, None)))
        try:
            white = white_between(low, high, self.dtype, most=8 * self.dtype.itemsize if self.dtype.kind == "u" else 0)
        except PictureError as error:
            message = f"{path}: {name!r}: {error.reason}: as (data * 255).round().astype('uint8') does if 1 is white"
            raise DataError(message) from error
        if white.guess:
            message = f"{path}: {name!r} does not say which of its values is white: {white.guess}"
            warnings.warn(message, PeculiarWarning, stacklevel=4)
        return Stack(self.shape, self.dtype, white.value)

    def pixels(self, piece: NDArray[Any]) -> NDArray[np.uint8]:
        """Return pictures of the array as uint8 (n, height, width, 3); missing values are black."""
        if piece.dtype.kind == "f":
            piece = np.nan_to_num(piece, nan=0, posinf=self.white, neginf=0)
        if piece.dtype.kind == "b":
            piece = piece.astype(np.uint8) * np.uint8(255)
        shown = to_bytes(piece, self.white)
        if shown.ndim == 3:
            shown = shown[..., None]
        elif shown.shape[3] not in {1, 3}:
            shown = np.moveaxis(shown, 1, 3)
        return shown if shown.shape[3] == 3 else np.repeat(shown, 3, axis=3)


def has_unknown(pictures: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which pictures have values that are not numbers."""
    if pictures.dtype.kind != "f":
        return np.zeros(len(pictures), bool)
    return np.asarray(~np.isfinite(pictures).all(axis=tuple(range(1, pictures.ndim))))


class StackSource(Source):
    """A source whose pictures lie in one array of a file, and whose ids may lie in another."""

    _stack: Stack
    _ids: ArrayIds

    def __len__(self) -> int:
        """Return the number of pictures."""
        return self._stack.shape[0]

    def ids(self) -> list[str]:
        """Return the id of every picture."""
        return [self._ids[number] for number in range(len(self))]

    @property
    def id_type(self) -> pa.DataType:
        """Type of the array of ids."""
        return self._ids.type
