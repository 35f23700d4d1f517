"""FITS: one binary table with columns of fixed width, which astropy and TOPCAT read fastest.

Unsigned integers are stored as signed ones with an offset (TZERO), as the standard says. If some are null, they become
the next larger signed type if possible, because astropy cannot read nulls in a column with an offset.

FITS stores text of variable length only in the heap behind the table, from which astropy makes Python objects one by
one. So the rows are buffered first, and each column of text becomes as wide as its longest value.
"""

import math
import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from peculiar.errors import DataError, UsageError
from peculiar.tables.cards import EQUALS, ESCAPED, NOTE, escaped
from peculiar.tables.column import Column
from peculiar.tables.writers.records import Extent, measure, records, row_type, shape
from peculiar.tables.writers.stream import LEAVE_OUT, Repertoire, cast, element, plain, schema_of, spool, with_element

if TYPE_CHECKING:
    from astropy.io import fits

_BLOCK = 2880

_LONGEST_NAME = 68
"""Characters of a column's name that fit into a keyword record."""

_KEY = re.compile(r"[a-z][a-z0-9_]{0,7}")
"""Names of notes that are valid keywords. The others are in the values of NOTE1, NOTE2 ..., because few programs read
long values of long keywords (HIERARCH).
"""

_NO_KEYS = {"END", "CONTINUE", "COMMENT", "HISTORY"}
"""Keywords of the header itself, which cannot name a note."""

TYPES = Repertoire(frozenset({pa.uint8(), pa.int16(), pa.uint16(), pa.int32(), pa.uint32(), pa.int64(), pa.uint64()}))

_LETTERS = {
    pa.bool_(): "L",
    pa.uint8(): "B",
    pa.int16(): "I",
    pa.uint16(): "I",
    pa.int32(): "J",
    pa.uint32(): "J",
    pa.int64(): "K",
    pa.uint64(): "K",
    pa.float32(): "E",
    pa.float64(): "D",
}


def write(path: Path, columns: Sequence[Column], batches: Iterable[pa.RecordBatch], notes: Mapping[str, str]) -> None:
    """Write a table; its notes are in both headers. See `peculiar.tables.writers.write_table`."""
    columns = plain(columns, TYPES)
    _check_names(columns)
    with spool(path.parent, schema_of(columns), batches) as kept, path.open("wb") as file:
        extents = measure(schema_of(columns), kept.batches())
        columns = [_settled(*pair) for pair in zip(columns, extents, strict=True)]
        blanks = [_blank(*pair) for pair in zip(columns, extents, strict=True)]
        for header in _headers(columns, extents, blanks, kept.rows, notes):
            file.write(header.tostring().encode("ascii"))
        row = row_type(columns, [max(extent.utf8, 1) for extent in extents], nulls=False)
        settled = cast(kept.batches(), schema_of(columns))
        for rows in records(settled, row, blanks, ["utf-8"] * len(columns), offsets=True):
            file.write(rows)
        file.write(b"\0" * (-kept.rows * row.itemsize % _BLOCK))


def _settled(column: Column, extent: Extent) -> Column:
    """Return a column of a type that fits its values: a signed one, or text, for unsigned ones with nulls."""
    if not extent.missing or not _offset(column.type):
        return column
    if extent.beyond and not pa.types.is_nested(column.type):
        extent.utf8 = len(str(2**64))
        return replace(column, type=pa.string())
    return replace(column, type=with_element(column.type, _SIGNED[element(column.type)]))


_SIGNED = {pa.uint16(): pa.int32(), pa.uint32(): pa.int64(), pa.uint64(): pa.int64()}


def _offset(type: pa.DataType) -> int:
    """Return the offset of the integers of a column in FITS (TZERO)."""
    inner = element(type)
    return 1 << inner.bit_width - 1 if inner in _SIGNED else 0


def _blank(column: Column, extent: Extent) -> Any:
    """Return the value for null: NaN, a zero byte, or an integer that the column does not contain."""
    inner = element(column.type)
    if pa.types.is_floating(inner):
        return float("nan")
    if not pa.types.is_integer(inner) or not extent.missing:
        return 0
    limits = np.iinfo(inner.to_pandas_dtype())
    if extent.unused.dtype != limits.dtype:  # it was unsigned
        return limits.min
    if not len(extent.unused):
        message = (
            f"the column {column.name!r} holds nulls and every {inner} that could stand for them in FITS; "
            "write it as Parquet, or leave it out"
        )
        raise DataError(message)
    unused = extent.unused.tolist()
    return next((limit for limit in (limits.min, limits.max) if limit in unused), unused[0])


def _check_names(columns: Sequence[Column]) -> None:
    """Raise `UsageError` unless the header can hold the names of all columns."""
    for column in columns:
        found = escaped(column.name)
        if not 1 <= len(found) + found.count("'") <= _LONGEST_NAME:  # headers double it
            message = (
                f"the column {column.name!r} has a name that FITS cannot hold: it takes from 1 to {_LONGEST_NAME} "
                f"characters of ASCII, and others as Python escapes them; write Parquet, or {LEAVE_OUT}"
            )
            raise UsageError(message)


def _headers(
    columns: Sequence[Column], extents: Sequence[Extent], blanks: Sequence[Any], rows: int, notes: Mapping[str, str]
) -> "list[fits.Header]":
    from astropy.io import fits
    from astropy.utils.exceptions import AstropyWarning

    told = [text for column in columns for text in (column.name, column.ucd, column.description)]
    marked = any(escaped(text) != text or "=" in text for text in (*told, *notes)) or any(
        escaped(text) != text for text in notes.values()
    )
    write = escaped if marked else str
    made = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AstropyWarning)  # characters other than letters and digits are kept
        for column, extent, blank in zip(columns, extents, blanks, strict=True):
            offset, (form, dimensions) = _offset(column.type), _form(column.type, max(extent.utf8, 1))
            null = blank - offset if extent.missing and pa.types.is_integer(element(column.type)) else None
            about = {"unit": _unit(column.unit) or None, "null": null, "bzero": offset or None, "dim": dimensions}
            made.append(fits.Column(write(column.name), form, **about))
        header = fits.BinTableHDU.from_columns(made, nrows=0).header
    header["NAXIS2"] = rows
    for number, column in enumerate(columns, start=1):
        # TOPCAT's keywords, which FITS itself lacks.
        if column.ucd:
            header[f"TUCD{number}"] = write(column.ucd)
        if column.description:
            header[f"TCOMM{number}"] = write(column.description)
    primary = fits.PrimaryHDU().header
    primary["EXTEND"] = True
    for one in (primary, header):
        if marked:
            one[ESCAPED] = (True, "text is escaped as Python does")
        others = 0
        for name, text in notes.items():
            key = name.upper()
            if _KEY.fullmatch(name) and key not in _NO_KEYS and key not in one and not NOTE.fullmatch(key):
                one[key] = write(text)
            else:
                others += 1
                one[f"NOTE{others}"] = f"{write(name).replace('=', EQUALS)} = {write(text)}"
    return [primary, header]


def _unit(text: str) -> str:
    """Return a unit as FITS writes it; an unknown one unchanged."""
    from astropy.units import Unit

    try:
        return str(Unit(text, format="vounit").to_string("fits"))
    except ValueError:
        return escaped(text)


def _form(type: pa.DataType, width: int) -> tuple[str, str | None]:
    """Return the format of a column and its dimensions."""
    inner, lengths = element(type), shape(type)
    count, letter = (width, "A") if pa.types.is_string(inner) else (1, _LETTERS[inner])
    sizes = [*([width] if letter == "A" else []), *reversed(lengths)]
    dimensions = f"({','.join(map(str, sizes))})" if lengths and len(sizes) > 1 else None
    number = count * math.prod(lengths)
    return f"{number if lengths or letter == 'A' else ''}{letter}", dimensions
