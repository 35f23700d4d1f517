"""Options that several commands have."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from peculiar.image import Framing

Data = Annotated[
    Path,
    typer.Argument(
        help="Galaxies: an NPZ, HDF5, Parquet, CSV, ECSV, FITS or VOTable file, a folder of pictures, FITS or Parquet, "
        "or a tar of pictures.",
        show_default=False,
    ),
]
Label = Annotated[str | None, typer.Option(help="Column that holds the labels, for a table.", show_default=False)]
Labels = Annotated[
    Path | None,
    typer.Option(help="Table with a column id and one of labels, where the data have none.", show_default=False),
]
Size = Annotated[int, typer.Option(help="Side of the pictures that the network sees, in pixels.")]
Crop = Annotated[
    str,
    typer.Option(
        help="What to keep: whole (the largest square), galaxy (by its extent), or the middle's side in pixels."
    ),
]
Fast = Annotated[bool, typer.Option("--fast", help="Reduce JPEGs while decoding: faster, pixels differ slightly.")]
Json = Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")]
ModelOrRun = Annotated[
    Path | None,
    typer.Option(
        "--model", help="Model file (.onnx), or folder that `peculiar train` wrote; default: the model that ships."
    ),
]
Views = Annotated[
    int | None,
    typer.Option(
        help="Average over so many turned and mirrored views, 1 to 8, which takes as much longer; default: as the "
        "model says."
    ),
]


def framing(size: int, crop: str, *, fast: bool) -> "Framing":
    """Return how pictures are framed, from what the options say."""
    from peculiar.image import Framing, parse_crop

    return Framing(size, parse_crop(crop), fast)
