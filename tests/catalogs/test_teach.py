"""A new question from few labels: the head, its calibration, the new file, the curve."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from numpy.typing import NDArray
from scipy.special import entr, expit
from typer.testing import CliRunner

from peculiar.catalogs.catalog import Catalog
from peculiar.catalogs.predict import predict
from peculiar.catalogs.teach import fit_head, learning_curve, raw_embeddings, teach
from peculiar.cli import app
from peculiar.errors import LabelError, UnknownNameError, UsageError
from peculiar.models.model_file import load_model
from peculiar.questions.question import CLEAN5, Question
from peculiar.sources import open_source
from rounding import of_product, of_softmax

FLAT = Question("shape", ("round", "flat"))


@pytest.fixture
def labels(tiny_survey: Path, tmp_path: Path) -> Path:
    """Whether a galaxy is flat, for sixty of the hundred, as CSV."""
    rows = pa.parquet.read_table(tiny_survey, columns=["id", "clean5"]).to_pylist()
    lines = [f"{row['id']},{'flat' if row['clean5'] in ('in_between', 'cigar') else 'round'}" for row in rows[:60]]
    path = tmp_path / "labels.csv"
    path.write_text("\n".join(["id,shape", *lines, "nobody,flat", "sim-099,"]) + "\n")
    return path


def drawn(count: int, seed: int = 222) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.float64]]:
    """Embeddings whose labels follow a known probability."""
    random = np.random.default_rng(seed)
    embeddings = (random.normal(size=(count, 12)) * 3 + 5).astype(np.float32)
    chance = expit((embeddings[:, 0] - embeddings[:, 1]) / 2 - 0.5)
    return embeddings, (random.random(count) < chance).astype(np.int64), chance


def test_a_taught_model_answers_the_new_question_and_the_old(
    labels: Path, tiny_catalog: Path, tiny_model: Path, tiny_survey: Path
) -> None:
    old = load_model(tiny_model)
    taught = teach(labels, tiny_catalog, "taught.onnx", model=old)
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
    np.testing.assert_allclose(after["p_round"].to_numpy(), before["p_round"].to_numpy(), atol=1e-6)
    bound = of_softmax(of_product(raw, taught.head.weights) / taught.head.temperature)
    np.testing.assert_allclose(after["p_shape_round"].to_numpy(), taught.head.probabilities(raw)[:, 1], atol=bound)
    again = teach(labels, "new.parquet", "twice.onnx", model=new, question="form").model
    assert [question.name for question in again.card.questions][-2:] == ["shape", "form"]
    assert again.card.training["taught"] == {"shape": 60, "form": 60}


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
    first, second = (teach(labels, tiny_catalog, f"{n}.onnx", model=model).model.card.digest for n in range(2))
    assert first == second
    text = labels.read_text().replace("sim-003,round", "sim-003,flat").replace("sim-001,flat", "sim-001,round")
    labels.write_text(text)
    assert teach(labels, tiny_catalog, "3.onnx", model=model).model.card.digest != first


def test_probabilities_mean_what_they_say() -> None:
    embeddings, labels, _ = drawn(3000)
    head = fit_head(embeddings, labels, FLAT)
    fresh, _, chance = drawn(3000, seed=1)
    found = head.probabilities(fresh)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)
    assert np.abs(found[:, 1] - chance).mean() < 0.03
    assert 0.8 < head.temperature < 1.25
    assert head.scores.count == 3000


def test_several_answers() -> None:
    random = np.random.default_rng(222)
    labels = random.integers(0, 5, 600)
    embeddings = (np.eye(5)[labels] * 4 + random.normal(size=(600, 5))).astype(np.float32)
    head = fit_head(embeddings, labels, CLEAN5)
    assert head.weights.shape == (5, 5)
    assert (head.probabilities(embeddings).argmax(axis=1) == labels).mean() > 0.9


def test_many_labels_are_calibrated_on_all_of_them() -> None:
    embeddings, labels, _ = drawn(20_000)
    head = fit_head(embeddings, labels, FLAT)
    assert head.scores.count == 20_000
    assert 0.9 < head.temperature < 1.1


def test_embeddings_that_are_no_numbers_are_left_out(tmp_path: Path) -> None:
    vectors = pa.array([[1, 2], None, [np.nan, 1], [3, 4], [np.inf, 0]], pa.list_(pa.float32(), 2))
    pa.parquet.write_table(pa.table({"id": list("abcde"), "embedding": vectors}), tmp_path / "c.parquet")
    embeddings, found = raw_embeddings(Catalog(tmp_path / "c.parquet"), np.array([3, 2, -1, 4, 1, 0]))
    assert (embeddings.tolist(), found.tolist()) == ([[3, 4], [1, 2]], [0, 5])


def test_the_curve_rises_and_looks_ahead() -> None:
    embeddings, labels, _ = drawn(400)
    curve = learning_curve(embeddings, labels, FLAT, 0.01)
    assert curve.labels == (40, 80, 160, 320, 800)
    assert curve.auc[0] < curve.auc[3] <= curve.auc[4] + 0.01
    for low, middle, high in zip(curve.low, curve.auc, curve.high, strict=True):
        assert low <= middle <= high <= 1


def test_labels_that_do_not_do(labels: Path, tiny_catalog: Path, tiny_model: Path) -> None:
    model = load_model(tiny_model)

    def refused(kind: type[Exception], says: str, content: str | None = None, **options: str) -> None:
        if content is not None:
            labels.write_text(content)
        out = options.pop("out", "x.onnx")
        with pytest.raises(kind, match=says):
            teach(labels, tiny_catalog, out, model=model, **options)
        assert not Path("x.onnx").exists()

    refused(UsageError, "already answers 'odd'", question="odd")
    refused(UnknownNameError, "Did you mean 'shape'", label="shapes")
    refused(UsageError, "a model file is called .onnx", out="x.bin")
    refused(
        LabelError,
        "received flat 4, round 1",
        "id,s\n" + "".join(f"sim-00{n},flat\n" for n in range(4)) + "sim-009,round\n",
    )
    refused(LabelError, "two answers or more", "id,s\n" + "".join(f"sim-00{n},flat\n" for n in range(9)))
    refused(LabelError, r"none of the 2 labelled galaxies is in .*tiny\.parquet", "id,s\nM31,flat\nM33,round\n")
    refused(LabelError, "no labels", "id,s\nsim-001,\n")
    refused(UnknownNameError, "name it by --label", "id,a,b\nsim-001,1,2\n")
    refused(UnknownNameError, "no column 'id'", "galaxy,s\nsim-001,1\n")
    with pytest.raises(UsageError, match="was made by the model"):
        teach(labels, tiny_catalog, "x.onnx")


def test_the_command(labels: Path, tiny_catalog: Path, tiny_model: Path) -> None:
    words = ["teach", str(labels), "--catalog", str(tiny_catalog), "--from", str(tiny_model), "--out", "t.onnx"]
    shown = CliRunner().invoke(app, [*words, "--curve", "curve.png"])
    assert shown.exit_code == 0, shown.output
    assert "if it goes on like this" in shown.stdout
    assert "t.onnx also answers shape" in shown.stdout
    assert Path("curve.png").stat().st_size > 5000
    figures = json.loads(CliRunner().invoke(app, [*words, "--json"]).stdout)
    assert figures["used"] == 60
    assert figures["curve"] is None
