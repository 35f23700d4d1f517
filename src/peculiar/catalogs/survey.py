"""Classify a survey into a catalogue: shard by shard on any executor, resumable, merged at the end.

One piece of the input makes one part of the catalogue. A part gets its name when it is whole and on disk, then its line
in the ledger; whatever kills the run in between costs the pieces that were under way.
"""

import errno
import functools
import hashlib
import itertools
import json
import multiprocessing
import os
import pickle
import re
import signal
import threading
import time
import warnings
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, ProcessPoolExecutor, wait
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from importlib import metadata
from multiprocessing.connection import wait as wait_for_process
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pyarrow as pa
from threadpoolctl import threadpool_limits

from peculiar.catalogs.ledger import Entry, Header, Ledger, open_ledger, read_header
from peculiar.catalogs.rows import Settings, Tally, catalog_batches, catalog_columns, provenance
from peculiar.errors import DataError, MissingExtraError, ModelError, PeculiarError, PeculiarWarning, UsageError
from peculiar.files.claims import Request, claiming, file_digest, inputs_digest
from peculiar.files.writing import check_apart, replacing, writing
from peculiar.images.decode import Framing
from peculiar.models.model_file import Model, cores, load_model
from peculiar.progress import telling
from peculiar.sources.stream import Shard, Source
from peculiar.tables.column import Column
from peculiar.tables.reader import TableReader
from peculiar.tables.writers import format_to_write, write_table

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
    already : bool
        The same call wrote the catalogue before, and nothing was done.
    """

    path: Path
    tally: Tally
    failed: dict[str, str]
    kept: int
    seconds: float
    already: bool = False

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
    keep: Sequence[str] = (),
    restart: bool = False,
    overwrite: bool = False,
    partial: bool = False,
    progress: Callable[[int, int | None], object] | None = None,
    verbose: bool = True,
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
    keep : sequence of str
        Columns of the source that the catalogue carries along.
    restart : bool
        Start over, and ignore what this call did before.
    overwrite : bool
        Replace what is at `out`, also if this call did not write it.
    partial : bool
        Write the catalogue also if some shards failed, without their rows.
    progress : callable, optional
        Called with the numbers of galaxies done and to do; the latter is None if a damaged file cannot be counted.
    verbose : bool
        Show progress on standard error, where `progress` is not given.

    Returns
    -------
    Catalogued
        If some shards failed (`Catalogued.failed`) and `partial` is not set, there is no file yet at `out`; what is
        done is kept, and the same call tries the failed ones again.

    Raises
    ------
    UsageError
        If the suffix of `out` is not known, a number is out of range, `out` is the input, was not written by the same
        call, or was begun otherwise or from files that are gone.
    UnknownNameError
        If there is no column to keep of that name.
    LedgerError
        If the record of what is done is damaged.
    MissingExtraError
        If Dask is asked for and not installed.
    OSError
        If `out` cannot be written to; what is done is kept.

    Warns
    -----
    PeculiarWarning
        If some of the input has changed since the run was begun, and is classified again.
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
    prints = {shard.name: shard.fingerprint() for shard in plan}
    columns = _columns(source, model, settings)
    carried = _carried(source, columns, keep)
    header = _header(source, model, settings, shard_rows, keep)
    request = _request(source, header, partial=partial, overwrite=overwrite)
    if format:
        request.check(out)
        if request.done(out) and not restart:
            return _done(out, request, folder, header, time.perf_counter() - started)
    with ExitStack() as stack, open_ledger(folder, header, restart=restart, overwrite=overwrite) as ledger:
        _drop_changed(plan, prints, ledger, source)
        kept = sum(entry.rows for entry in ledger.entries.values())
        tell = stack.enter_context(telling("classified")) if progress is None and verbose else progress
        count = _Count(kept, _rows(plan), tell or (lambda done, total: None))
        missing = [shard for shard in plan if shard.name not in ledger.entries]
        workers = max(1, min(workers, len(missing)))
        notes, threads = provenance(source, model, settings), max(1, cores() // workers)
        jobs = (
            _Job(
                shard,
                prints[shard.name],
                folder.resolve(),
                settings,
                carried,
                notes,
                model.path,
                model.card.digest,
                batch_size,
                threads,
            )
            for shard in missing
        )
        told: Counter[tuple[type[Warning], str]] = Counter()
        with _engine(model, count, workers, dask) as engine:
            failed = _run(jobs, engine, ledger, count, told)
        failed |= _changed_meanwhile(plan, prints, ledger)
        tally = _sum(ledger.entries.values())
        result = Catalogued(out, tally, failed, kept, time.perf_counter() - started)
        if format and (partial or not failed):
            request.facts = result.as_dict()
            with claiming(request), writing(out) as temporary:
                write_table(temporary, format, [*columns, *carried], _parts(plan, ledger, [*columns, *carried]), notes)
            ledger.clear()
    _repeat(told)
    return result


def _carried(source: Source, columns: Sequence[Column], keep: Sequence[str]) -> list[Column]:
    """Return the columns to carry along."""
    own = {column.name.lower() for column in columns}
    for name in keep:
        if name.lower() in own:
            message = f"the catalogue has a column {name!r} of its own; leave it out, or rename that of {source.path}"
            raise UsageError(message)
    return source.described(list(dict.fromkeys(keep)))


def _request(source: Source, header: Header, *, partial: bool, overwrite: bool) -> Request:
    """Return what tells this call from others: what decides the catalogue, and no more."""
    settings = {name: value for name, value in header.settings.items() if name != "shard_rows"}
    told = [metadata.version("peculiar"), header.model, settings, partial, inputs_digest(source.behind(0, None))]
    digest = hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
    return Request("predict", digest, (source.path, *source.files()), overwrite=overwrite)


def _done(out: Path, request: Request, folder: Path, header: Header, seconds: float) -> Catalogued:
    """Return what the same call did before; what a kill behind its last step left over is removed."""
    if read_header(folder) == header:
        with open_ledger(folder, header, restart=False) as ledger:
            ledger.clear()
    facts = request.facts_of(out)
    names = ("rows", "classes", "flagged", "problems")
    tally = Tally(**{name: facts[name] for name in names if name in facts})
    return Catalogued(out, tally, facts.get("failed", {}), tally.rows, seconds, already=True)


def _shard_rows(source: Source, begun: Header | None) -> int:
    """Return the rows of a shard: as before where the run goes on, else so many that there is work for all."""
    if begun is not None:
        return int(begun.settings.get("shard_rows", _MOST_ROWS))
    known = sum((shard.stop or 0) - shard.start for shard in source.shards(_MOST_ROWS))
    return min(max(-(-known // _FEWEST_SHARDS), _LEAST_ROWS), _MOST_ROWS)


def _header(source: Source, model: Model, settings: Settings, shard_rows: int, keep: Sequence[str]) -> Header:
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
            "keep": ", ".join(keep),
            "shard_rows": shard_rows,
            **source.notes,
        },
    )


def _drop_changed(plan: list[Shard], prints: dict[str, str], ledger: Ledger, source: Source) -> None:
    """Let pieces of the input that have changed since the run was begun be classified again.

    Files are known by names, sizes and times, or else by their content.
    """
    planned = {shard.name: shard for shard in plan}
    there = {_first_file(shard.name) for shard in plan if shard.stop is not None}
    gone = [name for name in ledger.entries if name not in planned and _first_file(name) not in there]
    if gone:
        message = (
            f"{source.path} has changed since the run in {ledger.folder} was begun: {_listed(gone)} cannot be read any "
            "more. Put it back, start over (--restart), or give another place (--out)"
        )
        raise UsageError(message)
    changed = []
    for name, entry in list(ledger.entries.items()):
        if name in planned and prints[name] == entry.fingerprint:
            continue
        if name in planned and entry.content and planned[name].content() == entry.content:
            ledger.add(entry.model_copy(update={"fingerprint": prints[name]}))
            continue
        changed.append(name)
    for name in changed:
        ledger.drop(name)
    if changed:
        message = (
            f"{source.path} has changed since the run in {ledger.folder} was begun: {_listed(changed)}. What has "
            "changed is classified again"
        )
        warnings.warn(message, PeculiarWarning, stacklevel=3)


def _changed_meanwhile(plan: list[Shard], prints: dict[str, str], ledger: Ledger) -> dict[str, str]:
    """Return which pieces of the input changed after they were classified, and why that is a failure."""
    failed = {}
    for shard in plan:
        entry = ledger.entries.get(shard.name)
        if entry is None or shard.fingerprint() == prints[shard.name]:
            continue
        if not entry.content or shard.content() != entry.content:
            ledger.drop(shard.name)
            failed[shard.name] = _CHANGED
    return failed


_CHANGED = "it changed while the catalogue was made; the same command classifies it again"


def _first_file(shard: str) -> str:
    """Return the file that a shard begins in, of the name that its source gave it."""
    file, colon, _ = shard.rpartition(":")
    return (file if colon else shard).partition(" and ")[0]


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _repeat(told: Counter[tuple[type[Warning], str]]) -> None:
    """Give each warning of the workers once, and say how often it was given."""
    for (kind, text), count in told.items():
        warnings.warn(text + (f" ({count} times)" if count > 1 else ""), kind, stacklevel=3)


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
    fingerprint: str
    folder: Path
    settings: Settings
    carried: list[Column]
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


@dataclass(frozen=True, slots=True)
class _Made:
    """A part that was made, and what was warned of meanwhile."""

    entry: Entry
    told: list[tuple[type[Warning], str]]


def _make(job: _Job, model: Model, *, decoders: int, watch: Callable[[int], object]) -> Entry:
    """Make one part of a catalogue."""
    started, shard, tally = time.perf_counter(), job.shard, Tally()
    _check_unchanged(job)
    columns = _columns(shard.source, model, job.settings)
    galaxies = shard.source.galaxies(job.settings.framing, threads=decoders, start=shard.start, stop=shard.stop)
    batches = catalog_batches(galaxies, columns, model, job.settings, tally, batch_size=job.batch_size)
    if job.carried:
        batches = _side_by_side(batches, shard.source.carried(job.carried, shard.start, shard.stop), shard.name)

    def watched() -> Iterator[pa.RecordBatch]:
        for batch in batches:
            watch(batch.num_rows)
            yield batch

    path = job.folder / job.part
    # NumPy's products are small here; the threads that it would start for them wait by spinning, and take the cores
    # from the network and from the other workers.
    with threadpool_limits(1), replacing(path) as temporary:
        write_table(temporary, "parquet", [*columns, *job.carried], watched(), job.notes)
        if shard.stop is not None and tally.rows != shard.stop - shard.start:
            message = f"{shard.name}: ends after {tally.rows} of {shard.stop - shard.start} rows"
            raise DataError(message)
        _check_unchanged(job)
    return Entry(
        shard=shard.name,
        fingerprint=job.fingerprint,
        content=shard.content(),
        part=path.name,
        size=path.stat().st_size,
        sha256=file_digest(path),
        rows=tally.rows,
        seconds=round(time.perf_counter() - started, 3),
        classes=tally.classes,
        flagged=tally.flagged,
        problems=dict(itertools.islice(tally.problems.items(), _PROBLEMS_A_SHARD)),
    )


def _check_unchanged(job: _Job) -> None:
    """Refuse a piece of the input that is no more as it was when the run was started."""
    if job.shard.fingerprint() != job.fingerprint:
        raise DataError(_CHANGED)


def _side_by_side(
    batches: Iterator[pa.RecordBatch], carried: Iterator[pa.RecordBatch], name: str
) -> Iterator[pa.RecordBatch]:
    """Yield batches with the columns of others beside them, whose rows are the same but come in other pieces."""
    held: pa.Table | None = None
    for batch in batches:
        while held is None or len(held) < len(batch):
            more = next(carried, None)
            if more is None:
                message = f"{name}: the columns to keep end before its pictures do"
                raise DataError(message)
            table = pa.Table.from_batches([more])
            held = table if held is None else pa.concat_tables([held, table])
        beside = held.slice(0, len(batch)).combine_chunks().to_batches()[0]
        held = held.slice(len(batch))
        yield pa.RecordBatch.from_arrays(
            [*batch.columns, *beside.columns], names=[*batch.schema.names, *beside.schema.names]
        )


def _make_elsewhere(pickled: bytes) -> _Made:
    """Make one part in a worker, which opens the model once.

    The job comes pickled, since a source opens its files when it arrives: an error there is the shard's, where in the
    pool's own unpickling it would kill the worker.
    """

    def make() -> Entry:
        job: _Job = pickle.loads(pickled)  # noqa: S301 - from the process that started this one
        model = _model(job.model, job.threads)
        if model.card.digest != job.digest:
            message = f"{job.model} is another model here than where the run was started: {model.card.digest[:12]}"
            raise ModelError(message)
        return _make(job, model, decoders=job.threads, watch=_stop_if_told)

    return _listening(make)


def _listening(make: Callable[[], Entry]) -> _Made:
    """Make a part, and keep what is warned of, to be said once for all parts."""
    with warnings.catch_warnings(record=True) as caught:
        entry = make()
    return _Made(entry, [(one.category, str(one.message)) for one in caught])


@functools.cache
def _model(path: Path, threads: int) -> Model:
    return load_model(path, threads=threads)


class _Engine(Protocol):
    """Where parts are made."""

    def submit(self, job: _Job) -> "Future[_Made]":
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

    def submit(self, job: _Job) -> "Future[_Made]":
        future: Future[_Made] = Future()
        before = self._count.done
        try:
            made = _listening(lambda: _make(job, self._model, decoders=2, watch=self._count.add))
        except Exception as error:  # noqa: BLE001 - as an executor does; `_run` decides what becomes of it
            future.set_exception(error)
        else:
            future.set_result(made)
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

    def submit(self, job: _Job) -> "Future[_Made]":
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

    def submit(self, job: _Job) -> "Future[_Made]":
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


def _submit(engine: _Engine, job: _Job) -> "Future[_Made]":
    try:
        return engine.submit(job)
    except BrokenExecutor:  # a worker died while it had nothing to do
        engine.renew()
        return engine.submit(job)


def _run(
    jobs: Iterator[_Job],
    engine: _Engine,
    ledger: Ledger,
    count: _Count,
    told: Counter[tuple[type[Warning], str]],
) -> dict[str, str]:
    """Make the parts of all jobs, count the warnings, and return which failed for good, and why."""
    running: dict[Future[_Made], _Job] = {}
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
            ledger.begin(job.part)
            running[_submit(engine, job)] = job
        if not running:
            return failed
        done, _ = wait(running, return_when=FIRST_COMPLETED)
        lost: list[_Job] = []
        no_place: OSError | None = None
        for future in done:
            job, error = running.pop(future), future.exception()
            if error is None:
                made = future.result()
                ledger.add(made.entry)
                count.add(made.entry.rows)
                told.update(made.told)
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
