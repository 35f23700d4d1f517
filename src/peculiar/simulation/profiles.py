"""Light profiles of the literature, of total flux 1."""

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


def sersic(r: Floats, radius: float, n: float) -> Floats:
    """Surface brightness of a profile of total flux 1: Sersic (1963, BAAA 6, 41).

    I = I_e exp(-b ((r / R_e)^(1/n) - 1)) with total flux 2 pi n R_e^2 I_e e^b b^(-2n) Gamma(2n): Graham & Driver (2005,
    PASA 22, 118), eqs. 1 and 2; b(n) from Ciotti & Bertin (1999, A&A 352, 447), eq. 18, good to 1e-4 for n > 0.5.
    n = 1 is the exponential disc of Freeman (1970, ApJ 160, 811), eq. 1, of scale length R_e / 1.678.
    """
    b = 2 * n - 1 / 3 + 4 / (405 * n) + 46 / (25515 * n**2)
    total = 2 * math.pi * n * radius**2 * math.exp(b) * b ** (-2 * n) * math.gamma(2 * n)
    shape: Floats = np.exp(-b * ((r / radius) ** (1 / n) - 1)) / total
    return shape
