"""Agreement of two catalogues on the classes of the same galaxies, without labels."""

import os
from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from peculiar.errors import LabelError, UnknownNameError, UsageError
from peculiar.evaluation.compare_page import PAGE
from peculiar.evaluation.inputs import different_names, table_of
from peculiar.evaluation.page import facts_of, keep_figure
from peculiar.evaluation.preparation import differing, of_table
from peculiar.files.places import place
from peculiar.files.run_files import write_json
from peculiar.metrics.agreement import cohen_kappa
from peculiar.metrics.intervals import Interval, wilson
from peculiar.models.provenance import read_maker
from peculiar.questions.column_names import main_question, noted_columns, plain
from peculiar.reports import plots
from peculiar.reports.page import Section, write_page
from peculiar.sources.joins import partners_of
from peculiar.tables.column import texts
from peculiar.tables.identifiers import entry_text
from peculiar.tables.reader import TableReader
from peculiar.text import counted, format_score

_LISTED = 50
"""Number of galaxies of another class that the page lists; the JSON file has all."""


@dataclass(frozen=True, repr=False)
class Agreement:
    """Agreement of two catalogues on the classes of the same galaxies; see `compare_classes`.

    Parameters
    ----------
    names : tuple of str
        Names of the two; they differ.
    question : str
    answers : tuple of str
    ids : list of str
        The galaxies that both have a class for, in the order of the first.
    first, second : ndarray of int, shape (n,)
        Class numbers.
    makers : tuple of str
        The models that made them.
    notes : list of str
        Remarks on which galaxies were compared, as sentences.

    Examples
    --------
    >>> import peculiar
    >>> peculiar.compare_classes("galaxies.parquet", "galaxies.parquet").share
    1.0
    """

    names: tuple[str, str]
    question: str
    answers: tuple[str, ...]
    ids: list[str]
    first: NDArray[np.intp]
    second: NDArray[np.intp]
    makers: tuple[str, str] = ("", "")
    notes: list[str] = field(default_factory=list)

    @cached_property
    def rows_changed(self) -> NDArray[np.intp]:
        """Rows of the galaxies whose class differs."""
        return np.flatnonzero(self.first != self.second)

    @property
    def changed(self) -> list[str]:
        """Ids of the galaxies whose class differs."""
        return [self.ids[row] for row in self.rows_changed]

    @property
    def share(self) -> float:
        """Share of the galaxies that both put into the same class."""
        return 1 - len(self.rows_changed) / len(self.ids)

    @property
    def interval(self) -> Interval:
        """Wilson's interval of `share` at 95 %."""
        return wilson(len(self.ids) - len(self.rows_changed), len(self.ids))

    @property
    def kappa(self) -> float | None:
        """Cohen's kappa: agreement beyond chance; None if both give one class throughout."""
        return cohen_kappa(self.first.astype(str).tolist(), self.second.astype(str).tolist())

    @property
    def transitions(self) -> NDArray[np.int64]:
        """Number of galaxies by the class of the first (rows) and of the second (columns)."""
        size = len(self.answers)
        return np.bincount(self.first * size + self.second, minlength=size * size).reshape(size, size)

    @property
    def verdict(self) -> str:
        """A sentence with the share, its interval and kappa."""
        low, high = self.interval or (0.0, 1.0)
        kappa = "" if self.kappa is None else f"; Cohen's kappa {format_score(self.kappa)}"
        return (
            f"Both give the same class to {100 * self.share:.1f} % of {counted(len(self.ids), 'galaxy')} (95 % "
            f"interval {100 * low:.1f} to {100 * high:.1f}{kappa}). Without labels, it is not known which of the two "
            "is right."
        )

    def __repr__(self) -> str:
        """Return a description in a few lines."""
        return f"Agreement of {self.names[0]} and {self.names[1]}, question {self.question}\n  {self.verdict}"

    def as_dict(self, *, command: str = "") -> dict[str, Any]:
        """Return all figures as plain dictionaries and lists, for JSON; `command` is recorded."""
        return {
            "first": self.names[0],
            "second": self.names[1],
            "question": self.question,
            "count": len(self.ids),
            "notes": self.notes,
            "command": command,
            "agreement": {"share": self.share, "interval": self.interval, "kappa": self.kappa},
            "classes": list(self.answers),
            "transitions": self.transitions.tolist(),
            "changed": [
                {"id": self.ids[row], "first": self.answers[self.first[row]], "second": self.answers[self.second[row]]}
                for row in self.rows_changed.tolist()
            ],
        }

    def write(self, folder: str | os.PathLike[str], *, command: str = "") -> Path:
        """Write the figures as JSON, and a page with the galaxies whose class differs.

        Parameters
        ----------
        folder : path-like
            Folder for ``comparison.json``, ``comparison.html`` and the diagram as PNG and PDF.
        command : str
            The command, to be stated on the page.

        Returns
        -------
        path
            The page.
        """
        folder = place(folder)
        write_json(folder / "comparison.json", self.as_dict(command=command))
        names, rows = self.names, self.rows_changed[:_LISTED].tolist()
        listed = [[self.ids[row], self.answers[self.first[row]], self.answers[self.second[row]]] for row in rows]
        caption = f"Rows: class in {names[0]}. Columns: class in {names[1]}. Number of galaxies."
        facts = {
            names[0]: self.makers[0],
            names[1]: self.makers[1],
            "question": self.question,
            "galaxies": " ".join(self.notes),
            "command": command,
        }
        sections = [
            Section(
                "Galaxies whose class differs",
                [
                    f"{counted(len(self.rows_changed), 'galaxy', 'have', 'has')} another class in {names[1]} than in "
                    f"{names[0]}. All are listed in comparison.json. Cohen's kappa is 1 for full agreement, and 0 for "
                    "as much as chance gives."
                ],
                figures=[keep_figure(folder, self.show(), "transitions", caption)],
                table=[["id", *names], *listed] if listed else [],
                text_columns=3,
            ),
            Section("What was compared", table=[["", ""], *map(list, facts_of(facts).items())], text_columns=2),
        ]
        return write_page(folder / PAGE, f"{names[0]} and {names[1]}", self.verdict, sections)

    def show(self) -> Figure:
        """Draw the classes of the first (rows) against those of the second (columns).

        Returns
        -------
        matplotlib.figure.Figure
        """
        return plots.draw_confusion(self.transitions.tolist(), self.answers, self.names)


def compare_classes(first: Any, second: Any, *, question: str | None = None, id: str | None = None) -> Agreement:
    """Compare the classes of two catalogues of the same galaxies, without labels.

    Parameters
    ----------
    first, second : path-like or Catalog
        Tables with a column of ids and a column ``class``.
    question : str, optional
        Question to compare; default: the main question of both.
    id : str, optional
        The column of ids in both; default: the first of the usual names.

    Returns
    -------
    Agreement

    Raises
    ------
    NotFoundError, DataError
        If a table does not exist or cannot be read.
    UnknownNameError
        If a table has no classes or no ids.
    UsageError
        If the two answer different questions.
    LabelError
        If they have no galaxy in common.

    Examples
    --------
    >>> import peculiar
    >>> found = peculiar.compare_classes("galaxies.parquet", "galaxies.parquet")
    >>> found.changed
    []
    """
    tables = [table_of(one) or TableReader(one) for one in (first, second)]
    asked = _questions_of(*tables) if question is None else (question, question)
    columns = [_column_of(table, its) for table, its in zip(tables, asked, strict=True)]
    classes, notes = [], []
    names = different_names([str(table.path) for table in tables])
    for table, column, name in zip(tables, columns, names, strict=True):
        by_id, more = _by_id(table, column, id, name)
        classes.append(by_id)
        notes += more
    for by_id, name in zip(classes, names, strict=True):
        if not by_id:
            raise LabelError(f"{name}: no galaxy has a class and an id of its own, so there is nothing to compare")
    partners = partners_of([*classes[0]], classes[1], " and ".join(names))
    common = [id_ for id_ in classes[0] if id_ in partners]
    if not common:
        like = [next(iter(by_id), "") for by_id in classes]
        message = f"no galaxy is in both: ids of {names[0]} are like {like[0]!r}, those of {names[1]} like {like[1]!r}"
        raise LabelError(message)
    sets = [set(by_id.values()) for by_id in classes]
    if not sets[0] & sets[1]:
        told = [", ".join(sorted(one)) for one in sets]
        message = (
            f"the two answer different questions: {names[0]} has the classes {told[0]}, {names[1]} {told[1]}; name a "
            "question that both answer (--question)"
        )
        raise UsageError(message)
    for by_id, name in zip(classes, names, strict=True):
        if rest := len(by_id) - len(common):
            notes.append(f"{counted(rest, 'galaxy', 'are', 'is')} in {name} only.")
    notes += differing(of_table(tables[0]), of_table(tables[1]), names)
    answers = tuple(sorted(sets[0] | sets[1]))
    numbers = {answer: number for number, answer in enumerate(answers)}
    ours = np.array([numbers[classes[0][id_]] for id_ in common], dtype=np.intp)
    theirs = np.array([numbers[classes[1][partners[id_]]] for id_ in common], dtype=np.intp)
    makers = str(read_maker(tables[0])), str(read_maker(tables[1]))
    return Agreement(names, question or asked[0] or "class", answers, common, ours, theirs, makers, notes)


def _questions_of(first: TableReader, second: TableReader) -> tuple[str, str]:
    """Return the questions that two catalogues are about; of the second that of the first if the answers differ.

    A question with two answers has one column, "yes" for example, which says little about what was asked.
    """
    notes = [texts(table.schema.metadata) for table in (first, second)]
    names = [main_question(one) for one in notes]
    answers = [{*noted_columns(one).get(name, ())} for one, name in zip(notes, names, strict=True)]
    return names[0], names[len(answers[0]) > 1 and answers[0] == answers[1]]


def _column_of(table: TableReader, asked: str) -> str:
    """Return the column of the most probable answers to a question."""
    own = main_question(texts(table.schema.metadata))
    name = f"class_{plain(asked)}"
    if name in table.columns:
        return name
    if own and asked and own != asked:
        message = f"{table.path} has no answers to {asked}, but to {own}; name a question that both answer (--question)"
        raise UsageError(message)
    if "class" not in table.columns:
        raise UnknownNameError("column", "class", table.columns, where=f"in {table.path}, to compare without labels")
    return "class"


def _by_id(table: TableReader, column: str, id: str | None, name: str) -> tuple[dict[str, str], list[str]]:
    """Return the classes by id, and remarks on rows that are left out."""
    pairs = zip(table.column(table.id_column(id)), table.column(column), strict=True)
    told = [(entry_text(id_), entry_text(one)) for id_, one in pairs]
    counts = Counter(id_ for id_, _ in told if id_ is not None)
    notes = []
    if repeated := sum(count > 1 for count in counts.values()):
        notes.append(f"{counted(repeated, 'id', 'occur', 'occurs')} more than once in {name}; these are left out.")
    if without := sum(one is None for _, one in told):
        notes.append(f"{counted(without, 'galaxy', 'are', 'is')} left out: without a class in {name}.")
    return {id_: one for id_, one in told if id_ is not None and one is not None and counts[id_] == 1}, notes
