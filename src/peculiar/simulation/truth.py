"""The truth about simulated galaxies, as columns of a table."""

from typing import Any

import pyarrow as pa

from peculiar.simulation.defects import DEFECTS
from peculiar.simulation.features import FEATURES
from peculiar.tables.column import Column

_LENS: dict[str, str] = {"source_x": "pixel", "source_y": "pixel", "mass_axis_ratio": "", "images": ""}

_ABOUT: dict[str, tuple[str, str, str, dict[str, str]]] = {
    "ring_inner": ("ring about the bulge or at the end of the bar", "share of the light", "radius", {}),
    "ring_outer": ("ring around the disc", "share of the light", "radius", {}),
    "ring_collisional": ("ring driven outwards by an intruder", "share of the light", "radius", {}),
    "ring_polar": ("ring about the poles of the galaxy", "share of the light", "radius", {"angle": "deg"}),
    "bar": ("bar", "share of the light", "half its length as seen", {"angle": "deg"}),
    "arms": (
        "spiral arms", "share of the light", "outer radius",
        {"number": "", "pitch": "deg", "turns": "", "sense": "", "concentration": ""},
    ),
    "edge_on": ("disc seen edge-on", "share of the light", "radius at which it is cut off", {"height": "pixel"}),
    "warp": ("bend of an edge-on disc", "height over radius at the edge", "radius of the disc", {"bowl": ""}),
    "boxy_bulge": ("boxy or X-shaped bulge", "share of the light", "radius", {"pinch": ""}),
    "clumps": ("star-forming clumps", "share of the light", "full width of a clump", {"number": ""}),
    "dust_lane": ("lane of dust", "optical depth in r", "length", {}),
    "double_nucleus": ("second nucleus", "share of the light", "distance from the first", {}),
    "tidal_tail": ("tails of an encounter", "share of the light", "reach", {"ratio": "", "separation": "pixel"}),
    "bridge": ("bridge between galaxies", "share of the light", "their distance", {"ratio": "", "separation": "pixel"}),
    "stream": ("stellar stream", "share of the light", "reach", {}),
    "shells": ("shells", "share of the light", "radius of the outermost", {}),
    "lens_arc": ("arc of a lensed galaxy", "share of the light, unlensed", "Einstein radius", _LENS),
    "einstein_ring": ("ring of a lensed galaxy", "share of the light, unlensed", "Einstein radius", _LENS),
    "lens_quad": ("images of a lensed quasar", "share of the light", "Einstein radius", _LENS),
    "jet": ("optical jet", "share of the light", "length", {"angle": "deg"}),
    "ionisation_cone": ("ionisation cones", "share of the light", "length", {"angle": "deg", "opening": "deg"}),
    "ram_pressure_tail": ("tail of stripped gas", "share of the light", "length", {}),
    "low_surface_brightness": (
        "disc fainter than 23 mag/arcsec^2", "mean surface brightness at redshift 0", "half-light radius", {},
    ),
    "neighbour": ("galaxy near by chance", "flux relative to the galaxy", "half-light radius", {}),
    "foreground_star": ("star in front", "flux relative to the galaxy", "nominal size", {}),
    "crowded": ("field full of stars", "", "", {}),
    "satellite_trail": ("trail of a satellite", "peak in units of the noise", "length", {}),
    "ghost": ("reflection of a bright star", "brightness in units of the noise", "radius", {}),
    "bleeding": ("saturated star that bleeds", "peak in units of the noise", "length of the spill", {}),
}  # fmt: skip

_DOUBLE, _FLAG, _TEXT, _WHOLE = pa.float64(), pa.bool_(), pa.string(), pa.int64()


def _columns() -> tuple[Column, ...]:
    columns = [
        Column("galaxy", _WHOLE, "number of the galaxy; views of one galaxy share it"),
        Column("seed", _WHOLE, "seed of the simulation"),
        Column("host", _TEXT, "elliptical, lenticular, spiral, edge_on, irregular or dwarf"),
        Column("bulge_fraction", _DOUBLE, "share of the bulge in the light in r"),
        Column("axis_ratio", _DOUBLE, "axis ratio of the galaxy"),
        Column("position_angle", _DOUBLE, "of the major axis, from the column axis towards the row axis", "deg"),
        Column("look", _TEXT, "survey, or random"),
        Column("pixel_scale", _DOUBLE, "side of a pixel of the detector", "arcsec"),
        Column("fwhm", _DOUBLE, "full width at half maximum of the point spread function", "arcsec"),
        Column("bands", _WHOLE, "number of bands"),
        Column("blue_first", _FLAG, "the bluest band is shown as red"),
        Column("redshift", _DOUBLE, "redshift"),
        Column("frame", _DOUBLE, "side of the picture, in half-light radii"),
        Column("radius_arcsec", _DOUBLE, "half-light radius", "arcsec"),
        Column("radius_pixels", _DOUBLE, "half-light radius", "pixel"),
        Column("surface_brightness", _DOUBLE, "mean within the half-light radius, in r", "mag.arcsec-2"),
        Column("sky_noise", _DOUBLE, "noise of the sky per pixel of the exposure, in nMgy/arcsec^2"),
        Column("stretch", _TEXT, "asinh, log, sqrt or linear"),
        Column("jpeg", _WHOLE, "quality of the JPEG compression; 0 for none"),
    ]
    for name in (*FEATURES, *DEFECTS):
        about, strength, size, more = _ABOUT[name]
        columns.append(
            Column(name, _FLAG, f"whether there is a {about}" if name not in _PLURAL else f"whether there are {about}")
        )
        if strength:
            columns += [
                Column(f"{name}_strength", _DOUBLE, strength),
                Column(f"{name}_x", _DOUBLE, "column of its centre", "pixel"),
                Column(f"{name}_y", _DOUBLE, "row of its centre", "pixel"),
                Column(f"{name}_size", _DOUBLE, size, "pixel"),
            ]
        columns += [Column(f"{name}_{key}", _DOUBLE, key.replace("_", " "), unit) for key, unit in more.items()]
        columns += [
            Column(f"{name}_snr", _DOUBLE, "signal-to-noise ratio of its light"),
            Column(f"{name}_contrast", _DOUBLE, "its share of the light where it is"),
            Column(f"{name}_resolved", _DOUBLE, "its width relative to the point spread function"),
            Column(f"{name}_visible", _FLAG, "whether it can be seen in this picture"),
        ]
    return tuple(columns)


_PLURAL = {"arms", "clumps", "shells"}

COLUMNS = _columns()
"""Columns of the truth. Those of a feature that is absent are null, but for its flags, which are false."""


def columns_of_truth(truths: list[dict[str, Any]]) -> pa.Table:
    """Return truths as a table with `COLUMNS`."""
    names = (*FEATURES, *DEFECTS)
    flags = {*names, *(f"{name}_visible" for name in names)}
    arrays = [
        pa.array([truth.get(column.name, False if column.name in flags else None) for truth in truths], column.type)
        for column in COLUMNS
    ]
    return pa.Table.from_arrays(arrays, schema=pa.schema([column.field() for column in COLUMNS]))
