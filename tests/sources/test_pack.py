"""Pictures of any source in one Parquet table: the same galaxies come out of it, and are classified alike."""

import re
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest
from astropy.io import fits
from typer.testing import CliRunner

from peculiar.catalogs.predict import predict
from peculiar.cli import app
from peculiar.errors import UsageError
from peculiar.models.model_file import load_model
from peculiar.sources import Source, open_mosaic, open_source
from peculiar.sources.pack import pack
from peculiar.sources.simulated import simulate
from skies import header, planted, positions, sky


@pytest.fixture
def mosaic(tmp_path: Path) -> Source:
    shape = (200, 200)
    places = [(60.0, 50.0), (150.0, 160.0), (195.0, 10.0)]
    fits.PrimaryHDU(planted(shape, places), header(sky(shape=shape), BUNIT="nanomaggy", FILTER="r")).writeto(
        tmp_path / "mosaic.fits"
    )
    return open_mosaic(tmp_path / "mosaic.fits", positions(tmp_path / "p.parquet", sky(shape=shape), places))


@pytest.fixture
def folder(tmp_path: Path, plain_pictures: list[bytes]) -> Source:
    for number, picture in enumerate(plain_pictures):
        path = tmp_path / "folder" / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture)
    return open_source(tmp_path / "folder")


@pytest.fixture
def arrays(tmp_path: Path) -> Source:
    galaxies = simulate(40, size=48)
    np.savez(tmp_path / "g.npz", data=galaxies.pictures, labels=galaxies.labels)
    return open_source(tmp_path / "g.npz")


@pytest.mark.parametrize("kind", ["mosaic", "folder", "arrays"])
def test_the_same_galaxies_come_out(kind: str, request: pytest.FixtureRequest) -> None:
    source: Source = request.getfixturevalue(kind)
    done: list[int] = []
    packed = pack(source, "packed.parquet", progress=done.append)
    assert (packed.rows, packed.problems, sum(done)) == (len(source), {}, len(source))
    again = open_source("packed.parquet")
    assert (again.label, again.positioned) == (source.label, source.positioned)
    for one, other in zip(source.rows(), again.rows(), strict=True):
        assert (one.id, one.label, one.position) == (other.id, other.label, other.position)
        np.testing.assert_array_equal(one.pixels(), other.pixels())


def test_they_are_classified_alike(mosaic: Source, tiny_model: Path) -> None:
    model = load_model(tiny_model)
    pack(mosaic, "packed.parquet")
    tables = []
    for number, source in enumerate((mosaic, open_source("packed.parquet"))):
        path = predict(source, f"c{number}.parquet", model).path
        tables.append(pyarrow.parquet.read_table(path).drop_columns(["flags"]))
    assert tables[0].equals(tables[1])


def test_files_are_kept_byte_by_byte_and_those_that_cannot_be_read_keep_their_rows(folder: Source) -> None:
    broken, gone = folder.path / "a" / "2.png", folder.path / "b" / "3.png"
    broken.write_bytes(b"no picture")
    gone.unlink()
    packed = pack(folder, "packed.parquet")
    assert list(packed.problems) == ["b/3.png"]
    rows = {row.id: row for row in open_source("packed.parquet").rows()}
    assert list(rows) == folder.ids()
    for path in (broken, folder.path / "a" / "0.png"):
        assert rows[path.relative_to(folder.path).as_posix()].read() == path.read_bytes()
    assert [galaxy.id for galaxy in open_source("packed.parquet").galaxies() if galaxy.picture is None] == [
        "a/2.png",
        "b/3.png",
    ]


def test_hugging_face_finds_the_pictures(arrays: Source) -> None:
    pack(arrays, "packed.parquet")
    schema = pyarrow.parquet.read_schema("packed.parquet")
    assert schema.names == ["id", "four_class", "image"]
    assert b'"image": {"_type": "Image"}' in schema.metadata[b"huggingface"]


def test_places_that_cannot_be_written_to(folder: Source, arrays: Source) -> None:
    Path("there.parquet").mkdir()
    for name in ("packed.fits", "there.parquet"):
        with pytest.raises(UsageError, match=re.escape(f"{name}: pictures are packed into a Parquet file")):
            pack(folder, name)
    pack(arrays, "packed.parquet")
    with pytest.raises(UsageError, match=r"packed\.parquet is the input"):
        pack(open_source("packed.parquet"), "packed.parquet")


def test_the_command(folder: Source) -> None:
    (folder.path / "a" / "x.png").symlink_to("nothing")
    result = CliRunner().invoke(app, ["data", "pack", str(folder.path), "--out", "packed.parquet"])
    assert (result.exit_code, result.stdout) == (0, "Packed 7 galaxies into packed.parquet\n")
    assert re.search(r"a/x\.png cannot be read: .* cannot be opened \(No such file", result.stderr)
    (Path("lost") / "a").mkdir(parents=True)
    (Path("lost") / "a" / "x.png").symlink_to("nothing")
    assert CliRunner().invoke(app, ["data", "pack", "lost", "--out", "lost.parquet"]).exit_code == 1
