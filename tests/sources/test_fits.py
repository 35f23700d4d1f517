"""FITS cut-outs as a source: one file, folders, tables of paths; orientation; what is recorded."""

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from astropy.io import fits
from numpy.typing import NDArray

from peculiar.catalogs.predict import predict
from peculiar.errors import DataError, PeculiarWarning, UsageError
from peculiar.images.decode import encode_picture
from peculiar.images.framing import Framing
from peculiar.images.stretch import Stretch, sdss_stretch
from peculiar.models.model_file import load_model
from peculiar.sources import open_source
from peculiar.sources.fits import FitsSource
from peculiar.sources.folder import FolderSource
from peculiar.sources.stream import read_flagged
from peculiar.sources.table import TableSource
from peculiar.tables.reader import TableReader
from skies import centroid, header, planted, sky, write_bands

SHAPE = (60, 80)


def galaxy(column: float = 60, row: float = 50, seed: int = 1) -> dict[str, np.ndarray]:
    """Three bands of a galaxy near the top right of a picture as FITS counts."""
    return {band: planted(SHAPE, [(column, row)], seed=seed + n) for n, band in enumerate("gri")}


def _picture(files: list[Path], bands: tuple[str, ...] = ()) -> NDArray[np.uint8]:
    return read_flagged(files, bands).pixels


def test_one_file(tmp_path: Path) -> None:
    path = write_bands(tmp_path / "one.fits", galaxy(), BUNIT="nanomaggy")
    source = open_source(path)
    assert isinstance(source, FitsSource)
    assert (source.kind, len(source), source.label) == ("fits", 1, None)
    (found,) = source.galaxies(Framing(60))
    assert found.id == "one.fits"
    assert found.picture is not None
    assert found.picture.shape == (60, 60, 3)


@pytest.mark.parametrize("frame", ["icrs", "galactic", "fk4"])
def test_positions_are_those_of_the_middle(frame: str, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    wcs = sky(359.999, 40.0, shape=SHAPE, turn=30.0)
    wcs.wcs.crpix = [3.0, 75.0]
    if frame == "galactic":
        wcs.wcs.ctype = ["GLON-TAN", "GLAT-TAN"]
    elif frame == "fk4":
        wcs.wcs.radesys, wcs.wcs.equinox = "FK4", 1950.0
    write_bands(tmp_path / "a" / "0.fits", galaxy(), wcs)
    write_bands(tmp_path / "a" / "1.fits", galaxy())
    (tmp_path / "a" / "2.fits").write_bytes(b"SIMPLE  =")
    there = wcs.pixel_to_world((SHAPE[1] - 1) / 2, (SHAPE[0] - 1) / 2).icrs
    source = open_source(tmp_path)
    assert source.positioned
    assert (source.ids(), source.labels()) == (["a/0.fits", "a/1.fits", "a/2.fits"], ["a", "a", "a"])
    found = [row.position for row in source.rows()]
    np.testing.assert_allclose(found[0], (there.ra.deg, there.dec.deg), rtol=0, atol=1e-9)
    assert found[1:] == [None, None]
    assert not open_source(tmp_path / "a" / "1.fits").positioned


def test_the_origin_is_turned_from_the_bottom_to_the_top(tmp_path: Path) -> None:
    path = write_bands(tmp_path / "one.fits", galaxy(60, 50), sky(shape=SHAPE), BUNIT="nanomaggy")
    picture = _picture([path])
    assert picture.shape == (60, 80, 3)
    column, row = centroid(picture)
    assert column == pytest.approx(60, abs=0.2)
    assert row == pytest.approx(59 - 50, abs=0.2)
    # North is up and east is left: the galaxy lies at the upper right, which is north and west of the middle.
    east, north = (
        sky(shape=SHAPE).all_pix2world([[60, 50]], 0)[0] - sky(shape=SHAPE).all_pix2world([[39.5, 29.5]], 0)[0]
    )
    assert east < 0 < north


def test_the_redder_band_is_red(tmp_path: Path) -> None:
    bands = galaxy()
    bands["i"] = bands["i"] * 4
    picture = _picture([write_bands(tmp_path / "one.fits", bands, BUNIT="nanomaggy")])
    red, green, blue = picture[9, 60].tolist()
    assert red > green
    assert red > blue


def test_units_decide_the_stretch_and_any_unit_of_flux_gives_the_same(tmp_path: Path) -> None:
    bands = galaxy()
    maggies = _picture([write_bands(tmp_path / "a.fits", bands, BUNIT="nanomaggy")])
    jansky = _picture(
        [write_bands(tmp_path / "b.fits", {name: data * 3.631 for name, data in bands.items()}, BUNIT="uJy")]
    )
    assert np.abs(maggies.astype(int) - jansky).max() <= 1
    stack = np.stack([bands[name] for name in "irg"])
    np.testing.assert_array_equal(maggies, sdss_stretch(3)(stack)[::-1])


def test_counts_are_stretched_by_their_noise(tmp_path: Path) -> None:
    counts = {name: data * 500 + 1200 for name, data in galaxy().items()}
    picture = _picture([write_bands(tmp_path / "a.fits", counts, BUNIT="adu")])
    assert np.median(picture) < 15
    assert picture[9, 60].min() > 100


def test_files_of_one_galaxy_belong_together(tmp_path: Path) -> None:
    folder = tmp_path / "stamps"
    for number, way in enumerate(("ngc{}-{}.fits", "ic{}_{}.fits", "ugc{}.{}.fits")):
        for band, data in galaxy(seed=number).items():
            path = folder / "Ringed" / way.format(number, band)
            path.parent.mkdir(parents=True, exist_ok=True)
            fits.PrimaryHDU(data, header(None, BUNIT="nanomaggy")).writeto(path)
    (folder / "Normal").mkdir()
    write_bands(folder / "Normal" / "m31.fits", galaxy(seed=9), BUNIT="nanomaggy")
    fits.PrimaryHDU(galaxy()["g"]).writeto(folder / "Normal" / "alone-g.fits")
    source = open_source(folder)
    assert [row.id for row in source.rows()] == [
        "Normal/alone-g.fits",
        "Normal/m31.fits",
        "Ringed/ic1",
        "Ringed/ngc0",
        "Ringed/ugc2",
    ]
    assert source.labels() == ["Normal", "Normal", "Ringed", "Ringed", "Ringed"]
    pictures = {found.id: found.picture for found in source.galaxies(Framing(60))}
    together = {row.id: row.read() for row in source.rows()}["Ringed/ngc0"]
    stack = np.stack([galaxy(seed=0)[band] for band in "irg"])
    np.testing.assert_array_equal(together, sdss_stretch(3)(stack)[::-1])
    grey = pictures["Normal/alone-g.fits"]
    assert grey is not None
    assert (grey == grey[..., :1]).all()


def test_a_named_stretch_and_named_bands(tmp_path: Path) -> None:
    path = write_bands(tmp_path / "one.fits", {"F444W": galaxy()["g"], "F150W": galaxy()["i"]})
    stretch = Stretch((2, 2), (0, 0))
    source = open_source(path, bands="F444W, F150W", stretch=stretch)
    (row,) = source.rows()
    assert callable(row.content)
    stack = np.stack([galaxy()["g"], galaxy()["i"]])
    np.testing.assert_array_equal(row.read(), stretch(stack)[::-1])
    assert json.loads(source.notes["stretch"])["scales"] == [2, 2]
    assert source.notes["bands"] == "F444W, F150W"
    (found,) = open_source(path, bands=["F444W"], stretch=stretch).galaxies()
    assert found.problem == "it has 1 bands, and the stretch is for 2"


def test_a_picture_of_bytes_is_not_stretched_again(tmp_path: Path) -> None:
    rgb = np.random.default_rng(1).integers(0, 256, (3, 20, 30), dtype=np.uint8)
    fits.PrimaryHDU(rgb).writeto(tmp_path / "rgb.fits")
    np.testing.assert_array_equal(_picture([tmp_path / "rgb.fits"]), np.moveaxis(rgb, 0, -1)[::-1])
    fits.PrimaryHDU(rgb[0]).writeto(tmp_path / "grey.fits")
    np.testing.assert_array_equal(_picture([tmp_path / "grey.fits"])[..., 2], rgb[0][::-1])


def test_a_table_of_paths(tmp_path: Path) -> None:
    write_bands(tmp_path / "a.fits", galaxy(), BUNIT="nanomaggy")
    (tmp_path / "broken.fits").write_bytes((tmp_path / "a.fits").read_bytes()[:9000])
    table = pa.table(
        {
            "id": ["a", "b", "c"],
            "file": ["a.fits", "broken.fits", "none.fits"],
            "ra": [1.0, 2.0, 3.0],
            "dec": [4.0, 5.0, 6.0],
        }
    )
    pa.csv.write_csv(table, tmp_path / "list.csv")
    source = open_source(tmp_path / "list.csv")
    first, second, third = source.galaxies(Framing(60))
    assert first.picture is not None
    assert first.position == (1, 4)
    expected = next(iter(open_source(tmp_path / "a.fits").galaxies(Framing(60))))
    np.testing.assert_array_equal(first.picture, expected.picture)
    assert "FITS" in str(second.problem)
    assert "cannot be opened" in str(third.problem)


def test_a_fits_table_stays_a_table(tmp_path: Path) -> None:
    write_bands(tmp_path / "a.fits", galaxy(), BUNIT="nanomaggy")
    columns = [fits.Column("id", "3A", array=["x"]), fits.Column("file", "10A", array=["a.fits"])]
    fits.BinTableHDU.from_columns(columns).writeto(tmp_path / "list.fits")
    source = open_source(tmp_path / "list.fits")
    assert isinstance(source, TableSource)
    (found,) = source.galaxies()
    assert (found.id, found.problem) == ("x", None)


def test_pictures_win_in_a_folder_of_both(tmp_path: Path) -> None:
    write_bands(tmp_path / "a.fits", galaxy())
    (tmp_path / "a.png").write_bytes(encode_picture(np.zeros((9, 9, 3), np.uint8)))
    with pytest.warns(PeculiarWarning, match=r"read, but not 1 FITS file \(a\.fits\)"):
        assert isinstance(open_source(tmp_path), FolderSource)
    with pytest.warns(PeculiarWarning, match=r"read, but not 1 picture \(a\.png\)"):
        assert isinstance(open_source(tmp_path, bands="i,r,g"), FitsSource)


def test_what_cannot_be_read_keeps_its_row(tmp_path: Path) -> None:
    good = write_bands(tmp_path / "a.fits", galaxy())
    (tmp_path / "b.fits").write_bytes(good.read_bytes()[:7000])
    (tmp_path / "c.fits").write_text("no FITS")
    write_bands(tmp_path / "d.fits", {"g": galaxy()["g"], "r": galaxy()["r"][:30]})
    fits.BinTableHDU.from_columns([fits.Column("a", "E", array=[1.0])]).writeto(tmp_path / "e.fits")
    found = list(open_source(tmp_path).galaxies())
    assert [galaxy.id for galaxy in found] == [f"{name}.fits" for name in "abcde"]
    assert [galaxy.picture is None for galaxy in found] == [False, True, True, True, True]
    assert "different shapes" in str(found[3].problem)
    assert found[4].problem == "it holds no image"


def test_bands_for_what_is_no_fits(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(encode_picture(np.zeros((9, 9, 3), np.uint8)))
    with pytest.raises(UsageError, match=r"a\.png: bands and a stretch apply to FITS images, .* 'folder'"):
        open_source(tmp_path / "a.png", bands="i,r,g")


def test_a_folder_that_holds_a_link_to_itself(tmp_path: Path) -> None:
    write_bands(tmp_path / "a.fits", {"r": np.ones((9, 9), np.float32)})
    (tmp_path / "again").symlink_to(tmp_path)
    assert open_source(tmp_path).ids() == ["a.fits"]


def test_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expected JPEG, PNG, TIFF or FITS"):
        open_source(tmp_path)


def test_shards_and_processes(tmp_path: Path) -> None:
    for number in range(5):
        write_bands(tmp_path / f"{number}.fits", galaxy(seed=number))
    source = open_source(tmp_path)
    whole = [found.picture for found in source.galaxies(Framing(32))]
    parts = [pickle.loads(pickle.dumps(shard)) for shard in source.shards(2)]
    assert [shard.name for shard in parts] == [f"{tmp_path.name}:{piece}" for piece in ("0-2", "2-4", "4-5")]
    again = [
        found.picture for part in parts for found in part.source.galaxies(Framing(32), start=part.start, stop=part.stop)
    ]
    np.testing.assert_array_equal(whole, again)
    before = parts[2].fingerprint()
    write_bands(tmp_path / "new.fits", galaxy())
    assert parts[2].fingerprint() == before
    (tmp_path / "4.fits").unlink()
    write_bands(tmp_path / "4.fits", galaxy(seed=77), BUNIT="adu")
    assert parts[2].fingerprint() != before


def test_the_catalogue_records_the_stretch(tmp_path: Path, tiny_model: Path) -> None:
    write_bands(tmp_path / "a.fits", galaxy(), BUNIT="nanomaggy")
    predict(open_source(tmp_path / "a.fits"), tmp_path / "c.parquet", load_model(tiny_model))
    notes = TableReader(tmp_path / "c.parquet").schema.metadata
    stretch = json.loads(notes[b"stretch"])
    assert stretch["scales"] == [1.0, 1.2, 1.85]
    assert stretch["chosen"] == "nanomaggies; where the unit is unknown, noise to 0.035"
    assert notes[b"bands"] == b"by name"


@pytest.mark.parametrize("inside", [False, True], ids=["paths", "bytes"])
def test_bands_of_a_table_of_fits(tmp_path: Path, inside: bool) -> None:
    files = [write_bands(tmp_path / f"{n}.fits", galaxy(seed=n), BUNIT="nanomaggy") for n in range(2)]
    pictures = [file.read_bytes() if inside else file.name for file in files]
    table = tmp_path / "table.parquet"
    pq.write_table(pa.table({"id": ["a", "b"], "path": pictures}), table)
    source = pickle.loads(pickle.dumps(open_source(table, bands="g,r,i")))
    assert source.notes["bands"] == "g, r, i"
    assert source.fingerprint(0, 2) != open_source(table).fingerprint(0, 2)
    for row, plain, file in zip(source.rows(), open_source(table).rows(), files, strict=True):
        np.testing.assert_array_equal(row.read(), _picture([file], ("g", "r", "i")))
        assert plain.content == (file.read_bytes() if inside else file)


def test_bands_of_a_table_that_holds_no_fits(tmp_path: Path) -> None:
    table = tmp_path / "table.parquet"
    pq.write_table(pa.table({"id": ["a"], "image": [b"\xff\xd8\xff\xe0 a JPEG"]}), table)
    with pytest.raises(UsageError, match="bands and a stretch apply to FITS images, but this is of the kind 'table'"):
        open_source(table, bands="g,r,i")


@pytest.mark.parametrize("bands", [",,,", " ", ["", " "]])
def test_bands_without_names_are_refused(tmp_path: Path, bands: Any) -> None:
    path = write_bands(tmp_path / "one.fits", galaxy())
    with pytest.raises(UsageError, match="bands are named as in i,r,g, the reddest first; received"):
        open_source(path, bands=bands)
