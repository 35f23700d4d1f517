"""A million galaxies at the desk: seconds a page of the wall, a filter, an order, the two maps; peak memory.

    python benchmarks/bench_wall.py [--rows 1000000] [--width 384] [--folder FOLDER]

Catalogue and pictures are made in a temporary folder, or in FOLDER if they are not there (1.6 GB for a million, and the
cache as much again): random numbers, and one and the same JPEG for every galaxy. The desk runs in a process of its own,
which is asked over HTTP as a browser asks it. Seconds are told twice, by the clock and of the desk's processors, which
other work on the machine hardly changes. Its memory is read from the system: its own, and the peak with the pages of
mapped files, which the system takes back where they are wanted.
"""

import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from urllib.parse import urlencode

import numpy as np
import pyarrow as pa
import pyarrow.parquet

from bench_search import make
from machine import describe, make_parser, record
from peculiar.images.decode import encode_picture

TIMES = 3


def make_pictures(path: Path, rows: int) -> None:
    drawn = np.hypot(*(np.indices((128, 128)) - 63.5)) / 12
    picture = encode_picture(np.repeat((230 * np.exp(-drawn)).astype(np.uint8)[..., None], 3, axis=2), "JPEG")
    schema = pa.schema([("id", pa.string()), ("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())]))])
    with pa.parquet.ParquetWriter(path, schema) as writer:
        for start in range(0, rows, 10_000):
            some = range(start, min(start + 10_000, rows))
            images = [{"bytes": picture, "path": None}] * len(some)
            writer.write_table(pa.table({"id": [f"galaxy-{one}" for one in some], "image": images}, schema))


class Desk:
    """`peculiar label` in a process of its own."""

    def __init__(self, folder: Path, own: Path) -> None:
        words = ["label", folder / "catalog.parquet", "--pictures", folder / "pictures.parquet", "--question", "odd"]
        command = [
            sys.executable,
            "-m",
            "peculiar",
            *words,
            "--port",
            "0",
            "--no-browser",
            "--db",
            folder / "answers.db",
        ]
        surroundings = {**os.environ, "PECULIAR_CACHE": str(own / "cache"), "no_proxy": "127.0.0.1"}
        self.process = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, text=True, env=surroundings)
        self.address = re.search(r"http://\S+?(?=/?\s)", self.process.stdout.readline())[0]

    def get(self, path: str, **query: object) -> bytes:
        with urllib.request.urlopen(f"{self.address}{path}?{urlencode(query)}", timeout=900) as got:
            return got.read()

    def seconds(self) -> float:
        """Return the processor time that it has taken."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self, what: str) -> float:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(rf"{what}:\s+(\d+)", status)[1]) / 1024**2


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--width", type=int, default=384)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    machine = describe("numpy", "pyarrow", "duckdb", "fastapi", "uvicorn")
    found: list[tuple[str, float, str]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = options.folder or Path(name)
        if not (folder / "pictures.parquet").exists():
            make(folder / "catalog.parquet", options.rows, options.width, None)
            make_pictures(folder / "pictures.parquet", options.rows)
        begun = time.perf_counter()
        desk = Desk(folder, Path(name))
        found.append(("desk open, embeddings prepared", time.perf_counter() - begun, "s"))
        found.append(("desk open, embeddings prepared, processors", desk.seconds(), "s"))
        desk.process.terminate()
        desk.process.wait()
        begun = time.perf_counter()
        desk = Desk(folder, Path(name))
        try:
            found.append(("desk open again, processors", desk.seconds(), "s"))
            found.append(("desk open again", time.perf_counter() - begun, "s"))
            found.append(("desk open, memory of its own", desk.memory("RssAnon"), "GiB"))
            middle = options.rows // 2
            box = {"sky": "100,140,0,30"}
            asked = {
                "wall, first page": ("/wall", {}),
                "wall, page in the middle": ("/wall", {"start": middle}),
                "picture in the middle": (f"/picture/{middle}/small", {}),
                "wall, filter": ("/wall", {"where": "p_ringed > 0.5 and class = 'Ringed'"}),
                "wall, cone": ("/wall", {"cone": "150,2,5"}),
                "wall, order": ("/wall", {"by": "p_ringed"}),
                "wall, order, page in the middle": ("/wall", {"by": "p_ringed", "start": middle}),
                "wall, rectangle on the sky": ("/wall", box),
                "galaxy": (f"/galaxy/{middle}", {}),
                "sky, picture": ("/map/sky.png", {}),
                "sky, picture by class with a rectangle": ("/map/sky.png", {**box, "colour": "class"}),
            }
            ask(desk, asked, found)
            found.append(("peak memory of its own, before the map", desk.memory("RssAnon"), "GiB"))
            begun, before = time.perf_counter(), desk.seconds()
            pages = []
            while b"is being computed" in desk.get("/map"):
                started = time.perf_counter()
                desk.get("/wall", where=f"p_ringed > {len(pages) / 1000}")
                pages.append(time.perf_counter() - started)
                time.sleep(1)
            found.append(("map laid out", time.perf_counter() - begun, "s"))
            found.append(("map laid out, processors", desk.seconds() - before, "s"))
            found.append(("memory of its own after that", desk.memory("RssAnon"), "GiB"))
            if pages:
                found.append(("wall, filter, meanwhile, median", float(np.median(pages)), "s"))
            both = {"map": "0.4,0.5,0.4,0.6", **box}
            asked = {
                "map, page": ("/map", {}),
                "map, picture": ("/map/map.png", {}),
                "map, picture by class with both rectangles": ("/map/map.png", {**both, "colour": "class"}),
                "map, picture by a number": ("/map/map.png", {"colour": "p_ringed"}),
                "map, page with both rectangles": ("/map", both),
                "first 100,000 as Parquet": ("/wall/found.parquet", {"by": "p_ringed"}),
            }
            ask(desk, asked, found)
            found.append(("memory of its own at the end", desk.memory("RssAnon"), "GiB"))
            found.append(("peak memory with mapped files", desk.memory("VmHWM"), "GiB"))
        finally:
            desk.process.terminate()
            desk.process.wait()
    record(machine, *((f"{what}, {options.rows:,} galaxies", value, unit) for what, value, unit in found))


def ask(desk: Desk, asked: dict[str, tuple[str, dict[str, object]]], found: list[tuple[str, float, str]]) -> None:
    """Ask for pages, each some times: the first, and the best of the others."""
    for what, (path, query) in asked.items():
        clock, processors = [], []
        for _ in range(TIMES):
            begun, before = time.perf_counter(), desk.seconds()
            desk.get(path, **query)
            clock.append(time.perf_counter() - begun)
            processors.append(desk.seconds() - before)
        found += [(f"{what}, first", clock[0], "s"), (f"{what}, then", min(clock[1:]), "s")]
        found += [(f"{what}, first, processors", processors[0], "s")]
        found += [(f"{what}, then, processors", min(processors[1:]), "s")]
        print(*found[-4:], sep="\n", flush=True)


if __name__ == "__main__":
    main()
