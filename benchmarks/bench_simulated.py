"""Simulating galaxies of 128 x 128: pictures a second of one core."""

import time

from machine import describe, record
from peculiar.sources import simulate

COUNT = 300


def main() -> None:
    machine = describe("numpy", "scipy")
    simulate(10)
    started = time.process_time()
    simulate(COUNT)
    record(machine, ("simulated galaxies", COUNT / (time.process_time() - started), "pictures/CPU-s"))


if __name__ == "__main__":
    main()
