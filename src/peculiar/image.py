"""Encoded pictures to pixels and back.

Pixels are (row, column, colour) uint8 with the origin at the top left; colours run from the redder to the bluer band.
"""

import functools
import io
import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from peculiar.errors import PictureError, UsageError

MAX_PIXELS = 89_478_485
"""Pictures with more pixels are refused before they are decoded (Pillow's own limit: 256 MiB of RGB)."""

# Formats that photographs of the sky come in. A closed list keeps hostile files from the decoders of all others.
FORMATS = ("JPEG", "PNG", "TIFF", "WEBP", "GIF", "BMP", "PPM", "JPEG2000")

PICTURE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp", ".gif", ".bmp", ".ppm", ".jp2"})

_MAGIC = (b"\xff\xd8\xff", b"\x89PNG\r\n", b"II*\0", b"MM\0*", b"GIF8", b"BM", b"P5", b"P6", b"\0\0\0\x0cjP")


@dataclass(frozen=True, slots=True)
class Framing:
    """How a picture of any size becomes the square that a network sees.

    Parameters
    ----------
    size : int
        Side of the result, in pixels.
    crop : int or None
        Side of the middle square that is kept, in pixels of the original; None keeps the largest square. A picture
        smaller than the crop is kept whole.
    fast : bool
        Let the JPEG decoder reduce the picture while decoding. Two to four times as fast where it halves the picture at
        least; pixels of real galaxies differ from the exact way (antialiased bicubic) by 0.4 to 0.7 of 255 in the mean.
    """

    size: int = 128
    crop: int | None = None
    fast: bool = False

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name, value in (("size", self.size), ("crop", self.crop)):
            if value is not None and not 1 <= value <= 4096:
                message = f"{name} has to be between 1 and 4096 pixels, received {value}"
                raise UsageError(message)


def looks_like_picture(head: bytes) -> bool:
    """Tell from its first 16 bytes whether a file is a picture of one of `FORMATS`."""
    return head.startswith(_MAGIC) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP")


def decode_picture(content: bytes, framing: Framing) -> NDArray[np.uint8]:
    """Decode one picture and frame it.

    Grey pictures become RGB, transparency is laid over black, 16-bit grey is scaled to 8 bits, the orientation that
    EXIF states is applied, and of an animation the first frame is taken.

    Parameters
    ----------
    content : bytes
        An encoded picture (JPEG, PNG, TIFF, WebP, GIF, BMP, PPM or JPEG 2000).
    framing : Framing
        What to keep, and its size in the end.

    Returns
    -------
    ndarray of uint8, shape (size, size, 3)

    Raises
    ------
    PictureError
        If the bytes are no picture, are cut short, or hold more than `MAX_PIXELS` pixels.
    """
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as picture:
            if math.prod(picture.size) > MAX_PIXELS:
                raise PictureError(_too_large(picture.size))
            plain_jpeg = picture.format == "JPEG" and picture.mode in {"RGB", "L"} and "exif" not in picture.info
            if framing.fast and plain_jpeg:
                return _decode_fast(content, picture, framing)
            return _frame(_to_rgb(picture), framing)
    except PictureError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        reason = f"it claims more than {MAX_PIXELS / 1e6:.0f} million pixels; cut it into smaller pictures first"
        raise PictureError(reason) from error
    except UnidentifiedImageError as error:
        kind = "empty" if not content else f"no picture of a known format (starts with {content[:8]!r})"
        raise PictureError(f"it is {kind}") from error
    # Pillow's decoders report damage as whichever of these came first.
    except (OSError, ValueError, SyntaxError, EOFError, IndexError, TypeError, OverflowError, MemoryError) as error:
        raise PictureError(f"it is damaged or cut short ({error})") from error


def frame_pixels(pixels: NDArray[np.uint8], framing: Framing) -> NDArray[np.uint8]:
    """Frame a picture that is decoded already.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (height, width, 3)
    framing : Framing

    Returns
    -------
    ndarray of uint8, shape (size, size, 3)
        `pixels` itself where nothing has to be done.

    Raises
    ------
    PictureError
        If the array has another shape or type.
    """
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8 or 0 in pixels.shape:
        reason = f"pixels have to be uint8 (height, width, 3), received {pixels.dtype} {pixels.shape}"
        raise PictureError(reason)
    if pixels.shape[:2] == (framing.size, framing.size) and (framing.crop is None or framing.crop >= framing.size):
        return pixels
    return _frame(Image.fromarray(pixels), framing)


def encode_picture(pixels: NDArray[np.uint8], format: str = "PNG") -> bytes:
    """Encode pixels, uint8 (height, width, 3), as PNG or JPEG (quality 95)."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format, **({"quality": 95} if format == "JPEG" else {}))
    return buffer.getvalue()


def read_picture(path: str | os.PathLike[str], framing: Framing) -> NDArray[np.uint8]:
    """Read one picture file and frame it; see `decode_picture`."""
    try:
        content = Path(path).read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a null character in the path
        raise PictureError(f"{path} cannot be opened ({getattr(error, 'strerror', None) or error})") from error
    return decode_picture(content, framing)


def _too_large(size: tuple[int, int]) -> str:
    return (
        f"it has {size[0]} x {size[1]} pixels, more than {MAX_PIXELS / 1e6:.0f} million; cut it into smaller pictures "
        "first"
    )


def _square(size: tuple[int, int], crop: int | None) -> tuple[int, int, int, int]:
    """Return the box (left, upper, right, lower) of the middle square."""
    width, height = size
    side = min(width, height, crop or width)
    left, upper = (width - side) // 2, (height - side) // 2
    return left, upper, left + side, upper + side


def _frame(picture: Image.Image, framing: Framing) -> NDArray[np.uint8]:
    box = _square(picture.size, framing.crop)
    if box[2] - box[0] == framing.size:
        return np.asarray(picture.crop(box))
    return np.asarray(picture.resize((framing.size, framing.size), Image.Resampling.BICUBIC, box=box))


def _to_rgb(picture: Image.Image) -> Image.Image:
    if "exif" in picture.info:
        picture = ImageOps.exif_transpose(picture)
    if picture.mode == "RGB" and "transparency" not in picture.info:
        return picture
    if picture.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(picture).astype(np.uint16) >> 8).astype(np.uint8)).convert("RGB")
    if picture.mode in {"I", "F"}:
        reason = f"its pixels are {picture.mode!r} (32-bit) values without a known scale; save it with 8 bits a colour"
        raise PictureError(reason)
    if picture.mode in {"RGBA", "LA", "PA"} or "transparency" in picture.info:
        rgba = picture.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, (0, 0, 0, 255)), rgba).convert("RGB")
    return picture.convert("RGB")


def _decode_fast(content: bytes, picture: Image.Image, framing: Framing) -> NDArray[np.uint8]:
    """Decode a plain JPEG at the smallest of the decoder's scales that does not magnify, then frame the rest."""
    width, height = picture.size  # which a draft changes
    left, _, right, _ = _square(picture.size, framing.crop)
    scale = min(1.0, framing.size / (right - left))
    wanted = (math.ceil(width * scale), math.ceil(height * scale))
    decode = _simplejpeg_decoder()
    if decode is None:
        picture.draft("RGB", wanted)
        reduced = picture.convert("RGB")
    else:
        reduced = Image.fromarray(decode(content, "RGB", min_width=wanted[0], min_height=wanted[1]))
    shrunk = None if framing.crop is None else round(framing.crop * reduced.width / width)
    return _frame(reduced, Framing(framing.size, shrunk))


@functools.cache
def _simplejpeg_decoder() -> Callable[..., NDArray[np.uint8]] | None:
    """Return simplejpeg's decoder where the extra `fast` is installed: half as fast again as Pillow's."""
    try:
        import simplejpeg
    except ImportError:
        return None
    decoder: Callable[..., NDArray[np.uint8]] = simplejpeg.decode_jpeg
    return decoder
