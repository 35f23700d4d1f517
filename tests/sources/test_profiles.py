"""Light on a frame: shapes hold the light, and lie where, their parameters state."""

import numpy as np
import pytest

from geometry import plane
from peculiar.sources.profiles import Frame, Place


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
