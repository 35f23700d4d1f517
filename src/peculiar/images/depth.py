"""Scale values of more than 8 bits, and floats, to 8 bits.

The file may state which value is white. Otherwise white is the largest value of 8, 10, 12, 14, 16 bits and so on, the
first that no value exceeds: 12-bit cameras write 16-bit files, most of whose range is empty.
"""

import io
import sys
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

from peculiar.errors import PictureError

_DEPTHS = tuple(range(8, 33, 2))

# Gives the lower bytes in place of the upper ones; Pillow reads only the upper bytes of 16-bit colours.
_SWAPPED = {";16B": ";16L", ";16L": ";16B", ";16N": ";16B" if sys.byteorder == "little" else ";16L"}

# If all upper bytes are below this, three quarters of the 16-bit range are empty.
_NEARLY_EMPTY = 2**14 >> 8

_BITS_PER_SAMPLE, _PHOTOMETRIC, _LARGEST_VALUE, _WHITE_IS_ZERO = 258, 262, 281, 0


class White(NamedTuple):
    """The value of white, and a remark if it is a guess."""

    value: float
    guess: str = ""


def white_of(values: NDArray[Any], *, most: int = 16) -> White:
    """Return the value of white, from the range of the values.

    Parameters
    ----------
    values : ndarray of any numbers
    most : int
        Bits of the numbers in the file; if the range fills them, white is not a guess.

    Raises
    ------
    PictureError
        If values are negative or not numbers, or floats beyond 16 bits: then white is unknown.
    """
    low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 0.0)
    return white_between(low, high, values.dtype, most=most)


def white_between(low: float, high: float, dtype: "np.dtype[Any]", *, most: int = 16) -> White:
    """Return the value of white, from the lowest and highest value; see `white_of`."""
    if dtype == np.uint8:
        return White(255)
    if dtype.kind == "b" or (dtype.kind == "f" and low >= -0.01 and high <= 1):
        return White(1)
    if not (low >= -0.01 * high and high < (2**16 if dtype.kind == "f" else 2**32)):  # also where one is NaN
        span = f"from {low:g} to {high:g}" if np.isfinite([low, high]).all() else "not all of them numbers"
        reason = f"its values are {dtype}, {span}, and the value of white is unknown; save it with 8 bits a colour"
        raise PictureError(reason)
    bits = next(depth for depth in _DEPTHS if high < 2**depth)
    if high == 0 or bits == most:
        return White(2**bits - 1)
    return White(2**bits - 1, f"its values go up to {high:g} and are taken for {bits} bits")


def to_bytes(values: NDArray[Any], white: float) -> NDArray[np.uint8]:
    """Scale values so that white becomes 255: integers keep their upper 8 bits, floats are rounded."""
    if values.dtype == np.uint8:
        return values
    if values.dtype.kind in "iu" and white in {2**depth - 1 for depth in _DEPTHS}:
        return np.asarray(np.clip(values, 0, int(white)) >> (int(white).bit_length() - 8), np.uint8)
    scaled = values.astype(np.float32) * np.float32(255 / white)
    return np.asarray(np.clip(scaled, 0, 255, out=scaled) + np.float32(0.5), np.uint8)


def grey_to_bytes(content: bytes, picture: ImageFile.ImageFile) -> tuple[Image.Image, str]:
    """Return a grey picture of 16 or 32 bits with 8 bits, and a remark if its bit depth is a guess."""
    # Pillow scales the values of a PPM with another maximum than that of 16 bits.
    scaled = picture.format == "PPM" and bool(picture.tile) and picture.tile[0].codec_name != "raw"
    wide = picture.format == "PPM" or picture.mode.startswith("I;16")
    values = np.asarray(picture)
    values = values if picture.mode in {"I", "F"} else values.astype(np.uint16)
    known = 65535.0 if scaled else _known_white(content, picture, values)
    white = White(known) if known else white_of(values, most=16 if wide else 32)
    shown = to_bytes(values, white.value)
    if _tiff_tag(picture, _PHOTOMETRIC) == _WHITE_IS_ZERO and picture.mode.startswith("I;16"):
        shown = 255 - shown
    return Image.fromarray(shown), white.guess


def has_wide_colours(picture: ImageFile.ImageFile) -> bool:
    """Return, before decoding, whether a picture has 16-bit colours, of which Pillow drops the lower eight bits."""
    bits = _tiff_tag(picture, _BITS_PER_SAMPLE)
    return picture.mode in {"RGB", "RGBA"} and (";16" in _rawmode(picture) or (isinstance(bits, tuple) and 16 in bits))


def colours_to_bytes(content: bytes, picture: ImageFile.ImageFile) -> tuple[Image.Image, str]:
    """Return a picture with 16-bit colours as Pillow does, or if their range is nearly empty, with the bits in use."""
    if ";16" not in _rawmode(picture):
        raise PictureError("its 16-bit colours are in separate planes, which are not read; save it with 8 bits")
    picture.load()
    if max(high for _, high in picture.getextrema()[:3]) >= _NEARLY_EMPTY:  # type: ignore[misc]
        return picture, ""
    upper = np.asarray(picture)
    with Image.open(io.BytesIO(content), formats=[str(picture.format)]) as again:
        tiles = []
        for tile in again.tile:
            args = tile.args if isinstance(tile.args, tuple) else (tile.args,)
            swapped = str(args[0])[:-4] + _SWAPPED.get(str(args[0])[-4:], "")
            tiles.append(tile._replace(args=(swapped, *args[1:]) if isinstance(tile.args, tuple) else swapped))
        again.tile = tiles
        lower = np.asarray(again)
    values = upper.astype(np.uint16) << 8 | lower
    known = _known_white(content, picture, values[..., :3])
    white = White(known) if known else white_of(values[..., :3])
    shown = to_bytes(values, white.value)
    if upper.shape[2] == 4 and upper[..., 3].max() >= _NEARLY_EMPTY:
        shown[..., 3] = upper[..., 3]
    return Image.fromarray(shown), white.guess


def _known_white(content: bytes, picture: ImageFile.ImageFile, values: NDArray[Any]) -> float | None:
    """Return the value of white that a file states: bits and maximum of a TIFF, significant bits of a PNG."""
    largest = values.max() if values.size else 0
    stated: Any = None
    if picture.format == "PNG":
        at = content.find(b"sBIT", 0, 4096)
        # A file that follows the standard scales its values up to 16 bits, and so exceeds them.
        stated = 2 ** content[at + 4] - 1 if at > 0 and 8 <= content[at + 4] < 16 else None
    elif picture.format == "TIFF":
        bits, stated = _tiff_tag(picture, _BITS_PER_SAMPLE), _tiff_tag(picture, _LARGEST_VALUE)
        if isinstance(bits, tuple) and bits and bits[0] == 12:
            stated = 4095
        stated = stated[0] if isinstance(stated, tuple) and stated else stated
    return float(stated) if isinstance(stated, int) and max(255, largest) <= stated < 2**16 - 1 else None


def _tiff_tag(picture: ImageFile.ImageFile, tag: int) -> Any:
    return picture.tag_v2.get(tag) if picture.format == "TIFF" else None  # type: ignore[attr-defined]


def _rawmode(picture: ImageFile.ImageFile) -> str:
    if not picture.tile:
        return ""
    args = picture.tile[0].args
    return str(args[0] if isinstance(args, tuple) else args)
