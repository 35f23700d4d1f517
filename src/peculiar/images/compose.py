"""Colour pictures from FITS bands."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from peculiar.errors import PictureError
from peculiar.files.limits import PIXELS
from peculiar.images.fits import Bands, read_bands
from peculiar.images.stretch import Stretch, border, noise_stretch, sdss_stretch

# Number of pixels that are stretched at a time.
_BLOCK = 2**22


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
