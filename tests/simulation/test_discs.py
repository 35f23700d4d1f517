"""Parts of discs hold the light, and lie where, they state."""

import numpy as np
import pytest

from peculiar.simulation.canvas import Canvas, Place, Stars
from peculiar.simulation.discs import SCALE, Arms, Bar, Disc, Lane, Ring

BANDS = (762.0, 623.0, 477.0)
START = (0.2, 0.7)
STARS = Stars("young")


def canvas_of(*parts: object, size: int = 240, step: float = 0.05) -> Canvas:
    canvas = Canvas(size, step, BANDS)
    for part in parts:
        part.paint(canvas)  # type: ignore[attr-defined]
    return canvas


def flux(canvas: Canvas) -> float:
    return float(canvas.light[1].sum()) * canvas.step**2


@pytest.mark.parametrize(
    "part",
    [
        Disc(Place(0, 0, 0.7, 20), SCALE, 1.6, 0.3, 0.2, 1.0, 0.0, START, 1.0, STARS),
        Disc(Place(0, 0, 0.7, 20), SCALE, 1.6, SCALE, 0.0, 1.0, 0.0, START, 1.0, STARS),
        Bar(Place(0, 0, 0.6, 50), 1.0, 0.3, 40, 2.0, 2.5, 0.0, 1.0, STARS),
        Bar(Place(0, 0, 0.6, 50), 1.0, 0.3, 40, 3.4, 1.0, 0.5, 1.0, STARS),
        Ring(Place(0, 0, 0.8, 10), 1.2, 0.15, 0.3, 1.0, 0.0, START, 0.0, 0.0, 1.0, STARS),
        Arms(Place(0, 0, 0.8, 10), 2, 18, 1, 0.4, 1.5, 0.4, 2.5, 0.0, 0.0, 0.0, 0.0, START, 1.0, STARS),
    ],
)
def test_a_part_holds_its_light(part: object) -> None:
    assert flux(canvas_of(part)) == pytest.approx(1, rel=0.03)


def test_patches_change_the_light_of_a_disc_by_little() -> None:
    rough = Disc(Place(), SCALE, 2.0, 0.4, 0.0, 0.0, 0.6, START, 1.0, STARS)
    assert flux(canvas_of(rough)) == pytest.approx(1, rel=0.35)


@pytest.mark.parametrize(("radius", "q"), [(0.7, 1.0), (1.3, 0.6), (2.0, 0.8)])
def test_a_ring_lies_where_the_profile_of_the_azimuthal_mean_peaks(radius: float, q: float) -> None:
    place = Place(0, 0, q, 25)
    ring = Ring(place, radius, 0.1 * radius, 0.4, 1.0, 0.3, START, 0.0, 0.3, 0.3, STARS)
    disc = Disc(place, SCALE, 3.0, SCALE, 0.0, 0.0, 0.0, START, 0.7, STARS)
    with_ring, without = canvas_of(disc, ring), canvas_of(disc)
    r, _ = with_ring.polar(place)
    bins = np.arange(0.1, 2.8, 0.05)
    number = np.digitize(r, bins).ravel()
    extra = np.bincount(number, (with_ring.light[1] - without.light[1]).ravel()) / np.bincount(number)
    assert bins[np.argmax(extra[1 : len(bins)])] == pytest.approx(radius, abs=0.1 * radius)


@pytest.mark.parametrize("number", [2, 3, 4])
def test_arms_have_their_number_and_pitch(number: int) -> None:
    arms = Arms(Place(), number, 20, 1, 0.4, 2.0, 0.2, 2.8, 0.0, 0.0, 0.0, 0.0, START, 1.0, STARS)
    canvas = canvas_of(arms)
    r, theta = canvas.polar(Place())
    phases = []
    for radius in (1.0, 1.3):
        annulus = np.abs(r - radius) < 0.06
        modes = [np.sum(canvas.light[1][annulus] * np.exp(-1j * m * theta[annulus])) for m in range(1, 7)]
        assert int(np.argmax(np.abs(modes))) + 1 == number
        phases.append(-np.angle(modes[number - 1]) / number)
    turned = (phases[1] - phases[0] + np.pi / number) % (2 * np.pi / number) - np.pi / number
    expected = np.log(1.3) / np.tan(np.radians(20))
    expected = (expected + np.pi / number) % (2 * np.pi / number) - np.pi / number
    assert abs(turned) == pytest.approx(abs(expected), abs=0.08)


def test_a_bar_lies_along_its_angle() -> None:
    canvas = canvas_of(Bar(Place(), 1.0, 0.25, 30, 2.0, 1.0, 0.0, 1.0, STARS))
    light = canvas.light[1]
    x, y = np.broadcast_arrays(canvas.x, canvas.y)
    moments = (light * (x + 1j * y) ** 2).sum()
    assert np.degrees(np.angle(moments)) / 2 == pytest.approx(30, abs=1)


def test_dust_dims_blue_light_most() -> None:
    disc = Disc(Place(), SCALE, 2.0, 0.4, 0.0, 0.0, 0.0, START, 1.0, STARS)
    lane = Lane(Place(), 0.0, 0.1, 1.0, 1.5, 0.0, START)
    left = canvas_of(disc, lane).light[:, 120, 110:130] / canvas_of(disc).light[:, 120, 110:130]
    i, r, g = left.mean(1)
    assert i > r > g
    assert 0.05 < r < 0.6
