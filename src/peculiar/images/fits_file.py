"""Open FITS files, compressed or not, and read the pixels of their images.

astropy finds the images and decompresses tiles. Pixels are read as they are stored, and scaled here.
"""

import bz2
import gzip
import io
import lzma
import math
import threading
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from peculiar.errors import DataError, PictureError
from peculiar.files.fits_layout import in_order, lists_lie_within
from peculiar.files.limits import PICTURE_BYTES, TILE_PIXELS
from peculiar.files.places import fetched

_PACKED: dict[bytes, tuple[Callable[..., Any], str]] = {
    b"\x1f\x8b": (gzip.open, "gunzip"),
    b"BZh": (bz2.open, "bunzip2"),
    b"\xfd7zXZ\x00": (lzma.open, "unxz"),
}
"""First bytes of files compressed as a whole, the reader, and the tool that decompresses them."""

FITS_SUFFIXES = (
    *(".fits", ".fit", ".fts", ".fits.fz"),
    *(name + packed for name in (".fits", ".fit", ".fts") for packed in (".gz", ".bz2", ".xz")),
)

_START = b"SIMPLE  ="
_DTYPES = {8: "u1", 16: ">i2", 32: ">i4", 64: ">i8", -32: ">f4", -64: ">f8"}

# Stored numbers are scaled in blocks of this many.
_BLOCK = 2**22

# Compression can lengthen noise a little, but by at most this factor; data that claim more are damaged.
_SLACK = 2**16

_DAMAGE = (OSError, EOFError, ValueError, TypeError, KeyError, IndexError, OverflowError, zlib.error, lzma.LZMAError)

# Python's filters of warnings are shared by all threads.
_lock = threading.RLock()


@contextmanager
def quietly() -> Iterator[None]:
    """Suppress astropy's warnings about unusual keywords and coordinates; one thread at a time.

    Its warning that the rest of a damaged file is skipped becomes an error, because a band would be missing.
    """
    from astropy.utils.exceptions import AstropyWarning

    with _lock, warnings.catch_warnings():
        warnings.simplefilter("ignore", AstropyWarning)
        warnings.filterwarnings("error", "Error validating header", AstropyWarning)
        yield


def looks_like_fits(head: bytes) -> bool:
    """Return whether a file is FITS, compressed or not, from its first kilobyte.

    The first kilobyte of bzip2 or xz does not tell; such a file counts as FITS until it is opened.
    """
    opener = _opener(head)
    if opener is None:
        return head.startswith(_START)
    try:
        return bool(opener(io.BytesIO(head)).read(len(_START)) == _START)
    except EOFError:
        return opener is not gzip.open
    except _DAMAGE:
        return False


class FitsFile:
    """An open FITS file, or its content.

    Parameters
    ----------
    file : path or bytes
        Also compressed as a whole.
    mapped : bool
        Map an uncompressed file into memory: windows are read on demand.
    headers_only : bool
        Decompress only the headers of a compressed file.
    most : int
        Maximum decompressed size in memory, in bytes.

    Attributes
    ----------
    hdus : HDUList
        Its HDUs, with pixels as they are stored.
    packed : str
        The tool that decompresses it, if it is compressed as a whole: "gunzip".

    Raises
    ------
    DataError
        If it cannot be opened, is not a FITS file, or is too large when decompressed.
    """

    def __init__(
        self,
        file: Path | bytes,
        *,
        mapped: bool = False,
        headers_only: bool = False,
        most: int = PICTURE_BYTES,
    ) -> None:
        self.path = file if isinstance(file, Path) else None
        self._local = file
        self.mapped = mapped
        self._content: bytes | memoryview | None = None
        self._raw: IO[bytes] = io.BytesIO()
        try:
            self.hdus = self._open(file, headers_only=headers_only, most=most)
        except _DAMAGE as error:
            reason = getattr(error, "strerror", None) or error
            message = f"{f'{self.path}: ' if self.path else ''}cannot be read as FITS ({reason})"
            raise DataError(message) from error

    def _open(self, file: Path | bytes, *, headers_only: bool, most: int) -> Any:
        from astropy.io import fits

        # A file in a store is fetched: headers and pixels are read in many pieces.
        self._local = local = file if isinstance(file, bytes) else fetched(file)
        self._raw = io.BytesIO(local) if isinstance(local, bytes) else local.open("rb")
        try:
            head = self._raw.read(len(_START))
            self._raw.seek(0)
            opener = _opener(head)
            self.packed = next((tool for magic, (_, tool) in _PACKED.items() if head.startswith(magic)), "")
            if opener is None and not head.startswith(_START):
                message = f"it starts with {head!r}"
                raise ValueError(message)
            if opener is not None and headers_only:
                return in_order(fits.open(opener(self._raw), memmap=False, do_not_scale_image_data=True))
            if opener is not None:
                with self._raw:
                    self._content = _unpacked(opener(self._raw), most)
                self._raw = io.BytesIO(self._content)
            elif isinstance(file, bytes):
                self._content = file
            mapped = self.mapped and self._content is None
            return in_order(fits.open(self._raw, memmap=mapped, do_not_scale_image_data=True))
        except BaseException:
            self._raw.close()
            raise

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self.close()

    def close(self) -> None:
        """Close the file; mapped data stay readable."""
        self.hdus.close()
        self._raw.close()

    def pixels(self, hdu: Any, index: int) -> "Pixels":
        """Return the pixels of one plane of an image in this file.

        Raises
        ------
        PictureError
            If the file is shorter than the image, or its tiles are too large.
        """
        if hasattr(hdu, "compression_type"):
            return Pixels(_Tiles(hdu, index, self._length()), hdu)
        shape, dtype = hdu.shape, np.dtype(_DTYPES[hdu.header["BITPIX"]])
        start, count = hdu.fileinfo()["datLoc"], math.prod(shape)
        there = self._length()
        if there < start + count * dtype.itemsize:
            reason = (
                f"it is FITS cut short: {there:,} bytes, and its header states {start + count * dtype.itemsize:,}; "
                "download it again"
            )
            raise PictureError(reason)
        start += index * math.prod(shape[-2:]) * dtype.itemsize
        if self._content is not None:
            stored = np.frombuffer(self._content, dtype, math.prod(shape[-2:]), start).reshape(shape[-2:])
        elif self.mapped:
            stored = np.memmap(str(self._local), dtype, "r", start, shape[-2:]).view(np.ndarray)
        else:
            stored = np.fromfile(str(self._local), dtype, math.prod(shape[-2:]), offset=start).reshape(shape[-2:])
        return Pixels(stored, hdu)

    def _length(self) -> int:
        """Return the length of the decompressed content in bytes."""
        if self._content is not None:
            return len(self._content)
        return self._local.stat().st_size if isinstance(self._local, Path) else 0


class _Stored(Protocol):
    def __getitem__(self, window: tuple[slice, slice], /) -> NDArray[Any]: ...


class Pixels:
    """The values of one plane, by windows: the stored numbers after BSCALE, BZERO and BLANK.

    The arithmetic is that of astropy: single precision up to 16 bits, double above, and exact for unsigned integers,
    which FITS stores shifted by half of their range.

    Parameters
    ----------
    stored : array, or what gives windows of one
        The stored numbers.
    hdu : astropy HDU
        The image that it is a plane of.
    """

    def __init__(self, stored: _Stored, hdu: Any) -> None:
        header = hdu.header
        self.stored, self.shape, self._bits = stored, hdu.shape[-2:], int(header["BITPIX"])
        self._scale, self._zero = float(header.get("BSCALE", 1)), float(header.get("BZERO", 0))
        blank = header.get("BLANK") if self._bits > 0 else None
        self._blank = int(blank) if isinstance(blank, int | float) and float(blank).is_integer() else None

    @property
    def tiled(self) -> bool:
        """True if they are decompressed tile by tile, so that the file must stay open."""
        return isinstance(self.stored, _Tiles)

    @property
    def finished(self) -> bool:
        """True if the pixels are bytes: a picture that is already stretched."""
        return (self._bits, self._scale, self._zero, self._blank) == (8, 1, 0, None)

    def __getitem__(self, window: tuple[slice, slice]) -> NDArray[Any]:
        """Return the values in a window (rows, columns): NaN for missing values; bytes for a finished picture."""
        stored = np.asarray(self.stored[window])
        if self._bits > 0:
            stored = stored.astype(stored.dtype.newbyteorder("="), copy=False)
        if self._blank is None and (self._scale, self._zero) == (1, 0):
            return stored
        blank = None if self._blank is None else stored == self._blank
        values = self._values(stored)
        if blank is not None:
            values[blank] = np.nan
        return values

    def _values(self, stored: NDArray[Any]) -> NDArray[Any]:
        if self._bits > 8 and (self._scale, self._zero) == (1, 2 ** (self._bits - 1)):
            unsigned = stored.view(stored.dtype.str.replace("i", "u")) ^ (1 << (self._bits - 1))
            return unsigned.astype(np.float32 if self._bits == 16 else np.float64)
        kinds = {8: np.float32, 16: np.float32, -32: np.float32}
        values: NDArray[Any] = stored.astype(kinds.get(self._bits, np.float64))
        if self._scale != 1:
            values *= self._scale
        if self._zero != 0:
            values += self._zero
        return values

    def whole(self) -> NDArray[Any]:
        """Return all values: float32, or uint8 for a finished picture."""
        everything = slice(0, self.shape[1])
        rows = max(1, _BLOCK // max(1, self.shape[1]))
        if isinstance(self.stored, _Tiles) or rows >= self.shape[0]:  # a tile may be as large as the image
            rows = self.shape[0]
        values: NDArray[Any] = np.empty(self.shape, np.uint8 if self.finished else np.float32)
        with np.errstate(over="ignore"):  # beyond the range of float32 a value is infinite, which no picture shows
            for row in range(0, self.shape[0], rows):
                values[row : row + rows] = self[slice(row, min(row + rows, self.shape[0])), everything]
        return values


class _Tiles:
    """An image compressed by tiles; only the tiles that a window touches are decompressed.

    Raises
    ------
    PictureError
        If a tile, or all compressed data, are too large for such an image, or lie outside the file of `length` bytes.
    """

    def __init__(self, hdu: Any, index: int, length: int) -> None:
        tile, bytes_ = math.prod(hdu.tile_shape), math.prod(hdu.shape) * abs(int(hdu.header["BITPIX"])) // 8
        tiles = math.prod(-(-length // side) for length, side in zip(hdu.shape, hdu.tile_shape, strict=True))
        if tile > TILE_PIXELS:
            raise PictureError(f"its tiles have {tile:,} pixels, more than {TILE_PIXELS:,}; unpack it (funpack)")
        if hdu.fileinfo()["datSpan"] > 2 * bytes_ + _SLACK * (1 + tiles // 256):
            raise PictureError("its compressed pixels are longer than any image of its shape; it is damaged")
        _check_places(hdu, length)
        leading = (0,) * (len(hdu.shape) - 3)
        self._section, self._index = hdu.section, (*leading, index) if len(hdu.shape) > 2 else ()

    def __getitem__(self, window: tuple[slice, slice]) -> NDArray[Any]:
        try:
            return np.asarray(self._section[(*self._index, *window)])
        except Exception as error:  # the decoders report damage with various exceptions
            raise PictureError(f"a tile is damaged ({error})") from error


def _check_places(hdu: Any, length: int) -> None:
    """Check that all compressed tiles lie within the file."""
    info = hdu.fileinfo()
    try:
        table = hdu.compressed_data
    except (ValueError, TypeError) as error:
        raise PictureError(f"the table of its compressed tiles cannot be read ({error})") from error
    if not lists_lie_within(table, min(info["datSpan"], length - info["datLoc"]) - table.view(np.ndarray).nbytes):
        raise PictureError("compressed tiles lie outside the file; it is cut short or damaged, download it again")


def _opener(head: bytes) -> Callable[..., Any] | None:
    return next((opener for magic, (opener, _) in _PACKED.items() if head.startswith(magic)), None)


def _unpacked(stream: IO[bytes], most: int) -> memoryview:
    """Return the decompressed stream; first only its beginning, so that a file that is not FITS costs nothing."""
    unpacked = io.BytesIO()
    with stream:
        start = stream.read(len(_START))
        if start != _START:
            message = f"its decompressed content starts with {start!r}"
            raise ValueError(message)
        unpacked.write(start)
        while piece := stream.read(1 << 22):
            if unpacked.tell() + len(piece) > most:
                message = f"it unpacks to more than {most >> 20:,} MiB; unpack it first (gunzip, bunzip2, unxz)"
                raise ValueError(message)
            unpacked.write(piece)
    return unpacked.getbuffer()
