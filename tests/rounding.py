"""Bounds of rounding errors, so that a tolerance follows from the arithmetic and holds on every processor.

In which order a sum is added up, and whether products are rounded before, is up to the kernels of a processor. Whatever
they do, a sum of n products is off by at most gamma_n = n u / (1 - n u) times the sum of the products' sizes, u being
the unit roundoff (Higham 2002, Accuracy and Stability of Numerical Algorithms, 2nd ed., eq. 3.5).
"""

import numpy as np
from numpy.typing import NDArray

UNIT = 2.0**-24
"""Unit roundoff of single precision."""


def gamma(terms: int) -> float:
    """Return the bound of the relative error of a sum of so many products in single precision."""
    return terms * UNIT / (1 - terms * UNIT)


def of_product(left: NDArray[np.floating], right: NDArray[np.floating]) -> float:
    """Return by how much two computations of the matrix product may differ, in any element, in single precision.

    Parameters
    ----------
    left : ndarray, shape (n, d)
    right : ndarray, shape (d, m)
    """
    return float(2 * gamma(left.shape[1] + 1) * (np.abs(left) @ np.abs(right)).max())


def of_softmax(logits: float) -> float:
    """Return by how much probabilities may differ where the logits differ by at most so much.

    The derivative of a probability p is p (1 - p) by its own logit and -p q by another's, so that it changes by at most
    2 p (1 - p) <= 1/2 of the largest change. Exponentials and their sum add some roundings of their own.
    """
    return logits / 2 + 16 * UNIT
