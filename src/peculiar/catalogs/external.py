"""Embeddings of another network, from a table: joined to the galaxies of a catalogue by id."""

import hashlib
import os
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from peculiar.catalogs.cache import cached
from peculiar.catalogs.embeddings import Embeddings, prepare
from peculiar.catalogs.store import state_of
from peculiar.errors import DataError
from peculiar.files.cache import cache_folder
from peculiar.files.digests import file_digest
from peculiar.files.places import place
from peculiar.sources.joins import Ids, RowJoin, join_rows
from peculiar.tables.vectors import open_vectors
from peculiar.text import counted

_LARGEST = 1e15
"""Numbers beyond this have squares that single precision cannot hold."""


class ExternalEmbeddings:
    """Embeddings that another network made, such as Zoobot's: a table with ids and vectors.

    Parameters
    ----------
    path : path-like
        See `peculiar.tables.vectors.open_vectors`.
    id : str, optional
        Its column of ids; by default the first with a usual name.

    Attributes
    ----------
    width : int
        Length of the vectors.

    Raises
    ------
    NotFoundError, UnknownNameError, UsageError, DataError
        As `peculiar.tables.vectors.open_vectors` raises them.
    """

    def __init__(self, path: str | os.PathLike[str], id: str | None = None) -> None:
        self.path, self._id = place(path), id
        self._vectors = open_vectors(self.path, id)
        self.width = self._vectors.width
        self._state = state_of(self.path, self._vectors.files)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the content, and of the column of ids if one was named; computed once for a state of the files."""

        def digests(file: Path) -> None:
            told = [file_digest(one) for one in self._vectors.files]
            file.write_text(hashlib.sha256(repr((told, self._id)).encode()).hexdigest())

        ending = f"-{hashlib.sha256(repr(self._id).encode()).hexdigest()[:8]}.txt"
        return cached(cache_folder() / "digests", self._state, ending, digests).read_text()

    def join(self, ids: Ids, place: str) -> RowJoin:
        """Match the galaxies of a catalogue with the rows of the table.

        Parameters
        ----------
        ids : callable
            Reads the ids of the catalogue.
        place : str
            What the catalogue is called, for messages.

        Raises
        ------
        DataError
            If no galaxy is in the table, or it is not clear which row belongs to which.
        """
        found = join_rows(ids, self._ids, f"{self.path} and {place}")
        if (found.partners < 0).all():
            mine, its = (next((id_ for some in read() for id_ in some if id_), "") for read in (ids, self._ids))
            message = (
                f"{self.path}: none of the galaxies of {place} is in it; its ids look like {its!r}, those of the "
                f"catalogue like {mine!r}. Name another column of ids with --embeddings-id"
            )
            raise DataError(message)
        return found

    def _ids(self) -> Iterator[list[str | None]]:
        return (some.to_pylist() for some in self._vectors.ids())

    def prepare(self, file: Path, join: RowJoin) -> None:
        """Write the array of `Embeddings` for a catalogue.

        Raises
        ------
        DataError
            If none of the galaxies has a vector that can be used, or the table has changed since it was opened.
        """
        there = prepare(file, len(join.partners), self.width, self._placed(join.partners), whole=False)
        try:
            same = state_of(self.path, self._vectors.files) == self._state
        except OSError:
            same = False
        if not same:
            message = f"{self.path} has changed while it was read; start again"
            raise DataError(message)
        if not there:
            message = f"{self.path}: no galaxy has a vector of finite numbers that are not all 0"
            raise DataError(message)

    def _placed(self, partners: NDArray[np.int64]) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """Yield rows of the catalogue and their vectors, in the order of the table."""
        rows = np.argsort(partners, kind="stable")
        wanted, start = partners[rows], 0
        for block in self._vectors.blocks():
            first, last = np.searchsorted(wanted, [start, start + len(block)])
            if last > first:
                some = block[wanted[first:last] - start]
                with np.errstate(invalid="ignore"):
                    some[~((np.abs(some) < _LARGEST).all(axis=1) & some.any(axis=1))] = np.nan
                yield rows[first:last], some
            start += len(block)

    def facts(self, join: RowJoin, embeddings: Embeddings) -> dict[str, Any]:
        """Return how the join went, for `whose` and `problems`."""
        matched, known = int((join.partners >= 0).sum()), int(embeddings.known.sum())
        return {
            "galaxies": len(join.partners),
            "matched": matched,
            "unusable": matched - known,
            "rows": join.rows,
            "doubled": join.doubled,
            "way": join.way,
        }

    def whose(self, facts: dict[str, Any]) -> str:
        """Return whose embeddings these are, in a line."""
        known = facts["matched"] - facts["unusable"]
        return (
            f"{self.path.name}, sha256 {self.digest[:12]}: {self.width:,} numbers for {known:,} of "
            f"{counted(facts['galaxies'], 'galaxy')}; ids compared {facts['way']}"
        )

    def problems(self, facts: dict[str, Any]) -> str:
        """Return a sentence about faults of the table; empty if there are none."""
        lacking = facts["galaxies"] - facts["matched"]
        told = [
            f"{counted(lacking, 'galaxy', 'are', 'is')} not in it" if lacking else "",
            f"{counted(facts['unusable'], 'vector')} of numbers that are not finite, or all 0"
            * bool(facts["unusable"]),
            f"{counted(facts['doubled'], 'row')} with an id that comes again, of which the last counts"
            * bool(facts["doubled"]),
        ]
        listed = "; ".join(one for one in told if one)
        return f"{self.path}: {listed}. Galaxies without a vector are left out of searches" if listed else ""
