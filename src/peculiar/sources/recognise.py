"""Recognise the kind of a source by its content, and open it; the only module that knows all kinds of files."""

import stat
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from peculiar.errors import DataError, UsageError
from peculiar.files.places import common_folder
from peculiar.images.fits import holds_image
from peculiar.images.fits_file import FITS_SUFFIXES, looks_like_fits
from peculiar.images.picture_file import PICTURE_SUFFIXES, looks_like_picture
from peculiar.images.stretch import Stretch
from peculiar.sources.fits import FitsSource, fits_below
from peculiar.sources.folder import FolderSource, is_picture, pictures_below
from peculiar.sources.hdf5 import Hdf5Source
from peculiar.sources.hub import read_configuration
from peculiar.sources.names import is_metadata
from peculiar.sources.npz import NpzSource
from peculiar.sources.paths import as_text, children, files_below
from peculiar.sources.stream import Source
from peculiar.sources.table import TableSource, holds_galaxies
from peculiar.sources.tar import TAR_SUFFIXES, TarSource, looks_like_tar
from peculiar.sources.unused import unused_below
from peculiar.sources.zarr import ZarrSource, archives_in
from peculiar.sources.zip import ZIP_SUFFIXES, ZipSource, member_name, open_zip
from peculiar.tables.formats import is_catalog, parts_below, table_format
from peculiar.tables.hats import is_hats
from peculiar.tables.key_columns import Keys

_SUFFIXES = {
    "a FITS image": FITS_SUFFIXES,
    "a tar": TAR_SUFFIXES,
    "a zip": ZIP_SUFFIXES,
    "a Parquet table": (".parquet",),
}

_SEVERAL = {"a picture", *_SUFFIXES}
"""Kinds of which several files may be given."""


def open_path(path: Path, label: str | None, bands: tuple[str, ...], stretch: Stretch | None, keys: Keys) -> Source:
    """Open a file or a folder; see `peculiar.sources.open_source`."""
    if path.is_dir():
        return _open_directory(path, label, bands, stretch, keys)
    if not path.is_file():
        message = f"{path}: cannot be opened (it is {_what_else(path)}); give the path of a file or a folder"
        raise DataError(message)
    try:
        with path.open("rb") as file:
            head = file.read(1024)
    except OSError as error:
        message = f"{path}: cannot be opened ({error.strerror})"
        raise DataError(message) from error
    if looks_like_picture(head):
        return FolderSource(path, [path])
    if looks_like_fits(head) and holds_image(path):
        return FitsSource(path, [path], bands, stretch)
    if head.startswith(b"\x89HDF"):
        return Hdf5Source(path)
    if looks_like_tar(path):
        return TarSource(path, [path])
    if head.startswith(b"\x93NUMPY"):
        return NpzSource(path)
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")) or _ends_as_zip(path):
        return _open_zip(path)
    if table_format(path):
        return TableSource(path, [path], label, bands, stretch, keys)
    kind = "empty" if not head else f"of an unknown kind (it starts with {head[:16]!r})"
    if head.startswith(b"\x1f\x8b"):
        kind = "compressed by gzip, and is neither a tar nor a table; unpack it (gunzip)"
    message = (
        f"{path}: this file is {kind}. Known are pictures, NPZ, HDF5, Parquet, FITS and VOTable files, and CSV and "
        "ECSV in UTF-8"
    )
    raise DataError(message)


def _ends_as_zip(path: Path) -> bool:
    with path.open("rb") as file:
        return zipfile.is_zipfile(file)


def _open_zip(path: Path) -> Source:
    """Open a zip archive by its content: arrays (NPZ), or pictures."""
    with open_zip(path) as archive:
        names = [member_name(member) for member in archive.infolist() if not member.is_dir()]
    if path.name.lower().endswith(".npz") or any(name.endswith(".npy") for name in names):
        return NpzSource(path)
    if any(PurePosixPath(name).suffix.lower() in PICTURE_SUFFIXES for name in names):
        return ZipSource(path, [path])
    listed = ", ".join(as_text(name) for name in names[:5]) + (" ..." if len(names) > 5 else "")
    message = (
        f"{path}: this zip archive holds neither pictures nor arrays of NumPy, but {listed or 'nothing'}. If there is "
        "a table or an archive in it, unpack it and give the path of that"
    )
    raise DataError(message)


def _open_directory(
    path: Path, label: str | None, bands: tuple[str, ...], stretch: Stretch | None, keys: Keys
) -> Source:
    """Open a catalogue, a repository, archives or tables in a folder; otherwise its pictures."""
    if is_hats(path):
        return TableSource(path, parts_below(path), label, bands, stretch, keys)
    card = read_configuration(path)
    classes = {} if card is None else card.classes
    if card is not None and card.files and all(file.suffix == ".parquet" for file in card.files):
        return TableSource(path, card.files, label, bands, stretch, keys, classes)
    if archives := archives_in(path):
        return ZarrSource(path, archives, label, keys)
    # There may be catalogues among the pictures, from `peculiar predict .`, and tables of labels.
    if shards := [part for part in parts_below(path) if not is_metadata(part.name) and holds_galaxies(part)]:
        return TableSource(path, shards, label, bands, stretch, keys, classes)
    archives = [child for child in children(path) if child.name.lower().endswith(TAR_SUFFIXES) and child.is_file()]
    return TarSource(path, archives) if archives else _open_folder(path, label, bands, stretch, keys, classes)


def _open_folder(
    path: Path,
    label: str | None,
    bands: tuple[str, ...],
    stretch: Stretch | None,
    keys: Keys,
    classes: Mapping[str, tuple[str, ...]],
) -> Source:
    """Open a folder of pictures, or if it has none, or bands are named, of FITS files.

    If it has neither: of zips, or of tables or tars anywhere below (on the Hugging Face hub they are in "data").
    """
    files = list(fits_below(path))
    pictures = [] if files and (bands or stretch) else list(pictures_below(path))
    if files and not pictures:
        return FitsSource(path, files, bands, stretch)
    if pictures:
        return FolderSource(path, pictures)
    others = sorted(file for file in files_below(path) if file.is_file())
    if tables := [file for file in others if file.suffix.lower() == ".parquet" and not is_catalog(file)]:
        return TableSource(path, tables, label, bands, stretch, keys, classes)
    if zips := [file for file in others if file.name.lower().endswith(ZIP_SUFFIXES)]:
        return ZipSource(path, zips)
    if tars := [file for file in others if file.name.lower().endswith(TAR_SUFFIXES)]:
        return TarSource(path, tars)
    message = (
        f"{path}: there is no picture in this folder; expected JPEG, PNG, TIFF or FITS files, or one folder per class"
    )
    if left := unused_below(path):
        message = f"{path}: there is no picture in this folder, but {left}; give the path of one"
    raise DataError(message)


def _what_else(path: Path) -> str:
    mode = path.stat().st_mode
    return "a named pipe" if stat.S_ISFIFO(mode) else "a socket" if stat.S_ISSOCK(mode) else "a device"


def open_several(
    paths: Sequence[Path], label: str | None, bands: tuple[str, ...], stretch: Stretch | None, keys: Keys
) -> Source:
    """Open files of one kind as if no other file were in their common folder."""
    kinds = {_kind(path): path for path in paths}
    if len(kinds) > 1 or not kinds.keys() <= _SEVERAL:
        received = " and ".join(f"{path} ({kind})" for kind, path in kinds.items())
        message = (
            "several paths have to be of one kind (pictures, FITS images, Parquet tables, tars or zips); received "
            f"{received}"
        )
        raise UsageError(message)
    files = sorted({path.absolute() for path in paths})
    folder = common_folder(files)
    match next(iter(kinds)):
        case "a picture":
            return FolderSource(folder, files)
        case "a FITS image":
            return FitsSource(folder, files, bands, stretch)
        case "a tar":
            return TarSource(folder, files)
        case "a zip":
            return ZipSource(folder, files)
        case _:
            return TableSource(folder, files, label, bands, stretch, keys)


def _kind(path: Path) -> str:
    """Return the kind of one of several files, by its name, so that a damaged file does not block the others."""
    if path.is_dir():
        return "a folder"
    if is_picture(path):
        return "a picture"
    name = path.name.lower()
    found = (kind for kind, suffixes in _SUFFIXES.items() if name.endswith(suffixes))
    return next(found, "none of these")
