"""Tables of probabilities, such as catalogues, and the labels of their galaxies."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from peculiar.errors import DataError, LabelError, UnknownNameError
from peculiar.metrics.scores import check_probabilities
from peculiar.questions.column_names import find_answer_columns, is_for, noted_columns, taught_question
from peculiar.questions.question import Question, answering, question_for
from peculiar.sources import open_source
from peculiar.sources.labels import ColumnsById, join_labels, joined_text, read_labels, warn_of_strangers
from peculiar.tables.column import texts
from peculiar.tables.identifiers import entry_text
from peculiar.tables.key_columns import find_id
from peculiar.tables.reader import TableReader, as_table
from peculiar.text import counted, nth_row


def read_probabilities(
    path: Path | TableReader, question: Question, questions: Sequence[Question] = ()
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Read the probabilities of a question from a catalogue written by ``peculiar predict``, or a similar table.

    Parameters
    ----------
    path : path or TableReader
    question : Question
        See `peculiar.questions.column_names.find_answer_columns`; for two answers the column of one is enough.
    questions : sequence of Question
        All questions of the model, if known.

    Returns
    -------
    probabilities : ndarray, shape (n, classes)
    known : ndarray of bool, shape (n,)
        False for rows without probabilities, because the picture could not be read.

    Raises
    ------
    UnknownNameError
        If a column is missing.
    DataError
        If a column does not hold numbers.
    """
    table = as_table(path)
    names = find_answer_columns(question, table.columns, texts(table.schema.metadata), questions)
    there = [number for number, name in enumerate(names) if name in table.columns]
    # Of two answers one has a column: the second of the question, which the labels may name in another order.
    if len(names) == 2 and len(there) < 2:
        number = there[0] if there else 1
        value = _numbers(table, names[number], question.answers[number])
        values = np.stack([1 - value, value][:: 1 if number else -1], axis=1)
    else:
        values = np.stack(
            [_numbers(table, name, answer) for name, answer in zip(names, question.answers, strict=True)], axis=1
        )
    return values, np.asarray(np.isfinite(values).all(axis=1))


@dataclass(frozen=True, slots=True)
class ProbabilityTable:
    """A table of probabilities and labels to score without pictures; see `read_table`.

    `columns` are the columns of the table and of its table of labels; `column` returns the entries of one, for all
    rows.
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
    """Return whether a table has columns of probabilities, such as ``p_merger``.

    In a table with pictures they have to belong to labels or questions, because catalogues of surveys have other
    columns of such names. A folder with pictures counts as pictures, even if it contains a catalogue.
    """
    table = TableReader(path)
    found = {name for name in table.columns if name.startswith("p_")}
    try:
        open_source(path)
    except DataError:  # there are no pictures
        return bool(found)
    if path.is_dir():
        return False
    entries = table.column(label) if label is not None and label in table.columns else []
    wanted = {f"p_{str(entry).lower()}" for entry in entries}
    notes = texts(table.schema.metadata)
    wanted |= {name for one in questions for name in find_answer_columns(one, table.columns, notes, questions)}
    return bool(found & wanted)


def read_table(
    path: Path | TableReader,
    label: str | None,
    questions: Sequence[Question],
    labels: Path | None = None,
    id: str | None = None,
    *,
    name: str | None = None,
) -> ProbabilityTable:
    """Read probabilities and labels of galaxies from a table without pictures.

    Parameters
    ----------
    path : path or TableReader
    label : str or None
        The column of labels; optional with a table of labels.
    questions : sequence of Question
        Questions that the labels may answer; the answers of other labels are in alphabetical order.
    labels : path, optional
        A table with a column of ids and one of labels, if the table of probabilities has no labels.
    id : str, optional
        The column of ids in either table; default: the first of the usual names.
    name : str, optional
        Of the question; default: the one that the labels answer.

    Raises
    ------
    UnknownNameError
        If a column is missing, or the table has no answers to the question.
    LabelError
        If no column of labels is named, or no galaxy has both a label and probabilities.
    """
    table = as_table(path)
    path = table.path
    if id is not None and labels is None:
        table.check_column(id)
    column = find_id(table.schema, id if id in table.columns else None)
    joined, columns, read_column = "", table.columns, table.column
    if labels is not None:
        label, by_id = read_labels(labels, label, id)
        if column is None:
            raise UnknownNameError("column", "id", table.columns, where=f"in {path.name}, to match the labels")
        ids = [entry_text(id_) or "" for id_ in table.column(column)]
        join = join_labels(path, ids, by_id)
        warn_of_strangers(labels, by_id, join)
        joined, beside = joined_text(path, ids, join), ColumnsById(labels, id)
        names = [join.partners.get(id_, "") for id_ in ids]
        entries = [by_id.get(name) for name in names]
        columns = tuple(dict.fromkeys([*table.columns, *beside]))

        def read_column(name: str) -> list[Any]:
            if name in table.columns:
                return table.column(name)
            labels_by_id = beside[name]
            return [labels_by_id.get(its) for its in names]

    elif label is not None:
        entries = [entry_text(entry) for entry in table.column(label)]
    else:
        message = (
            f"{path}: name the column of labels (--label), or a table of labels (--labels); the columns are: "
            f"{', '.join(table.columns)}"
        )
        raise LabelError(message)
    question = _question_of(table, questions, label, entries, name)
    entries = [None if entry in question.silent else entry for entry in entries]
    question.check(entries, path)
    if len(question.answers) < 2:
        message = (
            f"{path}: all labels in {label!r} are {question.answers[0]!r}, so the other classes are "
            "unknown; give labels of two classes or more"
            if question.answers
            else f"{path}: the column {label!r} holds no label"
        )
        raise LabelError(message)
    probabilities, readable = read_probabilities(table, question, questions=questions)
    numbers: dict[str | None, int] = {answer: number for number, answer in enumerate(question.answers)}
    rows = [row for row, entry in enumerate(entries) if entry is not None and readable[row]]
    if not rows:
        message = f"{path}: no galaxy has both a label in {label!r} and probabilities of {', '.join(question.answers)}"
        raise LabelError(message)
    given_ids = [None] * len(entries) if column is None else table.column(column)
    # Rows without an id get one as in `peculiar.sources`, so that no two galaxies have the same.
    named = [entry_text(given_ids[row]) or f"{path.stem}-{row}" for row in rows]
    classes = np.array([numbers[entries[row]] for row in rows], dtype=np.int64)
    descriptions = [f"{name}, {nth_row(row)}" for name, row in zip(named, rows, strict=True)]
    check_probabilities(probabilities[rows], f" in {path}", descriptions)
    without = sum(entry is not None for entry in entries) - len(rows)
    if without:
        lacking = counted(without, "labelled galaxy", "have", "has")
        joined = f"{joined} {lacking} no probabilities in {path}, or not all of them.".strip()
    return ProbabilityTable(question, rows, named, classes, probabilities[rows], columns, read_column, joined)


def _question_of(
    table: TableReader, questions: Sequence[Question], label: str, entries: Sequence[str | None], name: str | None
) -> Question:
    """Return the question of a name, or the one that labels answer, by the name under which the table has it."""
    known = {one.name: one for one in questions}
    if name in known:
        return known[name]
    notes = texts(table.schema.metadata)
    noted, taught = noted_columns(notes), taught_question(notes)
    question = answering(questions, label, entries, taught=known.get(taught or ""))
    question = question or question_for(label, [one for one in entries if one is not None])
    if name is not None and name not in noted:
        raise UnknownNameError("question", name, [*noted] or [*known], where=f"in {table.path}")
    # The model may be unknown, but not the columns of the question that it was taught last.
    named = question.yes_or_no and label in (question.name, question.column)
    if name is None and taught is not None and is_for(question, noted[taught]) and not named:
        name = taught
    return question if name is None else replace(question, name=name)


def _numbers(table: TableReader, name: str, answer: str) -> NDArray[np.float64]:
    if name not in table.columns:
        # If the wrong column of labels was named, this message shows its contents.
        where = f"in {table.path.name} with the probability of {answer!r}"
        raise UnknownNameError("column", name, table.columns, where=where)
    try:
        return np.array([np.nan if value in (None, "") else float(value) for value in table.column(name)])
    except (TypeError, ValueError) as error:
        message = f"{table.path}: the column {name!r} has to hold probabilities, numbers from 0 to 1 ({error})"
        raise DataError(message) from error
