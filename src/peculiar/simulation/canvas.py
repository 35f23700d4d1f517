"""The grid on which a scene is drawn: light in several bands, before telescope and detector.

Lengths are in half-light radii of the galaxy in the middle, whose centre is (0, 0); ``x`` grows with the column and
``y`` with the row. Position angles are in degrees from the column axis towards the row axis. Light is surface
brightness: flux in r of the galaxy in the middle, per radius squared.
"""

import functools
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage, special

from peculiar.simulation.stars import colours, extinction

Floats = NDArray[np.float32]

_TILE = 512


@dataclass(frozen=True, slots=True)
class Place:
    """Place and orientation of a part: centre, axis ratio and position angle."""

    x: float = 0.0
    y: float = 0.0
    q: float = 1.0
    angle: float = 0.0

    def plane(self, x: Any, y: Any) -> tuple[Any, Any]:
        """Convert positions on the sky to coordinates along and across the major axis, deprojected."""
        c, s = math.cos(math.radians(self.angle)), math.sin(math.radians(self.angle))
        x, y = x - self.x, y - self.y
        return x * c + y * s, y * (c / self.q) - x * (s / self.q)

    def sky(self, u: Any, v: Any) -> tuple[Any, Any]:
        """Convert deprojected coordinates to positions on the sky; the inverse of `plane`."""
        c, s = math.cos(math.radians(self.angle)), math.sin(math.radians(self.angle))
        return self.x + c * u - s * self.q * v, self.y + s * u + c * self.q * v


@dataclass(frozen=True, slots=True)
class Stars:
    """A stellar population: its name, and the extinction in r (mag) by which its colour is changed."""

    population: str
    reddening: float = 0.0


class Canvas:
    """A square grid of light.

    Parameters
    ----------
    size : int
        Cells a side.
    step : float
        Side of a cell, in radii.
    wavelengths : tuple of float
        Of the bands, at rest, in nm.

    Attributes
    ----------
    light : ndarray of float32, shape (bands, size, size)
    added : dict of str to ndarray of float32, shape (size, size)
        Light of the middle band that each feature has added, or removed.
    """

    def __init__(self, size: int, step: float, wavelengths: tuple[float, ...]) -> None:
        axis = ((np.arange(size) - (size - 1) / 2) * step).astype(np.float32)
        self.x, self.y = axis[None, :], axis[:, None]
        self.size, self.step, self.wavelengths = size, step, wavelengths
        self.light: Floats = np.zeros((len(wavelengths), size, size), np.float32)
        self.middle = len(wavelengths) // 2
        self.added: dict[str, Floats] = {}
        self._polar: dict[Place, tuple[Floats, Floats]] = {}

    @contextmanager
    def feature(self, name: str | None) -> Iterator[None]:
        """Attribute to a feature the light that is painted within the block."""
        if name is None:
            yield
            return
        before = self.light[self.middle].copy()
        yield
        change = self.light[self.middle] - before
        self.added[name] = self.added[name] + change if name in self.added else change

    def polar(self, place: Place) -> tuple[Floats, Floats]:
        """Return radius and azimuth (radians) in the plane of a place."""
        if place not in self._polar:
            u, v = place.plane(self.x, self.y)
            self._polar[place] = np.sqrt(u * u + v * v), np.arctan2(v, u)
        return self._polar[place]

    def colour(self, stars: Stars) -> Floats:
        """Return the flux of a population in each band, relative to r."""
        return colours(stars.population, self.wavelengths, stars.reddening)

    def add(self, shape: Floats, stars: Stars) -> None:
        """Add light whose surface brightness in r is ``shape``."""
        for band, factor in zip(self.light, self.colour(stars).tolist(), strict=True):
            band += shape * np.float32(factor)

    def dim(self, depth: Floats) -> None:
        """Put a screen of dust in front of all light so far, of this optical depth in r."""
        for band, factor in zip(self.light, extinction(np.array(self.wavelengths)).tolist(), strict=True):
            band *= np.exp(depth * np.float32(-factor))

    def window(self, x: float, y: float, reach: float) -> tuple[slice, slice] | None:
        """Return the rows and columns within ``reach`` of a position, or None if it is off the grid."""
        middle, cells = (self.size - 1) / 2, math.ceil(reach / self.step)
        column, row = round(x / self.step + middle), round(y / self.step + middle)
        rows = slice(max(row - cells, 0), min(row + cells + 1, self.size))
        columns = slice(max(column - cells, 0), min(column + cells + 1, self.size))
        return (rows, columns) if rows.start < rows.stop and columns.start < columns.stop else None

    def profile(self, place: Place, law: Callable[[Floats], Floats], reach: float, core: float, stars: Stars) -> None:
        """Add a profile of the elliptical radius, which ``law`` gives; cells at the centre are averaged.

        Parameters
        ----------
        law : callable
            Surface brightness in r at the radius along the major axis.
        reach : float
            Radius beyond which the profile is negligible.
        core : float
            Length over which it changes at the centre; cells are divided where it is not much larger than a cell.
        """
        seen = self.window(place.x, place.y, reach)
        if seen is None:
            return
        rows, columns = seen
        u, v = place.plane(self.x[:, columns], self.y[rows])
        shape = law(np.sqrt(u * u + v * v))
        middle = (self.size - 1) / 2
        row, column = round(place.y / self.step + middle), round(place.x / self.step + middle)
        if core < 4 * self.step:
            fine, half = 7, 3
            inner = slice(max(row - half, rows.start), min(row + half + 1, rows.stop))
            across = slice(max(column - half, columns.start), min(column + half + 1, columns.stop))
            if inner.start < inner.stop and across.start < across.stop:
                offsets = (np.arange(fine, dtype=np.float32) - (fine - 1) / 2) * np.float32(self.step / fine)
                ys = (self.y[inner] + offsets).reshape(-1, 1)
                xs = (self.x[:, across].T + offsets).reshape(1, -1)
                u, v = place.plane(xs, ys)
                cells = law(np.sqrt(u * u + v * v)).reshape(inner.stop - inner.start, fine, -1, fine).mean((1, 3))
                shape[
                    inner.start - rows.start : inner.stop - rows.start,
                    across.start - columns.start : across.stop - columns.start,
                ] = cells
        for band, factor in zip(self.light, self.colour(stars).tolist(), strict=True):
            band[rows, columns] += shape * np.float32(factor)

    def blobs(self, x: Any, y: Any, sigma: Any, flux: Any, stars: Stars) -> None:
        """Add round Gaussians, integrated over cells, of any size; their fluxes are in r."""
        edges = np.append(self.x[0] - self.step / 2, self.x[0, -1] + self.step / 2)
        x, y, flux = np.asarray(x), np.asarray(y), np.asarray(flux)
        sigma = np.maximum(np.broadcast_to(sigma, x.shape), 0.02 * self.step)[:, None]
        across = np.diff(special.ndtr(((edges - x[:, None]) / sigma).astype(np.float32)))
        down = np.diff(special.ndtr(((edges - y[:, None]) / sigma).astype(np.float32)))
        self.add((down * (flux / self.step**2).astype(np.float32)[:, None]).T @ across, stars)

    def points(self, x: Any, y: Any, flux: Any) -> None:
        """Add points at given positions; flux has the shape (bands, points)."""
        self.light += self._spread(x, y, flux)

    def _spread(self, x: Any, y: Any, flux: Any) -> Floats:
        """Return points as light, each shared by the four cells around it."""
        flux = np.atleast_2d(flux)
        middle = (self.size - 1) / 2
        column, row = np.asarray(x) / self.step + middle, np.asarray(y) / self.step + middle
        left, top = np.floor(column).astype(int), np.floor(row).astype(int)
        right, down = column - left, row - top
        out = np.zeros((len(flux), self.size * self.size), np.float32)
        for i, j in ((0, 0), (0, 1), (1, 0), (1, 1)):
            share = (down if i else 1 - down) * (right if j else 1 - right)
            rows, columns = top + i, left + j
            here = (rows >= 0) & (rows < self.size) & (columns >= 0) & (columns < self.size)
            cells = rows[here] * self.size + columns[here]
            for band, fluxes in zip(out, flux, strict=True):
                band += np.bincount(cells, (fluxes * share)[here], self.size * self.size).astype(np.float32)
        return out.reshape(len(flux), self.size, self.size) / np.float32(self.step**2)

    def particles(self, x: Any, y: Any, flux: Any, least: float, stars: Stars) -> None:
        """Add particles, smoothed the more the fewer are around them; ``least`` is the smallest width, in radii.

        An adaptive kernel: Silverman (1986), Density Estimation, section 5.3, with four widths.
        """
        wide = 0.25
        bins = np.arange(-10, 10 + wide, wide)
        near, _, _ = np.histogram2d(y, x, bins=(bins, bins))
        near = ndimage.gaussian_filter(near, 1.0, mode="constant")
        where = [np.clip(((p + 10) / wide).astype(int), 0, len(bins) - 2) for p in (y, x)]
        width = 1.1 * wide / np.sqrt(np.maximum(near[where[0], where[1]], 0.05))
        level = np.clip(np.ceil(np.log2(np.maximum(width / least, 1e-6))), 0, 3).astype(int)
        shape = np.zeros((self.size, self.size), np.float32)
        for step in range(4):
            mine = level == step
            if mine.any():
                sigma = least * 2**step / self.step
                shape += ndimage.gaussian_filter(
                    self._spread(x[mine], y[mine], flux[mine])[0], sigma, mode="constant", truncate=3
                )
        self.add(shape, stars)

    def texture(self, along: Floats, across: Floats, start: tuple[float, float]) -> Floats:
        """Sample a random field of mean 0 and deviation 1 at any coordinates; it repeats with period 1.

        The power spectrum is that of the young stars of galaxies, k^-2.6, after Elmegreen et al. (2003, ApJ 593, 333).
        """
        where = np.broadcast_arrays((along + start[0]) * _TILE, (across + start[1]) * _TILE)
        field: Floats = ndimage.map_coordinates(_tile(), where, order=1, mode="grid-wrap", prefilter=False)
        return field


@functools.cache
def _tile() -> Floats:
    rng = np.random.default_rng(2003)
    k = np.hypot(fft.fftfreq(_TILE, 1 / _TILE)[:, None], fft.rfftfreq(_TILE, 1 / _TILE))
    noise = rng.standard_normal((2, *k.shape)) * np.maximum(k, 4) ** -1.3
    field = fft.irfft2(noise[0] + 1j * noise[1], s=(_TILE, _TILE))
    return np.asarray(field / field.std(), np.float32)
