"""Files beside the pictures of an archive, as WebDataset keeps them: classes, values, damage."""

import json
import tarfile
import zipfile
from pathlib import Path

import pyarrow as pa
import pytest

from field_formats import CLASSES, IDS, _add, encoded, webdataset
from peculiar.errors import PeculiarWarning
from peculiar.sources import open_source


def write(path: Path, **files: bytes) -> Path:
    """Write a tar with files by their names, in which "__" stands for a dot."""
    with tarfile.open(path, "w") as archive:
        for name, content in files.items():
            _add(archive, name.replace("__", "."), content)
    return path


def test_classes_and_values_are_columns(tmp_path: Path) -> None:
    source = open_source(webdataset(tmp_path))
    assert (source.label, source.labels()) == ("cls", CLASSES)
    assert source.columns == ("file_name", "cls", "ra", "dec", "smooth", "bands")
    (column,) = source.described(["smooth"])
    assert column.type == pa.int64()
    assert source.column("bands")[0] == '["g", "r", "z"]'


def test_shards_keep_the_values_of_their_pictures(tmp_path: Path) -> None:
    source = open_source(webdataset(tmp_path))
    rows = [row for shard in source.shards(3) for row in shard.source.rows(shard.start, shard.stop)]
    assert [row.label for row in rows] == CLASSES
    assert [row.id for row in rows] == [f"{id_}.image.png" for id_ in IDS]


def test_a_column_of_the_values_is_named_as_labels_or_ids(tmp_path: Path) -> None:
    assert open_source(webdataset(tmp_path), label="smooth").labels() == [str(number) for number in range(8)]
    assert open_source(tmp_path / "shards", id="smooth").ids() == [str(number) for number in range(8)]


def test_zips_have_them_too(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("in/1.png", encoded()[0])
        archive.writestr("in/1.cls", "3\n")
        archive.writestr("in/2.png", encoded()[1])
    with pytest.warns(PeculiarWarning, match="1 of 2 pictures are not listed"):
        assert open_source(tmp_path / "a.zip").labels() == ["3", None]


def test_files_beside_no_picture_say_nothing(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tar", a__png=encoded()[0], dataset__json=b'{"label": 1}', b__cls=b"1")
    source = open_source(path)
    assert (source.kind, source.label) == ("tar", None)


@pytest.mark.parametrize(
    ("content", "told"), [(b"{", "cannot be read"), (b"\xff", "cannot be read"), (b"[" * 100_000, "cannot be read")]
)
def test_damaged_files_leave_their_values_empty(content: bytes, told: str, tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.tar", a__png=encoded()[0], a__json=content, b__png=encoded()[1], b__json=b'{"label": "Ringed"}'
    )
    with pytest.warns(PeculiarWarning, match=f"1 of the files beside its pictures {told}, such as a.json"):
        source = open_source(path)
    assert source.labels() == [None, "Ringed"]


def test_values_of_different_types_are_read_together(tmp_path: Path) -> None:
    folder = tmp_path / "shards"
    folder.mkdir()
    values = [{"n": 1, "t": "x"}, {"n": 2.5, "t": 3}, {"n": None, "l": [1]}, 7]
    for number, value in enumerate(values):
        files = {f"{number}__png": encoded()[number], f"{number}__json": json.dumps(value).encode()}
        write(folder / f"{number}.tar", **files)
    source = open_source(folder)
    assert source.column("n") == ["1", "2.5", None, None]
    assert source.column("t") == ["x", "3", None, None]
    assert source.column("l") == [None, None, "[1]", None]
    assert source.column("json") == [None, None, None, "7"]
