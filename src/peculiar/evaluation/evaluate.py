"""Evaluation of a model on labelled galaxies, or of a table of probabilities."""

import os
import shlex
import warnings
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
from matplotlib.figure import Figure
from numpy.typing import NDArray

from peculiar.errors import PeculiarWarning
from peculiar.evaluation.assess import Statistics, assess, remarks
from peculiar.evaluation.candidates import RunNet
from peculiar.evaluation.display import describe_scores, scores_html, title_of
from peculiar.evaluation.inputs import Asked, candidate_of, place_of, score, table_of
from peculiar.evaluation.measured import Disagreement, compare_measures, pictures_of
from peculiar.evaluation.page import facts_of, write_assessment
from peculiar.evaluation.probabilities import read_probabilities
from peculiar.evaluation.robustness import Shifted
from peculiar.evaluation.scored import Scored, push_pictures
from peculiar.files.places import place
from peculiar.files.run_files import write_json
from peculiar.metrics.association import associations
from peculiar.metrics.scores import Scores
from peculiar.models.model_file import Model
from peculiar.models.provenance import check_maker, read_maker
from peculiar.progress import stages
from peculiar.questions.question import Question
from peculiar.reports import plots
from peculiar.tables.reader import TableReader
from peculiar.tables.writers import write_csv

SCORES, REPORT = "scores.json", "report.html"
"""Files that `Assessment.write` writes, besides figures."""


@dataclass(frozen=True, repr=False)
class Assessment:
    """Assessment of the answers of a model; see `evaluate`.

    Parameters
    ----------
    data : str
        Name of the data.
    scored : Scored
        The galaxies, their labels and probabilities, and the model.
    statistics : Statistics
        Scores with intervals, calibration, prediction sets, prevalence.
    notes : list of str
        Remarks on which galaxies were scored.
    shifts : dict of str to Shifted
        Scores on corrupted pictures by corruption; empty unless requested.
    measured : list of Disagreement
        Answers compared with measures; empty without a joined table of measures.
    seed : int
        Seed of the bootstrap and all other random choices.

    Examples
    --------
    >>> import peculiar
    >>> assessment = peculiar.evaluate("galaxies.parquet", labels="labels.csv")
    >>> 0 <= assessment.scores.accuracy <= 1
    True
    >>> figure = assessment.show()
    """

    data: str
    scored: Scored
    statistics: Statistics
    notes: list[str] = field(default_factory=list)
    shifts: dict[str, Shifted] = field(default_factory=dict)
    measured: list[Disagreement] = field(default_factory=list)
    seed: int = 222

    @property
    def scores(self) -> Scores:
        """Scores with intervals, overall and by class."""
        return self.statistics.scores

    @property
    def question(self) -> Question:
        """The question."""
        return self.statistics.question

    @property
    def model(self) -> str:
        """Description of the model."""
        return self.scored.candidate.described

    @property
    def mistakes(self) -> list[str]:
        """Ids of the misclassified galaxies, the most confident first."""
        return [self.scored.ids[row] for row in self.statistics.mistakes]

    def __repr__(self) -> str:
        """Return a description of the scores in a few lines."""
        return describe_scores(self._title(), self.scores, self.notes)

    def _repr_html_(self) -> str:
        """Return a description for a notebook: scores, bars by class, and the confusion matrix."""
        return scores_html(self._title(), self.scores, self.notes)

    def _title(self) -> str:
        return title_of(self.model, self.question.name, self.scores.count)

    def as_dict(self, *, command: str = "") -> dict[str, Any]:
        """Return all figures as plain dictionaries and lists, for JSON.

        Parameters
        ----------
        command : str
            The command, to be recorded.
        """
        scored, candidate = self.scored, self.scored.candidate
        return {
            "data": self.data,
            "model": candidate.name,
            **candidate.settings,
            "question": scored.question.name,
            "left_out": scored.choice.left_out,
            "trained_on": scored.choice.as_dict(),
            "unreadable": scored.problems,
            "notes": self.notes,
            "command": command,
            "seed": self.seed,
            **self.statistics.as_dict(),
            "deviations": scored.deviations(),
            "shifts": {name: of.as_dict() for name, of in self.shifts.items()},
            "measures": [one.as_dict() for one in self.measured],
        }

    def write(self, folder: str | os.PathLike[str], *, command: str = "") -> Path:
        """Write the figures as JSON, and a page with diagrams and explanations.

        ``mistakes.csv`` has the misclassified galaxies, the most confident first, for ``peculiar label --only``.

        Parameters
        ----------
        folder : path-like
            Folder for ``scores.json``, ``report.html`` and the diagrams, each as PNG and PDF.
        command : str
            The command, to be stated on the page.

        Returns
        -------
        path
            The page.
        """
        folder, candidate = place(folder), self.scored.candidate
        figures = self.as_dict(command=command)
        write_json(folder / SCORES, figures)
        named = ("data", "model", *candidate.settings, "question", "left_out", "seed", "command")
        facts = {name: figures[name] for name in named}
        facts["galaxies"] = " ".join(self.notes)
        facts["digest of the galaxies scored"] = self.statistics.digest
        facts |= candidate.digests
        mistakes = self._write_mistakes(folder / "mistakes.csv")
        return write_assessment(
            folder,
            self.statistics,
            facts_of(facts),
            mistakes=self.scored.mistakes(self.statistics.mistakes),
            shifts=self.shifts,
            measured=[(one, pictures_of(one, self.scored)) for one in self.measured],
            deviations=listed(self.scored.deviations()),
            review="" if mistakes is None else self._review(mistakes),
        )

    def _write_mistakes(self, path: Path) -> Path | None:
        """Write the misclassified galaxies; return the path, None if there are none."""
        numbers, answers = self.statistics.mistakes, self.question.answers
        if not len(numbers):
            path.unlink(missing_ok=True)
            return None
        called = self.scored.probabilities[numbers].argmax(axis=1)
        values = {
            "id": pa.array(self.mistakes, pa.string()),
            "label": pa.array([answers[one] for one in self.scored.labels[numbers]]),
            "predicted": pa.array([answers[one] for one in called]),
            "probability": pa.array(self.scored.probabilities[numbers, called].astype(np.float64)),
        }
        write_csv(path, values)
        return path

    def _review(self, mistakes: Path) -> str:
        """Return the command that asks about the mistakes, in their order; empty without files of pictures."""
        if self.scored.source is None or not Path(self.data).exists():
            return ""
        asked = ["--question", self.question.name, "--only", str(mistakes), "--in-order"]
        return shlex.join(["peculiar", "label", self.data, *asked])

    def show(self) -> Figure:
        """Draw the confusion matrix.

        Returns
        -------
        matplotlib.figure.Figure
        """
        return plots.draw_confusion(self.scores.confusion, self.question.answers)


class Rows(Protocol):
    """Rows with columns, such as a `Catalog`."""

    def to_arrow(self) -> pa.Table:
        """Return all columns of all rows."""


def evaluate(
    data: Any,
    model: Model | RunNet | str | os.PathLike[str] | None = None,
    *,
    label: str | None = None,
    labels: str | os.PathLike[str] | None = None,
    id: str | None = None,
    question: str | None = None,
    part: str = "all",
    include_training: bool = False,
    views: int | None = None,
    by: Sequence[str] = (),
    join: str | os.PathLike[str] | None = None,
    group: str | None = None,
    fractions: str | os.PathLike[str] | Rows | None = None,
    shift: bool = False,
    progress: Callable[[str, int], object] | None = None,
    verbose: bool = True,
) -> Assessment:
    """Score a model on labelled galaxies, or a table of probabilities.

    Galaxies that the model was trained on are left out, as far as they are known.

    Parameters
    ----------
    data : path-like, Source, Catalog, or pictures
        Labelled galaxies, in any form that `open_source` and `predict` accept; or a table of probabilities: the path of
        one, a `Catalog`, also one in memory, or any object with a method ``to_arrow``.
    model : Model, path-like, or what `load_run` returns; optional
        Default: the model that ships. For a table of probabilities: the model that made it.
    label : str, optional
        The column of labels; default: the first of the usual names.
    labels : path-like, optional
        A table with a column of ids and a column of labels or columns of votes, for data without labels.
    id : str, optional
        The column of ids in either table; default: the first of the usual names.
    question : str, optional
        Question of the model, or a decision tree; default: the one that the labels answer.
    part : {"all", "training", "validation", "test"}
        Part of the split of the model file to score.
    include_training : bool
        Also score galaxies that the model was trained on.
    views : int, optional
        Number of turned and mirrored views to average over, 1 to 8; default: as in the model's card.
    by : sequence of str
        Columns to score by as well; numbers in four bins.
    join : path-like, optional
        A table with ids and further columns of the galaxies, for `by` and `group`, such as that of `peculiar.measure`.
    group : str, optional
        Column of groups of galaxies that are not independent, such as fields; it affects the intervals.
    fractions : path-like or Catalog, optional
        A catalogue without labels, to estimate the prevalence of the classes.
    shift : bool
        Also measure the robustness to corruptions of the pictures, which takes minutes.
    progress : callable, optional
        Called with the stage and the number of pictures processed since the last call.
    verbose : bool
        Show progress on standard error if `progress` is not given.

    Returns
    -------
    Assessment

    Raises
    ------
    NotFoundError, DataError
        If the data do not exist or cannot be read.
    LabelError
        If no galaxy has a label, labels are not answers to the question, or no galaxy is left to score.
    UnknownNameError
        If a column, question or part is unknown.
    UsageError
        If `model` is the folder of a run, or robustness is requested without pictures.

    Warns
    -----
    PeculiarWarning
        If the table was made by another model than the named one.

    Examples
    --------
    >>> import peculiar
    >>> assessment = peculiar.evaluate("galaxies.parquet", labels="labels.csv")
    >>> sorted(assessment.scores.classes)
    ['Merger', 'Normal', 'Other', 'Ringed']
    >>> page = assessment.write("report")
    """
    candidate = candidate_of(model, part=part, views=views, include_training=include_training)
    with ExitStack() as stack:
        if progress is None:
            progress = stack.enter_context(stages(verbose=verbose))
        asked = Asked(data, candidate, label, None if labels is None else place(labels), question, id)
        scored = score(asked, lambda done: progress("classifying", done))
        if scored.candidate is not candidate and model is not None:
            message = f"{place_of(data)} holds probabilities of {scored.candidate.name}, not of {candidate.name}"
            warnings.warn(message, PeculiarWarning, stacklevel=2)
        candidate = scored.candidate
        if join is not None:
            scored = scored.join(join)
        notes = [*filter(None, [scored.joined]), *scored.choice.sentences(part)]
        unlabelled = None
        if fractions is not None:
            unlabelled, more = _unlabelled(table_of(fractions) or TableReader(place(str(fractions))), scored)
            notes += more
        wanted = dict.fromkeys(["survey", scored.question.basis, *by])
        columns = {name: scored.column(name) for name in wanted if name and (name in scored.columns or name in by)}
        groups = None if group is None else scored.column(group)
        notes += remarks(scored.labels, scored.ids, scored.question.answers, groups)
        named = [scored.question.answers[label] for label in scored.labels]
        origins = {name: entries for name, entries in columns.items() if name != scored.question.basis}
        notes += [f"{one.text}: see the scores by {one.trait}." for one in associations(named, origins)]
        found = assess(
            scored.ids,
            scored.labels,
            scored.probabilities,
            scored.question,
            columns=columns,
            groups=groups,
            temperature=candidate.temperatures.get(scored.question.name, 1.0),
            thresholds=candidate.sets.get(scored.question.name),
            unlabelled=unlabelled,
        )
        shifts = push_pictures(scored, progress=lambda done: progress("pushing", done)) if shift else {}
    return Assessment(place_of(data), scored, found, notes, shifts, compare_measures(scored))


def _unlabelled(catalog: TableReader, scored: Scored) -> tuple[NDArray[np.float64], list[str]]:
    """Return the probabilities of a catalogue without labels, and remarks on its model."""
    notes = check_maker(catalog.path, read_maker(catalog), scored.candidate.maker)
    values, known = read_probabilities(catalog, scored.question, questions=scored.candidate.questions)
    return values[known], notes


def listed(deviations: dict[str, float]) -> str:
    """Return the errors of vote fractions in words."""
    return ", ".join(f"{value:.3f} ({answer})" for answer, value in deviations.items())
