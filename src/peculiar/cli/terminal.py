"""What commands print: text, tables, scores, JSON, warnings, and advice where a package is missing."""

import json
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console

from peculiar.errors import MissingExtraError, PeculiarWarning

# Figures go to standard output; what is told on the way, to standard error.
# Text is printed as it is: a name with brackets is no markup, and a path is not broken across lines.
out = Console(markup=False, highlight=False, soft_wrap=True)
err = Console(markup=False, highlight=False, soft_wrap=True, stderr=True)


shown_warnings: set[str] = set()


def show_warning(message: Warning | str, category: type[Warning], *_: Any) -> None:
    """Print a warning of peculiar once, and no other; takes the place of `warnings.showwarning`."""
    # The workers of a run say again what was said when the data were opened, and how often.
    text = re.sub(r" \(\d+ times\)$", "", str(message))
    if issubclass(category, PeculiarWarning) and text not in shown_warnings:
        shown_warnings.add(text)
        err.print("warning:", style="bold yellow", end=" ")
        err.print(str(message))


@contextmanager
def extra(task: str, name: str) -> Iterator[None]:
    """Turn a missing optional package into advice."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise MissingExtraError(task, name) from error


def some_galaxies(count: int) -> str:
    """Return a number of galaxies in words."""
    return "1 galaxy" if count == 1 else f"{count:,} galaxies"


def print_unreadable(problems: Mapping[str, str], count: int) -> None:
    """Say why pictures cannot be read: the first of them, and how many more there are."""
    told = list(problems.items())[:10]
    for id_, reason in told:
        err.print(f"{id_} cannot be read: {reason}")
    if count > len(told):
        err.print(f"and {count - len(told):,} more cannot be read")


def print_json(value: Any) -> None:
    """Print a value as JSON, and nothing else."""
    sys.stdout.write(json.dumps(value, indent=2) + "\n")


def print_table(rows: list[list[str]]) -> None:
    """Print rows with their columns aligned: the first to the left, the others to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        out.print("  ".join(cells))


def print_scores(scores: Any) -> None:
    """Print scores with their intervals, by class, and the confusion matrix."""
    from peculiar.report import score_table
    from peculiar.words import format_score

    for name, value in (
        ("accuracy", scores.accuracy),
        ("balanced accuracy", scores.balanced_accuracy),
        ("AUC (mean over classes)", scores.auc),
        ("AUC (pooled, as Keras)", scores.pooled_auc),
        ("average precision", scores.average_precision),
        ("log loss", scores.log_loss),
        ("Brier score", scores.brier),
        ("calibration error", scores.calibration_error),
    ):
        key = {"AUC (mean over classes)": "auc"}.get(name, name.lower().replace(" score", "").replace(" ", "_"))
        ends = scores.intervals.get(key)
        out.print(f"{name:26} {format_score(value)}" + (f"   {ends[0]:.3f} to {ends[1]:.3f}" if ends else ""))
    out.print()
    print_table(score_table(scores))
    out.print("\nConfusion matrix (rows: true class, columns: predicted)")
    names = list(scores.classes)
    rows = [[name, *map(str, row)] for name, row in zip(names, scores.confusion, strict=True)]
    print_table([["", *names], *rows])
