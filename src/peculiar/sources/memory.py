"""Pictures in memory: an array, or a list of arrays or of Pillow's pictures."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from peculiar.errors import PictureError, UsageError
from peculiar.images.decode import picture_pixels
from peculiar.sources.given import pixels_of
from peculiar.sources.stream import Row, Source


class MemorySource(Source):
    """Pictures in memory.

    Parameters
    ----------
    pictures : array, PIL.Image.Image, or iterable of these
        As for `peculiar.sources.given.each_picture`.
    ids : sequence of str, optional
        Default: ``picture-0``, ``picture-1`` ...

    Raises
    ------
    UsageError
        If something is not a picture, there are no pictures, or the number of ids differs.
    """

    kind = "memory"

    def __init__(self, pictures: Any, ids: Sequence[str] | None = None) -> None:
        super().__init__(Path("pictures in memory"), None)
        alone = isinstance(pictures, Image.Image) or getattr(pictures, "ndim", 4) != 4
        if alone or not isinstance(pictures, Iterable):
            pictures = [pictures]
        self._pictures: Sequence[Any] = list(pictures)
        self._ids = [f"picture-{number}" for number in range(len(self._pictures))] if ids is None else list(ids)
        if len(self._ids) != len(self._pictures):
            message = f"as many ids as pictures are needed, received {len(self._ids)} and {len(self._pictures)}"
            raise UsageError(message)

    def __len__(self) -> int:
        """Return the number of pictures."""
        return len(self._pictures)

    def rows(self, start: int = 0, stop: int | None = None) -> Iterator[Row]:
        """Yield the pictures from `start` to before `stop`."""
        for number in range(start, len(self) if stop is None else min(stop, len(self))):
            yield Row(self._ids[number], partial(_pixels, self._pictures[number], f"picture {number}"))

    def files(self) -> Sequence[Path]:
        """Return no file."""
        return []

    def fingerprint(self, start: int, stop: int | None) -> str:
        """Return a digest of the pixels of some pictures, and of their ids."""
        digest = hashlib.sha256(repr(self._ids[start:stop]).encode())
        for number, picture in enumerate(self._pictures[start:stop], start):
            pixels = pixels_of(picture, f"picture {number}")
            digest.update(repr(pixels.shape).encode() + np.ascontiguousarray(pixels).tobytes())
        return digest.hexdigest()


def _pixels(picture: Any, called: str) -> NDArray[np.uint8]:
    """Return the pixels of a picture; an unreadable Pillow image keeps its row."""
    if not isinstance(picture, Image.Image):
        return pixels_of(picture, called)
    try:
        return picture_pixels(picture)
    except OSError as error:
        raise PictureError(str(error)) from error
