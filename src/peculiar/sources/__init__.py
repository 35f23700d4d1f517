"""Where pictures come from, one kind a file; `open_source` recognises which."""

import os
import tarfile
import zipfile
from pathlib import Path

from peculiar.errors import DataError, NotFoundError, UnknownNameError
from peculiar.image import looks_like_picture
from peculiar.sources.exercise import load_galaxy_data
from peculiar.sources.folder import FolderSource
from peculiar.sources.hdf5 import Hdf5Source
from peculiar.sources.npz import NpzSource
from peculiar.sources.simulated import simulate, simulate_galaxy
from peculiar.sources.stream import Galaxy, Row, Source
from peculiar.sources.table import TableSource
from peculiar.sources.tar import TAR_SUFFIXES, TarSource
from peculiar.table import table_format

__all__ = [
    "Galaxy",
    "Row",
    "Source",
    "load_galaxy_data",
    "open_source",
    "simulate",
    "simulate_galaxy",
]


def open_source(path: str | os.PathLike[str], *, label: str | None = None) -> Source:
    """Open a set of galaxy pictures, whatever it is.

    Parameters
    ----------
    path : path-like
        One of: an NPZ file with ``data`` and ``labels``; a folder of pictures, loose or in a sub-folder a class; one
        picture; a table (Parquet, CSV, ECSV, FITS, VOTable) with a column of pictures or of paths to them; a folder of
        Parquet files; a tar of pictures, or a folder of tars; an HDF5 file with ``images`` and ``ans``. It is
        recognised by its content, not by its name.
    label : str, optional
        The column that holds the labels, for a table. By default the first of the usual names that is there.

    Returns
    -------
    Source

    Raises
    ------
    NotFoundError
        If nothing is there.
    DataError
        If it is none of these, or a damaged one.
    UnknownNameError
        If there is no column of the name given.
    """
    path = Path(path)
    if not path.exists():
        raise NotFoundError(f"there is nothing at {path}; give the path of a file or a folder with galaxy pictures")
    source = _open(path, label)
    if label is not None and label != source.label:
        raise UnknownNameError("column", label, [source.label] if source.label else [], where=f"in {path.name}")
    return source


def _open(path: Path, label: str | None) -> Source:
    if path.is_dir():
        parts = (child for child in path.glob("*.parquet") if child.is_file() and not child.name.startswith("."))
        if shards := sorted(parts):
            return TableSource(path, shards, label)
        archives = sorted(child for child in path.iterdir() if child.name.lower().endswith(TAR_SUFFIXES))
        return TarSource(path, archives) if archives else FolderSource(path)
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except OSError as error:
        message = f"{path}: cannot be opened ({error.strerror})"
        raise DataError(message) from error
    if looks_like_picture(head):
        return FolderSource(path)
    if head.startswith(b"\x89HDF"):
        return Hdf5Source(path)
    if tarfile.is_tarfile(path):
        return TarSource(path, [path])
    if zipfile.is_zipfile(path) or head.startswith((b"PK\x03\x04", b"\x93NUMPY")):
        return NpzSource(path)
    if table_format(path):
        return TableSource(path, [path], label)
    kind = "empty" if not head else f"none of the kinds that are known (it starts with {head!r})"
    message = (
        f"{path}: this file is {kind}. Known are pictures, NPZ, HDF5, Parquet, FITS and VOTable files, and CSV and "
        "ECSV in UTF-8"
    )
    raise DataError(message)
