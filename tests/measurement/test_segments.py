"""The objects in an image, and the one in its middle."""

import numpy as np
import pytest
from numpy.typing import NDArray

from peculiar.measurement.segments import central_label, find_objects


def scene(*places: tuple[int, int], level: float = 10, noise: float = 1) -> NDArray[np.float64]:
    """An image of 64 x 64 pixels with round galaxies at some places."""
    rows, columns = np.mgrid[:64, :64]
    light = np.random.default_rng(1).normal(level, noise, (64, 64))
    for row, column in places:
        light += 100 * np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / 18)
    return light


def test_the_galaxy_in_the_middle_is_found_and_the_sky_is_measured_around_it() -> None:
    nothing = np.zeros((64, 64), bool)
    found = find_objects(scene((32, 32), (10, 10)), nothing)
    assert found.level == pytest.approx(10, abs=0.1)
    assert found.noise == pytest.approx(1, rel=0.1)
    assert found.segments[32, 32] == found.label != found.segments[10, 10] != 0


def test_without_a_galaxy_in_the_middle_there_is_none() -> None:
    nothing = np.zeros((64, 64), bool)
    assert find_objects(scene(), nothing).label == 0
    assert find_objects(scene((8, 8)), nothing).label == 0
    assert central_label(np.zeros((4, 4), np.int32)) == 0


def test_pixels_without_a_value_belong_to_nothing() -> None:
    light = scene((32, 32))
    bad = np.zeros(light.shape, bool)
    bad[:, :20], light[:, :20] = True, np.nan
    found = find_objects(light, bad)
    assert found.level == pytest.approx(10, abs=0.1)
    assert found.label
    assert not found.segments[bad].any()


def test_touching_galaxies_are_separated_on_request_only() -> None:
    light, nothing = scene((32, 27), (32, 37)), np.zeros((64, 64), bool)
    together, apart = find_objects(light, nothing), find_objects(light, nothing, deblend=0.01)
    assert together.segments.max() == 1
    assert apart.segments[32, 27] != apart.segments[32, 37]


def test_an_image_without_noise_is_measured_all_the_same() -> None:
    found = find_objects(scene((32, 32), noise=0), np.zeros((64, 64), bool))
    assert found.label
    assert found.noise == pytest.approx(0.1, rel=0.1)
