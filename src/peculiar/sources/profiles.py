"""Light profiles of simulated galaxies: bulges, discs, bars, arms, rings, tails, clumps and dust.

Pixels are (row, column) from the top-left; ``x`` counts columns, ``y`` rows, and (0, 0) is the centre of the top-left
pixel. Position angles are in degrees from the column axis towards the row axis. Arrays over bands are in the order of
the colours they become: i, r, g. Fluxes are in nanomaggies.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft, special

from peculiar.simulation.profiles import sersic

Floats = NDArray[np.float32]
Rng = np.random.Generator

# A_band / A_r for i, r, g: Schlegel, Finkbeiner & Davis (1998, ApJ 500, 525), Table 6.
EXTINCTION = np.array([2.086, 2.751, 3.793], np.float32) / np.float32(2.751)

# g - r and r - i of stellar populations, about those of Fukugita et al. (1995, PASP 107, 945), Table 3, from elliptical
# to irregular galaxies; the last is a star-forming clump.
COLOURS = {"old": (0.77, 0.39), "disc": (0.58, 0.29), "young": (0.28, 0.11), "clump": (0.02, -0.02)}


@dataclass(frozen=True, slots=True)
class Place:
    """Place and orientation of a part: centre, axis ratio, position angle, lopsidedness and its direction."""

    x: float
    y: float
    q: float
    angle: float
    lopsided: float = 0.0
    towards: float = 0.0

    def sky(self, r: Any, theta: Any) -> tuple[Any, Any]:
        """Columns and rows of polar positions in the plane; theta in radians."""
        c, s = math.cos(math.radians(self.angle)), math.sin(math.radians(self.angle))
        u, v = r * np.cos(theta), r * np.sin(theta) * self.q
        return self.x + c * u - s * v, self.y + s * u + c * v

    def plane(self, x: Any, y: Any) -> tuple[Any, Any]:
        """Convert columns and rows to deprojected coordinates along and across the major axis."""
        c, s = math.cos(math.radians(self.angle)), math.sin(math.radians(self.angle))
        x, y = x - self.x, y - self.y
        u, v = c * x + s * y, (c * y - s * x) / self.q
        if not self.lopsided:
            return u, v
        # Isophotes displaced to one side: the m = 1 mode of Rix & Zaritsky (1995, ApJ 447, 82).
        a = math.radians(self.towards)
        shrink = 1 - self.lopsided * (u * math.cos(a) + v * math.sin(a)) / (np.hypot(u, v) + 1e-3)
        return u * shrink, v * shrink


class Frame:
    """Noise-free light in i, r, g (nMgy per pixel), and the list of its parts.

    It has a margin around the picture, from which the atmosphere scatters light into it.
    """

    def __init__(self, size: int, rng: Rng) -> None:
        self.size, self.rng, self.margin = size, rng, size // 8
        axis = np.arange(-self.margin, size + self.margin, dtype=np.float32)
        self.x, self.y = axis[None, :], axis[:, None]
        self.light: Floats = np.zeros((3, axis.size, axis.size), np.float32)
        self.components: list[dict[str, Any]] = []
        self.reddening = rng.normal(0, 0.04)

    def flux(self, population: str, flux_r: float) -> Floats:
        """Flux in i, r, g of a population with a given flux in r; all in one frame have the same reddening."""
        g_r, r_i = np.array(COLOURS[population]) + self.rng.normal(self.reddening, 0.03, 2) * (1, 0.6)
        return np.array([10 ** (0.4 * r_i), 1, 10 ** (-0.4 * g_r)], np.float32) * flux_r

    def note(self, part: str, flux: Floats, place: Place, **more: float) -> None:
        """Record a part in the truth."""
        shape = {"x": place.x, "y": place.y, "axis_ratio": place.q, "position_angle": place.angle}
        if place.lopsided:
            shape |= {"lopsided": place.lopsided, "lopsided_towards": place.towards}
        numbers = {name: round(float(value), 6) for name, value in (shape | more).items()}
        self.components.append({"part": part, **numbers, "flux": [round(float(f), 6) for f in flux]})

    def add(self, part: str, shape: Floats, flux: Floats, place: Place, **more: float) -> None:
        """Add light with a shape of sum 1."""
        self.light += shape * flux[:, None, None]
        self.note(part, flux, place, **more)

    def add_young(self, part: str, shape: Floats, flux: Floats, place: Place, rough: float, **more: float) -> None:
        """Add young stars of any shape, made clumpy and normalised to sum 1 over the frame.

        Their brightness is log-normal with a power spectrum k^-2.6, after Elmegreen et al. (2003, ApJ 593, 333).
        """
        n = self.x.size
        k = np.hypot(fft.fftfreq(n, 1 / n)[:, None], fft.rfftfreq(n, 1 / n)).astype(np.float32)
        noise = self.rng.standard_normal((2, *k.shape), np.float32) * np.maximum(k, 4) ** -1.3
        field = fft.irfft2(noise[0] + np.complex64(1j) * noise[1], s=(n, n))
        shape = shape * np.exp(field * (rough / float(field.std())))
        self.add(part, shape / shape.sum(), flux, place, **more)

    def sersic(self, part: str, place: Place, radius: float, n: float, flux: Floats) -> None:
        """Add a Sersic profile; radius is the half-light radius along the major axis."""
        shape = sersic(np.hypot(*place.plane(self.x, self.y)), radius, n)
        # A steep profile changes within a pixel: the middle 8 x 8 pixels are means over 8 x 8 points each.
        column, row = round(place.x) - 4 + self.margin, round(place.y) - 4 + self.margin
        if (n > 1.5 or radius < 4) and min(column, row) >= 0 and max(column, row) + 8 <= self.x.size:
            fine = (np.arange(64, dtype=np.float32) - 3.5) / 8 - self.margin
            r = np.hypot(*place.plane((fine + column)[None, :], (fine + row)[:, None]))
            shape[row : row + 8, column : column + 8] = sersic(r, radius, n).reshape(8, 8, 8, 8).mean((1, 3))
        # A lopsided profile would gain light by the mean of (1 - e cos)^-2 over all angles, which is (1 - e^2)^-1.5.
        shape *= (1 - place.lopsided**2) ** 1.5 / place.q
        self.add(part, shape, flux, place, radius=radius, n=n)

    def bar(self, place: Place, length: float, ratio: float, turn: float, flux: Floats) -> None:
        """Add a bar: a Ferrers (1877) ellipsoid of index 1, seen as (1 - m^2)^1.5 where m < 1.

        Binney & Tremaine (2008, Galactic Dynamics), section 2.5.3. ``turn`` degrees from the major axis, in the plane.
        """
        u, v = Place(0, 0, ratio, turn).plane(*place.plane(self.x, self.y))
        shape = np.maximum(1 - (u**2 + v**2) / length**2, 0) ** 1.5 * (2.5 / (math.pi * length**2 * ratio * place.q))
        self.add("bar", shape, flux, place, length=length, ratio=ratio, turn=turn)

    def arms(self, place: Place, radius: float, arms: int, pitch: float, sharp: float, flux: Floats) -> None:
        """Add logarithmic spiral arms on an exponential disc: Binney & Tremaine (2008), section 6.1.3.

        An arm's ridge is theta = ln(r) / tan(pitch) + 2 pi k / arms; light falls off across it as a von Mises law, and
        in the middle, where the winding would be endless. Negative arms wind the other way.
        """
        u, v = place.plane(self.x, self.y)
        r, h = np.hypot(u, v) + 0.1, radius / 1.678
        phase = np.arctan2(v, u) * arms - np.log(r) * (abs(arms) / math.tan(math.radians(pitch)))
        shape = np.exp(sharp * np.cos(phase) - r / (1.2 * h)) * (1 - np.exp(-((r / h) ** 2)))
        self.add_young("arms", shape, flux, place, 0.7, radius=radius, arms=arms, pitch=pitch, sharpness=sharp)

    def ring(self, place: Place, radius: float, width: float, uneven: float, flux: Floats) -> None:
        """Add a ring in the disc's plane, Gaussian in radius, brighter on some sides (Buta 1995, ApJS 96, 39)."""
        u, v = place.plane(self.x, self.y)
        theta, a, b = np.arctan2(v, u), self.rng.uniform(0, 2 * math.pi), self.rng.uniform(0, 2 * math.pi)
        sides = 1 + uneven * (np.cos(theta - a) + np.cos(2 * theta - b)) / 2
        shape = np.exp(-0.5 * ((np.hypot(u, v) - radius) / width) ** 2) * sides
        self.add_young("ring", shape, flux, place, 0.7, radius=radius, width=width, uneven=uneven)

    def arc(self, part: str, at: Place, radius: float, width: float, way: float, spread: float, flux: Floats) -> None:
        """Add part of a circle, Gaussian across and von Mises along; angles in radians.

        A shell is sharp outside and soft inside (Malin & Carter 1983, ApJ 274, 534); its width is the outer one.
        """
        u, v = at.plane(self.x, self.y)
        off = np.hypot(u, v) - radius
        off = np.where(off < 0, off / 4, off) if part == "shell" else off
        shape = np.exp(-0.5 * (off / width) ** 2 + (np.cos(np.arctan2(v, u) - way) - 1) / spread**2)
        angles = {"towards": math.degrees(way), "spread": math.degrees(spread)}
        self.add(part, shape / shape.sum(), flux, at, radius=radius, width=width, **angles)

    def blobs(self, x: Any, y: Any, sigma: Any, flux: Any) -> None:
        """Add round Gaussians, integrated over pixels, so exact at any size; flux is (3, k). 0.3 pixels is a point."""
        edges = np.append(self.x[0] - 0.5, self.x[0, -1] + 0.5)
        sigma = np.maximum(sigma, 0.3)[:, None]
        across = np.diff(special.ndtr(((edges - x[:, None]) / sigma).astype(np.float32)))
        down = np.diff(special.ndtr(((edges - y[:, None]) / sigma).astype(np.float32)))
        self.light += (flux.astype(np.float32)[:, :, None] * down).transpose(0, 2, 1) @ across

    def clumps(self, place: Place, r: Any, theta: Any, sigma: Any, flux: Floats) -> None:
        """Add star-forming clumps in a disc; like HII regions, a few outshine the rest (Kennicutt et al. 1989)."""
        share = self.rng.pareto(1.5, r.size) + 0.3
        self.blobs(*place.sky(r, theta), sigma, flux[:, None] * (share / share.sum()))
        self.note("clumps", flux, place, count=r.size)

    def tail(self, at: Place, start: float, sweep: float, pitch: float, width: float, way: float, flux: Floats) -> None:
        """Add a tidal tail (Toomre & Toomre 1972, ApJ 178, 623): blobs along a log-spiral that widens and fades."""
        t = np.linspace(0, 1, 48)
        wander = np.cumsum(self.rng.normal(0, 0.025, t.size))
        r = start * np.exp(abs(sweep) * t * math.tan(math.radians(pitch)) + wander)
        share = np.exp(-2 * t) * self.rng.lognormal(0, 0.5, t.size)
        where = at.sky(r, way - math.radians(at.angle) + sweep * t)
        self.blobs(*where, width * (0.7 + t), flux[:, None] * (share / share.sum()))
        self.note("tail", flux, at, start=start, sweep=math.degrees(sweep), pitch=pitch, width=width)

    def bridge(self, one: Place, two: Place, bow: float, width: float, flux: Floats) -> None:
        """Add a bridge between two galaxies: blobs along a parabola (Toomre & Toomre 1972)."""
        t = np.linspace(0, 1, 32)
        dx, dy, side = two.x - one.x, two.y - one.y, 4 * bow * t * (1 - t)
        share = self.rng.lognormal(0, 0.3, t.size)
        where = one.x + dx * t - dy * side, one.y + dy * t + dx * side
        self.blobs(*where, np.full(t.size, width), flux[:, None] * (share / share.sum()))
        self.note("bridge", flux, one, bow=bow, width=width)

    def dust(self, place: Place, offset: float, width: float, depth: float) -> None:
        """Dim the light by a dust lane along the major axis: exp(-tau), with depths by band as A_band / A_r."""
        u, v = place.plane(self.x, self.y)
        tau = depth * np.exp(-0.5 * ((v * place.q - offset) / width) ** 2 - 0.5 * (u / (0.3 * self.size)) ** 2)
        self.light *= np.exp(-tau * EXTINCTION[:, None, None])
        self.note("dust", np.zeros(3, np.float32), place, offset=offset, width=width, depth=depth)
