"""FITS: one binary table, with columns of one width, since astropy and TOPCAT read those fastest and in parts.

FITS has no place for text of any length in a row but the heap behind the table, and what lies there astropy makes a
Python object of, one by one. So the rows are kept first, the longest text is found, and each column of text is as wide.
"""

import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from peculiar.column import Column
from peculiar.errors import DataError, UsageError
from peculiar.writers.records import Extent, element, measure, records, row_type
from peculiar.writers.stream import plain, schema_of, spool

if TYPE_CHECKING:
    from astropy.io import fits

_BLOCK = 2880

_LONGEST_NAME, _LONGEST_KEY = 68, 60
"""Characters that a card has room for: of a column's name, and of a note's with something of its text."""

_NO_KEYS = {"END", "CONTINUE"}
"""Words of the header itself, which cannot name a note."""

_LETTERS = {
    pa.bool_(): "L",
    pa.int16(): "I",
    pa.int32(): "J",
    pa.int64(): "K",
    pa.float32(): "E",
    pa.float64(): "D",
}


def write(path: Path, columns: Sequence[Column], batches: Iterable[pa.RecordBatch], notes: Mapping[str, str]) -> None:
    """Write a table; its notes are in both headers. See `peculiar.writers.write_table`."""
    columns = plain(columns)
    names = [_name(column.name) for column in columns]
    with spool(path.parent, schema_of(columns), batches) as kept, path.open("wb") as file:
        extents = measure(schema_of(columns), kept.batches())
        blanks = [_blank(column, extent) for column, extent in zip(columns, extents, strict=True)]
        for header in _headers(columns, names, extents, blanks, kept.rows, notes):
            file.write(header.tostring().encode("ascii"))
        row = row_type(columns, [max(extent.utf8, 1) for extent in extents], nulls=False)
        for rows in records(kept.batches(), row, blanks, ["utf-8"] * len(columns)):
            file.write(rows)
        file.write(b"\0" * (-kept.rows * row.itemsize % _BLOCK))


def _blank(column: Column, extent: Extent) -> Any:
    """Return what stands for null: NaN, a zero byte, or an integer that the column does not hold."""
    inner = element(column.type)
    if pa.types.is_floating(inner):
        return float("nan")
    if not pa.types.is_integer(inner) or not extent.missing:
        return 0
    if not len(extent.unused):
        message = (
            f"the column {column.name!r} holds nulls and every {inner} that could stand for them in FITS; "
            "write it as Parquet, or leave it out"
        )
        raise DataError(message)
    limits = np.iinfo(inner.to_pandas_dtype())
    unused = extent.unused.tolist()
    return next((limit for limit in (limits.min, limits.max) if limit in unused), unused[0])


def _name(name: str) -> str:
    """Return the name of a column as a header can hold it."""
    found = _ascii(name)
    if not 1 <= len(found) + found.count("'") <= _LONGEST_NAME:  # which a header doubles
        message = (
            f"the column {name!r} has a name that FITS cannot hold: it takes from 1 to {_LONGEST_NAME} characters of "
            "ASCII, and others as Python escapes them; name the others with --column, or write Parquet"
        )
        raise UsageError(message)
    return found


def _headers(
    columns: Sequence[Column],
    names: Sequence[str],
    extents: Sequence[Extent],
    blanks: Sequence[Any],
    rows: int,
    notes: Mapping[str, str],
) -> "list[fits.Header]":
    from astropy.io import fits
    from astropy.utils.exceptions import AstropyWarning

    made = []
    for column, name, extent, blank in zip(columns, names, extents, blanks, strict=True):
        inner = element(column.type)
        count = column.type.list_size if inner != column.type else ""
        form = f"{max(extent.utf8, 1)}A" if pa.types.is_string(inner) else f"{count}{_LETTERS[inner]}"
        null = blank if extent.missing and pa.types.is_integer(inner) else None
        made.append((name, form, _unit(column.unit) or None, null))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AstropyWarning)  # signs other than letters and digits are kept as they are
        header = fits.BinTableHDU.from_columns([fits.Column(*one) for one in made], nrows=0).header
    header["NAXIS2"] = rows
    for number, column in enumerate(columns, start=1):
        # The words of TOPCAT, which FITS itself lacks.
        if column.ucd:
            header[f"TUCD{number}"] = _ascii(column.ucd)
        if column.description:
            header[f"TCOMM{number}"] = _ascii(column.description)
    primary = fits.PrimaryHDU().header
    primary["EXTEND"] = True
    for one in (primary, header):
        for key, value in notes.items():
            card = key.upper() if len(key) <= 8 and key.replace("_", "").isalnum() else f"HIERARCH {key}"
            known = _ascii(key) == key and "=" not in key and len(key) <= _LONGEST_KEY and card not in _NO_KEYS
            if known and card not in one:
                one[card] = _ascii(value)
    return [primary, header]


def _unit(text: str) -> str:
    """Return a unit as FITS writes it; one that is not known as it is."""
    from astropy.units import Unit

    try:
        return str(Unit(text, format="vounit").to_string("fits"))
    except ValueError:
        return _ascii(text)


def _ascii(text: str) -> str:
    """Return text for a header, in which what is no printable ASCII is written as Python escapes it."""
    return "".join(sign if " " <= sign <= "~" else sign.encode("unicode_escape").decode() for sign in text)
