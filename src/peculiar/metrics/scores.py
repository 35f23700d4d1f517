"""Scores of probabilities against labels."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from peculiar.errors import DataError, LabelError
from peculiar.metrics.intervals import Interval, ScoreIntervals, areas, score_intervals, weighted_calibration_error
from peculiar.metrics.strata import strata
from peculiar.text import nth_row

AUC_THRESHOLDS = 200


@dataclass(frozen=True, slots=True)
class ClassScores:
    """Scores of one class against all others. None if there is nothing to score.

    Parameters
    ----------
    precision, recall, f1 : float or None
        0 to 1. Precision is None if the class was never called, recall if it does not occur, F1 if neither.
    auc : float or None
        Area under the ROC curve, one against rest; None unless the class occurs beside others.
    count : int
        Number of galaxies of the class.
    average_precision : float or None
        Mean precision over the recalls, one against rest; None unless the class occurs beside others.
    intervals : dict of str to list of float or None
        By score the ends of its 95 % interval, None where it is not defined; empty unless asked for.
    """

    precision: float | None
    recall: float | None
    f1: float | None
    auc: float | None
    count: int
    average_precision: float | None = None
    intervals: dict[str, Interval] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores of a classifier on labelled galaxies.

    Parameters
    ----------
    count : int
        Number of galaxies.
    accuracy : float
        Share of galaxies whose most probable class is the right one.
    balanced_accuracy : float
        Mean recall of the classes that occur, so that a rare class counts as much as a common one.
    auc : float or None
        Mean over the classes of the one-against-rest area under the ROC curve; None unless every class has one.
    pooled_auc : float or None
        The area as Keras defines it; see `pooled_auc`.
    log_loss : float
        Mean negative logarithm of the probability of the labelled class, in nats.
    classes : dict of str to ClassScores
    confusion : list of list of int
        Rows are the true classes, columns the predicted ones.
    average_precision : float or None
        Mean over the classes; None unless every class has one.
    brier : float
        Mean squared distance of the probabilities from 1 for the right class and 0 for all others, summed over the
        classes: 0 to 2 (Brier 1950).
    calibration_error : float
        Expected calibration error of the class that was called, over 15 bins of equal mass.
    intervals : dict of str to list of float or None
        By score the ends of its 95 % interval, None where it is not defined; empty unless asked for.
    """

    count: int
    accuracy: float
    balanced_accuracy: float
    auc: float | None
    pooled_auc: float | None
    log_loss: float
    classes: dict[str, ClassScores]
    confusion: list[list[int]]
    average_precision: float | None
    brier: float
    calibration_error: float
    intervals: dict[str, Interval] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return all of it as plain dictionaries and lists, fit for JSON."""
        return asdict(self)


def evaluate(
    labels: ArrayLike,
    probabilities: ArrayLike,
    answers: Sequence[str],
    *,
    resamples: int = 0,
    groups: Sequence[object] | None = None,
    seed: int = 222,
) -> Scores:
    """Score probabilities against labels.

    Parameters
    ----------
    labels : array-like of int, shape (n,)
        Number of the right class of each galaxy.
    probabilities : array-like of float, shape (n, classes)
        Each row sums to 1.
    answers : sequence of str
        Names of the classes.
    resamples : int
        Number of bootstrap samples for the intervals; 0 for no intervals. A thousand is enough.
    groups : sequence, optional
        The group of each row, such as its galaxy or field; rows of a group are drawn together.
    seed : int
        Of the bootstrap.

    Returns
    -------
    Scores

    Raises
    ------
    LabelError
        If there is no galaxy, or a label is not a class number.
    DataError
        If the shapes do not fit, rows are not probabilities, or some are masked.
    """
    if np.ma.is_masked(labels) or np.ma.is_masked(probabilities):
        message = "labels or probabilities are masked in some rows; leave those rows out, since they cannot be scored"
        raise DataError(message)
    labels, probabilities = np.asarray(labels), np.asarray(probabilities, dtype=np.float64)
    _check(labels, probabilities, answers)
    one_hot = np.eye(len(answers))[labels]
    predicted = probabilities.argmax(axis=1)
    # Labels may be bytes, into which the numbers of the cells do not fit.
    cells = labels.astype(np.intp) * len(answers) + predicted
    confusion = np.bincount(cells, minlength=len(answers) ** 2).reshape(len(answers), -1)
    hits, occurring, called = confusion.diagonal(), confusion.sum(axis=1), confusion.sum(axis=0)
    with np.errstate(invalid="ignore"):  # undefined scores are NaN
        precision, recall, f1 = hits / called, hits / occurring, 2 * hits / (occurring + called)
    ends = ScoreIntervals(classes=[{} for _ in answers])
    if resamples:
        ends = score_intervals(labels, probabilities, groups=groups, resamples=resamples, seed=seed)
    classes = {
        answer: ClassScores(
            precision=_defined(precision[number]),
            recall=_defined(recall[number]),
            f1=_defined(f1[number]),
            auc=class_auc(one_hot[:, number], probabilities[:, number]),
            count=int(confusion[number].sum()),
            average_precision=_average_precision(one_hot[:, number], probabilities[:, number]),
            intervals={name.removeprefix("class_"): values for name, values in ends.classes[number].items()},
        )
        for number, answer in enumerate(answers)
    }
    chosen = probabilities[np.arange(len(labels)), labels]
    return Scores(
        count=len(labels),
        accuracy=float((predicted == labels).mean()),
        balanced_accuracy=float(np.nanmean(recall)),
        auc=_mean([of.auc for of in classes.values()]),
        pooled_auc=pooled_auc(one_hot, probabilities),
        log_loss=float(-np.log(np.maximum(chosen, np.finfo(np.float32).tiny)).mean()),
        classes=classes,
        confusion=confusion.tolist(),
        average_precision=_mean([of.average_precision for of in classes.values()]),
        brier=float(((probabilities - one_hot) ** 2).sum(axis=1).mean()),
        calibration_error=calibration_error(labels, probabilities),
        intervals=ends.overall,
    )


def evaluate_by(
    labels: NDArray[np.integer],
    probabilities: NDArray[np.floating],
    answers: Sequence[str],
    entries: Sequence[str | None],
    *,
    resamples: int = 0,
    groups: Sequence[object] | None = None,
) -> dict[str, Scores]:
    """Score the galaxies of each stratum of a column separately; see `strata` and `evaluate`."""
    return {
        name: evaluate(
            labels[rows],
            probabilities[rows],
            answers,
            resamples=resamples,
            groups=None if groups is None else [groups[row] for row in rows],
        )
        for name, rows in strata(entries).items()
    }


def calibration_error(labels: NDArray[np.integer], probabilities: NDArray[np.floating]) -> float:
    """Return the expected calibration error of the class that was called, over 15 bins of equal mass."""
    right = probabilities.argmax(axis=1) == labels
    return float(weighted_calibration_error(probabilities.max(axis=1), right, np.ones((1, len(labels))))[0])


def class_auc(is_class: NDArray[Any], probability: NDArray[np.floating]) -> float | None:
    """Return the area under the ROC curve of one class against the rest; None unless both occur."""
    if is_class.all() or not is_class.any():
        return None
    # The probability that a galaxy of the class has a higher value than one of the rest (Mann & Whitney 1947), by
    # ranks, with ties. scikit-learn's function takes milliseconds to check its arguments, a fifth of the exercise's
    # training.
    _, places, counts = np.unique(probability, return_inverse=True, return_counts=True)
    ranks = (counts.cumsum() - (counts - 1) / 2)[places]
    members = ranks[is_class.astype(bool)]
    return float((members.mean() - (len(members) + 1) / 2) / (len(ranks) - len(members)))


def pooled_auc(one_hot: NDArray[np.floating], probabilities: NDArray[np.floating]) -> float | None:
    """Return the area under the ROC curve as Keras defines it.

    ``keras.metrics.AUC()`` with its defaults: every entry of the one-hot labels is a case of its own, all classes
    pooled, and the curve is taken at 200 thresholds (below 0, 1/199 ... 198/199, above 1) with trapezia between.

    Parameters
    ----------
    one_hot, probabilities : ndarray, shape (n, classes)

    Returns
    -------
    float or None
        0 to 1; None unless there are zeros and ones among the labels.
    """
    truth = one_hot.astype(bool).ravel()
    values = probabilities.astype(np.float32).ravel().clip(0, 1)
    positives, negatives = np.count_nonzero(truth), np.count_nonzero(~truth)
    if not positives or not negatives:
        return None
    # The highest threshold below a value. Keras multiplies in float32, so rounding decides on which side a value at a
    # threshold falls; comparing with the thresholds would differ from Keras by up to 0.002.
    highest = np.maximum(np.ceil(values * np.float32(AUC_THRESHOLDS - 1)) - 1, 0).astype(np.intp)
    # Number of cases above each threshold, from the highest down.
    above_true = np.bincount(highest[truth], minlength=AUC_THRESHOLDS)[::-1].cumsum()
    above_false = np.bincount(highest[~truth], minlength=AUC_THRESHOLDS)[::-1].cumsum()
    return float(np.trapezoid(above_true / positives, above_false / negatives))


def _average_precision(is_class: NDArray[Any], probability: NDArray[np.floating]) -> float | None:
    if is_class.all() or not is_class.any():
        return None
    return float(areas(is_class.astype(bool), probability, np.ones((1, len(is_class))))[1][0])


def _mean(values: list[float | None]) -> float | None:
    """Return the mean; None if any value is None."""
    defined = [value for value in values if value is not None]
    return float(np.mean(defined)) if len(defined) == len(values) else None


def _defined(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _check(labels: NDArray[Any], probabilities: NDArray[np.float64], answers: Sequence[str]) -> None:
    if labels.ndim != 1 or (labels.size and labels.dtype.kind not in "iu"):
        message = (
            "labels have to be class numbers, one integer per galaxy (for one-hot labels use argmax(axis=1)); "
            f"received {labels.dtype} of the shape {labels.shape}"
        )
        raise LabelError(message)
    if probabilities.ndim != 2 or probabilities.shape[1] != len(answers) or len(labels) != len(probabilities):
        message = (
            f"probabilities have to have the shape ({len(labels)}, {len(answers)}) for {len(labels)} labels and "
            f"{len(answers)} classes, received {probabilities.shape}"
        )
        raise DataError(message)
    if not len(labels):
        message = f"there is no galaxy to score; its label has to be one of {', '.join(answers)}"
        raise LabelError(message)
    strange = labels[(labels < 0) | (labels >= len(answers))]
    if strange.size:
        message = f"labels have to be class numbers from 0 to {len(answers) - 1}, received {strange[0]}"
        raise LabelError(message)
    check_probabilities(probabilities)


def check_probabilities(
    probabilities: NDArray[np.floating], whose: str = "", names: Sequence[str] | None = None
) -> None:
    """Raise `DataError` unless rows, shape (n, classes), are probabilities.

    The message states `whose` they are, and calls rows by `names`, by default by their numbers.
    """
    # Also true where a row holds NaN. Half precision sums to 1 within 1e-3.
    wrong = np.flatnonzero(~((np.abs(probabilities.sum(axis=1) - 1) < 1e-2) & (probabilities >= 0).all(axis=1)))
    if wrong.size:
        first, row = probabilities[wrong[0]], nth_row(int(wrong[0])) if names is None else names[wrong[0]]
        total = float(first.sum())
        hint = "; these seem to be per cent: divide them by 100" if abs(total - 100) < 1 and (first >= 0).all() else ""
        message = (
            f"rows of probabilities{whose} have to be non-negative and sum to 1; {wrong.size} do not, the first of "
            f"them {row}: {first.tolist()}{hint}"
        )
        raise DataError(message)
