"""Columns that say which classes are warranted, and why the others are not.

A class is warranted if its prediction set holds no other answer, the galaxy is not unlike the training set, and the
picture shows something. Otherwise it is rolled up to what is certain all the same, or left open: a selective answer
(Geifman & El-Yaniv 2017, with prediction sets in the place of their threshold).
"""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from peculiar.catalogs.tally import SHOWS_NOTHING, Flag
from peculiar.questions.question import KINDS_OF_ODD, ODD
from peculiar.tables.column import Column

SAFE_CLASS, WHY = "safe_class", "why"

_ODD = ODD.answers[1]

UNLIKE = "unlike the training set"
SEVERAL = "several answers possible"
KIND_UNSURE = "kind unsure"

# The first that applies is told.
_OF_FLAGS = {
    Flag.UNREADABLE: "picture unreadable",
    Flag.NO_ANSWER: "no numbers returned",
    Flag.OFF_MOSAIC: "position on no mosaic",
    Flag.BLANK: "picture of one colour",
}


def abstention_columns(answers: Sequence[str], question: str) -> list[Column]:
    """Return the columns that `abstain` fills.

    Parameters
    ----------
    answers : sequence of str
        Of the question.
    question : str
        Its name, for the descriptions.
    """
    rolled = f", {_ODD!r} if only its kinds are possible" if set(KINDS_OF_ODD) <= set(answers) else ""
    reasons = ", ".join((KIND_UNSURE, SEVERAL, UNLIKE, *_OF_FLAGS.values()))
    text = f"answer to {question} that is warranted: the class{rolled}, or null"
    return [
        Column(SAFE_CLASS, pa.string(), text, ucd="meta.code.class"),
        Column(WHY, pa.string(), f"why {SAFE_CLASS} is not the class: {reasons}", ucd="meta.note"),
    ]


def abstain(
    answers: Sequence[str],
    sets: NDArray[np.bool_],
    flags: NDArray[np.integer] | None = None,
    ood: NDArray[np.floating] | None = None,
) -> tuple[list[str | None], list[str | None]]:
    """Return the warranted class of each galaxy, and the reason where it is not the class itself.

    Parameters
    ----------
    answers : sequence of str
    sets : ndarray of bool, shape (n, answers)
        The prediction set of each galaxy; empty if it has no probabilities.
    flags : ndarray of int, shape (n,), optional
        See `peculiar.catalogs.tally.Flag`.
    ood : ndarray, shape (n,), optional
        Novelty; galaxies above 1 are unlike the training set.

    Returns
    -------
    classes : list of str or None
    reasons : list of str or None
        None for galaxies whose class is warranted.
    """
    count = len(sets)
    classes = np.full(count, None, dtype=object)
    reasons = np.full(count, None, dtype=object)
    single = sets.sum(axis=1) == 1
    classes[single] = np.asarray(answers, dtype=object)[sets[single].argmax(axis=1)]
    reasons[~single & sets.any(axis=1)] = SEVERAL
    if set(KINDS_OF_ODD) <= set(answers):
        kinds = np.isin(answers, KINDS_OF_ODD)
        odd = ~single & sets.any(axis=1) & ~(sets & ~kinds).any(axis=1)
        classes[odd], reasons[odd] = _ODD, KIND_UNSURE
    if ood is not None:
        unlike = np.asarray(ood) > 1
        classes[unlike], reasons[unlike] = None, UNLIKE
    if flags is not None:
        classes[(flags & SHOWS_NOTHING) > 0] = None
        for flag, reason in reversed(_OF_FLAGS.items()):
            reasons[(flags & flag) > 0] = reason
            classes[(flags & flag) > 0] = None
    return classes.tolist(), reasons.tolist()
