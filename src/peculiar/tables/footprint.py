"""Footprints: the part of the sky that a survey has observed, as a multi-order coverage map (MOC) of the IVOA."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from peculiar.errors import DataError, NotFoundError, extra


def contains(path: Path, ra: NDArray[np.floating], dec: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Return which positions lie in a footprint.

    Parameters
    ----------
    path : path
        A MOC as FITS, JSON or text, as VizieR and the archives of surveys serve them.
    ra, dec : ndarray, shape (n,)
        In degrees, ICRS. Positions that are not finite lie in no footprint.

    Returns
    -------
    ndarray of bool, shape (n,)

    Raises
    ------
    NotFoundError
        If there is no such file.
    DataError
        If the file is not a MOC of the sky.
    MissingExtraError
        If mocpy is not installed.

    References
    ----------
    Fernique et al. 2022, MOC: Multi-Order Coverage map, version 2.0, IVOA Recommendation.
    """
    if not path.is_file():
        raise NotFoundError(f"there is no footprint at {path}; give a MOC file (FITS, JSON or text)")
    with extra("reading footprints", "known"):
        from astropy import units
        from mocpy import MOC
    with path.open("rb") as file:
        first = file.read(64).lstrip()[:1]
    # A FITS file begins with SIMPLE, the text of a MOC with an order.
    format = {b"S": "fits", b"{": "json"}.get(first, "ascii")
    try:
        footprint = MOC.load(str(path), format)
    except (OSError, ValueError, UnicodeDecodeError) as error:
        message = f"{path}: is not a footprint, which is a MOC as FITS, JSON or text"
        raise DataError(message) from error
    there = np.isfinite(ra) & np.isfinite(dec)
    inside = np.zeros(len(ra), dtype=bool)
    inside[there] = footprint.contains_lonlat(ra[there] * units.deg, dec[there] * units.deg)
    return inside
