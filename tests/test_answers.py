"""Many questions at once: rows answer those that they have labels for."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from peculiar.errors import LabelError, UnreadablePictureWarning
from peculiar.image import Framing, encode_picture
from peculiar.schema import CLEAN5, FOUR_CLASS, ODD
from peculiar.sources import open_source
from peculiar.sources.answers import UNKNOWN, read_answered

QUESTIONS = (FOUR_CLASS, CLEAN5, ODD)


def test_each_row_answers_what_it_has_labels_for(tiny_survey: Path) -> None:
    found = read_answered([open_source(tiny_survey)], QUESTIONS, Framing(32))
    assert [question.name for question in found.questions] == ["four_class", "clean5", "odd"]
    assert len(found) == 100
    assert found.pictures.shape == (100, 32, 32, 3)
    assert (found.labels["four_class"][::2] == UNKNOWN).all()
    assert found.labels["four_class"][1] == 1
    assert found.labels["clean5"].tolist() == [number % 4 for number in range(100)]


def test_entries_that_say_nothing_are_unknown(tiny_survey: Path) -> None:
    labels = read_answered([open_source(tiny_survey)], QUESTIONS, Framing(32)).labels["odd"]
    assert labels[:16].tolist() == [1] * 4 + [0] * 4 + [UNKNOWN] * 4 + [0] * 4


def test_labels_are_trusted_by_their_basis(tiny_survey: Path) -> None:
    found = read_answered([open_source(tiny_survey)], QUESTIONS, Framing(32))
    weak = np.array([basis == "weak_looks" for basis in found.bases["four_class"]])
    assert weak.any()
    np.testing.assert_allclose(found.trust["four_class"], np.where(weak, 0.35, 1))
    assert (found.trust["clean5"] == 1).all()


def test_several_sources_follow_each_other(tiny_survey: Path) -> None:
    found = read_answered([open_source(tiny_survey)] * 2, QUESTIONS, Framing(32))
    assert found.origins.tolist() == [0] * 100 + [1] * 100
    assert found.ids[:100] == found.ids[100:]
    assert found.surveys[:3] == ["decals", "sdss", "sdss"]


def test_a_question_with_one_answer_is_not_asked(tmp_path: Path, plain_pictures: list[bytes]) -> None:
    rows = [
        {"id": str(n), "image": one, "clean5": "round", "four_class": "NR"[n % 2]}
        for n, one in enumerate(plain_pictures)
    ]
    for row in rows:
        row["four_class"] = {"N": "Normal", "R": "Ringed"}[str(row["four_class"])]
    pa.parquet.write_table(pa.Table.from_pylist(rows), tmp_path / "t.parquet")
    found = read_answered([open_source(tmp_path / "t.parquet")], QUESTIONS, Framing(16))
    assert [question.name for question in found.questions] == ["four_class"]


def test_nothing_to_learn_is_said(tmp_path: Path, plain_pictures: list[bytes]) -> None:
    pa.parquet.write_table(pa.table({"image": plain_pictures}), tmp_path / "t.parquet")
    with pytest.raises(LabelError, match="none of the columns four_class, clean5, gz2_argmax has two different"):
        read_answered([open_source(tmp_path / "t.parquet")], QUESTIONS, Framing(16))


def test_unreadable_pictures_are_left_out(tmp_path: Path) -> None:
    pictures = [encode_picture(np.full((8, 8, 3), grey, np.uint8)) for grey in (10, 20, 30, 40)]
    pictures[2] = b"no picture"
    table = pa.table({"id": list("abcd"), "image": pictures, "four_class": ["Normal", "Ringed", "Merger", "Other"]})
    pa.parquet.write_table(table, tmp_path / "t.parquet")
    with pytest.warns(UnreadablePictureWarning, match="1 of 4 pictures cannot be read .* the first is c: "):
        found = read_answered([open_source(tmp_path / "t.parquet")], QUESTIONS, Framing(8))
    assert found.ids == ["a", "b", "d"]
    assert found.labels["four_class"].tolist() == [0, 1, 3]
    assert len(found.pictures) == 3


def test_a_label_that_is_no_answer_is_named(tmp_path: Path, plain_pictures: list[bytes]) -> None:
    table = pa.table({"image": plain_pictures[:2], "clean5": ["round", "cigars"]})
    pa.parquet.write_table(table, tmp_path / "t.parquet")
    with pytest.raises(LabelError, match="did you mean 'cigar'"):
        read_answered([open_source(tmp_path / "t.parquet")], QUESTIONS, Framing(8))
