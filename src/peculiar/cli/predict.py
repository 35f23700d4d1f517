"""`peculiar predict`: classify galaxies into a catalogue."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from peculiar.cli.options import (
    Bands,
    Dask,
    DataFiles,
    DecColumn,
    Detect,
    Device,
    Fast,
    IdColumn,
    Json,
    Overwrite,
    Positions,
    RaColumn,
    Restart,
    StampSize,
    Views,
    listed,
)
from peculiar.cli.progress import bar
from peculiar.cli.terminal import err, out, print_failures, print_json, print_unreadable
from peculiar.text import counted

if TYPE_CHECKING:
    from peculiar.catalogs.tally import Summary

EXAMPLES = (
    "peculiar predict pictures/",
    "peculiar predict tiles/ --catalog positions.csv --stamp-size 30arcsec --out survey.parquet",
    "peculiar predict galaxies.parquet --model mine.onnx --embeddings --out catalog.parquet",
)


def predict(
    data: DataFiles,
    file: Annotated[
        Path,
        typer.Option(
            "--out", help="Catalogue to write: .parquet, .csv, .fits, .vot or .ecsv; or a folder for Parquet parts."
        ),
    ] = Path("catalog.parquet"),
    model: Annotated[Path | None, typer.Option(help="Model file (.onnx); default: the model that ships.")] = None,
    positions: Positions = None,
    detect: Detect = False,
    embeddings: Annotated[
        bool, typer.Option("--embeddings", help="Keep the embedding of each picture, for searching.")
    ] = False,
    id_column: IdColumn = None,
    ra: RaColumn = None,
    dec: DecColumn = None,
    stamp_size: StampSize = "128px",
    bands: Bands = "",
    dask: Dask = None,
    shard_rows: Annotated[
        int | None,
        typer.Option(
            help="Approximate number of galaxies per shard, the most that a crash can lose; default: 128 to 2,048.",
            show_default=False,
        ),
    ] = None,
    keep: Annotated[
        str, typer.Option(help="Columns of the data to copy into the catalogue, separated by commas: mag,z,tile.")
    ] = "",
    views: Views = None,
    crop: Annotated[
        str | None,
        typer.Option(help="Crop of the pictures: galaxy, whole, or a number of pixels; default: that of the model."),
    ] = None,
    fast: Fast = False,
    batch_size: Annotated[
        int | None,
        typer.Option(help="Number of pictures per batch; default: 32, or 256 on a GPU.", show_default=False),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(help="Number of processes; default: one per core, or one for a GPU.", show_default=False),
    ] = None,
    device: Device = "auto",
    restart: Restart = False,
    overwrite: Overwrite = False,
    partial: Annotated[
        bool, typer.Option("--partial", help="Write the catalogue even if parts of the data cannot be read.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Classify galaxies into a catalogue; the same command continues a run that was stopped."""
    from peculiar.catalogs.predict import predict as run_predict
    from peculiar.errors import IncompleteError
    from peculiar.models.devices import CPU, choose
    from peculiar.models.model_file import cores

    with bar("; the same command continues from there", task="classifying") as show:
        try:
            summary = run_predict(
                data,
                file,
                model,
                embeddings=embeddings,
                views=views,
                crop=crop,
                fast=fast,
                keep=listed(keep),
                positions=positions,
                detect=detect,
                stamp_size=stamp_size,
                bands=bands,
                id=id_column,
                ra=ra,
                dec=dec,
                batch_size=batch_size,
                workers=(cores() if choose().name == CPU else 1) if workers is None else workers,
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
        print_json({"out": str(file), **summary.as_dict()})
    else:
        _print(summary, file)
    if summary.failed or summary.all_unreadable:
        raise typer.Exit(1)


def _print(summary: "Summary", file: Path) -> None:
    if summary.already:
        out.print(f"Already done: the same command wrote {file} (--restart repeats it)")
    tally, new = summary.tally, summary.tally.rows - summary.kept
    print_unreadable(tally.problems, tally.flagged.get("unreadable", 0))
    counts = ", ".join(f"{name} {count:,}" for name, count in sorted(tally.classes.items()))
    earlier = f", {summary.kept:,} of them by an earlier run, {new:,}" if summary.kept and not summary.already else ""
    pace = "" if summary.already else f" in {summary.seconds:.1f} s ({new / summary.seconds:,.0f} a second)"
    out.print(f"{counted(tally.rows, 'galaxy')}{earlier}{pace}" + (f": {counts}" if counts else ""))
    if summary.all_unreadable:
        missing = any("no such file" in why.lower() for why in tally.problems.values())
        hint = "; paths in a table are relative to its folder" if missing else ""
        err.print(f"none of the pictures can be read{hint}")
    flagged = dict(tally.flagged)
    unlike = flagged.pop("unlike", 0)
    if flagged:
        out.print(f"flagged: {', '.join(f'{name} {count:,}' for name, count in flagged.items())}")
    if unlike:
        galaxies = counted(unlike, "galaxy", "look", "looks")
        out.print(f"{galaxies} unlike the training set (ood > 1; about 5 % of ordinary galaxies do)")
    if file.exists():
        out.print(f"The catalogue is in {file}")
    print_failures(summary, "catalogue")
