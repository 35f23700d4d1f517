"""`train` chooses where a network begins, and says what is missing."""

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from peculiar.errors import LabelError, UnknownNameError, UnreadablePictureWarning, UsageError
from peculiar.sources import open_source
from peculiar.sources.dataset import Dataset
from peculiar.training.recipe import read_record
from peculiar.training.train import train


def test_pictures_of_another_size_do_not_go_on_from_the_model_that_ships(tiny_survey: Path) -> None:
    run = train(tiny_survey, "run", label="four_class", size=32, epochs=1, verbose=False)
    record = read_record(run.folder)
    assert (record.recipe.size, record.start) == (32, None)


def test_a_column_per_class_is_told_to_be_made_one(tiny_survey: Path) -> None:
    lines = ["id,file,Ringed,Merger", *(f"g{row},{row}.png,{row % 2},{1 - row % 2}" for row in range(4))]
    Path("t.csv").write_text("\n".join(lines))
    with pytest.raises(LabelError, match=r"2 columns hold a 1 for the class of each galaxy, 'Ringed', 'Merger': make"):
        train("t.csv", "run", verbose=False)


@pytest.mark.parametrize("start", ["scratch", "galaxy"])
def test_pictures_that_cannot_be_read_are_nothing_to_learn_from(start: str) -> None:
    rows = "".join(f"g{row},none/{row}.png,{'ab'[row % 2]}\n" for row in range(12))
    Path("t.csv").write_text(f"id,file,label\n{rows}")
    warned = pytest.warns(UnreadablePictureWarning) if start == "scratch" else nullcontext()
    with warned, pytest.raises(LabelError, match="none of the pictures can be read, so there is nothing to learn from"):
        train("t.csv", "run", start=start, verbose=False, **({"width": 8, "size": 32} if start == "scratch" else {}))
    assert not Path("run").exists()


@pytest.fixture
def untouched() -> Iterator[None]:
    """Fail if a run was begun."""
    yield
    assert not Path("run").exists()
    assert not Path("runs").exists()


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize(
    ("options", "kind", "said"),
    [
        ({"net": "galaxie"}, UnknownNameError, "no network 'galaxie'. Did you mean 'galaxy'"),
        ({"net": "exercise", "start": "galaxy"}, UsageError, "--from: not for the network 'exercise'"),
        ({"net": "exercise", "teachers": ["a.onnx"]}, UsageError, "--teacher: not for the network 'exercise'"),
        ({"net": "exercise", "time_limit": 3, "width": 8}, UsageError, "--time-limit, --width: not for"),
        ({"crop": "0.5"}, UsageError, "crop has to be whole, galaxy or a number of pixels, received '0.5'"),
        ({"label": "clean5", "question": "gz2"}, UsageError, "give one of them"),
        ({"fine_tune": "maybe"}, UnknownNameError, "no way to fine-tune 'maybe'"),
        ({"time_limit": 0.0}, UsageError, "a number of minutes above 0, received 0"),
        ({"time_limit": float("nan")}, UsageError, "a number of minutes above 0, received nan"),
    ],
)
def test_options_that_cannot_be_are_refused(
    options: dict[str, Any], kind: type[Exception], said: str, tiny_survey: Path
) -> None:
    with pytest.raises(kind, match=said):
        train(tiny_survey, "run", verbose=False, **options)


@pytest.mark.usefixtures("untouched")
def test_a_dataset_is_for_the_exercise_and_needs_a_folder(galaxies: Dataset) -> None:
    with pytest.raises(UsageError, match="only the exercise's network takes a Dataset"):
        train(galaxies, "run", verbose=False)
    with pytest.raises(UsageError, match=r"no name to call the run's folder by; give a folder \(out\)"):
        train(galaxies, net="exercise", verbose=False)


@pytest.mark.usefixtures("untouched")
def test_the_exercise_learns_from_one_set_of_galaxies(fake_npz: Path) -> None:
    with pytest.raises(UsageError, match="learns from one set of galaxies, received 2"):
        train([fake_npz, fake_npz], net="exercise", verbose=False)


def test_a_run_without_a_folder_is_called_as_its_data(fake_npz: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders = []
    monkeypatch.setattr("peculiar.exercise.train.train", lambda source, folder, asked, **_: folders.append(folder))
    train([fake_npz], net="exercise", verbose=False)
    train(open_source(fake_npz), net="exercise", verbose=False)
    assert folders == [Path("runs/fake"), Path("runs/fake")]
