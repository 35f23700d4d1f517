"""Bands of a picture in other orders and stretches, its scale and its orientation, from every kind of FITS source."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from astropy.io import fits

from peculiar.errors import PictureError
from peculiar.images.decode import encode_picture
from peculiar.images.unstretched import Unstretched, read_unstretched
from peculiar.sources import open_mosaic, open_source
from peculiar.sources.stream import unstretched_of
from skies import header, positions, sky, write_bands

SHAPE = (40, 60)
BANDS = ("g", "r", "i", "z")


def light(name: str) -> np.ndarray:
    """Noise, and a bright square at a place of its own for each band."""
    values = np.random.default_rng(222).normal(0, 1, SHAPE).astype(np.float32)
    at = 8 * BANDS.index(name)
    values[4:10, at : at + 8] += 200
    return values


def folder(tmp_path: Path) -> Unstretched:
    for name in BANDS:
        write_bands(tmp_path / f"m51-{name}.fits", {name: light(name)}, sky(shape=SHAPE, turn=30))
    return of(open_source(tmp_path))


def extensions(tmp_path: Path) -> Unstretched:
    path = write_bands(tmp_path / "m51.fits", {name: light(name) for name in BANDS}, sky(shape=SHAPE, turn=30))
    return of(open_source(path))


def cube(tmp_path: Path) -> Unstretched:
    cards = header(sky(shape=SHAPE, turn=30), BANDS="griz")
    fits.PrimaryHDU(np.stack([light(name) for name in BANDS]), cards).writeto(tmp_path / "m51.fits")
    return of(open_source(tmp_path))


def cells(tmp_path: Path) -> Unstretched:
    path = write_bands(tmp_path / "m51.fits", {name: light(name) for name in BANDS}, sky(shape=SHAPE, turn=30))
    pa.parquet.write_table(pa.table({"id": ["m51"], "image": [path.read_bytes()]}), tmp_path / "t.parquet")
    return of(open_source(tmp_path / "t.parquet"))


def mosaic(tmp_path: Path) -> Unstretched:
    wcs = sky(shape=SHAPE, turn=30)
    path = write_bands(tmp_path / "m51.fits", {name: light(name) for name in BANDS[:3]}, wcs)
    table = positions(tmp_path / "p.parquet", wcs, [(20.0, 20.0)])
    return of(open_mosaic(path, table, stamp_size="40px"))


def of(source: object) -> Unstretched:
    found = unstretched_of(next(source.rows()))  # type: ignore[attr-defined]
    assert found is not None
    return found


@pytest.mark.parametrize("kind", [folder, extensions, cube, cells, mosaic])
def test_bands_scale_and_orientation_are_known_of_every_kind(tmp_path: Path, kind: object) -> None:
    found = kind(tmp_path)  # type: ignore[operator]
    assert [found.names[number] for number in found.taken] == ["i", "r", "g"]
    assert found.pixel == pytest.approx(0.4, rel=1e-3)
    assert found.compass == pytest.approx((30, -60), abs=0.1)
    offered = found.offered()
    assert {("g",), ("r",), ("i",), ("g", "r", "i")} <= set(offered)
    assert ("i", "r", "g") not in offered
    assert (("z", "i", "r") in offered) == (len(found.names) == 4)
    grey, colour = found.picture(("g",)), found.picture(("g", "r", "i"))
    assert (grey[..., 0] == grey[..., 2]).all()
    # FITS counts rows from below; the square of g is red where g is shown in red.
    bright = colour[-8, 3]
    assert int(bright[0]) > 2 * int(bright[2])
    assert (found.picture(("u",)) == found.picture()).all()


def test_looks_differ_in_the_light_that_they_show(tmp_path: Path) -> None:
    found = extensions(tmp_path)
    means = {look: found.picture((), look).astype(float).mean() for look in ("", "faint", "bright", "linear")}
    assert means["faint"] > 1.3 * means[""]
    assert means["bright"] < means[""] / 1.3
    ramp = np.tile(np.linspace(0, 1000, 60, dtype=np.float32), (40, 1))
    path = write_bands(tmp_path / "ramp.fits", {"r": ramp})
    line = read_unstretched([path]).picture((), "linear")[20, :, 0].astype(float)
    unclipped = line[(line > 5) & (line < 250)]
    assert len(unclipped) > 20
    assert np.abs(np.diff(unclipped, 2)).max() <= 2


def test_finished_pictures_keep_their_pixels_and_pictures_are_no_fits(tmp_path: Path) -> None:
    drawn = np.arange(3 * 16 * 16, dtype=np.int64).reshape(3, 16, 16).astype(np.uint8)
    fits.PrimaryHDU(drawn).writeto(tmp_path / "a.fits")
    found = read_unstretched([tmp_path / "a.fits"])
    assert (found.picture((), "faint") == found.picture()).all()
    assert (found.pixel, found.compass) == (None, None)
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "b.png").write_bytes(encode_picture(np.zeros((8, 8, 3), np.uint8)))
    assert unstretched_of(next(open_source(tmp_path / "b").rows())) is None
    (tmp_path / "c.fits").write_bytes((tmp_path / "a.fits").read_bytes()[:2900])
    with pytest.raises(PictureError):
        read_unstretched([tmp_path / "c.fits"]).picture()


def test_a_table_of_pictures_may_state_the_side_of_a_pixel(tmp_path: Path) -> None:
    picture = encode_picture(np.zeros((8, 8, 3), np.uint8))
    table = pa.table({"id": ["a", "b", "c"], "image": [picture] * 3, "pixel_arcsec": [0.25, None, -1.0]})
    pa.parquet.write_table(table, tmp_path / "t.parquet")
    assert [row.pixel for row in open_source(tmp_path / "t.parquet").rows()] == [0.25, None, None]
