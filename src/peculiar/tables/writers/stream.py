"""Common parts of all writers: rows in pieces, in the types of the format, and temporary storage."""

import tempfile
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from peculiar.errors import DataError, UsageError
from peculiar.tables.column import Column

GROUP_ROWS = 1 << 16
GROUP_BYTES = 1 << 26
"""A piece ends at so many rows or bytes: a row group of Parquet, and the buffer in memory."""

LEAVE_OUT = (
    "leave it out (name the others by --column in `peculiar data convert`, by --keep in `peculiar predict`, by "
    "--columns in `peculiar search`)"
)
"""How to write a table without a column, for messages."""


def schema_of(columns: Sequence[Column], notes: Mapping[str, str] | None = None) -> pa.Schema:
    """Return the columns as a schema."""
    return pa.schema([column.field() for column in columns], metadata=dict(notes or {}))


def regroup(batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Yield the rows in larger batches, in the types of a schema.

    Raises
    ------
    DataError
        If a value does not fit into its type.
    """
    held: list[pa.RecordBatch] = []
    rows = size = 0
    for batch in batches:
        held.append(_cast(batch, schema))
        rows, size = rows + batch.num_rows, size + batch.nbytes
        if rows >= GROUP_ROWS or size >= GROUP_BYTES:
            yield from _joined(held)
            held, rows, size = [], 0, 0
    yield from _joined(held)


def _joined(batches: list[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    if batches:
        yield from (batch for batch in pa.Table.from_batches(batches).combine_chunks().to_batches() if batch.num_rows)


def cast(batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Yield the rows in the types of a schema; see `regroup`."""
    return (_cast(batch, schema) for batch in batches)


def _converted(array: pa.Array, type: pa.DataType) -> pa.Array:
    if pa.types.is_duration(array.type):  # Arrow cannot convert it to text
        return pa.array([None if value is None else str(value) for value in array.to_pylist()], type)
    return array.cast(type)


def _cast(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    arrays = []
    for array, field in zip(batch.columns, schema, strict=True):
        try:
            arrays.append(array if array.type == field.type else _converted(array, field.type))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            message = f"the column {field.name!r} cannot be written: {error}; write it as Parquet, or leave it out"
            raise DataError(message) from error
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


@dataclass(frozen=True, slots=True)
class Repertoire:
    """The types of a format besides text, booleans and floats of 32 and 64 bits.

    Parameters
    ----------
    integers : frozenset of pyarrow.DataType
    text_lists : bool
        Whether it has lists of text. All formats have lists of numbers and booleans of fixed length, also nested.
    loose_lists : bool
        Whether the lists of a column may differ in their lengths.
    """

    integers: frozenset[pa.DataType]
    text_lists: bool = True
    loose_lists: bool = False


INTEGERS = frozenset({pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()})

_DIGITS = 15
"""Decimal digits that a 64-bit float keeps exactly."""


def plain(columns: Sequence[Column], format: Repertoire) -> list[Column]:
    """Return the columns with the types of a format.

    Integer types that the format lacks become the next larger signed type; decimals become floats if these keep all
    digits, otherwise integers or text; dates become text.

    Raises
    ------
    UsageError
        If a column has another type: a struct, bytes, lists of variable length; or if its name is empty or contains
        control characters, which most headers lose.
    """
    for column in columns:
        if not column.name or any(unicodedata.category(sign) == "Cc" for sign in column.name):
            message = (
                f"the column {column.name!r} has a name that this format cannot hold (empty, or with control "
                f"characters); rename it, or {LEAVE_OUT}"
            )
            raise UsageError(message)
    return [replace(column, type=_plain(column.name, column.type, format)) for column in columns]


def _plain(name: str, type: pa.DataType, format: Repertoire) -> pa.DataType:
    of = pa.types
    if of.is_boolean(type) or type in (pa.float32(), pa.float64(), pa.string()) or type in format.integers:
        return type
    if of.is_dictionary(type):
        return _plain(name, type.value_type, format)
    if of.is_large_string(type) or of.is_string_view(type) or of.is_temporal(type) or of.is_null(type):
        return pa.string()
    if of.is_integer(type):
        return {8: pa.int16(), 16: pa.int32()}.get(type.bit_width, pa.int64())
    if of.is_floating(type):
        return pa.float32()
    if of.is_decimal(type):
        if type.precision <= _DIGITS:
            return pa.float64()
        return pa.int64() if type.scale == 0 and type.precision <= 18 else pa.string()
    if of.is_list(type) or of.is_large_list(type) or (of.is_fixed_size_list(type) and type.list_size):
        inner = _plain(name, type.value_type, format)
        if not of.is_string(element(inner)) or format.text_lists:
            if of.is_fixed_size_list(type):
                return pa.list_(inner, type.list_size)
            if format.loose_lists:
                return pa.list_(inner)
    message = f"the column {name!r} holds {type}, which this format cannot hold; write Parquet, or {LEAVE_OUT}"
    raise UsageError(message)


def element(type: pa.DataType) -> pa.DataType:
    """Return the type of the innermost elements of lists, or the type itself."""
    return element(type.value_type) if pa.types.is_nested(type) and not pa.types.is_struct(type) else type


def with_element(type: pa.DataType, inner: pa.DataType) -> pa.DataType:
    """Return a type with another type of innermost elements."""
    return pa.list_(with_element(type.value_type, inner), type.list_size) if pa.types.is_nested(type) else inner


def refuse_nul(name: str, texts: pa.Array) -> None:
    """Raise `DataError` if text contains NUL, at which readers would cut it."""
    if pc.any(pc.match_substring(texts, "\0")).as_py():
        message = f"the column {name!r} holds the character NUL in its text; write it as Parquet, or leave it out"
        raise DataError(message)


class Spool:
    """Rows buffered in a file, for several passes.

    Parameters
    ----------
    reader : pyarrow.ipc.RecordBatchFileReader
    rows : int
    """

    def __init__(self, reader: Any, rows: int) -> None:
        self._reader = reader
        self.rows = rows

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows in their original batches."""
        return (self._reader.get_batch(number) for number in range(self._reader.num_record_batches))


@contextmanager
def spool(folder: Path, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> Iterator[Spool]:
    """Buffer rows in a file without a name, which disappears with the process, however that ends."""
    rows = 0
    with tempfile.TemporaryFile(dir=folder) as file:
        options = pa.ipc.IpcWriteOptions(compression="lz4")
        with pa.ipc.new_file(pa.PythonFile(file, "w"), schema, options=options) as writer:
            for batch in regroup(batches, schema):
                writer.write_batch(batch)
                rows += batch.num_rows
        file.seek(0)
        yield Spool(pa.ipc.open_file(pa.PythonFile(file, "r")), rows)
