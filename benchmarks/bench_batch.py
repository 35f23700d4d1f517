"""Measure rate and memory for a survey of 200,000 galaxies in shards, and the gain of several workers.

The stamps are repeated under other ids in Parquet files in a temporary folder (1.1 GB). Each worker has one core.
Memory is the peak of any process of the run, as recorded by the kernel.

    python benchmarks/bench_batch.py [--rows 200000] [--views 1] [--fast]
"""

import itertools
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet

from machine import data_folder, describe, make_parser, record
from memory import Memory

FILES, GROUP = 10, 1024


def write_survey(folder: Path, rows: int) -> None:
    folder.mkdir()
    stamps = itertools.cycle(_stamps())
    for number in range(FILES):
        path = folder / f"part-{number}.parquet"
        with pa.parquet.ParquetWriter(path, pa.schema([("id", pa.string()), ("image", pa.binary())])) as writer:
            first, last = rows * number // FILES, rows * (number + 1) // FILES
            for start in range(first, last, GROUP):
                count = min(GROUP, last - start)
                ids = [f"copy-{start + row}" for row in range(count)]
                images = pa.array(itertools.islice(stamps, count), pa.binary())
                writer.write_table(pa.table({"id": ids, "image": images}))


def _stamps() -> Iterator[bytes]:
    for part in sorted((data_folder() / "stamps").glob("*.parquet")):
        for batch in pa.parquet.ParquetFile(part).iter_batches(columns=["image"]):
            yield from (row["bytes"] for row in batch.column(0).to_pylist())


def measure(data: Path, out: Path, workers: int, options: list[str]) -> tuple[float, float]:
    """Return pictures per second from start to catalogue, and the peak memory of any process in MiB."""
    cores = ",".join(map(str, sorted(os.sched_getaffinity(0))[:workers]))
    command = ["taskset", "-c", cores, sys.executable, "-m", "peculiar", "predict", str(data)]
    command += ["--workers", str(workers), "--out", str(out), *options]
    rows = sum(pa.parquet.read_metadata(part).num_rows for part in data.glob("*.parquet"))
    started = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        memory = Memory(process.pid)
        memory.start()
    seconds = time.perf_counter() - started
    if process.returncode or pa.parquet.read_metadata(out).num_rows != rows:
        sys.exit(f"the run failed: {' '.join(command)}")
    memory.join()
    return rows / seconds, max(memory.highest.values())


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--views", default="1")
    parser.add_argument("--fast", action="store_true")
    arguments = parser.parse_args()
    options = ["--views", arguments.views, *(["--fast"] if arguments.fast else [])]
    few, many = arguments.rows // 10, arguments.rows
    machine = describe("onnxruntime", "pyarrow", "pillow", "numpy")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write_survey(folder / "few", few)
        write_survey(folder / "many", many)
        one, _ = measure(folder / "few", folder / "one.parquet", 1, options)
        two, memory = measure(folder / "few", folder / "two.parquet", 2, options)
        long, memory_long = measure(folder / "many", folder / "long.parquet", 2, options)
    record(
        machine,
        (f"{few:,} stamps, one worker on one core", one, "pictures/s"),
        (f"{few:,} stamps, two workers", two, "pictures/s"),
        (f"{many:,} stamps, two workers", long, "pictures/s"),
        ("two workers over twice one, the long run", long / (2 * one), "times"),
        (f"highest memory of a process, {few:,} stamps", memory, "MiB"),
        (f"highest memory of a process, {many:,} stamps", memory_long, "MiB"),
        ("memory of the long run over the short one", memory_long / memory, "times"),
    )


if __name__ == "__main__":
    main()
