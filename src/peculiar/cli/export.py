"""`peculiar export`: write the model file of a training run."""

from pathlib import Path
from typing import Annotated

import typer

from peculiar.cli.options import ModelOut, Overwrite, Scores, already, producing, read_scores
from peculiar.cli.terminal import out

EXAMPLES = ('peculiar export runs/mine --out mine.onnx --credit "My survey"',)


def export(
    context: typer.Context,
    folder: Annotated[
        Path, typer.Argument(help="Folder that `peculiar train` wrote.", metavar="RUN", show_default=False)
    ],
    file: ModelOut,
    name: Annotated[str | None, typer.Option(help="Name of the model; default: as the file.")] = None,
    scores: Scores = None,
    credit: Annotated[
        list[str] | None, typer.Option(metavar="<str>", help="Credit for the data; may be given several times.")
    ] = None,
    licence: Annotated[str, typer.Option(help="Licence of the weights.")] = "",
    overwrite: Overwrite = False,
) -> None:
    """Write the model file of a training run, which can be used without PyTorch."""
    from peculiar.training.export import export as run_export

    kept = read_scores(scores)
    with producing(context, file) as request:
        if already(request, file):
            return
        model = run_export(folder, file, name=name, scores=kept, credits=credit or (), licence=licence)
    questions = ", ".join(question.name for question in model.card.questions)
    out.print(f"{file}: {file.stat().st_size / 1e6:.1f} MB, answers {questions}; digest {model.card.digest[:12]}")
