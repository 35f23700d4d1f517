"""A run over shards: the same catalogue whatever the engine, and whatever kills it in between."""

import errno
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from astropy.io import fits

from deadly_source import Deadly
from peculiar.catalogs import engines, survey
from peculiar.catalogs.predict import predict
from peculiar.catalogs.tally import Summary
from peculiar.errors import IncompleteError, LedgerError, PeculiarWarning, UnknownNameError, UsageError
from peculiar.images.decode import decode_whole
from peculiar.models.model_file import load_model
from peculiar.sources import open_mosaic, open_source
from peculiar.sources.stream import Source
from peculiar.tables.reader import TableReader


@pytest.fixture(scope="session")
def survey_folder(tmp_path_factory: pytest.TempPathFactory, tiny_survey: Path) -> Path:
    """Write `tiny_survey` as five files of twenty galaxies, in row groups of ten, two of them unreadable."""
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
    """Return the catalogue of an undisturbed run on `survey_folder`."""
    path = tmp_path_factory.mktemp("undisturbed") / "c.parquet"
    classify(open_source(survey_folder), path, load_model(tiny_model), embeddings=True)
    return pa.parquet.read_table(path)


def classify(*given: Any, **options: Any) -> Summary:
    """Return what became of the galaxies, also where some could not be classified."""
    try:
        return predict(*given, **options).summary
    except IncompleteError as error:
        summary: Summary = error.summary
        return summary


def run(data: Path, out: str, model: Path, **options: Any) -> Summary:
    options = {"embeddings": True, "shard_rows": 10, "verbose": False, **options}
    return classify(open_source(data), out, load_model(model), **options)


def entries(folder: str | Path) -> list[dict[str, Any]]:
    lines = Path(folder, "_ledger.jsonl").read_text().splitlines()[1:]
    return [told for told in map(json.loads, lines) if "shard" in told]


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
@pytest.mark.slow
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
    with pytest.raises(UsageError, match=r"link\.parquet is the input of this command and would be lost"):
        run(Path("survey.parquet"), "link.parquet", tiny_model)
    assert Path("survey.parquet").read_bytes() == tiny_survey.read_bytes()


def test_none_of_several_files_is_written_over(
    tiny_survey: Path, tiny_model: Path, plain_pictures: list[bytes]
) -> None:
    Path("pictures").mkdir()
    Path("pictures/part-0.parquet").write_bytes(tiny_survey.read_bytes())
    with pytest.raises(UsageError, match=r"part-0\.parquet is the input"):
        run(Path("pictures"), "pictures/part-0.parquet", tiny_model)
    Path("pictures/part-0.parquet").rename("pictures/galaxy.fits")
    Path("pictures/0.jpg").write_bytes(plain_pictures[0])
    with pytest.raises(UsageError, match=r"galaxy\.fits was not written by peculiar"):  # no picture, but somebody's
        run(Path("pictures"), "pictures/galaxy.fits", tiny_model)
    run(Path("pictures"), "pictures/galaxy.fits", tiny_model, overwrite=True)


@pytest.mark.allow_hosts(["127.0.0.1"])
@pytest.mark.slow
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
@pytest.mark.slow
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


@pytest.mark.slow
def test_a_shard_that_kills_its_worker_does_not_stop_the_others(tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "deadly").touch()
    result = classify(Deadly(tmp_path / "deadly"), "catalog", load_model(tiny_model), workers=2, shard_rows=5)
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
@pytest.mark.slow
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
    with pytest.raises(UsageError, match=r"catalog was started with other settings: views was 2, is 4\. .*--restart"):
        run(own_folder, "catalog", tiny_model, views=4)
    with pytest.raises(UsageError, match=r"started with other settings: model was \w{12}, is \w{12}; size was 32"):
        classify(open_source(own_folder), "catalog", embeddings=True, shard_rows=10)
    with pytest.raises(UsageError, match=r"shard_rows was 10, is 20"):
        run(own_folder, "catalog", tiny_model, shard_rows=20)
    (own_folder / "part-3.parquet").unlink()
    with pytest.raises(
        UsageError, match=r"survey has changed since .* started: part-3\.parquet:0-10, .*-20 can no longer .*--rest"
    ):
        run(own_folder, "catalog", tiny_model)
    assert catalogue("catalog").equals(undisturbed)
    assert run(own_folder, "catalog", tiny_model, restart=True).tally.rows == 80
    assert len(catalogue("catalog")) == 80


def test_a_touched_file_is_known_by_its_content(own_folder: Path, tiny_model: Path, undisturbed: pa.Table) -> None:
    run(own_folder, "catalog", tiny_model)
    os.utime(own_folder / "part-3.parquet", ns=(0, 0))
    for _ in range(2):
        assert run(own_folder, "catalog", tiny_model).kept == 100
    assert catalogue("catalog").equals(undisturbed)


def test_only_what_has_changed_is_classified_again(own_folder: Path, tiny_model: Path, undisturbed: pa.Table) -> None:
    run(own_folder, "catalog", tiny_model)
    other = pa.parquet.read_table(own_folder / "part-1.parquet").slice(0, 15)
    renamed = [f"other-{number}" for number in range(15)]
    other = other.set_column(other.column_names.index("id"), "id", pa.array(renamed))
    pa.parquet.write_table(other, own_folder / "part-3.parquet", row_group_size=10)
    with pytest.warns(
        PeculiarWarning, match=r"survey has changed since .*part-3\.parquet:0-10, part-3\.parquet:10-20\."
    ):
        result = run(own_folder, "catalog", tiny_model)
    assert (result.kept, result.tally.rows, result.failed) == (80, 95, {})
    ids = undisturbed["id"].to_pylist()
    assert catalogue("catalog")["id"].to_pylist() == [*ids[:60], *renamed, *ids[80:]]


def change_replaced(path: Path) -> None:
    path.with_name("new").write_bytes((path.parent / "part-0.parquet").read_bytes())
    path.with_name("new").replace(path)


def change_cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def change_removed(path: Path) -> None:
    path.unlink(missing_ok=True)


def change_appended(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"more")


@pytest.mark.parametrize("number", [0, 2, 4])
@pytest.mark.parametrize("change", [change_replaced, change_cut, change_appended, change_removed])
@pytest.mark.slow
def test_an_input_that_changes_meanwhile_is_in_no_catalogue(
    own_folder: Path, tiny_model: Path, undisturbed: pa.Table, change: Callable[[Path], object], number: int
) -> None:
    path = own_folder / f"part-{number}.parquet"
    whole, times = path.read_bytes(), path.stat().st_mtime_ns

    def spoil(done: int, total: int | None) -> None:
        if done == 50:  # parts 0 and 1 are done, of part 2 one half
            change(path)

    if number == 0 and change is change_replaced:
        change = change_cut  # it cannot be replaced by itself
    result = run(own_folder, "c.parquet", tiny_model, progress=spoil)
    assert any(name.startswith(path.name) for name in result.failed)
    assert not Path("c.parquet").exists()
    path.write_bytes(whole)
    os.utime(path, ns=(times, times))
    again = run(own_folder, "c.parquet", tiny_model)
    assert (again.failed, again.tally.rows) == ({}, 100)
    assert again.kept >= 60
    assert catalogue("c.parquet").equals(undisturbed)


def test_pictures_that_a_table_names_may_not_change_meanwhile(tiny_model: Path, plain_pictures: list[bytes]) -> None:
    Path("list.csv").write_text("id,path\n" + "".join(f"{n},{n}.png\n" for n in range(6)))
    for number, picture in enumerate(plain_pictures):
        Path(f"{number}.png").write_bytes(picture)

    def spoil(done: int, total: int | None) -> None:
        if done == 4:
            Path("1.png").write_bytes(plain_pictures[0] + b"\n")

    result = run(Path("list.csv"), "c.csv", tiny_model, shard_rows=2, progress=spoil)
    assert list(result.failed) == ["list.csv:0-2"]
    assert run(Path("list.csv"), "c.csv", tiny_model, shard_rows=2).kept == 4


@pytest.mark.slow
def test_the_parts_of_a_user_stay(own_folder: Path, tiny_model: Path) -> None:
    mine = pa.table({"id": ["mine"]})
    run(own_folder, "catalog", tiny_model)
    pa.parquet.write_table(mine, "catalog/mine.parquet")
    run(own_folder, "catalog", tiny_model, restart=True)
    assert pa.parquet.read_table("catalog/mine.parquet").equals(mine)
    Path("c.csv.parts").mkdir()
    run(own_folder, "c.csv", tiny_model)
    assert not Path("c.csv.parts").exists()
    with pytest.raises(KeyboardInterrupt):
        run(own_folder, "d.csv", tiny_model, progress=interrupt)
    pa.parquet.write_table(mine, "d.csv.parts/mine.parquet")
    run(own_folder, "d.csv", tiny_model)
    assert [path.name for path in Path("d.csv.parts").iterdir()] == ["mine.parquet"]
    assert len(TableReader("d.csv")) == 100


def interrupt(done: int, total: int | None) -> None:
    if done >= 20:
        raise KeyboardInterrupt


def test_a_finished_catalogue_is_told_from_that_of_another_call(own_folder: Path, tiny_model: Path) -> None:
    first = run(own_folder, "c.parquet", tiny_model)
    before = Path("c.parquet").stat().st_mtime_ns
    again = run(own_folder, "c.parquet", tiny_model, shard_rows=7, workers=2)
    assert (again.already, again.tally, Path("c.parquet").stat().st_mtime_ns) == (True, first.tally, before)
    for other in ({"views": 1}, {"embeddings": False}, {"keep": ["survey"]}):
        with pytest.raises(UsageError, match=r"from other inputs, or with other options; .*--overwrite"):
            run(own_folder, "c.parquet", tiny_model, **other)
    assert not run(own_folder, "c.parquet", tiny_model, restart=True).already
    assert not run(own_folder, "c.parquet", tiny_model, views=1, overwrite=True).already


def test_small_files_go_together(own_folder: Path, tiny_model: Path, undisturbed: pa.Table) -> None:
    run(own_folder, "catalog", tiny_model, shard_rows=50)
    assert [entry["shard"] for entry in entries("catalog")] == [
        "part-0.parquet and 1 more:0-40", "part-2.parquet and 1 more:0-40", "part-4.parquet:0-20",
    ]  # fmt: skip
    assert catalogue("catalog").equals(undisturbed)


@pytest.mark.slow
def test_columns_are_carried_along(own_folder: Path, tiny_model: Path) -> None:
    for number in range(5):
        file = own_folder / f"part-{number}.parquet"
        table = pa.parquet.read_table(file)
        magnitudes = pa.array([None if n == 3 else 17 + n / 8 for n in range(len(table))], pa.float32())
        field = pa.field("mag", pa.float32(), metadata={"unit": "mag", "ucd": "phot.mag"})
        table = table.append_column(field, magnitudes)
        if number != 2:
            table = table.append_column("field", pa.array(range(20 * number, 20 * number + len(table)), pa.int64()))
        pa.parquet.write_table(table, file, row_group_size=10)
    for shard_rows, workers in ((10, 1), (50, 2)):
        out = f"c{shard_rows}.parquet"
        run(own_folder, out, tiny_model, keep=["mag", "field"], shard_rows=shard_rows, workers=workers, batch_size=7)
        kept = catalogue(out)
        field = kept.schema.field("mag")
        assert (field.type, field.metadata[b"unit"], field.metadata[b"ucd"]) == (pa.float32(), b"mag", b"phot.mag")
        assert kept["field"].to_pylist() == [*range(40), *[None] * 20, *range(60, 100)]
        assert kept["mag"].to_pylist() == [None if n == 3 else 17 + n / 8 for n in range(20)] * 5
    with pytest.raises(UsageError, match="has a column 'class' of its own"):
        run(own_folder, "d.parquet", tiny_model, keep=["class"])
    with pytest.raises(UnknownNameError, match=r"no column 'magg'.*Did you mean 'mag'"):
        run(own_folder, "d.parquet", tiny_model, keep=["magg"])


def test_new_files_are_taken_in(own_folder: Path, tiny_model: Path, undisturbed: pa.Table) -> None:
    late = (own_folder / "part-4.parquet").rename(own_folder.parent / "late")
    run(own_folder, "catalog", tiny_model)
    late.rename(own_folder / "part-4.parquet")
    assert run(own_folder, "catalog", tiny_model).kept == 80
    assert catalogue("catalog").equals(undisturbed)


def test_a_full_disk_stops_the_run_and_costs_nothing(
    survey_folder: Path, tiny_model: Path, undisturbed: pa.Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = engines.write_table
    written = 0

    def full(*arguments: Any) -> None:
        nonlocal written
        written += 1
        if written == 4:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(*arguments)

    monkeypatch.setattr(engines, "write_table", full)
    with pytest.raises(OSError, match=r"No space left on device: .*part-1"):
        run(survey_folder, "catalog", tiny_model)
    assert len(entries("catalog")) == 3
    assert run(survey_folder, "catalog", tiny_model).kept == 30
    assert catalogue("catalog").equals(undisturbed)


def test_a_place_that_is_something_else_is_left_alone(survey_folder: Path, tiny_model: Path) -> None:
    Path("mine").mkdir()
    Path("mine/notes.txt").write_text("mine")
    with pytest.raises(UsageError, match="mine holds other files than the parts of a catalogue"):
        run(survey_folder, "mine", tiny_model, restart=True)
    with pytest.raises(UsageError, match=r"suffix .\.txt"):
        run(survey_folder, "mine/notes.txt", tiny_model)
    assert Path("mine/notes.txt").read_text() == "mine"


@pytest.mark.parametrize("name", ["workers", "shard_rows", "batch_size"])
def test_numbers_have_to_be_positive(survey_folder: Path, tiny_model: Path, name: str) -> None:
    with pytest.raises(UsageError, match=f"{name} has to be at least 1; received 0"):
        run(survey_folder, "catalog", tiny_model, **{name: 0})


def test_a_missing_scheduler_is_told(survey_folder: Path, tiny_model: Path) -> None:
    with pytest.raises(UsageError, match="no Dask scheduler answers at nonsense"):
        run(survey_folder, "catalog", tiny_model, dask="nonsense://x")


def test_an_empty_source_gives_an_empty_catalogue(tmp_path: Path, tiny_model: Path) -> None:
    pa.parquet.write_table(pa.table({"id": pa.array([], pa.string()), "image": pa.array([], pa.binary())}), "e.parquet")
    with pytest.warns(PeculiarWarning, match=r"e\.parquet holds no galaxies; the catalogue is empty"):
        result = run(Path("e.parquet"), "c.parquet", tiny_model)
    assert result.tally.rows == 0
    assert len(catalogue("c.parquet")) == 0


def test_a_damaged_ledger_says_how_to_mend_it(survey_folder: Path, tiny_model: Path, undisturbed: pa.Table) -> None:
    run(survey_folder, "catalog", tiny_model)
    ledger = Path("catalog/_ledger.jsonl")
    lines = ledger.read_text().splitlines(keepends=True)
    ledger.write_text("".join([*lines[:4], "{]\n", *lines[5:]]))
    with pytest.raises(LedgerError, match=r"ledger\.jsonl: line 5 is damaged .*delete that line"):
        run(survey_folder, "catalog", tiny_model)
    ledger.write_text("".join([*lines[:4], *lines[5:]]))
    assert run(survey_folder, "catalog", tiny_model).kept == 90
    assert catalogue("catalog").equals(undisturbed)


def made_folder(pictures: list[bytes]) -> tuple[Source, list[Path]]:
    Path("in").mkdir()
    for number, picture in enumerate(pictures):
        Path(f"in/{number}.png").write_bytes(picture)
    return open_source("in"), [Path("in/0.png"), Path(f"in/{len(pictures) - 1}.png")]


def made_tar(pictures: list[bytes]) -> tuple[Source, list[Path]]:
    made_folder(pictures)
    with tarfile.open("in.tar", "w") as archive:
        archive.add("in")
    return open_source("in.tar"), [Path("in.tar")]


def made_npz(pictures: list[bytes]) -> tuple[Source, list[Path]]:
    pixels = np.stack([decode_whole(one) for one in pictures])
    np.savez("in.npz", data=pixels, labels=np.eye(4)[np.arange(len(pictures)) % 4])
    return open_source("in.npz"), [Path("in.npz")]


def made_hdf5(pictures: list[bytes]) -> tuple[Source, list[Path]]:
    with h5py.File("in.h5", "w") as file:
        file["images"] = np.stack([decode_whole(one) for one in pictures])
        file["ans"] = np.arange(len(pictures))
    return open_source("in.h5"), [Path("in.h5")]


def made_table(pictures: list[bytes]) -> tuple[Source, list[Path]]:
    pa.parquet.write_table(pa.table({"id": [str(n) for n in range(len(pictures))], "image": pictures}), "in.parquet")
    return open_source("in.parquet"), [Path("in.parquet")]


def made_list(pictures: list[bytes]) -> tuple[Source, list[Path]]:
    made_folder(pictures)
    Path("in.csv").write_text("id,path\n" + "".join(f"{n},in/{n}.png\n" for n in range(len(pictures))))
    return open_source("in.csv"), [Path("in.csv"), Path("in/0.png")]


def made_fits(pictures: list[bytes]) -> tuple[Source, list[Path]]:
    Path("in").mkdir()
    for number in range(len(pictures)):
        fits.writeto(f"in/{number}.fits", np.random.default_rng(number).normal(size=(32, 32)).astype(np.float32))
    return open_source("in"), [Path("in/0.fits")]


def made_mosaic(pictures: list[bytes]) -> tuple[Source, list[Path]]:
    header = fits.Header({"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CUNIT1": "deg", "CUNIT2": "deg"})
    header.update(CRPIX1=50.5, CRPIX2=50.5, CRVAL1=150.0, CRVAL2=2.0, CDELT1=-1e-4, CDELT2=1e-4)
    fits.writeto("sky.fits", np.random.default_rng(222).normal(size=(100, 100)).astype(np.float32), header)
    rows = "".join(f"{n},{150 + n * 1e-4},2.0\n" for n in range(len(pictures)))
    Path("positions.csv").write_text("id,ra,dec\n" + rows)
    return open_mosaic("sky.fits", "positions.csv", stamp_size="16px"), [Path("sky.fits"), Path("positions.csv")]


@pytest.mark.parametrize(
    "make", [made_folder, made_tar, made_npz, made_hdf5, made_table, made_list, made_fits, made_mosaic]
)
@pytest.mark.slow
def test_sources_of_all_kinds_may_not_change_meanwhile(
    make: Callable[[list[bytes]], tuple[Source, list[Path]]], tiny_model: Path, plain_pictures: list[bytes]
) -> None:
    source, files = make(plain_pictures)
    model, options = load_model(tiny_model), {"shard_rows": 2, "verbose": False}
    undisturbed = classify(source, "undisturbed.csv", model, **options)
    for number, file in enumerate(files):
        out, content, state = f"c{number}.csv", file.read_bytes(), file.stat()

        def spoil(done: int, total: int | None, file: Path = file, content: bytes = content) -> None:
            if done == 4:
                file.with_name("new").write_bytes(content + b"\n")
                file.with_name("new").replace(file)

        result = classify(source, out, model, progress=spoil, **options)
        assert result.failed
        assert all("changed while the catalogue was made" in reason for reason in result.failed.values())
        assert not Path(out).exists()
        file.write_bytes(content)  # at another time: by its content it is the one of before
        again = classify(source, out, model, **options)
        assert (again.failed, again.tally) == ({}, undisturbed.tally)
        assert Path(out).read_text() == Path("undisturbed.csv").read_text()
        os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns))


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.slow
def test_a_model_file_that_is_replaced_meanwhile_is_not_mixed_in(
    own_folder: Path, tiny_model: Path, undisturbed: pa.Table, workers: int
) -> None:
    model = Path(shutil.copy(tiny_model, "model.onnx"))

    def spoil(done: int, total: int | None) -> None:
        shutil.copy(load_model().path, "model.onnx")

    result = run(own_folder, "c.parquet", model, workers=workers, progress=spoil)
    if result.failed:
        assert all("another model on this worker" in reason for reason in result.failed.values())
        assert not Path("c.parquet").exists()
    else:
        assert catalogue("c.parquet").equals(undisturbed)


def test_warnings_of_workers_are_given_once(own_folder: Path, tiny_model: Path) -> None:
    count = Counter({(PeculiarWarning, "the same"): 21, (PeculiarWarning, "another"): 1})
    with pytest.warns(PeculiarWarning) as caught:
        survey._repeat(count)
    assert [str(one.message) for one in caught] == ["the same (21 times)", "another"]


def test_blank_pictures_are_in_no_class(tiny_model: Path, plain_pictures: list[bytes]) -> None:
    source, _ = made_folder(plain_pictures)
    result = classify(source, "c.parquet", load_model(tiny_model), verbose=False)
    assert result.tally.flagged == {"blank": 6}
    assert result.tally.classes == {}
    assert None not in catalogue("c.parquet")["class"].to_pylist()


@pytest.mark.parametrize("read", [lambda: predict("t.csv", verbose=False), lambda: predict("t.csv", "c.parquet")])
def test_an_empty_table_is_mentioned(read: Any) -> None:
    Path("t.csv").write_text("id,file\n")
    with pytest.warns(PeculiarWarning, match=r"t\.csv holds no galaxies; the catalogue is empty"):
        assert len(read()) == 0
