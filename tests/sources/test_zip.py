"""Zip archives: names of other systems, and members that cannot be unpacked."""

import zipfile
from pathlib import Path

import numpy as np
import pytest

from peculiar.errors import DataError
from peculiar.images.decode import encode_picture
from peculiar.sources import open_source


def pack(path: Path, members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize(
    ("written", "stored", "read"),
    [
        ("x.png", b"\x81.png", "ü.png"),  # DOS
        ("xx.png", b"\xc3\xbc.png", "ü.png"),  # macOS
        ("a_x.png", b"a\\x.png", "a/x.png"),  # Windows
    ],
)
def test_names_of_every_system_are_read(
    written: str, stored: bytes, read: str, tmp_path: Path, plain_pictures: list[bytes]
) -> None:
    path = pack(tmp_path / "a.zip", {written: plain_pictures[0]})
    path.write_bytes(path.read_bytes().replace(written.encode(), stored))
    assert open_source(path).ids() == [read]


def test_a_damaged_member_keeps_its_row(tmp_path: Path, plain_pictures: list[bytes]) -> None:
    path = pack(tmp_path / "a.zip", {"a.png": plain_pictures[1], "b.png": plain_pictures[2]})
    content = path.read_bytes()
    at = content.index(plain_pictures[1]) + len(plain_pictures[1]) // 2
    path.write_bytes(content[:at] + bytes([content[at] ^ 255]) + content[at + 1 :])
    damaged, whole = open_source(path).galaxies()
    assert "it cannot be unpacked (Bad CRC-32" in str(damaged.problem)
    assert whole.problem is None


def test_a_member_that_is_too_large_for_a_picture_is_not_unpacked(
    tmp_path: Path, plain_pictures: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    noise = encode_picture(np.random.default_rng(222).integers(0, 256, (32, 32, 3), dtype=np.uint8))
    path = pack(tmp_path / "a.zip", {"a.png": noise, "b.png": plain_pictures[0]})
    monkeypatch.setattr("peculiar.sources.zip.PICTURE_BYTES", 1000)
    large, small = open_source(path).galaxies()
    assert f"it unpacks to {len(noise):,} bytes" in str(large.problem)
    assert small.problem is None


@pytest.mark.parametrize(("names", "listed"), [([], "nothing"), ([f"{n}.csv" for n in range(7)], "4.csv ...")])
def test_an_archive_without_pictures_lists_its_content(names: list[str], listed: str, tmp_path: Path) -> None:
    path = pack(tmp_path / "a.zip", dict.fromkeys(names, b"id\n"))
    with pytest.raises(DataError, match="holds neither pictures nor arrays of NumPy, but ") as failed:
        open_source(path)
    assert f"{listed}. If there is a table or an archive in it, unpack it" in str(failed.value)
