"""Stamps out of mosaics: where they lie on the sky, edges, every way of storage, bad positions."""

import gzip
import pickle
from pathlib import Path

import astropy
import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.nddata import Cutout2D
from astropy.wcs import WCS
from typer.testing import CliRunner

from peculiar.catalogs.predict import predict
from peculiar.catalogs.tally import Flag
from peculiar.cli import app
from peculiar.errors import DataError, NotFoundError, UnknownNameError, UsageError
from peculiar.images.framing import Framing
from peculiar.images.stamps import Field, Layer
from peculiar.images.stretch import Stretch
from peculiar.models.model_file import load_model
from peculiar.sources import MosaicSource, open_mosaic
from peculiar.sources.mosaic import parse_stamp_size
from peculiar.sources.stream import EDGE, OFF_MOSAIC
from peculiar.tables.reader import TableReader
from skies import centroid, header, planted, positions, sky, write_bands

SHAPE = (400, 500)
PLACES = [(100.0, 80.0), (333.3, 250.7), (249.5, 199.5), (410.2, 90.4)]


def mosaic(path: Path, wcs: WCS, places: list[tuple[float, float]] = PLACES) -> Path:
    bands = {band: planted(SHAPE, places, seed=n) for n, band in enumerate("gri")}
    return write_bands(path, bands, wcs, BUNIT="nanomaggy")


def field_of(path: Path) -> Field:
    with fits.open(path) as hdus:
        return Field([Layer(path, number) for number, hdu in enumerate(hdus) if hdu.data is not None])


def written(path: Path, ra: list[object], dec: list[object], **columns: list[object]) -> Path:
    pa.csv.write_csv(pa.table({"ra": ra, "dec": dec, **columns}), path)
    return path


SKIES = {
    "plain": {},
    "turned": {"turn": 37.0},
    "distorted": {"sip": 3.0},
    "distorted and turned": {"sip": 2.0, "turn": 200.0},
    "near the pole": {"ra": 40.0, "dec": 89.0},
    "at the pole": {"ra": 40.0, "dec": 90.0},
    "around ra 0": {"ra": 0.0, "dec": -30.0},
    "in the south": {"ra": 359.999, "dec": -88.9, "turn": 80.0},
}


@pytest.mark.parametrize("kind", SKIES)
def test_a_galaxy_comes_out_in_the_middle(tmp_path: Path, kind: str) -> None:
    wcs = sky(shape=SHAPE, **SKIES[kind])
    source = open_mosaic(
        mosaic(tmp_path / "m.fits", wcs), positions(tmp_path / "p.parquet", wcs, PLACES), stamp_size="64px"
    )
    assert len(source) == len(PLACES)
    for galaxy, (ra, dec) in zip(source.galaxies(Framing(64)), wcs.all_pix2world(PLACES, 0), strict=True):
        assert galaxy.picture is not None
        assert galaxy.position == pytest.approx((ra, dec))
        assert galaxy.flags == 0
        np.testing.assert_allclose(centroid(galaxy.picture), 31.5, atol=0.55)


@pytest.mark.parametrize("side", [4, 33, 64])
def test_stamps_equal_those_of_astropy(tmp_path: Path, side: int) -> None:
    wcs = sky(shape=SHAPE, sip=2.0, turn=20.0)
    path = mosaic(tmp_path / "m.fits", wcs)
    field = field_of(path)
    assert field.names == ("i", "r", "g")
    rng = np.random.default_rng(3)
    with fits.open(path) as hdus:
        bands = {hdu.header["FILTER"]: hdu.data for hdu in hdus[1:]}
        for x, y in rng.uniform((-1, -1), SHAPE[::-1], (60, 2)):
            stamp, outside, missing = field.cut(x, y, side)
            for name, ours in zip(field.names, stamp, strict=True):
                theirs = Cutout2D(bands[name], (x, y), side, mode="partial", fill_value=np.nan)
                np.testing.assert_array_equal(ours, theirs.data)
            assert outside == np.isnan(stamp).sum()
            assert missing == 0


def test_places_equal_those_of_astropy(tmp_path: Path) -> None:
    wcs = sky(shape=SHAPE, sip=3.0, turn=120.0)
    field = field_of(mosaic(tmp_path / "m.fits", wcs))
    pixels = np.random.default_rng(1).uniform((0, 0), SHAPE[::-1], (500, 2))
    np.testing.assert_allclose(field.sky.place(*wcs.all_pix2world(pixels, 0).T), pixels, atol=1e-3)
    far = field.sky.place(np.array([330.0, 150.0, 20.0]), np.array([-2.0, 80.0, 0.0]))
    assert not field.sky.holds(far).any()


def test_a_mosaic_in_galactic_coordinates(tmp_path: Path) -> None:
    wcs = sky(200.0, 60.0, shape=SHAPE)
    wcs.wcs.ctype = ["GLON-TAN", "GLAT-TAN"]
    path = write_bands(tmp_path / "m.fits", {"r": planted(SHAPE, [(300.2, 150.3)])}, wcs, BUNIT="nanomaggy")
    lon, lat = wcs.all_pix2world([[300.2, 150.3]], 0)[0]
    there = SkyCoord(lon, lat, unit="deg", frame="galactic").icrs
    source = open_mosaic(path, written(tmp_path / "p.csv", [there.ra.deg], [there.dec.deg]), stamp_size="64")
    (galaxy,) = source.galaxies(Framing(64))
    assert galaxy.picture is not None
    np.testing.assert_allclose(centroid(galaxy.picture), 31.5, atol=0.55)


def test_bands_that_are_shifted_are_laid_over_each_other(tmp_path: Path) -> None:
    for band, by in (("g", 0), ("r", 7), ("i", -12)):
        wcs = sky(shape=SHAPE)
        wcs.wcs.crpix = wcs.wcs.crpix + np.array([by, -2 * by])
        image = planted(SHAPE, [(250 + by, 200 - 2 * by)], flux=100)
        fits.PrimaryHDU(image, header(wcs, BUNIT="nanomaggy", FILTER=band)).writeto(tmp_path / f"f-{band}.fits")
    catalog = positions(tmp_path / "p.parquet", sky(shape=SHAPE), [(250, 200)])
    (galaxy,) = open_mosaic(tmp_path, catalog, stamp_size="64px").galaxies(Framing(64))
    assert galaxy.picture is not None
    for colour in range(3):
        np.testing.assert_allclose(centroid(galaxy.picture[..., colour : colour + 1]), (32, 31), atol=0.4)


@pytest.mark.parametrize("kind", ["one file a band", "cube", "tiles", "tiles of a cube", "gzip", "integers", "f8"])
@pytest.mark.slow
def test_every_way_of_storage(tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture) -> None:
    wcs = sky(shape=SHAPE)
    bands = [np.rint(planted(SHAPE, PLACES, seed=n) * 100) for n in range(3)]
    catalog = positions(tmp_path / "p.parquet", wcs, PLACES)
    path: Path | list[Path] = tmp_path / "m.fits"
    cards = header(wcs, BUNIT="nanomaggy")
    match kind:
        case "one file a band":
            path = []
            for band, data in zip("gri", bands, strict=True):
                path.append(tmp_path / f"m-{band}.fits")
                fits.PrimaryHDU(data.astype(np.float32), cards).writeto(path[-1])
        case "cube" | "f8":
            fits.PrimaryHDU(np.stack(bands).astype("f8" if kind == "f8" else "f4"), cards).writeto(tmp_path / "m.fits")
        case "tiles":
            hdus = [fits.CompImageHDU(data.astype(np.int32), cards, compression_type="RICE_1") for data in bands]
            for band, hdu in zip("gri", hdus, strict=True):
                hdu.header["FILTER"] = band
            fits.HDUList([fits.PrimaryHDU(), *hdus]).writeto(tmp_path / "m.fits")
        case "tiles of a cube":
            cube = fits.CompImageHDU(np.stack(bands).astype(np.int32), cards, compression_type="RICE_1")
            fits.HDUList([fits.PrimaryHDU(), cube]).writeto(tmp_path / "m.fits")
        case "gzip":
            path = tmp_path / "m.fits.gz"
            fits.PrimaryHDU(np.stack(bands).astype(np.float32), cards).writeto(path)
        case "integers":
            fits.PrimaryHDU((np.stack(bands) + 2000).astype(np.uint16), cards).writeto(tmp_path / "m.fits")
            with fits.open(tmp_path / "m.fits", mode="update", do_not_scale_image_data=True) as opened:
                opened[0].header["BZERO"] -= 2000
                opened[0].header["BLANK"] = int(opened[0].data[0, 0, 0])
                blank = opened[0].data[0, 0, 0]
                bands[0][opened[0].data[0] == blank] = np.nan
                bands[1][opened[0].data[1] == blank] = np.nan
                bands[2][opened[0].data[2] == blank] = np.nan
    source = open_mosaic(path, catalog, stamp_size="64px")
    (field,) = source.fields
    stamp, outside, _ = field.cut(10, 200, 64)
    assert outside == 3 * 22 * 64
    for ours, data in zip(stamp, bands[::-1], strict=True):
        theirs = Cutout2D(data, (10, 200), 64, mode="partial", fill_value=np.nan).data
        np.testing.assert_array_equal(ours, theirs.astype(np.float32))
    galaxies = list(source.galaxies(Framing(64)))
    assert [galaxy.problem for galaxy in galaxies] == [None] * 4
    assert ("is compressed" in caplog.text) == (kind in {"tiles", "tiles of a cube", "gzip"})


def test_a_cube_with_distortions(tmp_path: Path) -> None:
    wcs = sky(shape=SHAPE, sip=3.0, turn=20.0)
    fits.PrimaryHDU(np.stack([planted(SHAPE, PLACES)] * 3), header(wcs)).writeto(tmp_path / "m.fits")
    field = field_of(tmp_path / "m.fits")
    np.testing.assert_allclose(field.sky.place(*wcs.all_pix2world(PLACES, 0).T), PLACES, atol=1e-3)


def test_a_finished_picture_is_cut_as_it_is(tmp_path: Path) -> None:
    wcs = sky(shape=SHAPE)
    rgb = np.random.default_rng(1).integers(0, 256, (3, *SHAPE), dtype=np.uint8)
    fits.PrimaryHDU(rgb, header(wcs)).writeto(tmp_path / "m.fits")
    catalog = positions(tmp_path / "p.parquet", wcs, [(100.0, 80.0), (2.0, 80.0)])
    source = open_mosaic(tmp_path / "m.fits", catalog, stamp_size="20px")
    first, second = source.galaxies(Framing(20))
    np.testing.assert_array_equal(first.picture, np.moveaxis(rgb[:, 70:90, 90:110], 0, -1)[::-1])
    assert second.picture is not None
    assert not second.picture[:, :8].any()
    assert source.notes["stretch"] == "none: 8 bits already"


def test_positions_that_cannot_be_used_come_first(tmp_path: Path) -> None:
    wcs = sky(shape=SHAPE)
    catalog = written(tmp_path / "p.csv", [*[""] * 1500, "150"], [*[""] * 1500, "2"])
    galaxies = list(open_mosaic(mosaic(tmp_path / "m.fits", wcs), catalog, stamp_size="20px").galaxies())
    assert [galaxy.problem is None for galaxy in galaxies] == [*[False] * 1500, True]


def test_a_plain_mosaic_is_mapped_not_read(tmp_path: Path) -> None:
    field = field_of(mosaic(tmp_path / "m.fits", sky(shape=SHAPE)))
    assert all(isinstance(plane.stored.base, np.memmap) for plane in field._planes)


def test_sizes_of_stamps(tmp_path: Path) -> None:
    wcs = sky(shape=SHAPE, pixel=0.4)
    path = mosaic(tmp_path / "m.fits", wcs)
    catalog = positions(tmp_path / "p.parquet", wcs, PLACES, R50=[2.0, 4.0, None, -1.0])

    def sides(size: str) -> list[int | str]:
        source = open_mosaic(path, catalog, stamp_size=size)
        rows = zip(source.rows(), source.galaxies(Framing(16)), strict=True)
        return [row.content().shape[0] if galaxy.problem is None else galaxy.problem for row, galaxy in rows]

    assert sides("50") == [50] * 4
    assert sides("64px") == [64] * 4
    assert sides("20arcsec") == [50] * 4
    first, second, third, fourth = sides("4xR50")
    assert (first, second) == (20, 40)
    assert third == "its radius R50=nan is not a positive number"
    assert fourth == "its radius R50=-1 is not a positive number"
    assert sides("5000xR50")[0] == "a stamp of 25000 pixels per side was requested; from 4 to 4096 can be cut"
    with pytest.raises(UnknownNameError, match=r"no column 'R5' in p\.parquet\. Did you mean 'R50'"):
        open_mosaic(path, catalog, stamp_size="4xR5")


@pytest.mark.parametrize(
    "text", ["", "px", "30 parsec", "-5px", "0", "0arcsec", "x R50", "4x", "1.5px", "1e3", "3px", "9999"]
)
def test_sizes_that_are_none(text: str) -> None:
    with pytest.raises(UsageError, match="stamp"):
        parse_stamp_size(text)


@pytest.mark.parametrize("text", ["64px", "30arcsec", "0.5arcsec", "4xR50", "2.5xPETRO R"])
def test_sizes_are_told_as_they_are_read(text: str) -> None:
    assert str(parse_stamp_size(text)) == text
    assert parse_stamp_size(str(parse_stamp_size(text))) == parse_stamp_size(text)


def test_rows_on_the_edge_and_off_keep_their_place(tmp_path: Path, tiny_model: Path) -> None:
    wcs = sky(shape=SHAPE)
    path = mosaic(tmp_path / "m.fits", wcs)
    places = [
        (250.0, 200.0),
        (5.0, 200.0),
        (-30.0, 200.0),
        (250.0, 398.0),
        (900.0, 200.0),
        (499.4, -0.4),
        (100.0, 80.0),
    ]
    source = open_mosaic(path, positions(tmp_path / "p.parquet", wcs, places), stamp_size="64px")
    galaxies = list(source.galaxies(Framing(64)))
    assert [galaxy.id for galaxy in galaxies] == [f"g{n}" for n in range(7)]
    assert [galaxy.flags for galaxy in galaxies] == [0, EDGE, OFF_MOSAIC, EDGE, OFF_MOSAIC, EDGE, 0]
    assert [galaxy.picture is None for galaxy in galaxies] == [flag == OFF_MOSAIC for flag in (0, 4, 8, 4, 8, 4, 0)]
    left, top = galaxies[1].picture, galaxies[3].picture
    assert left is not None
    assert not left[:, :27].any()
    assert left[:, 28:].any(axis=(0, 2)).all()
    assert top is not None
    assert not top[:29].any()
    assert top[32:].any(axis=(1, 2)).all()
    assert "lies on no mosaic of m.fits" in str(galaxies[2].problem)
    result = predict(source, tmp_path / "c.parquet", load_model(tiny_model))
    flags = TableReader(tmp_path / "c.parquet").column("flags")
    assert [Flag(flag) & ~Flag.BLANK for flag in flags] == [
        0,
        Flag.EDGE,
        Flag.UNREADABLE | Flag.OFF_MOSAIC,
        Flag.EDGE,
        Flag.UNREADABLE | Flag.OFF_MOSAIC,
        Flag.EDGE,
        0,
    ]
    assert result.summary.tally.flagged["edge"] == 3
    assert result.summary.tally.flagged["off_mosaic"] == 2
    assert result.summary.tally.rows == 7


def test_positions_that_are_none(tmp_path: Path) -> None:
    wcs = sky(5.0, 2.0, shape=SHAPE)
    path = mosaic(tmp_path / "m.fits", wcs)
    catalog = written(
        tmp_path / "p.csv",
        ["5.0", "400", "2.0", "", "nan", "north", "-355"],
        ["2.0", "2.0", "150.0", "2.0", "2.0", "+02:00:00", "2.0"],
    )
    problems = [galaxy.problem for galaxy in open_mosaic(path, catalog, stamp_size="64px").galaxies()]
    assert problems == [
        None,
        "row 1 (counted from 0) of p.csv: ra 400 is not between -180 and 360 degrees",
        "row 2 (counted from 0) of p.csv: dec 150 is not between -90 and 90 degrees; ra and dec look swapped",
        "row 3 (counted from 0) of p.csv: ra is empty",
        "row 4 (counted from 0) of p.csv: ra 'nan' is not a number of degrees",
        "row 5 (counted from 0) of p.csv: ra 'north' is not a number of degrees",
        "row 6 (counted from 0) of p.csv: ra -355 is not between -180 and 360 degrees",
    ]


def test_negative_right_ascensions_wrap(tmp_path: Path) -> None:
    wcs = sky(0.0, 2.0, shape=SHAPE)
    catalog = written(tmp_path / "p.csv", [-0.001, 359.999, 0.001], [2.0, 2.0, 2.0])
    first, second, third = open_mosaic(mosaic(tmp_path / "m.fits", wcs), catalog).galaxies()
    np.testing.assert_array_equal(first.picture, second.picture)
    assert third.picture is not None


def test_no_position_matches(tmp_path: Path) -> None:
    path = mosaic(tmp_path / "m.fits", sky(shape=SHAPE))
    with pytest.raises(
        DataError, match=r"none of 2 positions lies on .*m\.fits, whose middle is at ra 150\.0000, dec 2\.0"
    ):
        open_mosaic(path, written(tmp_path / "a.csv", [10.0, 11.0], [2.0, 2.0]))
    swapped = written(tmp_path / "b.csv", [2.0, 2.0], [150.0, 150.0])
    with pytest.raises(
        DataError,
        match=r"none of 2 positions can be used; the first: row 0 .* of b\.csv: .*; ra and dec look swapped",
    ):
        open_mosaic(path, swapped)
    pa.csv.write_csv(pa.table({"x": [1.0], "y": [1.0]}), tmp_path / "c.csv")
    with pytest.raises(UnknownNameError, match=r"no column 'ra' in c\.csv, .*--ra COLUMN and --dec COLUMN.*are: x, y"):
        open_mosaic(path, tmp_path / "c.csv")


def test_a_table_without_rows(tmp_path: Path) -> None:
    path = mosaic(tmp_path / "m.fits", sky(shape=SHAPE))
    catalog = positions(tmp_path / "p.parquet", sky(shape=SHAPE), PLACES)
    pa.parquet.write_table(pa.parquet.read_table(catalog).slice(0, 0), catalog)
    assert list(open_mosaic(path, catalog).galaxies()) == []


def test_mosaics_that_cannot_be_used(tmp_path: Path) -> None:
    catalog = positions(tmp_path / "p.parquet", sky(shape=SHAPE), PLACES)
    plain = write_bands(tmp_path / "plain.fits", {"r": planted(SHAPE, [])})
    with pytest.raises(DataError, match=r"plain\.fits: this image has no celestial coordinates"):
        open_mosaic(plain, catalog)
    unequal = write_bands(
        tmp_path / "unequal.fits", {"g": planted(SHAPE, []), "r": planted((400, 499), [])}, sky(shape=SHAPE)
    )
    with pytest.raises(DataError, match=r"unequal.* show the same sky in different bands, and differ in shape"):
        open_mosaic(unequal, catalog)
    files = []
    for band, turn in (("g", 0.0), ("r", 3.0)):
        files.append(tmp_path / f"turned-{band}.fits")
        fits.PrimaryHDU(planted(SHAPE, []), header(sky(shape=SHAPE, turn=turn))).writeto(files[-1])
    with pytest.raises(DataError, match=r"turned-g\.fits and turned-r\.fits show the same sky in different bands, and"):
        open_mosaic(files, catalog)
    short = tmp_path / "short.fits"
    short.write_bytes(mosaic(tmp_path / "m.fits", sky(shape=SHAPE)).read_bytes()[:-400_000])
    with pytest.raises(DataError, match=r"short\.fits: it is FITS cut short: .* download it again"):
        open_mosaic(short, catalog)
    packed = tmp_path / "packed.fits.gz"
    packed.write_bytes(gzip.compress((tmp_path / "m.fits").read_bytes())[:-200_000])
    with pytest.raises(DataError, match=r"packed\.fits\.gz: (this file is damaged FITS|cannot be read as FITS)"):
        open_mosaic(packed, catalog)
    with pytest.raises(DataError, match=r"p\.parquet: cannot be read as FITS"):
        open_mosaic(catalog, catalog)
    with pytest.raises(NotFoundError, match=r"there is nothing at .*none\.fits"):
        open_mosaic(tmp_path / "none.fits", catalog)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="there is no FITS file"):
        open_mosaic(tmp_path / "empty", catalog)


def test_several_mosaics(tmp_path: Path) -> None:
    folder = tmp_path / "tiles"
    folder.mkdir()
    east, west = sky(150.02, 2.0, shape=SHAPE), sky(150.0, 2.0, shape=SHAPE)
    shared = (400.0, 200.0)
    seen = (float(x) for x in east.all_world2pix(west.all_pix2world([shared], 0), 0)[0])
    for name, wcs, places in (("east", east, [tuple(seen)]), ("west", west, [(60.0, 60.0)])):
        for n, band in enumerate("gri"):
            fits.PrimaryHDU(planted(SHAPE, places, seed=n), header(wcs, BUNIT="nanomaggy")).writeto(
                folder / f"{name}-{band}.fits"
            )
    catalog = positions(tmp_path / "p.parquet", west, [(60.0, 60.0), (100.0, 200.0), (999.0, 999.0)])
    source = open_mosaic(folder, catalog, stamp_size="64px")
    assert len(source.fields) == 2
    first, second, third = source.galaxies(Framing(64))
    assert first.picture is not None
    np.testing.assert_allclose(centroid(first.picture), 31.5, atol=0.55)
    assert second.problem is None
    assert third.flags == OFF_MOSAIC


def test_pieces_and_processes_give_the_same(tmp_path: Path) -> None:
    wcs = sky(shape=SHAPE)
    path = mosaic(tmp_path / "m.fits", wcs)
    rng = np.random.default_rng(5)
    places = [tuple(place) for place in rng.uniform((-20, -20), SHAPE[::-1], (200, 2))]
    kinds = ["Normal", "Ringed"] * 100
    source = open_mosaic(
        path, positions(tmp_path / "p.parquet", wcs, places, kind=kinds), stamp_size="32px", label="kind"
    )
    whole = list(source.galaxies(Framing(32)))
    assert source.labels() == kinds
    assert [galaxy.id for galaxy in whole] == [f"g{n}" for n in range(200)]
    parts = [pickle.loads(pickle.dumps(shard)) for shard in source.shards(70)]
    assert all(len(pickle.dumps(shard)) < 2000 for shard in source.shards(70))
    again = [galaxy for part in parts for galaxy in part.source.galaxies(Framing(32), start=part.start, stop=part.stop)]
    assert [(galaxy.id, galaxy.flags, galaxy.problem, galaxy.label) for galaxy in again] == [
        (galaxy.id, galaxy.flags, galaxy.problem, galaxy.label) for galaxy in whole
    ]
    for ours, theirs in zip(again, whole, strict=True):
        assert (ours.picture is None) == (theirs.picture is None)
        if ours.picture is not None:
            np.testing.assert_array_equal(ours.picture, theirs.picture)
    before = source.fingerprint(0, 10)
    assert parts[0].source.fingerprint(0, 10) == before
    other = open_mosaic(path, tmp_path / "p.parquet", stamp_size="33px")
    assert other.fingerprint(0, 10) != before


@pytest.mark.parametrize(("unit", "size"), [("nanomaggy", 1.0), ("uJy", 3.631), ("Jy", 3.631e-6), ("", 1.0)])
@pytest.mark.parametrize("first", [True, False])
@pytest.mark.slow
def test_tiles_in_different_units_look_alike(tmp_path: Path, unit: str, size: float, first: bool) -> None:
    for name, ra, factor, said in (("a", 150.0, 1.0, "nanomaggy"), ("b", 150.2, size, unit)):
        wcs = sky(ra=ra, shape=SHAPE)
        bands = {band: factor * planted(SHAPE, PLACES, seed=n) for n, band in enumerate("gri")}
        place = tmp_path / (name if first else {"a": "b", "b": "a"}[name])
        write_bands(place.with_suffix(".fits"), bands, wcs, **({"BUNIT": said} if said else {}))
    places = [sky(ra=ra, shape=SHAPE).all_pix2world(PLACES[:1], 0)[0].tolist() for ra in (150.0, 150.2)]
    catalog = written(tmp_path / "p.csv", *map(list, zip(*places, strict=True)))  # type: ignore[arg-type]
    source = open_mosaic(tmp_path, catalog, stamp_size="64px")
    one, other = (galaxy.picture for galaxy in source.galaxies(Framing(64)))
    assert one is not None
    assert other is not None
    if unit:
        assert np.abs(one.astype(int) - other).max() <= 2
    else:  # of a tile without a unit, the noise decides, as if it were alone
        alone = open_mosaic(tmp_path / ("b.fits" if first else "a.fits"), catalog, stamp_size="64px")
        assert source.notes["stretch"].startswith("[{")
        same = [galaxy.picture for galaxy in alone.galaxies(Framing(64))][1]
        np.testing.assert_array_equal(other, same)


def test_one_stretch_serves_for_all_and_is_recorded(tmp_path: Path) -> None:
    wcs = sky(shape=SHAPE, pixel=0.396)
    catalog = positions(tmp_path / "p.parquet", wcs, PLACES)
    known = open_mosaic(mosaic(tmp_path / "m.fits", wcs), catalog, stamp_size="64px")
    assert known.stretch.chosen == "nanomaggies"
    assert known.stretch.scales == pytest.approx((1.0, 1.2, 1.85), rel=1e-3)
    counts = {band: planted(SHAPE, PLACES, seed=n) * 40 + 700 for n, band in enumerate("gri")}
    unknown = open_mosaic(write_bands(tmp_path / "n.fits", counts, wcs), catalog, stamp_size="64px")
    assert unknown.stretch.chosen == "noise"
    assert unknown.stretch.skies == pytest.approx((700, 700, 700), rel=0.01)
    assert unknown.notes["pixel"] == "0.396 arcsec"
    assert '"chosen": "noise"' in unknown.notes["stretch"]
    given = Stretch((1, 1, 1), (0, 0, 0))
    assert open_mosaic(tmp_path / "m.fits", catalog, stretch=given).stretch == given


def test_a_published_mosaic_of_another_projection(tmp_path: Path) -> None:
    path = Path(astropy.__file__).parent / "modeling/tests/data/1904-66_AZP.fits"
    if not path.is_file():
        pytest.skip("astropy is installed without the files of its tests")
    with fits.open(path) as hdus:
        data, wcs = hdus[0].data, WCS(hdus[0].header)
    ra, dec = wcs.all_pix2world(100.0, 60.0, 0)
    source = open_mosaic(path, written(tmp_path / "p.csv", [float(ra)], [float(dec)]), stamp_size="21px")
    (field,) = source.fields
    column, row = field.sky.place(np.array([ra]), np.array([dec]))[0]
    assert (column, row) == pytest.approx((100, 60), abs=0.05)
    stamp, outside, _ = field.cut(100, 60, 21)
    assert not outside
    np.testing.assert_array_equal(stamp[0], data[50:71, 90:111])
    (galaxy,) = source.galaxies()
    assert galaxy.problem is None


def test_on_the_command_line(tmp_path: Path, tiny_model: Path) -> None:
    wcs = sky(shape=SHAPE)
    mosaic(tmp_path / "m.fits", wcs)
    positions(tmp_path / "p.parquet", wcs, [*PLACES, (3.0, 3.0), (-99.0, 3.0)], R50=[3.0] * 6)
    words = ["predict", "m.fits", "--catalog", "p.parquet", "--stamp-size", "8xR50", "--model", str(tiny_model)]
    result = CliRunner().invoke(app, [*words, "--out", "c.csv"])
    assert result.exit_code == 0, result.output
    assert "edge 1" in result.output
    assert "off_mosaic 1" in result.output
    assert len((tmp_path / "c.csv").read_text().splitlines()) == 7
    assert isinstance(open_mosaic("m.fits", "p.parquet"), MosaicSource)
    result = CliRunner().invoke(app, [*words, "--bands", "i,q"])
    assert isinstance(result.exception, DataError)
    assert "it has no band 'q'; there are: g, r, i" in str(result.exception)
