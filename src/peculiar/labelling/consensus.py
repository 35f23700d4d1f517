"""Consensus of the annotators of a database, and of a model: the probability of each answer for each galaxy."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from peculiar.errors import LabelError
from peculiar.evaluation.probabilities import read_probabilities
from peculiar.files.places import place
from peculiar.files.writing import writing
from peculiar.labelling.database import Labels
from peculiar.labelling.gold import gold_lines, gold_skills
from peculiar.metrics.agreement import Skill
from peculiar.metrics.consensus import Answers, RaterSkill, estimate_consensus
from peculiar.questions.column_names import COLUMNS_NOTE, answer_columns
from peculiar.questions.question import Question
from peculiar.sources.joins import partners_of
from peculiar.tables.column import ID, Column
from peculiar.tables.identifiers import entry_text, typed_ids
from peculiar.tables.reader import TableReader
from peculiar.tables.writers import format_to_write, write_table
from peculiar.text import counted, shown

_ON_GOLD = (
    ("gold_answers", "compared", pa.int32(), "number of known galaxies answered for", "meta.number"),
    ("gold_accuracy", "agreed", pa.float32(), "share of right answers among these", "stat.value"),
    ("gold_low", "low", pa.float32(), "lower end of its 95 % interval", "stat.min"),
    ("gold_high", "high", pa.float32(), "upper end of its 95 % interval", "stat.max"),
)


@dataclass(frozen=True, slots=True, repr=False)
class Consensus:
    """Consensus of annotators, the most disputed galaxies first; see `consensus`.

    Parameters
    ----------
    question : Question
    ids : list of str
    labels : list of str
        The most probable answer for each galaxy; the first of equals.
    probabilities : ndarray, shape (galaxies, answers)
        Of all answers, in the order of the question.
    votes : ndarray of int, shape (galaxies,)
        Number of annotators who answered.
    agreement : ndarray, shape (galaxies,)
        Share of them who gave the consensus label.
    annotators : dict of str to RaterSkill
        By name, the most often right first.
    model : RaterSkill or None
        The same of the model whose catalogue was given.
    notes : list of str
        Remarks on what the consensus rests on.
    id_type : pyarrow.DataType
        Type of the ids in the galaxies' table.
    gold : list of Skill
        How often each annotator is right on known galaxies; empty without such galaxies.

    Examples
    --------
    >>> import peculiar
    >>> found = peculiar.consensus("labels.db")
    >>> found.write("consensus.csv")
    2
    >>> found.annotators["Ada"].compared
    1
    """

    question: Question
    ids: list[str]
    labels: list[str]
    probabilities: NDArray[np.float64]
    votes: NDArray[np.int64]
    agreement: NDArray[np.float64]
    annotators: dict[str, RaterSkill]
    model: RaterSkill | None = None
    notes: list[str] = field(default_factory=list)
    id_type: pa.DataType = field(default_factory=pa.string)
    gold: list[Skill] = field(default_factory=list)

    def lines(self) -> list[str]:
        """Return the skills as text, one line for each annotator."""
        how_many = f"{counted(len(self.ids), 'galaxy')}, {counted(len(self.annotators), 'annotator')}"
        first = f"{self.ids[0]} ({self.labels[0]}, {self.probabilities[0].max():.2f})"
        lines = [f"{self.question.name}: {how_many}; the most disputed is {first}", *self.notes]
        return [*lines, *(_told(name, skill) for name, skill in self._raters()), *gold_lines(self.gold)]

    def __repr__(self) -> str:
        """Return the skills as text."""
        return "\n".join(map(shown, self.lines()))

    def _raters(self) -> list[tuple[str, RaterSkill]]:
        return [*self.annotators.items(), *([("the model", self.model)] if self.model else [])]

    def write(self, path: str | os.PathLike[str]) -> int:
        """Write the consensus as a table, the most disputed galaxies first.

        Parameters
        ----------
        path : path-like
            Its suffix decides the format: ``.parquet``, ``.csv``, ``.fits``, ``.vot`` or ``.ecsv``.

        Returns
        -------
        int
            Number of rows.
        """
        names = answer_columns([self.question])
        columns: list[tuple[Column, Any]] = [
            (replace(ID, type=self.id_type), typed_ids(self.ids, self.id_type)),
            (Column("label", pa.string(), "the most probable answer", ucd="meta.code.class"), self.labels),
            (
                Column("probability", pa.float32(), "probability of this answer", ucd="stat.probability"),
                self.probabilities.max(axis=1),
            ),
            (Column("votes", pa.int32(), "how many answered", ucd="meta.number"), self.votes),
            (
                Column("agreement", pa.float32(), "share of them who gave this answer", ucd="stat.fit.goodness"),
                self.agreement,
            ),
        ]
        for number, answer in enumerate(self.question.answers):
            if name := names[self.question.name].get(answer):
                meaning = f"probability of the answer {answer!r} to {self.question.name}"
                columns.append(
                    (Column(name, pa.float32(), meaning, ucd="stat.probability"), self.probabilities[:, number])
                )
        notes = {"question": self.question.name, "asked as": self.question.asks, COLUMNS_NOTE: json.dumps(names)}
        return _write(path, columns, notes)

    def write_annotators(self, path: str | os.PathLike[str]) -> int:
        """Write the skills of the annotators, and of the model, as a table.

        Parameters
        ----------
        path : path-like
            As for `write`.

        Returns
        -------
        int
            Number of rows.
        """
        skills = [skill for _, skill in self._raters()]
        meanings = (
            ("answers", pa.int32(), "number of galaxies answered for", "meta.number"),
            ("compared", pa.int32(), "of these, with answers of others or of a model", "meta.number"),
            ("accuracy", pa.float32(), "expected share of right answers among those compared", "stat.value"),
            ("low", pa.float32(), "lower end of its 95 % interval", "stat.min"),
            ("high", pa.float32(), "upper end of its 95 % interval", "stat.max"),
        )
        names = Column("annotator", pa.string(), "name of the annotator", ucd="meta.id")
        columns: list[tuple[Column, Any]] = [(names, [name for name, _ in self._raters()])]
        columns += [
            (Column(name, type_, meaning, ucd=ucd), [getattr(one, name) for one in skills])
            for name, type_, meaning, ucd in meanings
        ]
        if self.gold:
            known = {one.who: one for one in self.gold}
            on_gold = [known.get(name) for name, _ in self._raters()]
            columns += [
                (Column(name, type_, meaning, ucd=ucd), [None if one is None else getattr(one, of) for one in on_gold])
                for name, of, type_, meaning, ucd in _ON_GOLD
            ]
        return _write(path, columns, {"question": self.question.name})


def consensus(
    db: str | os.PathLike[str],
    *,
    question: str | None = None,
    catalog: str | os.PathLike[str] | None = None,
    id: str | None = None,
) -> Consensus:
    """Combine the answers of annotators into one label for each galaxy, with its probability.

    Annotators count according to their skill, which follows from the answers themselves; see
    `peculiar.metrics.consensus.estimate_consensus`. The probabilities of a catalogue are combined with the answers. The
    model that made it must not have learned from these answers.

    Parameters
    ----------
    db : path-like
        The database, as written by `label`.
    question : str, optional
        Name of the question; default: the only one.
    catalog : path-like, optional
        A catalogue of a model that answers the same question.
    id : str, optional
        The column of ids of the catalogue; default: the first of the usual names.

    Returns
    -------
    Consensus

    Raises
    ------
    NotFoundError
        If the database or the catalogue does not exist.
    UnknownNameError
        If the question is unknown, or the catalogue has no probabilities of its answers.
    UsageError
        If the database has several questions and none is named, or holds no answers.
    LabelError
        If nothing says how far to trust anybody: no galaxy has answers of two annotators, and there is no catalogue.

    Examples
    --------
    >>> import peculiar
    >>> found = peculiar.consensus("labels.db")
    >>> dict(zip(found.ids, found.labels))
    {'sim-01': 'Normal', 'sim-00': 'Merger'}
    """
    with Labels(db, create=False) as labels:
        asked = labels.only(question)
        events = [one for one in labels.current(asked.name) if one.kind == "answer"]
        ids = list(dict.fromkeys(one.galaxy for one in events))
        id_type = labels.typed(pa.array(ids, pa.string()), asked.name).type
        known = labels.gold(asked.name)
        gold = gold_skills((event for _, event in labels.history(asked.name)), known) if known else []
    if not events:
        message = (
            f"{db}: nobody has answered {asked.name!r} yet; `peculiar label` and `peculiar labels import` add answers"
        )
        raise LabelError(message)
    people = sorted({one.who for one in events})
    places = {galaxy: number for number, galaxy in enumerate(ids)}
    numbers = {who: number for number, who in enumerate(people)}
    given = Answers(
        np.array([places[one.galaxy] for one in events]),
        np.array([numbers[one.who] for one in events]),
        np.array([asked.answers.index(one.answer) for one in events]),
        len(ids),
        len(people),
        len(asked.answers),
    )
    model, notes = (None, []) if catalog is None else _model_of(place(catalog), asked, places, id)
    votes = np.bincount(given.galaxy, minlength=len(ids))
    if model is None and votes.max() < 2:
        message = (
            f"{db}: no galaxy has answers of two annotators to {asked.name!r}, so nothing says how far to trust them; "
            "export the answers by --as labels, or name a catalogue of a model (--catalog)"
        )
        raise LabelError(message)
    found = estimate_consensus(given, model)
    called = found.probabilities.argmax(axis=1)
    same = np.bincount(given.galaxy, given.answer == called[given.galaxy], minlength=len(ids))
    order = np.lexsort((same / votes, found.probabilities.max(axis=1)))
    skills = sorted(
        zip(people, found.skills, strict=True), key=lambda one: (-(one[1].accuracy or 0.0), -one[1].answers, one[0])
    )
    return Consensus(
        asked,
        [ids[row] for row in order],
        [asked.answers[called[row]] for row in order],
        found.probabilities[order],
        votes[order],
        (same / votes)[order],
        dict(skills),
        found.model,
        notes,
        id_type,
        gold,
    )


def _model_of(
    catalog: Path, question: Question, places: dict[str, int], id: str | None
) -> tuple[NDArray[np.float64], list[str]]:
    """Return the probabilities of a catalogue for the galaxies with answers, NaN if it has none, and remarks."""
    table = TableReader(catalog)
    column = table.id_column(id)
    values, known = read_probabilities(table, question)
    model = np.full((len(places), len(question.answers)), np.nan)
    ids = [entry_text(entry) or "" for entry in table.column(column)]
    partners = partners_of(ids, places, f"{catalog} and the answers")
    for row, id_ in enumerate(ids):
        at = places.get(partners.get(id_, ""))
        if at is not None and known[row]:
            model[at] = values[row]
    count = int(np.isfinite(model[:, 0]).sum())
    if not count:
        message = (
            f"{catalog}: has probabilities for none of the {counted(len(places), 'galaxy')} with answers; its column "
            f"{column!r} needs the ids of the galaxies that were labelled (--id names another column)"
        )
        raise LabelError(message)
    return model, [f"the catalogue has probabilities for {count:,} of them"]


def _told(name: str, skill: RaterSkill) -> str:
    if skill.accuracy is None:
        return f"{name}: {counted(skill.answers, 'answer')}, none of them on a galaxy that others answered for"
    return (
        f"{name} is right in {skill.accuracy:.2f} ({skill.low:.2f} to {skill.high:.2f}) of "
        f"{counted(skill.compared, 'galaxy')}"
    )


def _write(path: str | os.PathLike[str], columns: Sequence[tuple[Column, Any]], notes: dict[str, str]) -> int:
    path = place(path)
    format = format_to_write(path)
    arrays = [one if isinstance(one, pa.Array) else pa.array(one, column.type) for column, one in columns]
    table = pa.table(arrays, schema=pa.schema([(column.name, column.type) for column, _ in columns]))
    with writing(path) as temporary:
        write_table(temporary, format, [column for column, _ in columns], table.to_batches(), notes)
    return int(table.num_rows)
