"""Headers of a FITS file, read one after the other."""

import itertools
from typing import TypeVar

T = TypeVar("T")


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
