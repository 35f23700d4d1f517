"""Answers of a database as tables: votes, majority answers, events, and the votes of all questions side by side."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pyarrow as pa

from peculiar.errors import LabelError, UsageError
from peculiar.files.places import place
from peculiar.files.writing import writing
from peculiar.labelling.database import FIELDS, Labels, Votes
from peculiar.questions.column_names import count_columns
from peculiar.questions.question import Question
from peculiar.tables.column import ID, Column
from peculiar.tables.writers import format_to_write, write_table

EXPORTS = ("votes", "labels", "events")

UNSURE = "unsure"
"""The column of a table of votes that counts "unsure"."""


def export_answers(labels: Labels, path: str | os.PathLike[str], question: str, what: str = "votes") -> int:
    """Write answers as a table.

    Parameters
    ----------
    labels : Labels
    path : path-like
        ``.parquet``, ``.csv`` or another kind of table.
    question : str
    what : {"votes", "labels", "events"}
        One row per galaxy with a count per answer; one row per galaxy with the majority answer and its vote
        fraction (without ties, and galaxies on which all were unsure); or every event.

    Returns
    -------
    int
        Number of rows.

    Raises
    ------
    LabelError
        If the question was not asked.
    UsageError
        If the suffix or `what` is unknown.
    """
    path = place(path)
    format, asked = format_to_write(path), _find(labels, question)
    if what not in EXPORTS:
        message = f"answers are exported as {', '.join(EXPORTS)}, wide or consensus; received {what!r}"
        raise UsageError(message)
    if what == "events":
        events = [one for _, one in labels.history(question)]
        columns = [Column(name, pa.float64() if name == "seconds" else pa.string()) for name in FIELDS]
        values: list[Sequence[object]] = [[getattr(one, name) for one in events] for name in FIELDS]
    else:
        columns, values = (_votes if what == "votes" else _majorities)(labels.votes(question), asked.answers)
    arrays = [pa.array(some, column.type) for column, some in zip(columns, values, strict=True)]
    at = FIELDS.index("galaxy") if what == "events" else 0
    arrays[at] = labels.typed(arrays[at], question)
    columns[at] = replace(columns[at], type=arrays[at].type)
    table = pa.table(arrays, schema=pa.schema([(column.name, column.type) for column in columns]))
    notes = {"question": question, "asked as": asked.asks, "answered in": labels.path.name}
    with writing(path) as temporary:
        write_table(temporary, format, columns, table.to_batches(), notes)
    return int(table.num_rows)


def export_wide(labels: Labels, path: str | os.PathLike[str]) -> int:
    """Write the counts of the answers to all questions, with one row per galaxy.

    Columns are ``n_QUESTION_ANSWER`` and ``unsure_QUESTION``; a galaxy that never reached a question has zeros.

    Parameters
    ----------
    labels : Labels
    path : path-like
        ``.parquet``, ``.csv`` or another kind of table.

    Returns
    -------
    int
        Number of rows.

    Raises
    ------
    UsageError
        If the suffix is unknown, or no question was asked.
    """
    path = place(path)
    format, asked = format_to_write(path), labels.asked()
    if not asked:
        labels.only(None)
    votes = {question.name: labels.votes(question.name) for question in asked}
    galaxies = list(dict.fromkeys(galaxy for some in votes.values() for galaxy in some))
    pairs = [(question.name, answer) for question in asked for answer in question.answers]
    texts = ["_".join(pair) for pair in pairs]
    if len(set(texts)) < len(texts):
        texts = [": ".join(pair) for pair in pairs]
    named = count_columns(texts)
    counted: list[tuple[str, str | None, str, str]] = [
        (*pair, named[text], f"votes for {text}") for pair, text in zip(pairs, texts, strict=True)
    ]
    counted += [(one.name, None, f"unsure_{one.name}", f"how many were unsure of {one.name}") for one in asked]
    ids = labels.typed(pa.array(galaxies, pa.string()), asked[0].name)
    columns = [replace(ID, type=ids.type)]
    columns += [Column(name, pa.int32(), meaning, ucd="meta.number") for _, _, name, meaning in counted]
    arrays = [ids]
    for question, answer, _, _ in counted:
        some = votes[question]
        arrays.append(pa.array([some[one][answer] if one in some else 0 for one in galaxies], pa.int32()))
    table = pa.table(arrays, names=[column.name for column in columns])
    with writing(path) as temporary:
        write_table(temporary, format, columns, table.to_batches(), {"answered in": labels.path.name})
    return int(table.num_rows)


def _find(labels: Labels, name: str) -> Question:
    known = {question.name: question for question in labels.asked()}
    if name not in known:
        message = f"{labels.path}: {name!r} was not asked; these were: {', '.join(known) or 'none'}"
        raise LabelError(message)
    return known[name]


def _votes(votes: dict[str, Votes], answers: Sequence[str]) -> tuple[list[Column], list[Sequence[object]]]:
    # Columns of answers begin with n_, so that they cannot clash with the other columns.
    named = [(one, name, f"votes for {one}") for one, name in count_columns(answers).items()]
    counted = [*named, (None, UNSURE, "how many were unsure")]
    columns = [ID, *(Column(name, pa.int32(), meaning, ucd="meta.number") for _, name, meaning in counted)]
    return columns, [list(votes), *([one[answer] for one in votes.values()] for answer, _, _ in counted)]


def _majorities(votes: dict[str, Votes], answers: Sequence[str]) -> tuple[list[Column], list[Sequence[object]]]:
    columns = [
        ID,
        Column("label", pa.string(), "the answer of most", ucd="meta.code.class"),
        Column("votes", pa.int32(), "how many answered", ucd="meta.number"),
        Column("agreement", pa.float32(), "share of the votes that this answer has", ucd="stat.fit.goodness"),
    ]
    rows = [(id_, *found) for id_, counts in votes.items() if (found := majority(counts, answers)) is not None]
    return columns, [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in columns]


def majority(counts: Mapping[str | None, int], answers: Sequence[str]) -> tuple[str, int, float] | None:
    """Return the majority answer, the number of answers, and its fraction; None for a tie, or without answers."""
    given = Counter({answer: counts[answer] for answer in answers if counts.get(answer)})
    first = given.most_common(2)
    if not first or (len(first) == 2 and first[0][1] == first[1][1]):
        return None
    return first[0][0], given.total(), first[0][1] / given.total()
