"""Folders of HATS catalogues: their Parquet files in the order of the sky, and their columns of positions.

https://www.ivoa.net/documents/Notes/HATS/ describes the layout. `peculiar.tables.writers.hats` writes it.
"""

import csv
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from peculiar.errors import DataError
from peculiar.tables.column import DEC, RA, Column
from peculiar.tables.healpix import ORDER

_PROPERTIES = ("hats.properties", "properties")

_COLLECTION = "collection.properties"
_PRIMARY = "hats_primary_table_url"


def is_hats(folder: Path) -> bool:
    """Return whether a folder is a HATS catalogue, a collection of them, or the files of one without its properties."""
    return folder.is_dir() and (
        (folder / _COLLECTION).is_file()
        or (folder / _PROPERTIES[0]).is_file()
        or next(_regions(folder), None) is not None
    )


def parts_of(folder: Path) -> list[Path]:
    """Return the Parquet files of a HATS catalogue, in the order of their regions of the sky.

    Parameters
    ----------
    folder : path
        The catalogue, or a collection, of which the primary table is taken.

    Raises
    ------
    DataError
        If there are none, or a region that the catalogue lists is not there.
    """
    folder = _primary(folder)
    regions: dict[tuple[int, int], list[Path]] = {}
    for region, path in _regions(folder):
        files = [path] if path.is_file() else sorted(path.glob("*.parquet"))
        regions.setdefault(region, []).extend(files)
    listed = list(_listed(folder))
    missing = [region for region in listed if not regions.get(region)]
    if missing:
        order, pixel = missing[0]
        message = (
            f"{folder}: there is no file for {len(missing):,} of the {len(listed):,} regions in partition_info.csv, "
            f"such as Norder={order}, Npix={pixel}; copy the whole HATS catalogue again"
        )
        raise DataError(message)
    if not regions:
        raise DataError(f"{folder}: this HATS catalogue has no file with rows; copy or write it again")
    first_cells = {region: region[1] << 2 * (ORDER - region[0]) for region in regions}
    return [path for region in sorted(regions, key=lambda one: (first_cells[one], one)) for path in regions[region]]


def described(schema: pa.Schema, path: Path) -> pa.Schema:
    """Return the schema of a HATS catalogue with the meanings of its columns of positions.

    They are those that the properties name, and are in degrees. A schema that describes them itself, or of another
    kind of table, is returned as it is.

    Parameters
    ----------
    schema : pyarrow.Schema
    path : path
        The catalogue, or one of its files.

    Raises
    ------
    DataError
        If the properties name a column that is not there.
    """
    if is_hats(path):
        folder = _primary(path)
    elif (region := next((one for one in path.parents if one.name.startswith("Norder=")), None)) is not None:
        folder = region.parent
    else:
        return schema
    named = _read_properties(folder) or _read_properties(folder.parent)
    for key, known in (("hats_col_ra", RA), ("hats_col_dec", DEC)):
        if (name := named.get(key)) is None:
            continue
        at = schema.get_field_index(name)
        if at < 0:
            message = f"{folder}: its properties name {name!r} as {key}, and there is no such column; correct them"
            raise DataError(message)
        column = Column.of(schema.field(at))
        full = replace(column, unit=column.unit or known.unit, ucd=column.ucd or known.ucd)
        if full != column:
            schema = schema.set(at, full.field())
    return schema


def _primary(folder: Path) -> Path:
    """Return the catalogue itself, for a collection its primary table."""
    if not (folder / _COLLECTION).is_file():
        return folder
    name = _parsed(folder / _COLLECTION).get(_PRIMARY)
    if not name or not (folder / name).is_dir():
        message = f"{folder / _COLLECTION}: names {name!r} as {_PRIMARY}, and there is no such folder; copy it, too"
        raise DataError(message)
    return folder / name


def _regions(folder: Path) -> Iterator[tuple[tuple[int, int], Path]]:
    """Yield the order and the pixel of each region, and its file, or its folder of files."""
    for root in (folder / "dataset", folder):
        for path in root.glob("Norder=*/Dir=*/Npix=*"):
            found = re.fullmatch(r"Norder=(\d+)/Dir=\d+/Npix=(\d+)(\.parquet)?", path.relative_to(root).as_posix())
            if found and int(found[1]) <= ORDER:
                yield (int(found[1]), int(found[2])), path


def _listed(folder: Path) -> Iterator[tuple[int, int]]:
    """Yield the order and the pixel of each region that the catalogue lists."""
    path = folder / "partition_info.csv"
    if not path.is_file():
        return
    try:
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                yield int(row["Norder"]), int(row["Npix"])
    except (OSError, ValueError, LookupError, TypeError, csv.Error) as error:
        message = f"{path}: has to list Norder and Npix of each region ({error}); copy the HATS catalogue again"
        raise DataError(message) from error


def _read_properties(folder: Path) -> dict[str, str]:
    return next((_parsed(folder / name) for name in _PROPERTIES if (folder / name).is_file()), {})


def _parsed(path: Path) -> dict[str, str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        message = f"{path}: cannot be read as the properties of a HATS catalogue ({error}); copy it again"
        raise DataError(message) from error
    pairs = (line.partition("=") for line in lines if not line.lstrip().startswith("#"))
    return {key.strip(): value.strip() for key, sign, value in pairs if sign}
