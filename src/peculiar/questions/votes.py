"""Votes of many people on one galaxy: their columns in a table, and their weights.

Galaxy Zoo publishes how many volunteers gave each answer, or which share of them. A network that learns shares says
what share of people would give an answer, which is more than the answer of most.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from peculiar.questions.question import Question

# How columns are called in what people publish: counts first, since shares do not tell of how many. The number within
# is Galaxy Zoo 2's, of the answer.
_OF_ONE_QUESTION = (r"n_{answer}",)
_FORMS = (
    r"{question}_(a\d\d_)?{answer}_count",
    r"{question}_(a\d\d_)?{answer}",
    r"{question}_(a\d\d_)?{answer}_fraction",
)

# What the Galaxy Challenge calls the answers to a question that is none of its tree's own.
_GALAXY_CHALLENGE = {"odd": ("Class6.2", "Class6.1")}

# Shares do not tell of how many votes they are: about as many as a galaxy of Galaxy Zoo 2 has (Willett et al. 2013).
_USUAL = 40

# How alike two people's answers to one galaxy are beyond what a picture of it tells: with it, many votes count little
# more than some.
_ALIKE = 0.05

UNKNOWN = -1
"""Number of the answer to a question where it is not known, as where two have as many votes."""


@dataclass(frozen=True, slots=True)
class Votes:
    """What votes on galaxies tell of one question.

    Parameters
    ----------
    shares : ndarray of float32, shape (n, answers)
        Of the votes on each galaxy; all 0 where there are none.
    trust : ndarray of float32, shape (n,)
        How far the shares count, 0 to 1: by the number of votes, of which a second tells less than the first
        (extra-binomial variation, Williams 1982, Applied Statistics 31, 144).
    labels : ndarray of int, shape (n,)
        Number of the answer of most, or `UNKNOWN`.
    """

    shares: NDArray[np.float32]
    trust: NDArray[np.float32]
    labels: NDArray[np.int64]

    def of(self, rows: Sequence[int] | NDArray[np.integer]) -> "Votes":
        """Return those on some of the galaxies."""
        return Votes(self.shares[rows], self.trust[rows], self.labels[rows])


def count_votes(votes: NDArray[np.floating]) -> Votes:
    """Return what votes tell.

    Parameters
    ----------
    votes : ndarray, shape (n, answers)
        Counts; or shares, if no galaxy has more than one vote in sum. Shares that do not sum to 1 are of those people
        who came to the question, as in the Galaxy Challenge.
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
    """Return those of some questions that have a column of votes for each answer, and which these are.

    Columns are found by the names that Galaxy Zoo's catalogues give them (``smooth-or-featured_smooth``,
    ``t01_smooth_or_features_a01_smooth_count``, also with ``_fraction``), of a single question also by those of
    `peculiar.labelling.database` (``n_smooth``), and of the tree ``gz2`` and the question ``odd`` by those of the
    Galaxy Challenge (``Class1.1``). Before all these come the columns that a question names itself.
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
    """Return the columns of a form, by their plain names; an empty name where there is none."""
    patterns = [
        form.format(question=_plain(question.name), answer=re.escape(_plain(answer))) for answer in question.answers
    ]
    return tuple(
        next((column for name, column in plain.items() if re.fullmatch(pattern, name)), "") for pattern in patterns
    )


def deviations(votes: Votes, probabilities: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return how far probabilities are from shares of votes: root mean square by answer, each galaxy as it counts."""
    squares = votes.trust @ (votes.shares - probabilities).astype(np.float64) ** 2
    return np.asarray(np.sqrt(squares / max(votes.trust.sum(), 1e-12)))


def _plain(name: str) -> str:
    return re.sub(r"\W", "_", name).lower()
