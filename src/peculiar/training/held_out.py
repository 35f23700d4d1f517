"""Held-out galaxies of classes of one's own: their choice, and the scores of models on them."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from peculiar.metrics.calibration import cross_fitted
from peculiar.metrics.intervals import standard_error
from peculiar.metrics.scores import Scores, evaluate
from peculiar.models.embed import Embedded
from peculiar.models.linear_head import LEAST_OF_A_CLASS, Head, fit_head
from peculiar.questions.question import Question
from peculiar.sources.names import part_told
from peculiar.sources.split import PARTS, TOLD, connected, part_of
from peculiar.text import counted

# With fewer mistakes on the held-out galaxies, no other model can be shown to be better.
LEAST_MISTAKES = 5

# Held-out galaxies of a class without which its recall says nothing.
_LEAST_HELD_OUT = 2

# Standard errors by which a network has to be better to be kept: chance alone rarely gives so much.
_ERRORS = 2.0

RESAMPLES = 1000
"""Bootstrap samples of the intervals of scores."""

# Least probability, so that a single answer thought impossible does not decide alone.
_LEAST = 1e-6


@dataclass(frozen=True, slots=True)
class Parts:
    """The part of each galaxy, and which galaxies are the same.

    Parameters
    ----------
    names : ndarray of str, shape (n,)
        One of `peculiar.sources.split.PARTS`.
    groups : ndarray of int, shape (n,)
        Rows with the same number show the same galaxy.
    moved : int
        Number of galaxies whose folder names another part, but that show a galaxy of the training part.
    """

    names: NDArray[np.str_]
    groups: NDArray[np.intp]
    moved: int

    def rows(self, *names: str) -> NDArray[np.intp]:
        """Return the rows of some parts."""
        return np.flatnonzero(np.isin(self.names, names))

    def by_id(self, ids: Sequence[str]) -> dict[str, str]:
        """Return the part of each id."""
        return dict(zip(ids, self.names.tolist(), strict=True))


def find_parts(
    ids: Sequence[str],
    same: Sequence[tuple[str, str]],
    *,
    validation_size: float,
    told: Mapping[str, str] | None = None,
) -> Parts:
    """Choose the held-out galaxies: those that folders or files name, or else by a hash of their ids.

    Parameters
    ----------
    ids : sequence of str
    same : sequence of (str, str)
        Ids of the same galaxy, which stay in one part: the first of training, validation and test that one is in.
    validation_size : float
        Share to hold out where nothing is called as a validation part.
    told : mapping of str to str, optional
        Parts by id, as sources tell them; default: by the folders in the ids.
    """
    called = {id_: TOLD.get((told or {}).get(id_) or part_told(id_) or "", "") for id_ in ids}
    validated = "validation" in called.values()
    first = {id_: group[0] for group in connected(same) for id_ in group}
    members: dict[str, list[str]] = defaultdict(list)
    for id_ in ids:
        members[first.get(id_, id_)].append(id_)
    chosen = {}
    for leader, group in members.items():
        held = {called[id_] for id_ in group}
        if held <= {"validation", "test"}:
            chosen[leader] = min(held, key=PARTS.index)
        elif validated:
            chosen[leader] = "training"
        else:
            chosen[leader] = part_of(leader, validation_size=validation_size, test_size=0)
    numbers = {leader: number for number, leader in enumerate(chosen)}
    parts = [chosen[first.get(id_, id_)] for id_ in ids]
    moved = sum(
        called[id_] in ("validation", "test") and called[id_] != part for id_, part in zip(ids, parts, strict=True)
    )
    return Parts(np.array(parts), np.array([numbers[first.get(id_, id_)] for id_ in ids], dtype=np.intp), moved)


@dataclass(frozen=True, slots=True)
class Comparison:
    """The head and the fine-tuned network on the same held-out galaxies.

    Parameters
    ----------
    head, network : Scores
    gain : float
        By how much the network's log loss is lower, in nats.
    gain_error : float
        Standard error of the gain, over the galaxies: pictures of one galaxy count together.
    probabilities : ndarray of float, shape (n, answers)
        Of the network, at a temperature from the other folds.
    """

    head: Scores
    network: Scores
    gain: float
    gain_error: float
    probabilities: NDArray[np.float64]

    @property
    def text(self) -> str:
        """The scores on which the decision rests, in words."""
        return (
            f"on the {counted(self.head.count, 'held-out galaxy')} the fine-tuned network has a log loss of "
            f"{self.network.log_loss:.3f} and a head {self.head.log_loss:.3f} (difference {self.gain:.3f}, standard "
            f"error {self.gain_error:.3f}), and a balanced accuracy of {self.network.balanced_accuracy:.3f} and "
            f"{self.head.balanced_accuracy:.3f}"
        )

    @property
    def network_is_better(self) -> bool:
        """True if the network's log loss is lower by more than two standard errors, and rare classes are found too."""
        return self.gain > _ERRORS * self.gain_error and self.network.balanced_accuracy >= self.head.balanced_accuracy


def head_without(galaxies: Embedded, parts: Parts, question: Question, seed: int) -> Head:
    """Fit a head to the training part alone, to be compared on the held-out galaxies.

    Raises
    ------
    LabelError
        If a class has too few galaxies in the training part.
    """
    rows = parts.rows("training")
    groups = parts.groups[rows].tolist()
    return fit_head(galaxies.embeddings[rows], galaxies.labels[rows], question, groups=groups, seed=seed)


def too_few(galaxies: Embedded, parts: Parts, question: Question) -> str:
    """Return which classes have too few galaxies in the training or the validation part; empty where none has."""
    told = []
    for name, least in (("training", LEAST_OF_A_CLASS), ("validation", _LEAST_HELD_OUT)):
        rows = parts.rows(name)
        pairs = set(zip(galaxies.labels[rows].tolist(), parts.groups[rows].tolist(), strict=True))
        counts = Counter(label for label, _ in pairs)
        few = [f"{answer} {counts[number]}" for number, answer in enumerate(question.answers) if counts[number] < least]
        if few:
            told.append(f"{', '.join(few)} in the {name} part, where {least} of a class are needed")
    return "; ".join(told)


def compare(
    labels: NDArray[np.integer],
    head: NDArray[np.floating],
    network: NDArray[np.floating],
    answers: Sequence[str],
    *,
    groups: Sequence[int],
    seed: int,
) -> Comparison:
    """Compare the probabilities of two models on the same galaxies.

    Parameters
    ----------
    labels : ndarray of int, shape (n,)
    head, network : ndarray, shape (n, answers)
        The head's are calibrated on other galaxies. The network's temperature is from these, so each galaxy is scored
        at one that the other folds give.
    answers : sequence of str
    groups : sequence of int
        Rows with the same number show the same galaxy.
    seed : int
    """
    logits = np.log(np.maximum(np.asarray(network, dtype=np.float64), _LEAST))
    fitted = np.exp(cross_fitted(logits, labels, groups=groups, seed=seed))
    rows = np.arange(len(labels))
    gains = np.log(np.maximum(fitted[rows, labels], _LEAST)) - np.log(np.maximum(head[rows, labels], _LEAST))
    of_head, of_network = (
        evaluate(labels, one, answers, resamples=RESAMPLES, groups=groups, seed=seed) for one in (head, fitted)
    )
    return Comparison(of_head, of_network, float(gains.mean()), standard_error(gains, groups), fitted)


def guessing(labels: NDArray[np.integer], answers: int) -> dict[str, float]:
    """Return the scores of guessing by the frequencies of the classes alone."""
    shares = np.bincount(labels, minlength=answers) / len(labels)
    known = shares[shares > 0]
    return {"log_loss": float(-(known * np.log(known)).sum()), "balanced_accuracy": 1 / len(known)}
