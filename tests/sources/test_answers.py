"""Many questions at once: rows answer those that they have labels for."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from peculiar.errors import LabelError, UnreadablePictureWarning
from peculiar.images.decode import encode_picture
from peculiar.images.framing import Framing
from peculiar.questions.question import CLEAN5, FOUR_CLASS, ODD, Question
from peculiar.sources import Source, open_source
from peculiar.sources.answers import UNKNOWN, answers_to, read_answered

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


def voted(path: Path, pictures: list[bytes], **votes: list[object]) -> Source:
    count = len(next(iter(votes.values())))
    table = {"id": [f"g{row}" for row in range(count)], "image": pictures[:count], **votes}
    pa.parquet.write_table(pa.table(table), path)
    return open_source(path)


SPIRAL = Question("spiral", ("yes", "no"), votes=("spiral_yes", "spiral_no"))


def test_votes_are_shares_labels_and_trust(tmp_path: Path, plain_pictures: list[bytes]) -> None:
    source = voted(tmp_path / "v.parquet", plain_pictures, spiral_yes=[9, 5, None, 0], spiral_no=[1, 5, None, 40])
    found = read_answered([source], [SPIRAL], Framing(16))
    assert found.ids == ["g0", "g1", "g3"]  # nobody was asked about the other
    np.testing.assert_allclose(found.shares["spiral"], [[0.9, 0.1], [0.5, 0.5], [0, 1]], rtol=1e-6)
    assert found.labels["spiral"].tolist() == [0, UNKNOWN, 1]
    assert found.trust["spiral"][0] == found.trust["spiral"][1] < found.trust["spiral"][2]
    assert answers_to(source, SPIRAL) == ["yes", None, None, "no"]


def test_votes_and_labels_may_be_of_different_galaxies(tmp_path: Path, plain_pictures: list[bytes]) -> None:
    one = voted(tmp_path / "v.parquet", plain_pictures, spiral_yes=[0.9, 0.2], spiral_no=[0.1, 0.8])
    other = voted(tmp_path / "l.parquet", plain_pictures, clean5=["round", "spiral"])
    found = read_answered([one, other], [CLEAN5, SPIRAL], Framing(16))
    assert found.labels["clean5"].tolist() == [UNKNOWN, UNKNOWN, 0, 4]
    assert found.trust["spiral"].tolist()[2:] == [0, 0]
    assert set(found.shares) == {"spiral"}


@pytest.mark.parametrize("entry", ["-1", "many", "inf"])
def test_an_entry_that_is_no_number_of_votes_is_named(tmp_path: Path, plain_pictures: list[bytes], entry: str) -> None:
    source = voted(tmp_path / "v.parquet", plain_pictures, spiral_yes=["1", "2"], spiral_no=["0", entry])
    with pytest.raises(
        LabelError, match=rf"1 entries of .* not numbers of votes; the first is '{entry}' in spiral_no, of g1"
    ):
        read_answered([source], [SPIRAL], Framing(16))


RING = Question("rare_ring", ("no", "yes"), votes=("rare_ring",), total="rare_total")


def test_votes_for_one_of_several_answers_have_a_total(tmp_path: Path, plain_pictures: list[bytes]) -> None:
    source = voted(tmp_path / "v.parquet", plain_pictures, rare_ring=[9, 0, None, 2], rare_total=[10, 5, None, 2])
    found = read_answered([source], [RING], Framing(16))
    assert found.ids == ["g0", "g1", "g3"]
    np.testing.assert_allclose(found.shares["rare_ring"], [[0.1, 0.9], [1, 0], [0, 1]], rtol=1e-6)
    fractions = replace(RING, total="")
    source = voted(tmp_path / "f.parquet", plain_pictures, rare_ring=[0.9, 0.0, None, 1.0])
    found = read_answered([source], [fractions], Framing(16))
    assert found.ids == ["g0", "g1", "g3"]
    np.testing.assert_allclose(found.shares["rare_ring"], [[0.1, 0.9], [1, 0], [0, 1]], rtol=1e-6)


@pytest.mark.parametrize(
    ("question", "told"),
    [(RING, "than in rare_total; the first is g1"), (replace(RING, total=""), "than in 1, the total")],
)
def test_more_votes_than_people_are_named(
    question: Question, told: str, tmp_path: Path, plain_pictures: list[bytes]
) -> None:
    source = voted(tmp_path / "v.parquet", plain_pictures, rare_ring=[1, 6], rare_total=[5, 5])
    with pytest.raises(LabelError, match=rf"1 galaxy has more votes in rare_ring {told}"):
        read_answered([source], [question], Framing(16))


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
