"""Page of a comparison: differences with intervals, reliability, and the galaxies whose class differs."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from peculiar.evaluation.page import facts_of, keep_figure
from peculiar.evaluation.pairs import PairedAnswers
from peculiar.metrics.paired import LOWER_IS_BETTER, Difference
from peculiar.reports import galaxy_plots, plots
from peculiar.reports.page import Section, write_page
from peculiar.text import counted, format_score

PAGE = "comparison.html"

_SHOWN = 24
"""Number of galaxies of another class that are shown."""

_NAMES = {"auc": "AUC", "brier": "Brier score"}
_DRAWN = ("accuracy", "balanced_accuracy", "auc", "average_precision")
_OF_CLASSES = ("recall", "precision")
_OF_PARTS = ("accuracy", "auc")


def write_comparison(folder: Path, found: PairedAnswers, *, command: str = "") -> Path:
    """Write the figures of a comparison, each as PNG and PDF, and the page ``comparison.html``.

    Parameters
    ----------
    folder : path
    found : PairedAnswers
    command : str
        The command, to be stated on the page.

    Returns
    -------
    path
        The page.
    """
    figure = partial(keep_figure, folder)

    first, second = found.names
    caption = f"Such galaxies: the class in {first}, the class in {second}, and the label; right answers are green."
    answers = found.question.answers
    overall = found.scores.overall
    sections = [
        Section(
            "Scores",
            [
                f"Differences are {second} minus {first}. Both are scored on the same galaxies, so the interval of a "
                "difference is shorter than those of the two scores suggest. A difference whose 95 % interval contains "
                "0 may be due to chance. Of log loss, Brier score and calibration error the lower is better.",
                _mcnemar_text(found),
            ],
            table=difference_table(overall, found.names),
            figures=[
                figure(
                    plots.draw_differences({name_of(key): overall[key] for key in _DRAWN}),
                    "differences",
                    f"Difference of each score, with its 95 % interval; right of the line {second} is better.",
                )
            ],
        ),
        Section(
            "Class by class",
            [f"Two scores are those of {first} and {second}; intervals of the differences are at 95 %."],
            table=[
                ["class", *_heads(_OF_CLASSES)],
                *(
                    [answer, *(cell for key in _OF_CLASSES for cell in _cells(of[key]))]
                    for answer, of in zip(answers, found.scores.classes, strict=True)
                ),
            ],
        ),
        Section(
            "Do the probabilities mean what they say?",
            figures=[
                figure(
                    plots.draw_reliability(found.reliability),
                    "reliability",
                    "Galaxies in bins of equal count by the probability of the predicted class; points above the "
                    "diagonal were right more often than stated, points below less often. Bars are 95 % intervals.",
                )
            ],
        ),
        Section(
            "Galaxies whose class differs",
            [
                f"{counted(len(found.rows_changed), 'galaxy', 'have', 'has')} another class in {second} than in "
                f"{first}. All are listed in comparison.json."
            ],
            figures=[
                figure(
                    draw_transitions(found),
                    "transitions",
                    f"Rows: class in {first}. Columns: class in {second}. Number of galaxies.",
                ),
                *([figure(drawn, "changed", caption)] if (drawn := _pictures(found)) else []),
            ],
            table=_changed_table(found),
            text_columns=3,
        ),
    ]
    sections += [
        Section(
            f"By {column}",
            table=[
                ["entry", *_heads(_OF_PARTS)],
                *(
                    [entry, *(cell for key in _OF_PARTS for cell in _cells(of.overall[key]))]
                    for entry, of in parts.items()
                ),
            ],
        )
        for column, parts in found.by.items()
        if parts
    ]
    facts = {
        first: found.first.candidate.described,
        second: found.second.candidate.described,
        "question": found.question.name,
        "galaxies": " ".join(found.notes),
        "seed": found.seed,
        "command": command,
    }
    sections.append(
        Section(
            "What was compared",
            table=[["", ""], *([name, text] for name, text in facts_of(facts).items())],
            text_columns=2,
        )
    )
    lead = f"{counted(len(found.first.ids), 'galaxy')}, the question {found.question.name}. {found.verdict}"
    return write_page(folder / PAGE, f"{first} and {second}", lead, sections)


def draw_transitions(found: PairedAnswers) -> Figure:
    """Draw the classes of the first (rows) against those of the second (columns)."""
    return plots.draw_confusion(found.transitions.tolist(), found.question.answers, found.names)


def name_of(score: str) -> str:
    """Return the name of a score in words."""
    return _NAMES.get(score, score.replace("_", " "))


def difference_table(found: Mapping[str, Difference], names: Sequence[str]) -> list[list[str]]:
    """Return the scores of both and their differences as a table, whose first row is the header."""
    rows = [["score", *names, "difference", "95 % interval", "better"]]
    for key, one in found.items():
        better = ""
        if one.clear and one.difference is not None:
            better = names[(one.difference > 0) != (key in LOWER_IS_BETTER)]
        values = [format_score(value) for value in (one.first, one.second)]
        rows.append([name_of(key), *values, _signed(one.difference), _interval(one), better])
    return rows


def _heads(scores: Sequence[str]) -> list[str]:
    return [head for score in scores for head in (name_of(score), "difference")]


def _cells(one: Difference) -> list[str]:
    interval = _interval(one)
    return [
        f"{format_score(one.first)}, {format_score(one.second)}",
        _signed(one.difference) + (f" ({interval})" if interval else ""),
    ]


def _signed(value: float | None) -> str:
    return "" if value is None else f"{value:+.3f}"


def _interval(one: Difference) -> str:
    return "" if one.interval is None else f"{one.interval[0]:+.3f} to {one.interval[1]:+.3f}"


def _mcnemar_text(found: PairedAnswers) -> str:
    only_first, only_second, p_value = found.mcnemar
    text = (
        f"Only {found.names[0]} is right on {counted(only_first, 'galaxy')}, only {found.names[1]} on {only_second:,}."
    )
    if p_value is not None:
        text += (
            f" If both were right equally often, a difference as large would occur with a probability of {p_value:.2g} "
            "(McNemar's test)."
        )
    return text


def _changed_table(found: PairedAnswers) -> list[list[str]]:
    rows = found.rows_changed[:_SHOWN].tolist()
    if not rows:
        return []
    answers, (before, after) = found.question.answers, found.called
    header = ["id", "label", *found.names]
    return [
        header,
        *(
            [
                found.first.ids[row],
                answers[found.first.labels[row]],
                f"{answers[before[row]]} {found.first.probabilities[row, before[row]]:.0%}",
                f"{answers[after[row]]} {found.second.probabilities[row, after[row]]:.0%}",
            ]
            for row in rows
        ),
    ]


def _pictures(found: PairedAnswers) -> Figure | None:
    """Draw galaxies whose class differs, with their label and both answers; None without pictures."""
    pictures = found.pictures(found.rows_changed[:_SHOWN])
    if not pictures:
        return None
    answers, labels = found.question.answers, found.first.labels
    captions: list[list[tuple[str, bool | None]]] = [
        [
            *((answers[called[row]], bool(called[row] == labels[row])) for called in found.called),
            (f"label: {answers[labels[row]]}", None),
        ]
        for row in pictures
    ]
    return galaxy_plots.draw_answers(np.stack(list(pictures.values())), captions)
