"""Page of a verification: the threshold, purity and completeness by threshold, and how they were found."""

from functools import partial
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from peculiar.evaluation.page import facts_of, keep_figure
from peculiar.reports import plots
from peculiar.reports.page import Section, write_page
from peculiar.text import counted
from peculiar.verification.outcome import Outcome

PAGE = "verification.html"

_SHOWN = 15
"""Number of thresholds in the table."""


def write_verification(folder: Path, found: Outcome, *, command: str = "") -> Path:
    """Write the figure of a verification, as PNG and PDF, and the page ``verification.html``.

    Parameters
    ----------
    folder : path
    found : Outcome
    command : str
        The command, to be stated on the page.

    Returns
    -------
    path
        The page.
    """
    figure = partial(keep_figure, folder)
    true = found.curves.true.at(0)
    facts = {
        "catalogue": found.catalog.place,
        "score": found.score,
        "condition": found.where,
        "true": found.answer,
        "answers": f"{found.cells.answered.sum():,.0f}, of which {found.cells.true.sum():,.0f} are true",
        "remarks": " ".join(found.notes),
        "seed": found.seed,
        "command": command,
    }
    sections = [
        Section(
            "The threshold",
            [
                found.verdict,
                f"Of the {counted(int(found.curves.selected[0]), 'galaxy')}, about {true['estimate']:,.0f} are true "
                f"(95 % interval: {true['low']:,.0f} to {true['high']:,.0f}).",
                halving_text(found),
            ],
        ),
        Section(
            "Purity and completeness",
            [
                "The purity is the share of the galaxies above a threshold that are true, the completeness the share "
                "of the true ones that lie above it. Each answer counts as often as there are galaxies for which it "
                "stands. Bands are at 95 %, at each threshold by itself."
            ],
            figures=[
                figure(
                    draw_verification(found),
                    "verification",
                    "Purity and completeness of the galaxies with this score or a higher one, and their number.",
                )
            ],
            table=threshold_table(found),
        ),
        Section(
            "What was verified",
            table=[["", ""], *([name, text] for name, text in facts_of(facts).items())],
            text_columns=2,
        ),
    ]
    return write_page(folder / PAGE, f"{found.catalog.name}, verified by {found.score}", found.verdict, sections)


def threshold_table(found: Outcome) -> list[list[str]]:
    """Return purity, completeness and number of true ones at some thresholds, whose first row is the header."""
    count = len(found.curves.thresholds)
    numbers = set(np.linspace(0, count - 1, min(count, _SHOWN)).round().astype(int).tolist())
    rows = [["threshold", "galaxies", "purity", "95 % band", "completeness", "95 % band", "true ones", "95 % band"]]
    for number in sorted(numbers | ({found.number} if found.number is not None else set())):
        at = found.curves.at(number)
        mark = " (kept)" if number == found.number else ""
        row = [f"{at['threshold']:.4g}{mark}", f"{at['selected']:,}"]
        for quantity in ("purity", "completeness"):
            one = at[quantity]
            known = np.isfinite(one["estimate"])
            row += [f"{one['estimate']:.3f}", f"{one['low']:.3f} to {one['high']:.3f}"] if known else ["undefined", ""]
        one = at["true"]
        rows.append([*row, f"{one['estimate']:,.0f}", f"{one['low']:,.0f} to {one['high']:,.0f}"])
    return rows


def halving_text(found: Outcome) -> str:
    """Return a sentence on the number of answers that would halve the bands."""
    told = [
        f"about {number:,} more answers would halve the band of the {quantity}"
        for quantity, number in found.more.items()
        if number is not None
    ]
    where = "at this threshold" if found.number is not None else "at the middle threshold"
    if not told:
        return f"More answers cannot halve the bands {where}."
    return f"{where[0].upper()}{where[1:]}, {', and '.join(told)}."


def draw_verification(found: Outcome) -> Figure:
    """Draw purity and completeness as functions of the threshold."""
    return plots.draw_thresholds(found.curves, found.score, found.threshold)
