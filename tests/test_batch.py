"""A run over shards: the same catalogue whatever the engine, and whatever kills it in between."""

import errno
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest

from peculiar import batch
from peculiar.batch import Catalogued, predict_catalog
from peculiar.errors import LedgerError, UsageError
from peculiar.model import load_model
from peculiar.sources import open_source
from peculiar.sources.stream import Row, Source
from peculiar.table import TableReader


@pytest.fixture(scope="session")
def survey_folder(tmp_path_factory: pytest.TempPathFactory, tiny_survey: Path) -> Path:
    """`tiny_survey` in five files of twenty galaxies, in row groups of ten, two of them unreadable."""
    folder = tmp_path_factory.mktemp("parts")
    table = pa.parquet.read_table(tiny_survey)
    rows = table.to_pylist()
    for broken in (7, 63):
        rows[broken]["image"] = {"bytes": b"no picture", "path": None}
    table = pa.Table.from_pylist(rows, table.schema)
    for part in range(5):
        pa.parquet.write_table(table.slice(20 * part, 20), folder / f"part-{part}.parquet", row_group_size=10)
    return folder


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, survey_folder: Path, tiny_model: Path) -> pa.Table:
    """What an undisturbed run makes of `survey_folder`, in one piece."""
    path = tmp_path_factory.mktemp("undisturbed") / "c.parquet"
    predict_catalog(open_source(survey_folder), path, load_model(tiny_model), embeddings=True)
    return pa.parquet.read_table(path)


def run(data: Path, out: str, model: Path, **options: Any) -> Catalogued:
    options = {"embeddings": True, "shard_rows": 10, **options}
    return predict_catalog(open_source(data), out, load_model(model), **options)


def entries(folder: str | Path) -> list[dict[str, Any]]:
    lines = Path(folder, "_ledger.jsonl").read_text().splitlines()[1:]
    return [json.loads(line) for line in lines]


def catalogue(path: str | Path) -> pa.Table:
    """Read a catalogue, or the parts of one in the order of their names."""
    path = Path(path)
    parts = sorted(path.glob("*.parquet")) if path.is_dir() else [path]
    return pa.concat_tables([pa.parquet.read_table(part) for part in parts])


@pytest.mark.parametrize(
    "options",
    [
        {"shard_rows": 10},
        {"shard_rows": 20, "batch_size": 7},
        {"shard_rows": 1000, "batch_size": 1},
        {"shard_rows": 10, "workers": 2},
    ],
    ids=str,
)
def test_shards_batches_and_workers_change_no_bit(
    survey_folder: Path, tiny_model: Path, undisturbed: pa.Table, options: dict[str, Any]
) -> None:
    result = run(survey_folder, "c.parquet", tiny_model, **options)
    assert catalogue("c.parquet").equals(undisturbed)
    assert (result.tally.rows, result.failed, result.kept) == (100, {}, 0)
    assert result.tally.flagged == {"unreadable": 2}
    assert not Path("c.parquet.parts").exists()


def test_parts_of_a_folder_of_pictures_are_named_in_its_order(tiny_model: Path, plain_pictures: list[bytes]) -> None:
    Path("pictures").mkdir()
    for number in range(30):
        Path(f"pictures/{number:02d}.jpg").write_bytes(plain_pictures[0])
    run(Path("pictures"), "parts", tiny_model, shard_rows=4)
    assert catalogue("parts")["id"].to_pylist() == [f"{number:02d}.jpg" for number in range(30)]


def test_what_is_read_is_not_written_over(tiny_survey: Path, tiny_model: Path) -> None:
    Path("survey.parquet").write_bytes(tiny_survey.read_bytes())
    Path("link.parquet").symlink_to("survey.parquet")
    with pytest.raises(UsageError, match=r"link\.parquet is what is read, and would be lost"):
        run(Path("survey.parquet"), "link.parquet", tiny_model)
    assert Path("survey.parquet").read_bytes() == tiny_survey.read_bytes()


def test_none_of_several_files_is_written_over(
    tiny_survey: Path, tiny_model: Path, plain_pictures: list[bytes]
) -> None:
    Path("pictures").mkdir()
    Path("pictures/part-0.parquet").write_bytes(tiny_survey.read_bytes())
    with pytest.raises(UsageError, match=r"part-0\.parquet is what is read"):
        run(Path("pictures"), "pictures/part-0.parquet", tiny_model)
    Path("pictures/part-0.parquet").rename("pictures/galaxy.fits")
    Path("pictures/0.jpg").write_bytes(plain_pictures[0])
    run(Path("pictures"), "pictures/galaxy.fits", tiny_model)  # no picture


@pytest.mark.allow_hosts(["127.0.0.1"])
def test_dask_changes_no_bit(survey_folder: Path, tiny_model: Path, undisturbed: pa.Table) -> None:
    result = run(survey_folder, "c.parquet", tiny_model, dask="local", workers=2)
    assert catalogue("c.parquet").equals(undisturbed)
    assert result.failed == {}


def test_a_folder_keeps_the_parts_and_is_not_made_twice(
    survey_folder: Path, tiny_model: Path, undisturbed: pa.Table
) -> None:
    run(survey_folder, "catalog", tiny_model)
    assert catalogue("catalog").equals(undisturbed)
    assert pa.parquet.read_table("catalog").equals(undisturbed)  # as other programs read it: the folder as one table
    before = {path.name: path.stat().st_mtime_ns for path in Path("catalog").iterdir()}
    assert len(entries("catalog")) == len(list(Path("catalog").glob("*.parquet"))) == 10
    again = run(survey_folder, "catalog", tiny_model)
    assert again.kept == again.tally.rows == 100
    assert {path.name: path.stat().st_mtime_ns for path in Path("catalog").iterdir()} == before


def test_every_part_says_where_it_comes_from(survey_folder: Path, tiny_model: Path) -> None:
    run(survey_folder, "catalog", tiny_model)
    for part in Path("catalog").glob("*.parquet"):
        assert pa.parquet.read_schema(part).metadata[b"source"] == survey_folder.name.encode()


def test_a_stopped_run_goes_on(survey_folder: Path, tiny_model: Path, undisturbed: pa.Table) -> None:
    seen: list[tuple[int, int | None]] = []

    def stop(done: int, total: int | None) -> None:
        if done >= 45:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(survey_folder, "c.csv", tiny_model, progress=stop, batch_size=5)
    assert not Path("c.csv").exists()
    done = [entry["shard"] for entry in entries("c.csv.parts")]
    assert done == [f"part-{part}.parquet:{start}-{start + 10}" for part in (0, 1) for start in (0, 10)]
    result = run(survey_folder, "c.csv", tiny_model, progress=lambda *now: seen.append(now))
    assert result.kept == 40
    assert seen[0] == (40, 100)
    assert seen[-1] == (100, 100)
    assert TableReader("c.csv").column("id") == undisturbed["id"].to_pylist()


@pytest.mark.slow
def test_twenty_kills_at_random_cost_nothing_that_was_done(
    survey_folder: Path, tiny_model: Path, undisturbed: pa.Table
) -> None:
    command = [sys.executable, "-m", "peculiar", "predict", str(survey_folder), "--model", str(tiny_model)]
    command += ["--embeddings", "--shard-rows", "10", "--workers", "2", "--out", "catalog"]
    rng, noted = random.Random(222), []
    for _ in range(20):
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            time.sleep(rng.uniform(0.5, 6))
            process.kill()
        if Path("catalog", "_ledger.jsonl").exists():
            now = [entry["shard"] for entry in entries("catalog")]
            assert now[: len(noted)] == noted
            noted = now
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0
    assert catalogue("catalog").equals(undisturbed)
    shards = [entry["shard"] for entry in entries("catalog")]
    assert len(shards) == len(set(shards)) == 10


def children(pid: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
            command = stat.with_name("cmdline").read_bytes()
        except OSError:
            continue
        if int(fields[1]) == pid and b"spawn_main" in command:
            found.append(int(stat.parent.name))
    return found


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks processes up in /proc")
def test_a_killed_worker_is_replaced_and_orphans_end(
    survey_folder: Path, tiny_model: Path, undisturbed: pa.Table
) -> None:
    command = [sys.executable, "-m", "peculiar", "predict", str(survey_folder), "--model", str(tiny_model)]
    command += ["--embeddings", "--shard-rows", "10", "--workers", "2", "--views", "8", "--out", "catalog"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while len(workers := children(process.pid)) < 2:
            time.sleep(0.05)
        os.kill(workers[0], signal.SIGKILL)
        assert process.wait(60) == 0
    assert catalogue("catalog")["id"].equals(undisturbed["id"])
    command[-1] = "other"
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while len(workers := children(process.pid)) < 2:
            time.sleep(0.05)
        process.kill()
    deadline = time.monotonic() + 20
    while any(Path("/proc", str(worker)).exists() for worker in workers) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(Path("/proc", str(worker)).exists() for worker in workers)


@pytest.mark.slow
@pytest.mark.allow_hosts(["127.0.0.1"])
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks processes up in /proc")
def test_a_killed_dask_worker_costs_nothing(survey_folder: Path, tiny_model: Path, undisturbed: pa.Table) -> None:
    command = [sys.executable, "-m", "peculiar", "predict", str(survey_folder), "--model", str(tiny_model)]
    command += ["--embeddings", "--shard-rows", "10", "--workers", "2", "--dask", "local", "--out", "catalog"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while not entries_so_far("catalog"):
            time.sleep(0.02)
        os.kill(children(process.pid)[0], signal.SIGKILL)
        assert process.wait(120) == 0
    assert catalogue("catalog").equals(undisturbed)
    shards = [entry["shard"] for entry in entries("catalog")]
    assert len(shards) == len(set(shards)) == 10


def entries_so_far(folder: str) -> int:
    return len(entries(folder)) if Path(folder, "_ledger.jsonl").exists() else 0


class Deadly(Source):
    """A source whose third shard kills whoever reads it."""

    kind = "deadly"

    def __init__(self, path: Path) -> None:
        super().__init__(path, None)

    def __len__(self) -> int:
        return 30

    def rows(self, start: int = 0, stop: int | None = None) -> Iterator[Row]:
        if start == 10:
            os._exit(9)
        for number in range(start, 30 if stop is None else stop):
            yield Row(str(number), b"")


def test_a_shard_that_kills_its_worker_does_not_stop_the_others(tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "deadly").touch()
    result = predict_catalog(Deadly(tmp_path / "deadly"), "catalog", load_model(tiny_model), workers=2, shard_rows=5)
    assert set(result.failed) == {"deadly:10-15"}
    assert "died" in result.failed["deadly:10-15"]
    assert result.tally.rows == 25


@pytest.fixture
def own_folder(tmp_path: Path, survey_folder: Path) -> Path:
    """A copy of `survey_folder` that may be spoilt."""
    folder = tmp_path / "survey"
    folder.mkdir()
    for part in survey_folder.iterdir():
        (folder / part.name).write_bytes(part.read_bytes())
    return folder


@pytest.mark.parametrize("workers", [1, 2])
def test_a_corrupt_shard_is_reported_and_the_others_are_kept(
    own_folder: Path, tiny_model: Path, undisturbed: pa.Table, workers: int
) -> None:
    broken = own_folder / "part-2.parquet"
    whole = broken.read_bytes()
    broken.write_bytes(whole[:-30])
    result = run(own_folder, "c.parquet", tiny_model, workers=workers)
    assert set(result.failed) == {"part-2.parquet"}
    assert "part-2.parquet: cannot be read as parquet" in result.failed["part-2.parquet"]
    assert result.tally.rows == 80
    assert not Path("c.parquet").exists()
    broken.write_bytes(whole)
    mended = run(own_folder, "c.parquet", tiny_model)
    assert (mended.kept, mended.tally.rows, mended.failed) == (80, 100, {})
    assert catalogue("c.parquet").equals(undisturbed)


def test_a_partial_catalogue_on_request(own_folder: Path, tiny_model: Path, undisturbed: pa.Table) -> None:
    (own_folder / "part-4.parquet").write_bytes(b"PAR1")
    result = run(own_folder, "c.parquet", tiny_model, partial=True)
    assert set(result.failed) == {"part-4.parquet"}
    assert catalogue("c.parquet").equals(undisturbed.slice(0, 80))


def test_pages_that_rot_within_a_shard(own_folder: Path, tiny_model: Path) -> None:
    path = own_folder / "part-1.parquet"
    content = bytearray(path.read_bytes())
    content[60:200] = bytes(140)
    path.write_bytes(content)
    result = run(own_folder, "catalog", tiny_model)
    assert set(result.failed) == {"part-1.parquet:0-10"}
    assert result.tally.rows == 90


def test_another_setting_model_or_input_is_refused_and_named(
    own_folder: Path, tiny_model: Path, undisturbed: pa.Table
) -> None:
    run(own_folder, "catalog", tiny_model)
    with pytest.raises(UsageError, match=r"catalog was begun otherwise: views was 2, is 4\. .*--restart"):
        run(own_folder, "catalog", tiny_model, views=4)
    with pytest.raises(UsageError, match=r"begun otherwise: model was \w{12}, is \w{12}; size was 32"):
        predict_catalog(open_source(own_folder), "catalog", embeddings=True, shard_rows=10)
    with pytest.raises(UsageError, match=r"shard_rows was 10, is 20"):
        run(own_folder, "catalog", tiny_model, shard_rows=20)
    os.utime(own_folder / "part-3.parquet", ns=(0, 0))
    with pytest.raises(
        UsageError, match=r"survey has changed since .* begun: part-3\.parquet:0-10, .*-20\. .*--restart"
    ):
        run(own_folder, "catalog", tiny_model)
    (own_folder / "part-3.parquet").unlink()
    with pytest.raises(UsageError, match=r"has changed .*part-3\.parquet"):
        run(own_folder, "catalog", tiny_model)
    assert catalogue("catalog").equals(undisturbed)
    assert run(own_folder, "catalog", tiny_model, restart=True).tally.rows == 80
    assert len(catalogue("catalog")) == 80


def test_new_files_are_taken_in(own_folder: Path, tiny_model: Path, undisturbed: pa.Table) -> None:
    late = (own_folder / "part-4.parquet").rename(own_folder.parent / "late")
    run(own_folder, "catalog", tiny_model)
    late.rename(own_folder / "part-4.parquet")
    assert run(own_folder, "catalog", tiny_model).kept == 80
    assert catalogue("catalog").equals(undisturbed)


def test_a_full_disk_stops_the_run_and_costs_nothing(
    survey_folder: Path, tiny_model: Path, undisturbed: pa.Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = batch.write_table
    written = 0

    def full(*arguments: Any) -> None:
        nonlocal written
        written += 1
        if written == 4:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(*arguments)

    monkeypatch.setattr(batch, "write_table", full)
    with pytest.raises(OSError, match=r"No space left on device: .*part-1"):
        run(survey_folder, "catalog", tiny_model)
    assert len(entries("catalog")) == 3
    assert run(survey_folder, "catalog", tiny_model).kept == 30
    assert catalogue("catalog").equals(undisturbed)


def test_a_place_that_is_something_else_is_left_alone(survey_folder: Path, tiny_model: Path) -> None:
    Path("mine").mkdir()
    Path("mine/notes.txt").write_text("mine")
    with pytest.raises(UsageError, match="mine holds something else than a catalogue's parts"):
        run(survey_folder, "mine", tiny_model, restart=True)
    with pytest.raises(UsageError, match=r"suffix .\.txt"):
        run(survey_folder, "mine/notes.txt", tiny_model)
    assert Path("mine/notes.txt").read_text() == "mine"


@pytest.mark.parametrize("name", ["workers", "shard_rows", "batch_size"])
def test_numbers_have_to_be_positive(survey_folder: Path, tiny_model: Path, name: str) -> None:
    with pytest.raises(UsageError, match=f"{name} has to be at least 1, received 0"):
        run(survey_folder, "catalog", tiny_model, **{name: 0})


def test_a_missing_scheduler_is_told(survey_folder: Path, tiny_model: Path) -> None:
    with pytest.raises(UsageError, match="no Dask scheduler answers at nonsense"):
        run(survey_folder, "catalog", tiny_model, dask="nonsense://x")


def test_an_empty_source_gives_an_empty_catalogue(tmp_path: Path, tiny_model: Path) -> None:
    pa.parquet.write_table(pa.table({"id": pa.array([], pa.string()), "image": pa.array([], pa.binary())}), "e.parquet")
    result = run(Path("e.parquet"), "c.parquet", tiny_model)
    assert result.tally.rows == 0
    assert len(catalogue("c.parquet")) == 0


def test_a_damaged_ledger_says_how_to_mend_it(survey_folder: Path, tiny_model: Path, undisturbed: pa.Table) -> None:
    run(survey_folder, "catalog", tiny_model)
    ledger = Path("catalog/_ledger.jsonl")
    lines = ledger.read_text().splitlines(keepends=True)
    ledger.write_text("".join([*lines[:3], "{]\n", *lines[4:]]))
    with pytest.raises(LedgerError, match=r"ledger\.jsonl: line 4 is damaged .*delete that line"):
        run(survey_folder, "catalog", tiny_model)
    ledger.write_text("".join([*lines[:3], *lines[4:]]))
    assert run(survey_folder, "catalog", tiny_model).kept == 90
    assert catalogue("catalog").equals(undisturbed)
