"""Pixels without data: zero weights and bits of masks, in the file of an image and beside it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

from peculiar.images.coverage import is_weight, mask_bits
from peculiar.images.fits import read_bands
from peculiar.sources import open_mosaic, open_source
from peculiar.sources.stream import EDGE, MISSING
from skies import sky

SIDE = 64
PIXELS = np.random.default_rng(222).normal(1, 0.1, (SIDE, SIDE)).astype(np.float32)
LSST = {"MP_BAD": 0, "MP_SAT": 1, "MP_EDGE": 4, "HIERARCH MP_DETECTED": 5, "HIERARCH MP_NO_DATA": 8}


def tan_header() -> fits.Header:
    return sky(shape=(SIDE, SIDE)).to_header()


def hole(value: float = 0, other: float = 1, dtype: Any = np.float32) -> np.ndarray:
    """A map with another value in one corner."""
    values = np.full((SIDE, SIDE), other, dtype)
    values[:4, :4] = value
    return values


def hdu(values: np.ndarray, name: str = "", **cards: Any) -> fits.ImageHDU:
    made = fits.ImageHDU(values, tan_header(), name=name)
    made.header.update(cards)
    return made


MAPS: dict[str, tuple[fits.ImageHDU, bool]] = {
    "weight 0": (hdu(hole(), "WHT"), True),
    "weight NaN": (hdu(hole(np.nan), "WEIGHT"), True),
    "integer weight": (hdu(hole(dtype=np.int16), "WT"), True),
    "inverse variance": (hdu(hole(), "INVVAR"), True),
    "exposure": (hdu(hole(), "EXPMAP"), True),
    "kind in the header": (hdu(hole(), "X", HDUCLAS2="WEIGHT"), True),
    "no zero": (hdu(hole(0.5), "WHT"), False),
    "variance": (hdu(hole(), "VARIANCE"), False),
    "error": (hdu(hole(), "ERR"), False),
    "another shape": (hdu(hole()[:32], "WHT"), False),
    "no data": (hdu(hole(1 << 8, 0, np.int32), "MASK", **LSST), True),
    "bad": (hdu(hole(1, 1 << 5, np.int32), "MASK", **LSST), True),
    "detected": (hdu(hole(1 << 5, 0, np.int32), "MASK", **LSST), False),
    "saturated and edge": (hdu(hole(18, 0, np.int32), "MASK", **LSST), False),
    "mask without names": (hdu(hole(1, 0, np.int32), "MASK"), False),
}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("kind", MAPS)
@pytest.mark.slow
def test_an_extension_declares_pixels_to_be_without_data(kind: str, packed: bool, tmp_path: Path) -> None:
    made, expected = MAPS[kind]
    if packed:
        made = fits.CompImageHDU(made.data, made.header, name=made.name)
    path = tmp_path / "a.fits"
    fits.HDUList([fits.PrimaryHDU(), hdu(PIXELS, "SCI"), made]).writeto(path)
    assert read_bands([path]).uncovered is expected
    (galaxy,) = open_source(path).galaxies()
    assert galaxy.flags == (MISSING if expected else 0)
    (tmp_path / "p.csv").write_text("id,ra,dec\na,150,2\n")
    (stamp,) = open_mosaic(path, tmp_path / "p.csv", stamp_size=f"{SIDE}px").galaxies()
    assert stamp.flags & ~EDGE == (MISSING if expected else 0)
    (inside,) = open_mosaic(path, tmp_path / "p.csv", stamp_size="16px").galaxies()
    assert inside.flags == 0


def test_values_stay_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "a.fits"
    fits.HDUList([fits.PrimaryHDU(), hdu(PIXELS, "SCI"), MAPS["weight 0"][0]]).writeto(path)
    assert np.array_equal(read_bands([path]).planes[0], PIXELS)


@pytest.mark.parametrize(
    ("image", "weight", "expected"),
    [
        ("a_sci.fits", "a_wht.fits", True),
        ("a.fits", "a.weight.fits", True),
        ("images/a.fits", "weights/a.fits", True),
        ("a-r.fits", "a-r_wht.fits", True),
        ("a_sci.fits", "a_err.fits", False),
    ],
)
def test_a_weight_map_may_be_a_file_of_its_own(image: str, weight: str, expected: bool, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    for name, values in ((image, PIXELS), (weight, hole())):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        fits.writeto(folder / name, values, tan_header())
    source = open_source(folder)
    assert [galaxy.flags for galaxy in source.galaxies()] == [MISSING if expected else 0]
    # A map of errors says nothing of missing data; it is read when the galaxy is measured.
    assert (folder / weight in source.files()) is (expected or "err" in weight)
    (tmp_path / "p.csv").write_text("id,ra,dec\na,150,2\n")
    mosaic = open_mosaic(folder, tmp_path / "p.csv", stamp_size=f"{SIDE}px")
    assert [galaxy.flags & ~EDGE for galaxy in mosaic.galaxies()] == [MISSING if expected else 0]


def test_a_map_belongs_to_its_band(tmp_path: Path) -> None:
    for wanted, expected in ((["g"], False), (["r"], True), (["r", "g"], True)):
        path = tmp_path / f"{''.join(wanted)}.fits"
        maps = [hdu(hole(1), "IVAR_G"), hdu(hole(), "IVAR_R")]
        fits.HDUList([fits.PrimaryHDU(), hdu(PIXELS, "G"), hdu(PIXELS, "R"), *maps]).writeto(path)
        assert read_bands([path], wanted).uncovered is expected


def test_the_tile_with_most_data_is_taken(tmp_path: Path) -> None:
    header = tan_header()
    shifted = header.copy()
    shifted["CRPIX1"] += 6
    for name, there, weight in (("one", header, 0), ("two", shifted, 1)):
        tile = fits.ImageHDU(np.full((SIDE, SIDE), weight, np.float32), there, name="WHT")
        fits.HDUList([fits.PrimaryHDU(PIXELS, there), tile]).writeto(tmp_path / f"{name}.fits")
    (tmp_path / "p.csv").write_text("id,ra,dec\na,150,2\n")
    flags = []
    for tiles in (["one.fits"], ["one.fits", "two.fits"]):
        (row,) = open_mosaic([tmp_path / name for name in tiles], tmp_path / "p.csv", stamp_size="16px").rows()
        flags.append(row.flags)
    assert flags == [MISSING, 0]


def test_a_damaged_weight_map_leaves_the_image(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    fits.writeto(tmp_path / "a_sci.fits", PIXELS)
    (tmp_path / "a_wht.fits").write_bytes(b"SIMPLE  = nothing")
    (galaxy,) = open_source(tmp_path).galaxies()
    assert galaxy.picture is not None
    assert "a weight map is not used" in caplog.text


def test_words_and_bits_of_a_header() -> None:
    assert mask_bits(fits.Header(LSST)) == (1 << 8) + 1
    assert mask_bits(fits.Header({"MP_BAD": 99, "HIERARCH MP_NO_DATA": "x"})) == 0
    assert is_weight(fits.Header({"EXTNAME": "2D_WHT"}))
    assert not is_weight(fits.Header({"EXTNAME": "SKY_SUBTRACTED"}))
