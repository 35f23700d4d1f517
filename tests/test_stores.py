"""Commands whose data, tables and models are in stores: each works as with files on the disk, or refuses in words."""

import io
import os
import signal
import subprocess
import sys
import tarfile
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from peculiar.catalogs.ledger import FILE
from peculiar.files import remote
from peculiar.images.decode import encode_picture
from peculiar.sources import open_source, stream
from pictures import draw_galaxy
from s3_server import SECRET, Store, serving_s3

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
def memory(furnished_store: Path, memory_store: Any, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of a store in memory that holds the furnished folder."""
    monkeypatch.setattr(remote, "WAITS", (0.0,))
    for file in furnished_store.rglob("*.*"):
        memory_store.pipe_file(f"/survey/{file.relative_to(furnished_store).as_posix()}", file.read_bytes())
    return "memory://survey"


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


@pytest.mark.parametrize(
    ("name", "fetched"), [("stamps.parquet", False), ("stamps.tar", False), ("pictures", True), ("table.csv", True)]
)
def test_many_pictures_at_a_time_are_held_only_while_each_is_fetched(
    name: str, fetched: bool, memory: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, int]] = []

    def counted(work: Any, rows: Any, threads: int) -> Any:
        seen.append((threads, max(len(some) for _, some in stream._tasks(rows))))
        return iter(())

    monkeypatch.setattr(stream, "in_order", counted)
    assert list(open_source(f"{memory}/{name}").galaxies(threads=2)) == []
    assert seen == [(16, 2) if fetched else (2, 12)]


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
    ("predict {s}/stamps.parquet --out {s}/parts --workers 1 --views 1", 0, "memory://survey/parts"),
    ("predict {d}/stamps.parquet --out {s}/whole.fits --workers 1 --views 1", 0, "memory://survey/whole.fits"),
    ("predict {d}/stamps.parquet --out {s}/stamps.parquet --workers 1", 2, "was not written by peculiar"),
    ("predict {d}/stamps.parquet --out https://host/x.parquet --workers 1", 2, "nothing can be written there"),
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


def test_a_folder_of_parts_in_a_store_is_continued_and_read_back(memory: str, peculiar_command: Command) -> None:
    words = ("predict", f"{memory}/stamps.parquet", "--workers", 1, "--views", 1, "--shard-rows", 5)
    status, _, said = peculiar_command(*words, "--out", f"{memory}/parts")
    assert status == 0, said
    system = fsspec.filesystem("memory")
    parts = sorted(one for one in system.ls("/survey/parts", detail=False) if one.endswith(".parquet"))
    assert len(parts) == 3
    system.rm_file(parts[1])
    status, told, _ = peculiar_command(*words, "--out", f"{memory}/parts")
    assert (status, "5 of them" in told or "7 of them" in told) == (0, True)
    assert sorted(one for one in system.ls("/survey/parts", detail=False) if one.endswith(".parquet")) == parts
    assert peculiar_command("predict", f"{memory}/stamps.parquet", "--out", "disk.parquet", *words[2:])[0] == 0
    status, told, said = peculiar_command("search", f"{memory}/parts", "--out", "found.csv", "--top", 100)
    assert status == 0, said
    stored = pa.concat_tables([pa.parquet.read_table(io.BytesIO(system.cat(part))) for part in parts])
    disk = pa.parquet.read_table("disk.parquet")
    assert stored.select(disk.column_names).to_pylist() == disk.to_pylist()


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """An S3 server on this machine with an empty bucket, and the environment that names it."""
    s3fs = pytest.importorskip("s3fs")
    pytest.importorskip("moto")
    with serving_s3() as store:
        for name, value in store.environment().items():
            monkeypatch.setenv(name, value)
        s3fs.S3FileSystem.clear_instance_cache()
        s3fs.S3FileSystem(use_listings_cache=False).mkdir("survey")
        yield store
    s3fs.S3FileSystem.clear_instance_cache()
    remote._filesystem.cache_clear()


def fill(folder: Path, *, count: int, group: int) -> Any:
    """Write galaxies to a folder, copy it to the bucket, and return access to the store."""
    import s3fs

    folder.mkdir()
    furnish(folder, count, group=group)
    system = s3fs.S3FileSystem(use_listings_cache=False)
    for file in folder.rglob("*.*"):
        system.put_file(str(file), f"survey/{file.relative_to(folder).as_posix()}")
    return system


def start(tmp_path: Path, *words: object, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "peculiar", *map(str, words)],
        cwd=tmp_path,
        env=os.environ | {"PECULIAR_CACHE": str(tmp_path / "cache")} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def end(process: subprocess.Popen[str]) -> tuple[int, str]:
    told, _ = process.communicate(timeout=600)
    assert "Traceback" not in told
    assert SECRET not in told
    return process.returncode, told


@pytest.mark.slow
@pytest.mark.allow_hosts(["127.0.0.1"])
class TestS3:
    """Against moto's server."""

    @pytest.mark.parametrize("name", ["stamps.parquet", "stamps.tar", "pictures"])
    def test_a_busy_slow_and_breaking_store_gives_the_catalogue_of_the_disk(
        self, name: str, s3: Store, tmp_path: Path
    ) -> None:
        fill(tmp_path / "survey", count=60, group=20)
        assert end(start(tmp_path, "predict", tmp_path / "survey" / name, "--out", "disk.parquet"))[0] == 0
        s3.busy, s3.cut, s3.slow, s3.seconds = 2, 2, 2, 1.0
        status, told = end(start(tmp_path, "predict", f"s3://survey/{name}", "--out", "s3://survey/out.parquet"))
        assert status == 0, told
        assert (s3.busy, s3.cut, s3.slow) == (0, 0, 0)
        status, told = end(start(tmp_path, "data", "convert", "s3://survey/out.parquet", "store.parquet"))
        assert status == 0, told
        disk, store = (pa.parquet.read_table(tmp_path / f"{one}.parquet") for one in ("disk", "store"))
        assert store.equals(disk)

    def test_a_killed_run_continues_without_losing_or_doubling_a_galaxy(self, s3: Store, tmp_path: Path) -> None:
        system = fill(tmp_path / "survey", count=120, group=3)
        words = ("--workers", 1, "--shard-rows", 3)
        data = "s3://survey/stamps.parquet"
        assert end(start(tmp_path, "predict", tmp_path / "survey/stamps.parquet", "--out", "disk.parquet"))[0] == 0
        kills = int(os.environ.get("PECULIAR_KILLS", "3"))
        # The ledger is sent as the run begins, and then every few seconds; the last kill comes after the second time.
        for wanted in [*range(kills - 1), None]:
            process = start(tmp_path, "predict", data, "--out", "s3://survey/out", *words)
            before = len(s3.asked)

            def reached(wanted: int | None = wanted, before: int = before) -> bool:
                sent = [path for method, path, _ in s3.asked[before:] if method == "PUT"]
                return sum(path.endswith(FILE) for path in sent) > 1 if wanted is None else len(sent) > wanted

            while process.poll() is None and not reached():
                time.sleep(0.01)
            assert process.poll() is None
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
        status, told = end(start(tmp_path, "predict", data, "--out", "s3://survey/out", *words))
        assert status == 0, told
        assert "of them by an earlier run" in told
        names = sorted(one for one in system.ls("survey/out", detail=False) if one.endswith(".parquet"))
        assert len(names) == 40
        parts = pa.concat_tables([pa.parquet.read_table(io.BytesIO(system.cat_file(name))) for name in names])
        assert parts.to_pylist() == pa.parquet.read_table(tmp_path / "disk.parquet").to_pylist()
        status, told = end(start(tmp_path, "check-files", "s3://survey/out"))
        assert status == 0, told

    def test_what_is_missing_or_denied_is_said_without_secrets(self, s3: Store, tmp_path: Path) -> None:
        fill(tmp_path / "survey", count=12, group=5)
        line = ("predict", "s3://survey/stamps.parquet", "--out", "x.parquet", "--workers", 1)
        for environment, data, said in (
            ({"AWS_ACCESS_KEY_ID": "AKIAWRONG"}, None, "access is denied"),
            ({}, "s3://nowhere/stamps.parquet", "there is no bucket 'nowhere'"),
            ({}, "s3://survey/nothing.parquet", "there is nothing at s3://survey/nothing.parquet"),
            ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, None, "connection to the store failed"),
        ):
            words = (line[0], data or line[1], *line[2:])
            status, told = end(start(tmp_path, *words, **environment))
            assert status in (1, 2), told
            assert said in told, told
            assert not (tmp_path / "x.parquet").exists()
        without = dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), "")
        status, told = end(start(tmp_path, *line, HOME=str(tmp_path), **without))
        assert (status, "credentials" in told) == (1, True), told

    def test_an_object_that_vanishes_is_named_and_the_others_are_kept(self, s3: Store, tmp_path: Path) -> None:
        system = fill(tmp_path / "survey", count=60, group=20)
        for name in ("a", "b"):
            system.copy("survey/stamps.parquet", f"survey/two/{name}.parquet")
        words = ("predict", "s3://survey/two", "--out", "s3://survey/found", "--workers", 1, "--shard-rows", 20)
        process = start(tmp_path, *words)
        while process.poll() is None and not any("found/a.parquet" in path for _, path, _ in s3.asked):
            time.sleep(0.01)
        system.rm_file("survey/two/b.parquet")
        status, told = end(process)
        assert (status, "b.parquet" in told) == (1, True), told
        assert len([one for one in system.ls("survey/found", detail=False) if "/a.parquet" in one]) == 3
