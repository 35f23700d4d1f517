"""Probabilities that mean what they say."""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from peculiar.errors import LabelError


def fit_temperature(
    logits: NDArray[np.floating], labels: NDArray[np.integer], trust: NDArray[np.floating] | None = None
) -> float:
    """Find the temperature that makes a network's probabilities fit labels that it was not trained on.

    The temperature divides the logits before the softmax (Guo et al. 2017, section 4.2): above 1 a network was too sure
    of itself. The order of the classes stays as it is.

    Parameters
    ----------
    logits : ndarray, shape (n, classes)
    labels : ndarray of int, shape (n,)
        Class numbers.
    trust : ndarray, shape (n,), optional
        How far each label counts.

    Returns
    -------
    float
        Between 0.05 and 20: that of the smallest log loss.

    Raises
    ------
    LabelError
        If there are no labels.
    """
    if not len(labels):
        message = "a temperature cannot be fitted to no labels"
        raise LabelError(message)
    rows = np.arange(len(labels))

    def loss(log_temperature: float) -> float:
        chances = log_softmax(logits / np.exp(log_temperature), axis=1)[rows, labels]
        return float(-np.average(chances, weights=trust))

    return float(np.exp(minimize_scalar(loss, bounds=(np.log(0.05), np.log(20)), method="bounded").x))
