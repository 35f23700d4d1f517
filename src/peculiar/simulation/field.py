"""Stars and galaxies around the galaxy in the middle, as many as the sky has."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from peculiar.simulation.canvas import Canvas, Place, Stars
from peculiar.simulation.discs import Spheroid

# Cumulative counts per arcmin^2 to r = 22, and their slopes: galaxies of Yasuda et al. (2001, AJ 122, 1104), Fig. 4,
# continued; stars at a middle galactic latitude of Bahcall & Soneira (1980, ApJS 44, 73).
_GALAXIES, _GALAXY_SLOPE = 6.0, 0.36
_STARS, _STAR_SLOPE = 2.5, 0.17
_BRIGHTEST = 14.0

_MOST = 70
"""Field galaxies that are painted, the brightest first."""


@dataclass(frozen=True, slots=True)
class Field:
    """Field stars and galaxies: positions in radii, fluxes in r as shares of the galaxy's, colours, and shapes."""

    star: NDArray[np.bool_]
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    light: NDArray[np.float64]
    radius: NDArray[np.float64]
    q: NDArray[np.float64]
    angle: NDArray[np.float64]
    young: NDArray[np.bool_]
    reddening: NDArray[np.float64]

    def paint(self, canvas: Canvas) -> None:
        """Add those that can be seen at all."""
        half = (canvas.size / 2 + 4) * canvas.step
        near = (np.abs(self.x) < half + 3 * self.radius) & (np.abs(self.y) < half + 3 * self.radius)
        stars = near & self.star
        if stars.any():
            colours = [canvas.colour(Stars("disc", reddening)) for reddening in self.reddening[stars].tolist()]
            canvas.points(self.x[stars], self.y[stars], np.stack(colours, axis=1) * self.light[stars])
        galaxies = np.flatnonzero(near & ~self.star)
        for i in galaxies[np.argsort(-self.light[galaxies])][:_MOST].tolist():
            place = Place(float(self.x[i]), float(self.y[i]), float(self.q[i]), float(self.angle[i]))
            stars_of = Stars("young" if self.young[i] else "old", float(self.reddening[i]))
            Spheroid(place, float(self.radius[i]), 1.0, float(self.light[i]), stars_of).paint(canvas)


def _magnitudes(rng: np.random.Generator, count: int, slope: float, limit: float) -> NDArray[np.float64]:
    """Draw magnitudes to a limit, of counts that rise as 10^(slope m)."""
    least = 10 ** (slope * (_BRIGHTEST - limit))
    return np.asarray(limit + np.log10(least + rng.random(count) * (1 - least)) / slope)


def draw_field(
    rng: np.random.Generator, *, half: float, arcsec: float, magnitude: float, limit: float, crowding: float
) -> Field:
    """Draw the field.

    Parameters
    ----------
    half : float
        Half the side of the square, in radii.
    arcsec : float
        Radius of the galaxy in the middle, in arcsec.
    magnitude : float
        Its magnitude in r.
    limit : float
        Faintest magnitude in r.
    crowding : float
        Number of stars relative to a middle galactic latitude.
    """
    arcmin2 = (2 * half * arcsec / 60) ** 2
    galaxies = rng.poisson(_GALAXIES * 10 ** (_GALAXY_SLOPE * (limit - 22)) * arcmin2 * rng.lognormal(0, 0.4))
    stars = rng.poisson(_STARS * 10 ** (_STAR_SLOPE * (limit - 22)) * arcmin2 * crowding)
    count = int(galaxies + stars)
    star = np.arange(count) >= galaxies
    magnitudes = np.where(star, *(_magnitudes(rng, count, s, limit) for s in (_STAR_SLOPE, _GALAXY_SLOPE)))
    x, y = rng.uniform(-half, half, (2, count))
    # Faint galaxies are small: half a magnitude fainter, a tenth smaller (Shen et al. 2003, MNRAS 343, 978).
    size = 0.75 * 10 ** (-0.11 * (magnitudes - 22)) * rng.lognormal(0, 0.35, count)
    return Field(
        star, x, y,
        light=10 ** (-0.4 * (magnitudes - magnitude)),
        radius=np.where(star, 0, size / arcsec),
        q=np.sqrt(0.05 + 0.95 * rng.uniform(0.05, 1, count) ** 2),
        angle=rng.uniform(0, 180, count),
        young=rng.random(count) < 0.62,
        # Stars from F to M, as reddened discs.
        reddening=np.where(star, np.clip(rng.gamma(1.6, 0.9, count) - 1.3, -1.5, 3.5), rng.normal(0.5, 0.6, count)),
    )  # fmt: skip


def bright_star(rng: np.random.Generator, *, near: float, far: float) -> tuple[float, float, Stars]:
    """Draw a star in front: its position, between two distances, and its colour."""
    distance, way = rng.uniform(near, far), rng.uniform(0, 2 * math.pi)
    colour = Stars("disc", float(np.clip(rng.gamma(1.6, 0.8) - 1.2, -1.2, 3)))
    return distance * math.cos(way), distance * math.sin(way), colour
