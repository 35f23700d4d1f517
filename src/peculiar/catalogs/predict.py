"""Classify galaxies into a catalogue, in memory or on disk."""

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from peculiar.catalogs.catalog import Catalog
from peculiar.catalogs.classification import Classification, Settings
from peculiar.catalogs.make import absolute, make_catalog
from peculiar.files.places import place
from peculiar.images.framing import parse_crop
from peculiar.models.model_file import Model, load_model
from peculiar.sources import open_pictures


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
    detect: bool = False,
    stamp_size: str = "128px",
    bands: str | Sequence[str] = (),
    id: str | None = None,
    ra: str | None = None,
    dec: str | None = None,
    batch_size: int | None = None,
    device: str | None = None,
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

    The catalogue has one row per input row, in the same order: a picture that cannot be read keeps its row, with nulls
    and a flag. Without `out` the catalogue is in memory. With `out` it is written shard by shard, in constant memory,
    and a call that was stopped continues when it is repeated. The result is identical to the bit for all batch sizes,
    shard sizes and numbers of workers.

    Parameters
    ----------
    data : path-like, sequence of path-like, array, list of PIL.Image.Image, or Source
        Galaxies with pictures: anything that `open_source` accepts; an array of shape (n, height, width, 3), uint8 or
        float from 0 to 1; Pillow images; or a source from `open_source`, `open_mosaic` or `simulate`.
    out : path-like, optional
        The catalogue: a file ``.parquet``, ``.csv``, ``.fits``, ``.vot`` or ``.ecsv``, which appears once it is
        complete (until then, finished parts are in the folder ``<out>.parts``); or, without a suffix, a folder of
        Parquet parts.
    model : Model or path-like, optional
        Default: the model that ships.
    embeddings : bool
        Keep the embedding of each galaxy, which `Catalog.similar` and other searches need.
    views : int, optional
        Number of turned and mirrored views to average over, 1 to 8; default: as in the model's card.
    crop : int or {"galaxy", "whole"}, optional
        Part of the picture to classify: the galaxy in the middle, the whole picture, or a number of pixels; default: as
        in the model's card.
    fast : bool
        Let the decoder reduce JPEGs: faster, with slightly different pixels.
    keep : sequence of str
        Columns of the data to copy to the catalogue.
    positions : path-like, optional
        A table with the columns ``ra`` and ``dec``: stamps are cut from the mosaics `data`.
    detect : bool
        Cut stamps around the objects, galaxies and stars, that photutils detects in the mosaics `data`; needs the extra
        ``measure``.
    stamp_size : str
        Side of a stamp: "128px", "30arcsec", or "4xR50" (four times the column ``R50``).
    bands : str or sequence of str
        Bands of FITS images, the reddest first: "i,r,g".
    id, ra, dec : str, optional
        Columns of ids and positions; default: the usual names.
    batch_size : int, optional
        Number of pictures per batch; it changes only the speed. Default: 32 on the processor, 256 on a GPU, fewer if
        its memory does not suffice.
    device : str, optional
        Device for a model that is given by its path, as in `load_model`. A GPU rounds differently than the processor.
    workers : int
        Number of processes. With 1, this process uses all cores; several processes have one core each and need `out`. A
        script that uses several has to start its work below ``if __name__ == "__main__":``.
    dask : str, optional
        Address of a Dask scheduler to use instead of processes, or "local" to start one with `workers` processes.
    shard_rows : int, optional
        Approximate number of rows per shard; a shard ends at the end of a file or row group. Default: 128 to 2,048,
        depending on the number of rows, or as in the run that is continued.
    restart : bool
        Start over, ignoring the parts of an earlier call.
    overwrite : bool
        Replace existing output, also if another call wrote it.
    partial : bool
        Write the catalogue even if some shards failed, without their rows.
    progress : callable, optional
        Called with the number of finished galaxies and the total; the total is None if a damaged file cannot be
        counted.
    verbose : bool
        Show progress on standard error if `progress` is not given.

    Returns
    -------
    Catalog
        Its `Catalog.summary` has the counts of classes, flags and failures.

    Raises
    ------
    NotFoundError, DataError
        If the data do not exist, or are of no known kind.
    IncompleteError
        If some shards failed and `partial` is not set; finished parts are kept, and the same call retries the failed
        shards.
    UsageError
        If the suffix of `out` is unknown, a number is out of range, or an option needs `out`; or if `out` is the input,
        was written by another call, or was started with other settings or from files that are gone.
    UnknownNameError
        If a named column does not exist.
    LedgerError
        If the ledger is damaged.
    MissingExtraError
        If Dask is requested and not installed.
    OSError
        If `out` cannot be written; finished parts are kept.

    Warns
    -----
    PeculiarWarning
        If part of the input has changed since the run was started, and is classified again; or if there are no
        galaxies.

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
    model = model if isinstance(model, Model) else load_model(model, device=device)
    if dask is not None:  # the workers of a cluster may have other working directories
        data, positions = absolute(data), None if positions is None else place(positions).absolute()
    source = open_pictures(data, positions, detect=detect, stamp_size=stamp_size, bands=bands, id=id, ra=ra, dec=dec)
    framing = replace(model.framing, fast=fast)
    if crop is not None:
        framing = replace(framing, crop=parse_crop(crop) if isinstance(crop, str) else crop)
    settings = Settings(framing, model.card.views if views is None else views, embeddings)
    model.check_views(settings.views)
    return make_catalog(
        Classification(model, settings, batch_size),
        source,
        out,
        done="classified",
        keep=keep,
        workers=workers,
        dask=dask,
        shard_rows=shard_rows,
        restart=restart,
        overwrite=overwrite,
        partial=partial,
        progress=progress,
        verbose=verbose,
    )
