"""Measure the cost of `peculiar measure` in seconds of one core per stamp, and its errors on known galaxies.

On a machine that is busy with other work, seconds of a core last longer. The loop of additions that is timed beside the
measures tells by how much: compare it with that of an idle machine.
"""

import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import peculiar
from machine import describe, make_parser, record

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from sersic_galaxies import draw_sersic, write_stamp


def loop() -> float:
    """Return the seconds of a core that two million additions take: the least of sixty shares, which is undisturbed."""

    def share() -> float:
        before, total = time.process_time(), 0
        for number in range(100_000):
            total += number
        return time.process_time() - before

    return 20 * min(share() for _ in range(60))


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--count", type=int, default=100, help="number of stamps")
    arguments = parser.parse_args()
    machine, rows = describe("statmorph", "photutils"), []
    random = np.random.default_rng(222)
    with tempfile.TemporaryDirectory() as name:
        folder, radii, blobs = Path(name), [], []
        for number in range(arguments.count):
            radii.append(random.uniform(4, 7))
            blobs.append(random.uniform(0.02, 0.15) if number % 2 else 0.0)
            shape = {"n": (1.0, 2.0, 3.0)[number % 3], "ellip": random.uniform(0, 0.5), "angle": random.uniform(0, 180)}
            light = draw_sersic(radii[-1], blob=blobs[-1], psf=1.0, **shape)
            write_stamp(folder / f"{number:05d}.fits", light, noise=(0.2, 0.5)[number % 2], seed=number)
        peculiar.measure(folder / "00000.fits", verbose=False)  # imports
        for psf in (None, "2.355px"):
            began, loops = time.process_time(), [loop()]
            found = list(peculiar.measure(folder, psf=psf, verbose=False))
            cost = time.process_time() - began - loops[0]
            loops.append(loop())
            label = "with a PSF" if psf else "without a PSF"
            rows.append((f"measures of a stamp of 96 pixels, {label}", cost / arguments.count, "s of a core"))
            rows.append(("two million additions meanwhile", float(np.mean(loops)), "s of a core"))
    sizes = [abs(row["sersic_radius"] / radii[at] - 1) for at, row in enumerate(found) if not blobs[at]]
    rows.append(("error of half-light radii, median", 100 * float(np.median(sizes)), "%"))
    errors = [abs(row["asymmetry"] - 2 * blobs[at]) for at, row in enumerate(found)]
    rows.append(("error of asymmetries, median", float(np.median(errors)), ""))
    rows.append(("flagged", float(np.mean([row["measure_flags"] > 0 for row in found])), "of the galaxies"))
    record(machine, *rows)


if __name__ == "__main__":
    main()
