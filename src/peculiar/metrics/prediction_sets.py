"""Prediction sets by class-conditional conformal prediction.

Split conformal prediction with one threshold per class (Vovk 2013, "label-conditional"; Sadinle, Lei & Wasserman 2019):
an answer is in the set if its probability reaches the threshold of its class, below which only a stated share of the
galaxies of that class lie. So rare classes are covered as well as common ones. The most probable answer is always in
the set, in fitting and in use.

On average over calibration sets, the coverage is right. With few galaxies of a class, a single calibration set may miss
it by far: with 53 galaxies, a stated 80 % is 72 to 89 % in nine cases of ten. Given the thresholds, the coverage has a
Beta distribution (Vovk 2013, on training-conditional validity), which gives the threshold at which the coverage is not
far below the stated level. With about 200 galaxies of each class, this changes nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc

from peculiar.errors import LabelError
from peculiar.metrics.calibration import fold_rows
from peculiar.metrics.intervals import Interval, wilson

LEVELS = (80, 90, 95, 99)
"""Stated coverages, in per cent."""

SHORTFALL, RISK = 0.05, 0.05
"""The coverage of a class falls short of the level by more than the first with a probability of at most the second."""

Thresholds = dict[str, tuple[float, ...]]
"""By level, such as "90", the threshold of each class."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """Coverage and size of prediction sets.

    Parameters
    ----------
    level : int
        Stated coverage, in per cent.
    coverage : float
        Share of the sets that hold the right answer.
    interval : list of float
        Wilson's 95 % interval of it.
    size : float
        Mean number of answers in a set.
    single : float
        Share of the sets with one answer: of the galaxies that are answered, if more than one answer means to abstain.
    single_accuracy : float or None
        Share of these sets whose answer is right; None if there are none.
    single_interval : list of float or None
        Wilson's 95 % interval of it.
    classes : dict of str to dict
        By class: ``count``, and ``coverage``, its ``interval`` and ``size``, which are None if it has no galaxy.
    """

    level: int
    coverage: float
    interval: Interval
    size: float
    single: float
    single_accuracy: float | None
    single_interval: Interval
    classes: dict[str, dict[str, Any]]

    def as_dict(self) -> dict[str, Any]:
        """Return all of it as plain dictionaries, fit for JSON."""
        return asdict(self)


def fit_sets(
    labels: NDArray[np.integer], probabilities: NDArray[np.floating], *, levels: Sequence[int] = LEVELS
) -> Thresholds:
    """Fit the thresholds of prediction sets on galaxies that the model was not trained on.

    Parameters
    ----------
    labels : ndarray of int, shape (n,)
    probabilities : ndarray, shape (n, classes)
    levels : sequence of int
        In per cent, between 0 and 100.

    Returns
    -------
    dict of str to tuple of float
        A class with too few galaxies for a level, such as fewer than 19 for 90 %, has a threshold of 0: it is in every
        set.

    Raises
    ------
    LabelError
        If there are no labels.
    """
    if not len(labels):
        message = "prediction sets need at least one label"
        raise LabelError(message)
    classes = range(probabilities.shape[1])
    # The called class is always in its set, so no threshold excludes a right call.
    called_right = probabilities.argmax(axis=1) == labels
    right = np.where(called_right, 1.0, probabilities[np.arange(len(labels)), labels])
    scores = [np.sort(right[labels == number]) for number in classes]
    return {str(level): tuple(_threshold(values, level) for values in scores) for level in levels}


def prediction_sets(probabilities: NDArray[np.floating], thresholds: Sequence[float]) -> NDArray[np.bool_]:
    """Return which answers are in the set of each galaxy.

    Parameters
    ----------
    probabilities : ndarray, shape (n, classes)
    thresholds : sequence of float
        One per class, for one level; see `fit_sets`.

    Returns
    -------
    ndarray of bool, shape (n, classes)
        The most probable answer, the called class, is always in the set, even below its threshold. So no set is empty.
    """
    sets: NDArray[np.bool_] = probabilities >= np.asarray(thresholds, dtype=np.float64)
    sets[np.arange(len(sets)), probabilities.argmax(axis=1)] = True
    return sets


def name_sets(sets: NDArray[np.bool_], answers: Sequence[str]) -> list[str]:
    """Return each set as text, such as ``Ringed|Merger``, in the order of the answers."""
    return ["|".join(answer for answer, inside in zip(answers, row, strict=True) if inside) for row in sets]


def coverage(
    labels: NDArray[np.integer], sets: Mapping[str, NDArray[np.bool_]], answers: Sequence[str]
) -> list[Coverage]:
    """Return how well sets cover the labels, overall and by class.

    Parameters
    ----------
    labels : ndarray of int, shape (n,)
    sets : mapping of str to ndarray of bool, shape (n, classes)
        By level.
    answers : sequence of str
    """
    rows = np.arange(len(labels))
    result = []
    for level, inside in sets.items():
        covered, sizes = inside[rows, labels], inside.sum(axis=1)
        classes = {}
        for number, answer in enumerate(answers):
            of_class = labels == number
            count = int(of_class.sum())
            classes[answer] = {
                "count": count,
                "coverage": float(covered[of_class].mean()) if count else None,
                "interval": wilson(int(covered[of_class].sum()), count),
                "size": float(sizes[of_class].mean()) if count else None,
            }
        alone = sizes == 1
        result.append(
            Coverage(
                level=int(level),
                coverage=float(covered.mean()),
                interval=wilson(int(covered.sum()), len(labels)),
                size=float(sizes.mean()),
                single=float(alone.mean()),
                single_accuracy=float(covered[alone].mean()) if alone.any() else None,
                single_interval=wilson(int(covered[alone].sum()), int(alone.sum())),
                classes=classes,
            )
        )
    return result


def cross_fitted_sets(
    labels: NDArray[np.integer],
    probabilities: NDArray[np.floating],
    *,
    groups: Sequence[object] | None = None,
) -> dict[str, NDArray[np.bool_]]:
    """Return cross-validated sets by level, by ten folds: the thresholds for each galaxy are fitted to others.

    Raises
    ------
    LabelError
        If there are fewer than two galaxies, or groups.
    """
    result = {str(level): np.zeros(probabilities.shape, dtype=bool) for level in LEVELS}
    for rows in fold_rows(len(labels), groups=groups, folds=10, seed=222):
        others = np.ones(len(labels), dtype=bool)
        others[rows] = False
        for level, thresholds in fit_sets(labels[others], probabilities[others]).items():
            result[level][rows] = prediction_sets(probabilities[rows], thresholds)
    return result


def _threshold(scores: NDArray[np.floating], level: int) -> float:
    """Return the largest probability below which at most the stated share of n + 1 galaxies lies.

    It is smaller if the coverage, which is Beta(n + 1 - rank, rank) for new galaxies, could fall short too often.
    """
    # In integers, because (n + 1) (100 - level) / 100 in floating point may fall just short of an integer.
    rank = (len(scores) + 1) * (100 - level) // 100
    while rank and betainc(len(scores) + 1 - rank, rank, level / 100 - SHORTFALL) > RISK:
        rank -= 1
    return float(scores[rank - 1]) if rank else 0.0
