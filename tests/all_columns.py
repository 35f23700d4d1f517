"""A table with a column of every kind and rows of every sort, and its writing and reading."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from peculiar.tables.column import Column
from peculiar.tables.reader import TableReader
from peculiar.tables.writers import format_to_write, write_table

COLUMNS = [
    Column("id", pa.string(), "identifier, with a comma; and a very long description " * 4, ucd="meta.id;meta.main"),
    Column("ra", pa.float64(), "right ascension, ICRS", "deg", "pos.eq.ra;meta.main"),
    Column("p", pa.float32(), "probability of 'odd'", ucd="stat.probability"),
    Column("speed", pa.int64(), "away from us", "km.s**-1", "spect.dopplerVeloc"),
    Column("flags", pa.int32(), "bits", ucd="meta.code.qual"),
    Column("short", pa.int16(), "a small number"),
    Column("seen", pa.bool_(), "whether somebody looked"),
    Column("embedding", pa.list_(pa.float32(), 3), "what the network makes of it"),
    Column("counts", pa.list_(pa.int32(), 2), "votes"),
]

NOTES = {"creator": "peculiar 0.1.0", "model digest": "0123abcd" * 8, "credits": "Möri; " * 30}

NAN = float("nan")

ROWS: list[list[Any]] = [
    ["a", 150.25, 0.1, 2**63 - 1, 2**31 - 1, 2**15 - 1, True, [0.1, NAN, -0.0], [1, 2]],
    ["0017", 0.0, None, -(2**63), -(2**31), -(2**15), False, [1e-45, 3.4e38, float("inf")], [2**31 - 1, -(2**31)]],
    ['said "hi", left\nthen', None, 1e-7, None, None, None, None, None, None],
    ["天 🌌 Möri", 359.99999999999994, 1.0, 0, 0, 0, True, [1, 2, 3], [0, 0]],
    [None, 5e-324, 0.5, 1, 1, 1, False, [0, 0, 0], [5, 6]],
]


def rows_to_batch(rows: Sequence[Sequence[Any]], columns: Sequence[Column] = COLUMNS) -> pa.RecordBatch:
    values = zip(*rows, strict=True) if rows else [[] for _ in columns]
    arrays = [pa.array(list(one), column.type) for one, column in zip(values, columns, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, names=[column.name for column in columns])


def write(path: Path, rows: Sequence[Sequence[Any]], columns: Sequence[Column] = COLUMNS) -> Path:
    write_table(path, format_to_write(path), columns, [rows_to_batch(rows, columns)], NOTES)
    return path


def read(path: Path) -> pa.Table:
    reader = TableReader(path)
    text = pa.schema([(name, pa.string()) for name in reader.columns])
    schema = text if reader.format == "csv" else reader.schema
    return pa.Table.from_batches(list(reader.batches(reader.columns)), schema)
