"""Read tables of every format as streams of record batches.

A table is recognised by its content: Parquet, FITS, VOTable, ECSV, JSON lines, or text; see
`peculiar.tables.delimited`. For every format, the meanings of the columns are in the fields of the schema; see
`Column.of`. `peculiar.tables.writers` writes tables.
"""

import io
import itertools
import os
import re
import stat
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet

from peculiar.errors import DataError, NotFoundError, PeculiarError, PeculiarWarning, UnknownNameError, UsageError
from peculiar.files.places import arrow_file, fetched, place
from peculiar.tables import astropy_io, hats
from peculiar.tables.column import VOTABLE_CONTENT, Column
from peculiar.tables.delimited import Delimited, decoded, not_utf8, open_unpacked, packed, read_layout
from peculiar.tables.json_lines import read_lines
from peculiar.tables.quantity import same_unit

ID_COLUMNS = (
    *("id", "id_str", "object_id", "objid", "dr7objid", "dr8objid", "source_id", "target_id", "galaxy_id", "asset_id"),
    *("spec_obj_id", "photo_obj_id", "best_obj_id", "coadd_object_id", "coadd_objects_id", "ls_id", "unique_id"),
    *("dia_object_id", "ss_object_id", "dia_source_id", "forced_source_id"),
    *(
        "iauname",
        "dr9_iauname",
        "cata_id",
        "catalog_id",
        "cat_id",
        "gal_id",
        "src_id",
        "obj_no",
        "plate_ifu",
        "mangaid",
    ),
    *(
        "plate_ifu",
        "mangaid",
        "subject_id",
        "main_id",
        "designation",
        "objname",
        "object_name",
        "galaxy_name",
        "source_name",
        "name",
    ),
    *("number", "recno"),
)
"""Names of columns of ids, the most usual first; case and characters such as _ do not matter."""

_ID_WORDS = ("meta.id;meta.main", "id_main")
"""UCDs of such columns."""

MODEL_NOTE = "model digest"
"""Note of a catalogue with the digest of its model."""

BATCH_ROWS = 1024
"""Maximum number of rows per batch. Small, because a row may hold an encoded picture."""

WHOLE_BYTES = 1 << 30
"""Maximum size of a file that can only be read whole (VOTable, ECSV, JSON lines), in several times as much memory."""

_HEAD_BYTES = 1 << 12
_BATCH_BYTES = 1 << 27
"""Approximate maximum size of a batch of a Parquet file, in bytes."""

_DICTIONARY_BYTES = 5 << 18
"""Writers do not make larger dictionaries, and each row of a batch may hold all of one."""

_ROWS_A_BYTE = 1 << 16
"""Maximum number of rows per byte in a Parquet file: a page of 20 bytes can repeat one value so often."""

_FORMATS = "a Parquet, CSV, ECSV, FITS, VOTable or JSON lines file"


def table_format(path: str | os.PathLike[str]) -> str | None:
    """Recognise a table by the beginning of its file, decompressed if necessary.

    Returns
    -------
    {"parquet", "fits", "votable", "ecsv", "ipac", "mrt", "jsonl", "csv"} or None
        None for a file that is not text either. Text in another encoding than UTF-8 is "csv", too.
    """
    path = place(path)
    if not path.is_file():
        return None
    try:
        with open_unpacked(path) as file:
            head = file.read(_HEAD_BYTES)
    except DataError:  # damaged
        return None
    if head.startswith(b"PAR1"):
        return "parquet"
    if head.startswith(b"SIMPLE  ="):
        return "fits"
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith(b"<"):
        return "votable" if b"VOTABLE" in head else None
    if text.startswith(b"# %ECSV"):
        return "ecsv"
    if re.match(rb"(\\[^\n]*\n|\|[^\n]*\|[ \r]*\n){2}", text):
        return "ipac"
    if b"Byte-by-byte Description" in head:
        return "mrt"
    if re.match(rb'\{\s*("|\}\s*$)', text):
        return "jsonl"
    return "csv" if decoded(head) else None


def check_file(path: Path) -> None:
    """Raise `NotFoundError` if nothing is at a path, and `DataError` if it is a pipe, a device or a socket.

    Opening a pipe may take forever, and a device may return any number of bytes.
    """
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NotFoundError(f"there is no table at {path}; give the path of {_FORMATS}") from error
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        kinds = {stat.S_ISFIFO: "a pipe", stat.S_ISSOCK: "a socket", stat.S_ISCHR: "a device", stat.S_ISBLK: "a device"}
        kind = next((name for test, name in kinds.items() if test(mode)), "no file")
        message = f"{path}: is {kind}, which cannot be read more than once; save its output to a file first"
        raise DataError(message)


def is_catalog(path: Path) -> bool:
    """Return whether a Parquet file is a catalogue of a model; False for a damaged file."""
    try:
        return MODEL_NOTE.encode() in (pyarrow.parquet.read_schema(arrow_file(path)).metadata or {})
    except (pa.ArrowException, OSError):
        return False


def parts_below(folder: Path) -> list[Path]:
    """Return the Parquet files of a folder, in the order of their names; of a HATS catalogue, in that of the sky."""
    if hats.is_hats(folder):
        return hats.parts_of(folder)
    return sorted(one for one in folder.glob("*.parquet") if one.is_file() and not one.name.startswith("."))


def is_table(path: Path) -> bool:
    """Return whether a path is a table that `TableReader` accepts, judged by its beginning."""
    return bool(parts_below(path)) if path.is_dir() else path.is_file() and table_format(path) is not None


def simple_name(name: str) -> str:
    """Return the name of a column for comparison: without case, blanks and punctuation."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def find_column(names: Sequence[str], columns: Sequence[str]) -> str | None:
    """Return the first of `names` that is a column, ignoring case and characters such as _."""
    simple = {simple_name(column): column for column in reversed(columns)}
    exact = dict.fromkeys(columns)
    return next(
        (name if name in exact else simple[key] for name in names if (key := simple_name(name)) in simple), None
    )


def find_id(schema: pa.Schema, given: str | None = None) -> str | None:
    """Return the column of ids of a table: the given one, or the first with a usual name or UCD."""
    if given is not None:
        return given
    meanings = {Column.of(field).ucd.lower().replace(" ", ""): field.name for field in reversed(list(schema))}
    return find_column(ID_COLUMNS, schema.names) or next(
        (meanings[word] for word in _ID_WORDS if word in meanings), None
    )


@dataclass(frozen=True, slots=True)
class Keys:
    """The columns of ids and positions of a table; None means to find them by the usual names."""

    id: str | None = None
    ra: str | None = None
    dec: str | None = None

    def given(self) -> list[str]:
        """Return the given names."""
        return [name for name in (self.id, self.ra, self.dec) if name is not None]


FOUND = Keys()
"""All columns are found by the usual names."""


def repeated_ids(read: Callable[[], Iterable[Sequence[str]]]) -> tuple[int, list[str]]:
    """Count the ids that occur more than once.

    Parameters
    ----------
    read : callable
        Returns the ids, batch by batch. Eight bytes of each are kept; if some occur twice, the ids are read again.

    Returns
    -------
    count : int
    first : list of str
        Up to three of them.
    """
    kept = [np.fromiter(map(hash, batch), np.int64, len(batch)) for batch in read()]
    values, counts = np.unique(np.concatenate([np.empty(0, np.int64), *kept]), return_counts=True)
    twice = set(values[counts > 1].tolist())
    found = (id_ for batch in (read() if twice else ()) for id_ in batch if hash(id_) in twice)
    first: dict[str, None] = {}
    for id_ in found:
        first[id_] = None
        if len(first) == min(3, len(twice)):
            break
    return len(twice), list(first)


def warn_of_ids(path: Path, read: Callable[[], Iterable[Sequence[str]]]) -> None:
    """Warn of ids that occur more than once; `read` is as in `repeated_ids`."""
    count, first = repeated_ids(read)
    if count:
        message = (
            f"{path}: ids that occur more than once: {count:,}, such as {', '.join(map(repr, first))}; joins by id "
            "will confuse their rows. Name another column with --id COLUMN, or make the ids unique"
        )
        warnings.warn(message, PeculiarWarning, stacklevel=3)


def warn_of_no_ids(table: "TableReader", other: Iterable[str | None]) -> None:
    """Warn that rows are numbered, if a column may hold ids under another name.

    Parameters
    ----------
    table : TableReader
    other : iterable of str or None
        Columns that hold something else.
    """
    taken = {simple_name(name) for name in other if name}
    left = [field.name for field in table.schema if _may_be_id(field.type) and simple_name(field.name) not in taken]
    if left:
        message = (
            f"{table.path}: no column of ids was recognised, so rows are numbered; name one with --id COLUMN. "
            f"There are: {', '.join(left[:20])}" + (f" and {len(left) - 20} more" if len(left) > 20 else "")
        )
        warnings.warn(message, PeculiarWarning, stacklevel=3)


def _may_be_id(kind: pa.DataType) -> bool:
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_integer(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind))


def entry_text(value: Any) -> str | None:
    """Return a value as text, None if it is empty: bytes are decoded, and integers have no decimals."""
    if value is None or value != value:  # noqa: PLR0124 - NaN and NaT differ from themselves, whatever their type
        return None
    if isinstance(value, bytes):
        value = value.decode(errors="replace")
    elif isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value) or None


class TableReader:
    """A table that is read batch by batch.

    Parquet, text and binary tables of FITS are streamed. VOTable, ECSV, JSON lines and the tables of IPAC and of
    journals (MRT) are read whole, because their types or readers need it; tables larger than `WHOLE_BYTES` are refused.

    Parameters
    ----------
    path : path-like
        A Parquet, CSV, ECSV, FITS, VOTable or JSON lines file; a folder of Parquet files with the same columns, or of a
        HATS catalogue. All but Parquet may be compressed by gzip.
    table : str, optional
        Name of a table in a FITS or VOTable file with several, or its number from 1 on. Default: the first, with a
        warning.

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

    def __init__(self, path: str | os.PathLike[str], table: str | None = None) -> None:
        self.path = place(path)
        check_file(self.path)
        self._file = self.path.absolute()
        self._parts = parts_below(self.path) if self.path.is_dir() else []
        if self.path.is_dir() and not self._parts:
            message = f"{self.path} is a folder without Parquet files, where a table is needed; give the path of one"
            raise UsageError(message)
        self.format = "parquet" if self._parts else table_format(path)
        if self.format is None:
            raise DataError(_no_table(self.path))
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
            self._guard(lambda: _check_footer(self._footer(), self._file))
        elif self.format == "csv":
            self._text = text = self._guard(lambda: read_layout(self.path))
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
        """
        name = find_id(self.schema, given if given in self.columns else None) or given or "id"
        self.check_column(name)
        return name

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
        # Pre-buffering would keep every row group in memory until the end.
        file = self._guard(lambda: pa.parquet.ParquetFile(arrow_file(self._file), pre_buffer=False))
        size = self._guard(lambda: _fitting_rows(file.metadata, columns, rows))
        return file.iter_batches(batch_size=size, row_groups=groups, columns=columns), begin

    def _check_size(self) -> None:
        size = self.path.stat().st_size
        if size > WHOLE_BYTES:
            way = (
                f"with TOPCAT's command line: stilts tcopy in={self.path.name} ifmt={self.format} "
                f"out={self.path.with_suffix('.fits').name} ofmt=fits-basic"
            )
            message = (
                f"{self.path}: has {size / 1e9:.1f} GB; {str(self.format).upper()} tables of more than "
                f"{WHOLE_BYTES / 1e9:.1f} GB are not read, because they would have to be held in memory. Convert it "
                f"{'to Parquet' if self.format == 'jsonl' else way}"
            )
            raise DataError(message)

    def _guard(self, read: Any) -> Any:
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
                f"{self.path}: cannot be read as {self.format} ({_line(error)}); it is damaged, cut short or of "
                "another kind"
            )
            raise DataError(message) from error


def as_table(table: Path | TableReader) -> TableReader:
    """Return a table, which is opened if its path is given."""
    return table if isinstance(table, TableReader) else TableReader(table)


def _no_table(path: Path) -> str:
    with path.open("rb") as file:
        head = file.read(1024).lstrip().lower()
    if not head:
        return f"{path}: this file is empty; download or write it again"
    if head.startswith(b"<"):
        return (
            f"{path}: is a web page or XML, not a table, perhaps the error message of a server; look at it in a "
            "browser, and download the table again"
        )
    return f"{path}: not a known kind of table (Parquet, FITS, VOTable, JSON lines, or CSV or ECSV in UTF-8)"


def _check_footer(metadata: Any, file: Path) -> None:
    """Raise `DataError` if a Parquet file claims more rows than its bytes can hold."""
    groups = [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)]
    if min(groups, default=0) < 0 or sum(groups) != metadata.num_rows:
        raise DataError(f"says that it has {metadata.num_rows:,} rows, and its parts say otherwise; write it again")
    if metadata.num_rows > _ROWS_A_BYTE * file.stat().st_size:
        message = f"says that it has {metadata.num_rows:,} rows, more than {file.stat().st_size:,} bytes can hold"
        raise DataError(message)


def _fitting_rows(metadata: Any, columns: Sequence[str], rows: int) -> int:
    """Return how many rows of a Parquet file to read at a time, so that the columns fit into memory."""
    wanted, most = set(columns), 0.0
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        chunks = [group.column(at) for at in range(group.num_columns)]
        sizes = [_row_bytes(one) for one in chunks if one.path_in_schema.partition(".")[0] in wanted]
        most = max(most, sum(sizes) / max(group.num_rows, 1))
    return max(1, min(rows, int(_BATCH_BYTES // most))) if most else rows


def _row_bytes(chunk: Any) -> float:
    """Return the size of a column's rows in memory; each row may hold all of a large dictionary."""
    size = float(max(chunk.total_uncompressed_size, 0))
    if not chunk.has_dictionary_page:
        return size
    packed_size = max(chunk.total_compressed_size, 1)
    dictionary = size * min(1.0, max(chunk.data_page_offset - chunk.dictionary_page_offset, 0) / packed_size)
    return dictionary * chunk.num_values if dictionary > _DICTIONARY_BYTES else size


def described_schema(schema: pa.Schema, path: Path) -> pa.Schema:
    """Return the schema of a Parquet file with the meanings that TOPCAT, astropy, or the properties of HATS give."""
    return hats.described(_described(schema), path)


def _described(schema: pa.Schema) -> pa.Schema:
    """Return a schema with the meanings that TOPCAT or astropy stored, for columns without their own."""
    notes = schema.metadata or {}
    if any(Column.of(field).field().metadata for field in schema):
        return schema
    if content := notes.get(VOTABLE_CONTENT.encode()):
        known = {field.name: field for field in astropy_io.read_fields(content)}
    elif content := notes.get(b"table_meta_yaml"):
        known = {column.name: column.field() for column in astropy_io.read_yaml(content)}
    else:
        return schema
    fields = [known[field.name].with_type(field.type) if field.name in known else field for field in schema]
    return pa.schema(fields, metadata=schema.metadata)


def _next_valid(source: Iterator[pa.RecordBatch]) -> pa.RecordBatch | None:
    batch = next(source, None)
    if batch is not None:
        batch.validate(full=True)  # text in a damaged Parquet file may not be UTF-8
    return batch


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
