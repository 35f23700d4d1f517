"""Claim: the exercise's own Keras script runs with peculiar's two functions, and peculiar gives the same results."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from sklearn.model_selection import train_test_split

from peculiar import load_galaxy_data, visualize_activations
from peculiar.exercise.network import Network
from peculiar.exercise.run_folder import TrainedNet
from peculiar.images.framing import Framing
from peculiar.questions.question import FOUR_CLASS

SCRIPT = Path(__file__).with_name("exercise_keras.py")
CLASS = f"(?:{'|'.join(FOUR_CLASS.answers)})"


@pytest.fixture
def data_folder(tmp_path: Path, fake_npz: Path) -> Path:
    """A folder to be named by PECULIAR_DATA."""
    folder = tmp_path / "data"
    folder.mkdir()
    return fake_npz.rename(folder / "galaxydata.npz").parent


def check_sentences(lines: list[str], count: int) -> None:
    """Check that there are `count` galaxies, each with prediction, label and verdict."""
    for number, line in enumerate(lines, 1):
        found = re.fullmatch(
            rf"Galaxy {number}: predicted ({CLASS}), actual ({CLASS}) \(\d+% sure\): (right|wrong)", line
        )
        assert found, line
        assert (found[1] == found[2]) == (found[3] == "right")
    assert len(lines) == count


def check_figures(folder: Path, count: int) -> None:
    names = {f"galaxy_{number}{layer}.png" for number in range(1, count + 1) for layer in ("", "_conv2d", "_conv2d_1")}
    assert {file.name for file in folder.iterdir()} == names | {"contact_sheet.png"}
    for file in folder.iterdir():
        with Image.open(file) as picture:
            picture.load()
            assert picture.format == "PNG"
            # Something is drawn, and it is not all of one colour.
            assert np.asarray(picture.convert("L")).std() > 5


@pytest.mark.slow
def test_the_script_runs_to_its_end(data_folder: Path, tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "PECULIAR_DATA": str(data_folder),
        "KERAS_BACKEND": "torch",
        "OMP_NUM_THREADS": "1",
        "COLUMNS": "100",
    }
    done = subprocess.run(
        [sys.executable, SCRIPT],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=300,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert "peculiar" not in done.stderr, "a warning of ours"
    lines = done.stdout.splitlines()
    assert lines[:2] == ["(40, 128, 128, 3)", "(40, 4)"]
    assert "Total params: 7,164" in done.stdout
    shapes = re.findall(r"\(None, ([\d, ]+)\)", done.stdout)
    assert shapes == ["63, 63, 8", "31, 31, 8", "15, 15, 8", "7, 7, 8", "392", "16", "4"]
    # 32 galaxies, 5 at a time, twice.
    assert all(f"Epoch {epoch}/2" in done.stdout for epoch in (1, 2))
    assert "7/7" in done.stdout
    assert "ran out of data" not in done.stderr
    assert re.search(r"auc: .*categorical_accuracy: .*val_auc: .*val_categorical_accuracy: .*val_loss: ", done.stdout)
    check_sentences(lines[-6:-1], 5)
    assert lines[-1] == "Figures are in activations"
    check_figures(tmp_path / "activations", 5)


@pytest.mark.slow
def test_our_network_gets_the_same_treatment(
    data_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PECULIAR_DATA", str(data_folder))
    data, labels = load_galaxy_data()
    _, pictures, _, truth = train_test_split(
        data, labels, test_size=0.20, stratify=labels, shuffle=True, random_state=222
    )

    def endless() -> Iterator[tuple[NDArray[np.float64], NDArray[np.float32]]]:
        while True:
            for start in range(0, len(pictures), 5):
                yield pictures[start : start + 5] / 255, truth[start : start + 5]

    model = TrainedNet(Network(), FOUR_CLASS, Framing())
    seen = visualize_activations(model, endless(), count=2)

    *sentences, last = capsys.readouterr().out.splitlines()
    check_sentences(sentences, 2)
    assert last == "Figures are in activations"
    check_figures(tmp_path / "activations", 2)
    assert len(seen) == 2
    expected = model.probabilities(pictures[:5])
    for activation, row, label in zip(seen, expected, truth, strict=False):
        assert list(activation.probabilities.values()) == pytest.approx(row.tolist(), abs=1e-6)
        assert activation.actual == FOUR_CLASS.answers[label.argmax()]
        assert activation.predicted == FOUR_CLASS.answers[row.argmax()]
