"""Detect galaxies and stars in a mosaic, tile by tile."""

import math
import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from peculiar.errors import extra
from peculiar.images.linear import Exposure

# A tile is searched with a margin around it, in pixels; an object belongs to the tile that its centre lies in.
_TILE, _MARGIN = 2048, 128

# The sky is measured in cells of so many pixels; those with more than this percentage of bad pixels are left out.
_CELL, _MOST_BAD = 64, 80

# Objects are regions of at least so many pixels, above the sky by so many times its noise after smoothing with a
# Gaussian (in pixels); a peak with this share of the light of its object is an object of its own.
LEAST_PIXELS, _THRESHOLD, _SMOOTHING, _CONTRAST = 25, 1.5, 1.274, 0.02


class Detection(NamedTuple):
    """An object in an image.

    Parameters
    ----------
    column, row : float
        Its centre in pixels, from 0 at the middle of the bottom left one.
    flux : float
        In the unit of the image.
    radius : float
        Half-light radius of its pixels above the threshold, in pixels.
    """

    column: float
    row: float
    flux: float
    radius: float


def detect(exposure: Exposure) -> Iterator[Detection]:
    """Yield the objects in an image, tile by tile.

    Parameters
    ----------
    exposure : Exposure

    Raises
    ------
    MissingExtraError
        If photutils is not installed.
    PictureError
        If the image is damaged.
    """
    height, width = exposure.shape
    for bottom in range(0, height, _TILE):
        for left in range(0, width, _TILE):
            low, first = max(bottom - _MARGIN, 0), max(left - _MARGIN, 0)
            high, last = min(bottom + _TILE + _MARGIN, height), min(left + _TILE + _MARGIN, width)
            image = exposure.window(first, low, high - low, last - first)
            bad = ~np.isfinite(image.pixels)
            if image.lacks is not None:
                bad |= image.lacks
            for column, row, flux, radius in _objects(image.pixels.astype(np.float64), bad):
                found = Detection(column + first, row + low, flux, radius)
                if left <= found.column + 0.5 < left + _TILE and bottom <= found.row + 0.5 < bottom + _TILE:
                    yield found


def _objects(light: NDArray[np.float64], bad: NDArray[np.bool_]) -> Iterator[Detection]:
    with extra("detecting galaxies", "measure"):
        from photutils.background import Background2D
        from photutils.segmentation import deblend_sources, detect_sources
    from scipy import ndimage

    if bad.all() or np.ptp(light[~bad]) == 0:
        return
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        box = tuple(min(_CELL, side) for side in light.shape)
        sky: Any = Background2D(light, box, mask=bad, exclude_percentile=_MOST_BAD)
        light = np.where(bad, 0, light - sky.background)
        smooth = ndimage.gaussian_filter(light, _SMOOTHING)
        threshold = _THRESHOLD * np.maximum(sky.background_rms, np.finfo(float).tiny)
        found = detect_sources(smooth, threshold, LEAST_PIXELS, mask=bad)
        if found is not None:
            found = deblend_sources(smooth, found, LEAST_PIXELS, contrast=_CONTRAST, progress_bar=False)
    if found is None:
        return
    segments = np.asarray(found.data)
    for number, box in enumerate(ndimage.find_objects(segments), start=1):
        if box is None:
            continue
        rows, columns = np.nonzero(segments[box] == number)
        values = np.maximum(light[box][rows, columns], 0)
        flux = float(values.sum())
        if not flux > 0:
            continue
        row, column = (rows * values).sum() / flux, (columns * values).sum() / flux
        distances = np.hypot(rows - row, columns - column)
        order = np.argsort(distances)
        half = int(np.searchsorted(np.cumsum(values[order]), flux / 2))
        radius = max(float(distances[order[min(half, len(order) - 1)]]), math.sqrt(1 / math.pi))
        yield Detection(float(column) + box[1].start, float(row) + box[0].start, flux, radius)
