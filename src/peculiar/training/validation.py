"""Scores on the galaxies that a network does not learn from."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from peculiar.metrics.scores import class_auc
from peculiar.questions.votes import Votes, deviations

# Of a probability, so that one answer that is thought impossible does not make a mean infinite.
_LEAST = 1e-12


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of some galaxies, and what the network says of them."""

    labels: NDArray[np.int64]
    shares: NDArray[np.float32] | None
    trust: NDArray[np.float32]
    logits: NDArray[np.float32]

    @property
    def answers(self) -> NDArray[np.int64] | NDArray[np.float32]:
        """Numbers of the answers; or the shares of each, where people voted."""
        return self.labels if self.shares is None else self.shares


def score(known: Known) -> dict[str, Any]:
    """Return the scores of a question, for a line of the history."""
    classes = known.logits.shape[1]
    probabilities, labels = softmax(known.logits, axis=1), known.labels
    voted = {}
    if known.shares is not None:
        off = deviations(Votes(known.shares, known.trust, labels), probabilities)
        voted = {"deviation": [round(value, 4) for value in off.tolist()]}
        # Of galaxies whose votes are level no answer is the right one.
        probabilities, labels = probabilities[labels >= 0], labels[labels >= 0]
    given = probabilities[np.arange(len(labels)), labels]
    chosen = probabilities.argmax(axis=1)
    recalls = [
        float((chosen[labels == number] == number).mean()) for number in range(classes) if (labels == number).any()
    ]
    aucs = [class_auc((labels == number).astype(np.float32), probabilities[:, number]) for number in range(classes)]
    areas = [auc for auc in aucs if auc is not None]
    return {
        "galaxies": len(labels),
        "log_loss": round(float(-np.log(np.maximum(given, _LEAST)).mean()), 4) if len(labels) else None,
        "accuracy": round(float((chosen == labels).mean()), 4) if len(labels) else None,
        "balanced_accuracy": round(float(np.mean(recalls)), 4) if recalls else None,
        "recall": [round(value, 4) for value in recalls],
        "auc": round(float(np.mean(areas)), 4) if areas else None,
        **voted,
    }
