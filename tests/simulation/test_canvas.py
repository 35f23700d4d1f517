"""The canvas keeps light and its place."""

import numpy as np
import pytest

from peculiar.simulation.canvas import Canvas, Place, Stars
from peculiar.simulation.discs import Spheroid

BANDS = (762.0, 623.0, 477.0)
STARS = Stars("disc")


def flux(canvas: Canvas) -> float:
    return float(canvas.light[1].sum()) * canvas.step**2


@pytest.mark.parametrize("step", [0.04, 0.1, 0.2])
@pytest.mark.parametrize(("radius", "n"), [(1.0, 1.0), (0.5, 2.5), (0.15, 4.0)])
def test_a_profile_keeps_its_flux_on_any_grid(step: float, radius: float, n: float) -> None:
    canvas = Canvas(2 * round(5 / step), step, BANDS)
    Spheroid(Place(0.1, -0.2, 0.6, 30), radius, n, 0.7, STARS).paint(canvas)
    assert flux(canvas) == pytest.approx(0.7, rel=0.06)


def test_points_and_blobs_keep_flux_and_place_and_those_off_the_grid_add_none() -> None:
    canvas = Canvas(64, 0.1, BANDS)
    canvas.points([0.53, 40.0], [-1.21, 0.0], np.ones((3, 2)))
    assert flux(canvas) == pytest.approx(1, rel=1e-5)
    assert float((canvas.light[0] * canvas.x).sum()) * 0.01 == pytest.approx(0.53, abs=1e-3)
    assert float((canvas.light[0] * canvas.y).sum()) * 0.01 == pytest.approx(-1.21, abs=1e-3)
    for sigma in (0.0, 0.05, 0.4):
        other = Canvas(64, 0.1, BANDS)
        other.blobs([0.5], [1.0], sigma, [2.0], STARS)
        assert flux(other) == pytest.approx(2, rel=1e-3)


def test_particles_keep_their_light_and_sparse_ones_are_spread_more() -> None:
    rng = np.random.default_rng(1)
    canvas = Canvas(160, 0.05, BANDS)
    x, y = rng.normal(0, 0.2, (2, 800))
    canvas.particles(np.append(x, 2.0), np.append(y, 2.0), np.full(801, 1 / 801), 0.05, STARS)
    assert flux(canvas) == pytest.approx(1, rel=0.02)
    row, column = (np.abs(axis.ravel() - 2.0).argmin() for axis in (canvas.y, canvas.x))
    lone = canvas.light[1, row - 12 : row + 13, column - 12 : column + 13]
    assert lone.max() < 0.3 / 801 / (2 * np.pi * 0.05**2)


def test_light_is_booked_to_the_feature_that_adds_or_takes_it() -> None:
    canvas = Canvas(40, 0.1, BANDS)
    Spheroid(Place(), 1.0, 1.0, 1.0, STARS).paint(canvas)
    before = canvas.light[1].copy()
    with canvas.feature("dust"):
        canvas.dim(np.full((40, 40), 0.5, np.float32))
    assert canvas.added["dust"] == pytest.approx(before * (np.exp(-0.5) - 1), rel=1e-4)
    assert set(canvas.added) == {"dust"}


@pytest.mark.parametrize("place", [Place(), Place(0.3, -0.4, 0.5, 35), Place(1, 1, 0.2, 120)])
def test_plane_and_sky_are_inverse(place: Place) -> None:
    u, v = place.plane(*place.sky(0.7, -0.2))
    assert (u, v) == pytest.approx((0.7, -0.2))
