"""What every writer needs: rows in pieces of a good size, in the types of its format, and a place to keep them."""

import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from peculiar.column import Column
from peculiar.errors import DataError, UsageError

GROUP_ROWS = 1 << 16
GROUP_BYTES = 1 << 26
"""Rows and bytes of which a piece has one: a row group of Parquet, and what is held in memory."""


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


def _cast(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    arrays = []
    for array, field in zip(batch.columns, schema, strict=True):
        try:
            arrays.append(array if array.type == field.type else array.cast(field.type))
        except pa.ArrowInvalid as error:
            message = f"the column {field.name!r} cannot be written: {error}; write it as Parquet, or leave it out"
            raise DataError(message) from error
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def plain(columns: Sequence[Column]) -> list[Column]:
    """Return the columns with the types that FITS, VOTable, ECSV and CSV have in common.

    They are text, truth values, signed integers of 16, 32 and 64 bits, real numbers of 32 and 64 bits, and lists of
    numbers of one length; dates become text, and unsigned integers the next larger signed ones.

    Raises
    ------
    UsageError
        If a column is of another type: a struct, bytes, lists of any length.
    """
    return [replace(column, type=_plain(column.name, column.type)) for column in columns]


def _plain(name: str, type: pa.DataType) -> pa.DataType:
    of = pa.types
    if of.is_boolean(type) or type in (pa.int16(), pa.int32(), pa.int64(), pa.float32(), pa.float64(), pa.string()):
        return type
    if of.is_dictionary(type):
        return _plain(name, type.value_type)
    if of.is_large_string(type) or of.is_string_view(type) or of.is_temporal(type) or of.is_null(type):
        return pa.string()
    if of.is_integer(type):
        return {8: pa.int16(), 16: pa.int32()}.get(type.bit_width, pa.int64())
    if of.is_floating(type):
        return pa.float32()
    if of.is_decimal(type):
        return pa.float64()
    if of.is_fixed_size_list(type) and (of.is_integer(type.value_type) or of.is_floating(type.value_type)):
        return pa.list_(_plain(name, type.value_type), type.list_size)
    message = (
        f"the column {name!r} holds {type}, which only Parquet can; name the others with --column, or write Parquet"
    )
    raise UsageError(message)


class Spool:
    """Rows kept in a file, to be gone through more than once.

    Parameters
    ----------
    reader : pyarrow.ipc.RecordBatchFileReader
    rows : int
    """

    def __init__(self, reader: Any, rows: int) -> None:
        self._reader = reader
        self.rows = rows

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows, in the batches that they came in."""
        return (self._reader.get_batch(number) for number in range(self._reader.num_record_batches))


@contextmanager
def spool(folder: Path, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> Iterator[Spool]:
    """Keep rows in a file of a folder; it has no name, and so goes with the process, however that ends."""
    rows = 0
    with tempfile.TemporaryFile(dir=folder) as file:
        options = pa.ipc.IpcWriteOptions(compression="lz4")
        with pa.ipc.new_file(pa.PythonFile(file, "w"), schema, options=options) as writer:
            for batch in regroup(batches, schema):
                writer.write_batch(batch)
                rows += batch.num_rows
        file.seek(0)
        yield Spool(pa.ipc.open_file(pa.PythonFile(file, "r")), rows)
