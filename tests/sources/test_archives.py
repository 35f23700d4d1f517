"""Several archives as one source: ids that differ, and what lies beside their pictures."""

import io
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from peculiar.errors import PeculiarWarning
from peculiar.sources import open_source

Packer = Callable[[Path, list[tuple[str, bytes]]], Path]


def pack_tar(path: Path, members: list[tuple[str, bytes]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path.with_suffix(".tar"), "w") as archive:
        for name, content in members:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path.with_suffix(".tar")


def pack_zip(path: Path, members: list[tuple[str, bytes]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path.with_suffix(".zip"), "w") as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path.with_suffix(".zip")


@pytest.fixture(params=[pack_tar, pack_zip])
def pack(request: pytest.FixtureRequest) -> Packer:
    return request.param  # type: ignore[no-any-return]


@pytest.mark.parametrize("given", ["folder", "files"])
@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("one", "two"), ("one/", "two/")),
        (("v1.0", "v1.1"), ("v1.0.{}/", "v1.1.{}/")),
        (("train/x", "test/x"), ("train/x.{}/", "test/x.{}/")),
    ],
)
def test_ids_differ_where_archives_have_equal_paths(
    pack: Packer,
    tmp_path: Path,
    plain_pictures: list[bytes],
    names: tuple[str, str],
    expected: tuple[str, str],
    given: str,
) -> None:
    members = [(f"{label}/0.png", plain_pictures[number]) for number, label in enumerate(["A", "B"])]
    paths = [pack(tmp_path / f"{name}.suffix", members) for name in names]
    with pytest.warns(PeculiarWarning, match=r"2 files have the path of a file in another archive, such as A/0\.png"):
        source = open_source(tmp_path if given == "folder" else paths)
    kind = paths[0].suffix[1:]
    begins = (
        sorted(one.format(kind) for one in expected) if given == "folder" else [one.format(kind) for one in expected]
    )
    ids = [f"{begin}{label}/0.png" for begin in begins for label in "AB"]
    assert sorted(source.ids()) == sorted(ids)
    assert [row.id for row in source.rows()] == source.ids()
    assert source.labels() == ["A", "B", "A", "B"]
    rows = [row.id for shard in source.shards(1) for row in shard.source.rows(shard.start, shard.stop)]
    assert rows == source.ids()


def test_ids_stay_paths_where_these_differ(pack: Packer, tmp_path: Path, plain_pictures: list[bytes]) -> None:
    for number in range(3):
        pack(tmp_path / f"{number}.x", [(f"A/{number}.png", plain_pictures[number])])
    assert open_source(tmp_path).ids() == ["A/0.png", "A/1.png", "A/2.png"]


def test_each_archive_keeps_its_own_metadata_file(pack: Packer, tmp_path: Path, plain_pictures: list[bytes]) -> None:
    for number, label in enumerate(["Ring", "Merger"]):
        listed = f"file_name,label\n{number}.png,{label}\n".encode()
        pack(tmp_path / f"{label}.x", [("metadata.csv", listed), (f"{number}.png", plain_pictures[number])])
    source = open_source(tmp_path)
    assert dict(zip(source.ids(), source.labels(), strict=True)) == {"Ring/0.png": "Ring", "Merger/1.png": "Merger"}


def test_files_beside_pictures_follow_them(pack: Packer, tmp_path: Path, plain_pictures: list[bytes]) -> None:
    for number in range(2):
        pack(tmp_path / f"shard{number}.x", [("000.cls", b"%d" % (number + 3)), ("000.png", plain_pictures[number])])
    with pytest.warns(PeculiarWarning, match="1 file has the path of a file in another archive"):
        source = open_source(tmp_path)
    assert (source.ids(), source.labels()) == (["shard0/000.png", "shard1/000.png"], ["3", "4"])


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_path_that_occurs_twice_in_one_archive_is_named(
    pack: Packer, tmp_path: Path, plain_pictures: list[bytes]
) -> None:
    path = pack(tmp_path / "a.x", [("a.png", plain_pictures[0]), ("a.png", plain_pictures[1])])
    with pytest.warns(
        PeculiarWarning, match=r"1 file has the path of an earlier one in the same archive, such as a\.png"
    ):
        assert open_source(path).ids() == ["a.png", "a.png"]
