"""`peculiar predict`: classify galaxies into a catalogue."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from peculiar.cli.options import (
    Bands,
    DataFiles,
    DecColumn,
    Fast,
    IdColumn,
    Json,
    Overwrite,
    Positions,
    RaColumn,
    StampSize,
    Views,
    open_pictures,
)
from peculiar.cli.progress import bar
from peculiar.cli.terminal import err, out, print_json, print_unreadable, some_galaxies

if TYPE_CHECKING:
    from peculiar.catalogs.survey import Catalogued


def predict(
    data: DataFiles,
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
    positions: Positions = None,
    stamp_size: StampSize = "128px",
    bands: Bands = "",
    id_column: IdColumn = None,
    ra: RaColumn = None,
    dec: DecColumn = None,
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
    keep: Annotated[
        str, typer.Option(help="Columns of the data to carry along, with commas between: mag,z,tile.")
    ] = "",
    restart: Annotated[bool, typer.Option("--restart", help="Start over, and ignore what was done before.")] = False,
    overwrite: Overwrite = False,
    partial: Annotated[
        bool, typer.Option("--partial", help="Write the catalogue also if parts of the data cannot be read at all.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Classify galaxies into a catalogue; the same command goes on with a run that was stopped."""
    from peculiar.catalogs.survey import predict_catalog
    from peculiar.images.decode import parse_crop
    from peculiar.models.model_file import cores, load_model
    from peculiar.tables.reader import Keys

    opened = load_model(model)
    if dask is not None:  # the workers of a cluster may stand in other folders
        data, positions = [path.absolute() for path in data], positions and positions.absolute()
    source = open_pictures(data, positions, stamp_size, bands, Keys(id_column, ra, dec))
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
            keep=[name.strip() for name in keep.split(",") if name.strip()],
            restart=restart,
            overwrite=overwrite,
            partial=partial,
            progress=lambda done, total: show(completed=done, total=total),
        )
    if as_json:
        print_json({"out": str(file), **result.as_dict()})
    else:
        _print_catalogued(result)
    if result.failed or _all_unreadable(result):
        raise typer.Exit(1)


def _all_unreadable(result: "Catalogued") -> bool:
    return 0 < result.tally.rows == result.tally.flagged.get("unreadable", 0)


def _print_catalogued(result: "Catalogued") -> None:
    if result.already:
        out.print(f"Already done: the same command wrote {result.path} (--restart makes it again)")
    tally, new = result.tally, result.tally.rows - result.kept
    print_unreadable(tally.problems, tally.flagged.get("unreadable", 0))
    counts = ", ".join(f"{name} {count:,}" for name, count in sorted(tally.classes.items()))
    earlier = f", {result.kept:,} of them by an earlier run, {new:,}" if result.kept and not result.already else ""
    pace = "" if result.already else f" in {result.seconds:.1f} s ({new / result.seconds:,.0f} a second)"
    out.print(f"{some_galaxies(tally.rows)}{earlier}{pace}" + (f": {counts}" if counts else ""))
    if _all_unreadable(result):
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
