import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from threadpoolctl import threadpool_info

from peculiar.errors import LabelError, NotFoundError, RunError, UnknownNameError, UnreadablePictureWarning, UsageError
from peculiar.exercise import run_folder
from peculiar.exercise.network import Network
from peculiar.exercise.run_folder import Arguments, load_run
from peculiar.exercise.steps import Steps
from peculiar.exercise.train import Watcher, train
from peculiar.exercise.weights import read_weights
from peculiar.files import run_files
from peculiar.images.decode import encode_picture
from peculiar.images.framing import Framing
from peculiar.questions.question import FOUR_CLASS
from peculiar.sources.dataset import Dataset

KEYS = ["loss", "categorical_accuracy", "auc", "auc_by_class"]


def arguments(**values: Any) -> Arguments:
    return run_folder.arguments(**{"epochs": 2, "framing": {"size": 32}, **values})


def without_seconds(history: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: value for key, value in line.items() if key != "seconds"} for line in history]


def test_a_run_learns_and_leaves_everything_to_repeat_it(galaxies: Dataset) -> None:
    trained = train(galaxies, "run", arguments(epochs=30, learning_rate=0.01))
    assert trained.scores.accuracy > 0.6
    assert trained.history[-1]["loss"] < trained.history[0]["loss"]
    folder = Path("run")
    assert {file.name for file in folder.iterdir()} == {
        "run.json",
        "split.csv",
        "history.jsonl",
        "best.safetensors",
        "last.safetensors",
        "scores.json",
    }
    assert list(trained.history[0]) == ["epoch", *KEYS, *[f"val_{key}" for key in KEYS], "seconds"]
    assert run_files.read_history(folder) == trained.history
    record = run_folder.read_record(folder)
    assert (record.training_count, record.validation_count) == (32, 8)
    assert record.split_digest == trained.split.digest(galaxies.ids)
    assert record.versions["numpy"] == np.__version__
    assert {"python", "peculiar", "numba", "safetensors"} <= set(record.versions)
    parts = run_files.read_split(folder)
    assert [parts[galaxies.ids[row]] for row in trained.split.validation] == ["validation"] * 8
    assert json.loads((folder / "scores.json").read_text())["accuracy"] == trained.scores.accuracy


def test_the_same_arguments_give_the_same_run_and_another_seed_another(galaxies: Dataset) -> None:
    first = train(galaxies, "a", arguments())
    again = train(galaxies, "b", arguments())
    other = train(galaxies, "c", arguments(seed=223))
    assert without_seconds(first.history) == without_seconds(again.history)
    assert Path("a/last.safetensors").read_bytes()[-3000:] == Path("b/last.safetensors").read_bytes()[-3000:]
    assert without_seconds(first.history) != without_seconds(other.history)


def test_training_leaves_the_callers_threads_alone(galaxies: Dataset) -> None:
    train(galaxies, "first", arguments(epochs=1))  # loads what has threads of its own
    threads = threadpool_info()
    train(galaxies, "run", arguments(epochs=1))
    assert threadpool_info() == threads


class Listener(Watcher):
    """Listener that records its calls."""

    def __init__(self) -> None:
        self.told: list[tuple[int, int, int, float, float]] = []

    def batch(self, epoch: int, done: int, total: int, loss: float, accuracy: float) -> None:
        self.told.append((epoch, done, total, loss, accuracy))


def test_a_watcher_is_told_of_every_batch_with_the_metrics_so_far(galaxies: Dataset) -> None:
    listener = Listener()
    history = train(galaxies, "run", arguments(batch_size=4), watcher=listener).history
    assert [told[:3] for told in listener.told] == [
        (
            epoch,
            done,
            8,
        )
        for epoch in (1, 2)
        for done in range(1, 9)
    ]
    for line, told in zip(history, (listener.told[7], listener.told[15]), strict=True):
        assert told[3:] == pytest.approx((line["loss"], line["categorical_accuracy"]), abs=1e-5)


class KilledError(Exception):
    pass


class Killer(Watcher):
    """Listener that stops a run in the middle of an epoch."""

    def __init__(self, epoch: int, batch: int) -> None:
        self.at = (epoch, batch)

    def batch(self, epoch: int, done: int, total: int, loss: float, accuracy: float) -> None:
        if (epoch, done) == self.at:
            raise KilledError


@pytest.mark.parametrize("at", [(1, 3), (2, 1), (3, 7)])
def test_a_resumed_run_has_the_history_and_weights_of_an_undisturbed_one(
    galaxies: Dataset, at: tuple[int, int]
) -> None:
    undisturbed = train(galaxies, "whole", arguments(epochs=3))
    with pytest.raises(KilledError):
        train(galaxies, "broken", arguments(epochs=3), watcher=Killer(*at))
    resumed = train(galaxies, "broken", arguments(epochs=3), resume=True)
    assert without_seconds(resumed.history) == without_seconds(undisturbed.history)
    assert without_seconds(run_files.read_history(Path("broken"))) == without_seconds(undisturbed.history)
    for file in ("best.safetensors", "last.safetensors"):
        for broken, whole in zip(*(read_weights(Path(run, file))[:2] for run in ("broken", "whole")), strict=True):
            assert broken.keys() == whole.keys()
            assert all(np.array_equal(broken[name], whole[name]) for name in whole)


def test_a_kill_between_weights_and_history_does_no_harm(galaxies: Dataset) -> None:
    undisturbed = train(galaxies, "whole", arguments(epochs=3))
    train(galaxies, "broken", arguments(epochs=2))
    lines = Path("broken/history.jsonl").read_text().splitlines(keepends=True)
    Path("broken/history.jsonl").write_text(lines[0])
    resumed = train(galaxies, "broken", arguments(epochs=3), resume=True)
    assert without_seconds(resumed.history) == without_seconds(undisturbed.history)


def test_a_run_can_be_resumed_to_more_epochs_and_a_finished_one_is_read(galaxies: Dataset) -> None:
    train(galaxies, "run", arguments(epochs=1))
    longer = train(galaxies, "run", arguments(epochs=3), resume=True)
    assert [line["epoch"] for line in longer.history] == [1, 2, 3]
    assert run_folder.read_record(Path("run")).arguments.epochs == 3
    read = train(galaxies, "run", arguments(epochs=3), resume=True)
    assert read.history == longer.history
    assert read.scores == longer.scores


def test_resume_where_nothing_is_begins_a_run(galaxies: Dataset) -> None:
    assert len(train(galaxies, "new", arguments(epochs=1), resume=True).history) == 1


def test_resume_with_other_arguments_or_data_says_what_differs(galaxies: Dataset) -> None:
    train(galaxies, "run", arguments(epochs=1))
    with pytest.raises(RunError, match=r"batch_size was 5, is 7; seed was 222, is 1$"):
        train(galaxies, "run", arguments(epochs=1, batch_size=7, seed=1), resume=True)
    changed = Dataset(FOUR_CLASS, galaxies.ids, galaxies.pictures + 1, galaxies.labels, {})
    with pytest.raises(RunError, match=r"run cannot be resumed.*data_digest was"):
        train(changed, "run", arguments(epochs=1), resume=True)


def test_a_folder_in_use_is_not_written_to(galaxies: Dataset) -> None:
    Path("used").mkdir()
    Path("used/notes.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"used is not empty; .*--out.*--resume"):
        train(galaxies, "used", arguments())
    Path("file").write_text("mine")
    with pytest.raises(UsageError, match="file is a file"):
        train(galaxies, "file", arguments())
    assert Path("used/notes.txt").read_text() == "mine"


def test_every_wrong_argument_is_reported_at_once() -> None:
    with pytest.raises(UsageError) as caught:
        run_folder.arguments(epochs=0, batch_size=-1, learning_rate=0, validation_size=1, framing={"size": 0})
    for part in ("epochs", "batch_size", "learning_rate", "validation_size", "framing", "received -1"):
        assert part in str(caught.value)


def test_a_class_with_one_picture_is_named(galaxies: Dataset) -> None:
    few = Dataset(FOUR_CLASS, galaxies.ids[:31], galaxies.pictures[:31], galaxies.labels[:31], {})
    with pytest.raises(LabelError, match="Other: one galaxy only"):
        train(few, "run", arguments())
    assert not Path("run").exists()


def test_training_goes_on_without_unreadable_pictures(fake_pictures: NDArray[np.uint8]) -> None:
    for number, pixels in enumerate(fake_pictures):
        path = Path(f"pictures/{FOUR_CLASS.answers[number // 10]}/{number}.jpg")
        path.parent.mkdir(parents=True, exist_ok=True)
        encoded = encode_picture(pixels, "JPEG")
        path.write_bytes(encoded[: len(encoded) // 2] if number == 17 else encoded)
    with pytest.warns(UnreadablePictureWarning, match=r"1 of 40 pictures.*Ringed/17\.jpg.*cut short"):
        trained = train("pictures", "run", arguments())
    assert len(trained.data) == 39


def test_a_full_disk_leaves_the_last_whole_epoch(galaxies: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    undisturbed = train(galaxies, "whole", arguments(epochs=3))
    write, calls = Path.write_bytes, 0

    def full(path: Path, content: bytes) -> int:
        nonlocal calls
        calls += 1
        if calls > 3:
            write(path, content[: len(content) // 2])
            raise OSError(28, "No space left on device", str(path))
        return write(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(OSError, match="No space left"):
            train(galaxies, "broken", arguments(epochs=3))
    assert not [file for file in Path("broken").iterdir() if ".part" in file.name]
    resumed = train(galaxies, "broken", arguments(epochs=3), resume=True)
    assert without_seconds(resumed.history) == without_seconds(undisturbed.history)


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("layer", ["conv2d", "conv2d_1", "dense", "dense_1"])
@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_network_that_diverges_is_stopped(
    number: float, layer: str, compiled: bool, galaxies: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not compiled:
        monkeypatch.setattr("peculiar.exercise.train.fastest_steps", lambda: Steps)

    def diverged(*arguments: Any, **named: Any) -> Network:
        net = Network(*arguments, **named)
        net.parts[f"{layer}.bias"][1] = number
        return net

    monkeypatch.setattr("peculiar.exercise.train.Network", diverged)
    with pytest.raises(RunError, match=r"no longer numbers; train with a smaller step \(--learning-rate\)"):
        train(galaxies, "run", arguments())


def test_a_run_that_is_none_or_damaged_is_refused(galaxies: Dataset) -> None:
    with pytest.raises(NotFoundError, match="there is no folder nowhere"):
        load_run("nowhere")
    Path("empty").mkdir()
    with pytest.raises(RunError, match=r"empty is not a training run: it has no run\.json"):
        load_run("empty")
    train(galaxies, "run", arguments(epochs=1))
    with pytest.raises(UnknownNameError, match=r"no set of weights 'bset'.*'best'"):
        load_run("run", weights="bset")
    weights = Path("run/best.safetensors").read_bytes()
    Path("run/best.safetensors").write_bytes(weights[:100])
    with pytest.raises(RunError, match=r"best\.safetensors cannot be read"):
        load_run("run", weights="best")
    record = Path("run/run.json").read_text()
    Path("run/run.json").write_text(record.replace('"Normal",', ""))
    with pytest.raises(RunError, match=r"do not fit the network of run\.json .*dense_1\.bias has to be \(3,\), is \(4"):
        load_run("run", weights="last")
    Path("run/run.json").write_text("{}")
    with pytest.raises(RunError, match=r"run\.json is damaged"):
        load_run("run")
    Path("run/history.jsonl").write_text("{")
    with pytest.raises(RunError, match=r"history.*cannot be read"):
        run_files.read_history(Path("run"))
    for name, read in (("history.jsonl", run_files.read_history), ("split.csv", run_files.read_split)):
        Path(f"run/{name}").unlink()
        with pytest.raises(RunError, match=name):
            read(Path("run"))


def test_loaded_weights_are_those_of_the_best_and_the_last_epoch(galaxies: Dataset) -> None:
    trained = train(galaxies, "run", arguments(epochs=6, learning_rate=0.03))
    best = min(trained.history, key=lambda line: line["val_loss"])
    for weights, line in (("best", best), ("last", trained.history[-1])):
        model = load_run("run", weights=weights)
        probabilities = model.probabilities(galaxies.pictures[trained.split.validation])
        right = probabilities[np.arange(8), galaxies.labels[trained.split.validation]]
        assert -np.log(right).mean() == pytest.approx(line["val_loss"], abs=1e-4)


def test_remove_leaves_what_is_not_the_runs(galaxies: Dataset) -> None:
    train(galaxies, "run", arguments(epochs=1))
    Path("run/notes.txt").write_text("mine")
    run_folder.remove(Path("run"))
    assert [file.name for file in Path("run").iterdir()] == ["notes.txt"]


@pytest.mark.slow
def test_a_killed_process_is_resumed_to_the_same_history(fake_npz: Path) -> None:
    command = [sys.executable, "-m", "peculiar", "train", str(fake_npz), "--net", "exercise", "--epochs", "60", "--out"]
    subprocess.run([*command, "whole"], check=True, capture_output=True)
    process = subprocess.Popen([*command, "broken"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    kills = 0
    for lines in (5, 20, 40):
        while process.poll() is None:
            history = Path("broken/history.jsonl")
            if history.exists() and len(history.read_text().splitlines()) >= lines:
                os.kill(process.pid, signal.SIGKILL)
                process.wait()
                kills += 1
                break
            time.sleep(0.001)
        process = subprocess.Popen([*command, "broken", "--resume"], stderr=subprocess.DEVNULL)
    assert process.wait() == 0
    assert kills == 3
    histories = [without_seconds(run_files.read_history(Path(folder))) for folder in ("whole", "broken")]
    assert histories[0] == histories[1]


def test_a_run_from_python_writes_a_line_an_epoch(galaxies: Dataset, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = Arguments(epochs=2, framing=Framing(32))
    train(galaxies, "run", arguments)
    output, errors = capsys.readouterr()
    lines = errors.splitlines()
    assert output == ""
    assert lines[0] == "32 galaxies to train on, 8 held back; classes: Normal, Ringed, Merger, Other"
    assert [line.split("  ")[0] for line in lines[1:]] == ["epoch 1/2", "epoch 2/2"]
    assert "validation: loss" in lines[1]
    train(galaxies, "silent", arguments, verbose=False)
    train(galaxies, "watched", arguments, watcher=Watcher())
    assert capsys.readouterr() == ("", "")


@pytest.mark.slow
def test_neither_pytorch_nor_keras_is_needed(fake_npz: Path) -> None:
    program = (
        "import sys\n"
        "class Gone:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in ('torch', 'accelerate', 'keras', 'onnx'): raise ImportError(name)\n"
        "sys.meta_path.insert(0, Gone())\n"
        "from peculiar.cli import main\n"
        "def call(*words):\n"
        "    sys.argv = ['peculiar', *words]\n"
        "    try: main()\n"
        "    except SystemExit as end: assert not end.code, words\n"
        "call('train', sys.argv[1], '--net', 'exercise', '--epochs', '1', '--out', 'run')\n"
        "call('evaluate', 'fake.npz', '--model', 'run', '--json')\n"
        "call('explain', 'fake.npz', '--model', 'run', '--count', '1')\n"
        "call('demo', '--data', 'fake.npz', '--epochs', '1')\n"
    )
    fake_npz.rename("fake.npz")
    command = [sys.executable, "-c", program, "fake.npz"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for file in ("run/evaluation/scores.json", "activations/contact_sheet.png", "demo/index.html"):
        assert Path(file).exists(), file
