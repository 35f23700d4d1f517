"""Write tables as streams; the suffix of the name decides the format."""

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pyarrow as pa

from peculiar.errors import UsageError
from peculiar.files.places import place
from peculiar.files.writing import writing
from peculiar.tables.column import Column
from peculiar.tables.writers import csv, ecsv, fits, parquet, votable

FORMATS = {
    ".parquet": "parquet",
    ".csv": "csv",
    ".fits": "fits",
    ".vot": "votable",
    ".xml": "votable",
    ".ecsv": "ecsv",
}
"""Suffix of a file to the format of a table."""

_WRITERS = {
    "parquet": parquet.write,
    "csv": csv.write,
    "fits": fits.write,
    "votable": votable.write,
    "ecsv": ecsv.write,
}


def format_to_write(path: str | os.PathLike[str]) -> str:
    """Return the format for the name of a table.

    Raises
    ------
    UsageError
        If its suffix is none of `FORMATS`, or there is a folder of that name.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in FORMATS:
        message = f"{path}: a catalogue is written as {', '.join(FORMATS)}; received the suffix {suffix!r}"
        raise UsageError(message)
    if place(path).is_dir():
        message = f"{path}: a table is to be written here, but there is a folder of that name; name another file"
        raise UsageError(message)
    return FORMATS[suffix]


def write_table(
    path: Path, format: str, columns: Sequence[Column], batches: Iterable[pa.RecordBatch], notes: Mapping[str, str]
) -> None:
    """Write a table in constant memory: some hundred megabytes for any number of rows.

    FITS and VOTable state the widths of the columns in their headers. So their rows first go to a temporary file
    without a name, in the folder of `path`, which needs room for it.

    Parameters
    ----------
    path : path
    format : {"parquet", "csv", "fits", "votable", "ecsv"}
    columns : sequence of Column
        Name, unit, meaning and description are written if the format can hold them; CSV cannot.
    batches : iterable of pyarrow.RecordBatch
        With these columns.
    notes : mapping of str to str
        Notes for the header of the file.

    Raises
    ------
    UsageError
        If a column has a type that only Parquet can hold.
    DataError
        If a value does not fit into the format's type.
    """
    _WRITERS[format](path, columns, batches, notes)


def write_csv(path: Path, values: Mapping[str, pa.Array]) -> None:
    """Write columns, arrays of one length by name, as CSV: whole or not at all."""
    columns = [Column(name, array.type) for name, array in values.items()]
    with writing(path) as temporary:
        write_table(temporary, "csv", columns, pa.table(dict(values)).to_batches(), {})
