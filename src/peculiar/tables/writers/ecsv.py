"""ECSV: comma-separated text below astropy's header."""

import io
import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from peculiar.tables.column import Column
from peculiar.tables.writers.csv import write_rows
from peculiar.tables.writers.records import shape
from peculiar.tables.writers.stream import INTEGERS, Repertoire, element, plain, regroup, schema_of


def write(path: Path, columns: Sequence[Column], batches: Iterable[pa.RecordBatch], notes: Mapping[str, str]) -> None:
    """Write a table. See `peculiar.tables.writers.write_table`."""
    columns = plain(columns, Repertoire(INTEGERS))
    rows = regroup(batches, schema_of(columns))
    first = list(itertools.islice(rows, 1))
    if not first:  # astropy cannot read its own lists if there are no rows
        columns = [replace(one, type=pa.string()) if element(one.type) != one.type else one for one in columns]
    with path.open("wb") as file:
        file.write(_header(columns, notes).encode())
        write_rows(file, columns, itertools.chain(first, rows))


def _header(columns: Sequence[Column], notes: Mapping[str, str]) -> str:
    """Return astropy's header of a table."""
    from astropy.table import Table

    # astropy loses line ends within a text, but nothing within a list.
    table = Table(meta={name: text.split("\n") if "\n" in text else text for name, text in notes.items()})
    for column in columns:
        table[column.name] = np.empty(0, dtype=_dtype(column.type))
        table[column.name].info.description = column.description or None
        table[column.name].info.unit = column.unit or None
        if column.ucd:
            table[column.name].info.meta = {"ucd": column.ucd}
    text = io.StringIO()
    table.write(text, format="ascii.ecsv", delimiter=",")
    return text.getvalue().rstrip("\n") + "\n"


def _dtype(type: pa.DataType) -> np.dtype[np.generic]:
    inner = element(type)
    return np.dtype(("U1" if pa.types.is_string(inner) else inner.to_pandas_dtype(), shape(type)))
