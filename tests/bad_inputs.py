"""More than six hundred bad inputs, each given to the command line as a user would do it.

    python tests/bad_inputs.py [--kind pictures] [--keep FOLDER]

For each input the program must end within `SECONDS` and `MEGABYTES`, without a traceback, and either fail with words
(exit status 1 or 2), warn, or write a catalogue in which the bad row is flagged; conditions may also find nothing. The
script prints a count by kind, and each input for which this does not hold. `test_bad_inputs.py` runs it.
"""

import argparse
import base64
import gzip
import io
import itertools
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tarfile
import tempfile
import threading
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from astropy.io import fits
from PIL import Image

from peculiar.images.decode import encode_picture
from peculiar.sources.simulated import simulate

SECONDS, MEGABYTES = 20, 1500
SIDE = 64


@dataclass(frozen=True)
class Case:
    """One bad input: its folder, and the command to run there."""

    kind: str
    name: str
    folder: Path
    command: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.kind}: {self.name}: peculiar {' '.join(part[:80] for part in self.command)}"


@dataclass(frozen=True)
class Outcome:
    """Result of a command; `fault` is empty if it ended correctly."""

    case: Case
    status: int
    megabytes: float
    text: str
    fault: str


class Stock:
    """Valid files of each kind, made once, from which bad ones are derived."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        drawn = simulate(24, size=SIDE)
        self.pictures, self.labels = drawn.pictures, drawn.labels
        self.classes = [("Normal", "Ringed", "Merger", "Other")[row] for row in self.labels.argmax(axis=1)]
        self.png = encode_picture(self.pictures[0])
        self.files = {
            "png": self.png,
            **{suffix: self._image(suffix) for suffix in ("jpg", "tif", "webp", "gif", "bmp")},
            "fits": self._fits(),
            "fits.gz": gzip.compress(self._fits()),
            "npz": self._npz(),
            "h5": self._hdf5(),
            "tar": self._tar(),
            "tar.gz": gzip.compress(self._tar()),
            "zip": self._zip(),
            "parquet": self._parquet(self.table()),
        }
        (folder / "good.parquet").write_bytes(self.files["parquet"])
        self._astropy("vot", "votable")
        self._astropy("ecsv", "ascii.ecsv")
        self._made_by_commands()

    def table(self, **columns: object) -> pa.Table:
        """A table of the pictures, with other or more columns."""
        made: dict[str, object] = {
            "id": [f"g{row}" for row in range(24)],
            "ra": np.linspace(150, 150.1, 24),
            "dec": np.linspace(2, 2.1, 24),
            "label": self.classes,
            "image": [encode_picture(picture) for picture in self.pictures],
        }
        return pa.table({name: value for name, value in (made | columns).items() if value is not None})

    def _image(self, suffix: str) -> bytes:
        buffer = io.BytesIO()
        Image.fromarray(self.pictures[0]).save(
            buffer, {"jpg": "JPEG", "tif": "TIFF", "webp": "WEBP", "gif": "GIF", "bmp": "BMP"}[suffix]
        )
        return buffer.getvalue()

    def _fits(self) -> bytes:
        buffer = io.BytesIO()
        fits.PrimaryHDU(self.pictures[0].transpose(2, 0, 1).astype(np.float32)).writeto(buffer)
        return buffer.getvalue()

    def _npz(self) -> bytes:
        buffer = io.BytesIO()
        np.savez(buffer, data=self.pictures, labels=self.labels)
        return buffer.getvalue()

    def _hdf5(self) -> bytes:
        buffer = io.BytesIO()
        with h5py.File(buffer, "w") as file:
            file["images"], file["ans"] = self.pictures, self.labels.argmax(axis=1)
        return buffer.getvalue()

    def _tar(self) -> bytes:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            for row, picture in enumerate(self.pictures[:8]):
                add_member(tar, f"{self.classes[row]}/{row}.png", encode_picture(picture))
        return buffer.getvalue()

    def _zip(self) -> bytes:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for row, picture in enumerate(self.pictures[:8]):
                archive.writestr(f"{self.classes[row]}/{row}.png", encode_picture(picture))
        return buffer.getvalue()

    def _parquet(self, table: pa.Table) -> bytes:
        buffer = io.BytesIO()
        pq.write_table(table, buffer)
        return buffer.getvalue()

    def _astropy(self, suffix: str, format_: str) -> None:
        from astropy.table import Table

        path = self.folder / f"good.{suffix}"
        Table({"id": ["a", "b"], "ra": [150.0, 150.1], "dec": [2.0, 2.1]}).write(path, format=format_)
        self.files[suffix] = path.read_bytes()

    def _made_by_commands(self) -> None:
        """A catalogue with embeddings, a training run and the model that ships, as users have them."""
        from peculiar.models.model_file import load_model
        from peculiar.questions.question import FOUR_CLASS

        call(["predict", "good.parquet", "--out", "cat.parquet", "--embeddings", "--workers", "1"], self.folder)
        call(
            ["train", "good.parquet", "--net", "exercise", "--out", "run", "--size", "32", "--epochs", "1"], self.folder
        )
        self.files["onnx"] = load_model().path.read_bytes()
        self.catalog = pq.read_table(self.folder / "cat.parquet")
        self.answers = FOUR_CLASS.answers
        from peculiar.labelling.database import Event, Labels

        with Labels(self.folder / "answers.db") as labels:
            labels.ask(FOUR_CLASS)
            labels.record(
                Event(f"event-{row:03d}", "answer", "ann", f"g{row}", FOUR_CLASS.name, self.classes[row])
                for row in range(6)
            )
        self.files["db"] = (self.folder / "answers.db").read_bytes()


def add_member(tar: tarfile.TarFile, name: str, content: bytes, **settings: object) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    for key, value in settings.items():
        setattr(member, key, value)
    tar.addfile(member, io.BytesIO(content))


def call(command: list[str], folder: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "peculiar", *command], cwd=folder, check=True, capture_output=True, env=surroundings()
    )


def surroundings() -> dict[str, str]:
    """The environment of the commands: one thread each, no data, no cache of the user's."""
    return {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "PECULIAR_DATA": "/nowhere",
        "PECULIAR_CACHE": str(Path(tempfile.gettempdir()) / "peculiar-bad-inputs-cache"),
    }


Made = Iterator[tuple[str, dict[str, bytes], list[str]]]
"""Of a case: its name, the files that it needs, and the command."""
KINDS: dict[str, Callable[[Stock], Made]] = {}


def kind(maker: Callable[[Stock], Made]) -> Callable[[Stock], Made]:
    KINDS[maker.__name__.replace("_", " ")] = maker
    return maker


PREDICT = ["--workers", "1", "--out", "out.parquet"]
DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "first half": lambda good: good[: len(good) // 2],
    "first 16 bytes": lambda good: good[:16],
    "zeros": lambda good: bytes(len(good)),
    "noise": lambda good: np.random.default_rng(1).bytes(len(good)),
    "a page of a server": lambda _: b"<!DOCTYPE html><html><body>404 Not Found</body></html>",
}


@kind
def damaged_files(stock: Stock) -> Made:
    """Yield each kind of file with each kind of damage."""
    for (suffix, good), (damage, spoil) in itertools.product(stock.files.items(), DAMAGES.items()):
        if suffix in ("ecsv", "vot"):
            command = ["data", "convert", f"x.{suffix}", "out.csv"]
        elif suffix == "onnx":
            command = ["predict", "good.parquet", "--model", "x.onnx", *PREDICT]
        elif suffix == "db":
            command = ["labels", "export", "x.db", "--out", "out.csv"]
        else:
            command = ["predict", f"x.{suffix}", *PREDICT]
        if suffix == "ecsv" and damage == "first half":
            continue  # which is a table, with fewer rows
        yield f"{suffix}, {damage}", {f"x.{suffix}": spoil(good), "good.parquet": stock.files["parquet"]}, command


@kind
def flipped_bits(stock: Stock) -> Made:
    """A model file with one bit changed, at many places."""
    good = stock.files["onnx"]
    for number, place in enumerate(np.random.default_rng(2).integers(0, len(good), 12).tolist()):
        spoilt = bytearray(good)
        spoilt[place] ^= 1 << number % 8
        files = {"x.onnx": bytes(spoilt), "good.parquet": stock.files["parquet"]}
        yield f"byte {place}", files, ["predict", "good.parquet", "--model", "x.onnx", *PREDICT]


@kind
def pictures(stock: Stock) -> Made:
    """A folder with a good picture and a bad one."""
    bombs = {
        "png of 10^5 squared": png_of(100_000, 100_000),
        "png of no width": png_of(0, 10),
        "jpeg of 65535 squared": jpeg_of(stock.files["jpg"], 65_535, 65_535),
        "tiff that refers to itself": b"II*\0\x08\0\0\0\x01\0\0\x01\x03\0\x01\0\0\0\x05\0\0\0\x08\0\0\0",
        "bmp of 10^9": b"BM" + bytes(12) + (40).to_bytes(4, "little") + (10**9).to_bytes(4, "little") * 2 + bytes(28),
        "one pixel": png_from(np.zeros((1, 1, 3), np.uint8)),
        "a line": png_from(np.zeros((1, 500, 3), np.uint8)),
        "blank": png_from(np.zeros((64, 64, 3), np.uint8)),
        "white": png_from(np.full((64, 64, 3), 255, np.uint8)),
        "drawing": b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>",
        "heic": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
        "postscript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(/etc/passwd) (r) file\n",
        "a pickle": b"\x80\x04\x95" + bytes(30),
        "a program": b"\x7fELF" + bytes(100),
        "text": b"no picture",
    }
    for suffix in ("png", "jpg", "tif", "webp"):
        bombs[f"{suffix} without its end"] = stock.files[suffix][: -len(stock.files[suffix]) // 3]
    for name, content in bombs.items():
        suffix = next((one for one in ("jpg", "tif", "bmp", "webp") if one[:3] in name[:6]), "png")
        files = {"p/good.png": stock.png, f"p/bad.{suffix}": content}
        yield name, files, ["predict", "p", *PREDICT]
        table = stock._parquet(pa.table({"id": ["good", "bad"], "image": [stock.png, content]}))
        yield f"{name}, in a table", {"t.parquet": table}, ["predict", "t.parquet", *PREDICT]


def png_of(width: int, height: int) -> bytes:
    """A PNG that says it has so many pixels, of a few bytes."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return len(content).to_bytes(4, "big") + name + content + zlib.crc32(name + content).to_bytes(4, "big")

    head = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([8, 2, 0, 0, 0])
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(10_000))) + chunk(b"IEND", b"")
    )


def png_from(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def jpeg_of(good: bytes, width: int, height: int) -> bytes:
    """The JPEG with other dimensions in its frame header."""
    place = good.index(b"\xff\xc0") + 5
    return good[:place] + height.to_bytes(2, "big") + width.to_bytes(2, "big") + good[place + 4 :]


SPECIAL: dict[str, Callable[[Path], None]] = {
    "fifo": os.mkfifo,
    "folder": lambda path: path.mkdir(),
    "link to nothing": lambda path: path.symlink_to("nothing"),
    "link to itself": lambda path: path.symlink_to(path.name),
    "link to a device": lambda path: path.symlink_to("/dev/zero"),
    "link to random": lambda path: path.symlink_to("/dev/urandom"),
    "socket": lambda path: _socket(path),
    "sparse file of 20 GB": lambda path: _sparse(path, 20 * 1024**3),
}


def _socket(path: Path) -> None:
    import socket

    short = Path(tempfile.mkdtemp()) / "s"
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(short))
    short.rename(path)


def _sparse(path: Path, size: int) -> None:
    with path.open("wb") as file:
        file.truncate(size)


@kind
def what_is_no_file(stock: Stock) -> Made:
    """Yield pipes, devices, folders, links and sparse files in the place of a file."""
    for name, suffix in itertools.product(SPECIAL, ("png", "fits", "npz", "h5", "parquet", "csv", "tar", "vot")):
        if (name, suffix) in (("folder", "tar"), ("folder", "csv")):
            continue  # an empty folder is one, whatever it is called
        yield f"{name} called .{suffix}", {f"x.{suffix}!{name}": b""}, ["predict", f"x.{suffix}", *PREDICT]
    for name in SPECIAL:
        if name != "folder":
            files = {"p/good.png": stock.png, f"p/bad.png!{name}": b""}
            yield f"{name} in a folder", files, ["predict", "p", *PREDICT]
            table = {"t.csv": b"id,file\na,good.png\nb,bad.png\n", "good.png": stock.png, f"bad.png!{name}": b""}
            yield f"{name} named in a table", table, ["predict", "t.csv", *PREDICT]
        yield f"{name} as labels", {f"l.csv!{name}": b"", "t.parquet": stock.files["parquet"]}, [
            "evaluate", "t.parquet", "--labels", "l.csv"]  # fmt: skip
        yield f"{name} as a model", {f"m.onnx!{name}": b"", "t.parquet": stock.files["parquet"]}, [
            "predict", "t.parquet", "--model", "m.onnx", *PREDICT]  # fmt: skip


@kind
def archives(stock: Stock) -> Made:
    """Yield tars and zips with misleading members beside a good one."""

    def tar(*members: tuple[str, bytes, dict[str, object]], good: bool = True) -> bytes:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as made:
            if good:
                add_member(made, "good.png", stock.png)
            for name, content, settings in members:
                add_member(made, name, content, **settings)
        return buffer.getvalue()

    link = {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"}
    hard = {"type": tarfile.LNKTYPE, "linkname": "/etc/passwd"}
    huge = tarfile.TarInfo("bad.png")
    huge.size = 2**42
    tars = {
        "nothing in it": tar(good=False),
        "text alone": tar(("readme.txt", b"hello", {}), good=False),
        "a damaged picture": tar(("bad.png", stock.png[:50], {})),
        "a bomb": tar(("bad.png", png_of(100_000, 100_000), {})),
        "a member of 4 TB": tar()[:1536] + huge.tobuf() + bytes(1024),
        "a device": tar(("bad.png", b"", {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 5}), good=False),
        "links alone": tar(("bad.png", b"", link), ("worse.png", b"", hard), good=False),
        "cut in a member": tar(("bad.png", stock.png, {}))[:-11_000],
        "bad checksum": tar()[:148] + b"0000000\0" + tar()[156:],
    }
    for name, content in tars.items():
        yield f"tar with {name}", {"x.tar": content}, ["predict", "x.tar", *PREDICT]
    yield "gz of 2 GB of zeros", {"x.tar.gz": gzip_of_zeros(2)}, ["predict", "x.tar.gz", *PREDICT]

    def zipped(members: dict[str, bytes], **settings: object) -> bytes:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as made:
            for name, content in members.items():
                made.writestr(name, content)
        return buffer.getvalue()

    zips = {
        "nothing in it": zipped({}),
        "text alone": zipped({"readme.txt": b"hello"}),
        "a damaged picture": zipped({"good.png": stock.png, "bad.png": stock.png[:50]}),
        "a bomb": zipped({"good.png": stock.png, "bad.png": png_of(100_000, 100_000)}),
        "a member of 2 GB": zipped({"good.png": stock.png}) and _zip_of_zeros(2),
        "a zip in it": zipped({"inner.zip": stock.files["zip"]}),
        "another checksum": stock.files["zip"].replace(stock.png[60:70], bytes(10)),
    }
    for name, content in zips.items():
        yield f"zip with {name}", {"x.zip": content}, ["predict", "x.zip", *PREDICT]


def gzip_of_zeros(gigabytes: int) -> bytes:
    """Write gigabytes of zeros as a gzip file of some megabytes."""
    buffer, block = io.BytesIO(), bytes(1024**2)
    with gzip.GzipFile(fileobj=buffer, mode="wb", compresslevel=1) as file:
        for _ in range(gigabytes * 1024):
            file.write(block)
    return buffer.getvalue()


def _zip_of_zeros(gigabytes: int) -> bytes:
    buffer, block = io.BytesIO(), bytes(1024**2)
    with (
        zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as made,
        made.open("bad.png", "w", force_zip64=True) as member,
    ):
        for _ in range(gigabytes * 1024):
            member.write(block)
    return buffer.getvalue()


@kind
def arrays(stock: Stock) -> Made:
    """Yield NPZ, NPY and HDF5 files with wrong arrays."""

    def npy(header: bytes, body: bytes = b"") -> bytes:
        return b"\x93NUMPY\x01\0" + len(header).to_bytes(2, "little") + header + body

    def npz(**made: np.ndarray) -> bytes:
        buffer = io.BytesIO()
        np.savez(buffer, **made)
        return buffer.getvalue()

    def member(content: bytes) -> bytes:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as made:
            made.writestr("data.npy", content)
        return buffer.getvalue()

    good, labels = stock.pictures[:8], stock.labels[:8]
    brackets = npy(b"{'descr': " + b"[" * 30_000 + b"}\n")
    strange = {
        "header of brackets": member(brackets),
        "header of parentheses": member(npy(b"(" * 60_000)),
        "header that calls": member(npy(b"{'descr': __import__('os').system('true'), 'fortran_order': False}")),
        "objects": npz(data=np.array([{"a": 1}], dtype=object), labels=labels[:1]),
        "10^15 pictures": member(
            npy(b"{'descr': '|u1', 'fortran_order': False, 'shape': (1000000000000000, 128, 128, 3)}\n")
        ),
        "negative shape": member(npy(b"{'descr': '|u1', 'fortran_order': False, 'shape': (-4, 64, 64, 3)}\n")),
        "text": npz(data=np.array(["a", "b"]), labels=labels[:2]),
        "complex": npz(data=good.astype(complex), labels=labels),
        "two dimensions": npz(data=good[0, :, :, 0], labels=labels),
        "five dimensions": npz(data=good[None], labels=labels),
        "seven colours": npz(data=np.zeros((8, 64, 64, 7), np.uint8), labels=labels),
        "no picture": npz(data=good[:0], labels=labels[:0]),
        "fewer labels": npz(data=good, labels=labels[:3]),
        "NaN": npz(data=np.full((8, 64, 64, 3), np.nan, np.float32), labels=labels),
        "infinite": npz(data=np.full((8, 64, 64, 3), np.inf), labels=labels),
        "labels of two ones": npz(data=good, labels=np.ones((8, 4))),
        "labels that are NaN": npz(data=good, labels=np.full((8, 4), np.nan)),
        "labels of no class": npz(data=good, labels=np.full(8, 77)),
        "other names": npz(x=good[0, 0], y=labels),
    }
    for name, content in strange.items():
        command = ["data", "list", "x.npz"] if "label" in name else ["predict", "x.npz", *PREDICT]
        yield f"npz, {name}", {"x.npz": content}, command
    yield "npy, header of brackets", {"x.npy": brackets}, ["predict", "x.npy", *PREDICT]
    for name, fill in {
        "external file": lambda file: file.create_dataset(
            "images", (4, 64, 64, 3), "u1", external=[("/etc/passwd", 0, h5py.h5f.UNLIMITED)]
        ),
        "external link": lambda file: file.__setitem__("images", h5py.ExternalLink("/etc/hostname", "images")),
        "soft link to itself": lambda file: file.__setitem__("images", h5py.SoftLink("/images")),
        "virtual": _virtual,
        "nothing": lambda file: None,
        "text": lambda file: file.__setitem__("images", "text"),
        "10^12 pictures unwritten": lambda file: file.create_dataset(
            "images", (10**12, 64, 64, 3), "u1", chunks=(1, 64, 64, 3)
        ),
        "pictures of 10^5 squared, unwritten": lambda file: file.create_dataset(
            "images", (2, 10**5, 10**5, 3), "u1", chunks=(1, 64, 64, 3)
        ),
        "a table": lambda file: file.__setitem__("images", np.zeros(4, [("a", "f4"), ("b", "S3")])),
    }.items():
        buffer = io.BytesIO()
        with h5py.File(buffer, "w") as file:
            fill(file)
        yield f"hdf5, {name}", {"x.h5": buffer.getvalue()}, ["predict", "x.h5", *PREDICT]


def _virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((4, 64, 64, 3), "u1")
    layout[:] = h5py.VirtualSource("/etc/other.h5", "images", shape=(4, 64, 64, 3))
    file.create_virtual_dataset("images", layout)


@kind
def tables(stock: Stock) -> Made:
    """Yield invalid tables of pictures or positions."""
    texts = {
        "nothing": b"",
        "blank lines": b"\n\n\n",
        "a header alone": b"id,file\n",
        "one word": b"hello",
        "no picture column": b"id,mag\na,1\n",
        "twice one name": b"file,file\na.png,b.png\n",
        "rows of other widths": b"id,file\na,a.png\nb\nc,c.png,3,4,5\n",
        "an open quote": b'id,file\na,"a.png\nb,b.png\n',
        "NUL": b"id,file\na,a\0.png\n",
        "binary": np.random.default_rng(3).bytes(4000),
        "no such pictures": b"id,file\na,a.png\nb,b.png\n",
        "a web address": b"id,file\na,http://127.0.0.1:9/a.png\n",
        "a file address": b"id,file\na,file:///etc/passwd\n",
        "a path of Windows": b"id,file\na,C:\\data\\a.png\n",
        "a path above": b"id,file\na,../../../../../../../etc/passwd\n",
        "a user's home": b"id,file\na,~root/a.png\n",
        "a name of 5000": b"id,file\na," + b"x" * 5000 + b".png\n",
        "a cell of 20 MB": b"id,file\na," + b"x" * 20_000_000 + b"\n",
        "100,000 columns": b",".join(b"c%d" % n for n in range(100_000)) + b"\n" + b"1," * 99_999 + b"1\n",
    }
    for name, content in texts.items():
        yield f"csv with {name}", {"t.csv": content}, ["predict", "t.csv", *PREDICT]
    yield "ecsv of anchors", {"t.ecsv": anchors()}, ["data", "convert", "t.ecsv", "out.csv"]
    yield (
        "ecsv of an object",
        {"t.ecsv": b"# %ECSV 1.0\n# ---\n# !!python/object/apply:os.system ['true']\nid\na\n"},
        ["data", "convert", "t.ecsv", "out.csv"],
    )
    entities = b"".join(b'<!ENTITY e%d "%s">' % (n, b"&e%d;" % (n - 1) * 10) for n in range(1, 10))
    bodies = {
        "entities": b"<!DOCTYPE v [<!ENTITY e0 'aaaaaaaaaa'>" + entities + b"]><VOTABLE><INFO>&e9;</INFO></VOTABLE>",
        "an outside entity": b"<!DOCTYPE v [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><VOTABLE><INFO>&x;</INFO></VOTABLE>",
        "a stream elsewhere": votable(b"<FITS><STREAM href='http://127.0.0.1:9/t.fits'/></FITS>"),
        "a stream in a file": votable(b"<BINARY><STREAM href='file:///etc/passwd'/></BINARY>"),
        "a binary of nothing": votable(b"<BINARY><STREAM encoding='base64'>AAAA</STREAM></BINARY>"),
        "a stream that is cut": votable(
            b"<BINARY2><STREAM encoding='base64'>" + base64.b64encode(bytes(7)) + b"</STREAM></BINARY2>"
        ),
        "no table": b"<?xml version='1.0'?><VOTABLE version='1.4'><RESOURCE/></VOTABLE>",
        "an error of a service": b"<?xml version='1.0'?><VOTABLE version='1.4'><RESOURCE type='results'>"
        b"<INFO name='QUERY_STATUS' value='ERROR'>no such column</INFO></RESOURCE></VOTABLE>",
        "100,000 brackets": b"<VOTABLE>" + b"<RESOURCE>" * 100_000,
    }
    for name, content in bodies.items():
        yield f"votable with {name}", {"t.vot": content}, ["data", "convert", "t.vot", "out.csv"]
    parquet = {
        "no rows": stock._parquet(stock.table().slice(0, 0)),
        "a picture that is null": stock._parquet(
            pa.table({"id": ["a", "b"], "image": pa.array([None, None], pa.binary())})
        ),
        "numbers as pictures": stock._parquet(stock.table(image=np.arange(24))),
        "twice one name": stock._parquet(pa.table([["a"], [b"x"], [b"y"]], names=["id", "image", "image"])),
        "10^12 rows in its footer": many_rows(stock.files["parquet"]),
        "a footer of 2 GB": stock.files["parquet"][:-8] + (2**31 - 1).to_bytes(4, "little") + b"PAR1",
        "labels beneath labels": stock._parquet(stock.table(image=[[[b"x"]]] * 24)),
    }
    for name, content in parquet.items():
        yield f"parquet with {name}", {"t.parquet": content}, ["predict", "t.parquet", *PREDICT]
        if "twice" in name or "10^12" in name:
            yield f"parquet with {name}, checked", {"t.parquet": content}, ["data", "check", "t.parquet"]


def anchors() -> bytes:
    lines = ["# %ECSV 1.0", "# ---", "# meta:", "#   a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"#   a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    return "\n".join([*lines, "# datatype:", "# - {name: id, datatype: string}", "id", "a"]).encode()


def votable(data: bytes) -> bytes:
    return (
        b"<?xml version='1.0'?><VOTABLE version='1.4' xmlns='http://www.ivoa.net/xml/VOTable/v1.3'><RESOURCE><TABLE>"
        b"<FIELD name='ra' datatype='double'/><DATA>" + data + b"</DATA></TABLE></RESOURCE></VOTABLE>"
    )


def many_rows(good: bytes) -> bytes:
    """A Parquet file whose footer claims 10^12 rows: the number is a Thrift varint, twice 24 rows zigzagged."""
    length = int.from_bytes(good[-8:-4], "little")
    footer = good[-8 - length : -8]
    varint, value = bytearray(), 2 * 10**12
    while value > 127:
        varint.append(value & 127 | 128)
        value >>= 7
    footer = footer.replace(bytes([0x16, 48]), b"\x16" + bytes([*varint, value]))
    return good[: -8 - length] + footer + len(footer).to_bytes(4, "little") + b"PAR1"


SKY = "CTYPE1='RA---TAN' CTYPE2='DEC--TAN' CRVAL1=150.0 CRVAL2=2.0 CRPIX1=100.5 CRPIX2=100.5 CDELT1=-1e-4 CDELT2=1e-4"


@kind
def mosaics(stock: Stock) -> Made:
    """Yield mosaics and tables that do not match."""
    good = mosaic()
    positions = {
        "no rows": "id,ra,dec\n",
        "no columns": "id,x,y\na,1,2\n",
        "text": "id,ra,dec\na,here,there\n",
        "empty": "id,ra,dec\na,,\n",
        "NaN": "id,ra,dec\na,nan,nan\n",
        "elsewhere": "id,ra,dec\na,10,80\n",
        "swapped": "id,ra,dec\na,2,150\n",
        "beyond the pole": "id,ra,dec\na,150,95\n",
        "infinite": "id,ra,dec\na,inf,2\n",
        "ra alone": "id,ra\na,150\n",
        "10^300": "id,ra,dec\na,1e300,-1e300\n",
    }
    for name, text in positions.items():
        files = {"m.fits": good, "p.csv": text.encode()}
        yield f"positions: {name}", files, ["predict", "m.fits", "--catalog", "p.csv", "--stamp-size", "48px", *PREDICT]
    here = b"id,ra,dec,R50\na,150,2,-1\n"
    for size in ("0px", "-5px", "1e9px", "nanarcsec", "4xR50", "4xR99", "banana", "infarcsec", "1px", "0xR50", ""):
        files = {"m.fits": good, "p.csv": here}
        yield f"stamp size {size!r}", files, ["predict", "m.fits", "--catalog", "p.csv", "--stamp-size", size, *PREDICT]
    cards = {
        "no WCS": {"CTYPE1": None, "CTYPE2": None},
        "a linear WCS": {"CTYPE1": "LINEAR", "CTYPE2": "LINEAR"},
        "one axis": {"CTYPE2": None},
        "scale zero": {"CDELT1": 0.0, "CDELT2": 0.0},
        "scale NaN text": {"CDELT1": "nan"},
        "place as text": {"CRVAL1": "abc"},
        "unknown projection": {"CTYPE1": "RA---XYZ", "CTYPE2": "DEC--XYZ"},
        "two projections": {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--SIN"},
        "twice ra": {"CTYPE2": "RA---TAN"},
        "a spectrum": {"CTYPE1": "WAVE", "CTYPE2": "FREQ"},
    }
    for name, changed in cards.items():
        files = {"m.fits": mosaic(**changed), "p.csv": b"id,ra,dec\na,150,2\n"}
        yield f"header: {name}", files, ["predict", "m.fits", "--catalog", "p.csv", "--stamp-size", "48px", *PREDICT]
    empties = {"all NaN": np.full((200, 200), np.nan, np.float32), "all zero": np.zeros((200, 200), np.float32)}
    for name, pixels in empties.items():
        files = {"m.fits": mosaic(pixels), "p.csv": b"id,ra,dec\na,150,2\n"}
        yield f"pixels: {name}", files, ["predict", "m.fits", "--catalog", "p.csv", "--stamp-size", "48px", *PREDICT]


def mosaic(pixels: np.ndarray | None = None, **changed: object) -> bytes:
    made = np.random.default_rng(4).normal(0, 1, (200, 200)).astype(np.float32) if pixels is None else pixels
    cards = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 150.0, "CRVAL2": 2.0, "CRPIX1": 100.5}
    cards |= {"CRPIX2": 100.5, "CDELT1": -1e-4, "CDELT2": 1e-4}
    header = fits.Header([(key, value) for key, value in (cards | changed).items() if value is not None])
    buffer = io.BytesIO()
    fits.PrimaryHDU(made, header).writeto(buffer, output_verify="ignore")
    return buffer.getvalue()


@kind
def fits_files(stock: Stock) -> Made:
    """Yield FITS cut-outs with wrong headers."""
    good = stock.files["fits"]

    def carded(name: str, value: str) -> bytes:
        start = good.index(name.ljust(8).encode() + b"=")
        return good[:start] + f"{name:8}= {value:>20}".ljust(80).encode() + good[start + 80 :]

    for name, value in (
        *(("NAXIS1", value) for value in ("999999999", "-5", "0", "'abc'", "1e9")),
        *(("BITPIX", value) for value in ("7", "-99", "'x'", "64")),
        *(("NAXIS", value) for value in ("0", "1", "999", "-1")),
        ("NAXIS3", "100000"),
        ("SIMPLE", "'no'"),
    ):
        yield f"{name} is {value}", {"x.fits": carded(name, value)}, ["predict", "x.fits", *PREDICT]
    yield "no END", {"x.fits": good[:2880].replace(b"END", b"   ")}, ["predict", "x.fits", *PREDICT]
    yield "a header alone", {"x.fits": good[:2880]}, ["predict", "x.fits", *PREDICT]
    yield "gz of 2 GB", {"x.fits.gz": gzip_of_zeros(2)}, ["predict", "x.fits.gz", *PREDICT]
    for name, array in {
        "one row": np.zeros(50, np.float32),
        "four dimensions": np.zeros((2, 3, 20, 20), np.float32),
        "NaN": np.full((3, 64, 64), np.nan, np.float32),
        "infinite": np.full((3, 64, 64), np.inf, np.float32),
        "constant": np.full((3, 64, 64), 7, np.float32),
        "30 planes": np.zeros((30, 64, 64), np.float32),
    }.items():
        buffer = io.BytesIO()
        fits.PrimaryHDU(array).writeto(buffer)
        yield f"pixels: {name}", {"x.fits": buffer.getvalue()}, ["predict", "x.fits", *PREDICT]
    table = io.BytesIO()
    fits.BinTableHDU(np.rec.array([(1, 2.0)], names="a,b")).writeto(table)
    yield "a table without pictures", {"x.fits": table.getvalue()}, ["predict", "x.fits", *PREDICT]
    for bands in ("x,y,z", "r", ",,,", "1,2,3,4,5", "red green"):
        yield f"bands {bands!r}", {"x.fits": good}, ["predict", "x.fits", "--bands", bands, *PREDICT]


@kind
def conditions(stock: Stock) -> Made:
    """Yield invalid, expensive and hostile conditions."""
    wheres = [
        "", " ", "p_ringed >", "> 0.9", "p_ringed > > 0.9", "p_ringed", "nope > 1", "p_ringed > 'a'", "class > 1 and",
        "(" * 300 + "p_ringed > 1" + ")" * 300, "not " * 500 + "p_ringed > 1", "((p_ringed > 0.9)", "p_ringed > 0.9)",
        "1; drop table x", "p_ringed > 1 -- comment", "p_ringed > 1 /* x */", "read_csv('/etc/passwd') > 1",
        "id in (select id from x)", "p_ringed = (select 1)", "copy x to 'y'", "p_ringed > 1e999", "p_ringed > 0x10",
        "'a' || 'b' = 'ab'", "class like '%' escape 'ab'", "embedding > 1", "p_ringed between 1", "id = \"a", "id = 'a",
        "abs() > 1", "abs(1, 2, 3) > 1", "sqrt(p_ringed) > sqrt(", "pg_sleep(100) > 1", "p_ringed > 1 or or id = 'x'",
        "p_ringed ** 2 > 1", "p_ringed[0] > 1", "{}", "é > 1", "p_ringed > 1\0", "1 = 1 union select 1", "* > 1",
        "p_ringed > " + "9" * 5000, " and ".join(["nope > 0.1"] * 3000), "-" * 2000 + "1 > p_ringed",
    ]  # fmt: skip
    catalog = {"c.parquet": (stock.folder / "cat.parquet").read_bytes()}
    for number, where in enumerate(wheres):
        if "\0" not in where:  # which no shell passes on
            yield f"number {number}: {where[:30]!r}", catalog, ["search", "query", "c.parquet", "--where", where]
    for cone in ("", "1", "1,2", "a,b,c", "150,2,-1", "150,95,1", "nan,2,1", "150,2,1parsec", "150,2,1e99", "1,2,3,4"):
        yield f"cone {cone!r}", catalog, ["search", "query", "c.parquet", "--cone", cone]


@kind
def searches(stock: Stock) -> Made:
    """Yield searches that a catalogue does not support."""
    catalog = stock.catalog
    bare = stock._parquet(catalog.drop_columns(["embedding"]))
    vectors = catalog["embedding"].to_pylist()
    nan = stock._parquet(
        catalog.set_column(
            catalog.column_names.index("embedding"), "embedding", pa.array([[float("nan")] * len(vectors[0])] * 24)
        )
    )
    ragged = stock._parquet(
        catalog.set_column(
            catalog.column_names.index("embedding"), "embedding", pa.array([[1.0] * (n % 3 + 1) for n in range(24)])
        )
    )
    good = (stock.folder / "cat.parquet").read_bytes()
    for name, content in {"no embeddings": bare, "embeddings of NaN": nan, "embeddings of many widths": ragged}.items():
        for verb in (["similar", "c.parquet", "--galaxy", "g0"], ["anomalies", "c.parquet"], ["map", "c.parquet"]):
            yield f"{verb[0]}, {name}", {"c.parquet": content}, ["search", *verb, "--out", "out.csv"]
    here = {"c.parquet": good, "t.csv": b"a,b\n1,2\n", "bad.png": b"no picture"}
    for verb in (
        ["similar", "c.parquet", "--galaxy", "nobody"],
        ["similar", "c.parquet"],
        ["similar", "c.parquet", "--picture", "nothing.png"],
        ["similar", "c.parquet", "--picture", "bad.png"],
        ["similar", "c.parquet", "--galaxy", "g0", "--top", "0"],
        ["similar", "c.parquet", "--galaxy", "g0", "--out", "out.xyz"],
        ["similar", "c.parquet", "--galaxy", "g0", "--sheet", "s.png"],
        ["similar", "c.parquet", "--galaxy", "g0", "--sheet", "s.png", "--pictures", "nowhere"],
        ["anomalies", "c.parquet", "--interesting", "t.csv"],
        ["anomalies", "c.parquet", "--method", "magic"],
        ["odd", "c.parquet", "--by", "magic"],
        ["query", "c.parquet", "--by", "nope"],
        ["query", "c.parquet", "--columns", "id,nope"],
        ["query", "t.csv", "--where", "a > 1"],
        ["query", "nothing.parquet", "--where", "a > 1"],
    ):
        yield " ".join(verb), here, ["search", *verb]


@kind
def labels(stock: Stock) -> Made:
    """Yield tables of labels that do not match the galaxies, for each command that takes them."""
    rows = [f"g{row},{name}" for row, name in enumerate(stock.classes)]
    texts = {
        "no rows": "id,label\n",
        "no id": "label\nNormal\n",
        "no label": "id\ng0\n",
        "other ids": "id,label\n" + "\n".join(f"x{row},Normal" for row in range(24)),
        "two labels of one galaxy": "\n".join(["id,label", *rows, "g0,Normal", "g0,Merger"]),
        "classes of another question": "id,label\n" + "\n".join(f"g{row},quasar" for row in range(24)),
        "empty labels": "id,label\n" + "\n".join(f"g{row}," for row in range(24)),
        "numbers": "id,label\n" + "\n".join(f"g{row},{row / 7}" for row in range(24)),
    }
    base = {
        "t.parquet": stock._parquet(stock.table(label=None)),
        "c.parquet": (stock.folder / "cat.parquet").read_bytes(),
    }
    for name, text in texts.items():
        files = {**base, "l.csv": text.encode()}
        yield f"evaluate, {name}", files, ["evaluate", "t.parquet", "--labels", "l.csv", "--out", "report"]
        if name not in ("classes of another question", "numbers"):  # a new question is what teach and train are for
            yield f"teach, {name}", files, ["teach", "l.csv", "--catalog", "c.parquet", "--out", "m.onnx"]
            yield (
                f"train further, {name}",
                files,
                ["train", "t.parquet", "--labels", "l.csv", "--out", "r", "--epochs", "1"],
            )
    few = {
        "one galaxy": stock.table().slice(0, 1),
        "one class": stock.table(label=["Normal"] * 24),
        "a class of one": stock.table(label=["Normal"] * 23 + ["Merger"]),
        "no labels": stock.table(label=None),
        "labels that are null": stock.table(label=pa.nulls(24, pa.string())),
        "a label a galaxy": stock.table(label=[f"class {row}" for row in range(24)]),
    }
    for name, table in few.items():
        files = {"t.parquet": stock._parquet(table)}
        yield (
            f"train, {name}",
            files,
            ["train", "t.parquet", "--net", "exercise", "--out", "r", "--size", "32", "--epochs", "1"],
        )
        if name not in ("one galaxy", "one class", "a class of one"):  # which can be scored
            yield f"evaluate, {name}", files, ["evaluate", "t.parquet", "--out", "report"]


@kind
def probabilities(stock: Stock) -> Made:
    """Yield invalid tables of probabilities."""
    names = [f"p_{answer.lower()}" for answer in stock.answers]
    good = np.random.default_rng(5).dirichlet(np.ones(4), 24)
    strange = {
        "NaN": np.where(np.arange(24)[:, None] == 3, np.nan, good),
        "negative": good - 0.5,
        "sum of 4": good * 4,
        "zero": good * 0,
        "infinite": np.where(np.arange(24)[:, None] == 3, np.inf, good),
    }
    for name, values in strange.items():
        table = stock.table(image=None, **{one: values[:, n] for n, one in enumerate(names)})
        yield name, {"p.parquet": stock._parquet(table)}, ["evaluate", "p.parquet", "--out", "report"]
    text = stock.table(image=None, **dict.fromkeys(names, ["high"] * 24))
    yield "text", {"p.parquet": stock._parquet(text)}, ["evaluate", "p.parquet", "--out", "report"]
    missing = stock.table(image=None, **{one: good[:, n] for n, one in enumerate(names[:3])})
    yield (
        "a class without a column",
        {"p.parquet": stock._parquet(missing)},
        ["evaluate", "p.parquet", "--out", "report"],
    )


@kind
def zooniverse(stock: Stock) -> Made:
    """Yield files that are not exports of Zooniverse classifications."""
    head = "user_name,user_id,workflow_id,workflow_version,created_at,annotations,subject_data,subject_ids\n"
    texts = {
        "nothing": "",
        "a header alone": head,
        "other columns": "a,b\n1,2\n",
        "annotations that are no JSON": head + 'ann,1,1,1.1,2026-01-01 00:00:00 UTC,nonsense,"{}",5\n',
        "annotations of brackets": head + f"ann,1,1,1.1,2026-01-01 00:00:00 UTC,{'[' * 100_000},{{}},5\n",
        "no subject": head + 'ann,1,1,1.1,2026-01-01 00:00:00 UTC,"[]","{}",5\n',
    }
    for name, text in texts.items():
        yield name, {"z.csv": text.encode()}, ["labels", "import", "z.csv", "--db", "new.db", "--task", "T0"]
    yield "a binary", {"z.csv": stock.png}, ["labels", "import", "z.csv", "--db", "new.db", "--task", "T0"]


@kind
def databases(stock: Stock) -> Made:
    """Yield foreign and damaged databases of answers."""
    other = stock.folder / "other.db"
    with sqlite3.connect(other) as made:
        made.execute("create table if not exists t (a)")
    made.close()
    good = stock.files["db"]
    newer = good[:60] + (99).to_bytes(4, "big") + good[64:]
    page = good[:4096] + b"\xff" * (len(good) - 4096)
    for name, content in {
        "of another program": other.read_bytes(),
        "of a newer version": newer,
        "spoilt": page,
    }.items():
        for verb in (["export", "x.db", "--out", "out.csv"], ["agreement", "x.db"]):
            yield f"{verb[0]}, {name}", {"x.db": content}, ["labels", *verb]
    yield (
        "export, no such question",
        {"x.db": good},
        ["labels", "export", "x.db", "--out", "o.csv", "--question", "nope"],
    )
    yield "export, no such format", {"x.db": good}, ["labels", "export", "x.db", "--out", "o.xyz"]
    yield "export, no such kind", {"x.db": good}, ["labels", "export", "x.db", "--out", "o.csv", "--as", "nope"]


@kind
def questions(stock: Stock) -> Made:
    """Yield invalid questions in TOML files."""
    texts = {
        "nothing": "",
        "no TOML": "question = [",
        "no answers": 'name = "q"\n[[question]]\nname = "a"\nasks = "?"\n',
        "one answer": 'name = "q"\n[[question]]\nname = "a"\nasks = "?"\nanswers = ["x"]\n',
        "twice one answer": 'name = "q"\n[[question]]\nname = "a"\nasks = "?"\nanswers = ["x", "x"]\n',
        "numbers as answers": 'name = "q"\n[[question]]\nname = "a"\nasks = "?"\nanswers = [1, 2]\n',
        "leading nowhere": 'name = "q"\n[[question]]\nname = "a"\nasks = "?"\nanswers = ["x", "y"]\nthen = "b"\n',
        "in a circle": 'name = "q"\n[[question]]\nname = "a"\nasks = "?"\nanswers = ["x", "y"]\nthen = "a"\n',
        "a binary": "\0\1\2",
        "100,000 brackets": "a = " + "[" * 100_000,
    }
    for name, text in texts.items():
        files = {"q.toml": text.encode(), "t.parquet": stock.files["parquet"]}
        yield (
            f"train further, {name}",
            files,
            ["train", "t.parquet", "--question", "q.toml", "--out", "r", "--epochs", "1"],
        )
        yield f"label, {name}", files, ["label", "t.parquet", "--question", "q.toml", "--no-browser", "--port", "0"]


@kind
def options(stock: Stock) -> Made:
    """Yield invalid values of options."""
    files = {
        "t.parquet": stock.files["parquet"],
        "c.parquet": (stock.folder / "cat.parquet").read_bytes(),
        "there": b"a file",
    }
    train = ["train", "t.parquet", "--net", "exercise", "--size", "32", "--out"]
    commands = [
        *(["predict", "t.parquet", *PREDICT, "--batch-size", value] for value in ("0", "-1", "x")),
        *(["predict", "t.parquet", *PREDICT, "--views", value] for value in ("0", "9", "-2")),
        *(["predict", "t.parquet", *PREDICT, "--crop", value] for value in ("0", "-1", "nope", "1e9")),
        *(["predict", "t.parquet", *PREDICT, "--shard-rows", value] for value in ("0", "-1")),
        ["predict", "t.parquet", "--workers", "0"], ["predict", "t.parquet", "--workers", "-3"],
        ["predict", "t.parquet", "--out", "x.xyz"], ["predict", "t.parquet", "--out", "there/x.parquet"],
        ["predict", "t.parquet", "--out", "t.parquet"],
        ["predict", "t.parquet", "--out", ""], ["predict", ""], ["predict", "nothing"], ["predict"],
        ["predict", "t.parquet", "--model", "nothing.onnx"], ["predict", "t.parquet", "--model", "t.parquet"],
        ["predict", "t.parquet", "--catalog", "c.parquet"], ["predict", "t.parquet", "--bands", "g,r,i"],
        ["predict", "t.parquet", "there", *PREDICT], ["predict", "t.parquet", "--dask", "127.0.0.1:1"],
        *([*train, "r", "--epochs", value] for value in ("0", "-1", "1e3")),
        *([*train, "r", "--batch-size", value] for value in ("0", "-5")),
        *([*train, "r", "--learning-rate", value] for value in ("0", "-1", "nan", "inf")),
        *([*train, "r", "--validation-size", value] for value in ("0", "1", "-0.2", "2", "nan")),
        *([*train, "r", "--seed", value] for value in ("-1", "x")),
        [*train, "r", "--net", "nope"], [*train, "r", "--label", "nope"], [*train, "there"], [*train, "t.parquet"],
        *([*train, "r", "--size", value] for value in ("0", "4")),
        [*train, "r", "--precision", "int3"],
        ["export", "nothing", "--out", "x.onnx"], ["export", "there", "--out", "x.onnx"],
        ["evaluate", "t.parquet", "--part", "nope"], ["evaluate", "t.parquet", "--by", "nope"],
        ["evaluate", "t.parquet", "--group", "nope"], ["evaluate", "t.parquet", "--question", "nope"],
        ["evaluate", "t.parquet", "--label", "nope"], ["evaluate", "t.parquet", "--model", "there"],
        ["compare", "t.parquet"], ["compare", "t.parquet", "nothing"], ["compare", "there", "t.parquet", "t.parquet"],
        ["compare", "t.parquet", "c.parquet"], ["compare", "c.parquet", "c.parquet", "--labels", "nothing.csv"],
        ["verify", "c.parquet"], ["verify", "nothing", "--score", "ra"], ["verify", "c.parquet", "--score", "nope"],
        *(["verify", "c.parquet", "--score", "ra", *some] for some in (
            ["--answers", "3"], ["--purity", "2"], ["--purity", "0.9", "--completeness", "0.9"], ["--seed", "-1"],
            ["--labels", "nothing.csv"], ["--labels", "t.parquet"], ["--where", "ra >"], ["--pictures", "nothing"],
        )),
        ["explain", "t.parquet", "--galaxy", "nobody"], ["explain", "t.parquet", "--answer", "nope"],
        ["explain", "t.parquet", "--count", "0"], ["explain", "t.parquet", "--question", "nope"],
        ["teach", "nothing.csv", "--catalog", "c.parquet", "--out", "m.onnx"],
        ["data", "get", "nope", "--out", "x.npz"], ["data", "get", "simulated", "--count", "0", "--out", "x.npz"],
        ["data", "get", "simulated", "--size", "3", "--out", "x.npz"], ["data", "get", "--out", "x.npz"],
        ["data", "get", "--survey", "nope", "--catalog", "c.parquet", "--out", "x"],
        ["data", "convert", "t.parquet", "t.parquet"], ["data", "convert", "t.parquet", "x.xyz"],
        ["data", "convert", "t.parquet", "x.csv", "--column", "nope"], ["data", "convert", "there", "x.csv"],
        ["data", "check", "t.parquet", "--split", "nope"], ["data", "check", "t.parquet", "--radius", "-1"],
        ["data", "check", "t.parquet", "--fail-on", "nope"], ["data", "check", "there"], ["data", "list", "there"],
        ["label", "t.parquet", "--db", "there", "--no-browser", "--port", "0"],
        ["label", "t.parquet", "--port", "99999"], ["label", "t.parquet", "--question", "nope", "--no-browser"],
        ["label", "t.parquet", "--only", "nothing.csv", "--no-browser"],
        ["nope"], ["--nope"], ["search"], ["data", "nope"],
    ]  # fmt: skip
    for command in commands:
        yield " ".join(command), files, command


def make_cases(stock: Stock, folder: Path, kinds: list[str]) -> Iterator[Case]:
    """Write the files of each case into a folder of its own."""
    for name in kinds:
        for number, (title, files, command) in enumerate(KINDS[name](stock)):
            place = folder / name.replace(" ", "-") / f"{number:03d}"
            place.mkdir(parents=True)
            for file, content in files.items():
                path, _, special = file.partition("!")
                (place / path).parent.mkdir(parents=True, exist_ok=True)
                if special:
                    SPECIAL[special](place / path)
                else:
                    (place / path).write_bytes(content)
            yield Case(name, title, place, tuple(command))


def run(case: Case) -> Outcome:
    """Run the command of a case, and judge how it ended."""
    logs = case.folder.parent / f"{case.folder.name}.log"
    with logs.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "peculiar", *case.command],
            cwd=case.folder, env=surroundings(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            start_new_session=True,
        )  # fmt: skip
    late = threading.Event()
    timer = threading.Timer(SECONDS, lambda: (late.set(), os.killpg(process.pid, signal.SIGKILL)))
    timer.start()
    _, status, usage = os.wait4(process.pid, 0)
    timer.cancel()
    process.returncode = os.waitstatus_to_exitcode(status)
    text = logs.read_text(errors="replace")
    megabytes = usage.ru_maxrss / 1024
    fault = ""
    if late.is_set():
        fault = f"did not end within {SECONDS} s"
    elif "Traceback (most recent call last)" in text:
        fault = "a traceback"
    elif megabytes > MEGABYTES:
        fault = f"took {megabytes:.0f} MB"
    elif process.returncode == 0 and not (flagged(case) or "warning:" in text or case.kind == "conditions"):
        fault = "ended well, and nothing is flagged"
    elif process.returncode not in (0, 1, 2):
        fault = f"ended with {process.returncode}"
    elif process.returncode and not text.strip():
        fault = "failed without a word"
    return Outcome(case, process.returncode, megabytes, text, fault)


def flagged(case: Case) -> bool:
    """Return whether a row of the written catalogue is flagged or without an answer."""
    path = case.folder / "out.parquet"
    if not path.is_file():
        return False
    table = pq.read_table(path, columns=["flags", "class"])
    return bool(pc.any(pc.not_equal(table["flags"], 0)).as_py() or table["class"].null_count)


def try_all(kinds: list[str], keep: Path | None = None) -> list[Outcome]:
    """Make the cases of some kinds, run all, and return how each ended."""
    folder = Path(tempfile.mkdtemp(prefix="peculiar-bad-"))
    try:
        stock = Stock(folder)
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            outcomes = list(pool.map(run, make_cases(stock, folder / "cases", kinds)))
        if keep:
            shutil.copytree(folder, keep, symlinks=True, dirs_exist_ok=True)
    finally:
        shutil.rmtree(folder)
    return outcomes


def report(outcomes: list[Outcome]) -> None:
    """Print a count by kind, and each input with a fault."""
    counts, faults = Counter(one.case.kind for one in outcomes), Counter(one.case.kind for one in outcomes if one.fault)
    for name, count in counts.items():
        print(f"{name:20} {count:4} {faults[name]:4} wrong")
    most = max(one.megabytes for one in outcomes)
    print(f"{'all':20} {len(outcomes):4} {faults.total():4} wrong; most memory {most:.0f} MB")
    for one in outcomes:
        if one.fault:
            print(
                f"\n{one.case}\n  {one.fault} (exit {one.status})\n  " + one.text.strip()[-400:].replace("\n", "\n  ")
            )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--kind", action="append", choices=sorted(KINDS), help="only this kind; may be given several times"
    )
    parser.add_argument("--keep", type=Path, help="keep the inputs in this folder")
    given = parser.parse_args()
    outcomes = try_all(given.kind or list(KINDS), given.keep)
    report(outcomes)
    return int(any(one.fault for one in outcomes))


if __name__ == "__main__":
    sys.exit(main())
