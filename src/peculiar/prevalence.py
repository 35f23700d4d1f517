"""How common classes are among galaxies without labels, corrected for what the classifier confuses.

To count what a classifier calls galaxies is biased where it errs, the more so where classes are rarer or more common
than among the galaxies that it was measured on. Two corrections, both of which assume that galaxies of a class look
alike in both sets and only the classes' shares differ:

- adjusted counts: the shares that, confused as the labelled galaxies are, give the counts that are found (Forman 2008,
  equation 4, for more than two classes as a least-squares problem on shares);
- expectation maximisation: the shares that make the probabilities most likely (Saerens, Latinne & Decaestecker 2002,
  equation 2.9). The probabilities are calibrated on the labelled galaxies first.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from peculiar.calibrate import fit_scaling
from peculiar.errors import LabelError

CONFIDENCE = 0.9

# Chance has to be far smaller than the intervals, and a tenth of a per cent is.
_TOLERANCE, _MOST_STEPS = 1e-5, 500


@dataclass(frozen=True, slots=True)
class Fraction:
    """The share of one class among galaxies without labels.

    Parameters
    ----------
    counted : float
        Share that the classifier calls so, uncorrected.
    adjusted, expected : float
        By adjusted counts, and by expectation maximisation.
    adjusted_interval, expected_interval : list of float
        90 % intervals, in which both the finite number of galaxies with labels and that of those without have a part.
    """

    counted: float
    adjusted: float
    adjusted_interval: list[float]
    expected: float
    expected_interval: list[float]

    def as_dict(self) -> dict[str, Any]:
        """Return all of it as a plain dictionary, fit for JSON."""
        return asdict(self)


def fractions(
    labels: NDArray[np.integer],
    probabilities: NDArray[np.floating],
    unlabelled: NDArray[np.floating],
    answers: Sequence[str],
    *,
    resamples: int = 200,
    seed: int = 222,
) -> dict[str, Fraction]:
    """Estimate the shares of the classes among galaxies without labels.

    Parameters
    ----------
    labels : ndarray of int, shape (n,)
        Of galaxies that the model was not trained on.
    probabilities : ndarray, shape (n, classes)
        Of these.
    unlabelled : ndarray, shape (m, classes)
        Probabilities of the others, by the same model.
    answers : sequence of str
    resamples : int
        Number of bootstrap samples: of the labelled galaxies within their classes, and of those without labels.
    seed : int

    Returns
    -------
    dict of str to Fraction
        By class; each kind of share sums to 1.

    Raises
    ------
    LabelError
        If there is no labelled galaxy of a class, or no galaxy without a label.
    """
    counts = np.bincount(labels, minlength=len(answers))
    missing = [answer for answer, count in zip(answers, counts, strict=True) if not count]
    if missing:
        message = (
            f"{', '.join(missing)}: no labelled galaxy of this class, so it is not known how the model confuses it; "
            "score a set that has some"
        )
        raise LabelError(message)
    if not len(unlabelled):
        message = "there is no galaxy without a label whose class could be counted"
        raise LabelError(message)
    random = np.random.default_rng(seed)
    members = [np.flatnonzero(labels == number) for number in range(len(answers))]
    adjusted, expected = _estimate(labels, probabilities, unlabelled)
    samples = []
    for _ in range(resamples):
        rows = np.concatenate([random.choice(of_class, len(of_class)) for of_class in members])
        others = random.integers(0, len(unlabelled), len(unlabelled))
        samples.append(_estimate(labels[rows], probabilities[rows], unlabelled[others]))
    low, high = np.quantile(samples, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2], axis=0)
    counted = np.bincount(unlabelled.argmax(axis=1), minlength=len(answers)) / len(unlabelled)
    return {
        answer: Fraction(
            counted=float(counted[number]),
            adjusted=float(adjusted[number]),
            adjusted_interval=[float(low[0, number]), float(high[0, number])],
            expected=float(expected[number]),
            expected_interval=[float(low[1, number]), float(high[1, number])],
        )
        for number, answer in enumerate(answers)
    }


def adjusted_counts(confusion: NDArray[np.integer], counts: NDArray[np.integer]) -> NDArray[np.float64]:
    """Return the shares of the classes that explain counts best, being confused as labelled galaxies are.

    Parameters
    ----------
    confusion : ndarray of int, shape (classes, classes)
        Labelled galaxies: rows are the true classes, columns the called ones.
    counts : ndarray of int, shape (classes,)
        How many galaxies without labels were called so.
    """
    called = (confusion / confusion.sum(axis=1, keepdims=True)).T
    # A heavy last equation makes the shares, which are not negative, sum to 1.
    heavy = 1e3
    system = np.vstack([called, np.full(len(called), heavy)])
    shares, _ = nnls(system, np.append(counts / counts.sum(), heavy))
    return np.asarray(shares / shares.sum())


def expectation_maximisation(probabilities: NDArray[np.floating], prior: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the shares of the classes that make calibrated probabilities most likely.

    Parameters
    ----------
    probabilities : ndarray, shape (m, classes)
        Calibrated where the classes' shares are `prior`.
    prior : ndarray, shape (classes,)
    """
    shares = np.asarray(prior, dtype=np.float64)
    likelihoods = probabilities / shares
    for _ in range(_MOST_STEPS):
        weighted = likelihoods * shares
        later = (weighted / weighted.sum(axis=1, keepdims=True)).mean(axis=0)
        step = np.abs(later - shares).max()
        shares = later
        if step < _TOLERANCE:
            break
    return shares


def _estimate(
    labels: NDArray[np.integer], probabilities: NDArray[np.floating], unlabelled: NDArray[np.floating]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the shares by both corrections."""
    classes = probabilities.shape[1]
    cells = np.bincount(labels * classes + probabilities.argmax(axis=1), minlength=classes**2)
    counts = np.bincount(unlabelled.argmax(axis=1), minlength=classes)
    logits, others = (np.log(np.maximum(values, 1e-12)).astype(np.float64) for values in (probabilities, unlabelled))
    calibrated = np.exp(fit_scaling(logits, labels).log_probabilities(others))
    prior = np.bincount(labels, minlength=classes) / len(labels)
    return adjusted_counts(cells.reshape(classes, classes), counts), expectation_maximisation(calibrated, prior)
