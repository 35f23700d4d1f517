"""ASCII tables of FITS, as VizieR writes them."""

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from peculiar.errors import DataError

if TYPE_CHECKING:
    from astropy.io import fits
    from astropy.table import Table

_OF_COLUMNS = re.compile(
    r"XTENSION|BITPIX|NAXIS\d*|[PG]COUNT|TFIELDS|T(TYPE|FORM|UNIT|BCOL|NULL|SCAL|ZERO|DISP)\d+|COMMENT|HISTORY|"
)


def read_ascii(hdu: "fits.TableHDU") -> "Table":
    """Return a table whose numbers are masked if their field is blank, or holds the word of TNULL or NaN.

    Raises
    ------
    DataError
        If a field in a column of numbers holds something else.
    """
    from astropy.table import MaskedColumn, Table
    from astropy.units import Unit

    header, rows = hdu.header, hdu.data.view(np.ndarray)
    table = Table(meta={key: value for key, value in header.items() if not _OF_COLUMNS.fullmatch(key)})
    for number, name in enumerate(hdu.columns.names, start=1):
        texts = pc.utf8_trim_whitespace(pa.array(rows[name].tolist(), pa.binary()).cast(pa.string()))
        null, unit = header.get(f"TNULL{number}"), header.get(f"TUNIT{number}")
        unknown = pc.is_in(texts, pa.array(["", *([] if null is None else [str(null).strip()])]))
        table[name] = MaskedColumn(
            _values(name, pc.if_else(unknown, None, texts), header, number),
            mask=unknown.to_numpy(zero_copy_only=False),
            unit=None if unit is None else Unit(unit, format="fits", parse_strict="silent"),
        )
    return table


def _values(name: str, texts: pa.Array, header: Any, number: int) -> NDArray[Any]:
    """Return the fields of a column in the type of its format, with arbitrary values for nulls."""
    form = str(header[f"TFORM{number}"]).strip()[:1].upper()
    if form == "A":
        return np.array(texts.fill_null("").to_pylist(), dtype=np.str_)
    # Fortran writes 1.5D+03 and +5.
    numbers = pc.replace_substring_regex(pc.replace_substring_regex(texts, r"^\+", ""), "[dD]", "E")
    try:
        found = numbers.cast(pa.int64() if form == "I" else pa.float64())
    except pa.ArrowInvalid as error:
        message = f"the column {name!r} holds a value that is not a number ({error})"
        raise DataError(message) from error
    values: NDArray[Any] = found.fill_null(0).to_numpy(zero_copy_only=False)
    scale, zero = header.get(f"TSCAL{number}", 1), header.get(f"TZERO{number}", 0)
    return values if (scale, zero) == (1, 0) else values * scale + zero
