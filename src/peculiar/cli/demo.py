"""`peculiar demo`: the exercise from beginning to end."""

from pathlib import Path
from typing import Annotated

import typer

from peculiar.cli.options import Overwrite, producing
from peculiar.cli.progress import watching
from peculiar.cli.terminal import out
from peculiar.errors import extra

EXAMPLES = (
    "peculiar demo",
    "peculiar demo --data galaxydata.npz --out demo12 --epochs 12",
)


def demo(
    context: typer.Context,
    folder: Annotated[Path, typer.Option("--out", help="Folder to write to; an earlier demo is replaced.")] = Path(
        "demo"
    ),
    data: Annotated[
        Path | None, typer.Option(help="NPZ file in the exercise's layout; default: the exercise's galaxies.")
    ] = None,
    epochs: Annotated[int, typer.Option(help="Number of epochs: 8 in the exercise, 12 in its variant.")] = 8,
    overwrite: Overwrite = False,
) -> None:
    """Run the exercise from beginning to end, and write a page that shows it."""
    with extra("the demo", "exercise"):
        from peculiar.exercise.demo import demo as run_demo
        from peculiar.exercise.demo import files_of
    with producing(context, *files_of(folder)), watching() as watcher:
        page = run_demo(folder, data=data, epochs=epochs, watcher=watcher)
    out.print(f"Open {page} in a browser.")
