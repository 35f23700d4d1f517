"""Objects that are detected in mosaics, and what is made of them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

from peculiar.errors import DataError, UsageError
from peculiar.images import detection
from peculiar.images.detection import detect
from peculiar.images.linear import Exposure
from peculiar.sources import open_mosaic, open_pictures
from skies import planted, sky

PLACES = [(60.0, 50.0), (300.5, 80.0), (199.0, 201.0), (420.0, 330.0)]


@pytest.fixture
def mosaic(tmp_path: Path) -> Path:
    """Four galaxies on a sky that rises to one side, with a border without values."""
    wcs = sky()
    light = planted((400, 500), PLACES, flux=60) + np.linspace(0, 0.1, 500, dtype=np.float32)
    light[:, 480:] = np.nan
    fits.writeto(tmp_path / "mosaic.fits", light, wcs.to_header())
    return tmp_path / "mosaic.fits"


def test_objects_are_detected_once_whatever_the_tiles(mosaic: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for tile in (2048, 200):
        monkeypatch.setattr(detection, "_TILE", tile)
        with Exposure([mosaic], mapped=True) as exposure:
            found = sorted((one.column, one.row, one.flux, one.radius) for one in detect(exposure))
        assert np.array(found)[:, :2] == pytest.approx(np.array(sorted(PLACES)), abs=0.3)
        assert np.array(found)[:, 2] == pytest.approx(60, rel=0.25)
        # Half of the light of a Gaussian of two pixels is within 2.35.
        assert np.array(found)[:, 3] == pytest.approx(2.2, abs=0.4)


def test_a_mosaic_without_a_table_gets_the_positions_of_its_objects(mosaic: Path) -> None:
    source = open_mosaic(mosaic, stamp_size="8xradius")
    galaxies = list(source.galaxies())
    wcs = sky()
    ra, dec = wcs.all_pix2world(*np.array(PLACES).T, 0)
    found = np.array([one.position for one in galaxies])
    assert sorted(found[:, 1].tolist()) == pytest.approx(sorted(dec.tolist()), abs=1e-4)
    assert sorted(found[:, 0].tolist()) == pytest.approx(sorted(ra.tolist()), abs=1e-4)
    assert all(one.id.startswith("J") and "+0" in one.id for one in galaxies)
    assert [one.id for one in open_mosaic(mosaic).galaxies()] == [one.id for one in galaxies]
    # The same sky in two files is one set of galaxies.
    other = mosaic.with_name("shifted.fits")
    with fits.open(mosaic) as file:
        moved = file[0].data[:, 40:]
        cards = file[0].header
        cards["CRPIX1"] -= 40
        fits.writeto(other, moved, cards)
    assert len(open_mosaic([mosaic, other])) == 4


def test_an_empty_mosaic_and_two_sets_of_positions_are_told(mosaic: Path, tmp_path: Path) -> None:
    empty: Any = tmp_path / "empty.fits"
    fits.writeto(empty, planted((100, 100), []), sky(shape=(100, 100)).to_header())
    with pytest.raises(DataError, match=r"no galaxy is detected in it; give the positions of galaxies \(--catalog\)"):
        open_mosaic(empty)
    (tmp_path / "positions.csv").write_text("ra,dec\n150,2\n")
    with pytest.raises(UsageError, match="positions are given, so none are to be detected"):
        open_pictures(mosaic, tmp_path / "positions.csv", detect=True)
    with pytest.raises(UsageError, match="given by their paths"):
        open_pictures(np.zeros((2, 8, 8, 3), np.uint8), detect=True)
