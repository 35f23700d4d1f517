"""Pictures of a source by row, encoded for the browser and read ahead."""

import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from peculiar.errors import DataError, PeculiarError, PictureError
from peculiar.images.decode import encode_picture
from peculiar.images.framing import Framing
from peculiar.images.unstretched import Compass, Look
from peculiar.sources.stream import Row, Source, decode_row, unstretched_of

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
    bands : tuple of tuple of str
        Further choices of bands, if it is a FITS image with several.
    stretched : bool
        Whether the stretch can be chosen: a FITS image that is no finished picture.
    pixel : float, optional
        Side of a pixel in arcsec, before the picture was made smaller, if known.
    compass : Compass, optional
        North and east, if known.
    """

    content: bytes
    problem: str = ""
    sides: tuple[int, int] | None = None
    bands: tuple[tuple[str, ...], ...] = ()
    stretched: bool = False
    pixel: float | None = None
    compass: Compass | None = None


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

    def show_as(self, row: int, size: int, bands: Sequence[str], look: Look) -> Shown:
        """Return the whole picture of a row in other bands or another stretch; as usual if it is no FITS image.

        Parameters
        ----------
        row : int
        size : {WHOLE, NATIVE}
        bands, look
            See `peculiar.images.unstretched.Unstretched.picture`.
        """
        try:
            found = self._row(row)
            fits = None if found is None else unstretched_of(found)
            if fits is not None:
                return encode_whole(fits.picture(bands, look), -size)
        except (PeculiarError, OSError) as error:
            return Shown(b"", str(error))
        return self.show(row, size)

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
                return _described(encode_whole(found.pixels(), -size), found)
            galaxy = decode_row(found, Framing(size))
        except (PeculiarError, OSError) as error:
            return Shown(b"", str(error))
        if galaxy.picture is None:
            return Shown(b"", galaxy.problem or "")
        return Shown(encode_picture(galaxy.picture, "JPEG"))


def _described(shown: Shown, row: Row) -> Shown:
    """Return a picture with its scale, its orientation and its bands, where they are known."""
    fits = unstretched_of(row)
    if fits is None:
        return replace(shown, pixel=row.pixel)
    offered = tuple(fits.offered())
    return replace(shown, bands=offered, stretched=True, pixel=fits.pixel or row.pixel, compass=fits.compass)


def encode_whole(pixels: NDArray[np.uint8], longest: int) -> Shown:
    """Encode a whole picture, made smaller if one of its sides is longer than `longest`."""
    height, width = pixels.shape[:2]
    if max(height, width) > longest:
        small = Image.fromarray(pixels)
        small.thumbnail((longest, longest), Image.Resampling.LANCZOS)
        pixels = np.asarray(small)
    return Shown(encode_picture(pixels, "JPEG"), sides=(width, height))
