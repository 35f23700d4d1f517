"""Measure streaming of all stamps (31,683 JPEGs of 160 x 160 in Parquet) to 128 x 128: rate and peak memory."""

import resource
import time

from machine import data_folder, describe, make_parser, record
from peculiar.images.framing import Framing
from peculiar.sources import open_source


def main() -> None:
    make_parser(__doc__).parse_args()
    machine = describe("pyarrow", "pillow", "simplejpeg")
    rows = []
    for name, framing in (("exact", Framing()), ("fast", Framing(fast=True))):
        started = time.perf_counter()
        count = sum(1 for _ in open_source(data_folder() / "stamps").galaxies(framing))
        rows.append((f"{count} stamps, {name}", count / (time.perf_counter() - started), "pictures/s"))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    record(machine, *rows, ("peak memory", peak, "MiB"))


if __name__ == "__main__":
    main()
