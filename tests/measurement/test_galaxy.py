"""One galaxy, measured: the numbers are those of statmorph, and nothing that fails is an error."""

import warnings
from typing import Any

import numpy as np
import pytest
import statmorph
from numpy.typing import NDArray

from peculiar.images.linear import Linear
from peculiar.measurement import galaxy
from peculiar.measurement.columns import MEASURES, Flag
from peculiar.measurement.galaxy import _NAMES, Settings, Unmeasured, measure_image
from peculiar.measurement.segments import find_objects
from sersic_galaxies import draw_sersic


def pixels_of(seed: int = 0) -> NDArray[np.float32]:
    light = draw_sersic(4)[24:72, 24:72]
    return (light + np.random.default_rng(seed).normal(5, 1, light.shape)).astype(np.float32)


def test_the_numbers_are_those_of_statmorph() -> None:
    pixels = pixels_of()
    deviation = np.sqrt(np.maximum(pixels, 1) / 3).astype(np.float32)
    psf = np.outer([1, 2, 1], [1, 2, 1]) / 16
    image = Linear(pixels, "r", noise=deviation, noise_kind="deviation", psf=psf, corner=(100, 200))
    values = measure_image(image, Settings(multimode=True))
    assert measure_image(image, Settings()) == values | {"multimode": None}
    found = find_objects(pixels.astype(float), np.zeros(pixels.shape, bool))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        direct: Any = statmorph.SourceMorphology(
            pixels.astype(float) - found.level, found.segments, found.label, weightmap=deviation.astype(float), psf=psf
        )
    for column, name in _NAMES.items():
        assert values[column] == pytest.approx(direct[name], rel=1e-9), column
    assert (values["x"], values["y"]) == pytest.approx((direct.xc_asymmetry + 100, direct.yc_asymmetry + 200))
    assert values["angle"] == pytest.approx(np.degrees(direct.orientation_asymmetry) % 180)
    assert (values["noise"], values["psf"], values["measured_on"]) == ("deviation", "image", "flux")
    assert values["measure_flags"] == 0
    assert values.keys() <= {column.name for column in MEASURES}
    assert "half_light_radius_arcsec" not in values


@pytest.mark.parametrize(
    ("pixels", "reason", "flag"),
    [
        (np.full((40, 40), np.nan), "no pixel has a value", Flag.BLANK),
        (np.full((40, 40), 65535.0), "all pixels have the same value", Flag.BLANK),
        (pixels_of()[:12, :12], "it has 12 x 12 pixels; at least 16", Flag.TOO_SMALL),
        (np.zeros((20, 5000)), "it has 5000 x 20 pixels; at most 4,096 a side", Flag.TOO_LARGE),
        (np.random.default_rng(0).normal(0, 1, (40, 40)), "no galaxy is found in the middle", Flag.NO_GALAXY),
        (np.where(np.arange(40) < 39, np.nan, np.arange(1600).reshape(40, 40)), "no galaxy is found", Flag.NO_GALAXY),
    ],
)
def test_why_an_image_cannot_be_measured_is_told(pixels: NDArray[Any], reason: str, flag: Flag) -> None:
    with pytest.raises(Unmeasured, match=reason) as caught:
        measure_image(Linear(pixels.astype(np.float32)), Settings())
    assert caught.value.flag == flag


@pytest.mark.parametrize("error", [AssertionError(), ValueError("array must not\ncontain"), MemoryError()])
def test_a_failure_of_statmorph_is_a_flag(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        warnings.warn("something is odd", stacklevel=1)
        raise error

    monkeypatch.setattr(galaxy, "_morphology", lambda _: fail)
    with pytest.raises(Unmeasured, match=f"the measurement failed .{type(error).__name__}") as caught:
        measure_image(Linear(pixels_of()), Settings())
    assert caught.value.flag == Flag.FAILED


class Nothing:
    """The result of statmorph for a galaxy without light, and a fit that did not converge."""

    flag, flag_sersic = 4, 4

    def __getattr__(self, name: str) -> float:
        return -99.0


def test_values_that_statmorph_could_not_measure_are_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(galaxy, "_morphology", lambda _: lambda *_, **__: Nothing())
    values = measure_image(Linear(pixels_of()), Settings())
    assert values["measure_flags"] == Flag.FAILED | Flag.NO_FIT
    assert {values[name] for name in _NAMES} == {None}
    assert values["quality"] == 4


def test_weights_are_scaled_to_the_noise_of_the_sky(monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, Any] = {}

    def record(*_: Any, **options: Any) -> Nothing:
        given.update(options)
        return Nothing()

    monkeypatch.setattr(galaxy, "_morphology", lambda _: record)
    weights = np.full((48, 48), 7.0, np.float32)
    weights[0, 0] = np.nan
    measure_image(Linear(pixels_of(), noise=weights, noise_kind="weight"), Settings())
    assert given["weightmap"][1, 1] == pytest.approx(1, rel=0.1)
    assert np.argwhere(given["mask"]).tolist() == [[0, 0]]
    measure_image(Linear(pixels_of(), gain=2.0), Settings(psf=3.0, psf_unit="px"))
    assert (given["gain"], given["weightmap"]) == (2.0, None)
    assert given["psf"].sum() == pytest.approx(1)
    assert given["psf"].shape == (13, 13)


def test_saturated_and_cut_off_galaxies_are_flagged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(galaxy, "_morphology", lambda _: lambda *_, **__: Nothing())
    failed = Flag.FAILED | Flag.NO_FIT
    values = measure_image(Linear(pixels_of(), saturation=50.0), Settings())
    assert values["measure_flags"] == failed | Flag.SATURATED
    white = np.clip(pixels_of() * 4, 0, 255)
    values = measure_image(Linear(white.astype(np.float32), finished=True), Settings())
    assert values["measure_flags"] == failed | Flag.SATURATED
    values = measure_image(Linear(pixels_of()[14:34, 14:34]), Settings())
    assert values["measure_flags"] & Flag.CUT_OFF


def test_the_segments_of_the_image_itself_count(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Any] = []

    def record(*arguments: Any, **_: Any) -> Nothing:
        given[:] = arguments
        return Nothing()

    monkeypatch.setattr(galaxy, "_morphology", lambda _: record)
    segments = np.zeros((48, 48), np.int64)
    segments[20:28, 20:28], segments[0, 0] = 4_000_000_001, 5
    measure_image(Linear(pixels_of(), segments=segments), Settings())
    _, found, label = given
    assert np.argwhere(found.data == label).min(axis=0).tolist() == [20, 20]
    assert (found.data == label).sum() == 64
