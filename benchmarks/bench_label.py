"""Measure the time from an answer to the next galaxy on the labelling pages, in a real browser.

    python benchmarks/bench_label.py CATALOG [--answers 100]

CATALOG is written by `peculiar predict STAMPS --embeddings --out CATALOG`, where STAMPS is the folder `stamps` of the
real galaxies. The server runs in its own process and refits the heads after every twenty answers; Chromium is driven by
the keyboard. The time runs from the key press to the next decoded picture; the time to start the server and the time to
write an answer to disk are measured as well.
"""

import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from playwright.sync_api import sync_playwright

from machine import data_folder, describe, make_parser, record
from peculiar.labelling.database import Event, Labels
from peculiar.questions.question import ODD

NEXT = """old => { const galaxy = document.getElementById("galaxy");
    return galaxy && galaxy.getAttribute("src") !== old && galaxy.complete && galaxy.naturalWidth }"""


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("catalog", type=Path)
    parser.add_argument("--answers", type=int, default=100)
    options = parser.parse_args()
    machine = describe("playwright", "fastapi", "uvicorn")
    with tempfile.TemporaryDirectory() as folder:
        with Labels(Path(folder) / "alone.db") as labels:
            labels.ask(ODD)
            begun = time.perf_counter()
            for number in range(200):
                labels.record(Event(f"event-{number:06d}", "answer", "Ada", str(number), "odd", "odd"))
            stored = (time.perf_counter() - begun) / 200
        words = ["--pictures", data_folder() / "stamps", "--question", "odd", "--port", "0", "--no-browser"]
        command = [sys.executable, "-m", "peculiar", "label", options.catalog, *words, "--db", f"{folder}/labels.db"]
        begun = time.perf_counter()
        server = subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, text=True)
        address = re.search(r"http://\S+", server.stdout.readline())[0]
        opened = time.perf_counter() - begun
        try:
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
                page = browser.new_page(viewport={"width": 1600, "height": 900})
                page.goto(f"{address}&who=Ada")
                page.wait_for_function(NEXT, arg="")
                times = []
                for number in range(options.answers):
                    time.sleep(0.25)  # as fast as people
                    old = page.get_attribute("#galaxy", "src")
                    begun = time.perf_counter()
                    page.keyboard.press("12"[number % 5 == 0])
                    page.wait_for_function(NEXT, arg=old, polling=5)
                    times.append(1000 * (time.perf_counter() - begun))
                browser.close()
        finally:
            server.terminate()
            server.wait()
    record(
        machine,
        (f"key to next galaxy, median of {options.answers}", float(np.median(times)), "ms"),
        ("key to next galaxy, 95 of 100 below", float(np.quantile(times, 0.95)), "ms"),
        ("an answer to the disk", 1000 * stored, "ms"),
        ("server start", opened, "s"),
    )


if __name__ == "__main__":
    main()
