"""Parts of galaxies seen more or less face-on: bulges, discs, bars, rings, arms, clumps and dust lanes.

Each part is the truth about itself, and paints itself on a canvas of any resolution. ``light`` is its flux in r, as a
share of the galaxy's.
"""

import math
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import special

from peculiar.simulation.canvas import Canvas, Floats, Place, Stars
from peculiar.simulation.profiles import sersic

Values = NDArray[np.floating]

SCALE = 1 / 1.678
"""Scale length of an exponential disc, in half-light radii."""


class Part(Protocol):
    """Something that can be painted."""

    def paint(self, canvas: Canvas) -> None:
        """Add its light, or take some away."""


@dataclass(frozen=True, slots=True)
class Spheroid:
    """A Sersic profile: an elliptical galaxy, a bulge, a small neighbour."""

    place: Place
    radius: float
    n: float
    light: float
    stars: Stars

    def paint(self, canvas: Canvas) -> None:
        """Add its light."""
        factor = np.float32(self.light / self.place.q)
        reach = self.radius * (6 + 3 * self.n)
        core = self.radius if self.n > 1.3 else 2 * self.radius
        canvas.profile(self.place, lambda r: sersic(r, self.radius, self.n) * factor, reach, core / self.n, self.stars)


@dataclass(frozen=True, slots=True)
class Disc:
    """An exponential disc that steepens beyond a break: type II of Erwin, Pohlen & Beckman (2008, AJ 135, 20), eq. 5.

    Its light has patches, and one side is brighter: the m = 1 mode of Rix & Zaritsky (1995, ApJ 447, 82).
    """

    place: Place
    scale: float
    break_radius: float
    outer_scale: float
    lopsided: float
    towards: float
    rough: float
    start: tuple[float, float]
    light: float
    stars: Stars

    def law(self, r: Any) -> Any:
        """Surface brightness at a radius, before normalisation."""
        sharp = 4 / self.scale
        # log(1 + e^x) without overflow; S = exp(-r/h) (1 + e^(a (r - R)))^(-(1/h_o - 1/h)/a).
        knee = np.logaddexp(np.float32(0), np.float32(sharp) * (r - np.float32(self.break_radius)))
        return np.exp(-r / self.scale - knee * ((1 / self.outer_scale - 1 / self.scale) / sharp))

    def paint(self, canvas: Canvas) -> None:
        """Add its light."""
        r, theta = canvas.polar(self.place)
        if self.lopsided:
            r = r * (1 - self.lopsided * np.cos(theta - self.towards))
        radii = np.linspace(0, 12 * self.scale, 200)
        total = 2 * math.pi * self.place.q * np.trapezoid(radii * self.law(radii), radii)
        total /= (1 - self.lopsided**2) ** 1.5
        shape = self.law(r) * np.float32(self.light / total)
        if self.rough:
            shape *= _mottled(canvas, self.place, self.rough, self.start, 0.0)
        canvas.add(shape, self.stars)


def _mottled(canvas: Canvas, place: Place, rough: float, start: tuple[float, float], winding: float) -> Floats:
    """Log-normal patches of mean 1, sheared along spirals of d theta / d ln r = ``winding``."""
    r, theta = canvas.polar(place)
    log_r = np.log(r + np.float32(0.05))
    patches = canvas.texture(log_r * 0.28, (theta - winding * log_r) / np.float32(2 * math.pi), start)
    return np.asarray(np.exp(patches * np.float32(rough) - np.float32(rough**2 / 2)))


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar with a flat middle and boxy ends.

    The projection of a Ferrers (1877) ellipsoid of index 2, (1 - m^2)^2.5 (Binney & Tremaine 2008, section 2.5.3), in
    generalised ellipses of exponent ``boxy`` (Athanassoula et al. 1990, MNRAS 245, 130); ``turn`` in degrees from the
    major axis, in the disc's plane.
    """

    place: Place
    length: float
    ratio: float
    turn: float
    boxy: float
    index: float
    ansae: float
    light: float
    stars: Stars

    def paint(self, canvas: Canvas) -> None:
        """Add its light."""
        u, v = self.place.plane(canvas.x, canvas.y)
        c, s = math.cos(math.radians(self.turn)), math.sin(math.radians(self.turn))
        along, across = np.abs(u * c + v * s) / self.length, np.abs(v * c - u * s) / (self.length * self.ratio)
        m = (along**self.boxy + across**self.boxy) ** np.float32(2 / self.boxy)
        shape = np.maximum(1 - m, 0) ** np.float32(self.index)
        if self.ansae:  # bright ends (Martinez-Valpuesta et al. 2007, AJ 134, 1863)
            shape += self.ansae * np.exp(-0.5 * (((along - 0.9) / 0.11) ** 2 + (across / 0.7) ** 2))
        # The area of the generalised ellipse times the mean of (1 - m)^p, and the two ends.
        g, p, b = math.gamma, self.index, self.boxy
        area = 4 * g(1 + 1 / b) ** 2 / g(1 + 2 / b) * self.length**2 * self.ratio
        total = area / (p + 1) + self.ansae * 4 * math.pi * 0.11 * 0.7 * self.length**2 * self.ratio
        canvas.add(shape * np.float32(self.light / (total * self.place.q)), self.stars)


@dataclass(frozen=True, slots=True)
class Ring:
    """A ring in a disc's plane: steeper outside than inside, uneven, mottled, and darker within.

    Buta & Combes (1996, Fundam. Cosmic Phys. 17, 95). Its light moves there from the disc within: ``gap`` is the share
    of the light that the disc loses inside. ``wound`` shears the patches.
    """

    place: Place
    radius: float
    width: float
    uneven: float
    towards: float
    rough: float
    start: tuple[float, float]
    wound: float
    gap: float
    light: float
    stars: Stars

    def paint(self, canvas: Canvas) -> None:
        """Dim the disc within, and add the ring."""
        r, theta = canvas.polar(self.place)
        off = r - np.float32(self.radius)
        if self.gap:
            inside = (off + 0.42 * self.radius) / (0.22 * self.radius)
            canvas.light *= 1 - self.gap * np.exp(-0.5 * inside**2)
        wide = np.where(off < 0, np.float32(1.35 * self.width), np.float32(0.65 * self.width))
        shape = np.exp(-0.5 * (off / wide) ** 2)
        shape *= 1 + self.uneven * (np.cos(theta - self.towards) + np.cos(2 * theta - 3 * self.towards)) / 2
        if self.rough:
            shape *= _mottled(canvas, self.place, self.rough, self.start, self.wound)
        # Two halves of Gaussians, wider inside, where circles are shorter.
        area = math.sqrt(2 * math.pi) * self.width * self.radius + (0.65**2 - 1.35**2) * self.width**2
        total = 2 * math.pi * self.place.q * area
        canvas.add(shape * np.float32(self.light / total), self.stars)


@dataclass(frozen=True, slots=True)
class Arms:
    """Logarithmic spiral arms: Binney & Tremaine (2008, Galactic Dynamics), section 6.1.3.

    An arm's ridge is theta = ln(r) / tan(pitch) + 2 pi k / number; light falls off across it as a von Mises law of
    concentration ``sharp``. A dust lane runs along its inner edge (Roberts 1969, ApJ 158, 123). Pitch in degrees; the
    sense is 1 or -1.
    """

    place: Place
    number: int
    pitch: float
    sense: int
    phase: float
    sharp: float
    inner: float
    outer: float
    uneven: float
    rough: float
    wander: float
    dust: float
    start: tuple[float, float]
    light: float
    stars: Stars

    @property
    def winding(self) -> float:
        """Change of azimuth per e-fold of the radius, in radians."""
        return self.sense / math.tan(math.radians(self.pitch))

    def taper(self, r: Any) -> Any:
        """Brightness along the radius, before normalisation."""
        return np.exp(-r / (1.25 * SCALE) - (r / self.outer) ** 6) * (1 - np.exp(-((r / self.inner) ** 3)))

    def paint(self, canvas: Canvas) -> None:
        """Add the arms, and their dust."""
        r, theta = canvas.polar(self.place)
        log_r = np.log(r + np.float32(0.02))
        phase = self.number * (theta - self.winding * log_r - np.float32(self.phase))
        if self.wander:
            bend = canvas.texture(log_r * 0.1, theta / np.float32(2 * math.pi), self.start[::-1])
            phase += np.float32(self.wander) * bend
        taper = self.taper(r)
        if self.dust:
            # Gas enters the arm from its concave side, at smaller azimuth in the sense of winding.
            lane = np.exp(3 * self.sharp * (np.cos(phase - 0.9 * self.sense) - 1))
            canvas.dim(self.dust * lane * np.minimum(taper / np.float32(self.taper(SCALE)), 1))
        shape = np.exp(self.sharp * (np.cos(phase) - 1)) * taper
        if self.uneven:
            shape *= 1 + self.uneven * np.cos(theta - np.float32(self.phase))
        if self.rough:
            shape *= _mottled(canvas, self.place, self.rough, self.start, self.winding)
        radii = np.linspace(0, 8, 200)
        total = 2 * math.pi * self.place.q * np.trapezoid(radii * self.taper(radii), radii) * special.ive(0, self.sharp)
        canvas.add(shape * np.float32(self.light / total), self.stars)


@dataclass(frozen=True, slots=True)
class Clumps:
    """Star-forming clumps at given positions on the sky, with widths and shares of the light."""

    x: tuple[float, ...]
    y: tuple[float, ...]
    sigma: tuple[float, ...]
    share: tuple[float, ...]
    light: float
    stars: Stars

    @classmethod
    def of(cls, x: Values, y: Values, sigma: Values, share: Values, light: float, stars: Stars) -> "Clumps":
        """Return clumps of arrays; shares are made to add up to 1."""
        x, y, sigma, share = (one.tolist() for one in (x, y, sigma, share / share.sum()))
        return cls(tuple(x), tuple(y), tuple(sigma), tuple(share), light, stars)

    def paint(self, canvas: Canvas) -> None:
        """Add their light."""
        canvas.blobs(self.x, self.y, self.sigma, np.array(self.share) * self.light, self.stars)


def clumps(
    rng: np.random.Generator, place: Place, r: Values, theta: Values, size: float, light: float, stars: Stars
) -> Clumps:
    """Draw clumps at polar positions in a disc.

    Like HII regions, a few outshine the rest: luminosities fall as L^-2 (Kennicutt, Edgar & Hodge 1989, ApJ 337, 761).
    """
    share = rng.pareto(1.2, r.size) + 0.3
    share = np.minimum(share, 8.0)
    x, y = place.sky(r * np.cos(theta), r * np.sin(theta))
    sigma = size * (share / share.mean()) ** 0.3 * rng.lognormal(0, 0.3, r.size)
    return Clumps.of(x, y, sigma, share, light, stars)


@dataclass(frozen=True, slots=True)
class Lane:
    """A lane of dust across a galaxy: a screen of optical depth ``depth`` in r, with ragged edges.

    ``bow`` bends it, as the near half of a dusty ring that is seen at an angle (Hawarden et al. 1981, MNRAS 196, 747).
    """

    place: Place
    offset: float
    width: float
    length: float
    depth: float
    bow: float
    start: tuple[float, float]

    def paint(self, canvas: Canvas) -> None:
        """Dim the light behind."""
        u, v = self.place.plane(canvas.x, canvas.y)
        rag = canvas.texture(u * 0.12, v * 0.12, self.start)
        v = v - self.offset - self.bow * (u * u / self.length - self.length / 4) + 0.25 * self.width * rag
        depth = self.depth * np.exp(-0.5 * (v / self.width) ** 2 - 0.5 * (u / self.length) ** 4)
        canvas.dim(depth * np.exp(0.4 * rag - 0.08))
