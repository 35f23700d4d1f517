"""95 % intervals of scores: Wilson, bootstrap, Student's t.

Rates (accuracy, precision, recall) have Wilson's interval, all other scores that of a bootstrap. Where a galaxy or a
field occurs several times, what occurs together is drawn together, and all intervals are Student's t of the groups.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit, ndtr, ndtri, stdtrit

CONFIDENCE = 0.95

# An interval of the samples in which a score is defined would say nothing of those in which it is not.
_MOST_UNDEFINED = 0.05

# Bootstrap samples that differ by less, as a share of their score, differ by rounding alone.
_ROUNDING = 1e-12

# So many numbers of a block of bootstrap samples are held at a time: 32 MB.
_BLOCK = 4_000_000

# Left out one by one, thousands of galaxies would tell of the skewness what this many parts of them do.
_MOST_LEFT_OUT = 200

_CLASS_SCORES = ("precision", "recall", "f1", "class_auc", "class_average_precision")

_AREAS = ("auc", "average_precision", "class_auc", "class_average_precision")

_LARGEST = {"log_loss": np.inf, "brier": 2.0}
"""What a score may be at the most, where that is not 1."""

Interval = list[float] | None
"""Lower and upper end; None where it is not defined."""


@dataclass(frozen=True, slots=True)
class ScoreIntervals:
    """Intervals of all scores, by the names that `peculiar.metrics.scores.Scores` has for them.

    Parameters
    ----------
    overall : dict of str to Interval
    classes : list of dict of str to Interval
        In the order of the classes.
    """

    overall: dict[str, Interval] = field(default_factory=dict)
    classes: list[dict[str, Interval]] = field(default_factory=list)


def wilson(successes: int, total: int, confidence: float = CONFIDENCE) -> Interval:
    """Return the interval of a rate (Wilson 1927; Brown, Cai & DasGupta 2001).

    Parameters
    ----------
    successes, total : int
    confidence : float
        Between 0 and 1.

    Returns
    -------
    list of float or None
        Both ends, 0 to 1; None if `total` is 0.
    """
    if not total:
        return None
    from scipy.stats import binomtest  # a third of a second to import, which classifying need not wait for

    found = binomtest(int(successes), int(total)).proportion_ci(confidence, method="wilson")
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
        What each row belongs to: rows of the same galaxy, or the same field, are drawn together.
    resamples : int
        Number of bootstrap samples.
    seed : int

    Returns
    -------
    ScoreIntervals
        By the bias-corrected and accelerated bootstrap (Efron 1987); of areas under curves by the logit of
        bootstrap samples (Boyd, Eng & Page 2013); of rates by Wilson. With groups of several rows by Student's t, with
        the spread of bootstrap samples of the groups, since few groups would make percentiles too narrow (Cameron,
        Gelbach & Miller 2008). That of the calibration error reaches as far to both sides as the error of perfectly
        calibrated probabilities would in 95 of 100 sets of this size, so that it covers at least 95 %. Where all
        bootstrap samples have the same score, as where all is right, they tell nothing of how far it may be off: there
        is no interval then but of rates.
    """
    count, classes = probabilities.shape
    codes = group_numbers(count, groups)
    found = statistics(labels, probabilities, np.ones((1, count)))
    ends: dict[str, list[Interval]] = {name: [None] * values.shape[1] for name, values in found.items()}
    if codes.max() > 0:  # of a single galaxy every sample is the same
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
    samples = _all_statistics(labels, probabilities, _bootstrap_weights(codes, resamples, seed))
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

    Without groups each row is its own, as is one whose group is None: nothing says what it belongs to.
    """
    if groups is None:
        return np.arange(count)
    names = [row if group is None else str(group) for row, group in enumerate(groups)]
    numbers: dict[str | int, int] = {}
    return np.array([numbers.setdefault(name, len(numbers)) for name in names], dtype=np.intp)


def statistics(
    labels: NDArray[np.integer], probabilities: NDArray[np.floating], weights: NDArray[np.floating]
) -> dict[str, NDArray[np.float64]]:
    """Return the scores of weighted galaxies, for many sets of weights at once.

    With weights of 1 they are those of `peculiar.metrics.scores.evaluate`; a bootstrap sample is a weight of how often
    each galaxy was drawn.

    Parameters
    ----------
    labels : ndarray of int, shape (n,)
    probabilities : ndarray, shape (n, classes)
    weights : ndarray, shape (m, n)

    Returns
    -------
    dict of str to ndarray, shape (m, 1) or, for the scores of each class, (m, classes)
        NaN where a score is not defined.
    """
    count, classes = probabilities.shape
    chosen, predicted = probabilities[np.arange(count), labels], probabilities.argmax(axis=1)
    # Labels may be bytes, into which the numbers of the cells do not fit.
    cells = np.eye(classes * classes)[labels.astype(np.intp) * classes + predicted]
    confusion = (weights @ cells).reshape(-1, classes, classes)
    totals = weights.sum(axis=1)
    right, true, called = np.diagonal(confusion, axis1=1, axis2=2), confusion.sum(axis=2), confusion.sum(axis=1)
    areas = [_areas(labels == number, probabilities[:, number], weights) for number in range(classes)]
    auc, precision_area = (np.stack(values, axis=1) for values in zip(*areas, strict=True))
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
        Whether it was right.
    weights : ndarray, shape (m, n)
    bins : int
        With fewer galaxies than bins each galaxy is a bin.

    Returns
    -------
    ndarray, shape (m,)
        The mean over the bins, weighted by their masses, of how far sureness and share of right calls are apart.
    """
    order = np.argsort(sureness, kind="stable")
    excess = weights[:, order] * (sureness - right)[order]
    totals = weights.sum(axis=1, keepdims=True)
    # Galaxies of the same sureness are in one bin: the one that the middle of their mass is in.
    starts = np.flatnonzero(np.diff(sureness[order], prepend=-np.inf) > 0)
    masses, excess = (np.add.reduceat(values, starts, axis=1) for values in (weights[:, order], excess))
    bins = min(bins, len(sureness))
    middle = masses.cumsum(axis=1) - masses / 2
    numbers = np.minimum((middle / totals * bins).astype(np.intp), bins - 1)
    numbers += bins * np.arange(len(weights))[:, None]
    gaps = np.bincount(numbers.ravel(), excess.ravel(), minlength=bins * len(weights))
    return np.asarray(np.abs(gaps.reshape(-1, bins)).sum(axis=1) / totals[:, 0])


def _areas(
    positive: NDArray[np.bool_], score: NDArray[np.floating], weights: NDArray[np.floating]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return area under the ROC curve, and average precision, of each set of weights; NaN where not defined."""
    order = np.argsort(-score, kind="stable")
    starts = np.flatnonzero(np.diff(-score[order], prepend=-np.inf) > 0)
    weights, positive = weights[:, order], positive[order]
    # Galaxies of the same score pass a threshold together.
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


def _bootstrap_weights(codes: NDArray[np.integer], resamples: int, seed: int) -> Iterator[NDArray[np.float64]]:
    """Yield how often each row is drawn in some of the samples, (m, n)."""
    random = np.random.default_rng(seed)
    groups = int(codes.max()) + 1
    block = max(1, _BLOCK // len(codes))
    for start in range(0, resamples, block):
        drawn = random.multinomial(groups, np.full(groups, 1 / groups), min(block, resamples - start))
        yield drawn[:, codes].astype(np.float64)


def _jackknife_weights(codes: NDArray[np.integer]) -> Iterator[NDArray[np.float64]]:
    """Yield weights of 1, and of 0 for the groups that are left out: each one once, or a two-hundredth of them."""
    left_out = codes % min(_MOST_LEFT_OUT, int(codes.max()) + 1)
    numbers = np.unique(left_out)
    block = max(1, _BLOCK // len(codes))
    for start in range(0, len(numbers), block):
        yield (left_out != numbers[start : start + block, None]).astype(np.float64)


def _accelerated(found: float, samples: NDArray[np.float64], without: NDArray[np.float64]) -> Interval:
    """Return the bias-corrected and accelerated interval of a score from its bootstrap samples and its jackknife."""
    defined = samples[~np.isnan(samples)]
    if np.isnan(found) or len(defined) < (1 - _MOST_UNDEFINED) * len(samples) or _alike(defined):
        return None
    below = (np.count_nonzero(defined < found) + np.count_nonzero(defined == found) / 2) / len(defined)
    bias = ndtri(np.clip(below, 1 / len(defined), 1 - 1 / len(defined)))
    pull = without.mean() - without
    spread = (pull**2).sum() ** 1.5
    # Not defined where the only galaxy of a class is left out, and without meaning where nothing changes.
    acceleration = (pull**3).sum() / (6 * spread) if spread > 0 else 0.0
    ends = bias + np.asarray(ndtri([(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2]))
    places = np.asarray(ndtr(bias + ends / (1 - acceleration * ends)))
    return [float(np.quantile(defined, place)) for place in places]


def _logistic(found: float, samples: NDArray[np.float64]) -> Interval:
    """Return the interval of an area: normal in its logit, with the spread of the bootstrap samples."""
    defined = samples[~np.isnan(samples)]
    if np.isnan(found) or len(defined) < max(2, (1 - _MOST_UNDEFINED) * len(samples)) or _alike(defined):
        return None
    # A sample in which all is in order, or nothing, has no logit; it is taken for half a step short of that.
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
        What the score may be at the most, from 0 on; infinity for the logarithm.
    """
    defined = samples[~np.isnan(samples)]
    # Groups that do not change a score, as those without a galaxy of the class, tell nothing of it.
    telling = np.count_nonzero(~np.isclose(without, found, rtol=_ROUNDING, atol=0))
    if not 0 < found < largest or telling < 2 or len(defined) < (1 - _MOST_UNDEFINED) * len(samples) or _alike(defined):
        return None
    # The spread of bootstrap samples is that of the sum of squares over their number, not over one less.
    spread = defined.std() * np.sqrt(telling / (telling - 1))
    reach = stdtrit(telling - 1, (1 + CONFIDENCE) / 2) * spread / found
    if largest == np.inf:
        return [float(found * np.exp(-reach)), float(found * np.exp(reach))]
    share = found / largest
    reach /= 1 - share
    return [float(largest * expit(logit(share) - reach)), float(largest * expit(logit(share) + reach))]


def _alike(samples: NDArray[np.float64]) -> bool:
    """Tell whether all bootstrap samples have one score: a classifier without a mistake on ten galaxies makes some."""
    return bool(np.ptp(samples) <= _ROUNDING * np.abs(samples).max())


def _calibration_reach(
    sureness: NDArray[np.floating],
    right: NDArray[np.bool_],
    codes: NDArray[np.integer],
    seed: int,
    draws: int = 400,
) -> float:
    """Return what the calibration error of perfectly calibrated probabilities stays under in 95 of 100 cases.

    Rows of a group are right or wrong together as often as they were found to be.
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

    errors = [weighted_calibration_error(sureness, chances() < sureness, ones)[0] for _ in range(draws)]
    return float(np.quantile(errors, CONFIDENCE))


def _together(sureness: NDArray[np.floating], right: NDArray[np.bool_], codes: NDArray[np.integer]) -> float:
    """Return how far rows of a group are right or wrong together: 0 as if of different groups, 1 as if one row.

    That is the covariance of pairs, as a share of what it would be if one throw of the dice decided about a group.
    """
    order = np.lexsort((sureness, codes))
    sureness, codes = sureness[order], codes[order]
    # What probabilities are off by in general is no bond between the rows of a group.
    excess = right[order] - sureness
    parts = np.array_split(np.argsort(sureness, kind="stable"), min(15, len(sureness)))
    for part in parts:
        excess[part] -= excess[part].mean()
    sums, squares, all_sureness = (np.bincount(codes, values) for values in (excess, excess**2, sureness))
    found = (sums**2 - squares).sum()
    # Of a pair the smaller sureness: in the order of a group that of a row counts with every row after it.
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
