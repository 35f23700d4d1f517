"""Probabilities of labelled galaxies: the rows that are scored, and the remarks on those left out."""

import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from numpy.typing import NDArray

from peculiar.errors import DataError, LabelError, PeculiarWarning, UnknownNameError, UsageError
from peculiar.evaluation.candidates import Candidate, file_candidate, run_candidate
from peculiar.evaluation.scored import push_pictures, score_pictures, score_table
from peculiar.images.framing import Framing
from peculiar.models.model_file import load_model
from peculiar.questions.question import FOUR_CLASS, ODD
from peculiar.sources import open_source
from peculiar.sources.split import PARTS


class Guess:
    """A classifier that always predicts the second class with certainty."""

    question = FOUR_CLASS
    framing = Framing(16)
    origin: Any = None

    def probabilities(self, pictures: NDArray[np.uint8], *, framed: bool = False) -> NDArray[np.float32]:
        return np.tile(np.array([0.1, 0.7, 0.1, 0.1], np.float32), (len(pictures), 1))


def guess(*seen: str) -> Candidate:
    classifier = Guess()
    classifier.origin = SimpleNamespace(
        folder=Path("run"), weights="best", epoch=None, trained_on=set(seen), split_digest="d1"
    )
    return run_candidate(classifier)


def catalogue(**columns: list[object]) -> Path:
    pa.parquet.write_table(pa.table(columns), "c.parquet")
    return Path("c.parquet")


def test_a_run_is_scored_on_what_it_has_not_seen(fake_npz: Path) -> None:
    source = open_source(fake_npz)
    ids = [galaxy.id for galaxy in source.galaxies(Framing(16))]
    told: list[int] = []
    scored = score_pictures(source, guess(*ids[:30]), progress=told.append)
    assert (scored.rows, scored.ids, scored.choice.left_out) == (list(range(30, 40)), ids[30:], 30)
    assert scored.labels.tolist() == [3] * 10
    assert scored.probabilities.shape == (10, 4)
    assert sum(told) == 10
    with pytest.raises(LabelError, match=r"none of the 40 labelled galaxies of .*fake\.npz.*--include-training"):
        score_pictures(source, guess(*ids))


def test_a_part_of_pictures_without_ids_of_their_own_is_warned_of(fake_npz: Path, tiny_model: Path) -> None:
    source, model = open_source(fake_npz), load_model(tiny_model)
    with pytest.warns(PeculiarWarning, match=r"the ids of .*fake\.npz are its name and row numbers"):
        score_pictures(source, file_candidate(model, part="training"))
    # Of all of them nothing is said, nor of the very file that the model was trained on.
    score_pictures(source, file_candidate(model))
    trained = {**model.card.training, "data": ["fake.npz"]}
    of_it = model.with_card(model.card.model_copy(update={"training": trained}))
    score_pictures(source, file_candidate(of_it, part="training"))


def test_a_run_as_a_candidate() -> None:
    one = guess("x")
    assert (one.name, one.folder, one.questions) == ("run", Path("run/evaluation"), (FOUR_CLASS,))
    assert one.choose(["x", "y"], Path("c")).taken.tolist() == [False, True]
    assert one.digests == {"digest of the split it was trained on": "d1"}


def test_the_parts_of_a_model_file_make_up_the_whole(tiny_survey: Path, tiny_model: Path) -> None:
    model, source = load_model(tiny_model), open_source(tiny_survey, label="clean5")
    parts = [score_pictures(source, file_candidate(model, part=part)) for part in PARTS]
    whole = score_pictures(source, file_candidate(model, include_training=True))
    assert sorted(id_ for part in parts for id_ in part.ids) == sorted(whole.ids)
    assert all(0 < len(part.ids) == 100 - part.choice.left_out for part in parts)
    assert whole.question.name == "clean5"
    with pytest.raises(LabelError, match="not answers to 'four_class'"):
        score_pictures(source, file_candidate(model), question="four_class")
    with pytest.raises(UnknownNameError, match="Did you mean 'test'"):
        file_candidate(model, part="tset")


def test_folders_of_parts_are_scored_by_their_names(tiny_model: Path, plain_pictures: list[bytes]) -> None:
    for folder in ("train", "valid", "test"):
        for number, picture in enumerate(plain_pictures):
            file = Path("all", folder, ("round", "edge_on")[number % 2], f"{number}.png")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(picture)
    model = load_model(tiny_model)

    def ids(path: str, part: str) -> list[str]:
        return score_pictures(open_source(path), file_candidate(model, part=part), question="clean5").ids

    with pytest.warns(PeculiarWarning, match="are taken for parts of a split"):
        assert {id_.split("/")[0] for id_ in ids("all", "test")} == {"test"}
    assert len(ids("all/test", "test")) == len(ids("all/valid", "validation")) == len(plain_pictures)
    with pytest.raises(LabelError, match="none is in the part training"):
        ids("all/test", "training")


def test_columns_follow_the_rows_that_are_scored(tiny_survey: Path, tiny_model: Path) -> None:
    source = open_source(tiny_survey, label="four_class")
    scored = score_pictures(source, file_candidate(load_model(tiny_model), part="test"))
    surveys = source.column("survey")
    assert scored.column("survey") == [surveys[int(id_.removeprefix("sim-"))] for id_ in scored.ids]
    with pytest.raises(UnknownNameError, match=r"no column 'survy'\. Did you mean 'survey'"):
        scored.column("survy")


def test_a_picture_that_cannot_be_read_is_told_and_not_scored(plain_pictures: list[bytes]) -> None:
    for number, content in enumerate([*plain_pictures[:3], b"\xff\xd8\xff broken"]):
        path = Path(f"pictures/{FOUR_CLASS.answers[number % 2]}/{number}.png")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    scored = score_pictures(open_source("pictures"), guess())
    (broken,) = scored.problems
    assert broken.endswith("/3.png")
    assert len(scored.ids) == len(scored.rows) == len(scored.labels) == len(scored.probabilities) == 3
    assert broken not in scored.ids
    assert scored.choice.left_out == 0


def test_rows_of_one_id_are_told_apart(plain_pictures: list[bytes]) -> None:
    contents = [b"broken", *plain_pictures[:2]]
    table = catalogue(id=["x", "x", "y"], image=contents, four_class=["Normal", "Merger", "Ringed"])
    with pytest.warns(PeculiarWarning, match="ids that occur more than once: 1, such as 'x'"):
        source = open_source(table)
    scored = score_pictures(source, guess())
    assert (scored.ids, scored.rows, scored.labels.tolist()) == (["x", "y"], [1, 2], [2, 1])
    assert list(scored.problems) == ["x"]


def test_pictures_none_of_which_can_be_read_are_refused() -> None:
    source = open_source(catalogue(id=["x", "y"], image=[b"broken"] * 2, four_class=["Normal", "Merger"]))
    with pytest.raises(DataError, match=r"c\.parquet: no picture of a labelled galaxy can be read; that of x: "):
        score_pictures(source, guess())


def test_galaxies_without_labels_are_told_how_to_get_some(plain_pictures: list[bytes]) -> None:
    Path("loose").mkdir()
    Path("loose/1.png").write_bytes(plain_pictures[0])
    with pytest.raises(LabelError, match=r"loose: no galaxy has a label that answers .*--label"):
        score_pictures(open_source("loose"), guess())


def test_mistakes_show_the_picture_of_their_row(fake_npz: Path, fake_pictures: NDArray[np.uint8]) -> None:
    source = open_source(fake_npz)
    seen = next(iter(source.galaxies(Framing(16)))).id
    scored = score_pictures(source, guess(seen))
    ((picture, text),) = scored.mistakes(np.array([38]))
    (galaxy,) = source.galaxies(Framing(16), start=39, stop=40)
    np.testing.assert_array_equal(picture, galaxy.picture)
    assert text == f"{FOUR_CLASS.answers[1]} 70%\nlabel: {FOUR_CLASS.answers[3]}"
    assert len(scored.mistakes(np.arange(39))) == 12


@pytest.mark.slow
def test_pictures_are_pushed_and_tables_are_not(fake_npz: Path) -> None:
    scored = score_pictures(open_source(fake_npz), guess())
    shifts = push_pictures(scored)
    assert all(of.accuracy == [0.25] * len(of.amounts) for of in shifts.values())
    path = catalogue(id=["x", "y"], p_odd=[0.9, 0.2], odd=["odd", "not_odd"])
    table = score_table(path, guess(), label="odd")
    assert table is not None
    assert table.mistakes(np.array([0])) == []
    with pytest.raises(UsageError, match="--shift needs pictures"):
        push_pictures(table)


def test_a_folder_of_pictures_is_one_also_with_a_catalogue_in_it(
    tiny_catalog: Path, plain_pictures: list[bytes]
) -> None:
    Path("folder").mkdir()
    shutil.copy(tiny_catalog, "folder/catalog.parquet")
    assert score_table(Path("folder"), guess(), label="class") is not None
    Path("folder/x.png").write_bytes(plain_pictures[0])
    assert score_table(Path("folder"), guess(), label="class") is None


def test_a_table_of_probabilities_is_read(fake_npz: Path) -> None:
    path = catalogue(id=["x", "y", "z"], p_odd=[0.9, 0.2, 0.6], gz2_argmax=["odd", "not_odd", "odd"], seeing=[1, 2, 3])
    candidate = replace(guess("x"), questions=(ODD,))
    scored = score_table(path, candidate, label="gz2_argmax")
    assert scored is not None
    assert (scored.question, scored.source, scored.choice.left_out) == (ODD, None, 1)
    assert (scored.ids, scored.labels.tolist()) == (["y", "z"], [0, 1])
    assert scored.column("seeing") == ["2", "3"]
    none = replace(guess("x", "y", "z"), questions=(ODD,))
    with pytest.raises(
        LabelError, match=r"none of the 3 labelled galaxies of c\.parquet is left to score; .*--include-training"
    ):
        score_table(path, none, label="gz2_argmax")
    assert score_table(fake_npz, candidate, label=None) is None
    with pytest.raises(LabelError, match="name the column of labels"):
        score_table(Path(), candidate, label=None)  # a folder of parts
    assert score_table(Path("nothing"), candidate, label=None) is None
    assert score_table(catalogue(id=["x"], image=[b""]), candidate, label=None) is None
    # Galaxy Zoo's tables of pictures have columns of votes that are called so.
    votes = {"image": [b""], "p_cs_debiased": [0.3], "four_class": ["Merger"]}
    assert score_table(catalogue(id=["x"], **votes), guess(), label="four_class") is None
    assert score_table(catalogue(id=["x"], **votes), guess(), label=None) is None
    assert score_table(
        catalogue(id=["x", "y"], file=["x.png"] * 2, p_a=[1.0, 0.0], p_b=[0.0, 1.0], s=["b", "a"]), guess(), label="s"
    )
