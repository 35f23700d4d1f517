"""Files in a folder that hold galaxies, but are not read because the folder was opened as another kind."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from peculiar.images.fits import holds_image
from peculiar.images.fits_file import FITS_SUFFIXES
from peculiar.images.picture_file import PICTURE_SUFFIXES
from peculiar.sources.folder import without_figures
from peculiar.sources.names import is_metadata
from peculiar.sources.paths import as_text, files_below
from peculiar.sources.tar import TAR_SUFFIXES
from peculiar.sources.zip import ZIP_SUFFIXES
from peculiar.tables.formats import is_catalog
from peculiar.text import counted

_KINDS = {
    "Parquet table": (".parquet",),
    "tar": TAR_SUFFIXES,
    "zip": ZIP_SUFFIXES,
    "FITS file": FITS_SUFFIXES,
    "picture": tuple(PICTURE_SUFFIXES),
    "NPZ file": (".npz",),
    "HDF5 file": (".h5", ".hdf5"),
}
_ONE_BY_ONE = ("picture", "FITS file")
"""Kinds whose files are one galaxy each, or a part of one; a source of such reads all of them."""

_LOOKED_INTO = 8
"""Up to so many FITS files are opened, so that tables do not count; of more, some are images."""


def unused_below(folder: Path, used: Sequence[Path] = (), *, names_files: bool = False) -> str:
    """Describe the files of a folder that hold galaxies and are not read; empty if there are none.

    Parameters
    ----------
    folder : path
    used : sequence of path
        The files that are read.
    names_files : bool
        Whether the tables that are read name pictures, which then count as read.

    Returns
    -------
    str
        "4 pictures (the first: a/p0.png) and 1 tar (t.tar)". Catalogues, metadata files and figures of peculiar do not
        count.
    """
    read = {_kind(path) for path in used[:1]} | {_kind(path) for path in used[-1:]}
    complete = {kind for kind in _ONE_BY_ONE if kind in read or names_files}
    known = set(used) if read - set(_ONE_BY_ONE) else set()
    found: dict[str, list[Path]] = {}
    for path in without_figures(files_below(folder)):
        kind = _kind(path)
        if kind and kind not in complete and path not in known and path.is_file() and not _is_ours(kind, path):
            found.setdefault(kind, []).append(path)
    fits = found.get("FITS file", [])
    if len(fits) <= _LOOKED_INTO:
        found["FITS file"] = [path for path in fits if holds_image(path)]
    return _listed(folder, found)


def _kind(path: Path) -> str:
    name = path.name.lower()
    return next((kind for kind, suffixes in _KINDS.items() if name.endswith(suffixes)), "")


def _is_ours(kind: str, path: Path) -> bool:
    return kind == "Parquet table" and (is_metadata(path.name) or is_catalog(path))


def _listed(folder: Path, found: Mapping[str, Sequence[Path]]) -> str:
    parts = []
    for kind, paths in found.items():
        if not paths:
            continue
        first = as_text(paths[0].relative_to(folder).as_posix())
        parts.append(f"{counted(len(paths), kind)} ({'the first: ' if len(paths) > 1 else ''}{first})")
    return " and ".join([", ".join(parts[:-1]), *parts[-1:]] if len(parts) > 1 else parts)
