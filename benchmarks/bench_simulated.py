"""Measure the simulation of galaxies of 128 x 128, in pictures per second on one core."""

import time

from machine import describe, make_parser, record
from peculiar.sources import simulate


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--count", type=int, default=300)
    count = parser.parse_args().count
    machine = describe("numpy", "scipy")
    simulate(10)
    started = time.process_time()
    simulate(count)
    record(machine, ("simulated galaxies", count / (time.process_time() - started), "pictures/CPU-s"))


if __name__ == "__main__":
    main()
