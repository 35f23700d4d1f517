"""Answers with the names of keys of the labelling page are answers, in every export and whoever reads it."""

from pathlib import Path
from typing import Any

import pytest

from peculiar.labelling.answers import agreement, export_labels
from peculiar.labelling.database import Event, Labels
from peculiar.questions.question import Question
from peculiar.tables.reader import TableReader

WORDS = ("unsure", "skip")
QUESTION = Question("word", WORDS)

# Annotator, galaxy, kind of event, answer.
GIVEN = [
    *((who, "g1", "answer", "unsure") for who in ("Ada", "Bob")),
    ("Cy", "g1", "unsure", ""),
    ("Ada", "g2", "answer", "skip"),
    ("Bob", "g2", "skip", ""),
    ("Cy", "g2", "answer", "unsure"),
    ("Dot", "g2", "answer", "skip"),
    ("Ada", "g3", "unsure", ""),
]


@pytest.fixture
def db(tmp_path: Path) -> Path:
    path = tmp_path / "labels.db"
    with Labels(path) as labels:
        labels.ask(QUESTION)
        labels.record(
            [
                Event(f"event-{number:06d}", kind, who, galaxy, QUESTION.name, answer)
                for number, (who, galaxy, kind, answer) in enumerate(GIVEN)
            ]
        )
    return path


def rows(path: Path) -> list[dict[str, Any]]:
    reader = TableReader(path)
    columns = [reader.column(name) for name in reader.columns]
    return [dict(zip(reader.columns, row, strict=True)) for row in zip(*columns, strict=True)]


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".fits", ".vot", ".ecsv"])
@pytest.mark.parametrize("what", ["votes", "labels", "events", "wide", "consensus"])
def test_an_answer_is_not_taken_for_a_key(db: Path, tmp_path: Path, what: str, suffix: str) -> None:
    out = tmp_path / f"{what}{suffix}"
    export_labels(db, out, what)
    found = {str(row.get("id", row.get("galaxy"))): row for row in rows(out)}
    match what:
        case "votes":
            names = ("n_unsure", "n_skip", "unsure")
            counts = {id_: tuple(int(row[name]) for name in names) for id_, row in found.items()}
            assert counts == {"g1": (2, 0, 1), "g2": (1, 2, 0), "g3": (0, 0, 1)}
        case "wide":
            names = ("n_word_unsure", "n_word_skip", "unsure_word")
            counts = {id_: tuple(int(row[name]) for name in names) for id_, row in found.items()}
            assert counts == {"g1": (2, 0, 1), "g2": (1, 2, 0), "g3": (0, 0, 1)}
        case "events":
            told = [(row["who"], row["galaxy"], row["kind"], row["answer"] or "") for row in rows(out)]
            assert sorted(told) == sorted(GIVEN)
        case _:
            assert {id_: row["label"] for id_, row in found.items()} == {"g1": "unsure", "g2": "skip"}


def test_keys_do_not_count_in_the_agreement(db: Path) -> None:
    found = agreement(db)
    assert (found.galaxies, found.several) == (2, 2)
    assert found.kappas["Ada", "Bob"][1] == 1  # on g2, Bob pressed the key
