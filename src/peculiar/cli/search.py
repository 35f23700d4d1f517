"""`peculiar search`: find galaxies in a catalogue."""

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from peculiar.cli.help import Group, with_examples
from peculiar.cli.options import (
    DecColumn,
    Device,
    Embeddings,
    EmbeddingsId,
    IdColumn,
    Join,
    Json,
    Overwrite,
    RaColumn,
    framing,
    grouped,
    producing,
)
from peculiar.cli.terminal import err, out, print_json, print_table
from peculiar.errors import UsageError
from peculiar.text import counted

if TYPE_CHECKING:
    from peculiar.catalogs.catalog import Catalog


class _SearchGroup(Group):
    """Group that accepts `peculiar search CATALOG` for `peculiar search query CATALOG`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        first = args[0] if args else "--help"
        # A plain word that is not a path is probably a mistyped command, for which the group has a message.
        query = first not in {*self.commands, "-h", "--help"} and (Path(first).exists() or not first.isalpha())
        return super().parse_args(ctx, ["query", *args] if query else args)


app = typer.Typer(
    cls=_SearchGroup,
    help="Search a catalogue. `peculiar search CATALOG --where ...` is short for `peculiar search query CATALOG "
    "--where ...`.",
    no_args_is_help=True,
)


CatalogOption = Annotated[
    Path,
    typer.Argument(
        metavar="CATALOG", help="Parquet that `peculiar predict` wrote, or a folder of parts.", show_default=False
    ),
]
Where = Annotated[
    str | None,
    typer.Option(help='Only galaxies that meet a condition, such as "p_ringed > 0.9 and entropy < 0.5".'),
]
ConeOption = Annotated[
    str | None,
    typer.Option(
        "--cone", help="Only galaxies within RA,DEC,RADIUS, in degrees; the radius may end in arcmin or arcsec."
    ),
]
Top = Annotated[int, typer.Option(help="Maximum number of galaxies.")]
Found = Annotated[
    Path | None,
    typer.Option("--out", help="Table to write: .parquet, .csv, .fits, .vot or .ecsv; default: to the terminal."),
]
Sheet = Annotated[Path | None, typer.Option(help="PNG with the pictures side by side; needs --pictures.")]
Pictures = Annotated[Path | None, typer.Option(help="Pictures of the catalogue's galaxies.")]
Shown = Annotated[
    str, typer.Option("--crop", help="Crop of the pictures on the sheet: galaxy, whole, or a number of pixels.")
]
Method = Annotated[str, typer.Option(help="isolation (forest) or neighbours (local outlier factor).")]


@dataclass(frozen=True, slots=True)
class Selection:
    """Options that select galaxies of a catalogue."""

    where: Where = None
    cone: ConeOption = None
    id_column: IdColumn = None
    ra: RaColumn = None
    dec: DecColumn = None
    join: Join = None

    def open(self, catalog: Path, embeddings: Path | None = None, embeddings_id: str | None = None) -> "Catalog":
        """Open the catalogue."""
        from peculiar.catalogs.catalog import Catalog

        opened = Catalog(catalog, ra=self.ra, dec=self.dec, embeddings=embeddings, embeddings_id=embeddings_id)
        return opened if self.join is None else opened.join(self.join)


@dataclass(frozen=True, slots=True)
class Output:
    """Options that say where the result goes."""

    file: Found = None
    sheet: Sheet = None
    pictures: Pictures = None
    crop: Shown = "galaxy"
    overwrite: Overwrite = False
    as_json: Json = False


@app.command(
    "query",
    **with_examples(
        'peculiar search catalog.parquet --where "p_ringed > 0.9 and entropy < 0.5"',
        "peculiar search catalog.parquet --cone 150.1,2.2,30arcmin --by p_merger --top 50",
    ),
)
@grouped
def search_query(
    context: typer.Context,
    catalog: CatalogOption,
    *,
    selection: Selection,
    by: Annotated[
        str | None,
        typer.Option(
            help="Column to sort by, highest first; -COLUMN for lowest first. Default: nearest first in a cone."
        ),
    ] = None,
    top: Annotated[
        int | None, typer.Option(min=1, help="Maximum number of galaxies; default: 50, or all with --out.")
    ] = None,
    columns: Annotated[
        str | None, typer.Option(help="Columns of the result, separated by commas; default: all except embeddings.")
    ] = None,
    output: Output,
) -> None:
    """Find galaxies by a condition on the columns, by position on the sky, or both."""
    where, cone = selection.where, selection.cone
    names = None if columns is None else [name.strip() for name in columns.split(",")]
    # A table holds all galaxies; a terminal and a sheet have room for some.
    most = top or (None if output.file is not None and output.sheet is None else 50)
    found = selection.open(catalog).query(where, cone=cone, by=by, top=most and most + 1, columns=names)
    more = most is not None and len(found) > most
    found = found.head(most) if most is not None and more else found
    shown_by = (by or "").removeprefix("-") or (list(found.columns)[-1] if cone else None)
    shown = names or _named(found, where)
    _show(context, found, shown_by, shown, output, id=selection.id_column)
    if more:
        err.print("more galaxies match: --top NUMBER prints more, --out FILE without --top writes all")


@app.command(
    "similar",
    **with_examples(
        "peculiar search similar catalog.parquet --galaxy 12 --galaxy 345",
        "peculiar search similar catalog.parquet --picture ring.png --sheet similar.png --pictures stamps/",
    ),
)
@grouped
def search_similar(
    context: typer.Context,
    catalog: CatalogOption,
    *,
    ids: Annotated[
        list[str] | None,
        typer.Option("--galaxy", metavar="<str>", help="Id of an example galaxy; may be given several times."),
    ] = None,
    picture: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="<path>", help="Picture of your own as an example; may be given several times, and with --galaxy."
        ),
    ] = None,
    model: Annotated[
        Path | None, typer.Option(help="For --picture: the model file of the catalogue; default: the model that ships.")
    ] = None,
    device: Device = "auto",
    embeddings: Embeddings = None,
    embeddings_id: EmbeddingsId = None,
    selection: Selection,
    top: Top = 50,
    approximate: Annotated[
        bool,
        typer.Option(
            "--approximate",
            help="For many millions of galaxies: use an approximate index, built once (extra faiss).",
        ),
    ] = False,
    output: Output,
) -> None:
    """Find galaxies that look like examples."""
    found = selection.open(catalog, embeddings, embeddings_id).similar(
        ids or (),
        examples=picture or (),
        model=model,
        where=selection.where,
        cone=selection.cone,
        top=top,
        approximate=approximate,
    )
    if approximate:
        err.print(f"approximate: such a search finds {float(found.notes['recall']):.1%} of the nearest 50")
    shown_by, shown = list(found.columns)[-1], _named(found, selection.where)
    _show(context, found, shown_by, shown, output, id=selection.id_column)


@app.command("odd", **with_examples("peculiar search odd catalog.parquet --top 100 --out odd.csv"))
@grouped
def search_odd(
    context: typer.Context,
    catalog: CatalogOption,
    *,
    by: Annotated[str, typer.Option(help="class (probably odd) or uncertainty (the model is undecided).")] = "class",
    selection: Selection,
    top: Top = 50,
    output: Output,
) -> None:
    """Find galaxies that are probably odd, or about which the model is uncertain."""
    from peculiar.catalogs.search import odd_column

    opened = selection.open(catalog)
    found = opened.odd(by, where=selection.where, cone=selection.cone, top=top)
    shown_by, shown = odd_column(opened, by).removeprefix("-"), _named(found, selection.where)
    _show(context, found, shown_by, shown, output, id=selection.id_column)


@app.command(
    "anomalies",
    **with_examples(
        "peculiar search anomalies catalog.parquet",
        "peculiar search anomalies catalog.parquet --varied --top 10 --out first.csv",
        "peculiar search anomalies catalog.parquet --interesting first.csv --new --varied --top 10 --out second.csv",
    ),
)
@grouped
def search_anomalies(
    context: typer.Context,
    catalog: CatalogOption,
    *,
    interesting: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="<path>",
            help="Table with your ratings (columns id, interesting: yes, no, or 0 to 1); may be given several times.",
        ),
    ] = None,
    new: Annotated[bool, typer.Option("--new", help="Leave out galaxies that you have rated.")] = False,
    varied: Annotated[
        bool, typer.Option("--varied", help="Choose a varied selection out of ten times as many, for the next ratings.")
    ] = False,
    method: Method = "isolation",
    novel: Annotated[
        bool,
        typer.Option(
            "--novel", help="Rank by novelty: how far a galaxy lies from all kinds that the catalogue has plenty of."
        ),
    ] = False,
    embeddings: Embeddings = None,
    embeddings_id: EmbeddingsId = None,
    selection: Selection,
    top: Top = 50,
    output: Output,
) -> None:
    """Find galaxies that differ from the others, and learn from your ratings."""
    found = selection.open(catalog, embeddings, embeddings_id).anomalies(
        interesting or (),
        method=method,
        novel=novel,
        new=new,
        varied=varied,
        where=selection.where,
        cone=selection.cone,
        top=top,
        id=selection.id_column if interesting else None,
    )
    # A column of the ratings need not be one of the pictures.
    rated_by_other_ids = interesting and output.pictures and not _has_column(output.pictures, selection.id_column)
    pictured = None if rated_by_other_ids else selection.id_column
    # The score or the novelty, which stands before the ratings.
    shown_by, shown = list(found.columns)[-2], _named(found, selection.where)
    if interesting:
        shown = ["interesting", *shown]
    if novel:
        shown = ["ood", *shown]
        broken = int(found.notes["broken pictures left out"])
        if broken:
            err.print(f"{counted(broken, 'galaxy', 'are', 'is')} left out because of a broken picture (flags)")
    _show(context, found, shown_by, shown, output, id=pictured)


@app.command("map", **with_examples("peculiar search map catalog.parquet --sheet map.png"))
def search_map(
    context: typer.Context,
    catalog: CatalogOption,
    *,
    file: Annotated[Path | None, typer.Option("--out", help="Table to write, with the places x and y.")] = None,
    sheet: Annotated[Path | None, typer.Option(help="PNG of the map: dots, or pictures with --pictures.")] = None,
    pictures: Pictures = None,
    embeddings: Embeddings = None,
    embeddings_id: EmbeddingsId = None,
    id_column: IdColumn = None,
    overwrite: Overwrite = False,
) -> None:
    """Draw a map on which similar galaxies lie side by side."""
    from peculiar.catalogs.catalog import Catalog
    from peculiar.reports import drawing
    from peculiar.sources import open_source

    if file is None and sheet is None:
        message = "nothing to write: give --out TABLE, --sheet FILE.png or both"
        raise UsageError(message)
    source = None if pictures is None else open_source(pictures, id=id_column)
    with producing(context, file, sheet):
        laid_out = Catalog(catalog, embeddings=embeddings, embeddings_id=embeddings_id).layout()
        if file is not None:
            laid_out.write(file)
        if sheet is not None:
            drawing.save(laid_out.show(source), sheet)
    _say_whose(laid_out)
    there = ", ".join(str(one) for one in (file, sheet) if one)
    out.print(f"{counted(len(laid_out), 'galaxy', 'are', 'is')} on the map in {there}")


def _say_whose(found: "Catalog") -> None:
    """Print whose embeddings were searched, if they are not those of the catalogue's own model."""
    for whose in found.whose.values():
        err.print(f"embeddings of {whose}")


def _has_column(data: Path, name: str | None) -> bool:
    """Return whether data are a table with a column of this name."""
    from peculiar.tables.formats import is_table
    from peculiar.tables.reader import TableReader

    return is_table(data) and name in TableReader(data).columns


def _named(found: "Catalog", where: str | None) -> list[str]:
    """Return the columns that a condition names, to show them."""
    return [name for name in found.columns if where and re.search(rf"\b{re.escape(name)}\b", where)]


def _show(
    context: typer.Context,
    found: "Catalog",
    shown_by: str | None,
    shown: list[str],
    output: Output,
    *,
    id: str | None,
) -> None:
    """Write the result to a table, a sheet of pictures, or the terminal."""
    from peculiar.catalogs.sheet import draw_sheet
    from peculiar.reports import drawing
    from peculiar.sources import open_source

    file, sheet, pictures = output.file, output.sheet, output.pictures
    if (sheet is None) != (pictures is None):
        message = "a sheet needs pictures, and pictures are for a sheet: give --sheet FILE.png and --pictures DATA"
        raise UsageError(message)
    missing: list[str] = []
    with producing(context, file, sheet):
        if file is not None:
            found.write(file)
        if sheet is not None and pictures is not None and len(found):
            figure, missing = draw_sheet(
                found, open_source(pictures, id=id), framing(128, output.crop, fast=False), shown_by
            )
            drawing.save(figure, sheet)
    if output.as_json:
        rows = [{name: _json_value(value) for name, value in row.items()} for row in found]
        print_json({"found": rows, "without_picture": missing, **found.whose})
        return
    _say_whose(found)
    if file is None and len(found):
        names = list(dict.fromkeys(name for name in ("id", shown_by, "class", *shown) if name in found.columns))
        rows = found.to_arrow().select(names).to_pylist()
        print_table([names, *(["-" if x is None else _brief(x) for x in row.values()] for row in rows)])
    if missing:
        err.print(f"{len(missing)} of them have no readable picture in {pictures}; the first is {missing[0]}")
    out.print(
        counted(len(found), "galaxy") + (f" in {file}" if file else "") + (f", pictures in {sheet}" if sheet else "")
    )


def _json_value(value: Any) -> Any:
    """Return a value for JSON: NaN becomes null, times and the like become text."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, str | int) else str(value)


def _brief(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
