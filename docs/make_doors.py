"""Draw the pictures of the site's doors: strips of simulated galaxies, drawn when the site is built."""

from pathlib import Path

import numpy as np

from peculiar.images.decode import encode_picture
from peculiar.simulation import simulate_views

FOLDER = Path(__file__).resolve().parent.parent / "build" / "doors"

# Pixels of one galaxy.
SIDE = 160

# What each door shows: feature, row and survey of its galaxies.
DOORS = {
    "learn": (("arms", 0, "hsc"), ("ring_outer", 10, "hsc"), ("bridge", 8, "hsc"), ("clumps", 13, "hsc")),
    "classify": (("ring_collisional", 3, "hsc"), ("arms", 11, "hsc"), ("edge_on", 10, "hsc"), ("bar", 6, "hsc")),
    "survey": (("arms", 0, "sdss"), ("arms", 0, "panstarrs"), ("arms", 0, "decals"), ("arms", 0, "hsc")),
    "unusual": (("tidal_tail", 9, "hsc"), ("ring_polar", 1, "hsc"), ("einstein_ring", 4, "hsc"), ("shells", 11, "hsc")),
    "label": (("stream", 9, "hsc"), ("dust_lane", 27, "hsc"), ("edge_on", 12, "hsc"), ("ring_polar", 10, "hsc")),
}


def strip(shown: tuple[tuple[str, int, str], ...]) -> bytes:
    """Return galaxies side by side as JPEG."""
    views = [simulate_views(row, looks=(survey,), features=(feature,), size=SIDE)[0] for feature, row, survey in shown]
    return encode_picture(np.concatenate([view.picture for view in views], axis=1), "JPEG")


def draw() -> None:
    """Write a picture for each door; one that stays the same keeps its date, so that Sphinx copies it once."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, shown in DOORS.items():
        file, made = FOLDER / f"{name}.jpg", strip(shown)
        if not file.exists() or file.read_bytes() != made:
            file.write_bytes(made)


if __name__ == "__main__":
    draw()
