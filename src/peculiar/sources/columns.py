"""Columns of tables that describe pictures: labels, the names of classes, positions."""

import json
import math
import warnings

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from peculiar.errors import DataError, PeculiarWarning
from peculiar.tables.reader import Keys, TableReader
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
