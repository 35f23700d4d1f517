"""Read tables of every format as streams of record batches.

`peculiar.tables.formats` recognises the format, and `peculiar.tables.writers` writes tables. The meanings of columns
are in the fields of the schema, whatever the format; see `Column.of`.
"""

import io
import itertools
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

from peculiar.errors import DataError, PeculiarError, PeculiarWarning, UnknownNameError, UsageError
from peculiar.files.places import arrow_file, fetched, place
from peculiar.tables import astropy_io
from peculiar.tables.byte_streams import open_unpacked, packed
from peculiar.tables.column import Column
from peculiar.tables.delimited import Delimited, not_utf8, read_layout
from peculiar.tables.formats import check_file, parts_below, table_format, why_no_table
from peculiar.tables.json_lines import read_lines
from peculiar.tables.key_columns import find_id
from peculiar.tables.parquet import check_footer, described_schema, fitting_rows
from peculiar.tables.quantity import same_unit
from peculiar.text import reason

BATCH_ROWS = 1024
"""Maximum number of rows per batch. Small, because a row may hold an encoded picture."""

MANY_ROWS = 1 << 14
"""The same, for columns of numbers and text."""

_BUFFER_BYTES = 1 << 20
"""Bytes of a column of a Parquet file that are read at a time."""

_EXACT = 2.0**53
"""Integers up to here are exact as floats of 64 bits."""

_ROUNDED = r"^\s*[0-9](\.[0-9]+[eE]\+?|[eE]\+)[0-9]{2}\s*$"
"""Long integers as spreadsheets write them."""

WHOLE_BYTES = 1 << 30
"""Maximum size of a file that can only be read whole, which takes several times as much memory."""


class TableReader:
    """A table that is read batch by batch.

    Parquet, text and binary tables of FITS are streamed. VOTable, ECSV, JSON lines, the tables of IPAC and of journals
    (MRT), and FITS that is compressed or has lists of variable length are read whole, because their types or readers
    need it; files larger than `WHOLE_BYTES` are refused.

    Parameters
    ----------
    path : path-like
        A Parquet, CSV, ECSV, FITS, VOTable or JSON lines file; a folder of Parquet files with the same columns, or of a
        HATS catalogue. All but Parquet may be compressed by gzip.
    table : str, optional
        Name of a table in a FITS or VOTable file with several, or its number from 1 on. Default: the first, with a
        warning.
    called : path, optional
        Path that messages name, for a copy of another file.

    Attributes
    ----------
    columns : tuple of str
        Names of the columns, in the order of the file.
    schema : pyarrow.Schema
        Meanings of columns are in the metadata of the fields (see `Column.of`), notes in the metadata of the schema.

    Raises
    ------
    NotFoundError
        If there is nothing at `path`.
    UsageError
        If `path` is a folder without Parquet files.
    UnknownNameError
        If there is no such table in the file.
    DataError
        If the file is not a table, is damaged, or is too large to be read whole.
    """

    def __init__(self, path: str | os.PathLike[str], table: str | None = None, *, called: Path | None = None) -> None:
        file = place(path)
        check_file(file)
        self.path, self._file = called or file, file.absolute()
        self._parts = parts_below(file) if file.is_dir() else []
        if file.is_dir() and not self._parts:
            message = f"{self.path} is a folder without Parquet files, where a table is needed; give the path of one"
            raise UsageError(message)
        self.format = "parquet" if self._parts else table_format(path)
        if self.format is None:
            message = f"{self.path}: {why_no_table(file)}"
            raise DataError(message)
        if table is not None and self.format not in ("fits", "votable"):
            message = f"{self.path}: is one table, of the format {self.format}; leave out --table"
            raise UsageError(message)
        self._text: Delimited | None = None
        self._whole: pa.Table | None = None
        self._binary: astropy_io.BinaryTable | None = None
        self._count: int | None = None
        self.schema: pa.Schema
        if self._parts:
            self.schema = TableReader(self._parts[0]).schema
        elif self.format == "parquet":
            self.schema = self._guard(lambda: described_schema(self._footer().schema.to_arrow_schema(), self._file))
            self._guard(lambda: check_footer(self._footer(), self._file))
        elif self.format == "csv":
            self._text = text = self._guard(lambda: read_layout(self._file, self.path))
            self.schema = pa.schema([column.field() for column in text.columns])
        elif self.format == "jsonl":
            self._check_size()
            self._whole = whole = self._guard(self._lines)
            self.schema = whole.schema
        else:
            self._open_astro(table)
        self.columns: tuple[str, ...] = tuple(self.schema.names)

    @classmethod
    def of(cls, table: pa.Table, name: str) -> "TableReader":
        """Return a reader of a table in memory; its name takes the place of a path in messages."""
        new = cls.__new__(cls)
        new.path = new._file = Path(name)
        new._parts, new._text, new._binary, new._count = [], None, None, None
        new.format, new._whole, new.schema = "arrow", table, table.schema
        new.columns = tuple(table.schema.names)
        return new

    def _open_astro(self, table: str | None) -> None:
        if self.format == "fits":
            self._binary = self._guard(lambda: astropy_io.open_fits(fetched(self._file), table))
        if self._binary is not None:
            self.schema = self._binary.schema
            return
        self._check_size()
        self._whole = self._guard(lambda: astropy_io.read_whole(self._content(), str(self.format), table))
        self.schema = self._whole.schema

    def _footer(self) -> Any:
        """Return the metadata of a Parquet file, as it is now."""
        return pa.parquet.read_metadata(arrow_file(self._file))

    def _lines(self) -> pa.Table:
        with open_unpacked(self._file) as file:
            return read_lines(file)

    def _content(self) -> Path | io.BytesIO:
        """Return the file, or its decompressed content, up to a limit of memory."""
        with self._file.open("rb") as file:
            if not packed(file.read(6)):
                return fetched(self._file)  # astropy would open the address of a store by itself
        with open_unpacked(self._file) as unpacked:
            return io.BytesIO(unpacked.read())

    def __len__(self) -> int:
        """Return the number of rows."""
        if self._count is None:
            self._count = self._counted()
        return self._count

    def _counted(self) -> int:
        if self._parts:
            return sum(len(TableReader(part)) for part in self._parts)
        if self.format == "parquet":
            return int(self._guard(self._footer).num_rows)
        if self._whole is not None:
            return int(self._whole.num_rows)
        if self._binary is not None:
            return self._binary.rows
        # Not `batches`, which would refuse a first column with a repeated name.
        source, count = self._text.batches(self.columns[:1]) if self._text else iter(()), 0
        while (batch := self._guard(lambda: _next_valid(source))) is not None:
            count += batch.num_rows
        return count

    def check_column(self, name: str) -> None:
        """Raise an error unless there is a column of this name, and only one.

        Raises
        ------
        UnknownNameError
            If there is none.
        DataError
            If there are several.
        """
        if name not in self.columns:
            raise UnknownNameError("column", name, self.columns, where=f"in {self.path.name}")
        if self.columns.count(name) > 1:
            message = f"{self.path}: several columns have the name {name!r}; rename them"
            raise DataError(message)

    def id_column(self, given: str | None = None) -> str:
        """Return the column of ids: `given` if it is here, otherwise the first with a usual name or UCD.

        A name may be given that belongs to another table of the same command.

        Raises
        ------
        UnknownNameError
            If there is no such column.

        Warns
        -----
        PeculiarWarning
            If its ids were rounded.
        """
        name = find_id(self.schema, given if given in self.columns else None) or given or "id"
        self.check_column(name)
        self.warn_of_lost_digits(name)
        return name

    def warn_of_lost_digits(self, column: str) -> None:
        """Warn of ids that were rounded: floats beyond 2^53, or text such as 1.2376e+18; the first rows tell."""
        batch = next(self.batches([column]), None)
        if batch is None:
            return
        array, type = batch.column(0), batch.schema.types[0]
        if pa.types.is_floating(type):
            lost = pc.greater_equal(pc.abs(array.cast(pa.float64())), _EXACT)
        elif pa.types.is_string(type) or pa.types.is_large_string(type):
            lost = pc.match_substring_regex(array, _ROUNDED)
        else:
            return
        if first := array.filter(lost, null_selection_behavior="drop")[:1].to_pylist():
            message = (
                f"{self.path}: the ids in {column!r} were rounded (such as {first[0]!r}), so joins by id may fail or "
                "confuse galaxies; write them as integers or as text, not as floating-point numbers"
            )
            warnings.warn(message, PeculiarWarning, stacklevel=3)

    def batches(
        self, columns: Sequence[str], start: int = 0, stop: int | None = None, *, rows: int = BATCH_ROWS
    ) -> Iterator[pa.RecordBatch]:
        """Yield some columns of the rows from `start` to before `stop`, at most `rows` at a time.

        The values of a CSV file are text (null if empty, or NA, NaN or null without quotes), so that an id such as 0017
        is kept.
        """
        for name in columns:
            self.check_column(name)
        if self._parts:
            yield from self._batches_of_parts(columns, start, stop, rows)
            return
        source, row = self._open(list(columns), start, stop, rows)
        while (stop is None or row < stop) and (batch := self._guard(lambda: _next_valid(source))) is not None:
            first, last = max(start - row, 0), batch.num_rows if stop is None else min(stop - row, batch.num_rows)
            yield from (batch.slice(begin, min(rows, last - begin)) for begin in range(first, last, rows))
            row += batch.num_rows

    def _batches_of_parts(
        self, columns: Sequence[str], start: int, stop: int | None, rows: int
    ) -> Iterator[pa.RecordBatch]:
        begin = 0
        for path in self._parts:
            if stop is not None and begin >= stop:
                return
            part = TableReader(path)
            if not part.schema.equals(self.schema):
                message = (
                    f"{path}: its columns differ from those of {self._parts[0].name}, so they are not parts of one "
                    "table; rewrite them, or give them separately"
                )
                raise DataError(message)
            for name in columns:
                its, own = (Column.of(schema.field(name)) for schema in (part.schema, self.schema))
                if not same_unit(its, own):
                    message = (
                        f"{path}: {name} is in {its.unit or 'no unit'}, but in {own.unit or 'no unit'} in "
                        f"{self._parts[0].name}, so they are not parts of one table; write both in the same unit"
                    )
                    raise DataError(message)
            end = begin + len(part)
            if end > start:
                last = None if stop is None else stop - begin
                yield from part.batches(columns, max(start - begin, 0), last, rows=rows)
            begin = end

    def group_ends(self) -> list[int]:
        """Return the rows at which the pieces of the file end: the row groups of Parquet."""
        if self.format != "parquet":
            return [len(self)]
        metadata = self._guard(self._footer)
        return list(
            itertools.accumulate(metadata.row_group(number).num_rows for number in range(metadata.num_row_groups))
        )

    def _groups(self, start: int, stop: int | None) -> tuple[list[int] | None, int]:
        """Return the row groups of a Parquet file that hold a range of rows, and the first row of these groups."""
        if self.format != "parquet" or (start == 0 and stop is None):
            return None, 0
        ends = self.group_ends()
        begins = [0, *ends][: len(ends)]
        groups = [
            number
            for number, (begin, end) in enumerate(zip(begins, ends, strict=True))
            if end > start and (stop is None or begin < stop)
        ]
        return groups, begins[groups[0]] if groups else 0

    def column(self, name: str) -> list[Any]:
        """Read one column whole, as Python values; nulls are None."""
        return [value for batch in self.batches([name]) for value in batch.column(0).to_pylist()]

    def _open(
        self, columns: list[str], start: int, stop: int | None, rows: int
    ) -> tuple[Iterator[pa.RecordBatch], int]:
        """Return a stream that contains a range of rows, and its first row."""
        if self._whole is not None:
            return iter(self._whole.select(columns).to_batches()), 0
        if self._binary is not None:
            return (batch.select(columns) for batch in self._binary.batches(start)), start
        if self._text is not None:
            return self._text.batches(columns), 0
        groups, begin = self._groups(start, stop)
        # Pre-buffering would keep every row group in memory until the end; without a buffer, one would be read whole.
        options = {"pre_buffer": False, "buffer_size": _BUFFER_BYTES}
        file = self._guard(lambda: pa.parquet.ParquetFile(arrow_file(self._file), **options))
        size = self._guard(lambda: fitting_rows(file.metadata, columns, rows))
        return file.iter_batches(batch_size=size, row_groups=groups, columns=columns), begin

    def _check_size(self) -> None:
        size = self._file.stat().st_size
        if size > WHOLE_BYTES:
            out = self.path.with_suffix(".fits").name
            way = (
                f"with TOPCAT's command line: stilts tcopy in={self.path.name} ifmt={self.format} "
                f"out={f'basic_{out}' if self.format == 'fits' else out} ofmt=fits-basic"
            )
            message = (
                f"{self.path}: has {size / 1e9:.1f} GB; {str(self.format).upper()} tables of more than "
                f"{WHOLE_BYTES / 1e9:.1f} GB are not read, because they would have to be held in memory. Convert it "
                f"{'to Parquet' if self.format == 'jsonl' else way}"
            )
            raise DataError(message)

    def _guard(self, read: Callable[[], Any]) -> Any:
        """Call `read`, and turn errors of a reader into a `DataError` that names the file."""
        try:
            return read()
        except PeculiarError as error:
            if isinstance(error, DataError) and str(self.path) not in str(error):
                raise DataError(f"{self.path}: {error}") from error
            raise
        except Exception as error:  # the readers of five formats raise various exceptions
            if self.format == "csv" and "invalid UTF8" in str(error):
                raise not_utf8(self.path) from error
            message = (
                f"{self.path}: cannot be read as {self.format} ({reason(error)}); it is damaged, cut short or of "
                "another kind"
            )
            raise DataError(message) from error


def as_table(table: Path | TableReader) -> TableReader:
    """Return a table, which is opened if its path is given."""
    return table if isinstance(table, TableReader) else TableReader(table)


def _next_valid(source: Iterator[pa.RecordBatch]) -> pa.RecordBatch | None:
    batch = next(source, None)
    if batch is not None:
        batch.validate(full=True)  # text in a damaged Parquet file may not be UTF-8
    return batch
