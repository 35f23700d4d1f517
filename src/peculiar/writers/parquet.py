"""Parquet: holds everything, column by column, in groups of rows; readers such as DuckDB take only what they need."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet

from peculiar.column import Column
from peculiar.writers.stream import regroup, schema_of


def write(path: Path, columns: Sequence[Column], batches: Iterable[pa.RecordBatch], notes: Mapping[str, str]) -> None:
    """Write a table; its notes and its columns' meanings are Arrow's metadata. See `peculiar.writers.write_table`."""
    schema = schema_of(columns, notes)
    with pa.parquet.ParquetWriter(path, schema) as parquet:
        for batch in regroup(batches, schema):
            parquet.write_batch(batch)
