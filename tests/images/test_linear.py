"""FITS images unstretched: the band, its noise in every form, masks, segments and point spread functions."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from numpy.testing import assert_allclose, assert_array_equal

from peculiar.errors import PictureError
from peculiar.images.linear import Exposure, read_linear, usable_psf

SHAPE = (6, 8)


def image(value: float = 1.0, **cards: Any) -> fits.PrimaryHDU:
    return fits.PrimaryHDU(np.full(SHAPE, value, np.float32), fits.Header(cards))


def beside(name: str, value: float, **cards: Any) -> fits.ImageHDU:
    return fits.ImageHDU(np.full(SHAPE, value, np.float32), fits.Header(cards), name=name)


@pytest.mark.parametrize(
    ("name", "cards", "value", "kind", "deviation"),
    [
        ("ERR", {}, 0.5, "deviation", 0.5),
        ("RMS", {}, 0.5, "deviation", 0.5),
        ("VARIANCE", {}, 0.25, "variance", 0.5),
        ("INVVAR", {}, 4, "inverse variance", 0.5),
        ("IVAR_MAP", {}, 4, "inverse variance", 0.5),
        ("WHT", {}, 4, "weight", 0.5),
        ("UNCERT", {"UTYPE": "InverseVariance"}, 4, "inverse variance", 0.5),
        ("UNCERT", {}, 0.5, "deviation", 0.5),
    ],
)
def test_the_noise_is_read_in_every_form(
    tmp_path: Path, name: str, cards: dict[str, str], value: float, kind: str, deviation: float
) -> None:
    file = tmp_path / "galaxy.fits"
    fits.HDUList([image(), beside(name, value, **cards)]).writeto(file)
    found = read_linear([file])
    assert found.noise_kind == kind
    assert found.noise is not None
    assert_allclose(found.noise, deviation)


def test_a_part_of_the_variance_and_an_exposure_time_are_no_noise(tmp_path: Path) -> None:
    file = tmp_path / "jwst.fits"
    parts = [beside("VAR_POISSON", 4), beside("VAR_RNOISE", 4), beside("EXPTIME", 90)]
    fits.HDUList([image(), *parts]).writeto(file)
    found = read_linear([file])
    assert (found.noise, found.noise_kind) == (None, "")
    fits.HDUList([image(), *parts, beside("ERR", 3)]).writeto(file, overwrite=True)
    assert read_linear([file]).noise_kind == "deviation"


def test_masks_segments_and_zero_weights_are_read(tmp_path: Path) -> None:
    file = tmp_path / "galaxy.fits"
    mask, quality, weight, segments = (np.zeros(SHAPE, np.float32) for _ in range(4))
    mask[0, 0], quality[1, 1], quality[2, 2], weight[:], weight[3, 3], segments[2:4, 2:4] = 1, 5, 4, 1, 0, 7
    hdus = [fits.ImageHDU(mask, name="MASK"), fits.ImageHDU(quality, name="DQ"), fits.ImageHDU(weight, name="WHT")]
    fits.HDUList([image(), *hdus, fits.ImageHDU(segments, name="SEGMAP")]).writeto(file)
    found = read_linear([file])
    assert found.lacks is not None
    # Of a map of quality the first bit counts.
    assert np.argwhere(found.lacks).tolist() == [[0, 0], [1, 1], [3, 3]]
    assert_array_equal(found.segments, segments)


def test_all_bits_of_a_mask_count(tmp_path: Path) -> None:
    file = tmp_path / "jwst.fits"
    quality = np.zeros(SHAPE, np.uint32)
    quality[1, 1], quality[2, 2] = 2**31 + 1, 2**31  # a reference pixel not to be used, and one with other flags
    segments = np.full(SHAPE, 2**24 + 1, np.int32)
    fits.HDUList([image(), fits.ImageHDU(quality, name="DQ"), fits.ImageHDU(segments, name="SEG")]).writeto(file)
    found = read_linear([file])
    assert found.lacks is not None
    assert np.argwhere(found.lacks).tolist() == [[1, 1]]
    assert_array_equal(found.segments, segments)


def test_companions_in_files_of_their_own_are_read(tmp_path: Path) -> None:
    galaxy, noise, psf = tmp_path / "ngc7.fits", tmp_path / "ngc7_rms.fits", tmp_path / "ngc7_psf.fits"
    image(3).writeto(galaxy)
    fits.PrimaryHDU(np.full(SHAPE, 0.5, np.float32)).writeto(noise)
    fits.PrimaryHDU(np.ones((3, 3), np.float32)).writeto(psf)
    found = read_linear([galaxy], beside={galaxy: {noise: ["rms"], psf: ["psf"]}})
    assert found.noise_kind == "deviation"
    assert found.psf is not None
    assert_allclose(found.psf, 1 / 9)


def test_of_several_bands_the_middle_one_is_taken_and_its_noise(tmp_path: Path) -> None:
    file = tmp_path / "galaxy.fits"
    bands = [
        fits.ImageHDU(np.full(SHAPE, number, np.float32), fits.Header({"FILTER": name}))
        for number, name in enumerate("gri")
    ]
    noise = [beside(f"ERR_{name}", number + 1, BAND=name) for number, name in enumerate("gri")]
    fits.HDUList([fits.PrimaryHDU(), *bands, *noise]).writeto(file)
    for wanted, band, value in (((), "r", 1), (("i",), "i", 2), (("i", "g"), "i", 2)):
        found = read_linear([file], wanted)
        assert (found.band, float(found.pixels[0, 0])) == (band, value)
        assert found.noise is not None
        assert_allclose(found.noise, value + 1)


@pytest.mark.parametrize(
    ("cards", "gain"),
    [
        ({"GAIN": 2.5, "BUNIT": "adu"}, 2.5),
        ({"EGAIN": 2.5, "BUNIT": "electron/pix"}, 2.5),
        ({"GAIN": 2.5, "BUNIT": "nanomaggy"}, None),
        ({"GAIN": 2.5}, None),
        ({"GAIN": "high", "BUNIT": "adu"}, None),
        ({"GAIN": -1.0, "BUNIT": "adu"}, None),
    ],
)
def test_a_gain_counts_for_counted_units_only(tmp_path: Path, cards: dict[str, Any], gain: float | None) -> None:
    image(**cards).writeto(tmp_path / "galaxy.fits")
    assert read_linear([tmp_path / "galaxy.fits"]).gain == gain


def test_a_stamp_beyond_the_edge_has_no_values_there(tmp_path: Path) -> None:
    file = tmp_path / "mosaic.fits"
    pixels = np.arange(48, dtype=np.float32).reshape(SHAPE)
    fits.HDUList([fits.PrimaryHDU(pixels), beside("ERR", 2)]).writeto(file)
    with Exposure([file], mapped=True) as exposure:
        stamp = exposure.cut(0, 0, 4)
        far = exposure.cut(-50, 3, 4)
    assert stamp.corner == (-2, -2)
    assert_array_equal(stamp.pixels[2:, 2:], pixels[:2, :2])
    assert np.isnan(stamp.pixels[:2]).all()
    assert stamp.noise is not None
    assert np.isnan(stamp.noise[:2]).all()
    assert np.isnan(far.pixels).all()


def test_damage_is_told(tmp_path: Path) -> None:
    file = tmp_path / "galaxy.fits"
    image().writeto(file)
    file.write_bytes(file.read_bytes()[:2900])
    with pytest.raises(PictureError, match="cut short"):
        read_linear([file])
    image().writeto(tmp_path / "whole.fits")
    with pytest.raises(PictureError, match="it has no band 'z'"):
        read_linear([tmp_path / "whole.fits"], ["z"])


def test_coordinates_that_cannot_be_understood_do_not_count(tmp_path: Path) -> None:
    image(CTYPE1="RA---TAN", CTYPE2="DEC--TAN", CDELT1="wide", CDELT2=1.0).writeto(tmp_path / "galaxy.fits")
    found = read_linear([tmp_path / "galaxy.fits"])
    assert found.sky is None
    assert found.pixels.shape == SHAPE


def test_a_point_spread_function_has_a_middle_and_a_sum() -> None:
    found = usable_psf(np.ones((4, 6)))
    assert found is not None
    assert found.shape == (3, 5)
    assert found.sum() == pytest.approx(1)
    assert usable_psf(np.zeros((3, 3))) is None
    assert usable_psf(np.full((3, 3), np.nan)) is None
