"""Scores on the validation galaxies of a training run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax, softmax

from peculiar.metrics.calibration import fit_temperature
from peculiar.metrics.dirichlet import fit_factor, log_likelihood
from peculiar.metrics.scores import class_auc
from peculiar.questions.votes import Votes, deviations, numbers_of_votes

_NOTICEABLE = 0.002


@dataclass(frozen=True, slots=True)
class Known:
    """Labels or votes of some galaxies, with the outputs of the network."""

    labels: NDArray[np.int64]
    shares: NDArray[np.float32] | None
    trust: NDArray[np.float32]
    logits: NDArray[np.float32]

    @property
    def is_voted(self) -> bool:
        """Whether there are votes."""
        return self.shares is not None

    @property
    def votes(self) -> NDArray[np.float64]:
        """Numbers of votes by answer, shape (n, answers)."""
        shares = np.zeros_like(self.logits) if self.shares is None else self.shares
        return np.asarray(shares * numbers_of_votes(self.trust)[:, None])

    def fit_spread(self) -> float:
        """Return the factor of the exponentials of the logits under which the votes are most likely."""
        return fit_factor(self.votes, np.exp(self.logits.astype(np.float64)))

    @property
    def answers(self) -> NDArray[np.int64] | NDArray[np.float32]:
        """Numbers of the answers, or vote fractions."""
        return self.labels if self.shares is None else self.shares


def best_epoch(history: Sequence[Mapping[str, Any]]) -> int:
    """Return the number of the epoch with the lowest log loss on the validation part.

    Later epochs with a loss that is hardly lower (by less than 0.002) are no better.

    Parameters
    ----------
    history : sequence of mapping
        Not empty. Losses of several questions are added up.
    """
    best, least = 0, np.inf
    for line in history:
        loss = sum(value["log_loss"] or 0.0 for name, value in line.items() if name.startswith("val_"))
        if loss < least - _NOTICEABLE:
            best, least = int(line["epoch"]), loss
    return best


def _log_loss(known: Known) -> float | None:
    """Return the mean log loss, or cross-entropy with shares of votes, at the temperature that is best for it."""
    if not known.trust.any():
        return None
    cooled = log_softmax(known.logits / fit_temperature(known.logits, known.answers, known.trust), axis=1)
    if known.shares is None:
        losses = -cooled[np.arange(len(known.labels)), known.labels]
    else:
        losses = -(known.shares * cooled).sum(axis=1)
    return round(float(np.average(losses, weights=known.trust)), 4)


def score(known: Known, *, spread: bool = False) -> dict[str, Any]:
    """Return the scores of a question, for a line of the history; with `spread`, also the log likelihood of votes."""
    classes = known.logits.shape[1]
    probabilities, labels = softmax(known.logits, axis=1), known.labels
    voted: dict[str, Any] = {}
    if known.shares is not None:
        off = deviations(Votes(known.shares, known.trust, labels), probabilities)
        voted = {"deviation": [round(value, 4) for value in off.tolist()]}
        if spread and len(labels):
            likelihood = log_likelihood(known.votes, np.exp(known.logits.astype(np.float64)))
            voted["votes_log_likelihood"] = round(float(likelihood.mean()), 4)
        # Galaxies with tied votes have no right answer.
        probabilities, labels = probabilities[labels >= 0], labels[labels >= 0]
    chosen = probabilities.argmax(axis=1)
    recalls = [
        float((chosen[labels == number] == number).mean()) for number in range(classes) if (labels == number).any()
    ]
    aucs = [class_auc((labels == number).astype(np.float32), probabilities[:, number]) for number in range(classes)]
    areas = [auc for auc in aucs if auc is not None]
    return {
        "galaxies": len(labels),
        "log_loss": _log_loss(known),
        "accuracy": round(float((chosen == labels).mean()), 4) if len(labels) else None,
        "balanced_accuracy": round(float(np.mean(recalls)), 4) if recalls else None,
        "recall": [round(value, 4) for value in recalls],
        "auc": round(float(np.mean(areas)), 4) if areas else None,
        **voted,
    }
