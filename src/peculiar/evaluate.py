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
    # The highest threshold that a value lies above. Keras multiplies in float32, so a value at a threshold falls on the
    # side that rounding takes it to; comparing with the thresholds would differ from it by up to 0.002.
    highest = np.maximum(np.ceil(values * np.float32(AUC_THRESHOLDS - 1)) - 1, 0).astype(np.intp)
    # How many cases lie above each threshold, from the highest threshold down.
    above_true = np.bincount(highest[truth], minlength=AUC_THRESHOLDS)[::-1].cumsum()
    above_false = np.bincount(highest[~truth], minlength=AUC_THRESHOLDS)[::-1].cumsum()
    return float(np.trapezoid(above_true / positives, above_false / negatives))


def _defined(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _check(labels: NDArray[Any], probabilities: NDArray[np.float64], answers: Sequence[str]) -> None:
    if labels.ndim != 1 or (labels.size and labels.dtype.kind not in "iu"):
        message = (
            "labels have to be class numbers, an integer a galaxy (one-hot ones become that by argmax(axis=1)); "
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
        message = f"labels have to be class numbers of 0 to {len(answers) - 1}, received {strange[0]}"
        raise LabelError(message)
    # Also true where a row holds NaN. Half precision sums to 1 within 1e-3.
    wrong = np.flatnonzero(~((np.abs(probabilities.sum(axis=1) - 1) < 1e-2) & (probabilities >= 0).all(axis=1)))
    if wrong.size:
        message = (
            f"rows of probabilities have to be non-negative and sum to 1; {wrong.size} do not, the first of them row "
            f"{wrong[0]}: {probabilities[wrong[0]].tolist()}"
        )
        raise DataError(message)
