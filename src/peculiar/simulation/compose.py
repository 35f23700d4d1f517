"""Compose a scene: a host, its features, and the sky around them."""

from collections.abc import Callable, Sequence

import numpy as np

from peculiar.simulation import additions, debris, hosts
from peculiar.simulation.features import HOSTS, check_features, draw_features, hosts_of
from peculiar.simulation.field import Field, draw_field
from peculiar.simulation.scene import Scene
from peculiar.simulation.sketch import Sketch

Rng = np.random.Generator

_HOSTS: dict[str, Callable[[Sketch], None]] = {
    "elliptical": hosts.elliptical,
    "lenticular": hosts.face_on,
    "spiral": hosts.face_on,
    "edge_on": hosts.edge_on,
    "irregular": hosts.irregular,
    "dwarf": hosts.dwarf,
}

# On top of the host, in the order in which they are painted.
_ON_TOP: dict[str, Callable[[Sketch], None]] = {
    "dust_lane": additions.dust_lane,
    "double_nucleus": additions.double_nucleus,
    "ring_polar": additions.polar_ring,
    "shells": debris.shells,
    "stream": debris.stream,
    "jet": additions.jet,
    "ionisation_cone": additions.ionisation_cone,
    "ram_pressure_tail": debris.ram_pressure_tail,
    "lens_arc": additions.lens,
    "einstein_ring": additions.lens,
    "lens_quad": additions.lens,
    "neighbour": additions.neighbour,
    "foreground_star": additions.foreground_star,
}


def draw_scene(rng: Rng, wanted: Sequence[str] = ()) -> Scene:
    """Draw a scene.

    Parameters
    ----------
    rng : numpy.random.Generator
    wanted : sequence of str
        Of `FEATURES`: the galaxy has one of these at least; the others are as frequent as always.

    Raises
    ------
    UnknownNameError
        For a name that is no feature.
    """
    check_features(wanted)
    first = str(rng.choice(list(wanted))) if wanted else None
    possible = hosts_of(first)
    odds = np.array([HOSTS[host] for host in possible])
    host = str(rng.choice(list(possible), p=odds / odds.sum()))
    names = draw_features(rng, host, first)
    scene = Scene(host, _surface(rng, host, names), float(np.clip(rng.normal(), -2, 2)))
    scene.crowded = "crowded" in names
    sketch = Sketch(rng, scene, names)
    if {"tidal_tail", "bridge"} & names:
        debris.encounter(sketch)
    else:
        _HOSTS[host](sketch)
    for name, draw in _ON_TOP.items():
        if name in names and not (name == "dust_lane" and host == "edge_on"):  # painted with its disc
            draw(sketch)
    if "low_surface_brightness" in names:
        sketch.mark("low_surface_brightness", scene.surface_brightness, size=1.0, width=1.0)
    return scene


def _surface(rng: Rng, host: str, names: set[str]) -> float:
    """Mean surface brightness within the half-light radius, in r: about Shen et al. (2003), of discs after Freeman."""
    if "low_surface_brightness" in names:
        return float(rng.uniform(23.0, 24.3))
    middle = {"elliptical": 20.0, "lenticular": 20.2, "spiral": 20.7, "edge_on": 20.4, "irregular": 21.3, "dwarf": 22.0}
    return float(np.clip(rng.normal(middle[host], 0.5), 18.8, 23.0))


def surroundings(rng: Rng, scene: Scene, *, half: float, arcsec: float, magnitude: float, limit: float) -> Field:
    """Draw the field of a scene; a crowded one has many times the stars."""
    crowding = rng.uniform(8, 25) if scene.crowded else rng.lognormal(0, 0.5)
    return draw_field(rng, half=half, arcsec=arcsec, magnitude=magnitude, limit=limit, crowding=crowding)
