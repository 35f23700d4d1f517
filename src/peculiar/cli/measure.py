"""`peculiar measure`: measure sizes, fluxes and shapes of galaxies."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from peculiar.cli.options import (
    Dask,
    DataFiles,
    DecColumn,
    Detect,
    IdColumn,
    Json,
    Overwrite,
    Positions,
    RaColumn,
    Restart,
    StampSize,
    listed,
)
from peculiar.cli.progress import bar
from peculiar.cli.terminal import out, print_failures, print_json, print_unreadable
from peculiar.text import counted

if TYPE_CHECKING:
    from peculiar.catalogs.tally import Summary

EXAMPLES = (
    "peculiar measure stamps/ --out measures.parquet",
    "peculiar measure tiles/ --catalog positions.csv --psf 1.2arcsec --out measures.fits",
)


def measure(
    data: DataFiles,
    file: Annotated[
        Path,
        typer.Option(
            "--out", help="Table to write: .parquet, .csv, .fits, .vot or .ecsv; or a folder for Parquet parts."
        ),
    ] = Path("measures.parquet"),
    band: Annotated[
        str | None,
        typer.Option(
            help="Band of FITS images to measure: r; default: the middle one of those that predict would use."
        ),
    ] = None,
    positions: Positions = None,
    detect: Detect = False,
    stamp_size: StampSize = "128px",
    psf: Annotated[
        str | None,
        typer.Option(
            help="Width (FWHM) of the point spread function, for images without one of their own: 1.2arcsec or 3px.",
            show_default=False,
        ),
    ] = None,
    deblend: Annotated[
        float | None,
        typer.Option(
            help="Separate touching objects above this contrast, 0 to 1; default: they count as one galaxy.",
            show_default=False,
        ),
    ] = None,
    keep_sky: Annotated[
        bool, typer.Option("--keep-sky", help="Do not subtract the sky: it is subtracted exactly already.")
    ] = False,
    multimode: Annotated[
        bool, typer.Option("--multimode", help="Also compute the multimode statistic, which doubles the time.")
    ] = False,
    id_column: IdColumn = None,
    ra: RaColumn = None,
    dec: DecColumn = None,
    keep: Annotated[
        str, typer.Option(help="Columns of the data to copy into the table, separated by commas: mag,z,tile.")
    ] = "",
    dask: Dask = None,
    shard_rows: Annotated[
        int | None,
        typer.Option(
            help="Approximate number of galaxies per shard, the most that a crash can lose; default: 8 to 256.",
            show_default=False,
        ),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help="Number of processes; default: one per core.", show_default=False)
    ] = None,
    restart: Restart = False,
    overwrite: Overwrite = False,
    partial: Annotated[
        bool, typer.Option("--partial", help="Write the table even if parts of the data cannot be read.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Measure galaxies: flux, radii, asymmetry, Sersic fit; the same command continues a run that was stopped."""
    from peculiar.errors import IncompleteError
    from peculiar.measurement.measure import measure as run_measure
    from peculiar.models.model_file import cores

    with bar("; the same command continues from there", task="measuring") as show:
        try:
            summary = run_measure(
                data,
                file,
                band=band,
                positions=positions,
                detect=detect,
                stamp_size=stamp_size,
                psf=psf,
                deblend=deblend,
                subtract_sky=not keep_sky,
                multimode=multimode,
                keep=listed(keep),
                id=id_column,
                ra=ra,
                dec=dec,
                workers=cores() if workers is None else workers,
                dask=dask,
                shard_rows=shard_rows,
                restart=restart,
                overwrite=overwrite,
                partial=partial,
                progress=lambda done, total: show(completed=done, total=total),
            ).summary
        except IncompleteError as error:
            summary = error.summary
    if as_json:
        print_json(
            {"out": str(file), **{name: value for name, value in summary.as_dict().items() if name != "classes"}}
        )
    else:
        _print(summary, file)
    if summary.failed or summary.all_unreadable:
        raise typer.Exit(1)


def _print(summary: "Summary", file: Path) -> None:
    from peculiar.measurement.columns import UNMEASURED

    if summary.already:
        out.print(f"Already done: the same command wrote {file} (--restart repeats it)")
    tally, new = summary.tally, summary.tally.rows - summary.kept
    print_unreadable(tally.problems, sum(tally.flagged.get(name, 0) for name in UNMEASURED), "measured")
    earlier = f", {summary.kept:,} of them by an earlier run, {new:,}" if summary.kept and not summary.already else ""
    pace = "" if summary.already else f" in {summary.seconds:.1f} s ({summary.seconds / max(new, 1):.2f} s each)"
    out.print(f"{counted(tally.rows, 'galaxy')}{earlier}{pace}")
    if tally.flagged:
        out.print(f"flagged: {', '.join(f'{name} {count:,}' for name, count in tally.flagged.items())}")
    if file.exists():
        out.print(f"The measures are in {file}")
    print_failures(summary, "table")
