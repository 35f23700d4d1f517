"""Oversampling and class weights for rare answers."""

import numpy as np
from numpy.typing import NDArray

from peculiar.simulation.attributes import ATTRIBUTES
from peculiar.sources.answers import Answered

# Maximum factor by which a rare answer is oversampled, and minimum trust of its label: repeated wrong labels would be
# memorised.
_MOST_DRAWS = 3
SURE = 0.8

# Power of the remaining imbalance that the class weights correct: with full correction the few rarest galaxies would
# dominate.
_CLASS_WEIGHT_POWER = 1 / 2


def draws(data: Answered, rows: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the rows of an epoch, repeated up to 3 times according to the rarity of their rarest trusted answer."""
    # By the square root of the rarity; oversampling by votes would bias the vote fractions.
    # Of attributes the simulation can make as many as are wanted.
    left_out = {*data.shares, *ATTRIBUTES}
    labelled = {name: labels[rows] for name, labels in data.labels.items() if name not in left_out}
    counts = {name: np.bincount(labels[labels >= 0]) for name, labels in labelled.items()}
    most = max((count.max() for count in counts.values()), default=1)
    times = np.ones(len(rows))
    for name, labels in labelled.items():
        known = (labels >= 0) & (data.trust[name][rows] >= SURE)
        rarity = np.sqrt(most / np.maximum(counts[name], 1))
        times[known] = np.maximum(times[known], rarity[labels[known]])
    return np.repeat(rows, np.minimum(times, _MOST_DRAWS).astype(int))


def class_weights(labels: NDArray[np.int64], classes: int) -> NDArray[np.float32]:
    """Return the weight of each class in the loss, shape (classes,), from labels; labels below 0 are unknown."""
    counts = np.bincount(labels[labels >= 0], minlength=classes)
    counts[counts == 0] = max(counts.max(), 1)  # classes that do not occur weigh as little as the largest one
    weights: NDArray[np.float32] = ((counts.max() / counts) ** _CLASS_WEIGHT_POWER).astype(np.float32)
    return weights
