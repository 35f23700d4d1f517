"""Questions and answers of any name go the whole way: train, export, predict, evaluate, calibrate, teach, search."""

import csv
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from PIL import Image
from typer.testing import CliRunner

from peculiar.catalogs.catalog import Catalog
from peculiar.catalogs.predict import predict
from peculiar.catalogs.teach import teach
from peculiar.cli import app
from peculiar.evaluation.candidates import file_candidate
from peculiar.evaluation.scored import score_pictures, score_table
from peculiar.images.decode import encode_picture
from peculiar.models.calibrate import calibrate
from peculiar.models.explain import explain
from peculiar.models.model_file import Model
from peculiar.questions.column_names import answer_columns, class_columns, find_answer_columns
from peculiar.questions.question import Question
from peculiar.sources import open_source
from peculiar.tables.reader import TableReader
from pictures import draw_galaxy

ODD_NAMES = (
    *("class", "import", "None", "True", "forward", "weight", "training", "heads", "self", "embedding", "pictures"),
    *("logits_0", "0", "1", "p.x", "a b", "A B", "a_b", "a/b", "a\\b", "ü", "Ü", "环", "select", "order by", "x" * 200),
    *("it's", 'a "b"', "line\nbreak", "{0}", "%s", "[bold]", "-", " ", "'; DROP TABLE catalog;--", "flags", "é"),
)


def answers_of(number: int) -> tuple[str, str, str]:
    """Three answers to a question, which are odd names themselves."""
    possible = [name for name in ODD_NAMES if name.strip()]  # a label of blanks is none
    return tuple(sorted(possible[(number + step) % len(possible)] for step in (0, 5, 11)))  # type: ignore[return-value]


QUESTIONS = [Question(name, answers_of(number)) for number, name in enumerate(ODD_NAMES)]


@pytest.fixture(scope="module")
def survey(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty drawn galaxies that answer every question: by their size."""
    rows = []
    for number in range(60):
        kind = number % 3
        picture = draw_galaxy(48, 5 + 4 * kind, 24, 24, seed=number)
        labels = {question.name: question.answers[kind] for question in QUESTIONS}
        rows.append({"id": f"g{number:03d}", "image": {"bytes": encode_picture(picture), "path": None}, **labels})
    table = pa.Table.from_pylist(rows)
    path = tmp_path_factory.mktemp("odd") / "survey.parquet"
    pa.parquet.write_table(table, path)
    return path


@pytest.fixture(scope="module")
def model(survey: Path) -> Model:
    """A model of all questions, trained for one epoch."""
    from peculiar.training.export import export
    from peculiar.training.loop import train_network
    from peculiar.training.recipe import Recipe

    run = survey.parent / "run"
    recipe = Recipe(width=8, size=32, epochs=1, batch_size=8, pretrained=False)
    train_network([survey], run, recipe, questions=QUESTIONS)
    return export(run, survey.parent / "odd.onnx")


@pytest.fixture(scope="module")
def catalog(survey: Path, model: Model) -> Path:
    path = survey.parent / "catalog.parquet"
    predict(open_source(survey), path, model, embeddings=True, views=1)
    return path


def test_every_question_is_answered(survey: Path, model: Model, catalog: Path) -> None:
    assert [question.name for question in model.card.questions] == list(ODD_NAMES)
    columns, classes = answer_columns(model.card.questions), class_columns(model.card.questions)
    table = pa.parquet.read_table(catalog)
    assert len({name.lower() for name in table.column_names}) == len(table.column_names)
    pictures = [row.pixels() for row in open_source(survey).rows()]
    answers = model.classify(pictures, views=1)
    for question in model.card.questions:
        found = np.stack([table[columns[question.name][answer]].to_numpy() for answer in question.answers], axis=1)
        np.testing.assert_allclose(found, answers.probabilities[question.name], atol=1e-5)
        expected = [question.answers[number] for number in found.argmax(axis=1)]
        assert table[classes[question.name]].to_pylist() == expected
        assert find_answer_columns(question, table.column_names, Catalog(catalog).notes) == list(
            columns[question.name].values()
        )


@pytest.mark.parametrize("suffix", ["csv", pytest.param("fits", marks=pytest.mark.slow), "vot", "ecsv"])
def test_every_format_holds_the_columns(survey: Path, model: Model, catalog: Path, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"c.{suffix}"
    predict(open_source(survey), path, model, views=1)
    expected, reader = pa.parquet.read_table(catalog), TableReader(path)
    assert list(reader.columns) == [name for name in expected.column_names if name != "embedding"]
    for name in class_columns(model.card.questions).values():
        assert reader.column(name) == expected[name].to_pylist(), name


@pytest.mark.parametrize("number", range(len(ODD_NAMES)))
@pytest.mark.slow
def test_evaluate_finds_each_question(survey: Path, model: Model, catalog: Path, number: int, tmp_path: Path) -> None:
    question = model.card.questions[number]
    source = open_source(survey, label=question.name)
    candidate = file_candidate(model, views=1)
    by_pictures = score_pictures(source, candidate)
    assert by_pictures.question.name == question.name
    labels = tmp_path / "labels.csv"
    with labels.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["id", question.name])
        writer.writerows(zip(source.ids(), source.labels(), strict=True))
    by_table = score_table(catalog, candidate, label=question.name, labels=labels)
    assert by_table is not None
    assert by_table.question.name == question.name
    assert by_table.ids == by_pictures.ids
    np.testing.assert_allclose(by_table.probabilities, by_pictures.probabilities, atol=1e-5)


@pytest.mark.slow
def test_conditions_on_every_column(model: Model, catalog: Path) -> None:
    names = [name for one in answer_columns(model.card.questions).values() for name in one.values()]
    for name in names:
        assert len(Catalog(catalog).query(f'"{name}" >= 0', top=None)) == 60
    for question, name in class_columns(model.card.questions).items():
        answers = next(one.answers for one in model.card.questions if one.name == question)
        quoted = ", ".join("'" + answer.replace("'", "''") + "'" for answer in answers)
        assert len(Catalog(catalog).query(f'"{name}" in ({quoted})', top=None)) == 60


@pytest.mark.parametrize("eight_bits", [pytest.param(False, marks=pytest.mark.slow), True])
@pytest.mark.slow
def test_calibrate_and_eight_bits(survey: Path, model: Model, tmp_path: Path, eight_bits: bool) -> None:
    found = calibrate([open_source(survey)], tmp_path / "new.onnx", model, eight_bits=eight_bits)
    assert list(found.card.sets) == list(ODD_NAMES)
    pictures = [row.pixels() for row in open_source(survey).rows()]
    before, after = (one.classify(pictures, views=1).probabilities for one in (model, found))
    for name in ODD_NAMES:
        assert np.abs(before[name] - after[name]).max() < (0.1 if eight_bits or name in found.card.scalings else 1e-6)


@pytest.mark.parametrize("name", ["colour", "logits_36", "embedding.weights", "Mean", "ÜÜ", 'x"; y', "relu", "\n"])
@pytest.mark.slow
def test_teach_further_questions(survey: Path, model: Model, catalog: Path, tmp_path: Path, name: str) -> None:
    labels = tmp_path / "labels.csv"
    with labels.open("w", newline="", encoding="utf-8") as file:
        rows = [(id_, ("no thing", "No-Thing", "None")[row % 3]) for row, id_ in enumerate(open_source(survey).ids())]
        csv.writer(file).writerows([("id", "label"), *rows])
    taught = teach(labels, tmp_path / "taught.onnx", catalog=catalog, model=model, question=name)
    assert taught.model.card.main_question.name == name
    predict(open_source(survey), tmp_path / "c.parquet", taught.model, embeddings=True, views=1)
    table = pa.parquet.read_table(tmp_path / "c.parquet")
    assert set(table["class"].to_pylist()) <= {"no thing", "No-Thing", "None"}
    raw = np.stack(pa.parquet.read_table(catalog)["embedding"].to_numpy())
    columns = answer_columns(taught.model.card.questions)[name]
    found = np.stack([table[columns[answer]].to_numpy() for answer in taught.head.question.answers], axis=1)
    np.testing.assert_allclose(found, taught.head.probabilities(raw), atol=1e-4)


@pytest.mark.slow
def test_explain_and_resume(survey: Path, model: Model) -> None:
    for name in ODD_NAMES[::9]:
        shown = explain(survey, model.asking(name, views=1), "explained", count=1)
        assert shown[0].attribution.question == name


@pytest.mark.slow
def test_a_folder_of_classes_by_the_commands(tmp_path: Path) -> None:
    """`fit FOLDER --label class` is what every folder leads to, and `class` is a word of Python."""
    random = np.random.default_rng(222)
    for name, radius in (("a b", 4), ("None", 9), ("ü-1", 14)):
        (tmp_path / "data" / name).mkdir(parents=True)
        for number in range(40):
            picture = draw_galaxy(48, radius, 24, 24, seed=int(random.integers(1 << 30)))
            Image.fromarray(picture).save(tmp_path / "data" / name / f"{name}{number}.png")
    runner = CliRunner()

    def run(*words: str) -> str:
        done = runner.invoke(app, list(words))
        assert done.exit_code == 0, done.output
        return done.stdout

    size = ["--size", "32", "--width", "8", "--batch-size", "8", "--epochs", "1", "--from", "scratch"]
    run("train", "data", "--label", "class", "--out", "run", *size)
    assert "answers class" in run("export", "run", "--out", "m.onnx")
    run("predict", "data", "--model", "m.onnx", "--out", "c.parquet", "--embeddings")
    assert set(pa.parquet.read_table("c.parquet")["class"].to_pylist()) <= {"a b", "None", "ü-1"}
    run("evaluate", "data", "--model", "m.onnx", "--part", "all", "--out", "e1")
    scores = json.loads(Path("e1/scores.json").read_text())
    with Path("labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("id", "class"), *((one, one.split("/")[0]) for one in open_source("data").ids())])
    run("evaluate", "c.parquet", "--labels", "labels.csv", "--model", "m.onnx", "--part", "all", "--out", "e2")
    assert json.loads(Path("e2/scores.json").read_text())["scores"]["accuracy"] == scores["scores"]["accuracy"]
    run("calibrate", "data", "--model", "m.onnx", "--out", "r.onnx")
    run("teach", "labels.csv", "--catalog", "c.parquet", "--from", "m.onnx", "--question", "import", "--out", "t.onnx")
    run("predict", "data", "--model", "t.onnx", "--out", "t.parquet")
    run("search", "t.parquet", "--where", "class_import = 'a b' and p_import_none < 0.9 and \"p_class_u-1\" < 1")
    run("explain", "data", "--model", "t.onnx", "--count", "1", "--views", "1")
