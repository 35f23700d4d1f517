"""Zarr archives: layouts, types, tables beside them, damage, and codecs that may run programs."""

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from numpy.typing import NDArray

from field_formats import cutana, pictures
from peculiar.errors import DataError, MissingExtraError, UnknownNameError
from peculiar.images.framing import Framing
from peculiar.sources import open_source

zarr = pytest.importorskip("zarr", reason="zarr is not installed")


def write(path: Path, values: NDArray[Any], **options: Any) -> Path:
    """Write an archive whose array has chunks of three pictures."""
    options.setdefault("chunks", (3, *values.shape[1:]))
    array = zarr.open_group(path, mode="w").create_array("images", shape=values.shape, dtype=values.dtype, **options)
    array[:] = values
    return path


def read(path: Path) -> list[NDArray[np.uint8] | None]:
    return [galaxy.picture for galaxy in open_source(path).galaxies(Framing(48))]


@pytest.mark.parametrize(
    "options",
    [
        {"chunks": (1, 24, 48, 3)},
        {"chunks": (2, 48, 48, 3), "shards": (4, 48, 48, 3)},
        {"compressors": zarr.codecs.BloscCodec(cname="lz4")},
        {"compressors": zarr.codecs.GzipCodec()},
        {"compressors": None},
    ],
    ids=["parts of pictures", "shards", "blosc", "gzip", "uncompressed"],
)
def test_chunks_and_codecs_do_not_matter(options: dict[str, Any], tmp_path: Path) -> None:
    found = read(write(tmp_path / "images.zarr", pictures(), **options))
    np.testing.assert_array_equal(np.array(found), pictures())


def test_the_second_format_and_an_array_alone_are_read(tmp_path: Path) -> None:
    array = zarr.create_array(
        tmp_path / "old.zarr", shape=pictures().shape, chunks=(3, 48, 48, 3), dtype="uint8", zarr_format=2
    )
    array[:] = pictures()
    np.testing.assert_array_equal(np.array(read(tmp_path / "old.zarr")), pictures())


def test_colours_may_come_first(tmp_path: Path) -> None:
    found = read(write(tmp_path / "images.zarr", np.ascontiguousarray(np.moveaxis(pictures(), 3, 1))))
    np.testing.assert_array_equal(np.array(found), pictures())


def test_floats_from_0_to_1_are_finished_pictures(tmp_path: Path) -> None:
    found = read(write(tmp_path / "images.zarr", (pictures() / 255).astype(np.float32)))
    assert np.abs(np.array(found).astype(int) - pictures()).max() <= 1


def test_other_floats_are_flux_and_are_stretched(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    flux = (pictures() * 1e-9 + rng.normal(0, 2e-9, pictures().shape)).astype(np.float32)
    flux[3, 5, 5] = np.nan
    galaxies = list(open_source(write(tmp_path / "images.zarr", flux)).galaxies(Framing(48)))
    assert [galaxy.flags for galaxy in galaxies] == [16 if number == 3 else 0 for number in range(8)]
    for number, galaxy in enumerate(galaxies):
        assert galaxy.picture is not None
        light = pictures()[number].sum(axis=2).ravel()
        # The brightest tenth of the pixels stays the brightest: the rows are not turned.
        bright = galaxy.picture.sum(axis=2).ravel()[light >= np.quantile(light, 0.9)]
        assert bright.mean() > galaxy.picture.sum(axis=2).mean() + 60


def test_without_a_table_ids_are_made_of_path_and_row(tmp_path: Path) -> None:
    path = write(tmp_path / "images.zarr", pictures())
    assert open_source(path).ids()[:2] == ["images-0", "images-1"]
    assert open_source(tmp_path).ids()[:2] == ["images-0", "images-1"]


def test_the_columns_of_the_tables_are_there(tmp_path: Path) -> None:
    source = open_source(cutana(tmp_path))
    (column,) = source.described(["diameter_pixel"])
    batches = pa.Table.from_batches(source.carried([column], 3, 7))
    assert batches["diameter_pixel"].to_pylist() == [48] * 4
    assert source.column("source_id") == source.ids()
    with pytest.raises(UnknownNameError, match="kind"):
        open_source(cutana(tmp_path / "again"), label="kind")


def test_shards_are_the_source(tmp_path: Path) -> None:
    source = open_source(cutana(tmp_path))
    whole = list(source.galaxies(Framing(48)))
    shards = [pickle.loads(pickle.dumps(shard)) for shard in source.shards(2)]
    assert [(shard.start, shard.stop) for shard in shards] == [(0, 2), (2, 4), (4, 5), (0, 2), (2, 3)]
    parts = [one for shard in shards for one in shard.source.galaxies(Framing(48), start=shard.start, stop=shard.stop)]
    assert [one.id for one in parts] == [one.id for one in whole]
    for one, other in zip(parts, whole, strict=True):
        np.testing.assert_array_equal(one.picture, other.picture)
    assert len({shard.fingerprint() for shard in shards}) == 5


def test_a_table_of_another_length_is_named(tmp_path: Path) -> None:
    path = cutana(tmp_path)
    table = next(path.glob("*_001_*/images_metadata.parquet"))
    pa.parquet.write_table(pa.parquet.read_table(table).slice(1), table)
    with pytest.raises(DataError, match=r"images_metadata\.parquet: has 2 rows, and images\.zarr beside it 3 pictures"):
        open_source(path)


def test_a_lost_chunk_loses_its_pictures_alone(tmp_path: Path) -> None:
    path = write(tmp_path / "images.zarr", pictures())
    (path / "images/c/1/0/0/0").unlink()
    galaxies = list(open_source(path).galaxies(Framing(48)))
    assert [number for number, galaxy in enumerate(galaxies) if galaxy.picture is None] == [3, 4, 5]
    assert galaxies[3].problem == "it is empty: its chunk of images.zarr is missing, or was never written"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"shape": [10**9, 48, 48, 3]}, "claims 1,000,000,000 pictures"),
        ({"shape": [8, 48, 48, 5]}, "has to have the shape"),
        ({"codecs": [{"name": "bytes"}, {"name": "numcodecs.pickle"}]}, "cannot be read as Zarr|is encoded by pickle"),
        ({"data_type": "float512"}, "cannot be read as Zarr"),
        ({"node_type": "nothing"}, "cannot be read as Zarr"),
    ],
)
@pytest.mark.filterwarnings("ignore:Numcodecs codecs are not in the Zarr version 3 specification")
def test_strange_descriptions_are_refused(change: dict[str, Any], told: str, tmp_path: Path) -> None:
    path = write(tmp_path / "images.zarr", pictures())
    described = path / "images" / "zarr.json"
    described.write_text(json.dumps(json.loads(described.read_text()) | change))
    with pytest.raises(DataError, match=told):
        open_source(path)


@pytest.mark.parametrize(
    ("codec", "told"),
    [
        ({"id": "pickle", "protocol": 5}, "cannot be read as Zarr|is encoded by pickle"),
        ({"id": "quantize", "digits": 2, "dtype": "<f4"}, "is encoded by quantize, which is not read"),
    ],
)
def test_codecs_that_may_do_more_than_compute_are_refused(codec: dict[str, Any], told: str, tmp_path: Path) -> None:
    array = tmp_path / "images.zarr"
    array.mkdir()
    (array / "0.0.0.0").write_bytes(bytes(8 * 48 * 48 * 3 * 4))
    layout = {"shape": [8, 48, 48, 3], "chunks": [8, 48, 48, 3], "fill_value": 0, "order": "C", "zarr_format": 2}
    (array / ".zarray").write_text(json.dumps(layout | {"dtype": "<f4", "compressor": None, "filters": [codec]}))
    with pytest.raises(DataError, match=told):
        open_source(array)


def test_another_group_is_named(tmp_path: Path) -> None:
    zarr.open_group(tmp_path / "images.zarr", mode="w").create_array("flux", shape=(2,), dtype="f4")
    with pytest.raises(DataError, match="has no array 'images'"):
        open_source(tmp_path / "images.zarr")


def test_without_zarr_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "images.zarr", pictures())
    monkeypatch.setitem(__import__("sys").modules, "zarr", None)
    with pytest.raises(MissingExtraError, match=r"peculiar\[zarr\]"):
        open_source(path)
