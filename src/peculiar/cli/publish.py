"""`peculiar publish`: a catalogue as a folder of static pages."""

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from peculiar.cli.options import Json, already, grouped, producing
from peculiar.cli.progress import counting
from peculiar.cli.search import CatalogOption, Pictures, Selection, Shown
from peculiar.cli.terminal import err, out, print_json
from peculiar.text import counted

EXAMPLES = (
    "peculiar publish catalog.parquet --pictures survey/ --out wall",
    'peculiar publish catalog.parquet --pictures survey/ --where "p_ringed > 0.9" --title Rings --out rings',
)


@grouped
def publish(
    context: typer.Context,
    catalog: CatalogOption,
    *,
    folder: Annotated[Path, typer.Option("--out", help="Folder for the pages, new or empty.", show_default=False)],
    pictures: Pictures = None,
    selection: Selection,
    by: Annotated[str | None, typer.Option(help="Column to sort by, highest first; -COLUMN for lowest first.")] = None,
    top: Annotated[int | None, typer.Option(min=1, help="Maximum number of galaxies; 100,000 at the most.")] = None,
    title: Annotated[str | None, typer.Option(help="Title of the page; default: the name of the catalogue.")] = None,
    size: Annotated[int, typer.Option(min=32, max=1024, help="Side of the pictures, in pixels.")] = 192,
    crop: Shown = "galaxy",
    as_json: Json = False,
) -> None:
    """Write galaxies of a catalogue as static pages with pictures, filters, a map, tables and what to cite."""
    from peculiar.catalogs.publish import publish as run_publish
    from peculiar.images.framing import Framing, parse_crop

    command = shlex.join(["peculiar", *sys.argv[1:]])
    with producing(context) as request, counting("writing") as progress:
        if already(request, folder, as_json=as_json):
            return
        written = run_publish(
            selection.open(catalog),
            folder,
            pictures=pictures,
            where=selection.where,
            cone=selection.cone,
            by=by,
            top=top,
            title=title,
            framing=Framing(size, parse_crop(crop)),
            id=selection.id_column,
            command=command,
            progress=progress,
        )
    if as_json:
        print_json({"page": str(written.page), "galaxies": written.count, "missing": list(written.missing)})
        return
    if written.missing:
        err.print(f"{counted(len(written.missing), 'galaxy')} without a readable picture, first: {written.missing[0]}")
    out.print(f"{counted(written.count, 'galaxy')} in {written.folder}; open {written.page} in a browser.")
