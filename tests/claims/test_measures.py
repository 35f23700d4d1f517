"""Claims about measures: sizes and asymmetries of galaxies that are known."""

from pathlib import Path

import numpy as np
import pytest

import peculiar
from sersic_galaxies import draw_sersic, write_stamp


@pytest.mark.slow
def test_sizes_and_asymmetries_of_known_galaxies_are_recovered(tmp_path: Path) -> None:
    """Half-light radii within 5 % and asymmetries within 0.03, in the median."""
    random = np.random.default_rng(222)
    radii, blobs = {}, {}
    for number in range(24):
        name, n, noise = f"{number:02d}.fits", (1.0, 2.0, 3.0)[number % 3], (0.2, 0.5)[number % 2]
        radius, blob = random.uniform(4, 7), random.uniform(0.02, 0.15) if number >= 12 else 0.0
        shape = {"ellip": random.uniform(0, 0.5), "angle": random.uniform(0, 180)}
        write_stamp(tmp_path / name, draw_sersic(radius, n, blob=blob, psf=1.0, **shape), noise=noise, seed=number)
        radii[name], blobs[name] = radius, blob
    rows = list(peculiar.measure(tmp_path, psf="2.355px", verbose=False))
    assert not any(row["measure_flags"] for row in rows)
    sizes = [row["sersic_radius"] / radii[row["id"]] for row in rows if not blobs[row["id"]]]
    asymmetries = [row["asymmetry"] - 2 * blobs[row["id"]] for row in rows]
    assert len(sizes) == 12
    assert np.median(np.abs(np.array(sizes) - 1)) < 0.05
    assert np.median(np.abs(asymmetries)) < 0.03
