"""Positions to cells: those that HEALPix's own formulas give, and none where there is no position."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from peculiar.tables.healpix import ORDER, healpix_29


def test_known_cells() -> None:
    # The twelve base cells by their centres: north, equator, south.
    turns = np.arange(4) * 90.0
    north, equator, south = (np.degrees(np.arcsin(z)) for z in (2 / 3, 0, -2 / 3))
    ra = np.concatenate([turns + 45, turns, turns + 45])
    dec = np.repeat([north, equator, south], 4)
    assert (healpix_29(ra, dec) >> 2 * ORDER).tolist() == list(range(12))


def test_cells_are_those_of_hats() -> None:
    index = pytest.importorskip("hats.pixel_math.spatial_index")
    rng = np.random.default_rng(222)
    ra, dec = rng.uniform(0, 360, 1000), np.degrees(np.arcsin(rng.uniform(-1, 1, 1000)))
    np.testing.assert_array_equal(healpix_29(ra, dec), index.compute_spatial_index(ra, dec))


@given(ra=st.floats(0, 359.9), dec=st.floats(-90, 90))
def test_a_turn_more_or_less_is_the_same_place(ra: float, dec: float) -> None:
    middle, less, more = healpix_29([ra, ra - 360, ra + 360], [dec] * 3) >> 2 * 15
    # To subtract a turn rounds, which may lead over the edge of a cell; so compare larger ones, and where it is sharp.
    assert 0 <= middle < 12 * 4 ** (ORDER - 15)
    if ra == round(ra):
        assert middle == less == more


@pytest.mark.parametrize(
    ("ra", "dec"),
    [
        (np.nan, 0),
        (0, np.nan),
        (0, 90.001),
        (0, -90.001),
        (720, 0),
        (-360.1, 0),
        (np.inf, 0),
        (0, -np.inf),
        (2.5, 150.25),
        (-9999, -9999),
    ],
)
def test_impossible_positions_have_no_cell(ra: float, dec: float) -> None:
    cells = healpix_29([10.0, ra, 20.0], [10.0, dec, 20.0])
    assert cells[1] == -1
    assert (cells[[0, 2]] >= 0).all()


def test_the_poles_and_the_seam() -> None:
    cells = healpix_29([0, 123, 0, 123, 360, 0], [90, 90, -90, -90, 5, 5])
    assert (cells >= 0).all()
    assert cells[4] == cells[5]


def test_no_positions() -> None:
    assert healpix_29([], []).shape == (0,)
