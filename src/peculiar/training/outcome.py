"""Outcome of training on classes of one's own: which model is kept, why, and how good it is."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from peculiar.metrics.scores import Scores
from peculiar.questions.question import Question
from peculiar.text import counted, format_score
from peculiar.training.held_out import Comparison

HELD_OUT = "on held-out galaxies"


@dataclass(frozen=True, slots=True)
class Outcome:
    """A model of classes of one's own, and its scores on galaxies that it was not trained on.

    Parameters
    ----------
    question : Question
    start : str
        Name of the model that training started from.
    kept : {"head", "network"}
        Content of the model file: a head on the embeddings of that model, or a fine-tuned network.
    why : str
        Reason for this choice, as the end of a sentence.
    measured : str
        Origin of the scores, as the end of a sentence.
    ids : list of str
        Galaxies that were scored.
    labels : ndarray of int, shape (n,)
    probabilities : ndarray of float, shape (n, answers)
    scores : Scores
        With intervals.
    counts : mapping of str to mapping of str to int
        Number of galaxies by part and class.
    notes : list of str
        Sentences about the galaxies.
    unreadable : mapping of str to str
        Reasons why pictures cannot be read, by id.
    comparison : Comparison or None
        Of the head and the network, after fine-tuning.
    history : list of dict
        A line an epoch of the fine-tuning.
    guessing : mapping of str to float
        Scores of guessing on the held-out galaxies.
    """

    question: Question
    start: str
    kept: str
    why: str
    measured: str
    ids: list[str]
    labels: NDArray[np.int64]
    probabilities: NDArray[np.floating]
    scores: Scores
    counts: Mapping[str, Mapping[str, int]]
    notes: list[str]
    unreadable: Mapping[str, str]
    comparison: Comparison | None = None
    history: list[dict[str, Any]] = field(default_factory=list)
    guessing: Mapping[str, float] = field(default_factory=dict)

    @property
    def model(self) -> str:
        """The model in words."""
        if self.kept == "network":
            return f"the network of the model {self.start}, fine-tuned"
        return f"a head on the embeddings of the model {self.start}"

    @property
    def summary(self) -> str:
        """The model and its balanced accuracy, in words."""
        between = _interval(self.scores, "balanced_accuracy")
        if not between:  # the bootstrap gives none where all or nearly all are right
            between = f", accuracy {format_score(self.scores.accuracy)}{_interval(self.scores, 'accuracy')}"
        name = self.model[0].upper() + self.model[1:]
        return (
            f"{name}: balanced accuracy {format_score(self.scores.balanced_accuracy)}{between} {self.measured} "
            f"({counted(self.scores.count, 'galaxy')})"
        )

    def mistakes(self) -> NDArray[np.intp]:
        """Return the places of the galaxies that are called wrongly, the surest first."""
        called = self.probabilities.argmax(axis=1)
        wrong = np.flatnonzero(called != self.labels)
        return wrong[np.argsort(-self.probabilities[wrong].max(axis=1), kind="stable")]

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON, without the galaxies."""
        compared = None
        if self.comparison is not None:
            compared = {
                "head": self.comparison.head.as_dict(),
                "network": self.comparison.network.as_dict(),
                "gain": self.comparison.gain,
                "gain_error": self.comparison.gain_error,
            }
        return {
            "question": self.question.name,
            "answers": list(self.question.answers),
            "start": self.start,
            "kept": self.kept,
            "why": self.why,
            "measured": self.measured,
            "scores": self.scores.as_dict(),
            "counts": {part: dict(counts) for part, counts in self.counts.items()},
            "notes": self.notes,
            "unreadable": dict(self.unreadable),
            "comparison": compared,
        }


def _interval(scores: Scores, key: str) -> str:
    ends = scores.intervals.get(key)
    return f" ({ends[0]:.3f} to {ends[1]:.3f})" if ends else ""
