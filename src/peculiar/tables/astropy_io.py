"""Read FITS, VOTable and ECSV tables with astropy into Arrow, with units, UCDs and descriptions.

These formats mark unknown values in many ways, and all of them are read as null: masked values, TNULL, empty text, and
NaN. A list is null if all of its elements are.
"""

import contextlib
import io
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from peculiar.errors import DataError, PeculiarWarning, UnknownNameError
from peculiar.files.fits_layout import in_order, lists_lie_within
from peculiar.tables.arrow import to_arrow
from peculiar.tables.cards import ESCAPED, read_notes, unescaped
from peculiar.tables.column import Column
from peculiar.tables.fits_ascii import read_ascii

if TYPE_CHECKING:
    from astropy.io import fits
    from astropy.table import Table

PART_ROWS = 1 << 15
"""Rows of a FITS table that are read at a time."""

_BLOCK = 2880


class BinaryTable:
    """A binary table of a FITS file, read in parts.

    Parameters
    ----------
    path : path
    header : astropy.io.fits.Header
    begin : int
        Byte at which its rows begin.
    """

    def __init__(self, path: Path, header: "fits.Header", begin: int) -> None:
        self._path, self._header, self._begin = path, header, begin
        self.rows, self._width = int(header["NAXIS2"]), int(header["NAXIS1"])
        if self.rows < 0 or begin + self.rows * self._width > path.stat().st_size:
            message = f"it ends before the last of its {self.rows:,} rows"
            raise DataError(message)
        self.schema: pa.Schema = self._part(0, 0).schema

    def batches(self, start: int = 0) -> Iterator[pa.RecordBatch]:
        """Yield the rows from `start` on."""
        for first in range(start, self.rows, PART_ROWS):
            yield from self._part(first, min(PART_ROWS, self.rows - first)).to_batches()

    def _part(self, first: int, count: int) -> pa.Table:
        """Return rows, read as a file of their own, so that astropy does not hold the others."""
        from astropy.io import fits

        with self._path.open("rb") as file:
            file.seek(self._begin + first * self._width)
            rows = file.read(count * self._width)
        header = self._header.copy()
        header["NAXIS2"] = count
        small = io.BytesIO()
        small.write(fits.PrimaryHDU().header.tostring().encode("ascii"))
        small.write(header.tostring().encode("ascii"))
        small.write(rows)
        small.write(b"\0" * (-len(rows) % _BLOCK))
        small.seek(0)
        with _quiet(), fits.open(small, character_as_bytes=True) as file:
            return _read_hdu(file[1])


def _read_hdu(hdu: Any) -> pa.Table:
    """Return a table of a FITS file."""
    from astropy.io import fits
    from astropy.table import Table

    if isinstance(hdu, fits.TableHDU):
        read, masks = read_ascii(hdu), {}
    else:
        raw = hdu.data.view(np.ndarray)
        masks = {number: _take_nulls(column, raw) for number, column in enumerate(hdu.columns)}
        read = Table.read(hdu, format="fits", unit_parse_strict="silent")
    _describe(read, hdu.header)
    names = read.colnames
    unknown = {names[at]: mask.reshape(read[names[at]].shape) for at, mask in masks.items() if mask is not None}
    return _to_arrow(read, unknown)


def _take_nulls(column: Any, raw: NDArray[Any]) -> NDArray[np.bool_] | None:
    """Return a mask of the nulls of a column that astropy would read as values, from the rows as they are stored.

    These are zero bytes of Booleans, which it reads as False, and TNULL of scaled integers, which it compares with the
    scaled values. TNULL of such a column is removed.
    """
    if column.format.lstrip("0123456789") == "L":
        return np.asarray(raw[column.name] == 0)
    if column.null is None or not (column.bzero or column.bscale not in (None, "", 1)):
        return None
    null, column.null = column.null, None
    return np.asarray(raw[column.name] == null)


def open_fits(path: Path, table: str | None = None) -> BinaryTable | None:
    """Return a binary table of a FITS file; None if there is none, or it cannot be streamed.

    Parameters
    ----------
    path : path
    table : str, optional
        Its name, or its number among the tables, from 1 on; default: the first.
    """
    from astropy.io import fits

    with path.open("rb") as file:
        if file.read(6) != b"SIMPLE":  # compressed
            return None
    with _quiet(), fits.open(path, memmap=True) as file:
        found = _chosen_hdu(in_order(file), path, table)
        # Lists of variable length are stored behind the rows.
        if not isinstance(found, fits.BinTableHDU) or found.header["PCOUNT"]:
            return None
        return BinaryTable(path, found.header, found.fileinfo()["datLoc"])


def _chosen_hdu(file: Any, path: Path | None, table: str | None) -> Any:
    """Return the extension with a table; None if there is none."""
    from astropy.io import fits

    tables = [hdu for hdu in file if isinstance(hdu, fits.BinTableHDU | fits.TableHDU)]
    if not tables:
        if table is not None:
            raise UnknownNameError("table", table, [])
        return None
    found = tables[_choose([hdu.name for hdu in tables], path, table)]
    rows, width = int(found.header["NAXIS2"]), int(found.header["NAXIS1"])
    if rows and not width > 0:
        message = f"says that it has {rows:,} rows of {width} bytes"
        raise DataError(message)
    return found


def _choose(names: Sequence[str], path: Path | None, table: str | None) -> int:
    """Choose one of several tables; warn if none was named."""
    told = [name or str(number) for number, name in enumerate(names, start=1)]
    if table is not None:
        called = {name.lower(): at for at, name in reversed(list(enumerate(told)))}
        numbers = {str(at + 1): at for at in range(len(told))}
        found = called.get(table.lower(), numbers.get(table))
        if found is None:
            raise UnknownNameError("table", table, told, where=f"in {path.name}" if path else "")
        return found
    if len(told) > 1:
        message = (
            f"{path.name if path else 'the file'}: has {len(told)} tables ({', '.join(told[:20])}), of which the first "
            "is read; for another type: peculiar data convert FILE OUT --table NAME"
        )
        warnings.warn(message, PeculiarWarning, stacklevel=5)
    return 0


def read_whole(path: Path | io.BytesIO, format: str, table: str | None = None) -> pa.Table:
    """Read a table into memory.

    Parameters
    ----------
    path : path or binary file
    format : {"fits", "votable", "ecsv", "ipac", "mrt"}
    table : str, optional
        Name or number of the table in a FITS file or a VOTable, as in `open_fits`.

    Returns
    -------
    pyarrow.Table

    Raises
    ------
    DataError
        If the file refers to another one, or would fill the memory, or holds the error message of a service.
    UnknownNameError
        If there is no such table.

    Warns
    -----
    PeculiarWarning
        If there are several tables and none is named, or a service cut the table off.
    """
    # astropy takes a third of a second to import, and Parquet does not need it.
    from astropy.table import Table

    with _quiet():
        if format == "fits":
            return _read_fits(path, table)
        if format == "votable":
            found = _read_votable(path, table)
        elif format == "ecsv":
            _check_yaml(_ecsv_header(path))
            try:
                found = Table.read(path, format="ascii.ecsv")
            except ValueError:
                # Gaia's files write null for missing numbers, and also for missing text.
                found = Table.read(path, format="ascii.ecsv", fill_values=[("null", "0"), ("", "0")])
        else:
            found = Table.read(path, format=f"ascii.{format}")
    return _to_arrow(found, {})


def _size(path: Path | io.BytesIO) -> int:
    return path.stat().st_size if isinstance(path, Path) else path.getbuffer().nbytes


_FETCHES = re.compile(rb"<(?:\w+:)?STREAM\b[^>]*\bhref\s*=|<!ENTITY\b", re.IGNORECASE)
_ENCODING = re.compile(rb"""^[^>]{0,200}\bencoding\s*=\s*["']([^"']*)["']""")


def _read_votable(path: Path | io.BytesIO, table: str | None) -> "Table":
    from astropy.io import votable

    _check_xml(path)
    document = votable.parse(path)
    infos = [*document.infos, *(info for resource in document.resources for info in resource.infos)]
    statuses = {info.value.upper(): info for info in infos if info.name == "QUERY_STATUS"}
    failed = statuses.get("ERROR")
    tables = list(document.iter_tables())
    if failed is not None or not tables:
        if failed is None:
            raise DataError("holds no table")
        said = " ".join(str(failed.content or "").split())
        raise DataError(f"holds no table, but an error message of a service: {said or 'ERROR'}")
    at = _choose([one.name or one.ID or "" for one in tables], path if isinstance(path, Path) else None, table)
    # By default, the columns would be named by their ids in the XML.
    found = tables[at].to_table(use_names_over_ids=True)
    if "OVERFLOW" in statuses and len(found):
        message = (
            f"{path if isinstance(path, Path) else 'the table'}: the service that made it left out rows beyond "
            f"{len(found):,}; ask it for more, such as by a larger MAXREC"
        )
        warnings.warn(message, PeculiarWarning, stacklevel=5)
    found.meta = {info.name: info.value for info in [*document.infos, *document.resources[0].infos]}
    return found


def _check_xml(path: Path | io.BytesIO) -> None:
    """Raise `DataError` if a VOTable refers to other files, which its reader would fetch, or defines entities."""
    with path.open("rb") if isinstance(path, Path) else contextlib.nullcontext(path) as file:
        before = b""
        while chunk := file.read(1 << 20):
            if not before and (stated := _ENCODING.search(chunk[:300])):
                encoding = stated[1].decode("ascii", "replace").lower()
                if encoding not in ("utf-8", "us-ascii", "ascii", "iso-8859-1", "latin-1", "windows-1252"):
                    raise DataError(f"is in the encoding {encoding}; write it in UTF-8")
            if _FETCHES.search(before + chunk):
                raise DataError(
                    "refers to another file for its rows, or defines entities, but nothing is fetched for a "
                    "table; write the rows into it"
                )
            before = chunk[-4096:]
    if not isinstance(path, Path):
        path.seek(0)


def _ecsv_header(path: Path | io.BytesIO) -> bytes:
    """Return the comment lines at the beginning of an ECSV file."""
    lines: list[bytes] = []
    with path.open("rb") if isinstance(path, Path) else contextlib.nullcontext(path) as file:
        while (line := file.readline()) and (line.startswith(b"#") or not line.strip()):
            lines.append(line)
    if not isinstance(path, Path):
        path.seek(0)
    return b"".join(lines)


_ALIAS = re.compile(rb"(?:[-:,\[{]|<<:)\s+\*\w")
_MOST_ALIASES, _MOST_YAML = 20, 1 << 24


def _check_yaml(text: bytes) -> None:
    """Raise `DataError` if YAML can grow without limit, through aliases of aliases, or is too large."""
    if len(text) > _MOST_YAML or len(_ALIAS.findall(text)) > _MOST_ALIASES:
        raise DataError("the description of its columns is too large, or has too many aliases")


def read_yaml(content: bytes) -> list[Column]:
    """Return the columns that astropy describes in Parquet metadata, without their types."""
    from astropy.table.meta import get_header_from_yaml

    _check_yaml(content)
    header = get_header_from_yaml(content.decode().splitlines())
    return [
        Column(
            str(one["name"]),
            pa.null(),
            str(one.get("description") or ""),
            str(one.get("unit") or ""),
            str((one.get("meta") or {}).get("ucd", "")),
        )
        for one in header["datatype"]
    ]


def _read_fits(path: Path | io.BytesIO, table: str | None) -> pa.Table:
    """Read a whole table of a FITS file."""
    from astropy.io import fits

    with fits.open(path, character_as_bytes=True) as file:
        found = _chosen_hdu(in_order(file), path if isinstance(path, Path) else None, table)
        if found is None:
            raise DataError("holds no table; images are given as DATA, tables of positions by --catalog")
        if found.header["NAXIS1"] * found.header["NAXIS2"] + found.header["PCOUNT"] > _size(path):
            raise DataError(f"it ends before the last of its {found.header['NAXIS2']:,} rows")
        if isinstance(found, fits.BinTableHDU) and not lists_lie_within(found.data, found.header["PCOUNT"]):
            raise DataError("its lists of variable length lie outside the file; it is damaged")
        return _read_hdu(found)


def read_fields(content: bytes) -> pa.Schema:
    """Return the columns of a VOTable without rows."""
    return read_whole(io.BytesIO(content), "votable").schema


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppress warnings about misspelt units and UCDs, which do not concern a reader of the values."""
    from astropy.utils.exceptions import AstropyWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AstropyWarning)
        yield


def _describe(table: "Table", header: Any) -> None:
    """Move the meanings that TOPCAT writes into FITS headers from the notes to the columns."""
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
    """Return an Arrow table; `unknown` has masks of unknown values for some columns."""
    from astropy.table.serialize import represent_mixins_as_columns

    # Times and sky coordinates become plain columns.
    table = represent_mixins_as_columns(table)
    arrays, fields = [], []
    for name in table.colnames:
        column = table[name]
        arrays.append(to_arrow(name, column, unknown.get(name)))
        # Descriptions in a VOTable may have line breaks.
        about = (" ".join((column.description or "").split()), unit_text(column.unit), str(column.meta.get("ucd", "")))
        fields.append(Column(name, arrays[-1].type, *about).field())
    notes = {
        str(key): "\n".join(map(str, value)) if isinstance(value, list) else str(value)
        for key, value in table.meta.items()
        if not str(key).startswith("__")
    }
    return pa.table(arrays, schema=pa.schema(fields, metadata=notes))


def unit_text(unit: Any) -> str:
    """Return an astropy unit as the IVOA writes it; an unknown one unchanged, none as empty text."""
    from astropy.units import UnrecognizedUnit

    if unit is None or isinstance(unit, UnrecognizedUnit):
        return str(unit or "")
    try:
        with _quiet():  # about units that the IVOA has deprecated
            return str(unit.to_string("vounit"))
    except ValueError:  # a unit unknown to the IVOA
        return str(unit)
