"""Galaxies that two sets of answers have in common."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from peculiar.errors import LabelError, UsageError
from peculiar.evaluation.scored import Scored
from peculiar.text import counted


def align(first: Scored, second: Scored) -> tuple[Scored, Scored, list[str]]:
    """Return the galaxies that both have, in the order of the first, and remarks on the others.

    Parameters
    ----------
    first, second : Scored

    Returns
    -------
    first, second : Scored
        The same galaxies in the same order, with the answers in the order of the first.
    notes : list of str
        As sentences.

    Raises
    ------
    UsageError
        If the answers differ.
    LabelError
        If they have no galaxy in common, or the labels of a galaxy differ.
    """
    answers = first.question.answers
    if set(answers) != set(second.question.answers):
        message = (
            f"the two answer different questions: the first has the answers {', '.join(answers)}, the second "
            f"{', '.join(second.question.answers)}; name a question that both answer (--question)"
        )
        raise UsageError(message)
    # Answers may be in another order.
    order = [second.question.answers.index(answer) for answer in answers]
    places = np.empty(len(order), dtype=np.int64)
    places[order] = np.arange(len(order))
    counts = [Counter(one.ids) for one in (first, second)]
    rows_of = {id_: row for row, id_ in enumerate(second.ids)}
    pairs = [
        (row, rows_of[id_])
        for row, id_ in enumerate(first.ids)
        if id_ in rows_of and counts[0][id_] == counts[1][id_] == 1
    ]
    if not pairs:
        message = (
            f"no galaxy is in both: the ids of the first are like {first.ids[0]!r}, those of the second like "
            f"{second.ids[0]!r}"
        )
        raise LabelError(message)
    left, right = (np.array(rows) for rows in zip(*pairs, strict=True))
    ours = _taken(first, left, first.labels[left], first.probabilities[left])
    theirs = _taken(second, right, places[second.labels[right]], second.probabilities[right][:, order])
    if (unlike := np.flatnonzero(ours.labels != theirs.labels)).size:
        row = int(unlike[0])
        message = (
            f"{counted(unlike.size, 'galaxy', 'have', 'has')} another label in the second than in the first, such as "
            f"{ours.ids[row]}: {answers[ours.labels[row]]}, then {answers[theirs.labels[row]]}; name one table of "
            "labels (--labels)"
        )
        raise LabelError(message)
    return ours, replace(theirs, question=ours.question), _left_out(first, second, len(pairs), counts)


def _left_out(first: Scored, second: Scored, common: int, counts: Sequence[Mapping[str, int]]) -> list[str]:
    """Return remarks on the galaxies that are not compared."""
    notes, sides = [], (("first", first), ("second", second))
    for name, one in sides:
        trained = one.choice.trained_on
        if trained is None:
            notes.append(
                f"It is not known which galaxies the {name} was trained on: its scores on these would be too good."
            )
        elif trained:
            they = counted(trained, "galaxy", "are", "is")
            notes.append(
                f"{they} compared that the {name} was trained on: its scores are too good."
                if one.choice.included
                else f"{they} left out: the {name} was trained on {'it' if trained == 1 else 'them'}."
            )
    if repeated := sum(any(count.get(id_, 0) > 1 for count in counts) for id_ in set().union(*counts)):
        notes.append(f"{counted(repeated, 'id', 'occur', 'occurs')} more than once; such galaxies are left out.")
    for name, one in sides:
        if more := len(one.ids) - common:
            notes.append(f"{counted(more, 'galaxy', 'are', 'is')} in the {name} only, or repeated.")
    return notes


def _taken(scored: Scored, rows: NDArray[np.intp], labels: NDArray[np.int64], values: NDArray[np.floating]) -> Scored:
    """Return some of the scored galaxies, with labels and probabilities in another order of the answers."""
    return replace(
        scored,
        rows=[scored.rows[row] for row in rows],
        ids=[scored.ids[row] for row in rows],
        labels=labels,
        probabilities=values,
    )
