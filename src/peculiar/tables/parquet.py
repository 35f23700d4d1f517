"""Parquet files: checks of what they claim, rows that fit into memory, and meanings that other programs stored."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from peculiar.errors import DataError
from peculiar.tables import astropy_io, hats
from peculiar.tables.column import VOTABLE_CONTENT, Column

_BATCH_BYTES = 1 << 27
"""Approximate maximum size of a batch of a Parquet file, in bytes."""

_DICTIONARY_BYTES = 5 << 18
"""Writers do not make larger dictionaries, and each row of a batch may hold all of one."""

_ROWS_A_BYTE = 1 << 12
"""Maximum number of rows per byte in a Parquet file; of equal values, DuckDB writes 1,400."""


def check_footer(metadata: Any, file: Path) -> None:
    """Raise `DataError` if a Parquet file claims more rows than its bytes can hold."""
    groups = [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)]
    if min(groups, default=0) < 0 or sum(groups) != metadata.num_rows:
        raise DataError(f"says that it has {metadata.num_rows:,} rows, and its parts say otherwise; write it again")
    if metadata.num_rows > _ROWS_A_BYTE * file.stat().st_size:
        message = f"says that it has {metadata.num_rows:,} rows, more than {file.stat().st_size:,} bytes can hold"
        raise DataError(message)


def fitting_rows(metadata: Any, columns: Sequence[str], rows: int) -> int:
    """Return how many rows of a Parquet file to read at a time, so that the columns fit into memory."""
    wanted, most = set(columns), 0.0
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        chunks = [group.column(at) for at in range(group.num_columns)]
        sizes = [_row_bytes(one) for one in chunks if one.path_in_schema.partition(".")[0] in wanted]
        most = max(most, sum(sizes) / max(group.num_rows, 1))
    return max(1, min(rows, int(_BATCH_BYTES // most))) if most else rows


def _row_bytes(chunk: Any) -> float:
    """Return the size of a column's rows in memory; each row may hold all of a large dictionary."""
    size = float(max(chunk.total_uncompressed_size, 0))
    if not chunk.has_dictionary_page:
        return size
    packed_size = max(chunk.total_compressed_size, 1)
    dictionary = size * min(1.0, max(chunk.data_page_offset - chunk.dictionary_page_offset, 0) / packed_size)
    return dictionary * chunk.num_values if dictionary > _DICTIONARY_BYTES else size


def described_schema(schema: pa.Schema, path: Path) -> pa.Schema:
    """Return the schema of a Parquet file with the meanings that TOPCAT, astropy, or the properties of HATS give."""
    return hats.described(_described(schema), path)


def _described(schema: pa.Schema) -> pa.Schema:
    """Return a schema with the meanings that TOPCAT or astropy stored, for columns without their own."""
    notes = schema.metadata or {}
    if any(Column.of(field).field().metadata for field in schema):
        return schema
    if content := notes.get(VOTABLE_CONTENT.encode()):
        known = {field.name: field for field in astropy_io.read_fields(content)}
    elif content := notes.get(b"table_meta_yaml"):
        known = {column.name: column.field() for column in astropy_io.read_yaml(content)}
    else:
        return schema
    fields = [known[field.name].with_type(field.type) if field.name in known else field for field in schema]
    return pa.schema(fields, metadata=schema.metadata)
