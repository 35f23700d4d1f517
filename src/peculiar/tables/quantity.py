"""Columns as quantities: numbers converted from the unit that the file states."""

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from peculiar.errors import DataError
from peculiar.tables.column import Column

if TYPE_CHECKING:
    from astropy.units import UnitBase

_SPELLINGS = {
    "deg": ("degree", "degrees", "degs", "deg.", "°", "degre", "decimal degrees", "deg_angle"),
    "rad": ("radian", "radians", "rads", "rad."),
    "hourangle": ("hourangles", "hour angle", "hour", "hours", "h", "hr", "hrs"),
    "arcmin": ("arcmins", "arcminute", "arcminutes", "amin", "'", "′", "min of arc"),
    "arcsec": ("arcsecs", "arcsecond", "arcseconds", "asec", "as", '"', "″", "''", "sec of arc"),
    "mas": ("milliarcsec", "milliarcsecond", "milliarcseconds", "marcsec", "mas."),
    "uas": ("microarcsec", "microarcsecond", "microarcseconds", "uarcsec", "µas", "μas"),
    "pix": ("pixel", "pixels", "pixs", "px", "image pixels", "image_pixels"),
}
_KNOWN = {spelling: unit for unit, spellings in _SPELLINGS.items() for spelling in (unit, *spellings)}
"""Names of units outside the standards. Here asec is arcsec, not attosecond."""

_NONE = {"", "-", "--", "---", "none", "null", "unitless", "n/a", "unknown"}
"""Texts that mean no unit."""

_SEXAGESIMAL_UNIT = re.compile(
    r"(?P<first>h|d|°)[a-z]*[\s:_]*m[a-z]*[\s:_]*s[a-z]*(\.s+)?|(?P<word>sexagesimal)", re.IGNORECASE
)
_UNIT_IN_NAME = re.compile(
    r"[\[(](?P<brackets>[^\])]+)[\])]\s*$"
    r"|[_ ](?P<suffix>deg|degrees?|rad|radians?|hours?|hms|dms|arcsec|arcmin|mas|pix|px|pixels?)$",
    re.IGNORECASE,
)

_NUMBER = r"^[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?$|^[-+]?(inf|nan)$"
# 12:34:56.7, 12 34 56.7, 12h34m56.7s, -05d06m, 12h34.5m
_SEXAGESIMAL = (
    r"^(?P<sign>[-+−]?)\s*(?P<first>[0-9]{1,3})\s*(?P<mark>[hHdD°:\s])\s*(?P<minutes>[0-9]{1,2}(?:\.[0-9]*)?)\s*"
    r"(?:[mM'′:\s]\s*(?:(?P<seconds>[0-9]{1,2}(?:\.[0-9]*)?)\s*(?:[sS\"″]|'')?)?)?$"
)

_HOUR = 15.0


@dataclass(frozen=True, slots=True)
class Quantity:
    """A column that is read as numbers in a unit.

    Use `quantity_of` to make one.

    Parameters
    ----------
    name : str
        The column.
    stated : str
        The unit that the file states; empty if it states none.
    wanted : str
        The unit of the result: "deg" or "arcsec".
    factor : float
        Size of the stated unit in the wanted unit.
    pixels : bool
        The file states pixels, and the result is in pixels, not in the wanted unit.
    by_default : float
        Degrees per unit of sexagesimal text without letters: 15 for hours, 1 for degrees, 0 if the stated unit excludes
        such text.
    hours : bool
        Whether an angle in hours is valid: for right ascensions, not for declinations.
    """

    name: str
    stated: str
    wanted: str
    factor: float = 1.0
    pixels: bool = False
    by_default: float = 0.0
    hours: bool = False
    _degrees: float = field(default=1.0, repr=False)

    def read(self, array: pa.Array) -> NDArray[np.float64]:
        """Return values; NaN if a value is empty or not a number.

        Parameters
        ----------
        array : pyarrow.Array (n,)
            Numbers, or text with decimal numbers or sexagesimal angles.

        Returns
        -------
        array of float64 (n,)
        """
        if pa.types.is_dictionary(array.type):
            array = array.dictionary_decode()
        if not is_text(array.type):
            return self.convert(_floats(array))
        text = pc.utf8_trim_whitespace(array.cast(pa.string()))
        plain = pc.match_substring_regex(pc.utf8_lower(text), _NUMBER)
        values = self.convert(_floats(pc.if_else(plain, text, None)))
        if pc.all(pc.fill_null(plain, True)).as_py() or not (self.by_default or self.hours):
            return values
        return np.where(np.isnan(values), self._sexagesimal(text), values)

    def first_sexagesimal(self, array: pa.Array) -> str | None:
        """Return the first value that is a sexagesimal angle, if there is one."""
        if not is_text(array.type):
            return None
        text = pc.utf8_trim_whitespace(array.cast(pa.string()))
        found = text.filter(pc.match_substring_regex(text, _SEXAGESIMAL))
        return str(found[0]) if len(found) else None

    def convert(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Convert numbers from the stated unit to the wanted one."""
        # Division is exact where multiplication is not: 3,600 arcsec are 1 deg.
        parts = _whole(1 / self.factor)
        return values / parts if self.factor < 1 and parts.is_integer() else values * _whole(self.factor)

    def _sexagesimal(self, text: pa.Array) -> NDArray[np.float64]:
        parts = pc.extract_regex(text, _SEXAGESIMAL)
        sign, first, mark, minutes, seconds = (
            pc.struct_field(parts, name) for name in ("sign", "first", "mark", "minutes", "seconds")
        )
        left, middle = _floats(first), _floats(pc.utf8_rtrim(minutes, "."))
        right = _floats(pc.if_else(pc.equal(seconds, ""), "0", pc.utf8_rtrim(seconds, ".")))
        letter = np.array(pc.utf8_lower(mark).to_pylist(), object)
        scale = np.full(len(text), self.by_default)
        scale[letter == "h"] = _HOUR if self.hours else 0
        scale[(letter == "d") | (letter == "°")] = 1
        usable = (scale > 0) & (middle < 60) & (right < 60)
        angle = (left + middle / 60 + right / 3600) * scale * self._degrees
        negative = np.isin(np.array(sign.to_pylist(), object), ("-", "−"))
        return np.where(usable, np.where(negative, -angle, angle), np.nan)


def quantity_of(column: Column, wanted: str, *, where: str, hours: bool = False) -> Quantity:
    """Determine how to read a column as angles.

    A column without a unit is assumed to be in the wanted unit, unless its name ends in a unit, such as ``ra_rad`` and
    ``R50 [arcmin]``.

    Parameters
    ----------
    column : Column
    wanted : {"deg", "arcsec"}
    where : str
        Name of the file, for messages.
    hours : bool
        It is a right ascension: it may be in hours, minutes or seconds of time, and sexagesimal text without letters or
        unit is in hours.

    Returns
    -------
    Quantity
        With ``pixels`` if the unit is pixels.

    Raises
    ------
    DataError
        If the unit is unknown or not one of angles, or the column holds neither numbers nor text.
    """
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if not (_is_number(kind) or is_text(kind) or pa.types.is_null(kind)):
        message = f"{where}: the column {column.name!r} holds {kind}, but numbers are needed; name another column"
        raise DataError(message)
    stated = stated_unit(column)
    degrees = {"deg": 1.0, "arcsec": 3600.0}[wanted]
    plain = _HOUR if hours else 1.0
    if not stated:
        return Quantity(column.name, "", wanted, by_default=plain, hours=hours, _degrees=degrees)
    if match := _SEXAGESIMAL_UNIT.fullmatch(stated.strip("\"' ")):
        of_hours = hours if match["word"] else match["first"].lower() == "h"
        if of_hours <= hours:
            scale = _HOUR if of_hours else 1.0
            return Quantity(column.name, stated, wanted, scale * degrees, False, scale, hours, degrees)
    from astropy import units

    unit = parse_unit(stated)
    if unit is not None and unit.is_equivalent(units.pix):
        return Quantity(column.name, stated, wanted, float(unit.to(units.pix)), pixels=True)
    if unit is not None and hours and unit.is_equivalent(units.hour):  # seconds of time, as in right ascensions
        unit = units.Unit(unit.to(units.hour) * units.hourangle)
    elif unit == units.hourangle and not hours:
        unit = None
    if unit is None or not unit.is_equivalent(units.deg):
        known = "which is not a known unit of angles" if unit is None else "which is not an angle"
        message = (
            f"{where}: the column {column.name!r} is in {stated!r}, {known}; write it in {wanted}, or name another "
            "column"
        )
        raise DataError(message)
    # Text such as 12:34:56 is valid in columns in hours and in degrees.
    default = _whole(float(unit.to(units.deg)))
    default = default if default in (1.0, _HOUR) else 0.0
    return Quantity(column.name, stated, wanted, float(unit.to(wanted)), False, default, hours, degrees)


def stated_unit(column: Column) -> str:
    """Return the unit of a column, from its field or the end of its name; empty if there is none."""
    if column.unit.strip().lower() not in _NONE:
        return column.unit.strip()
    match = _UNIT_IN_NAME.search(column.name)
    if match is None:
        return ""
    text = str(match["brackets"] or match["suffix"]).strip()
    # Brackets contain other things, too: J2000 would be a power of joule.
    if not re.fullmatch(r"[JB][0-9.]+", text) and (_SEXAGESIMAL_UNIT.fullmatch(text) or parse_unit(text) is not None):
        return text
    return ""


def spelled_unit(text: str) -> str:
    """Return the usual name of a unit of angles or pixels; any other text as it is. Nothing is parsed."""
    text = text.strip()
    return _KNOWN.get(text) or _KNOWN.get(text.lower()) or text


def same_unit(one: Column, other: Column) -> bool:
    """Return whether two columns that are put together are in the same unit.

    A column without a unit may be in degrees, in arcsec, or in any unit that is no angle, but in no other angle.
    """
    units = {spelled_unit(column.unit) for column in (one, other)}
    if len(units) == 1 or "" not in units:
        return len(units) == 1
    return not units & _SPELLINGS.keys() - {"deg", "arcsec"}


def without_unit(name: str) -> str:
    """Return a column's name without the unit at its end."""
    return _UNIT_IN_NAME.sub("", name).strip()


def parse_unit(text: str) -> "UnitBase | None":
    """Return an astropy unit, or None if it is unknown.

    Parameters
    ----------
    text : str
        A unit as the IVOA, FITS, CDS or OGIP write it, or in words: "degrees".
    """
    from astropy import units
    from astropy.units import FunctionUnitBase

    text = text.strip()
    if (spelled := spelled_unit(text)) in _SPELLINGS:
        return units.Unit(spelled)
    for format in ("vounit", "cds", "generic", "fits", "ogip"):
        try:
            unit = units.Unit(text, format=format)
        except (ValueError, TypeError):
            continue
        # In the notation of the CDS, [deg] is a logarithm.
        return None if isinstance(unit, FunctionUnitBase) else unit
    # "Arcsec", "0.1 DEG", "10 pixels": split the number from the word.
    match = re.fullmatch(r"(?P<scale>[0-9.]+(?:[eE][-+]?[0-9]+)?)\s*\*?\s*(?P<word>[^0-9]+)", text)
    word = _KNOWN.get(match["word"].lower()) if match else None
    try:
        return None if match is None or word is None else units.Unit(float(match["scale"]) * units.Unit(word))
    except ValueError:
        return None


def is_text(kind: pa.DataType) -> bool:
    """Return whether a column of this type holds text."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _whole(number: float) -> float:
    """Return a number without the rounding error of a conversion."""
    return float(round(number)) if abs(number - round(number)) < 1e-12 * abs(number) else number


def _floats(array: Any) -> NDArray[np.float64]:
    values = pc.cast(array, pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    return np.asarray(values, np.float64)
