"""Training in pieces and in several processes: the same losses as at once; histories for other programs."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from peculiar.errors import MissingExtraError, PeculiarWarning, UnknownNameError, UsageError
from peculiar.files import run_files
from peculiar.images.decode import encode_picture
from peculiar.questions.question import CLEAN5
from peculiar.sources import open_source
from peculiar.sources.split import told_parts
from peculiar.training import processes
from peculiar.training.logs import flat
from peculiar.training.train import train
from peculiar.training.watch import Watcher

SMALL: dict[str, Any] = {"width": 8, "size": 32, "epochs": 2, "batch_size": 16, "start": "scratch", "label": "clean5"}


@pytest.fixture
def different(tmp_path: Path) -> Path:
    """Pictures of noise, brighter in every other, of which none is like another."""
    random, path = np.random.default_rng(222), tmp_path / "noise.parquet"
    rows = [
        {
            "id": f"n{row}",
            "image": {"bytes": encode_picture(random.integers(0, 100 + 80 * (row % 2), (32, 32, 3), np.uint8))},
            "clean5": CLEAN5.answers[row % 2],
        }
        for row in range(80)
    ]
    pyarrow.parquet.write_table(pa.Table.from_pylist(rows), path)
    return path


def losses(folder: str) -> list[float]:
    history = run_files.read_history(Path(folder))
    return [loss for line in history for loss in (line["loss"], line["val_clean5"]["log_loss"])]


@pytest.mark.slow
def test_pieces_of_a_batch_give_the_losses_of_the_whole(different: Path) -> None:
    notes = []

    class Listen(Watcher):
        def note(self, text: str) -> None:
            notes.append(text)

    whole = train(different, "whole", watcher=Listen(), **SMALL)
    train(different, "pieces", accumulate=4, verbose=False, **SMALL)
    np.testing.assert_allclose(losses("pieces"), losses("whole"), atol=1e-4)
    assert len(whole.history) == 2
    assert [text.partition(" to the end of epoch 2 (")[0][:6] for text in notes] == ["About "]


def test_the_history_is_written_for_other_programs(different: Path) -> None:
    run = train(different, "run", log="csv", verbose=False, **SMALL)
    with Path("run/history.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["epoch"]) for row in rows] == [1, 2]
    told = [{name: "" if value is None else str(value) for name, value in flat(line).items()} for line in run.history]
    assert rows == told
    assert "val_clean5/log_loss" in rows[0]


@pytest.mark.slow
def test_a_learning_rate_is_found_without_training(different: Path, peculiar_command: Any) -> None:
    words = f"train {different} --label clean5 --from scratch --width 8 --size 32 --batch-size 16 --find-rate r.png"
    status, told, said = peculiar_command(*words.split(), "--json")
    assert status == 0, said
    found = json.loads(told)
    assert 1e-5 < found["best"] < 0.5
    assert len(found["rates"]) == len(found["losses"])
    assert min(found["losses"]) < found["losses"][0]
    assert Path("r.png").read_bytes().startswith(b"\x89PNG")
    assert not Path("r.run").exists()
    assert not Path("runs").exists()
    status, _, said = peculiar_command(*words.split())
    assert status == 2
    assert "r.png exists; give the figure of the learning rates another name" in said


def test_training_ends_early_where_nothing_is_gained(different: Path) -> None:
    settings = SMALL | {"epochs": 9, "learning_rate": 1e-9}
    run = train(different, "run", patience=2, verbose=False, **settings)
    assert len(run.history) == 3


def test_what_cannot_be_is_refused(different: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="a batch of 16 galaxies cannot be computed in 17 pieces; take fewer"):
        train(different, "run", accumulate=17, verbose=False, **SMALL)
    with pytest.raises(UnknownNameError, match="no kind of log 'wandb'"):
        train(different, "run", log="wandb", verbose=False, **SMALL)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(MissingExtraError, match=r"peculiar\[tensorboard\]"):
        train(different, "run", log="tensorboard", verbose=False, **SMALL)
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert not processes.is_first()
    with pytest.raises(UsageError, match=r"classes of one's own takes one process, and 2 were started"):
        train(different, "run", label="clean5", verbose=False)
    with pytest.raises(UsageError, match=r"the exercise's network takes one process"):
        train(different, "run", net="exercise", label="clean5", verbose=False)
    assert not Path("run").exists()


@pytest.mark.slow
def test_tensorboard_reads_what_is_written(different: Path) -> None:
    pytest.importorskip("tensorboard", exc_type=ModuleNotFoundError)
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = train(different, "run", log="tensorboard", verbose=False, **SMALL)
    events = EventAccumulator("run/tensorboard").Reload()
    found = [(one.step, one.value) for one in events.Scalars("val_clean5/log_loss")]
    assert [step for step, _ in found] == [1, 2]
    np.testing.assert_allclose(
        [value for _, value in found], [line["val_clean5"]["log_loss"] for line in run.history], rtol=1e-6
    )


def test_folders_of_parts_are_the_parts(different: Path) -> None:
    for number, row in enumerate(pyarrow.parquet.read_table(different).to_pylist()):
        part = ("train", "train", "train", "train", "valid", "valid", "test", "test")[number % 8]
        file = Path("classes", part, row["clean5"], f"{number}.png")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(row["image"]["bytes"])
    settings = {name: value for name, value in SMALL.items() if name != "label"} | {"epochs": 1}
    with pytest.warns(PeculiarWarning, match="train"):
        run = train("classes", "run", verbose=False, **settings)
    split = run_files.read_split(run.folder)
    names = {"train": "training", "valid": "validation", "test": "test"}
    assert {id_: names[id_.partition("/")[0]] for id_ in split} == split
    assert len(split) == 80
    with pytest.warns(PeculiarWarning, match="train"):
        assert told_parts([open_source("classes")]) == split


@pytest.mark.slow
@pytest.mark.parametrize(
    "launcher",
    [
        ["-m", "torch.distributed.run", "--nproc_per_node", "2"],
        ["-m", "accelerate.commands.launch", "--cpu", "--num_processes", "2"],
    ],
    ids=["torchrun", "accelerate"],
)
def test_two_processes_give_the_losses_of_one(launcher: list[str], different: Path) -> None:
    words = f"peculiar train {different} --label clean5 --from scratch --width 8 --size 32 --epochs 2 --batch-size 16"
    for folder, before in (("one", []), ("two", launcher)):
        command = [sys.executable, *before, "-m", *words.split(), "--out", folder, "--json"]
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, env={**os.environ, "OMP_NUM_THREADS": "1"}
        )
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["out"] == folder  # told once
    np.testing.assert_allclose(losses("two"), losses("one"), atol=1e-4)
