"""The layers of the exercise's network in NumPy, forward and backward.

Feature maps are float32 (n, rows, columns, channels), filters (filters, 3, 3, channels); a picture is a map with three
channels. The functions whose names contain ``back`` take the gradient of the loss with respect to a layer's output
(`back`) and return it with respect to the layer's input or parameters.
"""

import itertools

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

# The positions within a filter, and within a square that is pooled.
_TAPS = tuple(itertools.product(range(3), repeat=2))
_SQUARE = tuple(itertools.product(range(2), repeat=2))


def convolved_side(side: int) -> int:
    """Return the side of the maps that `convolve` makes from maps with a given side."""
    return (side - 3) // 2 + 1


def convolve(maps: Floats, filters: Floats, biases: Floats) -> Floats:
    """Convolve maps with filters of 3 x 3, stride 2; each filter makes one map."""
    side = convolved_side(maps.shape[1])
    answers = np.tile(biases, (len(maps), side, side, 1))
    for y, x in _TAPS:
        answers += _under(maps, y, x, side) @ filters[:, y, x].T
    return answers


def convolve_back(maps: Floats, back: Floats) -> tuple[Floats, Floats]:
    """Return the gradients of the filters and biases of `convolve`."""
    filters = np.empty((back.shape[3], 3, 3, maps.shape[3]), np.float32)
    for y, x in _TAPS:
        filters[:, y, x] = np.tensordot(back, _under(maps, y, x, back.shape[1]), axes=((0, 1, 2), (0, 1, 2)))
    return filters, back.sum(axis=(0, 1, 2))


def convolve_back_to_maps(filters: Floats, back: Floats, side: int) -> Floats:
    """Return the gradient of the maps, with a side of `side`, that `convolve` took."""
    maps = np.zeros((len(back), side, side, filters.shape[3]), np.float32)
    for y, x in _TAPS:
        _under(maps, y, x, back.shape[1])[...] += back @ filters[:, y, x]
    return maps


def _under(maps: Floats, y: int, x: int, side: int) -> Floats:
    """Return the pixels that one weight of a filter sees at its `side` x `side` positions, as a view."""
    return maps[:, y : y + 2 * side - 1 : 2, x : x + 2 * side - 1 : 2]


def pool(maps: Floats) -> tuple[Floats, NDArray[np.intp]]:
    """Return the maximum of each 2 x 2 square, and which value it was, 0 to 3; of equal values the first."""
    even = maps.shape[1] // 2 * 2
    squares = np.stack([maps[:, y:even:2, x:even:2] for y, x in _SQUARE])
    return squares.max(axis=0), squares.argmax(axis=0)


def pool_back(chosen: NDArray[np.intp], back: Floats, side: int) -> Floats:
    """Return the gradient of the maps, with a side of `side`, that `pool` took: only the chosen values have one."""
    maps, even = np.zeros((len(back), side, side, back.shape[3]), np.float32), side // 2 * 2
    for number, (y, x) in enumerate(_SQUARE):
        maps[:, y:even:2, x:even:2] = np.where(chosen == number, back, 0)
    return maps


def relu(values: Floats) -> Floats:
    """Return the values, with zero in place of negative ones."""
    cut: Floats = np.maximum(values, 0)
    return cut


def relu_back(answers: Floats, back: Floats) -> Floats:
    """Return the gradient of the values that `relu` took: zero where its answer is zero."""
    return np.where(answers > 0, back, 0)


def softmax(logits: Floats) -> Floats:
    """Return probabilities (n, classes), which sum to 1."""
    odds = np.exp(logits - logits.max(axis=1, keepdims=True), dtype=np.float64).astype(np.float32)
    probabilities: Floats = odds * (1 / odds.sum(axis=1, keepdims=True))
    return probabilities


def cross_entropy(logits: Floats, labels: NDArray[np.integer]) -> float:
    """Return the mean negative logarithm of the probability of the right class, in nats."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    losses: Floats = np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(labels)), labels]
    return float(_total(losses) / np.float32(len(losses)))


def cross_entropy_back(logits: Floats, labels: NDArray[np.integer]) -> Floats:
    """Return the gradient of the logits: simply the probabilities minus the one-hot labels, over n."""
    right = np.eye(logits.shape[1], dtype=np.float32)[labels]
    back: Floats = (softmax(logits) - right) / np.float32(len(labels))
    return back


def _total(values: Floats) -> np.float32:
    """Add up sixteen values at a time, then sixteen of these sums, and so on.

    In single precision the order of additions changes the sixth digit; this order is PyTorch's.
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
