"""Adam as Keras defines it, on one vector with all weights of a network."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


class Adam:
    """The optimiser of Kingma & Ba (2015), in the form of the remark that ends their section 2.

    This form, which Keras uses, adds epsilon before the bias correction; ``torch.optim.Adam`` adds it afterwards.

    Parameters
    ----------
    weights : ndarray of float32, shape (n,)
        Changed in place.
    learning_rate : float
    beta_1, beta_2, epsilon : float
        Default: the values of Keras.

    Attributes
    ----------
    gradients : ndarray of float32, shape (n,)
        To be set before each step.

    Examples
    --------
    >>> weights = np.ones(2, np.float32)
    >>> adam = Adam(weights, learning_rate=0.1)
    >>> adam.gradients[:] = [2, -2]
    >>> adam.step()
    >>> weights.round(3)
    array([0.9, 1.1], dtype=float32)
    """

    def __init__(
        self,
        weights: Floats,
        learning_rate: float,
        *,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
    ) -> None:
        self.learning_rate, self.beta_1, self.beta_2, self.epsilon = learning_rate, beta_1, beta_2, epsilon
        self.weights = weights
        self.gradients = np.zeros_like(weights)
        self.momentum = np.zeros_like(weights)
        self.velocity = np.zeros_like(weights)
        self.steps = 0

    def step(self) -> None:
        """Move the weights by one step against their gradients."""
        size = self.advance()
        self.momentum += (1 - self.beta_1) * (self.gradients - self.momentum)
        self.velocity += (1 - self.beta_2) * (self.gradients * self.gradients - self.velocity)
        self.weights -= size * self.momentum / (np.sqrt(self.velocity) + self.epsilon)

    def advance(self) -> float:
        """Count a step, and return its size."""
        self.steps += 1
        return self.learning_rate * math.sqrt(1 - self.beta_2**self.steps) / (1 - self.beta_1**self.steps)

    def state(self) -> dict[str, NDArray[Any]]:
        """Return the state for `restore`."""
        return {"momentum": self.momentum, "velocity": self.velocity, "steps": np.array(self.steps)}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Restore a state that `state` returned."""
        self.momentum[...] = state["momentum"]
        self.velocity[...] = state["velocity"]
        self.steps = int(state["steps"])
