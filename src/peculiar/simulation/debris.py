"""Draw what encounters do: tails, bridges, streams, shells, collisional rings, stripped gas."""

import math

import numpy as np

from peculiar.simulation import discs, encounters, gas
from peculiar.simulation.canvas import Place
from peculiar.simulation.sketch import Sketch


def encounter(sketch: Sketch) -> None:
    """Draw two discs after a passage, with tails or a bridge between them."""
    rng, scene = sketch.rng, sketch.scene
    bridge = sketch.has("bridge")
    ratio = sketch.uniform(0.15, 0.6) if bridge else float(np.exp(rng.uniform(math.log(0.15), 0)))
    fled = rng.random() < 0.6
    passage = encounters.encounter(
        rng, ratio=ratio, pericentre=sketch.uniform(1.5, 3.0),
        speed=sketch.uniform(0.95, 1.1) if fled else sketch.uniform(0.6, 0.85),
        since=sketch.uniform(2.5, 5.0) if bridge else sketch.uniform(3.0, 8.5), prograde=rng.random() < 0.8, count=1300,
    )  # fmt: skip
    turn = encounters.rotation(math.acos(sketch.uniform(0.45, 1)), sketch.uniform(0, 6.28))
    turn = turn @ encounters.rotation(0, sketch.uniform(0, 6.28))
    gas_rich = rng.random() < 0.7
    tails = 0.0
    between = 0.0
    far: list[np.ndarray] = []
    share_of = (1 / (1 + ratio), ratio / (1 + ratio))
    origin = turn @ passage.centres[0]
    for own in (0, 1):
        centre = (turn @ passage.centres[own])[:2] - origin[:2]
        sky = (turn @ passage.places[own])[:2] - origin[:2, None]
        shares, out, middle = passage.shares[own], passage.stripped[own], passage.between[own]
        bulge = sketch.uniform(0.15, 0.45)
        size = (1.0, math.sqrt(ratio))[own]
        light = share_of[own] * (1 - bulge)
        rest = ~out
        stars = sketch.stars("disc" if gas_rich else "old")
        scene.add(
            None,
            encounters.Debris(sky[0][rest], sky[1][rest], shares[rest] / shares.sum(), 0.1 * size, light, stars),
        )
        debris = sketch.stars("young" if gas_rich and rng.random() < 0.5 else "disc")
        for feature, which in (("tidal_tail", out & ~middle), ("bridge", middle)):
            if which.sum() > 5:
                # Outskirts, with gas that forms stars in the debris, are brighter than an exponential disc has them.
                boosted = 2.2 * light
                scene.add(
                    feature,
                    encounters.Debris(
                        sky[0][which], sky[1][which], shares[which] / shares.sum(), 0.09 * size, boosted, debris
                    ),
                )
        tails += 2.2 * light * float(shares[out & ~middle].sum() / shares.sum())
        between += 2.2 * light * float(shares[middle].sum() / shares.sum())
        far.append(np.hypot(*sky)[out])
        place = Place(float(centre[0]), float(centre[1]), sketch.uniform(0.6, 1), sketch.uniform(0, 180))
        scene.add(
            None,
            discs.Spheroid(
                place,
                size * sketch.uniform(0.2, 0.35),
                sketch.uniform(1, 3),
                share_of[own] * bulge,
                sketch.stars("old"),
            ),
        )
    scene.bulge_fraction = 0.3
    reach = float(np.quantile(np.concatenate(far), 0.9)) if sum(map(len, far)) else 0.0
    gap = float(np.hypot(*(turn @ (passage.centres[1] - passage.centres[0]))[:2]))
    more = {"ratio": ratio, "separation": gap}
    if sketch.has("tidal_tail") or tails > 0.02:
        sketch.mark("tidal_tail", tails, size=reach, width=0.4, **more)
    if bridge or between > 0.01:
        sketch.mark("bridge", between, size=gap, width=0.25 * gap, **more)


def shells(sketch: Sketch) -> None:
    """Draw shells around an early-type galaxy, from a small galaxy that fell in radially."""
    distance, time = sketch.uniform(2.2, 4.5), sketch.uniform(16, 42)
    fallen = encounters.shells(sketch.rng, distance=distance, time=time, count=3000)
    turn = encounters.rotation(math.acos(sketch.uniform(0.6, 1)), sketch.uniform(0, 6.28))
    sky = (turn @ fallen)[:2]
    light = sketch.uniform(0.06, 0.22)
    share = np.full(3000, 1 / 3000)
    sketch.scene.add(
        "shells",
        encounters.Debris(
            sky[0], sky[1], share, 0.05, light, sketch.stars("old" if sketch.rng.random() < 0.6 else "disc")
        ),
    )
    size = float(np.quantile(np.hypot(*sky), 0.95))
    sketch.mark("shells", light, size=size, width=0.25 * size)


def stream(sketch: Sketch) -> None:
    """Draw a stellar stream, with the remnant of its satellite or without."""
    distance = sketch.uniform(1.8, 3.6)
    fallen = encounters.stream(
        sketch.rng, distance=distance, circular=sketch.uniform(0.45, 0.9), length=sketch.uniform(9, 24), count=900
    )
    turn = encounters.rotation(math.acos(sketch.uniform(0.3, 1)), sketch.uniform(0, 6.28))
    turn = turn @ encounters.rotation(0, sketch.uniform(0, 6.28))
    sky = (turn @ fallen)[:2]
    light = sketch.uniform(0.03, 0.12)
    share = np.full(900, 1 / 900)
    sketch.scene.add("stream", encounters.Debris(sky[0], sky[1], share, 0.08, light, sketch.stars("disc")))
    size = float(np.quantile(np.hypot(*sky), 0.9))
    sketch.mark("stream", light, size=size, width=0.3)


def collisional_ring(sketch: Sketch) -> None:
    """Draw a ring driven outwards by a head-on intruder (Lynds & Toomre 1976, ApJ 209, 382), nucleus off its centre."""
    rng = sketch.rng
    place = Place(float(rng.normal(0, 0.2)), float(rng.normal(0, 0.2)), sketch.tilt(0.45), sketch.uniform(0, 180))
    radius = sketch.uniform(1.1, 2.0)
    light, width = sketch.uniform(0.5, 1.1), radius * sketch.uniform(0.1, 0.18)
    ring = discs.Ring(
        place, radius, width, sketch.uniform(0.3, 0.9), sketch.uniform(0, 6.28), 0.6, sketch.start(), 0.0,
        sketch.uniform(0.5, 0.9), 0.8 * light, sketch.stars("young"),
    )  # fmt: skip
    count = int(rng.integers(8, 26))
    knots = discs.clumps(
        rng, place, rng.normal(radius, 0.4 * width, count), rng.uniform(0, 6.28, count), 0.07, 0.2 * light,
        sketch.stars("clump"),
    )  # fmt: skip
    sketch.scene.parts.insert(1, ("ring_collisional", ring))
    sketch.scene.add("ring_collisional", knots)
    way, gap = sketch.uniform(0, 6.28), radius * sketch.uniform(1.7, 2.8)
    intruder = Place(gap * math.cos(way), gap * math.sin(way), sketch.uniform(0.6, 1), sketch.uniform(0, 180))
    sketch.scene.add(
        None, discs.Spheroid(intruder, sketch.uniform(0.2, 0.4), 2.0, sketch.uniform(0.15, 0.6), sketch.stars("old"))
    )
    sketch.mark("ring_collisional", light, x=place.x, y=place.y, size=radius, width=radius * place.q)


def ram_pressure_tail(sketch: Sketch) -> None:
    """Draw the tail of a galaxy that moves through the gas of a cluster."""
    towards, reach = sketch.uniform(0, 6.28), sketch.uniform(1.8, 3.6)
    light = sketch.uniform(0.1, 0.35)
    place = Place(0, 0, sketch.scene.axis_ratio, sketch.scene.angle)
    parts = gas.stripped(sketch.rng, place, towards, reach, sketch.uniform(0.5, 0.9), light)
    sketch.scene.add("ram_pressure_tail", *parts)
    middle = 0.5 * reach
    sketch.mark(
        "ram_pressure_tail",
        light,
        x=middle * math.cos(towards),
        y=middle * math.sin(towards),
        size=reach,
        width=0.4,
    )
