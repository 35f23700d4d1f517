"""A catalogue opened: its parts, its embeddings made comparable, and what is said of files that are none."""

import errno
import os
import re
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from peculiar.catalogs.catalog import Catalog
from peculiar.catalogs.store import BLOCK
from peculiar.errors import DataError, NotFoundError, PeculiarWarning, UnknownNameError, UsageError
from peculiar.files.cache import cache_folder


def write(path: Path, ids: list[str], vectors: list[list[float] | None]) -> Path:
    width = len(next(one for one in vectors if one is not None))
    table = pa.table({"id": ids, "embedding": pa.array(vectors, pa.list_(pa.float32(), width))})
    pa.parquet.write_table(table, path)
    return path


def test_embeddings_are_centred_and_of_length_one(tiny_catalog: Path) -> None:
    embeddings = Catalog(tiny_catalog).embeddings()
    raw = np.stack(pa.parquet.read_table(tiny_catalog)["embedding"].to_numpy())
    centred = raw - raw.mean(axis=0)
    np.testing.assert_allclose(embeddings.centre, raw.mean(axis=0), atol=1e-5)
    expected = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    np.testing.assert_allclose(embeddings.vectors, expected, atol=1e-4)
    np.testing.assert_allclose(embeddings.cosines(embeddings.vectors[3]), expected @ expected[3], atol=1e-4)
    np.testing.assert_allclose(embeddings.place(raw), expected, atol=1e-4)


def test_a_picture_that_could_not_be_read_has_none(tmp_path: Path) -> None:
    catalog = Catalog(write(tmp_path / "c.parquet", ["a", "b", "c"], [[1, 0], None, [0, 1]]))
    embeddings = catalog.embeddings()
    assert embeddings.known.tolist() == [True, False, True]
    assert embeddings.centre.tolist() == [0.5, 0.5]
    assert np.isnan(embeddings.cosines(embeddings.vectors[0])[1])
    with pytest.raises(DataError, match="no galaxy has an embedding"):
        Catalog(write(tmp_path / "d.parquet", ["a"], [[np.nan, np.nan]])).embeddings()


def test_a_folder_of_parts_is_one_catalogue(tmp_path: Path) -> None:
    folder = tmp_path / "parts"
    folder.mkdir()
    count = BLOCK + 7
    vectors = np.random.default_rng(222).normal(size=(count, 3))
    write(folder / "part-1.parquet", [f"b{n}" for n in range(count)], vectors.tolist())
    write(folder / "part-0.parquet", ["a0", "a1"], [[1, 2, 3], [3, 2, 1]])
    (folder / ".part-2.parquet").write_bytes(b"half written")
    catalog = Catalog(folder)
    assert len(catalog) == count + 2
    assert catalog.rows_of(["b0", "a1", f"b{count - 1}"]).tolist() == [2, 1, count + 1]
    assert catalog.take(np.array([2, 0, count + 1]), ["id"])["id"].to_pylist() == ["b0", "a0", f"b{count - 1}"]
    embeddings = catalog.embeddings()
    assert len(embeddings) == count + 2
    raw = np.vstack([[[1, 2, 3], [3, 2, 1]], vectors])
    np.testing.assert_allclose(embeddings.centre, raw.mean(axis=0), atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(embeddings.vectors, axis=1), 1, atol=1e-5)


def test_the_cache_follows_the_catalogue(tmp_path: Path) -> None:
    path = write(tmp_path / "c.parquet", ["a", "b"], [[1, 0], [0, 1]])
    first = Catalog(path).embeddings().centre
    (kept,) = (cache_folder() / "embeddings").glob("*.npy")
    changed = kept.stat().st_mtime_ns
    Catalog(path).embeddings()
    assert kept.stat().st_mtime_ns == changed
    write(path, ["a", "b"], [[3, 0], [0, 3]])
    os.utime(path, ns=(1, 1))
    assert Catalog(path).embeddings().centre.tolist() == (first * 3).tolist()
    assert len(list((cache_folder() / "embeddings").glob("*.npy"))) == 1


def cut(file: Path) -> None:
    os.truncate(file, file.stat().st_size - 4)


def lengthen(file: Path) -> None:
    file.write_bytes(file.read_bytes() + bytes(12))


def replace_by_another(file: Path) -> None:
    array = np.load(file)
    np.save(file, array * 3)


def replace_in_its_time(file: Path) -> None:
    array, state = np.load(file), file.stat()
    np.save(file, array[:, ::-1][:, :-1])
    os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns))


def fill_with_nonsense(file: Path) -> None:
    file.write_bytes(b"nonsense")


def forget_how_it_was_written(file: Path) -> None:
    replace_by_another(file)
    file.with_name(f"{file.name}.stamp").unlink()


def damage_what_was_noted(file: Path) -> None:
    replace_by_another(file)
    file.with_name(f"{file.name}.stamp").write_text("[1")


@pytest.mark.parametrize(
    "spoil",
    [
        cut,
        lengthen,
        replace_by_another,
        replace_in_its_time,
        fill_with_nonsense,
        forget_how_it_was_written,
        damage_what_was_noted,
        Path.unlink,
    ],
)
def test_an_array_in_the_cache_that_is_not_as_it_was_written_is_made_again(
    drawn_catalog: Path, spoil: Callable[[Path], object]
) -> None:
    before = np.array(Catalog(drawn_catalog).embeddings().vectors)
    (file,) = (cache_folder() / "embeddings").glob("*.npy")
    spoil(file)
    embeddings = Catalog(drawn_catalog).embeddings()
    np.testing.assert_array_equal(embeddings.vectors, before)
    assert np.abs(embeddings.cosines(before[0])).max() <= 1 + 1e-6


def test_an_array_that_was_only_touched_is_not_made_again(drawn_catalog: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Catalog(drawn_catalog).embeddings()
    (file,) = (cache_folder() / "embeddings").glob("*.npy")
    os.utime(file, ns=(1, 1))
    monkeypatch.setattr(Catalog, "_prepare", None)
    Catalog(drawn_catalog).embeddings()


def test_the_disk_has_room_before_an_array_is_mapped(drawn_catalog: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(number: int, start: int, size: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "posix_fallocate", full)
        with pytest.raises(OSError, match=r"No space left on device.*embeddings"):
            Catalog(drawn_catalog).embeddings()
    assert [path.name for path in (cache_folder() / "embeddings").iterdir()] == []
    Catalog(drawn_catalog).embeddings()
    (file,) = (cache_folder() / "embeddings").glob("*.npy")
    assert file.stat().st_blocks * 512 >= file.stat().st_size


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, None),
        ({"created": "yesterday"}, None),
        ({"crop": "whole"}, r"crop galaxy, whole"),
        ({"model digest": "b" * 60, "views": "1"}, r"model digest a{12}, b{12}; views 2, 1"),
    ],
)
def test_parts_that_were_made_in_different_ways_are_named(
    changed: dict[str, str], said: str | None, tmp_path: Path
) -> None:
    notes = {"model digest": "a" * 60, "crop": "galaxy", "views": "2", "created": "today"}
    for number, its in enumerate((notes, notes | changed)):
        table = pa.table({"id": [f"g{number}"], "p_odd": [0.5]}).replace_schema_metadata(its)
        pa.parquet.write_table(table, tmp_path / f"{number}.parquet")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert len(Catalog(tmp_path)) == 2
    told = [str(one.message) for one in caught if issubclass(one.category, PeculiarWarning)]
    assert len(told) == (said is not None)
    if said:
        assert re.search(rf"its parts were made in different ways \({said}\), so their probabilities are not", told[0])


def test_parts_of_other_columns_are_named(tmp_path: Path) -> None:
    write(tmp_path / "0.parquet", ["a", "b"], [[1, 0], [0, 1]])
    pa.parquet.write_table(pa.table({"id": ["c"]}), tmp_path / "1.parquet")
    with pytest.raises(DataError, match=r"1\.parquet: the columns embedding differ from those of 0\.parquet"):
        Catalog(tmp_path)
    write(tmp_path / "1.parquet", ["c"], [[1, 0, 2]])
    with pytest.raises(DataError, match=r"1\.parquet: the columns embedding differ"):
        Catalog(tmp_path)


@pytest.mark.parametrize("gone", [False, True])
def test_a_catalogue_that_changes_while_it_is_open_is_told(tmp_path: Path, gone: bool) -> None:
    path = write(tmp_path / "catalog.parquet", ["a", "b", "c"], [[1, 0], [0, 1], [1, 1]])
    catalog = Catalog(path)
    assert catalog.query("id <> 'a'").ids == ["b", "c"]
    path.unlink()
    if not gone:
        write(path, ["c", "b", "a", "d"], [[1, 1], [0, 1], [1, 0], [2, 1]])
    for read in (
        lambda: catalog.take(np.array([0]), ["id"]),
        lambda: catalog.rows_of(["a"]),
        lambda: catalog.query("id = 'a'"),
        lambda: catalog.embeddings(),
    ):
        with pytest.raises(DataError, match=r"catalog\.parquet has changed since it was opened"):
            read()


def test_catalogues_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="there is no catalogue at"):
        Catalog(tmp_path / "nothing.parquet")
    with pytest.raises(DataError, match="holds no Parquet files"):
        Catalog(tmp_path)
    (tmp_path / "c.csv").write_text("id,p_odd\na,1\n")
    with pytest.raises(UsageError, match=r"is csv, and searching needs Parquet; type: peculiar data convert"):
        Catalog(tmp_path / "c.csv")
    (tmp_path / "noise.bin").write_bytes(bytes(range(256)))
    with pytest.raises(DataError, match="is not a catalogue"):
        Catalog(tmp_path / "noise.bin")
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 and then nothing of the kind")
    with pytest.raises(DataError, match=r"broken\.parquet: cannot be read as Parquet"):
        Catalog(tmp_path / "broken.parquet")
    pa.parquet.write_table(pa.table({"name": ["a"]}), tmp_path / "other.parquet")
    with pytest.raises(DataError, match="has no column 'id'"):
        Catalog(tmp_path / "other.parquet")
    pa.parquet.write_table(pa.table({"id": ["a"]}), tmp_path / "plain.parquet")
    with pytest.raises(UsageError, match="has no embeddings, which this search needs; `peculiar predict DATA --emb"):
        Catalog(tmp_path / "plain.parquet").embeddings()


def test_galaxies_that_are_not_there(tiny_catalog: Path) -> None:
    catalog = Catalog(tiny_catalog)
    assert catalog.rows_of(["sim-005", "nobody"], lenient=True).tolist() == [5, -1]
    with pytest.raises(UnknownNameError, match=r"no galaxy 'sim-0055' in tiny\.parquet \(nor 1 more of those given\)"):
        catalog.rows_of(["sim-005", "sim-0055", "nobody"])
    with pytest.raises(UsageError, match="was made by the model"):
        catalog.check_model("f" * 64, "make another")
