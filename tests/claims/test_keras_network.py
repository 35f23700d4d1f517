"""Claim: peculiar's network and the exercise's Keras network agree in answers, weights and training."""

from typing import Any

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from peculiar.errors import DataError
from peculiar.exercise.adam import Adam
from peculiar.exercise.keras_network import from_keras, to_keras
from peculiar.exercise.layers import Floats, softmax
from peculiar.exercise.network import Network
from peculiar.exercise.steps import Steps

LEARNING_RATE = 0.001


def ours(seed: int, classes: int = 4) -> Network:
    """A network whose biases are not zero either, so that a bias in the wrong place is seen."""
    net, rng = Network(classes, seed=seed), np.random.default_rng(seed)
    for name, part in net.parts.items():
        if name.endswith("bias"):
            part[:] = rng.uniform(-0.1, 0.1, part.size)
    return net


def exercise(classes: int = 4, **changed: Any) -> keras.Model:
    """The network as the exercise's user writes it."""
    model = keras.Sequential()
    model.add(keras.Input(shape=(128, 128, 3)))
    if changed.get("rescaled"):
        model.add(keras.layers.Rescaling(1 / 255))
    model.add(keras.layers.Conv2D(8, changed.get("side", 3), strides=2, activation="relu"))
    model.add(keras.layers.MaxPooling2D(pool_size=(2, 2), strides=2))
    model.add(keras.layers.Conv2D(8, 3, strides=2, activation="relu", padding=changed.get("padding", "valid")))
    model.add(keras.layers.MaxPooling2D(pool_size=(2, 2), strides=2))
    model.add(keras.layers.Flatten())
    if changed.get("normalised"):
        model.add(keras.layers.BatchNormalization())
    model.add(keras.layers.Dense(changed.get("units", 16), activation=changed.get("activation", "relu")))
    model.add(keras.layers.Dense(classes, activation="softmax"))
    return model


def noise(count: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).random((count, 128, 128, 3), dtype=np.float32)


def asked(net: Network, pictures: Floats) -> Floats:
    return softmax(net.logits(pictures))


def asked_keras(model: keras.Model, pictures: NDArray[np.float32]) -> NDArray[np.float32]:
    return keras.ops.convert_to_numpy(model(pictures, training=False))


@pytest.mark.parametrize(("seed", "classes"), [(0, 4), (1, 4), (2, 7)])
def test_same_probabilities_from_ours_to_keras(seed: int, classes: int) -> None:
    net, pictures = ours(seed, classes), noise(16, seed)
    expected = asked(net, pictures)
    # Pictures are told apart, or the comparison would say little.
    assert expected.std(axis=0).max() > 1e-4
    np.testing.assert_allclose(asked_keras(to_keras(net), pictures), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("seed", "classes"), [(3, 4), (4, 2)])
def test_same_probabilities_from_keras_to_ours(seed: int, classes: int) -> None:
    keras.utils.set_random_seed(seed)
    model, pictures = exercise(classes), noise(16, seed)
    np.testing.assert_allclose(asked(from_keras(model), pictures), asked_keras(model, pictures), atol=1e-5, rtol=0)


def test_same_probabilities_after_training() -> None:
    model, pictures = exercise(), noise(8)
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss="categorical_crossentropy")
    for _ in range(3):
        model.train_on_batch(pictures, np.eye(4)[[0, 1, 2, 3] * 2])
    np.testing.assert_allclose(asked(from_keras(model), pictures), asked_keras(model, pictures), atol=1e-5, rtol=0)


def test_our_weights_come_back_bit_for_bit() -> None:
    net = ours(5)
    np.testing.assert_array_equal(from_keras(to_keras(net)).vector, net.vector)


def test_keras_weights_come_back_bit_for_bit() -> None:
    model = exercise()
    for found, expected in zip(to_keras(from_keras(model)).get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_the_networks_do_not_share_memory() -> None:
    net = ours(6)
    model = to_keras(net)
    before = model.get_weights()
    net.vector += 1
    for found, expected in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_the_keras_network_is_as_the_exercise_writes_it() -> None:
    def layers(model: keras.Model) -> list[dict[str, Any]]:
        # Names count up with every network that a process makes.
        return [{key: value for key, value in layer.get_config().items() if key != "name"} for layer in model.layers]

    assert layers(to_keras(ours(0))) == layers(exercise())


def test_the_summary_of_keras_counts_the_same() -> None:
    lines: list[str] = []
    model = to_keras(ours(0))
    model.summary(print_fn=lines.append)
    assert "Total params: 7,164" in "\n".join(lines)
    assert model.count_params() == 7164


@pytest.mark.parametrize("changed", [{"side": 5}, {"padding": "same"}, {"units": 32}, {"normalised": True}])
def test_another_network_is_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(DataError, match=r"not the exercise's network: .* those of the exercise's are \(3, 3, 3, 8\)"):
        from_keras(exercise(**changed))


@pytest.mark.parametrize("changed", [{"activation": "tanh"}, {"rescaled": True}])
def test_a_network_that_only_its_answers_give_away_is_refused(changed: dict[str, Any]) -> None:
    keras.utils.set_random_seed(222)
    with pytest.raises(
        DataError, match=r"right shapes, but make other probabilities \(\[.* instead of \[.*ReLU.*softmax"
    ):
        from_keras(exercise(**changed))


def test_a_network_without_weights_is_refused() -> None:
    with pytest.raises(DataError, match=r"its weights have the shapes \[\]"):
        from_keras(keras.Sequential([keras.Input(shape=(4,)), keras.layers.Flatten()]))


class Pair:
    """A network and its Keras counterpart, trained on the same pictures."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.pictures, self.labels = rng.integers(0, 256, (5, 128, 128, 3), dtype=np.uint8), rng.integers(0, 4, 5)
        self.net = ours(seed)
        self.model = to_keras(self.net)
        self.model.compile(
            optimizer=keras.optimizers.Adam(learning_rate=LEARNING_RATE), loss=keras.losses.CategoricalCrossentropy()
        )
        self.steps = Steps(self.pictures, self.labels, self.net, Adam(self.net.vector, LEARNING_RATE))

    def step(self) -> tuple[float, float]:
        """Take one step with each; return the losses before it, peculiar's first."""
        fractions, one_hot = self.pictures / np.float32(255), np.eye(4, dtype=np.float32)[self.labels]
        return self.steps.learn(np.arange(5))[1], float(self.model.train_on_batch(fractions, one_hot))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_step_of_adam_changes_the_weights_alike(seed: int) -> None:
    pair = Pair(seed)
    before = pair.net.vector.copy()
    for _ in range(3):
        mine, theirs = pair.step()
        assert mine == pytest.approx(theirs, abs=1e-5)
        assert abs(pair.net.vector - from_keras(pair.model).vector).max() < 1e-5
    # They did learn.
    assert abs(pair.net.vector - before).max() > 2 * LEARNING_RATE
