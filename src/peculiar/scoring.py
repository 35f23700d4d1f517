"""What a model says of labelled galaxies that it may be scored on: a run, a model file, or a table of its answers."""

import warnings
from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from peculiar.assess import MISTAKES, has_probabilities, read_catalogue
from peculiar.errors import DataError, LabelError, PeculiarWarning, UnknownNameError, UsageError
from peculiar.model import Model
from peculiar.predict import Classifier, predict
from peculiar.schema import Question
from peculiar.shift import MOST, Shifted, shift_scores
from peculiar.sources.stream import Galaxy, Source
from peculiar.split import PARTS, part_of
from peculiar.table import entry_text, is_table
from peculiar.votes import Votes, deviations


@dataclass(frozen=True)
class Candidate:
    """A model of either kind that is about to be scored; see `run_candidate` and `file_candidate`.

    Parameters
    ----------
    name : str
    folder : path
        Where its scores are written unless told otherwise.
    about : callable
        Given a question's name, or None, and a source: the classifier that answers the question, by default the one
        that the source's labels answer.
    takes : callable
        Whether it may be scored on the galaxy of an id.
    settings : dict
        What was asked of it, by the names of the options.
    reason, advice : str
        Why galaxies are left out, and what to do if all are.
    digest : str
        Of the model file; empty for a run.
    digests : dict of str to str
        What to tell of where it comes from.
    questions : tuple of Question
    temperatures : dict of str to float
        By question.
    sets : dict of str to dict of str to tuple of float
        Thresholds of its prediction sets, by question and level.
    data : tuple of str, optional
        Names of the files that it was trained on, where these are parts of them; else None.
    """

    name: str
    folder: Path
    about: Callable[[str | None, Source], Classifier]
    takes: Callable[[str], bool]
    settings: dict[str, Any]
    reason: str
    advice: str
    digest: str = ""
    digests: dict[str, str] = field(default_factory=dict)
    questions: tuple[Question, ...] = ()
    temperatures: dict[str, float] = field(default_factory=dict)
    sets: dict[str, dict[str, tuple[float, ...]]] = field(default_factory=dict)
    data: tuple[str, ...] | None = None


def run_candidate(
    folder: Path, trained: Classifier, *, seen: AbstractSet[str], weights: str, split_digest: str
) -> Candidate:
    """Return a training run as a candidate.

    Parameters
    ----------
    folder : path
        Of the run.
    trained : Classifier
        What it holds.
    seen : set of str
        Ids of the galaxies that it was trained on and is not scored on.
    weights : str
        Which weights these are: best or last.
    split_digest : str
        Of the split that it was trained on.
    """
    return Candidate(
        name=str(folder),
        folder=folder / "evaluation",
        about=lambda _, __: trained,
        takes=lambda id_: id_ not in seen,
        settings={"weights": weights},
        reason="the model was trained on them",
        advice="the model was trained on all of them: score others, or these too (--include-training)",
        questions=(trained.question,),
        digests={"digest of the split it was trained on": split_digest},
    )


def file_candidate(model: Model, *, part: str = "all", views: int | None = None) -> Candidate:
    """Return a model file as a candidate.

    Parameters
    ----------
    model : Model
    part : str
        Of `peculiar.split.PARTS`, of galaxies by their ids as the model was trained; or all.
    views : int, optional
        Average over so many turned and mirrored views; by default as the model says.

    Raises
    ------
    UnknownNameError
        If there is no such part.
    """
    if part not in ("all", *PARTS):
        raise UnknownNameError("part", part, ("all", *PARTS))
    card = model.card
    recipe = card.training.get("recipe", {})
    sizes = {name: float(recipe.get(name, 0)) for name in ("validation_size", "test_size")}
    return Candidate(
        name=f"{card.name} {card.digest[:12]}",
        folder=Path("evaluation"),
        about=lambda question, source: model.asking(question, labels=source.label, views=views),
        takes=lambda id_: part in ("all", part_of(id_, **sizes)),
        settings={"part": part, "views": views or card.views},
        reason=f"they are not in the part {part}",
        advice=f"none is in the part {part}: score all (--part all)",
        digest=card.digest,
        digests={
            "digest of the model": card.digest,
            "digest of the split it was trained on": str(card.training.get("split_digest", "")),
        },
        questions=card.questions,
        temperatures=card.temperatures,
        sets=card.sets,
        data=None if part == "all" else tuple(card.training.get("data", ())),
    )


@dataclass(frozen=True)
class Scored:
    """Galaxies with labels and probabilities, and where they came from; see `score_pictures` and `score_catalogue`.

    Parameters
    ----------
    question : Question
    rows : list of int
        Where the galaxies are in their source or table.
    ids : list of str
    labels : ndarray of int, shape (n,)
        Class numbers.
    probabilities : ndarray of float, shape (n, classes)
    columns : tuple of str
        Names of the columns that the source or table has.
    read_column : callable
        Given a name: the entries of that column, those of all rows.
    source : Source or None
        None for a table without pictures.
    left_out : int
        Labelled galaxies that the model may not be scored on.
    problems : dict of str to str
        Why pictures cannot be read, by id.
    votes : Votes, optional
        Where labels are what most people answered.
    """

    question: Question
    rows: list[int]
    ids: list[str]
    labels: NDArray[np.int64]
    probabilities: NDArray[np.floating]
    columns: tuple[str, ...]
    read_column: Callable[[str], list[Any]]
    source: Source | None = None
    left_out: int = 0
    problems: dict[str, str] = field(default_factory=dict)
    votes: Votes | None = None

    def column(self, name: str) -> list[str | None]:
        """Return a column of the galaxies that are scored; None where it is empty.

        Raises
        ------
        UnknownNameError
            If there is no such column.
        """
        if name not in self.columns:
            raise UnknownNameError("column", name, self.columns)
        entries = self.read_column(name)
        return [entry_text(entries[row]) for row in self.rows]

    def deviations(self) -> dict[str, float]:
        """Return how far probabilities are from shares of votes, root mean square, by answer; empty without votes."""
        if self.votes is None:
            return {}
        found = deviations(self.votes, self.probabilities).tolist()
        return {answer: round(value, 4) for answer, value in zip(self.question.answers, found, strict=True)}

    def mistakes(self, candidate: Candidate, numbers: NDArray[np.intp]) -> list[tuple[NDArray[np.uint8], str]]:
        """Return pictures of the first few of some galaxies, and what was said of each.

        Parameters
        ----------
        candidate : Candidate
            Whose framing the pictures have.
        numbers : ndarray of int
            Places of the galaxies in `ids`, such as `peculiar.assess.Assessment.mistakes`.

        Returns
        -------
        list of (ndarray of uint8, shape (size, size, 3), str)
            Empty where there are no pictures.
        """
        if self.source is None:
            return []
        framing = candidate.about(self.question.name, self.source).framing
        answers, found = self.question.answers, []
        for number in numbers[:MISTAKES]:
            place = self.rows[number]
            (galaxy,) = self.source.galaxies(framing, start=place, stop=place + 1)
            called = self.probabilities[number].argmax()
            text = f"{answers[called]} {self.probabilities[number, called]:.0%}\nlabel: {answers[self.labels[number]]}"
            if galaxy.picture is not None:
                found.append((galaxy.picture, text))
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
        By default the one that the source's labels answer.
    progress : callable
        Called with the number of galaxies classified since the last call.

    Raises
    ------
    LabelError
        If labels are no answers to the question, no galaxy has a label, or none is left to score.
    DataError
        If no picture can be read.
    """
    trained = candidate.about(question, source)
    answers, silent = trained.question.answers, trained.question.silent
    known = source.labels()
    trained.question.check((None if label in silent else label for label in known), source.path)
    labelled = sum(label in answers for label in known)
    if not labelled:
        message = (
            f"{source.path}: no galaxy has a label that answers {trained.question.name!r}; put the pictures into one "
            "sub-folder a class, or name a column of labels (--label) or a table with ids and labels (--labels)"
        )
        raise LabelError(message)
    rows: list[int] = []

    def galaxies() -> Iterator[Galaxy]:
        places = [row for row, label in enumerate(known) if label is not None]
        for row, galaxy in zip(places, source.galaxies(trained.framing, labelled_only=True), strict=True):
            if galaxy.label in answers and candidate.takes(galaxy.id):
                rows.append(row)
                yield galaxy

    predictions = predict(trained, galaxies(), progress=progress)
    if not predictions.ids:
        message = f"none of the {labelled:,} labelled galaxies of {source.path} is left to score; {candidate.advice}"
        raise LabelError(message)
    if (
        candidate.data is not None
        and source.path.name not in candidate.data
        and predictions.ids[0] == f"{source.path.stem}-{rows[0]}"
    ):
        message = (
            f"the ids of {source.path} are its name and the rows, so that chance decides what is in a part of it, and "
            "the model may have been trained on some; give the ids that it was trained with"
        )
        warnings.warn(message, PeculiarWarning, stacklevel=2)
    labels, probabilities = predictions.scored(trained.question)
    if not len(labels):
        id_, reason = next(iter(predictions.problems.items()))
        message = f"{source.path}: no picture of a labelled galaxy can be read; that of {id_}: {reason}"
        raise DataError(message)
    # By their probabilities, since an id may occur several times.
    readable = np.flatnonzero(~np.isnan(predictions.probabilities[:, 0])).tolist()
    return Scored(
        question=trained.question,
        rows=[rows[number] for number in readable],
        ids=[predictions.ids[number] for number in readable],
        labels=labels,
        probabilities=probabilities,
        columns=source.columns,
        read_column=source.column,
        source=source,
        left_out=labelled - len(predictions.ids),
        problems=predictions.problems,
    )


def score_catalogue(
    path: Path, candidate: Candidate, *, label: str | None = None, labels: Path | None = None
) -> Scored | None:
    """Read labels and probabilities of a table that has no pictures; None if it is no such table.

    Parameters
    ----------
    path : path
    candidate : Candidate
    label : str, optional
        The column with the labels.
    labels : path, optional
        A table with a column ``id`` and one of labels, where the table of probabilities has none.

    Raises
    ------
    LabelError
        If no column of labels is named, or no galaxy is left to score.
    """
    if not is_table(path) or not has_probabilities(path, label, candidate.questions):
        return None
    read = read_catalogue(path, label, candidate.questions, labels)
    taken = [number for number, id_ in enumerate(read.ids) if candidate.takes(id_)]
    if not taken:
        message = f"none of the {len(read.ids):,} labelled galaxies of {path} is left to score; {candidate.advice}"
        raise LabelError(message)
    return Scored(
        question=read.question,
        rows=[read.rows[number] for number in taken],
        ids=[read.ids[number] for number in taken],
        labels=read.labels[taken],
        probabilities=read.probabilities[taken],
        columns=read.table.columns,
        read_column=read.table.column,
        left_out=len(read.ids) - len(taken),
    )


def push_pictures(
    scored: Scored, candidate: Candidate, *, seed: int = 222, progress: Callable[[int], object] = lambda done: None
) -> dict[str, Shifted]:
    """Score pictures made worse step by step, of at most a few hundred galaxies that chance chooses.

    Parameters
    ----------
    scored : Scored
    candidate : Candidate
    seed : int
        Of the choice.
    progress : callable
        Called with the number of pictures classified since the last call.

    Raises
    ------
    UsageError
        If there are no pictures.
    """
    if scored.source is None:
        message = "--shift needs pictures, and a table of probabilities has none; give the pictures"
        raise UsageError(message)
    chosen = np.sort(np.random.default_rng(seed).permutation(len(scored.rows))[:MOST])
    places = {scored.rows[number] for number in chosen}
    rows = [row for place, row in enumerate(scored.source.rows()) if place in places]
    classifier = candidate.about(scored.question.name, scored.source)
    return shift_scores(classifier, rows, scored.labels[chosen], progress=progress)
