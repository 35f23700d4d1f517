"""Figures of scores, trainings and searches. Nothing is computed here."""

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter
from numpy.typing import NDArray

from peculiar.reports.drawing import COLOURS, STARLIGHT, Drawing, bare, night, take_literally
from peculiar.text import shown


def draw_history(history: Sequence[Mapping[str, Any]]) -> Figure:
    """Draw loss, accuracy and AUC against the epoch, training and validation."""
    figure = Drawing(figsize=(9.6, 3.1), layout="constrained")
    names = (("loss", "loss"), ("categorical_accuracy", "accuracy"), ("auc", "AUC (pooled)"))
    epochs = [line["epoch"] for line in history]
    for axes, (key, title) in zip(figure.subplots(1, 3), names, strict=True):
        for prefix, label, colour in (("", "training", COLOURS[0]), ("val_", "validation", COLOURS[1])):
            # None, for an undefined score, leaves a gap.
            values = [math.nan if line[prefix + key] is None else line[prefix + key] for line in history]
            axes.plot(epochs, values, "o-", color=colour, label=label, markersize=4)
        axes.set_title(title, fontsize=10)
        axes.set_xlabel("epoch")
        axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    return figure


def draw_rates(rates: Sequence[float], losses: Sequence[float], best: float) -> Figure:
    """Draw the loss against the learning rate, and mark the one at which it falls fastest."""
    figure = Drawing(figsize=(6.4, 3.6), layout="constrained")
    axes = figure.subplots()
    axes.plot(rates, losses, color=COLOURS[0])
    axes.axvline(best, color=COLOURS[1], linestyle="--", label=f"falls fastest: {best:.1g}")
    axes.set_xscale("log")
    axes.set_xlabel("learning rate")
    axes.set_ylabel("loss, smoothed")
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    return figure


def draw_training(
    history: Sequence[Mapping[str, Any]],
    question: str,
    *,
    guessing: Mapping[str, float],
    best: int,
    head: Mapping[str, float] | None = None,
) -> Figure:
    """Draw the log loss and the balanced accuracy of a question against the epoch, with what guessing would give.

    Parameters
    ----------
    history : sequence of dict
        A line an epoch, with the scores of the held-out galaxies under ``val_`` and the name of the question.
    question : str
    guessing : mapping of str to float
        ``log_loss`` and ``balanced_accuracy`` of who knows only how frequent the classes are.
    best : int
        The epoch to mark.
    head : mapping of str to float, optional
        The same scores of the head on the embeddings, on the same galaxies.
    """
    figure = Figure(figsize=(9.6, 3.4), layout="constrained")
    epochs = [line["epoch"] for line in history]
    panels = (("log_loss", "log loss"), ("balanced_accuracy", "balanced accuracy"))
    for axes, (key, title) in zip(figure.subplots(1, 2), panels, strict=True):
        values = [line[f"val_{question}"][key] for line in history]
        if key == "log_loss":
            training = [line["loss"] for line in history]
            axes.plot(epochs, training, "o-", color=COLOURS[0], label="training (weighted)", markersize=3)
        axes.plot(epochs, values, "o-", color=COLOURS[1], label="held out", markersize=3)
        axes.axhline(guessing[key], color="0.5", linestyle=":", label="guessing")
        if head is not None:
            axes.axhline(head[key], color=COLOURS[2], linestyle="--", label="head on the embeddings")
        axes.axvline(best, color="0.7", linewidth=1, zorder=0, label=f"best epoch ({best})")
        if key == "log_loss":
            axes.legend(frameon=False, fontsize=8)
        axes.set_title(title, fontsize=10)
        axes.set_xlabel("epoch")
        axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def draw_confusion(
    confusion: Sequence[Sequence[int]], answers: Sequence[str], sides: tuple[str, str] = ("true", "predicted")
) -> Figure:
    """Draw a confusion matrix: counts, coloured by the share of their row.

    Parameters
    ----------
    confusion : sequence of sequence of int
    answers : sequence of str
    sides : tuple of str
        Names of the rows and of the columns.
    """
    counts = np.asarray(confusion)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = 1.9 + 0.62 * len(answers)
    figure = Drawing(figsize=(side + 0.9, side), layout="compressed")
    axes = figure.subplots()
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row, column in np.ndindex(counts.shape):
        colour = "white" if shares[row, column] > 0.55 else "black"
        text = f"{counts[row, column]}\n{shares[row, column]:.0%}"
        axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=8)
    names = [shown(answer) for answer in answers]
    axes.set_xticks(range(len(names)), names, rotation=30, ha="right", parse_math=False)
    axes.set_yticks(range(len(names)), names, parse_math=False)
    rows, columns = (shown(side) for side in sides)
    axes.set_xlabel(columns, parse_math=False)
    axes.set_ylabel(rows, parse_math=False)
    figure.colorbar(image, ax=axes, shrink=0.8).set_label(f"share of the {rows} class", parse_math=False)
    return figure


def draw_map(x: NDArray[np.floating], y: NDArray[np.floating], classes: Sequence[str | None] | None) -> Figure:
    """Draw galaxies as dots on a map, in the colours of their classes.

    Parameters
    ----------
    x, y : ndarray, shape (n,)
        0 to 1.
    classes : sequence of str or None, optional
    """
    figure = night(9, 9)
    axes = bare(figure.subplots())
    labels = np.array(["galaxies"] * len(x) if classes is None else [str(name) for name in classes])
    size = min(12.0, 2e4 / max(len(x), 1) + 0.6)
    names, counts = np.unique(labels, return_counts=True)
    # Frequent classes are drawn first, so that rare ones stay visible.
    for number, name in enumerate(names[np.argsort(-counts, kind="stable")]):
        mine = labels == name
        colour = ("#7d8aa8", *COLOURS[1:], COLOURS[0])[number % (len(COLOURS) + 1)]
        axes.scatter(x[mine], y[mine], s=size, color=colour, linewidths=0, label=name, rasterized=True)
    legend = axes.legend(frameon=False, labelcolor=STARLIGHT, loc="upper right", markerscale=6 / size**0.5)
    take_literally(legend)
    axes.set_aspect("equal")
    return figure


def draw_learning_curve(
    labels: Sequence[int], score: Sequence[float], low: Sequence[float], high: Sequence[float]
) -> Figure:
    """Draw how a score grows with the number of labels; the last point is extrapolated."""
    figure = Drawing(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    axes.fill_between(labels, low, high, color=COLOURS[0], alpha=0.15, linewidth=0, label="90 % of the repeats")
    axes.plot(labels[-2:], score[-2:], color=COLOURS[0], linestyle="--")
    axes.plot(labels[:-1], score[:-1], color=COLOURS[0], marker="o", label="measured")
    text = "extrapolated to twice the labels"
    axes.plot(labels[-1:], score[-1:], color=COLOURS[0], marker="o", markerfacecolor="white", linestyle="", label=text)
    axes.set_xscale("log")
    axes.set_xticks(labels, [f"{count:,}" for count in labels])
    axes.minorticks_off()
    axes.set_xlabel("labels")
    axes.set_ylabel("area under the ROC curve")
    axes.legend(frameon=False, loc="lower right")
    axes.grid(alpha=0.3)
    return figure


def draw_reliability(series: Mapping[str, Sequence[Any]]) -> Figure:
    """Draw observed frequency against stated probability, in bins with intervals; calibrated ones are on the diagonal.

    Parameters
    ----------
    series : mapping of str to sequence of `peculiar.metrics.calibration.Bin`
    """
    figure = Drawing(figsize=(3.4 * len(series), 3.5), layout="constrained")
    for axes, (name, bins), colour in zip(
        figure.subplots(1, len(series), squeeze=False)[0], series.items(), COLOURS, strict=False
    ):
        stated, found = [one.stated for one in bins], [one.found for one in bins]
        reach = [
            [max(0.0, one.found - one.interval[0]) for one in bins],
            [max(0.0, one.interval[1] - one.found) for one in bins],
        ]
        axes.plot([0, 1], [0, 1], color="0.6", linewidth=1, zorder=0)
        axes.errorbar(stated, found, yerr=reach, fmt="o", color=colour, markersize=4, capsize=2, linewidth=1)
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xlabel="stated probability", ylabel="observed frequency")
        axes.set_title(name, fontsize=10)
        axes.set_aspect("equal")
        axes.grid(alpha=0.25)
    return figure


def draw_scores(scores: Mapping[str, Mapping[str, tuple[float | None, Sequence[float] | None]]]) -> Figure:
    """Draw scores as points with their intervals, one panel per score and one line per name.

    Parameters
    ----------
    scores : mapping of str to mapping of str to (score, interval)
        By score and name; an undefined score is left out, and its line says so.
    """
    lines = max(len(of) for of in scores.values())
    figure = Drawing(figsize=(1.6 + 2.1 * len(scores), 0.9 + 0.32 * lines), layout="constrained")
    # One axis for all, so that long and short intervals of different scores can be compared.
    grid = figure.subplots(1, len(scores), squeeze=False, sharex=True, sharey=True)[0]
    for axes, (score, of), colour in zip(grid, scores.items(), COLOURS, strict=False):
        for line, (value, interval) in enumerate(of.values()):
            if value is None:
                axes.text(
                    0.5, line, "undefined", transform=axes.get_yaxis_transform(), ha="center", va="center", fontsize=7
                )
                continue
            if interval is not None:
                axes.plot(interval, [line, line], color=colour, linewidth=2, alpha=0.6)
            axes.plot([value], [line], "o", color=colour, markersize=5)
        axes.set_title(score, fontsize=10)
        axes.set_yticks(range(len(of)), [shown(name) for name in of], parse_math=False)
        axes.set_ylim(len(of) - 0.5, -0.5)
        axes.grid(alpha=0.25, axis="x")
        axes.margins(x=0.1)
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def draw_differences(differences: Mapping[str, Any]) -> Figure:
    """Draw differences of scores with their intervals, one line per score, and a line at 0.

    Parameters
    ----------
    differences : mapping of str to `peculiar.metrics.paired.Difference`
        By the name of the score; an undefined one is left out.
    """
    known = {name: one for name, one in differences.items() if one.difference is not None}
    figure = Drawing(figsize=(6.4, 0.8 + 0.36 * max(1, len(known))), layout="constrained")
    axes = figure.subplots()
    axes.axvline(0, color="0.4", linewidth=1)
    for line, one in enumerate(known.values()):
        colour = COLOURS[0] if one.clear else "0.5"
        if one.interval is not None:
            axes.plot(one.interval, [line, line], color=colour, linewidth=2, alpha=0.6)
        axes.plot([one.difference], [line], "o", color=colour, markersize=5)
    axes.set_yticks(range(len(known)), [shown(name) for name in known], parse_math=False)
    axes.set_ylim(len(known) - 0.5, -0.5)
    axes.set_xlabel("difference")
    axes.grid(alpha=0.25, axis="x")
    axes.margins(x=0.1)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def _count_on_log_axis(axis: Any, counts: NDArray[np.integer]) -> None:
    """Make an axis logarithmic, with few labels, in whole numbers."""
    few = counts.max() < 1000 * max(counts.min(), 1)  # a label at each power of ten would leave one or two
    axis.axes.set_yscale("log")
    axis.set_major_locator(LogLocator(subs=(1, 3) if few else (1,), numticks=6))
    axis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axis.set_minor_formatter(NullFormatter())


def draw_thresholds(curves: Any, score: str, threshold: float | None) -> Figure:
    """Draw purity and completeness by threshold with their bands, and the number of selected galaxies.

    Parameters
    ----------
    curves : `peculiar.metrics.purity.Curves`
    score : str
        Name of the score.
    threshold : float or None
        The chosen one, as a line.
    """
    figure = Drawing(figsize=(6.4, 5.4), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    for name, colour in zip(("purity", "completeness"), COLOURS, strict=False):
        band = getattr(curves, name)
        upper.fill_between(curves.thresholds, band.low, band.high, color=colour, alpha=0.2, linewidth=0)
        upper.plot(curves.thresholds, band.estimate, color=colour, label=name)
    lower.plot(curves.thresholds, curves.selected, color="0.3", drawstyle="steps-pre")
    _count_on_log_axis(lower.yaxis, curves.selected)
    upper.set(ylabel="share", ylim=(0, 1.02))
    lower.set(ylabel="galaxies")
    lower.set_xlabel(shown(score), parse_math=False)
    for axes in (upper, lower):
        if threshold is not None:
            axes.axvline(threshold, color="0.4", linewidth=1, linestyle="--")
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    upper.legend(frameon=False)
    return figure


def draw_coverage(coverages: Sequence[Any]) -> Figure:
    """Draw the coverage of prediction sets against the stated level, by class, and their size.

    Parameters
    ----------
    coverages : sequence of `peculiar.metrics.prediction_sets.Coverage`
        One per level.
    """
    figure = Drawing(figsize=(8.4, 3.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    levels = [one.level for one in coverages]
    left.plot(levels, levels, color="0.6", linewidth=1, label="promised")
    shares, sizes = [one.coverage for one in coverages], [one.size for one in coverages]
    lines = [("all", shares, sizes, "black")]
    for name, colour in zip(coverages[0].classes, itertools.cycle(COLOURS), strict=False):
        of_class = [one.classes[name] for one in coverages]
        lines.append((name, [one["coverage"] for one in of_class], [one["size"] for one in of_class], colour))
    for name, shares, sizes, colour in lines:
        left.plot(
            levels,
            [math.nan if share is None else 100 * share for share in shares],
            "o-",
            color=colour,
            label=name,
            markersize=4,
        )
        right.plot(levels, [math.nan if size is None else size for size in sizes], "o-", color=colour, markersize=4)
    left.set(xlabel="promised coverage, %", ylabel="coverage found, %")
    right.set(xlabel="promised coverage, %", ylabel="mean number of answers")
    for axes in (left, right):
        axes.set_xticks(levels)
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    take_literally(left.legend(frameon=False, fontsize=7))
    return figure


def draw_shifts(shifts: Mapping[str, Any]) -> Figure:
    """Draw accuracy and calibration error against the amount of corruption, one panel per corruption.

    Parameters
    ----------
    shifts : mapping of str to `peculiar.evaluation.robustness.Shifted`
    """
    columns = min(3, len(shifts))
    rows = math.ceil(len(shifts) / columns)
    figure = Drawing(figsize=(3.2 * columns, 2.5 * rows), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False, sharey=True)
    for axes in grid.flat[len(shifts) :]:
        axes.set_visible(False)
    for axes, (name, shifted) in zip(grid.flat, shifts.items(), strict=False):
        places = range(len(shifted.amounts))
        axes.plot(places, shifted.accuracy, "o-", color=COLOURS[0], markersize=4, label="accuracy")
        axes.plot(places, shifted.calibration_error, "s-", color=COLOURS[1], markersize=4, label="calibration error")
        axes.plot(places, shifted.same, "^:", color=COLOURS[2], markersize=4, label="same class as without corruption")
        axes.axhline(shifted.accuracy[0] - 0.05, color="0.7", linewidth=1)
        axes.set_xticks(places, [f"{amount:g}" for amount in shifted.amounts], fontsize=7)
        axes.set_title(f"{name} ({shifted.unit})" if shifted.unit else name, fontsize=9)
        axes.set_ylim(0, 1.02)
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    grid[0, 0].legend(frameon=False, fontsize=7)
    return figure
