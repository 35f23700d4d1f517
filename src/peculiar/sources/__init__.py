"""Sources of pictures, one kind per module."""

import logging
import os
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from peculiar.errors import NotFoundError, PeculiarWarning, UnknownNameError, UsageError
from peculiar.files.places import place
from peculiar.images.stretch import Stretch
from peculiar.sources.detection import detected_positions
from peculiar.sources.exercise import load_galaxy_data
from peculiar.sources.fits import FitsSource
from peculiar.sources.folder import FolderSource
from peculiar.sources.memory import MemorySource
from peculiar.sources.metadata import MetadataSource, metadata_below, with_metadata
from peculiar.sources.mosaic import MosaicSource, parse_stamp_size
from peculiar.sources.recognise import open_path, open_several
from peculiar.sources.stream import Galaxy, Row, Source
from peculiar.sources.table import TableSource
from peculiar.sources.tar import TarSource
from peculiar.sources.tiles import find_fields, matching_paths
from peculiar.sources.unused import unused_below
from peculiar.sources.zarr import ZarrSource
from peculiar.sources.zip import ZipSource
from peculiar.tables.hats import is_hats
from peculiar.tables.key_columns import Keys
from peculiar.text import counted

logger = logging.getLogger(__name__)

__all__ = [
    "Galaxy",
    "MemorySource",
    "Paths",
    "Row",
    "Source",
    "as_source",
    "load_galaxy_data",
    "open_mosaic",
    "open_pictures",
    "open_source",
]

_FILES = {"table": "table", "tar": "tar", "zip": "zip", "fits": "FITS file"}
"""Files of the kinds of folders; others hold pictures."""

Paths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]
"""One path, or several."""

_WILDCARDS = "*?["
"""Characters of a pattern that a shell replaces by paths, unless it is quoted."""


def open_source(
    path: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    label: str | None = None,
    bands: str | Sequence[str] = (),
    stretch: Stretch | None = None,
    id: str | None = None,
    ra: str | None = None,
    dec: str | None = None,
) -> Source:
    """Open a set of galaxy pictures of any kind.

    Parameters
    ----------
    path : path-like, or sequence of path-like
        One of: an NPZ file with ``data`` and ``labels``; a folder of pictures, with or without one sub-folder per
        class; a picture; a table (Parquet, CSV, ECSV, FITS, VOTable) with a column of pictures or of paths to them; a
        folder of Parquet files; a HATS catalogue; a tar or a zip of pictures, or a folder of such; an HDF5 file with
        ``images`` and ``ans``; Zarr archives with ``images``; a FITS image, or a folder of them. The kind is recognised
        by content, not by name. Pictures may have metadata files beside them or in their archive; see
        `peculiar.sources.metadata`. Or several files of one kind (pictures, FITS images, Parquet tables, tars or zips),
        which are read as if no other file were in their common folder.
    label : str, optional
        The column of labels of a table or of metadata. Default: the first of the usual names.
    bands : str or sequence of str
        Bands of FITS images, also of those in a table, from the reddest to the bluest ("i,r,g"): names, or numbers of
        planes from 1 on. Default: by the names in the files.
    stretch : Stretch, optional
        Stretch of FITS images. Default: by the unit or noise of each picture.
    id, ra, dec : str, optional
        The columns of ids and positions of a table. Default: the first with a usual name or UCD; pictures with
        metadata are named by their paths.

    Returns
    -------
    Source

    Raises
    ------
    NotFoundError
        If nothing is there.
    DataError
        If it is none of these kinds, or damaged.
    UnknownNameError
        If there is no column with the given name.
    UsageError
        If bands or a stretch are given for a source without FITS images.

    Warns
    -----
    PeculiarWarning
        If no column of ids is recognised in a table, or ids occur more than once.

    Examples
    --------
    >>> import peculiar
    >>> source = peculiar.open_source("my_classes")
    >>> len(source), sorted(set(source.labels()))
    (24, ['edge_on', 'face_on'])
    """
    paths = [place(path)] if isinstance(path, str | os.PathLike) else [place(one) for one in path]
    if not paths:
        message = "no path was given; give that of a file or a folder with galaxy pictures"
        raise UsageError(message)
    for one in paths:
        if not one.exists():
            wanted = "the path of a file or a folder with galaxy pictures"
            if any(sign in str(one) for sign in _WILDCARDS):
                folder = next(above for above in one.parents if not any(sign in str(above) for sign in _WILDCARDS))
                wanted = f"the folder, {folder}, all of whose pictures are read, or the pattern without quotes"
            elif one.name == "-":
                wanted = "a path: standard input is not read, so save it to a file first"
            raise NotFoundError(f"there is nothing at {one}; give {wanted}")
    keys = Keys(id, ra, dec)
    if len(paths) == 1:
        (path,) = paths
        source = open_path(path, label, _listed(bands), stretch, keys)
        # These two are folders of their own making, with files of many kinds.
        if path.is_dir() and not (isinstance(source, ZarrSource) or is_hats(path)):
            _warn_of_unused(path, source)
    else:
        source = open_several(paths, label, _listed(bands), stretch, keys)
        path = source.path
    fits = isinstance(source, FitsSource) or (isinstance(source, TableSource) and source.holds_fits())
    if isinstance(source, FolderSource | FitsSource | TarSource | ZipSource):
        inside = source.metadata if isinstance(source, TarSource | ZipSource) else {}
        single = source.beside if isinstance(source, TarSource | ZipSource) else None
        beside = metadata_below(path) if len(paths) == 1 and path.is_dir() else []
        source = with_metadata(source, beside, inside, single, label, keys)
    if isinstance(source, TableSource | MetadataSource | ZarrSource):
        source.check_ids()
    elif keys.given():
        raise UnknownNameError("column", keys.given()[0], source.columns, where=f"in {path.name}, which is not a table")
    if (bands or stretch) and not fits:
        message = f"{path}: bands and a stretch apply to FITS images, but this is of the kind {source.kind!r}"
        raise UsageError(message)
    if label is not None and label != source.label:
        raise UnknownNameError("column", label, [source.label] if source.label else [], where=f"in {path.name}")
    return source


def as_source(data: Any, **options: Any) -> Source:
    """Open galaxy pictures: paths, arrays, Pillow images, or a source.

    Parameters
    ----------
    data : path-like, sequence of path-like, Source, array, PIL.Image.Image, or iterable of these
        Paths are for `open_source`; an array is uint8 or floats from 0 to 1, (n, height, width, 3).
    **options
        For `open_source`.

    Raises
    ------
    UsageError
        If options are given for an open source or pictures in memory.
    """
    pathlike = isinstance(data, str | os.PathLike)
    if not (pathlike or isinstance(data, Source) or hasattr(data, "__array__")) and isinstance(data, Iterable):
        data = list(data)
        pathlike = all(isinstance(one, str | os.PathLike) for one in data)
    if pathlike:
        return open_source(data, **options)
    stray = [name for name, value in options.items() if value]
    if stray:
        message = f"{', '.join(stray)}: only for data that are given by their path"
        raise UsageError(message)
    return data if isinstance(data, Source) else MemorySource(data)


def open_pictures(
    data: Any,
    positions: str | os.PathLike[str] | None = None,
    *,
    detect: bool = False,
    stamp_size: str = "128px",
    bands: str | Sequence[str] = (),
    id: str | None = None,
    ra: str | None = None,
    dec: str | None = None,
) -> Source:
    """Open galaxy pictures, or with `positions` or `detect`, mosaics to cut stamps from.

    Parameters
    ----------
    data : path-like, sequence of path-like, Source, array, or pictures
        See `as_source`; with `positions`, see `open_mosaic`.
    positions : path-like, optional
        A table of positions.
    detect : bool
        Take the positions of the objects that are detected in the mosaics.
    stamp_size, bands, id, ra, dec
        As in `open_mosaic` and `open_source`.

    Raises
    ------
    UsageError
        If positions are given for pictures in memory, or are to be detected although they are given.
    """
    if detect and positions is not None:
        message = "positions are given, so none are to be detected; leave out one of the two (--catalog, --detect)"
        raise UsageError(message)
    if positions is None and not detect:
        return as_source(data, bands=bands, id=id, ra=ra, dec=dec)
    if not isinstance(data, str | os.PathLike | list | tuple):
        message = "positions are for mosaics that are given by their paths"
        raise UsageError(message)
    return open_mosaic(data, positions, stamp_size=stamp_size, bands=bands, id=id, ra=ra, dec=dec)


def open_mosaic(
    mosaic: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    catalog: str | os.PathLike[str] | None = None,
    *,
    stamp_size: str = "128px",
    bands: str | Sequence[str] = (),
    stretch: Stretch | None = None,
    label: str | None = None,
    id: str | None = None,
    ra: str | None = None,
    dec: str | None = None,
) -> MosaicSource:
    """Open mosaics, from which stamps are cut at the positions of a table.

    Parameters
    ----------
    mosaic : path-like, or sequence of path-like
        A FITS image with celestial coordinates (WCS), its bands in extensions or in a cube; the files of its bands; or
        files of several mosaics, or folders of such. Images of the same sky in different bands form one mosaic.
    catalog : path-like, optional
        A table with the columns ``ra`` and ``dec`` (ICRS, in degrees unless they state another unit), and optionally
        ids, labels and radii. Default: the objects that photutils detects, with the column ``radius`` in arcsec.
    stamp_size : str
        "128px", "30arcsec", or a multiple of a column of radii: "4xR50". Radii are in arcsec, unless the column states
        another unit of angles, or pixels.
    bands, stretch
        As in `open_source`. All stamps have the same stretch.
    label : str, optional
        The table's column of labels.
    id, ra, dec : str, optional
        The table's columns of ids and positions, as in `open_source`.

    Returns
    -------
    MosaicSource

    Raises
    ------
    NotFoundError
        If nothing is there.
    DataError
        If the mosaic or the table cannot be used, or no position lies on it.
    UsageError, UnknownNameError
        If the size cannot be understood, or names a column that the table lacks.

    Examples
    --------
    >>> import peculiar
    >>> stamps = peculiar.open_mosaic("mosaic.fits", "positions.csv", stamp_size="30px")
    >>> [galaxy.picture.shape for galaxy in stamps.galaxies()]
    [(128, 128, 3), (128, 128, 3)]
    """
    given = [mosaic] if isinstance(mosaic, str | os.PathLike) else list(mosaic)
    paths = [path for one in given for path in matching_paths(one)]
    if catalog is not None and not place(catalog).exists():
        raise NotFoundError(f"there is nothing at {catalog}; give a FITS mosaic and a table of positions")
    if not paths:
        message = "no mosaic was given; give a FITS file or a folder of them"
        raise UsageError(message)
    wanted = _listed(bands)
    fields = find_fields(paths, wanted)
    size, keys = parse_stamp_size(stamp_size), Keys(id, ra, dec)
    catalog = detected_positions(fields, wanted) if catalog is None else place(catalog)
    source = MosaicSource(paths[0], fields, catalog, size, wanted, stretch, label, keys)
    unused = sorted({name for field in source.fields for name in field.unused})
    if unused:
        logger.warning("not used: the bands %s; name those to take (--bands)", ", ".join(unused))
    source.check()
    return source


def _warn_of_unused(folder: Path, source: Source) -> None:
    named = isinstance(source, TableSource) and source.names_files()
    if left := unused_below(folder, source.files(), names_files=named):
        read = counted(len(source.files()), _FILES.get(source.kind, "picture"), "are", "is")
        message = f"{folder}: {read} read, but not {left}; give the paths of these to read them"
        warnings.warn(message, PeculiarWarning, stacklevel=3)


def _listed(bands: str | Sequence[str]) -> tuple[str, ...]:
    names = bands.split(",") if isinstance(bands, str) else bands
    listed = tuple(name.strip() for name in names if name.strip())
    if names and not listed and bands:
        message = f"bands are named as in i,r,g, the reddest first; received {bands!r}"
        raise UsageError(message)
    return listed
