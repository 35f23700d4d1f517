"""Oversampling and class weights for rare answers."""

import numpy as np
from numpy.typing import NDArray

from peculiar.sources.answers import Answered

# A rare answer is drawn up to so many times as often as the most frequent one, if its label is as sure as this:
# seen again and again, wrong labels are learned by heart.
_MOST_DRAWS = 3
SURE = 0.8

# What imbalance the draws leave, the loss makes up for by this power of it: whole, the rarest few would decide.
_CLASS_WEIGHT_POWER = 1 / 2


def draws(data: Answered, rows: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the rows of an epoch: as often as the square root of how rare a row's rarest sure answer is, 3 at most."""
    # Of votes the shares are learned, which would be others if some galaxies came more often for their votes.
    labelled = {name: labels[rows] for name, labels in data.labels.items() if name not in data.shares}
    counts = {name: np.bincount(labels[labels >= 0]) for name, labels in labelled.items()}
    most = max((count.max() for count in counts.values()), default=1)
    times = np.ones(len(rows))
    for name, labels in labelled.items():
        known = (labels >= 0) & (data.trust[name][rows] >= SURE)
        rarity = np.sqrt(most / np.maximum(counts[name], 1))
        times[known] = np.maximum(times[known], rarity[labels[known]])
    return np.repeat(rows, np.minimum(times, _MOST_DRAWS).astype(int))


def class_weights(labels: NDArray[np.int64], classes: int) -> NDArray[np.float32]:
    """Return the weight of each class in the loss, shape (classes,), from labels; those below 0 are not known."""
    counts = np.bincount(labels[labels >= 0], minlength=classes)
    counts[counts == 0] = max(counts.max(), 1)  # what never occurs has no say
    weights: NDArray[np.float32] = ((counts.max() / counts) ** _CLASS_WEIGHT_POWER).astype(np.float32)
    return weights
