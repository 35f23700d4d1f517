"""Classify galaxies into a catalogue, in memory or on the disk."""

import os
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
from threadpoolctl import threadpool_limits

from peculiar.catalogs.catalog import Catalog
from peculiar.catalogs.rows import Settings, carried_columns, classified, columns_of, provenance
from peculiar.catalogs.survey import write_survey
from peculiar.catalogs.tally import Summary, Tally
from peculiar.errors import IncompleteError, UsageError
from peculiar.images.decode import parse_crop
from peculiar.models.model_file import Model, load_model
from peculiar.progress import telling
from peculiar.sources import MemorySource, open_pictures
from peculiar.sources.stream import Source
from peculiar.tables.writers.stream import schema_of


def predict(
    data: Any,
    out: str | os.PathLike[str] | None = None,
    model: Model | str | os.PathLike[str] | None = None,
    *,
    embeddings: bool = False,
    views: int | None = None,
    crop: int | str | None = None,
    fast: bool = False,
    keep: Sequence[str] = (),
    positions: str | os.PathLike[str] | None = None,
    stamp_size: str = "128px",
    bands: str | Sequence[str] = (),
    id: str | None = None,
    ra: str | None = None,
    dec: str | None = None,
    batch_size: int = 32,
    workers: int = 1,
    dask: str | None = None,
    shard_rows: int | None = None,
    restart: bool = False,
    overwrite: bool = False,
    partial: bool = False,
    progress: Callable[[int, int | None], object] | None = None,
    verbose: bool = True,
) -> Catalog:
    """Classify galaxies into a catalogue.

    Rows out are rows in, in their order: a picture that cannot be read keeps its row, with nulls and a flag. Without
    `out` the catalogue is in memory. With it the catalogue is written piece by piece, in constant memory, and a call
    that was stopped goes on when it is made again. The result is the same to the bit, also with other sizes of batches
    and shards, and any number of workers.

    Parameters
    ----------
    data : path-like, sequence of path-like, array, list of PIL.Image.Image, or Source
        Galaxies with pictures: what `open_source` takes; an array of uint8 or of floats from 0 to 1, of shape (n,
        height, width, 3); pictures of Pillow; what `open_source`, `open_mosaic` and `simulate` return.
    out : path-like, optional
        The catalogue: ``.parquet``, ``.csv``, ``.fits``, ``.vot`` or ``.ecsv``, which is there once it is whole (until
        then, what is done is in the folder ``<out>.parts``); or, without a suffix, a folder of Parquet parts.
    model : Model or path-like, optional
        By default the model that ships.
    embeddings : bool
        Keep the embedding of each galaxy, which `Catalog.similar` and others need.
    views : int, optional
        Average over so many turned and mirrored views, 1 to 8; by default as the model's card says.
    crop : int or {"galaxy", "whole"}, optional
        What to show the network: the galaxy in the middle, the whole picture, or so many pixels; by default as the
        model says.
    fast : bool
        Let the decoder reduce JPEGs: faster, pixels differ slightly.
    keep : sequence of str
        Columns of the data that the catalogue carries along.
    positions : path-like, optional
        A table with the columns ``ra`` and ``dec``: stamps are cut out of the mosaics `data`.
    stamp_size : str
        Side of a stamp: "128px", "30arcsec", or "4xR50", by a column of radii.
    bands : str or sequence of str
        Of FITS images, the bands to show, the reddest first: "i,r,g".
    id, ra, dec : str, optional
        The columns of a table that hold ids and positions; by default those of the usual names.
    batch_size : int
        Pictures that go through the network together.
    workers : int
        Processes. One works in this process, with all cores; several have a core each, and need `out`. A script that
        asks for several has to keep its own work below ``if __name__ == "__main__":``.
    dask : str, optional
        Instead of processes: the address of a Dask scheduler, or "local" to start one with `workers` processes.
    shard_rows : int, optional
        Rows of a shard, about; a shard ends where a file or a row group does. By default 128 to 2,048, by their number,
        or as the run was begun.
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
    Catalog
        Its `Catalog.summary` says what became of the galaxies.

    Raises
    ------
    NotFoundError, DataError
        If the data are not there, or none of the kinds that are known.
    IncompleteError
        If some shards failed, and `partial` is not set; what is done is kept, and the same call tries the failed ones
        again.
    UsageError
        If the suffix of `out` is not known, a number is out of range, an option needs `out` and there is none, `out` is
        the input, was not written by the same call, or was begun otherwise or from files that are gone.
    UnknownNameError
        If there is no column of a name that was given.
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

    Examples
    --------
    >>> import peculiar
    >>> catalog = peculiar.predict("pictures", verbose=False)
    >>> len(catalog)
    12
    >>> on_disk = peculiar.predict("pictures", "found.parquet", embeddings=True, verbose=False)
    >>> on_disk.to_arrow().column("class").equals(catalog.to_arrow().column("class"))
    True
    """
    model = model if isinstance(model, Model) else load_model(model)
    if dask is not None:  # the workers of a cluster may stand in other folders
        data, positions = _absolute(data), None if positions is None else Path(positions).absolute()
    source = open_pictures(data, positions, stamp_size=stamp_size, bands=bands, id=id, ra=ra, dec=dec)
    framing = replace(model.framing, fast=fast)
    if crop is not None:
        framing = replace(framing, crop=parse_crop(crop) if isinstance(crop, str) else crop)
    settings = Settings(framing, model.card.views if views is None else views, embeddings)
    model.check_views(settings.views)
    with ExitStack() as stack:
        if progress is None:
            progress = stack.enter_context(telling("classified")) if verbose else _silent
        if out is None or isinstance(source, MemorySource):
            on_disk = {"workers": workers > 1, "dask": dask, "shard_rows": shard_rows, "restart": restart}
            stray = [name for name, value in {**on_disk, "partial": partial}.items() if value]
            if stray:
                message = f"{', '.join(stray)}: only for pictures in files and a catalogue on the disk (out)"
                raise UsageError(message)
            catalog = _in_memory(source, model, settings, keep, batch_size, progress)
            if out is not None:
                catalog.write(out)
            return catalog
        summary = write_survey(
            source,
            Path(out),
            model,
            settings,
            keep=keep,
            batch_size=batch_size,
            workers=workers,
            dask=dask,
            shard_rows=shard_rows,
            restart=restart,
            overwrite=overwrite,
            partial=partial,
            progress=progress,
        )
    if summary.failed and not partial:
        raise IncompleteError(_told(summary), summary)
    catalog = Catalog.of_file(Path(out), pictures=source)
    catalog.summary = summary
    return catalog


def _in_memory(
    source: Source,
    model: Model,
    settings: Settings,
    keep: Sequence[str],
    batch_size: int,
    progress: Callable[[int, int | None], object],
) -> Catalog:
    started, tally, total = time.perf_counter(), Tally(), len(source)
    columns = columns_of(source, model, settings)
    carried = carried_columns(source, columns, keep)
    batches = []
    made = classified(source, model, settings, tally, carried=carried, batch_size=batch_size, name=source.name)
    with threadpool_limits(1):  # as in `peculiar.catalogs.engines`
        for batch in made:
            batches.append(batch)
            progress(tally.rows, total)
    columns += carried
    table = pa.Table.from_batches(batches, schema_of(columns))
    catalog = Catalog.of_rows(columns, table, provenance(source, model, settings), pictures=source)
    catalog.summary = Summary(None, tally, {}, 0, time.perf_counter() - started)
    return catalog


def _told(summary: Summary) -> str:
    name, reason = next(iter(summary.failed.items()))
    count = len(summary.failed)
    which = "1 part of the data" if count == 1 else f"{count:,} parts of the data, the first of them"
    return (
        f"{which} failed: {name}: {reason}; repair it, and the same call continues with the rest. partial=True writes "
        "the catalogue without what failed"
    )


def _silent(done: int, total: int | None) -> None:
    """Say nothing."""


def _absolute(data: Any) -> Any:
    if isinstance(data, str | os.PathLike):
        return Path(data).absolute()
    return [_absolute(one) for one in data] if isinstance(data, list | tuple) else data
