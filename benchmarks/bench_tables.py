"""Measure writing and reading of a catalogue in each format, in rows per second, against astropy's Table.

python benchmarks/bench_tables.py [ROWS]
"""

import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
from astropy.table import MaskedColumn, Table

from machine import describe, make_parser, record
from peculiar.tables.column import Column
from peculiar.tables.convert import convert
from peculiar.tables.reader import TableReader
from peculiar.tables.writers import format_to_write, write_table

COLUMNS = [
    Column("id", pa.string(), "identifier", ucd="meta.id;meta.main"),
    Column("ra", pa.float64(), "right ascension, ICRS", "deg", "pos.eq.ra;meta.main"),
    Column("dec", pa.float64(), "declination, ICRS", "deg", "pos.eq.dec;meta.main"),
    *(Column(f"p_{number}", pa.float32(), "probability", ucd="stat.probability") for number in range(10)),
    Column("class", pa.string(), "class", ucd="meta.code.class"),
    Column("flags", pa.int32(), "bits", ucd="meta.code.qual"),
]
ASTROPY = {"csv": "ascii.csv", "ecsv": "ascii.ecsv"}
BATCH = 1024


def catalogue(rows: int) -> pa.Table:
    rng = np.random.default_rng(222)
    missing = rng.random(rows) < 0.01
    ids = [f"J{number:09d}" for number in range(rows)]
    classes = [None if gone else ("Normal", "Ringed", "Merger", "Other")[n % 4] for n, gone in enumerate(missing)]
    chances = [pa.array(rng.random(rows, np.float32), mask=missing) for _ in range(10)]
    sky = [pa.array(rng.uniform(0, 360, rows)), pa.array(rng.uniform(-90, 90, rows))]
    arrays = [pa.array(ids), *sky, *chances, pa.array(classes), pa.array(missing.astype(np.int32))]
    return pa.table(arrays, names=[column.name for column in COLUMNS])


def as_astropy(table: pa.Table) -> Table:
    result = Table()
    for column in COLUMNS:
        values = table[column.name].combine_chunks()
        mask = values.is_null().to_numpy(zero_copy_only=False)
        if pa.types.is_string(column.type):
            plain = np.array(values.fill_null("").to_pylist())
        else:
            plain = values.fill_null(0).to_numpy()
        result[column.name] = MaskedColumn(plain, mask=mask) if mask.any() else plain
        result[column.name].unit = column.unit or None
    return result


def seconds(work: Callable[[], object]) -> float:
    """Return the best of three times, because other programs share the machine."""
    times = []
    for _ in range(3):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return min(times)


def read(path: Path) -> int:
    reader = TableReader(path)
    return sum(batch.num_rows for batch in reader.batches(reader.columns, rows=1 << 14))


def compare(folder: Path, suffix: str, table: pa.Table) -> Iterator[tuple[str, float, str]]:
    """Yield figures of one format."""
    own, other = folder / f"own.{suffix}", folder / f"other.{suffix}"
    format = format_to_write(own)
    named = ASTROPY.get(format, format)
    batches, theirs = table.to_batches(BATCH), as_astropy(table)
    ours = seconds(lambda: write_table(own, format, COLUMNS, iter(batches), {"creator": "peculiar"}))
    astropy = seconds(lambda: theirs.write(other, format=named, overwrite=True))
    yield f"writing {suffix}", len(table) / ours, "rows/s"
    yield f"writing {suffix}, astropy's time over ours", astropy / ours, ""
    ours, astropy = seconds(lambda: read(own)), seconds(lambda: Table.read(other, format=named))
    yield f"reading {suffix}", len(table) / ours, "rows/s"
    yield f"reading {suffix}, astropy's time over ours", astropy / ours, ""


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("rows", type=int, nargs="?", default=20_000)
    rows = parser.parse_args().rows
    machine = describe("pyarrow", "astropy", "duckdb", "numpy")
    warnings.simplefilter("ignore")  # astropy masks nulls, with a warning
    table = catalogue(rows)
    figures = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for suffix in ("parquet", "csv", "fits", "vot", "ecsv"):
            figures += compare(folder, suffix, table)
        source = folder / "own.parquet"
        figures.append(("sorting", rows / seconds(lambda: convert(source, folder / "s.parquet", sort=True)), "rows/s"))
    record(machine, *figures)


if __name__ == "__main__":
    main()
