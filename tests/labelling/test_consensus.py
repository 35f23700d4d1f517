"""Consensus of the annotators of a database, alone and with a catalogue; the method is tested in tests/metrics."""

from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from crowds import simulate_crowd
from peculiar.errors import LabelError, UnknownNameError, UsageError
from peculiar.labelling.answers import export_labels
from peculiar.labelling.consensus import consensus
from peculiar.labelling.database import Event, Labels
from peculiar.questions.question import Question
from peculiar.tables.reader import TableReader

ODD = Question("odd", ("not odd", "odd"))
PEOPLE = ("Ada", "Bob", "Cy", "Dot", "Eve")


def store(path: Path, given: list[tuple[str, str, str]], question: Question = ODD, **options: Any) -> Path:
    """Store answers: annotator, galaxy, answer; an empty answer is "unsure"."""
    numbers = count()
    with Labels(path) as labels:
        labels.ask(question, **options)
        labels.record(
            [
                Event(
                    f"{question.name}-{next(numbers):06d}",
                    "answer" if answer else "unsure",
                    who,
                    galaxy,
                    question.name,
                    answer,
                )
                for who, galaxy, answer in given
            ]
        )
    return path


def catalog(path: Path, ids: list[Any], odd: list[float | None], name: str = "id") -> Path:
    pa.parquet.write_table(pa.table({name: ids, "p_odd": pa.array(odd, pa.float32())}), path)
    return path


@pytest.fixture
def db(tmp_path: Path) -> Path:
    """Two careful annotators and a careless one; g2 has a single answer, of the careless one."""
    given = [(who, f"g{galaxy}", ODD.answers[galaxy % 2]) for who in ("Ada", "Bob") for galaxy in range(3, 23)]
    given += [("Cy", f"g{galaxy}", "odd") for galaxy in range(2, 23)]
    given += [("Ada", "g0", "not odd"), ("Bob", "g0", "odd"), ("Cy", "g0", ""), ("Ada", "g1", "")]
    return store(tmp_path / "labels.db", given)


def test_the_most_disputed_come_first(db: Path) -> None:
    found = consensus(db)
    assert set(found.ids[:2]) == {"g0", "g2"}
    assert len(found.ids) == 22  # nobody is sure about g1
    assert [found.labels[found.ids.index(f"g{number}")] for number in (3, 4, 5)] == ["odd", "not odd", "odd"]
    assert (np.diff(found.probabilities.max(axis=1)) >= 0).all()
    assert found.votes[found.ids.index("g3")] == 3
    assert found.agreement[found.ids.index("g4")] == pytest.approx(2 / 3)
    assert list(found.annotators)[2] == "Cy"
    careless = found.annotators["Cy"]
    assert (careless.answers, careless.compared) == (21, 20)
    assert careless.accuracy == pytest.approx(0.5, abs=0.05)


def test_the_consensus_is_a_table_of_labels_and_probabilities(db: Path, tmp_path: Path, peculiar_command: Any) -> None:
    path, skills = tmp_path / "consensus.parquet", tmp_path / "annotators.csv"
    status, said, _ = peculiar_command(
        "labels", "export", db, "--as", "consensus", "--out", path, "--annotators", skills
    )
    found = consensus(db)
    assert (status, said) == (0, f"{found!r}\n22 rows are in {path}\n")
    table = pa.parquet.read_table(path)
    assert table.column_names == ["id", "label", "probability", "votes", "agreement", "p_odd"]
    assert table["id"].to_pylist() == found.ids
    assert table["p_odd"].to_numpy() == pytest.approx(found.probabilities[:, 1])
    assert table["probability"].to_numpy() == pytest.approx(found.probabilities.max(axis=1))
    assert TableReader(skills).columns == ("annotator", "answers", "compared", "accuracy", "low", "high")
    assert TableReader(skills).column("annotator") == list(found.annotators)
    assert export_labels(db, tmp_path / "other.csv", "consensus") == 22


def test_ids_keep_the_type_of_their_table(tmp_path: Path) -> None:
    given = [(who, str(galaxy), ODD.answers[galaxy % 2]) for who in "AB" for galaxy in range(5)]
    path = store(tmp_path / "labels.db", given, id_type=pa.int64())
    consensus(path).write(tmp_path / "consensus.parquet")
    assert pa.parquet.read_schema(tmp_path / "consensus.parquet").field("id").type == pa.int64()


def test_people_and_model_are_combined(tmp_path: Path) -> None:
    crowd = simulate_crowd([0.85, 0.8, 0.8, 0.5, 0.5], 400, each=3, shares=(0.7, 0.3))
    rows = [
        (PEOPLE[who], f"g{galaxy}", ODD.answers[crowd.answers[galaxy, who]])
        for galaxy, who in np.argwhere(crowd.answers >= 0)
    ]
    db = store(tmp_path / "labels.db", rows)
    model = catalog(tmp_path / "c.parquet", [f"g{row}" for row in range(400)], crowd.model[:, 1].tolist())

    def right(found: Any) -> float:
        truth = [ODD.answers[crowd.truth[int(id_[1:])]] for id_ in found.ids]
        return float(np.mean([one == other for one, other in zip(found.labels, truth, strict=True)]))

    alone, together = consensus(db), consensus(db, catalog=model)
    assert right(together) > right(alone) + 0.03
    assert together.notes == ["the catalogue has probabilities for 400 of them"]
    assert alone.model is None
    assert together.model is not None
    assert repr(together).splitlines()[-1].startswith("the model is right in 0.8")
    assert together.write_annotators(tmp_path / "a.csv") == 6


def test_a_catalogue_helps_a_single_annotator(tmp_path: Path) -> None:
    db = store(tmp_path / "labels.db", [("Ada", f"g{row}", ODD.answers[row % 2]) for row in range(20)])
    model = catalog(tmp_path / "c.parquet", [f"g{row}" for row in range(30)], [0.1, 0.9] * 14 + [None, 0.9])
    found = consensus(db, catalog=model)
    assert all(label == ODD.answers[int(id_[1:]) % 2] for id_, label in zip(found.ids, found.labels, strict=True))
    assert found.annotators["Ada"].compared == 20


def test_a_crowd_without_comparison_is_refused(tmp_path: Path, peculiar_command: Any) -> None:
    one = store(tmp_path / "one.db", [("Ada", "a", "odd"), ("Ada", "b", "not odd")])
    with pytest.raises(LabelError, match=r"no galaxy has answers of two annotators to 'odd'.*--as labels.*--catalog"):
        consensus(one)
    apart = store(tmp_path / "apart.db", [("Ada", "a", "odd"), ("Bob", "b", "odd")])
    out = tmp_path / "consensus.csv"
    status, _, said = peculiar_command("labels", "export", apart, "--as", "consensus", "--out", out)
    assert (status, "no galaxy has answers of two" in said, out.exists()) == (1, True, False)
    unsure = store(tmp_path / "unsure.db", [("Ada", "a", ""), ("Bob", "a", "")])
    with pytest.raises(LabelError, match="nobody has answered 'odd' yet"):
        consensus(unsure)


def test_a_single_galaxy_ties_and_all_alike_have_a_consensus(tmp_path: Path) -> None:
    tie = consensus(store(tmp_path / "tie.db", [("Ada", "a", "odd"), ("Bob", "a", "not odd")]))
    assert (tie.labels, tie.agreement.tolist()) == (["not odd"], [0.5])
    assert tie.probabilities == pytest.approx(np.array([[0.5, 0.5]]))
    alike = consensus(store(tmp_path / "alike.db", [(who, f"g{row}", "odd") for who in PEOPLE for row in range(3)]))
    assert alike.labels == ["odd"] * 3
    assert (alike.probabilities[:, 1] > 0.99).all()


def test_one_of_several_questions_is_named(db: Path) -> None:
    bar = Question("bar", ("bar", "no bar", "unclear"))
    store(db, [("Ada", "a", "bar"), ("Bob", "a", "bar"), ("Ada", "b", "unclear"), ("Bob", "b", "unclear")], bar)
    with pytest.raises(UsageError, match="has 2 questions; name one"):
        consensus(db)
    found = consensus(db, question="bar")
    assert (found.probabilities.shape, sorted(found.labels)) == ((2, 3), ["bar", "unclear"])
    with pytest.raises(UnknownNameError, match="no question 'baz'"):
        consensus(db, question="baz")


def test_a_catalogue_of_other_galaxies_or_another_question_is_refused(db: Path, tmp_path: Path) -> None:
    with pytest.raises(LabelError, match=r"none of the 22 galaxies with answers; its column 'id' needs the ids"):
        consensus(db, catalog=catalog(tmp_path / "other.parquet", ["x", "y"], [0.1, 0.9]))
    pa.parquet.write_table(pa.table({"id": ["g0"], "p_ringed": [0.5]}), tmp_path / "ringed.parquet")
    with pytest.raises(UnknownNameError, match="p_odd"):
        consensus(db, catalog=tmp_path / "ringed.parquet")
    nameless = catalog(tmp_path / "nameless.parquet", ["g0"], [0.5], name="galaxy_name_here")
    with pytest.raises(UnknownNameError, match="no column 'id'"):
        consensus(db, catalog=nameless)
    assert consensus(db, catalog=nameless, id="galaxy_name_here").notes == [
        "the catalogue has probabilities for 1 of them"
    ]


def test_options_of_a_consensus_are_refused_elsewhere(db: Path, tmp_path: Path, peculiar_command: Any) -> None:
    out = tmp_path / "labels.csv"
    for option in ("--catalog", "--annotators"):
        status, _, said = peculiar_command("labels", "export", db, "--out", out, option, tmp_path / "c.csv")
        assert (status, "belong to --as consensus" in said, out.exists()) == (2, True, False)
    status, _, said = peculiar_command("labels", "export", db, "--out", out, "--as", "consensu")
    assert (status, "votes, labels, events, wide or consensus" in said) == (2, True)
