"""Footprints of surveys: read in each form, and what is no footprint."""

from pathlib import Path

import numpy as np
import pytest
from astropy.coordinates import Angle, Latitude, Longitude
from astropy.io import fits

from peculiar.errors import DataError, NotFoundError
from peculiar.tables.footprint import contains

mocpy = pytest.importorskip("mocpy", reason="mocpy is not installed: pip install 'peculiar[known]'")

PLACES = [(0, 90), (123, 81), (123, 79), (0, 0), (359.5, 0.5), (2, 0), (np.nan, 0), (0, np.inf)]
INSIDE = [True, True, False, True, True, False, False, False]


@pytest.mark.parametrize("form", ["fits", "json", "ascii"])
@pytest.mark.parametrize("suffix", [".fits", ".moc", ""])
def test_a_footprint_is_read_in_each_form_whatever_its_name(form: str, suffix: str) -> None:
    path = Path(f"footprint{suffix}")
    pole, origin = (
        mocpy.MOC.from_cone(lon=Longitude("0d"), lat=Latitude(dec), radius=Angle(radius), max_depth=12)
        for dec, radius in (("90d", "10d"), ("0d", "1d"))
    )
    pole.union(origin).save(str(path), format=form)
    assert contains(path, *np.array(PLACES).T).tolist() == INSIDE


@pytest.mark.parametrize(
    "content", [b"", b"{", b"not a footprint", b"SIMPLE  =", b"id,ra,dec\n1,2,3\n", b"\xff\xfe9/1"]
)
def test_what_is_no_footprint_is_said(content: bytes) -> None:
    Path("x.fits").write_bytes(content)
    with pytest.raises(DataError, match=r"x\.fits: is not a footprint, which is a MOC"):
        contains(Path("x.fits"), np.zeros(1), np.zeros(1))


def test_pictures_folders_and_nothing_are_no_footprints() -> None:
    fits.writeto("image.fits", np.zeros((8, 8)))
    with pytest.raises(DataError, match=r"image\.fits: is not a footprint"):
        contains(Path("image.fits"), np.zeros(1), np.zeros(1))
    Path("folder").mkdir()
    for name in ("folder", "nothing.fits"):
        with pytest.raises(NotFoundError, match=f"no footprint at {name}"):
            contains(Path(name), np.zeros(1), np.zeros(1))
