"""95 % intervals of scores: Wilson, bootstrap, Student's t.

Rates (accuracy, precision, recall) have Wilson's interval, all other scores a bootstrap interval. If rows belong
together, such as those of a galaxy or a field, whole groups are drawn, and all intervals are Student's t of the groups.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit, ndtr, ndtri, stdtrit

CONFIDENCE = 0.95

# No interval if the score is undefined in a larger share of the samples: the interval of the others would ignore these.
_MOST_UNDEFINED = 0.05

# Bootstrap samples that differ by a smaller share of their score differ only by rounding.
_ROUNDING = 1e-12

# Numbers in a block of bootstrap samples that is held in memory: 32 MB.
_BLOCK = 4_000_000

# Parts that the jackknife leaves out one by one. They give the same skewness as leaving out thousands of single
# galaxies.
_MOST_LEFT_OUT = 200

# Sets of perfectly calibrated answers that are drawn.
_DRAWS = 400

_CLASS_SCORES = ("precision", "recall", "f1", "class_auc", "class_average_precision")

_AREAS = ("auc", "average_precision", "class_auc", "class_average_precision")

_LARGEST = {"log_loss": np.inf, "brier": 2.0}
"""Largest value of a score, if it is not 1."""

Interval = list[float] | None
"""Lower and upper end; None if undefined."""


@dataclass(frozen=True, slots=True)
class ScoreIntervals:
    """Intervals of all scores, by their names in `peculiar.metrics.scores.Scores`.

    Parameters
    ----------
    overall : dict of str to Interval
    classes : list of dict of str to Interval
        In the order of the classes.
    """

    overall: dict[str, Interval] = field(default_factory=dict)
    classes: list[dict[str, Interval]] = field(default_factory=list)


def wilson(successes: int, total: int) -> Interval:
    """Return the 95 % interval of a rate (Wilson 1927; Brown, Cai & DasGupta 2001).

    Parameters
    ----------
    successes, total : int

    Returns
    -------
    list of float or None
        Both ends, 0 to 1; None if `total` is 0.
    """
    if not total:
        return None
    from scipy.stats import binomtest  # takes a third of a second to import, and classifying does not need it

    found = binomtest(int(successes), int(total)).proportion_ci(CONFIDENCE, method="wilson")
    return [float(found.low), float(found.high)]


def score_intervals(
    labels: NDArray[np.integer],
    probabilities: NDArray[np.floating],
    *,
    groups: Sequence[object] | None = None,
    resamples: int = 1000,
    seed: int = 222,
) -> ScoreIntervals:
    """Return 95 % intervals of the scores of probabilities against labels.

    Parameters
    ----------
    labels : ndarray of int, shape (n,)
    probabilities : ndarray, shape (n, classes)
    groups : sequence, optional
        The group of each row, such as its galaxy or field; rows of a group are drawn together.
    resamples : int
        Number of bootstrap samples.
    seed : int

    Returns
    -------
    ScoreIntervals
        By the bias-corrected and accelerated bootstrap (Efron 1987); of areas under curves by the logit of bootstrap
        samples (Boyd, Eng & Page 2013); of rates by Wilson. With groups of several rows by Student's t, with the
        standard deviation of bootstrap samples of the groups, because percentiles are too narrow for few groups
        (Cameron, Gelbach & Miller 2008). The interval of the calibration error extends to both sides as far as the
        error of perfectly calibrated probabilities in 95 of 100 sets of this size, so it covers at least 95 %. If all
        bootstrap samples have the same score, as when all answers are right, only rates have an interval.
    """
    count, classes = probabilities.shape
    codes = group_numbers(count, groups)
    found = statistics(labels, probabilities, np.ones((1, count)))
    ends: dict[str, list[Interval]] = {name: [None] * values.shape[1] for name, values in found.items()}
    if codes.max() > 0:  # with a single galaxy, all samples are the same
        ends = _bootstrap_ends(labels, probabilities, codes, found, resamples, seed)
    if len(np.unique(codes)) == count:
        ends.update(_rates(labels, probabilities))
    return ScoreIntervals(
        overall={name: values[0] for name, values in ends.items() if name not in _CLASS_SCORES},
        classes=[
            {name: values[number] for name, values in ends.items() if name in _CLASS_SCORES}
            for number in range(classes)
        ],
    )


def _bootstrap_ends(
    labels: NDArray[np.integer],
    probabilities: NDArray[np.floating],
    codes: NDArray[np.integer],
    found: dict[str, NDArray[np.float64]],
    resamples: int,
    seed: int,
) -> dict[str, list[Interval]]:
    samples = _all_statistics(labels, probabilities, bootstrap_weights(codes, resamples, seed))
    without = _all_statistics(labels, probabilities, _jackknife_weights(codes))
    grouped = int(codes.max()) + 1 < len(codes)

    def interval(name: str, column: int) -> Interval:
        score, drawn, left_out = (values[name][:, column] for values in (found, samples, without))
        if grouped:
            return _student(score[0], drawn, left_out, _LARGEST.get(name, 1.0))
        return _logistic(score[0], drawn) if name in _AREAS else _accelerated(score[0], drawn, left_out)

    ends = {name: [interval(name, column) for column in range(values.shape[1])] for name, values in found.items()}
    sureness, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    error, reach = found["calibration_error"][0, 0], _calibration_reach(sureness, right, codes, seed)
    ends["calibration_error"] = [[max(0.0, float(error - reach)), min(1.0, float(error + reach))]]
    return ends


def group_numbers(count: int, groups: Sequence[object] | None) -> NDArray[np.intp]:
    """Return the number of the group of each row, in the order of their first rows.

    Without groups, each row is a group of its own, and so is a row whose group is None.
    """
    if groups is None:
        return np.arange(count)
    names = [row if group is None else str(group) for row, group in enumerate(groups)]
    numbers: dict[str | int, int] = {}
    return np.array([numbers.setdefault(name, len(numbers)) for name in names], dtype=np.intp)


def standard_error(values: NDArray[np.floating], groups: Sequence[object] | None) -> float:
    """Return the standard error of a mean: that of the sums of groups, within which values are correlated."""
    sums = np.bincount(group_numbers(len(values), groups), values - values.mean())
    return float(np.sqrt((sums**2).sum() * len(sums) / (len(sums) - 1)) / len(values))


def statistics(
    labels: NDArray[np.integer], probabilities: NDArray[np.floating], weights: NDArray[np.floating]
) -> dict[str, NDArray[np.float64]]:
    """Return scores of weighted galaxies, for many sets of weights at once.

    With weights of 1 they equal those of `peculiar.metrics.scores.evaluate`. The weights of a bootstrap sample are how
    often each galaxy was drawn.

    Parameters
    ----------
    labels : ndarray of int, shape (n,)
    probabilities : ndarray, shape (n, classes)
    weights : ndarray, shape (m, n)

    Returns
    -------
    dict of str to ndarray, shape (m, 1) or, for the scores of each class, (m, classes)
        NaN if a score is undefined.
    """
    count, classes = probabilities.shape
    chosen, predicted = probabilities[np.arange(count), labels], probabilities.argmax(axis=1)
    # Labels may be of one byte, which cannot hold the numbers of the cells.
    cells = np.eye(classes * classes)[labels.astype(np.intp) * classes + predicted]
    confusion = (weights @ cells).reshape(-1, classes, classes)
    totals = weights.sum(axis=1)
    right, true, called = np.diagonal(confusion, axis1=1, axis2=2), confusion.sum(axis=2), confusion.sum(axis=1)
    both = [areas(labels == number, probabilities[:, number], weights) for number in range(classes)]
    auc, precision_area = (np.stack(values, axis=1) for values in zip(*both, strict=True))
    losses = np.stack(
        [
            -np.log(np.maximum(chosen, np.finfo(np.float32).tiny)),
            ((probabilities - np.eye(classes)[labels]) ** 2).sum(axis=1),
        ],
        axis=1,
    )
    means = weights @ losses / totals[:, None]
    with np.errstate(invalid="ignore", divide="ignore"):
        recall = right / true
        occurs = np.where(true > 0, 1.0, np.nan)
        found = {
            "accuracy": right.sum(axis=1) / totals,
            "balanced_accuracy": np.nansum(recall, axis=1) / np.nansum(occurs, axis=1),
            "auc": auc.mean(axis=1),
            "average_precision": precision_area.mean(axis=1),
            "log_loss": means[:, 0],
            "brier": means[:, 1],
            "calibration_error": weighted_calibration_error(probabilities.max(axis=1), predicted == labels, weights),
        }
        of_classes = {
            "precision": right / called,
            "recall": recall,
            "f1": 2 * right / (true + called),
            "class_auc": auc,
            "class_average_precision": precision_area,
        }
    return {name: values[:, None] for name, values in found.items()} | of_classes


def weighted_calibration_error(
    sureness: NDArray[np.floating], right: NDArray[np.bool_], weights: NDArray[np.floating], bins: int = 15
) -> NDArray[np.float64]:
    """Return the expected calibration error over bins of equal mass (Naeini et al. 2015, Nguyen & O'Connor 2015).

    Parameters
    ----------
    sureness : ndarray, shape (n,)
        Probability of the class that was called.
    right : ndarray of bool, shape (n,)
        Whether the called class is the labelled one.
    weights : ndarray, shape (m, n)
    bins : int
        With fewer galaxies than bins, each galaxy is a bin.

    Returns
    -------
    ndarray, shape (m,)
        Mean difference between sureness and share of right calls, over the bins, weighted by their masses.
    """
    order = np.argsort(sureness, kind="stable")
    excess = weights[:, order] * (sureness - right)[order]
    totals = weights.sum(axis=1, keepdims=True)
    # Galaxies of equal sureness go to the same bin: the one that contains the middle of their mass.
    starts = np.flatnonzero(np.diff(sureness[order], prepend=-np.inf) > 0)
    masses, excess = (np.add.reduceat(values, starts, axis=1) for values in (weights[:, order], excess))
    bins = min(bins, len(sureness))
    middle = masses.cumsum(axis=1) - masses / 2
    numbers = np.minimum((middle / totals * bins).astype(np.intp), bins - 1)
    numbers += bins * np.arange(len(weights))[:, None]
    gaps = np.bincount(numbers.ravel(), excess.ravel(), minlength=bins * len(weights))
    return np.asarray(np.abs(gaps.reshape(-1, bins)).sum(axis=1) / totals[:, 0])


def areas(
    positive: NDArray[np.bool_], score: NDArray[np.floating], weights: NDArray[np.floating]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return area under the ROC curve and average precision for each set of weights; NaN if undefined."""
    order = np.argsort(-score, kind="stable")
    starts = np.flatnonzero(np.diff(-score[order], prepend=-np.inf) > 0)
    weights, positive = weights[:, order], positive[order]
    # Galaxies with equal scores pass a threshold together.
    true = np.add.reduceat(weights * positive, starts, axis=1)
    false = np.add.reduceat(weights * ~positive, starts, axis=1)
    above_true, above_false = true.cumsum(axis=1), false.cumsum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        auc = (false * (above_true - true / 2)).sum(axis=1) / (above_true[:, -1] * above_false[:, -1])
        passed = above_true + above_false
        precision = np.divide(above_true, passed, out=np.zeros_like(passed), where=passed > 0)
        average = (true * precision).sum(axis=1) / above_true[:, -1]
    return auc, average


def _all_statistics(
    labels: NDArray[np.integer], probabilities: NDArray[np.floating], blocks: Iterator[NDArray[np.float64]]
) -> dict[str, NDArray[np.float64]]:
    parts = [statistics(labels, probabilities, weights) for weights in blocks]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def bootstrap_weights(codes: NDArray[np.integer], resamples: int, seed: int) -> Iterator[NDArray[np.float64]]:
    """Yield how often each row is drawn, for blocks of samples, (m, n)."""
    random = np.random.default_rng(seed)
    groups = int(codes.max()) + 1
    block = max(1, _BLOCK // len(codes))
    for start in range(0, resamples, block):
        drawn = random.multinomial(groups, np.full(groups, 1 / groups), min(block, resamples - start))
        yield drawn[:, codes].astype(np.float64)


def _jackknife_weights(codes: NDArray[np.integer]) -> Iterator[NDArray[np.float64]]:
    """Yield weights of 1, and 0 for the groups left out: each once, or a two-hundredth of them at a time."""
    left_out = codes % min(_MOST_LEFT_OUT, int(codes.max()) + 1)
    numbers = np.unique(left_out)
    block = max(1, _BLOCK // len(codes))
    for start in range(0, len(numbers), block):
        yield (left_out != numbers[start : start + block, None]).astype(np.float64)


def _accelerated(found: float, samples: NDArray[np.float64], without: NDArray[np.float64]) -> Interval:
    """Return the bias-corrected and accelerated interval of a score, from its bootstrap samples and its jackknife."""
    defined = samples[~np.isnan(samples)]
    if np.isnan(found) or len(defined) < (1 - _MOST_UNDEFINED) * len(samples) or _alike(defined):
        return None
    below = (np.count_nonzero(defined < found) + np.count_nonzero(defined == found) / 2) / len(defined)
    bias = ndtri(np.clip(below, 1 / len(defined), 1 - 1 / len(defined)))
    pull = without.mean() - without
    spread = (pull**2).sum() ** 1.5
    # Undefined if the only galaxy of a class is left out, and meaningless if nothing changes.
    acceleration = (pull**3).sum() / (6 * spread) if spread > 0 else 0.0
    ends = bias + np.asarray(ndtri([(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2]))
    places = np.asarray(ndtr(bias + ends / (1 - acceleration * ends)))
    return [float(np.quantile(defined, place)) for place in places]


def _logistic(found: float, samples: NDArray[np.float64]) -> Interval:
    """Return the interval of an area under a curve: normal in its logit, with the spread of the bootstrap samples."""
    defined = samples[~np.isnan(samples)]
    if np.isnan(found) or len(defined) < max(2, (1 - _MOST_UNDEFINED) * len(samples)) or _alike(defined):
        return None
    # A sample in perfect, or perfectly wrong, order has no logit; it counts as half a step short of that.
    edge = 0.5 / len(defined)
    reach = ndtri((1 + CONFIDENCE) / 2) * logit(np.clip(defined, edge, 1 - edge)).std(ddof=1)
    return [float(expit(logit(found) - reach)), float(expit(logit(found) + reach))]


def _student(
    found: float, samples: NDArray[np.float64], without: NDArray[np.float64], largest: float = 1.0
) -> Interval:
    """Return the interval of a score of groups: Student's t, in the logit of the score, or in its logarithm.

    Parameters
    ----------
    found : float
    samples : ndarray
        Of bootstrap samples of the groups.
    without : ndarray
        With each group left out.
    largest : float
        Largest value of the score, whose smallest is 0; infinity for the logarithm.
    """
    defined = samples[~np.isnan(samples)]
    # Groups that do not change a score, such as those without a galaxy of the class, do not count.
    telling = np.count_nonzero(~np.isclose(without, found, rtol=_ROUNDING, atol=0))
    if not 0 < found < largest or telling < 2 or len(defined) < (1 - _MOST_UNDEFINED) * len(samples) or _alike(defined):
        return None
    # The variance of bootstrap samples divides by the number of groups, not by one less.
    spread = defined.std() * np.sqrt(telling / (telling - 1))
    reach = stdtrit(telling - 1, (1 + CONFIDENCE) / 2) * spread / found
    if largest == np.inf:
        return [float(found * np.exp(-reach)), float(found * np.exp(reach))]
    share = found / largest
    reach /= 1 - share
    return [float(largest * expit(logit(share) - reach)), float(largest * expit(logit(share) + reach))]


def _alike(samples: NDArray[np.float64]) -> bool:
    """Return whether all bootstrap samples have the same score."""
    return bool(np.ptp(samples) <= _ROUNDING * np.abs(samples).max())


def _calibration_reach(
    sureness: NDArray[np.floating],
    right: NDArray[np.bool_],
    codes: NDArray[np.integer],
    seed: int,
) -> float:
    """Return the 95th percentile of the calibration error of perfectly calibrated probabilities.

    Rows of a group are correlated as strongly as observed.
    """
    random = np.random.default_rng(seed)
    ones = np.ones((1, len(sureness)))
    groups = int(codes.max()) + 1
    share = 0.0 if groups == len(codes) else np.sqrt(_together(sureness, right, codes))

    def chances() -> NDArray[np.float64]:
        own = random.random(len(codes))
        if not share:
            return own
        return np.where(random.random(len(codes)) < share, random.random(groups)[codes], own)

    errors = [weighted_calibration_error(sureness, chances() < sureness, ones)[0] for _ in range(_DRAWS)]
    return float(np.quantile(errors, CONFIDENCE))


def _together(sureness: NDArray[np.floating], right: NDArray[np.bool_], codes: NDArray[np.integer]) -> float:
    """Return the correlation of being right within groups: 0 for independent rows, 1 for one row repeated.

    This is the covariance of pairs, relative to its value if one random draw decided about the whole group.
    """
    order = np.lexsort((sureness, codes))
    sureness, codes = sureness[order], codes[order]
    # A general miscalibration is not a correlation within groups.
    excess = right[order] - sureness
    parts = np.array_split(np.argsort(sureness, kind="stable"), min(15, len(sureness)))
    for part in parts:
        excess[part] -= excess[part].mean()
    sums, squares, all_sureness = (np.bincount(codes, values) for values in (excess, excess**2, sureness))
    found = (sums**2 - squares).sum()
    # The smaller sureness of a pair: sorted within a group, that of a row counts with every later row.
    sizes = np.bincount(codes)
    place = np.arange(len(codes)) - (sizes.cumsum() - sizes)[codes]
    smaller = 2 * (sureness * (sizes[codes] - 1 - place)).sum()
    products = (all_sureness**2 - np.bincount(codes, sureness**2)).sum()
    most = smaller - products
    return float(np.clip(found / most, 0, 1)) if most > 0 else 0.0


def _rates(labels: NDArray[np.integer], probabilities: NDArray[np.floating]) -> dict[str, list[Interval]]:
    predicted = probabilities.argmax(axis=1)
    right = predicted == labels
    classes = range(probabilities.shape[1])
    return {
        "accuracy": [wilson(right.sum(), len(labels))],
        "precision": [wilson(right[predicted == number].sum(), (predicted == number).sum()) for number in classes],
        "recall": [wilson(right[labels == number].sum(), (labels == number).sum()) for number in classes],
    }
