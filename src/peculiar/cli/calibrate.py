"""`peculiar calibrate`: calibrate a model file on labelled galaxies."""

from pathlib import Path
from typing import Annotated

import typer

from peculiar.cli.options import Device, IdColumn, Labels, ModelOut, Overwrite, Scores, already, producing, read_scores
from peculiar.cli.progress import counting
from peculiar.cli.terminal import out
from peculiar.errors import extra

EXAMPLES = ("peculiar calibrate galaxies.parquet --model mine.onnx --out calibrated.onnx",)


def calibrate(
    context: typer.Context,
    data: Annotated[
        list[Path],
        typer.Argument(
            metavar="DATA",
            help="Labelled galaxies that the model was trained on; those of its validation part calibrate it.",
            show_default=False,
        ),
    ],
    file: ModelOut,
    model: Annotated[Path | None, typer.Option(help="Model file (.onnx); default: the model that ships.")] = None,
    device: Device = "auto",
    labels: Labels = None,
    id_column: IdColumn = None,
    eight_bits: Annotated[
        bool, typer.Option("--eight-bits", help="Let the network compute in eight bits, in about half the time.")
    ] = False,
    embedding: Annotated[
        int | None,
        typer.Option(
            help="Numbers of an embedding that joins the means of earlier maps, at most 512; answers do not change. "
            "Default: keep the embedding.",
            min=2,
            max=512,
            show_default=False,
        ),
    ] = None,
    scores: Scores = None,
    overwrite: Overwrite = False,
) -> None:
    """Calibrate a model file on labelled galaxies: temperatures, prediction sets and novelty threshold."""
    with extra("writing a model file", "train"):
        from peculiar.models.calibrate import calibrate as run_calibrate

    kept = read_scores(scores)
    with producing(context, file) as request, counting("classifying") as progress:
        if already(request, file):
            return
        written = run_calibrate(
            data,
            file,
            model,
            labels=labels,
            id=id_column,
            eight_bits=eight_bits,
            embedding=embedding,
            scores=kept,
            progress=progress,
        )
    card = written.card
    out.print(f"prediction sets: {', '.join(card.sets)}; vector scaling: {', '.join(card.scalings) or 'none'}")
    out.print(f"novelty: {'measured' if card.familiar else 'not measured, too few training pictures'}")
    if card.embedding:
        out.print(f"embedding: {card.embedding}")
    out.print(f"{file}: digest {card.digest[:12]}")
