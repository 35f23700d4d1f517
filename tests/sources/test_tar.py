"""Tar archives: read in place, in stretches, and never unpacked."""

import io
import tarfile
from pathlib import Path

import pytest

from peculiar.errors import DataError
from peculiar.images.framing import Framing
from peculiar.sources import open_source


def pack(path: Path, members: dict[str, bytes], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


@pytest.fixture
def members(plain_pictures: list[bytes]) -> dict[str, bytes]:
    """Six pictures among other things, one with a name too long for a plain header."""
    names = ["a.png", "b/c.PNG", f"{'long' * 60}/d.png", "./e/f.png", "g.jpg", "ü.png"]
    return {"README.md": b"About", **dict(zip(names, plain_pictures, strict=True)), "a.json": b"{}"}


def test_pictures_are_found_among_other_members(tmp_path: Path, members: dict[str, bytes]) -> None:
    source = open_source(pack(tmp_path / "shard", members))
    assert (source.kind, len(source)) == ("tar", 6)
    expected = [name.removeprefix("./") for name in members if name not in ("README.md", "a.json")]
    assert [row.id for row in source.rows()] == expected
    assert source.labels() == [None, "b", "long" * 60, "e", None, None]
    assert [int(one.picture.mean()) for one in source.galaxies(Framing(8)) if one.picture is not None] == [
        0, 40, 80, 120, 160, 200,
    ]  # fmt: skip


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_a_folder_of_archives_is_one_source_in_shards(tmp_path: Path, members: dict[str, bytes], mode: str) -> None:
    suffix = {"w": ".tar"}.get(mode, f".tar.{mode[2:]}")
    for part in ("b", "a"):
        pack(tmp_path / f"{part}{suffix}", {f"{part}{name}": content for name, content in members.items()}, mode)
    source = open_source(tmp_path)
    assert len(source) == 12
    shards = list(source.shards(4))
    lengths = [(shard.stop or 0) - shard.start for shard in shards]
    assert lengths == ([4, 2, 4, 2] if mode == "w" else [6, 6])
    rows = [row for shard in shards for row in shard.source.rows(shard.start, shard.stop)]
    assert [(row.id, row.content) for row in rows] == [(row.id, row.content) for row in source.rows()]


def test_links_are_not_followed(tmp_path: Path, plain_pictures: list[bytes]) -> None:
    path = pack(tmp_path / "a.tar", {"a.png": plain_pictures[0]})
    with tarfile.open(path, "a") as archive:
        for kind, target in ((tarfile.SYMTYPE, "/etc/passwd"), (tarfile.LNKTYPE, "a.png")):
            link = tarfile.TarInfo(f"link-{target[:1]}.png")
            link.type, link.linkname = kind, target
            archive.addfile(link)
    assert [row.id for row in open_source(path).rows()] == ["a.png"]


def test_an_archive_without_pictures_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.tar: there is no picture in it; expected members called \.jpg"):
        open_source(pack(tmp_path / "a.tar", {"notes.txt": b"none"}))


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_an_archive_that_is_cut_short_is_named(tmp_path: Path, members: dict[str, bytes], mode: str) -> None:
    path = pack(tmp_path / "a.tar", members, mode)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 2 // 3] if mode == "w:gz" else whole[: 512 * 8 + 3])
    with pytest.raises(DataError, match=r"a\.tar: cannot be read as tar"):
        list(open_source(path).rows())


@pytest.mark.parametrize("kept", [12, 60])
def test_an_archive_that_is_cut_short_in_its_first_block_is_named(
    tmp_path: Path, members: dict[str, bytes], kept: int
) -> None:
    path = pack(tmp_path / "a.tar.gz", members, "w:gz")
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(DataError, match=r"a\.tar\.gz: cannot be read as tar"):
        open_source(path)


def test_a_member_that_is_too_large_for_a_picture_is_not_read(
    tmp_path: Path, members: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = pack(tmp_path / "a.tar", {"a.png": members["a.png"], "b.png": bytes(2000)})
    monkeypatch.setattr("peculiar.sources.tar.PICTURE_BYTES", 1024)
    whole, large = open_source(path).galaxies()
    assert whole.problem is None
    assert "it is a file of 2,000 bytes, more than a picture can have" in str(large.problem)


def test_a_name_of_any_length_is_not_read(
    tmp_path: Path, members: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    with tarfile.open(tmp_path / "a.tar", "w", format=tarfile.GNU_FORMAT) as archive:
        for name in ("a.png", f"{'b' * 2000}.png"):
            member = tarfile.TarInfo(name)
            member.size = len(members["a.png"])
            archive.addfile(member, io.BytesIO(members["a.png"]))
    monkeypatch.setattr("peculiar.sources.tar.PICTURE_BYTES", 1024)
    with pytest.raises(DataError, match=r"a\.tar: cannot be read as tar \(one piece of it claims 2,048 bytes\)"):
        open_source(tmp_path / "a.tar").ids()


def test_an_archive_that_grows_without_end_is_given_up(
    tmp_path: Path, members: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = pack(tmp_path / "a.tar.gz", {"a.png": members["a.png"], "zeros": bytes(1 << 24)}, "w:gz")
    monkeypatch.setattr("peculiar.sources.tar.PASSED_BYTES", 1 << 20)
    with pytest.raises(DataError, match="far more than pictures do"):
        open_source(path).ids()


def test_a_damaged_header_does_not_hide_the_rest(tmp_path: Path, members: dict[str, bytes]) -> None:
    path = pack(tmp_path / "a.tar", {"a.png": members["a.png"], "b.png": members["a.png"]})
    content = path.read_bytes()
    at = content.index(b"b.png")
    path.write_bytes(content[:at] + b"\xff" * 300 + content[at + 300 :])
    with pytest.raises(DataError, match=rf"a\.tar: cannot be read as tar \(what follows byte {at:,} is damaged\)"):
        open_source(path).ids()
