"""Answers of annotators as columns of the catalogue, to filter, sort, colour and search by. No web code."""

import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from peculiar.catalogs.where import quoted
from peculiar.labelling.database import Event
from peculiar.labelling.web.session import Session
from peculiar.questions.question import Question
from peculiar.tables.column import Column

_KEPT = 4

_KINDS = ("answer", "unsure", "skip")

VOTES, AGREEMENT, ANSWER, MODEL = "votes", "agreement", "answer", "model_answer"


@dataclass(frozen=True, slots=True)
class Answers:
    """The answers to one question, by row of the catalogue.

    Parameters
    ----------
    question : Question
    state : int
        Number of the last event that they take into account.
    people : tuple of str
        The annotators.
    columns : dict of str to Column
    values : dict of str to pyarrow.Array
        Of each column, shape (n,).
    names : mapping of str to str
        Name of a column, which differs from the usual one if the catalogue has a column of that name.
    codes : dict of str to ndarray of int, shape (n,)
        Numbers of the answers, -1 where there is none, of the columns "answer", "model_answer" and "by" an annotator.
    """

    question: Question
    state: int
    names: Mapping[str, str]
    people: tuple[str, ...] = ()
    columns: dict[str, Column] = field(default_factory=dict)
    values: dict[str, pa.Array] = field(default_factory=dict)
    codes: dict[str, NDArray[np.int64]] = field(default_factory=dict)

    def equal(self, name: str, value: str) -> str:
        """Return the condition that a column has a value."""
        return f"{self.column(name)} = {_text(value)}"

    def called(self, name: str) -> str:
        """Return the name of a column."""
        return self.names.get(name, name)

    def facets(self) -> tuple[list[str], list[str]]:
        """Return the columns of texts, and those of numbers, that all annotators have in common; none without them."""
        if not self.people:
            return [], []
        texts = [self.called(name) for name in (ANSWER, MODEL) if name in self.codes]
        return texts, [self.called(name) for name in (VOTES, AGREEMENT)]

    def column(self, name: str) -> str:
        """Return a column as conditions name it."""
        called = self.called(name)
        return called if called.isidentifier() and called.isascii() else quoted(called)

    def add(self, name: str, type_: pa.DataType, values: pa.Array, about: str) -> None:
        """Add a column."""
        called = self.called(name)
        self.columns[called], self.values[called] = Column(called, type_, about), values

    def counts(self, rows: str, columns: str) -> NDArray[np.int64]:
        """Return how often each pair of answers occurs, shape (answers, answers)."""
        count = len(self.question.answers)
        one, other = self.codes[rows], self.codes[columns]
        both = (one >= 0) & (other >= 0)
        return np.bincount(one[both] * count + other[both], minlength=count**2).reshape(count, count)

    def presets(self) -> dict[str, str]:
        """Return conditions that are often wanted, and their labels."""
        votes, agreement, answer = (self.column(name) for name in (VOTES, AGREEMENT, ANSWER))
        found = {
            "": "all galaxies",
            f"{votes} > 0": "answered",
            f"{votes} = 0": "not answered",
            f"{votes} > 1": "answered by several",
            f"{agreement} < 1": "annotators disagree",
            f"{votes} > 1 and {agreement} = 1": "several agree",
        }
        if MODEL in self.codes:
            found[f"{answer} <> {self.column(MODEL)}"] = "the model disagrees"
        for one in self.question.answers:
            found[self.equal(ANSWER, one)] = f"the answer is {one.replace('_', ' ')}"
        for who in self.people:
            found[f"{self.column(f'kind by {who}')} is not null"] = f"seen by {who}"
        return found

    def note(self, row: int) -> str:
        """Return the answers for a galaxy in a few words; empty if there are none."""
        votes = self.values[self.called(VOTES)][row].as_py() if self.values else 0
        if not votes:
            return ""
        said, model = self.codes[ANSWER][row], self.codes.get(MODEL)
        names = [name.replace("_", " ") for name in self.question.answers]
        share = self.values[self.called(AGREEMENT)][row].as_py()
        text = f"{'no majority' if said < 0 else names[said]}, {round(share * votes)} of {votes}"
        differs = model is not None and model[row] >= 0 and model[row] != said
        return f"{text}; model: {names[model[row]]}" if model is not None and differs else text


def no_answers(_: str = "") -> Answers:
    """Return the answers where nobody is asked."""
    return Answers(Question("none", ("no", "yes")), 0, {})


class Review:
    """The answers of a session as columns, up to date with the database.

    Parameters
    ----------
    session : Session
    taken : sequence of str
        Names of the catalogue's columns, which answers do not take.
    """

    def __init__(self, session: Session, taken: Sequence[str] = ()) -> None:
        self.session = session
        self._taken = {name.casefold() for name in taken}
        self._kept: dict[str, Answers] = {}
        self._lock = threading.Lock()

    def answers(self, question: str = "") -> Answers:
        """Return the answers to a question of the tree, by default the one that is learned.

        Raises
        ------
        UnknownNameError
            If there is no such question.
        """
        asked = self.session.tree[question] if question else self.session.question
        with self._lock:
            known = self._kept.get(asked.name)
            if known is None or known.state != self.session.state():
                state, given = self.session.current(asked)
                known = self._kept[asked.name] = self._columns(asked, state, given)
                while len(self._kept) > _KEPT:
                    del self._kept[next(iter(self._kept))]
            return known

    def _columns(self, asked: Question, state: int, given: Mapping[str, Mapping[int, Event]]) -> Answers:
        count = len(self.session)
        numbers = {answer: number for number, answer in enumerate(asked.answers)}
        usual = [VOTES, AGREEMENT, ANSWER, MODEL]
        usual += [f"{what} {who}" for who in given for what in ("by", "kind by", "others than")]
        found = Answers(asked, state, {name: self._free(name) for name in usual}, tuple(given))
        # Of a million galaxies few have answers: what is counted is counted for these alone.
        rows = np.array(sorted(set().union(*given.values())), dtype=np.int64)
        places = {int(row): place for place, row in enumerate(rows)}

        def spread(codes: NDArray[np.integer]) -> NDArray[np.int64]:
            whole = np.full(count, -1)
            whole[rows] = codes
            return whole

        votes = np.zeros((len(numbers), len(rows)), dtype=np.int16)
        said: dict[str, tuple[NDArray[np.int64], NDArray[np.int64]]] = {}
        for who, events in given.items():
            codes, kinds = np.full(len(rows), -1), np.full(len(rows), -1)
            for row, event in events.items():
                kinds[places[row]] = _KINDS.index(event.kind)
                codes[places[row]] = numbers.get(event.answer, -1) if event.kind == "answer" else -1
            said[who] = codes, kinds
            here = np.flatnonzero(codes >= 0)
            votes[codes[here], here] += 1
        total, share = np.zeros(count, dtype=np.int32), np.zeros(count, dtype=np.float32)
        total[rows] = votes.sum(axis=0)
        share[rows] = votes.max(axis=0) / np.maximum(total[rows], 1)
        found.codes[ANSWER] = spread(_most(votes))
        found.add(VOTES, pa.int32(), pa.array(total), "how many annotators answered")
        shares = pa.array(share, mask=total == 0)
        found.add(AGREEMENT, pa.float32(), shares, "share of the most frequent answer")
        found.add(ANSWER, pa.string(), _texts(found.codes[ANSWER], asked.answers), "the answer of most")
        if self.session.predicted is not None and asked == self.session.question:
            found.codes[MODEL] = self.session.predicted
            found.add(MODEL, pa.string(), _texts(found.codes[MODEL], asked.answers), "the model's answer")
        for who, (codes, kinds) in said.items():
            here = np.flatnonzero(codes >= 0)
            votes[codes[here], here] -= 1
            others = spread(_most(votes))
            votes[codes[here], here] += 1
            found.codes[f"by {who}"] = spread(codes)
            found.add(f"by {who}", pa.string(), _texts(found.codes[f"by {who}"], asked.answers), f"the answer of {who}")
            found.add(f"kind by {who}", pa.string(), _texts(spread(kinds), _KINDS), f"answer, unsure or skip, by {who}")
            text = f"the answer of most, without {who}"
            found.add(f"others than {who}", pa.string(), _texts(others, asked.answers), text)
        return found

    def _free(self, name: str) -> str:
        """Return a name that no column of the catalogue has."""
        number, called = 1, name
        while called.casefold() in self._taken:
            number += 1
            called = f"{name}_{number}"
        return called


def _most(votes: NDArray[np.int16]) -> NDArray[np.int64]:
    """Return the number of the most frequent answer of each galaxy; -1 for a tie, or without answers."""
    most = votes.max(axis=0)
    clear = (most > 0) & ((votes == most).sum(axis=0) == 1)
    return np.where(clear, votes.argmax(axis=0), -1)


def _texts(codes: NDArray[np.integer], names: Sequence[str]) -> pa.Array:
    numbers = pa.array(codes.astype(np.int32), mask=codes < 0)
    return pa.DictionaryArray.from_arrays(numbers, pa.array(names, pa.string())).cast(pa.string())


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


@dataclass(frozen=True, slots=True)
class Cell:
    """A number on a page, and the condition that its galaxies meet."""

    count: int
    where: str


def matrix(answers: Answers, rows: str, columns: str) -> list[list[Cell]]:
    """Return a confusion matrix with the condition of each cell.

    Parameters
    ----------
    answers : Answers
    rows, columns : str
        Columns of answers: "answer", "model_answer" or "by" an annotator.
    """
    names = answers.question.answers
    counts = answers.counts(rows, columns)
    return [
        [
            Cell(int(counts[i, j]), f"{answers.equal(rows, names[i])} and {answers.equal(columns, names[j])}")
            for j in range(len(names))
        ]
        for i in range(len(names))
    ]


@dataclass(frozen=True, slots=True)
class Said:
    """Answer of an annotator about a galaxy.

    Parameters
    ----------
    event : Event
    state : str
        Empty if it counts; else "withdrawn" or "replaced".
    """

    event: Event
    state: str


def said_about(events: Sequence[Event]) -> list[Said]:
    """Return who said what of a galaxy and when, the last first, from its events in order."""
    undone = {one.undoes for one in events if one.kind == "undo"}
    last: Counter[tuple[str, str]] = Counter()
    found = []
    for one in reversed(events):
        if one.kind == "undo":
            continue
        withdrawn = one.event in undone
        state = "withdrawn" if withdrawn else "replaced" if last[one.who, one.question] else ""
        last[one.who, one.question] += not withdrawn
        found.append(Said(one, state))
    return found
