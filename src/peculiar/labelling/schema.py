"""Tables of a database of answers: created, checked, and migrated from earlier versions."""

import itertools
import sqlite3
import warnings
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from peculiar.errors import DataError, PeculiarWarning
from peculiar.files.writing import writing

APPLICATION_ID = 0x5045_4355
"""Application id of an SQLite file with answers."""

# Long enough for the write of another session, short enough for a person to wait.
WAIT = 3.0

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
    # The answers of known galaxies.
    """
CREATE TABLE gold (
    question TEXT NOT NULL REFERENCES questions (name),
    galaxy TEXT NOT NULL,
    answer TEXT NOT NULL,
    PRIMARY KEY (question, galaxy)
) STRICT;
""",
)
"""Migrations from each version to the next; an empty file has version 0."""

VERSION = len(_MIGRATIONS)

_TRIGGERS = {("trigger", "kept"), ("trigger", "fixed")}


def prepare(connection: sqlite3.Connection, path: Path, columns: Collection[str]) -> None:
    """Create, migrate and check the tables of a database.

    Parameters
    ----------
    connection : sqlite3.Connection
    path : path
        Of the database.
    columns : collection of str
        The columns of events.

    Raises
    ------
    DataError
        If it is something else, has a later version, is damaged, or was changed by another program.
    """
    # In this order, because another session may create the tables meanwhile.
    tables = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    kind, version = _pragma(connection, "application_id"), _pragma(connection, "user_version")
    if kind != APPLICATION_ID and (tables or kind):
        message = f"{path} is a database without answers of peculiar; name another file (--db)"
        raise DataError(message)
    if not 0 <= version <= VERSION:
        message = (
            f"{path} has version {version}, but this peculiar knows versions up to {VERSION}; update "
            "peculiar, or name another file (--db)"
        )
        raise DataError(message)
    if version < VERSION:
        # With FULL an answer is on the disk before it is confirmed, even if the power fails.
        connection.execute("PRAGMA journal_mode = WAL")
        _migrate(connection, path)
    _check_tables(connection, path, columns)
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")


def _check_tables(connection: sqlite3.Connection, path: Path, expected: Collection[str]) -> None:
    """Raise `DataError` unless the tables are as they are created here: the file may come from anybody."""
    run = connection.execute
    found = {(type_, name) for type_, name in run("SELECT type, name FROM sqlite_schema WHERE sql IS NOT NULL")}
    strict = {name for _, name, type_, _, _, strict, *_ in run("PRAGMA table_list") if type_ == "table" and strict}
    columns = {name for _, name, *_ in run("PRAGMA table_info(events)")}
    # SQLite enforces the types of strict tables. Triggers and views, which run code, must be ours.
    alive = {one for one in found if one[0] in ("trigger", "view")}
    if not {"questions", "events", "gold"} <= strict or not set(expected) < columns or alive != _TRIGGERS:
        message = f"{path} was changed by another program; restore a copy, or name another file (--db)"
        raise DataError(message)
    fault = run("PRAGMA quick_check(1)").fetchone()[0]
    if fault != "ok":
        message = f"{path} is damaged ({fault.splitlines()[-1]}); restore a copy, or name another file (--db)"
        raise DataError(message)


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Run several statements or none."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Migrate the tables to this version; an existing database is copied first, and the copy kept."""
    copy = None
    with transaction(connection):
        before = _pragma(connection, "user_version")  # another session may have been faster
        if 0 < before < VERSION:
            copy = _copy(path, before)
        for script in _MIGRATIONS[before:]:
            for statement in _statements(script):
                connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {max(before, VERSION)}")
    if copy is not None:
        message = f"{path} was converted from version {before} to version {VERSION}; the original is {copy}"
        warnings.warn(message, PeculiarWarning, stacklevel=5)


def _copy(path: Path, version: int) -> Path:
    """Copy the database beside itself, under a free name with its version."""
    numbered = (f".version-{version}" + f"-{number}" * (number > 1) for number in itertools.count(1))
    places = (path.with_name(f"{path.stem}{name}{path.suffix}") for name in numbered)
    place = next(one for one in places if not one.exists())
    # On a connection of its own: SQLite cannot copy within a write transaction.
    with (
        writing(place) as temporary,
        closing(sqlite3.connect(path, timeout=WAIT)) as reading,
        closing(sqlite3.connect(temporary)) as copied,
    ):
        reading.backup(copied)
    return place


def _statements(script: str) -> Iterator[str]:
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
