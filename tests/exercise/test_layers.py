"""The layers against PyTorch's, and against what a small case gives by hand."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from peculiar.exercise import layers
from peculiar.exercise.layers import Floats

sides, counts, channels, seeds = st.integers(3, 12), st.integers(1, 3), st.integers(1, 4), st.integers(0, 2**32 - 1)


def drawn(seed: int, *shape: int) -> Floats:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def tensor(values: Floats) -> Tensor:
    """Return maps or filters in PyTorch's layout, with gradients."""
    return torch.tensor(np.moveaxis(values, -1, 1) if values.ndim == 4 else values, requires_grad=True)


def near(found: Floats, expected: Tensor | None) -> None:
    assert expected is not None
    other = expected.detach().permute(0, 2, 3, 1) if expected.ndim == 4 else expected.detach()
    np.testing.assert_allclose(found, other.numpy(), rtol=1e-4, atol=1e-5)


@settings(deadline=None, max_examples=40)
@given(sides, counts, channels, seeds)
def test_a_convolution_is_pytorchs_there_and_back(side: int, count: int, channels: int, seed: int) -> None:
    maps, filters, biases = drawn(seed, count, side, side, channels), drawn(seed, 5, 3, 3, channels), drawn(seed, 5)
    theirs = [tensor(one) for one in (maps, filters, biases)]
    answers = functional.conv2d(*theirs, stride=2)
    near(layers.convolve(maps, filters, biases), answers)
    back = drawn(seed + 1, *answers.permute(0, 2, 3, 1).shape)
    assert back.shape[1] == layers.convolved_side(side)
    answers.backward(torch.from_numpy(back).permute(0, 3, 1, 2))
    near(layers.convolve_back_to_maps(filters, back, side), theirs[0].grad)
    for found, expected in zip(layers.convolve_back(maps, back), theirs[1:], strict=True):
        near(found, expected.grad)


@settings(deadline=None, max_examples=40)
@given(sides, counts, channels, seeds)
def test_a_pooling_is_pytorchs_there_and_back(side: int, count: int, channels: int, seed: int) -> None:
    # Whole numbers, so that several of four are often the largest: all goes to the first of them.
    maps = drawn(seed, count, side, side, channels).round()
    theirs = tensor(maps)
    answers = functional.max_pool2d(theirs, 2)
    largest, chosen = layers.pool(maps)
    near(largest, answers)
    back = drawn(seed + 1, *largest.shape)
    answers.backward(torch.from_numpy(back).permute(0, 3, 1, 2))
    near(layers.pool_back(chosen, back, side), theirs.grad)


def test_the_places_of_a_square_are_counted_row_by_row() -> None:
    maps = np.zeros((1, 4, 4, 1), np.float32)
    maps[0, [0, 0, 3, 3], [0, 3, 0, 3], 0] = 7
    largest, chosen = layers.pool(maps)
    assert chosen[0, :, :, 0].tolist() == [[0, 1], [2, 3]]
    assert (largest == 7).all()


def test_nothing_goes_back_to_a_relu_of_zero() -> None:
    values = np.array([-1, 0, 2], np.float32)
    assert layers.relu(values).tolist() == [0, 0, 2]
    assert layers.relu_back(layers.relu(values), np.array([5, 6, 7], np.float32)).tolist() == [0, 0, 7]


def test_what_is_no_number_stays_so() -> None:
    assert np.isnan(layers.relu(np.array([np.nan], np.float32))).all()
    maps = np.zeros((1, 2, 2, 1), np.float32)
    maps[0, 1, 0, 0] = np.nan
    assert np.isnan(layers.pool(maps)[0]).all()


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 700), st.integers(2, 9), seeds, st.floats(0.1, 60))
def test_cross_entropy_is_pytorchs_to_the_sixth_digit(count: int, classes: int, seed: int, scale: float) -> None:
    logits = drawn(seed, count, classes) * np.float32(scale)
    labels = np.random.default_rng(seed).integers(0, classes, count)
    theirs = torch.tensor(logits, requires_grad=True)
    loss = functional.cross_entropy(theirs, torch.from_numpy(labels))
    loss.backward()
    # Both round four times to float32: the exponentials, their sum, its logarithm, and the mean.
    rounding = 4 * float(np.finfo(np.float32).eps)
    assert layers.cross_entropy(logits, labels) == pytest.approx(loss.item(), rel=rounding, abs=rounding)
    near(layers.cross_entropy_back(logits, labels), theirs.grad)
    probabilities = layers.softmax(logits)
    near(probabilities, torch.softmax(torch.from_numpy(logits), dim=1))
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)


def test_large_logits_do_not_overflow() -> None:
    logits = np.array([[1000, -1000, 0]], np.float32)
    assert layers.softmax(logits).tolist() == [[1, 0, 0]]
    assert layers.cross_entropy(logits, np.array([1])) == 2000
