"""The exercise's network: two convolutions, two poolings, two dense layers, 7,164 parameters."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from peculiar.errors import DataError, UsageError
from peculiar.exercise.first_weights import first_weights
from peculiar.exercise.layers import (
    Floats,
    convolve,
    convolve_back,
    convolve_back_to_maps,
    convolved_side,
    cross_entropy,
    cross_entropy_back,
    pool,
    pool_back,
    relu,
    relu_back,
)

Pictures = NDArray[np.uint8] | Floats

# Filters of each convolution, and units of the first dense layer.
_FILTERS, _UNITS = 8, 16

# Pictures that pass through the network together; the maps of one take a megabyte.
_TOGETHER = 64

# Training checks for numbers that are not finite, at the end of an epoch.
_silent = np.errstate(over="ignore", invalid="ignore")


class Network:
    """The network of the exercise.

    Convolution with 8 filters of 3 x 3 in steps of 2, ReLU, max pooling 2 x 2, the same three again, flatten, dense 16,
    ReLU, dense to the classes. Weights begin as Keras's do: Glorot uniform, biases of zero.

    Parameters
    ----------
    classes : int
        Number of classes; the exercise's is 4.
    size : int
        Side of the pictures in pixels, at least 21; the exercise's is 128.
    seed : int
        Decides the first weights.

    Attributes
    ----------
    vector : ndarray of float32, shape (parameters,)
        All weights and biases, layer by layer, as an optimiser takes them.
    parts : dict of str to ndarray
        Views of the vector by name, ``conv2d.weight`` to ``dense_1.bias``. Filters are (filters, 3, 3, channels), dense
        weights (outputs, inputs).

    Raises
    ------
    UsageError
        If the pictures are too small.

    Examples
    --------
    >>> net = Network(classes=4, size=128, seed=222)
    >>> net.vector.size
    7164
    >>> net.logits(np.zeros((2, 128, 128, 3), np.float32)).shape
    (2, 4)
    """

    def __init__(self, classes: int = 4, size: int = 128, *, seed: int = 222) -> None:
        self.classes, self.size = classes, size
        side = _pooled_side(_pooled_side(size))
        if side < 1:
            message = f"the exercise's network needs pictures of at least 21 x 21 pixels, received {size}"
            raise UsageError(message)
        self._shapes = {
            "conv2d.weight": (_FILTERS, 3, 3, 3),
            "conv2d.bias": (_FILTERS,),
            "conv2d_1.weight": (_FILTERS, 3, 3, _FILTERS),
            "conv2d_1.bias": (_FILTERS,),
            "dense.weight": (_UNITS, side * side * _FILTERS),
            "dense.bias": (_UNITS,),
            "dense_1.weight": (classes, _UNITS),
            "dense_1.bias": (classes,),
        }
        self.vector = np.zeros(sum(map(math.prod, self._shapes.values())), np.float32)
        self.parts = self._parts(self.vector)
        self.load(first_weights({name: part.shape for name, part in self.arrays().items()}, seed))

    def __str__(self) -> str:
        """Return a table of the layers, like the summary of a Keras model."""
        first, second = convolved_side(self.size), convolved_side(_pooled_side(self.size))
        shapes = {
            ("conv2d", "Conv2D"): (first, first, _FILTERS),
            ("max_pooling2d", "MaxPooling2D"): (first // 2, first // 2, _FILTERS),
            ("conv2d_1", "Conv2D"): (second, second, _FILTERS),
            ("max_pooling2d_1", "MaxPooling2D"): (second // 2, second // 2, _FILTERS),
            ("flatten", "Flatten"): (self.parts["dense.weight"].shape[1],),
            ("dense", "Dense"): (_UNITS,),
            ("dense_1", "Dense"): (self.classes,),
        }
        rows = [("Layer", "Kind", "Output shape", "Parameters")]
        for (name, kind), shape in shapes.items():
            count = sum(part.size for of, part in self.parts.items() if of.startswith(f"{name}."))
            rows.append((name, kind, " x ".join(map(str, shape)), f"{count:,}"))
        widths = [max(len(row[column]) for row in rows) for column in range(4)]
        lines = [
            f"{name:{widths[0]}}  {kind:{widths[1]}}  {shape:>{widths[2]}}  {count:>{widths[3]}}"
            for name, kind, shape, count in rows
        ]
        rule = "-" * len(lines[0])
        return "\n".join([lines[0], rule, *lines[1:], rule, f"Total parameters: {self.vector.size:,}"])

    def _parts(self, vector: Floats) -> dict[str, Floats]:
        """Return the parts of a vector in the order of `vector`, as views."""
        ends = np.cumsum([math.prod(shape) for shape in self._shapes.values()])
        pieces = np.split(vector, ends[:-1])
        return {name: piece.reshape(shape) for (name, shape), piece in zip(self._shapes.items(), pieces, strict=True)}

    def arrays(self) -> dict[str, Floats]:
        """Return weights and biases, as views, in PyTorch's layout, which the files of a run have too.

        Filters are (filters, channels, 3, 3).
        """
        return {name: np.moveaxis(part, -1, 1) if part.ndim == 4 else part for name, part in self.parts.items()}

    def load(self, arrays: Mapping[str, NDArray[np.floating]]) -> None:
        """Set weights and biases, in the layout of `arrays`.

        Raises
        ------
        DataError
            If they are those of another network.
        """
        own = self.arrays()
        needed, found = ({name: part.shape for name, part in one.items()} for one in (own, arrays))
        if found != needed:
            wrong = [name for name in needed | found if needed.get(name) != found.get(name)]
            listed = "; ".join(f"{name} has to be {needed.get(name)}, is {found.get(name)}" for name in wrong)
            message = f"these are the weights of another network: {listed}"
            raise DataError(message)
        for name, part in own.items():
            part[...] = arrays[name]

    @_silent
    def logits(self, pictures: Pictures) -> Floats:
        """Return the logits of pictures.

        Parameters
        ----------
        pictures : ndarray of uint8, or of float32 from 0 to 1, shape (n, size, size, 3)

        Returns
        -------
        ndarray of float32, shape (n, classes)
            `peculiar.exercise.layers.softmax` turns them into probabilities.

        Raises
        ------
        DataError
            If the pictures are of another size.
        """
        starts = range(0, max(len(pictures), 1), _TOGETHER)
        return np.concatenate([self._forward(_scaled(pictures[at : at + _TOGETHER])).logits for at in starts])

    @_silent
    def activations(self, pictures: Pictures) -> tuple[dict[str, Floats], Floats]:
        """Return the feature maps of both convolutions, and the logits.

        Returns
        -------
        maps : dict of str to ndarray of float32, shape (n, rows, columns, filters)
            After ReLU.
        logits : ndarray of float32, shape (n, classes)
        """
        found = self._forward(_scaled(pictures))
        return {"conv2d": relu(found.convolved), "conv2d_1": relu(found.convolved_1)}, found.logits

    @_silent
    def gradients(self, pictures: Pictures, labels: NDArray[np.integer], out: Floats) -> tuple[Floats, float]:
        """Return logits and loss, and compute the gradient of the loss by backpropagation.

        Parameters
        ----------
        pictures : ndarray of uint8 or float32, shape (n, size, size, 3)
        labels : ndarray of int, shape (n,)
            Numbers of the classes.
        out : ndarray of float32, shape (parameters,)
            Set to the gradient, in the order of `vector`.

        Returns
        -------
        logits : ndarray of float32, shape (n, classes)
        loss : float
            Mean categorical cross-entropy.
        """
        pictures = _scaled(pictures)
        parts, found, to = self.parts, self._forward(pictures), self._parts(out)
        back = cross_entropy_back(found.logits, labels)
        to["dense_1.weight"][...], to["dense_1.bias"][...] = back.T @ found.hidden, back.sum(axis=0)
        back = relu_back(found.hidden, back @ parts["dense_1.weight"])
        to["dense.weight"][...], to["dense.bias"][...] = back.T @ found.flat, back.sum(axis=0)
        back = relu_back(found.flat, back @ parts["dense.weight"]).reshape(found.chosen_1.shape)
        back = pool_back(found.chosen_1, back, found.convolved_1.shape[1])
        to["conv2d_1.weight"][...], to["conv2d_1.bias"][...] = convolve_back(found.pooled, back)
        back = convolve_back_to_maps(parts["conv2d_1.weight"], back, found.pooled.shape[1])
        back = pool_back(found.chosen, relu_back(found.pooled, back), found.convolved.shape[1])
        to["conv2d.weight"][...], to["conv2d.bias"][...] = convolve_back(pictures, back)
        return found.logits, cross_entropy(found.logits, labels)

    def _forward(self, pictures: Floats) -> "_Results":
        if pictures.shape[1:] != (self.size, self.size, 3):
            shape = " x ".join(map(str, pictures.shape[1:]))
            message = (
                f"the network takes pictures of {self.size} x {self.size} x 3, received {shape}; frame them (size)"
            )
            raise DataError(message)
        parts = self.parts
        convolved = convolve(pictures, parts["conv2d.weight"], parts["conv2d.bias"])
        # ReLU after pooling gives the same values as before it, with a quarter of the work.
        largest, chosen = pool(convolved)
        pooled = relu(largest)
        convolved_1 = convolve(pooled, parts["conv2d_1.weight"], parts["conv2d_1.bias"])
        largest, chosen_1 = pool(convolved_1)
        flat = relu(largest).reshape(len(pictures), parts["dense.weight"].shape[1])
        hidden = relu(flat @ parts["dense.weight"].T + parts["dense.bias"])
        logits = hidden @ parts["dense_1.weight"].T + parts["dense_1.bias"]
        return _Results(convolved, chosen, pooled, convolved_1, chosen_1, flat, hidden, logits)


@dataclass(frozen=True, slots=True)
class _Results:
    """The output of each layer, and which values the poolings chose."""

    convolved: Floats
    chosen: NDArray[np.intp]
    pooled: Floats
    convolved_1: Floats
    chosen_1: NDArray[np.intp]
    flat: Floats
    hidden: Floats
    logits: Floats


def _pooled_side(side: int) -> int:
    """Return the side of the maps after a convolution and its pooling."""
    return convolved_side(side) // 2


def _scaled(pictures: Pictures) -> Floats:
    """Return pictures as float32 from 0 to 1."""
    return pictures * np.float32(1 / 255) if pictures.dtype == np.uint8 else pictures.astype(np.float32)
