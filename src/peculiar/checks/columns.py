"""Checks of the columns of a table, without its pictures."""

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from peculiar.checks.findings import Problem
from peculiar.errors import DataError
from peculiar.metrics.strata import stand_ins
from peculiar.tables.column import Column
from peculiar.tables.quantity import quantity_of
from peculiar.tables.reader import TableReader
from peculiar.tables.sky import RA_RANGE, sky_names
from peculiar.text import counted

_REDSHIFT = re.compile(r"(?:.*_)?(?:z|redshift|zspec|zphot|photoz|specz)(?:_.*)?")
_MAGNITUDE = re.compile(r"(?:.*_)?(?:mag|[a-z]*mag)(?:_.*)?|[ugrizy]")
_ERROR = re.compile(r".*(?:err|error|sigma|flag|warning)s?")

# A galaxy that approaches us has a redshift slightly below 0; magnitudes lie within these bounds.
_LEAST_REDSHIFT, _MAGNITUDES = -0.01, (-5.0, 40.0)

# With fewer rows, a column is not reported as constant or as a copy.
_LEAST_ROWS = 10


def read_columns(files: Sequence[Path], kind: str) -> dict[str, list[Any]]:
    """Read the columns of numbers and text of a set of galaxies.

    Parameters
    ----------
    files : sequence of path
        Of the source, in its order.
    kind : str
        Kind of the source: only "table" and "hdf5" have columns.

    Returns
    -------
    dict of str to list
        Null is None, also for columns that a part of the table lacks, so all have the same length. Values of CSV files
        are text. Columns of bytes, structs and lists are left out, and so are HDF5 datasets of another length than the
        pictures.

    Raises
    ------
    DataError
        If it is damaged.
    """
    if kind == "hdf5":
        return _hdf5_columns(files[0])
    if kind != "table":
        return {}
    columns: dict[str, list[Any]] = {}
    rows = 0
    for part in files:
        reader = TableReader(part)
        plain = [field.name for field in reader.schema if _is_plain(field.type)]
        columns |= {name: [None] * rows for name in plain if name not in columns}
        for batch in reader.batches(plain) if plain else ():
            for name in plain:
                columns[name].extend(batch.column(name).to_pylist())
        rows = len(columns[plain[0]]) if plain else rows + len(reader)
        for values in columns.values():  # this part may lack it
            values.extend([None] * (rows - len(values)))
    return columns


def described_columns(files: Sequence[Path], kind: str) -> list[Column]:
    """Return the descriptions of the columns of tables; there are none for HDF5 and pictures."""
    return [Column.of(field) for field in TableReader(files[0]).schema] if kind == "table" else []


def _is_plain(kind: pa.DataType) -> bool:
    return not (pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _hdf5_columns(path: Path) -> dict[str, list[Any]]:
    import h5py

    try:
        with h5py.File(path, "r") as file:
            rows = len(file["images"])
            return {
                name: np.asarray(values).tolist()
                for name, values in file.items()
                if isinstance(values, h5py.Dataset) and values.shape == (rows,) and values.dtype.kind in "biuf"
            }
    except (OSError, RuntimeError, ValueError) as error:
        message = f"{path}: cannot be read as HDF5 ({error}); it is damaged, cut short or of another kind"
        raise DataError(message) from error


def as_numbers(values: Sequence[Any]) -> NDArray[np.float64] | None:
    """Return a column as numbers, NaN if empty; None if it holds text or nothing."""
    if all(value in (None, "") for value in values) or any(isinstance(value, bool) for value in values):
        return None
    try:
        return np.array([np.nan if value in (None, "") else float(value) for value in values])
    except (TypeError, ValueError):
        return None


def sky_positions(
    columns: Mapping[str, Sequence[Any]],
    described: Sequence[Column] = (),
    ra: str | None = None,
    dec: str | None = None,
    *,
    where: str = "",
) -> tuple[tuple[str, str], NDArray[np.float64]] | None:
    """Return the positions in columns.

    Parameters
    ----------
    columns : mapping of str to sequence
    described : sequence of Column
        Their descriptions: units and UCDs.
    ra, dec : str, optional
        Columns of positions; default: those with the usual names.
    where : str
        The file, for messages.

    Returns
    -------
    names : (str, str)
    positions : ndarray, shape (2, n)
        In degrees; NaN where unknown. None is returned if there are no such columns, or they hold text.

    Raises
    ------
    DataError
        If the unit of a column is not an angle.
    """
    known = {one.name: one for one in described}
    names = sky_names([known.get(name, Column(name, pa.float64())) for name in columns], ra, dec)
    if names is None or not {*names} <= {*columns}:
        return None
    positions = []
    for name, hours in zip(names, (True, False), strict=True):
        unit = known.get(name, Column(name, pa.float64())).unit
        quantity = quantity_of(Column(name, pa.string(), unit=unit), "deg", where=where, hours=hours)
        numbers = as_numbers(columns[name])
        if numbers is None:
            values = [None if value is None else str(value) for value in columns[name]]
            numbers = quantity.read(pa.array(values, pa.string()))
        else:
            numbers = quantity.convert(numbers)
        positions.append(numbers)
    return (names, np.stack(positions)) if np.isfinite(positions).all(axis=0).any() else None


def column_faults(
    columns: Mapping[str, Sequence[Any]], sky: tuple[tuple[str, str], NDArray[np.float64]] | None = None
) -> Iterator[tuple[Problem, str, tuple[int, ...]]]:
    """Find columns that are copies of each other, constant, or impossible.

    Parameters
    ----------
    columns : mapping of str to sequence
        All of the same length.
    sky : tuple, optional
        The result of `sky_positions` for them.

    Yields
    ------
    kind : Problem
    text : str
        Description, with the name of the column.
    rows : tuple of int
        The rows; empty if the whole column is meant.
    """
    numbers = {name: found for name, values in columns.items() if (found := as_numbers(values)) is not None}
    for name, values in columns.items():
        different = {value for value in values if value is not None}
        if len(values) >= _LEAST_ROWS and len(different) <= 1:
            what = f"always {next(iter(different))!r}" if different else "empty"
            yield Problem.CONSTANT_COLUMN, f"{name} is {what}", ()
    for (one, first), (other, second) in itertools.combinations(numbers.items(), 2):
        both = ~np.isnan(first) & ~np.isnan(second)
        same = both & np.isclose(first, second, rtol=1e-6, atol=1e-9)
        # Columns that are constant, or mostly one value, agree without being copies.
        if (
            both.sum() >= _LEAST_ROWS
            and same.sum() >= Problem.COPIED_COLUMN.threshold / 100 * both.sum()
            and len(np.unique(first[same])) > 2
        ):
            yield Problem.COPIED_COLUMN, f"{other} is equal to {one} in {same.sum():,} of {both.sum():,} rows", ()
    for name, known in numbers.items():
        yield from _impossible(name, known)
    if sky is not None:
        yield from _off_the_sky(*sky, numbers)


def _impossible(name: str, values: NDArray[np.float64]) -> Iterator[tuple[Problem, str, tuple[int, ...]]]:
    kind = Problem.IMPOSSIBLE_VALUE
    lower = name.lower()
    unknown = np.flatnonzero(stand_ins(values))
    if len(unknown):
        found = ", ".join(f"{value:g}" for value in np.unique(values[unknown]))
        yield (
            kind,
            f"{name} has {found} in {counted(len(unknown), 'row')}, which looks like a sign for 'not known'",
            _rows(unknown),
        )
    infinite = np.flatnonzero(np.isinf(values))
    if len(infinite):
        yield kind, f"{name} is infinite in {counted(len(infinite), 'row')}", _rows(infinite)
    rest = values.copy()
    rest[unknown] = np.nan
    if _ERROR.fullmatch(lower):
        return
    if _REDSHIFT.fullmatch(lower):
        negative = np.flatnonzero(rest < _LEAST_REDSHIFT)
        if len(negative):
            yield (
                kind,
                f"{name} is negative in {counted(len(negative), 'row')}, and a galaxy's redshift is not",
                _rows(negative),
            )
    elif _MAGNITUDE.fullmatch(lower):
        outside = np.flatnonzero((rest < _MAGNITUDES[0]) | (rest > _MAGNITUDES[1]))
        if len(outside):
            bounds = f"{_MAGNITUDES[0]:g} to {_MAGNITUDES[1]:g}"
            yield (
                kind,
                f"{name} lies outside {bounds} in {counted(len(outside), 'row')}, and magnitudes do not",
                _rows(outside),
            )


def _off_the_sky(
    names: tuple[str, str], positions: NDArray[np.float64], numbers: Mapping[str, NDArray[np.float64]]
) -> Iterator[tuple[Problem, str, tuple[int, ...]]]:
    ra, dec = positions.copy()
    for name, values in zip(names, (ra, dec), strict=True):
        if name in numbers:
            values[stand_ins(numbers[name])] = np.nan
    steep = np.abs(dec) > 90
    outside = np.flatnonzero((ra < RA_RANGE[0]) | (ra > RA_RANGE[1]) | steep)
    if not len(outside):
        return
    # If the columns are swapped, every position is on the sky after swapping them back.
    swapped = steep.any() and not ((np.abs(ra) > 90) | (dec < 0) | (dec > 360)).any()
    sky = f"{RA_RANGE[0]} to {RA_RANGE[1]}, -90 to 90 degrees"
    text = f"{names[0]} and {names[1]} lie outside the sky ({sky}) in {counted(len(outside), 'row')}"
    yield Problem.IMPOSSIBLE_VALUE, text + ("; they look swapped" if swapped else ""), _rows(outside)


def _rows(rows: NDArray[np.intp]) -> tuple[int, ...]:
    return tuple(rows.tolist())


def sky_pairs(ra: NDArray[np.float64], dec: NDArray[np.float64], radius: float) -> list[tuple[int, int, float]]:
    """Find pairs of positions that are close on the sky, also at the poles and across 0 h.

    Parameters
    ----------
    ra, dec : ndarray, shape (n,)
        Degrees; rows that are NaN or outside the sky are skipped.
    radius : float
        Arcseconds.

    Returns
    -------
    list of (int, int, float)
        Rows, the smaller first, and their distance in arcseconds.
    """
    from scipy.spatial import cKDTree

    known = np.flatnonzero(np.isfinite(ra) & np.isfinite(dec) & (np.abs(dec) <= 90))
    longitude, latitude = np.deg2rad(ra[known]), np.deg2rad(dec[known])
    towards = np.stack(
        [np.cos(latitude) * np.cos(longitude), np.cos(latitude) * np.sin(longitude), np.sin(latitude)], axis=1
    )
    if len(known) < 2:
        return []
    chord = 2 * np.sin(np.deg2rad(min(radius / 3600, 180)) / 2)
    pairs = cKDTree(towards).query_pairs(chord, output_type="ndarray")
    half = np.linalg.norm(towards[pairs[:, 0]] - towards[pairs[:, 1]], axis=1) / 2
    distances = np.rad2deg(2 * np.arcsin(np.minimum(half, 1))) * 3600
    rows = np.sort(known[pairs], axis=1)
    order = np.lexsort((rows[:, 1], rows[:, 0]))
    return [(int(rows[one, 0]), int(rows[one, 1]), float(distances[one])) for one in order]
