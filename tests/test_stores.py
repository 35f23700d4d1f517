"""Commands whose data, tables and models are in stores: each works as with files on the disk, or refuses in words."""

import io
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from peculiar.files import remote
from peculiar.images.decode import encode_picture
from pictures import draw_galaxy

fsspec = pytest.importorskip("fsspec")

Command = Callable[..., tuple[int, str, str]]


def furnish(folder: Path, count: int = 12, *, group: int = 5) -> None:
    """Write the same galaxies in several formats, with tables about them."""
    names, rows = [], []
    for number in range(count):
        kind = ("round", "thin")[number % 2]
        content = encode_picture(draw_galaxy(48, 8, 24, 24, seed=number, ratio=1 if kind == "round" else 0.3))
        names.append(f"{kind}/{number:03d}.png")
        path = folder / "pictures" / names[-1]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        rows.append({"id": f"g{number:03d}", "ra": 150 + number / 100, "dec": 2.0, "kind": kind, "image": content})
    table = pa.Table.from_pylist(rows)
    pa.parquet.write_table(table, folder / "stamps.parquet", row_group_size=group)
    with tarfile.open(folder / "stamps.tar", "w") as tar, zipfile.ZipFile(folder / "stamps.zip", "w") as packed:
        for name, row in zip(names, rows, strict=True):
            member = tarfile.TarInfo(name)
            member.size = len(row["image"])
            tar.addfile(member, io.BytesIO(row["image"]))
            packed.writestr(name, row["image"])
    np.savez(folder / "stamps.npz", data=np.stack([draw_galaxy(48, 8, 24, 24, seed=seed) for seed in range(4)]))
    lines = [f"{row['id']},pictures/{name},{row['kind']}" for name, row in zip(names, rows, strict=True)]
    (folder / "table.csv").write_text("\n".join(["id,file_name,kind", *lines]) + "\n")
    (folder / "labels.csv").write_text("id,kind\n" + "".join(f"{row['id']},{row['kind']}\n" for row in rows))
    (folder / "broken.parquet").write_bytes((folder / "stamps.parquet").read_bytes()[:2000])


@pytest.fixture(scope="module")
def furnished_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("store") / "survey"
    folder.mkdir()
    furnish(folder)
    return folder


@pytest.fixture
def memory(furnished_store: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a store in memory that holds the furnished folder."""
    monkeypatch.setattr(remote, "WAITS", (0.0,))
    system = fsspec.filesystem("memory")
    system.store.clear()
    for file in furnished_store.rglob("*.*"):
        system.pipe_file(f"/survey/{file.relative_to(furnished_store).as_posix()}", file.read_bytes())
    yield "memory://survey"
    system.store.clear()


READ = ["stamps.parquet", "stamps.tar", "pictures"]
READ_TOO = [pytest.param(name, marks=pytest.mark.slow) for name in ("stamps.zip", "stamps.npz", "table.csv")]


@pytest.mark.parametrize("name", [*READ, *READ_TOO])
def test_a_catalogue_of_a_store_is_that_of_the_disk(
    name: str, memory: str, furnished_store: Path, peculiar_command: Command
) -> None:
    for data, out in ((furnished_store / name, "disk.parquet"), (f"{memory}/{name}", "store.parquet")):
        status, _, said = peculiar_command("predict", data, "--out", out, "--workers", 1, "--views", 1)
        assert status == 0, said
    disk, store = (pa.parquet.read_table(f"{one}.parquet") for one in ("disk", "store"))
    assert store.num_rows in (4, 12)
    assert store.equals(disk)


# Command, status, and a word of what is said. {s} is the store, {d} the same folder on the disk.
TABLE = [
    ("predict {s}/nothing.parquet --workers 1", 2, "there is nothing at memory://survey/nothing.parquet"),
    ("predict {s}/broken.parquet --workers 1", 1, "memory://survey/broken.parquet"),
    ("predict {d}/stamps.parquet --model {s}/nothing.onnx", 2, "there is no model at memory://survey/nothing.onnx"),
    ("predict {d}/stamps.parquet --model {s}/labels.csv", 1, "memory://survey/labels.csv"),
    ("predict {s}/stamps.parquet {d}/stamps.parquet", 2, "different stores"),
    ("predict nonsense://x/y", 2, "nonsense://"),
    ("predict s3://key:sec--ret@survey/x", 2, "set them in the environment"),
    ("data list {s}/stamps.parquet", 0, "12 galaxies (table)"),
    ("data list {s}/labels.csv", 0, "12 galaxies (table without pictures)"),
    ("data list {s}/nothing.csv", 2, "memory://survey/nothing.csv"),
    ("data convert {s}/labels.csv out.fits", 0, "out.fits"),
    ("data convert {s}/labels.csv {s}/out.parquet", 0, "memory://survey/out.parquet"),
    ("data convert {d}/labels.csv {s}/labels.csv", 2, "was not written by peculiar"),
    ("data convert {s}/labels.csv {s}/labels.csv", 2, "is the input of this command"),
    ("data convert {s}/stamps.parquet {s}/hats --hats", 2, "is in a store"),
    ("data pack {s}/pictures --out {s}/packed.parquet", 0, "memory://survey/packed.parquet"),
    ("data check {s}/pictures", 0, "12"),
    ("train {s}/pictures --out {s}/run", 2, "has to be on this machine"),
    ("label {s}/pictures --db {s}/labels.db", 2, "has to be on this machine"),
    ("labels export {s}/labels.db --out x.csv", 2, "memory://survey/labels.db"),
    ("export {s}/run --out x.onnx", 2, "has to be on this machine"),
    ("demo --out {s}/demo", 2, "has to be on this machine"),
    ("search {s}/stamps.parquet --where ra>150.05", 0, ""),
]


@pytest.mark.parametrize(("line", "status", "word"), TABLE, ids=[line for line, _, _ in TABLE])
def test_each_command_reads_and_writes_stores_or_says_why_not(
    line: str, status: int, word: str, memory: str, furnished_store: Path, peculiar_command: Command
) -> None:
    words = line.format(s=memory, d=furnished_store).split()
    found, told, said = peculiar_command(*words)
    assert found == status, told + said
    assert word in told + said
    assert "Traceback" not in said
    assert "sec--ret" not in told + said
    assert not Path("memory:").exists()
