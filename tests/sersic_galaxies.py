"""Galaxies of known size and asymmetry, as FITS images with noise."""

from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.modeling.models import Gaussian2D, Sersic2D
from numpy.typing import NDArray
from scipy import ndimage

SIDE = 96
PIXEL = 0.5
"""Side of a pixel in arcsec."""


def draw_sersic(
    radius: float, n: float = 1.0, *, ellip: float = 0.3, angle: float = 30.0, blob: float = 0.0, psf: float = 0.0
) -> NDArray[np.float64]:
    """Return an image of total flux 10,000 without noise: a Sersic profile with a share of its light in a blob.

    Parameters
    ----------
    radius : float
        Semi-major half-light radius, in pixels.
    n, ellip, angle : float
        Index, ellipticity, and angle in degrees anticlockwise from the rows.
    blob : float
        Share of the flux in a blob beside the middle. A turn by 180 degrees moves it to where none is, so the asymmetry
        is twice this share.
    psf : float
        Standard deviation of the point spread function, in pixels.
    """
    fine = 5
    rows, columns = (np.mgrid[: SIDE * fine, : SIDE * fine] + 0.5) / fine - 0.5
    middle = (SIDE - 1) / 2
    light = Sersic2D(1, radius, n, middle, middle, ellip, np.radians(angle))(columns, rows)
    light *= (1 - blob) / light.sum()
    if blob:
        spot = Gaussian2D(1, middle + 1.5 * radius, middle + 0.5 * radius, 1.5, 1.5)(columns, rows)
        light += blob * spot / spot.sum()
    light = 1e4 * light.reshape(SIDE, fine, SIDE, fine).sum(axis=(1, 3))
    return ndimage.gaussian_filter(light, psf) if psf else light


def header(*, wcs: bool = True) -> fits.Header:
    """Return a header in nanomaggies, with north up and east left."""
    cards = {"BUNIT": "nanomaggy", "FILTER": "r"}
    grid = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 150.0, "CRVAL2": 2.0, "CRPIX1": (SIDE + 1) / 2}
    grid |= {"CRPIX2": (SIDE + 1) / 2, "CDELT1": -PIXEL / 3600, "CDELT2": PIXEL / 3600}
    return fits.Header(cards | (grid if wcs else {}))


def write_stamp(file: Path, light: NDArray[np.float64], *, noise: float = 0.5, seed: int = 0, wcs: bool = True) -> None:
    """Write an image with noise, on a sky of 5, as single precision."""
    noisy = light + np.random.default_rng(seed).normal(5, noise, light.shape)
    fits.writeto(file, noisy.astype(np.float32), header(wcs=wcs))
