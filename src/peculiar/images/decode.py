"""Decode pictures into pixels, and encode pixels.

Pixels are (row, column, colour) uint8 with the origin at the top left; colours run from the redder to the bluer band.
"""

import io
import math
import os
import struct
import threading
import zlib
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageFile, UnidentifiedImageError

from peculiar.errors import PictureError
from peculiar.files.limits import LARGE_PIXELS, PIXELS, SCANS
from peculiar.images.compose import compose_picture, read_fits_bands
from peculiar.images.depth import colours_to_bytes, grey_to_bytes, has_wide_colours
from peculiar.images.fits_file import looks_like_fits
from peculiar.images.framing import Framing, frame, frame_pixels, middle_square
from peculiar.images.jpeg import decode_jpeg, open_jpeg
from peculiar.images.picture_file import read_encoded

# Formats of pictures of the sky. A closed list keeps hostile files away from other decoders.
FORMATS = ("JPEG", "PNG", "TIFF", "WEBP", "GIF", "BMP", "PPM", "JPEG2000")


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
        whole = compose_picture(read_fits_bands([content]))
        return whole if framing is None else frame_pixels(whole, framing), ""

    def finish(picture: ImageFile.ImageFile, *, plain_jpeg: bool) -> tuple[NDArray[np.uint8], str]:
        if framing and framing.fast and plain_jpeg:
            return _decode_fast(content, picture, framing), ""
        if plain_jpeg and framing is None and (pixels := decode_jpeg(content)) is not None:
            return pixels, ""
        if plain_jpeg and framing and (plain := open_jpeg(content, picture.size)) is not None:
            return frame(plain, framing), ""
        shown, guess = _to_rgb(content, picture)
        return np.asarray(shown) if framing is None else frame(shown, framing), guess

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


def _too_large(size: tuple[int, int]) -> str:
    return (
        f"it has {size[0]} x {size[1]} pixels, more than {PIXELS / 1e6:.0f} million; cut it into smaller pictures first"
    )


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
        left, _, right, _ = middle_square(picture.size, framing.crop)
        kept = right - left
    scale = min(1.0, framing.size / kept)
    wanted = (math.ceil(width * scale), math.ceil(height * scale))
    pixels = decode_jpeg(content, wanted)
    if pixels is None:
        picture.draft("RGB", wanted)
    reduced = picture.convert("RGB") if pixels is None else Image.fromarray(pixels)
    shrunk = round(framing.crop * reduced.width / width) if isinstance(framing.crop, int) else framing.crop
    return frame(reduced, replace(framing, crop=shrunk))
