"""Framing: the square of a picture that a network sees, at the size that it takes."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from peculiar.errors import PictureError, UsageError
from peculiar.images.central_galaxy import central_extent

# The square is this many times as wide as the galaxy, and never smaller than this share of the picture.
_GALAXY_MARGIN, _LEAST_SHARE = 1.4, 0.16


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
    return frame(Image.fromarray(pixels), framing)


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


def frame(picture: Image.Image, framing: Framing) -> NDArray[np.uint8]:
    """Frame a picture in three colours of 8 bits."""
    box = _kept(picture, framing)
    if framing.margin > 1:
        picture, box = _on_black(picture, box)
    if box[2] - box[0] == framing.size and framing.crop != "galaxy":
        return np.asarray(picture.crop(box))
    return np.asarray(picture.resize((framing.size, framing.size), Image.Resampling.BICUBIC, box=box))


def _kept(picture: Image.Image, framing: Framing) -> tuple[float, float, float, float]:
    """Return the box that is kept; with a margin it may extend beyond the picture."""
    box = _galaxy_square(picture) if framing.crop == "galaxy" else middle_square(picture.size, framing.crop)
    more = (box[2] - box[0]) * (framing.margin - 1) / 2
    return box[0] - more, box[1] - more, box[2] + more, box[3] + more


def middle_square(size: tuple[int, int], crop: int | None) -> tuple[int, int, int, int]:
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
