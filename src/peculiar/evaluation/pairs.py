"""Two sets of answers for the same galaxies: aligned by id, and how they differ."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from peculiar.errors import LabelError, UsageError
from peculiar.evaluation.scored import Scored
from peculiar.images.framing import Framing
from peculiar.metrics.calibration import Bin, reliability
from peculiar.metrics.paired import Differences, mcnemar
from peculiar.questions.question import Question
from peculiar.sources.joins import partners_of
from peculiar.sources.stream import Source
from peculiar.text import counted, format_score


@dataclass(frozen=True, repr=False)
class PairedAnswers:
    """Two sets of answers for the same galaxies, and how they differ.

    Parameters
    ----------
    first, second : Scored
        The same galaxies in the same order, with labels and probabilities; see `align`.
    names : tuple of str
        Names of the two; they differ.
    scores : Differences
        Scores of both, and their differences, overall and by class.
    by : dict of str to dict of str to Differences
        The same by column and entry.
    notes : list of str
        Remarks on which galaxies were compared.
    source : Source, optional
        Pictures of the galaxies, if neither side has any.
    grouped : bool
        Whether galaxies belong to groups, which McNemar's test does not allow for.
    seed : int
        Seed of the bootstrap.
    """

    first: Scored
    second: Scored
    names: tuple[str, str]
    scores: Differences
    by: dict[str, dict[str, Differences]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    source: Source | None = None
    grouped: bool = False
    seed: int = 222

    @property
    def question(self) -> Question:
        """The question."""
        return self.first.question

    @cached_property
    def called(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """The class numbers that the first and the second predict, each of shape (n,)."""
        return self.first.probabilities.argmax(axis=1), self.second.probabilities.argmax(axis=1)

    @cached_property
    def rows_changed(self) -> NDArray[np.intp]:
        """Rows of the galaxies whose class differs.

        First those that the second answers correctly, then those that it no longer does, then others; each sorted by
        the second's probability of its class, highest first.
        """
        before, after = self.called
        labels = self.first.labels
        kind = np.where(after == labels, 0, np.where(before == labels, 1, 2))
        rows = np.flatnonzero(before != after)
        return rows[np.lexsort((-self.second.probabilities[rows, after[rows]], kind[rows]))]

    @property
    def changed(self) -> list[str]:
        """Ids of the galaxies whose class differs, in the order of `rows_changed`."""
        return [self.first.ids[row] for row in self.rows_changed]

    @property
    def transitions(self) -> NDArray[np.int64]:
        """Number of galaxies by the class of the first (rows) and of the second (columns)."""
        size = len(self.question.answers)
        before, after = self.called
        return np.bincount(before * size + after, minlength=size * size).reshape(size, size)

    @property
    def mcnemar(self) -> tuple[int, int, float | None]:
        """Galaxies on which only the first, or only the second, is right, and McNemar's p value."""
        before, after = (one == self.first.labels for one in self.called)
        only_first, only_second, p_value = mcnemar(before, after)
        return only_first, only_second, None if self.grouped else p_value

    @property
    def reliability(self) -> dict[str, list[Bin]]:
        """Reliability diagrams of both, by their names."""
        return {
            name: reliability(one.labels, one.probabilities)
            for name, one in zip(self.names, (self.first, self.second), strict=True)
        }

    def pictures(self, rows: NDArray[np.intp]) -> dict[int, NDArray[np.uint8]]:
        """Return the pictures of some galaxies, by row: as a model sees them, or otherwise whole.

        Parameters
        ----------
        rows : ndarray of int

        Returns
        -------
        dict of int to ndarray of uint8, shape (size, size, 3)
            Without those that cannot be read; empty if there are no pictures.
        """
        for side in (self.first, self.second):
            if side.source is not None:
                return side.pictures(rows)
        if self.source is None:
            return {}
        places = {id_: place for place, id_ in enumerate(self.source.ids())}
        wanted = dict.fromkeys(self.first.ids[row] for row in rows.tolist())
        own = {its: mine for mine, its in partners_of([*places], wanted, "the pictures and the galaxies").items()}
        found = {}
        for row in rows.tolist():
            place = places.get(own.get(self.first.ids[row], ""))
            for galaxy in () if place is None else self.source.galaxies(Framing(), start=place, stop=place + 1):
                if galaxy.picture is not None:
                    found[row] = galaxy.picture
        return found

    @property
    def verdict(self) -> str:
        """A sentence that says which of the two is more accurate, if that is clear."""
        accuracy = self.scores.overall["accuracy"]
        values = " and ".join(format_score(value) for value in (accuracy.first, accuracy.second))
        if accuracy.interval is None or accuracy.difference is None:
            return f"The accuracies are {values}."
        low, high = (f"{100 * end:+.1f}" for end in accuracy.interval)
        better = f"{self.names[accuracy.difference > 0]} is more accurate" if accuracy.clear else "no clear difference"
        return (
            f"The accuracies are {values}: {better} (difference {100 * accuracy.difference:+.1f} percentage points, "
            f"95 % interval {low} to {high})."
        )


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
    partners = partners_of(first.ids, rows_of, "the two")
    pairs = [
        (row, rows_of[partners[id_]])
        for row, id_ in enumerate(first.ids)
        if id_ in partners and counts[0][id_] == counts[1][partners[id_]] == 1
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
