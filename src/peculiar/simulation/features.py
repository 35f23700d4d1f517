"""The features that a galaxy can have: in which hosts, how often, and which exclude each other."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from peculiar.errors import UnknownNameError

Rng = np.random.Generator

# Hosts, and how many of the galaxies of a survey they are.
HOSTS = {"elliptical": 0.17, "lenticular": 0.18, "spiral": 0.41, "edge_on": 0.12, "irregular": 0.08, "dwarf": 0.04}

_DISCS = ("lenticular", "spiral")
_EVERY = tuple(HOSTS)


@dataclass(frozen=True, slots=True)
class _Feature:
    """Frequency of a feature in hosts of some kinds."""

    hosts: tuple[str, ...]
    often: float


# Defects of the picture are not features of the scene: see `peculiar.simulation.defects`.
_FEATURES = {
    "ring_inner": _Feature(_DISCS, 0.22),
    "ring_outer": _Feature(_DISCS, 0.12),
    "ring_collisional": _Feature(("spiral",), 0.03),
    "ring_polar": _Feature(("lenticular", "elliptical"), 0.03),
    "bar": _Feature(_DISCS, 0.42),
    "arms": _Feature(("spiral",), 0.9),
    "edge_on": _Feature(("edge_on",), 1.0),
    "warp": _Feature(("edge_on",), 0.3),
    "boxy_bulge": _Feature(("edge_on",), 0.35),
    "clumps": _Feature(("spiral", "irregular"), 0.45),
    "dust_lane": _Feature(("elliptical", "lenticular", "edge_on"), 0.16),
    "double_nucleus": _Feature(("elliptical", "lenticular", "spiral", "irregular"), 0.04),
    "tidal_tail": _Feature(("spiral", "lenticular", "irregular"), 0.1),
    "bridge": _Feature(("spiral", "lenticular"), 0.05),
    "stream": _Feature(("spiral", "lenticular", "elliptical", "edge_on"), 0.05),
    "shells": _Feature(("elliptical", "lenticular"), 0.07),
    "lens_arc": _Feature(("elliptical",), 0.06),
    "einstein_ring": _Feature(("elliptical",), 0.05),
    "lens_quad": _Feature(("elliptical",), 0.05),
    "jet": _Feature(("elliptical",), 0.03),
    "ionisation_cone": _Feature(("lenticular", "spiral"), 0.02),
    "ram_pressure_tail": _Feature(("spiral", "irregular"), 0.04),
    "low_surface_brightness": _Feature(("spiral", "irregular", "dwarf"), 0.05),
    "neighbour": _Feature(_EVERY, 0.12),
    "foreground_star": _Feature(_EVERY, 0.08),
    "crowded": _Feature(_EVERY, 0.05),
}
FEATURES = tuple(_FEATURES)
"""Features of a scene."""

# Features that exclude each other: one encounter, one lens, one kind of odd ring.
_ONE_OF = (
    ("tidal_tail", "bridge", "stream", "shells", "ring_collisional", "ram_pressure_tail"),
    ("lens_arc", "einstein_ring", "lens_quad", "shells", "dust_lane", "ring_polar", "jet", "double_nucleus"),
    ("ring_collisional", "ring_inner"),
    ("ring_collisional", "ring_outer"),
    ("ring_collisional", "bar"),
    ("ring_collisional", "arms"),
    ("low_surface_brightness", "ionisation_cone", "bridge", "ring_collisional"),
)

_PARTICLES = {"tidal_tail", "bridge"}
_STRUCTURE = {"ring_inner", "ring_outer", "bar", "arms", "clumps", "low_surface_brightness", "ram_pressure_tail"}


def check_features(names: Sequence[str]) -> None:
    """Raise `UnknownNameError` for a name that is no feature."""
    for name in names:
        if name not in _FEATURES:
            raise UnknownNameError("feature", name, FEATURES)


def draw_features(rng: Rng, host: str, first: str | None) -> set[str]:
    """Draw the features of a host; ``first`` is one that it has to have."""
    names = {name for name, one in _FEATURES.items() if host in one.hosts and rng.random() < one.often}
    if first:
        names.add(first)
    for group in _ONE_OF:
        there = [name for name in group if name in names]
        if len(there) > 1:
            kept = first if first in there else str(rng.choice(there))
            names -= set(there) - {kept}
    if names & _PARTICLES:  # their discs are particles, which have no such structure
        names -= _PARTICLES if first in _STRUCTURE else _STRUCTURE
    if "bar" not in names and "ring_inner" in names and first != "arms" and rng.random() < 0.35:
        names.add("bar")  # two of three inner rings surround a bar (Buta & Combes 1996)
    return names


def hosts_of(feature: str | None) -> tuple[str, ...]:
    """Return the hosts that can have a feature, or all."""
    return _FEATURES[feature].hosts if feature else _EVERY
