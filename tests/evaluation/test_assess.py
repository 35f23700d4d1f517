"""Assessments: messages for bad input, tables of probabilities, undefined scores."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from peculiar.errors import DataError, LabelError, PeculiarWarning, UnknownNameError
from peculiar.evaluation.assess import assess
from peculiar.evaluation.page import write_assessment
from peculiar.evaluation.probabilities import read_probabilities, read_table
from peculiar.metrics.strata import strata
from peculiar.questions.question import FOUR_CLASS, ODD, Question
from simulated_answers import draw

QUESTION = Question("shape", ("a", "b", "c"))


@pytest.mark.slow
def test_an_assessment_and_its_page(tmp_path: Path) -> None:
    labels, probabilities = draw(np.random.default_rng(2), 300)
    _, others = draw(np.random.default_rng(3), 200)
    ids = [str(number) for number in range(300)]
    columns = {"survey": ["x" if number % 3 else "y" for number in range(300)], "size": [str(n) for n in range(300)]}
    found = assess(
        ids, labels, probabilities, QUESTION, columns=columns, temperature=2.0, unlabelled=others, resamples=100
    )
    told = found.as_dict()
    assert json.loads(json.dumps(told)) == told
    assert list(found.by["survey"]) == ["x", "y"]
    assert len(found.by["size"]) == 4
    assert set(found.reliability) == {"without its temperature", "as the model answers", "calibrated across folds"}
    assert sum(one.bears_out for one in found.reliability["calibrated across folds"]) >= 8
    picture = np.zeros((32, 32, 3), np.uint8)
    page = write_assessment(tmp_path, found, {"command": "<b>"}, mistakes=[(picture, "a 99%\nlabel: b")])
    text = page.read_text(encoding="utf-8")
    assert "&lt;b&gt;" in text
    assert "<script" not in text
    assert "http" not in text
    for name in ("confusion", "classes", "reliability", "sets", "by_1_survey", "mistakes"):
        assert {(tmp_path / f"{name}{suffix}").is_file() for suffix in (".png", ".pdf")} == {True}


@pytest.mark.parametrize("labels", [[0], [1, 1, 1, 1]])
@pytest.mark.slow
def test_one_row_or_one_class_is_undefined_not_zero(tmp_path: Path, labels: list[int]) -> None:
    probabilities = np.tile([0.2, 0.5, 0.3], (len(labels), 1))
    ids = [str(number) for number in range(len(labels))]
    found = assess(ids, np.array(labels), probabilities, QUESTION, resamples=20)
    assert found.scores.auc is None
    assert found.scores.classes["c"].recall is None
    text = write_assessment(tmp_path, found, {}).read_text(encoding="utf-8")
    assert "undefined" in text
    assert "nan" not in text.replace("nance", "")


def test_probabilities_that_do_not_sum_to_one_are_refused() -> None:
    with pytest.raises(DataError, match="sum to 1; 1 do not, the first of them row 0"):
        assess(["x"], np.array([0]), np.array([[0.2, 0.2, 0.2]]), QUESTION)
    labels, probabilities = draw(np.random.default_rng(2), 60)
    ids, others = [str(number) for number in range(60)], np.array([[0.2, 0.5, 0.3], [199.0, -99.0, -99.0]])
    with pytest.raises(DataError, match=r"probabilities of galaxies without labels have to be.*1 do not.*row 1"):
        assess(ids, labels, probabilities, QUESTION, unlabelled=others)


def test_repeated_ids_are_drawn_together() -> None:
    labels, probabilities = draw(np.random.default_rng(2), 60)
    found = assess([str(n % 20) for n in range(60)], labels, probabilities, QUESTION, resamples=50)
    alone = assess([str(n) for n in range(60)], labels, probabilities, QUESTION, resamples=50)
    assert found.scores.intervals["accuracy"] != alone.scores.intervals["accuracy"]
    assert found.digest != alone.digest


def test_columns_are_parted() -> None:
    assert {name: rows.tolist() for name, rows in strata(["a", None, "b", "b"]).items()} == {"b": [2, 3], "a": [0]}
    parts = strata([str(number / 10) for number in range(40)])
    assert [len(rows) for rows in parts.values()] == [10, 10, 10, 10]
    assert next(iter(parts)).startswith("0 to ")
    assert sum(len(rows) for rows in strata([*map(str, range(20)), "nan"]).values()) == 20
    assert strata([None, None]) == {}


@pytest.mark.parametrize("unknown", [-999, 99, -9999.0])
def test_numbers_that_stand_for_not_known_are_in_no_bin(unknown: float) -> None:
    magnitudes = [str(14 + number / 10) for number in range(40)]
    parts = strata([str(unknown), *magnitudes, str(unknown), "nan"])
    assert [len(rows) for rows in parts.values()] == [10, 10, 10, 10, 2]
    assert list(parts)[-1] == f"{unknown:g} (not known)"
    assert next(iter(parts)).startswith("14 to ")


def test_bins_of_a_column_hold_every_number() -> None:
    dates = np.linspace(58849.0, 58849.9, 40)  # alike in their first five digits
    parts = strata([str(date) for date in dates])
    assert [len(rows) for rows in parts.values()] == [10, 10, 10, 10]
    assert next(iter(parts)) == "58849 to 58849.2"
    # The first quarter ends between 4 and 5, the half is 5: no number lies between.
    votes = [*range(5), *[5] * 5, *range(6, 15)]
    assert [len(rows) for rows in strata([str(one) for one in votes]).values()] == [5, 9, 5]
    labels, probabilities = draw(np.random.default_rng(2), 19)
    ids = [str(number) for number in range(19)]
    found = assess(ids, labels, probabilities, QUESTION, columns={"votes": [str(one) for one in votes]}, resamples=5)
    assert [scores.count for scores in found.by["votes"].values()] == [5, 9, 5]


def table(path: Path, **columns: list[object]) -> Path:
    pa.parquet.write_table(pa.table(columns), path)
    return path


def test_a_catalogue_with_labels(tmp_path: Path) -> None:
    path = table(
        tmp_path / "c.parquet",
        id=["x", "y", "z", "w"],
        p_odd=[0.9, 0.2, None, 0.5],
        gz2_argmax=["odd", "not_odd", "odd", "smooth"],
    )
    found = read_table(path, "gz2_argmax", (FOUR_CLASS, ODD))
    assert found.question is ODD
    assert found.ids == ["x", "y"]
    assert found.labels.tolist() == [1, 0]
    np.testing.assert_allclose(found.probabilities, [[0.1, 0.9], [0.8, 0.2]])


def test_ids_of_a_catalogue_are_those_of_pictures(tmp_path: Path) -> None:
    columns = {"p_odd": [0.9, 0.2, 0.3], "odd": ["odd", "not_odd", "odd"]}
    path = table(tmp_path / "c.parquet", objid=[1237, 1238, 1239], **columns)
    assert read_table(path, "odd", (ODD,)).ids == ["1237", "1238", "1239"]
    path = table(tmp_path / "c.parquet", ID=["x", None, None], name=["n", "n", "n"], **columns)
    assert read_table(path, "odd", (ODD,)).ids == ["x", "c-1", "c-2"]
    assert read_table(table(tmp_path / "c.parquet", **columns), "odd", (ODD,)).ids == ["c-0", "c-1", "c-2"]


def test_numbers_with_gaps_are_labels_and_ids_without_decimals(tmp_path: Path) -> None:
    columns = {"p_0": [0.9, 0.2, 0.3], "p_1": [0.1, 0.8, 0.7], "mood": [0.0, None, 1.0], "id": [1000.0, 2000.0, 3000.0]}
    found = read_table(table(tmp_path / "c.parquet", **columns), "mood", ())
    assert found.question.answers == ("0", "1")
    assert found.ids == ["1000", "3000"]


def test_labels_of_a_catalogue_in_a_table_of_their_own(tmp_path: Path) -> None:
    path = table(tmp_path / "c.parquet", objid=[7.0, 8.0, None, 9.0], p_odd=[0.9, 0.2, 0.3, 0.4])
    labels = tmp_path / "labels.csv"
    labels.write_text("id,label\n9,not_odd\n7,odd\n10,odd\n", encoding="utf-8")
    with pytest.warns(
        PeculiarWarning, match=r"labels\.csv: labels of galaxies that are not in the data: 1 of 3; .*'10'"
    ):
        found = read_table(path, None, (FOUR_CLASS,), labels)
    assert (found.ids, found.rows) == (["7", "9"], [0, 3])
    assert [found.question.answers[label] for label in found.labels] == ["odd", "not_odd"]
    labels.write_text("id,label\n10,odd\n", encoding="utf-8")
    with pytest.raises(LabelError, match=r"c\.parquet: none of its 4 galaxies has one of the 1 labels"):
        read_table(path, None, (ODD,), labels)
    labels.write_text("id,label\n", encoding="utf-8")
    with pytest.raises(LabelError, match=r"c\.parquet: the table of its labels has no row with an id and a label"):
        read_table(path, None, (ODD,), labels)
    with pytest.raises(UnknownNameError, match=r"no column 'id' in d\.parquet, to match the labels"):
        read_table(table(tmp_path / "d.parquet", p_odd=[0.1]), None, (ODD,), labels)


def test_catalogues_that_do_not_fit(tmp_path: Path) -> None:
    path = table(tmp_path / "c.parquet", p_normal=[0.5], four_class=["Normal"])
    with pytest.raises(LabelError, match="name the column of labels"):
        read_table(path, None, (FOUR_CLASS,))
    with pytest.raises(UnknownNameError, match=r"no column .p_ringed. in c\.parquet with the probability of .Ringed."):
        read_table(path, "four_class", (FOUR_CLASS,))
    with pytest.raises(DataError, match="has to hold probabilities"):
        read_probabilities(table(tmp_path / "d.parquet", p_odd=["x"]), ODD)
    empty = table(tmp_path / "e.parquet", p_odd=[None], gz2_argmax=["odd"])
    with pytest.raises(LabelError, match="no galaxy has both a label"):
        read_table(empty, "gz2_argmax", (ODD,))
