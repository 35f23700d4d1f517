"""`peculiar data`: list, get, pack, convert and check data sets."""

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer

from peculiar.cli.help import Group, with_examples
from peculiar.cli.options import (
    Bands,
    Data,
    DataFiles,
    DecColumn,
    Detect,
    Device,
    IdColumn,
    Json,
    Label,
    Overwrite,
    Positions,
    RaColumn,
    StampSize,
    already,
    listed,
    producing,
)
from peculiar.cli.progress import counting, stopping
from peculiar.cli.terminal import err, out, print_json, print_table, print_unreadable
from peculiar.errors import UnknownNameError, UsageError
from peculiar.text import counted

app = typer.Typer(
    cls=Group,
    help="Describe, get, check, pack and convert sets of galaxies and tables.",
    no_args_is_help=True,
)


@app.command("list", **with_examples("peculiar data list galaxies.parquet"))
def data_list(data: Data, label: Label = None, id_column: IdColumn = None, as_json: Json = False) -> None:
    """Describe a set of galaxies: its kind, the number of galaxies, and the number in each class."""
    from peculiar.sources.get import describe

    found = describe(data, label=label, id=id_column)
    if as_json:
        print_json(found.as_dict())
        return
    out.print(f"{data}: {counted(found.galaxies, 'galaxy')} ({found.kind})")
    unlabelled = found.unlabelled
    if found.label:
        out.print(
            f"labels: {found.label}, of which {unlabelled:,} are empty" if unlabelled else f"labels: {found.label}"
        )
        print_table([["class", "galaxies"], *([name, f"{count:,}"] for name, count in found.classes.items())])
    else:
        out.print("no labels")


@app.command(
    "get",
    **with_examples(
        "peculiar data get exercise --out galaxydata.npz",
        "peculiar data get simulated --count 1000 --out simulated.npz",
        "peculiar data get mock --look euclid_vis --feature lens_arc,einstein_ring --count 500 --out lenses.parquet",
        "peculiar data get --survey legacy --catalog positions.csv --out cutouts",
    ),
)
def data_get(
    context: typer.Context,
    target: Annotated[
        Path,
        typer.Option(
            "--out",
            help="File to write: .parquet for mock, otherwise .npz; with --survey, folder for the cut-outs.",
            show_default=False,
        ),
    ],
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME",
            help="exercise (the 1,400 published galaxies), simulated (of the same four classes), or mock (simulated "
            "with known features, as surveys show them).",
            show_default=False,
        ),
    ] = None,
    catalog: Annotated[
        Path | None, typer.Option(help="Cut-outs: table with the columns ra, dec and id.", show_default=False)
    ] = None,
    id_column: IdColumn = None,
    ra: RaColumn = None,
    dec: DecColumn = None,
    count: Annotated[int, typer.Option(help="Number of simulated galaxies.")] = 1400,
    look: Annotated[
        str,
        typer.Option(
            help="Mock: sdss, decals, hsc, panstarrs, cfhtls, euclid_vis, hst, jwst, random (as no survey), or any "
            "(one of these, drawn for each galaxy). Several, such as sdss,euclid_vis, show each galaxy in every look."
        ),
    ] = "decals",
    feature: Annotated[
        str,
        typer.Option(
            help="Mock: features, such as ring_inner,ring_outer, of which every galaxy has at least one; default: all "
            "kinds of galaxies.",
            show_default=False,
        ),
    ] = "",
    frame_width: Annotated[
        float, typer.Option("--context", help="Mock: width of the frame relative to the usual one, 1 to 4.")
    ] = 1.0,
    survey: Annotated[
        str | None,
        typer.Option(help="Download cut-outs of this survey: sdss, legacy, panstarrs, des or dss.", show_default=False),
    ] = None,
    size_arcsec: Annotated[float | None, typer.Option(help="Cut-outs: side on the sky, in arcsec.")] = None,
    pixels: Annotated[int | None, typer.Option(help="Cut-outs: side in pixels; default: 256.")] = None,
    pixel_scale: Annotated[
        float | None, typer.Option(help="Cut-outs: arcsec per pixel; default: the survey's native scale.")
    ] = None,
    rate: Annotated[
        float | None, typer.Option(help="Cut-outs: maximum requests per second; default: 2 for sdss, otherwise 5.")
    ] = None,
    size: Annotated[int, typer.Option(help="Side of the simulated pictures, in pixels.")] = 128,
    workers: Annotated[int, typer.Option(help="Cut-outs: simultaneous requests.")] = 4,
    seed: Annotated[int, typer.Option(help="Seed of the simulation.")] = 222,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Get a set of galaxies: one by NAME as a file, or cut-outs of a survey at positions in a table as a folder.

    Cut-outs in the folder or in the cache are not downloaded again: after a stop, the same command continues.
    """
    frame = {"size_arcsec": size_arcsec, "pixels": pixels, "pixel_scale": pixel_scale}
    if survey is not None and name is None and catalog is not None:
        options = {**frame, "rate": rate, "workers": workers, "overwrite": overwrite}
        _get_cutouts(catalog, target, survey, {**options, "id": id_column, "ra": ra, "dec": dec}, as_json=as_json)
        return
    if name is None or any(value is not None for value in (survey, catalog, rate, *frame.values())):
        message = (
            "give either NAME (exercise, simulated or mock), or both --survey and --catalog; --size-arcsec, --pixels, "
            "--pixel-scale and --rate are for cut-outs"
        )
        raise UsageError(message)
    from peculiar.sources.get import NAMES, check_suffix, get

    if name not in NAMES:
        raise UnknownNameError("data set", name, NAMES)
    check_suffix(target, NAMES[name])
    chosen: dict[str, Any] = {"looks": listed(look), "features": listed(feature), "context": frame_width}
    with producing(context, target) as request:
        if already(request, target, as_json=as_json):
            return
        with counting("simulating", count) if name == "mock" else nullcontext() as progress:
            get(name, target, count=count, size=size, seed=seed, **chosen, progress=progress)
    if as_json:
        print_json({"written": str(target), "already": False})
    else:
        out.print(f"Written to {target}")


def _get_cutouts(catalog: Path, folder: Path, survey: str, options: dict[str, Any], *, as_json: bool) -> None:
    from peculiar.sources.get import get_cutouts
    from peculiar.sources.surveys import find_survey

    with stopping("finishing running downloads") as stop, counting("fetching") as progress:
        result = get_cutouts(catalog, folder, survey=survey, stop=stop, progress=progress, **options)
    if as_json:
        print_json(result.as_dict())
    else:
        for id_, reason in list(result.problems.items())[:10]:
            err.print(f"{id_}: {reason}")
        counts = {
            "fetched": result.fetched,
            "from the cache": result.cached,
            "there already": result.there,
            "outside the survey": result.outside,
            "failed": result.failed.total(),
            "waiting": result.waiting,
        }
        summary = ", ".join(f"{count:,} {what}" for what, count in counts.items() if count) or "none"
        kinds = ", ".join(f"{kind} {count:,}" for kind, count in result.failed.most_common())
        kinds = f" ({kinds})" if kinds else ""
        out.print(f"{counted(result.rows, 'position')} in {result.seconds:.1f} s: {summary}{kinds}")
        out.print(f"The cut-outs are in {folder}. {find_survey(survey).credit}")
    if result.closed:
        err.print(f"stopped: {result.closed}")
    if not result.complete:
        err.print("The same command continues with what is missing.")
        raise typer.Exit(130 if stop.is_set() and not result.closed else 1)


@app.command(
    "pack", **with_examples("peculiar data pack tiles/ --catalog positions.csv --stamp-size 128px --out stamps.parquet")
)
def data_pack(
    context: typer.Context,
    data: DataFiles,
    file: Annotated[Path, typer.Option("--out", help="Parquet file to write.", show_default=False)],
    positions: Positions = None,
    detect: Detect = False,
    id_column: IdColumn = None,
    ra: RaColumn = None,
    dec: DecColumn = None,
    stamp_size: StampSize = "128px",
    bands: Bands = "",
    overwrite: Overwrite = False,
) -> None:
    """Write pictures, such as stamps of a mosaic, into one Parquet table for searching, labelling and explaining."""
    from peculiar.models.model_file import cores
    from peculiar.sources import open_pictures
    from peculiar.sources.pack import pack

    source = open_pictures(
        data, positions, detect=detect, stamp_size=stamp_size, bands=bands, id=id_column, ra=ra, dec=dec
    )
    with producing(context, file) as request, counting("packing", total=len(source)) as progress:
        if already(request, file):
            return
        packed = pack(source, file, threads=cores(), progress=progress)
    print_unreadable(packed.problems, len(packed.problems))
    out.print(f"Packed {counted(packed.rows, 'galaxy')} into {packed.path}")
    if packed.rows == len(packed.problems):
        raise typer.Exit(1)


@app.command(
    "convert",
    **with_examples(
        "peculiar data convert catalog.parquet catalog.fits", "peculiar data convert catalog.parquet hats/ --hats"
    ),
)
def data_convert(
    context: typer.Context,
    table: Annotated[
        Path,
        typer.Argument(
            help="Parquet, CSV, FITS, VOTable or ECSV file, or a folder of Parquet parts.",
            metavar="TABLE",
            show_default=False,
        ),
    ],
    file: Annotated[
        Path,
        typer.Argument(
            help="Output: .parquet, .csv, .fits, .vot or .ecsv; a folder with --hats.",
            metavar="OUT",
            show_default=False,
        ),
    ],
    ra: RaColumn = None,
    dec: DecColumn = None,
    column: Annotated[
        list[str] | None,
        typer.Option(metavar="<str>", help="Keep this column; may be given several times.", show_default=False),
    ] = None,
    sort: Annotated[bool, typer.Option("--sort", help="Sort by position on the sky (_healpix_29).")] = False,
    as_hats: Annotated[bool, typer.Option("--hats", help="Write a HATS catalogue for LSDB.")] = False,
    name: Annotated[
        str | None,
        typer.Option("--table", help="Table of a FITS or VOTable file with several: name or number; default: 1."),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Write a table in another format, with the units and meanings of its columns."""
    from peculiar.tables.convert import convert

    with producing(context, None if as_hats else file) as request, counting("converting") as progress:
        if already(request, file):
            return
        result = convert(
            table, file, columns=column, sort=sort, as_hats=as_hats, ra=ra, dec=dec, name=name, progress=progress
        )
    out.print(f"{counted(result.rows, 'row', 'are', 'is')} in {file}")
    if result.left_out:
        out.print(f"of which {result.left_out:,} were left out, because they have no position")


@app.command(
    "check",
    **with_examples(
        "peculiar data check my_classes/ --out checks",
        "peculiar data check my_classes/ --split runs/mine --fail-on leak",
    ),
)
def data_check(
    context: typer.Context,
    data: Data,
    folder: Annotated[Path | None, typer.Option("--out", help="Folder for a page with pictures, and JSON.")] = None,
    model: Annotated[
        Path | None, typer.Option(help="Model file whose embeddings judge the labels; default: the model that ships.")
    ] = None,
    device: Device = "auto",
    label: Label = None,
    id_column: IdColumn = None,
    ra: RaColumn = None,
    dec: DecColumn = None,
    radius: Annotated[float, typer.Option(help="Positions closer than this, in arcsec, are neighbours.")] = 1.0,
    split: Annotated[
        str | None,
        typer.Option(help="Column with each galaxy's part of a split; or a table with id and part; or a run."),
    ] = None,
    fix: Annotated[
        Path | None, typer.Option(help="CSV file to write: which galaxies to keep, and why not the others.")
    ] = None,
    fail_on: Annotated[
        list[str] | None,
        typer.Option(
            metavar="<str>", help="Exit with 1 if there are findings of this kind, or any; may be given several times."
        ),
    ] = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Check a set of galaxies for broken pictures, duplicates, leaks, and problems of labels and columns."""
    from peculiar.checks.check import check
    from peculiar.checks.findings import KINDS
    from peculiar.checks.page import write_cleaned, write_report
    from peculiar.sources.get import check_suffix

    if fix is not None:
        check_suffix(fix, ".csv")
    for kind in fail_on or ():
        if kind not in ("any", *map(str, KINDS)):
            raise UnknownNameError("kind of finding", kind, ("any", *map(str, KINDS)))
    pages = [] if folder is None else [folder / "check.json", folder / "index.html"]
    with producing(context, *pages, fix), counting("looking") as progress:
        found = check(
            data,
            label=label,
            radius=radius,
            split=split,
            model=model,
            id=id_column,
            ra=ra,
            dec=dec,
            progress=lambda _, done: progress(done),
        )
        if folder is not None:
            write_report(found, folder)
        if fix is not None:
            write_cleaned(found, fix)
    counts = found.counts()
    if as_json:
        print_json(found.as_dict())
    else:
        out.print(f"{counted(len(found.ids), 'galaxy')} in {found.seconds:.1f} s")
        if counts:
            print_table([["finding", "count"], *([kind, f"{count:,}"] for kind, count in counts.items())])
        else:
            out.print("nothing is wrong")
        for what, why in found.skipped.items():
            out.print(f"not checked: {what} ({why})")
        for written in (folder and folder / "index.html", fix):
            if written is not None:
                out.print(f"Written to {written}")
    if any(kind in counts or (kind == "any" and counts) for kind in fail_on or ()):
        raise typer.Exit(1)
