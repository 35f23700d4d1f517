"""Looks are where they should be in the space of surveys."""

import numpy as np
import pytest

from peculiar.errors import UnknownNameError
from peculiar.simulation.looks import LOOKS, NAMES, display, draw_sight


@pytest.mark.parametrize("name", NAMES)
def test_sights_are_in_the_space(name: str) -> None:
    rng = np.random.default_rng(4)
    for _ in range(60):
        sight = draw_sight(name, rng, float(rng.normal()))
        assert 0.03 <= sight.pixel_scale <= 0.6
        assert 0.05 <= sight.fwhm <= 1.8
        assert len(sight.wavelengths) == len(sight.depth) == len(sight.sky) == len(sight.weights) in (1, 2, 3)
        assert sight.dimming >= 0
        assert sight.look in (*LOOKS, "random")


def test_random_sights_cover_bands_orders_and_stretches() -> None:
    rng = np.random.default_rng(4)
    sights = [draw_sight("random", rng, 0.0) for _ in range(300)]
    assert {len(sight.wavelengths) for sight in sights} == {1, 2, 3}
    assert {sight.stretch for sight in sights} == {"asinh", "log", "sqrt", "linear"}
    assert any(sight.wavelengths[0] < sight.wavelengths[-1] for sight in sights)
    assert any(sight.jpeg == 0 for sight in sights)


def test_an_unknown_look_is_named() -> None:
    with pytest.raises(UnknownNameError, match=r"no look 'desi'"):
        draw_sight("desi", np.random.default_rng(1), 0.0)


@pytest.mark.parametrize("name", LOOKS)
def test_the_sky_of_a_picture_has_the_noise_and_level_stated(name: str) -> None:
    rng = np.random.default_rng(5)
    sight = draw_sight(name, rng, 0.0)
    noise = np.array([0.01, 0.02, 0.03][: len(sight.wavelengths)])
    bands = (rng.standard_normal((len(noise), 128, 128)) * noise[:, None, None]).astype(np.float32)
    picture = display(bands, noise, sight)
    assert picture.shape == (128, 128, 3)
    grey = picture.astype(float).mean(2)
    assert np.median(grey) == pytest.approx(sight.black * sight.counts, rel=0.35, abs=2)
    assert grey.std() == pytest.approx(sight.counts, rel=0.5)


def test_colour_is_kept_however_bright() -> None:
    sight = draw_sight("sdss", np.random.default_rng(5), 0.0)
    noise = np.array([0.01, 0.01, 0.01])
    red = np.array([3.0, 1.5, 0.5], np.float32)[:, None, None] * np.array([[0.3, 1.0, 5.0]], np.float32)
    shown = display(red, noise, sight)[0].astype(int)
    assert (shown[:, 0] > shown[:, 1]).all()
    assert (shown[:, 1] > shown[:, 2]).all()
