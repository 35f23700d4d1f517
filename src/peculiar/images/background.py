"""The sky behind a galaxy: its level and its noise."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

# Of normal noise the median absolute deviation is the standard deviation divided by this.
_NORMAL = 1.4826


def rim(values: NDArray[Any], deep: int | None = None) -> NDArray[Any]:
    """Return the pixels along the edges of a picture.

    Parameters
    ----------
    values : ndarray, shape (height, width) or (height, width, channels)
    deep : int, optional
        So many rows and columns; by default a tenth of the shorter side.

    Returns
    -------
    ndarray, shape (n,) or (n, channels)
        Row by row of the four strips; pixels in a corner lie in two of them.
    """
    deep = deep or max(1, min(values.shape[:2]) // 10)
    strips = (values[:deep], values[-deep:], values[:, :deep], values[:, -deep:])
    return np.concatenate([strip.reshape(-1, *values.shape[2:]) for strip in strips])


def noise(values: NDArray[np.floating[Any]], level: Any = None, *, axis: int | None = None) -> Any:
    """Return the standard deviation of noise, as its median absolute deviation tells it; stars leave that alone.

    `astropy.stats.mad_std` computes the same; its import would cost each process that classifies JPEGs 0.4 s.

    Parameters
    ----------
    values : ndarray
    level : float or ndarray, optional
        That the noise scatters around; by default the median.
    axis : int, optional
        Along which to go; by default all values together.

    Examples
    --------
    >>> import numpy as np
    >>> round(float(noise(np.random.default_rng(0).normal(10, 2, 100_000))), 2)
    2.0
    """
    middle = np.median(values, axis=axis, keepdims=axis is not None) if level is None else level
    return _NORMAL * np.median(np.abs(values - middle), axis=axis)


def sky(light: NDArray[np.floating[Any]]) -> tuple[float, float]:
    """Return the median and the noise of a picture's rim; shape (height, width)."""
    pixels = rim(light)
    level = np.median(pixels)
    return float(level), float(noise(pixels, level))
