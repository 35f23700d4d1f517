"""Make a catalogue of a source by a task, in memory or on disk."""

import os
import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

import pyarrow as pa
from threadpoolctl import threadpool_limits

from peculiar.catalogs.carried import carried_columns
from peculiar.catalogs.catalog import Catalog
from peculiar.catalogs.survey import write_survey
from peculiar.catalogs.tally import Summary, Tally
from peculiar.catalogs.task import Task
from peculiar.errors import IncompleteError, PeculiarWarning, UsageError
from peculiar.files.places import place
from peculiar.progress import reporting
from peculiar.sources import MemorySource
from peculiar.sources.stream import Source
from peculiar.tables.writers.stream import schema_of


def make_catalog(
    task: Task,
    source: Source,
    out: str | os.PathLike[str] | None,
    *,
    done: str,
    keep: Sequence[str] = (),
    workers: int = 1,
    dask: str | None = None,
    shard_rows: int | None = None,
    restart: bool = False,
    overwrite: bool = False,
    partial: bool = False,
    progress: Callable[[int, int | None], object] | None = None,
    verbose: bool = True,
) -> Catalog:
    """Work on all galaxies of a source, and return the rows as a catalogue.

    Parameters
    ----------
    task : Task
    source : Source
    out : path-like, optional
        The catalogue on disk; see `peculiar.catalogs.survey.write_survey`. Default: in memory.
    done : str
        The work as the progress calls it: "classified".
    keep, workers, dask, shard_rows, restart, overwrite, partial, progress, verbose
        As in `peculiar.catalogs.predict.predict`.

    Raises
    ------
    UsageError
        If an option needs a catalogue on disk, or pictures in files.
    IncompleteError
        If some shards failed and `partial` is not set; finished parts are kept.

    Warns
    -----
    PeculiarWarning
        If there are no galaxies.
    """
    with ExitStack() as stack:
        if progress is None:
            progress = stack.enter_context(reporting(done)) if verbose else _silent
        if out is None or isinstance(source, MemorySource):
            on_disk = {"workers": workers > 1, "dask": dask, "shard_rows": shard_rows, "restart": restart}
            stray = [name for name, value in {**on_disk, "partial": partial}.items() if value]
            if stray:
                message = f"{', '.join(stray)}: only for pictures in files and a catalogue on disk (out)"
                raise UsageError(message)
            catalog = _in_memory(task, source, keep, progress)
            if out is not None:
                catalog.write(out)
            _warn_of_nothing(source, len(catalog))
            return catalog
        summary = write_survey(
            source,
            place(out),
            task,
            keep=keep,
            workers=workers,
            dask=dask,
            shard_rows=shard_rows,
            restart=restart,
            overwrite=overwrite,
            partial=partial,
            progress=progress,
        )
    if summary.failed and not partial:
        raise IncompleteError(_failure_message(summary), summary)
    catalog = Catalog.of_file(place(out), pictures=source)
    catalog.summary = summary
    _warn_of_nothing(source, summary.tally.rows)
    return catalog


def _warn_of_nothing(source: Source, rows: int) -> None:
    if not rows:
        warnings.warn(f"{source.path} holds no galaxies; the catalogue is empty", PeculiarWarning, stacklevel=4)


def _in_memory(
    task: Task, source: Source, keep: Sequence[str], progress: Callable[[int, int | None], object]
) -> Catalog:
    started, tally, total = time.perf_counter(), Tally(), len(source)
    columns = task.columns(source)
    carried = carried_columns(source, columns, keep)
    batches = []
    with threadpool_limits(1):  # as in `peculiar.catalogs.engines`
        for batch in task.rows(source, tally, carried=carried, decoders=2, name=source.name):
            batches.append(batch)
            progress(tally.rows, total)
    columns += carried
    table = pa.Table.from_batches(batches, schema_of(columns))
    catalog = Catalog.of_rows(columns, table, task.notes(source), pictures=source)
    catalog.summary = Summary(None, tally, {}, 0, time.perf_counter() - started)
    return catalog


def _failure_message(summary: Summary) -> str:
    name, reason = next(iter(summary.failed.items()))
    count = len(summary.failed)
    which = "1 part of the data failed" if count == 1 else f"{count:,} parts of the data failed, the first"
    return (
        f"{which}: {name}: {reason}; repair it, and the same call continues with the "
        "rest. partial=True writes the catalogue without the failed parts"
    )


def _silent(done: int, total: int | None) -> None:
    """Ignore the progress."""


def absolute(data: Any) -> Any:
    """Return paths as absolute ones, for workers in other working directories; other data as they are."""
    if isinstance(data, str | os.PathLike):
        return place(data).absolute()
    return [absolute(one) for one in data] if isinstance(data, list | tuple) else data
