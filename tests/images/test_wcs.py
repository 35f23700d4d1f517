"""Coordinates of images: by astropy, whatever a header is written in, and what it says against itself."""

from pathlib import Path

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.wcs import WCS
from astropy.wcs.utils import pixel_to_skycoord

from peculiar.errors import DataError, PictureError
from peculiar.images.fits import read_bands
from peculiar.images.framing import Framing
from peculiar.images.stamps import sky_centre
from peculiar.images.wcs import check_back, pixel_side, read_sky
from peculiar.sources import open_mosaic, open_source
from skies import planted

SHAPE = (200, 240)
PIXEL = 0.36
BASE = {
    **{"CRPIX1": 120.5, "CRPIX2": 100.5, "CRVAL1": 150.0, "CRVAL2": 2.0, "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN"},
    **{"CD1_1": -1e-4, "CD1_2": 0.0, "CD2_1": 0.0, "CD2_2": 1e-4},
}
NO_CD = {f"CD{i}_{j}": None for i in (1, 2) for j in (1, 2)}
CDELT = {"CDELT1": -1e-4, "CDELT2": 1e-4}
PC = {"PC1_1": 0.8, "PC1_2": -0.6, "PC2_1": 0.6, "PC2_2": 0.8}
TERMS = {"A_ORDER": 2, "B_ORDER": 2, "A_2_0": 2e-4, "B_0_2": -2e-4, "A_1_1": 1e-4}
SIP = {"CTYPE1": "RA---TAN-SIP", "CTYPE2": "DEC--TAN-SIP"}
TPV = {"CTYPE1": "RA---TPV", "CTYPE2": "DEC--TPV"}
BENT = {"PV1_0": 0.0, "PV1_1": 1.0, "PV1_2": 0.0, "PV1_4": 0.4, "PV2_0": 0.0, "PV2_1": 1.0, "PV2_4": -0.3}

WAYS: dict[str, dict[str, object]] = {
    "plain": {},
    "mirrored": {"CD1_1": 1e-4},
    "turned": {"CD1_1": -0.8e-4, "CD1_2": 0.6e-4, "CD2_1": 0.6e-4, "CD2_2": 0.8e-4},
    "PC": {**NO_CD, **CDELT, **PC},
    "CDELT alone": {**NO_CD, **CDELT},
    "CROTA": {**NO_CD, **CDELT, "CROTA2": 25.0},
    "CD beside CDELT and CROTA": {"CDELT1": -9e-4, "CDELT2": 9e-4, "CROTA2": 25.0},
    "arcsec": {
        **{**NO_CD, "CDELT1": -0.36, "CDELT2": 0.36, "CUNIT1": "arcsec", "CUNIT2": "arcsec"},
        **{"CRVAL1": 540000.0, "CRVAL2": 7200.0},
    },
    "galactic": {"CTYPE1": "GLON-TAN", "CTYPE2": "GLAT-TAN"},
    "ecliptic": {"CTYPE1": "ELON-TAN", "CTYPE2": "ELAT-TAN"},
    "FK4": {"RADESYS": "FK4", "EQUINOX": 1950.0},
    "FK5 of 1975": {"RADESYS": "FK5", "EQUINOX": 1975.0},
    "SIN": {"CTYPE1": "RA---SIN", "CTYPE2": "DEC--SIN"},
    "CAR": {"CTYPE1": "RA---CAR", "CTYPE2": "DEC--CAR", "CRVAL2": 0.0},
    "SIP": {**SIP, **TERMS},
    "SIP without terms": SIP,
    "TPV": {**TPV, **BENT},
    "PV of TAN": BENT,
    "at the pole": {"CRVAL2": 89.99},
    "at 0 h": {"CRVAL1": 0.0},
    "LONPOLE": {"LONPOLE": 90.0},
}

# What a header says against itself: by CTYPE it means the same as the other one.
RESOLVED: dict[str, tuple[dict[str, object], dict[str, object]]] = {
    "SIP terms of TAN": (TERMS, {}),
    "SIP terms of one axis of TAN": ({"A_ORDER": 2, "A_2_0": 2e-4}, {}),
    "SIP terms of TPV": ({**TPV, **BENT, **TERMS}, {**TPV, **BENT}),
    "inverse SIP terms of TAN": ({"AP_ORDER": 2, "BP_ORDER": 2, "AP_2_0": 1e-4, "BP_2_0": 1e-4}, {}),
    "TPV without terms": (TPV, {}),
    "TPV without its linear terms": ({**TPV, "PV1_4": 0.4}, {**TPV, "PV1_1": 1.0, "PV2_1": 1.0, "PV1_4": 0.4}),
    "CD and PC that say the same": ({**CDELT, "PC1_1": 1.0, "PC2_2": 1.0}, {}),
    "CROTA of 0 beside PC": ({**NO_CD, **CDELT, **PC, "CROTA2": 0.0}, {**NO_CD, **CDELT, **PC}),
}

REFUSED: dict[str, tuple[dict[str, object], str]] = {
    "CD and PC": ({**CDELT, **PC}, "contradicts itself: .* by CD than by PC"),
    "PC and CROTA": ({**NO_CD, **CDELT, **PC, "CROTA2": 5.0}, "contradicts itself: .* by CROTA than by PC"),
    "SIP of one axis": ({**TERMS, "CTYPE1": "RA---TAN-SIP"}, "contradicts itself: .* SIP for one axis"),
    "two projections": ({"CTYPE2": "DEC--SIN"}, "cannot be understood .*Inconsistent projection types"),
    "two systems": ({"CTYPE1": "GLON-TAN"}, "cannot be understood"),
    "no such projection": ({"CTYPE1": "GLON---TAN", "CTYPE2": "GLAT---TAN"}, "cannot be understood"),
    **{
        f"text for {key}": ({**NO_CD, **CDELT, key: "nan"}, f"need a number for {key}, received 'nan'")
        for key in ("CDELT1", "CRVAL2", "CRPIX1", "PC1_2")
    },
    "singular": ({"CD2_2": 0.0}, "cannot be understood .*singular"),
    "latitude first": (
        {"CTYPE1": "DEC--TAN", "CTYPE2": "RA---TAN", "CRVAL1": 2.0, "CRVAL2": 150.0},
        r"its first coordinate \(CTYPE1\) is the latitude",
    ),
    "folded": ({**SIP, **TERMS, "A_2_0": 1e-2, "B_0_2": 1e-2}, "do not lead from the sky back to the pixels"),
    "none": ({"CTYPE1": None, "CTYPE2": None}, "no celestial coordinates"),
}


def made(**cards: object) -> fits.Header:
    return fits.Header([(key, value) for key, value in {**BASE, **cards}.items() if value is not None])


@pytest.mark.parametrize("way", WAYS)
def test_places_are_those_of_astropy(way: str) -> None:
    header = made(**WAYS[way])
    sky = read_sky(header, None, SHAPE)
    assert sky is not None
    check_back(sky)
    pixels = np.random.default_rng(1).uniform((0, 0), SHAPE[::-1], (50, 2))
    there = pixel_to_skycoord(*pixels.T, WCS(header), 0).icrs
    ours = sky.icrs(pixels)
    assert SkyCoord(*ours.T, unit="deg").separation(there).arcsec.max() < 1e-3
    np.testing.assert_allclose(sky.place(there.ra.deg, there.dec.deg), pixels, atol=1e-2)
    assert sky.pixel == pytest.approx(PIXEL, rel=1e-6)
    assert pixel_side(header) == pytest.approx(PIXEL, rel=1e-6)


@pytest.mark.parametrize("way", RESOLVED)
def test_ctype_decides(way: str) -> None:
    said, meant = (read_sky(made(**cards), None, SHAPE) for cards in RESOLVED[way])
    assert said is not None
    assert meant is not None
    np.testing.assert_allclose(said.positions, meant.positions, atol=1e-9)
    assert said.positions.std() > 0


@pytest.mark.parametrize("way", REFUSED)
def test_what_cannot_be_right_is_refused_in_a_sentence(tmp_path: Path, way: str) -> None:
    cards, reason = REFUSED[way]
    path = tmp_path / "m.fits"
    fits.PrimaryHDU(planted(SHAPE, [(50, 60)]), made(**cards)).writeto(path, output_verify="ignore")
    (tmp_path / "p.csv").write_text("ra,dec\n150,2\n")
    with pytest.raises(DataError, match=reason) as caught:
        open_mosaic(path, tmp_path / "p.csv", stamp_size="32px")
    assert str(caught.value).startswith("m.fits: ")
    assert "\n" not in str(caught.value)
    assert "wcslib" not in str(caught.value)
    (galaxy,) = open_source(path).galaxies()  # as a cut-out it needs none
    assert galaxy.problem is None


@pytest.mark.parametrize("way", WAYS)
def test_brightness_does_not_depend_on_how_coordinates_are_written(tmp_path: Path, way: str) -> None:
    for name, cards in (("a", WAYS[way]), ("b", {})):
        fits.PrimaryHDU(planted(SHAPE, []), made(**cards, BUNIT="nanomaggy")).writeto(tmp_path / f"{name}.fits")
    assert read_bands([tmp_path / "a.fits"]).nanomaggies == pytest.approx((0.396 / PIXEL) ** 2, rel=1e-6)
    (one,), (other,) = (open_source(tmp_path / f"{name}.fits").galaxies(Framing(64)) for name in "ab")
    np.testing.assert_allclose(one.picture, other.picture, atol=1)


def test_the_middle_of_a_picture_of_leftover_terms(tmp_path: Path) -> None:
    for name, cards in (("said", {"A_0_0": 30.0, **TERMS}), ("meant", {})):
        fits.PrimaryHDU(planted(SHAPE, []), made(**cards)).writeto(tmp_path / f"{name}.fits")
    assert sky_centre(tmp_path / "said.fits") == sky_centre(tmp_path / "meant.fits")


def test_bands_of_a_picture_may_be_shifted_but_not_lie_beside_each_other(tmp_path: Path) -> None:
    for shift, told in ((20, False), (SHAPE[1], True)):
        headers = [made(FILTER="g"), made(FILTER="r", CRPIX1=120.5 - shift)]
        hdus = [fits.ImageHDU(planted(SHAPE, []), header) for header in headers]
        path = tmp_path / f"{shift}.fits"
        fits.HDUList([fits.PrimaryHDU(), *hdus]).writeto(path)
        if told:
            with pytest.raises(PictureError, match="do not show the same sky"):
                read_bands([path])
        else:
            assert read_bands([path]).names == ("r", "g")
