"""Columns of tables that describe pictures: labels, the names of classes, positions."""

import json
import math
import warnings
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from peculiar.errors import DataError, PeculiarWarning
from peculiar.tables.column import Column
from peculiar.tables.key_columns import Keys
from peculiar.tables.quantity import same_unit
from peculiar.tables.reader import TableReader
from peculiar.tables.sky import Sky, find_sky

LABEL_COLUMNS = ("four_class", "label", "labels", "class", "clean5", "gz2_argmax", "cls")


def known_sky(table: TableReader, keys: Keys) -> Sky | None:
    """Return the columns of positions; None if there are none, or none of the first rows can be read.

    Warns
    -----
    PeculiarWarning
        If positions cannot be read.
    """
    try:
        sky = find_sky(table, keys.ra, keys.dec)
    except DataError as error:
        if keys.ra or keys.dec:
            raise
        warnings.warn(f"{error}. No position is known", PeculiarWarning, stacklevel=3)
        return None
    batch = None if sky is None else next(table.batches(sky.names), None)
    if sky is None or batch is None:
        return sky
    unread = np.isnan(sky.read(batch))
    strange = [
        array.filter(pa.array(rows & array.is_valid().to_numpy(zero_copy_only=False)))
        for array, rows in zip((batch.column(name) for name in sky.names), unread, strict=True)
    ]
    first = next((array[0] for array in strange if len(array) and not _is_nan(array[0])), None)
    if first is None:
        return sky
    none = bool(unread.any(axis=0).all())
    message = (
        f"{table.path}: {' and '.join(sky.names)} are not angles (such as {str(first)[:40]!r}), so "
        f"{'no position is known' if none else 'the position of such rows is not known'}; give degrees"
    )
    warnings.warn(message, PeculiarWarning, stacklevel=3)
    return None if none else sky


def check_alike(tables: Sequence[TableReader], columns: Sequence[str], label: str | None) -> None:
    """Raise `DataError` unless tables that are put together mean the same: units of columns, and names of classes.

    Parameters
    ----------
    tables : sequence of TableReader
    columns : sequence of str
        Names of columns, which a table may lack.
    label : str, optional
        The column of labels.
    """
    first = tables[0]
    for table in tables[1:]:
        for name in columns:
            if name not in first.columns or name not in table.columns:
                continue
            own, its = (Column.of(one.schema.field(name)) for one in (first, table))
            if not same_unit(own, its):
                message = (
                    f"{table.path}: {name} is in {its.unit or 'no unit'}, but in {own.unit or 'no unit'} in "
                    f"{first.path}; write both in the same unit"
                )
                raise DataError(message)
        if label in table.columns and class_names(table.schema, label) != class_names(first.schema, label):
            message = (
                f"{table.path}: the names of the classes in {label!r} are not those of {first.path}; write names "
                "instead of numbers in both"
            )
            raise DataError(message)


def positions_of(sky: Sky, batch: pa.RecordBatch) -> list[tuple[float, float] | None]:
    """Return the positions of a batch in degrees; None where one is not known."""
    return [None if math.isnan(ra) or math.isnan(dec) else (ra, dec) for ra, dec in sky.read(batch).T.tolist()]


def class_names(schema: pa.Schema, column: str | None) -> tuple[str, ...]:
    """Return the class names for a column of integers, from the Hugging Face metadata of a Parquet file."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        names = features[column]["names"]
    except (LookupError, TypeError, ValueError, RecursionError):
        return ()
    return tuple(names) if isinstance(names, list) and all(isinstance(name, str) for name in names) else ()


def _is_nan(value: pa.Scalar) -> bool:
    return bool(pc.is_nan(value).as_py()) if pa.types.is_floating(value.type) else False
