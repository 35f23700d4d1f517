"""`peculiar teach`: teach a model a new question from few labels."""

from pathlib import Path
from typing import Annotated

import typer

from peculiar.cli.options import IdColumn, Json, Label, ModelOut, Overwrite, producing
from peculiar.cli.terminal import err, out, print_json, print_scores


def teach(
    context: typer.Context,
    labels: Annotated[
        Path, typer.Argument(metavar="LABELS", help="Table with a column id and one of labels.", show_default=False)
    ],
    catalog: Annotated[
        Path, typer.Option(help="Catalogue with embeddings that holds those galaxies.", show_default=False)
    ],
    file: ModelOut,
    model: Annotated[
        Path | None, typer.Option("--from", help="Model file that made the catalogue; default: the model that ships.")
    ] = None,
    label: Label = None,
    id_column: IdColumn = None,
    question: Annotated[str | None, typer.Option(help="What the question is called; default: as the column.")] = None,
    curve: Annotated[
        Path | None, typer.Option(help="PNG of how the score grows with labels, and what twice as many would bring.")
    ] = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Teach a model a new question from few labels, in seconds and without PyTorch."""
    from peculiar.catalogs.teach import teach as run_teach
    from peculiar.models.model_file import load_model
    from peculiar.reports import plots
    from peculiar.tables.reader import TableReader

    opened = load_model(model)
    if id_column is not None:
        TableReader(labels).check_column(id_column)
    with producing(context, file, curve):
        taught = run_teach(
            labels, catalog, file, model=opened, label=label, question=question, id=id_column, curve=curve is not None
        )
        card, scores, found = taught.model.card, taught.head.scores, taught.curve
        if curve is not None and found is not None:
            plots.save(plots.draw_learning_curve(found.labels, found.auc, found.low, found.high), curve)
    if as_json:
        result = {"out": str(file), "question": taught.head.question.name, "used": taught.used}
        result |= {"left_out": taught.left_out, "digest": card.digest, "scores": scores.as_dict()}
        print_json(result | {"curve": None if found is None else found.as_dict()})
        return
    if taught.left_out:
        err.print(f"{taught.left_out:,} labelled galaxies are left out: not in {catalog}, or without an embedding")
    out.print(f"By cross-validation on {taught.used:,} labelled galaxies:")
    print_scores(scores)
    if found is not None:
        out.print()
        out.print("labels  area under the ROC curve")
        for count, score, low, high in zip(found.labels, found.auc, found.low, found.high, strict=True):
            note = "  if it goes on like this" if count == found.labels[-1] else ""
            out.print(f"{count:6,}  {score:.3f} ({low:.3f} to {high:.3f}){note}")
    out.print(f"{file} also answers {taught.head.question.name}; digest {card.digest[:12]}")
