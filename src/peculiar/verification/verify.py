"""Verification of a selection by people: how pure and complete it is above each threshold of a score."""

import os
import warnings
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from matplotlib.figure import Figure

from peculiar.catalogs.catalog import Catalog
from peculiar.errors import LabelError, PeculiarWarning, UsageError
from peculiar.files.places import place
from peculiar.files.run_files import write_json
from peculiar.files.writing import check_apart, writing
from peculiar.metrics.purity import count_answers, divide_by_answers, estimate_curves
from peculiar.metrics.risk_control import RISK
from peculiar.metrics.stratified import draw_sample
from peculiar.questions.column_names import plain
from peculiar.sources.joins import join_ids
from peculiar.sources.labels import read_labels
from peculiar.tables.column import Column
from peculiar.tables.writers import format_to_write, write_table
from peculiar.text import counted
from peculiar.verification.outcome import Aim, Outcome, find_threshold
from peculiar.verification.page import draw_verification, write_verification
from peculiar.verification.sample import ANSWERS, Population, find_population, opened_catalog

VERIFICATION = "verification.json"
"""File that `Verification.write` writes, besides the page."""

_FEWEST = 10
"""Number of answers without which nothing is said."""

_YES, _NO = frozenset({"yes", "true", "y", "1", "1.0"}), frozenset({"no", "false", "n", "0", "0.0"})

_NONE = frozenset({"unsure", "skip", ""})


class Verification(Outcome):
    """Purity and completeness of a catalogue above each threshold of a score; see `verify`.

    Attributes
    ----------
    catalog : Catalog
    score : str
        The column.
    answer : str
        The answer whose probability the score is, or the name of the score: what makes a galaxy true.
    where : str or None
        The condition on the galaxies that count.
    aim : {"purity", "completeness"}
    wanted : float
        The promised purity or completeness, 0 to 1.
    cells : Cells
        The answers, counted by score.
    curves : Curves
        Purity, completeness and number of true ones by threshold.
    number : int or None
        Number of the lowest threshold that keeps the promised purity, or the highest that keeps the completeness; None
        if no threshold does.
    notes : list of str
        Remarks on the galaxies and answers.
    seed : int
    labels : path or None
        The table of labels.

    Examples
    --------
    >>> import peculiar
    >>> found = peculiar.verify(
    ...     "galaxies.parquet", "p_odd", "labels.csv", true=["Ringed", "Merger", "Other"], purity=0.5
    ... )
    >>> int(found.curves.selected[0])
    60
    >>> page = found.write("verification")
    """

    def __repr__(self) -> str:
        """Return a description in a few lines."""
        true, cells = self.curves.true.at(0), self.cells
        return "\n".join(
            [
                f"Verification of {self.catalog.name} by {self.score}",
                f"  {counted(int(cells.answered.sum()), 'answer')}, of which {int(cells.true.sum()):,} are true",
                f"  {self.curves.selected[0]:,} galaxies, of which about {true['estimate']:,.0f} are true "
                f"({true['low']:,.0f} to {true['high']:,.0f})",
                f"  {self.verdict}",
            ]
        )

    def as_dict(self, *, command: str = "") -> dict[str, Any]:
        """Return all figures as plain dictionaries and lists, for JSON.

        Parameters
        ----------
        command : str
            The command, to be recorded.
        """
        rows = [self.curves.at(number) for number in range(len(self.curves.thresholds))]
        told: dict[str, Any] = _without_nan(
            {
                "catalog": self.catalog.place,
                "score": self.score,
                "where": self.where,
                "true": self.answer,
                "galaxies": int(self.curves.selected[0]),
                "answers": int(self.cells.answered.sum()),
                "answers_true": int(self.cells.true.sum()),
                "wanted": {self.aim: self.wanted, "certainty": 1 - RISK},
                "threshold": self.threshold,
                "at_threshold": None if self.number is None else rows[self.number],
                "answers_to_find_one": self.missing,
                "answers_to_halve_the_band": self.more,
                "thresholds": rows,
                "notes": self.notes,
                "seed": self.seed,
                "command": command,
            }
        )
        return told

    def write(self, folder: str | os.PathLike[str], *, command: str = "") -> Path:
        """Write the figures as JSON, and a page.

        Parameters
        ----------
        folder : path-like
            Folder for ``verification.json``, ``verification.html`` and the figure as PNG and PDF.
        command : str
            The command, to be stated on the page.

        Returns
        -------
        path
            The page.
        """
        folder = place(folder)
        write_json(folder / VERIFICATION, self.as_dict(command=command))
        return write_verification(folder, self, command=command)

    def write_accepted(self, path: str | os.PathLike[str]) -> int:
        """Write the catalogue with the further column ``accepted``, as a new table.

        Parameters
        ----------
        path : path-like
            Its suffix decides the format.

        Returns
        -------
        int
            Number of accepted galaxies.

        Raises
        ------
        UsageError
            If no threshold keeps the promise, or the path is that of the catalogue or of the labels.
        """
        if self.threshold is None:
            raise UsageError(self.verdict)
        path, catalog = place(path), self.catalog
        check_apart(path, *catalog.files, *filter(None, [self.labels]))
        chosen = np.zeros(len(catalog), dtype=bool)
        population = find_population(catalog, self.score, self.where)
        chosen[population.rows[population.scores >= self.threshold]] = True
        others = [column for column in catalog.columns.values() if column.name != "accepted"]
        told = f"{self.score} of {self.threshold:.6g} or more: {self.aim} of {self.wanted:g} or more"
        names = [column.name for column in others]

        def batches() -> Iterator[pa.RecordBatch]:
            start = 0
            for batch in catalog.batches(names):
                some = pa.array(chosen[start : start + batch.num_rows])
                start += batch.num_rows
                yield pa.RecordBatch.from_arrays([*batch.columns, some], names=[*names, "accepted"])

        with writing(path) as temporary:
            columns = [*others, Column("accepted", pa.bool_(), told)]
            write_table(temporary, format_to_write(path), columns, batches(), {**catalog.notes, "accepted": told})
        return int(chosen.sum())

    def show(self) -> Figure:
        """Draw purity and completeness as functions of the threshold.

        Returns
        -------
        matplotlib.figure.Figure
        """
        return draw_verification(self)


def verify(
    catalog: Catalog | str | os.PathLike[str],
    score: str,
    labels: str | os.PathLike[str] | Mapping[str, bool],
    *,
    where: str | None = None,
    label: str | None = None,
    true: Sequence[str] = (),
    purity: float | None = None,
    completeness: float | None = None,
    count: int = ANSWERS,
    id: str | None = None,
    seed: int = 222,
) -> Verification:
    """Estimate how pure and complete the galaxies above each threshold of a score are, from people's answers.

    Parameters
    ----------
    catalog : Catalog or path-like
    score, where, count, seed
        As in `peculiar.draw_verification_sample`. If some of the answers are for galaxies of another sample, all
        answers count as drawn at random among galaxies of similar scores.
    labels : path-like, or mapping of str to bool
        A table with a column of ids and one of labels, in which empty entries, "unsure" and "skip" are no answers; or
        by id, True for a true galaxy and False for another.
    label : str, optional
        The column of labels; default: the first of the usual names.
    true : sequence of str
        Labels that mean true; all others mean untrue. Default: yes, true and 1, or the class that the score is the
        probability of.
    purity, completeness : float, optional
        The purity or the completeness that the threshold is to have with a certainty of 95 %, between 0 and 1; default:
        a purity of 0.9.
    id : str, optional
        The column of ids of the table of labels; default: the first of the usual names.

    Returns
    -------
    Verification

    Raises
    ------
    NotFoundError, DataError
        If a table does not exist or cannot be read.
    UnknownNameError
        If there is no such column.
    UsageError
        If the column of the score holds no numbers or the same number everywhere, or both a purity and a completeness
        are given.
    LabelError
        If there are fewer than ten answers, or it is not clear which labels mean true.

    Examples
    --------
    >>> import peculiar
    >>> sample = peculiar.draw_verification_sample("galaxies.parquet", "p_odd", count=40)
    >>> answers = {id: number % 4 == 0 for number, id in enumerate(sample.ids)}
    >>> found = peculiar.verify("galaxies.parquet", "p_odd", answers, count=40, completeness=0.5)
    >>> float(found.curves.completeness.estimate[0])
    1.0
    """
    aim, wanted = aim_of(purity, completeness)
    population = find_population(opened_catalog(catalog), score, where)
    answers, notes = _answers(population, labels, label, true, id)
    rows = np.array(list(answers), dtype=np.int64)
    truths = np.array(list(answers.values()), dtype=bool)
    strata = population.strata
    drawn = draw_sample(strata, count, seed=seed).rows
    if strangers := int((~np.isin(rows, drawn)).sum()):
        numbers, lower = divide_by_answers(population.scores, rows)
        which = "The answers are" if strangers == len(rows) else counted(strangers, "answer", "are", "is")
        notes.append(
            f"{which} for galaxies that are not in the sample of {len(drawn):,} with seed {seed}, so all answers count "
            "as drawn at random among galaxies of similar scores. The figures are wrong if the galaxies were chosen in "
            "another way, such as the most conspicuous ones."
        )
    else:
        numbers, lower = strata.numbers, strata.lower
        if left := len(drawn) - len(rows):
            have = "has" if left == 1 else "have"
            notes.append(f"{left:,} of the {len(drawn):,} galaxies of the sample {have} no answer.")
    cells = count_answers(numbers, lower, rows, truths)
    if truths.all() or not truths.any():
        word, end = ("true", "lower end of its purity") if truths.all() else ("untrue", "upper end of its purity")
        notes.append(f"All {len(truths):,} answers are alike: {word}. They can only bound the {end}.")
    return Verification(
        population.catalog,
        score,
        population.answer,
        where,
        aim,
        wanted,
        cells,
        estimate_curves(cells, seed=seed),
        find_threshold(cells, aim, wanted, seed),
        [*population.notes, *notes],
        seed,
        None if isinstance(labels, Mapping) else place(labels),
    )


def aim_of(purity: float | None, completeness: float | None) -> tuple[Aim, float]:
    """Return the promised quantity and its value; raises `UsageError` for both quantities, or not between 0 and 1."""
    if purity is not None and completeness is not None:
        message = "give a wanted purity or a wanted completeness, not both; the other is estimated at every threshold"
        raise UsageError(message)
    aim: Aim = "purity" if completeness is None else "completeness"
    wanted = (0.9 if purity is None else purity) if completeness is None else completeness
    if not 0 < wanted < 1:
        message = f"a wanted {aim} lies between 0 and 1; received {wanted:g}"
        raise UsageError(message)
    return aim, wanted


def _answers(
    population: Population,
    labels: str | os.PathLike[str] | Mapping[str, bool],
    label: str | None,
    true: Sequence[str],
    id: str | None,
) -> tuple[dict[int, bool], list[str]]:
    """Return the answers by row of the population, True for a true galaxy, and remarks."""
    if isinstance(labels, Mapping):
        where, by_id, unsure = "the answers", {str(id_): bool(one) for id_, one in labels.items()}, 0
    else:
        where = str(labels)
        _, entries = read_labels(labels, label, id)
        trimmed = {id_: entry.strip() for id_, entry in entries.items()}
        meant = {*true, *population.answers}  # an answer of the question may be called unsure
        given = {id_: entry for id_, entry in trimmed.items() if entry in meant or entry.casefold() not in _NONE}
        unsure = len(entries) - len(given)
        meaning = _true_labels(Counter(given.values()), true, population, where)
        by_id = {id_: entry in meaning for id_, entry in given.items()}
    row_of = {id_: row for row, id_ in enumerate(population.ids)}
    partners = {id_: id_ for id_ in by_id}
    if not by_id.keys() <= row_of.keys():  # other ways to write ids take seconds per million
        partners = join_ids(population.ids, by_id, f"{population.catalog.name} and {where}").partners
    found = {row_of[mine]: by_id[its] for mine, its in partners.items()}
    if len(found) < _FEWEST:
        message = (
            f"{where}: {counted(len(found), 'answer')} for galaxies of {population.catalog.name}, and {_FEWEST} are "
            "needed; answer for more galaxies of the sample"
        )
        raise LabelError(message)
    notes = [f"{counted(unsure, 'answer', 'are', 'is')} unsure, and left out."] if unsure else []
    if others := len(by_id) - len(found):
        told = (
            f"{counted(others, 'answer', 'are', 'is')} for galaxies that {population.catalog.name} lacks or leaves out"
        )
        warnings.warn(f"{where}: {told}", PeculiarWarning, stacklevel=3)
    return found, notes


def _true_labels(there: Collection[str], true: Sequence[str], population: Population, where: str) -> set[str]:
    """Return the labels that mean true."""
    if true:
        if not set(true) & set(there):
            message = f"{where}: no label is {' or '.join(map(repr, true))}; there are: {', '.join(sorted(there)[:20])}"
            raise LabelError(message)
        return set(true)
    if all(entry.casefold() in _YES | _NO for entry in there):
        return {entry for entry in there if entry.casefold() in _YES}
    column = population.score.removeprefix("p_")
    named = {entry for entry in there if entry == population.answer or plain(entry) == column}
    if named:
        return named
    message = (
        f"{where}: it is not clear which labels mean that {population.answer!r} is true; name them by --true. There "
        f"are: {', '.join(sorted(there)[:20])}"
    )
    raise LabelError(message)


def _without_nan(value: Any) -> Any:
    """Replace NaN by None, for JSON."""
    if isinstance(value, dict):
        return {key: _without_nan(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_without_nan(one) for one in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value
