"""`peculiar teach`: teach a model a new question from few labels."""

from pathlib import Path
from typing import Annotated

import typer

from peculiar.cli.options import (
    Device,
    Embeddings,
    EmbeddingsId,
    IdColumn,
    Json,
    Label,
    LabelledData,
    Labels,
    Overwrite,
    producing,
)
from peculiar.cli.progress import counting
from peculiar.cli.terminal import err, out, print_json, print_scores
from peculiar.text import counted

EXAMPLES = (
    "peculiar teach my_classes/ --out mine.onnx",
    "peculiar teach labels.csv --catalog catalog.parquet --out mine.onnx",
)


def teach(
    context: typer.Context,
    data: LabelledData,
    file: Annotated[
        Path,
        typer.Option(
            "--out",
            help="Model file to write (.onnx); with --embeddings, a table of the answers for the catalogue's galaxies.",
            show_default=False,
        ),
    ],
    model: Annotated[
        Path | None,
        typer.Option("--from", "--model", metavar="MODEL", help="Model file to teach; default: the model that ships."),
    ] = None,
    catalog: Annotated[
        Path | None,
        typer.Option(
            help="Catalogue with embeddings of the galaxies: DATA is then a table of ids and labels.",
            show_default=False,
        ),
    ] = None,
    embeddings: Embeddings = None,
    embeddings_id: EmbeddingsId = None,
    label: Label = None,
    labels: Labels = None,
    id_column: IdColumn = None,
    question: Annotated[str | None, typer.Option(help="Name of the question; default: that of the column.")] = None,
    curve: Annotated[
        Path | None, typer.Option(help="PNG of how the score grows with labels, and what twice as many would bring.")
    ] = None,
    overwrite: Overwrite = False,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Teach a model a new question from few labels, in seconds and without PyTorch."""
    from peculiar.catalogs.table import EMBEDDINGS_NOTE
    from peculiar.catalogs.teach import teach as run_teach
    from peculiar.reports import drawing, plots
    from peculiar.tables.reader import TableReader

    if catalog is not None and id_column is not None:
        TableReader(data[0]).check_column(id_column)
    with producing(context, file, curve), counting("embedding") as progress:
        taught = run_teach(
            data[0] if catalog is not None and len(data) == 1 else data,
            file,
            catalog=catalog,
            embeddings=embeddings,
            embeddings_id=embeddings_id,
            model=model,
            label=label,
            labels=labels,
            question=question,
            id=id_column,
            curve=curve is not None,
            progress=progress,
        )
        scores, found, answers = taught.head.scores, taught.curve, taught.catalog
        digest = None if taught.model is None else taught.model.card.digest
        if curve is not None and found is not None:
            drawing.save(plots.draw_learning_curve(found.labels, found.auc, found.low, found.high), curve)
    if as_json:
        result = {"out": str(file), "question": taught.head.question.name, "used": taught.used}
        result |= {"left_out": taught.left_out, "digest": digest, "scores": scores.as_dict()}
        result |= {"curve": None if found is None else found.as_dict()}
        print_json(result | ({} if answers is None else {EMBEDDINGS_NOTE: answers.notes[EMBEDDINGS_NOTE]}))
        return
    if taught.left_out:
        reason = "the picture cannot be read" if catalog is None else f"not in {catalog}, or without an embedding"
        err.print(f"{counted(taught.left_out, 'labelled galaxy', 'are', 'is')} left out: {reason}")
    out.print(f"By cross-validation on {counted(taught.used, 'labelled galaxy')}:")
    print_scores(scores)
    if found is not None:
        out.print()
        out.print("labels  area under the ROC curve")
        for count, score, low, high in zip(found.labels, found.auc, found.low, found.high, strict=True):
            note = "  (extrapolated)" if count == found.labels[-1] else ""
            out.print(f"{count:6,}  {score:.3f} ({low:.3f} to {high:.3f}){note}")
    asked = taught.head.question.name
    if answers is not None:
        err.print(f"embeddings of {answers.notes[EMBEDDINGS_NOTE]}")
        out.print(f"{file} has the answers to {asked!r} for {counted(len(answers), 'galaxy')}")
        return
    out.print(f"{file} also answers {asked!r}; digest {str(digest)[:12]}")
    out.print(f"Next: peculiar predict PICTURES --model {file} --out catalog.parquet")
