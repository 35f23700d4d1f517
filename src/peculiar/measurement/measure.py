"""Measure galaxies: the function behind `peculiar measure`."""

import math
import os
import re
from collections.abc import Callable, Sequence
from typing import Any

from peculiar.catalogs.catalog import Catalog
from peculiar.catalogs.make import absolute, make_catalog
from peculiar.errors import UsageError, extra
from peculiar.files.places import place
from peculiar.measurement.galaxy import Settings
from peculiar.measurement.rows import Measurement
from peculiar.sources import open_pictures


def measure(
    data: Any,
    out: str | os.PathLike[str] | None = None,
    *,
    band: str | None = None,
    positions: str | os.PathLike[str] | None = None,
    detect: bool = False,
    stamp_size: str = "128px",
    psf: str | None = None,
    deblend: float | None = None,
    subtract_sky: bool = True,
    multimode: bool = False,
    keep: Sequence[str] = (),
    id: str | None = None,
    ra: str | None = None,
    dec: str | None = None,
    workers: int = 1,
    dask: str | None = None,
    shard_rows: int | None = None,
    restart: bool = False,
    overwrite: bool = False,
    partial: bool = False,
    progress: Callable[[int, int | None], object] | None = None,
    verbose: bool = True,
) -> Catalog:
    """Measure galaxies: position, flux, radii, shape, asymmetry, and a Sersic fit.

    Measured by statmorph (Rodriguez-Gomez et al. 2019) on the object in the middle of each picture, which photutils
    finds. FITS images are measured on linear pixels, with the noise, mask, segments and point spread function that
    their companions state; other pictures on their brightness, which is not linear (column ``measured_on``). There is
    one row per input row, in the same order: a galaxy that cannot be measured keeps its row, with nulls and a flag.
    A call with `out` that was stopped continues when it is repeated.

    Parameters
    ----------
    data : path-like, sequence of path-like, array, list of PIL.Image.Image, or Source
        Galaxies with pictures, as for `predict`.
    out : path-like, optional
        The table: a file ``.parquet``, ``.csv``, ``.fits``, ``.vot`` or ``.ecsv``, or, without a suffix, a folder of
        Parquet parts. Default: in memory.
    band : str, optional
        Band of FITS images to measure: "r", or the number of a plane. Default: of several bands that `predict` would
        use, the middle one, of two the redder one.
    positions : path-like, optional
        A table with the columns ``ra`` and ``dec``: stamps are cut from the mosaics `data`.
    detect : bool
        Cut stamps around the objects, galaxies and stars, that photutils detects in the mosaics `data`; needs the extra
        ``measure``.
    stamp_size : str
        Side of a stamp: "128px", "30arcsec", or "4xR50" (four times the column ``R50``). The sky has to be visible
        around the galaxy.
    psf : str, optional
        Full width at half maximum of a Gaussian point spread function, for images without one of their own:
        "1.2arcsec" or "3px". Only the Sersic fit uses it.
    deblend : float, optional
        Contrast above which touching objects are separated, from 0 to 1; default: they are not, so that both halves of
        a merger count.
    subtract_sky : bool
        Subtract the sky; set it to False for images whose sky is subtracted exactly.
    multimode : bool
        Also compute the multimode statistic, which takes as long as all other measures together.
    keep : sequence of str
        Columns of the data to copy to the table.
    id, ra, dec : str, optional
        Columns of ids and positions; default: the usual names.
    workers, dask, shard_rows, restart, overwrite, partial, progress, verbose
        As for `predict`.

    Returns
    -------
    Catalog
        Its columns are those of `peculiar.measurement.columns.MEASURES`, after id and position; fluxes are in the unit
        of the image, radii in pixels and, if the scale is known, in arcsec, angles in degrees.

    Raises
    ------
    MissingExtraError
        If statmorph or photutils is not installed.
    NotFoundError, DataError
        If the data do not exist, or are of no known kind.
    IncompleteError
        If some shards failed and `partial` is not set; finished parts are kept.
    UsageError
        If an option is out of range, or `out` may not be replaced.
    UnknownNameError
        If a named column does not exist.
    OSError
        If `out` cannot be written; finished parts are kept.

    Warns
    -----
    PeculiarWarning
        If part of the input has changed since the run was started, and is measured again; or if there are no galaxies.

    Examples
    --------
    >>> import peculiar
    >>> measures = peculiar.measure("pictures", "measures.parquet", verbose=False)
    >>> measures.columns["half_light_radius"].unit
    'pix'
    """
    with extra("measuring galaxies", "measure"):
        import photutils  # noqa: F401
        import statmorph  # noqa: F401
    if deblend is not None and not 0 <= deblend <= 1:
        message = f"deblend is a contrast from 0 to 1; received {deblend:g}"
        raise UsageError(message)
    width, unit = (None, "arcsec") if psf is None else parse_psf(psf)
    if dask is not None:  # the workers of a cluster may have other working directories
        data, positions = absolute(data), None if positions is None else place(positions).absolute()
    bands = () if band is None else (band,)
    source = open_pictures(data, positions, detect=detect, stamp_size=stamp_size, bands=bands, id=id, ra=ra, dec=dec)
    return make_catalog(
        Measurement(Settings(deblend, subtract_sky, width, unit, multimode)),
        source,
        out,
        done="measured",
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


def parse_psf(text: str) -> tuple[float, str]:
    """Parse the width of a point spread function, "1.2arcsec" or "3px", into value and unit.

    Raises
    ------
    UsageError
        If it is neither.
    """
    match = re.fullmatch(r"(\d+\.?\d*|\.\d+)\s*(px|arcsec)", text.strip())
    width = float(match[1]) if match else 0.0
    if match is None or not 0 < width < math.inf:
        message = f"the width of a point spread function is given as 1.2arcsec or 3px; received {text!r}"
        raise UsageError(message)
    return width, match[2]
