"""The network: its layers, its answers, and its gradients."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch.nn import functional

from peculiar.errors import DataError, UsageError
from peculiar.exercise.layers import Floats, softmax
from peculiar.exercise.network import Network
from pytorch_network import by_pytorch, to_torch

# As the exercise's Keras summary prints them: name, kind, output shape, parameters.
EXERCISE = """\
conv2d           Conv2D         63 x 63 x 8         224
max_pooling2d    MaxPooling2D   31 x 31 x 8           0
conv2d_1         Conv2D         15 x 15 x 8         584
max_pooling2d_1  MaxPooling2D     7 x 7 x 8           0
flatten          Flatten                392           0
dense            Dense                   16       6,288
dense_1          Dense                    4          68"""

seeds = st.integers(0, 2**32 - 1)


def noise(count: int = 3, size: int = 128, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (count, size, size, 3), dtype=np.uint8)


def random(classes: int, size: int, seed: int, choices: Floats | None = None) -> Network:
    """A network whose biases are at random, too; or all is drawn from `choices`."""
    net, rng = Network(classes, size), np.random.default_rng(seed)
    count = net.vector.size
    net.vector[:] = rng.normal(0, 0.2, count) if choices is None else rng.choice(choices, count)
    return net


def test_printed_it_is_the_table_of_the_exercise() -> None:
    lines = str(Network()).splitlines()
    assert lines[0].split() == ["Layer", "Kind", "Output", "shape", "Parameters"]
    assert "\n".join(lines[2:-2]) == EXERCISE
    assert lines[-1] == "Total parameters: 7,164"
    # A table: every row as wide as its rules.
    assert {len(line) for line in lines[:-1]} == {len(lines[1])}
    assert set(lines[1]) == set(lines[-2]) == {"-"}
    assert Network().vector.size == 7164


@pytest.mark.parametrize(("classes", "size"), [(2, 21), (5, 64), (10, 127), (4, 129), (4, 256)])
def test_other_sizes_and_classes(classes: int, size: int) -> None:
    net = Network(classes, size)
    assert net.logits(noise(2, size)).shape == (2, classes)
    assert f"Total parameters: {net.vector.size:,}" in str(net)


@pytest.mark.parametrize("size", [1, 3, 20])
def test_pictures_that_are_too_small(size: int) -> None:
    with pytest.raises(UsageError, match=f"at least 21 x 21 pixels, received {size}"):
        Network(4, size)


@pytest.mark.parametrize("shape", [(32, 32, 3), (128, 127, 3), (128, 128, 4)])
def test_pictures_of_another_size_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match=f"of 128 x 128 x 3, received {' x '.join(map(str, shape))}"):
        Network().logits(np.zeros((2, *shape), np.float32))


def test_the_parts_are_views_of_the_one_vector() -> None:
    net = Network()
    net.vector += 1
    assert net.parts["dense_1.bias"].tolist() == [1, 1, 1, 1]
    assert sum(part.size for part in net.parts.values()) == net.vector.size
    net.arrays()["conv2d.weight"][2, 1, 0, 2] = 9
    assert net.parts["conv2d.weight"][2, 0, 2, 1] == 9
    assert net.vector[2 * 27 + 2 * 3 + 1] == 9


def test_weights_are_taken_over() -> None:
    one, other = Network(seed=1), Network(seed=2)
    other.load(one.arrays())
    np.testing.assert_array_equal(one.vector, other.vector)
    assert not np.shares_memory(one.vector, other.vector)
    with pytest.raises(DataError, match=r"network: dense_1\.weight has to be \(4, 16\), is \(5, 16\); dense_1\.bias"):
        other.load(Network(5).arrays())
    with pytest.raises(DataError, match=r"more has to be None, is \(2,\)$"):
        other.load({**one.arrays(), "more": np.zeros(2)})


@settings(deadline=None, max_examples=30)
@given(st.integers(21, 70), st.integers(2, 11), st.integers(1, 7), seeds)
def test_answers_and_gradients_are_pytorchs(size: int, classes: int, count: int, seed: int) -> None:
    """With pixels of 0 and 1 and weights on a grid the convolutions are exact, so that both see the same ties."""
    rng = np.random.default_rng(seed)
    pictures = rng.choice(np.array([0, 255], np.uint8), (count, size, size, 3), p=[0.7, 0.3])
    labels = rng.integers(0, classes, count)
    net = random(classes, size, seed, np.arange(-16, 17, dtype=np.float32) / 64)
    expected_logits, expected_loss, expected = by_pytorch(net, pictures, labels)
    found = np.full_like(net.vector, np.nan)
    logits, loss = net.gradients(pictures, labels, out=found)
    np.testing.assert_allclose(logits, expected_logits, rtol=1e-5, atol=1e-5)
    assert loss == pytest.approx(expected_loss, rel=1e-5, abs=1e-5)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5 * max(1, abs(expected).max()))
    np.testing.assert_allclose(net.logits(pictures), logits, rtol=1e-5, atol=1e-5)


def test_gradients_are_by_how_much_the_loss_grows() -> None:
    net, pictures, labels = random(4, 32, 222), noise(3, 32), np.array([0, 3, 1])
    gradients = np.empty_like(net.vector)
    before = net.gradients(pictures, labels, gradients)[1]
    length = float(np.linalg.norm(gradients))
    net.vector -= 0.001 * gradients / length
    assert net.gradients(pictures, labels, gradients)[1] - before == pytest.approx(-0.001 * length, rel=0.05)


def test_bytes_and_fractions_are_the_same_pictures() -> None:
    net, pictures = random(4, 64, 222), noise(3, 64)
    expected = net.logits(pictures)
    for fractions in (pictures / 255, (pictures / 255).astype(np.float32)):
        np.testing.assert_allclose(net.logits(fractions), expected, atol=1e-5)
    np.testing.assert_allclose(net.activations(pictures)[1], expected, atol=1e-6)


@pytest.mark.parametrize("count", [0, 1, 64, 65, 130])
def test_pictures_are_answered_some_at_a_time(count: int) -> None:
    net, pictures = random(4, 21, 222), noise(130, 21)
    found = net.logits(pictures[:count])
    assert found.shape == (count, 4)
    np.testing.assert_allclose(found, [net.logits(one[None])[0] for one in pictures[:count]] or found, atol=1e-5)


def test_the_maps_of_the_filters_are_pytorchs() -> None:
    net, pictures = random(4, 128, 222), noise()
    maps, logits = net.activations(pictures)
    other = to_torch(net)
    hidden = torch.from_numpy(pictures).permute(0, 3, 1, 2) / 255
    with torch.inference_mode():
        for name, layer in (("conv2d", other.conv2d), ("conv2d_1", other.conv2d_1)):
            hidden = layer(hidden).relu()
            np.testing.assert_allclose(maps[name], hidden.permute(0, 2, 3, 1), atol=1e-5)
            hidden = functional.max_pool2d(hidden, 2)
    assert list(maps) == ["conv2d", "conv2d_1"]
    assert all(values.min() == 0 < values.max() for values in maps.values())
    np.testing.assert_allclose(softmax(logits).sum(axis=1), 1, rtol=1e-6)


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_what_is_no_number_is_answered_without_a_warning(number: float) -> None:
    net, pictures = Network(4, 32), noise(3, 32)
    net.parts["conv2d.bias"][1] = number
    logits, _ = net.gradients(pictures, np.array([0, 1, 2]), np.empty_like(net.vector))
    assert not np.isfinite(logits).all()
    assert not np.isfinite(net.logits(pictures)).all()
