"""A table in one format to another, row by row, with all that is known of its columns; sorted by place on the sky."""

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from peculiar.cache import writing
from peculiar.column import VOTABLE_CONTENT, VOTABLE_VERSION, Column, texts
from peculiar.errors import DataError, UsageError
from peculiar.healpix import HEALPIX, healpix_29
from peculiar.table import TableReader
from peculiar.writers import format_to_write, hats, write_table

BATCH_ROWS = 1 << 14

_NO_NOTES = {"ARROW:schema", "pandas", "huggingface", VOTABLE_CONTENT, VOTABLE_VERSION}
"""What programs keep in Parquet for themselves."""

_ROW = "__row"


@dataclass(frozen=True, slots=True)
class Converted:
    """What was written.

    Parameters
    ----------
    path : path
    rows : int
        Rows read.
    left_out : int
        Rows of unknown position, which a HATS catalogue has no place for.
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
    progress: Callable[[int], object] = lambda done: None,
) -> Converted:
    """Write a table in another format, keeping names, units, meanings, descriptions, nulls and notes.

    What a format cannot hold is lost on the way through it: docs/catalog.md says what.

    Parameters
    ----------
    table : path-like
        Parquet, CSV, FITS, VOTable or ECSV, recognised by its content. The columns of CSV get the types that all of
        their values have; one called ``id`` is text.
    out : path-like
        Its suffix decides the format: ``.parquet``, ``.csv``, ``.fits``, ``.vot``, ``.xml`` or ``.ecsv``.
    columns : sequence of str, optional
        Only these, in this order; by default all.
    sort : bool
        Sort by ``_healpix_29``, rows without a position last; on the disk where the memory does not suffice. The
        column is added where it is lacking and there are ``ra`` and ``dec``, in degrees.
    as_hats : bool
        Write a HATS catalogue, sorted, into the folder `out`, which has to be new or empty.
    progress : callable
        Called with the number of rows read since the last call.

    Returns
    -------
    Converted

    Raises
    ------
    NotFoundError, DataError
        If the table is not there, or cannot be read.
    UsageError
        If the suffix of `out` is not known, a column is of a type that the format does not have, there is nothing to
        sort by, or the folder is in use.
    UnknownNameError
        If there is no such column.
    """
    out = Path(out)
    format = "hats" if as_hats else format_to_write(out)
    if as_hats and out.exists() and (not out.is_dir() or any(out.iterdir())):
        message = f"{out}: is there already; name a new folder for the HATS catalogue"
        raise UsageError(message)
    rows = _Rows(TableReader(table), columns, progress)
    if sort or as_hats:
        rows.add_cells()
    notes = {key: text for key, text in texts(rows.reader.schema.metadata).items() if key not in _NO_NOTES}
    if not as_hats:
        with writing(out) as temporary:
            batches = _sorted(rows, out.parent) if sort else rows.batches()
            write_table(temporary, format, rows.columns, batches, notes)
        return Converted(out, rows.count)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.", suffix=".part") as temporary_folder:
        folder = Path(temporary_folder) / out.name
        folder.mkdir()
        batches, position = _sorted(rows, out.parent), rows.position()
        left_out = hats.write(folder, rows.columns, batches, notes, name=out.stem, position=position)
        folder.replace(out)
    return Converted(out, rows.count, left_out)


class _Rows:
    """The rows of a table, as they are to be written.

    Parameters
    ----------
    reader : TableReader
    names : sequence of str or None
        The columns to take; None takes all.
    progress : callable
    """

    def __init__(self, reader: TableReader, names: Sequence[str] | None, progress: Callable[[int], object]) -> None:
        self.reader, self._progress, self.count = reader, progress, 0
        self._names = list(names or reader.columns)
        for name in self._names:
            reader.check_column(name)
        fields = [reader.schema.field(name) for name in self._names]
        kinds = _kinds(reader, self._names) if reader.format == "csv" else [field.type for field in fields]
        self.columns = [Column.of(field.with_type(kind)) for field, kind in zip(fields, kinds, strict=True)]
        self._cells_at: int | None = None

    def position(self) -> tuple[str, str]:
        """Return the names of the columns with right ascension and declination."""
        lower = {column.name.lower(): column for column in reversed(self.columns)}
        found = [lower[name] for name in ("ra", "dec") if name in lower]
        if len(found) < 2 or not all(pa.types.is_floating(one.type) or pa.types.is_integer(one.type) for one in found):
            message = (
                f"{self.reader.path}: there is nothing to sort by: neither {HEALPIX.name}, nor ra and dec in degrees; "
                f"there are: {', '.join(column.name for column in self.columns)}"
            )
            raise UsageError(message)
        return found[0].name, found[1].name

    def add_cells(self) -> None:
        """Let there be a column of cells, behind the declination."""
        if HEALPIX.name not in self._names:
            names = [column.name for column in self.columns]
            self._cells_at = names.index(self.position()[1]) + 1
            self.columns.insert(self._cells_at, HEALPIX)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows."""
        for batch in self.reader.batches(self._names, rows=BATCH_ROWS):
            arrays = list(batch.columns)
            if self._cells_at is not None:
                ra, dec = (batch.column(name).cast(pa.float64()) for name in self.position())
                cells = healpix_29(*(one.to_numpy(zero_copy_only=False) for one in (ra, dec)))
                arrays.insert(self._cells_at, pa.array(cells, mask=cells < 0))
            if self.reader.format == "csv":
                arrays = [_of_text(array, column.type) for array, column in zip(arrays, self.columns, strict=True)]
            yield pa.RecordBatch.from_arrays(arrays, schema=pa.schema([column.field() for column in self.columns]))
            self.count += batch.num_rows
            self._progress(batch.num_rows)


def _sorted(rows: _Rows, folder: Path) -> Iterator[pa.RecordBatch]:
    """Yield rows by their cells; what the memory has no room for lies in a folder meanwhile."""
    import duckdb

    schema = pa.schema([*(column.field() for column in rows.columns), pa.field(_ROW, pa.int64())])

    def numbered() -> Iterator[pa.RecordBatch]:
        begin = 0
        for batch in rows.batches():
            numbers = pa.array(range(begin, begin + batch.num_rows), pa.int64())
            yield pa.RecordBatch.from_arrays([*batch.columns, numbers], schema=schema)
            begin += batch.num_rows

    with tempfile.TemporaryDirectory(dir=folder, prefix=".sort.", suffix=".part") as scratch:
        settings = {"memory_limit": "1GB", "temp_directory": scratch}
        with duckdb.connect(config=settings) as database:
            source = database.from_arrow(pa.RecordBatchReader.from_batches(schema, numbered()))
            try:
                # Rows of one cell stay in the order that they had.
                ordered = source.order(f'"{HEALPIX.name}" NULLS LAST, "{_ROW}"')
                for batch in ordered.to_arrow_reader(BATCH_ROWS):
                    yield batch.select([column.name for column in rows.columns])
            except duckdb.Error as error:
                message = f"{rows.reader.path}: cannot be sorted ({error})"
                raise DataError(message) from error


_WHOLE_NUMBER = r"^-?(0|[1-9][0-9]*)$"
# 0017 is no number but an identifier, 00.17 is one.
_NUMBER = r"^[+-]?([0-9]+\.[0-9]*|\.[0-9]+|0|[1-9][0-9]*)([eE][+-]?[0-9]+)?$|^[+-]?(inf|Inf|nan)$"
_TRUTH = r"^([Tt]rue|[Ff]alse)$"


def _kinds(reader: TableReader, names: Sequence[str]) -> list[pa.DataType]:
    """Return the types of the columns of a CSV file: for each the first that all values have. Reads it once."""
    patterns = [(pa.int64(), _WHOLE_NUMBER), (pa.float64(), _NUMBER), (pa.bool_(), _TRUTH), (pa.string(), "")]
    # An identifier stays text, whatever it looks like; so does what has no values.
    left = {name: [patterns[-1]] if name.lower() == "id" else list(patterns) for name in names}
    seen = dict.fromkeys(names, False)
    for batch in reader.batches(names, rows=BATCH_ROWS):
        for name, array in zip(names, batch.columns, strict=True):
            seen[name] |= array.null_count < len(array)
            while not _fits(array, *left[name][0]):
                left[name].pop(0)
    return [left[name][0][0] if seen[name] else pa.string() for name in names]


def _fits(array: pa.Array, kind: pa.DataType, pattern: str) -> bool:
    if pc.all(pc.match_substring_regex(array, pattern)).as_py() is False:
        return False
    try:
        _of_text(array, kind)
    except pa.ArrowInvalid:  # a whole number of more than 64 bits
        return False
    return True


def _of_text(array: pa.Array, kind: pa.DataType) -> pa.Array:
    """Return text as values of a type."""
    if array.type == kind:
        return array
    if pa.types.is_boolean(kind):
        return pc.equal(pc.utf8_lower(array), "true")
    return pc.replace_substring_regex(array, r"^\+", "").cast(kind)
