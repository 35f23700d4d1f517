"""Pixels without data, as the weight maps and the masks of an image declare them."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from peculiar.images.companions import header_words
from peculiar.images.fits_file import Pixels

_WEIGHT = re.compile(
    r"m?(2d)?(w(ei?gh)?ts?|wht|wei|(inv|i)var(iances?)?|t?exp(wt|osures?|time)?|nexp|cov(erage)?|hits?|conf(idence)?)"
    r"(map|maps|image|img|\d)?"
)

# Planes of a mask of the LSST Science Pipelines (also HSC), whose header gives the number of the bit: MP_BAD = 0.
# Pixels with other bits have values: those of a source, near an edge, saturated, interpolated.
_NO_DATA = ("MP_NO_DATA", "MP_BAD", "MP_UNMASKEDNAN")


@dataclass(frozen=True, slots=True)
class Map:
    """One map of an image.

    Parameters
    ----------
    pixels : Pixels
    bits : int
        Bits of a mask that declare a pixel to be without data; 0 for a weight map, where 0 does.
    """

    pixels: Pixels
    bits: int = 0

    def lacks(self, window: tuple[slice, slice]) -> NDArray[np.bool_]:
        """Return which pixels of a window (rows, columns) are without data."""
        values = self.pixels[window]
        if self.bits:
            with np.errstate(invalid="ignore"):
                return np.asarray(values.astype(np.int64) & self.bits != 0)
        return ~np.asarray(values > 0)


def lacking(layers: Iterable[Map], window: tuple[slice, slice]) -> NDArray[np.bool_] | None:
    """Return which pixels of a window are without data in any of some maps; None without maps."""
    found: NDArray[np.bool_] | None = None
    for layer in layers:
        there = layer.lacks(window)
        found = there if found is None else found | there
    return found


def mask_bits(header: Any) -> int:
    """Return the bits of a mask that declare a pixel to be without data; 0 if its header names none."""
    numbers = [header.get(key) for key in _NO_DATA]
    return sum(1 << number for number in {*numbers} if isinstance(number, int) and 0 <= number < 63)


def is_weight(header: Any) -> bool:
    """Return whether a header states that its image is a weight map, or one of exposure or inverse variance."""
    return names_weight(header_words(header))


def weights_among(companions: Mapping[Path, Iterable[str]]) -> tuple[Path, ...]:
    """Return the companion files of an image that are weight maps, by the words that make them companions."""
    return tuple(file for file, words in companions.items() if names_weight(words))


def names_weight(words: Iterable[str]) -> bool:
    """Return whether one of some words names a map in which 0 means no data."""
    return any(_WEIGHT.fullmatch(word) for word in words)
