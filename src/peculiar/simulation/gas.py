"""Gas that shines or forms stars outside a disc: jets, ionisation cones, ram-pressure tails."""

import math
from dataclasses import dataclass

import numpy as np

from peculiar.simulation.canvas import Canvas, Place, Stars
from peculiar.simulation.discs import Clumps


@dataclass(frozen=True, slots=True)
class Cone:
    """Two opposite cones of gas that an active nucleus ionises: Wilson & Tsvetanov (1994, AJ 107, 1227).

    Half-opening angle and direction in radians. Brightness falls as r^-1.3 outside a small core, with filaments.
    """

    towards: float
    opening: float
    reach: float
    start: tuple[float, float]
    light: float
    stars: Stars

    def paint(self, canvas: Canvas) -> None:
        """Add their light."""
        r, theta = canvas.polar(Place(0, 0, 1, math.degrees(self.towards)))
        off = np.abs(np.abs(np.abs(theta) - math.pi / 2) - math.pi / 2)  # from the axis, on either side
        inside = 1 / (1 + np.exp((off - self.opening) / 0.06))
        # The far cone is behind the disc's dust.
        near = 0.75 + 0.25 * np.cos(theta)
        law = (r + 0.12) ** np.float32(-1.3) * np.exp(-((r / self.reach) ** 4))
        fibres = canvas.texture(np.log(r + 0.05) * 0.25, theta * 0.6, self.start)
        shape = law * inside * near * np.exp(0.8 * fibres - 0.32)
        radii = np.linspace(0, 1.6 * self.reach, 200)
        rim = radii * (radii + 0.12) ** -1.3 * np.exp(-((radii / self.reach) ** 4))
        total = 4 * self.opening * 0.75 * np.trapezoid(rim, radii)
        canvas.add(shape * np.float32(self.light / total), self.stars)


def jet(rng: np.random.Generator, towards: float, reach: float, light: float) -> Clumps:
    """Draw an optical jet: knots on one side of the nucleus, the counter-jet dimmed by beaming.

    As in M 87 (Sparks, Biretta & Macchetto 1996, ApJ 473, 254).
    """
    count = int(rng.integers(5, 10))
    along = np.sort(rng.uniform(0.12, 1, count)) * reach
    across = np.cumsum(rng.normal(0, 0.012, count)) * reach
    share = rng.lognormal(0, 0.7, count) * np.exp(-along / reach)
    # Light between the knots.
    fill = np.linspace(0.05, 1, 24) * reach
    along, across = np.append(along, fill), np.append(across, np.interp(fill, along, across))
    share = np.append(share / share.sum() * 0.65, np.full(24, 0.35 / 24))
    sigma = np.append(rng.uniform(0.015, 0.03, count) * reach, 0.02 * reach + 0.02 * fill)
    c, s = math.cos(towards), math.sin(towards)
    x, y = along * c - across * s, along * s + across * c
    return Clumps.of(x, y, sigma, share, light, Stars("quasar"))


def stripped(
    rng: np.random.Generator, place: Place, towards: float, reach: float, width: float, light: float
) -> tuple[Clumps, Clumps]:
    """Draw the tail of a galaxy that falls into a cluster: strands of young stars, and the knots in them.

    Gunn & Gott (1972, ApJ 176, 1); strands and knots as in jellyfish galaxies (Poggianti et al. 2017, ApJ 844, 48).
    """
    strands = int(rng.integers(4, 9))
    length = reach * rng.uniform(0.45, 1, strands)
    first = width * np.linspace(-1, 1, strands) + rng.normal(0, 0.1 * width, strands)
    which = np.repeat(np.arange(strands), 16)
    along = np.tile(np.linspace(0, 1, 16), strands) ** 1.1 * length[which]
    waver = np.cumsum(rng.normal(0, 0.025 * reach, (strands, 16)), axis=1).ravel()
    across = first[which] * (1 - 0.3 * along / reach) + waver
    share = np.exp(-1.6 * along / reach) * rng.lognormal(0, 0.6, along.size)
    knots = rng.choice(along.size, 3 * strands, replace=False)
    c, s = math.cos(towards), math.sin(towards)
    x, y = place.x + along * c - across * s, place.y + along * s + across * c
    sigma = 0.05 * reach * (0.6 + along / reach) * rng.lognormal(0, 0.25, along.size)
    bright = rng.pareto(1.5, knots.size) + 0.3
    smooth = Clumps.of(x, y, sigma, share, 0.7 * light, Stars("young"))
    small = np.full(knots.size, 0.02 * reach)
    return smooth, Clumps.of(x[knots], y[knots], small, bright, 0.3 * light, Stars("clump"))
