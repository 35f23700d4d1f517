"""Votes of many people on one galaxy: their columns in a table, and their weights.

Galaxy Zoo publishes how many volunteers gave each answer, or their fraction. A network that learns vote fractions
predicts the fraction of people who would give an answer, which is more than the majority answer.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from peculiar.questions.column_names import count_columns
from peculiar.questions.question import Question

# What Galaxy Zoo's campaigns add to the names of their questions where tables of several are put together, as in
# ``bar-hubble_yes``; the last of two rounds first.
_CAMPAIGNS = ("dr8", "dr5", "dr12", "gz2", "desi", "hubble", "candels", "cd", "h2o", "ukidss", "jwst", "euclid")

# Names of columns in published tables: counts first, because fractions do not give the number of votes. The number
# within a name is Galaxy Zoo 2's number of the answer.
_OF_ONE_QUESTION = (r"n_{answer}",)
_FORMS = (
    r"{question}_(a\d\d_)?{answer}_count",
    r"{question}_(a\d\d_)?{answer}",
    r"{question}_(a\d\d_)?{answer}_fraction",
    *(f"{{question}}_{campaign}_{{answer}}{kind}" for campaign in _CAMPAIGNS for kind in ("", "_fraction")),
)

# Those of one answer among several that are given at once.
_FORMS_OF_SEVERAL = ("{question}_count", "{question}", "{question}_fraction")

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

    @property
    def counts(self) -> NDArray[np.float64]:
        """Numbers of votes, shape (n,), from their weight: the inverse of what `count_votes` computes."""
        return numbers_of_votes(self.trust)

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


def numbers_of_votes(trust: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return how many votes give fractions these weights; see `Votes.trust`."""
    weights = np.minimum(trust.astype(np.float64), 1 - 1e-6)
    return np.where(weights < _ALIKE, weights / _ALIKE, weights * (1 - _ALIKE) / (_ALIKE * (1 - weights)))


def reached(
    questions: Sequence[Question], probabilities: Mapping[str, NDArray[np.floating]]
) -> dict[str, NDArray[np.float64]]:
    """Return the share of all volunteers who reach each question of a decision tree.

    A question is reached by those who give one of the answers that lead to it, so shares are multiplied along the
    branches and added where branches meet.

    Parameters
    ----------
    questions : sequence of Question
    probabilities : mapping of str to ndarray, shape (n, answers)
        By question, the share of each answer among those who reach it.

    Returns
    -------
    dict of str to ndarray of float64, shape (n,)
        Only of questions that not everyone is asked, and all of whose branches are known.

    Examples
    --------
    >>> import numpy as np
    >>> from peculiar.questions.question import Question
    >>> from peculiar.questions.votes import reached
    >>> disc, bar = Question("disc", ("no", "yes")), Question("bar", ("no", "yes"), after=(("disc", "yes"),))
    >>> reached([disc, bar], {"disc": np.array([[0.2, 0.8]]), "bar": np.array([[0.5, 0.5]])})
    {'bar': array([0.8])}
    """
    known = {question.name: question for question in questions}
    found: dict[str, NDArray[np.float64] | None] = {}

    def share(name: str) -> NDArray[np.float64] | None:
        if name not in known:
            return None
        if name not in found:
            after = known[name].after
            total = np.zeros(len(probabilities[name])) if after else np.ones(len(probabilities[name]))
            found[name] = None  # in case that the branches form a circle, which trees do not
            for before, answer in after:
                reaching = share(before)
                if reaching is None or answer not in known[before].answers:
                    return None
                total = total + reaching * probabilities[before][:, known[before].answers.index(answer)]
            found[name] = total
        return found[name]

    shares = {question.name: share(question.name) for question in questions if question.after}
    return {name: values for name, values in shares.items() if values is not None}


def find_votes(questions: Sequence[Question], columns: Sequence[str]) -> list[Question]:
    """Return the questions that have a column of votes for each answer, with these columns.

    Columns are found by their names in Galaxy Zoo's catalogues (``smooth-or-featured_smooth``,
    ``t01_smooth_or_features_a01_smooth_count``, also with ``_fraction``), of a single question also by those of
    `peculiar.labelling.database` (``n_smooth``), and of the tree ``gz2`` and the question ``odd`` by those of the
    Galaxy Challenge (``Class1.1``). Columns that a question names itself come first.
    """
    single = len(questions) == 1
    forms = (*_FORMS, *(_OF_ONE_QUESTION if single else ()))
    plain = {_plain(column): column for column in reversed(columns)}
    found = []
    for question in questions:
        if question.total:
            found += _votes_of_several(question, columns, plain)
            continue
        candidates = [question.votes, tuple(count_columns(question.answers).values()) if single else ()]
        candidates += (_matching(form, question, plain) for form in forms)
        candidates += [
            tuple(f"Class{int(task)}.{number}" for number, _ in enumerate(question.answers, 1))
            for task in re.findall(r"^t(\d\d)_", question.name)
        ]
        candidates.append(_GALAXY_CHALLENGE.get(question.name, ()))
        # Answers that differ only in other characters than letters and digits, such as + and -, need exact names.
        told = (one for one in candidates if one and set(one) <= set(columns) and len({*one}) == len(one))
        found += [replace(question, votes=one) for one in islice(told, 1)]
    return found


def _votes_of_several(question: Question, columns: Sequence[str], plain: dict[str, str]) -> list[Question]:
    """Return the question whether an answer is among several, with the columns of its votes; empty without any."""
    forms = [form.format(question=_plain(question.name)) for form in _FORMS_OF_SEVERAL]
    named = [one for one in (*question.votes, *(plain.get(form, "") for form in forms)) if one in columns]
    total = plain.get(_plain(question.total), "")
    return [replace(question, votes=(named[0],), total=total)] if named else []


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
