"""Debris of encounters between galaxies, from orbits of test particles: tails, bridges, streams and shells.

Units: the half-light radius of a disc, its circular speed, and thus the time in which a star at that radius turns by
one radian. A galaxy's halo is a softened isothermal sphere that ends: acceleration v^2 r / (r^2 + c^2) / (1 + r / R).
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from peculiar.simulation.canvas import Canvas, Floats, Stars

_CORE, _REACH = 0.35, 6.0

Vectors = NDArray[np.float32]
"""Positions or velocities, shape (3, n)."""


@dataclass(frozen=True, slots=True)
class Debris:
    """Stars of an encounter, as particles on the sky with shares of the light."""

    x: Floats
    y: Floats
    share: Floats
    least: float
    light: float
    stars: Stars

    def paint(self, canvas: Canvas) -> None:
        """Add their light."""
        canvas.particles(self.x, self.y, self.share * self.light, self.least, self.stars)


def _pull(offset: Any, mass: float) -> Any:
    """Acceleration towards a galaxy, by the offset from its centre; its circular speed squared is ``mass``."""
    r2 = np.einsum("ij,ij->j", offset, offset)
    return offset * (-mass / ((r2 + np.float32(_CORE**2)) * (1 + np.sqrt(r2) / np.float32(_REACH))))


def _turned(vectors: Vectors, rotation: NDArray[np.floating]) -> Vectors:
    return np.asarray(rotation @ vectors, np.float32)


def rotation(inclination: float, node: float) -> NDArray[np.float64]:
    """Rotation by an inclination about the first axis, then by a node about the third; angles in radians."""
    ci, si, cn, sn = math.cos(inclination), math.sin(inclination), math.cos(node), math.sin(node)
    about = np.array([[cn, -sn, 0], [sn, cn, 0], [0, 0, 1]])
    return np.asarray(about @ np.array([[1, 0, 0], [0, ci, -si], [0, si, ci]]))


def disc_of(count: int, mass: float, size: float, rng: np.random.Generator) -> tuple[Vectors, Vectors, Floats]:
    """Draw particles on circular orbits in an exponential disc: positions, velocities, shares of its light.

    Radii are drawn evenly, so that the outskirts, which become tails, have enough of them; shares make up for it.
    """
    r = (size * rng.uniform(0.25, 3.2, count)).astype(np.float32)
    theta = rng.uniform(0, 2 * math.pi, count)
    speed = np.sqrt(mass * r**2 / ((r**2 + _CORE**2) * (1 + r / _REACH)))
    height = rng.normal(0, 0.05 * size, count)
    place = np.stack([r * np.cos(theta), r * np.sin(theta), height]).astype(np.float32)
    velocity = np.stack([-speed * np.sin(theta), speed * np.cos(theta), 0 * r]) + rng.normal(0, 0.06, (3, count))
    share = r * np.exp(-1.678 * r / size)
    return place, velocity.astype(np.float32), (share / share.sum()).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Encounter:
    """Two galaxies after a passage: their centres, and for each galaxy its particles.

    ``stripped`` marks particles that were pulled out of the disc that they were in; ``between`` those of them that lie
    between the two galaxies.
    """

    centres: NDArray[np.float64]
    places: tuple[Vectors, Vectors]
    shares: tuple[Floats, Floats]
    stripped: tuple[NDArray[np.bool_], NDArray[np.bool_]]
    between: tuple[NDArray[np.bool_], NDArray[np.bool_]]


def encounter(
    rng: np.random.Generator, *, ratio: float, pericentre: float, speed: float, since: float, prograde: bool, count: int
) -> Encounter:
    """Let two discs pass each other: the restricted three-body problem of Toomre & Toomre (1972, ApJ 178, 623).

    Parameters
    ----------
    ratio : float
        Mass of the second galaxy over that of the first.
    pericentre : float
        Closest distance, in radii.
    speed : float
        Relative speed there, in units of that of a parabola.
    since : float
        Time since the pericentre.
    prograde : bool
        Whether the discs turn as the galaxies pass, which draws out tails; otherwise their planes are at random.
    count : int
        Particles a galaxy.
    """
    masses, sizes = (1.0, ratio), (1.0, math.sqrt(ratio))
    step, before = 0.06, 1.8
    # The escape speed of the truncated isothermal spheres at the pericentre, from the depth of their potential.
    far = np.linspace(pericentre, 60, 600)
    pull = (1 + ratio) * far / ((far**2 + _CORE**2) * (1 + far / _REACH))
    fast = speed * math.sqrt(2 * np.trapezoid(pull, far))
    gap, drift = np.array([pericentre, 0, 0.0])[:, None], np.array([0, fast, 0.0])[:, None]
    steps = round(before / step)
    for _ in range(steps):  # backwards to the start
        drift = drift - _pull(gap, 1 + ratio) * (step / 2)
        gap = gap - drift * step
        drift = drift - _pull(gap, 1 + ratio) * (step / 2)
    weights = (-ratio / (1 + ratio), 1 / (1 + ratio))
    places, velocities, shares, firsts = [], [], [], []
    for mass, size, weight in zip(masses, sizes, weights, strict=True):
        place, velocity, share = disc_of(count, mass, size, rng)
        tilt = rng.uniform(0, 0.8) if prograde else math.acos(rng.uniform(-1, 1))
        turn = rotation(tilt, rng.uniform(0, 2 * math.pi))
        firsts.append(np.hypot(place[0], place[1]))
        places.append(_turned(place, turn) + (weight * gap).astype(np.float32))
        velocities.append(_turned(velocity, turn) + (weight * drift).astype(np.float32))
        shares.append(share)
    where, moving = np.concatenate(places, axis=1), np.concatenate(velocities, axis=1)
    for _ in range(steps + round(since / step)):
        moving += _both(where, gap, weights, masses) * np.float32(step / 2)
        drift = drift + _pull(gap, 1 + ratio) * (step / 2)
        where += moving * np.float32(step)
        gap = gap + drift * step
        moving += _both(where, gap, weights, masses) * np.float32(step / 2)
        drift = drift + _pull(gap, 1 + ratio) * (step / 2)
    centres = np.stack([weight * gap[:, 0] for weight in weights])
    return _sorted_out(centres, (where[:, :count], where[:, count:]), (shares[0], shares[1]), firsts, sizes)


def _both(
    where: Vectors, gap: NDArray[np.float64], weights: tuple[float, float], masses: tuple[float, float]
) -> Vectors:
    one, two = ((weight * gap).astype(np.float32) for weight in weights)
    return np.asarray(_pull(where - one, masses[0]) + _pull(where - two, masses[1]))


def _sorted_out(
    centres: NDArray[np.float64],
    places: tuple[Vectors, Vectors],
    shares: tuple[Floats, Floats],
    firsts: list[Floats],
    sizes: tuple[float, float],
) -> Encounter:
    axis = centres[1] - centres[0]
    length2 = float(axis @ axis)
    stripped, between = [], []
    for own, (place, first, size) in enumerate(zip(places, firsts, sizes, strict=True)):
        away = np.sqrt(((place - centres[own][:, None]) ** 2).sum(0))
        out = (away > 1.6 * first + 0.3) & (away > 1.9 * size)
        along = (axis @ (place - centres[0][:, None])) / length2
        off = np.sqrt(((place - centres[0][:, None] - along * axis[:, None]) ** 2).sum(0))
        stripped.append(out)
        between.append(out & (along > 0.2) & (along < 0.8) & (off < 0.35 * math.sqrt(length2)))
    return Encounter(centres, places, shares, (stripped[0], stripped[1]), (between[0], between[1]))


def stream(rng: np.random.Generator, *, distance: float, circular: float, length: float, count: int) -> Vectors:
    """Let a satellite dissolve on its orbit: particles released at its tidal radius, as Fardal et al. (2015) do.

    MNRAS 452, 301, section 2, without the satellite's own gravity.

    Parameters
    ----------
    distance : float
        Of the satellite at the start, in radii.
    circular : float
        Tangential speed over the circular one.
    length : float
        Time during which it is dissolved.
    count : int
        Number of particles.

    Returns
    -------
    ndarray of float32, shape (3, count)
        Positions, in the plane of the orbit.
    """
    step = 0.12
    place, velocity = np.array([distance, 0, 0.0])[:, None], np.zeros((3, 1))
    pull = float(np.linalg.norm(_pull(place, 1.0)))
    velocity[1] = circular * math.sqrt(pull * distance)
    steps = max(round(length / step), 8)
    released = np.sort(rng.integers(0, steps, count))
    where, moving = np.zeros((3, count), np.float32), np.zeros((3, count), np.float32)
    side = rng.choice([-1, 1], count)
    scatter = rng.normal(0, 0.035, (2, 3, count))
    for now in range(steps):
        new = released == now
        if new.any():
            out = place / np.linalg.norm(place)
            shift = 0.09 * float(np.linalg.norm(place)) * side[new]
            where[:, new] = place + out * shift + scatter[0][:, new] * 2
            moving[:, new] = velocity * (1 - 0.5 * shift / float(np.linalg.norm(place))) + scatter[1][:, new]
        free = released <= now
        some, speed = where[:, free], moving[:, free]
        speed += _pull(some, 1.0) * np.float32(step)
        where[:, free], moving[:, free] = some + speed * np.float32(step), speed
        velocity = velocity + _pull(place, 1.0) * step
        place = place + velocity * step
    return where


def shells(rng: np.random.Generator, *, distance: float, time: float, count: int) -> Vectors:
    """Let a small galaxy fall radially into a large one, where its stars wrap in phase to shells.

    Quinn (1984, ApJ 279, 596); Hernquist & Quinn (1988, ApJ 331, 682).

    Parameters
    ----------
    distance : float
        From which it falls, in radii.
    time : float
        Since then.
    count : int
        Number of particles.

    Returns
    -------
    ndarray of float32, shape (3, count)
        Positions; it fell along the first axis.
    """
    step = 0.1
    where = rng.normal(0, 0.16, (3, count)).astype(np.float32)
    where[0] += distance
    moving = rng.normal(0, 0.13, (3, count)).astype(np.float32)
    for _ in range(round(time / step)):
        moving += _pull(where, 1.0) * np.float32(step)
        where += moving * np.float32(step)
    return where
