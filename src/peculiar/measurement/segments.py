"""Find the galaxy in the middle of an image: the sky, its noise, and the pixels of each object."""

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from peculiar.images.background import noise, sky

# Objects are regions of so many pixels that are brighter, after smoothing, than the sky by so many times its noise.
_LEAST_PIXELS, _THRESHOLD = 10, 1.5

# Standard deviation of the smoothing, in pixels: a full width at half maximum of 3.
_SMOOTHING = 1.274

# The sky is measured outside the objects, which are grown by so many pixels.
_GROWTH = 5

# Rounds in which the sky is measured and objects are found.
_ROUNDS = 2

# The share of pixels without an object that is enough to measure the sky.
_ENOUGH = 0.05

# The galaxy is at most this share of the shorter side away from the middle.
_OFF_CENTRE = 0.125

# Of an image without noise, this share of its peak counts as noise.
_NOISELESS = 1e-3


@dataclass(frozen=True, slots=True)
class Found:
    """The objects in an image.

    Parameters
    ----------
    level, noise : float
        Brightness of the sky, and its standard deviation.
    segments : ndarray of int, shape (height, width)
        Number of the object that each pixel belongs to, 0 for the sky.
    label : int
        Number of the galaxy in the middle; 0 if there is none.
    """

    level: float
    noise: float
    segments: NDArray[np.int32]
    label: int


def find_objects(
    image: NDArray[np.float64], bad: NDArray[np.bool_], *, least_noise: float = 0.0, deblend: float | None = None
) -> Found:
    """Find the objects in an image, and the galaxy in its middle.

    Parameters
    ----------
    image : ndarray of float64, shape (height, width)
    bad : ndarray of bool, shape (height, width)
        Pixels without a value.
    least_noise : float
        The noise is at least this.
    deblend : float, optional
        Contrast above which touching objects are separated, from 0 to 1; default: they are not.

    Returns
    -------
    Found
    """
    there = ~bad
    level, scatter = sky(np.where(bad, np.median(image[there]), image))
    segments = np.zeros(image.shape, np.int32)
    for _ in range(_ROUNDS):
        scatter = max(scatter, least_noise, _NOISELESS * float(image[there].max() - level), np.finfo(float).tiny)
        segments = _segments(np.where(bad, 0, image - level), bad, _THRESHOLD * scatter, deblend)
        level, scatter = _sky_outside(image, segments, there, (level, scatter))
    scatter = max(scatter, least_noise, _NOISELESS * float(image[there].max() - level), np.finfo(float).tiny)
    return Found(level, scatter, segments, central_label(segments))


def _segments(
    light: NDArray[np.float64], bad: NDArray[np.bool_], threshold: float, deblend: float | None
) -> NDArray[np.int32]:
    from photutils.segmentation import deblend_sources, detect_sources
    from scipy import ndimage

    smooth = ndimage.gaussian_filter(light, _SMOOTHING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that nothing is found
        found = detect_sources(smooth, threshold, _LEAST_PIXELS, mask=bad)
        if found is None:
            return np.zeros(light.shape, np.int32)
        if deblend is not None:
            found = deblend_sources(smooth, found, _LEAST_PIXELS, contrast=deblend, progress_bar=False)
    return np.asarray(found.data, np.int32)


def _sky_outside(
    image: NDArray[np.float64], segments: NDArray[np.int32], there: NDArray[np.bool_], former: tuple[float, float]
) -> tuple[float, float]:
    """Return level and noise of the sky outside the objects; as before if too few pixels are left."""
    from scipy import ndimage

    outside = there & ~ndimage.binary_dilation(segments > 0, iterations=_GROWTH)
    if np.count_nonzero(outside) < _ENOUGH * image.size:
        return former
    values = image[outside]
    for _ in range(5):  # faint stars are clipped
        level, scatter = float(np.median(values)), float(noise(values))
        kept = values[np.abs(values - level) <= 3 * scatter]
        if len(kept) == len(values) or not len(kept):
            break
        values = kept
    # A median lies above the level of a sky with faint objects; the mean of what is left does not.
    return float(values.mean()), scatter


def central_label(segments: NDArray[np.int32]) -> int:
    """Return the number of the object in the middle, or the nearest to it; 0 if none is near."""
    height, width = segments.shape
    rows, columns = np.nonzero(segments)
    if not len(rows):
        return 0
    distances = np.hypot(rows - (height - 1) / 2, columns - (width - 1) / 2)
    nearest = int(distances.argmin())
    if distances[nearest] > max(3.0, _OFF_CENTRE * min(height, width)):
        return 0
    return int(segments[rows[nearest], columns[nearest]])
