"""Pictures of a source by row, encoded for the browser and read ahead."""

import threading
from collections import OrderedDict
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from peculiar.errors import DataError, PeculiarError, PictureError
from peculiar.images.decode import encode_picture
from peculiar.images.framing import Framing
from peculiar.sources.stream import Row, Source, decode_row

LARGE, SMALL = 480, 128
"""Sides of the squares around a galaxy, as the model sees them, in pixels."""

WHOLE, NATIVE = -960, -4096
"""Longest sides of whole pictures, in pixels, as negative numbers: on the screen, and for zooming."""

UNREADABLE = (
    b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 128 128"><rect width="128" height="128" fill="#222"/>'
    b'<text x="64" y="60" fill="#bbb" font-family="sans-serif" font-size="13" text-anchor="middle">cannot'
    b'<tspan x="64" dy="18">be read</tspan></text></svg>'
)
"""Substitute for an unreadable picture."""

_KEPT = 400


@dataclass(frozen=True, slots=True)
class Shown:
    """A picture for the browser.

    Parameters
    ----------
    content : bytes
        JPEG, encoded again, so that only the pixels of the file reach the browser; empty if it cannot be read.
    problem : str
        Why it cannot be read.
    sides : tuple of int, optional
        Width and height of a whole picture before it was made smaller.
    """

    content: bytes
    problem: str = ""
    sides: tuple[int, int] | None = None


class Pictures:
    """The pictures of a source by row.

    Parameters
    ----------
    source : Source
    places : ndarray of int, shape (n,), optional
        For each row, the row of the source; -1 if it has no picture. Default: the same row.
    """

    def __init__(self, source: Source, places: NDArray[np.int64] | None = None) -> None:
        self.source, self.places = source, places
        self._lock = threading.Lock()
        self._reading = threading.Lock()  # sources keep files open, and are not made for concurrent reading
        self._kept: OrderedDict[tuple[int, int], Future[Shown]] = OrderedDict()
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="pictures")

    def show(self, row: int, size: int = WHOLE) -> Shown:
        """Return the picture of a row: a square of `size` pixels, or with `WHOLE` and `NATIVE` the whole of it."""
        # Pictures for zooming are large, and not kept: browsers do.
        return self._read(row, size) if size == NATIVE else self._ask(row, size).result()

    def pixels(self, row: int) -> NDArray[np.uint8]:
        """Return the unframed picture of a row, (height, width, 3).

        Raises
        ------
        PictureError
            If it cannot be read.
        """
        try:
            found = self._row(row)
        except (DataError, OSError) as error:
            raise PictureError(f"its file cannot be read ({error})") from error
        if found is None:
            raise PictureError("it is not among the pictures")
        return found.pixels()

    def prepare(self, rows: Iterable[int], size: int = WHOLE) -> None:
        """Read pictures in the background."""
        for row in rows:
            self._ask(row, size)

    def close(self) -> None:
        """Stop reading ahead."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _ask(self, row: int, size: int) -> Future[Shown]:
        with self._lock:
            if (row, size) not in self._kept:
                self._kept[row, size] = self._pool.submit(self._read, row, size)
                while len(self._kept) > _KEPT:
                    self._kept.popitem(last=False)
            self._kept.move_to_end((row, size))
            return self._kept[row, size]

    def _row(self, row: int) -> Row | None:
        place = row if self.places is None else int(self.places[row])
        with self._reading:
            return next(iter(self.source.rows(place, place + 1)), None) if place >= 0 else None

    def _read(self, row: int, size: int) -> Shown:
        try:
            found = self._row(row)
            if found is None:
                return Shown(b"", "it is not among the pictures")
            if size < 0:
                return encode_whole(found.pixels(), -size)
            galaxy = decode_row(found, Framing(size))
        except (PeculiarError, OSError) as error:
            return Shown(b"", str(error))
        if galaxy.picture is None:
            return Shown(b"", galaxy.problem or "")
        return Shown(encode_picture(galaxy.picture, "JPEG"))


def encode_whole(pixels: NDArray[np.uint8], longest: int) -> Shown:
    """Encode a whole picture, made smaller if one of its sides is longer than `longest`."""
    height, width = pixels.shape[:2]
    if max(height, width) > longest:
        small = Image.fromarray(pixels)
        small.thumbnail((longest, longest), Image.Resampling.LANCZOS)
        pixels = np.asarray(small)
    return Shown(encode_picture(pixels, "JPEG"), sides=(width, height))
