"""Draw galaxies with known features, each as one or several surveys would show it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from peculiar.errors import UnknownNameError, UsageError
from peculiar.simulation.compose import draw_scene, surroundings
from peculiar.simulation.defects import DEFECTS
from peculiar.simulation.features import FEATURES
from peculiar.simulation.looks import draw_sight
from peculiar.simulation.observe import observe, wider
from peculiar.simulation.truth import columns_of_truth

ALL_FEATURES = (*FEATURES, *DEFECTS)
"""Features of galaxies and of their surroundings, and defects of pictures."""

_WIDEST = 4.0
"""Width of the field of a scene, relative to the frame."""


@dataclass(frozen=True, slots=True)
class View:
    """A picture of a simulated galaxy, and the truth about it.

    Parameters
    ----------
    picture : ndarray of uint8, shape (size, size, 3)
    truth : dict
        Values by the names of `peculiar.simulation.truth.COLUMNS`; features that are absent have no entries.
    """

    picture: NDArray[np.uint8]
    truth: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Simulated:
    """Simulated galaxies.

    Parameters
    ----------
    pictures : ndarray of uint8, shape (n, size, size, 3)
    truth : pyarrow.Table
        A row a picture.
    """

    pictures: NDArray[np.uint8]
    truth: pa.Table


def simulate_views(
    row: int,
    *,
    seed: int = 222,
    looks: Sequence[str] = ("decals",),
    features: Sequence[str] = (),
    size: int = 128,
    contexts: Sequence[float] = (1.0,),
) -> list[View]:
    """Simulate one galaxy as each of some looks shows it, at each of some extents.

    Everything follows from `seed` and `row`, and does not depend on other rows.

    Parameters
    ----------
    row : int
        Number of the galaxy, from 0.
    seed : int
        At least 0.
    looks : sequence of str
        Of `peculiar.simulation.looks.NAMES`. The galaxy is the same in all, at the size that is usual in each survey.
    features : sequence of str
        Of `ALL_FEATURES`: it has one of these at least; the others are as frequent as always.
    size : int
        Side of the pictures in pixels, at least 32.
    contexts : sequence of float
        Width of the frames relative to that which shows the galaxy, from 1 to 4: each makes a picture of `size` pixels.

    Returns
    -------
    list of View
        Those of the first look at all extents, then those of the second, and so on.

    Raises
    ------
    UnknownNameError
        If there is no such look or feature.
    UsageError
        If a number is out of range.

    Examples
    --------
    >>> one, other = simulate_views(0, looks=("sdss", "euclid_vis"), features=("ring_inner",))
    >>> one.truth["ring_inner"], other.truth["ring_inner"]
    (True, True)
    """
    _check(row, seed, size, contexts, features)
    here = tuple(name for name in features if name not in DEFECTS)
    chosen = str(np.random.default_rng([seed, row, 0]).choice(list(features))) if features else ""
    rng = np.random.default_rng([seed, row, 1])
    scene = draw_scene(rng, () if chosen in DEFECTS else here and (chosen,))
    views = []
    field = None
    for number, name in enumerate(looks):
        own = np.random.default_rng([seed, row, 2, number])
        sight = draw_sight(name, own, scene.rank)
        if field is None:
            magnitude = scene.surface_brightness + sight.dimming - 2.5 * math.log10(2 * math.pi * sight.radius**2)
            half = max(_WIDEST * sight.frame / 2, 30.0)
            field = surroundings(
                rng, scene, half=half, arcsec=sight.radius, magnitude=magnitude, limit=sight.limit + 0.5
            )
        wanted = frozenset([chosen] if chosen in DEFECTS else [])
        for step, context in enumerate(contexts):
            grain = np.random.default_rng([seed, row, 3, number, step])
            picture, truth = observe(scene, field, wider(sight, context), size, grain, wanted=wanted)
            known = {
                "galaxy": row, "seed": seed, "host": scene.host, "bulge_fraction": scene.bulge_fraction,
                "axis_ratio": scene.axis_ratio, "position_angle": scene.angle % 180,
            }  # fmt: skip
            views.append(View(picture, known | truth))
    return views


def simulate_galaxies(
    count: int,
    *,
    look: str = "decals",
    features: Sequence[str] = (),
    size: int = 128,
    context: float = 1.0,
    seed: int = 222,
    first: int = 0,
) -> Simulated:
    """Simulate galaxies with known features.

    Parameters
    ----------
    count : int
        At least 1.
    look : str
        Of `peculiar.simulation.looks.NAMES`.
    features : sequence of str
        Of `ALL_FEATURES`: every galaxy has one of these at least.
    size : int
        Side of the pictures in pixels, at least 32.
    context : float
        Width of the frame relative to that which shows the galaxy, from 1 to 4.
    seed : int
        At least 0.
    first : int
        Number of the first galaxy.

    Returns
    -------
    Simulated

    Raises
    ------
    UnknownNameError
        If there is no such look or feature.
    UsageError
        If a number is out of range.

    Examples
    --------
    >>> galaxies = simulate_galaxies(4, look="sdss")
    >>> galaxies.pictures.shape, galaxies.truth.num_rows
    ((4, 128, 128, 3), 4)
    """
    if count < 1:
        raise UsageError(f"simulate_galaxies() received count={count}; ask for at least 1 galaxy")
    views = [
        simulate_views(first + row, seed=seed, looks=(look,), features=features, size=size, contexts=(context,))[0]
        for row in range(count)
    ]
    return Simulated(np.stack([view.picture for view in views]), columns_of_truth([view.truth for view in views]))


def _check(row: int, seed: int, size: int, contexts: Sequence[float], features: Sequence[str]) -> None:
    for name, value, least in (("row", row, 0), ("seed", seed, 0), ("size", size, 32)):
        if value < least:
            raise UsageError(f"{name}={value} is too small for a simulated galaxy; give {least} or more")
    for context in contexts:
        if not 1 <= context <= _WIDEST:
            raise UsageError(f"context={context} is out of range; give 1 (the galaxy's own frame) to {_WIDEST:g}")
    for name in features:
        if name not in ALL_FEATURES:
            raise UnknownNameError("feature", name, ALL_FEATURES)
