"""Checks of the sizes and offsets in a FITS file, before astropy uses them."""

import itertools
import re
from typing import Any, TypeVar

import numpy as np

T = TypeVar("T")

# Bytes of an entry of a column of lists, by the letter of its format.
_BYTES = {"B": 1, "I": 2, "J": 4, "K": 8, "E": 4, "D": 8, "C": 8, "M": 16}


def in_order(hdus: T) -> T:
    """Read all headers of an open FITS file, and return it.

    astropy reads the same headers for ever where one of them states a negative size.

    Parameters
    ----------
    hdus : astropy.io.fits.HDUList
        Opened with its headers still to be read.

    Raises
    ------
    ValueError
        If a header does not lie behind the one before.
    """
    before = -1
    for number in itertools.count():
        try:
            place = hdus[number].fileinfo()["hdrLoc"]  # type: ignore[index] # astropy is not typed
        except IndexError:
            return hdus
        if place <= before:
            message = f"header {number - 1} states a negative size"
            raise ValueError(message)
        before = place
    return hdus


def lists_lie_within(table: Any, room: int) -> bool:
    """Return whether all lists of variable length lie behind the rows of a table, and before the end of the file.

    astropy cuts off those that do not, and reads memory behind the file.

    Parameters
    ----------
    table : astropy.io.fits.FITS_rec
    room : int
        Bytes behind the rows.
    """
    rows = table.view(np.ndarray)
    for column in table.columns:
        lists = re.match(r"1?[PQ](\w)", column.format)
        if lists is None:
            continue
        size = _BYTES.get(lists[1], 1)
        count, start = rows[column.name].astype(np.int64).T
        outside = (count < 0) | (start < 0) | (start > room) | (count > (room - start) // size)
        if outside[count != 0].any():
            return False
    return True
