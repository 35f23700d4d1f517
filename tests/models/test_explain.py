"""Explanations of galaxies: which are explained, and as what they are returned, written and printed."""

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from matplotlib.figure import Figure
from PIL import Image
from typer.testing import CliRunner

from peculiar.cli import app
from peculiar.errors import DataError, PeculiarWarning, UnknownNameError, UnreadablePictureWarning, UsageError
from peculiar.images.decode import encode_picture
from peculiar.models.explain import Explanations, explain
from peculiar.models.model_file import load_model
from peculiar.sources import open_source
from peculiar.sources.interleave import interleave_classes
from pictures import draw_galaxy
from spots import SIDE, SpotFinder, with_spot


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three pictures by class, one of them broken."""
    for number, answer in enumerate(("no spot", "spot", "spot")):
        path = tmp_path / "pictures" / answer / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode_picture(with_spot(14, 30 - 5 * number) if number else draw_galaxy(SIDE, 12, 24, 24)))
    (tmp_path / "pictures" / "spot" / "1.png").write_bytes(b"no picture")
    return tmp_path / "pictures"


def test_galaxies_are_drawn_and_told_as_data(folder: Path, tmp_path: Path) -> None:
    with pytest.warns(UnreadablePictureWarning, match=r"1 of 3 pictures .* spot/1\.png: it is not a picture"):
        shown = explain(folder, SpotFinder(), tmp_path / "out", count=5, verbose=False)
    assert [one.id for one in shown] == ["no spot/0.png", "spot/2.png"]
    assert [one.label for one in shown] == ["no spot", "spot"]
    assert [one.attribution.answer for one in shown] == ["no spot", "spot"]
    for file in (*(one.file for one in shown), tmp_path / "out" / "overview.png"):
        with Image.open(file) as picture:
            assert min(picture.size) > 200
    told = json.loads(json.dumps(shown[1].as_dict()))
    assert told["probability"] == told["probabilities"]["spot"] > 0.9
    assert told["without_decisive"] < 0.1


def test_the_first_few_are_of_all_classes(tmp_path: Path) -> None:
    for number in range(40):
        path = tmp_path / "pictures" / "abcd"[number // 10] / f"{number:02d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode_picture(draw_galaxy(SIDE, 12, 24, 24, seed=number)))
    source = open_source(tmp_path / "pictures")
    order = [row.id for row in interleave_classes(source)]
    assert sorted(order) == source.ids()
    assert [id_[0] for id_ in order[:8]] == list("abcdabcd")
    assert order[:4] != ["a/00.png", "b/10.png", "c/20.png", "d/30.png"]
    assert order == [row.id for row in interleave_classes(source)]
    assert order != [row.id for row in interleave_classes(source, seed=1)]
    shown = explain(source, SpotFinder(), count=4, verbose=False)
    assert [one.id for one in shown] == order[:4]
    alone = open_source(tmp_path / "pictures" / "a")
    assert [row.id for row in interleave_classes(alone)] == alone.ids()


def test_galaxies_are_chosen_by_id(folder: Path, tmp_path: Path) -> None:
    source = open_source(folder)
    (one,) = explain(source, SpotFinder(), tmp_path / "out", verbose=False, ids=["spot/2.png"], answer="no spot")
    assert (one.id, one.attribution.answer) == ("spot/2.png", "no spot")
    with pytest.raises(UnknownNameError, match=r"no galaxy 'spot/3.png'.*Did you mean 'spot/"):
        explain(source, SpotFinder(), verbose=False, ids=["spot/2.png", "spot/3.png"])
    with pytest.raises(DataError, match=r"no picture can be read; the first is spot/1.png"):
        explain(source, SpotFinder(), verbose=False, ids=["spot/1.png"])
    with pytest.raises(UsageError, match="count=0"):
        explain(source, SpotFinder(), verbose=False, count=0)


def test_of_rows_of_one_id_the_first_is_explained(tmp_path: Path) -> None:
    picture = encode_picture(with_spot(14, 20))
    table = pa.table({"id": ["x", "x", "y"], "image": [picture] * 3})
    pa.parquet.write_table(table, tmp_path / "g.parquet")
    with pytest.warns(PeculiarWarning, match="ids that occur more than once: 1, such as 'x'"):
        source = open_source(tmp_path / "g.parquet")
    shown = explain(source, SpotFinder(), tmp_path / "out", verbose=False, ids=["y", "x"])
    assert [one.id for one in shown] == ["x", "y"]


def run(*words: object) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return CliRunner().invoke(app, list(map(str, words)))


def test_the_command_explains_a_model_file(tiny_survey: Path, tiny_model: Path, tmp_path: Path) -> None:
    chosen = ("--galaxy", "sim-007", "--galaxy", "sim-010")
    words = ("explain", tiny_survey, "--model", tiny_model, "--label", "clean5", *chosen)
    done = run(*words, "--out", tmp_path / "out", "--json")
    assert done.exit_code == 0, done.output
    one, other = json.loads(done.stdout)
    assert (one["id"], other["id"], one["question"], one["label"]) == ("sim-007", "sim-010", "clean5", "edge_on")
    assert sum(one["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    assert Path(one["file"]).is_file()
    done = run(*words, "--out", tmp_path / "other", "--question", "odd", "--answer", "od")
    assert isinstance(done.exception, UnknownNameError)
    assert "Did you mean 'odd'?" in str(done.exception)


def test_several_files_are_explained(tiny_model: Path, tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("one.png", "two.png")]
    for seed, file in enumerate(files):
        Image.fromarray(draw_galaxy(64, 10, 32, 32, seed=seed)).save(file)
    out = tmp_path / "out"
    done = run("explain", *files, "--model", tiny_model, "--question", "odd", "--out", out)
    assert done.exit_code == 0, done.output
    assert {file.name for file in out.iterdir()} == {"galaxy_1.png", "galaxy_2.png", "overview.png"}
    assert done.stdout.startswith("one.png: ")


def test_options_of_model_files_are_refused_for_a_run(tiny_survey: Path, tiny_run: Path) -> None:
    done = run("explain", tiny_survey, "--model", tiny_run, "--answer", "odd", "--json")
    assert isinstance(done.exception, UsageError)
    assert "--answer, --json: only for model files" in str(done.exception)


def test_pictures_in_memory_are_explained(tiny_model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pictures = np.stack([with_spot(14, 20), with_spot(30, 20)])
    shown = explain(pictures, load_model(tiny_model), count=2, question="odd", views=1)
    assert isinstance(shown, Explanations)
    assert [one.id for one in shown] == ["picture-0", "picture-1"]
    assert capsys.readouterr().err.startswith("explained 2 of 2 in ")
    assert [one.id for one in shown[1:]] == ["picture-1"]
    assert isinstance(shown.show(), Figure)
    assert isinstance(shown[0].show(), Figure)
    assert shown[0].as_dict()["file"] is None
    assert not Path("explained").exists()
    assert str(shown[0]).startswith("picture-0: ")


def test_a_run_is_explained_otherwise(tiny_run: Path, tiny_survey: Path) -> None:
    with pytest.raises(UsageError, match=r"is a folder without model\.onnx: visualize_activations\(load_run\('"):
        explain(tiny_survey, tiny_run)
