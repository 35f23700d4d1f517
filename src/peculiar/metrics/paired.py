"""Two sets of answers for the same galaxies: differences of their scores, with intervals, and McNemar's test."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr, stdtrit

from peculiar.metrics.intervals import CONFIDENCE, Interval, bootstrap_weights, group_numbers, statistics

OVERALL = ("accuracy", "balanced_accuracy", "auc", "average_precision", "log_loss", "brier", "calibration_error")
OF_CLASSES = ("precision", "recall", "f1", "class_auc", "class_average_precision")

LOWER_IS_BETTER = frozenset({"log_loss", "brier", "calibration_error"})

# With fewer groups, or if a score is undefined in more of the samples, there is no interval.
_FEWEST_GROUPS, _MOST_UNDEFINED = 2, 0.05


@dataclass(frozen=True, slots=True)
class Difference:
    """A score of two sets of answers, and its difference.

    Parameters
    ----------
    first, second : float or None
        The scores; None if undefined.
    difference : float or None
        `second` minus `first`.
    interval : Interval
        The 95 % interval of the difference; None if undefined.
    """

    first: float | None
    second: float | None
    difference: float | None
    interval: Interval

    @property
    def clear(self) -> bool:
        """True if the interval excludes 0."""
        return self.interval is not None and (self.interval[0] > 0 or self.interval[1] < 0)

    def as_dict(self) -> dict[str, Any]:
        """Return the values for JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Differences:
    """Differences of all scores, by their names in `peculiar.metrics.scores.Scores`; see `differences`.

    Parameters
    ----------
    overall : dict of str to Difference
    classes : list of dict of str to Difference
        In the order of the classes.
    """

    overall: dict[str, Difference] = field(default_factory=dict)
    classes: list[dict[str, Difference]] = field(default_factory=list)


def differences(
    labels: NDArray[np.integer],
    first: NDArray[np.floating],
    second: NDArray[np.floating],
    *,
    groups: Sequence[object] | None = None,
    resamples: int = 1000,
    seed: int = 222,
) -> Differences:
    """Return how much the scores of two sets of probabilities differ.

    Every bootstrap sample draws the same galaxies for both, so what makes a galaxy easy or hard for both cancels out.
    The interval is that of Student's t with the standard deviation of the differences over the samples (Efron &
    Tibshirani 1993, chapter 12) and as many degrees of freedom as there are groups, less one.

    Parameters
    ----------
    labels : ndarray of int, shape (n,)
    first, second : ndarray, shape (n, classes)
    groups : sequence, optional
        The group of each row, such as its galaxy or field; rows of a group are drawn together.
    resamples : int
        Number of bootstrap samples.
    seed : int

    Examples
    --------
    >>> import numpy as np
    >>> labels = np.array([0, 1] * 50)
    >>> sure = np.eye(2)[labels] * 0.8 + 0.1
    >>> unsure = sure.copy()
    >>> unsure[:10] = unsure[:10, ::-1]
    >>> found = differences(labels, unsure, sure).overall["accuracy"]
    >>> found.first, found.second, round(found.difference, 3), found.clear
    (0.9, 1.0, 0.1, True)
    """
    codes = group_numbers(len(labels), groups)
    ones = np.ones((1, len(labels)))
    scores = [statistics(labels, one, ones) for one in (first, second)]
    drawn: dict[str, list[NDArray[np.float64]]] = {name: [] for name in scores[0]}
    for weights in bootstrap_weights(codes, resamples, seed):
        of_first, of_second = (statistics(labels, one, weights) for one in (first, second))
        for name, samples in drawn.items():
            samples.append(of_second[name] - of_first[name])
    samples_of = {name: np.concatenate(samples) for name, samples in drawn.items()}
    number = int(codes.max()) + 1

    def difference(name: str, column: int) -> Difference:
        ours, theirs = (float(score[name][0, column]) for score in scores)
        if np.isnan(ours) or np.isnan(theirs):
            return Difference(None if np.isnan(ours) else ours, None if np.isnan(theirs) else theirs, None, None)
        found = theirs - ours
        return Difference(ours, theirs, found, _student(found, samples_of[name][:, column], number))

    return Differences(
        {name: difference(name, 0) for name in OVERALL},
        [
            {name.removeprefix("class_"): difference(name, column) for name in OF_CLASSES}
            for column in range(first.shape[1])
        ],
    )


def mcnemar(first_right: NDArray[np.bool_], second_right: NDArray[np.bool_]) -> tuple[int, int, float | None]:
    """Test whether two sets of answers are right equally often, by the galaxies on which just one of them is.

    Parameters
    ----------
    first_right, second_right : ndarray of bool, shape (n,)
        Whether each answer is right. The galaxies have to be independent of each other.

    Returns
    -------
    only_first, only_second : int
        Number of galaxies on which only the first, or only the second, is right.
    p_value : float or None
        Two-sided mid-p value of McNemar's test (McNemar 1947; Fagerland, Lydersen & Laake 2013, equation 4); None if
        there are no such galaxies.

    Examples
    --------
    >>> import numpy as np
    >>> right = np.arange(20) < 10
    >>> first, second, p_value = mcnemar(right, right | (np.arange(20) < 16))
    >>> first, second, round(p_value, 4)
    (0, 6, 0.0156)
    """
    only_first = int((first_right & ~second_right).sum())
    only_second = int((second_right & ~first_right).sum())
    total, fewer = only_first + only_second, min(only_first, only_second)
    if not total:
        return only_first, only_second, None
    below = float(bdtr(fewer - 1, total, 0.5)) if fewer else 0.0
    exactly = float(bdtr(fewer, total, 0.5)) - below
    p_value = 1 - exactly / 2 if only_first == only_second else 2 * below + exactly
    return only_first, only_second, p_value


def _student(found: float, samples: NDArray[np.float64], groups: int) -> Interval:
    defined = samples[~np.isnan(samples)]
    if groups < _FEWEST_GROUPS or len(defined) < max(2, (1 - _MOST_UNDEFINED) * len(samples)):
        return None
    # The variance of bootstrap samples divides by the number of groups, not by one less.
    spread = float(defined.std()) * np.sqrt(groups / (groups - 1))
    if not spread:
        return None
    reach = float(stdtrit(groups - 1, (1 + CONFIDENCE) / 2)) * spread
    return [found - reach, found + reach]
