"""`peculiar compare`: compare two models or catalogues, print the differences, write a page."""

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from peculiar.cli.options import (
    By,
    GroupColumn,
    IdColumn,
    IncludeTraining,
    Json,
    Label,
    Labels,
    Overwrite,
    Part,
    Seed,
    Views,
    Weights,
    open_run,
    producing,
)
from peculiar.cli.progress import bar
from peculiar.cli.terminal import out, print_json, print_table

if TYPE_CHECKING:
    from peculiar.evaluation.compare import Comparison

EXAMPLES = (
    "peculiar compare old.onnx new.onnx labelled/",
    "peculiar compare first.parquet second.parquet --labels labels.csv",
)


def compare(
    context: typer.Context,
    first: Annotated[
        Path,
        typer.Argument(
            metavar="FIRST",
            help="Model file, run, or table of probabilities, such as a catalogue.",
            show_default=False,
        ),
    ],
    second: Annotated[Path, typer.Argument(metavar="SECOND", help="Another.", show_default=False)],
    data: Annotated[
        Path | None,
        typer.Argument(
            metavar="DATA", help="Labelled galaxies as for evaluate; needed for models.", show_default=False
        ),
    ] = None,
    folder: Annotated[Path, typer.Option("--out", help="Folder for differences and figures.")] = Path("comparison"),
    label: Label = None,
    labels: Labels = None,
    id_column: IdColumn = None,
    question: Annotated[
        str | None, typer.Option(help="Question of the models to compare; default: the one that the labels answer.")
    ] = None,
    part: Part = "all",
    weights: Weights = "last",
    include_training: IncludeTraining = False,
    by: By = None,
    group: GroupColumn = None,
    views: Views = None,
    seed: Seed = 222,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Compare two models, or two catalogues, on the same labelled galaxies."""
    from peculiar.evaluation.compare import COMPARISON
    from peculiar.evaluation.compare import compare as run_compare
    from peculiar.evaluation.compare_page import PAGE

    command = shlex.join(["peculiar", *sys.argv[1:]])
    request = context.with_resource(producing(context, folder / COMPARISON, folder / PAGE))
    with bar("", task="classifying") as show:
        found = run_compare(
            open_run(first, weights),
            open_run(second, weights),
            data,
            label=label,
            labels=labels,
            id=id_column,
            question=question,
            part=part,
            include_training=include_training,
            views=views,
            by=by or (),
            group=group,
            seed=seed,
            progress=lambda stage, done: show(description=stage, advance=done),
        )
    found.write(folder, command=command)
    request.tidy(folder)
    if as_json:
        print_json(found.as_dict(command=command))
    else:
        _print(found, folder / PAGE)


def _print(found: "Comparison", page: Path) -> None:
    from peculiar.evaluation.compare_page import difference_table

    for note in found.notes:
        out.print(note)
    out.print(found.verdict)
    out.print()
    print_table(difference_table(found.scores.overall, found.names))
    only_first, only_second, p_value = found.mcnemar
    test = "" if p_value is None else f" (McNemar's test: p = {p_value:.2g})"
    out.print()
    out.print(f"Only the first is right on {only_first:,}, only the second on {only_second:,}{test}.")
    out.print(
        f"Differences, figures and the galaxies whose class differs are in {page.parent}; open {page} in a browser."
    )
