"""Training on classes of one's own: the head first, then the network if it is better; and what is missing is told."""

import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from class_folders import write_classes
from peculiar.errors import (
    LabelError,
    MissingExtraError,
    PeculiarWarning,
    RunError,
    UnreadablePictureWarning,
    UsageError,
)
from peculiar.files import run_files
from peculiar.models.model_file import load_model
from peculiar.models.seen import SEEN, Seen
from peculiar.training import classes as training_classes
from peculiar.training import fine_tuning
from peculiar.training.held_out import Comparison
from peculiar.training.recipe import PAGE, read_record
from peculiar.training.run import Run
from peculiar.training.train import train
from peculiar.training.watch import Watcher

FILES = {"model.onnx", "report.html", "scores.json", "run.json", "split.csv", "confusion.png"}


@pytest.fixture
def classes(tiny_survey: Path) -> Path:
    """Fifty round galaxies and fifty flat ones, each class in a folder."""
    return write_classes(tiny_survey, Path("my_classes"))


class Told(Watcher):
    """Keeps what is told."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.epochs: list[int] = []
        self.embedded: list[tuple[int, int]] = []

    def note(self, text: str) -> None:
        self.notes.append(text)

    def embedding(self, done: int, total: int) -> None:
        self.embedded.append((done, total))

    def epoch(self, line: dict[str, Any]) -> None:
        self.epochs.append(line["epoch"])


def result(run: Run) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run.folder / "scores.json").read_text())
    return found


def test_a_head_is_taught_and_its_folder_has_a_model_and_a_page(classes: Path, tiny_model: Path) -> None:
    told = Told()
    run = train(classes, start=tiny_model, watcher=told)
    assert run.folder == Path("runs/my_classes")
    assert {file.name for file in run.folder.iterdir()} == FILES
    assert (run.history, run.stopped) == ([], False)
    assert run.scores["class"]["accuracy"] > 0.9
    assert run.scores["class"]["intervals"]["accuracy"] is not None
    assert told.embedded[-1] == (100, 100)
    assert told.notes[0].startswith("A head on the embeddings of the model tiny: balanced accuracy ")
    assert "by cross-validation (100 galaxies)" in told.notes[0]
    assert "too few to show that another model is better" in told.notes[1]
    card = run.model.card
    assert (card.name, card.about) == ("my_classes", "class")
    assert card.questions[-1].answers == ("flat", "round")
    assert set(card.sets["class"]) == {"80", "90", "95", "99"}
    assert Seen(tuple(card.training[SEEN])).among(list(run_files.read_split(run.folder))).all()
    page = (run.folder / "report.html").read_text()
    for text in (
        "Class by class",
        "Mistakes",
        "peculiar predict PICTURES --model runs/my_classes/model.onnx",
        "Not fine-tuned",
    ):
        assert text in page
    assert repr(run).splitlines()[0] == "Run in runs/my_classes: a head on embeddings"


def test_mistakes_are_shown_with_the_names_of_their_files(classes: Path, tiny_model: Path) -> None:
    shutil.move(classes / "flat" / "sim-001.png", classes / "round" / "sim-001.png")
    run = train(classes, "run", start=tiny_model, fine_tune="never", verbose=False)
    assert "round/sim-001.png: flat" in (run.folder / "report.html").read_text()
    assert "it was not asked for" in result(run)["why"]


def test_what_cannot_be_used_is_told(classes: Path, tiny_model: Path) -> None:
    (classes / "flat" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    shutil.copy(classes / "flat" / "sim-001.png", classes / "loose.png")
    shutil.copy(classes / "flat" / "sim-001.png", classes / "flat" / "copy.png")
    with pytest.warns(UnreadablePictureWarning, match=r"1 of 102 pictures cannot be read .* flat/broken\.png"):
        run = train(classes, "run", start=tiny_model, fine_tune="never", verbose=False)
    notes = " ".join(result(run)["notes"])
    assert "1 galaxy has no label" in notes
    assert "flat/broken.png" in notes
    assert "1 pair shows the same galaxy" in notes
    split = run_files.read_split(run.folder)
    assert split["flat/copy.png"] == split["flat/sim-001.png"]
    # Known by its id, since ids are compared as names of files.
    assert "The training set of tiny contains" in notes


def test_labels_that_do_not_do(classes: Path, tiny_model: Path) -> None:
    def refused(says: str, folder: Path) -> None:
        with pytest.raises(LabelError, match=says):
            train(folder, "run", start=tiny_model, verbose=False)
        assert not Path("run").exists()

    lone = Path("lone") / "spiral"
    shutil.copytree(classes, lone.parent)
    lone.mkdir()
    shutil.copy(classes / "flat" / "sim-001.png", lone)
    refused("spiral has fewer: received flat 50, round 50, spiral 1", Path("lone"))
    shutil.copytree(classes / "flat", "one/flat")
    refused("at least two classes are needed, received flat 50", Path("one"))
    refused("no labels to learn from; put the pictures into one sub-folder per class", classes / "flat")


def test_twelve_pictures_make_a_head(tiny_survey: Path, tiny_model: Path) -> None:
    told = Told()
    run = train(write_classes(tiny_survey, Path("few"), count=12), start=tiny_model, watcher=told)
    assert run.model.card.training["taught"] == {"class": 12}
    assert "Not fine-tuned: there are too few galaxies" in told.notes[-1]


@pytest.mark.slow
def test_the_network_is_fine_tuned_and_compared_on_held_out_galaxies(classes: Path, tiny_model: Path) -> None:
    told = Told()
    run = train(classes, "run", start=tiny_model, fine_tune="always", epochs=2, batch_size=16, watcher=told)
    assert [line["epoch"] for line in run.history] == told.epochs == [1, 2]
    assert any(note.startswith("Fine-tuning: 2 epochs of ") for note in told.notes)
    assert "on the" in told.notes[-1]
    held_out = [id_ for id_, part in run_files.read_split(run.folder).items() if part == "validation"]
    compared = result(run)["comparison"]
    assert compared["head"]["count"] == compared["network"]["count"] == len(held_out) > 10
    assert "best epoch" not in result(run)["why"]
    assert (run.folder / "curves.png").stat().st_size > 5000
    assert "Guessing knows only how frequent the classes are" in (run.folder / "report.html").read_text()
    assert train(classes, "run", start=tiny_model, resume=True, verbose=False).scores == run.scores


@pytest.fixture
def better(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every network is better than a head."""
    monkeypatch.setattr(Comparison, "network_is_better", True)


@pytest.mark.usefixtures("better")
@pytest.mark.slow
def test_a_better_network_is_exported_and_calibrated(classes: Path, tiny_model: Path) -> None:
    run = train(classes, "run", start=tiny_model, fine_tune="always", epochs=1, batch_size=16, verbose=False)
    card, split = run.model.card, run_files.read_split(run.folder)
    assert [question.name for question in card.questions] == ["class"]
    assert set(card.sets) == {"class"}
    assert card.credits == load_model(tiny_model).card.credits
    assert result(run)["kept"] == "network"
    seen = Seen(tuple(card.training[SEEN])[-1:]).among(list(split)).tolist()
    assert dict(zip(split, seen, strict=True)) == {id_: part == "training" for id_, part in split.items()}
    assert run.scores["class"]["count"] == sum(part == "validation" for part in split.values())
    assert "These galaxies also decided" in (run.folder / "report.html").read_text()
    copy = run.export("mine.onnx", name="mine", credits=["me"], licence="CC-BY-4.0")
    assert (copy.card.name, copy.card.credits[-1], copy.card.licence) == ("mine", "me", "CC-BY-4.0")
    pictures = np.random.default_rng(1).integers(0, 256, (4, 32, 32, 3), dtype=np.uint8)
    one, other = (model.classify(pictures, framed=True).probabilities["class"] for model in (run.model, copy))
    np.testing.assert_array_equal(one, other)


@pytest.mark.slow
@pytest.mark.usefixtures("better")
def test_folders_of_a_split_are_kept_apart(classes: Path, tiny_model: Path) -> None:
    for number, file in enumerate(sorted(classes.glob("*/*.png"))):
        part = ("train", "train", "train", "valid", "test")[number % 5]
        to = Path("split", part, file.parent.name, file.name)
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, to)
    with pytest.warns(
        PeculiarWarning, match="read together, except by `peculiar train` and `calibrate`, which keep them apart"
    ):
        run = train("split", "run", start=tiny_model, fine_tune="always", epochs=1, batch_size=16, verbose=False)
    names = {"train": "training", "valid": "validation", "test": "test"}
    assert all(part == names[id_.split("/")[0]] for id_, part in run_files.read_split(run.folder).items())
    assert result(run)["measured"] == "on the test folders"
    assert run.scores["class"]["count"] == 20
    assert read_record(run.folder).counts == {"training": 60, "validation": 20, "test": 20}


class Stop(Told):
    """Stops as Ctrl-C does, in the first step of an epoch."""

    def __init__(self, epoch: int) -> None:
        super().__init__()
        self.stop = epoch

    def batch(self, epoch: int, done: int, total: int, loss: float) -> None:
        if epoch == self.stop:
            raise KeyboardInterrupt


@pytest.mark.slow
def test_ctrl_c_keeps_what_there_is_and_the_run_goes_on_later(classes: Path, tiny_model: Path) -> None:
    words: dict[str, Any] = {"start": tiny_model, "fine_tune": "always", "epochs": 3, "batch_size": 16}
    run = train(classes, "run", watcher=Stop(2), **words)
    assert (run.stopped, len(run.history)) == (True, 1)
    assert "it was stopped after epoch 1 of 3" in result(run)["why"]
    assert run.model.card.about == "class"
    told = Told()
    run = train(classes, "run", watcher=told, resume=True, **words)
    assert (run.stopped, len(run.history), told.epochs) == (False, 3, [2, 3])
    whole = train(classes, "whole", verbose=False, **words)
    assert [line["loss"] for line in whole.history] == pytest.approx([line["loss"] for line in run.history], abs=1e-4)


def test_ctrl_c_before_an_epoch_is_whole_leaves_the_head(classes: Path, tiny_model: Path) -> None:
    told = Stop(1)
    run = train(classes, "run", start=tiny_model, fine_tune="always", epochs=2, batch_size=16, watcher=told)
    assert (run.stopped, run.history) == (True, [])
    assert told.notes[-1] == "Not fine-tuned: it was stopped before the first epoch ended."
    assert run.scores["class"]["count"] == 100


@pytest.mark.slow
def test_the_time_limit_shortens_or_prevents_fine_tuning(
    classes: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from peculiar.training.epochs import Loop

    monkeypatch.setattr(Loop, "seconds_a_step", lambda _: 6.0)
    words: dict[str, Any] = {"start": tiny_model, "fine_tune": "always", "batch_size": 40}
    run = train(classes, "run", time_limit=1, epochs=30, verbose=False, **words)
    assert 0 < len(run.history) == read_record(run.folder).recipe.epochs < 10
    told = Told()
    run = train(classes, "short", time_limit=0.01, watcher=told, **words)
    assert told.notes[-1] == "Not fine-tuned: one epoch takes longer than the time limit of 1 s."
    monkeypatch.setattr(Loop, "seconds_a_step", lambda _: 1e-6)
    monkeypatch.setattr(fine_tuning.time, "monotonic", iter(range(0, 10**6, 50)).__next__)
    run = train(classes, "over", time_limit=2, epochs=30, verbose=False, **words)
    assert "the time limit was reached after epoch" in result(run)["why"]
    assert not run.stopped


def test_without_pytorch_the_head_is_kept(classes: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "torch" else find(name))
    told = Told()
    train(classes, "run", start=tiny_model, watcher=told)
    assert told.notes[-1] == "Not fine-tuned: PyTorch is not installed (pip install 'peculiar[train]')."
    with pytest.raises(MissingExtraError, match="fine-tuning needs"):
        train(classes, "other", start=tiny_model, fine_tune="always", verbose=False)


NO_PYTORCH = """
import sys

class Missing:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "onnx", "accelerate", "safetensors", "numba"):
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Missing)
"""


@pytest.mark.slow
def test_a_head_needs_no_pytorch(classes: Path, tiny_model: Path) -> None:
    code = (
        f"{NO_PYTORCH}\nfrom peculiar.training.train import train\n"
        f"train({str(classes)!r}, 'run', start={str(tiny_model)!r}, fine_tune='never').export('mine.onnx')"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert load_model("mine.onnx").card.about == "class"


def test_a_model_that_cannot_be_trained_further_gets_a_head(
    classes: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = load_model(tiny_model)
    told = {**start.card.training, "recipe": {**start.card.training["recipe"], "body": "residual"}}
    other = start.with_card(start.card.model_copy(update={"training": told}))
    monkeypatch.setattr(fine_tuning, "LEAST_MISTAKES", 0)
    run = train(classes, "run", start=other, verbose=False)
    assert result(run)["why"] == "the network of tiny cannot be trained further"


def test_a_run_of_other_galaxies_is_not_resumed(classes: Path, tiny_model: Path) -> None:
    words: dict[str, Any] = {"start": tiny_model, "fine_tune": "never", "verbose": False}
    train(classes, "run", **words)
    with pytest.raises(UsageError, match="run is not empty; give the run another folder"):
        train(classes, "run", **words)
    (classes / "flat" / "sim-001.png").unlink()
    with pytest.raises(RunError, match=r"it was trained on other galaxies \(0 are new, 1 are gone\)"):
        train(classes, "run", resume=True, **words)


def test_a_run_without_its_page_is_not_finished(
    classes: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words: dict[str, Any] = {"start": tiny_model, "fine_tune": "never", "resume": True, "verbose": False}

    def killed(*_: object) -> None:
        raise SystemExit

    with monkeypatch.context() as changed:
        changed.setattr(training_classes, "write_outcome", killed)
        with pytest.raises(SystemExit):
            train(classes, "run", **words)
    train(classes, "run", **words)
    assert (Path("run") / PAGE).is_file()
