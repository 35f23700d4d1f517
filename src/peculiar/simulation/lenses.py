"""Gravitational lenses: the singular isothermal ellipsoid, and its images of a source.

Kormann, Schneider & Bartelmann (1994, A&A 284, 285), with the Einstein radius of Keeton & Kochanek (1998, ApJ 495,
157): the deflection along the major axis u and the minor axis v, with f = sqrt(1 - q^2) and w = hypot(q u, v), is

    theta_E sqrt(q) / f * (arctan(f u / w), arctanh(f v / w)),

and the lens equation says that light of the source position beta is seen at theta = beta + deflection(theta).
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from peculiar.simulation.canvas import Canvas, Place, Stars
from peculiar.simulation.profiles import sersic


@dataclass(frozen=True, slots=True)
class Lens:
    """A singular isothermal ellipsoid: centre, axis ratio of its mass (below 1), position angle, Einstein radius."""

    place: Place
    einstein: float

    def deflection(self, x: Any, y: Any) -> tuple[Any, Any]:
        """Deflection of light that is seen at a position, in the same unit."""
        q = min(self.place.q, 0.999)
        c, s = math.cos(math.radians(self.place.angle)), math.sin(math.radians(self.place.angle))
        dx, dy = x - self.place.x, y - self.place.y
        u, v = dx * c + dy * s, dy * c - dx * s
        f = math.sqrt(1 - q * q)
        w = np.sqrt(q * q * u * u + v * v) + 1e-6
        factor = self.einstein * math.sqrt(q) / f
        along, across = factor * np.arctan(f * u / w), factor * np.arctanh(f * v / w)
        return along * c - across * s, along * s + across * c

    def source(self, x: Any, y: Any) -> tuple[Any, Any]:
        """Position in the source plane of light that is seen at a position: the lens equation."""
        ax, ay = self.deflection(x, y)
        return x - ax, y - ay

    def magnification(self, x: Any, y: Any) -> Any:
        """Magnification of a point image at a position; negative where its parity is reversed."""
        h = 1e-4 * self.einstein
        xx = (np.array(self.source(x + h, y)) - np.array(self.source(x - h, y))) / (2 * h)
        yy = (np.array(self.source(x, y + h)) - np.array(self.source(x, y - h))) / (2 * h)
        return 1 / (xx[0] * yy[1] - xx[1] * yy[0])

    @property
    def cusp(self) -> float:
        """Distance from the centre of the nearer cusps of the tangential caustic, an astroid with four images inside.

        The critical curve, where the convergence is a half, crosses the axes at theta_E / sqrt(q) and theta_E sqrt(q).
        """
        q = min(self.place.q, 0.999)
        f, root = math.sqrt(1 - q * q), math.sqrt(q)
        return self.einstein * min(1 / root - root / f * math.atan(f / q), root / f * math.atanh(f) - root)

    def images(self, x: float, y: float) -> NDArray[np.float64]:
        """Return the images of a point source, shape (images, 2), without the one at the singular centre.

        Cells of a fine grid whose corners enclose the source in the source plane, refined by Newton's method (Keeton
        2001, astro-ph/0102340, section 4).
        """
        side = np.linspace(-2.6, 2.6, 105) * self.einstein
        gx, gy = np.meshgrid(self.place.x + side, self.place.y + side)
        sx, sy = self.source(gx, gy)
        sx, sy = sx - x, sy - y
        found: list[NDArray[np.float64]] = []
        corners = [(sx[i:ni, j:nj], sy[i:ni, j:nj]) for i, ni, j, nj in
                   ((0, -1, 0, -1), (0, -1, 1, None), (1, None, 1, None), (1, None, 0, -1))]  # fmt: skip
        inside = np.zeros(corners[0][0].shape, bool)
        for a, b, c in ((0, 1, 2), (0, 2, 3)):
            turns = [corners[i][0] * corners[j][1] - corners[i][1] * corners[j][0] for i, j in ((a, b), (b, c), (c, a))]
            inside |= (np.minimum.reduce(turns) >= 0) | (np.maximum.reduce(turns) <= 0)
        for row, column in np.argwhere(inside):
            at = np.array([gx[row, column], gy[row, column]]) + (side[1] - side[0]) / 2
            at = self._refined(at, np.array([x, y]))
            centre = math.hypot(at[0] - self.place.x, at[1] - self.place.y)
            right = np.hypot(*(np.array(self.source(*at)) - (x, y))) < 1e-4 * self.einstein
            if right and centre > 0.02 * self.einstein and all(np.hypot(*(at - one)) > 0.01 for one in found):
                found.append(at)
        return np.array(found).reshape(-1, 2)

    def _refined(self, at: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64]:
        h = 1e-5 * self.einstein
        for _ in range(12):
            miss = np.array(self.source(*at)) - target
            jacobian = np.stack(
                [
                    (np.array(self.source(*(at + d))) - np.array(self.source(*(at - d)))) / (2 * h)
                    for d in np.eye(2) * h
                ],
                axis=1,
            )
            change = np.linalg.lstsq(jacobian, miss, rcond=None)[0]
            longest = 0.1 * self.einstein
            at = at - change * min(1.0, longest / max(float(np.hypot(*change)), 1e-12))
        return at


@dataclass(frozen=True, slots=True)
class Lensed:
    """A galaxy behind a lens: a Sersic profile with a few clumps, by shooting rays back to the source plane.

    A lens keeps surface brightness, so ``light`` is that of the source without the lens. ``place`` is in the source
    plane; clumps are (x, y, radius, share) in it.
    """

    lens: Lens
    place: Place
    radius: float
    n: float
    clumps: tuple[tuple[float, float, float, float], ...]
    light: float
    stars: Stars

    def paint(self, canvas: Canvas) -> None:
        """Add the images."""
        reach = 2.2 * self.lens.einstein + math.hypot(
            self.place.x - self.lens.place.x, self.place.y - self.lens.place.y
        )
        seen = canvas.window(self.lens.place.x, self.lens.place.y, reach + 4 * self.radius)
        if seen is None:
            return
        rows, columns = seen
        fine = 1 if self.radius > 3 * canvas.step else 3 if self.radius > 0.8 * canvas.step else 5
        offsets = (np.arange(fine, dtype=np.float32) - (fine - 1) / 2) * np.float32(canvas.step / fine)
        x = (canvas.x[:, columns].T + offsets).reshape(1, -1)
        y = (canvas.y[rows] + offsets).reshape(-1, 1)
        sx, sy = self.lens.source(x, y)
        u, v = self.place.plane(sx, sy)
        smooth = 1 - sum(share for *_, share in self.clumps)
        shape = sersic(np.sqrt(u * u + v * v), self.radius, self.n) * np.float32(smooth / self.place.q)
        for cx, cy, width, share in self.clumps:
            shape += np.exp(((sx - cx) ** 2 + (sy - cy) ** 2) * (-0.5 / width**2)) * (share / (2 * math.pi * width**2))
        if fine > 1:
            shape = shape.reshape(rows.stop - rows.start, fine, -1, fine).mean((1, 3))
        shape = (shape * self.light).astype(np.float32)
        for band, factor in zip(canvas.light, canvas.colour(self.stars).tolist(), strict=True):
            band[rows, columns] += shape * np.float32(factor)


@dataclass(frozen=True, slots=True)
class Points:
    """Points: images of a quasar, nuclei, stars. Fluxes are in r, as shares of the galaxy's."""

    x: tuple[float, ...]
    y: tuple[float, ...]
    light: tuple[float, ...]
    stars: Stars

    def paint(self, canvas: Canvas) -> None:
        """Add them."""
        canvas.points(self.x, self.y, np.outer(canvas.colour(self.stars), self.light))
