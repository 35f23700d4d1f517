"""SQL on a catalogue: limits of time and memory, and Ctrl-C."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from peculiar.catalogs import sql
from peculiar.catalogs.catalog import Catalog
from peculiar.catalogs.search import find_rows
from peculiar.catalogs.sql import run_sql
from peculiar.errors import UsageError

SLOW = " + ".join(["pow(sin(x), cos(y))"] * 200) + " > 0"
"""A condition that takes a second for some ten thousand galaxies."""


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sql") / "catalog.parquet"
    values = np.random.default_rng(222).random((2, 4_000_000)).astype(np.float32)
    table = pa.table({"id": np.arange(len(values[0])), "x": values[0], "y": values[1]})
    pa.parquet.write_table(table, path, row_group_size=1_000_000)
    return path


def test_a_query_that_takes_too_long_is_stopped(catalog: Path) -> None:
    opened, begun = Catalog(catalog), time.monotonic()
    with pytest.raises(UsageError, match=r"took more than 0\.05 s and was stopped; ask for less than 'pow"):
        find_rows(opened, SLOW, seconds=0.05)
    assert time.monotonic() - begun < 10
    assert not [thread for thread in threading.enumerate() if thread.name == "query"]  # nothing goes on behind
    rows, _ = find_rows(opened, "x > 0.999")  # the catalogue can be searched as before
    assert 3_000 < len(rows) < 5_000


def test_a_query_that_needs_too_much_memory_is_refused(catalog: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sql, "MOST_MEMORY", "10MB")
    with pytest.raises(UsageError, match="more than 10MB of the memory"):
        Catalog(catalog).query("x >= 0", by="y", top=None)


def test_a_query_writes_nothing_to_the_folder_that_it_runs_in(catalog: Path, tmp_path: Path) -> None:
    assert len(Catalog(catalog).query("x > 0.5", by="y", top=3)) == 3
    assert list(tmp_path.iterdir()) == []


def test_what_the_thread_raises_is_raised_where_it_was_asked(catalog: Path) -> None:
    with pytest.raises(UsageError, match="does not fit the columns"):
        run_sql(Catalog(catalog), "SELECT no_column FROM catalog", [], "x > 1")


@pytest.mark.slow
def test_ctrl_c_ends_a_query(catalog: Path, tmp_path: Path) -> None:
    words = [sys.executable, "-m", "peculiar", "search", str(catalog), "--where", SLOW, "--by", "x"]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(words, stdout=log, stderr=log, cwd=tmp_path)
        # By then DuckDB is at work, and will be for long.
        until = time.monotonic() + 120
        while _at_work(process.pid) < 3:
            assert process.poll() is None, (tmp_path / "log").read_text()
            assert time.monotonic() < until
            time.sleep(0.05)
        time.sleep(0.5)
        begun = time.monotonic()
        os.kill(process.pid, signal.SIGINT)
        assert process.wait(30) == 130
    assert time.monotonic() - begun < 15
    assert "Traceback" not in (tmp_path / "log").read_text()


def _at_work(process: int) -> float:
    """Return the seconds that a process has worked."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
