"""Sample of a catalogue for verification: balanced over a score, without showing it."""

import json
import os
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from peculiar.catalogs.catalog import Catalog
from peculiar.errors import UsageError
from peculiar.files.places import place
from peculiar.files.writing import check_apart, writing
from peculiar.metrics.stratified import Sample, Strata, draw_sample, stratify
from peculiar.questions.column_names import COLUMNS_NOTE
from peculiar.tables.column import Column
from peculiar.tables.identifiers import typed_ids
from peculiar.tables.writers import format_to_write, write_table
from peculiar.text import counted

ANSWERS = 200
"""Number of galaxies in a sample."""

FEWEST = 40
"""Number of galaxies that a sample needs: one of each stratum."""


class VerificationSample:
    """Galaxies of a catalogue to be answered for; see `draw_verification_sample`.

    Attributes
    ----------
    ids : list of str
        In random order, so that the first ones are a sample, too.
    probabilities : ndarray, shape (n,)
        The probability with which each was drawn.
    score : str
        The column that the sample is balanced over.
    answer : str
        The answer whose probability the score is, or the name of the score.

    Examples
    --------
    >>> import peculiar
    >>> sample = peculiar.draw_verification_sample("galaxies.parquet", "p_odd", count=50)
    >>> len(sample.ids)
    50
    >>> sample.write("sample.csv")
    """

    def __init__(self, population: "Population", sample: Sample) -> None:
        self._population, self.probabilities = population, sample.probabilities
        self.score, self.answer = population.score, population.answer
        self.ids = [population.ids[row] for row in sample.rows]

    def __repr__(self) -> str:
        """Return a description in one line."""
        return f"{counted(len(self.ids), 'galaxy')} of {self._population.catalog.name}, balanced over {self.score}"

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write the ids as a table, with an empty column ``label`` for the answers.

        It has no column of scores, which would influence the answers.

        Parameters
        ----------
        path : path-like
            Its suffix decides the format: ``.csv``, ``.parquet``, ``.fits``, ``.vot`` or ``.ecsv``.
        """
        path = place(path)
        check_apart(path, *self._population.catalog.files)
        columns = [self._population.catalog.columns["id"], Column("label", pa.string(), "yes if it is true, else no")]
        blank = pa.array([""] * len(self.ids), pa.string())
        table = pa.table({"id": typed_ids(self.ids, columns[0].type), "label": blank})
        with writing(path) as temporary:
            write_table(temporary, format_to_write(path), columns, table.to_batches(), {"score": self.score})


def draw_verification_sample(
    catalog: Catalog | str | os.PathLike[str],
    score: str,
    *,
    where: str | None = None,
    count: int = ANSWERS,
    seed: int = 222,
) -> VerificationSample:
    """Draw galaxies for people to answer for, from whose answers `verify` estimates purity and completeness.

    The sample is stratified by the score: half of it is balanced over the score, the other half is where true ones may
    be missed; see `peculiar.metrics.stratified`. A larger sample with the same seed contains the smaller one.

    Parameters
    ----------
    catalog : Catalog or path-like
    score : str
        A column of numbers: the higher, the more probably true. Scores from 0 to 1 count as probabilities; of others
        only the order matters.
    where : str, optional
        A condition on the columns; only galaxies that meet it count.
    count : int
        Number of galaxies.
    seed : int

    Returns
    -------
    VerificationSample

    Raises
    ------
    NotFoundError, DataError
        If the catalogue does not exist or cannot be read.
    UnknownNameError
        If there is no such column.
    UsageError
        If it holds no numbers, all galaxies have the same score, or the count is below 40.

    Examples
    --------
    >>> import peculiar
    >>> sample = peculiar.draw_verification_sample("galaxies.parquet", "p_odd", count=40)
    >>> len(sample.ids), bool((sample.probabilities > 0).all())
    (40, True)
    """
    if count < FEWEST:
        message = f"a sample has {FEWEST} galaxies or more; received {count}"
        raise UsageError(message)
    population = find_population(opened_catalog(catalog), score, where)
    return VerificationSample(population, draw_sample(population.strata, count, seed=seed))


@dataclass(frozen=True)
class Population:
    """Galaxies with a score, from which a sample is drawn and for which the figures hold.

    Parameters
    ----------
    catalog : Catalog
    score : str
        The column.
    answer : str
        The answer whose probability it is, or its name.
    answers : tuple of str
        All answers to its question that the catalogue notes.
    ids : list of str
    rows : ndarray of int, shape (n,)
        Of the catalogue.
    scores : ndarray, shape (n,)
        Finite numbers.
    notes : list of str
        Remarks on rows that are left out.
    """

    catalog: Catalog
    score: str
    answer: str
    answers: tuple[str, ...]
    ids: list[str]
    rows: NDArray[np.int64]
    scores: NDArray[np.float64]
    notes: list[str]

    @cached_property
    def strata(self) -> Strata:
        """The galaxies in strata of their score; raises `UsageError` if all scores are the same."""
        try:
            return stratify(self.scores)
        except UsageError as error:
            message = f"{self.catalog.name}, column {self.score!r}: {error}"
            raise UsageError(message) from error


def opened_catalog(catalog: Catalog | str | os.PathLike[str]) -> Catalog:
    """Return a catalogue, which is opened if its path is given."""
    return catalog if isinstance(catalog, Catalog) else Catalog(catalog)


def find_population(catalog: Catalog, score: str, where: str | None) -> Population:
    """Return the galaxies of a catalogue that have a number in the column `score` and meet the condition.

    Raises
    ------
    UnknownNameError
        If there is no such column.
    UsageError
        If it holds no numbers, or no galaxy meets the condition.
    """
    catalog.check_numbers([score])
    found = catalog.query(where, columns=[score]) if where is not None else catalog
    values = [batch.column(0).cast(pa.float64()).to_numpy(zero_copy_only=False) for batch in found.batches([score])]
    scores = np.concatenate([*values, np.empty(0)])
    rows = found.rows if where is not None else np.arange(len(catalog))
    if not len(scores):
        message = f"no galaxy of {catalog.name} meets the condition {where!r}" if where else f"{catalog.name} is empty"
        raise UsageError(message)
    known = np.isfinite(scores)
    ids = found.ids
    # An answer is for an id, so of several rows with one id only the first counts.
    named = np.array([bool(id_) for id_ in ids], dtype=bool)
    first = np.zeros(len(ids), dtype=bool)
    first[list({id_: row for row, id_ in reversed(list(enumerate(ids)))}.values())] = True
    left_out = (
        (known & ~named, "galaxy", "without an id"),
        (~known, "galaxy", f"without a number in {score}"),
        (known & named & ~first, "row", "because an earlier one has the same id"),
    )
    counts = [(int(mask.sum()), noun, why) for mask, noun, why in left_out]
    notes = [f"{counted(count, noun, 'are', 'is')} left out, {why}." for count, noun, why in counts if count]
    kept = np.flatnonzero(known & named & first)
    noted = _answers_of(catalog, score)
    answer = noted.get(score, score)
    return Population(
        catalog, score, answer, tuple(noted.values()), [ids[row] for row in kept], rows[kept], scores[kept], notes
    )


def _answers_of(catalog: Catalog, score: str) -> dict[str, str]:
    """Return the answers to the question of a score by column, from the notes of a catalogue; empty if it has none."""
    try:
        noted = json.loads(catalog.notes.get(COLUMNS_NOTE, "{}"))
        columns = next(columns for columns in noted.values() if score in columns.values())
    except (ValueError, AttributeError, StopIteration):  # none, or a note of this name from elsewhere
        return {}
    return {str(name): str(answer) for answer, name in columns.items()}
