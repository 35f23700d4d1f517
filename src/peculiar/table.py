"""Tables of any of the field's formats, as streams of record batches.

A table is recognised by its content: Parquet, FITS, VOTable, ECSV, or else comma-separated text.
"""

import os
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from peculiar.errors import DataError, UnknownNameError

if TYPE_CHECKING:
    from astropy.table import Table as AstropyTable

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

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Yield the rows of some columns, at most `BATCH_ROWS` at a time, in the order of the file.

        The values of a CSV file are text (null where empty, or NA, NaN or null): an id of 0017 stays what it is.
        """
        for name in columns:
            self.check_column(name)
        source = self._open(columns)
        while (batch := self._guard(lambda: _next_valid(source))) is not None:
            yield from (batch.slice(start, BATCH_ROWS) for start in range(0, batch.num_rows, BATCH_ROWS))

    def column(self, name: str) -> list[Any]:
        """Read one column whole, as Python values; nulls are None."""
        return [value for batch in self.batches([name]) for value in batch.column(0).to_pylist()]

    def _open(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        if self._whole is not None:
            return iter(self._whole.select(columns).to_batches())
        if self.format == "parquet":
            file = self._guard(lambda: pa.parquet.ParquetFile(self.path))
            return iter(file.iter_batches(batch_size=BATCH_ROWS, columns=list(columns)))
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
