"""Images of lenses satisfy the lens equation."""

import math

import numpy as np
import pytest

from peculiar.simulation.canvas import Canvas, Place, Stars
from peculiar.simulation.lenses import Lens, Lensed


@pytest.mark.parametrize("q", [0.6, 0.8, 0.95])
@pytest.mark.parametrize("angle", [0.0, 40.0])
def test_images_satisfy_the_lens_equation_and_are_four_inside_the_caustic(q: float, angle: float) -> None:
    lens = Lens(Place(0.1, -0.2, q, angle), 1.5)
    inside, outside = 0.4 * lens.cusp, 0.7 * lens.einstein
    for off, number in ((inside, 4), (outside, 2)):
        x, y = lens.place.x + off * math.cos(0.3), lens.place.y + off * math.sin(0.3)
        images = lens.images(x, y)
        assert len(images) == number
        for image in images:
            assert lens.source(*image) == pytest.approx((x, y), abs=2e-4)


def test_a_nearly_round_lens_makes_a_ring_of_the_einstein_radius() -> None:
    lens = Lens(Place(0, 0, 0.998, 0), 1.2)
    canvas = Canvas(160, 0.04, (762.0, 623.0, 477.0))
    Lensed(lens, Place(0.0, 0.0), 0.08, 1.0, (), 0.1, Stars("young")).paint(canvas)
    r = np.hypot(canvas.x, canvas.y)
    light = canvas.light[1]
    assert (light * r).sum() / light.sum() == pytest.approx(1.2, abs=0.04)


def test_magnification_is_that_of_an_isothermal_sphere() -> None:
    # mu = theta / (theta - theta_E) on one side, for a sphere: Narayan & Bartelmann (1996), eq. 24.
    lens = Lens(Place(0, 0, 0.9999, 0), 1.0)
    assert lens.magnification(1.5, 0.0) == pytest.approx(3.0, rel=0.03)
    assert lens.magnification(-0.5, 0.0) == pytest.approx(-1.0, rel=0.06)


def test_lensing_keeps_surface_brightness_and_so_magnifies_flux() -> None:
    lens = Lens(Place(0, 0, 0.8, 20), 1.0)
    canvas = Canvas(200, 0.03, (623.0,))
    Lensed(lens, Place(0.05, 0.0), 0.1, 1.0, (), 1.0, Stars("young")).paint(canvas)
    alone = 0.5 / (math.pi * 0.1**2)  # mean within the half-light radius
    assert canvas.light[0].max() < 4 * alone
    assert canvas.light[0].sum() * 0.03**2 > 3
