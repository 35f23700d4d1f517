"""Orbits of test particles."""

import numpy as np
import pytest

from peculiar.simulation.encounters import disc_of, encounter, rotation, shells, stream


def passing(**options: object) -> object:
    settings = {"ratio": 0.5, "pericentre": 2.0, "speed": 1.0, "since": 5.0, "prograde": True, "count": 600}
    return encounter(np.random.default_rng(3), **(settings | options))  # type: ignore[arg-type]


def test_a_disc_alone_stays_a_disc() -> None:
    far = passing(pericentre=40.0, since=3.0)
    share = far.shares[0][far.stripped[0]].sum()  # type: ignore[attr-defined]
    assert share < 0.01


def test_direct_passages_draw_tails_that_retrograde_planes_do_not() -> None:
    close, distant = passing(pericentre=1.8), passing(pericentre=5.0)
    taken = [float(one.shares[0][one.stripped[0]].sum()) for one in (close, distant)]  # type: ignore[attr-defined]
    assert taken[0] > 0.01
    assert taken[0] > 2 * taken[1]


def test_shares_of_a_disc_add_up_and_fall_exponentially() -> None:
    place, velocity, share = disc_of(4000, 1.0, 1.0, np.random.default_rng(1))
    r = np.hypot(place[0], place[1])
    assert share.sum() == pytest.approx(1, rel=1e-4)
    assert share[r < 1].sum() == pytest.approx(0.5, abs=0.12)
    turning = (place[0] * velocity[1] - place[1] * velocity[0]) / r
    assert np.mean(turning > 0) > 0.98


def test_shells_are_edges_at_several_radii_on_both_sides() -> None:
    fallen = shells(np.random.default_rng(2), distance=3.0, time=30.0, count=2000)
    assert (fallen[0] > 0.5).any()
    assert (fallen[0] < -0.5).any()
    r = np.sqrt((fallen**2).sum(0))
    assert np.quantile(r, 0.99) < 4.2


def test_a_stream_is_long_and_thin() -> None:
    place = stream(np.random.default_rng(2), distance=2.5, circular=0.8, length=12.0, count=500)
    assert np.ptp(place[:2], axis=1).min() > 1.5
    assert place[2].std() < 0.25 * place[0].std()


def test_a_rotation_keeps_lengths() -> None:
    turn = rotation(0.7, 2.1)
    assert turn @ turn.T == pytest.approx(np.eye(3))
