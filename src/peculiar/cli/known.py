"""`peculiar known`: find out which galaxies services and tables list already."""

from pathlib import Path
from typing import Annotated

import typer

from peculiar.cli.options import DecColumn, IdColumn, Json, Overwrite, RaColumn, producing
from peculiar.cli.progress import counting, stopping
from peculiar.cli.terminal import err, out, print_json
from peculiar.errors import UsageError
from peculiar.files.places import place
from peculiar.text import counted

EXAMPLES = (
    "peculiar known candidates.parquet --out known.parquet",
    "peculiar known candidates.parquet --service simbad --service vizier:VII/237/pgc --unknown",
    "peculiar known candidates.parquet --table published.fits --radius 3",
    "peculiar known candidates.parquet --table published.fits --footprint published=moc.fits --unknown",
)


def known(
    context: typer.Context,
    catalog: Annotated[
        Path,
        typer.Argument(
            metavar="CATALOG", help="Table with ra and dec, such as a catalogue; ids are kept.", show_default=False
        ),
    ],
    file: Annotated[Path, typer.Option("--out", help="Table to write (.parquet, .csv, .fits, .vot, .ecsv).")] = Path(
        "known.parquet"
    ),
    service: Annotated[
        list[str] | None,
        typer.Option(
            metavar="<str>",
            help="Service to ask: simbad, ned, vizier or vizier:TABLE; may be given several times. Default: simbad and "
            "ned, or none if there is a --table.",
            show_default=False,
        ),
    ] = None,
    table: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="<path>",
            help="Table or HATS catalogue of known objects to compare with; may be given several times.",
            show_default=False,
        ),
    ] = None,
    footprint: Annotated[
        list[str] | None,
        typer.Option(
            metavar="<name>=<path>",
            help="Part of the sky that a service or table has observed, as a MOC file; the name is that with which its "
            "columns begin. May be given several times. Galaxies outside all footprints are not called unknown.",
            show_default=False,
        ),
    ] = None,
    radius: Annotated[float, typer.Option(help="Largest angle to an object, in arcsec.")] = 5.0,
    unknown: Annotated[
        bool, typer.Option("--unknown", help="Write only galaxies that nobody lists, in a footprint if there are any.")
    ] = False,
    id_column: IdColumn = None,
    ra: RaColumn = None,
    dec: DecColumn = None,
    rate: Annotated[float | None, typer.Option(help="Maximum queries per second to a service; default: 1.")] = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Find out which galaxies are known: listed by SIMBAD, NED, VizieR or tables near their positions.

    Answers are kept: after a stop, the same command continues.
    """
    from peculiar.catalogs.known import check_out
    from peculiar.catalogs.known import known as run_known

    tables = table or []
    footprints = dict(map(_name_and_path, footprint or []))
    check_out(file, catalog, [*tables, *footprints.values()])
    with producing(context, file), stopping("finishing the running query") as stop:
        with counting("comparing") as progress:
            found = run_known(
                catalog,
                services=service,
                tables=tables,
                footprints=footprints,
                radius=radius,
                id=id_column,
                ra=ra,
                dec=dec,
                rate=rate,
                stop=stop,
                progress=progress,
            )
        rows = found.write(file, unknown=unknown)
    if as_json:
        print_json({**found.as_dict(), "out": str(file), "rows": rows})
    else:
        for line in found.lines():
            out.print(line)
        out.print(f"{counted(rows, 'row', 'are', 'is')} in {file}")
        for credit in dict.fromkeys(one.credit for one in found.listings.values() if one.credit):
            out.print(credit)
    for one in found.listings.values():
        if one.problem:
            err.print(f"{one.title}: {one.problem}")
    if not found.complete:
        err.print("The same command continues with what is missing.")
        raise typer.Exit(130 if stop.is_set() and not found.failed else 1)


def _name_and_path(text: str) -> tuple[str, Path]:
    """Return the two parts of ``NAME=PATH``."""
    name, equals, path = text.partition("=")
    if not (name and equals and path):
        message = (
            f"a footprint is the name of a service or table and a file, as in published=moc.fits; received {text!r}"
        )
        raise UsageError(message)
    return name, place(path)
