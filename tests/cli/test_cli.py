import importlib.metadata
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from numpy.typing import NDArray
from typer.main import get_command

import peculiar
from peculiar.cli import app
from peculiar.errors import MissingExtraError
from peculiar.files import run_files
from peculiar.images.decode import encode_picture
from peculiar.models.model_file import load_model
from peculiar.questions.question import FOUR_CLASS
from peculiar.training.recipe import read_record


@pytest.fixture
def pictures_folder(fake_pictures: NDArray[np.uint8]) -> Path:
    """A folder with a sub-folder a class, ten JPEGs in each."""
    for number, pixels in enumerate(fake_pictures):
        path = Path(f"pictures/{FOUR_CLASS.answers[number // 10]}/{number}.jpg")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode_picture(pixels, "JPEG"))
    return Path("pictures")


@pytest.mark.slow
def test_train_evaluate_explain_on_an_npz(peculiar_command: Any, fake_npz: Path) -> None:
    status, output, progress = peculiar_command("train", fake_npz, "--net", "exercise", "--out", "run", "--epochs", 2)
    assert status == 0
    assert "Total parameters: 7,164" in progress
    assert len(re.findall(r"epoch \d/2  loss \d\.\d{3}  accuracy .*validation: loss", progress)) == 2
    assert "Scores of the last weights (epoch 2) on the 8 galaxies held back" in output
    trained = re.search(r"accuracy +(\S+)", output)
    assert Path("run/history.png").stat().st_size > 1000
    assert Path("run/confusion.png").stat().st_size > 1000

    status, output, _ = peculiar_command("evaluate", fake_npz, "--model", "run", "--out", "scores")
    assert status == 0
    assert "32 galaxies are left out: the model was trained on them." in output
    assert "Model: run, its last weights (epoch 2); scores on 8 galaxies" in output
    scored = re.search(r"accuracy +(\S+)", output)
    assert trained is not None
    assert scored is not None
    assert scored[1] == trained[1]
    for word in ("balanced accuracy", "precision", "recall", "F1", "Confusion matrix", "Merger"):
        assert word in output
    stored = json.loads(Path("scores/scores.json").read_text())
    assert stored["scores"]["count"] == 8
    assert Path("scores/confusion.png").exists()

    status, output, _ = peculiar_command(
        "evaluate", fake_npz, "--model", "run", "--weights", "best", "--include-training", "--json"
    )
    assert status == 0
    assert json.loads(output)["scores"]["count"] == 40
    assert json.loads(output)["trained_on"] == {"count": 32, "scored": True}
    history = run_files.read_history(Path("run"))
    assert (json.loads(output)["weights"], json.loads(output)["epoch"]) == (
        "best",
        run_files.best_epoch(history)["epoch"],
    )
    assert Path("run/evaluation/scores.json").exists()

    status, output, _ = peculiar_command("explain", fake_npz, "--model", "run", "--out", "seen", "--count", 2)
    assert status == 0
    assert len(re.findall(r"Galaxy \d: predicted \w+, actual \w+ \(\d+% sure\): (right|wrong)", output)) == 2
    assert {file.name for file in Path("seen").iterdir()} == {
        *(f"galaxy_{n}{layer}.png" for n in (1, 2) for layer in ("", "_conv2d", "_conv2d_1")),
        "contact_sheet.png",
    }


def test_train_prints_json_and_nothing_else_on_standard_output(peculiar_command: Any, fake_npz: Path) -> None:
    status, output, _ = peculiar_command(
        "train", fake_npz, "--net", "exercise", "--out", "run", "--epochs", 1, "--json"
    )
    assert status == 0
    result = json.loads(output)
    assert result["history"][0]["epoch"] == 1
    assert result["scores"]["count"] == 8


@pytest.mark.slow
def test_a_broken_picture_is_reported_and_the_rest_goes_on(peculiar_command: Any, pictures_folder: Path) -> None:
    broken = pictures_folder / "Merger" / "25.jpg"
    broken.write_bytes(broken.read_bytes()[:500])
    (pictures_folder / "Other" / "text.jpg").write_text("no picture")
    status, _, progress = peculiar_command("train", pictures_folder, "--net", "exercise", "--out", "run", "--epochs", 1)
    assert status == 0
    assert "warning: 2 of 41 pictures cannot be read and are left out; the first is Merger/25.jpg" in progress
    status, output, _ = peculiar_command("evaluate", pictures_folder, "--model", "run", "--json")
    assert status == 0
    assert set(json.loads(output)["unreadable"]) == {"Merger/25.jpg", "Other/text.jpg"}
    status, output, _ = peculiar_command("evaluate", pictures_folder, "--model", "run")
    assert "Other/text.jpg cannot be read: it is not a picture" in output


@pytest.mark.slow
def test_loose_pictures_are_explained_without_a_verdict(
    peculiar_command: Any, fake_npz: Path, pictures_folder: Path
) -> None:
    peculiar_command("train", fake_npz, "--net", "exercise", "--out", "run", "--epochs", 1)
    loose = pictures_folder / "Normal"
    status, output, _ = peculiar_command("explain", loose, "--model", "run", "--count", 1)
    assert status == 0
    assert re.search(r"Galaxy 1: predicted \w+ \(\d+% sure\)\n", output)


def test_data_list_and_get(peculiar_command: Any, fake_npz: Path, pictures_folder: Path) -> None:
    status, output, _ = peculiar_command("data", "list", fake_npz, "--json")
    assert status == 0
    assert json.loads(output) == {
        "data": str(fake_npz),
        "kind": "npz",
        "galaxies": 40,
        "label": "four_class",
        "classes": dict.fromkeys(FOUR_CLASS.answers, 10),
        "unlabelled": 0,
    }
    assert "40 galaxies (folder)" in peculiar_command("data", "list", pictures_folder)[1]
    assert "no labels" in peculiar_command("data", "list", pictures_folder / "Ringed")[1]
    status, output, _ = peculiar_command(
        "data", "get", "simulated", "--out", "simulated.npz", "--count", 12, "--size", 32
    )
    assert status == 0
    with np.load("simulated.npz") as file:
        assert file["data"].shape == (12, 32, 32, 3)
        assert json.loads(str(file["parameters"][0]))["class"] in FOUR_CLASS.answers
    assert "12 galaxies (npz)" in peculiar_command("data", "list", "simulated.npz")[1]


def test_data_get_exercise_copies_the_published_file(
    peculiar_command: Any, fake_npz: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (fake_npz.parent / "published").mkdir()
    fake_npz.rename(fake_npz.parent / "published" / "galaxydata.npz")
    monkeypatch.setenv("PECULIAR_DATA", str(fake_npz.parent / "published"))
    assert peculiar_command("data", "get", "exercise", "--out", "copy.npz")[0] == 0
    assert Path("copy.npz").read_bytes() == (fake_npz.parent / "published" / "galaxydata.npz").read_bytes()


def test_info_names_versions(peculiar_command: Any) -> None:
    status, output, _ = peculiar_command("info", "--json")
    assert status == 0
    assert json.loads(output)["peculiar"] == "0.1.0"
    status, output, _ = peculiar_command("info")
    assert re.search(r"torch +\d", output)


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["train", "nowhere.npz", "--net", "exercise", "--out", "run"], 2, "there is nothing at nowhere.npz"),
        (["train", "empty", "--net", "exercise", "--out", "run"], 1, "empty: there is no picture in this folder"),
        (["train", "FAKE", "--out", "run", "--net", "exercize"], 2, "Did you mean 'exercise'?"),
        (
            ["train", "FAKE", "--net", "exercise", "--out", "run", "--epochs", "0", "--batch-size", "0"],
            2,
            "epochs: .*; batch_size: ",
        ),
        (["train", "FAKE", "--net", "exercise", "--out", "run", "--label", "clen5"], 2, "there is no column 'clen5'"),
        (
            ["train", "table.csv", "--net", "exercise", "--out", "run", "--label", "clas"],
            2,
            "no column 'clas' in table.csv. Did you mean 'class'",
        ),
        (
            ["train", "FAKE", "--net", "exercise", "--out", "run", "--size", "9999"],
            2,
            "size has to be between 1 and 4096 pixels, received 9999",
        ),
        (
            ["train", "FAKE", "--net", "exercise", "--out", "empty/../table.csv"],
            2,
            "is a file; give the run a folder of its own",
        ),
        (["evaluate", "FAKE", "--model", "nowhere"], 2, "there is no model at nowhere"),
        (["evaluate", "FAKE", "--model", "empty"], 1, "empty is not a training run"),
        (["data", "get", "simulated", "--out", "x.csv"], 2, "give a name that ends in .npz"),
        (["data", "check", "x", "--fix", "x.parquet"], 2, "give a name that ends in .csv"),
        (["predict", "x/*.jpg"], 2, r"nothing at x/\*\.jpg; give the folder, x, all"),
        (["data", "get", "simulatd", "--out", "x.npz"], 2, "no data set 'simulatd'. Did you mean 'simulated'"),
        (["predict", "text.npz"], 1, "text.npz: no column holds pictures"),
        (["demo", "--data", "nowhere.npz"], 2, "there is no file nowhere.npz"),
    ],
)
def test_mistakes_get_a_message_and_no_traceback(
    peculiar_command: Any, fake_npz: Path, words: list[str], status: int, message: str
) -> None:
    Path("empty").mkdir()
    Path("text.npz").write_text("a,b\n1,2\n")
    Path("table.csv").write_text("file,class\nx.jpg,a\n")
    found, output, errors = peculiar_command(*[str(fake_npz) if word == "FAKE" else word for word in words])
    assert found == status
    assert re.search(message, errors), errors
    assert errors.count("error:") == 1
    assert "Traceback" not in errors + output
    assert not Path("run").exists()


def test_labels_that_the_model_does_not_know_are_refused(
    peculiar_command: Any, fake_npz: Path, pictures_folder: Path
) -> None:
    peculiar_command("train", fake_npz, "--net", "exercise", "--out", "run", "--epochs", 1)
    (pictures_folder / "Ringed").rename(pictures_folder / "Rnged")
    status, _, errors = peculiar_command("evaluate", pictures_folder, "--model", "run")
    assert status == 1
    assert "10 galaxies have labels that are not answers to 'four_class'" in errors
    assert "did you mean 'Ringed'?" in errors


def test_a_set_that_was_all_trained_on_is_not_scored_unasked(peculiar_command: Any, fake_npz: Path) -> None:
    peculiar_command("train", fake_npz, "--net", "exercise", "--out", "run", "--epochs", 1)
    parts = run_files.read_split(Path("run"))
    run_files.write_split(Path("run"), {"training": list(parts)})
    status, _, errors = peculiar_command("evaluate", fake_npz, "--model", "run")
    assert status == 1
    assert "none of the 40 labelled galaxies of" in errors
    assert "the model was trained on all of them" in errors
    assert "--include-training" in errors


@pytest.mark.parametrize(
    "words", [["predict", ""], ["data", "check", ""], ["evaluate", "x.npz", "--labels", ""], ["label", "x", "--db", ""]]
)
def test_an_empty_argument_is_not_the_current_folder(peculiar_command: Any, words: list[str]) -> None:
    status, _, errors = peculiar_command(*words)
    assert status == 2
    assert "is empty" in errors


def test_names_with_brackets_are_printed_as_they_are(peculiar_command: Any, fake_npz: Path) -> None:
    Path("[bold]").mkdir()
    fake_npz.rename("[bold]/[red].npz")
    assert "[bold]/[red].npz: 40 galaxies" in peculiar_command("data", "list", "[bold]/[red].npz")[1]


def test_debug_shows_where_an_error_comes_from(peculiar_command: Any) -> None:
    with pytest.raises(peculiar.errors.NotFoundError):
        peculiar_command("--debug", "data", "list", "nowhere")


def test_a_full_disk_is_a_message(peculiar_command: Any, fake_npz: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, content: bytes) -> int:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(Path, "write_bytes", full)
    status, _, errors = peculiar_command("train", fake_npz, "--net", "exercise", "--out", "run")
    assert status == 1
    assert re.search(r"^error: run/.*: No space left on device$", errors, re.MULTILINE)


def test_an_interrupted_training_says_how_to_go_on(
    peculiar_command: Any, fake_npz: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(folder: Path, history: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(run_files, "write_history", interrupt)
        status, _, errors = peculiar_command("train", fake_npz, "--net", "exercise", "--out", "run", "--epochs", 2)
    assert status == 130
    assert "--resume" in errors
    assert peculiar_command("train", fake_npz, "--net", "exercise", "--out", "run", "--epochs", 2, "--resume")[0] == 0
    assert [line["epoch"] for line in run_files.read_history(Path("run"))] == [1, 2]


def test_a_missing_extra_is_named(peculiar_command: Any, fake_npz: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    peculiar_command("train", fake_npz, "--net", "exercise", "--out", "run", "--epochs", 1)
    for name in [name for name in sys.modules if name.startswith("peculiar.exercise")]:
        monkeypatch.delitem(sys.modules, name)
        # A room keeps its modules as attributes as well.
        room, _, module = name.rpartition(".")
        monkeypatch.delattr(sys.modules[room], module) if room in sys.modules else None
    monkeypatch.setitem(sys.modules, "safetensors", None)
    for words, task in (
        (("train", fake_npz, "--net", "exercise", "--out", "other"), "training the exercise's network"),
        (("demo", "--data", fake_npz), "the demo"),
        (("evaluate", fake_npz, "--model", "run"), "evaluating a training run"),
        (("explain", fake_npz, "--model", "run"), "explaining a training run"),
    ):
        status, _, errors = peculiar_command(*words)
        assert status == 1
        assert f"{task} needs packages that are not installed. Type: pip install 'peculiar[exercise]'" in errors


@pytest.mark.slow
def test_the_demo_leaves_a_page_whose_pictures_are_there(peculiar_command: Any, fake_npz: Path) -> None:
    for _ in range(2):  # the second replaces the first
        status, output, _ = peculiar_command("demo", "--data", fake_npz, "--epochs", 1, "--out", "shown")
        assert status == 0
        assert "Open shown/index.html" in output
    page = Path("shown/index.html").read_text()
    files = re.findall(r'<img src="([^"]+)"', page)
    assert len(files) >= 6
    assert all(Path("shown", file).stat().st_size > 1000 for file in files)
    assert "40 real galaxies" in page
    assert "7,164" in page


@pytest.mark.allow_hosts(["127.0.0.1"])
@pytest.mark.slow
def test_the_demo_without_real_galaxies_says_so(peculiar_command: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from peculiar.sources import exercise

    monkeypatch.setattr(exercise, "COUNT", 40)
    monkeypatch.setattr(exercise, "URL", "http://127.0.0.1:9/galaxydata.npz")
    status, _, errors = peculiar_command("demo", "--epochs", 1)
    assert status == 0
    assert "warning: the published galaxies cannot be downloaded" in errors
    page = Path("demo/index.html").read_text()
    assert "40 simulated galaxies" in page
    assert "say nothing of the sky" in page


def test_python_dash_m_is_the_command(fake_npz: Path) -> None:
    command = [sys.executable, "-m", "peculiar", "data", "list", str(fake_npz)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "40 galaxies (npz)" in done.stdout


def test_help_imports_nothing_heavy() -> None:
    program = (
        "import sys; sys.argv = ['peculiar', '--help']\n"
        "from peculiar.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'numba', 'numpy', 'scipy', 'sklearn', 'matplotlib', 'pyarrow', 'astropy', 'PIL'}\n"
        "heavy.add('pydantic')\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.slow
def test_the_using_side_works_without_pytorch(fake_npz: Path) -> None:
    program = (
        "import sys\n"
        "class Gone:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in ('torch', 'accelerate', 'safetensors', 'keras'): raise ImportError(name)\n"
        "sys.meta_path.insert(0, Gone())\n"
        "import peculiar, peculiar.metrics.scores, peculiar.sources.split\n"
        "data, labels = peculiar.load_galaxy_data(sys.argv[1])\n"
        "source = peculiar.open_source(sys.argv[1])\n"
        "galaxies = peculiar.read_dataset(source)\n"
        "parts = peculiar.sources.split.split(labels)\n"
        "scores = peculiar.metrics.scores.evaluate(galaxies.labels, labels, galaxies.question.answers)\n"
        "peculiar.simulate(2, size=32)\n"
        "print(scores.accuracy, peculiar.visualize_activations.__name__)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(fake_npz)],
        check=False,
        capture_output=True,
        text=True,
        env=dict(os.environ),
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["1.0", "visualize_activations"]


@pytest.mark.parametrize(
    ("value", "verdict"),
    [(0.5999, "as expected"), (0.594, "below the range"), (0.7, "as expected"), (0.71, "above the range"), (None, "–")],
)
def test_the_demo_compares_scores_as_they_are_printed(value: float | None, verdict: str) -> None:
    from peculiar.exercise.demo import _verdict

    assert _verdict(value, 0.6, 0.7) == verdict


@pytest.mark.slow
def test_votes_are_learned_and_scored(peculiar_command: Any, tiny_survey: Path) -> None:
    rows = [f"sim-{number:03d},{number % 4 * 3},{9 - number % 4 * 3}\n" for number in range(100)]
    Path("votes.csv").write_text("id,n_yes,n_no\n" + "".join(rows))
    Path("flat.toml").write_text('name = "flat"\nanswers = ["yes", "no"]\n')
    asked = ("--question", "flat.toml", "--labels", "votes.csv")
    words = ("--epochs", 1, "--width", 8, "--size", 32, "--batch-size", 16, "--from", "scratch")
    status, _, progress = peculiar_command("train", tiny_survey, *asked, "--out", "run", *words)
    assert status == 0, progress
    assert re.search(r"validation: flat log loss [\d.]+, accuracy [\d.]+, shares off by 0\.\d{3}  ", progress)
    assert peculiar_command("export", "run", "--out", "flat.onnx")[0] == 0
    known = ("--labels", "votes.csv", "--model", "flat.onnx")
    status, output, progress = peculiar_command("calibrate", tiny_survey, *known, "--out", "calibrated.onnx")
    assert status == 0, progress
    assert "prediction sets: flat; vector scaling: none" in output
    known = ("--labels", "votes.csv", "--model", "calibrated.onnx")
    status, output, progress = peculiar_command("evaluate", tiny_survey, *known, "--out", "all", "--json")
    assert status == 0, progress
    assert set(json.loads(output)["deviations"]) == {"yes", "no"}
    Path("votes.csv").write_text(Path("votes.csv").read_text().replace("n_yes,n_no", "flat_yes,flat_no"))
    status, output, _ = peculiar_command("evaluate", tiny_survey, *known, "--out", "all", "--overwrite")
    assert re.search(r"error of the vote fractions: 0\.\d{3} \(yes\), 0\.\d{3} \(no\)", output)
    assert "the errors of the vote fractions are 0." in Path("all/report.html").read_text()
    assert peculiar_command("predict", tiny_survey, "--model", "calibrated.onnx", "--out", "c.parquet")[0] == 0
    assert {"p_flat_yes", "p_flat_no"} <= set(pa.parquet.read_schema("c.parquet").names)


def test_what_cannot_be_both_is_told(peculiar_command: Any, tiny_survey: Path) -> None:
    words = ("--label", "clean5", "--question", "gz2", "--out", "run")
    status, _, progress = peculiar_command("train", tiny_survey, *words)
    assert status == 2
    assert "--label names a column of labels and --question what was voted on" in progress


@pytest.mark.slow
def test_train_export_predict_evaluate(peculiar_command: Any, tiny_survey: Path) -> None:
    words = ("--epochs", 1, "--width", 8, "--size", 32, "--batch-size", 16, "--from", "scratch")
    status, output, progress = peculiar_command("train", tiny_survey, "--question", "galaxy", "--out", "run", *words)
    assert status == 0
    assert "questions: four_class, clean5, odd" in progress
    assert re.search(r"epoch 1/1  loss \d\.\d{3}  \|  validation: four_class log loss ", progress)
    assert "Next: peculiar export run --out MODEL.onnx" in output

    status, output, _ = peculiar_command(
        "train", tiny_survey, "--question", "galaxy", "--out", "run", *words, "--resume", "--json"
    )
    assert status == 0
    assert len(json.loads(output)["history"]) == 1

    Path("scores.json").write_text('{"part": "test"}')
    status, output, _ = peculiar_command(
        "export", "run", "--out", "tiny.onnx", "--scores", "scores.json", "--credit", "one", "--credit", "two"
    )
    assert status == 0
    assert load_model("tiny.onnx").card.credits == ("one", "two")
    assert re.search(r"tiny\.onnx: 0\.\d MB, answers four_class, clean5, odd; digest \w{12}\n", output)

    status, output, _ = peculiar_command("predict", tiny_survey, "--model", "tiny.onnx", "--out", "c.parquet")
    assert status == 0
    assert "100 galaxies in " in output
    assert "The catalogue is in c.parquet" in output

    status, output, _ = peculiar_command(
        "evaluate",
        tiny_survey,
        "--model",
        "tiny.onnx",
        "--label",
        "clean5",
        "--part",
        "test",
        "--views",
        2,
        "--overwrite",
    )
    assert status == 0
    assert "galaxies are left out: they are not in the part test." in output
    stored = json.loads(Path("evaluation/scores.json").read_text())
    assert (stored["question"], stored["part"], stored["views"]) == ("clean5", "test", 2)
    assert 0 < stored["scores"]["count"] < 40


@pytest.mark.slow
def test_labels_of_a_table_become_a_model_file(peculiar_command: Any, tiny_survey: Path, tiny_model: Path) -> None:
    marked = "".join(f"sim-{number:03d},{'plain' if number % 2 else 'marked'}\n" for number in range(80))
    Path("labels.csv").write_text("id,mark\n" + marked)
    words = ("--from", tiny_model, "--labels", "labels.csv", "--epochs", 1, "--batch-size", 16, "--fine-tune", "always")
    status, output, progress = peculiar_command("train", tiny_survey, "--out", "run", *words)
    assert status == 0, progress
    assert "questions: mark" in progress
    assert read_record(Path("run")).recipe.width == 8
    assert "peculiar predict PICTURES --model run/model.onnx" in output
    assert peculiar_command("export", "run", "--out", "marks.onnx")[0] == 0
    assert "mark" in load_model("marks.onnx").card.sets
    told = ("--labels", "labels.csv", "--model", "marks.onnx", "--include-training", "--json")
    status, output, _ = peculiar_command("evaluate", tiny_survey, *told)
    assert status == 0
    assert (json.loads(output)["question"], json.loads(output)["scores"]["count"]) == ("mark", 80)


@pytest.mark.slow
def test_labels_that_say_nothing_are_not_scored(peculiar_command: Any, tiny_survey: Path, tiny_model: Path) -> None:
    words = ("evaluate", tiny_survey, "--model", tiny_model, "--label", "gz2_argmax", "--json")
    status, output, _ = peculiar_command(*words, "--include-training")
    assert status == 0
    assert json.loads(output)["scores"]["count"] == 76
    assert json.loads(output)["question"] == "odd"


@pytest.mark.slow
def test_the_command_of_a_report_can_be_pasted(peculiar_command: Any, tiny_model: Path) -> None:
    table = pa.table({"id": ["x", "y"], "p_odd": [0.9, 0.2], "odd class": ["odd", "not_odd"]})
    pa.parquet.write_table(table, "my table.parquet")
    words = ("evaluate", "my table.parquet", "--label", "odd class", "--model", str(tiny_model), "--json")
    status, output, _ = peculiar_command(*words)
    assert status == 0
    assert shlex.split(json.loads(output)["command"]) == ["peculiar", *words]


def test_predict_says_what_it_could_not_read(
    peculiar_command: Any, tiny_model: Path, plain_pictures: list[bytes]
) -> None:
    Path("pictures").mkdir()
    for number, content in enumerate([*plain_pictures, b"\xff\xd8\xff broken"]):
        Path(f"pictures/{number}.jpg").write_bytes(content)
    status, output, errors = peculiar_command("predict", "pictures", "--model", tiny_model, "--crop", "whole", "--fast")
    assert status == 0
    assert "6.jpg cannot be read: it is" in errors
    assert "7 galaxies in" in output
    assert "flagged: unreadable 1, blank 6" in output
    status, output, _ = peculiar_command("predict", "pictures", "--model", tiny_model, "--json", "--overwrite")
    assert status == 0
    assert json.loads(output)["flagged"] == {"unreadable": 1, "blank": 6}


def test_predict_fails_where_nothing_can_be_read(peculiar_command: Any, tiny_model: Path) -> None:
    Path("g.csv").write_text("id,path\n" + "".join(f"g{number},elsewhere/{number}.jpg\n" for number in range(200)))
    status, output, errors = peculiar_command("predict", "g.csv", "--model", tiny_model, "--workers", 1)
    assert status == 1
    assert re.search(r"200 galaxies in .* a second\)$", output, re.MULTILINE)
    assert re.search(r"and \d+ more cannot be read", errors)
    assert "none of the pictures can be read; paths in a table are relative to its folder" in errors


def test_the_hint_on_paths_is_for_missing_files(peculiar_command: Any, tiny_model: Path) -> None:
    Path("pictures").mkdir()
    Path("pictures", "a.png").write_bytes(b"no picture")
    status, _, errors = peculiar_command("predict", "pictures", "--model", tiny_model, "--workers", 1)
    assert status == 1
    assert "none of the pictures can be read" in errors
    assert "paths in a table" not in errors


def test_a_search_writes_all_that_it_finds(peculiar_command: Any, tiny_catalog: Path) -> None:
    status, output, errors = peculiar_command("search", tiny_catalog, "--where", "dec < 9")
    assert status == 0
    assert "50 galaxies" in output
    assert "more galaxies match: --top" in errors
    status, output, errors = peculiar_command("search", tiny_catalog, "--where", "dec < 9", "--out", "found.csv")
    assert (status, errors) == (0, "")
    found = re.search(r"(\d+) galaxies in found.csv", output)
    assert found is not None
    assert int(found[1]) > 50
    assert len(Path("found.csv").read_text().splitlines()) == int(found[1]) + 1
    assert peculiar_command("search", tiny_catalog, "--where", "dec < 9", "--top", 0)[0] == 2


def test_no_command_writes_over_what_it_reads(peculiar_command: Any, tiny_catalog: Path, tiny_survey: Path) -> None:
    for path, words in (
        (tiny_catalog, ("search", "c.parquet", "--where", "dec < 9", "--out", "c.parquet")),
        (tiny_catalog, ("search", "map", "c.parquet", "--out", "c.parquet")),
    ):
        Path("c.parquet").write_bytes(path.read_bytes())
        status, _, errors = peculiar_command(*words)
        assert status == 2
        assert "c.parquet is the input of this command and would be lost" in errors
        assert Path("c.parquet").read_bytes() == path.read_bytes()


def test_a_place_that_cannot_be_written_to_is_named(peculiar_command: Any, tiny_catalog: Path) -> None:
    Path("file").write_text("")
    status, _, errors = peculiar_command("search", tiny_catalog, "--where", "dec < 9", "--out", "file/found.csv")
    assert status == 1
    assert "file cannot be read or written to (" in " ".join(errors.split())
    assert "choose another file" in errors


def test_a_run_of_the_exercise_is_no_model_file(peculiar_command: Any, fake_npz: Path) -> None:
    assert peculiar_command("train", fake_npz, "--net", "exercise", "--out", "run", "--epochs", 1)[0] == 0
    status, _, errors = peculiar_command("export", "run", "--out", "m.onnx")
    assert status == 1
    assert "run is a run of the exercise's network, which cannot be exported to a model file" in " ".join(
        errors.split()
    )


def test_predict_goes_on_and_says_what_failed(peculiar_command: Any, tiny_model: Path, tiny_survey: Path) -> None:
    Path("survey").mkdir()
    for part in "abc":
        Path(f"survey/{part}.parquet").write_bytes(tiny_survey.read_bytes())
    whole = tiny_survey.read_bytes()
    Path("survey/b.parquet").write_bytes(whole[:-9])
    words = ("predict", "survey", "--model", tiny_model, "--workers", 1, "--out")
    status, output, errors = peculiar_command(*words, "c.parquet")
    assert status == 1
    assert "200 galaxies in " in output
    assert "The catalogue is in" not in output
    assert "b.parquet failed: survey/b.parquet: cannot be read as parquet" in errors
    assert "failed parts of the data: 1; repair them, and the same command continues" in errors
    assert peculiar_command(*words, "partial.parquet", "--partial")[0] == 1
    assert pa.parquet.read_metadata("partial.parquet").num_rows == 200
    Path("survey/b.parquet").write_bytes(whole)
    status, output, _ = peculiar_command(*words, "c.parquet")
    assert status == 0
    assert "300 galaxies, 200 of them by an earlier run, 100 in " in output
    assert pa.parquet.read_metadata("c.parquet").num_rows == 300


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["predict", "nowhere"], 2, "there is nothing at nowhere"),
        (["predict", ".", "--out", "c.doc"], 2, "received the suffix '.doc'"),
        (["predict", ".", "--model", "none.onnx"], 2, "there is no model at none.onnx"),
        (["predict", ".", "--model", "text.onnx"], 1, "text.onnx is not a model file"),
        (["predict", ".", "--crop", "half"], 2, "crop has to be whole, galaxy or a number of pixels, received 'half'"),
        (["predict", ".", "--views", "9"], 2, "views has to be between 1 and 8"),
        (["evaluate", ".", "--part", "tset"], 2, "Did you mean 'test'?"),
        (["evaluate", ".", "--question", "five"], 2, "there is no question 'five'"),
        (["export", ".", "--out", "m.onnx"], 1, "not the folder of a training run"),
        (["export", ".", "--out", "m.onnx", "--scores", "text.onnx"], 2, "is not valid JSON"),
        (["train", ".", "--out", "run", "--epochs", "0"], 2, "epochs: "),
    ],
)
def test_misuse_of_models(
    peculiar_command: Any, plain_pictures: list[bytes], words: list[str], status: int, message: str
) -> None:
    Path("one.png").write_bytes(plain_pictures[3])
    Path("text.onnx").write_text("no model")
    found, _, errors = peculiar_command(*words)
    assert found == status
    assert message in errors
    assert "Traceback" not in errors


def test_the_version_is_told(peculiar_command: Any) -> None:
    assert peculiar_command("--version")[:2] == (0, f"peculiar {importlib.metadata.version('peculiar')}\n")


def test_what_needs_an_extra_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tiny_run: Path) -> None:
    for name in ("peculiar.exercise.run_folder", "peculiar.exercise.weights", "peculiar.training.network_file"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "safetensors", None)
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MissingExtraError, match=r"peculiar\.load_run needs .*pip install 'peculiar\[exercise\]'"):
        peculiar.load_run  # noqa: B018 - loaded by being looked at
    with pytest.raises(MissingExtraError, match=r"exporting a network needs .*pip install 'peculiar\[train\]'"):
        peculiar.export(tiny_run, "model.onnx")


def _commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, set[str]]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands(command, (*path, name))
        else:
            yield " ".join((*path, name)), {one.name for one in command.params}


# Where a table with ids may be read. The exercise numbers its galaxies.
_WITH_IDS = {"data", "labels", "pictures", "positions", "interesting", "split"}


@pytest.mark.parametrize(("command", "options"), [one for one in _commands(get_command(app)) if one[0] != "demo"])
def test_the_column_of_ids_can_be_named_wherever_a_table_with_ids_is_read(command: str, options: set[str]) -> None:
    assert "id_column" in options or not options & _WITH_IDS, command


@pytest.mark.slow
def test_ratings_and_pictures_by_another_column_of_ids(
    peculiar_command: Any, tiny_catalog: Path, tiny_survey: Path
) -> None:
    table = pa.parquet.read_table(tiny_survey)
    names = ["other" if name == "id" else name for name in table.column_names]
    pa.parquet.write_table(table.rename_columns(names).append_column("id", [["x"] * len(table)]), "p.parquet")
    Path("r.csv").write_text("id,other,interesting\n1,sim-001,yes\n2,sim-002,no\n")
    sheet = ("--sheet", "s.png", "--pictures", "p.parquet", "--top", 3)
    for words in (("query",), ("odd",), ("similar", "--galaxy", "sim-003"), ("anomalies", "--interesting", "r.csv")):
        given = ("--id", "other", "--json", "--overwrite")
        status, output, errors = peculiar_command("search", words[0], tiny_catalog, *words[1:], *sheet, *given)
        assert status == 0, errors
        assert json.loads(output)["without_picture"] == []
    status, _, errors = peculiar_command("search", "anomalies", tiny_catalog, "--interesting", "r.csv", "--id", "nope")
    assert status == 2
    assert "no column 'nope'" in errors
