"""Answers of people as events in an SQLite database; nothing is changed or deleted."""

import os
import re
import sqlite3
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import astuple, dataclass, fields
from datetime import UTC, datetime

import pyarrow as pa

from peculiar.errors import DataError, LabelError, NotFoundError, UnknownNameError, UsageError
from peculiar.files.places import on_this_machine
from peculiar.labelling.schema import WAIT, prepare, transaction
from peculiar.questions.question import Question
from peculiar.tables.identifiers import typed_ids, whole_type, widest

KINDS = ("answer", "skip", "unsure", "undo")

_MOST_OF_TEXT = 500

Votes = Counter[str | None]
"""Counts by answer; the key None counts "unsure", because an answer may have any name."""


@dataclass(frozen=True, slots=True)
class Event:
    """An action of a person on a galaxy.

    Parameters
    ----------
    event : str
        Chosen by the sender, and unique: an event that is sent twice is stored once. 8 to 64 letters, digits, hyphens.
    kind : {"answer", "skip", "unsure", "undo"}
    who : str
    galaxy : str
        Its id.
    question : str
        Name of the question.
    answer : str
        An answer to the question; empty for other kinds.
    at : str
        Time, UTC, ISO 8601; default: now.
    seconds : float, optional
        Time since the galaxy was shown.
    model : str
        Digest of the model whose embeddings chose the galaxy; empty if there is none.
    session : str
        Name of the session.
    chosen : str
        How the galaxy was chosen: "random" for the random sample that is scored, or the name of a strategy.
    undoes : str, optional
        The event that an undo withdraws.
    """

    event: str
    kind: str
    who: str
    galaxy: str
    question: str
    answer: str = ""
    at: str = ""
    seconds: float | None = None
    model: str = ""
    session: str = ""
    chosen: str = ""
    undoes: str | None = None

    def __post_init__(self) -> None:
        """Check everything that does not need the database."""
        if not self.at:
            object.__setattr__(self, "at", datetime.now(UTC).isoformat(timespec="milliseconds"))
        if not re.fullmatch(r"[A-Za-z0-9-]{8,64}", self.event):
            message = f"the name of an event has 8 to 64 letters, digits or hyphens; received {self.event[:80]!r}"
            raise LabelError(message)
        if self.kind not in KINDS:
            message = f"an event is one of {', '.join(KINDS)}; received {self.kind[:80]!r}"
            raise LabelError(message)
        if not self.who.strip() or len(self.who) > _MOST_OF_TEXT or not self.who.isprintable():
            message = (
                f"the name of an annotator has up to {_MOST_OF_TEXT} printable characters; received {self.who[:80]!r}"
            )
            raise LabelError(message)


FIELDS = tuple(one.name for one in fields(Event))
"""Columns of events."""

_LISTED = ", ".join(FIELDS)


class Labels:
    """An open database of answers; safe for several threads and several programs at once.

    Parameters
    ----------
    path : path-like
        Created if it does not exist.
    create : bool
        Create it if it does not exist.

    Raises
    ------
    NotFoundError
        If it does not exist and `create` is false.
    DataError
        If it is something else, has a later version, is damaged or locked, or cannot be written to.
    """

    def __init__(self, path: str | os.PathLike[str], *, create: bool = True) -> None:
        self.path = on_this_machine(path, "a database of answers")
        if not create and not self.path.exists():
            raise NotFoundError(f"there are no answers at {self.path}; `peculiar label` writes them")
        self._lock = threading.Lock()
        with self._explaining():
            if self.path.exists() and not self.path.is_file():
                message = f"{self.path} is not a file; name another one (--db)"
                raise DataError(message)
            self._connection = sqlite3.connect(
                self.path, timeout=WAIT, isolation_level=None, check_same_thread=False, cached_statements=32
            )
        try:
            with self._explaining():
                prepare(self._connection, self.path, FIELDS)
        except BaseException:
            self._connection.close()
            raise

    def __enter__(self) -> "Labels":
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the database."""
        self.close()

    def close(self) -> None:
        """Close the database; all answers are already on the disk."""
        with self._lock:
            self._connection.close()

    @contextmanager
    def _explaining(self) -> Iterator[None]:
        """Translate errors of SQLite into messages."""
        try:
            yield
        except (sqlite3.Error, UnicodeError) as error:
            reason = str(error).partition(" with text ")[0]
            advice = next((advice for word, advice in _ADVICE.items() if word in reason), "copy it elsewhere and see")
            message = f"{self.path}: {reason}; {advice}"
            raise DataError(message) from error

    def ask(self, *questions: Question, id_type: pa.DataType | None = None) -> None:
        """Record that questions are asked, all or none.

        Parameters
        ----------
        *questions : Question
        id_type : pyarrow.DataType, optional
            Type of the ids in the galaxies' table, if known; `export` writes them in this type.

        Raises
        ------
        LabelError
            If there is a different question of the same name.
        """
        with self._lock, self._explaining(), transaction(self._connection):
            for question in questions:
                self._ask(question)
                if id_type is not None:
                    known = widest([id_type, *filter(None, [self._id_type(question.name)])])
                    values = (str(known), question.name)
                    self._connection.execute("UPDATE questions SET ids = ? WHERE name = ?", values)

    def _id_type(self, question: str) -> pa.DataType | None:
        """Return the type of the galaxies' ids for a question; None if unknown."""
        found = self._connection.execute("SELECT ids FROM questions WHERE name = ?", (question,)).fetchone()[0]
        try:
            return pa.type_for_alias(found) if found else None
        except ValueError:  # types with parameters
            return pa.string()

    def _ask(self, question: Question) -> None:
        listed = "\n".join(question.answers)
        if len(question.answers) < 2 or any(not one.isprintable() or not one.strip() for one in question.answers):
            message = f"the question {question.name!r} needs two answers or more, of printable characters"
            raise LabelError(message)
        find = self._connection.execute
        known = find("SELECT answers, asks FROM questions WHERE name = ?", (question.name,)).fetchone()
        if known is None:
            values = (question.name, listed, question.asks)
            find("INSERT INTO questions (name, answers, asks) VALUES (?, ?, ?)", values)
            return
        before, asks = known
        if before != listed:
            message = (
                f"{self.path}: {question.name!r} was asked with the answers {', '.join(before.splitlines())}, not "
                f"{', '.join(question.answers)}; give the question another name, or name another file (--db)"
            )
            raise LabelError(message)
        # A question without a text of its own is shown by its name.
        unsaid = ("", Question(question.name, question.answers).asks)
        if asks not in unsaid and question.asks not in unsaid and asks != question.asks:
            message = (
                f"{self.path}: {question.name!r} was asked as {asks!r}, not as {question.asks!r}, and the answers "
                "would be mixed; give the question another name, or name another file (--db)"
            )
            raise LabelError(message)
        if question.asks not in unsaid:
            find("UPDATE questions SET asks = ? WHERE name = ?", (question.asks, question.name))

    def questions(self) -> dict[str, tuple[str, ...]]:
        """Return the possible answers of each question, by name."""
        return {question.name: question.answers for question in self.asked()}

    def asked(self) -> list[Question]:
        """Return the questions."""
        with self._lock, self._explaining():
            rows = self._connection.execute("SELECT name, answers, asks FROM questions ORDER BY rowid").fetchall()
        return [Question(name, tuple(answers.splitlines()), asks=asks) for name, answers, asks in rows]

    def record(self, events: Event | Iterable[Event]) -> int:
        """Store events, all or none; known events are not stored again.

        Returns
        -------
        int
            Number of new events.

        Raises
        ------
        LabelError
            If the question or its answer is unknown, an undo has no event, or another event has the same name.
        DataError
            If the database is locked, full or read-only.
        """
        given = [events] if isinstance(events, Event) else list(events)
        new = 0
        with self._lock, self._explaining(), transaction(self._connection):
            for one in given:
                known = self._connection.execute(
                    "SELECT kind, who, question, galaxy, answer, undoes FROM events WHERE event = ?", (one.event,)
                ).fetchone()
                if known is not None:
                    if known[:5] != (one.kind, one.who, one.question, one.galaxy, one.answer):
                        message = f"the event {one.event} exists with other content; give the new one another name"
                        raise LabelError(message)
                    continue
                self._check(one)
                marks = ", ".join("?" * len(FIELDS))
                self._connection.execute(f"INSERT INTO events ({_LISTED}) VALUES ({marks})", astuple(one))  # noqa: S608
                new += 1
        return new

    def _check(self, one: Event) -> None:
        find = self._connection.execute
        asked = find("SELECT answers FROM questions WHERE name = ?", (one.question,)).fetchone()
        if asked is None:
            message = f"the question {one.question[:80]!r} was not asked"
            raise LabelError(message)
        if (one.kind == "answer") != (one.answer in asked[0].splitlines()) or (one.kind != "answer" and one.answer):
            known = ", ".join(asked[0].splitlines())
            message = f"{one.answer[:80]!r} is not an answer to {one.question!r}; the answers are {known}"
            raise LabelError(message)
        if one.kind == "undo":
            undone = find("SELECT who, kind FROM events WHERE event = ?", (one.undoes,)).fetchone()
            again = find("SELECT 1 FROM events WHERE undoes = ?", (one.undoes,)).fetchone()
            if undone is None or undone[0] != one.who or undone[1] == "undo" or again:
                message = "there is nothing to undo: annotators can withdraw each of their own answers once"
                raise LabelError(message)
        elif one.undoes is not None:
            message = "only an undo withdraws an event"
            raise LabelError(message)

    def current(self, question: str, who: str | None = None) -> list[Event]:
        """Return the current answer of each person for each galaxy, without withdrawn and earlier ones.

        Parameters
        ----------
        question : str
        who : str, optional
            Only of one person.
        """
        listed = ", ".join(f"e.{name}" for name in FIELDS)
        # With max(), SQLite returns the other columns from the row of the maximum.
        sql = (
            f"SELECT {listed}, max(e.number) FROM events e LEFT JOIN events u ON u.undoes = e.event"  # noqa: S608
            " WHERE e.question = ? AND e.kind <> 'undo' AND u.event IS NULL"
        )
        values = [question]
        if who is not None:
            sql += " AND e.who = ?"
            values.append(who)
        with self._lock, self._explaining():
            rows = self._connection.execute(f"{sql} GROUP BY e.galaxy, e.who ORDER BY max(e.number)", values).fetchall()
        return [Event(*row[:-1]) for row in rows]

    def history(self, *questions: str, after: int = 0) -> list[tuple[int, Event]]:
        """Return the events of questions in order, with their numbers, `after` a given number."""
        marks = ", ".join("?" * len(questions))
        # The + prevents SQLite from using the index on questions: events after a number are found by number.
        sql = f"SELECT number, {_LISTED} FROM events WHERE number > ? AND +question IN ({marks}) ORDER BY number"  # noqa: S608
        with self._lock, self._explaining():
            return [(row[0], Event(*row[1:])) for row in self._connection.execute(sql, (after, *questions))]

    def about(self, galaxy: str, *questions: str) -> list[Event]:
        """Return all events about a galaxy, in order."""
        marks = ", ".join("?" * len(questions))
        sql = f"SELECT {_LISTED} FROM events WHERE question IN ({marks}) AND galaxy = ? ORDER BY number"  # noqa: S608
        with self._lock, self._explaining():
            return [Event(*row) for row in self._connection.execute(sql, (*questions, galaxy))]

    def find(self, event: str) -> Event | None:
        """Return an event by its name, None if there is none."""
        with self._lock, self._explaining():
            row = self._connection.execute(f"SELECT {_LISTED} FROM events WHERE event = ?", (event,)).fetchone()  # noqa: S608
        return None if row is None else Event(*row)

    def last(self, question: str, who: str) -> Event | None:
        """Return the last event of a person that is not undone, which an undo would withdraw."""
        sql = (
            f"SELECT {_LISTED} FROM events e WHERE question = ? AND who = ? AND kind <> 'undo'"  # noqa: S608
            " AND NOT EXISTS (SELECT 1 FROM events u WHERE u.undoes = e.event) ORDER BY number DESC LIMIT 1"
        )
        with self._lock, self._explaining():
            row = self._connection.execute(sql, (question, who)).fetchone()
        return None if row is None else Event(*row)

    def votes(self, question: str) -> dict[str, Votes]:
        """Return the counts of each answer by galaxy; under None, how often somebody was unsure.

        Skips do not count.
        """
        counted: dict[str, Votes] = {}
        for one in self.current(question):
            if one.kind != "skip":
                counted.setdefault(one.galaxy, Counter())[one.answer if one.kind == "answer" else None] += 1
        return counted

    def set_gold(self, known: Mapping[str, Mapping[str, str]]) -> None:
        """Record the answers of known galaxies, in place of those that are recorded for the same questions.

        Parameters
        ----------
        known : mapping of str to mapping of str to str
            Answers by galaxy, then by question.
        """
        rows = [(question, galaxy, answer) for galaxy, some in known.items() for question, answer in some.items()]
        with self._lock, self._explaining(), transaction(self._connection):
            run = self._connection.executemany
            run("DELETE FROM gold WHERE question = ?", [(question,) for question in {row[0] for row in rows}])
            run("INSERT INTO gold (question, galaxy, answer) VALUES (?, ?, ?)", rows)

    def gold(self, question: str) -> dict[str, str]:
        """Return the answers of known galaxies to a question."""
        with self._lock, self._explaining():
            sql = "SELECT galaxy, answer FROM gold WHERE question = ?"
            return dict(self._connection.execute(sql, (question,)).fetchall())

    def only(self, name: str | None) -> Question:
        """Return the question of a name, or the only one.

        Raises
        ------
        UnknownNameError
            If the question is unknown.
        UsageError
            If there are several questions and none is named, or none was asked.
        """
        questions = {question.name: question for question in self.asked()}
        if name is not None:
            if name not in questions:
                raise UnknownNameError("question", name, questions, where=f"in {self.path}")
            return questions[name]
        if not questions:
            message = f"{self.path} holds no answers yet; `peculiar label` and `peculiar labels import` add them"
            raise UsageError(message)
        if len(questions) > 1:
            message = f"{self.path} has {len(questions)} questions; name one by --question: {', '.join(questions)}"
            raise UsageError(message)
        return next(iter(questions.values()))

    def typed(self, ids: pa.Array, question: str) -> pa.Array:
        """Return ids in the type of the galaxies' table; as text if one of them does not fit the type."""
        with self._lock, self._explaining():
            known = self._id_type(question)
        typed = typed_ids(ids, known or whole_type([ids]))
        return ids if typed.null_count > ids.null_count else typed


_ADVICE = {
    "locked": "another program is writing to it; close that program, or try again",
    "readonly": "it cannot be written; change its permissions, or name another file (--db)",
    "unable to open": "its folder has to exist and be writable; create it, or name another file (--db)",
    "full": "the disk is full; free some space, and answer again",
    "not a database": "it is not a database of answers, or it is damaged; name another file (--db)",
    "malformed": "it is damaged; restore a copy",
    "decode": "it is damaged; restore a copy",
    "I/O": "the disk is full or damaged; free some space, or name a file on another disk (--db)",
}
