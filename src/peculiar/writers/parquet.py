"""Parquet: holds everything, column by column, in groups of rows; readers such as DuckDB take only what they need."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet

from peculiar.column import VOTABLE_CONTENT, VOTABLE_VERSION, Column
from peculiar.errors import UsageError
from peculiar.writers.stream import regroup, schema_of
from peculiar.writers.votable import describe


def write(path: Path, columns: Sequence[Column], batches: Iterable[pa.RecordBatch], notes: Mapping[str, str]) -> None:
    """Write a table. See `peculiar.writers.write_table`.

    Its notes and the meanings of its columns are Arrow's metadata, and once more a VOTable without rows, which TOPCAT
    reads: https://www.ivoa.net/documents/Notes/VOParquet/
    """
    schema = schema_of(columns, {**notes, **_description(columns, notes)})
    with pa.parquet.ParquetWriter(path, schema) as parquet:
        for batch in regroup(batches, schema):
            parquet.write_batch(batch)


def _description(columns: Sequence[Column], notes: Mapping[str, str]) -> dict[str, str]:
    try:
        content = describe(columns, notes).decode()
    except UsageError:  # pictures, structs: VOTable has no words for them
        return {}
    return {VOTABLE_VERSION: "1.0", VOTABLE_CONTENT: content}
