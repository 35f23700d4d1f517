"""Draw what lies in, on or in front of a galaxy: dust, nuclei, polar rings, jets, lensed sources, neighbours, stars."""

import math

import numpy as np

from peculiar.simulation import discs, gas, lenses
from peculiar.simulation.canvas import Place, Stars
from peculiar.simulation.field import bright_star
from peculiar.simulation.sketch import Sketch


def dust_lane(sketch: Sketch) -> None:
    """Draw a lane of dust across a galaxy without any other young stars, such as NGC 5128."""
    angle = sketch.scene.angle + float(sketch.rng.choice([0, 90])) + float(sketch.rng.normal(0, 12))
    depth, width = sketch.uniform(0.8, 3.0), sketch.uniform(0.08, 0.2)
    offset, length = float(sketch.rng.normal(0, 0.05)), sketch.uniform(0.7, 1.3)
    place = Place(0, 0, 1, angle)
    bow = float(sketch.rng.normal(0, 0.15))
    sketch.scene.add("dust_lane", discs.Lane(place, offset, width, length, depth, bow, sketch.start()))
    sketch.mark("dust_lane", depth, size=length, width=2 * width)


def double_nucleus(sketch: Sketch) -> None:
    """Draw a second nucleus."""
    gap, way = sketch.uniform(0.2, 0.7), sketch.uniform(0, 6.28)
    light = sketch.uniform(0.08, 0.25)
    place = Place(gap * math.cos(way), gap * math.sin(way), sketch.uniform(0.7, 1), sketch.uniform(0, 180))
    sketch.scene.add(
        "double_nucleus", discs.Spheroid(place, sketch.uniform(0.08, 0.16), 1.5, light, sketch.stars("old"))
    )
    sketch.mark("double_nucleus", light, x=place.x, y=place.y, size=gap, width=0.9 * gap)


def polar_ring(sketch: Sketch) -> None:
    """Draw a ring about the poles of an early-type galaxy (Whitmore et al. 1990, AJ 100, 1489)."""
    angle = sketch.scene.angle + 90 + float(sketch.rng.normal(0, 12))
    radius, light = sketch.uniform(1.1, 2.2), sketch.uniform(0.15, 0.4)
    place = Place(0, 0, sketch.uniform(0.1, 0.3), angle)
    ring = discs.Ring(
        place, radius, radius * sketch.uniform(0.12, 0.25), sketch.uniform(0, 0.4), sketch.uniform(0, 6.28), 0.35,
        sketch.start(), 0.0, 0.0, light, sketch.stars("young"),
    )  # fmt: skip
    front = discs.Lane(
        Place(0, 0, 1, angle), radius * place.q, 0.07, 0.8 * radius, sketch.uniform(0, 0.5), 0.0, sketch.start()
    )
    sketch.scene.add("ring_polar", front, ring)
    sketch.mark("ring_polar", light, size=radius, width=0.4 * radius, angle=angle % 180)


def jet(sketch: Sketch) -> None:
    """Draw an optical jet."""
    towards, reach, light = sketch.uniform(0, 6.28), sketch.uniform(0.6, 2.0), sketch.uniform(0.02, 0.08)
    sketch.scene.add("jet", gas.jet(sketch.rng, towards, reach, light))
    sketch.scene.add("jet", lenses.Points((0.0,), (0.0,), (sketch.uniform(0.01, 0.06),), Stars("quasar")))
    sketch.mark("jet", light, size=reach, width=0.5 * reach, angle=math.degrees(towards))


def ionisation_cone(sketch: Sketch) -> None:
    """Draw ionisation cones of an active nucleus."""
    towards, opening = sketch.uniform(0, 6.28), sketch.uniform(0.3, 0.75)
    reach, light = sketch.uniform(0.8, 2.2), sketch.uniform(0.08, 0.25)
    sketch.scene.add("ionisation_cone", gas.Cone(towards, opening, reach, sketch.start(), light, Stars("line")))
    sketch.scene.add("ionisation_cone", lenses.Points((0.0,), (0.0,), (sketch.uniform(0.02, 0.08),), Stars("quasar")))
    sketch.mark(
        "ionisation_cone", light, size=reach, width=0.6 * reach, angle=math.degrees(towards) % 180,
        opening=math.degrees(opening),
    )  # fmt: skip


def lens(sketch: Sketch) -> None:
    """Draw a source behind the galaxy: an arc, a ring, or four images."""
    name = next(one for one in ("lens_arc", "einstein_ring", "lens_quad") if sketch.has(one))
    rng = sketch.rng
    einstein = sketch.uniform(0.6, 2.1)
    # Mass is rounder than light, and aligned with it (Koopmans et al. 2006, ApJ 649, 599).
    q = min(sketch.scene.axis_ratio + sketch.uniform(0, 0.15), 0.97)
    lens = lenses.Lens(Place(0, 0, q, sketch.scene.angle), einstein)
    way = sketch.uniform(0, 6.28)
    off = {
        "einstein_ring": abs(rng.normal(0, 0.07)) * einstein,
        "lens_quad": sketch.uniform(0.08, 0.45) * lens.cusp,
        "lens_arc": sketch.uniform(0.15, 0.55) * einstein,
    }[name]
    x, y = off * math.cos(way), off * math.sin(way)
    stars = Stars("clump" if rng.random() < 0.5 else "young", float(rng.normal(0.4, 0.7)))
    if name == "lens_quad":
        seen = lens.images(x, y)
        light = float(np.exp(rng.uniform(math.log(0.002), math.log(0.03))))
        fluxes = np.abs([lens.magnification(*one) for one in seen]) * light
        # Stars in the lens and changes of the quasar scatter the fluxes (Witt, Mao & Schechter 1995, ApJ 443, 18).
        fluxes = np.minimum(fluxes, 0.5) * rng.lognormal(0, 0.2, len(fluxes))
        quasar = Stars("quasar", float(rng.normal(0, 0.4)))
        points = lenses.Points(tuple(seen[:, 0].tolist()), tuple(seen[:, 1].tolist()), tuple(fluxes.tolist()), quasar)
        sketch.scene.add(name, points)
        sketch.scene.add(name, lenses.Lensed(lens, Place(x, y, 0.7, 0), 0.12 * einstein, 1.0, (), 0.25 * light, stars))
        total, count = float(fluxes.sum()), len(seen)
    else:
        radius = einstein * sketch.uniform(0.05, 0.14)
        light = float(np.exp(rng.uniform(math.log(0.004), math.log(0.05)))) * radius / (0.1 * einstein)
        knots = tuple(
            (float(x + rng.normal(0, radius)), float(y + rng.normal(0, radius)), float(0.25 * radius), 0.1)
            for _ in range(int(rng.integers(0, 4)))
        )
        place = Place(x, y, sketch.uniform(0.5, 1), sketch.uniform(0, 180))
        sketch.scene.add(name, lenses.Lensed(lens, place, radius, 1.0, knots, light, stars))
        count = len(lens.images(x, y))
        total = light
    sketch.mark(
        name, total, size=einstein, width=einstein, source_x=x, source_y=y, mass_axis_ratio=q, images=count,
    )  # fmt: skip


def neighbour(sketch: Sketch) -> None:
    """Draw a galaxy that is near by chance: undisturbed."""
    rng = sketch.rng
    gap, way = sketch.uniform(0.9, 3.2), sketch.uniform(0, 6.28)
    light, radius = float(np.exp(rng.uniform(math.log(0.06), math.log(0.9)))), sketch.uniform(0.25, 0.8)
    x, y = gap * math.cos(way), gap * math.sin(way)
    place = Place(x, y, sketch.uniform(0.25, 1), sketch.uniform(0, 180))
    bulge = sketch.uniform(0, 1) * light
    young = rng.random() < 0.4
    sketch.scene.add(
        "neighbour",
        discs.Spheroid(place, radius, 1.0, light - bulge, sketch.stars("young" if young else "disc", 0.5)),
        discs.Spheroid(
            Place(x, y, max(place.q, 0.6), place.angle), 0.35 * radius, 2.5, bulge, sketch.stars("old", 0.5)
        ),
    )
    sketch.mark("neighbour", light, x=x, y=y, size=radius, width=0.7 * gap)


def foreground_star(sketch: Sketch) -> None:
    """Draw a star in front of the galaxy."""
    light = float(np.exp(sketch.rng.uniform(math.log(0.02), math.log(0.8))))
    x, y, colour = bright_star(sketch.rng, near=0.15, far=1.8)
    sketch.scene.add("foreground_star", lenses.Points((x,), (y,), (light,), colour))
    sketch.mark("foreground_star", light, x=x, y=y, size=0.1, width=math.hypot(x, y))
