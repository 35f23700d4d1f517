"""VOTable: XML of the IVOA, with rows in BINARY2, where null has a bit of its own."""

import base64
import io
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from peculiar.errors import DataError
from peculiar.tables.column import Column
from peculiar.tables.writers.records import Extent, measure, records, row_type, shape
from peculiar.tables.writers.stream import Repertoire, cast, element, plain, schema_of, spool, with_element

TYPES = Repertoire(frozenset({pa.uint8(), pa.int16(), pa.int32(), pa.int64(), pa.uint64()}), text_lists=False)

_TYPES = {
    pa.bool_(): "boolean",
    pa.uint8(): "unsignedByte",
    pa.int16(): "short",
    pa.int32(): "int",
    pa.int64(): "long",
    pa.float32(): "float",
    pa.float64(): "double",
}

_BLANKS = dict.fromkeys(_TYPES, 0) | {
    pa.string(): 0,
    pa.bool_(): ord("?"),
    pa.float32(): float("nan"),
    pa.float64(): float("nan"),
}
"""The value stored for a null, whose bit is set."""

_LARGEST = 2**63 - 1
"""The largest integer in VOTable."""

_LINE = 57
"""Bytes per line of 76 characters."""


def write(path: Path, columns: Sequence[Column], batches: Iterable[pa.RecordBatch], notes: Mapping[str, str]) -> None:
    """Write a table; its notes are INFO elements. See `peculiar.tables.writers.write_table`."""
    columns = plain(columns, TYPES)
    with spool(path.parent, schema_of(columns), batches) as kept, path.open("wb") as file:
        extents = measure(schema_of(columns), kept.batches())
        _check(columns, extents)
        columns = [_settled(*pair) for pair in zip(columns, extents, strict=True)]
        kinds = [_kind(*pair) for pair in zip(columns, extents, strict=True)]
        head, end, foot = _document(columns, kinds, notes).rpartition(b"</TABLE>")
        file.write(head)
        file.write(b'<DATA><BINARY2><STREAM encoding="base64">\n')
        widths = [_characters(extent) * (1 if extent.ascii else 2) for extent in extents]
        row = row_type(columns, widths, nulls=True)
        blanks = [_BLANKS[element(column.type)] for column in columns]
        encoding = ["ascii" if extent.ascii else "utf-16-be" for extent in extents]
        rows = records(cast(kept.batches(), schema_of(columns)), row, blanks, encoding)
        for text in _base64(rows):
            file.write(text)
        file.write(b"</STREAM></BINARY2></DATA>\n")
        file.write(end + foot)


def describe(columns: Sequence[Column], notes: Mapping[str, str], widths: Mapping[str, int]) -> bytes:
    """Return a VOTable without rows that describes the columns of a Parquet file, with the widths of text.

    Raises
    ------
    UsageError
        If a column has a type that VOTable lacks.
    """
    columns = plain(columns, TYPES)
    kinds = [
        {"datatype": "unicodeChar", "arraysize": str(widths.get(column.name, "*"))}
        if pa.types.is_string(column.type)
        else _kind(column, Extent())
        for column in columns
    ]
    return _document(columns, kinds, notes)


def _check(columns: Sequence[Column], extents: Sequence[Extent]) -> None:
    for column, extent in zip(columns, extents, strict=True):
        if extent.holes and pa.types.is_integer(element(column.type)):
            message = (
                f"the column {column.name!r} holds lists of integers of which some are null, which VOTable has no bit "
                "for; write it as Parquet or FITS, or leave it out"
            )
            raise DataError(message)
        if extent.beyond and pa.types.is_nested(column.type):
            message = (
                f"the column {column.name!r} holds lists of integers beyond {_LARGEST}, which VOTable does not have; "
                "write it as Parquet or FITS, or leave it out"
            )
            raise DataError(message)


def _settled(column: Column, extent: Extent) -> Column:
    """Return a column with 64-bit unsigned integers, which VOTable lacks, as signed integers or text."""
    if element(column.type) != pa.uint64():
        return column
    if not extent.beyond:
        return replace(column, type=with_element(column.type, pa.int64()))
    extent.utf8 = len(str(2**64))
    about = f"{column.description} (text, since some are beyond {_LARGEST})".strip()
    return replace(column, type=pa.string(), description=about)


def _characters(extent: Extent) -> int:
    # A single character would have another type than text.
    return max(extent.utf8 if extent.ascii else extent.utf16 // 2, 2)


def _document(columns: Sequence[Column], kinds: Sequence[Mapping[str, str]], notes: Mapping[str, str]) -> bytes:
    """Return astropy's VOTable without rows."""
    from astropy.io.votable import tree
    from astropy.utils.exceptions import AstropyWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AstropyWarning)  # unknown units are kept
        document = tree.VOTableFile(version="1.4")
        resource, table = tree.Resource(), tree.TableElement(document)
        document.resources.append(resource)
        resource.tables.append(table)
        # Their ids are not made from their names, which could be those of columns.
        resource.infos.extend(
            tree.Info(ID=f"info.{number}", name=_attribute(name), value=_attribute(value))
            for number, (name, value) in enumerate(notes.items(), start=1)
        )
        for column, kind in zip(columns, kinds, strict=True):
            field = tree.Field(
                document,
                name=_attribute(column.name),
                unit=column.unit or None,
                ucd=column.ucd or None,
                **kind,
            )
            field.description = _xml(column.description) or None
            table.fields.append(field)
        table.create_arrays(0)
        text = io.BytesIO()
        document.to_xml(text)
    return _MARKED.sub(lambda match: b"&#%s;" % match[1], text.getvalue())


_MARKED = re.compile("\ufffe([0-9]+);".encode())
"""Mark of an escaped character in an attribute: a character that XML does not allow."""


def _attribute(text: str) -> str:
    """Return text for an attribute; tabs and line ends, which XML would turn into blanks, are escaped."""
    return re.sub("[\t\n\r]", lambda match: f"\ufffe{ord(match[0])};", _xml(text))


def _kind(column: Column, extent: Extent) -> dict[str, str]:
    if pa.types.is_string(column.type):
        return {"datatype": "char" if extent.ascii else "unicodeChar", "arraysize": str(_characters(extent))}
    kind = {"datatype": _TYPES[element(column.type)]}
    lengths = reversed(shape(column.type))  # VOTable begins with the fastest axis
    return kind | ({"arraysize": "x".join(map(str, lengths))} if pa.types.is_nested(column.type) else {})


def _base64(parts: Iterable[bytes]) -> Iterator[bytes]:
    """Yield bytes as lines of text; the lines do not depend on the division of the input."""
    left = b""
    for part in parts:
        left += part
        whole = len(left) - len(left) % _LINE
        yield base64.encodebytes(left[:whole])
        left = left[whole:]
    yield base64.encodebytes(left)


def _xml(text: str) -> str:
    """Return text without control characters, which XML cannot hold."""
    return re.sub(r"[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "\ufffd", text)
