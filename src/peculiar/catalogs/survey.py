"""Work on the galaxies of a survey, made into a table: shard by shard on any executor, resumable, merged at the end.

One shard of the input makes one part of the catalogue. A part gets its final name when it is complete and on disk, and
then its line in the ledger; a killed run loses only the shards in progress.
"""

import hashlib
import json
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib import metadata
from pathlib import Path

import pyarrow as pa

from peculiar.catalogs.carried import carried_columns
from peculiar.catalogs.engines import CHANGED, Count, Job, open_engine, run_jobs
from peculiar.catalogs.ledger import Entry, Header, Ledger, open_ledger, read_header
from peculiar.catalogs.tally import Summary, Tally
from peculiar.catalogs.task import Task
from peculiar.errors import PeculiarWarning, UsageError
from peculiar.files.claims import Request, claiming, inputs_digest
from peculiar.files.writing import check_apart, writing
from peculiar.models.model_file import cores
from peculiar.sources.stream import Shard, Source
from peculiar.tables.column import Column
from peculiar.tables.reader import TableReader
from peculiar.tables.writers import format_to_write, write_table

# A task's largest shards are made smaller if several workers would otherwise be idle towards the end.
_FEWEST_SHARDS = 16


def write_survey(
    source: Source,
    out: Path,
    task: Task,
    *,
    keep: Sequence[str] = (),
    workers: int = 1,
    dask: str | None = None,
    shard_rows: int | None = None,
    restart: bool = False,
    overwrite: bool = False,
    partial: bool = False,
    progress: Callable[[int, int | None], object] = lambda done, total: None,
) -> Summary:
    """Work on every galaxy of a source, and write a table of the results, in constant memory.

    A killed run continues when it is started again. Shard size, workers and engine do not change the result.

    Parameters
    ----------
    source : Source
    out : path
        The result: a table of any format, which appears once it is complete (until then, finished parts are in the
        folder ``<out>.parts``); or, without a suffix, a folder of Parquet parts.
    task : Task
        The work, such as a classification.
    keep, workers, dask, shard_rows, restart, overwrite, partial
        As in `peculiar.catalogs.predict.predict`.
    progress : callable
        Called with the number of finished galaxies and the total; the total is None if a damaged file cannot be
        counted.

    Returns
    -------
    Summary
        If some shards failed (`Summary.failed`) and `partial` is not set, there is no file at `out` yet; finished parts
        are kept, and the same call retries the failed shards.

    Raises
    ------
    UsageError
        If the suffix of `out` is unknown or a number is out of range; or if `out` is the input, was written by another
        call, or was started with other settings or from files that are gone.
    UnknownNameError
        If a column to keep does not exist.
    LedgerError
        If the ledger is damaged.
    MissingExtraError
        If Dask is requested and not installed.
    OSError
        If `out` cannot be written; finished parts are kept.

    Warns
    -----
    PeculiarWarning
        If part of the input has changed since the run was started, and is read again.
    """
    for name, number in (("workers", workers), ("shard_rows", shard_rows)):
        if number is not None and number < 1:
            message = f"{name} has to be at least 1; received {number}"
            raise UsageError(message)
    started = time.perf_counter()
    check_apart(out, source.path, *source.files())
    format = format_to_write(out) if out.suffix else None
    folder = out.with_name(f"{out.name}.parts") if format else out
    shard_rows = shard_rows or _shard_rows(task, source, read_header(folder, restart=restart))
    plan = list(source.shards(shard_rows))
    prints = {shard.name: shard.fingerprint() for shard in plan}
    columns = task.columns(source)
    carried = carried_columns(source, columns, keep)
    header = _header(source, task, shard_rows, keep)
    request = _request(task.command, source, header, partial=partial, overwrite=overwrite)
    if format:
        request.check(out)
        if request.done(out) and not restart:
            return _done(out, request, folder, header, time.perf_counter() - started)
    with open_ledger(folder, header, restart=restart, overwrite=overwrite) as ledger:
        _drop_changed(plan, prints, ledger, source)
        kept = sum(entry.rows for entry in ledger.entries.values())
        count = Count(kept, _rows(plan), progress)
        missing = [shard for shard in plan if shard.name not in ledger.entries]
        workers = max(1, min(workers, len(missing)))
        notes, task = task.notes(source), task.with_threads(max(1, cores() // workers))
        jobs = [Job(shard, prints[shard.name], folder.resolve(), task, carried, notes) for shard in missing]
        ledger.announce(job.part for job in jobs)
        warned: Counter[tuple[type[Warning], str]] = Counter()
        with open_engine(count, workers, dask) as engine:
            failed = run_jobs(iter(jobs), engine, ledger, count, warned)
        failed |= _changed_meanwhile(plan, prints, ledger)
        tally = _sum(ledger.entries.values())
        result = Summary(out, tally, failed, kept, time.perf_counter() - started)
        if format and (partial or not failed):
            request.facts = result.as_dict()
            with claiming(request), writing(out) as temporary:
                write_table(temporary, format, [*columns, *carried], _parts(plan, ledger, [*columns, *carried]), notes)
            ledger.clear()
    _repeat(warned)
    return result


def _request(command: str, source: Source, header: Header, *, partial: bool, overwrite: bool) -> Request:
    """Return an identifier of this call, from everything that decides the catalogue."""
    settings = {name: value for name, value in header.settings.items() if name != "shard_rows"}
    facts = [metadata.version("peculiar"), header.model, settings, partial, inputs_digest(source.behind(0, None))]
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
    return Request(command, digest, (source.path, *source.files()), overwrite=overwrite)


def _done(out: Path, request: Request, folder: Path, header: Header, seconds: float) -> Summary:
    """Return the summary of the same call if it has finished before; leftovers of a killed run are removed."""
    if read_header(folder) == header:
        with open_ledger(folder, header, restart=False) as ledger:
            ledger.clear()
    facts = request.facts_of(out)
    names = ("rows", "classes", "flagged", "problems")
    tally = Tally(**{name: facts[name] for name in names if name in facts})
    return Summary(out, tally, facts.get("failed", {}), tally.rows, seconds, already=True)


def _shard_rows(task: Task, source: Source, begun: Header | None) -> int:
    """Return the number of rows per shard: as before for a continued run, else enough shards for all workers."""
    least, most = task.shard_rows
    if begun is not None:
        return int(begun.settings.get("shard_rows", most))
    known = sum((shard.stop or 0) - shard.start for shard in source.shards(most))
    return min(max(-(-known // _FEWEST_SHARDS), least), most)


def _header(source: Source, task: Task, shard_rows: int, keep: Sequence[str]) -> Header:
    settings = {**task.settings(), "keep": ", ".join(keep), "shard_rows": shard_rows, **source.notes}
    return Header(source=source.name, model=task.digest, settings=settings)


def _drop_changed(plan: list[Shard], prints: dict[str, str], ledger: Ledger, source: Source) -> None:
    """Drop the parts of shards that have changed since the run was started, to read them again.

    Files are recognised by name, size and time, or else by content.
    """
    planned = {shard.name: shard for shard in plan}
    there = {_first_file(shard.name) for shard in plan if shard.stop is not None}
    gone = [name for name in ledger.entries if name not in planned and _first_file(name) not in there]
    if gone:
        message = (
            f"{source.path} has changed since the run in {ledger.folder} was started: {_listed(gone)} can no longer be "
            "read. Put it back, start over (--restart), or choose another output (--out)"
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
            f"{source.path} has changed since the run in {ledger.folder} was started: {_listed(changed)}. The changed "
            "files are read again"
        )
        warnings.warn(message, PeculiarWarning, stacklevel=3)


def _changed_meanwhile(plan: list[Shard], prints: dict[str, str], ledger: Ledger) -> dict[str, str]:
    """Return the shards whose input changed after they were read, with the reason of failure."""
    failed = {}
    for shard in plan:
        entry = ledger.entries.get(shard.name)
        if entry is None or shard.fingerprint() == prints[shard.name]:
            continue
        if not entry.content or shard.content() != entry.content:
            ledger.drop(shard.name)
            failed[shard.name] = CHANGED
    return failed


def _first_file(shard: str) -> str:
    """Return the name of the first file of a shard."""
    file, colon, _ = shard.rpartition(":")
    return (file if colon else shard).partition(" and ")[0]


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _repeat(warned: Counter[tuple[type[Warning], str]]) -> None:
    """Issue each warning of the workers once, with the number of occurrences."""
    for (kind, text), count in warned.items():
        warnings.warn(text + (f" ({count} times)" if count > 1 else ""), kind, stacklevel=3)


def _rows(plan: list[Shard]) -> int | None:
    """Return the number of rows to work on; None if a file is damaged."""
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
