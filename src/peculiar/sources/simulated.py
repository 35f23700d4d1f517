"""Simulated galaxies in the exercise's four classes, with the truth known.

Each galaxy is built from light profiles of the literature in the bands g, r and i, blurred by the atmosphere, given the
noise of an SDSS exposure and turned into a colour picture. Scores on simulations say nothing about the sky.

Pixels are (row, column) from the top-left; ``x`` counts columns, ``y`` rows, and (0, 0) is the centre of the top-left
pixel. Position angles are in degrees from the column axis towards the row axis. Fluxes are in nanomaggies (nMgy:
magnitude = 22.5 - 2.5 log10 flux). Arrays over bands are in the order of the colours they become: i, r, g.
"""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from peculiar.errors import UnknownNameError, UsageError
from peculiar.questions.question import FOUR_CLASS
from peculiar.sources.observation import PIXEL, Floats, Rng, blur, expose, lupton
from peculiar.sources.profiles import Frame, Place

__all__ = ["Simulation", "simulate", "simulate_galaxy"]

# Numbers of galaxies of each class in the exercise's 1,400.
_SHARES = {"Normal": 487, "Ringed": 291, "Merger": 371, "Other": 251}


@dataclass(frozen=True, slots=True)
class Simulation:
    """Simulated galaxies.

    Attributes
    ----------
    pictures : ndarray of uint8, shape (n, size, size, 3)
        Colour pictures, 0..255, red, green and blue from the bands i, r and g.
    labels : ndarray of float32, shape (n, 4)
        The class, one-hot, in the order of ``FOUR_CLASS.answers``.
    parameters : list of dict
        The truth of each picture as plain Python values that JSON can hold: ``class``, ``kind``, ``size`` (pixels),
        ``pixel_scale`` (arcsec per pixel), ``seeing`` (full width at half maximum, arcsec), ``moffat_beta``,
        ``magnitude_r``, ``sky_noise`` (rms of empty sky, nMgy per pixel in i, r, g), ``field_objects`` (their number),
        the display's ``black``, ``stretch`` and ``softening``, and ``components``, each with its ``part``, position
        (pixels), shape, and ``flux`` (nMgy in i, r, g, before dust). Radii and widths are in pixels.
    """

    pictures: NDArray[np.uint8]
    labels: NDArray[np.float32]
    parameters: list[dict[str, Any]]


def simulate(count: int, *, size: int = 128, seed: int = 222) -> Simulation:
    """Simulate galaxies in the exercise's proportions of the four classes.

    Parameters
    ----------
    count : int
        Number of galaxies, at least 1.
    size : int
        Height and width of a picture in pixels, at least 16.
    seed : int
        At least 0. Galaxy ``i`` uses ``default_rng([seed, i])``, so it does not depend on the others.

    Returns
    -------
    Simulation
        Pictures, labels and truth. The seed shuffles the order of the classes.

    Raises
    ------
    UsageError
        For a count below 1, a size below 16 or a seed below 0.

    Examples
    --------
    >>> import peculiar
    >>> simulation = peculiar.simulate(8, size=64)
    >>> simulation.pictures.shape, simulation.labels.shape
    ((8, 64, 64, 3), (8, 4))
    """
    if count < 1:
        raise UsageError(f"simulate() received count={count}; ask for at least 1 galaxy")
    if seed < 0:
        raise UsageError(f"simulate() received seed={seed}; give a whole number from 0 on")
    _check_size(size)
    classes = _classes(count)
    # Three numbers, because NumPy treats seed, [seed] and [seed, 0] alike, and [seed, 0] is the first galaxy's.
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
        The source of every random choice.
    size : int
        Height and width in pixels, at least 16.

    Returns
    -------
    picture : ndarray of uint8, shape (size, size, 3)
        The colour picture.
    truth : dict
        Its parameters: see `Simulation.parameters`.

    Raises
    ------
    UnknownNameError
        For an unknown class.
    UsageError
        For a size below 16.
    """
    _check_size(size)
    if answer not in _DRAW:
        raise UnknownNameError("class", answer, FOUR_CLASS.answers)
    light, truth = _scene(answer, rng, size)
    bands, truth["sky_noise"] = expose(light, truth["pixel_scale"], rng)
    # The display varies independently of the class: black level and stretch.
    display = {"black": rng.gamma(3, 0.0065), "stretch": rng.lognormal(0.3, 0.25), "softening": rng.uniform(4.2, 7)}
    # Flux per SDSS pixel's area: a JPEG cut-out keeps its surface brightness when it is enlarged.
    return lupton(bands * (PIXEL / truth["pixel_scale"]) ** 2, **display), truth | display


def _check_size(size: int) -> None:
    if size < 16:
        raise UsageError(f"a simulated galaxy of size={size} pixels cannot show its shape; give size=16 or more")


def _classes(count: int) -> NDArray[np.int64]:
    """Class numbers in the exercise's proportions, by the largest remainder method."""
    shares = np.array([_SHARES[answer] for answer in FOUR_CLASS.answers])
    exact = shares * count / shares.sum()
    whole = np.floor(exact).astype(int)
    whole[np.argsort(whole - exact, kind="stable")[: count - whole.sum()]] += 1
    return np.repeat(np.arange(len(shares)), whole)


def _pick(rng: Rng, **odds: float) -> str:
    return str(rng.choice(list(odds), p=list(odds.values())))


def _tilt(rng: Rng, least: float) -> float:
    """Axis ratio of a disc 0.2 thick at a random inclination (Hubble 1926, ApJ 64, 321), not below ``least``."""
    cosine = rng.uniform(math.sqrt((least**2 - 0.04) / 0.96), 1)
    return math.sqrt(0.04 + 0.96 * cosine**2)


def _host(frame: Frame, kind: str, place: Place, radius: float, flux_r: float, arm_share: float = 1.0) -> None:
    """Draw one galaxy: elliptical, lenticular, spiral, edge_on or irregular; the axis ratio is that of its disc."""
    rng = frame.rng
    if kind == "elliptical":
        frame.sersic("elliptical", place, radius, rng.uniform(2.5, 5), frame.flux("old", flux_r))
        return
    shares = {"lenticular": rng.uniform(0.25, 0.6), "irregular": rng.uniform(0, 0.05)}
    bulge = flux_r * shares.get(kind, rng.beta(1.6, 5))
    rounder = replace(place, q=place.q + (1 - place.q) * rng.uniform(0.4, 0.9), lopsided=0.0)
    frame.sersic("bulge", rounder, radius * rng.uniform(0.15, 0.35), rng.uniform(1, 4), frame.flux("old", bulge))
    rest = flux_r - bulge
    if kind == "lenticular":
        frame.sersic("disc", place, radius, 1.0, frame.flux(_pick(rng, old=0.6, disc=0.4), rest))
        return
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


def _normal(frame: Frame, place: Place, radius: float, flux: float) -> str:
    rng = frame.rng
    kind = _pick(rng, elliptical=0.25, lenticular=0.17, spiral=0.38, edge_on=0.14, irregular=0.06)
    q = {"elliptical": rng.uniform(0.5, 1), "edge_on": rng.uniform(0.13, 0.27)}.get(kind, _tilt(rng, 0.3))
    _host(frame, kind, replace(place, q=q), radius * (1.3 if kind == "edge_on" else 1), flux)
    return kind


def _ringed(frame: Frame, place: Place, radius: float, flux: float) -> str:
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


def _merger(frame: Frame, place: Place, radius: float, flux: float) -> str:
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
        lop = rng.uniform(0.1, 0.4), math.degrees(way) - angle + turn  # stretched towards each other
        galaxies.append(Place(x, y, rng.uniform(0.38, 0.95), angle, *lop))
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


def _other(frame: Frame, place: Place, radius: float, flux: float) -> str:
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


def _field(frame: Frame, scale: float) -> int:
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
    """Noise-free picture (3, size, size) of one galaxy in nMgy per pixel, blurred by the atmosphere, and its truth."""
    frame = Frame(size, rng)
    # None of this depends on the class, so brightness, size and seeing do not give it away.
    magnitude = min(max(rng.normal(15.7, 0.6), 14.3), 17.2)
    surface = min(max(rng.normal(20.9, 0.55), 20.0), 22.3)
    flux = 10 ** (0.4 * (22.5 - magnitude))
    # Mean surface brightness I within the half-light radius R: flux = 2 pi R^2 I (Graham & Driver 2005, section 2.1).
    arcsec = math.sqrt(10 ** (0.4 * (surface - magnitude)) / (2 * math.pi))
    # The size of a frame follows the galaxy, as in Galaxy Zoo (Willett et al. 2013, MNRAS 435, 2835).
    radius = size * min(max(rng.lognormal(math.log(0.1), 0.25), 0.055), 0.19)
    scale = arcsec / radius
    x, y = (size / 2 - 0.5 + rng.normal(0, 0.008 * size, 2)).tolist()
    kind = _DRAW[answer](frame, Place(x, y, 1.0, rng.uniform(0, 180)), radius, flux)
    if rng.random() < 0.1:  # a neighbour in projection only: closeness alone is not a merger
        distance, way = radius * rng.uniform(1.5, 4.5), rng.uniform(0, 2 * math.pi)
        x, y = x + distance * math.cos(way), y + distance * math.sin(way)
        light = frame.flux(_pick(rng, old=0.6, disc=0.4), flux * rng.uniform(0.08, 0.5))
        near = Place(x, y, rng.uniform(0.3, 1), rng.uniform(0, 180))
        frame.sersic("neighbour", near, radius * rng.uniform(0.3, 0.8), rng.uniform(1, 3), light)
    count = _field(frame, scale)
    seeing, beta = min(max(rng.lognormal(math.log(1.3), 0.12), 0.9), 1.9), rng.uniform(2.5, 4.5)
    inner = slice(frame.margin, -frame.margin)
    return blur(frame.light, seeing / scale, beta)[:, inner, inner], {
        "class": answer, "kind": kind, "size": size, "pixel_scale": scale, "magnitude_r": magnitude,
        "seeing": seeing, "moffat_beta": beta, "field_objects": count, "components": frame.components,
    }  # fmt: skip
