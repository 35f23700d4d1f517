"""Colours of stellar populations and of dust, from the far ultraviolet to the near infrared."""

import functools

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

R_BAND = 623.0
"""Effective wavelength of SDSS r in nm (Fukugita et al. 1996, AJ 111, 1748), at which fluxes are defined."""

_WAVELENGTHS = np.array([150, 230, 354, 477, 623, 762, 913, 1250, 1630, 2200, 3500], float)

# AB magnitude less that in r. From u to z about Fukugita et al. (1995, PASP 107, 945), Table 3, from elliptical to
# irregular galaxies; beyond, about the templates of Coleman, Wu & Weedman (1980, ApJS 43, 393) and Mannucci et al.
# (2001, MNRAS 326, 745). "clump" is a star-forming region, "line" gas that [O III] and H alpha make shine, "quasar" a
# power law.
_MAGNITUDES = {
    "old": (6.5, 5.2, 2.52, 0.77, 0, -0.39, -0.70, -1.02, -1.28, -1.10, -0.4),
    "disc": (3.4, 2.9, 1.93, 0.58, 0, -0.29, -0.50, -0.75, -0.95, -0.80, -0.2),
    "young": (1.6, 1.5, 1.23, 0.28, 0, -0.11, -0.18, -0.25, -0.30, -0.10, 0.4),
    "clump": (0.1, 0.3, 0.55, 0.05, 0, 0.05, 0.08, 0.20, 0.30, 0.50, 0.9),
    "line": (1.5, 1.5, 0.90, -0.60, 0, 1.10, 1.50, 1.80, 1.80, 1.80, 1.8),
    "quasar": (0.6, 0.5, 0.25, 0.12, 0, -0.10, -0.18, -0.35, -0.50, -0.70, -1.1),
}
POPULATIONS = tuple(_MAGNITUDES)


def extinction(wavelengths: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return A(wavelength) / A(r): wavelength^-1.25.

    From g to i this agrees within 5 % with Schlegel, Finkbeiner & Davis (1998, ApJ 500, 525), Table 6.

    Examples
    --------
    >>> extinction(np.array([623.0])).tolist()
    [1.0]
    """
    return np.asarray((np.asarray(wavelengths, float) / R_BAND) ** -1.25)


@functools.lru_cache(maxsize=4096)
def _flux(population: str, wavelengths: tuple[float, ...]) -> NDArray[np.float64]:
    magnitudes = np.interp(np.log(wavelengths), np.log(_WAVELENGTHS), _MAGNITUDES[population])
    return np.asarray(10 ** (-0.4 * magnitudes))


def colours(population: str, wavelengths: tuple[float, ...], reddening: float = 0.0) -> Floats:
    """Return the flux of a population at some wavelengths, relative to that in r.

    Parameters
    ----------
    population : str
        One of `POPULATIONS`.
    wavelengths : tuple of float
        At rest, in nm.
    reddening : float
        Extinction in r, in magnitudes, by which the colour is changed; the flux in r is kept. Negative is bluer.

    Returns
    -------
    ndarray of float32, shape (bands,)
    """
    dimming = reddening * (extinction(np.array(wavelengths)) - 1)
    return np.asarray(_flux(population, wavelengths) * 10 ** (-0.4 * dimming), np.float32)
