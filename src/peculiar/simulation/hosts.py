"""Draw the galaxy itself: elliptical, disc seen face-on or edge-on, irregular, dwarf."""

import math

import numpy as np

from peculiar.simulation import discs
from peculiar.simulation.canvas import Place
from peculiar.simulation.debris import collisional_ring
from peculiar.simulation.edge_on import BoxyBulge, DustLayer, EdgeOnDisc, Warp
from peculiar.simulation.sketch import Sketch


def elliptical(sketch: Sketch) -> None:
    """Draw an elliptical galaxy: Sersic, with a faint envelope of another flattening."""
    q, n = sketch.uniform(0.55, 1), float(np.clip(sketch.rng.normal(4, 1.2), 1.8, 7))
    sketch.scene.axis_ratio, sketch.scene.angle, sketch.scene.bulge_fraction = q, sketch.angle, 1.0
    envelope = sketch.uniform(0, 0.25)
    old = sketch.stars("old")
    sketch.scene.add(None, discs.Spheroid(Place(0, 0, q, sketch.angle), 0.9, n, 1 - envelope, old))
    outer = Place(0, 0, min(q * sketch.uniform(0.8, 1.05), 1.0), sketch.angle + sketch.rng.normal(0, 8))
    sketch.scene.add(None, discs.Spheroid(outer, 2.2, 1.2, envelope, old))


def dwarf(sketch: Sketch) -> None:
    """Draw a dwarf elliptical or spheroidal: nearly exponential."""
    q = sketch.uniform(0.5, 1)
    sketch.scene.axis_ratio, sketch.scene.angle = q, sketch.angle
    place = Place(0, 0, q, sketch.angle)
    population = "disc" if sketch.rng.random() < 0.6 else "young"
    sketch.scene.add(None, discs.Spheroid(place, 1.0, sketch.uniform(0.7, 1.4), 1.0, sketch.stars(population)))


def face_on(sketch: Sketch) -> None:
    """Draw a lenticular or spiral galaxy seen more or less face-on."""
    rng, scene, spiral = sketch.rng, sketch.scene, sketch.scene.host == "spiral"
    q = sketch.tilt(0.42 if {"ring_inner", "ring_outer", "bar"} & sketch.names else 0.33)
    place = Place(0, 0, q, sketch.angle)
    late = sketch.uniform(0, 1) if spiral else 0.0
    faint = sketch.has("low_surface_brightness")
    bulge = (0.42 * (1 - late) ** 1.6 + 0.02) * rng.lognormal(0, 0.3) if spiral else sketch.uniform(0.25, 0.6)
    bulge = min(bulge * (0.3 if faint else 1), 0.65)
    scene.axis_ratio, scene.angle, scene.bulge_fraction = q, sketch.angle, float(bulge)
    bar = _bar(sketch, place, late)
    rings = _rings(sketch, place, late, bar)
    arms = _arms(sketch, place, late, bar, rings)
    taken = sum((one.light for _, one in bar), 0.0) + sum(one.light for _, one in rings)
    taken += sum(one.light for _, one in arms)
    clumps = _clumps(sketch, place, late, arms[-1][1] if arms else None)
    taken += sum(part.light for _, part in clumps)
    rest = max(1 - bulge - taken, 0.15)
    rounder = Place(0, 0, q + (1 - q) * sketch.uniform(0.4, 0.9), sketch.angle)
    size = sketch.uniform(0.14, 0.34) * (1 if spiral else 1.15)
    nucleus = discs.Spheroid(rounder, size, sketch.uniform(0.9, 3.2), bulge, sketch.stars("old"))
    scale = discs.SCALE * sketch.uniform(0.9, 1.15)
    # Most discs are cut off, at some three scale lengths (Pohlen & Trujillo 2006, A&A 454, 759).
    outer = scale * (sketch.uniform(0.35, 0.7) if rng.random() < 0.65 else 1.0)
    cut = scale * sketch.uniform(2.0, 3.6)
    if rings and rng.random() < 0.5:  # many rings mark the edge of the bright disc
        cut = rings[-1][1].radius * sketch.uniform(1.1, 1.6)
    lop = abs(rng.normal(0, 0.05 + 0.09 * late))
    disc = discs.Disc(
        place, scale, cut, outer, min(lop, 0.35), sketch.uniform(0, 6.28),
        0.12 + 0.35 * late if spiral else 0.04, sketch.start(), rest,
        sketch.stars("disc" if spiral or rng.random() < 0.3 else "old"),
    )  # fmt: skip
    scene.add(None, disc)
    layers: list[tuple[str, discs.Part]] = [*rings, *bar, *arms, *clumps]
    for feature, part in layers:
        scene.add(feature, part)
    scene.add(None, nucleus)
    if sketch.has("ring_collisional"):
        collisional_ring(sketch)


def _bar(sketch: Sketch, place: Place, late: float) -> list[tuple[str, discs.Bar]]:
    """Draw a bar: long and flat in early types, short and exponential in late ones (Elmegreen & Elmegreen 1985)."""
    if not sketch.has("bar"):
        return []
    length = sketch.uniform(0.55, 1.15) * (1 - 0.35 * late)
    ratio, turn = sketch.uniform(0.18, 0.36), sketch.uniform(0, 180)
    light = sketch.uniform(0.1, 0.28) * (1 - 0.3 * late)
    ansae = sketch.uniform(0.15, 0.6) if late < 0.3 and sketch.rng.random() < 0.35 else 0.0
    bar = discs.Bar(
        place, length, ratio, turn, sketch.uniform(2, 3.6), sketch.uniform(0.8, 1.6) + 1.2 * late, ansae, light,
        sketch.stars("old", 0.08),
    )  # fmt: skip
    x, y = place.sky(math.cos(math.radians(turn)), math.sin(math.radians(turn)))
    seen = length * math.hypot(float(x), float(y))
    sketch.mark("bar", light, size=seen, width=0.9 * seen, angle=math.degrees(math.atan2(float(y), float(x))) % 180)
    return [("bar", bar)]


def _rings(sketch: Sketch, place: Place, late: float, bar: list[tuple[str, discs.Bar]]) -> list[tuple[str, discs.Ring]]:
    """Draw an inner ring, around the bar, and an outer one, at some 2.2 times its radius (Athanassoula et al. 1982)."""
    rings: list[tuple[str, discs.Ring]] = []
    inner = bar[0][1].length * sketch.uniform(0.98, 1.15) if bar else sketch.uniform(0.6, 1.15)
    turn = bar[0][1].turn if bar else sketch.uniform(0, 180)
    for name, radius in (("ring_inner", inner), ("ring_outer", inner * float(sketch.rng.normal(2.2, 0.2)))):
        if not sketch.has(name):
            continue
        outer = name == "ring_outer"
        radius = min(max(radius, 1.35), 2.6) if outer else radius
        # Inner rings are elongated along the bar, most outer ones across it (Buta 1995, ApJS 96, 39).
        own = sketch.uniform(0.78, 1.0)
        light = sketch.uniform(0.08, 0.3) * (0.8 if outer else 1)
        width = radius * sketch.uniform(0.07, 0.17)
        blue = sketch.rng.random() < (0.55 if late else 0.3)
        uneven = sketch.uniform(0, 0.45 + 0.3 * late)
        ring = discs.Ring(
            _tilted(place, own, turn + (90 if outer and sketch.rng.random() < 0.6 else 0)), radius, width, uneven,
            sketch.uniform(0, 6.28), sketch.uniform(0.1, 0.35) + 0.4 * late, sketch.start(),
            sketch.uniform(-3, 3) if late else 0.0, sketch.uniform(0.2, 0.85), light,
            sketch.stars("young" if blue else "disc"),
        )  # fmt: skip
        sketch.mark(name, light, size=radius, width=radius * min(place.q + 0.15, 1.0))
        rings.append((name, ring))
    return rings


def _arms(
    sketch: Sketch, place: Place, late: float, bar: list[tuple[str, discs.Bar]], rings: list[tuple[str, discs.Ring]]
) -> list[tuple[str, discs.Arms]]:
    """Draw spiral arms, more open and stronger in late types (Kennicutt 1981, AJ 86, 1847)."""
    if not sketch.has("arms"):
        return []
    rng = sketch.rng
    flocculent = rng.random() < 0.3
    number = int(rng.choice([1, 2, 3, 4, 5], p=[0.03, 0.62, 0.17, 0.12, 0.06]))
    pitch = float(np.clip(rng.normal(11 + 14 * late, 4), 7, 38))
    inner = 0.9 * bar[0][1].length if bar else sketch.uniform(0.2, 0.5)
    inner = max([inner, *(part.radius for _, part in rings if part.radius < 1.3)])
    light = sketch.uniform(0.12, 0.28) + sketch.uniform(0.0, 0.28) * late
    rough = 0.75 if flocculent else 0.25 + 0.35 * late
    arms = discs.Arms(
        place, number, pitch, int(rng.choice([-1, 1])), sketch.uniform(0, 6.28),
        sketch.uniform(0.4, 1.0) if flocculent else sketch.uniform(0.9, 3.0), inner, sketch.uniform(1.9, 3.0),
        min(abs(rng.normal(0, 0.25)), 0.8), rough, sketch.uniform(0.2, 0.7) * math.sqrt(number),
        sketch.uniform(0, 0.35), sketch.start(), light,
        sketch.stars("young" if late > 0.25 or rng.random() < 0.4 else "disc"),
    )  # fmt: skip
    gap = 2 * math.pi * math.tan(math.radians(pitch)) / number  # from arm to arm, in the logarithm of the radius
    turns = math.log(2.4 / inner) / math.tan(math.radians(pitch)) / (2 * math.pi)
    sketch.mark(
        "arms", light, size=arms.outer, width=max(min(gap, 1.2), 0.1) * place.q,
        number=number, pitch=pitch, turns=turns, sense=arms.sense, concentration=arms.sharp,
    )  # fmt: skip
    return [("arms", arms)]


def _clumps(sketch: Sketch, place: Place, late: float, arms: discs.Arms | None) -> list[tuple[str, discs.Clumps]]:
    """Draw star-forming clumps, on the arms if there are any."""
    if not sketch.has("clumps"):
        return []
    count = int(sketch.rng.integers(8, 45))
    r = np.clip(sketch.rng.gamma(3, 0.36, count), 0.15, 2.6)
    if arms:
        k = sketch.rng.integers(0, arms.number, count)
        theta = arms.winding * np.log(r) + arms.phase + 2 * math.pi * k / arms.number
        theta = theta + sketch.rng.normal(0, 0.35 / math.sqrt(arms.number), count)
    else:
        theta = sketch.rng.uniform(0, 2 * math.pi, count)
    light = sketch.uniform(0.03, 0.08) + sketch.uniform(0, 0.12) * late
    size = sketch.uniform(0.02, 0.06)
    clumps = discs.clumps(sketch.rng, place, r, theta, size, light, sketch.stars("clump"))
    sketch.mark("clumps", light, size=2 * size, width=0.4, number=count)
    return [("clumps", clumps)]


def edge_on(sketch: Sketch) -> None:
    """Draw a disc seen edge-on, with a bulge."""
    rng, scene = sketch.rng, sketch.scene
    late = sketch.uniform(0, 1)
    place = Place(0, 0, 1, sketch.angle)
    bulge = min((0.4 * (1 - late) ** 1.5 + 0.01) * rng.lognormal(0, 0.3), 0.6)
    boxy = sketch.has("boxy_bulge")
    bulge = max(bulge, sketch.uniform(0.15, 0.4)) if boxy else bulge
    height = sketch.uniform(0.06, 0.15)
    scale = sketch.uniform(0.55, 0.8)
    disc = EdgeOnDisc(
        place, scale, height, sketch.uniform(3.0, 4.5) * scale, 0.1 + 0.3 * late, sketch.start(), 1 - bulge,
        sketch.stars("young" if late > 0.65 else "disc" if late > 0.15 else "old"),
    )  # fmt: skip
    scene.axis_ratio, scene.angle, scene.bulge_fraction = min(1.2 * height, 0.3), sketch.angle, float(bulge)
    scene.add("edge_on", disc)
    sketch.mark("edge_on", 1 - bulge, size=disc.cut, width=0.5, height=height)
    stars = sketch.stars("old")
    if boxy:
        radius, pinch = sketch.uniform(0.35, 0.6), sketch.uniform(0.1, 0.9)
        part = BoxyBulge(place, radius, sketch.uniform(0.4, 0.6), sketch.uniform(2.6, 4), pinch, bulge, stars)
        scene.add("boxy_bulge", part)
        sketch.mark("boxy_bulge", bulge, size=radius, width=0.7 * radius, pinch=pinch)
    else:
        round_ = Place(0, 0, sketch.uniform(0.5, 0.9), sketch.angle)
        scene.add(None, discs.Spheroid(round_, sketch.uniform(0.2, 0.4), sketch.uniform(1, 3), bulge, stars))
    warp = None
    if sketch.has("warp"):
        rate = sketch.uniform(0.06, 0.25) * float(rng.choice([-1, 1]))
        warp = Warp(disc, rate, sketch.uniform(0.7, 1.2), bool(rng.random() < 0.2))
        scene.add("warp", warp)
        rise = abs(float(warp.rise(disc.cut)))
        sketch.mark("warp", rise / disc.cut, size=disc.cut, width=rise, bowl=float(warp.bowl))
    if sketch.has("dust_lane"):
        depth = sketch.uniform(0.7, 1.8)
        scene.add("dust_lane", DustLayer(disc, warp, depth))
        sketch.mark("dust_lane", depth, size=2 * scale, width=0.6 * height)
    else:
        scene.add(None, DustLayer(disc, warp, sketch.uniform(0, 0.35)))


def irregular(sketch: Sketch) -> None:
    """Draw an irregular galaxy: a lopsided, patchy disc without a centre of its own."""
    rng = sketch.rng
    q = sketch.uniform(0.4, 0.9)
    place = Place(0, 0, q, sketch.angle)
    sketch.scene.axis_ratio, sketch.scene.angle = q, sketch.angle
    clumps = _clumps(sketch, place, 1.0, None)
    taken = sum(part.light for _, part in clumps)
    young = sketch.uniform(0.2, 0.5)
    for light, population, rough in ((1 - taken - young, "disc", 0.4), (young, "young", sketch.uniform(0.8, 1.3))):
        off = Place(float(rng.normal(0, 0.12)), float(rng.normal(0, 0.12)), q, sketch.angle)
        sketch.scene.add(None, discs.Disc(
            off, discs.SCALE, sketch.uniform(1.5, 3), discs.SCALE * sketch.uniform(0.4, 1), sketch.uniform(0.05, 0.45),
            sketch.uniform(0, 6.28), rough, sketch.start(), light, sketch.stars(population),
        ))  # fmt: skip
    for feature, part in clumps:
        sketch.scene.add(feature, part)


def _tilted(place: Place, own: float, turn: float) -> Place:
    """Place of an ellipse of axis ratio ``own`` in the plane of a disc, ``turn`` degrees from its major axis."""
    c, s = math.cos(math.radians(turn)), math.sin(math.radians(turn))
    ellipse = np.array([[c, -s * own], [s, c * own]])
    a, b = math.cos(math.radians(place.angle)), math.sin(math.radians(place.angle))
    sky = np.array([[a, -b * place.q], [b, a * place.q]]) @ ellipse
    axes, lengths, _ = np.linalg.svd(sky)
    return Place(place.x, place.y, float(lengths[1] / lengths[0]), math.degrees(math.atan2(axes[1, 0], axes[0, 0])))
