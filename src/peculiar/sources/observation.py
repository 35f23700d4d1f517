"""Observe simulated light as a survey does: atmosphere, noise, colour composite.

Arrays over bands are in the order of the colours they become: i, r, g. Fluxes are in nanomaggies (nMgy: magnitude =
22.5 - 2.5 log10 flux).
"""

import math

import numpy as np
from numpy.typing import NDArray
from scipy import fft

Floats = NDArray[np.float32]
Rng = np.random.Generator

# SDSS imaging (Gunn et al. 1998, AJ 116, 3040; York et al. 2000, AJ 120, 1579), in i, r, g, rounded: pixel in arcsec,
# electrons per nMgy in a 54 s exposure, sky in mag/arcsec^2, read noise in electrons per pixel.
PIXEL = 0.396
ELECTRONS = np.array([750.0, 940.0, 1050.0], np.float32)
SKY = (10 ** (0.4 * (22.5 - np.array([20.3, 20.9, 21.9])))).astype(np.float32)
READ_NOISE = 5.0


def moffat(n: int, fwhm: float, beta: float) -> Floats:
    """Point spread function of sum 1 on n x n pixels, with its centre at [0, 0], wrapped around for FFTs.

    (1 + (r / alpha)^2)^-beta, FWHM = 2 alpha sqrt(2^(1/beta) - 1): Moffat (1969, A&A 3, 455); Trujillo et al. (2001,
    MNRAS 328, 977), section 2. It has the wings that a Gaussian lacks.
    """
    alpha = fwhm / (2 * math.sqrt(2 ** (1 / beta) - 1))
    d2 = ((fft.fftfreq(n, 1 / n) / alpha) ** 2).astype(np.float32)
    wings = (1 + d2[:, None] + d2) ** -beta
    psf: Floats = wings / wings.sum()
    return psf


def blur(light: Floats, fwhm: float, beta: float) -> Floats:
    """Convolve (3, n, n) with a Moffat PSF. The margin of the frame absorbs what wraps around the edges."""
    n = light.shape[-1]
    blurred: Floats = fft.irfft2(fft.rfft2(light) * fft.rfft2(moffat(n, fwhm, beta)), s=(n, n))
    return blurred


def expose(light: Floats, scale: float, rng: Rng) -> tuple[Floats, list[float]]:
    """Add the noise of an SDSS exposure, resampled to pixels of ``scale`` arcsec; also return the rms of the sky.

    The variance in electrons is source + sky + read noise^2 (Howell 1989, PASP 101, 616). A Gaussian approximates the
    Poisson distribution: the sky alone contributes hundreds of electrons per pixel. Resampling correlates neighbours; a
    Gaussian filter of half an SDSS pixel models this and preserves the noise of a wide aperture.
    """
    sky = SKY * ELECTRONS * scale**2 + (READ_NOISE * scale / PIXEL) ** 2
    sigma = 0.5 * PIXEL / scale
    white = rng.standard_normal(light.shape, np.float32)
    from scipy.ndimage import (
        gaussian_filter,  # takes a fifth of a second to import, and reading pictures does not need it
    )

    grain = gaussian_filter(white, (0, sigma, sigma), mode="wrap", truncate=3)
    kernel = np.exp(-0.5 * (np.arange(-int(3 * sigma + 0.5), int(3 * sigma + 0.5) + 1) / sigma) ** 2)
    damping = float(np.sum(kernel**2) / np.sum(kernel) ** 2)  # factor of the rms by the filter, once per axis
    electrons = ELECTRONS[:, None, None]
    noise = np.sqrt(np.maximum(light, 0) * electrons + sky[:, None, None]) / electrons * grain
    return np.asarray(light + noise, np.float32), (np.sqrt(sky) / ELECTRONS * damping).tolist()


def lupton(bands: Floats, black: float, stretch: float, softening: float) -> NDArray[np.uint8]:
    """Colour picture (size, size, 3) of i, r, g by Lupton et al. (2004, PASP 116, 133), section 2.

    The mean intensity I becomes f(I) = asinh(stretch * softening * I) / softening, and every band becomes band * f(I) /
    I, so that bright places keep their colour; a pixel above 1 is divided by its largest band. The band weights make a
    sun-like spectrum nearly white.
    """
    weighted = bands * np.array([1.0, 1.2, 1.85], np.float32)[:, None, None] + black
    intensity = np.maximum(weighted.mean(0), 1e-4)
    shown = np.maximum(weighted * (np.arcsinh(stretch * softening * intensity) / (softening * intensity)), 0)
    picture: NDArray[np.uint8] = (np.moveaxis(shown / np.maximum(shown.max(0), 1), 0, -1) * 255 + 0.5).astype(np.uint8)
    return picture
