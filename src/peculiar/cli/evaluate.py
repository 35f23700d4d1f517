"""`peculiar evaluate`: score a model, print the scores, write a page."""

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from peculiar.cli.options import (
    By,
    Data,
    Device,
    GroupColumn,
    IdColumn,
    IncludeTraining,
    Join,
    Json,
    Label,
    Labels,
    ModelOrRun,
    Overwrite,
    Part,
    Views,
    Weights,
    open_run,
    producing,
)
from peculiar.cli.progress import bar
from peculiar.cli.terminal import out, print_json, print_scores, print_table
from peculiar.text import counted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from peculiar.evaluation.evaluate import Assessment
    from peculiar.metrics.prevalence import Fraction

EXAMPLES = (
    "peculiar evaluate labelled/ --model mine.onnx",
    "peculiar evaluate catalog.parquet --labels labels.csv --by magnitude",
)


def evaluate(
    context: typer.Context,
    data: Data,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--out", help="Folder for scores and figures; default: evaluation, in the run's folder for a run."
        ),
    ] = None,
    model: ModelOrRun = None,
    label: Label = None,
    labels: Labels = None,
    id_column: IdColumn = None,
    question: Annotated[
        str | None, typer.Option(help="Question of the model to score; default: the one that the labels answer.")
    ] = None,
    part: Part = "all",
    weights: Weights = "last",
    include_training: IncludeTraining = False,
    by: By = None,
    join: Join = None,
    group: GroupColumn = None,
    catalog: Annotated[
        Path | None,
        typer.Option("--fractions", help="Catalogue without labels: estimate the prevalence of the classes."),
    ] = None,
    push: Annotated[
        bool, typer.Option("--shift", help="Also measure robustness to corruptions of the pictures; takes minutes.")
    ] = False,
    views: Views = None,
    overwrite: Overwrite = False,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Score a model on labelled galaxies, leaving out those that it was trained on; or a table of probabilities."""
    from peculiar.evaluation.evaluate import REPORT, SCORES
    from peculiar.evaluation.evaluate import evaluate as run_evaluate

    folder = folder or (model / "evaluation" if model is not None and model.is_dir() else Path("evaluation"))
    command = shlex.join(["peculiar", *sys.argv[1:]])
    request = context.with_resource(producing(context, folder / SCORES, folder / REPORT))
    with bar("", task="classifying") as show:
        found = run_evaluate(
            data,
            open_run(model, weights),
            label=label,
            labels=labels,
            id=id_column,
            question=question,
            part=part,
            include_training=include_training,
            views=views,
            by=by or (),
            join=join,
            group=group,
            fractions=catalog,
            shift=push,
            progress=lambda stage, done: show(description=stage, advance=done),
        )
    found.write(folder, command=command)
    request.tidy(folder)
    if as_json:
        print_json(found.as_dict(command=command))
    else:
        _print(found, folder / REPORT)


def _print(found: "Assessment", page: Path) -> None:
    from peculiar.evaluation.evaluate import listed

    out.print(f"Model: {found.model}; scores on {counted(found.scores.count, 'galaxy')}")
    for note in found.notes:
        out.print(note)
    for id_, reason in found.scored.problems.items():
        out.print(f"{id_} cannot be read: {reason}")
    print_scores(found.scores)
    if off := found.scored.deviations():
        out.print(f"error of the vote fractions: {listed(off)} (root mean square)")
    if found.statistics.fractions:
        _print_fractions(found.statistics.fractions)
    out.print(f"Scores and figures are in {page.parent}; open {page} in a browser.")


def _print_fractions(fractions: "Mapping[str, Fraction]") -> None:
    out.print()
    out.print("Shares in the catalogue, with 90 % intervals")
    rows = [["class", "called so", "adjusted counts", "expectation maximisation"]]
    rows += [
        [
            name,
            f"{one.counted:.1%}",
            "{:.1%} ({:.1%} to {:.1%})".format(one.adjusted, *one.adjusted_interval),
            "{:.1%} ({:.1%} to {:.1%})".format(one.expected, *one.expected_interval),
        ]
        for name, one in fractions.items()
    ]
    print_table(rows)
