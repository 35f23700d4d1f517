"""Simulated galaxies in the exercise's four classes: data for tests and demonstrations, with the truth known.

Each galaxy is built from light profiles of the literature in the bands g, r and i, blurred by the atmosphere, given the
noise of an SDSS exposure and turned into a colour picture. Scores on simulations say nothing of the sky.

Pixels are (row, column) from the top-left; ``x`` counts columns, ``y`` rows, and (0, 0) is the centre of the top-left
pixel. Position angles are in degrees from the column axis towards the row axis. Fluxes are in nanomaggies (nMgy:
magnitude = 22.5 - 2.5 log10 flux). Arrays over bands are in the order of the colours they become: i, r, g.
"""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage, special

from peculiar.errors import UnknownNameError, UsageError
from peculiar.schema import FOUR_CLASS

__all__ = ["Simulation", "simulate", "simulate_galaxy"]

Floats = NDArray[np.float32]
Rng = np.random.Generator

# How many galaxies of each class are in the exercise's 1,400.
_SHARES = {"Normal": 487, "Ringed": 291, "Merger": 371, "Other": 251}

# SDSS imaging (Gunn et al. 1998, AJ 116, 3040; York et al. 2000, AJ 120, 1579), in i, r, g, rounded: pixel in arcsec,
# electrons per nMgy in a 54 s exposure, sky in mag/arcsec^2, read noise in electrons a pixel.
_PIXEL = 0.396
_ELECTRONS = np.array([750.0, 940.0, 1050.0], np.float32)
_SKY = (10 ** (0.4 * (22.5 - np.array([20.3, 20.9, 21.9])))).astype(np.float32)
_READ_NOISE = 5.0

# A_band / A_r for i, r, g: Schlegel, Finkbeiner & Davis (1998, ApJ 500, 525), Table 6.
_EXTINCTION = np.array([2.086, 2.751, 3.793], np.float32) / np.float32(2.751)

# g - r and r - i of stellar populations, about those of Fukugita et al. (1995, PASP 107, 945), Table 3, from elliptical
# to irregular galaxies; the last is a star-forming clump.
_COLOURS = {"old": (0.77, 0.39), "disc": (0.58, 0.29), "young": (0.28, 0.11), "clump": (0.02, -0.02)}


@dataclass(frozen=True, slots=True)
class Simulation:
    """Simulated galaxies.

    Attributes
    ----------
    pictures : ndarray of uint8, shape (n, size, size, 3)
        Colour pictures, 0..255, red, green and blue from the bands i, r and g.
    labels : ndarray of float32, shape (n, 4)
        The class as a row of one 1 and three 0, in the order of ``FOUR_CLASS.answers``.
    parameters : list of dict
        The truth of each picture as plain Python values that JSON can hold: ``class``, ``kind``, ``size`` (pixels),
        ``pixel_scale`` (arcsec a pixel), ``seeing`` (full width at half maximum, arcsec), ``moffat_beta``,
        ``magnitude_r``, ``sky_noise`` (nMgy a pixel in i, r, g, where there is only sky), ``field_objects`` (their
        number), the display's ``black``, ``stretch`` and ``softening``, and ``components``, each with its ``part``,
        position (pixels), shape, and ``flux`` (nMgy in i, r, g, before dust). Radii and widths are in pixels.
    """

    pictures: NDArray[np.uint8]
    labels: NDArray[np.float32]
    parameters: list[dict[str, Any]]


def simulate(count: int, *, size: int = 128, seed: int = 222) -> Simulation:
    """Simulate galaxies in the exercise's proportions of the four classes.

    Parameters
    ----------
    count : int
        How many, at least 1.
    size : int
        Height and width of a picture in pixels, at least 16.
    seed : int
        At least 0. Galaxy ``i`` draws from ``default_rng([seed, i])``, so it does not depend on the others.

    Returns
    -------
    Simulation
        Pictures, labels and truth. The order of the classes is shuffled by the seed.

    Raises
    ------
    UsageError
        For a count below 1, a size below 16 or a seed below 0.
    """
    if count < 1:
        raise UsageError(f"simulate() received count={count}; ask for at least 1 galaxy")
    if seed < 0:
        raise UsageError(f"simulate() received seed={seed}; give a whole number from 0 on")
    _check_size(size)
    classes = _classes(count)
    # Three numbers: NumPy takes seed, [seed] and [seed, 0] for the same, and [seed, 0] is the first galaxy's.
    np.random.default_rng([seed, count, 1]).shuffle(classes)
    pictures = np.empty((count, size, size, 3), np.uint8)
    parameters = []
    for i, k in enumerate(classes):
        pictures[i], truth = simulate_galaxy(FOUR_CLASS.answers[k], np.random.default_rng([seed, i]), size=size)
        parameters.append(truth)
    return Simulation(pictures, np.eye(len(FOUR_CLASS.answers), dtype=np.float32)[classes], parameters)


def simulate_galaxy(answer: str, rng: Rng, *, size: int = 128) -> tuple[NDArray[np.uint8], dict[str, Any]]:
    """Simulate one galaxy of a class.

    Parameters
    ----------
    answer : str
        One of ``FOUR_CLASS.answers``: Normal, Ringed, Merger, Other.
    rng : numpy.random.Generator
        Where every random choice comes from.
    size : int
        Height and width in pixels, at least 16.

    Returns
    -------
    picture : ndarray of uint8, shape (size, size, 3)
        The colour picture.
    truth : dict
        What went into it: see `Simulation.parameters`.

    Raises
    ------
    UnknownNameError
        For a class that there is not.
    UsageError
        For a size below 16.
    """
    _check_size(size)
    if answer not in _DRAW:
        raise UnknownNameError("class", answer, FOUR_CLASS.answers)
    light, truth = _scene(answer, rng, size)
    bands, truth["sky_noise"] = _expose(light, truth["pixel_scale"], rng)
    # Viewers differ in display, not classes: black level and stretch vary alike for all.
    display = {"black": rng.gamma(3, 0.0065), "stretch": rng.lognormal(0.3, 0.25), "softening": rng.uniform(4.2, 7)}
    # Flux per SDSS pixel's area: a JPEG cut-out keeps its surface brightness when it is enlarged.
    return _lupton(bands * (_PIXEL / truth["pixel_scale"]) ** 2, **display), truth | display


def _check_size(size: int) -> None:
    if size < 16:
        raise UsageError(f"a simulated galaxy of size={size} pixels cannot show its shape; give size=16 or more")


def _classes(count: int) -> NDArray[np.int64]:
    """Class numbers in the exercise's proportions, by largest remainder so that they add up to any count."""
    shares = np.array([_SHARES[answer] for answer in FOUR_CLASS.answers])
    exact = shares * count / shares.sum()
    whole = np.floor(exact).astype(int)
    whole[np.argsort(whole - exact, kind="stable")[: count - whole.sum()]] += 1
    return np.repeat(np.arange(len(shares)), whole)


# ------------------------------------------------------------------ profiles, atmosphere, noise, colour


def _sersic(r: Floats, radius: float, n: float) -> Floats:
    """Surface brightness of a profile of total flux 1: Sersic (1963, BAAA 6, 41).

    I = I_e exp(-b ((r / R_e)^(1/n) - 1)) with total flux 2 pi n R_e^2 I_e e^b b^(-2n) Gamma(2n): Graham & Driver (2005,
    PASA 22, 118), eqs. 1 and 2; b(n) from Ciotti & Bertin (1999, A&A 352, 447), eq. 18, good to 1e-4 for n > 0.5.
    n = 1 is the exponential disc of Freeman (1970, ApJ 160, 811), eq. 1, of scale length R_e / 1.678.
    """
    b = 2 * n - 1 / 3 + 4 / (405 * n) + 46 / (25515 * n**2)
    total = 2 * math.pi * n * radius**2 * math.exp(b) * b ** (-2 * n) * math.gamma(2 * n)
    shape: Floats = np.exp(-b * ((r / radius) ** (1 / n) - 1)) / total
    return shape


def _moffat(n: int, fwhm: float, beta: float) -> Floats:
    """Point spread function of sum 1 on n x n pixels, its centre at [0, 0] and wrapped round, as FFTs want it.

    (1 + (r / alpha)^2)^-beta, FWHM = 2 alpha sqrt(2^(1/beta) - 1): Moffat (1969, A&A 3, 455); Trujillo et al. (2001,
    MNRAS 328, 977), section 2. It has the wings that a Gaussian lacks.
    """
    alpha = fwhm / (2 * math.sqrt(2 ** (1 / beta) - 1))
    d2 = ((fft.fftfreq(n, 1 / n) / alpha) ** 2).astype(np.float32)
    wings = (1 + d2[:, None] + d2) ** -beta
    psf: Floats = wings / wings.sum()
    return psf


def _blur(light: Floats, fwhm: float, beta: float) -> Floats:
    """Convolve (3, n, n) with a Moffat PSF. The frame's margin takes what wraps round the edges."""
    n = light.shape[-1]
    blurred: Floats = fft.irfft2(fft.rfft2(light) * fft.rfft2(_moffat(n, fwhm, beta)), s=(n, n))
    return blurred


def _expose(light: Floats, scale: float, rng: Rng) -> tuple[Floats, list[float]]:
    """Add the noise of an SDSS exposure, resampled to pixels of ``scale`` arcsec; give the sky's rms as well.

    The variance in electrons is source + sky + read noise^2 (Howell 1989, PASP 101, 616). A Gaussian stands for
    the Poisson law: sky alone brings hundreds of electrons a pixel. Resampling leaves neighbours correlated; a Gaussian
    of half an SDSS pixel stands for it, and keeps the noise of a wide aperture as it was.
    """
    sky = _SKY * _ELECTRONS * scale**2 + (_READ_NOISE * scale / _PIXEL) ** 2
    sigma = 0.5 * _PIXEL / scale
    white = rng.standard_normal(light.shape, np.float32)
    grain = ndimage.gaussian_filter(white, (0, sigma, sigma), mode="wrap", truncate=3)
    kernel = np.exp(-0.5 * (np.arange(-int(3 * sigma + 0.5), int(3 * sigma + 0.5) + 1) / sigma) ** 2)
    damping = float(np.sum(kernel**2) / np.sum(kernel) ** 2)  # of the rms, by the filter: once an axis
    electrons = _ELECTRONS[:, None, None]
    noise = np.sqrt(np.maximum(light, 0) * electrons + sky[:, None, None]) / electrons * grain
    return np.asarray(light + noise, np.float32), (np.sqrt(sky) / _ELECTRONS * damping).tolist()


def _lupton(bands: Floats, black: float, stretch: float, softening: float) -> NDArray[np.uint8]:
    """Colour picture (size, size, 3) of i, r, g by Lupton et al. (2004, PASP 116, 133), section 2.

    The mean intensity I goes through f(I) = asinh(stretch * softening * I) / softening and every band through
    band * f(I) / I, so that colour does not fade where it is bright; a pixel above 1 is divided by its largest band.
    The band weights make a sun-like spectrum nearly white.
    """
    weighted = bands * np.array([1.0, 1.2, 1.85], np.float32)[:, None, None] + black
    intensity = np.maximum(weighted.mean(0), 1e-4)
    shown = np.maximum(weighted * (np.arcsinh(stretch * softening * intensity) / (softening * intensity)), 0)
    picture: NDArray[np.uint8] = (np.moveaxis(shown / np.maximum(shown.max(0), 1), 0, -1) * 255 + 0.5).astype(np.uint8)
    return picture


# ------------------------------------------------------------------ a frame to draw on


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a part is and how it lies: centre, axis ratio, position angle, lopsidedness and its direction."""

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
        """Turn columns and rows into coordinates along the major axis and across it, inclination undone."""
        c, s = math.cos(math.radians(self.angle)), math.sin(math.radians(self.angle))
        x, y = x - self.x, y - self.y
        u, v = c * x + s * y, (c * y - s * x) / self.q
        if not self.lopsided:
            return u, v
        # Isophotes displaced to one side: the m = 1 mode of Rix & Zaritsky (1995, ApJ 447, 82).
        a = math.radians(self.towards)
        shrink = 1 - self.lopsided * (u * math.cos(a) + v * math.sin(a)) / (np.hypot(u, v) + 1e-3)
        return u * shrink, v * shrink


class _Frame:
    """Noise-free light in i, r, g (nMgy a pixel), and the list of what was put there.

    It has a margin round the picture, from which the atmosphere scatters light in.
    """

    def __init__(self, size: int, rng: Rng) -> None:
        self.size, self.rng, self.margin = size, rng, size // 8
        axis = np.arange(-self.margin, size + self.margin, dtype=np.float32)
        self.x, self.y = axis[None, :], axis[:, None]
        self.light: Floats = np.zeros((3, axis.size, axis.size), np.float32)
        self.components: list[dict[str, Any]] = []
        self.reddening = rng.normal(0, 0.04)

    def flux(self, population: str, flux_r: float) -> Floats:
        """Flux in i, r, g of a population with so much in r; all in one frame share their reddening."""
        g_r, r_i = np.array(_COLOURS[population]) + self.rng.normal(self.reddening, 0.03, 2) * (1, 0.6)
        return np.array([10 ** (0.4 * r_i), 1, 10 ** (-0.4 * g_r)], np.float32) * flux_r

    def note(self, part: str, flux: Floats, place: _Place, **more: float) -> None:
        """Write a part down in the truth."""
        shape = {"x": place.x, "y": place.y, "axis_ratio": place.q, "position_angle": place.angle}
        if place.lopsided:
            shape |= {"lopsided": place.lopsided, "lopsided_towards": place.towards}
        numbers = {name: round(float(value), 6) for name, value in (shape | more).items()}
        self.components.append({"part": part, **numbers, "flux": [round(float(f), 6) for f in flux]})

    def add(self, part: str, shape: Floats, flux: Floats, place: _Place, **more: float) -> None:
        """Add light of a shape of sum 1."""
        self.light += shape * flux[:, None, None]
        self.note(part, flux, place, **more)

    def add_young(self, part: str, shape: Floats, flux: Floats, place: _Place, rough: float, **more: float) -> None:
        """Add young stars of any shape, made clumpy and brought to sum 1 over the frame.

        Their brightness is log-normal with a power spectrum k^-2.6, after Elmegreen et al. (2003, ApJ 593, 333).
        """
        n = self.x.size
        k = np.hypot(fft.fftfreq(n, 1 / n)[:, None], fft.rfftfreq(n, 1 / n)).astype(np.float32)
        noise = self.rng.standard_normal((2, *k.shape), np.float32) * np.maximum(k, 4) ** -1.3
        field = fft.irfft2(noise[0] + np.complex64(1j) * noise[1], s=(n, n))
        shape = shape * np.exp(field * (rough / float(field.std())))
        self.add(part, shape / shape.sum(), flux, place, **more)

    def sersic(self, part: str, place: _Place, radius: float, n: float, flux: Floats) -> None:
        """Add a Sersic profile; radius is that of half the light, along the major axis."""
        shape = _sersic(np.hypot(*place.plane(self.x, self.y)), radius, n)
        # A steep profile changes within a pixel: the middle 8 x 8 pixels are means over 8 x 8 points each.
        column, row = round(place.x) - 4 + self.margin, round(place.y) - 4 + self.margin
        if (n > 1.5 or radius < 4) and min(column, row) >= 0 and max(column, row) + 8 <= self.x.size:
            fine = (np.arange(64, dtype=np.float32) - 3.5) / 8 - self.margin
            r = np.hypot(*place.plane((fine + column)[None, :], (fine + row)[:, None]))
            shape[row : row + 8, column : column + 8] = _sersic(r, radius, n).reshape(8, 8, 8, 8).mean((1, 3))
        # Over all angles a lopsided profile would gain light by the mean of (1 - e cos)^-2, which is (1 - e^2)^-1.5.
        shape *= (1 - place.lopsided**2) ** 1.5 / place.q
        self.add(part, shape, flux, place, radius=radius, n=n)

    def bar(self, place: _Place, length: float, ratio: float, turn: float, flux: Floats) -> None:
        """Add a bar: a Ferrers (1877) ellipsoid of index 1, seen as (1 - m^2)^1.5 where m < 1.

        Binney & Tremaine (2008, Galactic Dynamics), section 2.5.3. ``turn`` degrees from the major axis, in the plane.
        """
        u, v = _Place(0, 0, ratio, turn).plane(*place.plane(self.x, self.y))
        shape = np.maximum(1 - (u**2 + v**2) / length**2, 0) ** 1.5 * (2.5 / (math.pi * length**2 * ratio * place.q))
        self.add("bar", shape, flux, place, length=length, ratio=ratio, turn=turn)

    def arms(self, place: _Place, radius: float, arms: int, pitch: float, sharp: float, flux: Floats) -> None:
        """Add logarithmic spiral arms on an exponential disc: Binney & Tremaine (2008), section 6.1.3.

        An arm's ridge is theta = ln(r) / tan(pitch) + 2 pi k / arms; light falls off across it as a von Mises law, and
        in the middle, where the winding would be endless. Negative arms wind the other way.
        """
        u, v = place.plane(self.x, self.y)
        r, h = np.hypot(u, v) + 0.1, radius / 1.678
        phase = np.arctan2(v, u) * arms - np.log(r) * (abs(arms) / math.tan(math.radians(pitch)))
        shape = np.exp(sharp * np.cos(phase) - r / (1.2 * h)) * (1 - np.exp(-((r / h) ** 2)))
        self.add_young("arms", shape, flux, place, 0.7, radius=radius, arms=arms, pitch=pitch, sharpness=sharp)

    def ring(self, place: _Place, radius: float, width: float, uneven: float, flux: Floats) -> None:
        """Add a ring in the disc's plane, Gaussian in radius, brighter on some sides (Buta 1995, ApJS 96, 39)."""
        u, v = place.plane(self.x, self.y)
        theta, a, b = np.arctan2(v, u), self.rng.uniform(0, 2 * math.pi), self.rng.uniform(0, 2 * math.pi)
        sides = 1 + uneven * (np.cos(theta - a) + np.cos(2 * theta - b)) / 2
        shape = np.exp(-0.5 * ((np.hypot(u, v) - radius) / width) ** 2) * sides
        self.add_young("ring", shape, flux, place, 0.7, radius=radius, width=width, uneven=uneven)

    def arc(self, part: str, at: _Place, radius: float, width: float, way: float, spread: float, flux: Floats) -> None:
        """Add part of a circle, Gaussian across and von Mises along; angles in radians.

        A shell is sharp outside and soft inside (Malin & Carter 1983, ApJ 274, 534): its width is that outside.
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

    def clumps(self, place: _Place, r: Any, theta: Any, sigma: Any, flux: Floats) -> None:
        """Add star-forming clumps in a disc; like HII regions, a few outshine the rest (Kennicutt et al. 1989)."""
        share = self.rng.pareto(1.5, r.size) + 0.3
        self.blobs(*place.sky(r, theta), sigma, flux[:, None] * (share / share.sum()))
        self.note("clumps", flux, place, count=r.size)

    def tail(
        self, at: _Place, start: float, sweep: float, pitch: float, width: float, way: float, flux: Floats
    ) -> None:
        """Add a tidal tail (Toomre & Toomre 1972, ApJ 178, 623): blobs along a log-spiral that widens and fades."""
        t = np.linspace(0, 1, 48)
        wander = np.cumsum(self.rng.normal(0, 0.025, t.size))
        r = start * np.exp(abs(sweep) * t * math.tan(math.radians(pitch)) + wander)
        share = np.exp(-2 * t) * self.rng.lognormal(0, 0.5, t.size)
        where = at.sky(r, way - math.radians(at.angle) + sweep * t)
        self.blobs(*where, width * (0.7 + t), flux[:, None] * (share / share.sum()))
        self.note("tail", flux, at, start=start, sweep=math.degrees(sweep), pitch=pitch, width=width)

    def bridge(self, one: _Place, two: _Place, bow: float, width: float, flux: Floats) -> None:
        """Add a bridge between two galaxies: blobs along a parabola (Toomre & Toomre 1972)."""
        t = np.linspace(0, 1, 32)
        dx, dy, side = two.x - one.x, two.y - one.y, 4 * bow * t * (1 - t)
        share = self.rng.lognormal(0, 0.3, t.size)
        where = one.x + dx * t - dy * side, one.y + dy * t + dx * side
        self.blobs(*where, np.full(t.size, width), flux[:, None] * (share / share.sum()))
        self.note("bridge", flux, one, bow=bow, width=width)

    def dust(self, place: _Place, offset: float, width: float, depth: float) -> None:
        """Dim what is there by a lane along the major axis: exp(-tau), its depth by band as A_band / A_r."""
        u, v = place.plane(self.x, self.y)
        tau = depth * np.exp(-0.5 * ((v * place.q - offset) / width) ** 2 - 0.5 * (u / (0.3 * self.size)) ** 2)
        self.light *= np.exp(-tau * _EXTINCTION[:, None, None])
        self.note("dust", np.zeros(3, np.float32), place, offset=offset, width=width, depth=depth)


# ------------------------------------------------------------------ galaxies: each adds light of flux_r in all


def _pick(rng: Rng, **odds: float) -> str:
    return str(rng.choice(list(odds), p=list(odds.values())))


def _tilt(rng: Rng, least: float) -> float:
    """Axis ratio of a disc 0.2 thick at a random inclination (Hubble 1926, ApJ 64, 321), not below ``least``."""
    cosine = rng.uniform(math.sqrt((least**2 - 0.04) / 0.96), 1)
    return math.sqrt(0.04 + 0.96 * cosine**2)


def _host(frame: _Frame, kind: str, place: _Place, radius: float, flux_r: float, arm_share: float = 1.0) -> None:
    """Draw one galaxy: elliptical, lenticular, spiral, edge_on or irregular; the axis ratio is its disc's."""
    rng = frame.rng
    if kind == "elliptical":
        return frame.sersic("elliptical", place, radius, rng.uniform(2.5, 5), frame.flux("old", flux_r))
    shares = {"lenticular": rng.uniform(0.25, 0.6), "irregular": rng.uniform(0, 0.05)}
    bulge = flux_r * shares.get(kind, rng.beta(1.6, 5))
    rounder = replace(place, q=place.q + (1 - place.q) * rng.uniform(0.4, 0.9), lopsided=0.0)
    frame.sersic("bulge", rounder, radius * rng.uniform(0.15, 0.35), rng.uniform(1, 4), frame.flux("old", bulge))
    rest = flux_r - bulge
    if kind == "lenticular":
        return frame.sersic("disc", place, radius, 1.0, frame.flux(_pick(rng, old=0.6, disc=0.4), rest))
    if kind == "spiral" and rng.random() < 0.35:
        bar, length = rng.uniform(0.06, 0.16) * rest, radius * rng.uniform(0.5, 0.9)
        frame.bar(
            replace(place, lopsided=0.0), length, rng.uniform(0.25, 0.45), rng.uniform(0, 180), frame.flux("old", bar)
        )
        rest -= bar
    young = rest * (rng.uniform(0.5, 0.8) if kind == "irregular" else arm_share * rng.uniform(0.25, 0.65))
    frame.sersic("disc", place, radius, 1.0, frame.flux("disc", rest - young))
    knots = young * (rng.uniform(0.05, 0.25) if kind == "irregular" else rng.uniform(0, 0.12))
    k = int(rng.integers(4, 25))
    where, sigma = (rng.gamma(3, radius / 3.5, k), rng.uniform(0, 2 * math.pi, k)), rng.uniform(0.1, 0.8, k)
    frame.clumps(place, *where, sigma * frame.size / 128, frame.flux("clump", knots))
    flux = frame.flux("young", young - knots)
    if kind == "spiral":
        arms = int(rng.choice([1, 2, 3, 4], p=[0.05, 0.65, 0.2, 0.1])) * int(rng.choice([-1, 1]))
        frame.arms(place, radius, arms, rng.uniform(9, 32), rng.uniform(0.5, 2.2), flux)
    else:
        shape = np.exp(np.hypot(*place.plane(frame.x, frame.y)) * (-1.5 / radius))
        frame.add_young("patches", shape, flux, place, 1.0 if kind == "irregular" else 0.5, radius=radius)


def _normal(frame: _Frame, place: _Place, radius: float, flux: float) -> str:
    rng = frame.rng
    kind = _pick(rng, elliptical=0.25, lenticular=0.17, spiral=0.38, edge_on=0.14, irregular=0.06)
    q = {"elliptical": rng.uniform(0.5, 1), "edge_on": rng.uniform(0.13, 0.27)}.get(kind, _tilt(rng, 0.3))
    _host(frame, kind, replace(place, q=q), radius * (1.3 if kind == "edge_on" else 1), flux)
    return kind


def _ringed(frame: _Frame, place: _Place, radius: float, flux: float) -> str:
    rng = frame.rng
    kind = _pick(rng, inner=0.4, outer=0.28, resonance=0.17, collisional=0.15)
    population = _pick(rng, young=0.5, disc=0.35, old=0.15)
    flat = replace(place, q=_tilt(rng, 0.38))
    r = radius * {"inner": rng.uniform(0.75, 1.2), "outer": rng.uniform(1.5, 2.1)}.get(kind, rng.uniform(1, 1.5))
    if kind == "collisional":
        # A head-on intruder drives a ring outwards and leaves the nucleus behind (Lynds & Toomre 1976, ApJ 209, 382).
        x, y = flat.sky(r * rng.uniform(0, 0.45), rng.uniform(0, 2 * math.pi))
        light = flux * rng.uniform(0.35, 0.6)
        _host(frame, "lenticular", replace(flat, x=x, y=y), radius * rng.uniform(0.6, 1), flux - light)
        width, k = r * rng.uniform(0.1, 0.18), int(rng.integers(5, 20))
        frame.ring(flat, r, width, rng.uniform(0.3, 0.9), frame.flux(population, 0.85 * light))
        where, sigma = (rng.normal(r, 0.08 * r, k), rng.uniform(0, 2 * math.pi, k)), rng.uniform(0.2, 1.2, k)
        frame.clumps(flat, *where, sigma * frame.size / 128, frame.flux("clump", 0.15 * light))
        return kind
    light, bar = flux * rng.uniform(0.14, 0.34), 0.0
    if kind == "inner" and rng.random() < 0.5:
        bar = 0.12 * flux
        frame.bar(flat, 0.9 * r, rng.uniform(0.25, 0.4), rng.uniform(0, 180), frame.flux("old", bar))
    host, size = _pick(rng, lenticular=0.55, spiral=0.45), radius * (0.75 if kind == "outer" else 1)
    _host(frame, host, flat, size, flux - light - bar, arm_share=0.5)
    rings = [(r, light)]
    if kind == "resonance":  # the outer ring at some 2.2 times the inner one (Athanassoula et al. 1982, A&A 107, 101)
        rings = [(0.75 * r, 0.45 * light), (0.75 * r * rng.normal(2.2, 0.12), 0.55 * light)]
    for at, part in rings:
        frame.ring(flat, at, at * rng.uniform(0.09, 0.17), rng.uniform(0, 0.6), frame.flux(population, part))
    return kind


def _merger(frame: _Frame, place: _Place, radius: float, flux: float) -> str:
    rng = frame.rng
    kind = _pick(rng, pair=0.33, tails=0.32, bridge=0.23, shells=0.12)
    ratio, small = rng.uniform(0.25, 1), rng.uniform(0.5, 1)
    debris = flux * (rng.uniform(0.06, 0.2) if kind == "pair" else rng.uniform(0.12, 0.3))
    gap = radius * (rng.uniform(0.5, 1.4) if kind == "shells" else rng.uniform(0.9, 2.8))
    way, back = rng.uniform(0, 2 * math.pi), 0.5 * (rng.random() < 0.25)  # centred on one galaxy, or on the pair
    galaxies = []
    for step, turn in ((-back, 0), (1 - back, 180)):
        x, y = place.x + step * gap * math.cos(way), place.y + step * gap * math.sin(way)
        angle = rng.uniform(0, 180)
        lop = rng.uniform(0.1, 0.4), math.degrees(way) - angle + turn  # drawn out towards each other
        galaxies.append(_Place(x, y, rng.uniform(0.38, 0.95), angle, *lop))
    one, two = galaxies
    wet = rng.random() < 0.55  # with gas, hence young stars
    shares = {"elliptical": 0.1, "lenticular": 0.15, "spiral": 0.55, "irregular": 0.2}
    dry = {"elliptical": 0.5, "lenticular": 0.4, "spiral": 0.1}
    for galaxy, size, share in ((one, 0.8, 1), (two, 0.8 * small, ratio)):
        light = (flux - debris) * share / (1 + ratio)
        _host(frame, _pick(rng, **(shares if wet else dry)), galaxy, radius * size, light)
    population = _pick(rng, young=0.4, disc=0.6) if wet else "old"
    if kind == "shells":
        shells = radius * rng.uniform(1, 2.6, int(rng.integers(2, 5)))
        for shell in shells.tolist():
            side, light = way + math.pi * int(rng.integers(2)) + rng.normal(0, 0.3), debris / shells.size
            frame.arc("shell", one, shell, 0.05 * radius, side, rng.uniform(0.4, 0.8), frame.flux(population, light))
        return kind
    if kind == "bridge":
        debris /= 2
        bow, width = rng.uniform(-0.4, 0.4), radius * rng.uniform(0.12, 0.25)
        frame.bridge(one, two, bow, width, frame.flux(population, debris))
    # One tail each, on the sides away from each other and in the same sense.
    sense, pitch = int(rng.choice([-1, 1])) * (0.6 if kind == "pair" else 1), rng.uniform(22, 48)
    for galaxy, size, towards, share in ((one, radius, way + math.pi, 0.6), (two, small * radius, way, 0.4)):
        start, width = size * rng.uniform(0.7, 1.1), size * rng.uniform(0.12, 0.24)
        flux_tail = frame.flux(population, debris * share)
        frame.tail(galaxy, start, sense * rng.uniform(1.2, 2.9), pitch, width, towards, flux_tail)
    return kind


def _other(frame: _Frame, place: _Place, radius: float, flux: float) -> str:
    rng = frame.rng
    kind = _pick(rng, irregular=0.34, disturbed=0.3, dust_lane=0.2, arc=0.16)
    towards = rng.uniform(0, 2 * math.pi)
    if kind == "irregular":
        lop = replace(place, q=rng.uniform(0.35, 0.9), lopsided=rng.uniform(0.1, 0.5), towards=math.degrees(towards))
        _host(frame, kind, lop, radius, 0.8 * flux)
        k = int(rng.integers(3, 9))
        where, sigma = (rng.gamma(2.5, radius / 2.5, k), rng.normal(towards, 1.2, k)), rng.uniform(0.1, 0.25, k)
        frame.clumps(lop, *where, sigma * radius, frame.flux("young", 0.2 * flux))
    elif kind == "disturbed":
        lop = replace(place, q=_tilt(rng, 0.35), lopsided=rng.uniform(0.25, 0.6), towards=math.degrees(towards))
        _host(frame, _pick(rng, spiral=0.65, lenticular=0.35), lop, radius, 0.85 * flux)
        start, sweep = radius * rng.uniform(0.9, 1.5), int(rng.choice([-1, 1])) * rng.uniform(0.8, 2)
        plume = frame.flux(_pick(rng, young=0.5, disc=0.5), 0.15 * flux)
        frame.tail(lop, start, sweep, rng.uniform(15, 45), 0.25 * radius, towards, plume)
    elif kind == "dust_lane":
        host = _pick(rng, elliptical=0.5, lenticular=0.5)
        q, turn, size = rng.uniform(0.5, 0.9), float(rng.choice([0, 90])), radius
        if host == "lenticular":
            q, turn, size = rng.uniform(0.2, 0.4), rng.normal(0, 4), 1.3 * radius
        _host(frame, host, replace(place, q=q), size, flux)
        width = radius * q * rng.uniform(0.1, 0.22)
        lane = replace(place, q=q, angle=place.angle + turn)
        frame.dust(lane, rng.normal(0, 0.5) * width, width, rng.uniform(1, 3))
    else:  # a lensed source: a long arc, and on the other side, nearer in, its fainter counter-image
        light, faint = flux * rng.uniform(0.06, 0.18), rng.uniform(0.1, 0.3)
        round_ = replace(place, q=rng.uniform(0.75, 1))
        _host(frame, _pick(rng, elliptical=0.7, lenticular=0.3), round_, 0.8 * radius, flux - light)
        r, width = radius * rng.uniform(1.2, 2.2), radius * rng.uniform(0.07, 0.14)
        frame.arc("arc", place, r, width, towards, rng.uniform(0.3, 0.7), frame.flux("young", light * (1 - faint)))
        frame.arc("arc", place, 0.7 * r, width, towards + math.pi, 0.2, frame.flux("young", light * faint))
    return kind


_DRAW = {"Normal": _normal, "Ringed": _ringed, "Merger": _merger, "Other": _other}


def _field(frame: _Frame, scale: float) -> int:
    """Add faint stars and background galaxies, more of the fainter: counts rise as 10^(0.25 m) and 10^(0.45 m)."""
    rng, arcmin2 = frame.rng, (frame.x.size * scale / 60) ** 2
    stars, galaxies = int(rng.poisson(3 * arcmin2)), int(rng.poisson(9 * arcmin2))
    k, star = stars + galaxies, np.arange(stars + galaxies) < stars
    slope = np.where(star, 0.25, 0.45)
    least = 10 ** (slope * np.where(star, -7, -4))  # from magnitude 15 or 18 to 22
    magnitude = 22 + np.log10(least + rng.random(k) * (1 - least)) / slope
    g_r = rng.uniform(0.2, 1.4, k)
    colours = 0.4 * np.stack([0.15 + 0.28 * g_r**2, np.zeros(k), -g_r])
    x, y = rng.uniform(-frame.margin, frame.size + frame.margin, (2, k))
    frame.blobs(x, y, np.where(star, 0, rng.uniform(0.2, 0.9, k) / scale), 10 ** (0.4 * (22.5 - magnitude) + colours))
    return k


def _scene(answer: str, rng: Rng, size: int) -> tuple[Floats, dict[str, Any]]:
    """Noise-free picture (3, size, size) of one galaxy in nMgy a pixel, blurred by the atmosphere, and its truth."""
    frame = _Frame(size, rng)
    # None of this depends on the class: neither brightness nor size nor seeing may give it away.
    magnitude = min(max(rng.normal(15.7, 0.6), 14.3), 17.2)
    surface = min(max(rng.normal(20.9, 0.55), 20.0), 22.3)
    flux = 10 ** (0.4 * (22.5 - magnitude))
    # Mean surface brightness I within the half-light radius R: flux = 2 pi R^2 I (Graham & Driver 2005, section 2.1).
    arcsec = math.sqrt(10 ** (0.4 * (surface - magnitude)) / (2 * math.pi))
    # Galaxy Zoo sizes its frames to the galaxy (Willett et al. 2013, MNRAS 435, 2835): so do these.
    radius = size * min(max(rng.lognormal(math.log(0.1), 0.25), 0.055), 0.19)
    scale = arcsec / radius
    x, y = (size / 2 - 0.5 + rng.normal(0, 0.008 * size, 2)).tolist()
    kind = _DRAW[answer](frame, _Place(x, y, 1.0, rng.uniform(0, 180)), radius, flux)
    if rng.random() < 0.1:  # a neighbour in projection only: closeness alone is no merger
        distance, way = radius * rng.uniform(1.5, 4.5), rng.uniform(0, 2 * math.pi)
        x, y = x + distance * math.cos(way), y + distance * math.sin(way)
        light = frame.flux(_pick(rng, old=0.6, disc=0.4), flux * rng.uniform(0.08, 0.5))
        near = _Place(x, y, rng.uniform(0.3, 1), rng.uniform(0, 180))
        frame.sersic("neighbour", near, radius * rng.uniform(0.3, 0.8), rng.uniform(1, 3), light)
    count = _field(frame, scale)
    seeing, beta = min(max(rng.lognormal(math.log(1.3), 0.12), 0.9), 1.9), rng.uniform(2.5, 4.5)
    inner = slice(frame.margin, -frame.margin)
    return _blur(frame.light, seeing / scale, beta)[:, inner, inner], {
        "class": answer, "kind": kind, "size": size, "pixel_scale": scale, "magnitude_r": magnitude,
        "seeing": seeing, "moffat_beta": beta, "field_objects": count, "components": frame.components,
    }  # fmt: skip
