"""`peculiar compare`: compare two models or catalogues, print the differences, write a page."""

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from peculiar.cli.options import (
    By,
    Device,
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
    from peculiar.evaluation.agreement import Agreement
    from peculiar.evaluation.compare import Comparison

EXAMPLES = (
    "peculiar compare old.onnx new.onnx labelled/",
    "peculiar compare first.parquet second.parquet --labels labels.csv",
    "peculiar compare first.parquet second.parquet",
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
            metavar="DATA",
            help="Labelled galaxies as for evaluate; needed for models. Without labels, only the classes of two "
            "catalogues are compared.",
            show_default=False,
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
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Compare two models on the same labelled galaxies, or two catalogues, also without labels."""
    from peculiar.evaluation.agreement import compare_classes
    from peculiar.evaluation.compare import COMPARISON
    from peculiar.evaluation.compare import compare as run_compare
    from peculiar.evaluation.compare_page import PAGE

    command = shlex.join(["peculiar", *sys.argv[1:]])
    request = context.with_resource(producing(context, folder / COMPARISON, folder / PAGE))
    if data is None and labels is None and label is None and _has_classes(first) and _has_classes(second):
        _refuse_without_labels(by=by, group=group)
        agreed = compare_classes(first, second, question=question, id=id_column)
        agreed.write(folder, command=command)
        request.tidy(folder)
        if as_json:
            print_json(agreed.as_dict(command=command))
        else:
            _print_agreement(agreed, folder / PAGE)
        return
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


def _has_classes(path: Path) -> bool:
    """Return whether a path is a table with a column ``class``, such as a catalogue."""
    from peculiar.evaluation.compare import is_answers
    from peculiar.tables.reader import TableReader

    return is_answers(path) and "class" in TableReader(path).columns


def _refuse_without_labels(**options: object) -> None:
    """Raise `UsageError` if options are given that only scores have."""
    from peculiar.errors import UsageError

    if given := [f"--{name}" for name, value in options.items() if value]:
        message = f"{' and '.join(given)}: without labels there are no scores; name a table of labels (--labels)"
        raise UsageError(message)


def _print_agreement(found: "Agreement", page: Path) -> None:
    for note in found.notes:
        out.print(note)
    out.print(found.verdict)
    out.print()
    header = ["in the first", *(f"{answer} in the second" for answer in found.answers)]
    rows = zip(found.answers, found.transitions.tolist(), strict=True)
    print_table([header, *([answer, *map(str, counts)] for answer, counts in rows)])
    out.print()
    out.print(f"The galaxies whose class differs are in {page.parent}; open {page} in a browser.")


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
