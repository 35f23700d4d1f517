"""Parquet: the only format that holds everything."""

import base64
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

from peculiar.errors import UsageError
from peculiar.tables.column import VOTABLE_CONTENT, VOTABLE_VERSION, WIDTH, Column
from peculiar.tables.writers.stream import LEAVE_OUT, element, regroup, schema_of
from peculiar.tables.writers.votable import describe


def write(path: Path, columns: Sequence[Column], batches: Iterable[pa.RecordBatch], notes: Mapping[str, str]) -> None:
    """Write a table. See `peculiar.tables.writers.write_table`.

    Notes and meanings of columns are stored as Arrow metadata, and again as a VOTable without rows, which TOPCAT reads:
    https://www.ivoa.net/documents/Notes/VOParquet/
    """
    for column in columns:
        if pa.types.is_fixed_size_list(column.type) and not column.type.list_size:
            message = f"the column {column.name!r} holds lists of length 0, which Parquet cannot; leave it out"
            raise UsageError(message)
        if not column.name:
            message = f"a column has no name (''), and Parquet needs one; {LEAVE_OUT}"
            raise UsageError(message)
    schema = schema_of(columns)
    widths = {column.name: len("None") for column in columns if pa.types.is_string(column.type)}
    with pa.parquet.ParquetWriter(path, schema, store_schema=False, write_page_checksum=True) as parquet:
        for batch in regroup(batches, schema):
            parquet.write_batch(batch)
            for name in widths:
                widths[name] = max(widths[name], pc.max(pc.utf8_length(batch.column(name))).as_py() or 0)
        # astropy reads the width of text from Arrow's schema, and fails without it if some text is null. So the schema
        # is stored after the widths are known.
        told = {**notes, **_description(columns, notes, widths)}
        told |= {f"{WIDTH}{name}": str(width) for name, width in widths.items()}
        whole = base64.b64encode(schema.with_metadata(told).serialize()).decode()
        parquet.add_key_value_metadata({**told, "ARROW:schema": whole})


def _description(columns: Sequence[Column], notes: Mapping[str, str], widths: Mapping[str, int]) -> dict[str, str]:
    # VOTable has no 64-bit unsigned integers, and astropy would turn them into floats under any other name.
    known = [column for column in columns if element(column.type) != pa.uint64()]
    try:
        content = describe(known, notes, widths).decode()
    except UsageError:  # pictures, structs: VOTable has no types for them
        return {}
    return {VOTABLE_VERSION: "1.0", VOTABLE_CONTENT: content}
