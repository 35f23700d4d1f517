"""CSV: names and values. Text is quoted, null is an empty cell, a list is JSON."""

import json
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from peculiar.errors import PeculiarWarning
from peculiar.files.formulas import marked, with_marks
from peculiar.tables.column import Column
from peculiar.tables.quantity import spelled_unit, stated_unit
from peculiar.tables.sky import sky_names
from peculiar.tables.writers.stream import INTEGERS, Repertoire, plain, refuse_nul, regroup, schema_of

TYPES = Repertoire(INTEGERS, loose_lists=True)


def write(path: Path, columns: Sequence[Column], batches: Iterable[pa.RecordBatch], notes: Mapping[str, str]) -> None:
    """Write a table, without notes and meanings, which CSV cannot hold. See `peculiar.tables.writers.write_table`.

    Warns
    -----
    PeculiarWarning
        If positions or other angles would be read in another unit from the CSV file.
    """
    _warn_of_units(columns)
    columns = [replace(one, name=marked(one.name)) for one in plain(columns, TYPES)]
    with path.open("wb") as file:
        write_rows(file, columns, batches, for_spreadsheets=True)


def _warn_of_units(columns: Sequence[Column]) -> None:
    """Warn of columns that are read as degrees or arcsec where no unit is stated, and are in another unit."""
    sky = sky_names(columns) or ()
    # A name such as ra_rad keeps the unit.
    units = {one.name: spelled_unit(one.unit) for one in columns if one.unit and not stated_unit(replace(one, unit=""))}
    lost = {name: unit for name, unit in units.items() if unit != "deg" and (name in sky or unit in ("rad", "arcmin"))}
    if lost:
        listed = ", ".join(f"{name} ({unit})" for name, unit in lost.items())
        renamed = ", ".join(f"{name}_{'hours' if unit == 'hourangle' else unit}" for name, unit in lost.items())
        message = (
            f"CSV states no units, and positions without one are read as degrees, radii as arcsec: {listed}. Call the "
            f"columns {renamed}, or write FITS, VOTable, ECSV or Parquet"
        )
        warnings.warn(message, PeculiarWarning, stacklevel=4)


def write_rows(
    file: BinaryIO, columns: Sequence[Column], batches: Iterable[pa.RecordBatch], *, for_spreadsheets: bool = False
) -> None:
    """Write rows as comma-separated text.

    Parameters
    ----------
    file : binary file
    columns : sequence of Column
        With types of `TYPES`.
    batches : iterable of pyarrow.RecordBatch
    for_spreadsheets : bool
        Begin with the names of the columns, and mark text that spreadsheets would evaluate.
    """
    schema = schema_of(columns)
    # A line with a single empty cell would be an empty line, which readers skip. So the cell is quoted.
    flat = pa.schema([(field.name, pa.string() if len(schema) == 1 else _flat_type(field.type)) for field in schema])
    with pa.csv.CSVWriter(file, flat, write_options=pa.csv.WriteOptions(include_header=for_spreadsheets)) as writer:
        for batch in regroup(batches, schema):
            arrays = [_flat(array).cast(field.type) for array, field in zip(batch.columns, flat, strict=True)]
            for array, field in zip(arrays, flat, strict=True):
                if pa.types.is_string(field.type):
                    refuse_nul(field.name, array)
            if for_spreadsheets:
                arrays = [with_marks(array) if pa.types.is_string(array.type) else array for array in arrays]
            if len(arrays) == 1:
                arrays = [arrays[0].fill_null("")]
            writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=flat))


def _flat_type(type: pa.DataType) -> pa.DataType:
    return pa.string() if pa.types.is_nested(type) or pa.types.is_boolean(type) else type


def _flat(array: pa.Array) -> pa.Array:
    """Return an array with one value per cell: lists as JSON, booleans as Python and ECSV write them."""
    if pa.types.is_boolean(array.type):
        return pc.if_else(array, "True", "False")
    if pa.types.is_nested(array.type):
        return pa.array([None if row is None else _json(row, array.type) for row in array.to_pylist()], pa.string())
    return array


def _json(values: list[Any], type: pa.DataType) -> str:
    return json.dumps(_filled(values, type), separators=(",", ":"), ensure_ascii=False)


def _filled(values: list[Any] | None, type: pa.DataType) -> Any:
    """Return lists in which null lists are lists of nulls, so that all have the same shape."""
    if not pa.types.is_fixed_size_list(type):
        return values
    return [_filled(value, type.value_type) for value in values or [None] * type.list_size]
