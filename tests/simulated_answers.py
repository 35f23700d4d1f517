"""Answers of a simulated classifier of known calibration, with labels."""

import numpy as np
from numpy.typing import NDArray


def draw(random: np.random.Generator, count: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Draw labels of three classes, with perfectly calibrated probabilities."""
    labels = random.choice(3, count, p=[0.5, 0.3, 0.2])
    logits = np.log([0.5, 0.3, 0.2]) + 1.5 * (random.normal(size=(count, 3)) + 1.5 * np.eye(3)[labels])
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return labels, exponentials / exponentials.sum(axis=1, keepdims=True)
