"""A new question from few labels: the head, its calibration, the new file, the curve."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from scipy.special import entr
from typer.testing import CliRunner

from class_folders import write_classes
from peculiar.catalogs import teach as teaching
from peculiar.catalogs.catalog import Catalog
from peculiar.catalogs.predict import predict
from peculiar.catalogs.teach import raw_embeddings, teach
from peculiar.cli import app
from peculiar.errors import DataError, LabelError, UnknownNameError, UsageError
from peculiar.models.linear_head import Head
from peculiar.models.model_file import load_model
from peculiar.sources import open_source
from rounding import of_product, of_softmax


@pytest.fixture
def labels(tiny_survey: Path, tmp_path: Path) -> Path:
    """Write labels flat or not for sixty of the hundred galaxies, as CSV."""
    rows = pa.parquet.read_table(tiny_survey, columns=["id", "clean5"]).to_pylist()
    lines = [f"{row['id']},{'flat' if row['clean5'] in ('in_between', 'cigar') else 'round'}" for row in rows[:60]]
    path = tmp_path / "labels.csv"
    path.write_text("\n".join(["id,shape", *lines, "nobody,flat", "sim-099,"]) + "\n")
    return path


def test_a_taught_model_answers_the_new_question_and_the_old(
    labels: Path, tiny_catalog: Path, tiny_model: Path, tiny_survey: Path
) -> None:
    old = load_model(tiny_model)
    taught = teach(labels, "taught.onnx", catalog=tiny_catalog, model=old)
    new = load_model("taught.onnx")
    assert (taught.used, taught.left_out) == (60, 1)
    assert [question.name for question in new.card.questions] == ["four_class", "clean5", "odd", "shape"]
    assert new.card.questions[-1].answers == ("flat", "round")
    assert new.card.digest != old.card.digest
    assert new.card.credits == old.card.credits
    assert new.card.training["taught"] == {"shape": 60}
    assert taught.head.scores.accuracy > 0.8
    predict(open_source(tiny_survey), "new.parquet", new, embeddings=True, views=1)
    before, after = pa.parquet.read_table(tiny_catalog), pa.parquet.read_table("new.parquet")
    np.testing.assert_allclose(after["p_odd"].to_numpy(), before["p_odd"].to_numpy(), atol=1e-6)
    raw = np.stack(before["embedding"].to_numpy())
    np.testing.assert_allclose(after["p_clean5_round"].to_numpy(), before["p_round"].to_numpy(), atol=1e-6)
    # "round" answers both questions, so no column is called p_round.
    assert "p_round" not in after.column_names
    bound = of_softmax(of_product(raw, taught.head.weights) / taught.head.temperature)
    np.testing.assert_allclose(after["p_shape_round"].to_numpy(), taught.head.probabilities(raw)[:, 1], atol=bound)
    again = teach(labels, "twice.onnx", catalog="new.parquet", model=new, question="form").model
    assert [question.name for question in again.card.questions][-2:] == ["shape", "form"]
    assert again.card.training["taught"] == {"shape": 60, "form": 60}


def test_pictures_of_one_galaxy_in_two_sets_are_held_out_together(
    tiny_survey: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[object] = []
    fit = teaching.fit_head

    def fit_noting(*args: Any, groups: object, **how: Any) -> Head:
        given.append(groups)
        return fit(*args, groups=groups, **how)

    monkeypatch.setattr(teaching, "fit_head", fit_noting)
    folder = write_classes(tiny_survey, Path("my_classes"), count=12)
    shutil.copytree(folder, "again")
    teach([folder, "again"], "twice.onnx", model=tiny_model)
    teach(folder, "once.onnx", model=tiny_model)
    (twice, once) = given
    assert once is None
    assert isinstance(twice, list)
    assert len(twice) == 2 * len(set(twice)) == 24


@pytest.mark.slow
def test_the_question_taught_last_is_what_everything_is_about(
    labels: Path, tiny_catalog: Path, tiny_model: Path, tiny_survey: Path, tmp_path: Path
) -> None:
    rows = pa.parquet.read_table(tiny_survey, columns=["image", "clean5"]).to_pylist()
    for number, row in enumerate(rows):
        file = tmp_path / "data" / ("flat" if row["clean5"] in ("in_between", "cigar") else "round") / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(row["image"]["bytes"])
    runner = CliRunner()

    def run(*words: str) -> str:
        done = runner.invoke(app, list(words))
        assert done.exit_code == 0, done.output
        return done.stdout

    run("teach", str(labels), "--catalog", str(tiny_catalog), "--from", str(tiny_model), "--out", "t.onnx")
    counted = json.loads(run("predict", "data", "--model", "t.onnx", "--out", "c.parquet", "--embeddings", "--json"))
    assert set(counted["classes"]) == {"flat", "round"}
    table = pa.parquet.read_table("c.parquet")
    assert table["class"] == table["class_shape"]
    second = table["p_shape_round"].to_numpy()
    assert table["class"].to_pylist() == ["round" if chance > 0.5 else "flat" for chance in second]
    chances = np.stack([1 - second, second], axis=1)
    np.testing.assert_allclose(table["entropy"].to_numpy(), entr(chances).sum(axis=1), atol=1e-4)
    old = load_model("t.onnx").card.questions[:3]
    for question in old:
        assert set(table[f"class_{question.name}"].to_pylist()) <= set(question.answers)
    assert table.schema.metadata[b"question"] == b"shape"
    # Labels of the folder are called "class", and its answers are those of the new question.
    run("evaluate", "data", "--model", "t.onnx", "--out", "one")
    lines = ["id,class", *(f"{id_},{id_.split('/')[0]}" for id_ in table["id"].to_pylist())]
    Path("truth.csv").write_text("\n".join(lines) + "\n")
    run("evaluate", "c.parquet", "--labels", "truth.csv", "--model", "t.onnx", "--out", "two")
    scores = [json.loads((tmp_path / name / "scores.json").read_text()) for name in ("one", "two")]
    assert scores[0]["scores"]["accuracy"] == scores[1]["scores"]["accuracy"] > 0.8
    assert "flat" in run("search", "c.parquet", "--where", "class = 'flat' and class_shape = 'flat'")
    shown = json.loads(run("explain", "data", "--model", "t.onnx", "--count", "1", "--views", "1", "--json"))
    assert shown[0]["question"] == "shape"


def test_the_digest_follows_the_head(labels: Path, tiny_catalog: Path, tiny_model: Path) -> None:
    model = load_model(tiny_model)
    first, second = (teach(labels, f"{n}.onnx", catalog=tiny_catalog, model=model).model.card.digest for n in range(2))
    assert first == second
    text = labels.read_text().replace("sim-003,round", "sim-003,flat").replace("sim-001,flat", "sim-001,round")
    labels.write_text(text)
    assert teach(labels, "3.onnx", catalog=tiny_catalog, model=model).model.card.digest != first


def test_embeddings_that_are_no_numbers_are_left_out(tmp_path: Path) -> None:
    vectors = pa.array([[1, 2], None, [np.nan, 1], [3, 4], [np.inf, 0]], pa.list_(pa.float32(), 2))
    pa.parquet.write_table(pa.table({"id": list("abcde"), "embedding": vectors}), tmp_path / "c.parquet")
    embeddings, found = raw_embeddings(Catalog(tmp_path / "c.parquet"), np.array([3, 2, -1, 4, 1, 0]))
    assert (embeddings.tolist(), found.tolist()) == ([[3, 4], [1, 2]], [0, 5])


def test_labels_that_do_not_do(labels: Path, tiny_catalog: Path, tiny_model: Path) -> None:
    model = load_model(tiny_model)

    def refused(kind: type[Exception], says: str, content: str | None = None, **options: str) -> None:
        if content is not None:
            labels.write_text(content)
        out = options.pop("out", "x.onnx")
        with pytest.raises(kind, match=says):
            teach(labels, out, catalog=tiny_catalog, model=model, **options)
        assert not Path("x.onnx").exists()

    refused(UsageError, "already answers 'odd'", question="odd")
    refused(UnknownNameError, "Did you mean 'shape'", label="shapes")
    refused(UsageError, "the name of a model file has to end in .onnx", out="x.bin")
    refused(
        LabelError,
        "received flat 4, round 1",
        "id,s\n" + "".join(f"sim-00{n},flat\n" for n in range(4)) + "sim-009,round\n",
    )
    refused(
        LabelError,
        "at least two classes are needed, received flat 9",
        "id,s\n" + "".join(f"sim-00{n},flat\n" for n in range(9)),
    )
    refused(
        LabelError,
        r"none of the 2 labelled galaxies has an embedding in .*tiny\.parquet",
        "id,s\nM31,flat\nM33,round\n",
    )
    refused(LabelError, "no labels", "id,s\nsim-001,\n")
    refused(UnknownNameError, "name it by --label", "id,a,b\nsim-001,1,2\n")
    refused(UnknownNameError, "no column 'id'", "galaxy,s\nsim-001,1\n")
    with pytest.raises(UsageError, match="was made by the model"):
        teach(labels, "x.onnx", catalog=tiny_catalog)


def test_the_command(labels: Path, tiny_catalog: Path, tiny_model: Path) -> None:
    words = ["teach", str(labels), "--catalog", str(tiny_catalog), "--from", str(tiny_model), "--out", "t.onnx"]
    shown = CliRunner().invoke(app, [*words, "--curve", "curve.png"])
    assert shown.exit_code == 0, shown.output
    assert "(extrapolated)" in shown.stdout
    assert "t.onnx also answers 'shape'" in shown.stdout
    assert Path("curve.png").stat().st_size > 5000
    figures = json.loads(CliRunner().invoke(app, [*words, "--json"]).stdout)
    assert figures["used"] == 60
    assert figures["curve"] is None


@pytest.fixture
def classes(tiny_survey: Path) -> Path:
    """A folder with a sub-folder a class: thirty round galaxies and thirty flat ones."""
    return write_classes(tiny_survey, Path("classes"), count=60)


def test_folders_teach_as_a_catalogue_of_their_pictures_does(classes: Path, tiny_model: Path) -> None:
    model = load_model(tiny_model)
    (classes / "flat" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    (classes / "loose.png").write_bytes((classes / "flat" / "sim-001.png").read_bytes())
    taught = teach(classes, "folders.onnx", model=tiny_model)
    assert (taught.used, taught.left_out) == (60, 1)
    assert (taught.head.question.name, taught.head.question.answers) == ("class", ("flat", "round"))
    assert taught.head.scores.intervals["accuracy"] is not None
    predict(classes, out="c.parquet", model=model, embeddings=True)
    rows = [f"{id_},{id_.split('/')[0]}" for id_ in open_source(classes).ids() if "/" in id_]
    Path("labels.csv").write_text("\n".join(["id,class", *rows]) + "\n")
    again = teach("labels.csv", "table.onnx", catalog="c.parquet", model=model)
    np.testing.assert_allclose(again.head.weights, taught.head.weights, atol=0.05 * np.abs(taught.head.weights).max())
    assert again.head.scores.accuracy == pytest.approx(taught.head.scores.accuracy, abs=0.05)


def test_folders_that_are_called_as_a_known_question_make_a_new_one(tiny_survey: Path, tiny_model: Path) -> None:
    write_classes(tiny_survey, Path("mine"), {"round": "round", "edge_on": "edge_on"})
    taught = teach("mine", "m.onnx", model=tiny_model)
    # The answers are those that occur, in the order of the question that is known.
    assert (taught.head.question.name, taught.head.question.answers) == ("mine", ("round", "edge_on"))
    # Its pictures are scored by the new question, not by the old one with the same answers.
    asked = taught.model.asking(labels="clean5", entries=["round", None])
    assert asked.question.name == "mine"
    assert load_model(tiny_model).asking(labels="clean5", entries=["round"]).question.name == "clean5"


def test_what_is_missing_is_told(classes: Path, labels: Path, tiny_model: Path) -> None:
    with pytest.raises(DataError, match=r"no column holds pictures.*\(--catalog\)"):
        teach(labels, "x.onnx", model=tiny_model)
    for file in [*(classes / "flat").iterdir()][1:]:
        file.unlink()
    with pytest.raises(
        LabelError, match=r"5 different galaxies of each class .* flat has fewer: received flat 1, round"
    ):
        teach(classes, "x.onnx", model=tiny_model)
    shutil.rmtree(classes / "flat")
    with pytest.raises(LabelError, match="at least two classes are needed, received round 30"):
        teach(classes, "x.onnx", model=tiny_model)
    assert not Path("x.onnx").exists()


def test_the_command_takes_folders(classes: Path, tiny_model: Path) -> None:
    # Other commands call it --model.
    shown = CliRunner().invoke(app, ["teach", str(classes), "--model", str(tiny_model), "--out", "t.onnx"])
    assert shown.exit_code == 0, shown.output
    assert "By cross-validation on 60 labelled galaxies:" in shown.stdout
    assert re.search(r"\naccuracy +[01]\.\d{3}   0\.\d{3} to", shown.stdout)
    assert "Next: peculiar predict PICTURES --model t.onnx" in shown.stdout
