"""HEALPix cells of positions, by which catalogues are sorted and joined."""

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike, NDArray

from peculiar.tables.column import Column

ORDER = 29
"""The finest of HEALPix: cells of 0.4 milliarcseconds."""

HEALPIX = Column(
    "_healpix_29", pa.int64(), f"cell of HEALPix, order {ORDER}, nested, that the position lies in", ucd="pos.healpix"
)
"""The column of cells, with the name that HATS and LSDB use."""


def healpix_29(ra: ArrayLike, dec: ArrayLike) -> NDArray[np.int64]:
    """Return the HEALPix cells of positions, of order 29 in nested numbering.

    Parameters
    ----------
    ra, dec : array of float (n,)
        Right ascension and declination, ICRS, in degrees. A right ascension of one turn more or less is taken as the
        same direction: -360 <= ra < 720.

    Returns
    -------
    array of int64 (n,)
        -1 if the position is unknown or impossible: NaN, a declination outside -90 to 90, a right ascension outside
        -360 to 720.
    """
    ra, dec = np.asarray(ra, np.float64), np.asarray(dec, np.float64)
    cells = np.full(ra.shape, -1, np.int64)
    known = (ra >= -360) & (ra < 720) & (dec >= -90) & (dec <= 90)
    if known.any():
        # These take half a second to import, and are needed only for positions.
        from astropy import units
        from astropy.coordinates import Latitude, Longitude
        from cdshealpix.nested import lonlat_to_healpix

        # One thread: reading and writing use the other cores.
        longitude, latitude = Longitude(ra[known], units.deg), Latitude(dec[known], units.deg)
        cells[known] = lonlat_to_healpix(longitude, latitude, ORDER, num_threads=1)
    return cells
