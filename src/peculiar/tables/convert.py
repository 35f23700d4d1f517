"""Convert a table to another format, with the meanings of its columns; sort it by position."""

import itertools
import os
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from peculiar.errors import PeculiarWarning, UsageError
from peculiar.files.places import place
from peculiar.files.writing import check_apart, writing, writing_folder
from peculiar.tables.column import Column, notes_of
from peculiar.tables.healpix import HEALPIX, healpix_29
from peculiar.tables.reader import MANY_ROWS, TableReader
from peculiar.tables.sky import Sky, find_sky
from peculiar.tables.typed import kinds, of_text
from peculiar.tables.writers import format_to_write, hats, write_table
from peculiar.tables.writers.stream import Spool, schema_of, spool

SHARE_BYTES = 1 << 26
"""Bytes of rows that are sorted at a time."""

_MOST_SHARES = 512
_SAMPLE = 1_000_000


@dataclass(frozen=True, slots=True)
class Converted:
    """The result of a conversion.

    Parameters
    ----------
    path : path
    rows : int
        Rows read.
    left_out : int
        Rows without a position, which a HATS catalogue cannot hold.
    """

    path: Path
    rows: int
    left_out: int = 0


def convert(
    table: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    columns: Sequence[str] | None = None,
    sort: bool = False,
    as_hats: bool = False,
    ra: str | None = None,
    dec: str | None = None,
    name: str | None = None,
    progress: Callable[[int], object] = lambda done: None,
) -> Converted:
    """Write a table in another format, keeping names, units, meanings, descriptions, nulls and notes.

    What a format cannot hold is lost: see docs/catalog.md.

    Parameters
    ----------
    table : path-like
        Parquet, CSV, FITS, VOTable or ECSV, recognised by its content; or a folder of Parquet parts. The columns of
        CSV get the types that all of their values have; one called ``id`` is text.
    out : path-like
        The suffix decides the format: ``.parquet``, ``.csv``, ``.fits``, ``.vot``, ``.xml`` or ``.ecsv``.
    columns : sequence of str, optional
        Only these columns, in this order; default: all.
    sort : bool
        Sort by ``_healpix_29``, rows without a position last; on disk if necessary. If the column is missing, it is
        computed from columns of positions, in any unit of angles.
    as_hats : bool
        Write a HATS catalogue, sorted, into the folder `out`, which has to be new or empty. Positions are written in
        degrees.
    ra, dec : str, optional
        The columns of positions; default: those with the usual names.
    name : str, optional
        Name of a table in a FITS or VOTable file with several, or its number from 1 on; default: the first.
    progress : callable
        Called with the number of rows read since the last call.

    Returns
    -------
    Converted

    Raises
    ------
    NotFoundError, DataError
        If the table does not exist or cannot be read, or if the positions to sort by are not in a unit of angles.
    UsageError
        If the suffix of `out` is unknown, the format cannot hold a column, several columns have the same name, there is
        nothing to sort by, or the folder is not empty.
    UnknownNameError
        If there is no such column.

    Examples
    --------
    >>> import peculiar
    >>> peculiar.convert("galaxies.parquet", "galaxies.fits", columns=["id", "ra", "dec", "class"]).rows
    60
    """
    out = place(out)
    format = "hats" if as_hats else format_to_write(out)
    check_apart(out, place(table))
    rows = _Rows(TableReader(table, name), columns, progress)
    if sort or as_hats:
        rows.add_cells(ra, dec, in_degrees=as_hats)
    notes = notes_of(rows.reader.schema)
    if not as_hats:
        with writing(out) as temporary:
            batches = _sorted(rows, out.parent) if sort else rows.batches()
            write_table(temporary, format, rows.columns, batches, notes)
        if not rows.count:
            warnings.warn(f"{table} holds no rows; {out} has columns alone", PeculiarWarning, stacklevel=2)
        return Converted(out, rows.count)
    with writing_folder(out) as folder:
        batches, position = _sorted(rows, out.parent), rows.position()
        left_out = hats.write(folder, rows.columns, batches, notes, name=out.stem, position=position)
    return Converted(out, rows.count, left_out)


class _Rows:
    """The rows of a table, prepared for writing.

    Parameters
    ----------
    reader : TableReader
    names : sequence of str or None
        The columns to write; None for all.
    progress : callable
    """

    def __init__(self, reader: TableReader, names: Sequence[str] | None, progress: Callable[[int], object]) -> None:
        self.reader, self._progress, self.count = reader, progress, 0
        self._names = list(names or reader.columns)
        twice = [name for name, count in Counter(self._names).items() if count > 1]
        if twice:
            message = (
                f"{reader.path}: several columns have the name {', '.join(map(repr, twice))}; give each a name of its "
                "own, or select the others with --column"
            )
            raise UsageError(message)
        for name in self._names:
            reader.check_column(name)
        fields = [reader.schema.field(name) for name in self._names]
        types = (
            kinds(reader.batches(self._names), self._names)
            if reader.format == "csv"
            else [field.type for field in fields]
        )
        self.columns = [Column.of(field.with_type(kind)) for field, kind in zip(fields, types, strict=True)]
        self._cells_at: int | None = None
        self._sky: Sky | None = None
        self._in_degrees = False

    def position(self) -> tuple[str, str]:
        """Return the names of the columns with right ascension and declination."""
        if self._sky is None or not {*self._sky.names} <= {*self._names}:
            message = (
                f"{self.reader.path}: there is nothing to sort by: neither {HEALPIX.name}, nor columns of positions, "
                f"such as ra and dec; there are: {', '.join(column.name for column in self.columns)}"
            )
            raise UsageError(message)
        return self._sky.names

    def add_cells(self, ra: str | None, dec: str | None, *, in_degrees: bool) -> None:
        """Add the column of cells after the declination.

        Parameters
        ----------
        ra, dec : str or None
            The columns of positions.
        in_degrees : bool
            Write positions in degrees.
        """
        # During sorting, rows are in a file that has one dictionary for all values of a column, or none.
        self.columns = [replace(one, type=_without_dictionary(one.type)) for one in self.columns]
        there = HEALPIX.name in self._names
        if in_degrees or not there:
            self._sky, self._in_degrees = find_sky(self.reader, ra, dec), in_degrees
        for position in self.position() if in_degrees else ():
            at = self._names.index(position)
            self.columns[at] = replace(self.columns[at], type=pa.float64(), unit="deg")
        if not there:
            self._cells_at = self._names.index(self.position()[1]) + 1
            self.columns.insert(self._cells_at, HEALPIX)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows."""
        for batch in self.reader.batches(self._names, rows=MANY_ROWS):
            arrays = list(batch.columns)
            degrees = None if self._sky is None else self._sky.read(batch)
            if degrees is not None and self._in_degrees:
                for name, values in zip(self.position(), degrees, strict=True):
                    arrays[self._names.index(name)] = pa.array(values, from_pandas=True)
            if degrees is not None and self._cells_at is not None:
                cells = healpix_29(*degrees)
                arrays.insert(self._cells_at, pa.array(cells, mask=cells < 0))
            arrays = [_as_type(array, column.type) for array, column in zip(arrays, self.columns, strict=True)]
            yield pa.RecordBatch.from_arrays(arrays, schema=pa.schema([column.field() for column in self.columns]))
            self.count += batch.num_rows
            self._progress(batch.num_rows)


def _as_type(array: pa.Array, kind: pa.DataType) -> pa.Array:
    return of_text(array, kind) if pa.types.is_string(array.type) else array.cast(kind)


def _sorted(rows: _Rows, folder: Path) -> Iterator[pa.RecordBatch]:
    """Yield rows sorted by cell; rows of one cell keep their order, rows without a cell come last.

    Rows are distributed to parts of the sky of about `SHARE_BYTES`, in a file of the folder, and each part is then
    sorted.
    """
    schema = schema_of(rows.columns)
    with spool(folder, schema, rows.batches()) as kept, tempfile.TemporaryFile(dir=folder) as file:
        ends = _ends(kept)
        pieces: list[list[int]] = [[] for _ in range(len(ends) + 1)]
        numbers = itertools.count()
        with pa.ipc.new_file(pa.PythonFile(file, "w"), schema) as writer:
            for batch in kept.batches():
                shares = np.searchsorted(ends, _cells(batch), side="right")
                for share in np.unique(shares):
                    writer.write_batch(batch.filter(pa.array(shares == share)))
                    pieces[share].append(next(numbers))
        file.seek(0)
        reader = pa.ipc.open_file(pa.PythonFile(file, "r"))
        for share in filter(None, pieces):
            batches = [reader.get_batch(number) for number in share]
            order = np.argsort(np.concatenate([_cells(batch) for batch in batches]), kind="stable")
            yield from pa.Table.from_batches(batches).take(order).to_batches()


def _cells(batch: pa.RecordBatch) -> NDArray[np.int64]:
    """Return the cells of rows; for rows without a cell, a number above all cells."""
    return np.asarray(batch.column(HEALPIX.name).cast(pa.int64()).fill_null(np.iinfo(np.int64).max).to_numpy())


def _ends(kept: Spool) -> NDArray[np.int64]:
    """Return the cells at which the parts of the sky end, from a sample of the rows."""
    step = max(1, kept.rows // _SAMPLE)
    size, sample = 0, [np.empty(0, np.int64)]
    for batch in kept.batches():
        size += batch.nbytes
        sample.append(_cells(batch)[::step])
    cells = np.sort(np.concatenate(sample))
    count = min(size // SHARE_BYTES + 1, _MOST_SHARES)
    return np.unique(cells[[len(cells) * number // count for number in range(1, count)]])


def _without_dictionary(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind
