"""Estimate how common classes are among galaxies without labels.

Counting what a classifier calls galaxies is biased by its mistakes, all the more if classes are rarer or more common
than among the labelled galaxies. There are two corrections. Both assume that galaxies of a class look alike in both
sets, and that only the shares of the classes differ:

- adjusted counts: the shares that reproduce the counts, given the confusion matrix of the labelled galaxies (Forman
  2008; for more than two classes as a least-squares problem on shares);
- expectation maximisation: the shares that make the probabilities most likely (Saerens, Latinne & Decaestecker 2002).
  The probabilities are calibrated on the labelled galaxies first.

The intervals are Bayesian. The usual bootstrap would exclude every mistake that does not occur among the few labelled
galaxies of a rare class. So the confusion rates are drawn from their posterior (Dirichlet, as in Ziegler & Czyż 2024),
and so are the weights of the galaxies for expectation maximisation (the Bayesian bootstrap, Rubin 1981).
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from peculiar.errors import LabelError
from peculiar.metrics.calibration import fit_scaling

CONFIDENCE = 0.9

# Random variation has to be far smaller than the intervals; a tenth of a per cent is enough.
_TOLERANCE, _MOST_STEPS = 1e-5, 500

# A lower share cannot be distinguished from none.
_NONE = 1e-3

# Number of draws of confusion rates and call rates per round, of consistent ones that are needed, and of rounds.
_DRAWS, _ENOUGH, _MOST_ROUNDS = 4000, 1000, 10


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
        90 % intervals, which account for the finite numbers of labelled and unlabelled galaxies. They begin at 0 if the
        class may be absent.
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
    draws: int = 200,
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
    draws : int
        Number of draws of the weights of the galaxies, for the interval of expectation maximisation.
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
            f"{', '.join(missing)}: no labelled galaxy of this class, so the confusion of the model is unknown; "
            "use a set that has some"
        )
        raise LabelError(message)
    if not len(unlabelled):
        message = "there are no galaxies without labels to count"
        raise LabelError(message)
    random, classes = np.random.default_rng(seed), len(answers)
    cells = labels.astype(np.intp) * classes + probabilities.argmax(axis=1)
    confusion = np.bincount(cells, minlength=classes**2).reshape(classes, classes)
    called = np.bincount(unlabelled.argmax(axis=1), minlength=classes)
    logits, others = (np.log(np.maximum(values, 1e-12)).astype(np.float64) for values in (probabilities, unlabelled))
    prior = counts / len(labels)

    def expect(trust: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
        calibrated = np.exp(fit_scaling(logits, labels, trust).log_probabilities(others))
        return expectation_maximisation(calibrated, prior, weights)

    adjusted, expected = adjusted_counts(confusion, called), expect(np.ones(len(labels)), np.ones(len(others)))
    sampled = []
    for _ in range(draws):
        trust = random.standard_exponential(len(labels))
        # The shares of the classes among the labelled galaxies are known; which galaxies represent them is random.
        trust *= (counts / np.bincount(labels, trust))[labels]
        sampled.append(expect(trust, random.standard_exponential(len(others))))
    tails = np.quantile(sampled, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2], axis=0)
    low, high = np.stack([shortest(sample_counts(confusion, called, random)), tails], axis=1)
    low[low < _NONE] = 0.0
    counted = called / len(unlabelled)
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
    """Return the shares of the classes that explain counts best, given a confusion matrix.

    Parameters
    ----------
    confusion : ndarray of int, shape (classes, classes)
        Labelled galaxies: rows are the true classes, columns the called ones.
    counts : ndarray of int, shape (classes,)
        Number of galaxies without labels that were called so.
    """
    called = (confusion / confusion.sum(axis=1, keepdims=True)).T
    # A heavy last equation makes the shares, which are not negative, sum to 1.
    heavy = 1e3
    system = np.vstack([called, np.full(len(called), heavy)])
    shares, _ = nnls(system, np.append(counts / counts.sum(), heavy))
    return np.asarray(shares / shares.sum())


def sample_counts(
    confusion: NDArray[np.integer], counts: NDArray[np.integer], random: np.random.Generator
) -> NDArray[np.float64]:
    """Draw shares of the classes from their posterior, given the confusion matrix and the counts.

    The confusion rates of each class have a Dirichlet prior with the weight of one galaxy; the prior of the shares is
    flat. Confusion rates and call rates are drawn independently, and the shares follow from them. Draws with negative
    shares are rejected; weights correct for having drawn call rates instead of shares.

    Parameters
    ----------
    confusion, counts
        See `adjusted_counts`.
    random : Generator

    Returns
    -------
    ndarray, shape (n, classes)
        A thousand draws or more. If hardly any shares explain the counts, because galaxies of a class look different in
        the two sets, the closest ones.
    """
    classes = len(counts)
    kept, weights = [], []
    for _ in range(_MOST_ROUNDS):
        rates = random.standard_gamma(confusion + 1 / classes, (_DRAWS, classes, classes))
        rates /= rates.sum(axis=2, keepdims=True)
        called = random.dirichlet(counts + 1, _DRAWS)
        shares = np.linalg.solve(rates.swapaxes(1, 2), called[:, :, None])[:, :, 0]
        possible = (shares >= 0).all(axis=1)
        kept.append(shares[possible])
        weights.append(1 / np.abs(np.linalg.det(rates[possible])))
        if sum(map(len, kept)) >= _ENOUGH:
            found, weight = np.concatenate(kept), np.concatenate(weights)
            return found[random.choice(len(found), len(found), p=weight / weight.sum())]
    nearest = np.maximum(shares, 0)
    return np.asarray(nearest / nearest.sum(axis=1, keepdims=True))


def expectation_maximisation(
    probabilities: NDArray[np.floating], prior: NDArray[np.floating], weights: NDArray[np.floating] | None = None
) -> NDArray[np.float64]:
    """Return the shares of the classes that make calibrated probabilities most likely.

    Parameters
    ----------
    probabilities : ndarray, shape (m, classes)
        Calibrated for classes with the shares `prior`.
    prior : ndarray, shape (classes,)
    weights : ndarray, shape (m,), optional
        Weights of the galaxies; default: all equal.
    """
    parts = np.full(len(probabilities), 1 / len(probabilities)) if weights is None else weights / weights.sum()
    shares = np.asarray(prior, dtype=np.float64)
    likelihoods = probabilities / shares
    for _ in range(_MOST_STEPS):
        weighted = likelihoods * shares
        later = (parts / weighted.sum(axis=1)) @ weighted
        step = np.abs(later - shares).max()
        shares = later
        if step < _TOLERANCE:
            break
    return shares


def shortest(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the ends (2, classes) of the shortest intervals that hold 90 % of samples (n, classes).

    Shares are never below 0, so equal tails would exclude 0 even without any evidence for a class.
    """
    ordered = np.sort(samples, axis=0)
    within = int(np.ceil(CONFIDENCE * len(ordered)))
    start = (ordered[within:] - ordered[: len(ordered) - within]).argmin(axis=0)
    classes = np.arange(samples.shape[1])
    return np.stack([ordered[start, classes], ordered[start + within, classes]])
