import sys

import numpy as np
import pytest

from peculiar.errors import DataError, MissingExtraError
from peculiar.exercise.keras_network import from_keras, to_keras
from peculiar.exercise.network import Network


def test_the_keras_network_is_for_pictures_of_128() -> None:
    with pytest.raises(DataError, match=r"takes pictures of 128 x 128, received a network for 64 x 64"):
        to_keras(Network(4, 64))


def test_the_keras_network_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keras", None)
    with pytest.raises(MissingExtraError, match=r"the Keras network needs .* pip install 'peculiar\[keras\]'"):
        to_keras(Network())


class Weights:
    """The part of a Keras network that `from_keras` uses."""

    def __init__(self, *shapes: tuple[int, ...]) -> None:
        self.shapes = shapes

    def get_weights(self) -> list[np.ndarray]:
        return [np.zeros(shape, np.float32) for shape in self.shapes]


@pytest.mark.parametrize(
    "model",
    [
        Weights(),
        Weights(()),
        Weights((3, 3, 3, 8), (8,)),
        Weights((3, 3, 3, 8), (8,), (3, 3, 8, 8), (8,), (392, 16), (16,), (16, 4), (5,)),
        Weights((5, 5, 3, 8), (8,), (3, 3, 8, 8), (8,), (392, 16), (16,), (16, 4), (4,)),
        # A network for smaller pictures.
        Weights((3, 3, 3, 8), (8,), (3, 3, 8, 8), (8,), (72, 16), (16,), (16, 4), (4,)),
    ],
)
def test_other_keras_networks_are_refused(model: Weights) -> None:
    with pytest.raises(
        DataError, match=r"not the exercise's network: its weights have the shapes .* to_keras"
    ) as caught:
        from_keras(model)
    assert str(list(model.shapes)) in str(caught.value)
