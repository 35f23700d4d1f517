"""Candidates: the model that made a table, and the galaxies that a model is scored on."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from peculiar.errors import DataError, LabelError
from peculiar.evaluation.candidates import Candidate, Choice, table_candidate
from peculiar.evaluation.scored import score_table
from peculiar.models.provenance import Maker, check_maker, read_maker
from peculiar.models.seen import Seen, pack_ids
from peculiar.questions.question import ODD
from peculiar.tables.convert import convert
from peculiar.tables.formats import MODEL_NOTE
from peculiar.tables.reader import TableReader

FORMATS = ("parquet", "csv", "fits", "ecsv", "vot")
MINE, OTHER = "d0745ae7d5cc" + "0" * 52, "b" * 64


def model(digest: str = MINE) -> Candidate:
    """A model file as a candidate, trained on the galaxy g0."""
    return Candidate(
        name=f"mine {digest[:12]}",
        folder=Path("somewhere"),
        about=lambda _, __: pytest.fail("a table is not classified"),
        settings={"part": "all", "views": 2},
        trained_on=Seen((pack_ids(["g0"]),)).among,
        digest=digest,
        maker=Maker((digest,), "mine") if digest else Maker(),
        questions=(ODD,),
        temperatures={"odd": 1.7},
        sets={"odd": {"90": (0.4, 0.6)}},
    )


def table(suffix: str, note: str | None, column: list[str] | None) -> Path:
    """A table of probabilities in a format, that names its model in its notes, in a column, or nowhere."""
    columns = {"id": ["g0", "g1", "g2"], "p_odd": [0.9, 0.2, 0.6], "odd": ["odd", "not_odd", "odd"]}
    written = pa.table(columns | ({} if column is None else {"model": column}))
    notes = {} if note is None else {MODEL_NOTE: note, "model name": "galaxy"}
    pa.parquet.write_table(written.replace_schema_metadata(notes), "made.parquet")
    if suffix == "parquet":
        return Path("made.parquet")
    convert(Path("made.parquet"), Path(f"made.{suffix}"))
    return Path(f"made.{suffix}")


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize(
    ("note", "column", "mine"),
    [
        (MINE, [MINE[:12]] * 3, True),
        (None, [MINE[:12]] * 3, True),
        (MINE, None, True),
        (OTHER, [OTHER[:12]] * 3, False),
        (None, [OTHER[:12]] * 3, False),
        (MINE, [OTHER[:12]] * 3, False),
        (None, [MINE[:12], MINE[:12], OTHER[:12]], False),
        (None, ["sersic"] * 3, False),
        (None, None, False),
    ],
)
def test_only_the_model_that_made_a_table_lends_it_what_it_knows(
    suffix: str, note: str | None, column: list[str] | None, mine: bool
) -> None:
    if suffix == "csv" and column is None:
        mine = False  # a CSV has no notes
    path = table(suffix, note, column)
    scored = score_table(path, model(), label="odd")
    assert scored is not None
    found = scored.candidate
    assert (found.temperatures, found.sets) == (({"odd": 1.7}, {"odd": {"90": (0.4, 0.6)}}) if mine else ({}, {}))
    assert (found.digest, found.name.startswith("mine ")) == ((MINE, True) if mine else ("", False))
    assert scored.ids == (["g1", "g2"] if mine else ["g0", "g1", "g2"])
    assert scored.choice.trained_on == (1 if mine else None)
    assert found.settings == ({"part": "all", "views": 2} if mine else {})
    assert found.folder == Path("somewhere" if mine else "evaluation")
    told = scored.choice.sentences()
    assert told[0] == (
        "1 galaxy is left out: the model was trained on it."
        if mine
        else "It is not known which galaxies the model was trained on; its scores on those are too good."
    )


def test_a_table_that_names_no_model_may_be_of_the_run_that_is_named() -> None:
    run = replace(model(""), settings={"weights": "last"}, temperatures={}, sets={})
    found = table_candidate(run, table("parquet", None, None))
    assert (found.name, found.folder) == ("an unnamed model", Path("evaluation"))
    assert found.trained_on is run.trained_on
    assert table_candidate(run, table("parquet", OTHER, None)).trained_on is None


def test_models_are_named_as_the_table_has_them() -> None:
    assert str(read_maker(TableReader(table("fits", OTHER, None)))) == "galaxy bbbbbbbbbbbb"
    assert str(read_maker(TableReader(table("fits", None, ["sersic"] * 3)))) == "sersic"
    assert str(read_maker(TableReader(table("csv", None, ["a", "b", "b"])))) == "several models: a, b"
    assert str(Maker()) == "an unnamed model"


def test_galaxies_are_counted_by_the_scores_of_the_model_that_called_them() -> None:
    path, mine = Path("c.parquet"), Maker((MINE,), "mine")
    assert check_maker(path, Maker((MINE[:12],)), mine) == []
    for maker, scored in ((Maker(), mine), (mine, Maker()), (Maker(), Maker())):
        assert check_maker(path, maker, scored) == [
            "c.parquet does not state which model made it; the scored model is assumed."
        ]
    for maker in (Maker((OTHER,)), Maker((MINE[:12], OTHER))):
        with pytest.raises(DataError, match=r"c\.parquet: made by .*; make the catalogue again"):
            check_maker(path, maker, mine)


def test_what_was_trained_on_is_scored_on_request_and_said() -> None:
    ids = ["g0", "g1", "g2"]
    assert model().choose(ids, Path("c")).taken.tolist() == [False, True, True]
    asked = replace(model(), include_training=True).choose(ids, Path("c"))
    assert (asked.taken.tolist(), asked.trained_on, asked.left_out) == ([True] * 3, 1, 0)
    assert asked.sentences() == ["1 galaxy is scored that the model was trained on: the scores are too good."]
    with pytest.raises(
        LabelError, match=r"none of the 1 labelled galaxies of c is left to score; .*--include-training"
    ):
        model().choose(["g0"], Path("c"))
    nowhere = replace(model(), part="test", sizes={"validation_size": 0.0, "test_size": 0.0})
    with pytest.raises(LabelError, match="none is in the part test; score all"):
        nowhere.choose(["g0"], Path("c"))


@pytest.mark.parametrize(
    ("ids", "told", "part", "there"),
    [
        (["test/1", "train/2", "valid/3"], None, "test", [True, False, False]),
        (["test/1", "train/2", "valid/3"], None, "validation", [False, False, True]),
        (["test/1", "train/2", "valid/3"], None, "training", [False, True, False]),
        (["test/1", "train/2", "valid/3"], None, "all", [True, True, True]),
        (["1", "2", "3"], {"1": "test", "3": "validation"}, "training", [False, True, False]),
        (["test/1", "2", "3"], {"test/1": "test"}, "test", [True, False, False]),
    ],
)
def test_folders_that_name_parts_are_believed(
    ids: list[str], told: dict[str, str] | None, part: str, there: list[bool]
) -> None:
    # All others would be in the test part by the hash of their ids.
    one = replace(model(), part=part, sizes={"validation_size": 0.0, "test_size": 1.0}, trained_on=None)
    assert one.choose(ids, Path("c"), told).taken.tolist() == there


@pytest.mark.parametrize(
    ("elsewhere", "trained_on", "included", "told"),
    [
        (0, 0, False, []),
        (0, 0, True, []),
        (1, 0, False, ["1 galaxy is left out: it is not in the part test."]),
        (1200, 0, False, ["1,200 galaxies are left out: they are not in the part test."]),
        (0, 2, False, ["2 galaxies are left out: the model was trained on them."]),
        (0, 2, True, ["2 galaxies are scored that the model was trained on: the scores are too good."]),
    ],
)
def test_the_choice_in_words(elsewhere: int, trained_on: int, included: bool, told: list[str]) -> None:
    assert Choice(np.ones(3, bool), elsewhere, trained_on, included=included).sentences("test")[:1] == told
