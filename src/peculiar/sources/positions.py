"""Positions on the sky from a table, checked before anything is done with them."""

import hashlib
import itertools
import math
import os
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from peculiar.errors import DataError, NotFoundError, UnknownNameError
from peculiar.identifiers import type_of_ids
from peculiar.table import DEC_COLUMNS, ID_COLUMNS, RA_COLUMNS, TableReader, entry_text, find_column


@dataclass(frozen=True, slots=True)
class Position:
    """A row of a table of positions: its number from 0 on, its id, right ascension and declination in degrees."""

    row: int
    id: str
    ra: float
    dec: float


class Positions:
    """The positions of a table, checked, and read anew in constant memory each time they are gone through.

    Parameters
    ----------
    path : path-like
        A table with the columns ``ra`` and ``dec`` (degrees, ICRS), and if possible one of ids.

    Raises
    ------
    NotFoundError
        If there is no such file.
    UnknownNameError
        If there are no columns of positions.
    DataError
        If it is no table, a position is not on the sky, or an id occurs twice; the rows are named.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            raise NotFoundError(f"there is no file {path}; give a table with the columns ra and dec (--catalog)")
        self._reader = TableReader(self.path)
        self._ra, self._dec = self._needed(RA_COLUMNS), self._needed(DEC_COLUMNS)
        self._id = find_column(ID_COLUMNS, self._reader.columns)
        self._count = self._check()

    @property
    def id_type(self) -> pa.DataType:
        """Type of the column of ids."""
        return type_of_ids(self._reader, self._id)

    def __len__(self) -> int:
        """Return the number of rows."""
        return self._count

    def __iter__(self) -> Iterator[Position]:
        """Yield the positions in the order of the table."""
        for row, id_, ra, dec in self._rows():
            yield Position(row, id_, float(ra), float(dec))

    def _needed(self, names: tuple[str, ...]) -> str:
        found = find_column(names, self._reader.columns)
        if found is None:
            raise UnknownNameError("column", names[0], self._reader.columns, where=f"in {self.path.name}")
        return found

    def _rows(self) -> Iterator[tuple[int, str, Any, Any]]:
        row = 0
        wanted = [self._ra, self._dec, *([self._id] if self._id else [])]
        for batch in self._reader.batches(wanted):
            columns = [batch.column(name).to_pylist() for name in wanted]
            for number in range(batch.num_rows):
                id_ = columns[2][number] if self._id else None
                name = entry_text(id_) or f"{self.path.stem}-{row}"
                yield row, name, columns[0][number], columns[1][number]
                row += 1

    def _check(self) -> int:
        """Return the number of rows; eight bytes of each are kept, to find ids that occur twice."""
        faults: list[str] = []
        count = bad = 0
        digests = array("Q")
        for row, id_, ra, dec in self._rows():
            count += 1
            digests.append(_short_digest(id_))
            if fault := _fault(ra, dec):
                bad += 1
                if len(faults) < 10:
                    faults.append(f"row {row + 1} ({id_}): {fault}")
        if bad:
            more = f"\n  and {bad - len(faults):,} more" if bad > len(faults) else ""
            listed = "\n  ".join(faults)
            message = (
                f"{self.path}: {bad:,} of {count:,} positions are not on the sky, so nothing was fetched; mend or "
                f"leave out these rows (the first is row 1):\n  {listed}{more}"
            )
            raise DataError(message)
        self._check_ids(digests)
        return count

    def _check_ids(self, digests: "array[int]") -> None:
        values, counts = np.unique(np.frombuffer(digests, dtype=np.uint64), return_counts=True)
        twice = {int(value) for value in values[counts > 1]}
        if not twice:
            return
        rows = (f"row {row + 1} ({id_})" for row, id_, _, _ in self._rows() if _short_digest(id_) in twice)
        message = (
            f"{self.path}: {len(twice):,} ids occur more than once, so nothing was fetched; a galaxy is known by its "
            f"id: {', '.join(itertools.islice(rows, 10))}"
        )
        raise DataError(message)


def _short_digest(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


def _fault(ra: Any, dec: Any) -> str | None:
    """Say why a position is none."""
    values = []
    for name, value in (("ra", ra), ("dec", dec)):
        try:
            number = float(value)
        except (TypeError, ValueError):
            return f"{name} is empty" if value in (None, "") else f"{name} {value!r} is not a number of degrees"
        if not math.isfinite(number):
            return f"{name} is {number}"
        values.append(number)
    ra, dec = values
    if abs(dec) > 90:
        swapped = "; ra and dec look swapped" if abs(ra) <= 90 and 0 <= dec <= 360 else ""
        return f"dec {dec:g} is not between -90 and 90 degrees{swapped}"
    if not 0 <= ra <= 360:
        return f"ra {ra:g} is not between 0 and 360 degrees"
    return None
