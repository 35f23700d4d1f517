"""Assess probabilities against labels: scores, calibration, prediction sets, prevalence, mistakes."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from peculiar.errors import DataError, LabelError, UnknownNameError
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
from peculiar.questions.column_names import find_answer_columns
from peculiar.questions.question import Question, answering, question_for
from peculiar.sources import open_source
from peculiar.sources.labels import ColumnsById, join_labels, joined_text, read_labels, warn_of_strangers
from peculiar.tables.column import texts
from peculiar.tables.reader import TableReader, entry_text, find_id
from peculiar.text import counted

MISTAKES = 12


@dataclass(frozen=True, slots=True)
class Assessment:
    """What `assess` found.

    Parameters
    ----------
    question : Question
    scores : Scores
        With intervals.
    by : dict of str to dict of str to Scores
        By column and entry.
    reliability : dict of str to list of Bin
        Without the model's temperature, as the model answers, and calibrated on these galaxies across folds; of the
        class that was called.
    calibration : dict
        What calibration across folds found: which scaling, its gain in log loss, log losses and calibration errors.
    sets : list of Coverage
        By level.
    sets_from : str
        Where their thresholds come from: "the model file", or "these galaxies, across folds".
    mistakes : ndarray of int
        Rows that were called wrongly, the surest first.
    fractions : dict of str to Fraction
        Of galaxies without labels; empty unless there are some.
    digest : str
        Fingerprint (SHA-256, hexadecimal) of the galaxies that were scored, and their labels.
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
        """Return all of it but the mistakes, as plain dictionaries and lists, fit for JSON."""
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
    seed: int = 222,
) -> Assessment:
    """Score probabilities in every way.

    Parameters
    ----------
    ids : sequence of str
    labels : ndarray of int, shape (n,)
    probabilities : ndarray, shape (n, classes)
    question : Question
    columns : mapping of str to sequence of (str or None), optional
        By each of these the scores are given apart too; see `peculiar.metrics.scores.strata`.
    groups : sequence, optional
        What is drawn together by the bootstrap, None where that is not known; by default rows of the same id.
    temperature : float
        That the model has applied, to tell what it would have said without.
    thresholds : mapping of str to sequence of float, optional
        Of the model's prediction sets, by level. Without any they are fitted to these galaxies, across folds.
    unlabelled : ndarray, shape (m, classes), optional
        Probabilities of galaxies whose classes are to be counted.
    resamples, seed : int
        Of the bootstrap.

    Raises
    ------
    LabelError
        If there is no galaxy, or a label is no class number.
    DataError
        If the shapes do not fit, or rows are not probabilities.
    """
    answers = question.answers
    if unlabelled is not None:
        check_probabilities(unlabelled, " of galaxies without labels")
    groups = ids if groups is None and len(set(ids)) < len(ids) else groups
    scores = evaluate(labels, probabilities, answers, resamples=resamples, groups=groups, seed=seed)
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
        inside = cross_fitted_sets(labels, probabilities, groups=groups, seed=seed)
        sets, sets_from = coverage(labels, inside, answers), "these galaxies, across folds"
    if thresholds:
        inside = {level: prediction_sets(probabilities, of_level) for level, of_level in thresholds.items()}
        sets, sets_from = coverage(labels, inside, answers), "the model file"
    called = probabilities.argmax(axis=1)
    wrong = np.flatnonzero(called != labels)
    content = "\n".join(sorted(f"{id_}\0{answers[label]}" for id_, label in zip(ids, labels, strict=True)))
    return Assessment(
        question=question,
        scores=scores,
        by=by,
        reliability=curves,
        calibration=calibration,
        sets=sets,
        sets_from=sets_from,
        mistakes=wrong[np.argsort(-probabilities[wrong].max(axis=1), kind="stable")],
        fractions={} if unlabelled is None else fractions(labels, probabilities, unlabelled, answers, seed=seed),
        digest=hashlib.sha256(content.encode()).hexdigest(),
    )


def remarks(
    labels: NDArray[np.integer], ids: Sequence[str], answers: Sequence[str], groups: Sequence[object] | None
) -> list[str]:
    """Return what is to be said of labelled galaxies before their scores: sentences.

    Parameters
    ----------
    labels : ndarray of int, shape (n,)
    ids : sequence of str
    answers : sequence of str
    groups : sequence, optional
        See `assess`.
    """
    told = []
    missing = [answer for number, answer in enumerate(answers) if not (labels == number).any()]
    if len(missing) == len(answers) - 1:
        told.append(f"All labels are {answers[labels[0]]!r}: scores that compare classes are undefined.")
    elif missing:
        told.append(f"No galaxy is {' or '.join(missing)}: means over the classes are undefined.")
    repeated = len(ids) - len(set(ids))
    if repeated and groups is None:
        told.append(
            f"{counted(repeated, 'row', 'repeat', 'repeats')} the id of another: rows of one id are drawn together."
        )
    numbers = group_numbers(len(labels), groups)
    if groups is not None and numbers.max(initial=0) == 0:
        told.append("All galaxies are of one group: there are no intervals.")
    if groups is not None and all(group is None for group in groups):
        told.append("The column of groups is empty: each galaxy stands alone.")
    return told


def read_probabilities(
    path: Path, question: Question, model: str = "", questions: Sequence[Question] = ()
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Read the probabilities of a question from a catalogue that ``peculiar predict`` wrote, or one like it.

    Parameters
    ----------
    path : path
    question : Question
        See `peculiar.questions.column_names.find_answer_columns`; of two answers the column of the second is enough.
    model : str
        Digest of the model that has to have made it, if that is known.
    questions : sequence of Question
        All that the model answers, where that is known.

    Returns
    -------
    probabilities : ndarray, shape (n, classes)
    known : ndarray of bool, shape (n,)
        False where the catalogue has none: the picture could not be read.

    Raises
    ------
    UnknownNameError
        If a column is missing.
    DataError
        If a column does not hold numbers, or another model made the catalogue.
    """
    table = TableReader(path)
    names = find_answer_columns(question, table.columns, texts(table.schema.metadata), questions)
    if len(names) == 2 and names[0] not in table.columns:
        second = _numbers(table, names[1], question.answers[1])
        values = np.stack([1 - second, second], axis=1)
    else:
        values = np.stack(
            [_numbers(table, name, answer) for name, answer in zip(names, question.answers, strict=True)], axis=1
        )
    if model and "model" in table.columns:
        makers = {str(maker) for maker in table.column("model") if maker} - {model[:12]}
        if makers:
            message = (
                f"{path}: made by the model {', '.join(sorted(makers))}, but the model to be scored is {model[:12]}; "
                "make the catalogue again with this model"
            )
            raise DataError(message)
    return values, np.asarray(np.isfinite(values).all(axis=1))


@dataclass(frozen=True, slots=True)
class Catalogue:
    """A table of probabilities and labels, to be scored without pictures; see `read_catalogue`.

    `columns` are those of the table and of the table of its labels, which `column` gives the entries of, for all rows.
    """

    question: Question
    rows: list[int]
    ids: list[str]
    labels: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    columns: tuple[str, ...]
    column: Callable[[str], list[Any]]
    joined: str = ""


def has_probabilities(path: Path, label: str | None, questions: Sequence[Question]) -> bool:
    """Tell whether a table has columns of probabilities, as ``p_merger``.

    Of a table with pictures they have to be those of labels or questions: catalogues of surveys have others. A folder
    with pictures is one of pictures, even if a catalogue lies among them.
    """
    table = TableReader(path)
    found = {name for name in table.columns if name.startswith("p_")}
    try:
        open_source(path)
    except DataError:  # it has no pictures
        return bool(found)
    if path.is_dir():
        return False
    entries = table.column(label) if label is not None and label in table.columns else []
    wanted = {f"p_{str(entry).lower()}" for entry in entries}
    notes = texts(table.schema.metadata)
    wanted |= {name for one in questions for name in find_answer_columns(one, table.columns, notes, questions)}
    return bool(found & wanted)


def read_catalogue(
    path: Path, label: str | None, questions: Sequence[Question], labels: Path | None = None, id: str | None = None
) -> Catalogue:
    """Read probabilities and labels of galaxies from a table without pictures.

    Parameters
    ----------
    path : path
    label : str or None
        The column with the labels; it may be left out where they have a table of their own.
    questions : sequence of Question
        That the labels may answer; others have their answers in alphabetical order.
    labels : path, optional
        A table with a column ``id`` and one of labels, where the table of probabilities has none.
    id : str, optional
        The column of ids, of either; by default the first of the usual names.

    Raises
    ------
    UnknownNameError
        If a column is missing.
    LabelError
        If no column of labels is named, or no galaxy has both label and probabilities.
    """
    table = TableReader(path)
    if id is not None and labels is None:
        table.check_column(id)
    column = find_id(table.schema, id if id in table.columns else None)
    joined, columns, read_column = "", table.columns, table.column
    if labels is not None:
        label, by_id = read_labels(labels, label, id)
        if column is None:
            raise UnknownNameError("column", "id", table.columns, where=f"in {path.name}, which labels are told by")
        ids = [entry_text(id_) or "" for id_ in table.column(column)]
        join = join_labels(path, ids, by_id)
        warn_of_strangers(labels, by_id, join)
        joined, beside = joined_text(path, ids, join), ColumnsById(labels)
        names = [join.partners.get(id_, "") for id_ in ids]
        entries = [by_id.get(name) for name in names]
        columns = tuple(dict.fromkeys([*table.columns, *beside]))

        def read_column(name: str) -> list[Any]:
            if name in table.columns:
                return table.column(name)
            told = beside[name]
            return [told.get(its) for its in names]

    elif label is not None:
        entries = [entry_text(entry) for entry in table.column(label)]
    else:
        message = (
            f"{path}: name the column with the labels (--label), or a table that has them (--labels); there are: "
            f"{', '.join(table.columns)}"
        )
        raise LabelError(message)
    question = answering(questions, label, entries) or question_for(label, [one for one in entries if one is not None])
    entries = [None if entry in question.silent else entry for entry in entries]
    question.check(entries, path)
    if len(question.answers) < 2:
        message = (
            f"{path}: all labels in {label!r} are {question.answers[0]!r}, so that it is not known which other classes "
            "there are; give labels of two classes or more"
            if question.answers
            else f"{path}: the column {label!r} holds no label"
        )
        raise LabelError(message)
    probabilities, readable = read_probabilities(path, question, questions=questions)
    numbers: dict[str | None, int] = {answer: number for number, answer in enumerate(question.answers)}
    rows = [row for row, entry in enumerate(entries) if entry is not None and readable[row]]
    if not rows:
        message = f"{path}: no galaxy has both a label in {label!r} and probabilities of {', '.join(question.answers)}"
        raise LabelError(message)
    told = [None] * len(entries) if column is None else table.column(column)
    # Those of a row without one are as in `peculiar.sources`, so that no two galaxies are taken for the same.
    named = [entry_text(told[row]) or f"{path.stem}-{row}" for row in rows]
    classes = np.array([numbers[entries[row]] for row in rows], dtype=np.int64)
    told_of = [f"{name} (row {row})" for name, row in zip(named, rows, strict=True)]
    check_probabilities(probabilities[rows], f" in {path}", told_of)
    without = sum(entry is not None for entry in entries) - len(rows)
    if without:
        lacking = counted(without, "labelled galaxy", "have", "has")
        joined = f"{joined} {lacking} no probabilities in {path}, or not all of them.".strip()
    return Catalogue(question, rows, named, classes, probabilities[rows], columns, read_column, joined)


def _numbers(table: TableReader, name: str, answer: str) -> NDArray[np.float64]:
    if name not in table.columns:
        # Whoever named another column of labels than was meant, learns here what it holds.
        where = f"in {table.path.name} with the probability of {answer!r}"
        raise UnknownNameError("column", name, table.columns, where=where)
    try:
        return np.array([np.nan if value in (None, "") else float(value) for value in table.column(name)])
    except (TypeError, ValueError) as error:
        message = f"{table.path}: the column {name!r} has to hold probabilities, numbers from 0 to 1 ({error})"
        raise DataError(message) from error
