"""Pictures and what holds them, damaged and hostile: rows or a `DataError`, within limits of memory and time.

More of them, as many as FUZZ_COUNT says, with the seed FUZZ_SEED: `make fuzz`, and the slow tests.
"""

import io
import os
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from PIL import Image

from fuzz import damaged, faults, read_all
from peculiar.errors import PeculiarError
from peculiar.images.decode import decode_picture, encode_picture
from peculiar.images.framing import Framing
from peculiar.sources import open_source
from pictures import draw_galaxy, png16, tiff

GOOD = encode_picture(draw_galaxy(48, 9, 24, 24))
GALAXY = draw_galaxy(24, 5, 12, 12)


def read(path: Path) -> None:
    """Read everything, as a source and by shards."""
    source = open_source(path)
    count = sum(1 for _ in source.galaxies(Framing(16)))
    assert count == len(source)
    for shard in source.shards(2):
        for row in shard.source.rows(shard.start, shard.stop):
            try:
                row.read()
            except PeculiarError:
                continue


def read_picture(path: Path) -> None:
    for fast in (False, True):
        decode_picture(path.read_bytes(), Framing(16, fast=fast))


def survive(path: Path) -> None:
    """Read a source of three rows, of which the second cannot be read."""
    galaxies = list(open_source(path).galaxies(Framing(16)))
    assert [galaxy.picture is None for galaxy in galaxies] == [False, True, False], [one.problem for one in galaxies]


def encoded(format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(GALAXY).save(buffer, format, **options)
    return buffer.getvalue()


def png(width: int, height: int, *, rows: bytes = b"", more: bytes = b"") -> bytes:
    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + more + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def jpeg_of(width: int, height: int) -> bytes:
    content = bytearray(encoded("JPEG"))
    at = content.index(b"\xff\xc0") + 5
    content[at : at + 4] = struct.pack(">HH", height, width)
    return bytes(content)


def webp_of(side: int) -> bytes:
    content = bytearray(encoded("WEBP", lossless=True))
    at = content.index(b"VP8L") + 9
    content[at : at + 4] = struct.pack("<I", (side - 1) | (side - 1) << 14)
    return bytes(content)


def text_bomb() -> bytes:
    text = b"a\0\0" + zlib.compress(bytes(200 << 20))
    chunk = struct.pack(">I", len(text)) + b"zTXt" + text + struct.pack(">I", zlib.crc32(b"zTXt" + text))
    return png(24, 24, rows=bytes(24 * 73), more=chunk)


def scans() -> bytes:
    """A progressive JPEG of 25 million pixels in hundreds of scans."""
    buffer = io.BytesIO()
    Image.new("RGB", (5000, 5000)).save(buffer, "JPEG", progressive=True)
    content = buffer.getvalue()
    last = content.rindex(b"\xff\xda")
    return content[:-2] + content[last:-2] * 400 + b"\xff\xd9"


ROWS: dict[str, Callable[[], bytes]] = {
    "PNG of 10^10 pixels": lambda: png(10**5, 10**5),
    "PNG with the largest sides": lambda: png(2**31 - 1, 2**31 - 1),
    "PNG of 16 bits": lambda: png16(np.zeros((8, 8), np.uint16))[:16] + struct.pack(">II", 10**5, 10**5) + bytes(40),
    "PNG whose text unpacks to 200 MB": text_bomb,
    "JPEG of 4 x 10^9 pixels": lambda: jpeg_of(65500, 65500),
    "JPEG of many scans": scans,
    "WebP with the largest sides": lambda: webp_of(16384),
    "TIFF of 10^10 pixels": lambda: tiff(np.zeros((8, 8), np.uint16), t256=10**5, t257=10**5),
    "GIF with the largest sides": lambda: encoded("GIF")[:6] + b"\xff" * 4 + encoded("GIF")[10:],
    "BMP of 10^10 pixels": lambda: encoded("BMP")[:18] + struct.pack("<ii", 10**5, 10**5) + encoded("BMP")[26:],
    "PPM of 10^10 pixels": lambda: b"P6 100000 100000 255 " + bytes(100),
    "text": lambda: b"<!doctype html><title>404</title>",
    "nothing": lambda: b"",
}
HOLDERS = ["folder", "CSV", "Parquet", "tar", "tar.gz", "zip"]


def hold(holder: str, folder: Path, content: bytes) -> Path:
    """Put a picture between two good ones."""
    files = {"1.png": GOOD, "2.png": content, "3.png": GOOD}
    if holder in {"folder", "CSV"}:
        (folder / "p").mkdir()
        for name, one in files.items():
            (folder / "p" / name).write_bytes(one)
        if holder == "folder":
            return folder / "p"
        (folder / "a.csv").write_text("id,file\n" + "".join(f"{name},p/{name}\n" for name in files))
        return folder / "a.csv"
    if holder == "Parquet":
        pa.parquet.write_table(pa.table({"id": list(files), "image": list(files.values())}), folder / "a.parquet")
        return folder / "a.parquet"
    path = folder / f"a.{holder}"
    if holder == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, one in files.items():
                archive.writestr(name, one)
        return path
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for name, one in files.items():
            add(archive, name, one)
    path.write_bytes(zlib.compress(made.getvalue(), 1, wbits=31) if holder == "tar.gz" else made.getvalue())
    return path


def add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))


@pytest.mark.parametrize("holder", HOLDERS)
@pytest.mark.slow
def test_a_hostile_picture_loses_its_row_alone(holder: str, tmp_path: Path) -> None:
    paths = {}
    for number, (name, make) in enumerate(ROWS.items()):
        (tmp_path / str(number)).mkdir()
        paths[hold(holder, tmp_path / str(number), make())] = name
    found = read_all("test_fuzz_pictures:survive", list(paths), seconds=20, megabytes=1000)
    assert {paths[path]: told for path, told in found.items()} == dict.fromkeys(ROWS, "read")


def sparse_member(size: int) -> bytes:
    """The header of an old GNU sparse file that claims so many bytes and has none."""
    member = tarfile.TarInfo("2.png")
    header = bytearray(member.tobuf(tarfile.GNU_FORMAT))
    header[156:157] = b"S"
    header[257:265] = b"ustar  \0"
    header[386 : 386 + 24] = b"%011o\0%011o\0" % (0, 0)
    header[483:495] = b"\x80" + size.to_bytes(11, "big")
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header)


def test_sparse_members_of_a_tar_lose_their_rows(tmp_path: Path) -> None:
    good = io.BytesIO()
    with tarfile.open(fileobj=good, mode="w") as archive:
        add(archive, "1.png", GOOD)
    block = good.getvalue()[: 512 + -(-len(GOOD) // 512) * 512]
    path = tmp_path / "a.tar"
    path.write_bytes(block + sparse_member(2**42) + block.replace(b"1.png", b"1.png") + bytes(1024))
    found = read_all("test_fuzz_pictures:survive", [path])
    assert found == {path: "read"}


@pytest.mark.parametrize("holder", ["folder", "tar", pytest.param("tar.gz", marks=pytest.mark.slow), "zip"])
@pytest.mark.slow
def test_files_of_zeros_lose_their_rows(holder: str, tmp_path: Path) -> None:
    if holder == "folder":
        path = hold(holder, tmp_path, b"")
        with (path / "2.png").open("wb") as file:
            file.truncate(2**41)
    else:
        path = hold(holder, tmp_path, bytes(257 << 20))
    assert read_all("test_fuzz_pictures:survive", [path], seconds=60) == {path: "read"}


def test_headers_of_a_tar_that_claim_gigabytes_are_refused(tmp_path: Path) -> None:
    paths = []
    for kind in (tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME):
        member = tarfile.TarInfo("a.png")
        member.type, member.size = kind, 2**33
        for suffix, pack in (("tar", bytes), ("tar.gz", gzipped)):
            path = tmp_path / f"{kind.decode()}.{suffix}"
            path.write_bytes(pack(member.tobuf(tarfile.GNU_FORMAT) + bytes(5 << 20)))
            paths.append(path)
    found = read_all("test_fuzz_pictures:read", paths)
    assert not faults(found), faults(found)
    assert all(told.startswith("refused: ") for told in found.values()), found


def gzipped(content: bytes) -> bytes:
    return zlib.compress(content, wbits=31)


def test_a_damaged_header_in_a_tar_is_told(tmp_path: Path) -> None:
    path = hold("tar", tmp_path, GOOD)
    content = bytearray(path.read_bytes())
    at = content.index(b"2.png") + 148
    content[at : at + 6] = b"777777"
    path.write_bytes(content)
    assert "what follows byte" in read_all("test_fuzz_pictures:read", [path])[path]


def test_zips_are_read_where_they_lie_and_nowhere_else(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("/etc/1.png", "../2.png", "a/../../3.png"):
            archive.writestr(name, GOOD)
        link = zipfile.ZipInfo("link.png")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    before = sorted(tmp_path.rglob("*"))
    assert [row.content for row in open_source(path).rows()] == [GOOD] * 3
    assert sorted(tmp_path.rglob("*")) == before


def test_encrypted_members_of_a_zip_lose_their_rows(tmp_path: Path) -> None:
    path = hold("zip", tmp_path, GOOD)
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\1\2", content.index(b"PK\1\2") + 4) + 8] |= 1
    path.write_bytes(content)
    assert read_all("test_fuzz_pictures:survive", [path]) == {path: "read"}


@pytest.fixture(scope="module")
def formats(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A good picture of every format and kind."""
    folder, grey = tmp_path_factory.mktemp("good"), GALAXY[..., 0]
    wide = grey.astype(np.uint16) << 4
    contents = {
        "plain.jpg": encoded("JPEG"),
        "progressive.jpg": encoded("JPEG", progressive=True),
        "exif.jpg": encoded("JPEG", exif=Image.Exif()),
        "plain.png": encoded("PNG"),
        "grey16.png": png16(wide),
        "colours16.png": png16(np.stack([wide] * 3, axis=2), significant=12),
        "plain.tif": encoded("TIFF"),
        "lzw.tif": encoded("TIFF", compression="tiff_lzw"),
        "deflate.tif": encoded("TIFF", compression="tiff_adobe_deflate"),
        "grey16.tif": tiff(wide),
        "grey12.tif": tiff(wide, bits=12),
        "colours16.tif": tiff(np.stack([wide] * 3, axis=2), order=">"),
        "plain.gif": encoded("GIF"),
        "plain.bmp": encoded("BMP"),
        "plain.ppm": encoded("PPM"),
        "lossy.webp": encoded("WEBP"),
        "lossless.webp": encoded("WEBP", lossless=True),
        "plain.jp2": encoded("JPEG2000"),
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return [folder / name for name in contents]


@pytest.fixture(scope="module")
def holders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A good file of every kind that holds pictures."""
    made = [hold(kind, tmp_path_factory.mktemp("good"), GOOD) for kind in ("tar", "tar.gz", "zip")]
    folder, pictures = tmp_path_factory.mktemp("good"), np.stack([GALAXY] * 5)
    np.savez(folder / "a.npz", data=pictures, labels=np.eye(4)[[0, 1, 2, 3, 0]])
    np.savez_compressed(folder / "b.npz", data=pictures / 255)
    np.save(folder / "c.npy", pictures)
    with h5py.File(folder / "d.h5", "w") as file:
        file.create_dataset("images", data=pictures, chunks=(2, 24, 24, 3), compression="gzip")
        file["ans"], file["ra"], file["dec"] = np.arange(5), np.arange(5.0), np.arange(5.0)
    return made + [folder / name for name in ("a.npz", "b.npz", "c.npy", "d.h5")]


TOKENS = [
    *(b"[" * 500, b"'descr': '|O'", b"PK\1\2", b"PK\5\6"),
    *(b"\xff\xda", b"\xff\xc2", b"IHDR", b"acTL", b"tRNS", b"II*\0"),
]


@pytest.mark.parametrize("seed", [19, pytest.param(int(os.environ.get("FUZZ_SEED", "20")), marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", ["formats", "holders"])
def test_damaged_files_are_read_or_refused(
    kind: str, seed: int, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    good: list[Path] = request.getfixturevalue(kind)
    count = 12 * len(good) if seed == 19 else int(os.environ.get("FUZZ_COUNT", "4000"))
    reader = "test_fuzz_pictures:" + ("read_picture" if kind == "formats" else "read")
    found = read_all(reader, damaged(good, count, seed=seed, folder=tmp_path, tokens=TOKENS), seconds=20)
    assert not faults(found), faults(found)
    assert len(found) == count
