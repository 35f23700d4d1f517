"""A simulated crowd that answers a question about galaxies, with the truth known."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from peculiar.metrics.consensus import Answers


@dataclass(frozen=True)
class Crowd:
    """Truth, answers (galaxy, person; -1 for none) and the probabilities of a model that is too sure of itself."""

    truth: NDArray[np.int64]
    answers: NDArray[np.int64]
    model: NDArray[np.float64]

    @property
    def given(self) -> Answers:
        galaxy, person = np.nonzero(self.answers >= 0)
        return Answers(galaxy, person, self.answers[galaxy, person], *self.answers.shape, classes=self.model.shape[1])

    def majority(self, seed: int = 222) -> NDArray[np.int64]:
        """The majority answer; ties are drawn."""
        classes = self.model.shape[1]
        counts = (self.answers[:, :, None] == np.arange(classes)).sum(axis=1)
        return np.asarray((counts + np.random.default_rng(seed).random(counts.shape) / 2).argmax(axis=1))


def simulate_crowd(
    skills: list[float], galaxies: int, *, each: int | None = None, shares: tuple[float, ...], seed: int = 222
) -> Crowd:
    """Draw galaxies, of which `each` annotators see each; a careless one is right by chance alone."""
    random = np.random.default_rng(seed)
    classes = len(shares)
    truth = random.choice(classes, galaxies, p=shares)
    answers = np.empty((galaxies, len(skills)), dtype=np.int64)
    for person, skill in enumerate(skills):
        others = (truth + random.integers(1, classes, galaxies)) % classes
        answers[:, person] = np.where(random.random(galaxies) < skill, truth, others)
    for row in answers:
        row[random.permutation(len(skills))[each:] if each else []] = -1
    logits = 2.5 * (np.log(shares) + 1.5 * np.eye(classes)[truth] + random.normal(size=(galaxies, classes)))
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return Crowd(truth, answers, odds / odds.sum(axis=1, keepdims=True))
