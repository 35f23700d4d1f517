"""Answers of people as events in an SQLite database; nothing is changed or deleted."""

import itertools
import os
import re
import sqlite3
import threading
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import astuple, dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa

from peculiar.errors import DataError, LabelError, NotFoundError, PeculiarWarning, UnknownNameError, UsageError
from peculiar.files.places import on_this_machine, place
from peculiar.files.writing import writing
from peculiar.questions.column_names import count_columns
from peculiar.questions.question import Question
from peculiar.tables.column import ID, Column
from peculiar.tables.identifiers import typed_ids, whole_type, widest
from peculiar.tables.writers import format_to_write, write_table

APPLICATION_ID = 0x5045_4355
"""Application id of an SQLite file with answers."""

KINDS = ("answer", "skip", "unsure", "undo")

# Long enough for the write of another session, short enough for a person to wait.
_WAIT = 3.0

_MOST_OF_TEXT = 500

_MIGRATIONS = (
    """
CREATE TABLE questions (name TEXT PRIMARY KEY, answers TEXT NOT NULL) STRICT;
CREATE TABLE events (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    event TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL CHECK (kind IN ('answer', 'skip', 'unsure', 'undo')),
    who TEXT NOT NULL,
    at TEXT NOT NULL,
    question TEXT NOT NULL REFERENCES questions (name),
    galaxy TEXT NOT NULL,
    answer TEXT NOT NULL,
    undoes TEXT UNIQUE REFERENCES events (event),
    seconds REAL,
    model TEXT NOT NULL,
    session TEXT NOT NULL,
    chosen TEXT NOT NULL,
    CHECK ((kind = 'undo') = (undoes IS NOT NULL)),
    CHECK ((kind = 'answer') = (answer <> ''))
) STRICT;
CREATE INDEX asked ON events (question, galaxy, who);
CREATE TRIGGER kept BEFORE DELETE ON events BEGIN SELECT RAISE(ABORT, 'answers are never deleted'); END;
CREATE TRIGGER fixed BEFORE UPDATE ON events BEGIN SELECT RAISE(ABORT, 'answers are never changed'); END;
""",
    # The question as people read it, because questions in decision trees have cryptic names.
    "ALTER TABLE questions ADD COLUMN asks TEXT NOT NULL DEFAULT '';",
    # The type of the galaxies' ids, so that an export joins with their catalogue.
    "ALTER TABLE questions ADD COLUMN ids TEXT NOT NULL DEFAULT '';",
)
"""Migrations from each version to the next; an empty file has version 0."""

VERSION = len(_MIGRATIONS)

_TRIGGERS = {("trigger", "kept"), ("trigger", "fixed")}


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


_FIELDS = tuple(one.name for one in fields(Event))
_LISTED = ", ".join(_FIELDS)


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
                self.path, timeout=_WAIT, isolation_level=None, check_same_thread=False, cached_statements=32
            )
        try:
            self._prepare()
        except BaseException:
            self._connection.close()
            raise

    def _prepare(self) -> None:
        with self._explaining():
            run = self._connection.execute
            # In this order, because another session may create the tables meanwhile.
            tables = run("SELECT count(*) FROM sqlite_schema").fetchone()[0]
            kind, version = self._pragma("application_id"), self._pragma("user_version")
            if kind != APPLICATION_ID and (tables or kind):
                message = f"{self.path} is a database without answers of peculiar; name another file (--db)"
                raise DataError(message)
            if not 0 <= version <= VERSION:
                message = (
                    f"{self.path} has version {version}, but this peculiar knows versions up to {VERSION}; update "
                    "peculiar, or name another file (--db)"
                )
                raise DataError(message)
            if version < VERSION:
                # With FULL an answer is on the disk before it is confirmed, even if the power fails.
                run("PRAGMA journal_mode = WAL")
                self._migrate()
            self._check_tables()
            run("PRAGMA synchronous = FULL")
            run("PRAGMA foreign_keys = ON")

    def _check_tables(self) -> None:
        """Raise `DataError` unless the tables are as this class creates them: the file may come from anybody."""
        run = self._connection.execute
        found = {(type_, name) for type_, name in run("SELECT type, name FROM sqlite_schema WHERE sql IS NOT NULL")}
        strict = {name for _, name, type_, _, _, strict, *_ in run("PRAGMA table_list") if type_ == "table" and strict}
        columns = {name for _, name, *_ in run("PRAGMA table_info(events)")}
        # SQLite enforces the types of strict tables. Triggers and views, which run code, must be ours.
        alive = {one for one in found if one[0] in ("trigger", "view")}
        if not {"questions", "events"} <= strict or not set(_FIELDS) < columns or alive != _TRIGGERS:
            message = f"{self.path} was changed by another program; restore a copy, or name another file (--db)"
            raise DataError(message)
        fault = run("PRAGMA quick_check(1)").fetchone()[0]
        if fault != "ok":
            message = f"{self.path} is damaged ({fault.splitlines()[-1]}); restore a copy, or name another file (--db)"
            raise DataError(message)

    def _pragma(self, name: str) -> int:
        return int(self._connection.execute(f"PRAGMA {name}").fetchone()[0])

    def _migrate(self) -> None:
        """Migrate the tables to this version; an existing database is copied first, and the copy kept."""
        copy = None
        with self._writing():
            before = self._pragma("user_version")  # another session may have been faster
            if 0 < before < VERSION:
                copy = self._copy(before)
            for script in _MIGRATIONS[before:]:
                for statement in _statements(script):
                    self._connection.execute(statement)
            self._connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            self._connection.execute(f"PRAGMA user_version = {max(before, VERSION)}")
        if copy is not None:
            message = f"{self.path} was converted from version {before} to version {VERSION}; the original is {copy}"
            warnings.warn(message, PeculiarWarning, stacklevel=4)

    def _copy(self, version: int) -> Path:
        """Copy the database beside itself, under a free name with its version."""
        numbered = (f".version-{version}" + f"-{number}" * (number > 1) for number in itertools.count(1))
        places = (self.path.with_name(f"{self.path.stem}{name}{self.path.suffix}") for name in numbered)
        place = next(one for one in places if not one.exists())
        # On a connection of its own: SQLite cannot copy within a write transaction.
        with (
            writing(place) as temporary,
            closing(sqlite3.connect(self.path, timeout=_WAIT)) as reading,
            closing(sqlite3.connect(temporary)) as copied,
        ):
            reading.backup(copied)
        return place

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

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Run several statements or none."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

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
        with self._lock, self._explaining(), self._writing():
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
        return {question.name: question.answers for question in self._asked()}

    def _asked(self) -> list[Question]:
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
        with self._lock, self._explaining(), self._writing():
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
                marks = ", ".join("?" * len(_FIELDS))
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
        listed = ", ".join(f"e.{name}" for name in _FIELDS)
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

    def only(self, name: str | None) -> Question:
        """Return the question of a name, or the only one.

        Raises
        ------
        UnknownNameError
            If the question is unknown.
        UsageError
            If there are several questions and none is named, or none was asked.
        """
        questions = {question.name: question for question in self._asked()}
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

    def _find(self, name: str) -> Question:
        known = {question.name: question for question in self._asked()}
        if name not in known:
            message = f"{self.path}: {name!r} was not asked; these were: {', '.join(known) or 'none'}"
            raise LabelError(message)
        return known[name]

    def export(self, path: str | os.PathLike[str], question: str, what: str = "votes") -> int:
        """Write answers as a table.

        Parameters
        ----------
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
        format, asked = format_to_write(path), self._find(question)
        if what not in EXPORTS:
            message = f"answers are exported as {', '.join(EXPORTS)}, wide or consensus; received {what!r}"
            raise UsageError(message)
        if what == "events":
            events = [one for _, one in self.history(question)]
            columns = [Column(name, pa.float64() if name == "seconds" else pa.string()) for name in _FIELDS]
            values: list[Sequence[object]] = [[getattr(one, name) for one in events] for name in _FIELDS]
        else:
            columns, values = (_votes if what == "votes" else _majorities)(self.votes(question), asked.answers)
        arrays = [pa.array(some, column.type) for column, some in zip(columns, values, strict=True)]
        at = _FIELDS.index("galaxy") if what == "events" else 0
        arrays[at] = self.typed(arrays[at], question)
        columns[at] = replace(columns[at], type=arrays[at].type)
        table = pa.table(arrays, schema=pa.schema([(column.name, column.type) for column in columns]))
        notes = {"question": question, "asked as": asked.asks, "answered in": self.path.name}
        with writing(path) as temporary:
            write_table(temporary, format, columns, table.to_batches(), notes)
        return int(table.num_rows)

    def export_wide(self, path: str | os.PathLike[str]) -> int:
        """Write the counts of the answers to all questions, with one row per galaxy.

        Columns are ``n_QUESTION_ANSWER`` and ``unsure_QUESTION``; a galaxy that never reached a question has zeros.

        Parameters
        ----------
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
        format, asked = format_to_write(path), self._asked()
        if not asked:
            self.only(None)
        votes = {question.name: self.votes(question.name) for question in asked}
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
        ids = self.typed(pa.array(galaxies, pa.string()), asked[0].name)
        columns = [replace(ID, type=ids.type)]
        columns += [Column(name, pa.int32(), meaning, ucd="meta.number") for _, _, name, meaning in counted]
        arrays = [ids]
        for question, answer, _, _ in counted:
            some = votes[question]
            arrays.append(pa.array([some[one][answer] if one in some else 0 for one in galaxies], pa.int32()))
        table = pa.table(arrays, names=[column.name for column in columns])
        with writing(path) as temporary:
            write_table(temporary, format, columns, table.to_batches(), {"answered in": self.path.name})
        return int(table.num_rows)

    def typed(self, ids: pa.Array, question: str) -> pa.Array:
        """Return ids in the type of the galaxies' table; as text if one of them does not fit the type."""
        with self._lock, self._explaining():
            known = self._id_type(question)
        typed = typed_ids(ids, known or whole_type([ids]))
        return ids if typed.null_count > ids.null_count else typed


EXPORTS = ("votes", "labels", "events")

UNSURE = "unsure"
"""The column of a table of votes that counts "unsure"."""


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


def _statements(script: str) -> Iterator[str]:
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


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
