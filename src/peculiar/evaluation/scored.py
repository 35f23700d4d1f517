"""Probabilities of a model for labelled galaxies, from pictures or from a table."""

import os
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from peculiar.errors import DataError, LabelError, PeculiarWarning, UnknownNameError, UsageError
from peculiar.evaluation.candidates import Candidate, Choice, table_candidate
from peculiar.evaluation.preparation import of_pictures, of_table
from peculiar.evaluation.probabilities import has_probabilities, read_table
from peculiar.evaluation.robustness import MOST, Shifted, shift_scores
from peculiar.models.predict import predict
from peculiar.questions.question import Question
from peculiar.questions.votes import Votes, deviations
from peculiar.sources.beside import columns_beside
from peculiar.sources.names import part_of
from peculiar.sources.split import told_parts
from peculiar.sources.stream import Galaxy, Source
from peculiar.tables.formats import is_table
from peculiar.tables.identifiers import entry_text
from peculiar.tables.reader import TableReader, as_table

MISTAKES = 12
"""Number of mistakes that are shown."""


@dataclass(frozen=True)
class Scored:
    """Galaxies with labels and probabilities, and their origin; see `score_pictures` and `score_table`.

    Parameters
    ----------
    candidate : Candidate
        The model that answers; for a table, the model that made it.
    question : Question
    rows : list of int
        Rows of the galaxies in their source or table.
    ids : list of str
    labels : ndarray of int, shape (n,)
        Class numbers.
    probabilities : ndarray of float, shape (n, classes)
    columns : tuple of str
        Names of the columns of the source or table.
    read_column : callable
        Function of the name of a column that returns its entries for all rows.
    source : Source or None
        None for a table without pictures.
    joined : str
        How galaxies were matched with a table of labels, as a sentence.
    choice : Choice
        The choice of labelled galaxies that are scored.
    problems : dict of str to str
        Reasons why pictures cannot be read, by id.
    votes : Votes, optional
        The votes, if labels are majority answers.
    preparation : dict of str to str
        How the pictures were prepared; see `peculiar.evaluation.preparation`.
    """

    candidate: Candidate
    question: Question
    rows: list[int]
    ids: list[str]
    labels: NDArray[np.int64]
    probabilities: NDArray[np.floating]
    columns: tuple[str, ...]
    read_column: Callable[[str], list[Any]]
    source: Source | None = None
    joined: str = ""
    choice: Choice = field(default_factory=lambda: Choice(np.empty(0, dtype=bool)))
    problems: dict[str, str] = field(default_factory=dict)
    votes: Votes | None = None
    preparation: dict[str, str] = field(default_factory=dict)

    def column(self, name: str) -> list[str | None]:
        """Return a column of the scored galaxies; None for empty entries.

        Raises
        ------
        UnknownNameError
            If the column does not exist.
        """
        if name not in self.columns:
            raise UnknownNameError("column", name, self.columns)
        entries = self.read_column(name)
        return [entry_text(entries[row]) for row in self.rows]

    def join(self, table: str | os.PathLike[str]) -> "Scored":
        """Return the same galaxies with further columns of a table; see `peculiar.sources.beside.columns_beside`."""
        columns, values = columns_beside(table, lambda: iter([self.ids]), "the scored galaxies", self.columns)
        added = {column.name for column in columns}

        def read(name: str) -> list[Any]:
            if name not in added:
                return self.read_column(name)
            entries: list[Any] = [None] * (max(self.rows, default=-1) + 1)
            for row, value in zip(self.rows, values.column(name).to_pylist(), strict=True):
                entries[row] = value
            return entries

        return replace(self, columns=(*self.columns, *added), read_column=read)

    def deviations(self) -> dict[str, float]:
        """Return the root mean square errors of the vote fractions, by answer; empty without votes."""
        if self.votes is None:
            return {}
        found = deviations(self.votes, self.probabilities).tolist()
        return {answer: round(value, 4) for answer, value in zip(self.question.answers, found, strict=True)}

    def pictures(self, numbers: NDArray[np.intp]) -> dict[int, NDArray[np.uint8]]:
        """Return the pictures of some galaxies as the model sees them.

        Parameters
        ----------
        numbers : ndarray of int
            Indices of the galaxies in `ids`.

        Returns
        -------
        dict of int to ndarray of uint8, shape (size, size, 3)
            By index; without those that cannot be read, and empty if there are no pictures.
        """
        if self.source is None:
            return {}
        framing = self.candidate.about(self.question.name, self.source).framing
        found = {}
        for number in numbers.tolist():
            place = self.rows[number]
            (galaxy,) = self.source.galaxies(framing, start=place, stop=place + 1)
            if galaxy.picture is not None:
                found[number] = galaxy.picture
        return found

    def mistakes(self, numbers: NDArray[np.intp]) -> list[tuple[NDArray[np.uint8], str]]:
        """Return pictures of the first few of some galaxies, with captions; see `pictures`.

        Parameters
        ----------
        numbers : ndarray of int
            Indices of the galaxies in `ids`, such as `peculiar.evaluation.assess.Statistics.mistakes`.
        """
        answers, found = self.question.answers, []
        for number, picture in self.pictures(numbers[:MISTAKES]).items():
            called = self.probabilities[number].argmax()
            text = f"{answers[called]} {self.probabilities[number, called]:.0%}\nlabel: {answers[self.labels[number]]}"
            found.append((picture, text))
        return found


def score_pictures(
    source: Source,
    candidate: Candidate,
    *,
    question: str | None = None,
    progress: Callable[[int], object] = lambda done: None,
) -> Scored:
    """Classify the labelled galaxies of a source that a model may be scored on.

    Parameters
    ----------
    source : Source
    candidate : Candidate
    question : str, optional
        Default: the one that the labels of the source answer.
    progress : callable
        Called with the number of galaxies classified since the last call.

    Raises
    ------
    LabelError
        If labels are not answers to the question, no galaxy has a label, or none is left to score.
    DataError
        If no picture can be read.
    """
    trained = candidate.about(question, source)
    answers, silent = trained.question.answers, trained.question.silent
    known = source.labels()
    trained.question.check((None if label in silent else label for label in known), source.path)
    labelled = [row for row, label in enumerate(known) if label in answers]
    if not labelled:
        message = (
            f"{source.path}: no galaxy has a label that answers {trained.question.name!r}; put the pictures into one "
            "sub-folder per class, or name a column of labels (--label) or a table with ids and labels (--labels)"
        )
        raise LabelError(message)
    ids = source.ids()
    choice = candidate.choose([ids[row] for row in labelled], source.path, _told(source))
    rows = [row for row, taken in zip(labelled, choice.taken, strict=True) if taken]
    wanted = set(rows)

    def galaxies() -> Iterator[Galaxy]:
        places = [row for row, label in enumerate(known) if label is not None]
        for row, galaxy in zip(places, source.galaxies(trained.framing, labelled_only=True), strict=True):
            if row in wanted:
                yield galaxy

    predictions = predict(trained, galaxies(), progress=progress)
    # Ids made of the file name and the row are meaningless, unless the model was trained on that very file.
    if candidate.digest and source.path.name not in candidate.data and ids[rows[0]] == f"{source.path.stem}-{rows[0]}":
        choice = replace(choice, trained_on=None)
        if choice.elsewhere:
            message = (
                f"the ids of {source.path} are its name and row numbers, so its split into parts is arbitrary, "
                "and the model may have been trained on some; give the ids that it was trained with"
            )
            warnings.warn(message, PeculiarWarning, stacklevel=2)
    labels, probabilities = predictions.scored(trained.question)
    if not len(labels):
        id_, reason = next(iter(predictions.problems.items()))
        message = f"{source.path}: no picture of a labelled galaxy can be read; that of {id_}: {reason}"
        raise DataError(message)
    # By their probabilities, because an id may occur several times.
    readable = np.flatnonzero(~np.isnan(predictions.probabilities[:, 0])).tolist()
    return Scored(
        candidate=candidate,
        question=trained.question,
        rows=[rows[number] for number in readable],
        ids=[predictions.ids[number] for number in readable],
        labels=labels,
        probabilities=probabilities,
        columns=source.columns,
        read_column=source.column,
        joined=source.joined,
        source=source,
        choice=choice,
        problems=predictions.problems,
        preparation=of_pictures(trained, candidate.settings.get("views"), source),
    )


def _told(source: Source) -> dict[str, str]:
    """Return the part of each galaxy that folders or files name one for; all are in that of a folder "test"."""
    named = part_of(source.path.name) if source.path.is_dir() else None
    # A folder "train" may be all that there is, from which training drew a validation part.
    return told_parts([source]) or (dict.fromkeys(source.ids(), named) if named in ("validation", "test") else {})


def score_table(
    path: Path | TableReader,
    candidate: Candidate,
    *,
    label: str | None = None,
    labels: Path | None = None,
    id: str | None = None,
    question: str | None = None,
) -> Scored | None:
    """Read labels and probabilities from a table without pictures; None if it is not such a table.

    Parameters
    ----------
    path : path or TableReader
    candidate : Candidate
    label : str, optional
        The column of labels.
    labels : path, optional
        A table with a column of ids and one of labels, if the table of probabilities has no labels.
    id : str, optional
        The column of ids in either table; default: the first of the usual names.
    question : str, optional
        Name of the question; default: the one that the labels answer.

    Raises
    ------
    UnknownNameError
        If the table has no answers to the question.
    LabelError
        If no column of labels is named, or no galaxy is left to score.
    """
    if isinstance(path, Path) and not (is_table(path) and has_probabilities(path, label, candidate.questions)):
        return None
    table = as_table(path)
    read = read_table(table, label, candidate.questions, labels, id, name=question)
    candidate = table_candidate(candidate, table)
    choice = candidate.choose(read.ids, table.path)
    taken = np.flatnonzero(choice.taken).tolist()
    return Scored(
        candidate=candidate,
        question=read.question,
        rows=[read.rows[number] for number in taken],
        ids=[read.ids[number] for number in taken],
        labels=read.labels[taken],
        probabilities=read.probabilities[taken],
        columns=read.columns,
        read_column=read.column,
        joined=read.joined,
        choice=choice,
        preparation=of_table(table),
    )


def push_pictures(scored: Scored, *, progress: Callable[[int], object] = lambda done: None) -> dict[str, Shifted]:
    """Score corrupted pictures of at most a few hundred random galaxies.

    Parameters
    ----------
    scored : Scored
    progress : callable
        Called with the number of pictures classified since the last call.

    Raises
    ------
    UsageError
        If there are no pictures.
    """
    if scored.source is None:
        message = "--shift needs pictures, but a table of probabilities has none; give the pictures"
        raise UsageError(message)
    chosen = np.sort(np.random.default_rng(222).permutation(len(scored.rows))[:MOST])
    places = {scored.rows[number] for number in chosen}
    rows = [row for place, row in enumerate(scored.source.rows()) if place in places]
    classifier = scored.candidate.about(scored.question.name, scored.source)
    return shift_scores(classifier, rows, scored.labels[chosen], progress=progress)
