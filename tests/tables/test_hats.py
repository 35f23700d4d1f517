"""HATS catalogues as tables: all regions in the order of the sky, positions by the properties, and what is amiss."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

import peculiar
from peculiar.errors import DataError
from peculiar.sources.positions import Positions
from peculiar.tables.convert import convert
from peculiar.tables.hats import is_hats
from peculiar.tables.reader import TableReader
from peculiar.tables.sky import need_sky

COUNT = 40


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    """A table of positions under names of its own, and coordinates of another frame under the usual ones."""
    rng = np.random.default_rng(3)
    lon, lat = rng.uniform(0, 360, COUNT), np.degrees(np.arcsin(rng.uniform(-1, 1, COUNT)))
    columns = {"id": np.arange(COUNT), "lon": lon, "lat": lat, "p_odd": rng.random(COUNT).astype(np.float32)}
    pa.parquet.write_table(pa.table(columns), tmp_path / "galaxies.parquet")
    return tmp_path / "galaxies.parquet"


@pytest.fixture
def hats(catalog: Path) -> Path:
    folder = catalog.parent / "galaxies_hats"
    convert(catalog, folder, as_hats=True, ra="lon", dec="lat")
    assert len(list(folder.glob("dataset/Norder=*/Dir=*/*.parquet"))) == 12
    return folder


def test_all_regions_are_read_in_the_order_of_the_sky(catalog: Path, hats: Path) -> None:
    reader = TableReader(hats)
    cells = reader.column("_healpix_29")
    assert cells == sorted(cells)
    assert (len(reader), reader.format) == (COUNT, "parquet")
    before = dict(zip(*(TableReader(catalog).column(name) for name in ("id", "p_odd")), strict=True))
    assert dict(zip(reader.column("id"), reader.column("p_odd"), strict=True)) == before


def test_positions_are_the_columns_that_the_properties_name(hats: Path) -> None:
    for path in (hats, hats / "dataset", next(hats.glob("dataset/*/*/*.parquet"))):
        assert need_sky(TableReader(path)).names == ("lon", "lat")
    position = next(iter(Positions(hats)))
    reader = TableReader(hats)
    assert (position.ra, position.dec) == (reader.column("lon")[0], reader.column("lat")[0])


def test_every_search_takes_one(catalog: Path, hats: Path, tmp_path: Path, peculiar_command: Any) -> None:
    found = peculiar.Catalog(hats).query("p_odd > 0.5").to_arrow()
    same = peculiar.Catalog(catalog).query("p_odd > 0.5").to_arrow()
    assert sorted(found["id"].to_pylist()) == sorted(same["id"].to_pylist())
    near = peculiar.Catalog(hats).query(
        cone=(TableReader(hats).column("lon")[5], TableReader(hats).column("lat")[5], 0.01)
    )
    assert near.to_arrow()["id"].to_pylist() == [TableReader(hats).column("id")[5]]
    status, _, said = peculiar_command("search", hats, "--where", "p_odd > 0.5", "--out", tmp_path / "odd.csv")
    assert status == 0, said
    assert len(TableReader(tmp_path / "odd.csv")) == len(same)


def test_a_catalogue_without_pictures_is_described(hats: Path, peculiar_command: Any) -> None:
    assert peculiar.describe(hats).kind == "table without pictures"
    status, told, _ = peculiar_command("data", "list", hats)
    assert (status, told.splitlines()[0]) == (0, f"{hats}: 40 galaxies (table without pictures)")


def test_the_primary_table_of_a_collection_is_taken(hats: Path, tmp_path: Path) -> None:
    collection = tmp_path / "collection"
    collection.mkdir()
    shutil.move(hats, collection / "galaxies")
    properties = collection / "collection.properties"
    properties.write_text("#HATS Collection\nobs_collection = x\nhats_primary_table_url = galaxies\n")
    assert len(TableReader(collection)) == COUNT
    assert need_sky(TableReader(collection)).names == ("lon", "lat")
    properties.write_text("obs_collection=x\nhats_primary_table_url=elsewhere\n")
    with pytest.raises(DataError, match=r"collection\.properties: names 'elsewhere'.*no such folder"):
        TableReader(collection)


def test_a_region_may_be_a_folder_of_files(hats: Path) -> None:
    part = sorted(hats.glob("dataset/Norder=0/Dir=0/Npix=*.parquet"))[0]
    table = pa.parquet.read_table(part, partitioning=None)
    part.unlink()
    folder = part.with_suffix("")
    folder.mkdir()
    pa.parquet.write_table(table.slice(0, 1), folder / "part0.parquet")
    pa.parquet.write_table(table.slice(1), folder / "part1.parquet")
    assert len(TableReader(hats)) == COUNT


def test_a_region_that_is_listed_and_not_there_is_named(hats: Path, peculiar_command: Any) -> None:
    (hats / "dataset/Norder=0/Dir=0/Npix=7.parquet").unlink()
    with pytest.raises(DataError, match=r"no file for 1 of the 12 regions in .*such as Norder=0, Npix=7"):
        TableReader(hats)
    status, _, said = peculiar_command("search", hats, "--where", "p_odd > 0.5")
    assert (status, "copy the whole HATS catalogue again" in said) == (1, True)


@pytest.mark.parametrize(
    ("file", "content", "told"),
    [
        ("partition_info.csv", "Npix\n1\n", "has to list Norder and Npix of each region"),
        ("partition_info.csv", "Norder,Npix\nx,y\n", "has to list Norder and Npix of each region"),
        ("hats.properties", "hats_col_ra=longitude\n", "its properties name 'longitude' as hats_col_ra"),
        ("hats.properties", "\udcff", "cannot be read as the properties of a HATS catalogue"),
    ],
)
def test_damaged_descriptions_are_named(file: str, content: str, told: str, hats: Path) -> None:
    (hats / file).write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(DataError, match=told):
        TableReader(hats)


def test_a_catalogue_without_files_is_told(hats: Path) -> None:
    shutil.rmtree(hats / "dataset")
    (hats / "partition_info.csv").unlink()
    with pytest.raises(DataError, match="this HATS catalogue has no file with rows"):
        TableReader(hats)


def test_other_folders_are_not_taken_for_one(tmp_path: Path) -> None:
    (tmp_path / "properties").write_text("hats_col_ra=ra\n")
    (tmp_path / "Norder=0").mkdir()
    assert not is_hats(tmp_path)
