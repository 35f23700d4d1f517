"""Measure downloads of cut-outs from a local service: request rate, resuming, and memory for many rows.

The speed of a real service is not measured: the limited request rate dominates.
"""

import os
import resource
import sys
import tempfile
import threading
from pathlib import Path

import numpy as np

from machine import describe, make_parser, record
from peculiar.sources.cutouts import fetch_cutouts
from peculiar.sources.http import Manners
from peculiar.sources.positions import Positions
from peculiar.sources.surveys import Frame, find_survey

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from cutout_server import serve_cutouts

FRAME = Frame(256, 0.262)
MANY = (20_000, 200_000)


def positions(count: int) -> Positions:
    path = Path(f"{count}.csv")
    with path.open("w") as file:
        file.write("id,ra,dec\n")
        file.writelines(f"galaxy-{row},{row * 360 / count:.6f},{row * 90 / count:.6f}\n" for row in range(count))
    return Positions(path)


def main() -> None:
    make_parser(__doc__).parse_args()
    machine = describe("pyarrow", "pillow")
    survey, rows = find_survey("legacy"), []
    with tempfile.TemporaryDirectory() as folder, serve_cutouts() as service:
        os.chdir(folder)
        os.environ["PECULIAR_CACHE"] = str(Path(folder) / "cache")
        os.environ["no_proxy"] = "127.0.0.1"
        for rate, count in ((5.0, 30), (50.0, 300)):
            service.times.clear()
            some = positions(count)
            address = f"{service.url}/{rate:.0f}"  # a separate address, so that the cache does not answer
            fetch_cutouts(some, f"at-{rate:.0f}", survey, FRAME, manners=Manners(rate), address=address)
            kept = (len(service.times) - 1) / float(np.ptp(service.times))
            rows.append((f"requests at a limit of {rate:.0f} a second", kept, "requests/s"))
        again = fetch_cutouts(some, "at-50", survey, FRAME, address=address)
        rows.append(("pictures that are there already", again.there / again.seconds, "pictures/s"))
        cached = fetch_cutouts(some, "cached", survey, FRAME, address=address)
        rows.append(("pictures from the cache", cached.cached / cached.seconds, "pictures/s"))
        stop = threading.Event()
        stop.set()
        for count in MANY:
            result = fetch_cutouts(positions(count), f"rows-{count}", survey, FRAME, stop=stop)
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            rows.append((f"{count:,} rows without asking", result.rows / result.seconds, "rows/s"))
            rows.append((f"peak memory, {count:,} rows", peak, "MiB"))
        os.chdir("/")
    record(machine, *rows)


if __name__ == "__main__":
    main()
