"""`peculiar evaluate`: score a model, print the scores, write a page."""

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from peculiar.cli.options import (
    Data,
    IdColumn,
    Json,
    Label,
    Labels,
    ModelOrRun,
    Overwrite,
    Views,
    producing,
)
from peculiar.cli.progress import bar
from peculiar.cli.terminal import out, print_json, print_scores, print_table
from peculiar.errors import extra
from peculiar.text import counted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from peculiar.evaluation.evaluate import Assessment
    from peculiar.exercise.run_folder import TrainedNet
    from peculiar.metrics.prevalence import Fraction

EXAMPLES = (
    "peculiar evaluate my_classes/ --model mine.onnx",
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
    part: Annotated[
        str,
        typer.Option(help="Part of the model file's split to score, by the ids: test, validation, training, or all."),
    ] = "all",
    weights: Annotated[str, typer.Option(help="Weights of a run: last (epoch) or best.")] = "last",
    include_training: Annotated[
        bool, typer.Option("--include-training", help="Also score galaxies that the model was trained on.")
    ] = False,
    by: Annotated[
        list[str] | None,
        typer.Option(help="Also score by the values of this column, numbers in four bins; may be given several times."),
    ] = None,
    group: Annotated[
        str | None,
        typer.Option(
            help="Column of groups, such as fields, whose galaxies are not independent; affects the intervals."
        ),
    ] = None,
    catalog: Annotated[
        Path | None,
        typer.Option("--fractions", help="Catalogue without labels: estimate the prevalence of the classes."),
    ] = None,
    push: Annotated[
        bool, typer.Option("--shift", help="Also measure robustness to corruptions of the pictures; takes minutes.")
    ] = False,
    views: Views = None,
    overwrite: Overwrite = False,
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
            _opened(model, weights),
            label=label,
            labels=labels,
            id=id_column,
            question=question,
            part=part,
            include_training=include_training,
            views=views,
            by=by or (),
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


def _opened(model: Path | None, weights: str) -> "Path | TrainedNet | None":
    """Return the network of a run; a model file is opened later."""
    if model is None or not model.is_dir():
        return model
    with extra("evaluating a training run", "exercise"):
        from peculiar.exercise.run_folder import load_run
    return load_run(model, weights=weights)


def _print(found: "Assessment", page: Path) -> None:
    from peculiar.evaluation.evaluate import listed

    out.print(f"Scores of {found.model} on {counted(found.scores.count, 'galaxy')}")
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
