"""The camera: what the atmosphere, the exposure and the colour composite do is what is stated."""

import numpy as np
import pytest

from peculiar.sources.observation import blur, expose, lupton, moffat


@pytest.mark.parametrize(("fwhm", "beta"), [(4.0, 2.5), (6.5, 3.3), (9.0, 4.5)])
def test_the_moffat_profile_has_the_width_stated(fwhm: float, beta: float) -> None:
    psf = moffat(161, fwhm, beta)
    row = psf[0, :80]
    half = np.interp(-0.5, -row / row[0], np.arange(80))
    assert 2 * half == pytest.approx(fwhm, rel=0.02)
    assert psf.sum() == pytest.approx(1, abs=1e-5)


def test_a_point_is_blurred_to_the_seeing_and_keeps_its_light() -> None:
    light = np.zeros((3, 96, 96), np.float32)
    light[:, 40, 50] = [1, 2, 3]
    blurred = blur(light, 5.0, 3.0)
    assert blurred.sum((1, 2)) == pytest.approx([1, 2, 3], rel=1e-4)
    assert np.unravel_index(blurred[1].argmax(), (96, 96)) == (40, 50)
    assert np.count_nonzero(blurred[0] > blurred[0].max() / 2) == pytest.approx(np.pi * 2.5**2, rel=0.15)


@pytest.mark.parametrize("scale", [0.2, 0.396, 0.8])
def test_noise_has_the_rms_stated_in_every_band(scale: float) -> None:
    sky = np.zeros((3, 256, 256), np.float32)
    bands, stated = expose(sky, scale, np.random.default_rng(4))
    assert bands.std((1, 2)) == pytest.approx(stated, rel=0.04)
    assert np.abs(bands.mean((1, 2))).max() < 0.05 * max(stated)


def test_a_wide_aperture_has_the_noise_of_its_photons() -> None:
    # Summed over 32 x 32 pixels the correlation must all but cancel: sky, source and read-out remain.
    scale, flux = 0.25, 0.5
    bands, _ = expose(np.full((3, 1024, 1024), flux, np.float32), scale, np.random.default_rng(4))
    sums = bands.reshape(3, 32, 32, 32, 32).sum((2, 4), dtype=float)
    sky = 10 ** (0.4 * (22.5 - np.array([20.3, 20.9, 21.9]))) * scale**2
    electrons = np.array([750, 940, 1050])
    expected = 32 * np.sqrt((flux + sky) * electrons + (5 * scale / 0.396) ** 2) / electrons
    assert sums.std((1, 2)) == pytest.approx(expected, rel=0.06)


def test_the_colour_picture_keeps_colour_where_it_is_bright_and_never_wraps_round() -> None:
    rising = np.geomspace(1e-3, 1e4, 50, dtype=np.float32)
    picture = lupton(np.stack([rising, 0.5 * rising, 0.2 * rising])[:, None], 0.0, 1.3, 6.0)[0].astype(int)
    assert (np.diff(picture, axis=0) >= 0).all()
    assert picture[-1, 0] == 255
    bright = picture[picture[:, 0] > 100]
    assert bright[:, 1] / bright[:, 0] == pytest.approx(0.5 * 1.2, abs=0.01)
    assert bright[:, 2] / bright[:, 0] == pytest.approx(0.2 * 1.85, abs=0.01)
    assert not lupton(np.full((3, 4, 4), -1, np.float32), 0.0, 1.3, 6.0).any()
