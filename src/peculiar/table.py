"""Tables of any of the field's formats, in and out, as streams of record batches.

A table is recognised by its content: Parquet, FITS, VOTable, ECSV, or else comma-separated text. It is written in the
format that its name ends with.
"""

import itertools
import json
import os
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from peculiar.errors import DataError, UnknownNameError, UsageError

if TYPE_CHECKING:
    from astropy.table import Table as AstropyTable

ID_COLUMNS = ("id", "id_str", "object_id", "objid", "dr7objid", "source_id", "iauname", "name")
"""What columns of identifiers are called, the usual first."""

BATCH_ROWS = 1024
"""Rows a batch at the most. Small, since a row may hold an encoded picture."""


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


def find_column(names: Sequence[str], columns: Sequence[str]) -> str | None:
    """Return the first of `names` that is a column, in whatever case it is written there."""
    lower = {column.lower(): column for column in reversed(columns)}
    return next((lower[name] for name in names if name in lower), None)


class TableReader:
    """A table that is read batch by batch.

    Parquet and CSV are streamed; the other formats are read whole, since their readers know no other way.

    Parameters
    ----------
    path : path-like
        A Parquet, CSV, ECSV, FITS or VOTable file.

    Attributes
    ----------
    columns : tuple of str
        Names of the columns, in the order of the file.
    schema : pyarrow.Schema
        With the file's own metadata.

    Raises
    ------
    DataError
        If the file is no table, or a damaged one.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.format = table_format(path)
        self._whole: pa.Table | None = None
        if self.format is None:
            message = f"{self.path}: not a table that is known (Parquet, FITS, VOTable, or CSV or ECSV in UTF-8)"
            raise DataError(message)
        if self.format == "parquet":
            self.schema = self._guard(lambda: pa.parquet.read_schema(self.path))
        elif self.format == "csv":
            self.schema = self._guard(lambda: pa.csv.open_csv(self.path).schema)
        else:
            self._whole = self._guard(lambda: _read_with_astropy(self.path, str(self.format)))
            self.schema = self._whole.schema
        self.columns: tuple[str, ...] = tuple(self.schema.names)

    def __len__(self) -> int:
        """Return the number of rows."""
        if self.format == "parquet":
            return int(self._guard(lambda: pa.parquet.read_metadata(self.path).num_rows))
        if self._whole is not None:
            return int(self._whole.num_rows)
        return sum(batch.num_rows for batch in self.batches(self.columns[:1]))

    def check_column(self, name: str) -> None:
        """Raise `UnknownNameError` unless there is a column of this name."""
        if name not in self.columns:
            raise UnknownNameError("column", name, self.columns, where=f"in {self.path.name}")

    def batches(self, columns: Sequence[str], start: int = 0, stop: int | None = None) -> Iterator[pa.RecordBatch]:
        """Yield some columns of the rows from `start` to before `stop`, at most `BATCH_ROWS` at a time.

        The values of a CSV file are text (null where empty, or NA, NaN or null): an id of 0017 stays what it is.
        """
        for name in columns:
            self.check_column(name)
        groups, row = self._groups(start, stop)
        source = self._open(columns, groups)
        while (stop is None or row < stop) and (batch := self._guard(lambda: _next_valid(source))) is not None:
            first, last = max(start - row, 0), batch.num_rows if stop is None else min(stop - row, batch.num_rows)
            yield from (batch.slice(begin, min(BATCH_ROWS, last - begin)) for begin in range(first, last, BATCH_ROWS))
            row += batch.num_rows

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
        begins = [0, *ends[:-1]]
        groups = [
            number
            for number, (begin, end) in enumerate(zip(begins, ends, strict=True))
            if end > start and (stop is None or begin < stop)
        ]
        return groups, begins[groups[0]] if groups else 0

    def column(self, name: str) -> list[Any]:
        """Read one column whole, as Python values; nulls are None."""
        return [value for batch in self.batches([name]) for value in batch.column(0).to_pylist()]

    def _open(self, columns: Sequence[str], groups: list[int] | None) -> Iterator[pa.RecordBatch]:
        if self._whole is not None:
            return iter(self._whole.select(columns).to_batches())
        if self.format == "parquet":
            file = self._guard(lambda: pa.parquet.ParquetFile(self.path))
            return iter(file.iter_batches(batch_size=BATCH_ROWS, row_groups=groups, columns=list(columns)))
        options = pa.csv.ConvertOptions(
            include_columns=list(columns), column_types=dict.fromkeys(columns, pa.string()), strings_can_be_null=True
        )
        return iter(self._guard(lambda: pa.csv.open_csv(self.path, convert_options=options)))

    def _guard(self, read: Any) -> Any:
        """Call `read`, and turn what a reader says of a damaged file into a `DataError` that names it."""
        try:
            return read()
        except Exception as error:  # the readers of five formats raise whatever came first
            message = f"{self.path}: cannot be read as {self.format} ({error}); fetch or write it again"
            raise DataError(message) from error


def _next_valid(source: Iterator[pa.RecordBatch]) -> pa.RecordBatch | None:
    batch = next(source, None)
    if batch is not None:
        batch.validate(full=True)  # text of a damaged Parquet file may be no UTF-8
    return batch


def _is_utf8(head: bytes) -> bool:
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        # The end of the sample may cut a character in two.
        return error.start >= len(head) - 3 and len(head) == 1024
    return True


def _read_with_astropy(path: Path, format: str) -> pa.Table:
    # astropy takes a third of a second to import, which a Parquet user need not wait for.
    from astropy.table import Table
    from astropy.table.serialize import represent_mixins_as_columns
    from astropy.utils.exceptions import AstropyWarning

    with warnings.catch_warnings():
        # Units or UCDs that a catalogue misspells are of no concern to a reader of its values.
        warnings.simplefilter("ignore", AstropyWarning)
        match format:
            case "ecsv":
                table = Table.read(path, format="ascii.ecsv")
            case "votable":  # by default the columns would be called by their ids in the XML
                table = Table.read(path, format="votable", use_names_over_ids=True)
            case _:
                table = Table.read(path, format=format)
    # Times and sky coordinates become the plain columns that they are made of.
    return _to_arrow(represent_mixins_as_columns(table))


def _to_arrow(table: "AstropyTable") -> pa.Table:
    columns = {}
    for name in table.colnames:
        column = table[name]
        values = column.tolist()  # masked entries become None
        if column.dtype.kind == "S":
            values = [value.decode() if isinstance(value, bytes) else value for value in values]
        columns[name] = pa.array([value.strip() if isinstance(value, str) else value for value in values])
    return pa.table(columns)


FORMATS = {
    ".parquet": "parquet",
    ".csv": "csv",
    ".fits": "fits",
    ".vot": "votable",
    ".xml": "votable",
    ".ecsv": "ecsv",
}
"""Suffix of a file to the format of a table."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a catalogue.

    Parameters
    ----------
    name : str
    type : pyarrow.DataType
    description : str
    unit : str
        As the IVOA writes units; empty where there is none.
    ucd : str
        What the column means, as a UCD1+ word of the IVOA; empty where there is none.
    """

    name: str
    type: pa.DataType
    description: str
    unit: str = ""
    ucd: str = ""


def format_to_write(path: str | os.PathLike[str]) -> str:
    """Return the format that the name of a table asks for.

    Raises
    ------
    UsageError
        If it ends with none of `FORMATS`.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in FORMATS:
        message = f"{path}: a catalogue is written as {', '.join(FORMATS)}; received the suffix {suffix!r}"
        raise UsageError(message)
    return FORMATS[suffix]


def write_table(
    path: Path, format: str, columns: Sequence[Column], batches: Iterable[pa.RecordBatch], notes: Mapping[str, str]
) -> None:
    """Write a catalogue.

    Parquet and CSV are written batch by batch; the other formats are gathered in memory, since their writers know no
    other way.

    Parameters
    ----------
    path : path
    format : {"parquet", "csv", "fits", "votable", "ecsv"}
    columns : sequence of Column
        Name, unit, meaning and description go into the file where its format has a place for them; CSV has none.
    batches : iterable of pyarrow.RecordBatch
        With these columns.
    notes : mapping of str to str
        What is to be known of the whole, for the file's header.
    """
    schema = pa.schema(
        [pa.field(column.name, column.type, metadata=_field_notes(column)) for column in columns],
        metadata=dict(notes),
    )
    if format == "parquet":
        with pa.parquet.ParquetWriter(path, schema) as parquet:
            for batch in batches:
                parquet.write_batch(batch.cast(schema))
    elif format == "csv":
        flat = _flat(pa.RecordBatch.from_pylist([], schema)).schema
        with pa.csv.CSVWriter(path, flat) as csv:
            for batch in batches:
                csv.write_batch(_flat(batch.cast(schema)))
    else:
        _write_with_astropy(
            path, format, columns, pa.Table.from_batches([b.cast(schema) for b in batches], schema), notes
        )


def _field_notes(column: Column) -> dict[str, str]:
    notes = {"description": column.description, "unit": column.unit, "ucd": column.ucd}
    return {name: value for name, value in notes.items() if value}


def _flat(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return a batch with its lists as JSON text: a cell of CSV holds one value."""
    arrays = [
        pa.array([None if row is None else json.dumps(row) for row in array.to_pylist()], pa.string())
        if pa.types.is_fixed_size_list(array.type)
        else array
        for array in batch.columns
    ]
    return pa.RecordBatch.from_arrays(arrays, names=batch.schema.names)


def _write_with_astropy(
    path: Path, format: str, columns: Sequence[Column], table: pa.Table, notes: Mapping[str, str]
) -> None:
    import numpy as np
    from astropy.table import MaskedColumn, Table
    from astropy.utils.exceptions import AstropyWarning

    result = Table(meta=dict(notes))
    for column, values in zip(columns, table.columns, strict=True):
        if pa.types.is_fixed_size_list(column.type):
            width = column.type.list_size
            blank = [float("nan")] * width
            data = np.array([blank if row is None else row for row in values.to_pylist()], dtype=np.float32)
            result[column.name] = data.reshape(-1, width)
        else:
            listed = values.to_pylist()
            filler = "" if pa.types.is_string(column.type) else 0
            filled = [filler if value is None else value for value in listed]
            dtype = str if pa.types.is_string(column.type) else column.type.to_pandas_dtype()
            mask = [value is None for value in listed]
            plain = np.array(filled, dtype=dtype)
            result[column.name] = MaskedColumn(plain, mask=mask) if any(mask) else plain
        result[column.name].description = column.description
        result[column.name].unit = column.unit or None
        if column.ucd:
            result[column.name].meta["ucd"] = column.ucd
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AstropyWarning)  # long keys of a FITS header become HIERARCH cards, as meant
        if format == "votable":
            _write_votable(path, result, columns, notes)
        else:
            result.write(path, format={"ecsv": "ascii.ecsv"}.get(format, format), overwrite=True)


def _write_votable(path: Path, table: "AstropyTable", columns: Sequence[Column], notes: Mapping[str, str]) -> None:
    from astropy.io.votable import from_table, tree, writeto

    document = from_table(table)
    for field, column in zip(document.get_first_table().fields, columns, strict=True):
        field.ucd = column.ucd or None
    for name, value in notes.items():
        document.resources[0].infos.append(tree.Info(name=name.replace(" ", "_"), value=value))
    writeto(document, str(path))
