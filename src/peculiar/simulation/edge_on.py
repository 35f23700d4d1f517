"""Parts of galaxies seen edge-on: discs, their warps and dust, boxy and X-shaped bulges."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special

from peculiar.simulation.canvas import Canvas, Floats, Place, Stars

_TABLE = np.linspace(0, 15, 2048)
_K1 = (_TABLE + 1e-3) * special.k1(_TABLE + 1e-3)


@dataclass(frozen=True, slots=True)
class EdgeOnDisc:
    """A transparent exponential disc seen edge-on: van der Kruit & Searle (1981, A&A 95, 105), eq. 6.

    I(u, v) = I_0 (|u| / h) K_1(|u| / h) sech^2(v / z), cut at a radius; its height grows outwards (de Grijs & Peletier
    1997, A&A 320, L21).
    """

    place: Place
    scale: float
    height: float
    cut: float
    rough: float
    start: tuple[float, float]
    light: float
    stars: Stars

    def shape(self, canvas: Canvas, u: Floats, v: Floats) -> Floats:
        """Surface brightness at positions along and above the middle plane."""
        far = np.abs(u) / self.scale
        along = np.interp(far, _TABLE, _K1).astype(np.float32)
        along /= 1 + np.exp(np.minimum((np.abs(u) - self.cut) / (0.07 * self.cut), 50))
        shape = along / np.cosh(np.minimum(np.abs(v) / (self.height * (1 + 0.15 * far)), 20)) ** 2
        if self.rough:
            patches = canvas.texture(u * 0.15, v * 0.3, self.start)
            shape *= np.exp(patches * np.float32(self.rough) - np.float32(self.rough**2 / 2))
        reach = np.linspace(0, 15 * self.scale, 400)
        thick = 2 * self.height * (1 + 0.15 * reach / self.scale)
        law = np.interp(reach / self.scale, _TABLE, _K1) * thick
        total = 2 * np.trapezoid(law / (1 + np.exp(np.minimum((reach - self.cut) / (0.07 * self.cut), 50))), reach)
        return np.asarray(shape * np.float32(self.light / total), np.float32)

    def paint(self, canvas: Canvas) -> None:
        """Add its light."""
        canvas.add(self.shape(canvas, *self.place.plane(canvas.x, canvas.y)), self.stars)


@dataclass(frozen=True, slots=True)
class Warp:
    """A disc's plane bends away beyond a radius, by ``rate`` times the square of the distance.

    An integral sign, or with ``bowl`` the shape of a U: Reshetnikov & Combes (1998, A&A 337, 9). It moves light of the
    disc, which has to be painted before.
    """

    disc: EdgeOnDisc
    rate: float
    since: float
    bowl: bool

    def rise(self, u: Any) -> Floats:
        """Height of the middle plane above the major axis."""
        rise = self.rate * np.maximum(np.abs(u) - self.since, 0) ** 2
        return np.asarray(rise if self.bowl else rise * np.sign(u), np.float32)

    def paint(self, canvas: Canvas) -> None:
        """Move the light."""
        u, v = self.disc.place.plane(canvas.x, canvas.y)
        canvas.add(self.disc.shape(canvas, u, v - self.rise(u)) - self.disc.shape(canvas, u, v), self.disc.stars)


@dataclass(frozen=True, slots=True)
class DustLayer:
    """A layer of dust in the middle plane of a disc seen edge-on, half as thick: of optical depth ``depth`` in r."""

    disc: EdgeOnDisc
    warp: Warp | None
    depth: float

    def paint(self, canvas: Canvas) -> None:
        """Dim the light behind."""
        u, v = self.disc.place.plane(canvas.x, canvas.y)
        if self.warp:
            v = v - self.warp.rise(u)
        rag = canvas.texture(u * 0.25, v * 0.5, self.disc.start[::-1])
        layer = np.abs(v + 0.15 * self.disc.height * rag) / (0.45 * self.disc.height)
        canvas.dim(self.depth * np.exp(-layer - np.abs(u) / (2.2 * self.disc.scale) + 0.5 * rag))


@dataclass(frozen=True, slots=True)
class BoxyBulge:
    """A bar seen from its side: isophotes that are boxy, or pinched to an X (Bureau & Freeman 1999, AJ 118, 126).

    Generalised ellipses of exponent ``boxy`` (2 is an ellipse: Athanassoula et al. 1990, MNRAS 245, 130), thicker by
    the share ``pinch`` at the ends of the bar than in its middle; exponential outwards.
    """

    place: Place
    radius: float
    flat: float
    boxy: float
    pinch: float
    light: float
    stars: Stars

    def paint(self, canvas: Canvas) -> None:
        """Add its light."""
        u, v = self.place.plane(canvas.x, canvas.y)
        along = np.abs(u) / self.radius
        thick = self.flat * self.radius * (1 + self.pinch * (np.minimum(along / 1.6, 1.0) ** 2 - 0.4))
        across = np.abs(v) / thick
        m = (along**self.boxy + across**self.boxy) ** np.float32(1 / self.boxy)
        shape = np.exp(-1.9 * m)
        g = math.gamma
        area = 4 * self.flat * self.radius**2 * g(1 + 1 / self.boxy) ** 2 / g(1 + 2 / self.boxy)
        canvas.add(shape * np.float32(self.light / (area * 2 / 1.9**2)), self.stars)
