"""Measure the labelling pages with a million galaxies: gallery pages, filters, facets, both maps by hand, peak memory.

    python benchmarks/bench_gallery.py [--rows 1000000] [--width 384] [--folder FOLDER]

Catalogue and pictures are made in a temporary folder, or in FOLDER if it lacks them (1.6 GB for a million galaxies, and
as much again for the cache): random numbers, and the same JPEG for every galaxy. The server runs in its own process and
receives HTTP requests as from a browser. Zoom, pan and hover of a map are measured in Chromium, from the input to the
picture that is drawn, with a million points in view. Wall-clock and CPU seconds are given; other work on the machine
hardly changes the CPU seconds. Memory is read from the system: private memory, and the peak including the pages of
mapped files, which the system can take back.
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
from playwright.sync_api import sync_playwright

from bench_search import make
from machine import describe, make_parser, record
from peculiar.images.decode import encode_picture

TIMES = 3

# Seconds from an input to the end of the frame that shows its effect, for each of some inputs.
BY_HAND = """async ([kind, count]) => {
    const field = document.querySelector(`.field[data-kind="${kind}"]`);
    const took = { zoom: [], pan: [], rest: [], hover: [] };
    const frame = () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
    const acts = {
        zoom: (turn) => maps.zoom(field, turn % 2 ? 0.8 : 1.25, 100, 100),
        pan: (turn) => maps.pan(field, turn % 2 ? 9 : -9, 5),
        rest: () => maps.draw(field),
        hover: (turn) => maps.under(field, 60 + turn, 90),
    };
    for (const [name, act] of Object.entries(acts)) {
        for (let turn = 0; turn < count; turn += 1) {
            await frame();
            const begun = performance.now();
            act(turn);
            if (name === "zoom" || name === "pan") { await frame(); }
            took[name].push((performance.now() - begun) / 1000);
        }
    }
    return took;
}"""


def make_pictures(path: Path, rows: int) -> None:
    drawn = np.hypot(*(np.indices((128, 128)) - 63.5)) / 12
    picture = encode_picture(np.repeat((230 * np.exp(-drawn)).astype(np.uint8)[..., None], 3, axis=2), "JPEG")
    schema = pa.schema([("id", pa.string()), ("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())]))])
    with pa.parquet.ParquetWriter(path, schema) as writer:
        for start in range(0, rows, 10_000):
            some = range(start, min(start + 10_000, rows))
            images = [{"bytes": picture, "path": None}] * len(some)
            writer.write_table(pa.table({"id": [f"galaxy-{one}" for one in some], "image": images}, schema))


class Server:
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
        invitation = re.search(r"http://\S+", self.process.stdout.readline())[0]
        self.invitation = invitation
        self.address = invitation.partition("?")[0].rstrip("/")
        # The address holds a token, which the first request turns into a cookie.
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
        self.opener.open(invitation, timeout=900).close()

    def get(self, path: str, **query: object) -> bytes:
        with self.opener.open(f"{self.address}{path}?{urlencode(query)}", timeout=900) as got:
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
        server = Server(folder, Path(name))
        found.append(("server start, embeddings prepared", time.perf_counter() - begun, "s"))
        found.append(("server start, embeddings prepared, processors", server.seconds(), "s"))
        server.process.terminate()
        server.process.wait()
        begun = time.perf_counter()
        server = Server(folder, Path(name))
        try:
            found.append(("server start again, processors", server.seconds(), "s"))
            found.append(("server start again", time.perf_counter() - begun, "s"))
            found.append(("server start, memory of its own", server.memory("RssAnon"), "GiB"))
            middle = options.rows // 2
            box = {"sky": "100,140,0,30"}
            asked = {
                "gallery, first page": ("/gallery", {}),
                "gallery, page in the middle": ("/gallery", {"start": middle}),
                "picture in the middle": (f"/picture/{middle}/small", {}),
                "gallery, filter": ("/gallery", {"where": "p_ringed > 0.5 and class = 'Ringed'"}),
                "gallery, cone": ("/gallery", {"cone": "150,2,5"}),
                "gallery, order": ("/gallery", {"by": "p_ringed"}),
                "gallery, order, page in the middle": ("/gallery", {"by": "p_ringed", "start": middle}),
                "gallery, rectangle on the sky": ("/gallery", box),
                "facets": ("/facets", {}),
                "facets, filter": ("/facets", {"where": "p_ringed > 0.5 and class = 'Ringed'"}),
                "facets, narrowed": ("/facets", {"narrow": '{"p_ringed": [0.5, null], "class": ["Ringed"]}'}),
                "points of the sky": ("/points/sky.bin", {}),
                "galaxies of a filter on the map": ("/map/chosen.bin", {"where": "p_ringed > 0.5"}),
                "colours of the map": ("/map/colour.bin", {"colour": "class"}),
                "galaxy": (f"/galaxy/{middle}", {}),
                "sky, picture": ("/map/sky.png", {}),
                "sky, picture by class with a rectangle": ("/map/sky.png", {**box, "colour": "class"}),
            }
            ask(server, asked, found)
            found.append(("peak memory of its own, before the map", server.memory("RssAnon"), "GiB"))
            begun, before = time.perf_counter(), server.seconds()
            pages = []
            while b"is being computed" in server.get("/map"):
                started = time.perf_counter()
                server.get("/gallery", where=f"p_ringed > {len(pages) / 1000}")
                pages.append(time.perf_counter() - started)
                time.sleep(1)
            found.append(("map laid out", time.perf_counter() - begun, "s"))
            found.append(("map laid out, processors", server.seconds() - before, "s"))
            found.append(("memory of its own after that", server.memory("RssAnon"), "GiB"))
            if pages:
                found.append(("gallery, filter, meanwhile, median", float(np.median(pages)), "s"))
            both = {"map": "0.4,0.5,0.4,0.6", **box}
            asked = {
                "map, page": ("/map", {}),
                "map, picture": ("/map/map.png", {}),
                "map, picture by class with both rectangles": ("/map/map.png", {**both, "colour": "class"}),
                "map, picture by a number": ("/map/map.png", {"colour": "p_ringed"}),
                "map, page with both rectangles": ("/map", both),
                "first 100,000 as Parquet": ("/gallery/found.parquet", {"by": "p_ringed"}),
            }
            ask(server, asked, found)
            found += by_hand(server)
            found.append(("memory of its own at the end", server.memory("RssAnon"), "GiB"))
            found.append(("peak memory with mapped files", server.memory("VmHWM"), "GiB"))
        finally:
            server.process.terminate()
            server.process.wait()
    record(machine, *((f"{what}, {options.rows:,} galaxies", value, unit) for what, value, unit in found))


def by_hand(server: Server) -> list[tuple[str, float, str]]:
    """Return the medians of zoom, pan and hover on both maps, and the time until a wall and its pictures are there."""
    found = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.goto(server.invitation)
        for _ in range(TIMES):
            begun = time.perf_counter()
            page.goto(f"{server.address}/gallery", wait_until="load")
            page.wait_for_function(
                "[...document.querySelectorAll('.tiles img')].slice(0, 24).every(one => one.complete)"
            )
            loaded = time.perf_counter() - begun
        found.append(("first wall with its pictures in a browser, warm", loaded, "s"))
        for colour in ("", "class"):
            page.goto(f"{server.address}/map?colour={colour}")
            for kind in ("sky", "map"):
                page.wait_for_selector(f'.field[data-kind="{kind}"][data-ready]', timeout=120_000)
                for name, took in page.evaluate(BY_HAND, [kind, 30]).items():
                    what = f"{kind}, {name}, coloured by {colour or 'number'}, median"
                    found.append((what, float(np.median(took)), "s"))
        browser.close()
    print(*found, sep="\n", flush=True)
    return found


def ask(server: Server, asked: dict[str, tuple[str, dict[str, object]]], found: list[tuple[str, float, str]]) -> None:
    """Ask for pages, each some times: the first, and the best of the others."""
    for what, (path, query) in asked.items():
        clock, processors = [], []
        for _ in range(TIMES):
            begun, before = time.perf_counter(), server.seconds()
            server.get(path, **query)
            clock.append(time.perf_counter() - begun)
            processors.append(server.seconds() - before)
        found += [(f"{what}, first", clock[0], "s"), (f"{what}, then", min(clock[1:]), "s")]
        found += [(f"{what}, first, processors", processors[0], "s")]
        found += [(f"{what}, then, processors", min(processors[1:]), "s")]
        print(*found[-4:], sep="\n", flush=True)


if __name__ == "__main__":
    main()
