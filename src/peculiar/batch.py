"""A survey to a catalogue: shard by shard on any executor, resumed after a crash, merged at the end.

One piece of the input makes one part of the catalogue. A part gets its name when it is whole and on disk, then its line
in the ledger; whatever kills the run in between costs the pieces that were under way.
"""

import errno
import functools
import hashlib
import itertools
import multiprocessing
import os
import pickle
import re
import shutil
import signal
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, ProcessPoolExecutor, wait
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from multiprocessing.connection import wait as wait_for_process
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pyarrow as pa
from threadpoolctl import threadpool_limits

from peculiar.cache import check_apart, writing
from peculiar.catalog import Settings, Tally, catalog_batches, catalog_columns, provenance
from peculiar.column import Column
from peculiar.errors import DataError, MissingExtraError, ModelError, PeculiarError, UsageError
from peculiar.image import Framing
from peculiar.ledger import Entry, Header, Ledger, open_ledger, read_header
from peculiar.model import Model, cores, load_model
from peculiar.sources.stream import Shard, Source
from peculiar.table import TableReader
from peculiar.writers import format_to_write, write_table

if TYPE_CHECKING:
    from distributed import Client

# Rows of a shard: a few seconds of work, which is what a crash may cost; fewer where several workers would else find
# nothing to do towards the end.
_MOST_ROWS, _LEAST_ROWS, _FEWEST_SHARDS = 2048, 128, 16

_ATTEMPTS = 3
_PROBLEMS_A_SHARD = 20

# These say that the place for the catalogue is at fault, so that no other shard would fare better.
_NO_PLACE = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM}


@dataclass(frozen=True, slots=True)
class Catalogued:
    """What a run did.

    Parameters
    ----------
    path : path
        The catalogue: a file, or a folder of Parquet parts.
    tally : Tally
        What became of the pictures, those of earlier runs that this one went on with among them.
    failed : dict of str to str
        Shards that could not be classified, and why.
    kept : int
        Rows that were there already.
    seconds : float
    """

    path: Path
    tally: Tally
    failed: dict[str, str]
    kept: int
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """Return the figures, for JSON."""
        return {
            "rows": self.tally.rows,
            "kept": self.kept,
            "classes": self.tally.classes,
            "flagged": self.tally.flagged,
            "problems": self.tally.problems,
            "failed": self.failed,
            "seconds": round(self.seconds, 3),
        }


def predict_catalog(
    source: Source,
    out: str | os.PathLike[str],
    model: Model | None = None,
    *,
    embeddings: bool = False,
    views: int | None = None,
    framing: Framing | None = None,
    batch_size: int = 32,
    workers: int = 1,
    dask: str | None = None,
    shard_rows: int | None = None,
    restart: bool = False,
    partial: bool = False,
    progress: Callable[[int, int | None], object] = lambda done, total: None,
) -> Catalogued:
    """Classify every galaxy of a source into a catalogue, in constant memory.

    Rows out are rows in, in their order: a picture that cannot be read keeps its row, with nulls and a flag. A run that
    was killed goes on when it is started again. Shard size, batch size, workers and engine change nothing in the
    result.

    Parameters
    ----------
    source : Source
    out : path-like
        The catalogue: ``.parquet``, ``.csv``, ``.fits``, ``.vot`` or ``.ecsv``, which is there once it is whole (until
        then, what is done is in the folder ``<out>.parts``); or, without a suffix, a folder of Parquet parts.
    model : Model, optional
        By default the model that ships.
    embeddings : bool
        Keep the embedding of each galaxy.
    views : int, optional
        Average over so many turned and mirrored views, 1 to 8; by default as the model's card says.
    framing : Framing, optional
        How to frame the pictures, for those who know better than the model; of its size.
    batch_size : int
        Pictures that go through the network together.
    workers : int
        Processes. One works in this process, with all cores; several have a core each.
    dask : str, optional
        Instead of processes: the address of a Dask scheduler, or "local" to start one with `workers` processes.
    shard_rows : int, optional
        Rows of a shard, about; a shard ends where a file or a row group does. By default 128 to 2,048, by their number,
        or as the run was begun.
    restart : bool
        Begin anew, whatever was done before.
    partial : bool
        Write the catalogue also if some shards failed, without their rows.
    progress : callable
        Called with the numbers of galaxies done and to do; the latter is None if a damaged file cannot be counted.

    Returns
    -------
    Catalogued
        If some shards failed (`Catalogued.failed`) and `partial` is not set, there is no file yet at `out`; what is
        done is kept, and the same call tries the failed ones again.

    Raises
    ------
    UsageError
        If the suffix of `out` is not known, a number is out of range, `out` is the input, or was begun otherwise or
        from an input that has changed since.
    LedgerError
        If the record of what is done is damaged.
    MissingExtraError
        If Dask is asked for and not installed.
    OSError
        If `out` cannot be written to; what is done is kept.
    """
    for name, number in (("workers", workers), ("shard_rows", shard_rows), ("batch_size", batch_size)):
        if number is not None and number < 1:
            message = f"{name} has to be at least 1, received {number}"
            raise UsageError(message)
    out, model, started = Path(out), model or load_model(), time.perf_counter()
    check_apart(out, source.path, *source.files())
    settings = Settings(framing or model.framing, model.card.views if views is None else views, embeddings)
    model.check_views(settings.views)
    format = format_to_write(out) if out.suffix else None
    folder = out.with_name(f"{out.name}.parts") if format else out
    shard_rows = shard_rows or _shard_rows(source, read_header(folder, restart=restart))
    plan = list(source.shards(shard_rows))
    with open_ledger(folder, _header(source, model, settings, shard_rows), restart=restart) as ledger:
        _check_unchanged(plan, ledger, source)
        kept = sum(entry.rows for entry in ledger.entries.values())
        count = _Count(kept, _rows(plan), progress)
        missing = [shard for shard in plan if shard.name not in ledger.entries]
        workers = max(1, min(workers, len(missing)))
        notes, threads = provenance(source, model, settings), max(1, cores() // workers)
        jobs = (
            _Job(shard, folder.resolve(), settings, notes, model.path, model.card.digest, batch_size, threads)
            for shard in missing
        )
        with _engine(model, count, workers, dask) as engine:
            failed = _run(jobs, engine, ledger, count)
        tally = _sum(ledger.entries.values())
        whole = format is not None and (partial or not failed)
        if format and whole:
            columns = _columns(source, model, settings)
            with writing(out) as temporary:
                write_table(temporary, format, columns, _parts(plan, ledger, columns), notes)
    if whole:
        shutil.rmtree(folder)
    return Catalogued(out, tally, failed, kept, time.perf_counter() - started)


def _shard_rows(source: Source, begun: Header | None) -> int:
    """Return the rows of a shard: as before where the run goes on, else so many that there is work for all."""
    if begun is not None:
        return int(begun.settings.get("shard_rows", _MOST_ROWS))
    known = sum((shard.stop or 0) - shard.start for shard in source.shards(_MOST_ROWS))
    return min(max(-(-known // _FEWEST_SHARDS), _LEAST_ROWS), _MOST_ROWS)


def _header(source: Source, model: Model, settings: Settings, shard_rows: int) -> Header:
    framing = settings.framing
    return Header(
        source=source.name,
        model=model.card.digest,
        settings={
            "crop": framing.crop,
            "size": framing.size,
            "margin": framing.margin,
            "fast": framing.fast,
            "views": settings.views,
            "embeddings": settings.embeddings,
            "shard_rows": shard_rows,
            **source.notes,
        },
    )


def _check_unchanged(plan: list[Shard], ledger: Ledger, source: Source) -> None:
    """Refuse to go on with an input that is not the one that the run was begun with."""
    planned = {shard.name: shard for shard in plan}
    changed = [
        name
        for name, entry in ledger.entries.items()
        if name not in planned or planned[name].fingerprint() != entry.fingerprint
    ]
    if changed:
        listed = ", ".join(changed[:3]) + (f" and {len(changed) - 3} more" if len(changed) > 3 else "")
        message = (
            f"{source.path} has changed since the run in {ledger.folder} was begun: {listed}. Start over (--restart), "
            "or give another place (--out)"
        )
        raise UsageError(message)


def _columns(source: Source, model: Model, settings: Settings) -> list[Column]:
    return catalog_columns(model, positions=source.positioned, embeddings=settings.embeddings, id_type=source.id_type)


def _rows(plan: list[Shard]) -> int | None:
    """Return the number of rows to classify; None if there is a damaged file among them."""
    stops = [shard.stop for shard in plan]
    return None if None in stops else sum((shard.stop or 0) - shard.start for shard in plan)


def _sum(entries: Iterable[Entry]) -> Tally:
    tally = Tally()
    for entry in entries:
        tally.add(Tally(entry.rows, entry.classes, entry.flagged, entry.problems))
    return tally


def _parts(plan: list[Shard], ledger: Ledger, columns: list[Column]) -> Iterator[pa.RecordBatch]:
    """Yield the rows of all parts, in the order of the input."""
    names = [column.name for column in columns]
    for shard in plan:
        if shard.name in ledger.entries:
            yield from TableReader(ledger.folder / ledger.entries[shard.name].part).batches(names)


class _Count:
    """How many galaxies are done, told to whoever watches."""

    def __init__(self, done: int, total: int | None, progress: Callable[[int, int | None], object]) -> None:
        self.done, self.total, self._progress = done, total, progress
        self.add(0)

    def add(self, rows: int) -> None:
        self.done += rows
        self._progress(self.done, self.total)


@dataclass(frozen=True, slots=True)
class _Job:
    """All that a worker, on this machine or another, needs to make one part."""

    shard: Shard
    folder: Path
    settings: Settings
    notes: dict[str, str]
    model: Path
    digest: str
    batch_size: int
    threads: int

    @property
    def part(self) -> str:
        """Name of the part: readable, sorted as the input is, and the same whenever the shard is made."""
        file, _, rows = self.shard.name.rpartition(":")
        origin = re.sub(r"[^\w.-]+", "_", file or rows)[:80]
        # By the name, since of a folder of pictures every shard is a source of its own, which begins at 0.
        first = rows.partition("-")[0]
        number = int(first) if file and first.isdecimal() else self.shard.start
        digest = hashlib.sha256(self.shard.name.encode()).hexdigest()[:8]
        return f"{origin}.{number:010d}.{digest}.parquet"


def _make(job: _Job, model: Model, *, decoders: int, watch: Callable[[int], object]) -> Entry:
    """Make one part of a catalogue."""
    started, shard, tally = time.perf_counter(), job.shard, Tally()
    # Taken before the pictures are read, so that a change meanwhile is noticed by the next run.
    fingerprint = shard.fingerprint()
    columns = _columns(shard.source, model, job.settings)
    galaxies = shard.source.galaxies(job.settings.framing, threads=decoders, start=shard.start, stop=shard.stop)
    batches = catalog_batches(galaxies, columns, model, job.settings, tally, batch_size=job.batch_size)

    def watched() -> Iterator[pa.RecordBatch]:
        for batch in batches:
            watch(batch.num_rows)
            yield batch

    path = job.folder / job.part
    # NumPy's products are small here; the threads that it would start for them wait by spinning, and take the cores
    # from the network and from the other workers.
    with threadpool_limits(1), writing(path) as temporary:
        write_table(temporary, "parquet", columns, watched(), job.notes)
        if shard.stop is not None and tally.rows != shard.stop - shard.start:
            message = f"{shard.name}: ends after {tally.rows} of {shard.stop - shard.start} rows"
            raise DataError(message)
    return Entry(
        shard=shard.name,
        fingerprint=fingerprint,
        part=path.name,
        size=path.stat().st_size,
        rows=tally.rows,
        seconds=round(time.perf_counter() - started, 3),
        classes=tally.classes,
        flagged=tally.flagged,
        problems=dict(itertools.islice(tally.problems.items(), _PROBLEMS_A_SHARD)),
    )


def _make_elsewhere(pickled: bytes) -> Entry:
    """Make one part in a worker, which opens the model once.

    The job comes pickled, since a source opens its files when it arrives: an error there is the shard's, where in the
    pool's own unpickling it would kill the worker.
    """
    job: _Job = pickle.loads(pickled)  # noqa: S301 - from the process that started this one
    model = _model(job.model, job.threads)
    if model.card.digest != job.digest:
        message = f"{job.model} is another model here than where the run was started: {model.card.digest[:12]}"
        raise ModelError(message)
    return _make(job, model, decoders=job.threads, watch=_stop_if_told)


@functools.cache
def _model(path: Path, threads: int) -> Model:
    return load_model(path, threads=threads)


class _Engine(Protocol):
    """Where parts are made."""

    def submit(self, job: _Job) -> "Future[Entry]":
        """Begin to make a part."""

    def room(self) -> int:
        """Return how many parts may be under way, so that no worker waits for the next."""

    def renew(self) -> None:
        """Replace workers that died."""


def _engine(model: Model, count: _Count, workers: int, dask: str | None) -> AbstractContextManager[_Engine]:
    if dask is not None:
        return _dask(dask, workers)
    return _processes(workers) if workers > 1 else nullcontext(_Here(model, count))


class _Here:
    """One part after the other, in the process that asks, with all cores for the network's arithmetic."""

    def __init__(self, model: Model, count: _Count) -> None:
        self._model, self._count = model, count

    def submit(self, job: _Job) -> "Future[Entry]":
        future: Future[Entry] = Future()
        before = self._count.done
        try:
            entry = _make(job, self._model, decoders=2, watch=self._count.add)
        except Exception as error:  # noqa: BLE001 - as an executor does; `_run` decides what becomes of it
            future.set_exception(error)
        else:
            future.set_result(entry)
        self._count.done = before  # the caller counts whole parts
        return future

    def room(self) -> int:
        return 1

    def renew(self) -> None:
        """Nothing dies that this would survive."""


class _Processes:
    """A pool of processes with a core each, or as many as there are for each."""

    def __init__(self, workers: int, stop: Event) -> None:
        self._workers, self._stop = workers, stop
        self.renew()

    def renew(self) -> None:
        # Spawned, because ONNX Runtime's threads do not survive a fork.
        context = multiprocessing.get_context("spawn")
        self.pool = ProcessPoolExecutor(self._workers, context, initializer=_prepare, initargs=(self._stop,))

    def submit(self, job: _Job) -> "Future[Entry]":
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
    """Prepare a worker process: it ends when it is told to, or with the process that started it."""
    global _stop
    _stop = stop
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the first process's to answer
    parent = multiprocessing.parent_process()

    def follow() -> None:
        if parent is not None:
            wait_for_process([parent.sentinel])
            os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


def _stop_if_told(_: int) -> None:
    if _stop is not None and _stop.is_set():
        raise InterruptedError


class _Dask:
    """A Dask cluster, which replaces the workers that it loses itself."""

    def __init__(self, client: "Client") -> None:
        self._client = client
        self._executor: Executor = client.get_executor(pure=False)

    def submit(self, job: _Job) -> "Future[Entry]":
        return self._executor.submit(_make_elsewhere, pickle.dumps(job))

    def room(self) -> int:
        return 2 * max(1, int(sum(self._client.ncores().values())))

    def renew(self) -> None:
        """Dask does."""


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
            client = stack.enter_context(Client(place))
        except (OSError, ValueError) as error:
            message = (
                f"no Dask scheduler answers at {address} ({error}); give its address, as tcp://host:8786, or local"
            )
            raise UsageError(message) from error
        yield _Dask(client)


def _run(jobs: Iterator[_Job], engine: _Engine, ledger: Ledger, count: _Count) -> dict[str, str]:
    """Make the parts of all jobs, and return which failed for good, and why."""
    running: dict[Future[Entry], _Job] = {}
    again: deque[_Job] = deque()
    attempts: Counter[str] = Counter()
    failed: dict[str, str] = {}
    # Shards that were under way when a worker died. One of them may have killed it, so each is tried alone.
    suspects: deque[_Job] = deque()
    on_trial = False

    def fail(job: _Job, reason: str) -> None:
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
            try:
                future = engine.submit(job)
            except BrokenExecutor:  # a worker died while it had nothing to do
                engine.renew()
                future = engine.submit(job)
            running[future] = job
        if not running:
            return failed
        done, _ = wait(running, return_when=FIRST_COMPLETED)
        lost: list[_Job] = []
        no_place: OSError | None = None
        for future in done:
            job, error = running.pop(future), future.exception()
            if error is None:
                entry = future.result()
                ledger.add(entry)
                count.add(entry.rows)
            elif isinstance(error, BrokenExecutor):
                lost.append(job)
            elif isinstance(error, OSError) and error.errno in _NO_PLACE:
                no_place = error
            else:
                fail(job, str(error) if isinstance(error, PeculiarError) else f"{type(error).__name__}: {error}")
        if no_place is not None:
            raise no_place
        if lost and on_trial:
            fail(lost[0], "the process that worked on it died; too little memory is the usual reason")
        elif lost:
            suspects.extend([*lost, *running.values()])
            running.clear()
        if lost:
            engine.renew()
        on_trial = on_trial and bool(running)
