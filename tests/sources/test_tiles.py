"""Files and extensions to mosaics: tiles of several bands, chips, companions, and which tile has a galaxy's pixels."""

import logging
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.io import fits
from astropy.nddata import Cutout2D
from astropy.table import Table
from astropy.wcs import WCS
from numpy.typing import NDArray

from peculiar.catalogs.predict import predict
from peculiar.catalogs.tally import Flag
from peculiar.errors import DataError, PictureError
from peculiar.images.framing import Framing
from peculiar.models.model_file import load_model
from peculiar.sources import open_mosaic, open_source
from peculiar.sources.mosaic import MosaicSource
from peculiar.sources.stream import EDGE, MISSING, OFF_MOSAIC
from peculiar.sources.tiles import find_fields
from peculiar.tables.reader import TableReader
from skies import centroid, header, planted, positions, sky, two_tiles

SHAPE = (120, 140)
SIDE = 32
GIVEN: dict[str, Callable[[Path], object]] = {
    "folder": lambda folder: folder,
    "list": lambda folder: sorted(folder.glob("*.fits"), reverse=True),
    "glob": lambda folder: str(folder / "*.fits"),
}


def put(path: Path, image: NDArray[np.generic], wcs: WCS | None, **cards: object) -> Path:
    path.parent.mkdir(exist_ok=True)
    fits.PrimaryHDU(image, header(wcs, **cards)).writeto(path)
    return path


def names(paths: object, wanted: tuple[str, ...] = ()) -> list[list[str]]:
    """What belongs together: the files' names, with the number of the extension where it is not the first."""
    fields = find_fields(paths if isinstance(paths, list) else [paths], wanted)
    return [[one.path.name + (f"[{one.extension}]" if one.extension else "") for one in field] for field in fields]


def expected(folder: Path, table: Path) -> list[tuple[str | None, int, NDArray[np.float32] | None]]:
    """By astropy alone: the tile, the flags, and the stamp (i, r, g) of each galaxy."""
    tiles = {}
    for name in ("east", "west"):
        bands = []
        for band in "irg":
            with fits.open(folder / f"{name}-{band}.fits", memmap=False) as hdus:
                bands.append(hdus[0].data)
                wcs = WCS(hdus[0].header)
        tiles[name] = bands, wcs
    found: list[tuple[str | None, int, NDArray[np.float32] | None]] = []
    for row in pq.read_table(table).to_pylist():
        best: tuple[float, float, str, NDArray[np.float32], int] | None = None
        for name, (bands, wcs) in tiles.items():
            at = wcs.all_world2pix(row["ra"], row["dec"], 0, quiet=True)
            side = bands[0].shape[0]
            if not all(-0.5 <= value < side - 0.5 for value in at):
                continue
            stamp = np.stack([Cutout2D(band, at, SIDE, mode="partial", fill_value=np.nan).data for band in bands])
            inside = Cutout2D(np.ones_like(bands[0]), at, SIDE, mode="partial", fill_value=0).data.astype(bool)
            flags = (0 if inside.all() else EDGE) | (MISSING if np.isnan(stamp[:, inside]).any() else 0)
            depth = min(*at, *(side - 1 - np.array(at)))
            choice = (float(np.isnan(stamp).mean()), -depth, name, stamp, flags)
            if best is None or choice[:2] < best[:2]:
                best = choice
        found.append((best[2], best[4], best[3]) if best else (None, OFF_MOSAIC, None))
    return found


def check_tiles(folder: Path, table: Path, source: MosaicSource) -> dict[int, int]:
    """Compare every row with astropy's; return how many have which flags."""
    flags: dict[int, int] = {}
    for row, (tile, flag, stamp) in zip(source.rows(), expected(folder, table), strict=True):
        assert row.flags == flag
        flags[flag] = flags.get(flag, 0) + 1
        if tile is None or stamp is None:
            with pytest.raises(PictureError, match="lies on no mosaic"):
                row.read()
        else:
            np.testing.assert_array_equal(row.read(), source.stretch(stamp)[::-1])
    return flags


@pytest.mark.parametrize("how", GIVEN)
def test_each_galaxy_is_cut_from_the_tile_that_has_its_pixels(tmp_path: Path, how: str) -> None:
    table = two_tiles(tmp_path / "tiles")
    source = open_mosaic(GIVEN[how](tmp_path / "tiles"), table, stamp_size=f"{SIDE}px")
    assert len(source.fields) == 2
    assert [field.names for field in source.fields] == [("i", "r", "g")] * 2
    flags = check_tiles(tmp_path / "tiles", table, source)
    assert set(flags) >= {0, EDGE, MISSING, OFF_MOSAIC}
    assert [row.id for row in source.rows()] == [str(id_) for id_ in pq.read_table(table)["id"].to_pylist()]


@pytest.mark.parametrize("suffix", ["parquet", "fits"])
def test_the_catalogue_of_two_tiles_joins_on_its_ids(tmp_path: Path, tiny_model: Path, suffix: str) -> None:
    table = two_tiles(tmp_path / "tiles")
    source = open_mosaic(tmp_path / "tiles", table, stamp_size=f"{SIDE}px")
    predict(source, tmp_path / f"c.{suffix}", load_model(tiny_model))
    there = pq.read_table(table)
    reader = TableReader(tmp_path / f"c.{suffix}")
    assert list(reader.column("id")) == there["id"].to_pylist()
    flags = [Flag(flag) & ~(Flag.UNREADABLE | Flag.BLANK) for flag in reader.column("flags")]
    assert flags == [flag for _, flag, _ in expected(tmp_path / "tiles", table)]
    stilts = shutil.which("stilts")
    if stilts is None or suffix == "parquet":
        return  # STILTS reads Parquet by a jar of its own
    other = tmp_path / "galaxies.fits"
    Table({"galaxy": there["id"].to_numpy()[::-1]}).write(other)
    matched = [stilts, "tmatch2", f"in1={tmp_path / 'c.fits'}", f"in2={other}", "matcher=exact", "values1=id"]
    matched += ["values2=galaxy", "ocmd=keepcols 'id galaxy'", "ofmt=csv", "out=-"]
    joined = subprocess.run(matched, capture_output=True, text=True, check=True, timeout=120).stdout.split()[1:]
    assert sorted(joined) == sorted(f"{id_},{id_}" for id_ in there["id"].to_pylist())


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Path]]:
    folder = tmp_path_factory.mktemp("large") / "tiles"
    yield folder, two_tiles(folder, 5000, 2000)
    shutil.rmtree(folder)


@pytest.mark.slow
@pytest.mark.parametrize("how", GIVEN)
def test_two_tiles_of_5000_pixels(large: tuple[Path, Path], how: str) -> None:
    folder, table = large
    source = open_mosaic(GIVEN[how](folder), table, stamp_size=f"{SIDE}px")
    flags = check_tiles(folder, table, source)
    assert set(flags) >= {0, EDGE, MISSING, OFF_MOSAIC}
    assert flags[0] > 1000


def test_a_tile_with_a_hole_is_passed_over_where_another_has_the_pixels(tmp_path: Path) -> None:
    wcs = sky(shape=SHAPE)
    deep = planted(SHAPE, [(70, 60)])
    deep[40:80, 40:90] = np.nan
    put(tmp_path / "t/deep.fits", deep, wcs, FILTER="r", BUNIT="nanomaggy")
    other = sky(shape=SHAPE)
    other.wcs.crpix = other.wcs.crpix + np.array([-45, 0])
    put(tmp_path / "t/edge.fits", planted(SHAPE, [(25, 60)]), other, FILTER="r", BUNIT="nanomaggy")
    catalog = positions(tmp_path / "p.parquet", wcs, [(70, 60), (30, 60)])
    whole, holed = open_mosaic(tmp_path / "t", catalog, stamp_size="32px").galaxies(Framing(32))
    assert whole.flags == 0
    assert whole.picture is not None
    np.testing.assert_allclose(centroid(whole.picture), 15.5, atol=0.6)
    assert holed.flags == MISSING  # which only the other tile has


@pytest.mark.parametrize("share", [1 / 32**2, 0.3, 1.0])
def test_missing_pixels_are_flagged(tmp_path: Path, share: float) -> None:
    wcs, image = sky(shape=SHAPE), planted(SHAPE, [(70, 60)])
    stamp = image[44:76, 54:86]
    stamp.flat[: round(share * stamp.size)] = np.nan
    put(tmp_path / "m.fits", image, wcs)
    put(tmp_path / "c.fits", stamp, wcs)
    catalog = positions(tmp_path / "p.parquet", wcs, [(70, 60), (20, 20)])
    gap, whole = open_mosaic(tmp_path / "m.fits", catalog, stamp_size="32px").galaxies()
    assert (gap.flags, whole.flags) == (MISSING, 0)
    (cutout,) = open_source(tmp_path / "c.fits").galaxies()
    assert cutout.flags == MISSING


@pytest.mark.parametrize("empty", [np.nan, 0.0], ids=["NaN", "zero"])
@pytest.mark.parametrize("band", range(3))
def test_a_band_without_values_is_left_out_and_told(tmp_path: Path, band: int, empty: float) -> None:
    cube = np.stack([planted(SHAPE, [(70, 60)], seed=n) for n in range(3)])
    cube[band, 30:90, 40:100] = empty
    put(tmp_path / "m.fits", cube, sky(shape=SHAPE), BANDS="gri", BUNIT="nanomaggy")
    put(tmp_path / "c.fits", cube[:, 44:76, 54:86], sky(shape=SHAPE), BANDS="gri", BUNIT="nanomaggy")
    catalog = positions(tmp_path / "p.parquet", sky(shape=SHAPE), [(70, 60)])
    (stamp,) = open_mosaic(tmp_path / "m.fits", catalog, stamp_size="32px").galaxies(Framing(32))
    (cutout,) = open_source(tmp_path / "c.fits").galaxies(Framing(32))
    for galaxy in (stamp, cutout):
        assert galaxy.flags == MISSING
        assert galaxy.picture is not None
        np.testing.assert_allclose(centroid(galaxy.picture), 15.5, atol=0.7)


TILES = [f"tile{tile}-{band}.fits" for tile in "AB" for band in "gri"]
COMPANIONS = ["wht", "weight", "exp", "rms", "bkg", "mask", "invvar", "psf", "sigma", "chi2", "model", "segm", "nexp"]


@pytest.mark.parametrize("how", GIVEN)
@pytest.mark.parametrize("keyword", [False, True], ids=["band in the name", "band in the header"])
def test_tiles_of_several_bands(tmp_path: Path, how: str, keyword: bool) -> None:
    for number, name in enumerate(TILES):
        tile, band = name[4], name[6]
        path = tmp_path / "t" / (f"{number}{tile}.fits" if keyword else name)
        put(path, planted(SHAPE, [], seed=number), sky(150 + (tile == "B") * 0.01, shape=SHAPE), FILTER=band)
    paths = GIVEN[how](tmp_path / "t")
    catalog = positions(tmp_path / "p.parquet", sky(shape=SHAPE), [(10, 60), (130, 60), (-60, 60)])
    source = open_mosaic(paths, catalog, stamp_size="16px")
    assert [len(field.names) for field in source.fields] == [3, 3]
    assert [row.flags for row in source.rows()] == [0, 0, 0]


def test_a_folder_a_tile_and_a_file_a_band(tmp_path: Path) -> None:
    for tile, ra in (("A", 150.0), ("B", 150.01)):
        for number, band in enumerate("gri"):
            (tmp_path / "t" / tile).mkdir(parents=True, exist_ok=True)
            put(tmp_path / "t" / tile / f"{band}.fits", planted(SHAPE, [], seed=number), sky(ra, shape=SHAPE))
    assert names(tmp_path / "t") == [["g.fits", "i.fits", "r.fits"]] * 2


def test_chips_in_several_bands(tmp_path: Path) -> None:
    for band in "gr":
        hdus = [
            fits.ImageHDU(planted(SHAPE, []), header(sky(150 + 0.02 * n, shape=SHAPE)), name=f"N{n}") for n in (1, 2)
        ]
        fits.HDUList([fits.PrimaryHDU(), *hdus]).writeto(tmp_path / f"exposure_{band}.fits")
    wanted = [[f"exposure_{band}.fits[{chip}]" for band in "gr"] for chip in (1, 2)]
    assert names(sorted(tmp_path.glob("*.fits"))) == wanted


@pytest.mark.parametrize("companion", COMPANIONS)
@pytest.mark.parametrize("by", ["file", "extension", "keyword"])
def test_companions_are_no_mosaics(tmp_path: Path, companion: str, by: str, caplog: pytest.LogCaptureFixture) -> None:
    wcs, folder = sky(shape=SHAPE), tmp_path / "t"
    folder.mkdir()
    image, other = planted(SHAPE, [(70, 60)]), np.full(SHAPE, 3000, np.float32)
    if by == "file":
        put(folder / "field_sci.fits", image, wcs)
        put(folder / f"field_{companion}.fits", other, wcs)
        assert names(folder) == [["field_sci.fits"]]
        assert f"not used: field_{companion}.fits is a companion image" in caplog.text
        return
    cards = {"IMAGETYP": companion.upper()} if by == "keyword" else {"EXTNAME": companion.upper()}
    hdus = [fits.PrimaryHDU(), fits.ImageHDU(other, header(wcs, **cards)), fits.ImageHDU(image, header(wcs))]
    fits.HDUList(hdus).writeto(folder / "m.fits")
    put(folder / "a.fits", other, wcs, **cards)
    assert names(folder) == [["m.fits[2]"]]
    assert "a.fits it holds no picture, only a companion image" in caplog.text


def test_a_companion_of_a_name_of_its_own_is_told_by_the_sky(tmp_path: Path) -> None:
    wcs, folder = sky(shape=SHAPE), tmp_path / "t"
    put(folder / "EUC_BGMOD-VIS_TILE7-A1.fits", np.ones(SHAPE, np.float32), wcs)
    put(folder / "EUC_MOSAIC-VIS_TILE7-B2_2024.fits", planted(SHAPE, []), wcs)
    assert names(folder) == [["EUC_MOSAIC-VIS_TILE7-B2_2024.fits"]]


def test_two_mosaics_of_the_same_sky_are_asked_about(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder, wcs = tmp_path / "t", sky(shape=SHAPE)
    one = put(folder / "one.fits", planted(SHAPE, [], seed=1), wcs)
    put(folder / "two.fits", planted(SHAPE, [], seed=2), wcs)
    with pytest.raises(DataError, match=r"one\.fits and two\.fits show the same sky, .* which is meant\?"):
        find_fields([folder])
    assert names(folder, ("2", "1")) == [["one.fits", "two.fits"]]
    shutil.copy(one, folder / "two.fits")
    assert names(folder) == [["one.fits"]]
    assert "not used: two.fits has the same pixels as one.fits" in caplog.text
    put(folder / "half.fits", planted((60, 70), [], seed=3), sky(shape=(60, 70), pixel=0.8))
    with pytest.raises(DataError, match=r"half\.fits and one\.fits show the same sky"):
        find_fields([folder])


def test_the_same_mosaic_packed_and_plain(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    put(tmp_path / "t/m.fits", planted(SHAPE, []), sky(shape=SHAPE))
    put(tmp_path / "t/m.fits.gz", planted(SHAPE, []), sky(shape=SHAPE))
    assert names(tmp_path / "t") == [["m.fits"]]
    assert "not used: m.fits.gz is m.fits in another form" in caplog.text


def test_what_is_no_image_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    put(tmp_path / "t/m-r.fits", planted(SHAPE, []), sky(shape=SHAPE), FILTER="r")
    put(tmp_path / "t/plain.fits", planted(SHAPE, []), None)
    fits.BinTableHDU.from_columns([fits.Column("ra", "D", array=[1.0])]).writeto(tmp_path / "t/table.fits")
    assert names(tmp_path / "t") == [["m-r.fits"]]
    assert "table.fits holds no image" in caplog.text
    assert "plain.fits has no celestial coordinates" in caplog.text


def test_bands_that_are_not_taken_are_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for number, band in enumerate("ugriz"):
        put(tmp_path / f"t/m-{band}.fits", planted(SHAPE, [], seed=number), sky(shape=SHAPE))
    catalog = positions(tmp_path / "p.parquet", sky(shape=SHAPE), [(70, 60)])
    source = open_mosaic(tmp_path / "t", catalog, stamp_size="16px")
    assert source.fields[0].names == ("i", "r", "g")
    assert "not used: the bands u, z" in caplog.text


def test_tiles_in_different_bands_are_refused(tmp_path: Path) -> None:
    put(tmp_path / "t/a-g.fits", planted(SHAPE, []), sky(150.0, shape=SHAPE))
    put(tmp_path / "t/b-r.fits", planted(SHAPE, []), sky(150.01, shape=SHAPE))
    catalog = positions(tmp_path / "p.parquet", sky(shape=SHAPE), [(70, 60)])
    with pytest.raises(DataError, match=r"b-r\.fits: this mosaic has the bands r, and a-g\.fits has g"):
        open_mosaic(tmp_path / "t", catalog)


CAMERAS = {
    "two": [("N1", 1), ("N2", 1)],
    "four": [("N1", 1), ("N2", 1), ("S1", 1), ("S2", 1)],
    "hst": [("SCI", 1), ("ERR", 1), ("DQ", 1), ("SCI", 2), ("ERR", 2), ("DQ", 2)],
    "without names": [("", 1), ("", 2), ("", 3)],
}


def exposure(path: Path, parts: list[tuple[str, int]], *, packed: bool = False) -> list[tuple[float, float]]:
    """Chips beside each other, a galaxy in the middle of each; errors and masks lie where their chip does."""
    hdus: list[object] = [fits.PrimaryHDU(header=header(None, FILTER="r"))]
    middles: list[tuple[float, float]] = []
    placed: dict[str, int] = {}
    for name, version in parts:
        image = name not in {"ERR", "DQ"}
        chip = placed[name] = placed.get(name, -1) + 1 if name in {"SCI", "ERR", "DQ"} else len(middles)
        wcs = sky(150 + chip * 0.02, shape=SHAPE)
        data = planted(SHAPE, [(70, 60)], seed=chip) if image else np.full(SHAPE, 9, np.float32)
        kind = fits.CompImageHDU if packed else fits.ImageHDU
        hdus.append(kind(data, header(wcs, EXTVER=version), name=name))
        if image:
            middles.append(tuple(map(float, wcs.all_pix2world(70, 60, 0))))
    fits.HDUList(hdus).writeto(path)
    return middles


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "tiles"])
@pytest.mark.parametrize("camera", CAMERAS)
@pytest.mark.slow
def test_each_chip_is_a_mosaic_of_its_own(tmp_path: Path, camera: str, packed: bool) -> None:
    middles = exposure(tmp_path / "e.fits", CAMERAS[camera], packed=packed)
    ra, dec = zip(*middles, strict=True)
    pq.write_table(pa.table({"ra": ra, "dec": dec}), tmp_path / "p.parquet")
    source = open_mosaic(tmp_path / "e.fits", tmp_path / "p.parquet", stamp_size="32px")
    assert [field.names for field in source.fields] == [("r",)] * len(middles)
    for galaxy in source.galaxies(Framing(32)):
        assert galaxy.flags == 0
        assert galaxy.picture is not None
        np.testing.assert_allclose(centroid(galaxy.picture), 15.5, atol=0.6)
    (cutout,) = open_source(tmp_path / "e.fits").galaxies()
    assert "do not show the same sky, so they are chips, not bands" in str(cutout.problem)
    (named,) = open_source(tmp_path / "e.fits", bands="1").galaxies()
    assert named.problem is None


@pytest.mark.parametrize("companion", COMPANIONS)
@pytest.mark.parametrize("name", ["{}_{}.fits", "{1}-{0}.fits", "{}.{}.fits.gz", "{1}/{0}.fits"])
def test_companions_of_cutouts_are_no_galaxies(
    tmp_path: Path, companion: str, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "t"
    for number in range(2):
        put(folder / f"ngc{number}.fits", planted(SHAPE, []), None)
        path = folder / name.format(f"ngc{number}", companion)
        path.parent.mkdir(exist_ok=True)
        put(path, np.ones(SHAPE, np.float32), None)
    with caplog.at_level(logging.WARNING):
        source = open_source(folder)
    assert source.ids() == ["ngc0.fits", "ngc1.fits"]
    assert "not used: 2 of 4 files, which are companion images" in caplog.text


def test_words_of_companions_may_name_galaxies(tmp_path: Path) -> None:
    for name in ("sky/1.fits", "spiral/1.fits", "model_7.fits", "weight.fits"):
        put(tmp_path / "t" / name, planted(SHAPE, []), None) if "/" not in name else None
    for label in ("sky", "spiral"):
        (tmp_path / "t" / label).mkdir()
        put(tmp_path / "t" / label / "1.fits", planted(SHAPE, []), None)
    assert sorted(open_source(tmp_path / "t").ids()) == ["model_7.fits", "sky/1.fits", "spiral/1.fits", "weight.fits"]


def test_a_file_of_a_weight_alone_is_told_as_that(tmp_path: Path) -> None:
    put(tmp_path / "a.fits", planted(SHAPE, []), sky(shape=SHAPE), EXTNAME="WHT")
    (galaxy,) = open_source(tmp_path / "a.fits").galaxies()
    assert galaxy.problem == "it holds no picture, only a companion image (EXTNAME WHT)"
    with pytest.raises(DataError, match=r"there is no FITS image; a\.fits: it holds no picture, .* \(EXTNAME WHT\)"):
        find_fields([tmp_path / "a.fits"])


def test_the_same_band_twice_in_a_file(tmp_path: Path) -> None:
    wcs = sky(shape=SHAPE)
    first, second = planted(SHAPE, [], seed=1), planted(SHAPE, [], seed=2)
    both = [fits.ImageHDU(data, header(wcs, FILTER="r")) for data in (first, second)]
    fits.HDUList([fits.PrimaryHDU(), *both]).writeto(tmp_path / "a.fits")
    (galaxy,) = open_source(tmp_path / "a.fits").galaxies()
    assert "it has two images in the band r" in str(galaxy.problem)
    with pytest.raises(DataError, match="show the same sky"):
        find_fields([tmp_path / "a.fits"])
    # The primary image is that of the file; what lies beside it in the same band is not.
    fits.HDUList([fits.PrimaryHDU(first, header(wcs, FILTER="r")), both[1]]).writeto(tmp_path / "b.fits")
    (galaxy,) = open_source(tmp_path / "b.fits").galaxies()
    assert galaxy.problem is None
    assert names(tmp_path / "b.fits") == [["b.fits"]]
