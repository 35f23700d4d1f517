"""Measure predictions from an S3 server on this machine beside those from the disk: rate, memory, equal catalogues.

The server (moto's) takes its part of the cores, which a real store would not. Memory is the highest of any process, as
recorded by the kernel.

    python benchmarks/bench_stores.py [--rows 20000] [--workers 1] [--rounds 2]
"""

import argparse
import io
import os
import subprocess
import sys
import tarfile
import tempfile
import time
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet

from bench_batch import write_survey
from machine import describe, make_parser, record
from memory import Memory

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from s3_server import serving_s3


def serve(pipe: Connection) -> None:
    """Run the server until the other end says so, and tell it the environment."""
    with serving_s3() as store:
        pipe.send(store.environment())
        pipe.recv()


def write_tar(survey: Path, path: Path) -> None:
    """Write the pictures of the Parquet files as members of a tar."""
    with tarfile.open(path, "w") as tar:
        for part in sorted(survey.glob("*.parquet")):
            for row in pa.parquet.read_table(part).to_pylist():
                member = tarfile.TarInfo(f"{row['id']}.jpg")
                member.size = len(row["image"])
                tar.addfile(member, io.BytesIO(row["image"]))


def predict(data: str | Path, out: Path, workers: int) -> tuple[float, float]:
    """Return the seconds of a run, and the highest memory of one of its processes in MiB."""
    out.unlink(missing_ok=True)
    words = ["predict", str(data), "--out", str(out), "--workers", str(workers), "--views", "1"]
    started = time.perf_counter()
    with subprocess.Popen([sys.executable, "-m", "peculiar", *words], stdout=subprocess.DEVNULL) as process:
        memory = Memory(process.pid)
        memory.start()
    seconds = time.perf_counter() - started
    if process.returncode:
        sys.exit(f"the run failed: peculiar {' '.join(words)}")
    memory.join()
    return seconds, max(memory.highest.values())


def compare(name: str, folder: Path, arguments: argparse.Namespace) -> list[tuple[str, float, str]]:
    """Return the figures of one format: the best of the rounds, disk and store in turn."""
    sources = {"disk": folder / name, "store": f"s3://survey/{name}"}
    outs = {place: folder / f"{place}.parquet" for place in sources}
    runs: dict[str, list[tuple[float, float]]] = {place: [] for place in sources}
    for _ in range(arguments.rounds):
        for place, data in sources.items():
            runs[place].append(predict(data, outs[place], arguments.workers))
    disk, store = (pa.parquet.read_table(out) for out in outs.values())
    if not store.equals(disk):
        sys.exit(f"the catalogues of {name} from the disk and from the store differ")
    rate, memory = {}, {}
    for place, seen in runs.items():
        rate[place] = disk.num_rows / min(seconds for seconds, _ in seen)
        memory[place] = max(highest for _, highest in seen)
    return [
        (f"{name}: from the disk", rate["disk"], "pictures/s"),
        (f"{name}: from the store", rate["store"], "pictures/s"),
        (f"{name}: speed of the store over the disk", rate["store"] / rate["disk"], "times"),
        (f"{name}: memory with the store over the disk", memory["store"] / memory["disk"], "times"),
        (f"{name}: memory with the store", memory["store"], "MiB"),
    ]


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=2)
    arguments = parser.parse_args()
    machine = describe("onnxruntime", "pyarrow", "s3fs", "moto")
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    server = context.Process(target=serve, args=(theirs,), daemon=True)
    server.start()
    os.environ |= ours.recv()
    import s3fs  # after the environment names the server

    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        os.environ["PECULIAR_CACHE"] = str(folder / "cache")
        write_survey(folder / "survey", arguments.rows)
        write_tar(folder / "survey", folder / "survey.tar")
        system = s3fs.S3FileSystem(use_listings_cache=False)
        system.mkdir("survey")
        for file in [*(folder / "survey").iterdir(), folder / "survey.tar"]:
            system.put_file(str(file), f"survey/{file.relative_to(folder).as_posix()}")
        rows = [row for name in ("survey", "survey.tar") for row in compare(name, folder, arguments)]
    ours.send(None)
    record(machine, *rows)


if __name__ == "__main__":
    main()
