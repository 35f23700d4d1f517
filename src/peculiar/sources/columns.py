"""Columns of tables that describe pictures: labels, the names of classes, positions."""

import json
import math
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from peculiar.errors import DataError, PeculiarWarning
from peculiar.tables.column import Column
from peculiar.tables.key_columns import Keys
from peculiar.tables.quantity import same_unit
from peculiar.tables.reader import TableReader
from peculiar.tables.sky import Sky, find_sky, on_sky, position_fault

_FEWEST = 20
"""Number of positions whose range tells something about their unit."""

_OTHER_UNITS = (("hours", (1, 22.5), 24, 90), ("radians", (0.3, 6), 2 * math.pi, math.pi / 2))
"""Units of right ascensions all around the sky: where they begin and end, a whole turn, and the pole's declination."""

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


def warn_of_positions(path: Path, sky: Sky, positions: Iterable[NDArray[np.float64]]) -> None:
    """Warn of positions (2, n) that are not on the sky, and of right ascensions that look like hours or radians."""
    count, off, fault = 0, 0, None
    low, high = np.full(2, np.inf), np.full(2, -np.inf)
    for degrees in positions:
        known = degrees[:, ~np.isnan(degrees).any(axis=0)]
        there = on_sky(known)
        count, off = count + len(there), off + int((~there).sum())
        if fault is None and not there.all():
            first = known[:, ~there][:, 0].tolist()
            fault = position_fault(first, first)
        low = np.minimum(low, known[:, there].min(axis=1, initial=np.inf))
        high = np.maximum(high, known[:, there].max(axis=1, initial=-np.inf))
    if off:
        message = f"{path}: {off:,} of {count:,} positions are not on the sky (such as: {fault}) and taken as unknown"
        warnings.warn(message, PeculiarWarning, stacklevel=4)
    if sky.ra.stated or count < _FEWEST:
        return
    for unit, (begin, end), turn, pole in _OTHER_UNITS:
        if 0 <= low[0] < begin and end < high[0] <= turn and max(-low[1], high[1]) <= pole:
            message = (
                f"{path}: {sky.ra.name} runs from {low[0]:.4g} to {high[0]:.4g} and states no unit; degrees are "
                f"assumed. If these are {unit}, state it in the name of the column: {sky.ra.name}_{unit}"
            )
            warnings.warn(message, PeculiarWarning, stacklevel=4)
            return


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
    """Return the positions of a batch in degrees, right ascensions from 0 on; None if unknown or not on the sky."""
    degrees = sky.read(batch)
    rows = zip(*degrees.tolist(), on_sky(degrees).tolist(), strict=True)
    return [(ra if ra >= 0 else ra + 360, dec) if there else None for ra, dec, there in rows]


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
