"""Tables of any of the field's formats, read as streams of record batches.

A table is recognised by its content: Parquet, FITS, VOTable, ECSV, or else text with commas, tabs or semicolons. What
its columns mean is in the fields of its schema, whatever the format; see `Column.of`. `peculiar.writers` writes tables.
"""

import itertools
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from peculiar import astro
from peculiar.column import VOTABLE_CONTENT, Column
from peculiar.errors import DataError, NotFoundError, UnknownNameError, UsageError
from peculiar.formulas import without_marks

ID_COLUMNS = ("id", "id_str", "object_id", "objid", "dr7objid", "source_id", "iauname", "name")
"""What columns of identifiers are called, the usual first."""

RA_COLUMNS = ("ra", "raj2000", "ra_icrs", "right_ascension", "alpha_j2000", "ra_deg")
DEC_COLUMNS = ("dec", "dej2000", "de_icrs", "declination", "delta_j2000", "decj2000", "dec_deg", "decl")
"""What columns of positions in degrees are called, the usual first."""

MODEL_NOTE = "model digest"
"""Under which a catalogue says which model made it."""

BATCH_ROWS = 1024
"""Rows a batch at the most. Small, since a row may hold an encoded picture."""

WHOLE_BYTES = 1 << 30
"""Size up to which a file is read that can only be read whole: VOTable and ECSV, which take several times as much."""


# A first line that is longer is no header, or one whose first names tell enough.
_HEADER_BYTES = 1 << 16


def table_format(path: str | os.PathLike[str]) -> str | None:
    """Recognise a table by how its file begins.

    Returns
    -------
    {"parquet", "fits", "votable", "ecsv", "csv"} or None
        None for a file that is no text either.
    """
    with Path(path).open("rb") as file:
        head = file.read(1024)
    if head.startswith(b"PAR1"):
        return "parquet"
    if head.startswith(b"SIMPLE  ="):
        return "fits"
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith(b"<") and b"VOTABLE" in head:
        return "votable"
    if text.startswith(b"# %ECSV"):
        return "ecsv"
    printable = bool(text) and b"\0" not in head and not text.startswith(b"<")
    return "csv" if printable and _is_utf8(head) else None


def is_catalog(path: Path) -> bool:
    """Tell whether a Parquet file is a catalogue that a model made; a damaged one is not."""
    try:
        return MODEL_NOTE.encode() in (pyarrow.parquet.read_schema(path).metadata or {})
    except (pa.ArrowException, OSError):
        return False


def parts_below(folder: Path) -> list[Path]:
    """Return the Parquet files of a folder, in the order of their names."""
    return sorted(one for one in folder.glob("*.parquet") if one.is_file() and not one.name.startswith("."))


def is_table(path: Path) -> bool:
    """Tell whether a path is a table that `TableReader` takes, as far as its beginning shows."""
    return bool(parts_below(path)) if path.is_dir() else path.is_file() and table_format(path) is not None


def find_column(names: Sequence[str], columns: Sequence[str]) -> str | None:
    """Return the first of `names` that is a column, in whatever case it is written there."""
    lower = {column.lower(): column for column in reversed(columns)}
    return next((lower[name] for name in names if name in lower), None)


def entry_text(value: Any) -> str | None:
    """Return an entry as text, None where it is empty: bytes are read, and whole numbers have no decimals."""
    if value is None or value != value:  # only NaN differs from itself
        return None
    if isinstance(value, bytes):
        value = value.decode(errors="replace")
    elif isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value) or None


class TableReader:
    """A table that is read batch by batch.

    Parquet, CSV and the binary tables of FITS are streamed. VOTable and ECSV are read whole, since their readers know
    no other way; larger ones than `WHOLE_BYTES` are refused.

    Parameters
    ----------
    path : path-like
        A Parquet, CSV, ECSV, FITS or VOTable file, or a folder of Parquet files with the same columns.

    Attributes
    ----------
    columns : tuple of str
        Names of the columns, in the order of the file.
    schema : pyarrow.Schema
        What a column means is in its field's metadata (see `Column.of`), what is said of the whole in the schema's.

    Raises
    ------
    NotFoundError
        If there is nothing at `path`.
    UsageError
        If `path` is a folder without Parquet files.
    DataError
        If the file is no table, a damaged one, or too large to be read whole.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        if not self.path.exists():
            message = f"there is no table at {self.path}; give the path of a Parquet, CSV, ECSV, FITS or VOTable file"
            raise NotFoundError(message)
        self._parts = parts_below(self.path) if self.path.is_dir() else []
        if self.path.is_dir() and not self._parts:
            message = f"{self.path} is a folder without Parquet files, where a table is needed; give the path of one"
            raise UsageError(message)
        self.format = "parquet" if self._parts else table_format(path)
        self._whole: pa.Table | None = None
        self._binary: astro.BinaryTable | None = None
        if self.format is None:
            message = f"{self.path}: not a table that is known (Parquet, FITS, VOTable, or CSV or ECSV in UTF-8)"
            raise DataError(message)
        self.schema: pa.Schema
        if self._parts:
            self.schema = TableReader(self._parts[0]).schema
        elif self.format == "parquet":
            self.schema = self._guard(lambda: _described(pa.parquet.read_schema(self.path)))
        elif self.format == "csv":
            self.schema = self._guard(lambda: pa.csv.open_csv(self.path, parse_options=_parsing(self.path)).schema)
        else:
            if self.format == "fits":
                self._binary = self._guard(lambda: astro.open_fits(self.path))
            if self._binary is not None:
                self.schema = self._binary.schema
            else:
                self._check_size()
                self._whole = self._guard(lambda: astro.read_whole(self.path, str(self.format)))
                self.schema = self._whole.schema
        self.columns: tuple[str, ...] = tuple(self.schema.names)

    def __len__(self) -> int:
        """Return the number of rows."""
        if self._parts:
            return sum(len(TableReader(part)) for part in self._parts)
        if self.format == "parquet":
            return int(self._guard(lambda: pa.parquet.read_metadata(self.path).num_rows))
        if self._whole is not None:
            return int(self._whole.num_rows)
        if self._binary is not None:
            return self._binary.rows
        return sum(batch.num_rows for batch in self.batches(self.columns[:1]))

    def check_column(self, name: str) -> None:
        """Raise `UnknownNameError` unless there is a column of this name."""
        if name not in self.columns:
            raise UnknownNameError("column", name, self.columns, where=f"in {self.path.name}")

    def batches(
        self, columns: Sequence[str], start: int = 0, stop: int | None = None, *, rows: int = BATCH_ROWS
    ) -> Iterator[pa.RecordBatch]:
        """Yield some columns of the rows from `start` to before `stop`, at most `rows` at a time.

        The values of a CSV file are text (null where empty, or NA, NaN or null without quotes): an id of 0017 stays
        what it is.
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
                    f"{path}: its columns differ from those of {self._parts[0].name}, so that they are no parts of one "
                    "table; write them anew or apart"
                )
                raise DataError(message)
            end = begin + len(part)
            if end > start:
                last = None if stop is None else stop - begin
                yield from part.batches(columns, max(start - begin, 0), last, rows=rows)
            begin = end

    def group_ends(self) -> list[int]:
        """Return the rows at which the pieces end that the file is written in: the row groups of Parquet."""
        if self.format != "parquet":
            return [len(self)]
        metadata = self._guard(lambda: pa.parquet.read_metadata(self.path))
        return list(
            itertools.accumulate(metadata.row_group(number).num_rows for number in range(metadata.num_row_groups))
        )

    def _groups(self, start: int, stop: int | None) -> tuple[list[int] | None, int]:
        """Return which row groups of a Parquet file hold some rows, and the row at which the first of them begins."""
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
        """Return a stream of rows that holds some of them, and the row at which it begins."""
        if self._whole is not None:
            return iter(self._whole.select(columns).to_batches()), 0
        if self._binary is not None:
            return (batch.select(columns) for batch in self._binary.batches(start)), start
        if self.format == "parquet":
            groups, begin = self._groups(start, stop)
            # Buffering ahead would hold every row group that has been read until the end.
            file = self._guard(lambda: pa.parquet.ParquetFile(self.path, pre_buffer=False))
            return file.iter_batches(batch_size=rows, row_groups=groups, columns=columns), begin
        options = pa.csv.ConvertOptions(
            include_columns=columns,
            column_types=dict.fromkeys(columns, pa.string()),
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        )
        source = self._guard(
            lambda: pa.csv.open_csv(self.path, parse_options=_parsing(self.path), convert_options=options)
        )
        return (_without_empty(batch) for batch in source), 0

    def _check_size(self) -> None:
        size = self.path.stat().st_size
        if size > WHOLE_BYTES:
            message = (
                f"{self.path}: has {size / 1e9:.1f} GB; {str(self.format).upper()} tables of more than "
                f"{WHOLE_BYTES / 1e9:.1f} GB are not read, since they would have to be held in memory. Convert it with "
                f"TOPCAT's command line: stilts tcopy in={self.path.name} ifmt={self.format} "
                f"out={self.path.with_suffix('.fits').name} ofmt=fits-basic"
            )
            raise DataError(message)

    def _guard(self, read: Any) -> Any:
        """Call `read`, and turn what a reader says of a damaged file into a `DataError` that names it."""
        try:
            return read()
        except Exception as error:  # the readers of five formats raise whatever came first
            message = (
                f"{self.path}: cannot be read as {self.format} ({error}); it is damaged, cut short or of another kind"
            )
            raise DataError(message) from error


def _described(schema: pa.Schema) -> pa.Schema:
    """Return a schema whose columns know what TOPCAT says of them in a VOTable, unless they say it themselves."""
    content = (schema.metadata or {}).get(VOTABLE_CONTENT.encode())
    if content is None or any(Column.of(field).field().metadata for field in schema):
        return schema
    known = {field.name: field for field in astro.read_fields(content)}
    fields = [known[field.name].with_type(field.type) if field.name in known else field for field in schema]
    return pa.schema(fields, metadata=schema.metadata)


def _next_valid(source: Iterator[pa.RecordBatch]) -> pa.RecordBatch | None:
    batch = next(source, None)
    if batch is not None:
        batch.validate(full=True)  # text of a damaged Parquet file may be no UTF-8
    return batch


def _parsing(path: Path) -> pa.csv.ParseOptions:
    """Tell what parts the cells of a text table: tabs or semicolons, where its first line has them and no commas."""
    with path.open("rb") as file:
        header = re.sub(rb'"[^"]*"', b"", file.readline(_HEADER_BYTES))
    found = (sign for sign in ",\t;" if sign.encode() in header)
    return pa.csv.ParseOptions(delimiter=next(found, ","), newlines_in_values=True)


def _without_empty(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return text with null for what is empty: an empty cell between quotes is not told from one without."""
    arrays = [without_marks(pc.if_else(pc.equal(array, ""), None, array)) for array in batch.columns]
    return pa.RecordBatch.from_arrays(arrays, names=batch.schema.names)


def _is_utf8(head: bytes) -> bool:
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        # The end of the sample may cut a character in two.
        return error.start >= len(head) - 3 and len(head) == 1024
    return True
