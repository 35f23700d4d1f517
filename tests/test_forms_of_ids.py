"""Ids that two files write in different ways are joined by every command that joins them."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from PIL import Image

from peculiar.catalogs.catalog import Catalog
from peculiar.catalogs.teach import teach
from peculiar.evaluation.agreement import compare_classes
from peculiar.evaluation.compare import compare
from peculiar.labelling.consensus import consensus
from peculiar.labelling.database import Event, Labels
from peculiar.labelling.web.serve import open_session
from peculiar.questions.question import Question
from peculiar.verification.verify import verify

COUNT = 60
FIRST = 9223372036854775807 - COUNT
"""Beyond 2^53, where floats skip numbers."""

FORMS: dict[str, Callable[[int], str]] = {
    "as they are": lambda number: f"ab{FIRST + number}",
    "another case": lambda number: f"AB{FIRST + number}",
    "file names": lambda number: f"ab{FIRST + number}.png",
    "paths": lambda number: f"Pictures/ab{FIRST + number}.PNG",
    "blanks": lambda number: f" ab{FIRST + number} ",
}

ODD = Question("odd", ("plain", "odd"))


def write(path: Path, ids: list[str], **columns: object) -> Path:
    table = pa.table({"id": ids, **columns})
    notes = {"answer columns": json.dumps({"odd": {"odd": "p_odd"}}), "question": "odd"}
    pa.parquet.write_table(table.replace_schema_metadata(notes), path)
    return path


@pytest.fixture(params=FORMS)
def form(request: pytest.FixtureRequest) -> Callable[[int], str]:
    return FORMS[request.param]


@pytest.fixture
def truths() -> np.ndarray:
    return np.random.default_rng(222).random(COUNT) < 0.5


@pytest.fixture
def catalog(tmp_path: Path, truths: np.ndarray) -> Path:
    ids = [FORMS["as they are"](number) for number in range(COUNT)]
    odd = np.where(truths, 0.9, 0.1) + np.arange(COUNT) / 1000
    classes = [ODD.answers[int(one)] for one in truths]
    vectors = np.random.default_rng(2).normal(size=COUNT * 4).astype(np.float32)
    embedding = pa.FixedSizeListArray.from_arrays(pa.array(vectors), 4)
    return write(tmp_path / "catalog.parquet", ids, p_odd=odd, embedding=embedding, **{"class": classes})


@pytest.fixture
def other(tmp_path: Path, truths: np.ndarray, form: Callable[[int], str]) -> Path:
    """The same galaxies in another order, with their labels and probabilities."""
    order = np.random.default_rng(1).permutation(COUNT).tolist()
    classes = [ODD.answers[int(truths[number])] for number in order]
    ids = [form(number) for number in order]
    interesting = [("no", "yes")[int(truths[number])] for number in order]
    columns = {"label": classes, "class": classes, "interesting": interesting}
    return write(tmp_path / "other.parquet", ids, p_odd=np.where(truths[order], 0.8, 0.2), **columns)


def test_compare(catalog: Path, other: Path) -> None:
    found = compare(catalog, other, labels=other, label="label", verbose=False)
    assert len(found.first.ids) == COUNT
    assert found.scores.overall["accuracy"].first == found.scores.overall["accuracy"].second == 1
    assert found.changed == []


def test_compare_without_labels(catalog: Path, other: Path) -> None:
    found = compare_classes(catalog, other)
    assert (len(found.ids), found.share) == (COUNT, 1)


def test_verify(catalog: Path, other: Path, truths: np.ndarray) -> None:
    found = verify(catalog, "p_odd", other, label="label", true=["odd"])
    assert found.cells.answered.sum() == COUNT
    assert found.cells.true.sum() == truths.sum()


def test_consensus_with_a_catalogue(catalog: Path, truths: np.ndarray, form: Callable[[int], str]) -> None:
    given = [
        Event(f"event-{number:06d}", "answer", "Ada", form(number).strip(), "odd", ODD.answers[int(truths[number])])
        for number in range(COUNT)
    ]
    with Labels("labels.db") as labels:
        labels.ask(ODD)
        labels.record(given)
    found = consensus("labels.db", catalog=catalog)
    assert found.annotators["Ada"].compared == COUNT


def test_teach_by_a_catalogue(catalog: Path, other: Path) -> None:
    found = teach(other, "answers.csv", catalog=catalog, embeddings=catalog, label="label", question="odder")
    assert (found.used, found.left_out) == (COUNT, 0)


def test_ratings_of_anomalies(catalog: Path, other: Path) -> None:
    found = Catalog(catalog).anomalies([other], top=COUNT).to_arrow()
    assert len(found) == COUNT
    assert found["interesting"].null_count == 0


def test_only_the_galaxies_of_a_table(tmp_path: Path, form: Callable[[int], str]) -> None:
    folder = tmp_path / "Pictures"
    folder.mkdir()
    names = [FORMS["as they are"](number) for number in range(3)]
    for name in names:
        Image.fromarray(np.full((32, 32, 3), 90, np.uint8)).save(folder / f"{name}.png")
    with Labels("labels.db") as labels:
        session = open_session(folder, labels, question=ODD, only=[form(0), form(2), "elsewhere"])
        asked = []
        while (task := session.next("Ada")) is not None:
            asked.append(task.id)
            session.answer("Ada", task.row, "odd", task.event, "answer", 1, None, task.chosen)
        session.pictures.close()
    assert sorted(asked) == [f"{names[0]}.png", f"{names[2]}.png"]
