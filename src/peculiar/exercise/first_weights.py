"""First weights of the exercise's network: the numbers that PyTorch draws from the same seed."""

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray


def first_weights(shapes: Mapping[str, tuple[int, ...]], seed: int) -> dict[str, NDArray[np.float32]]:
    """Draw weights uniformly within the bound of Glorot & Bengio (2010, equation 16), as Keras does; biases are zero.

    Parameters
    ----------
    shapes : mapping of str to tuple of int
        By name. Weights are (outputs, inputs), or (filters, channels, rows, columns) of a convolution; what has one
        axis is a bias.
    seed : int
        0 to 2**32 - 1.

    Returns
    -------
    dict of str to ndarray of float32

    Examples
    --------
    >>> weights = first_weights({"dense.weight": (16, 392), "dense.bias": (16,)}, seed=222)
    >>> weights["dense.weight"].shape, bool(weights["dense.bias"].any())
    ((16, 392), False)
    """
    # `numpy.random.Generator` seeds its Mersenne Twister differently from PyTorch.
    random = np.random.RandomState(seed)
    # PyTorch's layers first draw weights and biases of their own, which an initialiser then replaces.
    random.randint(2**24, size=sum(map(math.prod, shapes.values())), dtype=np.uint32)
    return {
        name: _glorot_uniform(shape, random) if len(shape) > 1 else np.zeros(shape, np.float32)
        for name, shape in shapes.items()
    }


def _glorot_uniform(shape: tuple[int, ...], random: np.random.RandomState) -> NDArray[np.float32]:
    outputs, inputs, *taps = shape
    bound = np.float32(math.sqrt(6 / ((inputs + outputs) * math.prod(taps))))
    # 24 bits each, as many as float32 holds. In double precision all is exact until the one rounding at the end.
    drawn = random.randint(2**24, size=shape, dtype=np.uint32) / 2**23 - 1
    return (drawn * float(bound)).astype(np.float32)
