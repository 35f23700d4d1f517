"""Measure searches among a million galaxies: seconds per query, peak memory; and the time to fit a head to 40,000.

    python benchmarks/bench_search.py [--rows 1000000] [--width 384] [--like CATALOG]

The catalogue consists of random numbers in a temporary folder (1.6 GB for a million, and as much again for the cache).
Each search runs in its own process, whose peak memory is read from the system. Random numbers have no clusters that an
index could use, so with `--like` the embeddings are those of a real catalogue, each repeated with noise as large as the
distance to the nearest neighbour. Each search is also run once after dropping the files from the page cache, as on the
first search of a day: "cold".
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

from machine import describe, make_parser, record

HEAD_ROWS, TIMES, QUERIES = 40_000, 5, 50

SEARCHES = ("similar", "similar, approximate", "similar where", "similar where, approximate", "recall", "where", "cone")


def real_embeddings(path: Path) -> tuple[np.ndarray, float]:
    """Return the embeddings of a catalogue, and the median difference of a value from that of the nearest galaxy."""
    raw = np.stack(pa.parquet.read_table(path, columns=["embedding"])["embedding"].drop_null().to_numpy())
    some = raw[np.random.default_rng(222).permutation(len(raw))[:300]]
    squares = (some**2).sum(axis=1)[:, None] + (raw**2).sum(axis=1) - 2 * some @ raw.T
    nearest = np.sqrt(np.maximum(np.partition(squares, 1, axis=1)[:, 1], 0))
    return raw.astype(np.float32), float(np.median(nearest) / np.sqrt(raw.shape[1]))


def make(path: Path, rows: int, width: int, like: Path | None) -> None:
    random = np.random.default_rng(222)
    raw, noise = real_embeddings(like) if like else (np.zeros((1, width), np.float32), 1.0)
    width = raw.shape[1]
    writer = None
    for start in range(0, rows, 50_000):
        count = min(50_000, rows - start)
        vectors = raw[random.integers(0, len(raw), count)]
        vectors = vectors + noise * random.standard_normal((count, width), dtype=np.float32)
        flat = pa.array(vectors.ravel())
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


def forget(folder: Path) -> None:
    """Drop the files of a folder from the page cache."""
    for file in folder.rglob("*"):
        if file.is_file():
            with file.open("rb") as opened:
                os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def measured(name: str, path: Path) -> dict[str, float]:
    """Run one search in this process; return seconds of the first call, of the best other one, and from a cold disk."""
    from peculiar.catalogs.catalog import Catalog
    from peculiar.catalogs.search import Cone

    searches = {
        "similar": lambda catalog: catalog.similar(["galaxy-5", "galaxy-77"], top=50),
        "similar, approximate": lambda catalog: catalog.similar(["galaxy-5", "galaxy-77"], top=50, approximate=True),
        "similar where": lambda catalog: catalog.similar(["galaxy-5"], where="entropy < 0.2", top=50),
        "similar where, approximate": lambda catalog: catalog.similar(
            ["galaxy-5"], where="entropy < 0.2", top=50, approximate=True
        ),
        "where": lambda catalog: catalog.query("p_ringed > 0.99 and entropy < 0.5", by="p_ringed", top=50),
        "cone": lambda catalog: catalog.query(cone=Cone(150.0, 2.0, 1.0), top=50),
    }
    seconds = []
    for _ in range(TIMES):
        started = time.perf_counter()
        hits = searches[name](Catalog(path))
        seconds.append(time.perf_counter() - started)
    assert len(hits)
    forget(path.parent)
    started = time.perf_counter()
    searches[name](Catalog(path))
    cold = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    return {"first": seconds[0], "best": min(seconds[1:]), "cold": cold, "peak": peak}


def recalls(path: Path) -> dict[str, float]:
    """Return the share of the fifty nearest neighbours that the index finds, compared with exact searches."""
    from peculiar.catalogs.catalog import Catalog

    catalog, shares = Catalog(path), []
    for number in np.random.default_rng(5).integers(0, len(catalog), QUERIES):
        exact, near = (catalog.similar([f"galaxy-{number}"], top=50, approximate=how) for how in (False, True))
        shares.append(len(set(exact.ids) & set(near.ids)) / 50)
    return {"told": float(near.notes["recall"]), "mean": float(np.mean(shares)), "lowest": min(shares)}


def fit_seconds(width: int) -> float:
    from peculiar.models.linear_head import fit_head
    from peculiar.questions.question import Question

    random = np.random.default_rng(222)
    embeddings = random.standard_normal((HEAD_ROWS, width), dtype=np.float32)
    chance = 1 / (1 + np.exp(-embeddings[:, :20].sum(axis=1) / 2))
    labels = (random.random(HEAD_ROWS) < chance).astype(int)
    started = time.perf_counter()
    fit_head(embeddings, labels, Question("q", ("no", "yes")))
    return time.perf_counter() - started


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--width", type=int, default=384)
    parser.add_argument("--like", type=Path, metavar="CATALOG")
    parser.add_argument("--folder", type=Path, help="where to make the catalogue; default: where temporary files go")
    parser.add_argument("--search", help=argparse.SUPPRESS)
    parser.add_argument("--path", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.search:
        found = recalls(options.path) if options.search == "recall" else measured(options.search, options.path)
        print(json.dumps(found))
        return
    machine = describe("numpy", "pyarrow", "duckdb", "scikit-learn", "faiss-cpu")
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        path = Path(folder) / "catalog.parquet"
        make(path, options.rows, options.width, options.like)
        found = []
        for name in SEARCHES:
            command = [sys.executable, __file__, "--search", name, "--path", str(path)]
            surroundings = {**os.environ, "PECULIAR_CACHE": folder}
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=surroundings)
            one = json.loads(done.stdout)
            about = f"{name}, {options.rows:,} galaxies"
            if name == "recall":
                found += [(f"{about}, {which}", value, "") for which, value in one.items()]
                continue
            found += [(f"{about}, first", one["first"], "s"), (f"{about}, then", one["best"], "s")]
            found += [(f"{about}, cold", one["cold"], "s"), (f"{about}, peak memory", one["peak"], "GiB")]
        kept = {file.suffix: file.stat().st_size / 1e9 for file in (Path(folder) / "embeddings").iterdir()}
        found += [(f"{options.rows:,} galaxies, {suffix} in the cache", size, "GB") for suffix, size in kept.items()]
    record(machine, *found, (f"head, {HEAD_ROWS:,} embeddings", fit_seconds(options.width), "s"))


if __name__ == "__main__":
    main()
