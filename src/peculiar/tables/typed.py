"""Columns of a table in their proper types, also from text as in CSV."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from peculiar.errors import DataError
from peculiar.tables.column import Column
from peculiar.tables.identifiers import WHOLE_NUMBER
from peculiar.tables.key_columns import ID_COLUMNS, find_column
from peculiar.tables.reader import MANY_ROWS, TableReader


def described(reader: TableReader, names: Sequence[str]) -> list[Column]:
    """Return the types, units and meanings of columns. A CSV file is read once for this."""
    fields = [reader.schema.field(name) for name in names]
    types = (
        kinds(reader.batches(names, rows=MANY_ROWS), names)
        if reader.format == "csv" and names
        else [field.type for field in fields]
    )
    return [Column.of(field.with_type(type_)) for field, type_ in zip(fields, types, strict=True)]


def carried(
    reader: TableReader, columns: Sequence[Column], start: int = 0, stop: int | None = None
) -> Iterator[pa.RecordBatch]:
    """Yield columns of the rows from `start` to before `stop`; a missing column is null.

    Raises
    ------
    DataError
        If a value does not fit into its type.
    """
    there = [column.name for column in columns if column.name in reader.columns]
    # Any column of the table serves to count its rows.
    batches = reader.batches(there or reader.columns[:1], start, stop, rows=MANY_ROWS)
    return typed_batches(batches, columns, text=reader.format == "csv", path=reader.path)


def typed_batches(
    batches: Iterable[pa.RecordBatch], columns: Sequence[Column], *, text: bool, path: Path
) -> Iterator[pa.RecordBatch]:
    """Yield columns of batches in their types; a missing column is null.

    Parameters
    ----------
    batches : iterable of pyarrow.RecordBatch
    columns : sequence of Column
    text : bool
        Whether the values are text, as in CSV.
    path : path
        The file, for messages.

    Raises
    ------
    DataError
        If a value does not fit into its type.
    """
    schema = pa.schema([column.field() for column in columns])
    for batch in batches:
        arrays = [
            _cast(batch.column(one.name), one, text=text, path=path)
            if one.name in batch.schema.names
            else pa.nulls(len(batch), one.type)
            for one in columns
        ]
        yield pa.RecordBatch.from_arrays(arrays, schema=schema)


def _cast(array: pa.Array, column: Column, *, text: bool, path: Path) -> pa.Array:
    try:
        return of_text(array, column.type) if text else array.cast(column.type)
    except pa.ArrowInvalid as error:
        message = f"{path}: the column {column.name!r} holds values of another type than in the first table ({error})"
        raise DataError(message) from error


# 0017 is an identifier, not a number; 00.17 is a number.
_NUMBER = r"^[+-]?([0-9]+\.[0-9]*|\.[0-9]+|0|[1-9][0-9]*)([eE][+-]?[0-9]+)?$|^[+-]?(inf|Inf|nan)$"
_TRUTH = r"^([Tt]rue|[Ff]alse)$"


def kinds(batches: Iterable[pa.RecordBatch], names: Sequence[str]) -> list[pa.DataType]:
    """Return the types of columns of text, as in CSV, the first that fits all values."""
    patterns = [
        (pa.int64(), WHOLE_NUMBER),
        (pa.uint64(), WHOLE_NUMBER),
        (pa.float64(), _NUMBER),
        (pa.bool_(), _TRUTH),
        (pa.string(), ""),
    ]
    # An id is an integer or text, never 1e5 or a boolean; a column without values is text.
    ids = [patterns[0], patterns[1], patterns[-1]]
    left = {name: list(ids if find_column(ID_COLUMNS, [name]) else patterns) for name in names}
    seen, whole = dict.fromkeys(names, False), dict.fromkeys(names, True)
    for batch in batches:
        for name, array in zip(names, batch.columns, strict=True):
            seen[name] |= array.null_count < len(array)
            whole[name] &= pc.all(pc.match_substring_regex(array, WHOLE_NUMBER)).as_py() is not False
            while not _fits(array, *left[name][0]):
                left[name].pop(0)
    types = {name: left[name][0][0] if seen[name] else pa.string() for name in names}
    # Integers beyond 64 bits would lose digits as floats.
    return [pa.string() if whole[name] and pa.types.is_floating(kind) else kind for name, kind in types.items()]


def _fits(array: pa.Array, kind: pa.DataType, pattern: str) -> bool:
    if pc.all(pc.match_substring_regex(array, pattern)).as_py() is False:
        return False
    try:
        of_text(array, kind)
    except pa.ArrowInvalid:  # an integer of more than 64 bits
        return False
    return True


def of_text(array: pa.Array, kind: pa.DataType) -> pa.Array:
    """Return text as values of a type."""
    if array.type == kind:
        return array
    if pa.types.is_boolean(kind):
        return pc.equal(pc.utf8_lower(array), "true")
    return pc.replace_substring_regex(array, r"^\+", "").cast(kind)
