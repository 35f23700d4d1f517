"""Answers as events: none lost, none doubled, none changed; exports; bad databases."""

import csv
import os
import random
import signal
import sqlite3
import subprocess
import sys
import textwrap
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from peculiar.cli import app
from peculiar.errors import DataError, LabelError, NotFoundError, PeculiarWarning, UnknownNameError, UsageError
from peculiar.labelling import schema as labels_module
from peculiar.labelling.database import Event, Labels
from peculiar.labelling.export import export_answers, majority
from peculiar.labelling.schema import APPLICATION_ID, VERSION
from peculiar.questions.question import Question
from peculiar.tables.reader import TableReader

SHELL = Question("shell", ("no shell", "shell"))


def said(number: int, answer: str = "shell", *, galaxy: str = "", who: str = "Ada", kind: str = "answer") -> Event:
    text = answer if kind == "answer" else ""
    return Event(f"event-{number:06d}", kind, who, galaxy or f"g{number}", "shell", text)


@pytest.fixture
def labels(tmp_path: Path) -> Iterator[Labels]:
    with Labels(tmp_path / "labels.db") as opened:
        opened.ask(SHELL)
        yield opened


def test_an_event_sent_twice_is_stored_once(labels: Labels) -> None:
    assert labels.record(said(1)) == 1
    assert labels.record([said(1), said(2)]) == 1
    assert [one.galaxy for one in labels.current("shell")] == ["g1", "g2"]
    with pytest.raises(LabelError, match="exists with other content"):
        labels.record(said(1, "no shell"))


def test_the_last_word_counts_and_an_undo_brings_back_the_one_before(labels: Labels) -> None:
    labels.record([said(1, galaxy="g"), said(2, "no shell", galaxy="g")])
    assert [one.answer for one in labels.current("shell")] == ["no shell"]
    undo = Event("event-000003", "undo", "Ada", "g", "shell", undoes="event-000002")
    assert labels.record(undo) == 1
    assert labels.record(undo) == 0
    assert [one.answer for one in labels.current("shell")] == ["shell"]
    assert [one.kind for _, one in labels.history("shell")] == ["answer", "answer", "undo"]
    last = labels.last("shell", "Ada")
    assert last is not None
    assert labels.find("event-000001") == last
    assert labels.find("event-000009") is None
    assert last.event == "event-000001"
    for event, who in (("event-000002", "Ada"), ("event-000001", "Bob"), ("event-000003", "Ada"), ("event-99", "Ada")):
        with pytest.raises(LabelError, match="nothing to undo"):
            labels.record(Event("event-000009", "undo", who, "g", "shell", undoes=event))


def test_all_or_none_of_several_events_are_stored(labels: Labels) -> None:
    with pytest.raises(LabelError, match="not an answer to 'shell'"):
        labels.record([said(1), said(2, "spiral")])
    assert labels.current("shell") == []


def test_nothing_is_ever_changed_or_deleted(labels: Labels) -> None:
    labels.record(said(1))
    with sqlite3.connect(labels.path) as connection:
        for sql in ("DELETE FROM events", "UPDATE events SET answer = 'no shell'"):
            with pytest.raises(sqlite3.IntegrityError, match="never"):
                connection.execute(sql)
    connection.close()


@pytest.mark.parametrize(
    ("changed", "match"),
    [
        ({"event": "../../etc"}, "letters, digits"),
        ({"event": "short"}, "8 to 64"),
        ({"kind": "delete"}, "one of answer"),
        ({"who": " "}, "the name of an annotator"),
        ({"who": "a\nb"}, "printable"),
    ],
)
def test_an_event_says_what_it_may(changed: dict[str, str], match: str) -> None:
    given = {"event": "event-000001", "kind": "answer", "who": "Ada", "galaxy": "g", "question": "shell"} | changed
    with pytest.raises(LabelError, match=match):
        Event(**given)


def test_a_question_keeps_its_answers(labels: Labels) -> None:
    with pytest.raises(LabelError, match="was asked with the answers no shell, shell"):
        labels.ask(Question("shell", ("yes", "no")))
    with pytest.raises(LabelError, match="was not asked"):
        labels.record(Event("event-000001", "skip", "Ada", "g", "ring"))


@settings(deadline=None, max_examples=30)
@given(
    st.lists(
        st.tuples(st.sampled_from(["Ada", "Bob"]), st.integers(0, 3), st.sampled_from(["shell", "no shell", "undo"])),
        max_size=25,
    )
)
def test_any_course_of_answers_and_undos_ends_as_one_counts_by_hand(
    tmp_path_factory: pytest.TempPathFactory, course: list[tuple[str, int, str]]
) -> None:
    stacks: dict[str, list[Event]] = {"Ada": [], "Bob": []}
    with Labels(tmp_path_factory.mktemp("labels") / "labels.db") as opened:
        opened.ask(SHELL)
        for number, (who, galaxy, what) in enumerate(course):
            if what != "undo":
                stacks[who].append(said(number, what, galaxy=f"g{galaxy}", who=who))
                opened.record(stacks[who][-1])
            elif stacks[who]:
                last = stacks[who].pop()
                assert opened.last("shell", who) == last
                opened.record(Event(f"event-{number:06d}", "undo", who, last.galaxy, "shell", undoes=last.event))
        expected = {(who, one.galaxy): one.answer for who, stack in stacks.items() for one in stack}
        assert {(one.who, one.galaxy): one.answer for one in opened.current("shell")} == expected


def test_two_desks_write_to_one_database(labels: Labels) -> None:
    with Labels(labels.path) as other, ThreadPoolExecutor(4) as pool:
        sent = [said(number, who="Ada" if number % 2 else "Bob") for number in range(80)]
        # Every event is sent to both, like a request that is repeated in another session.
        stored = list(pool.map(lambda one: labels.record(one) + other.record(one), sent))
        assert stored == [1] * 80
        assert len(labels.current("shell")) == len(other.current("shell")) == 80


def test_what_was_confirmed_outlives_a_kill(tmp_path: Path) -> None:
    code = """
        import sys
        from peculiar.labelling.database import Event, Labels
        from peculiar.questions.question import Question
        labels = Labels(sys.argv[1])
        labels.ask(Question("shell", ("no shell", "shell")))
        for number in range(100_000):
            labels.record(Event(f"event-{number:06d}", "answer", "Ada", f"g{number}", "shell", "shell"))
            sys.stdout.write(f"{number}\\n")
            sys.stdout.flush()
    """
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), str(tmp_path / "labels.db")], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    confirmed = -1
    while confirmed < 40:
        confirmed = int(process.stdout.readline())
    os.kill(process.pid, signal.SIGKILL)
    confirmed = max([confirmed, *map(int, process.stdout.read().split("\n")[:-1])])
    process.stdout.close()
    process.wait()
    with Labels(tmp_path / "labels.db") as labels:
        found = [one.galaxy for one in labels.current("shell")]
    # The last may be on the disk before its number was told.
    assert found in ([f"g{n}" for n in range(confirmed + 1)], [f"g{n}" for n in range(confirmed + 2)])


def test_votes_and_labels_are_exported(labels: Labels, tmp_path: Path) -> None:
    for number, (galaxy, who, answer) in enumerate(
        [
            ("a", "Ada", "shell"),
            ("a", "Bob", "shell"),
            ("a", "Cy", "no shell"),
            ("b", "Ada", "shell"),
            ("b", "Bob", "no shell"),
        ]
    ):
        labels.record(said(number, answer, galaxy=galaxy, who=who))
    labels.record([said(7, galaxy="b", who="Cy", kind="unsure"), said(8, galaxy="c", kind="skip")])
    assert export_answers(labels, tmp_path / "votes.csv", "shell", "votes") == 2
    reader = TableReader(tmp_path / "votes.csv")
    assert reader.columns == ("id", "n_no shell", "n_shell", "unsure")
    assert [reader.column(name) for name in reader.columns] == [["a", "b"], ["1", "1"], ["2", "1"], ["0", "1"]]
    assert export_answers(labels, tmp_path / "labels.parquet", "shell", "labels") == 1
    (row,) = pyarrow.parquet.read_table(tmp_path / "labels.parquet").to_pylist()
    assert (row["id"], row["label"], row["votes"]) == ("a", "shell", 3)
    assert row["agreement"] == pytest.approx(2 / 3)
    assert export_answers(labels, tmp_path / "events.csv", "shell", "events") == 7
    with pytest.raises(LabelError, match="was not asked"):
        export_answers(labels, tmp_path / "x.csv", "ring")
    with pytest.raises(UsageError, match="exported as"):
        export_answers(labels, tmp_path / "x.csv", "shell", "all")
    with pytest.raises(UsageError, match="suffix"):
        export_answers(labels, tmp_path / "x.txt", "shell")


def test_a_majority_needs_one_answer_ahead() -> None:
    assert majority({"a": 2, "b": 1, None: 5}, "ab") == ("a", 3, 2 / 3)
    assert majority(Counter(a=2, b=2), "ab") is None
    assert majority({None: 2}, "ab") is None


def test_bad_databases_are_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no answers"):
        Labels(tmp_path / "none.db", create=False)
    (tmp_path / "text.db").write_text("galaxies " * 200)
    with pytest.raises(DataError, match=r"text\.db: file is not a database; it is not a database of answers"):
        Labels(tmp_path / "text.db")
    with sqlite3.connect(tmp_path / "other.db") as connection:
        connection.execute("CREATE TABLE other (x)")
    connection.close()
    with pytest.raises(DataError, match="database without answers of peculiar; name another file"):
        Labels(tmp_path / "other.db")
    with sqlite3.connect(tmp_path / "later.db") as connection:
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute("CREATE TABLE events (x)")
        connection.execute("PRAGMA user_version = 9")
    connection.close()
    with pytest.raises(DataError, match=f"has version 9, but this peculiar knows versions up to {VERSION}"):
        Labels(tmp_path / "later.db")
    with pytest.raises(DataError, match="folder has to exist"):
        Labels(tmp_path / "no" / "such" / "labels.db")


def test_a_locked_database_says_so(labels: Labels, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("peculiar.labelling.database.WAIT", 0.1)
    with Labels(labels.path) as hasty, sqlite3.connect(labels.path, isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(DataError, match="locked; another program is writing to it"):
            hasty.record(said(1))
        other.execute("ROLLBACK")
        assert hasty.record(said(1)) == 1
    other.close()


def test_a_read_only_database_says_so(labels: Labels) -> None:
    labels.record(said(1))
    labels._connection.execute("PRAGMA query_only = ON")  # what a read-only disk answers; root may write to any file
    with pytest.raises(DataError, match="readonly database; it cannot be written"):
        labels.record(said(2))
    assert len(labels.current("shell")) == 1


def test_commands_export_and_compare(labels: Labels, tmp_path: Path) -> None:
    labels.record([said(1, galaxy="a"), said(2, galaxy="b"), said(3, "no shell", galaxy="c")])
    labels.record([said(4, galaxy="a", who="Bob"), said(5, "no shell", galaxy="b", who="Bob")])
    done = CliRunner().invoke(app, ["labels", "export", str(labels.path), "--out", str(tmp_path / "labels.csv")])
    assert done.exit_code == 0, done.output
    assert (tmp_path / "labels.csv").read_text().splitlines()[1].startswith('"a","shell",2,1')
    told = CliRunner().invoke(app, ["labels", "agreement", str(labels.path)]).stdout
    assert "3 galaxies, 2 with answers of several annotators" in told
    assert "Cohen's kappa of Ada and Bob (2 galaxies): 0.00" in told
    for command in (["agreement"], ["export", "--out", str(tmp_path / "none.csv")]):
        refused = CliRunner().invoke(app, ["labels", *command, str(labels.path), "--question", "shel"])
        assert isinstance(refused.exception, UnknownNameError)
        assert "Did you mean 'shell'" in str(refused.exception)


VERSION_1 = """
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
INSERT INTO questions VALUES ('shell', 'no shell' || char(10) || 'shell');
INSERT INTO events (event, kind, who, at, question, galaxy, answer, model, session, chosen)
    VALUES ('event-000001', 'answer', 'Ada', '2026-01-02T03:04:05.000+00:00', 'shell', 'g1', 'shell', '', '', '');
PRAGMA application_id = 1346716501;
PRAGMA user_version = 1;
"""


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A database as version 1 left it."""
    path = tmp_path / "old.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(VERSION_1)
    return path


def test_a_database_of_version_1_is_brought_up_to_date_and_kept_as_it_was(old: Path) -> None:
    with pytest.warns(PeculiarWarning, match=rf"was converted from version 1 to version {VERSION}.*old\.version-1\.db"):
        opened = Labels(old)
    with opened as labels:
        assert [(one.galaxy, one.answer) for one in labels.current("shell")] == [("g1", "shell")]
        labels.ask(Question("shell", SHELL.answers, asks="Is there a shell?"))
        assert labels.record(said(2)) == 1
    with Labels(old) as again:  # without a warning
        assert len(again.current("shell")) == 2
    with closing(sqlite3.connect(old.with_name("old.version-1.db"))) as copy:
        assert copy.execute("PRAGMA user_version").fetchone() == (1,)
        assert copy.execute("SELECT galaxy FROM events").fetchall() == [("g1",)]
        assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert sorted(file.name for file in old.parent.iterdir()) == ["old.db", "old.version-1.db"]


def test_an_earlier_copy_is_not_written_over(old: Path) -> None:
    old.with_name("old.version-1.db").write_text("precious")
    with pytest.warns(PeculiarWarning, match=r"old\.version-1-2\.db"):
        Labels(old).close()
    assert old.with_name("old.version-1.db").read_text() == "precious"


def test_several_desks_bring_a_database_up_to_date_once(old: Path) -> None:
    with pytest.warns(PeculiarWarning) as told, ThreadPoolExecutor(4) as pool:
        opened = list(pool.map(lambda _: Labels(old), range(4)))
    for one in opened:
        assert len(one.current("shell")) == 1
        one.close()
    assert len(told) == 1


def test_a_migration_that_fails_leaves_the_database_as_it_was(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = (*labels_module._MIGRATIONS, "ALTER TABLE questions ADD COLUMN more TEXT;\nALTER TABLE gone ADD COLUMN x;")
    monkeypatch.setattr("peculiar.labelling.schema._MIGRATIONS", broken)
    monkeypatch.setattr("peculiar.labelling.schema.VERSION", VERSION + 1)
    with pytest.raises(DataError, match=r"old\.db: no such table: gone"):
        Labels(old)
    monkeypatch.undo()
    with pytest.warns(PeculiarWarning, match=f"to version {VERSION}"):
        Labels(old).close()


def test_a_command_tells_of_the_copy(old: Path, tmp_path: Path) -> None:
    with pytest.warns(PeculiarWarning, match="the original is"):
        done = CliRunner().invoke(app, ["labels", "export", str(old), "--out", str(tmp_path / "labels.csv")])
    assert done.exit_code == 0, done.output
    assert (tmp_path / "labels.csv").read_text().splitlines()[1].startswith('"g1","shell"')


def test_questions_are_asked_all_or_none(labels: Labels) -> None:
    with pytest.raises(LabelError, match="was asked with the answers"):
        labels.ask(Question("ring", ("no", "yes")), Question("shell", ("yes", "no")))
    assert list(labels.questions()) == ["shell"]


def test_the_history_of_several_questions_is_in_the_order_of_the_answers(labels: Labels) -> None:
    labels.ask(Question("ring", ("no", "yes")))
    labels.record(said(1))
    labels.record(Event("event-000002", "answer", "Ada", "g1", "ring", "yes"))
    labels.record(said(3))
    assert [(number, one.question) for number, one in labels.history("ring", "shell", after=1)] == [
        (2, "ring"),
        (3, "shell"),
    ]


def test_an_export_says_how_the_question_was_asked(labels: Labels, tmp_path: Path) -> None:
    labels.ask(Question("shell", SHELL.answers, asks="Is there a shell?"))
    labels.record(said(1))
    export_answers(labels, tmp_path / "labels.parquet", "shell", "labels")
    notes = pyarrow.parquet.read_table(tmp_path / "labels.parquet").schema.metadata
    assert notes[b"asked as"] == b"Is there a shell?"


@pytest.mark.parametrize(
    ("first", "second", "kept"),
    [
        ("", "Is there a shell?", "Is there a shell?"),
        ("Is there a shell?", "", "Is there a shell?"),
        ("Is there a shell?", "Is there a shell?", "Is there a shell?"),
        ("Is there a shell?", "Is it a star?", None),
    ],
)
def test_another_question_of_the_same_name_is_refused(
    labels: Labels, tmp_path: Path, first: str, second: str, kept: str | None
) -> None:
    question = Question("ring", ("no", "yes"), asks=first)
    labels.ask(question)
    again = Question("ring", ("no", "yes"), asks=second)
    if kept is None:
        with pytest.raises(LabelError, match=r"was asked as 'Is there a shell\?', not as 'Is it a star\?'"):
            labels.ask(again)
        return
    labels.ask(again)
    export_answers(labels, tmp_path / "labels.parquet", "ring", "labels")
    assert pyarrow.parquet.read_schema(tmp_path / "labels.parquet").metadata[b"asked as"].decode() == kept


def _filled(path: Path) -> bytes:
    with Labels(path) as opened:
        opened.ask(SHELL)
        opened.record([said(number, who=f"p{number % 3}", galaxy=f"g{number // 3}") for number in range(200)])
    return path.read_bytes()


def _use(path: Path, out: Path) -> None:
    with Labels(path) as opened:
        for question, answers in opened.questions().items():
            opened.votes(question)
            opened.last(question, "p1")
            for what in ("votes", "labels", "events"):
                export_answers(opened, out, question, what)
            opened.record(Event("event-of-today", "answer", "Zoe", "g1", question, answers[0]))


@pytest.mark.parametrize("how", ["cut", "flipped", "overwritten"])
def test_a_damaged_database_is_read_or_refused_in_words(tmp_path: Path, how: str) -> None:
    good, chance = _filled(tmp_path / "good.db"), random.Random(222)
    refused: list[str] = []
    for number in range(40):
        content = bytearray(good)
        at = chance.randrange(len(content))
        if how == "cut":
            del content[at:]
        elif how == "flipped":
            for _ in range(chance.randrange(1, 20)):
                content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        else:
            content[at : at + 500] = chance.randbytes(len(content[at : at + 500]))
        path = tmp_path / f"{number}.db"
        path.write_bytes(content)
        try:
            _use(path, tmp_path / "out.csv")
        except (DataError, UsageError) as error:  # LabelError is a DataError
            refused.append(str(error))
    assert len(refused) >= 10
    assert all(message.isprintable() for message in refused)


@pytest.mark.parametrize(
    "changes",
    [
        "DROP TRIGGER kept",
        "CREATE TRIGGER more AFTER INSERT ON events BEGIN SELECT 1; END",
        "CREATE VIEW more AS WITH RECURSIVE r(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM r) SELECT * FROM r",
        "DROP TABLE events; CREATE VIEW events AS SELECT 1 AS number",
        "DROP TABLE events",
        "DROP TABLE events; CREATE TABLE events (number, event, kind, who, at, question, galaxy, answer)",
        "ALTER TABLE events DROP COLUMN session",
        "ALTER TABLE questions RENAME TO others",
    ],
)
def test_a_database_that_another_program_changed_is_refused(tmp_path: Path, changes: str) -> None:
    path = tmp_path / "labels.db"
    _filled(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.executescript(changes)
    before = path.read_bytes()
    with pytest.raises(DataError, match=r"labels\.db was changed by another program"):
        Labels(path)
    assert path.read_bytes() == before


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path, tmp_path / "fifo", Path("/dev/zero")):
        with pytest.raises(DataError, match="is not a file; name another one"):
            Labels(path)


def test_what_lies_in_the_log_is_read(tmp_path: Path) -> None:
    opened = Labels(tmp_path / "labels.db")
    opened.ask(SHELL)
    opened.record(said(1))
    for name in ("labels.db", "labels.db-wal"):  # as a kill leaves them
        (tmp_path / f"copy-{name}").write_bytes((tmp_path / name).read_bytes())
    opened.close()
    with Labels(tmp_path / "copy-labels.db") as copied:
        assert [one.galaxy for one in copied.current("shell")] == ["g1"]
    assert not (tmp_path / "copy-labels.db-wal").exists()


@pytest.mark.parametrize("hostile", ["=1+1", "+cmd|' /C calc'!A0", "@SUM(A1)", "-2+3", "\ttab"])
def test_an_export_holds_no_formulas(labels: Labels, tmp_path: Path, hostile: str) -> None:
    galaxy = hostile
    labels.record([said(1, galaxy=galaxy), said(2, galaxy=galaxy, who="Bob")])
    for what in ("votes", "labels", "events"):
        export_answers(labels, tmp_path / f"{what}.csv", "shell", what)
        with (tmp_path / f"{what}.csv").open(newline="") as file:
            row = next(csv.DictReader(file))
        assert row.get("id", row.get("galaxy")) == f"'{galaxy}"
        assert TableReader(tmp_path / f"{what}.csv").column("galaxy" if what == "events" else "id")[0] == galaxy


def test_one_annotator_s_answers_are_found(labels: Labels) -> None:
    labels.record([said(1), said(2, who="Bob"), said(3, "no shell")])
    assert [one.galaxy for one in labels.current("shell", "Ada")] == ["g1", "g3"]


def test_only_an_undo_withdraws(labels: Labels) -> None:
    labels.record([said(1)])
    with pytest.raises(LabelError, match="only an undo withdraws an event"):
        labels.record([replace(said(2), undoes="event-000001")])
    assert [one.answer for one in labels.current("shell")] == ["shell"]


@pytest.mark.parametrize("answers", [("shell", "no\nshell"), ("shell", " ")])
def test_a_question_whose_answers_cannot_be_shown_is_refused(labels: Labels, answers: tuple[str, ...]) -> None:
    with pytest.raises(LabelError, match="'other' needs two answers or more, of printable characters"):
        labels.ask(Question("other", answers))
