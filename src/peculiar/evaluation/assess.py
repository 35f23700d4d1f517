"""Assessment of probabilities against labels: scores, calibration, prediction sets, prevalence, mistakes."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from peculiar.metrics.calibration import (
    Bin,
    choose_scaling,
    cross_fitted,
    fit_scaling,
    reliability,
    temperature_scaling,
)
from peculiar.metrics.intervals import group_numbers
from peculiar.metrics.prediction_sets import Coverage, coverage, cross_fitted_sets, prediction_sets
from peculiar.metrics.prevalence import Fraction, fractions
from peculiar.metrics.scores import Scores, check_probabilities, evaluate, evaluate_by
from peculiar.questions.question import Question
from peculiar.text import counted


@dataclass(frozen=True, slots=True)
class Statistics:
    """Statistics of probabilities of labelled galaxies; see `assess`.

    Parameters
    ----------
    question : Question
    scores : Scores
        With intervals.
    by : dict of str to dict of str to Scores
        Scores by column and entry.
    reliability : dict of str to list of Bin
        Reliability diagrams of the predicted class: without the temperature of the model, as the model answers, and
        calibrated on these galaxies across folds.
    calibration : dict
        Result of calibration across folds: the chosen scaling, its gain in log loss, log losses and calibration errors.
    sets : list of Coverage
        Coverage of the prediction sets by level.
    sets_from : str
        Origin of their thresholds: "the model file", or "these galaxies, across folds".
    mistakes : ndarray of int
        Misclassified rows, the most confident first.
    fractions : dict of str to Fraction
        Prevalence among galaxies without labels; empty if there are none.
    digest : str
        SHA-256 digest (hexadecimal) of the scored galaxies and their labels.
    """

    question: Question
    scores: Scores
    by: dict[str, dict[str, Scores]]
    reliability: dict[str, list[Bin]]
    calibration: dict[str, Any]
    sets: list[Coverage]
    sets_from: str
    mistakes: NDArray[np.intp]
    fractions: dict[str, Fraction] = field(default_factory=dict)
    digest: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return everything except the mistakes as plain dictionaries and lists, for JSON."""
        return {
            "scores": self.scores.as_dict(),
            "by": {
                column: {name: scores.as_dict() for name, scores in parts.items()} for column, parts in self.by.items()
            },
            "reliability": {name: [one.as_dict() for one in bins] for name, bins in self.reliability.items()},
            "calibration": self.calibration,
            "sets_from": self.sets_from,
            "sets": [one.as_dict() for one in self.sets],
            "fractions": {name: one.as_dict() for name, one in self.fractions.items()},
            "digest": self.digest,
        }


def assess(
    ids: Sequence[str],
    labels: NDArray[np.int64],
    probabilities: NDArray[np.floating],
    question: Question,
    *,
    columns: Mapping[str, Sequence[str | None]] | None = None,
    groups: Sequence[object] | None = None,
    temperature: float = 1.0,
    thresholds: Mapping[str, Sequence[float]] | None = None,
    unlabelled: NDArray[np.floating] | None = None,
    resamples: int = 1000,
) -> Statistics:
    """Compute all statistics of probabilities.

    Parameters
    ----------
    ids : sequence of str
    labels : ndarray of int, shape (n,)
    probabilities : ndarray, shape (n, classes)
    question : Question
    columns : mapping of str to sequence of (str or None), optional
        Columns to score by as well; see `peculiar.metrics.strata.strata`.
    groups : sequence, optional
        Groups of rows that the bootstrap draws together, None if unknown; default: rows of the same id.
    temperature : float
        Temperature that the model has applied, to compare with its answers without it.
    thresholds : mapping of str to sequence of float, optional
        Thresholds of the prediction sets of the model, by level. Without them they are fitted to these galaxies, across
        folds.
    unlabelled : ndarray, shape (m, classes), optional
        Probabilities of galaxies without labels, to estimate the prevalence of the classes.
    resamples : int
        Number of bootstrap samples.

    Raises
    ------
    LabelError
        If there is no galaxy, or a label is not a class number.
    DataError
        If the shapes do not match, or rows are not probabilities.
    """
    answers = question.answers
    if unlabelled is not None:
        check_probabilities(unlabelled, " of galaxies without labels")
    groups = ids if groups is None and len(set(ids)) < len(ids) else groups
    scores = evaluate(labels, probabilities, answers, resamples=resamples, groups=groups)
    by = {
        name: evaluate_by(labels, probabilities, answers, entries, resamples=resamples, groups=groups)
        for name, entries in (columns or {}).items()
    }
    logits = np.log(np.maximum(np.asarray(probabilities, dtype=np.float64), 1e-12))
    curves = {"as the model answers": reliability(labels, probabilities)}
    if temperature != 1:
        warm = np.exp(logits * temperature)
        raw = warm / warm.sum(axis=1, keepdims=True)
        curves = {"without its temperature": reliability(labels, raw), **curves}
    calibration: dict[str, Any] = {}
    sets, sets_from = [], ""
    if group_numbers(len(labels), groups).max() > 0:
        scaling, gain, error = choose_scaling(logits, labels, groups)
        by_class = len(set(scaling.weights)) > 1 or any(scaling.biases)
        fitted = np.exp(cross_fitted(logits, labels, fit_scaling if by_class else temperature_scaling, groups=groups))
        curves["calibrated across folds"] = reliability(labels, fitted)
        found = evaluate(labels, fitted, answers)
        calibration = {
            "scaling": "by classes" if by_class else "temperature",
            "weights": list(scaling.weights),
            "biases": list(scaling.biases),
            "gain_by_classes": gain,
            "gain_error": error,
            "log_loss": found.log_loss,
            "calibration_error": found.calibration_error,
        }
        inside = cross_fitted_sets(labels, probabilities, groups=groups)
        sets, sets_from = coverage(labels, inside, answers), "these galaxies, across folds"
    if thresholds:
        inside = {level: prediction_sets(probabilities, of_level) for level, of_level in thresholds.items()}
        sets, sets_from = coverage(labels, inside, answers), "the model file"
    called = probabilities.argmax(axis=1)
    wrong = np.flatnonzero(called != labels)
    content = "\n".join(sorted(f"{id_}\0{answers[label]}" for id_, label in zip(ids, labels, strict=True)))
    return Statistics(
        question=question,
        scores=scores,
        by=by,
        reliability=curves,
        calibration=calibration,
        sets=sets,
        sets_from=sets_from,
        mistakes=wrong[np.argsort(-probabilities[wrong].max(axis=1), kind="stable")],
        fractions={} if unlabelled is None else fractions(labels, probabilities, unlabelled, answers),
        digest=hashlib.sha256(content.encode()).hexdigest(),
    )


def remarks(
    labels: NDArray[np.integer], ids: Sequence[str], answers: Sequence[str], groups: Sequence[object] | None
) -> list[str]:
    """Return remarks on labelled galaxies to show before their scores, as sentences.

    Parameters
    ----------
    labels : ndarray of int, shape (n,)
    ids : sequence of str
    answers : sequence of str
    groups : sequence, optional
        See `assess`.
    """
    sentences = []
    missing = [answer for number, answer in enumerate(answers) if not (labels == number).any()]
    if len(missing) == len(answers) - 1:
        sentences.append(f"All labels are {answers[labels[0]]!r}: scores that compare classes are undefined.")
    elif missing:
        sentences.append(f"No galaxy is {' or '.join(missing)}: means over the classes are undefined.")
    repeated = len(ids) - len(set(ids))
    if repeated and groups is None:
        sentences.append(
            f"{counted(repeated, 'row', 'repeat', 'repeats')} the id of another: the bootstrap draws rows of one id "
            "together."
        )
    numbers = group_numbers(len(labels), groups)
    if groups is not None and numbers.max(initial=0) == 0:
        sentences.append("All galaxies belong to one group: there are no intervals.")
    if groups is not None and all(group is None for group in groups):
        sentences.append("The column of groups is empty: each galaxy is a group of its own.")
    return sentences
