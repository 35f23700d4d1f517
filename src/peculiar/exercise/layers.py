"""The layers of the exercise's network in NumPy, forwards and backwards.

Maps are float32 (n, rows, columns, channels), filters (filters, 3, 3, channels); a picture is a map of three channels.
What goes back are gradients: by how much the loss grows with each value.
"""

import itertools

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

# The places in a filter, and in a square of which pooling takes the largest value.
_TAPS = tuple(itertools.product(range(3), repeat=2))
_SQUARE = tuple(itertools.product(range(2), repeat=2))


def convolved_side(side: int) -> int:
    """Return the side of the maps that `convolve` makes."""
    return (side - 3) // 2 + 1


def convolve(maps: Floats, filters: Floats, biases: Floats) -> Floats:
    """Slide filters of 3 x 3 over maps in steps of 2; each of them makes a map."""
    side = convolved_side(maps.shape[1])
    answers = np.tile(biases, (len(maps), side, side, 1))
    for y, x in _TAPS:
        answers += _under(maps, y, x, side) @ filters[:, y, x].T
    return answers


def convolve_back(maps: Floats, back: Floats) -> tuple[Floats, Floats]:
    """Return the gradients of filters and biases, given those of what `convolve` made of `maps`."""
    filters = np.empty((back.shape[3], 3, 3, maps.shape[3]), np.float32)
    for y, x in _TAPS:
        filters[:, y, x] = np.tensordot(back, _under(maps, y, x, back.shape[1]), axes=((0, 1, 2), (0, 1, 2)))
    return filters, back.sum(axis=(0, 1, 2))


def convolve_back_to_maps(filters: Floats, back: Floats, side: int) -> Floats:
    """Return the gradients of the maps of a `side` that `convolve` took, given those of what it made."""
    maps = np.zeros((len(back), side, side, filters.shape[3]), np.float32)
    for y, x in _TAPS:
        _under(maps, y, x, back.shape[1])[...] += back @ filters[:, y, x]
    return maps


def _under(maps: Floats, y: int, x: int, side: int) -> Floats:
    """Return a view of the pixels that lie under one tap of a filter as it goes through its `side` x `side` places."""
    return maps[:, y : y + 2 * side - 1 : 2, x : x + 2 * side - 1 : 2]


def pool(maps: Floats) -> tuple[Floats, NDArray[np.intp]]:
    """Return the largest value of each square of 2 x 2, and which it was, 0 to 3; the first where several are."""
    even = maps.shape[1] // 2 * 2
    squares = np.stack([maps[:, y:even:2, x:even:2] for y, x in _SQUARE])
    return squares.max(axis=0), squares.argmax(axis=0)


def pool_back(chosen: NDArray[np.intp], back: Floats, side: int) -> Floats:
    """Return the gradients of the maps of a `side` that `pool` took: all goes to the chosen values."""
    maps, even = np.zeros((len(back), side, side, back.shape[3]), np.float32), side // 2 * 2
    for number, (y, x) in enumerate(_SQUARE):
        maps[:, y:even:2, x:even:2] = np.where(chosen == number, back, 0)
    return maps


def relu(values: Floats) -> Floats:
    """Return values with the negative ones cut to zero."""
    cut: Floats = np.maximum(values, 0)
    return cut


def relu_back(answers: Floats, back: Floats) -> Floats:
    """Return the gradients of the values that `relu` took: nothing goes back to where its answer is zero."""
    return np.where(answers > 0, back, 0)


def softmax(logits: Floats) -> Floats:
    """Return probabilities (n, classes): none negative, and 1 in all."""
    odds = np.exp(logits - logits.max(axis=1, keepdims=True), dtype=np.float64).astype(np.float32)
    probabilities: Floats = odds * (1 / odds.sum(axis=1, keepdims=True))
    return probabilities


def cross_entropy(logits: Floats, labels: NDArray[np.integer]) -> float:
    """Return the mean of minus the logarithm of the probability that the right class was given, in nats."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    losses: Floats = np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(labels)), labels]
    return float(_total(losses) / np.float32(len(losses)))


def cross_entropy_back(logits: Floats, labels: NDArray[np.integer]) -> Floats:
    """Return the gradients of the logits: what was said less what is right, which is why softmax ends a classifier."""
    right = np.eye(logits.shape[1], dtype=np.float32)[labels]
    back: Floats = (softmax(logits) - right) / np.float32(len(labels))
    return back


def _total(values: Floats) -> np.float32:
    """Add up sixteen at a time, then sixteen of these sums, and so on.

    In single precision the order of additions shows in the sixth digit; this one is that of PyTorch.
    """
    sums = [np.float32(0)] * 8
    for place, value in enumerate(values):
        sums[0] += value
        for level in range(7):
            if place & (15 << 4 * level):
                break
            sums[level + 1] += sums[level]
            sums[level] = np.float32(0)
    return np.float32(sum(sums))
