"""`peculiar explain`: attribution maps for a model, feature maps for a training run."""

import itertools
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from peculiar.cli.options import (
    DataFiles,
    Json,
    Label,
    ModelOrRun,
    OnlyIdColumn,
    Overwrite,
    Views,
    producing,
)
from peculiar.cli.progress import counting
from peculiar.cli.terminal import out, print_json
from peculiar.errors import UsageError, extra

if TYPE_CHECKING:
    from peculiar.sources.stream import Source


def explain(
    context: typer.Context,
    data: DataFiles,
    model: ModelOrRun = None,
    folder: Annotated[
        Path | None,
        typer.Option("--out", help="Folder for the figures; default: explained, or of a run activations."),
    ] = None,
    count: Annotated[int, typer.Option(help="How many galaxies.")] = 5,
    ids: Annotated[
        list[str] | None,
        typer.Option("--id", help="Explain this galaxy; may be given several times. Model files only."),
    ] = None,
    label: Label = None,
    id_column: OnlyIdColumn = None,
    question: Annotated[
        str | None, typer.Option(help="Which of a model file's questions; default: the one that the labels answer.")
    ] = None,
    answer: Annotated[
        str | None, typer.Option(help="The answer to explain; default: the most probable. Model files only.")
    ] = None,
    views: Views = None,
    weights: Annotated[str, typer.Option(help="The run's weights: of the last epoch, or the best.")] = "last",
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Draw what in pictures made a model file say so; or of a run, what each filter sees in galaxies new to it."""
    from peculiar.sources import open_source

    source = open_source(data, label=label, id=id_column)
    if model is not None and model.is_dir():
        given = {"--id": ids, "--question": question, "--answer": answer, "--views": views, "--json": as_json or None}
        stray = [name for name, value in given.items() if value is not None]
        if stray:
            message = f"{', '.join(stray)}: only for model files; of the run {model} what its filters see is drawn"
            raise UsageError(message)
        folder = folder or Path("activations")
        with producing(context, folder / "galaxy_1.png", folder / "contact_sheet.png") as request:
            _explain_run(source, model, folder, count, weights)
            request.tidy(folder)
        return
    from peculiar.models.attribution import explain_answers
    from peculiar.models.model_file import load_model

    folder = folder or Path("explained")
    opened = load_model(model)
    asked, glance = (
        opened.asking(question, labels=source.label, entries=() if question else source.labels(), views=each)
        for each in (views, views or 1)
    )
    figures = [folder / f"galaxy_{number}.png" for number in range(1, (len(ids) if ids else count) + 1)]
    with (
        producing(context, *figures, folder / "overview.png") as request,
        counting("explaining", len(figures)) as progress,
    ):
        shown = explain_answers(
            asked, source, out=folder, count=count, answer=answer, glance=glance, ids=ids or (), progress=progress
        )
        request.tidy(folder)
    if as_json:
        print_json([one.as_dict() for one in shown])
        return
    for one in shown:
        told = one.attribution
        known = "" if one.label is None else f"; labelled {one.label}"
        out.print(
            f"{one.id}: {told.answer} {told.probability:.0%}, with the outlined region hidden {told.without:.0%}{known}"
        )
    out.print(f"Figures are in {folder}; overview.png has them all.")


def _explain_run(source: "Source", model: Path, folder: Path, count: int, weights: str) -> None:
    """Draw what each filter of each convolutional layer of a run sees in galaxies that it was not trained on."""
    with extra("explaining a training run", "exercise"):
        from peculiar.exercise import run_folder
        from peculiar.exercise.filters import visualize_activations
    from peculiar.files.run_files import read_split
    from peculiar.models.attribution import rows_by_turns
    from peculiar.sources.stream import decode_row

    trained = run_folder.load_run(model, weights=weights)
    seen = {id_ for id_, part in read_split(model).items() if part == "training"}
    numbers: dict[str | None, int] = {answer: number for number, answer in enumerate(trained.question.answers)}
    galaxies = (
        galaxy
        for galaxy in (decode_row(row, trained.framing) for row in rows_by_turns(source))
        if galaxy.picture is not None and galaxy.id not in seen
    )
    shown = list(itertools.islice(galaxies, max(count, 0)))
    batches = [([galaxy.picture], [numbers.get(galaxy.label, -1)]) for galaxy in shown]
    with redirect_stdout(out.file):
        visualize_activations(trained, batches, count=count, out=folder)
    out.print("The galaxies: " + ", ".join(galaxy.id for galaxy in shown))
