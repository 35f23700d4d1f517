"""Flux is kept from the scene to the picture, and noise is as stated."""

import dataclasses

import numpy as np
import pytest

from peculiar.simulation.canvas import Place, Stars
from peculiar.simulation.discs import Spheroid
from peculiar.simulation.field import Field
from peculiar.simulation.looks import LOOKS, Sight, draw_sight
from peculiar.simulation.observe import Seen, expose, grainy, grid, moffat
from peculiar.simulation.scene import Mark, Scene

NONE = np.zeros(0)
NO_FIELD = Field(NONE.astype(bool), NONE, NONE, NONE, NONE, NONE, NONE, NONE.astype(bool), NONE)


def scene_of(*lights: tuple[str | None, float]) -> Scene:
    scene = Scene("elliptical", 21.0, 0.0)
    for feature, light in lights:
        scene.add(feature, Spheroid(Place(0.0, 0.0, 0.7, 30), 1.0, 1.0, light, Stars("disc")))
        if feature:
            scene.marks[feature] = Mark(light, 0, 0, 1, 1)
    return scene


def sight_of(name: str, frame: float = 12.0) -> Sight:
    return dataclasses.replace(draw_sight(name, np.random.default_rng(2), 0.0), frame=frame, redshift=0.0)


@pytest.mark.parametrize("name", LOOKS)
def test_flux_is_kept_by_every_look(name: str) -> None:
    sight = sight_of(name)
    exposure = expose(scene_of((None, 1.0)), NO_FIELD, sight, 128)
    # Half of it within the half-light radius: flux = 2 pi R^2 I.
    expected = 2 * np.pi * sight.radius**2 * 10 ** (0.4 * (22.5 - 21.0))
    band = int(np.argmin(np.abs(np.array(sight.wavelengths) - 623)))
    factor = {0: 1.0}.get(abs(round(sight.wavelengths[band] - 623)))
    flux = float(exposure.light[band].sum()) * exposure.step**2
    if factor:
        assert flux == pytest.approx(expected, rel=0.06)
    total = exposure.light.sum((1, 2)) * exposure.step**2
    other = expose(scene_of((None, 2.0)), NO_FIELD, sight, 64)
    assert other.light.sum((1, 2)) * other.step**2 == pytest.approx(2 * total, rel=0.05)


def test_the_noise_has_the_depth_stated() -> None:
    sight = sight_of("decals")
    exposure = expose(scene_of((None, 1e-6)), NO_FIELD, sight, 128)
    expected = 10 ** (0.4 * (22.5 - np.array(sight.depth))) / exposure.step
    assert exposure.noise.min((1, 2)) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("sigma", [0.0, 0.4, 0.8])
def test_noise_has_deviation_1_and_the_correlation_of_its_kernel(sigma: float) -> None:
    noise = grainy(np.random.default_rng(1), (2, 256, 256), sigma)
    assert noise.std() == pytest.approx(1, abs=0.02)
    neighbours = float((noise[:, :, 1:] * noise[:, :, :-1]).mean())
    k = np.arange(-6, 7)
    kernel = np.exp(-0.5 * (k / sigma) ** 2) if sigma else (k == 0).astype(float)
    assert neighbours == pytest.approx((kernel[1:] * kernel[:-1]).sum() / (kernel**2).sum(), abs=0.03)


@pytest.mark.parametrize("spikes", [0, 4, 6])
def test_a_point_spread_function_has_sum_1_and_its_width(spikes: int) -> None:
    psf = moffat(128, 0.1, 1.0, 3.0, spikes)
    assert psf.sum() == pytest.approx(1, rel=1e-4)
    assert psf[0, 5] / psf[0, 0] == pytest.approx(0.5, abs=0.05)


def test_pixels_are_the_detectors_or_the_pictures() -> None:
    sight = dataclasses.replace(sight_of("sdss"), radius=2.0)  # 24 arcsec, 61 pixels of 0.396
    assert grid(sight, 128)[0] == 61
    wide = dataclasses.replace(sight, radius=10.0)
    assert grid(wide, 128)[:2] == (128, pytest.approx(120 / 128))


def test_a_bright_feature_is_visible_and_a_faint_or_unresolved_one_is_not() -> None:
    sight = sight_of("decals")
    seen = [expose(scene_of((None, 1.0), ("ring", light)), NO_FIELD, sight, 128).seen["ring"] for light in (0.5, 0.001)]
    assert seen[0].visible
    assert seen[0].contrast == pytest.approx(1 / 3, abs=0.07)
    assert not seen[1].visible
    assert seen[0].snr > 50 * seen[1].snr
    assert not Seen(100, 0.5, 0.3).visible


def test_seeing_hides_what_is_small() -> None:
    seen = []
    for fwhm in (0.8, 1.8):
        sight = dataclasses.replace(sight_of("decals"), fwhm=fwhm, radius=1.5)
        seen.append(expose(scene_of((None, 1.0), ("bar", 0.3)), NO_FIELD, sight, 128).seen["bar"])
    assert seen[0].resolved > 1.5 * seen[1].resolved
