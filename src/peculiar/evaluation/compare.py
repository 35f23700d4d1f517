"""Comparison of two models, or of two catalogues, on the same galaxies."""

import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from peculiar.errors import DataError, NotFoundError, UsageError
from peculiar.evaluation.assess import remarks
from peculiar.evaluation.compare_page import draw_transitions, write_comparison
from peculiar.evaluation.inputs import Asked, candidate_of, different_names, place_of, score, table_of
from peculiar.evaluation.pairs import PairedAnswers, align
from peculiar.evaluation.preparation import differing
from peculiar.evaluation.scored import Scored
from peculiar.files.places import place
from peculiar.files.run_files import write_json
from peculiar.metrics.paired import Differences, differences
from peculiar.metrics.strata import strata
from peculiar.progress import stages
from peculiar.sources import as_source
from peculiar.sources.stream import Source
from peculiar.tables.formats import is_table
from peculiar.tables.writers import FORMATS
from peculiar.text import counted

COMPARISON = "comparison.json"
"""File that `Comparison.write` writes, besides the page."""

Side = Any
"""A model, or a table of probabilities; see `compare`."""


class Comparison(PairedAnswers):
    """Comparison of two sets of answers for the same galaxies; see `compare`.

    Attributes
    ----------
    names : tuple of str
        Names of the two; they differ.
    scores : Differences
        Scores of both, and their differences, overall and by class.
    by : dict of str to dict of str to Differences
        The same by column and entry.
    transitions : ndarray of int, shape (classes, classes)
        Number of galaxies by the class of the first (rows) and of the second (columns).
    changed : list of str
        Ids of the galaxies whose class differs.
    mcnemar : tuple of (int, int, float or None)
        Galaxies on which only the first, or only the second, is right, and McNemar's p value.
    verdict : str
        A sentence that says which of the two is more accurate, if that is clear.
    notes : list of str
        Remarks on which galaxies were compared.
    first, second : Scored
        The galaxies that both answer, in the same order, with labels and probabilities.

    Examples
    --------
    >>> import peculiar
    >>> found = peculiar.compare("galaxies.parquet", "galaxies.parquet", labels="labels.csv")
    >>> found.scores.overall["accuracy"].difference
    0.0
    >>> found.changed
    []
    """

    def __repr__(self) -> str:
        """Return a description in a few lines."""
        only_first, only_second, _ = self.mcnemar
        return "\n".join(
            [
                f"Comparison of {self.names[0]} and {self.names[1]}",
                f"  {counted(len(self.first.ids), 'galaxy')}, question {self.question.name}",
                f"  {self.verdict}",
                f"  {counted(len(self.rows_changed), 'galaxy', 'have', 'has')} another class; only the first is right "
                f"on {only_first:,}, only the second on {only_second:,}",
            ]
        )

    def as_dict(self, *, command: str = "") -> dict[str, Any]:
        """Return all figures as plain dictionaries and lists, for JSON.

        Parameters
        ----------
        command : str
            The command, to be recorded.
        """
        only_first, only_second, p_value = self.mcnemar
        before, after = self.called
        answers, ids = self.question.answers, self.first.ids
        return {
            "first": self.names[0],
            "second": self.names[1],
            "question": self.question.name,
            "count": len(ids),
            "notes": self.notes,
            "command": command,
            "seed": self.seed,
            "scores": _plain(self.scores, answers),
            "by": {
                column: {entry: _plain(one, answers) for entry, one in parts.items()}
                for column, parts in self.by.items()
            },
            "mcnemar": {"only_first_right": only_first, "only_second_right": only_second, "p_value": p_value},
            "transitions": self.transitions.tolist(),
            "changed": [
                {
                    "id": ids[row],
                    "label": answers[self.first.labels[row]],
                    "first": answers[before[row]],
                    "second": answers[after[row]],
                }
                for row in self.rows_changed.tolist()
            ],
        }

    def write(self, folder: str | os.PathLike[str], *, command: str = "") -> Path:
        """Write the figures as JSON, and a page with diagrams and the galaxies whose class differs.

        Parameters
        ----------
        folder : path-like
            Folder for ``comparison.json``, ``comparison.html`` and the diagrams, each as PNG and PDF.
        command : str
            The command, to be stated on the page.

        Returns
        -------
        path
            The page.
        """
        folder = place(folder)
        write_json(folder / COMPARISON, self.as_dict(command=command))
        return write_comparison(folder, self, command=command)

    def show(self) -> Figure:
        """Draw the classes of the first (rows) against those of the second (columns).

        Returns
        -------
        matplotlib.figure.Figure
        """
        return draw_transitions(self)


def compare(
    first: Side,
    second: Side,
    data: Any = None,
    *,
    label: str | None = None,
    labels: str | os.PathLike[str] | None = None,
    id: str | None = None,
    question: str | None = None,
    part: str = "all",
    include_training: bool = False,
    views: int | None = None,
    by: Sequence[str] = (),
    group: str | None = None,
    resamples: int = 1000,
    seed: int = 222,
    progress: Callable[[str, int], object] | None = None,
    verbose: bool = True,
) -> Comparison:
    """Compare two models, or two catalogues, on the same labelled galaxies.

    Galaxies that one of the models was trained on are left out for both, as far as they are known.

    Parameters
    ----------
    first, second : Model, path-like, what `load_run` returns, or Catalog
        Each is a model, which classifies the galaxies of `data`; or a table of probabilities, such as a catalogue.
    data : path-like, Source, or pictures; optional
        Labelled galaxies, in any form that `evaluate` accepts; needed for models.
    label : str, optional
        The column of labels; default: the first of the usual names.
    labels : path-like, optional
        A table with a column of ids and one of labels. Tables of probabilities need it, unless they hold the column
        `label` themselves or `data` is such a table.
    id : str, optional
        The column of ids in all tables; default: the first of the usual names.
    question : str, optional
        Question of the models; default: the one that the labels answer.
    part : {"all", "training", "validation", "test"}
        Part of the split of the model files to compare on.
    include_training : bool
        Also compare on galaxies that a model was trained on.
    views : int, optional
        Number of turned and mirrored views to average over, 1 to 8; default: as in each model's card.
    by : sequence of str
        Columns to compare by as well; numbers in four bins.
    group : str, optional
        Column of groups of galaxies that are not independent, such as fields; it affects the intervals.
    resamples, seed : int
        Of the bootstrap.
    progress : callable, optional
        Called with the stage and the number of pictures processed since the last call.
    verbose : bool
        Show progress on standard error if `progress` is not given.

    Returns
    -------
    Comparison

    Raises
    ------
    NotFoundError, DataError
        If the data do not exist or cannot be read.
    LabelError
        If there are no labels, the labels of a galaxy differ, or the two have no galaxy in common.
    UnknownNameError
        If a column, question or part is unknown.
    UsageError
        If a model is given without data, or the two answer different questions.

    Examples
    --------
    >>> import peculiar
    >>> model = peculiar.load_model()
    >>> found = peculiar.compare("galaxies.parquet", model, "survey.parquet", labels="labels.csv", verbose=False)
    >>> found.names[0]
    'galaxies.parquet'
    >>> page = found.write("comparison")
    """
    labels = None if labels is None else place(labels)
    for side in (first, second):
        if isinstance(side, str | os.PathLike) and not place(side).exists():
            raise NotFoundError(f"there is nothing at {side}; give a model file, a run, or a table of probabilities")
    with ExitStack() as stack:
        if progress is None:
            progress = stack.enter_context(stages(verbose=verbose))
        sides = []
        for side, words in zip((first, second), ("classifying with the first", "with the second"), strict=True):
            asked = _asked(side, data, part=part, views=views, include_training=include_training)
            asked = replace(asked, label=label, labels=labels or asked.labels, question=question, id=id)
            sides.append(score(asked, partial(progress, words)))
    ours, theirs, notes = align(sides[0], sides[1])
    columns = {name: _column(name, ours, theirs) for name in by}
    groups = None if group is None else _column(group, ours, theirs)
    options: dict[str, Any] = {"resamples": resamples, "seed": seed}
    found = differences(ours.labels, ours.probabilities, theirs.probabilities, groups=groups, **options)
    parts = {
        column: {
            entry: differences(
                ours.labels[rows],
                ours.probabilities[rows],
                theirs.probabilities[rows],
                groups=None if groups is None else [groups[row] for row in rows],
                **options,
            )
            for entry, rows in strata(entries).items()
        }
        for column, entries in columns.items()
    }
    places = [
        place_of(side) if isinstance(side, str | os.PathLike) or table_of(side) else "" for side in (first, second)
    ]
    names = different_names(places, [one.candidate.described for one in (ours, theirs)])
    notes += differing(ours.preparation, theirs.preparation, names)
    notes += remarks(ours.labels, ours.ids, ours.question.answers, groups)
    return Comparison(
        ours,
        theirs,
        names,
        found,
        parts,
        notes,
        source=_pictures(data),
        grouped=groups is not None,
        seed=seed,
    )


def _asked(side: Side, data: Any, *, part: str, views: int | None, include_training: bool) -> Asked:
    """Return the input of one side: its own table of probabilities, or the pictures and its model."""
    options: dict[str, Any] = {"part": part, "views": views, "include_training": include_training}
    path = place(side) if isinstance(side, str | os.PathLike) else None
    if table_of(side) is not None or (path is not None and is_answers(path)):
        return Asked(side, candidate_of(None, **options), None, _labels_in(data), None, None)
    candidate = candidate_of(side, **options)
    if data is None:
        message = f"{candidate.name} is a model; name labelled galaxies to compare on"
        raise UsageError(message)
    return Asked(data, candidate, None, None, None, None)


def is_answers(path: Path) -> bool:
    """Return whether a path stands for a table of answers, not for a model: a damaged table, by its suffix."""
    suffix = path.suffix.lower()
    return suffix != ".onnx" and (is_table(path) or (suffix in FORMATS and path.is_file()))


def _labels_in(data: Any) -> Path | None:
    """Return the path of the data if labels of a table of probabilities may be in it."""
    if not isinstance(data, str | os.PathLike):
        return None
    pictures = None if is_table(place(data)) else _pictures(data)
    return None if pictures is not None and pictures.label is None else place(data)


def _column(name: str, first: Scored, second: Scored) -> list[str | None]:
    """Return a column of either side."""
    return (second if name not in first.columns and name in second.columns else first).column(name)


def _pictures(data: Any) -> Source | None:
    """Return the pictures among the data; None if there are none, as in a table of labels."""
    with suppress(DataError):
        return None if data is None else as_source(data)
    return None


def _plain(found: Differences, answers: Sequence[str]) -> dict[str, Any]:
    return {
        "overall": {name: one.as_dict() for name, one in found.overall.items()},
        "classes": {
            answer: {name: one.as_dict() for name, one in of.items()}
            for answer, of in zip(answers, found.classes, strict=True)
        },
    }
