"""Decode pictures and FITS bands into pixels, frame them, and encode pixels.

Pixels are (row, column, colour) uint8 with the origin at the top left; colours run from the redder to the bluer band.
"""

import io
import math
import os
import stat
import struct
import threading
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageFile, UnidentifiedImageError

from peculiar.errors import PictureError, UsageError
from peculiar.files.limits import LARGE_PIXELS, PICTURE_BYTES, PIXELS, SCANS
from peculiar.files.places import is_remote
from peculiar.files.remote import RemotePath
from peculiar.images.central_galaxy import central_extent
from peculiar.images.depth import colours_to_bytes, grey_to_bytes, has_wide_colours
from peculiar.images.fits import Bands, read_bands
from peculiar.images.fits_file import looks_like_fits
from peculiar.images.jpeg import decode_jpeg, open_jpeg
from peculiar.images.stretch import Stretch, border, noise_stretch, sdss_stretch

# Number of pixels that are stretched at a time.
_BLOCK = 2**22

# Formats of pictures of the sky. A closed list keeps hostile files away from other decoders.
FORMATS = ("JPEG", "PNG", "TIFF", "WEBP", "GIF", "BMP", "PPM", "JPEG2000")

PICTURE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp", ".gif", ".bmp", ".ppm", ".jp2"})

# The square is this many times as wide as the galaxy, and never smaller than this share of the picture.
_GALAXY_MARGIN, _LEAST_SHARE = 1.4, 0.16

# Pillow's decoders report damage with any of these.
_DAMAGE = (
    *(OSError, ValueError, SyntaxError, EOFError, LookupError, TypeError, ArithmeticError, AttributeError),
    *(MemoryError, RuntimeError, struct.error, zlib.error),
)

# Marker of a JPEG's scan, of which a progressive one has several.
_SCAN = b"\xff\xda"

# Held while a large picture is decoded, because that takes much memory.
_one_large = threading.Lock()

Decoded = TypeVar("Decoded")

# The operation that undoes the orientation stated by EXIF.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

_MAGIC = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG\r\n": "PNG",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"GIF8": "GIF",
    b"BM": "BMP",
    b"P5": "PPM",
    b"P6": "PPM",
    b"\0\0\0\x0cjP": "JPEG 2000",
}
"""Kinds of pictures, by their first bytes."""


@dataclass(frozen=True, slots=True)
class Framing:
    """Crop and size that turn a picture into the square that a network sees.

    Parameters
    ----------
    size : int
        Side of the result, in pixels.
    crop : int, "galaxy" or None
        Side of the middle square that is kept, in pixels of the original; None keeps the largest square. A picture
        smaller than the crop is kept whole. "galaxy" keeps the square around the central galaxy, 1.4 times as wide as
        the galaxy; see `peculiar.images.central_galaxy`.
    fast : bool
        Let the JPEG decoder reduce the picture. This is two to four times as fast if the picture is at least halved;
        pixels of real galaxies differ from the exact result (antialiased bicubic) by 0.4 to 0.7 of 255 on average.
    margin : float
        Width of the square relative to `crop`, from 1 to 4: training takes its turned and shifted views from a wider
        square. Pixels outside the picture are black.

    Examples
    --------
    >>> import peculiar
    >>> framing = peculiar.Framing(64, crop="galaxy")
    >>> next(peculiar.open_source("pictures").galaxies(framing)).picture.shape
    (64, 64, 3)
    """

    size: int = 128
    crop: int | Literal["galaxy"] | None = None
    fast: bool = False
    margin: float = 1.0

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name, value in (("size", self.size), ("crop", self.crop)):
            if isinstance(value, int) and not 1 <= value <= 4096:
                message = f"{name} has to be between 1 and 4096 pixels, received {value}"
                raise UsageError(message)
        if isinstance(self.crop, str) and self.crop != "galaxy":
            message = f"crop has to be a number of pixels or 'galaxy', received {self.crop!r}"
            raise UsageError(message)
        if not 1 <= self.margin <= 4:
            message = f"margin has to be between 1 and 4, received {self.margin}"
            raise UsageError(message)


def parse_crop(text: str) -> int | Literal["galaxy"] | None:
    """Parse a crop: "whole", "galaxy", or a number of pixels.

    Raises
    ------
    UsageError
        If it is none of these.
    """
    if text == "whole":
        return None
    if text == "galaxy":
        return "galaxy"
    if text.isdecimal():
        return int(text)
    message = f"crop has to be whole, galaxy or a number of pixels, received {text!r}"
    raise UsageError(message)


def looks_like_picture(head: bytes) -> bool:
    """Return whether a file is a picture of one of `FORMATS`, from its first 16 bytes."""
    return bool(kind_of_picture(head))


def kind_of_picture(head: bytes) -> str:
    """Return the kind of a picture, such as "JPEG", from its first 16 bytes; empty for other files."""
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WebP"
    return next((kind for magic, kind in _MAGIC.items() if head.startswith(magic)), "")


def decode_picture(content: bytes, framing: Framing) -> NDArray[np.uint8]:
    """Decode one picture and frame it.

    Grey pictures become RGB, transparent ones are laid over black, more than 8 bits per colour are scaled to 8 (see
    `peculiar.images.depth`), the EXIF orientation is applied, and animations give their first frame.

    Parameters
    ----------
    content : bytes
        An encoded picture (JPEG, PNG, TIFF, WebP, GIF, BMP, PPM or JPEG 2000), or a FITS file of one to three bands.
    framing : Framing
        Crop and size.

    Returns
    -------
    ndarray of uint8, shape (size, size, 3)

    Raises
    ------
    PictureError
        If the bytes are not a picture, are cut short, or exceed the limits of `peculiar.files.limits`.
    """
    return decode_remarked(content, framing)[0]


def decode_whole(content: bytes) -> NDArray[np.uint8]:
    """Decode one picture without cropping or resizing: uint8 (height, width, 3); see `decode_picture`."""
    return decode_remarked(content)[0]


def decode_remarked(content: bytes, framing: Framing | None = None) -> tuple[NDArray[np.uint8], str]:
    """Decode one picture, frame it if `framing` is given, and describe what was guessed about its bit depth."""
    if looks_like_fits(content):
        whole = read_fits_picture([content])
        return whole if framing is None else frame_pixels(whole, framing), ""

    def finish(picture: ImageFile.ImageFile, *, plain_jpeg: bool) -> tuple[NDArray[np.uint8], str]:
        if framing and framing.fast and plain_jpeg:
            return _decode_fast(content, picture, framing), ""
        if plain_jpeg and framing is None and (pixels := decode_jpeg(content)) is not None:
            return pixels, ""
        if plain_jpeg and framing and (plain := open_jpeg(content, picture.size)) is not None:
            return _frame(plain, framing), ""
        shown, guess = _to_rgb(content, picture)
        return np.asarray(shown) if framing is None else _frame(shown, framing), guess

    return _open(content, finish)


def _open(content: bytes, finish: Callable[..., Decoded]) -> Decoded:
    """Open a picture, let `finish` decode it, and report every defect as `PictureError`."""
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as picture:
            pixels = math.prod(picture.size)
            if pixels > PIXELS:
                raise PictureError(_too_large(picture.size))
            plain_jpeg = picture.format == "JPEG" and picture.mode in {"RGB", "L"} and "exif" not in picture.info
            if pixels <= LARGE_PIXELS:
                return finish(picture, plain_jpeg=plain_jpeg)
            if picture.format == "JPEG" and content.count(_SCAN) > SCANS:
                raise PictureError(f"it is a JPEG of more than {SCANS} scans; save it again")
            with _one_large:
                return finish(picture, plain_jpeg=plain_jpeg)
    except PictureError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        reason = f"it claims more than {PIXELS / 1e6:.0f} million pixels; cut it into smaller pictures first"
        raise PictureError(reason) from error
    except UnidentifiedImageError as error:
        kind = "empty" if not content else f"not a picture of a known format (starts with {content[:8]!r})"
        raise PictureError(f"it is {kind}") from error
    except _DAMAGE as error:
        raise PictureError(f"it is damaged or cut short ({error})") from error


def frame_pixels(pixels: NDArray[np.uint8], framing: Framing) -> NDArray[np.uint8]:
    """Frame a decoded picture.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (height, width, 3)
    framing : Framing

    Returns
    -------
    ndarray of uint8, shape (size, size, 3)
        `pixels` itself if nothing has to be done.

    Raises
    ------
    PictureError
        If the array has another shape or type.
    """
    _check(pixels)
    whole = framing.crop is None or (isinstance(framing.crop, int) and framing.crop >= framing.size)
    if pixels.shape[:2] == (framing.size, framing.size) and whole and framing.margin == 1:
        return pixels
    return _frame(Image.fromarray(pixels), framing)


def kept_square(pixels: NDArray[np.uint8], framing: Framing) -> tuple[float, float, float, float]:
    """Return the square of a picture that `frame_pixels` keeps.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (height, width, 3)
    framing : Framing

    Returns
    -------
    left, upper, right, lower : float
        In pixels of the picture, from its top left corner.

    Raises
    ------
    PictureError
        If the array has another shape or type.
    """
    _check(pixels)
    return _kept(Image.fromarray(pixels), framing)


def _check(pixels: NDArray[np.uint8]) -> None:
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8 or 0 in pixels.shape:
        reason = f"pixels have to be uint8 (height, width, 3), received {pixels.dtype} {pixels.shape}"
        raise PictureError(reason)


def read_fits_picture(
    files: Sequence[Path | bytes], bands: Sequence[str] = (), stretch: Stretch | None = None
) -> NDArray[np.uint8]:
    """Read one to three bands of FITS as a colour picture.

    Parameters
    ----------
    files : sequence of path or bytes
        FITS files, or their content; several hold different bands of the same pixels.
    bands : sequence of str
        Bands, from the reddest to the bluest; see `peculiar.images.fits.read_bands`.
    stretch : Stretch, optional
        By default that of `compose_picture`.

    Returns
    -------
    ndarray of uint8, shape (height, width, 3)

    Raises
    ------
    PictureError
        If there is no image, it is damaged or too large, or the bands do not fit together.
    """
    return compose_picture(read_fits_bands(files, bands), stretch)


def read_fits_bands(
    files: Sequence[Path | bytes],
    bands: Sequence[str] = (),
    weights: Mapping[Path, Sequence[Path]] | None = None,
) -> Bands:
    """Read the bands of a picture, up to a limited number of pixels; see `peculiar.images.fits.read_bands`."""
    return read_bands(files, bands, weights=weights, most=PIXELS)


def has_gaps(planes: NDArray[Any]) -> bool:
    """Return whether bands (n, height, width) have pixels without a value, or a band without any; see `lacks_band`."""
    return planes.dtype != np.uint8 and (not np.isfinite(planes).all() or lacks_band(planes))


def lacks_band(planes: NDArray[Any]) -> bool:
    """Return whether one of several bands has only zeros and unknown values, and another band has others."""
    return planes.dtype != np.uint8 and not all(_with_values(planes))


def _with_values(planes: NDArray[Any]) -> list[bool]:
    """Return for each band whether it has any value; True for all bands of an empty picture."""
    there = [_has_value(plane) for plane in planes]
    return there if any(there) else [True] * len(there)


def _has_value(plane: NDArray[Any]) -> bool:
    middle = float(plane[plane.shape[0] // 2, plane.shape[1] // 2])  # this usually decides
    return (middle != 0 and math.isfinite(middle)) or bool((np.isfinite(plane) & (plane != 0)).any())


def compose_picture(bands: Bands, stretch: Stretch | None = None) -> NDArray[np.uint8]:
    """Make a colour picture from bands, and flip it: FITS has its origin at the bottom left.

    Parameters
    ----------
    bands : Bands
        Bytes count as a finished picture and are not stretched.
    stretch : Stretch, optional
        Default: that of SDSS if the bands have a unit of flux, otherwise by sky and noise at the edges. A band without
        any value is left out.

    Returns
    -------
    ndarray of uint8, shape (height, width, 3)
        Its origin at the top left.
    """
    planes = bands.planes
    if planes.dtype == np.uint8:
        shown = planes if len(planes) == 3 else np.repeat(planes[:1], 3, axis=0)
        return np.ascontiguousarray(np.moveaxis(shown, 0, -1)[::-1])
    if stretch is not None and len(stretch.scales) != len(planes):
        reason = f"it has {len(planes)} bands, and the stretch is for {len(stretch.scales)}"
        raise PictureError(reason)
    there = _with_values(planes)
    if not all(there):
        planes = planes[there]
        stretch = stretch and stretch.of_bands(there)
    if stretch is None and bands.nanomaggies is not None:
        stretch = sdss_stretch(len(planes), bands.nanomaggies)
    elif stretch is None:
        stretch = noise_stretch(border(planes))
    rows = max(1, _BLOCK // planes.shape[2])  # a large picture in parts, to save memory
    parts = [stretch(planes[:, row : row + rows]) for row in range(0, planes.shape[1], rows)]
    return np.ascontiguousarray((np.concatenate(parts) if len(parts) > 1 else parts[0])[::-1])


def picture_pixels(picture: Image.Image) -> NDArray[np.uint8]:
    """Return the pixels of a Pillow image as `decode_picture` does, without cropping or resizing.

    Returns
    -------
    ndarray of uint8, shape (height, width, 3)

    Raises
    ------
    PictureError
        If its pixels have no known scale.
    """
    if picture.mode in {"I", "F"} or picture.mode.startswith("I;16"):
        raise PictureError(f"its pixels are {picture.mode!r}, without a known scale; give an array of uint8")
    return np.asarray(_upright(picture, picture))


def encode_picture(pixels: NDArray[np.uint8], format: str = "PNG") -> bytes:
    """Encode pixels, uint8 (height, width, 3), as PNG or JPEG (quality 95)."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format, **({"quality": 95} if format == "JPEG" else {}))
    return buffer.getvalue()


def read_picture(path: str | os.PathLike[str], framing: Framing) -> NDArray[np.uint8]:
    """Read one picture file and frame it; see `decode_picture`."""
    return decode_picture(read_encoded(path), framing)


def read_encoded(path: str | os.PathLike[str]) -> bytes:
    """Return the content of a picture file; raise `PictureError` also for pipes, devices and large files."""
    try:
        if is_remote(path):
            return _of_store(path)
        # Do not wait: a pipe may never send anything.
        with open(path, "rb", buffering=0, opener=_open_at_once) as file:
            state = os.fstat(file.fileno())
            if not stat.S_ISREG(state.st_mode):
                raise PictureError(f"{path} is not a file but a pipe, a socket or a device")
            if state.st_size > PICTURE_BYTES:
                raise PictureError(f"{path} has {state.st_size:,} bytes, more than the {PICTURE_BYTES:,} of a picture")
            return file.read(PICTURE_BYTES)
    except (OSError, ValueError) as error:  # ValueError: a null character in the path
        if isinstance(error, PictureError):
            raise
        raise PictureError(f"{path} cannot be opened ({getattr(error, 'strerror', None) or error})") from error


def _of_store(path: RemotePath) -> bytes:
    size = path.stat().st_size
    if size > PICTURE_BYTES:
        raise PictureError(f"{path} has {size:,} bytes, more than the {PICTURE_BYTES:,} of a picture")
    return path.read_bytes()


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _too_large(size: tuple[int, int]) -> str:
    return (
        f"it has {size[0]} x {size[1]} pixels, more than {PIXELS / 1e6:.0f} million; cut it into smaller pictures first"
    )


def _square(size: tuple[int, int], crop: int | None) -> tuple[int, int, int, int]:
    """Return the box (left, upper, right, lower) of the middle square."""
    width, height = size
    side = min(width, height, crop or width)
    left, upper = (width - side) // 2, (height - side) // 2
    return left, upper, left + side, upper + side


def _galaxy_square(picture: Image.Image) -> tuple[float, float, float, float]:
    """Return the box of the square around the central galaxy, within the picture."""
    extent, whole = central_extent(picture), min(picture.size)
    side = min(max(2 * _GALAXY_MARGIN * extent.radius, _LEAST_SHARE * whole), whole)
    left = min(max(extent.column - side / 2, 0), picture.width - side)
    upper = min(max(extent.row - side / 2, 0), picture.height - side)
    return left, upper, left + side, upper + side


def _kept(picture: Image.Image, framing: Framing) -> tuple[float, float, float, float]:
    """Return the box that is kept; with a margin it may extend beyond the picture."""
    box = _galaxy_square(picture) if framing.crop == "galaxy" else _square(picture.size, framing.crop)
    more = (box[2] - box[0]) * (framing.margin - 1) / 2
    return box[0] - more, box[1] - more, box[2] + more, box[3] + more


def _frame(picture: Image.Image, framing: Framing) -> NDArray[np.uint8]:
    box = _kept(picture, framing)
    if framing.margin > 1:
        picture, box = _on_black(picture, box)
    if box[2] - box[0] == framing.size and framing.crop != "galaxy":
        return np.asarray(picture.crop(box))
    return np.asarray(picture.resize((framing.size, framing.size), Image.Resampling.BICUBIC, box=box))


def _on_black(
    picture: Image.Image, box: tuple[float, float, float, float]
) -> tuple[Image.Image, tuple[float, float, float, float]]:
    """Return a picture padded with black to contain a box, and the box in the padded picture."""
    left, upper, right, lower = box
    rim = math.ceil(max(0, -left, -upper, right - picture.width, lower - picture.height))
    if rim:
        black = Image.new("RGB", (picture.width + 2 * rim, picture.height + 2 * rim))
        black.paste(picture, (rim, rim))
        picture = black
    return picture, (left + rim, upper + rim, right + rim, lower + rim)


def _to_rgb(content: bytes, picture: ImageFile.ImageFile) -> tuple[Image.Image, str]:
    """Return a picture with three colours of 8 bits, and what was guessed about its bit depth."""
    shown: Image.Image = picture
    guess = ""
    if picture.mode in {"I", "F"} or picture.mode.startswith("I;16"):
        shown, guess = grey_to_bytes(content, picture)
    elif has_wide_colours(picture):
        shown, guess = colours_to_bytes(content, picture)
    return _upright(shown, picture), guess


def _upright(shown: Image.Image, picture: Image.Image) -> Image.Image:
    """Return a picture in three colours, turned by the EXIF orientation of its original."""
    # Pillow's exif_transpose rewrites all EXIF entries, and fails on entries of an unusual type.
    if "exif" in picture.info:
        picture.load()
        turn = _TURNS.get(picture.getexif().get(ExifTags.Base.Orientation, 1))
        shown = shown if turn is None else shown.transpose(turn)
    if shown.mode in {"RGBA", "LA", "PA"} or "transparency" in shown.info:
        return _over_black(shown)
    return shown if shown.mode == "RGB" else shown.convert("RGB")


def _over_black(picture: Image.Image) -> Image.Image:
    """Lay a picture over black, in stripes, to save memory."""
    width, height = picture.size
    shown = Image.new("RGB", picture.size)
    rows = max(1, LARGE_PIXELS // 4 // width)
    for top in range(0, height, rows):
        stripe = picture.crop((0, top, width, min(top + rows, height))).convert("RGBA")
        black = Image.new("RGBA", stripe.size, (0, 0, 0, 255))
        shown.paste(Image.alpha_composite(black, stripe).convert("RGB"), (0, top))
    return shown


def _decode_fast(content: bytes, picture: Image.Image, framing: Framing) -> NDArray[np.uint8]:
    """Decode a plain JPEG at the smallest of the decoder's scales that does not magnify, then frame the rest."""
    width, height = picture.size  # a draft changes it
    if isinstance(framing.crop, str):
        # The galaxy is found in the reduced picture, of which it usually takes a third to a half.
        kept = min(width, height) / 2
    else:
        left, _, right, _ = _square(picture.size, framing.crop)
        kept = right - left
    scale = min(1.0, framing.size / kept)
    wanted = (math.ceil(width * scale), math.ceil(height * scale))
    pixels = decode_jpeg(content, wanted)
    if pixels is None:
        picture.draft("RGB", wanted)
    reduced = picture.convert("RGB") if pixels is None else Image.fromarray(pixels)
    shrunk = round(framing.crop * reduced.width / width) if isinstance(framing.crop, int) else framing.crop
    return _frame(reduced, replace(framing, crop=shrunk))
