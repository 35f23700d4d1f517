"""HATS: a folder of Parquet files by regions of the sky, for LSDB.

https://www.ivoa.net/documents/Notes/HATS/
"""

import itertools
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
from numpy.typing import NDArray

from peculiar.tables.column import Column
from peculiar.tables.healpix import HEALPIX, ORDER
from peculiar.tables.writers.stream import schema_of, spool

FINEST = 8
"""Order of the smallest regions: 0.05 square degrees."""

PARTITION_ROWS = 1_000_000
"""Maximum number of rows in a region, unless it has the order `FINEST`."""


def write(
    folder: Path,
    columns: Sequence[Column],
    batches: Iterable[pa.RecordBatch],
    notes: Mapping[str, str],
    *,
    name: str,
    position: tuple[str, str],
    rows: int = PARTITION_ROWS,
) -> int:
    """Write a catalogue in constant memory.

    Parameters
    ----------
    folder : path
        An empty folder.
    columns : sequence of Column
        Among them `peculiar.tables.healpix.HEALPIX`.
    batches : iterable of pyarrow.RecordBatch
        Sorted by that column, nulls last.
    notes : mapping of str to str
        Notes for the header of each file.
    name : str
        Name of the catalogue.
    position : (str, str)
        The columns with right ascension and declination.
    rows : int
        Maximum number of rows in a region.

    Returns
    -------
    int
        Number of rows that were left out, because they have no position.
    """
    schema = schema_of(columns, notes)
    dataset = folder / "dataset"
    with spool(folder, schema_of(columns), batches) as kept:
        counts = np.zeros(12 * 4**FINEST, np.int64)
        for batch in kept.batches():
            found, times = np.unique(_cells(batch) >> 2 * (ORDER - FINEST), return_counts=True)
            counts[found] += times
        regions = list(_regions(counts, rows))
        feet = _write_regions(dataset, schema, kept.batches(), regions)
        total = int(counts.sum())
        left_out = kept.rows - total
    dataset.mkdir(exist_ok=True)
    pa.parquet.write_metadata(schema, dataset / "_common_metadata")
    pa.parquet.write_metadata(schema, dataset / "_metadata", metadata_collector=feet)
    lines = ["Norder,Npix", *(f"{order},{pixel}" for order, pixel in sorted(regions))]
    (folder / "partition_info.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    properties = {
        "obs_collection": name,
        "dataproduct_type": "object",
        "hats_nrows": total,
        "hats_col_ra": position[0],
        "hats_col_dec": position[1],
        "hats_col_healpix": HEALPIX.name,
        "hats_col_healpix_order": ORDER,
        "hats_max_rows": rows,
        "hats_order": max((order for order, _ in regions), default=0),
        "moc_sky_fraction": sum(1 / (12 * 4**order) for order, _ in regions),
        "hats_builder": notes.get("creator", "peculiar"),
        "hats_creation_date": time.strftime("%Y-%m-%dT%H:%M%Z", time.gmtime()),
        "hats_version": "v1.0",
    }
    text = "".join(f"{key}={value}\n" for key, value in properties.items())
    for file in ("hats.properties", "properties"):  # the second is for older readers
        (folder / file).write_text(text, encoding="utf-8")
    return left_out


def _cells(batch: pa.RecordBatch) -> NDArray[np.int64]:
    """Return the cells of the rows with a position."""
    return np.asarray(batch.column(HEALPIX.name).drop_null().to_numpy())


def _regions(counts: NDArray[np.int64], rows: int) -> Iterator[tuple[int, int]]:
    """Yield order and pixel of each region, in the order of their cells.

    Parameters
    ----------
    counts : array of int
        Rows in each pixel of the order `FINEST`.
    rows : int
        Maximum number of rows in a region.
    """
    levels = [counts]
    for _ in range(FINEST):
        levels.insert(0, levels[0].reshape(-1, 4).sum(axis=1))
    asked = [(0, pixel) for pixel in range(11, -1, -1)]
    while asked:
        order, pixel = asked.pop()
        if levels[order][pixel] > rows and order < FINEST:
            asked += [(order + 1, 4 * pixel + quarter) for quarter in (3, 2, 1, 0)]
        elif levels[order][pixel]:
            yield order, pixel


def _write_regions(
    dataset: Path, schema: pa.Schema, batches: Iterable[pa.RecordBatch], regions: Sequence[tuple[int, int]]
) -> list[Any]:
    """Write one file per region, one after the other, and return their metadata."""
    feet: list[Any] = []
    for number, pieces in itertools.groupby(_pieces(batches, regions), key=lambda piece: piece[0]):
        path = dataset / _file(*regions[number])
        path.parent.mkdir(parents=True, exist_ok=True)
        with pa.parquet.ParquetWriter(path, schema, metadata_collector=feet) as parquet:
            for _, piece in pieces:
                parquet.write_batch(piece)
    for foot, region in zip(feet, regions, strict=True):
        foot.set_file_path(_file(*region))
    return feet


def _pieces(
    batches: Iterable[pa.RecordBatch], regions: Sequence[tuple[int, int]]
) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Yield the rows with a cell, split at the ends of regions, with the number of the region."""
    ends = np.array([(pixel + 1) << 2 * (ORDER - order) for order, pixel in regions], np.int64)
    for batch in batches:
        numbers = np.searchsorted(ends, _cells(batch), side="right")
        for number in np.unique(numbers):
            first, last = np.searchsorted(numbers, [number, number + 1])
            yield int(number), batch.slice(first, last - first)


def _file(order: int, pixel: int) -> str:
    return f"Norder={order}/Dir={pixel // 10_000 * 10_000}/Npix={pixel}.parquet"
