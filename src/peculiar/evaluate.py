"""Scores of probabilities against labels."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support, roc_auc_score

from peculiar.errors import DataError, LabelError

AUC_THRESHOLDS = 200


@dataclass(frozen=True, slots=True)
class ClassScores:
    """Scores of one class against all others. None where there is nothing to score.

    Parameters
    ----------
    precision, recall, f1 : float or None
        0 to 1. Precision is None where the class was never predicted, recall where it does not occur, F1 where neither
        happened.
    auc : float or None
        Area under the ROC curve, one against rest; None unless the class occurs beside others.
    count : int
        How many galaxies are of the class.
    """

    precision: float | None
    recall: float | None
    f1: float | None
    auc: float | None
    count: int


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
        Mean negative logarithm of the probability that the right class was given, in nats.
    classes : dict of str to ClassScores
    confusion : list of list of int
        Rows are the true classes, columns the predicted ones.
    """

    count: int
    accuracy: float
    balanced_accuracy: float
    auc: float | None
    pooled_auc: float | None
    log_loss: float
    classes: dict[str, ClassScores]
    confusion: list[list[int]]

    def as_dict(self) -> dict[str, Any]:
        """Return all of it as plain dictionaries and lists, fit for JSON."""
        return asdict(self)


def evaluate(labels: ArrayLike, probabilities: ArrayLike, answers: Sequence[str]) -> Scores:
    """Score probabilities against labels.

    Parameters
    ----------
    labels : array-like of int, shape (n,)
        Number of the right class of each galaxy.
    probabilities : array-like of float, shape (n, classes)
        Each row sums to 1.
    answers : sequence of str
        Names of the classes.

    Returns
    -------
    Scores

    Raises
    ------
    LabelError
        If there is no galaxy, or a label is no class number.
    DataError
        If the shapes do not fit, or rows are not probabilities.
    """
    labels, probabilities = np.asarray(labels), np.asarray(probabilities, dtype=np.float64)
    _check(labels, probabilities, answers)
    numbers = range(len(answers))
    one_hot = np.eye(len(answers))[labels]
    predicted = probabilities.argmax(axis=1)
    confusion = confusion_matrix(labels, predicted, labels=numbers)
    precision, recall, f1, _ = precision_recall_fscore_support(labels, predicted, labels=numbers, zero_division=np.nan)
    classes = {
        answer: ClassScores(
            precision=_defined(precision[number]),
            recall=_defined(recall[number]),
            f1=_defined(f1[number]),
            auc=class_auc(one_hot[:, number], probabilities[:, number]),
            count=int(confusion[number].sum()),
        )
        for number, answer in enumerate(answers)
    }
    areas = [scores.auc for scores in classes.values() if scores.auc is not None]
    chosen = probabilities[np.arange(len(labels)), labels]
    return Scores(
        count=len(labels),
        accuracy=float((predicted == labels).mean()),
        balanced_accuracy=float(np.nanmean(recall)),
        auc=float(np.mean(areas)) if len(areas) == len(answers) else None,
        pooled_auc=pooled_auc(one_hot, probabilities),
        log_loss=float(-np.log(np.maximum(chosen, np.finfo(np.float32).tiny)).mean()),
        classes=classes,
        confusion=confusion.tolist(),
    )


def class_auc(is_class: NDArray[Any], probability: NDArray[np.floating]) -> float | None:
    """Return the area under the ROC curve of one class against the rest; None unless both occur."""
    if is_class.all() or not is_class.any():
        return None
    return float(roc_auc_score(is_class, probability))


def pooled_auc(one_hot: NDArray[np.floating], probabilities: NDArray[np.floating]) -> float | None:
    """Return the area under the ROC curve as Keras defines it.

    ``keras.metrics.AUC()`` with its defaults: every entry of the one-hot labels is a case of its own, all classes
    pooled, and the curve is taken at 200 thresholds (-1e-7, 1/199 ... 198/199, 1 + 1e-7) with trapezia between.

    Parameters
    ----------
    one_hot, probabilities : ndarray, shape (n, classes)

    Returns
    -------
    float or None
        0 to 1; None unless there are zeros and ones among the labels.
    """
    truth = one_hot.astype(bool).ravel()
    values = probabilities.astype(np.float32).ravel()
    positives, negatives = np.count_nonzero(truth), np.count_nonzero(~truth)
    if not positives or not negatives:
        return None
    inner = np.arange(1, AUC_THRESHOLDS - 1, dtype=np.float32) / np.float32(AUC_THRESHOLDS - 1)
    thresholds = np.concatenate([[np.float32(-1e-7)], inner, [np.float32(1 + 1e-7)]])
    # How many cases lie above each threshold: all of them less those at or below it.
    above_true = positives - np.searchsorted(np.sort(values[truth]), thresholds, side="right")
    above_false = negatives - np.searchsorted(np.sort(values[~truth]), thresholds, side="right")
    return float(-np.trapezoid(above_true / positives, above_false / negatives))


def _defined(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _check(labels: NDArray[Any], probabilities: NDArray[np.float64], answers: Sequence[str]) -> None:
    if probabilities.ndim != 2 or probabilities.shape[1] != len(answers) or len(labels) != len(probabilities):
        message = (
            f"probabilities have to have the shape ({len(labels)}, {len(answers)}) for {len(labels)} labels and "
            f"{len(answers)} classes, received {probabilities.shape}"
        )
        raise DataError(message)
    if not len(labels):
        raise LabelError("there is no labelled galaxy to score")
    if (
        labels.ndim != 1
        or not np.issubdtype(labels.dtype, np.integer)
        or not ((labels >= 0) & (labels < len(answers))).all()
    ):
        message = f"labels have to be class numbers of 0 to {len(answers) - 1}, received {labels.dtype} {labels[:5]}"
        raise LabelError(message)
    # Also true where a row holds NaN. Half precision sums to 1 within 1e-3.
    wrong = np.flatnonzero(~((np.abs(probabilities.sum(axis=1) - 1) < 1e-2) & (probabilities >= 0).all(axis=1)))
    if wrong.size:
        message = (
            f"rows of probabilities have to be non-negative and sum to 1; {wrong.size} do not, the first of them row "
            f"{wrong[0]}: {probabilities[wrong[0]].tolist()}"
        )
        raise DataError(message)
