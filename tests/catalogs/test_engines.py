"""The engines that make the parts of a catalogue: workers that end on request, die, or have another model."""

import multiprocessing
import pickle
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor, Future
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from peculiar.catalogs import classification, engines
from peculiar.catalogs.classification import Classification, Settings
from peculiar.catalogs.engines import Count, Job, Made, open_engine, run_jobs
from peculiar.errors import DataError, MissingExtraError, ModelError
from peculiar.models.model_file import load_model
from peculiar.sources import open_source
from peculiar.sources.stream import Shard


def make_job(pictures: Path, folder: Path, *, stop: int = 2) -> Job:
    """A job on the first rows of a source, for the model that ships."""
    model = load_model()
    shard = Shard("survey:0-2", open_source(pictures), 0, stop)
    task = Classification(model, Settings(model.framing, 1, embeddings=False), batch_size=2)
    return Job(shard, shard.fingerprint(), folder, task, [], {})


@pytest.fixture
def pictures(tmp_path: Path, plain_pictures: list[bytes]) -> Path:
    (tmp_path / "pictures").mkdir()
    for number in range(2):
        (tmp_path / "pictures" / f"{number}.png").write_bytes(plain_pictures[number])
    return tmp_path / "pictures"


def nothing(done: int, total: int | None) -> None:
    """Take progress, and show none."""


def test_a_source_that_ends_early_makes_no_part(pictures: Path, tmp_path: Path) -> None:
    job = make_job(pictures, tmp_path, stop=5)
    count = Count(0, 5, nothing)
    with open_engine(count, 1, None) as engine:
        error = engine.submit(job).exception()
    assert isinstance(error, DataError)
    assert "ended after 2 of 5 rows" in str(error)
    assert not (tmp_path / job.part).exists()
    assert count.done == 0


class _Reopening:
    """Work that is pickled with a digest of another model."""

    def __init__(self, told: tuple[Any, ...]) -> None:
        self.told = told

    def __reduce__(self) -> tuple[Any, ...]:
        return classification._reopened, self.told


def test_a_worker_makes_a_part_with_the_model_of_the_caller_only(pictures: Path, tmp_path: Path) -> None:
    job = make_job(pictures, tmp_path)
    made = engines._make_elsewhere(pickle.dumps(job))
    assert (made.entry.rows, made.entry.part) == (2, job.part)
    assert (tmp_path / job.part).is_file()
    _, (path, _, *how) = job.task.__reduce__()
    other = replace(job, task=_Reopening((path, "0" * 64, *how)))
    with pytest.raises(ModelError, match="is another model on this worker than in the calling process"):
        engines._make_elsewhere(pickle.dumps(other))


def test_workers_are_asked_to_stop_when_the_caller_is_interrupted() -> None:
    opened = open_engine(Count(0, None, nothing), 2, None)
    engine = opened.__enter__()
    assert isinstance(engine, engines._Processes)
    assert not engine._stop.is_set()
    assert not opened.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert engine._stop.is_set()


def test_a_worker_leaves_ctrl_c_to_its_parent_and_ends_on_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "_stop", None)
    stop = multiprocessing.get_context("spawn").Event()
    former = signal.getsignal(signal.SIGINT)
    try:
        engines._prepare(stop)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, former)
    engines._stop_on_request(1)
    stop.set()
    with pytest.raises(InterruptedError):
        engines._stop_on_request(1)


def test_without_dask_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with (
        pytest.raises(MissingExtraError, match=r"Dask cluster needs .* pip install 'peculiar\[dask\]'"),
        open_engine(Count(0, None, nothing), 1, "local"),
    ):
        pass


class Dying:
    """An engine whose only worker dies while it is idle."""

    def __init__(self) -> None:
        self.alive = False

    def submit(self, job: Any) -> "Future[Made]":
        if not self.alive:
            raise BrokenExecutor
        future: Future[Made] = Future()
        future.set_result(Made(SimpleNamespace(rows=3), [(UserWarning, "dark")]))  # type: ignore[arg-type]
        return future

    def room(self) -> int:
        return 1

    def renew(self) -> None:
        self.alive = True


def test_a_worker_that_died_while_it_was_idle_is_replaced() -> None:
    jobs: Iterator[Any] = iter([SimpleNamespace(part="a", shard=SimpleNamespace(name="a"))])
    begun: list[str] = []
    kept: list[Any] = []
    ledger: Any = SimpleNamespace(begin=begun.append, add=kept.append)
    warned: Counter[tuple[type[Warning], str]] = Counter()
    count = Count(0, 3, nothing)
    assert run_jobs(jobs, Dying(), ledger, count, warned) == {}
    assert (begun, len(kept), count.done) == (["a"], 1, 3)
    assert warned == {(UserWarning, "dark"): 1}
