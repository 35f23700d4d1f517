"""Find the columns of a table that hold positions, and convert them to degrees."""

import math
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from peculiar.errors import PeculiarWarning, UnknownNameError
from peculiar.tables.column import Column
from peculiar.tables.key_columns import find_column
from peculiar.tables.quantity import Quantity, is_text, quantity_of, without_unit
from peculiar.tables.reader import TableReader

_PAIRS = (
    ("ra", "dec"),
    ("ra", "decl"),
    ("ra", "de"),
    ("raj2000", "dej2000"),
    ("raj2000", "decj2000"),
    ("ra_icrs", "de_icrs"),
    ("ra_icrs", "dec_icrs"),
    ("radeg", "dedeg"),
    ("radeg", "decdeg"),
    ("right_ascension", "declination"),
    ("coord_ra", "coord_dec"),
    ("target_ra", "target_dec"),
    ("ramean", "decmean"),
    ("rastack", "decstack"),
    ("meanra", "meandec"),
    ("alpha_j2000", "delta_j2000"),
    ("alphawin_j2000", "deltawin_j2000"),
    ("alphapeak_j2000", "deltapeak_j2000"),
    ("alpha_sky", "delta_sky"),
    ("plug_ra", "plug_dec"),
    ("fiber_ra", "fiber_dec"),
    ("obj_ra", "obj_dec"),
    ("objra", "objdec"),
    ("object_ra", "object_dec"),
    ("source_ra", "source_dec"),
    ("cat_ra", "cat_dec"),
    ("gal_ra", "gal_dec"),
    ("s_ra", "s_dec"),
)
"""Names of columns of positions, the most usual first."""

RA_NAMES = tuple(dict.fromkeys(ra for ra, _ in _PAIRS))
DEC_NAMES = tuple(dict.fromkeys(dec for _, dec in _PAIRS))

_RA_WORDS = ("pos.eq.ra;meta.main", "pos_eq_ra_main", "pos.eq.ra")
_DEC_WORDS = ("pos.eq.dec;meta.main", "pos_eq_dec_main", "pos.eq.dec")
"""UCDs of such columns."""

_AMBIGUOUS = ("coord_ra", "coord_dec")
"""Columns that Rubin Observatory's pipelines write in radians and its catalogues in degrees."""


@dataclass(frozen=True, slots=True)
class Sky:
    """The columns with right ascension and declination (ICRS), and how to read them."""

    ra: Quantity
    dec: Quantity

    @property
    def names(self) -> tuple[str, str]:
        """Names of the two columns."""
        return self.ra.name, self.dec.name

    def read(self, batch: pa.RecordBatch) -> NDArray[np.float64]:
        """Return the positions of a batch in degrees, shape (2, n); NaN if a value is empty or not an angle."""
        return np.stack([one.read(batch.column(one.name)) for one in (self.ra, self.dec)])


def sky_names(columns: Sequence[Column], ra: str | None = None, dec: str | None = None) -> tuple[str, str] | None:
    """Return the names of the columns with right ascension and declination.

    Parameters
    ----------
    columns : sequence of Column
    ra, dec : str, optional
        Their names; default: found by the usual names, with or without a unit at the end, otherwise by UCD.

    Returns
    -------
    (str, str) or None
        None if one of them is not found.
    """
    names = [column.name for column in columns]
    bare = {without_unit(name): name for name in reversed(names)}
    for known in _PAIRS if ra is None and dec is None else ():
        for found in ([find_column([name], names) for name in known], [find_column([name], [*bare]) for name in known]):
            if all(found):
                first, second = (name if name in names else bare[str(name)] for name in found)
                return str(first), str(second)
    ra = ra or _found(RA_NAMES, _RA_WORDS, columns)
    dec = dec or _found(DEC_NAMES, _DEC_WORDS, columns)
    return None if ra is None or dec is None else (ra, dec)


def _found(known: Iterable[str], words: Sequence[str], columns: Sequence[Column]) -> str | None:
    bare = {without_unit(column.name): column.name for column in reversed(columns)}
    name = find_column(tuple(known), [*bare])
    if name is not None:
        return bare[name]
    meanings = {column.ucd.lower().replace(" ", ""): column.name for column in reversed(columns)}
    return next((meanings[word] for word in words if word in meanings), None)


def find_sky(table: TableReader, ra: str | None = None, dec: str | None = None) -> Sky | None:
    """Return the columns of positions of a table, and how to read them.

    Parameters
    ----------
    table : TableReader
    ra, dec : str, optional
        Their names; default: found by name or UCD.

    Returns
    -------
    Sky or None
        None if there are no such columns.

    Raises
    ------
    UnknownNameError
        If there is no column with a given name.
    DataError
        If the unit of a column is unknown or not an angle, or the column holds neither numbers nor text.

    Warns
    -----
    PeculiarWarning
        If the unit of a column is assumed, because the file does not state it.
    """
    for name in filter(None, (ra, dec)):
        table.check_column(name)
    columns = [Column.of(field) for field in table.schema]
    names = sky_names(columns, ra, dec)
    if names is None:
        return None
    for name in names:
        table.check_column(name)
    of_name = {column.name: column for column in columns}
    sky = Sky(
        *(
            quantity_of(of_name[name], "deg", where=str(table.path), hours=hours)
            for name, hours in zip(names, (True, False), strict=True)
        )
    )
    _say_how(table, sky)
    return sky


def need_sky(
    table: TableReader,
    ra: str | None = None,
    dec: str | None = None,
    advice: str = "name them with --ra COLUMN and --dec COLUMN",
) -> Sky:
    """Return the columns of positions like `find_sky`; raise `UnknownNameError` with `advice` if there are none."""
    sky = find_sky(table, ra, dec)
    if sky is None:
        where = f"in {table.path.name}, and none else of positions; {advice}"
        raise UnknownNameError("column", "ra", table.columns, where=where)
    return sky


RA_RANGE = (-180, 360)
"""Right ascensions that a table may have, in degrees: some count to the west as well."""


def on_sky(degrees: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which positions (2, n) are on the sky: right ascension in `RA_RANGE`, declination from -90 to 90."""
    with np.errstate(invalid="ignore"):
        return np.asarray((degrees[0] >= RA_RANGE[0]) & (degrees[0] <= RA_RANGE[1]) & (np.abs(degrees[1]) <= 90))


def position_fault(degrees: Sequence[float], written: Sequence[Any]) -> str | None:
    """Describe the fault of one position; None if it is on the sky.

    Parameters
    ----------
    degrees : sequence of float
        Right ascension and declination; NaN if a value is empty or not an angle.
    written : sequence
        The same as the table has them.
    """
    for name, number, value in zip(("ra", "dec"), degrees, written, strict=True):
        if not math.isfinite(number):
            if value in (None, ""):
                return f"{name} is empty"
            no_text = isinstance(value, float) or math.isinf(number)
            return f"{name} is {number}" if no_text else f"{name} {value!r} is not a number of degrees"
    ra, dec = degrees
    if abs(dec) > 90:
        swapped = "; ra and dec look swapped" if abs(ra) <= 90 and 0 <= dec <= 360 else ""
        return f"dec {dec:g} is not between -90 and 90 degrees{swapped}"
    if not RA_RANGE[0] <= ra <= RA_RANGE[1]:
        return f"ra {ra:g} is not between {RA_RANGE[0]} and {RA_RANGE[1]} degrees"
    return None


def _say_how(table: TableReader, sky: Sky) -> None:
    """Warn of assumed units."""
    silent = [one.name for one in (sky.ra, sky.dec) if not one.stated and find_column(_AMBIGUOUS, [one.name])]
    if silent:
        message = f"{table.path}: states no unit for {' and '.join(silent)}; degrees are assumed"
        warnings.warn(message, PeculiarWarning, stacklevel=4)
    if sky.ra.stated or not is_text(table.schema.field(sky.ra.name).type):
        return
    batch = next(table.batches(sky.names), None)
    text = None if batch is None else sky.ra.first_sexagesimal(batch.column(sky.ra.name))
    if text is not None:
        unit = "degrees" if "d" in text.lower() or "°" in text else "hours"
        message = f"{table.path}: {sky.ra.name} is read as {unit}, minutes and seconds, such as {text!r}"
        warnings.warn(message, PeculiarWarning, stacklevel=4)
