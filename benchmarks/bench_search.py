"""Searching a million galaxies: seconds a query, peak memory; and how long a head takes to fit to 40,000.

    python benchmarks/bench_search.py [--rows 1000000] [--width 384]

The catalogue is made of random numbers in a temporary folder (1.6 GB for a million); each search runs in a process of
its own, whose peak memory is read from the system.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet

from machine import describe, record

HEAD_ROWS, TIMES = 40_000, 5


def make(path: Path, rows: int, width: int) -> None:
    random = np.random.default_rng(222)
    writer = None
    for start in range(0, rows, 50_000):
        count = min(50_000, rows - start)
        flat = pa.array(random.standard_normal(count * width, dtype=np.float32))
        table = pa.table(
            {
                "id": [f"galaxy-{start + number}" for number in range(count)],
                "ra": random.uniform(0, 360, count),
                "dec": np.degrees(np.arcsin(random.uniform(-1, 1, count))),
                "p_ringed": random.random(count, dtype=np.float32),
                "entropy": random.random(count, dtype=np.float32),
                "class": random.choice(["Normal", "Ringed", "Merger", "Other"], count),
                "embedding": pa.FixedSizeListArray.from_arrays(flat, width),
            }
        )
        writer = writer or pa.parquet.ParquetWriter(path, table.schema)
        writer.write_table(table)
    if writer:
        writer.close()


def measured(name: str, path: Path) -> dict[str, float]:
    """Run one search in this process: seconds of the first call, and the best of the others."""
    from peculiar.search import Cone, query, similar
    from peculiar.shelf import Shelf

    searches = {
        "similar": lambda shelf: similar(shelf, ["galaxy-5", "galaxy-77"], top=50),
        "where": lambda shelf: query(shelf, "p_ringed > 0.99 and entropy < 0.5", by="p_ringed"),
        "cone": lambda shelf: query(shelf, cone=Cone(150.0, 2.0, 1.0)),
    }
    seconds = []
    for _ in range(TIMES):
        started = time.perf_counter()
        hits = searches[name](Shelf(path))
        seconds.append(time.perf_counter() - started)
    assert len(hits)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    return {"first": seconds[0], "best": min(seconds[1:]), "peak": peak}


def fit_seconds(width: int) -> float:
    from peculiar.schema import Question
    from peculiar.teach import fit_head

    random = np.random.default_rng(222)
    embeddings = random.standard_normal((HEAD_ROWS, width), dtype=np.float32)
    chance = 1 / (1 + np.exp(-embeddings[:, :20].sum(axis=1) / 2))
    labels = (random.random(HEAD_ROWS) < chance).astype(int)
    started = time.perf_counter()
    fit_head(embeddings, labels, Question("q", ("no", "yes")))
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--width", type=int, default=384)
    parser.add_argument("--search", help=argparse.SUPPRESS)
    parser.add_argument("--path", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.search:
        print(json.dumps(measured(options.search, options.path)))
        return
    machine = describe("numpy", "pyarrow", "duckdb", "scikit-learn")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "catalog.parquet"
        make(path, options.rows, options.width)
        found = []
        for name in ("similar", "where", "cone"):
            command = [sys.executable, __file__, "--search", name, "--path", str(path)]
            surroundings = {**os.environ, "PECULIAR_CACHE": folder}
            done = subprocess.run(command, capture_output=True, text=True, check=True, env=surroundings)
            one = json.loads(done.stdout)
            about = f"{name}, {options.rows:,} galaxies"
            found += [(f"{about}, first", one["first"], "s"), (f"{about}, then", one["best"], "s")]
            found += [(f"{about}, peak memory", one["peak"], "GiB")]
    record(machine, *found, (f"head, {HEAD_ROWS:,} embeddings", fit_seconds(options.width), "s"))


if __name__ == "__main__":
    main()
