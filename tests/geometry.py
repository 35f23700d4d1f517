"""Geometry of galaxies, computed independently of the code under test."""

from typing import Any

import numpy as np


def plane(part: dict[str, Any], size: int) -> tuple[Any, Any]:
    """Return deprojected coordinates along and across the major axis of a component."""
    angle = np.deg2rad(part["position_angle"])
    y, x = np.indices((size, size), float)
    x, y = x - part["x"], y - part["y"]
    return (
        np.cos(angle) * x + np.sin(angle) * y,
        (np.cos(angle) * y - np.sin(angle) * x) / part["axis_ratio"],
    )
