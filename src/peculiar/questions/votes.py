"""Votes of many people on one galaxy: their columns in a table, and their weights.

Galaxy Zoo publishes how many volunteers gave each answer, or their fraction. A network that learns vote fractions
predicts the fraction of people who would give an answer, which is more than the majority answer.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from peculiar.questions.question import Question

# Names of columns in published tables: counts first, because fractions do not give the number of votes. The number
# within a name is Galaxy Zoo 2's number of the answer.
_OF_ONE_QUESTION = (r"n_{answer}",)
_FORMS = (
    r"{question}_(a\d\d_)?{answer}_count",
    r"{question}_(a\d\d_)?{answer}",
    r"{question}_(a\d\d_)?{answer}_fraction",
)

# The Galaxy Challenge's names of answers to a question outside its tree.
_GALAXY_CHALLENGE = {"odd": ("Class6.2", "Class6.1")}

# Assumed number of votes behind fractions: about that of a galaxy in Galaxy Zoo 2 (Willett et al. 2013).
_USUAL = 40

# Correlation of two people's answers beyond what the picture shows. It makes many votes count little more than some.
_ALIKE = 0.05

UNKNOWN = -1
"""Number of an unknown answer, for example of a tie."""


@dataclass(frozen=True, slots=True)
class Votes:
    """Votes on galaxies for one question.

    Parameters
    ----------
    shares : ndarray of float32, shape (n, answers)
        Vote fractions of each galaxy; all 0 if there are no votes.
    trust : ndarray of float32, shape (n,)
        Weight of the fractions, 0 to 1, by the number of votes. Each further vote adds less (extra-binomial variation,
        Williams 1982, Applied Statistics 31, 144).
    labels : ndarray of int, shape (n,)
        Number of the majority answer, or `UNKNOWN`.
    """

    shares: NDArray[np.float32]
    trust: NDArray[np.float32]
    labels: NDArray[np.int64]

    def of(self, rows: Sequence[int] | NDArray[np.integer]) -> "Votes":
        """Return those on some of the galaxies."""
        return Votes(self.shares[rows], self.trust[rows], self.labels[rows])


def count_votes(votes: NDArray[np.floating]) -> Votes:
    """Turn votes into fractions, weights and majority answers.

    Parameters
    ----------
    votes : ndarray, shape (n, answers)
        Counts; or fractions, if no galaxy sums to more than 1. Fractions that sum to less than 1 refer to all
        volunteers, not only to those who reached the question, as in the Galaxy Challenge.
    """
    sums = votes.sum(axis=1)
    shares = np.divide(votes, sums[:, None], out=np.zeros(votes.shape), where=sums[:, None] > 0)
    counts = sums * (_USUAL if sums.max(initial=0) <= 1 + 1e-3 else 1)
    best = votes.argmax(axis=1)
    alone = (votes == votes.max(axis=1, keepdims=True)).sum(axis=1) == 1
    return Votes(
        shares.astype(np.float32),
        (counts * _ALIKE / (1 + (np.maximum(counts, 1) - 1) * _ALIKE)).astype(np.float32),
        np.where(alone, best, UNKNOWN).astype(np.int64),
    )


def find_votes(questions: Sequence[Question], columns: Sequence[str]) -> list[Question]:
    """Return the questions that have a column of votes for each answer, with these columns.

    Columns are found by their names in Galaxy Zoo's catalogues (``smooth-or-featured_smooth``,
    ``t01_smooth_or_features_a01_smooth_count``, also with ``_fraction``), of a single question also by those of
    `peculiar.labelling.database` (``n_smooth``), and of the tree ``gz2`` and the question ``odd`` by those of the
    Galaxy Challenge (``Class1.1``). Columns that a question names itself come first.
    """
    forms = (*_FORMS, *(_OF_ONE_QUESTION if len(questions) == 1 else ()))
    plain = {_plain(column): column for column in reversed(columns)}
    found = []
    for question in questions:
        candidates = [question.votes, *(_matching(form, question, plain) for form in forms)]
        candidates += [
            tuple(f"Class{int(task)}.{number}" for number, _ in enumerate(question.answers, 1))
            for task in re.findall(r"^t(\d\d)_", question.name)
        ]
        candidates.append(_GALAXY_CHALLENGE.get(question.name, ()))
        found += [replace(question, votes=one) for one in candidates if one and set(one) <= set(columns)][:1]
    return found


def _matching(form: str, question: Question, plain: dict[str, str]) -> tuple[str, ...]:
    """Return the columns of one naming scheme, by their plain names; an empty name if a column is missing."""
    patterns = [
        form.format(question=_plain(question.name), answer=re.escape(_plain(answer))) for answer in question.answers
    ]
    return tuple(
        next((column for name, column in plain.items() if re.fullmatch(pattern, name)), "") for pattern in patterns
    )


def deviations(votes: Votes, probabilities: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the root mean square difference of probabilities and vote fractions, by answer, weighted by the votes."""
    squares = votes.trust @ (votes.shares - probabilities).astype(np.float64) ** 2
    return np.asarray(np.sqrt(squares / max(votes.trust.sum(), 1e-12)))


def _plain(name: str) -> str:
    return re.sub(r"\W", "_", name).lower()
