"""Positions on the sky from a table, checked before use."""

import hashlib
import itertools
import os
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from peculiar.errors import DataError, NotFoundError
from peculiar.files.places import place
from peculiar.tables.formats import parts_below
from peculiar.tables.identifiers import entry_text, type_of_ids, warn_of_no_ids
from peculiar.tables.key_columns import FOUND, Keys, find_id
from peculiar.tables.reader import TableReader
from peculiar.tables.sky import need_sky, position_fault
from peculiar.text import counted


@dataclass(frozen=True, slots=True)
class Position:
    """A row of a table of positions: its number from 0 on, its id, right ascension and declination in degrees."""

    row: int
    id: str
    ra: float
    dec: float


class Positions:
    """The positions of a table, checked, and read again in constant memory in each pass.

    Parameters
    ----------
    path : path-like
        A table with the columns ``ra`` and ``dec`` (ICRS, in degrees unless they state another unit), and preferably
        one of ids.
    keys : Keys
        The columns of ids and positions.

    Raises
    ------
    NotFoundError
        If there is no such file.
    UnknownNameError
        If there is no column with a given name.
    DataError
        If it is not a table, has no columns of positions, their unit is not an angle, a position is not on the sky, or
        an id occurs twice; the message names the rows.

    Warns
    -----
    PeculiarWarning
        If no column of ids is recognised in the table.
    """

    def __init__(self, path: str | os.PathLike[str], keys: Keys = FOUND) -> None:
        self.path = place(path)
        if not self.path.exists() or (self.path.is_dir() and not parts_below(self.path)):
            raise NotFoundError(f"there is no file {path}; give a table with the columns ra and dec (--catalog)")
        self._reader = TableReader(self.path)
        self._sky = need_sky(self._reader, keys.ra, keys.dec)
        self._id = find_id(self._reader.schema, keys.id)
        if self._id is None:
            warn_of_no_ids(self._reader, self._sky.names)
        else:
            self._reader.check_column(self._id)
            self._reader.warn_of_lost_digits(self._id)
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
        for row, id_, (ra, dec), _ in self._rows():
            yield Position(row, id_, ra if ra >= 0 else ra + 360, dec)

    def _rows(self) -> Iterator[tuple[int, str, tuple[float, float], tuple[Any, Any]]]:
        """Yield the number of each row, its id, its position in degrees, and the values in the table."""
        row = 0
        names = self._sky.names
        for batch in self._reader.batches(list(dict.fromkeys([*names, *([self._id] if self._id else [])]))):
            degrees = self._sky.read(batch).T.tolist()
            written = zip(*(batch.column(name).to_pylist() for name in names), strict=True)
            ids = batch.column(self._id).to_pylist() if self._id else [None] * batch.num_rows
            for id_, (ra, dec), told in zip(ids, degrees, written, strict=True):
                yield row, entry_text(id_) or f"{self.path.stem}-{row}", (ra, dec), told
                row += 1

    def _check(self) -> int:
        """Return the number of rows; eight bytes of each id are kept, to find repeated ids."""
        faults: list[str] = []
        count = bad = 0
        digests = array("Q")
        for row, id_, degrees, written in self._rows():
            count += 1
            digests.append(_short_digest(id_))
            if fault := position_fault(degrees, written):
                bad += 1
                if len(faults) < 10:
                    faults.append(f"row {row} ({id_}): {fault}")
        if bad:
            more = f"\n  and {bad - len(faults):,} more" if bad > len(faults) else ""
            listed = "\n  ".join(faults)
            message = (
                f"{self.path}: positions that are not on the sky: {bad:,} of {count:,}, so nothing was downloaded; "
                f"correct or remove these rows (counted from 0):\n  {listed}{more}"
            )
            raise DataError(message)
        self._check_ids(digests)
        return count

    def _check_ids(self, digests: "array[int]") -> None:
        values, counts = np.unique(np.frombuffer(digests, dtype=np.uint64), return_counts=True)
        twice = {int(value) for value in values[counts > 1]}
        if not twice:
            return
        rows = (f"row {row} ({id_})" for row, id_, _, _ in self._rows() if _short_digest(id_) in twice)
        message = (
            f"{self.path}: {counted(len(twice), 'id', 'occur', 'occurs')} more than once, so nothing was downloaded; "
            f"each galaxy needs an id of its own. Rows, counted from 0: {', '.join(itertools.islice(rows, 10))}"
        )
        raise DataError(message)


def _short_digest(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")
