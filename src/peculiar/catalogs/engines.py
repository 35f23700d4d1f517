"""Engines that make the parts of a catalogue: this process, several processes, or a Dask cluster, with retries."""

import errno
import hashlib
import itertools
import multiprocessing
import os
import pickle
import re
import signal
import threading
import time
import warnings
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, ProcessPoolExecutor, wait
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from multiprocessing.connection import wait as wait_for_process
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pyarrow as pa
from threadpoolctl import threadpool_limits

from peculiar.catalogs.ledger import Entry, Ledger
from peculiar.catalogs.tally import Tally
from peculiar.catalogs.task import Task
from peculiar.errors import DataError, MissingExtraError, PeculiarError, UsageError
from peculiar.files.digests import file_digest
from peculiar.files.writing import replacing
from peculiar.sources.stream import Shard
from peculiar.tables.column import Column
from peculiar.tables.writers import write_table

if TYPE_CHECKING:
    from distributed import Client

_ATTEMPTS = 3
_SECONDS_TO_ANSWER = 10  # of a Dask scheduler
_PROBLEMS_A_SHARD = 20

# Errors of the output's file system, with which every other shard would fail as well.
_NO_PLACE = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM}

CHANGED = "it changed while the catalogue was made; the same command reads it again"
"""Reason why a shard of the input is not in the catalogue."""


class Count:
    """Count of finished galaxies, reported to the progress callable."""

    def __init__(self, done: int, total: int | None, progress: Callable[[int, int | None], object]) -> None:
        self.done, self.total, self._progress = done, total, progress
        self.add(0)

    def add(self, rows: int) -> None:
        """Count more galaxies."""
        self.done += rows
        self._progress(self.done, self.total)


@dataclass(frozen=True, slots=True)
class Job:
    """Everything that a worker, on this machine or another, needs to make one part."""

    shard: Shard
    fingerprint: str
    folder: Path
    task: Task
    carried: list[Column]
    notes: dict[str, str]

    @property
    def part(self) -> str:
        """Name of the part: readable, sorted like the input, and the same whenever the shard is made."""
        file, _, rows = self.shard.name.rpartition(":")
        origin = re.sub(r"[^\w.-]+", "_", file or rows)[:80]
        # By the name, because every shard of a folder of pictures is a separate source that starts at 0.
        first = rows.partition("-")[0]
        number = int(first) if file and first.isdecimal() else self.shard.start
        digest = hashlib.sha256(self.shard.name.encode()).hexdigest()[:8]
        return f"{origin}.{number:010d}.{digest}.parquet"


@dataclass(frozen=True, slots=True)
class Made:
    """A finished part, and the warnings issued meanwhile."""

    entry: Entry
    warned: list[tuple[type[Warning], str]]


def _make(job: Job, *, decoders: int | None = None, watch: Callable[[int], object]) -> Entry:
    """Make one part of a catalogue."""
    started, shard, tally = time.perf_counter(), job.shard, Tally()
    _check_unchanged(job)
    columns = job.task.columns(shard.source)
    batches = job.task.rows(
        shard.source,
        tally,
        carried=job.carried,
        start=shard.start,
        stop=shard.stop,
        decoders=decoders,
        name=shard.name,
    )

    def watched() -> Iterator[pa.RecordBatch]:
        for batch in batches:
            watch(batch.num_rows)
            yield batch

    path = job.folder / job.part
    # NumPy's matrix products are small here. The threads that it would start for them spin while they wait, and take
    # the cores from the network and the other workers.
    with threadpool_limits(1), replacing(path) as temporary:
        write_table(temporary, "parquet", [*columns, *job.carried], watched(), job.notes)
        if shard.stop is not None and tally.rows != shard.stop - shard.start:
            message = f"{shard.name}: ended after {tally.rows} of {shard.stop - shard.start} rows"
            raise DataError(message)
        _check_unchanged(job)
        size, digest = temporary.stat().st_size, file_digest(temporary)
    return Entry(
        shard=shard.name,
        fingerprint=job.fingerprint,
        content=shard.content(),
        part=path.name,
        size=size,
        sha256=digest,
        rows=tally.rows,
        seconds=round(time.perf_counter() - started, 3),
        classes=tally.classes,
        flagged=tally.flagged,
        problems=dict(itertools.islice(tally.problems.items(), _PROBLEMS_A_SHARD)),
    )


def _check_unchanged(job: Job) -> None:
    """Raise an error if a shard of the input has changed since the run was started."""
    if job.shard.fingerprint() != job.fingerprint:
        raise DataError(CHANGED)


def _make_elsewhere(pickled: bytes) -> Made:
    """Make one part in a worker.

    The job is unpickled here, because a source opens its files then: an error is attributed to the shard, whereas in
    the unpickling of the pool it would kill the worker.
    """

    def make() -> Entry:
        job: Job = pickle.loads(pickled)  # noqa: S301 - from the process that started this one
        return _make(job, watch=_stop_on_request)

    return _listening(make)


def _listening(make: Callable[[], Entry]) -> Made:
    """Make a part and collect its warnings, which are issued once for all parts."""
    with warnings.catch_warnings(record=True) as caught:
        entry = make()
    return Made(entry, [(one.category, str(one.message)) for one in caught])


class Engine(Protocol):
    """An executor of jobs."""

    def submit(self, job: Job) -> "Future[Made]":
        """Start to make a part."""

    def room(self) -> int:
        """Return the number of parts to keep in progress so that no worker is idle."""

    def renew(self) -> None:
        """Replace dead workers."""


def open_engine(count: Count, workers: int, dask: str | None) -> AbstractContextManager[Engine]:
    """Open the requested engine."""
    if dask is not None:
        return _dask(dask, workers)
    return _processes(workers) if workers > 1 else nullcontext(_Here(count))


class _Here:
    """The calling process, which makes one part after the other, with all cores."""

    def __init__(self, count: Count) -> None:
        self._count = count

    def submit(self, job: Job) -> "Future[Made]":
        future: Future[Made] = Future()
        before = self._count.done
        try:
            made = _listening(lambda: _make(job, decoders=2, watch=self._count.add))
        except Exception as error:  # noqa: BLE001 - like an executor; `run_jobs` handles the exception
            future.set_exception(error)
        else:
            future.set_result(made)
        self._count.done = before  # the caller counts finished parts
        return future

    def room(self) -> int:
        return 1

    def renew(self) -> None:
        """Do nothing: there are no workers."""


class _Processes:
    """A pool of processes that share the cores equally."""

    def __init__(self, workers: int, stop: Event) -> None:
        self._workers, self._stop = workers, stop
        self.renew()

    def renew(self) -> None:
        # Spawned, because the threads of ONNX Runtime do not survive a fork.
        context = multiprocessing.get_context("spawn")
        self.pool = ProcessPoolExecutor(self._workers, context, initializer=_prepare, initargs=(self._stop,))

    def submit(self, job: Job) -> "Future[Made]":
        return self.pool.submit(_make_elsewhere, pickle.dumps(job))

    def room(self) -> int:
        return 2 * self._workers


@contextmanager
def _processes(workers: int) -> Iterator[_Processes]:
    stop = multiprocessing.get_context("spawn").Event()
    engine = _Processes(workers, stop)
    try:
        yield engine
    except BaseException:
        stop.set()
        raise
    finally:
        engine.pool.shutdown(cancel_futures=True)


_stop: Event | None = None


def _prepare(stop: Event) -> None:
    """Prepare a worker process, which ends on request or with the process that started it."""
    global _stop
    _stop = stop
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent process handles Ctrl-C
    parent = multiprocessing.parent_process()

    def follow() -> None:
        if parent is not None:
            wait_for_process([parent.sentinel])
            os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


def _stop_on_request(_: int) -> None:
    if _stop is not None and _stop.is_set():
        raise InterruptedError


class _Dask:
    """A Dask cluster, which replaces lost workers by itself."""

    def __init__(self, client: "Client") -> None:
        self._client = client
        self._executor: Executor = client.get_executor(pure=False)

    def submit(self, job: Job) -> "Future[Made]":
        return self._executor.submit(_make_elsewhere, pickle.dumps(job))

    def room(self) -> int:
        return 2 * max(1, int(sum(self._client.ncores().values())))

    def renew(self) -> None:
        """Do nothing: Dask replaces workers."""


@contextmanager
def _dask(address: str, workers: int) -> Iterator[_Dask]:
    try:
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise MissingExtraError("working on a Dask cluster", "dask") from error
    with ExitStack() as stack:
        place = address
        if address == "local":
            place = stack.enter_context(LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None))
        try:
            client = stack.enter_context(Client(place, timeout=_SECONDS_TO_ANSWER))
        except (OSError, ValueError) as error:
            message = (
                f"no Dask scheduler answers at {address} ({error}); give its address, as tcp://host:8786, or local"
            )
            raise UsageError(message) from error
        yield _Dask(client)


def _submit(engine: Engine, job: Job) -> "Future[Made]":
    try:
        return engine.submit(job)
    except BrokenExecutor:  # a worker died while it was idle
        engine.renew()
        return engine.submit(job)


def run_jobs(
    jobs: Iterator[Job],
    engine: Engine,
    ledger: Ledger,
    count: Count,
    warned: Counter[tuple[type[Warning], str]],
) -> dict[str, str]:
    """Make the parts of all jobs, count the warnings, and return the failed shards with the reasons."""
    running: dict[Future[Made], Job] = {}
    again: deque[Job] = deque()
    attempts: Counter[str] = Counter()
    failed: dict[str, str] = {}
    # Shards that were in progress when a worker died. One of them may have killed it, so each is tried alone.
    suspects: deque[Job] = deque()
    on_trial = False

    def fail(job: Job, reason: str) -> None:
        attempts[job.shard.name] += 1
        if attempts[job.shard.name] < _ATTEMPTS:
            again.append(job)
        else:
            failed[job.shard.name] = reason

    while True:
        while len(running) < (1 if suspects or on_trial else engine.room()):
            on_trial = bool(suspects)
            job = suspects.popleft() if suspects else next(jobs, None) or (again.popleft() if again else None)
            if job is None:
                break
            ledger.begin(job.part)
            running[_submit(engine, job)] = job
        if not running:
            return failed
        done, _ = wait(running, return_when=FIRST_COMPLETED)
        lost: list[Job] = []
        no_place: OSError | None = None
        for future in done:
            job, error = running.pop(future), future.exception()
            if error is None:
                made = future.result()
                ledger.add(made.entry)
                count.add(made.entry.rows)
                warned.update(made.warned)
            elif isinstance(error, BrokenExecutor):
                lost.append(job)
            elif isinstance(error, OSError) and error.errno in _NO_PLACE:
                no_place = error
            else:
                fail(job, str(error) if isinstance(error, PeculiarError) else f"{type(error).__name__}: {error}")
        if no_place is not None:
            raise no_place
        if lost and on_trial:
            fail(lost[0], "the worker process died; the usual reason is too little memory")
        elif lost:
            suspects.extend([*lost, *running.values()])
            running.clear()
        if lost:
            engine.renew()
        on_trial = on_trial and bool(running)
