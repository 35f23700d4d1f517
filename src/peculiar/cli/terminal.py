"""Output of the commands: text, tables, scores, JSON, warnings, and advice if an extra is missing."""

import json
import logging
import os
import re
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rich.console import Console

from peculiar.cli import PipeClosed
from peculiar.errors import PeculiarWarning
from peculiar.text import shown, width

if TYPE_CHECKING:
    from peculiar.catalogs.tally import Summary


class _Terminal(Console):
    """A console that interprets no markup, emoji codes or escapes in printed texts.

    Lines are not wrapped, so that paths can be copied.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, emoji=False, highlight=False, soft_wrap=True, **options)

    def print(self, *objects: Any, **options: Any) -> None:
        """Print a line, with unprintable characters as escapes."""
        super().print(*(shown(one) if isinstance(one, str) else one for one in objects), **options)

    def on_broken_pipe(self) -> None:
        """End the command; rich would do so with another exit status."""
        self.quiet = True
        raise PipeClosed


# Results go to standard output, messages to standard error.
out = _Terminal()
err = _Terminal(stderr=True)


def keep_results_apart() -> None:
    """Redirect standard output to standard error, except for texts printed to `out`.

    Libraries also write to standard output, such as astropy its log, in this process and its children.
    """
    own = sys.__stdout__
    if own is None or sys.stdout is not own or own.fileno() != 1 or sys.stderr is not sys.__stderr__:
        return  # it is closed, or belongs to another program
    own.flush()
    out.file = os.fdopen(os.dup(1), "w", encoding=own.encoding, errors=own.errors)
    os.dup2(2, 1)


def let_go() -> None:
    """Discard all further output, so that the program does not fail at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.__stdout__, sys.__stderr__, out.file):
        if stream is not None:
            os.dup2(nowhere, stream.fileno())


class OneLine(logging.Formatter):
    """Formatter of log records as one printable line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the message."""
        return shown(record.getMessage())


shown_warnings: set[str] = set()


def show_warning(message: Warning | str, category: type[Warning], *_: Any) -> None:
    """Print each warning of peculiar once, and no others; replaces `warnings.showwarning`."""
    # The workers of a run repeat warnings from opening the data, with counts.
    text = re.sub(r" \(\d+ times\)$", "", str(message))
    if issubclass(category, PeculiarWarning) and text not in shown_warnings:
        shown_warnings.add(text)
        err.print("warning:", style="bold yellow", end=" ")
        err.print(str(message))


def print_unreadable(problems: Mapping[str, str], count: int, work: str = "read") -> None:
    """Print why pictures cannot be read, or measured: the first few, and the number of the others."""
    listed = list(problems.items())[:10]
    for id_, reason in listed:
        err.print(f"{id_} cannot be {work}: {reason}")
    if count > len(listed):
        err.print(f"and {count - len(listed):,} more cannot be {work}")


def print_failures(summary: "Summary", output: str) -> None:
    """Print which parts of the data failed, why, and how to continue; `output` is the kind of output: "table"."""
    for name, reason in summary.failed.items():
        err.print(f"{name} failed: {reason}")
    if summary.failed:
        err.print(
            f"failed parts of the data: {len(summary.failed):,}; repair them, and the same command continues with the "
            f"rest. --partial writes the {output} without them"
        )


def print_json(value: Any) -> None:
    """Print a value as JSON."""
    try:
        out.file.write(json.dumps(value, indent=2) + "\n")
        out.file.flush()
    except BrokenPipeError as error:
        raise PipeClosed from error


def print_table(rows: list[list[str]]) -> None:
    """Print rows with aligned columns: the first to the left, the others to the right."""
    rows = [[shown(cell) for cell in row] for row in rows]
    widths = [max(width(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        gaps = [" " * (most - width(cell)) for most, cell in zip(widths, row, strict=True)]
        cells = [row[0] + gaps[0], *(gap + cell for gap, cell in zip(gaps[1:], row[1:], strict=True))]
        out.print("  ".join(cells))


def print_scores(scores: Any) -> None:
    """Print scores with their intervals, by class, and the confusion matrix."""
    from peculiar.reports.page import score_table
    from peculiar.text import format_score

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
    out.print()
    out.print("Confusion matrix (rows: true class, columns: predicted)")
    names = list(scores.classes)
    rows = [[name, *map(str, row)] for name, row in zip(names, scores.confusion, strict=True)]
    print_table([["", *names], *rows])
