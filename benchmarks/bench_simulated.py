"""Simulating galaxies of 128 x 128, and mock observations of them: pictures a second of one core."""

import time

from machine import describe, make_parser, record
from peculiar.simulation import simulate_galaxies
from peculiar.sources.simulated import simulate


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--count", type=int, default=300)
    count = parser.parse_args().count
    machine = describe("numpy", "scipy")
    simulate(10)
    started = time.process_time()
    simulate(count)
    figures = [("simulated galaxies", count / (time.process_time() - started), "pictures/CPU-s")]
    for look in ("sdss", "decals", "euclid_vis", "hst", "any"):
        simulate_galaxies(5, look=look)
        started = time.process_time()
        simulate_galaxies(count, look=look)
        figures.append((f"mock observations, {look}", count / (time.process_time() - started), "pictures/CPU-s"))
    record(machine, *figures)


if __name__ == "__main__":
    main()
