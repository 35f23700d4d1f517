"""CSV: names and values alone. Text is quoted, null is an empty cell, a list is JSON."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from peculiar.column import Column
from peculiar.writers.stream import plain, regroup, schema_of


def write(path: Path, columns: Sequence[Column], batches: Iterable[pa.RecordBatch], notes: Mapping[str, str]) -> None:
    """Write a table; CSV has no place for notes and meanings. See `peculiar.writers.write_table`."""
    with path.open("wb") as file:
        write_rows(file, columns, batches, header=True)


def write_rows(
    file: BinaryIO, columns: Sequence[Column], batches: Iterable[pa.RecordBatch], *, header: bool = False
) -> None:
    """Write rows as comma-separated text.

    Parameters
    ----------
    file : binary file
    columns : sequence of Column
    batches : iterable of pyarrow.RecordBatch
    header : bool
        Begin with the names of the columns.
    """
    schema = schema_of(plain(columns))
    # A line of one empty cell is an empty line, which readers skip: so the cell is quoted.
    flat = pa.schema([(field.name, pa.string() if len(schema) == 1 else _flat_type(field.type)) for field in schema])
    with pa.csv.CSVWriter(file, flat, write_options=pa.csv.WriteOptions(include_header=header)) as writer:
        for batch in regroup(batches, schema):
            arrays = [_flat(array).cast(field.type) for array, field in zip(batch.columns, flat, strict=True)]
            if len(arrays) == 1:
                arrays = [arrays[0].fill_null("")]
            writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=flat))


def _flat_type(type: pa.DataType) -> pa.DataType:
    return pa.string() if pa.types.is_fixed_size_list(type) or pa.types.is_boolean(type) else type


def _flat(array: pa.Array) -> pa.Array:
    """Return an array whose cells hold one value each: lists as JSON, truth values as Python and ECSV write them."""
    if pa.types.is_boolean(array.type):
        return pc.if_else(array, "True", "False")
    if pa.types.is_fixed_size_list(array.type):
        return pa.array([None if row is None else _json(row) for row in array.to_pylist()], pa.string())
    return array


def _json(values: list[float | None]) -> str:
    return json.dumps(values, separators=(",", ":"))
