"""The steps of training, in NumPy; `peculiar.exercise.kernel` is faster."""

import numpy as np
from numpy.typing import NDArray

from peculiar.errors import LabelError, UsageError
from peculiar.exercise.adam import Adam
from peculiar.exercise.layers import Floats
from peculiar.exercise.network import Network


class Steps:
    """Train a network on pictures in memory, and classify them with it.

    Parameters
    ----------
    pictures : ndarray of uint8, shape (n, size, size, 3)
    labels : ndarray of int64, shape (n,)
        Numbers of the classes.
    net : Network
    optimizer : Adam
        Of the network's weights.

    Raises
    ------
    UsageError
        If the network was made for pictures of another size.
    LabelError
        If a label is the number of no class.
    """

    def __init__(self, pictures: NDArray[np.uint8], labels: NDArray[np.int64], net: Network, optimizer: Adam) -> None:
        if pictures.shape[1:] != (net.size, net.size, 3):
            shape = " x ".join(map(str, pictures.shape[1:]))
            message = f"the network was made for pictures of another size than {shape}; frame them for it (size)"
            raise UsageError(message)
        if labels.min() < 0 or labels.max() >= net.classes:
            message = f"labels have to be from 0 to {net.classes - 1}, received {labels.min()} to {labels.max()}"
            raise LabelError(message)
        self.pictures, self.labels, self.net, self.optimizer = pictures, labels, net, optimizer

    def learn(self, rows: NDArray[np.intp]) -> tuple[Floats, float]:
        """Take one step of training.

        Parameters
        ----------
        rows : ndarray of int, shape (batch,)

        Returns
        -------
        logits : ndarray of float32, shape (batch, classes)
            As they were before the step.
        loss : float
            Their mean cross-entropy.
        """
        answered = self.net.gradients(self.pictures[rows], self.labels[rows], out=self.optimizer.gradients)
        self.optimizer.step()
        return answered

    def logits(self, rows: NDArray[np.intp]) -> Floats:
        """Return the logits, shape (len(rows), classes)."""
        return self.net.logits(self.pictures[rows])
