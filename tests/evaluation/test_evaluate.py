"""A model scored from Python: the same figures as on the command line, as an object."""

import html
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
from matplotlib.figure import Figure

from peculiar.catalogs.catalog import Catalog
from peculiar.errors import LabelError, PeculiarWarning, UnknownNameError, UsageError
from peculiar.evaluation.evaluate import Assessment, evaluate
from peculiar.exercise.run_folder import Arguments, load_run
from peculiar.exercise.train import train
from peculiar.models.model_file import load_model, shipped_model
from peculiar.sources import open_source


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"label": "clean5"}, ["--label", "clean5"]),
        pytest.param(
            {"label": "clean5", "by": ["survey"], "group": "survey", "views": 2},
            ["--label", "clean5", "--by", "survey", "--group", "survey", "--views", "2"],
            marks=pytest.mark.slow,
        ),
        pytest.param(
            {"label": "gz2_argmax", "shift": True}, ["--label", "gz2_argmax", "--shift"], marks=pytest.mark.slow
        ),
    ],
)
@pytest.mark.slow
def test_the_command_prints_what_the_function_returns(
    options: dict[str, Any], words: list[str], tiny_survey: Path, tiny_model: Path, peculiar_command: Any
) -> None:
    status, said, _ = peculiar_command("evaluate", tiny_survey, "--model", tiny_model, *words, "--json")
    assert status == 0
    told = json.loads(said)
    assert told.pop("command").startswith("peculiar evaluate")
    found = json.loads(json.dumps(evaluate(tiny_survey, tiny_model, verbose=False, **options).as_dict()))
    assert found.pop("command") == ""
    assert found == told


def test_an_assessment_is_written(tiny_survey: Path, tiny_model: Path, tmp_path: Path) -> None:
    found = evaluate(open_source(tiny_survey, label="clean5"), load_model(tiny_model), verbose=False)
    assert (found.data, found.question.name) == (str(tiny_survey), "clean5")
    assert found.scores.count == len(found.scored.ids)
    page = found.write(tmp_path / "report")
    assert page == tmp_path / "report" / "report.html"
    assert {"scores.json", "confusion.png", "confusion.pdf"} <= {file.name for file in page.parent.iterdir()}
    assert json.loads((page.parent / "scores.json").read_text())["scores"] == json.loads(
        json.dumps(found.scores.as_dict())
    )
    assert isinstance(found.show(), Figure)
    wrong = [
        id_
        for id_, label, row in zip(found.scored.ids, found.scored.labels, found.scored.probabilities, strict=True)
        if row.argmax() != label
    ]
    assert sorted(found.mistakes) == sorted(wrong)
    table = pa.csv.read_csv(page.parent / "mistakes.csv")
    assert table["id"].to_pylist() == found.mistakes
    assert (np.diff(table["probability"]) <= 0).all()
    command = f"peculiar label {tiny_survey} --question clean5 --only {page.parent}/mistakes.csv --in-order"
    assert command in html.unescape(page.read_text(encoding="utf-8"))


def test_a_catalogue_is_scored_against_a_table_of_labels(tiny_catalog: Path, tiny_survey: Path, tmp_path: Path) -> None:
    survey = pa.parquet.read_table(tiny_survey)
    pa.parquet.write_table(survey.select(["id", "clean5"]), tmp_path / "labels.parquet")
    found = evaluate(tiny_catalog, labels=tmp_path / "labels.parquet", label="clean5")
    assert found.model.startswith("tiny ")
    assert found.scores.count == 100
    assert "joined by id; " in found.notes[0]


@pytest.mark.parametrize("form", ["opened", "found", "arrow"])
def test_a_catalogue_in_memory_is_scored_as_its_file_is(
    form: str, tiny_catalog: Path, tiny_survey: Path, tmp_path: Path
) -> None:
    pa.parquet.write_table(pa.parquet.read_table(tiny_survey).select(["id", "clean5"]), tmp_path / "labels.parquet")
    catalog = Catalog(tiny_catalog)
    given = {
        "opened": catalog,
        "found": catalog.query("flags >= 0"),
        "arrow": SimpleNamespace(to_arrow=lambda: catalog.to_arrow()),
    }[form]
    options = {"labels": tmp_path / "labels.parquet", "label": "clean5", "verbose": False}
    expected = evaluate(tiny_catalog, **options)
    found = evaluate(given, **options)
    assert (found.model, found.scored.candidate.digests) == (expected.model, expected.scored.candidate.digests)
    assert found.scores.as_dict() == expected.scores.as_dict()
    assert found.statistics.as_dict() == expected.statistics.as_dict()
    assert found.data == (str(tiny_catalog) if form == "opened" else "the catalogue in memory")


def test_the_model_behind_a_catalogue_in_memory_is_that_of_its_notes(
    tiny_catalog: Path, tiny_survey: Path, tmp_path: Path
) -> None:
    pa.parquet.write_table(pa.parquet.read_table(tiny_survey).select(["id", "clean5"]), tmp_path / "labels.parquet")
    found = Catalog(tiny_catalog).query("flags >= 0")
    with pytest.warns(PeculiarWarning, match="the catalogue in memory holds probabilities of tiny"):
        evaluate(found, shipped_model(), labels=tmp_path / "labels.parquet", label="clean5", verbose=False)
    with pytest.raises(LabelError, match=r"the catalogue in memory: name the column of labels"):
        evaluate(found, verbose=False)


def test_pictures_in_memory_have_labels_in_a_table(tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("id,clean5\npicture-0,round\npicture-1,spiral\npicture-3,round\n")
    pictures = np.random.default_rng(222).integers(0, 255, (4, 64, 64, 3), dtype=np.uint8)
    found = evaluate(pictures, tiny_model, labels=tmp_path / "labels.csv", verbose=False)
    assert (found.data, found.scored.ids) == ("pictures", ["picture-0", "picture-1", "picture-3"])


@pytest.mark.slow
def test_a_run_is_scored_by_its_network(fake_npz: Path, peculiar_command: Any) -> None:
    trained = train(open_source(fake_npz), "run", Arguments(epochs=1))
    status, said, _ = peculiar_command("evaluate", fake_npz, "--model", "run", "--json")
    assert status == 0
    told = json.loads(said)
    for network in (load_run("run"), trained.model):
        found = evaluate(fake_npz, network, verbose=False)
        assert found.model == "run, its last weights (epoch 1)"
        assert json.loads(json.dumps(found.as_dict()))["scores"] == told["scores"]
        assert found.scored.choice.trained_on == 32
    with pytest.raises(
        UsageError, match=r"run is the folder of a run; give its network, load_run\('run'\), or its model file"
    ):
        evaluate(fake_npz, "run")
    trained.model.origin = None
    loose = evaluate(fake_npz, trained.model, verbose=False)
    assert loose.model == "a network in memory"
    assert "It is not known which galaxies the model was trained on; its scores on those are too good." in loose.notes


def test_a_table_of_another_model_is_told(tiny_catalog: Path, tiny_survey: Path, tmp_path: Path) -> None:
    survey = pa.parquet.read_table(tiny_survey)
    pa.parquet.write_table(survey.select(["id", "clean5"]), tmp_path / "labels.parquet")
    with pytest.warns(PeculiarWarning, match="holds probabilities of tiny .*, not of galaxy"):
        evaluate(tiny_catalog, load_model(), labels=tmp_path / "labels.parquet", label="clean5")


def test_scores_by_the_columns_of_a_joined_table(tiny_catalog: Path, tiny_survey: Path, tmp_path: Path) -> None:
    survey = pa.parquet.read_table(tiny_survey)
    pa.parquet.write_table(survey.select(["id", "clean5"]), tmp_path / "labels.parquet")
    ids = survey["id"].to_pylist()
    (tmp_path / "more.csv").write_text("id,half\n" + "".join(f"{id_},{row % 2}\n" for row, id_ in enumerate(ids)))
    given = {"labels": tmp_path / "labels.parquet", "label": "clean5", "by": ["half"], "verbose": False}
    found = evaluate(tiny_catalog, join=tmp_path / "more.csv", **given)
    parts = found.statistics.by["half"]
    assert [*parts] == ["0", "1"]
    assert sum(one.count for one in parts.values()) == found.scores.count
    with pytest.raises(UnknownNameError, match="no column 'half'"):
        evaluate(tiny_catalog, **given)


def test_what_is_not_there_is_told(tiny_survey: Path, tiny_model: Path) -> None:
    with pytest.raises(UnknownNameError, match="no column 'colour'"):
        evaluate(tiny_survey, tiny_model, label="clean5", by=["colour"], verbose=False)
    with pytest.raises(UnknownNameError, match="no part 'tests'"):
        evaluate(tiny_survey, tiny_model, part="tests")


def test_progress_is_told(tiny_survey: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told: dict[str, int] = {}
    found: Assessment = evaluate(
        tiny_survey,
        tiny_model,
        label="clean5",
        progress=lambda stage, done: told.update({stage: told.get(stage, 0) + done}),
    )
    assert told == {"classifying": found.scores.count}
    assert capsys.readouterr().err == ""
    evaluate(tiny_survey, tiny_model, label="clean5")
    assert capsys.readouterr().err.startswith(f"classifying {found.scores.count} in ")


def test_a_class_that_goes_with_the_survey_is_said(tmp_path: Path) -> None:
    rng = np.random.default_rng(222)
    odd = rng.random(80)
    labels = np.where(np.arange(80) % 2, "odd", "not_odd")
    for name, survey, told in (("one", np.arange(80) % 4 < 2, False), ("other", np.arange(80) % 2 == 1, True)):
        columns = {
            "id": [f"g{number}" for number in range(80)],
            "p_odd": odd,
            "gz2_argmax": labels,
            "survey": np.where(survey, "decals", "sdss"),
        }
        pa.parquet.write_table(pa.table(columns), tmp_path / f"{name}.parquet")
        notes = evaluate(tmp_path / f"{name}.parquet", label="gz2_argmax", verbose=False).notes
        assert (
            any("odd goes with survey decals" in note and "see the scores by survey" in note for note in notes) == told
        )
