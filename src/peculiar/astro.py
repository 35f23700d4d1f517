"""Tables in the formats of astronomy, FITS, VOTable and ECSV, to Arrow: read by astropy, with all that they say.

In these formats what is not known has many signs, and they are all read as null: masked values, TNULL, empty text, and
NaN as a number. A list is null where all of its elements are.
"""

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from peculiar.arrays import to_arrow
from peculiar.cards import ESCAPED, read_notes, unescaped
from peculiar.column import Column
from peculiar.errors import DataError
from peculiar.fits_ascii import read_ascii

if TYPE_CHECKING:
    from astropy.io import fits
    from astropy.table import Table

PART_ROWS = 1 << 15
"""Rows of a FITS table that are read at once."""

_BLOCK = 2880


class BinaryTable:
    """The first binary table of a FITS file, read in parts.

    Parameters
    ----------
    path : path
    header : astropy.io.fits.Header
    begin : int
        Byte at which its rows begin.
    logical : dict of str to slice
        Columns of truth values, and the bytes of a row in which each is.
    """

    def __init__(self, path: Path, header: "fits.Header", begin: int, logical: dict[str, slice]) -> None:
        self._path, self._header, self._begin, self._logical = path, header, begin, logical
        self.rows, self._width = int(header["NAXIS2"]), int(header["NAXIS1"])
        if begin + self.rows * self._width > path.stat().st_size:
            message = f"it ends before the last of its {self.rows:,} rows"
            raise DataError(message)
        self.schema: pa.Schema = self._part(0, 0).schema

    def batches(self, start: int = 0) -> Iterator[pa.RecordBatch]:
        """Yield the rows from `start` on."""
        for first in range(start, self.rows, PART_ROWS):
            yield from self._part(first, min(PART_ROWS, self.rows - first)).to_batches()

    def _part(self, first: int, count: int) -> pa.Table:
        """Return some rows, read as if they were a file of their own: so astropy need not hold the others."""
        from astropy.io import fits
        from astropy.table import Table

        with self._path.open("rb") as file:
            file.seek(self._begin + first * self._width)
            rows = file.read(count * self._width)
        header = self._header.copy()
        header["NAXIS2"] = count
        blanks = _take_blanks(header)
        small = io.BytesIO()
        small.write(fits.PrimaryHDU().header.tostring().encode("ascii"))
        small.write(header.tostring().encode("ascii"))
        small.write(rows)
        small.write(b"\0" * (-len(rows) % _BLOCK))
        small.seek(0)
        with _quiet():
            table = Table.read(small, format="fits", unit_parse_strict="silent")
        raw = np.frombuffer(rows, np.uint8).reshape(count, self._width)
        # astropy reads a truth value that is not known, a zero byte, as False.
        unknown = {name: (raw[:, some] == 0).reshape(table[name].shape) for name, some in self._logical.items()} | {
            name: np.asarray(table[name]) == blank for name, blank in blanks.items()
        }
        _describe(table, self._header)
        return _to_arrow(table, unknown)


def _take_blanks(header: "fits.Header") -> dict[str, int]:
    """Take TNULL of columns with an offset out of a header, where astropy cannot use it, and return it as values."""
    blanks = {}
    for number in range(1, int(header["TFIELDS"]) + 1):
        offset, null = header.get(f"TZERO{number}"), header.get(f"TNULL{number}")
        if offset and isinstance(null, int) and header.get(f"TSCAL{number}", 1) == 1:
            blanks[str(header[f"TTYPE{number}"])] = null + int(offset)
            del header[f"TNULL{number}"]
    return blanks


def open_fits(path: Path) -> BinaryTable | None:
    """Return the first binary table of a FITS file; None where there is none, or it cannot be read in parts."""
    from astropy.io import fits

    with _quiet(), fits.open(path, memmap=True) as file:
        found = next((hdu for hdu in file if isinstance(hdu, fits.BinTableHDU)), None)
        # Lists of any length lie behind the rows.
        if found is None or found.header["PCOUNT"]:
            return None
        places = {name: found.columns.dtype.fields[name] for name in found.columns.names}
        logical = {
            column.name: slice(places[column.name][1], places[column.name][1] + places[column.name][0].itemsize)
            for column in found.columns
            if column.format.lstrip("0123456789") == "L"
        }
        return BinaryTable(path, found.header, found.fileinfo()["datLoc"], logical)


def read_whole(path: Path | io.BytesIO, format: str) -> pa.Table:
    """Read a table into memory.

    Parameters
    ----------
    path : path or binary file
    format : {"fits", "votable", "ecsv"}

    Returns
    -------
    pyarrow.Table
    """
    # astropy takes a third of a second to import, which a Parquet user need not wait for.
    from astropy.io import votable
    from astropy.table import Table

    with _quiet():
        if format == "votable":
            document = votable.parse(path)
            # By default the columns would be called by their ids in the XML.
            table = Table.read(document, format="votable", use_names_over_ids=True)
            table.meta = {info.name: info.value for info in [*document.infos, *document.resources[0].infos]}
        else:
            table = _read_fits(path) if format == "fits" else Table.read(path, format="ascii.ecsv")
    return _to_arrow(table, {})


def _read_fits(path: Path | io.BytesIO) -> "Table":
    """Read the first table of a FITS file whole."""
    from astropy.io import fits
    from astropy.table import Table

    with fits.open(path) as file:
        found = next((hdu for hdu in file if isinstance(hdu, fits.BinTableHDU | fits.TableHDU)), None)
        if found is None:
            message = "No table found"
            raise DataError(message)
        ascii_table = isinstance(found, fits.TableHDU)
        table = read_ascii(found) if ascii_table else Table.read(found, format="fits", unit_parse_strict="silent")
        _describe(table, found.header)
    return table


def read_fields(content: bytes) -> pa.Schema:
    """Return the columns of a VOTable without rows."""
    return read_whole(io.BytesIO(content), "votable").schema


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep still about units or UCDs that a catalogue misspells: they are of no concern to a reader of its values."""
    from astropy.utils.exceptions import AstropyWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AstropyWarning)
        yield


def _describe(table: "Table", header: Any) -> None:
    """Give the columns of a FITS table the meanings that TOPCAT writes into headers, and clear them from its notes."""
    for number, name in enumerate(table.colnames, start=1):
        table[name].info.description = table[name].info.description or header.get(f"TCOMM{number}")
        if ucd := header.get(f"TUCD{number}"):
            table[name].info.meta = {**(table[name].info.meta or {}), "ucd": ucd}
    if ESCAPED in table.meta:
        for name in table.colnames:
            info = table[name].info
            info.description = unescaped(info.description or "") or None
            table.rename_column(name, unescaped(name))
    notes = {
        key: "\n".join(map(str, value)) if isinstance(value, list) else value
        for key, value in table.meta.items()
        if not re.fullmatch(r"T(UCD|COMM)\d+|EXTNAME|CHECKSUM|DATASUM", key)
    }
    table.meta = read_notes(notes)


def _to_arrow(table: "Table", unknown: dict[str, NDArray[np.bool_]]) -> pa.Table:
    """Return an Arrow table; `unknown` says of some columns which of their values are not known."""
    from astropy.table.serialize import represent_mixins_as_columns

    # Times and sky coordinates become the plain columns that they are made of.
    table = represent_mixins_as_columns(table)
    arrays, fields = [], []
    for name in table.colnames:
        column = table[name]
        arrays.append(to_arrow(name, column, unknown.get(name)))
        # A VOTable breaks its descriptions into lines.
        about = (" ".join((column.description or "").split()), unit_text(column.unit), str(column.meta.get("ucd", "")))
        fields.append(Column(name, arrays[-1].type, *about).field())
    notes = {
        str(key): "\n".join(map(str, value)) if isinstance(value, list) else str(value)
        for key, value in table.meta.items()
        if not str(key).startswith("__")
    }
    return pa.table(arrays, schema=pa.schema(fields, metadata=notes))


def unit_text(unit: Any) -> str:
    """Return a unit of astropy as the IVOA writes it; one that is not known as it was found, none as empty text."""
    from astropy.units import UnrecognizedUnit

    if unit is None or isinstance(unit, UnrecognizedUnit):
        return str(unit or "")
    try:
        with _quiet():  # of units that the IVOA no longer likes
            return str(unit.to_string("vounit"))
    except ValueError:  # a unit that the IVOA does not have
        return str(unit)
