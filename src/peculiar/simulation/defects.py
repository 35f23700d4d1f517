"""Defects of exposures: satellite trails, ghosts and bleeding stars. They lie on the detector, not on the sky."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Rng = np.random.Generator

DEFECTS = ("satellite_trail", "ghost", "bleeding")
"""Names of the defects."""

_OFTEN = {"satellite_trail": 0.02, "ghost": 0.01, "bleeding": 0.01}


@dataclass(frozen=True, slots=True)
class Defect:
    """The light of a defect, and the truth about it.

    Attributes
    ----------
    light : ndarray of float32, shape (bands, size, size)
        In units of the noise of a pixel.
    strength : float
        Its typical brightness, in the same unit.
    x, y, size : float
        Position and extent, as shares of the side of the picture from its middle.
    """

    light: Floats
    strength: float
    x: float
    y: float
    size: float


def draw_defects(rng: Rng, bands: int, size: int, fwhm: float, *, often: float, wanted: set[str]) -> dict[str, Defect]:
    """Draw the defects of an exposure.

    Parameters
    ----------
    rng : numpy.random.Generator
    bands, size : int
        Of the exposure.
    fwhm : float
        Of the point spread function, in pixels.
    often : float
        How often there are any, relative to one picture in twenty.
    wanted : set of str
        Defects that there have to be.

    Returns
    -------
    dict of str to Defect
    """
    axis = ((np.arange(size) + 0.5) / size - 0.5).astype(np.float32)
    drawn = {}
    for name, draw in (("satellite_trail", _trail), ("ghost", _ghost), ("bleeding", _bleeding)):
        if rng.random() < often * _OFTEN[name] or name in wanted:
            drawn[name] = draw(rng, bands, axis[None, :], axis[:, None], fwhm / size)
    return drawn


def _some_bands(rng: Rng, bands: int) -> Floats:
    """Bands that a defect of one exposure is in: one, or all of a stack."""
    if bands == 1 or rng.random() < 0.4:
        return np.ones((bands, 1, 1), np.float32)
    return np.asarray(np.arange(bands) == rng.integers(bands), np.float32)[:, None, None]


def _trail(rng: Rng, bands: int, x: Floats, y: Floats, fwhm: float) -> Defect:
    """Draw a satellite that crosses the field: a line as wide as the point spread function, or wider out of focus."""
    angle, off = rng.uniform(0, math.pi), rng.uniform(-0.35, 0.35)
    across = x * math.sin(angle) - y * math.cos(angle) - off
    sigma = max(fwhm / 2.355 * rng.uniform(1, 2.2), 0.004)
    strength = float(np.exp(rng.uniform(math.log(2.5), math.log(30))))
    shape = np.exp(-0.5 * (across / sigma) ** 2).astype(np.float32) * np.float32(strength)
    return Defect(shape * _some_bands(rng, bands), strength, off * math.sin(angle), -off * math.cos(angle), 1.0)


def _ghost(rng: Rng, bands: int, x: Floats, y: Floats, fwhm: float) -> Defect:
    """Draw a reflection of a bright star between filter and detector: an image of the pupil, out of focus."""
    cx, cy, radius = rng.uniform(-0.5, 0.5), rng.uniform(-0.5, 0.5), rng.uniform(0.12, 0.5)
    r = np.hypot(x - cx, y - cy) / radius
    hole = rng.uniform(0.25, 0.45)
    edge = 40.0
    shape = 1 / (1 + np.exp(np.clip((r - 1) * edge, -50, 50))) / (1 + np.exp(np.clip((hole - r) * edge, -50, 50)))
    strength = float(rng.uniform(1.5, 8))
    light = (shape * strength).astype(np.float32) * _some_bands(rng, bands)
    return Defect(light, strength, float(cx), float(cy), float(radius))


def _bleeding(rng: Rng, bands: int, x: Floats, y: Floats, fwhm: float) -> Defect:
    """Draw a saturated star, whose charge spills along the columns."""
    cx, cy = rng.choice([-1, 1]) * rng.uniform(0.15, 0.48), rng.uniform(-0.45, 0.45)
    strength = float(np.exp(rng.uniform(math.log(150), math.log(1500))))
    width, length = max(0.35 * fwhm, 0.005), rng.uniform(0.1, 0.6)
    r = np.hypot(x - cx, y - cy)
    star = strength * (1 + (r / (0.7 * fwhm)) ** 2) ** -2.2
    spill = strength * (np.abs(x - cx) < width) * np.exp(-((np.abs(y - cy) / length) ** 4))
    light = np.maximum(star, spill).astype(np.float32)
    colour = rng.lognormal(0, 0.25, (bands, 1, 1)).astype(np.float32)
    return Defect(light * colour, strength, float(cx), float(cy), float(length))
