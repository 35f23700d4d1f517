"""`peculiar predict`: galaxies to a catalogue."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from peculiar.cli.options import Fast, Json, Views
from peculiar.cli.progress import bar
from peculiar.cli.terminal import err, out, print_json, some_galaxies

if TYPE_CHECKING:
    from peculiar.batch import Catalogued


def predict(
    data: Annotated[
        list[Path],
        typer.Argument(
            help="Galaxies: an NPZ, HDF5, Parquet, CSV, ECSV, FITS or VOTable file, a folder of pictures, FITS or "
            "Parquet, or a tar of pictures; or several files, all pictures, FITS images, Parquet tables or tars.",
            show_default=False,
        ),
    ],
    file: Annotated[
        Path,
        typer.Option(
            "--out", help="Catalogue to write: .parquet, .csv, .fits, .vot or .ecsv; or a folder for Parquet parts."
        ),
    ] = Path("catalog.parquet"),
    model: Annotated[Path | None, typer.Option(help="Model file (.onnx); default: the model that ships.")] = None,
    embeddings: Annotated[
        bool, typer.Option("--embeddings", help="Keep what the network makes of each picture, for searching.")
    ] = False,
    positions: Annotated[
        Path | None,
        typer.Option(
            "--catalog",
            help="Table with ra and dec (degrees): cut stamps out of a FITS mosaic.",
            show_default=False,
        ),
    ] = None,
    stamp_size: Annotated[
        str, typer.Option(help="Side of a stamp: 128px, 30arcsec, or 4xR50 (radii in the column R50, in arcsec).")
    ] = "128px",
    bands: Annotated[
        str, typer.Option(help="Bands of FITS images, the reddest first: i,r,g; default: as the files name them.")
    ] = "",
    views: Views = None,
    crop: Annotated[
        str | None,
        typer.Option(
            help="What to show the network: galaxy, whole, or a number of pixels; default: as the model says."
        ),
    ] = None,
    fast: Fast = False,
    batch_size: Annotated[int, typer.Option(help="Pictures that go through the network together.")] = 32,
    workers: Annotated[
        int | None, typer.Option(help="Processes that share the work; default: one a core.", show_default=False)
    ] = None,
    dask: Annotated[
        str | None,
        typer.Option(help="Instead: the address of a Dask scheduler, or local to start one.", show_default=False),
    ] = None,
    shard_rows: Annotated[
        int | None,
        typer.Option(
            help="Galaxies a part, about: what a crash may cost; default: 128 to 2,048, by their number.",
            show_default=False,
        ),
    ] = None,
    restart: Annotated[bool, typer.Option("--restart", help="Begin anew, whatever was done before.")] = False,
    partial: Annotated[
        bool, typer.Option("--partial", help="Write the catalogue also if parts of the data cannot be read at all.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Classify galaxies into a catalogue; the same command goes on with a run that was stopped."""
    from peculiar.batch import predict_catalog
    from peculiar.image import parse_crop
    from peculiar.model import cores, load_model
    from peculiar.sources import open_mosaic, open_source

    opened = load_model(model)
    # The workers of a cluster may stand in other folders.
    data = data if dask is None else [path.absolute() for path in data]
    if positions is None:
        source = open_source(data, bands=bands)
    else:
        positions = positions if dask is None else positions.absolute()
        source = open_mosaic(data, positions, stamp_size=stamp_size, bands=bands)
    framing = replace(opened.framing, fast=fast)
    if crop is not None:
        framing = replace(framing, crop=parse_crop(crop))
    with bar("; the same command goes on from there", task="classifying") as show:
        result = predict_catalog(
            source,
            file,
            opened,
            embeddings=embeddings,
            views=views,
            framing=framing,
            batch_size=batch_size,
            workers=cores() if workers is None else workers,
            dask=dask,
            shard_rows=shard_rows,
            restart=restart,
            partial=partial,
            progress=lambda done, total: show(completed=done, total=total),
        )
    if as_json:
        print_json({"out": str(file), **result.as_dict()})
    else:
        _print_catalogued(result)
    if result.failed or (result.tally.rows and not result.tally.classes):
        raise typer.Exit(1)


def _print_catalogued(result: "Catalogued") -> None:
    tally, new = result.tally, result.tally.rows - result.kept
    for id_, reason in tally.problems.items():
        err.print(f"{id_} cannot be read: {reason}")
    unread = tally.flagged.get("unreadable", 0) - len(tally.problems)
    if unread > 0:
        err.print(f"and {unread:,} more cannot be read")
    counts = ", ".join(f"{name} {count:,}" for name, count in sorted(tally.classes.items()))
    earlier = f", {result.kept:,} of them by an earlier run, {new:,}" if result.kept else ""
    pace = f"in {result.seconds:.1f} s ({new / result.seconds:,.0f} a second)"
    out.print(f"{some_galaxies(tally.rows)}{earlier} {pace}" + (f": {counts}" if counts else ""))
    if tally.rows and not counts:
        err.print("none of them can be read; paths in a table are relative to its folder")
    flagged = dict(tally.flagged)
    unlike = flagged.pop("unlike", 0)
    if flagged:
        out.print(f"flagged: {', '.join(f'{name} {count:,}' for name, count in flagged.items())}")
    if unlike:
        out.print(f"unlike what the model was trained on: {unlike:,} (ood above 1; of galaxies like those 1 in 20 is)")
    for name, reason in result.failed.items():
        err.print(f"{name} failed: {reason}")
    if result.path.exists():
        out.print(f"The catalogue is in {result.path}")
    if result.failed:
        err.print(
            f"failed parts of the data: {len(result.failed):,}; mend them, then the same command goes on with what is "
            "left. --partial writes the catalogue without them"
        )
