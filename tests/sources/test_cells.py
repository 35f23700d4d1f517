"""Paths in tables as every system writes them, and what is no path."""

import csv
import os
import unicodedata
import warnings
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest

from peculiar.errors import PeculiarWarning
from peculiar.sources import open_source
from peculiar.sources.cells import named_file

NFC, NFD = (unicodedata.normalize(form, "galaxié.png") for form in ("NFC", "NFD"))
NAMES = ["a b.png", NFC, "银河.png", "50%.png", "#1.png", "plus+.png", "it's.png", "back\\slash.png", " blank .png"]


@pytest.fixture
def pictures(tmp_path: Path, plain_pictures: list[bytes]) -> Path:
    (tmp_path / "p" / "deep").mkdir(parents=True)
    for name in NAMES:
        (tmp_path / "p" / name).write_bytes(plain_pictures[0])
        (tmp_path / "p" / "deep" / name).write_bytes(plain_pictures[0])
    return tmp_path


def problems(folder: Path, cells: list[str]) -> list[str | None]:
    with (folder / "list.csv").open("w", newline="", encoding="utf-8-sig") as file:
        table = csv.writer(file)
        table.writerow(["id", "file"])
        table.writerows([f"g{number}", cell] for number, cell in enumerate(cells))
    return [galaxy.problem for galaxy in open_source(folder / "list.csv").galaxies()]


@pytest.mark.parametrize("name", NAMES)
def test_every_way_to_write_a_path_is_read(name: str, pictures: Path) -> None:
    absolute = str(pictures / "p" / name)
    cells = [f"p/{name}", f"./p/{name}", f"p//deep/{name}", f"p/deep/../{name}", absolute]
    cells += [(pictures / "p" / name).as_uri(), f"file://localhost{Path(absolute).as_uri()[7:]}", f"  p/{name} "]
    if "\\" not in name:
        cells += [f"p\\{name}", f".\\p\\deep\\{name}", f" p\\{name}"]
    cells += [Path(absolute).as_uri().replace(pictures.as_uri() + "/", "")]
    assert problems(pictures, cells) == [None] * len(cells)


@pytest.mark.parametrize(("there", "written"), [(NFC, NFD), (NFD, NFC)])
def test_accents_are_read_in_either_form(there: str, written: str, tmp_path: Path, plain_pictures: list[bytes]) -> None:
    (tmp_path / there).write_bytes(plain_pictures[0])
    assert named_file(written, tmp_path) == tmp_path / there
    # Where both are there, each is read under its own name.
    (tmp_path / written).write_bytes(plain_pictures[1])
    assert named_file(written, tmp_path) == tmp_path / written


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("C:\\Users\\me\\a.png", "C:\\Users\\me\\a.png is a Windows path and not on this machine; write paths"),
        ("d:/data/a.png", "is a Windows path"),
        ("file:///C:/data/a.png", "is a Windows path"),
        ("\\\\server\\share\\a.png", "is a Windows path"),
        ("http://localhost:9/x.png", "http://localhost:9/x.png is a URL, which is not downloaded; download"),
        ("HTTPS://example.org/x.png", "is a URL"),
        ("s3://bucket/x.png", "is a URL"),
        ("file://elsewhere/x.png", "is a URL"),
        ("hf://datasets/x", "is a URL"),
        ("p", "cannot be opened (Is a directory)"),
        ("none.png", "cannot be opened (No such file or directory)"),
        (" none\\x.png", "none\\x.png cannot be opened (No such file or directory)"),
        ("n" * 5000 + "é.png", "cannot be opened (File name too long)"),
        ("file://[x", "is a URL"),
        ("pipe.png", "is not a file but a pipe, a socket or a device"),
        ("/dev/zero", "is not a file but a pipe, a socket or a device"),
        ("sparse.png", "has 1,099,511,627,776 bytes, more than"),
        ("", "it is empty"),
    ],
)
def test_what_is_no_path_of_a_picture_is_told(cell: str, said: str, pictures: Path) -> None:
    os.mkfifo(pictures / "pipe.png")
    with (pictures / "sparse.png").open("wb") as file:
        file.truncate(2**40)
    found = problems(pictures, [cell, "p/a b.png"])
    assert said in str(found[0])
    assert found[1] is None


def test_ordinary_paths_cost_no_look_at_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: object) -> bool:
        raise AssertionError(path)

    monkeypatch.setattr(os.path, "lexists", refuse)
    monkeypatch.setattr(os.path, "exists", refuse)
    assert named_file("p/1237648.jpg", tmp_path) == tmp_path / "p/1237648.jpg"


def opened_hub(folder: Path, parts: list[str], pictures: list[bytes]) -> tuple[list[str], list[str]]:
    """Write Parquet files below a folder; return the ids and the warnings."""
    for number, part in enumerate(parts):
        path = folder / part
        path.parent.mkdir(parents=True, exist_ok=True)
        image = [{"bytes": pictures[number], "path": None}]
        pa.parquet.write_table(pa.table({"image": image, "label": ["ring"]}), path)
    (folder / "README.md").write_text("---\nlicense: mit\n---\n")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        source = open_source(folder)
    assert len(list(source.galaxies())) == len(parts)
    names = [shard.name for shard in source.shards(1)]
    assert len(set(names)) == len(parts)
    assert all(issubclass(one.category, PeculiarWarning) for one in caught)
    return source.ids(), [str(one.message) for one in caught]


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        (["data/train-00000-of-00001.parquet"], 0),
        (["data/train-00000-of-00002.parquet", "data/train-00001-of-00002.parquet"], 0),
        (["data/train-00000-of-00001.parquet", "data/test-00000-of-00001.parquet"], 1),
        (["default/train/0000.parquet", "default/test/0000.parquet"], 1),
        (["train.parquet", "validation.parquet"], 1),
        (["a.parquet", "b.parquet"], 0),
    ],
)
def test_folders_of_the_hub_are_read_and_mixed_parts_told(
    parts: list[str], told: int, tmp_path: Path, plain_pictures: list[bytes]
) -> None:
    ids, warned = opened_hub(tmp_path, parts, plain_pictures)
    assert sorted(ids) == sorted(f"{part.removesuffix('.parquet')}-0" for part in parts)
    assert len(warned) == told
    assert all("are taken for parts of a split" in one for one in warned)
