"""Answers in a database from Python; the commands print the same."""

from pathlib import Path
from typing import Any

import pytest

from peculiar.errors import NotFoundError, UnknownNameError, UsageError
from peculiar.labelling.answers import agreement, export_labels
from peculiar.labelling.database import Event, Labels
from peculiar.questions.question import Question
from peculiar.tables.reader import TableReader

SHELL = Question("shell", ("shell", "no shell"))


@pytest.fixture
def db(tmp_path: Path) -> Path:
    """Answers of two annotators, who agree on one galaxy of two; the third has one answer."""
    given = [("Ada", "a", "shell"), ("Ada", "b", "shell"), ("Ada", "c", "no shell")]
    given += [("Bob", "a", "shell"), ("Bob", "b", "no shell")]
    with Labels(tmp_path / "labels.db") as labels:
        labels.ask(SHELL)
        labels.record(
            [
                Event(f"event-{number:06d}", "answer", who, galaxy, "shell", answer)
                for number, (who, galaxy, answer) in enumerate(given)
            ]
        )
    return tmp_path / "labels.db"


def test_answers_are_written(db: Path, tmp_path: Path) -> None:
    assert export_labels(db, tmp_path / "labels.csv") == 2
    assert TableReader(tmp_path / "labels.csv").column("id") == ["a", "c"]
    assert export_labels(db, tmp_path / "events.parquet", "events", question="shell") == 5


def test_annotators_are_compared(db: Path, peculiar_command: Any) -> None:
    found = agreement(db)
    assert (found.question, found.galaxies, found.several) == ("shell", 3, 2)
    assert found.kappas == {("Ada", "Bob"): (0.0, 2)}
    assert [skill.who for skill in found.skills] == ["Ada", "Bob"]
    status, said, _ = peculiar_command("labels", "agreement", db)
    assert (status, said) == (0, f"{found!r}\n")


def test_questions_that_are_not_there_are_told(db: Path, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"no question 'shel'.*Did you mean 'shell'"):
        agreement(db, question="shel")
    with pytest.raises(NotFoundError):
        agreement(tmp_path / "none.db")
    with Labels(db) as labels:
        labels.ask(Question("ring", ("ring", "no ring")))
    with pytest.raises(UsageError, match="has 2 questions; name one"):
        agreement(db)
    with Labels(tmp_path / "new.db"):
        pass
    with pytest.raises(UsageError, match="holds no answers yet"):
        export_labels(tmp_path / "new.db", tmp_path / "x.csv")


def test_a_wide_table_has_all_questions(tmp_path: Path) -> None:
    tree = [SHELL, Question("where", ("inside", "outside")), Question("sides", ("one", "two"))]
    given = [("Ada", "7", "shell", "shell"), ("Ada", "7", "where", "inside"), ("Bob", "7", "where", "inside")]
    given += [("Ada", "12", "shell", "no shell"), ("Bob", "12", "where", "")]
    with Labels(tmp_path / "labels.db") as labels:
        labels.ask(*tree)
        labels.record(
            Event(f"event-{number:06d}", "answer" if answer else "unsure", who, galaxy, question, answer)
            for number, (who, galaxy, question, answer) in enumerate(given)
        )
    for name in ("wide.parquet", "wide.fits", "wide.csv"):
        assert export_labels(tmp_path / "labels.db", tmp_path / name, "wide") == 2
        table = TableReader(tmp_path / name)
        assert len(set(table.columns)) == 1 + 6 + 3
        found = {column: [int(one) for one in table.column(column)] for column in table.columns}
        assert found["id"] == [7, 12]
        assert (found["n_where_inside"], found["n_where_outside"]) == ([2, 0], [0, 0])
        assert (found["n_shell_shell"], found["n_shell_no shell"]) == ([1, 0], [0, 1])
        assert found["unsure_where"] == [0, 1]
    with pytest.raises(UsageError, match="all questions"):
        export_labels(tmp_path / "labels.db", tmp_path / "wide.csv", "wide", question="where")
