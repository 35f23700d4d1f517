"""Measure pictures per second from start to catalogue on a device, and how busy a GPU is.

The stamps are drawn galaxies of 160 x 160 pixels in a Parquet file in a temporary folder. The busy share is the mean of
what nvidia-smi reports while the pictures are classified; without it, only the rate is measured.

    python benchmarks/bench_device.py [--device auto] [--rows 20000] [--workers 1] [--batch-size 256] [--views 1]
"""

import json
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet

from machine import describe, make_parser, record
from peculiar.images.decode import encode_picture
from peculiar.models.devices import choose

GROUP, DIFFERENT, SIDE = 1024, 256, 160


def write_survey(path: Path, rows: int) -> None:
    """Write stamps of noise with a bright middle; some hundreds differ, and repeat under other ids."""
    rng = np.random.default_rng(222)
    across = np.hypot(*np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j])[..., None]
    stamps = [
        encode_picture((200 * np.exp(-across / width) + rng.integers(0, 40, (SIDE, SIDE, 3))).clip(0, 255).astype("u1"))
        for width in rng.uniform(0.05, 0.3, DIFFERENT)
    ]
    with pa.parquet.ParquetWriter(path, pa.schema([("id", pa.string()), ("image", pa.binary())])) as writer:
        for start in range(0, rows, GROUP):
            numbers = range(start, min(start + GROUP, rows))
            images = [stamps[number % DIFFERENT] for number in numbers]
            writer.write_table(pa.table({"id": [f"copy-{one}" for one in numbers], "image": pa.array(images)}))


class Busy(threading.Thread):
    """Recorder of the busy share and the memory of the first GPU."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.shares: list[float] = []
        self.memory = 0.0
        self.done = threading.Event()

    def run(self) -> None:
        query = ["nvidia-smi", "--query-gpu=utilization.gpu,memory.used", "--format=csv,noheader,nounits", "--id=0"]
        while not self.done.wait(0.2):
            told = subprocess.run(query, capture_output=True, text=True, check=False)
            if told.returncode == 0:
                share, memory = map(float, told.stdout.split(","))
                self.shares.append(share / 100)
                self.memory = max(self.memory, memory)


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--workers", default="1")
    parser.add_argument("--batch-size", default="")
    parser.add_argument("--views", default="1")
    arguments = parser.parse_args()
    device = choose(arguments.device)
    machine = describe("onnxruntime", "pyarrow", "pillow", "numpy")
    print(f"device: {device}")
    with tempfile.TemporaryDirectory() as scratch:
        data, out = Path(scratch) / "stamps.parquet", Path(scratch) / "catalog.parquet"
        write_survey(data, arguments.rows)
        options = ["--device", arguments.device, "--workers", arguments.workers, "--views", arguments.views, "--json"]
        options += ["--batch-size", arguments.batch_size] if arguments.batch_size else []
        command = [sys.executable, "-m", "peculiar", "predict", str(data), "--out", str(out), *options]
        busy = Busy() if device.name != "cpu" and shutil.which("nvidia-smi") else None
        if busy:
            busy.start()
        started = time.perf_counter()
        told = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        seconds = time.perf_counter() - started
        if busy:
            busy.done.set()
            busy.join()
        own = json.loads(told.stdout)["seconds"]
    what = f"{arguments.rows:,} stamps on {device.name}, {arguments.workers} workers"
    rows = [
        (what, arguments.rows / seconds, "pictures/s"),
        (f"{what}, without the start", arguments.rows / own, "pictures/s"),
    ]
    if busy and busy.shares:
        # From the first moment on in which the GPU works: before that, the program starts.
        first = next((at for at, share in enumerate(busy.shares) if share), 0)
        rows.append(("busy share of the GPU", float(np.mean(busy.shares[first:])), "of 1"))
        rows.append(("highest memory of the GPU", busy.memory, "MiB"))
    record(machine, *rows)


if __name__ == "__main__":
    main()
