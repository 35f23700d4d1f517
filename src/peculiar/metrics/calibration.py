"""Calibrate probabilities: temperature and vector scaling."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

from peculiar.errors import LabelError
from peculiar.metrics.intervals import Interval, group_numbers, standard_error, wilson

# Keeps a scaling that is fitted to few galaxies near 1 and 0; negligible for thousands.
_PULL = 1e-3

# Standard deviation of the prior on the logarithm of a temperature. Without a prior, a few galaxies that are all
# classified correctly would get probabilities of 0 and 1.
_BELIEVED = 1.0

# A scaling is measurably better if it is better by this number of standard errors.
_STANDARD_ERRORS = 2.0


@dataclass(frozen=True, slots=True)
class Scaling:
    """A weight and a bias per class, applied to logits before the softmax (Guo et al. 2017).

    Parameters
    ----------
    weights, biases : tuple of float
        One per class; equal weights and zero biases are a temperature.
    """

    weights: tuple[float, ...]
    biases: tuple[float, ...]

    def log_probabilities(self, logits: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return log probabilities of logits, shape (n, classes).

        A constant added to all logits of a galaxy has no meaning, but weights by class would change it. So it is
        subtracted first.
        """
        scaled = log_softmax(log_softmax(logits, axis=1) * np.array(self.weights) + np.array(self.biases), axis=1)
        return np.asarray(scaled, dtype=np.float64)

    def probabilities(self, logits: NDArray[np.floating]) -> NDArray[np.float32]:
        """Return probabilities of logits, shape (n, classes)."""
        return np.exp(self.log_probabilities(logits)).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Bin:
    """A bin of galaxies with about the same probability.

    Parameters
    ----------
    stated : float
        The mean of their probabilities.
    found : float
        The share of them that belong to the class.
    interval : list of float
        Wilson's 95 % interval of that share; calibrated probabilities have `stated` within it in 95 of 100 bins.
    count : int
    """

    stated: float
    found: float
    interval: Interval
    count: int

    @property
    def bears_out(self) -> bool:
        """True if the diagonal passes through the bin's interval."""
        return self.interval is not None and self.interval[0] <= self.stated <= self.interval[1]

    def as_dict(self) -> dict[str, Any]:
        """Return all of it as a plain dictionary, fit for JSON."""
        return asdict(self)


def fit_temperature(
    logits: NDArray[np.floating], labels: NDArray[np.integer | np.floating], trust: NDArray[np.floating] | None = None
) -> float:
    """Fit the temperature of a network to labels that it was not trained on.

    The temperature divides the logits before the softmax (Guo et al. 2017): above 1, the network was overconfident. The
    order of the classes does not change. A prior worth about one galaxy keeps the temperature near 1.

    Parameters
    ----------
    logits : ndarray, shape (n, classes)
    labels : ndarray of int, shape (n,), or of float, shape (n, classes)
        Class numbers, or vote fractions of the classes.
    trust : ndarray, shape (n,), optional
        Weight of each label.

    Returns
    -------
    float
        Between 0.05 and 20: the likeliest, given the labels and a normal prior on its logarithm.

    Raises
    ------
    LabelError
        If there are no labels.
    """
    from scipy.optimize import minimize_scalar  # slow to import, and needed only for fitting

    if not len(labels):
        message = "a temperature needs at least one label"
        raise LabelError(message)
    shares = np.eye(logits.shape[1])[labels] if labels.ndim == 1 else labels
    weights = shares if trust is None else shares * trust[:, None]

    def loss(log_temperature: float) -> float:
        logarithms = log_softmax(logits / np.exp(log_temperature), axis=1)
        return float((log_temperature / _BELIEVED) ** 2 / 2 - (weights * logarithms).sum())

    return float(np.exp(minimize_scalar(loss, bounds=(np.log(0.05), np.log(20)), method="bounded").x))


def fit_scaling(
    logits: NDArray[np.floating], labels: NDArray[np.integer], trust: NDArray[np.floating] | None = None
) -> Scaling:
    """Fit the weight and bias of each class that minimise the log loss; see `fit_temperature`."""
    from scipy.optimize import minimize

    if not len(labels):
        message = "a scaling needs at least one label"
        raise LabelError(message)
    count, classes = logits.shape
    rows, logits = np.arange(count), log_softmax(logits, axis=1)
    shares = np.full(count, 1 / count) if trust is None else trust / trust.sum()

    def loss(values: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        weights, biases = values[:classes], values[classes:]
        logarithms = log_softmax(logits * weights + biases, axis=1)
        slope = np.exp(logarithms)
        slope[rows, labels] -= 1
        slope *= shares[:, None]
        apart = weights - weights.mean()
        pulled = _PULL * ((apart**2).sum() + (biases**2).sum())
        slopes = np.concatenate(
            [(slope * logits).sum(axis=0) + 2 * _PULL * apart, slope.sum(axis=0) + 2 * _PULL * biases]
        )
        return float(pulled - shares @ logarithms[rows, labels]), slopes

    start = np.concatenate([np.ones(classes), np.zeros(classes)])
    found = minimize(loss, start, jac=True, method="L-BFGS-B").x
    return Scaling(tuple(found[:classes].tolist()), tuple(found[classes:].tolist()))


def temperature_scaling(logits: NDArray[np.floating], labels: NDArray[np.integer]) -> Scaling:
    """Return the temperature of `fit_temperature` as a scaling."""
    classes = logits.shape[1]
    return Scaling((1 / fit_temperature(logits, labels),) * classes, (0.0,) * classes)


def cross_fitted(
    logits: NDArray[np.floating],
    labels: NDArray[np.integer],
    fit: Callable[[NDArray[np.floating], NDArray[np.integer]], Scaling] = temperature_scaling,
    *,
    groups: Sequence[object] | None = None,
    seed: int = 222,
) -> NDArray[np.float64]:
    """Return cross-validated log probabilities, by five folds: each galaxy is calibrated on others.

    Parameters
    ----------
    logits : ndarray, shape (n, classes)
        Log probabilities are accepted, too.
    labels : ndarray of int, shape (n,)
    fit : callable
        `temperature_scaling` or `fit_scaling`.
    groups : sequence, optional
        Rows of the same group are in the same fold.
    seed : int

    Returns
    -------
    ndarray, shape (n, classes)

    Raises
    ------
    LabelError
        If there are fewer than two galaxies, or groups.
    """
    result = np.empty(logits.shape)
    for rows in fold_rows(len(labels), groups=groups, folds=5, seed=seed):
        others = np.ones(len(labels), dtype=bool)
        others[rows] = False
        result[rows] = fit(logits[others], labels[others]).log_probabilities(logits[rows])
    return result


def fold_rows(count: int, *, groups: Sequence[object] | None, folds: int, seed: int) -> list[NDArray[np.intp]]:
    """Assign galaxies to folds at random, rows of a group to the same fold; see `cross_fitted`."""
    codes = group_numbers(count, groups)
    different = int(codes.max(initial=-1)) + 1
    if different < 2:
        message = f"cross-validated calibration needs at least two different galaxies, received {different}"
        raise LabelError(message)
    folds = min(folds, different)
    numbers = (np.random.default_rng(seed).permutation(different) % folds)[codes]
    return [np.flatnonzero(numbers == fold) for fold in range(folds)]


def choose_scaling(
    logits: NDArray[np.floating], labels: NDArray[np.integer], groups: Sequence[object] | None = None
) -> tuple[Scaling, float, float]:
    """Return the scaling by class if it is measurably better than a temperature, otherwise the temperature.

    A scaling that lowers the log loss by calling rare classes less often is not accepted, because the galaxies of rare
    classes are those that are searched for.

    Returns
    -------
    scaling : Scaling
        Fitted to all galaxies.
    gain, error : float
        Difference of the cross-validated log loss (five folds) from that of a temperature, and its standard error.
        Measurably better means two standard errors.
    """
    rows = np.arange(len(labels))
    with_one, with_many = (
        cross_fitted(logits, labels, fit, groups=groups) for fit in (temperature_scaling, fit_scaling)
    )
    gains = with_many[rows, labels] - with_one[rows, labels]
    gain, error = float(gains.mean()), standard_error(gains, groups)
    better = gain > _STANDARD_ERRORS * error and _mean_recall(with_many, labels) >= _mean_recall(with_one, labels)
    return (fit_scaling if better else temperature_scaling)(logits, labels), gain, error


def _mean_recall(logits: NDArray[np.floating], labels: NDArray[np.integer]) -> float:
    right = logits.argmax(axis=1) == labels
    return float(np.mean([right[labels == number].mean() for number in np.unique(labels)]))


def reliability(
    labels: NDArray[np.integer], probabilities: NDArray[np.floating], *, bins: int = 10, answer: int | None = None
) -> list[Bin]:
    """Compare stated probabilities with observed frequencies, in bins of equal count.

    Parameters
    ----------
    labels : ndarray of int, shape (n,)
    probabilities : ndarray, shape (n, classes)
    bins : int
        Fewer if there are fewer galaxies.
    answer : int, optional
        Number of a class; default: the called class of each galaxy.

    Returns
    -------
    list of Bin
        From the lowest probability to the highest.
    """
    called = probabilities.argmax(axis=1) if answer is None else np.full(len(labels), answer)
    stated, true = probabilities[np.arange(len(labels)), called], called == labels
    parts = np.array_split(np.argsort(stated, kind="stable"), min(bins, len(labels)))
    return [
        Bin(float(stated[part].mean()), float(true[part].mean()), wilson(int(true[part].sum()), len(part)), len(part))
        for part in parts
    ]
