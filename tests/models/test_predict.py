"""Prediction: rows out are rows in, in their order, whatever can be read and however they are batched."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from peculiar.errors import UsageError
from peculiar.exercise.network import Network
from peculiar.exercise.run_folder import TrainedNet
from peculiar.images.framing import Framing
from peculiar.models.predict import Predictions, predict
from peculiar.questions.question import FOUR_CLASS, Question
from peculiar.sources import open_source
from peculiar.sources.stream import Galaxy


@pytest.fixture(scope="module")
def model() -> TrainedNet:
    return TrainedNet(Network(), FOUR_CLASS, Framing())


def galaxies(pictures: NDArray[np.uint8], broken: tuple[int, ...] = ()) -> Iterator[Galaxy]:
    for row, picture in enumerate(pictures):
        label = FOUR_CLASS.answers[row // 10] if row % 3 else None
        if row in broken:
            yield Galaxy(f"g{row}", None, label, f"broken {row}")
        else:
            yield Galaxy(f"g{row}", picture, label)


def test_rows_out_are_rows_in(model: TrainedNet, fake_pictures: NDArray[np.uint8]) -> None:
    found = predict(model, galaxies(fake_pictures), batch_size=7)
    assert found.ids == [f"g{row}" for row in range(40)]
    assert found.labels == [galaxy.label for galaxy in galaxies(fake_pictures)]
    assert found.probabilities.dtype == np.float32
    assert found.problems == {}
    np.testing.assert_allclose(found.probabilities, model.probabilities(fake_pictures), atol=1e-6)
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("batch_size", [1, 3, 39, 40, 41, 1000])
def test_the_size_of_batches_changes_nothing(
    model: TrainedNet, fake_pictures: NDArray[np.uint8], batch_size: int
) -> None:
    broken = (0, 4, 5, 39)
    found = predict(model, galaxies(fake_pictures, broken), batch_size=batch_size)
    expected = predict(model, galaxies(fake_pictures, broken))
    np.testing.assert_allclose(found.probabilities, expected.probabilities, atol=1e-6)
    assert (found.ids, found.labels, found.problems) == (expected.ids, expected.labels, expected.problems)


def test_what_cannot_be_read_keeps_its_row(model: TrainedNet, fake_pictures: NDArray[np.uint8]) -> None:
    # The whole second batch, and one of the third.
    broken = (4, 5, 6, 7, 9)
    found = predict(model, galaxies(fake_pictures[:12], broken), batch_size=4)
    assert np.flatnonzero(np.isnan(found.probabilities).all(axis=1)).tolist() == list(broken)
    assert np.isnan(found.probabilities).sum() == 4 * len(broken)
    assert found.problems == {f"g{row}": f"broken {row}" for row in broken}
    whole = predict(model, galaxies(fake_pictures[:12]))
    readable = [row for row in range(12) if row not in broken]
    np.testing.assert_allclose(found.probabilities[readable], whole.probabilities[readable], atol=1e-6)


def test_nothing_in_nothing_out(model: TrainedNet) -> None:
    steps: list[int] = []
    found = predict(model, [], progress=steps.append)
    assert (found.ids, found.labels, found.problems, steps) == ([], [], {}, [])
    assert found.probabilities.shape == (0, 4)
    labels, probabilities = found.scored(FOUR_CLASS)
    assert labels.shape == (0,)
    assert probabilities.shape == (0, 4)


def test_progress_counts_every_galaxy(model: TrainedNet, fake_pictures: NDArray[np.uint8]) -> None:
    steps: list[int] = []
    predict(model, galaxies(fake_pictures, (3,)), batch_size=16, progress=steps.append)
    assert steps == [16, 16, 8]


@pytest.mark.parametrize("batch_size", [0, -1])
def test_batches_hold_something(model: TrainedNet, batch_size: int) -> None:
    with pytest.raises(UsageError, match=f"batch_size has to be at least 1, received {batch_size}"):
        predict(model, [], batch_size=batch_size)


def test_no_more_than_a_batch_is_held(model: TrainedNet, fake_pictures: NDArray[np.uint8]) -> None:
    taken: list[str] = []

    def stream() -> Iterator[Galaxy]:
        for galaxy in galaxies(fake_pictures):
            taken.append(galaxy.id)
            yield galaxy

    ahead: list[int] = []
    predict(model, stream(), batch_size=8, progress=lambda done: ahead.append(len(taken)))
    assert ahead == [8, 16, 24, 32, 40]


def test_a_source_is_framed_as_the_model_wants(tmp_path: Path, fake_pictures: NDArray[np.uint8]) -> None:
    folder = tmp_path / "pictures"
    for row, answer in ((0, "Normal"), (10, "Ringed")):
        (folder / answer).mkdir(parents=True)
        Image.fromarray(fake_pictures[row]).save(folder / answer / f"{row}.png")
    (folder / "Ringed" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    small = TrainedNet(Network(4, 32), FOUR_CLASS, Framing(size=32))

    found = predict(small, open_source(folder))

    assert len(found.ids) == 3
    assert found.labels == ["Normal", "Ringed", "Ringed"]
    assert list(found.problems) == [found.ids[2]]
    assert np.isnan(found.probabilities[2]).all()
    assert not np.isnan(found.probabilities[:2]).any()


def test_scored_takes_galaxies_with_label_and_picture() -> None:
    question = Question("spin", ("left", "right"))
    probabilities = np.array([[0.1, 0.9], [np.nan, np.nan], [0.3, 0.7], [0.4, 0.6], [0.5, 0.5]], np.float32)
    found = Predictions(
        list("abcde"), ["right", "left", None, "left", "edge_on"], probabilities, {"b": "cannot be read"}
    )
    labels, scored = found.scored(question)
    assert labels.tolist() == [1, 0]
    assert labels.dtype == np.int64
    np.testing.assert_array_equal(scored, probabilities[[0, 3]])
