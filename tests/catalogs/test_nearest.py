"""The nearest object to each position, as astropy finds it."""

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from hypothesis import given
from hypothesis import strategies as st

from peculiar.catalogs.nearest import Nearest


@given(st.integers(0, 2**32 - 1), st.floats(0.001, 20), st.booleans())
def test_separations_and_objects_are_those_of_astropy(seed: int, radius: float, polar: bool) -> None:
    random = np.random.default_rng(seed)
    size = (40, 30)
    ra = [(360 * random.random(count) if polar else (358 + 4 * random.random(count)) % 360) for count in size]
    dec = [(90 - 3 * random.random(count) if polar else 4 * random.random(count) - 2) for count in size]
    near = Nearest(ra[0], dec[0], radius)
    for part in np.array_split(np.arange(size[1]), 3):
        near.add(ra[1][part], dec[1][part])
    places = SkyCoord(ra[0], dec[0], unit="deg")
    objects = SkyCoord(ra[1], dec[1], unit="deg")
    separations = places[:, None].separation(objects[None, :]).deg
    nearest = separations.argmin(axis=1)
    inside = separations.min(axis=1) <= radius
    assert near.object.tolist() == np.where(inside, nearest, -1).tolist()
    found = places[inside].separation(objects[near.object[inside]]).deg
    assert near.separation[inside].tolist() == found.tolist()
    assert np.isinf(near.separation[~inside]).all()


def test_objects_without_a_position_and_empty_batches_count_nothing() -> None:
    near = Nearest(np.array([10.0, 10.0]), np.array([0.0, 0.0]), 1 / 3600)
    assert near.add(np.array([np.nan, 10.0]), np.array([0.0, np.nan])).tolist() == []
    assert near.add(np.empty(0), np.empty(0)).tolist() == []
    assert near.add(np.array([11.0, 10.0]), np.array([0.0, 0.0])).tolist() == [1]
    assert near.object.tolist() == [3, 3]
    assert near.separation == pytest.approx([0, 0])
    assert near.count == 4
