"""The asinh stretch is astropy's, and looks like the pictures of SDSS."""

import json

import numpy as np
import pytest
from astropy.visualization import make_lupton_rgb
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from peculiar.images.stretch import Stretch, border, noise_stretch, sdss_stretch
from peculiar.sources.observation import lupton


def light(seed: int, shape: tuple[int, ...] = (3, 40, 30)) -> NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    return (rng.normal(0, 0.05, shape) + rng.gamma(0.05, 5, shape)).astype(np.float32)


@given(
    seed=st.integers(0, 10_000),
    stretch=st.floats(0.05, 10),
    q=st.floats(0.1, 30),
    minimum=st.floats(-0.1, 0.1),
    scales=st.tuples(*[st.floats(0.2, 5)] * 3),
)
def test_equals_astropy_within_one_count(
    seed: int, stretch: float, q: float, minimum: float, scales: tuple[float, float, float]
) -> None:
    bands = light(seed, (3, 12, 9))
    ours = Stretch(scales, (0, 0, 0), stretch, q, minimum)(bands)
    weighted = bands * np.array(scales)[:, None, None]
    theirs = make_lupton_rgb(*weighted, minimum=minimum, stretch=stretch, Q=q)
    assert np.abs(ours.astype(int) - theirs.astype(int)).max() <= 1


def test_nanomaggies_look_like_the_simulated_pictures_of_sdss() -> None:
    bands = light(1)
    chosen = sdss_stretch(3)
    slope = 0.1 / np.arcsinh(0.1 * chosen.q)
    same = lupton(bands, -chosen.minimum, slope * chosen.q / chosen.stretch, 1 / slope)
    # Where noise is below black in the mean of the bands, astropy shows nothing; the simulation shows a little.
    lit = (bands * np.array([1, 1.2, 1.85])[:, None, None]).mean(axis=0) > 0.001 - 0.02
    assert lit.mean() > 0.5
    assert np.abs(chosen(bands).astype(int) - same.astype(int))[lit].max() <= 1


def test_the_sky_is_dark_and_a_bright_galaxy_is_not() -> None:
    bands = np.zeros((3, 3, 3), np.float32)
    bands[:, 1, 1] = 5
    picture = sdss_stretch(3)(bands)
    assert 2 <= picture[0, 0].min() <= picture[0, 0].max() <= 12
    assert picture[1, 1].max() > 180


def test_what_is_not_known_is_black() -> None:
    bands = light(2) + 1
    bands[1, 3, 4] = np.nan
    bands[0, 5, 6] = np.inf
    before = bands.copy()
    picture = sdss_stretch(3)(bands)
    assert not picture[3, 4].any()
    assert not picture[5, 6].any()
    assert picture[0, 0].all()
    np.testing.assert_array_equal(bands, before)


def test_one_band_is_grey_and_two_have_their_mean_between() -> None:
    grey = sdss_stretch(1)(light(3)[:1])
    assert (grey == grey[..., :1]).all()
    assert grey.max() > 100
    two = light(4)[:2] + np.float32(0.2)
    picture = Stretch((1, 1), (0, 0))(two).astype(float)
    assert np.abs(picture[..., 1] - picture[..., [0, 2]].mean(axis=2)).max() <= 1


def test_noise_decides_whatever_the_unit() -> None:
    bands = light(5, (3, 64, 64))
    counts = bands * np.array([50, 300, 7000], np.float32)[:, None, None] + 1000
    stretch = noise_stretch(border(counts))
    again = noise_stretch(border(bands))
    assert stretch.chosen == "noise"
    assert stretch.skies == pytest.approx([1000, 1000, 1000], rel=0.2)
    assert np.abs(stretch(counts).astype(int) - again(bands).astype(int)).max() <= 1
    assert 1 <= np.median(stretch(counts)) <= 15


def test_noise_is_measured_beside_stars() -> None:
    rng = np.random.default_rng(6)
    quiet = rng.normal(100, 4, (1, 20_000))
    starry = quiet.copy()
    starry[0, :2000] += rng.gamma(1, 500, 2000)
    assert noise_stretch(starry).scales[0] == pytest.approx(noise_stretch(quiet).scales[0], rel=0.1)


@pytest.mark.parametrize("values", [np.zeros(9), np.full(9, np.nan), np.full(9, 3.0), np.array([1.0, 1, 1, 1, 2])])
def test_a_picture_without_noise_has_a_stretch_too(values: NDArray[np.float64]) -> None:
    stretch = noise_stretch(values[None])
    assert np.isfinite([*stretch.scales, *stretch.skies]).all()
    assert min(stretch.scales) > 0


def test_the_border_is_the_outer_eighth() -> None:
    bands = np.zeros((2, 16, 24))
    bands[:, 2:-2, 3:-3] = 1
    assert border(bands).shape == (2, 16 * 24 - 12 * 18)
    assert not border(bands).any()


def test_is_recorded_as_json() -> None:
    record = json.loads(json.dumps(sdss_stretch(3, 2.0).as_dict()))
    assert record == {
        "name": "Lupton et al. 2004 asinh, version 1",
        "scales": [2.0, 2.4, 3.7],
        "skies": [0.0, 0.0, 0.0],
        "stretch": 0.8,
        "q": 6.0,
        "minimum": -0.02,
        "chosen": "nanomaggies",
    }
