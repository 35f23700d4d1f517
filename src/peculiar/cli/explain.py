"""`peculiar explain`: attribution maps for a model, feature maps for a training run."""

from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from peculiar.cli.options import DataFiles, Device, IdColumn, Json, Label, ModelOrRun, Overwrite, Views, producing
from peculiar.cli.progress import counting
from peculiar.cli.terminal import out, print_json
from peculiar.errors import UsageError, extra

if TYPE_CHECKING:
    from peculiar.sources.stream import Source

EXAMPLES = (
    "peculiar explain pictures/",
    "peculiar explain galaxies.npz --galaxy galaxies-12 --galaxy galaxies-345 --answer Merger",
)


def explain(
    context: typer.Context,
    data: DataFiles,
    folder: Annotated[
        Path | None,
        typer.Option("--out", help="Folder for the figures; default: explained, for a run activations."),
    ] = None,
    model: ModelOrRun = None,
    label: Label = None,
    id_column: IdColumn = None,
    ids: Annotated[
        list[str] | None,
        typer.Option(
            "--galaxy",
            metavar="<str>",
            help="Id of a galaxy to explain; may be given several times. Model files only.",
        ),
    ] = None,
    question: Annotated[
        str | None, typer.Option(help="Question of a model file; default: the one that the labels answer.")
    ] = None,
    answer: Annotated[
        str | None, typer.Option(help="Answer to explain; default: the most probable one. Model files only.")
    ] = None,
    count: Annotated[int, typer.Option(help="How many galaxies.")] = 5,
    weights: Annotated[str, typer.Option(help="Weights of a run: last (epoch) or best.")] = "last",
    views: Views = None,
    overwrite: Overwrite = False,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Draw which regions of a picture an answer rests on; for a run of the exercise's network, what its filters see."""
    from peculiar.files.run_files import model_file_of
    from peculiar.sources import open_source

    if model is not None and model_file_of(model).is_dir():
        given = {"galaxy": ids, "question": question, "answer": answer, "views": views, "json": as_json or None}
        stray = [f"--{name}" for name, value in given.items() if value is not None]
        if stray:
            message = f"{', '.join(stray)}: only for model files; {model} is a run, whose feature maps are drawn"
            raise UsageError(message)
        folder = folder or Path("activations")
        with producing(context, folder / "galaxy_1.png", folder / "contact_sheet.png") as request:
            _explain_run(open_source(data, label=label, id=id_column), model, folder, count, weights)
            request.tidy(folder)
        return
    from peculiar.models.explain import explain as run_explain

    folder = folder or Path("explained")
    figures = [folder / f"galaxy_{number}.png" for number in range(1, (len(ids) if ids else count) + 1)]
    with (
        producing(context, *figures, folder / "overview.png") as request,
        counting("explaining", len(figures)) as progress,
    ):
        shown = run_explain(
            data,
            model,
            folder,
            count=count,
            ids=ids or (),
            label=label,
            id=id_column,
            question=question,
            answer=answer,
            views=views,
            progress=progress,
        )
        request.tidy(folder)
    if as_json:
        print_json([one.as_dict() for one in shown])
        return
    for one in shown:
        out.print(str(one))
    out.print(f"Figures are in {folder}; overview.png has them all.")


def _explain_run(source: "Source", model: Path, folder: Path, count: int, weights: str) -> None:
    """Draw the feature maps of all convolutional layers of a run, for galaxies that it was not trained on."""
    with extra("explaining a training run", "exercise"):
        from peculiar.exercise.filters import visualize_galaxies
        from peculiar.exercise.run_folder import load_run

    with redirect_stdout(out.file):
        ids = visualize_galaxies(source, load_run(model, weights=weights), count=count, out=folder)
    out.print("The galaxies: " + ", ".join(ids))
