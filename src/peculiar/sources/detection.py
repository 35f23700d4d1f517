"""Positions of the galaxies in mosaics, found by detection and kept in the cache."""

import hashlib
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
from numpy.typing import NDArray

from peculiar.errors import DataError
from peculiar.files.cache import cache_folder
from peculiar.files.writing import replacing
from peculiar.images.detection import detect
from peculiar.images.stamps import Field, Layer
from peculiar.sources.paths import files_digest
from peculiar.tables.column import DEC, RA, Column

# Objects in two mosaics at most so far apart, in arcsec, are the same.
_SAME = 1.0

_COLUMNS = (
    Column("id", pa.string(), "name by the position", ucd="meta.id;meta.main"),
    RA,
    DEC,
    Column("radius", pa.float64(), "half-light radius of the pixels above the threshold", "arcsec", "phys.angSize"),
    Column(
        "detected_flux",
        pa.float64(),
        "flux above the threshold, in the unit of the image",
        ucd="phot.flux",
    ),
)


def detected_positions(fields: Sequence[Sequence[Layer]], bands: Sequence[str]) -> Path:
    """Return a table of the objects in mosaics; it is kept in the cache.

    Parameters
    ----------
    fields : sequence of sequence of Layer
        The images of each mosaic; see `peculiar.sources.tiles.find_fields`.
    bands : sequence of str
        Bands, from the reddest to the bluest; default: by the names in the files.

    Returns
    -------
    path
        Parquet with the columns ``id``, ``ra``, ``dec``, ``radius`` (arcsec) and ``detected_flux``.

    Raises
    ------
    MissingExtraError
        If photutils is not installed.
    DataError
        If a mosaic cannot be used, or nothing is found.
    """
    files = [file for layers in fields for layer in layers for file in layer.files]
    state = files_digest(files, files[0].parent, *map(repr, bands), metadata.version("photutils"))
    path = cache_folder() / "detections" / f"detected-{hashlib.sha256(state.encode()).hexdigest()[:16]}.parquet"
    if not path.exists():
        table = _table(fields, bands)
        if not len(table):
            message = f"{files[0]}: no galaxy is detected in it; give the positions of galaxies (--catalog)"
            raise DataError(message)
        with replacing(path) as temporary:
            pa.parquet.write_table(table, temporary)
    return path


def _table(fields: Sequence[Sequence[Layer]], bands: Sequence[str]) -> pa.Table:
    parts = [np.empty((0, 4))]
    for layers in fields:
        field = Field(layers, bands)
        sky = field.exposure.sky or field.sky
        found = np.array([tuple(one) for one in detect(field.exposure)]).reshape(-1, 4)
        parts.append(np.column_stack([sky.icrs(found[:, :2]), found[:, 3] * sky.pixel, found[:, 2]]))
    found = np.concatenate(parts)
    found = found[np.isfinite(found).all(axis=1)]
    found = found[_different(found)]
    names = [_name(ra, dec) for ra, dec in found[:, :2].tolist()]
    arrays = [pa.array(names), *(pa.array(found[:, column]) for column in range(4))]
    return pa.Table.from_arrays(arrays, schema=pa.schema([column.field() for column in _COLUMNS]))


def _different(found: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the rows of different objects, in their order: of those that several mosaics show, the first."""
    from scipy.spatial import cKDTree

    if not len(found):
        return np.empty(0, np.intp)
    lon, lat = np.radians(found[:, :2]).T
    points = np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=-1)
    pairs = cKDTree(points).query_pairs(np.radians(_SAME / 3600), output_type="ndarray")
    again = {int(pair.max()) for pair in pairs}
    return np.array([row for row in range(len(found)) if row not in again], np.intp)


def _name(ra: float, dec: float) -> str:
    """Return a name by the position, as the IAU recommends, in hundredths of an arcsec."""
    seconds, arcsec = int(ra / 15 * 360_000) % (24 * 360_000), int(abs(dec) * 360_000)
    hours = f"{seconds // 360_000:02d}{seconds // 6000 % 60:02d}{seconds % 6000 / 100:05.2f}"
    degrees = f"{arcsec // 360_000:02d}{arcsec // 6000 % 60:02d}{arcsec % 6000 / 100:05.2f}"
    return f"J{hours}{'-' if dec < 0 else '+'}{degrees}"
