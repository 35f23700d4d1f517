"""Light on a frame: shapes hold the light, and lie where, their parameters state."""

import numpy as np
import pytest
from scipy import integrate, special

from geometry import plane
from peculiar.sources.profiles import Frame, Place, sersic


@pytest.mark.parametrize("n", [0.8, 1.0, 2.5, 4.0, 5.0])
def test_half_the_light_of_a_sersic_profile_is_within_its_radius(n: float) -> None:
    def light(r: float) -> float:
        return float(2 * np.pi * r * sersic(np.float64(r), 3.0, n))  # type: ignore[arg-type]

    assert integrate.quad(light, 0, 3)[0] == pytest.approx(0.5, abs=2e-4)
    assert integrate.quad(light, 0, np.inf, limit=200)[0] == pytest.approx(1, abs=2e-4)


def test_half_light_radius_of_sersic_agrees_with_the_incomplete_gamma_function() -> None:
    # Ciotti & Bertin's series against the definition: Gamma(2n) = 2 gamma(2n, b).
    for n in (0.7, 1.0, 2.0, 4.0, 6.0):
        b = special.gammaincinv(2 * n, 0.5)
        ratio = sersic(np.array([0.0, 1.0]), 1.0, n)  # type: ignore[arg-type]
        assert np.log(ratio[0] / ratio[1]) == pytest.approx(b, abs=1e-3)


def test_a_disc_is_exponential() -> None:
    r = np.linspace(1, 30, 30, dtype=np.float32)
    slope = np.diff(np.log(sersic(r, 10.0, 1.0)))
    assert slope == pytest.approx(-1.678 / 10, rel=1e-3)


def test_blobs_keep_their_light_and_place_at_any_size() -> None:
    frame = Frame(64, np.random.default_rng(1))
    for sigma in (0.0, 0.4, 3.0):
        frame.light[:] = 0
        frame.blobs(np.array([20.3]), np.array([41.6]), np.array([sigma]), np.array([[1.0], [2.0], [3.0]]))
        assert frame.light.sum((1, 2)) == pytest.approx([1, 2, 3], rel=1e-3)
        assert (frame.light[0] * frame.x).sum() == pytest.approx(20.3, abs=0.15)
        assert (frame.light[0] * frame.y).sum() == pytest.approx(41.6, abs=0.15)


def test_a_bar_keeps_its_light_and_length() -> None:
    frame = Frame(64, np.random.default_rng(1))
    frame.bar(Place(32, 32, 1.0, 30), 15, 0.3, 20, np.ones(3, np.float32))
    assert frame.light[1].sum() == pytest.approx(1, rel=0.01)
    u, v = plane({"x": 32, "y": 32, "axis_ratio": 1, "position_angle": 50}, 64)
    lit = frame.light[1, 8:-8, 8:-8] > 0
    assert 13.5 < np.abs(u[lit]).max() <= 15
    assert 3.5 < np.abs(v[lit]).max() <= 4.5


@pytest.mark.parametrize("lopsided", [0.0, 0.3, 0.6])
def test_a_lopsided_disc_keeps_its_light_and_leans_where_stated(lopsided: float) -> None:
    frame = Frame(256, np.random.default_rng(1))
    frame.sersic("disc", Place(128, 128, 0.7, 20, lopsided, 0), 12, 1.0, np.ones(3, np.float32))
    light = frame.light[1, 32:-32, 32:-32]
    assert light.sum() == pytest.approx(1, abs=0.03)
    u, _ = plane({"x": 128, "y": 128, "axis_ratio": 0.7, "position_angle": 20}, 256)
    lean = (light * u).sum() / light.sum()
    assert lean > 3 if lopsided else abs(lean) < 0.01
