"""Attributes of galaxies that simulated ones can teach: several may be right at once, and each may be unknown."""

from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa

from peculiar.tables.column import Column

ATTRIBUTES: Mapping[str, tuple[str, ...]] = {
    "ring": ("ring_inner", "ring_outer", "ring_collisional", "ring_polar"),
    "bar": ("bar",),
    "arms": ("arms",),
    "edge_on_disc": ("edge_on",),
    "warp": ("warp",),
    "boxy_bulge": ("boxy_bulge",),
    "clumps": ("clumps",),
    "dust_lane": ("dust_lane",),
    "double_nucleus": ("double_nucleus",),
    "tail": ("tidal_tail", "bridge"),
    "stream": ("stream",),
    "shell": ("shells",),
    "lens": ("lens_arc", "einstein_ring", "lens_quad"),
    "jet": ("jet",),
    "ionisation_cone": ("ionisation_cone",),
    "ram_pressure_tail": ("ram_pressure_tail",),
    "low_surface_brightness": ("low_surface_brightness",),
    "neighbour": ("neighbour",),
    "foreground_star": ("foreground_star",),
}
"""Attributes, and the features of the simulation that each stands for."""

COLUMNS = tuple(
    Column(f"{name}_answer", pa.string(), f"{name} or no_{name}; null where it is there but cannot be seen")
    for name in ATTRIBUTES
)
"""Columns of the answers, for training."""


def is_mock(columns: Iterable[str]) -> bool:
    """Return whether columns are those of a table of mock observations."""
    return {column.name for column in COLUMNS} <= set(columns)


def answer(attribute: str, truth: Mapping[str, Any]) -> str | None:
    """Return the answer to an attribute that a picture holds.

    Parameters
    ----------
    attribute : str
        Of `ATTRIBUTES`.
    truth : mapping
        Of a `peculiar.simulation.View`.

    Returns
    -------
    str or None
        ``NAME`` if one of its features can be seen, ``no_NAME`` if none is there, None if one is there but cannot be
        seen: then nobody could tell from the picture.

    Examples
    --------
    >>> answer("bar", {"bar": True, "bar_visible": True}), answer("bar", {}), answer("bar", {"bar": True})
    ('bar', 'no_bar', None)
    """
    features = ATTRIBUTES[attribute]
    if any(truth.get(f"{feature}_visible") for feature in features):
        return attribute
    return None if any(truth.get(feature) for feature in features) else f"no_{attribute}"


def answer_columns(truths: Iterable[Mapping[str, Any]]) -> list[pa.Array]:
    """Return the answers of pictures as the arrays of `COLUMNS`."""
    known = list(truths)
    return [pa.array([answer(name, truth) for truth in known], pa.string()) for name in ATTRIBUTES]
