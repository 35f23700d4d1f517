"""Page of an assessment: figures, JSON and HTML in a folder."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from peculiar.evaluation.assess import Statistics
from peculiar.evaluation.measured import Disagreement
from peculiar.evaluation.robustness import Shifted
from peculiar.metrics.intervals import Interval
from peculiar.metrics.scores import ClassScores, Scores
from peculiar.reports import drawing, galaxy_plots, plots
from peculiar.reports.page import Picture, Section, write_page
from peculiar.text import changed, counted, format_interval, format_score

_CLASS_SCORES = (
    ("precision", "precision"),
    ("recall", "recall"),
    ("F1", "f1"),
    ("AUC", "auc"),
    ("average precision", "average_precision"),
)

_SCORES = (
    ("accuracy", "accuracy", "share of the galaxies whose most probable class is the labelled one"),
    (
        "balanced accuracy",
        "balanced_accuracy",
        "mean recall of the classes: rare and common classes count equally",
    ),
    (
        "AUC",
        "auc",
        "probability that a galaxy of a class gets a higher probability for it than another galaxy; mean over classes",
    ),
    ("average precision", "average_precision", "mean precision over all recalls; mean over the classes"),
    ("log loss", "log_loss", "mean of −ln(probability of the labelled class), in nats; 0 is best"),
    ("Brier score", "brier", "squared distance of the probabilities from the labels, 0 to 2; 0 is best"),
    (
        "calibration error",
        "calibration_error",
        "mean difference between stated probability and found frequency, in 15 bins of equal count",
    ),
)

_OF_PARTS = ("accuracy", "balanced_accuracy", "auc", "calibration_error")

_DEFINED = "A score without any galaxies is undefined, not 0: a class that does not occur has no recall."


def write_assessment(
    folder: Path,
    found: Statistics,
    facts: Mapping[str, str],
    *,
    mistakes: Sequence[tuple[NDArray[np.uint8], str]] = (),
    shifts: Mapping[str, Shifted] | None = None,
    measured: Sequence[tuple[Disagreement, Sequence[tuple[NDArray[np.uint8], str]]]] = (),
    deviations: str = "",
    review: str = "",
) -> Path:
    """Write the figures of an assessment, each as PNG and PDF, and the page ``report.html``.

    Parameters
    ----------
    folder : path
    found : Statistics
    facts : mapping of str to str
        Facts to state on the page: data, model, digests, command, seed.
    mistakes : sequence of (ndarray of uint8 (height, width, 3), str)
        Pictures of the most confident mistakes, with captions.
    shifts : mapping of str to Shifted, optional
        Scores on corrupted pictures, by corruption.
    measured : sequence of (Disagreement, sequence of (ndarray of uint8 (height, width, 3), str))
        Answers compared with measures, and pictures of the galaxies on which they disagree, with captions.
    deviations : str
        Errors of the vote fractions in words, if the labels are votes.
    review : str
        Command that opens the mistakes in the labelling pages.

    Returns
    -------
    path
        The page.
    """
    answers = found.question.answers

    figure = partial(keep_figure, folder)

    sections = [
        _scores_section(found),
        Section(
            "Class by class",
            [
                "Precision is the share of the galaxies predicted as a class that belong to it; recall is the share "
                "of the galaxies of a class that are predicted as it; F1 is their harmonic mean. AUC and average "
                f"precision are those of the class against all others. {_DEFINED}"
            ],
            table=_class_table(found.scores),
            figures=[
                figure(
                    plots.draw_scores(_by_class(found.scores)),
                    "classes",
                    "One line per class, with 95 % intervals; long intervals mean few galaxies.",
                ),
                figure(
                    plots.draw_confusion(found.scores.confusion, answers),
                    "confusion",
                    "Rows are true classes, columns are predicted classes; mistakes are off the diagonal.",
                ),
            ],
        ),
        Section(
            "Do the probabilities mean what they say?",
            _calibration_text(found),
            figures=[
                figure(
                    plots.draw_reliability(found.reliability),
                    "reliability",
                    "Galaxies in bins of equal count by the probability of the predicted class; points above the "
                    "diagonal were right more often than stated, points below less often. Bars are 95 % intervals.",
                )
            ],
        ),
    ]
    if found.sets:
        sections.append(
            Section(
                "Sets of answers",
                [
                    "Sets of answers that contain the right one with the stated coverage, in each class. A set of one "
                    f"answer is decided. Thresholds are from {found.sets_from}.",
                    _decided_text(found),
                ],
                table=_sets_table(found),
                figures=[
                    figure(
                        plots.draw_coverage(found.sets),
                        "sets",
                        "Left: measured against stated coverage. Right: mean number of answers per set.",
                    )
                ],
            )
        )
    for number, (column, parts) in enumerate(found.by.items()):
        if parts:
            drawn = plots.draw_scores(_by_part(parts))
            caption = f"The same scores for the galaxies of each entry of {column}, with 95 % intervals."
            name = f"by_{number + 1}_{''.join(sign if sign.isalnum() else '_' for sign in column)}"
            sections.append(Section(f"By {column}", table=_parts_table(parts), figures=[figure(drawn, name, caption)]))
    if found.fractions:
        sections.append(_fractions_section(found))
    if shifts:
        sections.append(
            Section(
                "How robust are the answers?",
                [
                    "The same galaxies with increasingly corrupted pictures. The grey line is 5 points of accuracy "
                    "below that of the original pictures.",
                ],
                table=_shift_table(shifts),
                figures=[figure(plots.draw_shifts(shifts), "shifts", "Accuracy, calibration error and agreement.")],
            )
        )
    if measured:
        sections.append(_measures_section(folder, measured))
    if mistakes:
        drawn = galaxy_plots.draw_answers(
            np.stack([picture for picture, _ in mistakes]),
            [[(line, None) for line in text.split("\n")] for _, text in mistakes],
        )
        caption = "Confident but wrong answers: look here first for wrong labels and for weaknesses of the model."
        text = ["The labelling pages ask about all mistakes one by one, in this order:"] if review else []
        figures = [figure(drawn, "mistakes", caption)]
        sections.append(Section("The most confident mistakes", text=text, code=review, figures=figures))
    sections.append(
        Section("What was scored", table=[["", ""], *([name, text] for name, text in facts.items())], text_columns=2)
    )
    low = format_interval(found.scores.intervals.get("accuracy"))
    lead = (
        f"{counted(found.scores.count, 'galaxy')}, the question {found.question.name}: accuracy "
        f"{format_score(found.scores.accuracy)}{f' ({low})' if low else ''}."
    )
    if deviations:
        lead += f" The majority answer counts as right; the errors of the vote fractions are {deviations}."
    return write_page(folder / "report.html", "How good are the answers?", lead, sections)


def keep_figure(folder: Path, drawn: Figure, name: str, caption: str) -> Picture:
    """Write a figure as PNG and PDF into a folder, and return it for a page, which holds it and links to the PDF."""
    shown = drawing.save(drawn, folder / f"{name}.png").read_bytes()
    drawn.set_layout_engine("none")  # the PDF has the layout of the PNG, which takes as long as the drawing
    drawing.save(drawn, folder / f"{name}.pdf")
    return Picture(f"{name}.pdf", caption, shown)


def _scores_section(found: Statistics) -> Section:
    scores = found.scores
    rows = [["score", "value", "95 % interval"]]
    rows += [
        [name, format_score(getattr(scores, key)), format_interval(scores.intervals.get(key))]
        for name, key, _ in _SCORES
    ]
    return Section(
        "Scores",
        [
            "Each score is measured on these galaxies; its 95 % interval covers the score of all such galaxies in 95 "
            f"of 100 cases. {_DEFINED}",
            "; ".join(f"{name[0].upper()}{name[1:]}: {meaning}" for name, _, meaning in _SCORES) + ".",
        ],
        table=rows,
    )


def _cell(value: float | None, interval: Interval) -> str:
    text = format_interval(interval)
    return f"{format_score(value)} ({text})" if value is not None and text else format_score(value)


def _class_table(scores: Scores) -> list[list[str]]:
    rows = [["class", "galaxies", *(name for name, _ in _CLASS_SCORES)]]
    rows += [
        [name, f"{of.count:,}", *(_cell(getattr(of, key), of.intervals.get(key)) for _, key in _CLASS_SCORES)]
        for name, of in scores.classes.items()
    ]
    return rows


def _parts_table(parts: Mapping[str, Scores]) -> list[list[str]]:
    shown = [(name, key) for name, key, _ in _SCORES if key in _OF_PARTS]
    rows = [["entry", "galaxies", *(name for name, _ in shown)]]
    rows += [
        [part, f"{of.count:,}", *(_cell(getattr(of, key), of.intervals.get(key)) for _, key in shown)]
        for part, of in parts.items()
    ]
    return rows


def _by_class(scores: Scores) -> dict[str, dict[str, tuple[float | None, Interval]]]:
    def value(of: ClassScores, key: str) -> tuple[float | None, Interval]:
        return getattr(of, key), of.intervals.get(key)

    return {name: {answer: value(of, key) for answer, of in scores.classes.items()} for name, key in _CLASS_SCORES[:4]}


def _by_part(parts: Mapping[str, Scores]) -> dict[str, dict[str, tuple[float | None, Interval]]]:
    shown = [(name, key) for name, key, _ in _SCORES if key in _OF_PARTS]
    return {
        name: {part: (getattr(of, key), of.intervals.get(key)) for part, of in parts.items()} for name, key in shown
    }


def _calibration_text(found: Statistics) -> list[str]:
    text = [
        "Of the galaxies predicted with a probability of 0.8, 80 % should belong to the predicted class. "
        f"The expected calibration error is {format_score(found.scores.calibration_error)}."
    ]
    for name, bins in found.reliability.items():
        text.append(
            f"{name[0].upper()}{name[1:]}: the diagonal passes through {sum(one.bears_out for one in bins)} of "
            f"{counted(len(bins), 'interval')}."
        )
    known = found.calibration
    if known:
        text.append(
            f"Recalibrated across folds by {known['scaling']}: log loss "
            f"{known['log_loss']:.3f} instead of {found.scores.log_loss:.3f}, calibration error "
            f"{known['calibration_error']:.3f}. With weights and biases by class the log loss is "
            f"{changed(-known['gain_by_classes'])} (standard error {known['gain_error']:.4f}) against a temperature; "
            "they are used if it is lower by more than two standard errors and the recall of rare classes does not "
            "fall."
        )
    return text


def _decided_text(found: Statistics) -> str:
    """Return how many galaxies are decided at each level, and how many of these rightly, as a sentence."""
    told = []
    for one in found.sets:
        right = "none" if one.single_accuracy is None else f"{one.single_accuracy:.1%} of them right"
        ends = f" ({one.single_interval[0]:.1%} to {one.single_interval[1]:.1%})" if one.single_interval else ""
        told.append(f"{one.single:.0%} at {one.level} %, {right}{ends}")
    whole = format_score(found.scores.accuracy)
    return f"If the others are left open, these are decided: {'; '.join(told)}. The accuracy of all is {whole}."


def _sets_table(found: Statistics) -> list[list[str]]:
    names = list(found.question.answers)
    rows = [["stated", "measured", "95 % interval", "answers per set", "of one answer", *names]]
    for one in found.sets:
        shares = [one.classes[name]["coverage"] for name in names]
        rows.append(
            [
                f"{one.level} %",
                f"{one.coverage:.1%}",
                "" if one.interval is None else f"{one.interval[0]:.1%} to {one.interval[1]:.1%}",
                f"{one.size:.2f}",
                f"{one.single:.0%}",
                *("undefined" if share is None else f"{share:.1%}" for share in shares),
            ]
        )
    return rows


def _fractions_section(found: Statistics) -> Section:
    rows = [["class", "predicted", "adjusted counts", "90 % interval", "expectation maximisation", "90 % interval"]]
    rows += [
        [
            name,
            f"{one.counted:.1%}",
            f"{one.adjusted:.1%}",
            "{:.1%} to {:.1%}".format(*one.adjusted_interval),
            f"{one.expected:.1%}",
            "{:.1%} to {:.1%}".format(*one.expected_interval),
        ]
        for name, one in found.fractions.items()
    ]
    return Section(
        "How common are they?",
        [
            "Shares of the classes in the catalogue without labels. Counts of predicted classes are biased by the "
            "mistakes of the model. Both corrections use the mistakes on the labelled galaxies, and hold if galaxies "
            "of a class look alike in both sets. If the two differ by more than their intervals, this is in doubt.",
        ],
        table=rows,
    )


def _measures_section(
    folder: Path, measured: Sequence[tuple[Disagreement, Sequence[tuple[NDArray[np.uint8], str]]]]
) -> Section:
    rows = [["answer", "measure", "galaxies", "rank correlation", "AUC of the model", "AUC of the measure"]]
    rows += [
        [
            one.answer,
            one.measure,
            f"{one.galaxies:,}",
            f"{one.correlation:.2f}",
            format_score(one.auc_network),
            format_score(one.auc_measure),
        ]
        for one, _ in measured
    ]
    figures = []
    for one, pictures in measured:
        if pictures:
            drawn = galaxy_plots.draw_answers(
                np.stack([picture for picture, _ in pictures]),
                [[(line, None) for line in text.split("\n")] for _, text in pictures],
            )
            caption = (
                f"Largest differences of the ranks by the probability of {one.answer} and by {one.measure}: first "
                "galaxies for which the probability is higher, then those for which the measure is higher."
            )
            name = "".join(sign if sign.isalnum() else "_" for sign in f"{one.answer}_{one.measure}")
            figures.append(keep_figure(folder, drawn, f"measure_{name}", caption))
    return Section(
        "Where network and measure disagree",
        [
            "Measures of the joined table that should be high for an answer, compared with its probability. A low "
            "correlation is no fault: a measure also reacts to neighbours, arms and noise, and the model to features "
            "that no measure sees. Only good and suspect measures count (quality 0 and 1).",
            *(
                f"{one.answer} and {one.measure}: the probability is higher for {', '.join(one.network_higher)}; the "
                f"measure for {', '.join(one.measure_higher)}."
                for one, _ in measured
            ),
        ],
        table=rows,
        figures=figures,
        text_columns=2,
    )


def _shift_table(shifts: Mapping[str, Shifted]) -> list[list[str]]:
    rows = [["pictures", "accuracy 5 points lower at", "calibration error 5 points higher at", "same class, at worst"]]
    rows += [
        [
            f"{name} ({of.unit})" if of.unit else name,
            _reached(of.accuracy_falls_at),
            _reached(of.calibration_falls_at),
            f"{min(of.same):.0%}",
        ]
        for name, of in shifts.items()
    ]
    return rows


def _reached(amount: float | None) -> str:
    return "not reached" if amount is None else f"{amount:.3g}"


def facts_of(settings: Mapping[str, Any]) -> dict[str, str]:
    """Return settings as text for the page, without empty ones."""
    return {name: str(value) for name, value in settings.items() if value not in (None, "", {}, [])}
