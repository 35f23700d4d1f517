"""Figures of results. Nothing is computed here."""

import io
import itertools
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize, PowerNorm
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.text import Text
from numpy.typing import NDArray

from peculiar.files.figures import SOFTWARE
from peculiar.files.writing import writing
from peculiar.text import shown, shown_lines

# Galaxies are shown on a dark sky, and so are feature maps.
NIGHT, STARLIGHT = "#0b1021", "#e8ecf4"
RIGHT, WRONG = "#4fd1a5", "#ff7a6b"
MAPS = "magma"

# Support for an answer is orange, opposition blue, no effect dark: a perceptually uniform scale for all kinds of colour
# vision (Crameri's managua, in Matplotlib).
FOR_AND_AGAINST, FOR = "managua_r", "#e0a95f"

# A layer of a large network has hundreds of filters, whose maps would take minutes to draw.
MOST_FILTERS = 64

# Okabe & Ito's colours, distinguishable with every kind of colour vision.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")


class Drawing(Figure):
    """A figure that a notebook shows, whether or not Matplotlib's own support for notebooks is loaded."""

    def _repr_png_(self) -> bytes:
        return picture_of(self)

    def savefig(self, *arguments: Any, **options: Any) -> None:
        """Write the figure; what is not printable in its texts is written as escapes."""
        for text in self.findobj(Text):
            text.set_text(shown_lines(text.get_text()))
        super().savefig(*arguments, **options)


def picture_of(figure: Figure) -> bytes:
    """Return a figure as PNG."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100)
    return buffer.getvalue()


def save(figure: Figure, path: Path) -> Path:
    """Write a figure, PNG or PDF by the suffix of `path`, in one step."""
    mark = {"Software": SOFTWARE} if path.suffix.lower() == ".png" else None
    with writing(path) as temporary:
        figure.savefig(temporary, dpi=120, metadata=mark)
    return path


def draw_galaxy(picture: NDArray[Any], title: str, *, right: bool | None) -> Figure:
    """Draw one galaxy; the title is green if the prediction was right, red if it was wrong."""
    figure = _night(4.2, 4.6)
    axes = _bare(figure.subplots())
    axes.imshow(picture, interpolation="lanczos")
    figure.suptitle(title, color=_verdict_colour(right), fontsize=11, parse_math=False)
    return figure


def draw_maps(picture: NDArray[Any], maps: NDArray[np.floating], title: str) -> Figure:
    """Draw the galaxy and, beside it, the map of every filter of one layer, or of the first `MOST_FILTERS`.

    Parameters
    ----------
    picture : ndarray, shape (height, width, 3)
    maps : ndarray, shape (rows, columns, filters)
        Not negative. All maps share one scale, so that a silent filter looks silent. The scale is a square root, so
        that a weak response is visible beside a strong one.
    title : str
    """
    filters = min(maps.shape[2], MOST_FILTERS)
    columns = min(8, math.ceil(math.sqrt(filters * 2)))
    rows = math.ceil(filters / columns)
    figure = _night(1.55 * (columns + rows) + 0.9, 1.55 * rows + 1.0)
    galaxy, filter_maps = figure.subfigures(1, 2, width_ratios=(rows, columns + 0.35), squeeze=False)[0]
    galaxy.set_facecolor(NIGHT)
    filter_maps.set_facecolor(NIGHT)
    axes = _bare(galaxy.subplots())
    axes.imshow(picture, interpolation="lanczos")
    axes.set_title("the galaxy", color=STARLIGHT, fontsize=9)
    grid = filter_maps.subplots(rows, columns, squeeze=False)
    stretch = _stretch(maps)
    for number, axes in enumerate(grid.flat):
        _bare(axes)
        if number >= filters:
            axes.set_visible(False)
            continue
        image = axes.imshow(maps[:, :, number], cmap=MAPS, norm=stretch)
        silent = maps[:, :, number].max() == 0
        axes.set_title(f"filter {number + 1}{' (silent)' if silent else ''}", color=STARLIGHT, fontsize=8)
    bar = filter_maps.colorbar(image, ax=grid, shrink=0.8, pad=0.02)
    bar.set_label("activation", color=STARLIGHT, fontsize=8)
    bar.ax.tick_params(colors=STARLIGHT, labelsize=7)
    bar.outline.set_edgecolor(STARLIGHT)
    figure.suptitle(title, color=STARLIGHT, fontsize=10, parse_math=False)
    return figure


def draw_contact_sheet(
    seen: Sequence[tuple[NDArray[Any], str, bool | None, Mapping[str, NDArray[np.floating]]]],
) -> Figure:
    """Draw one row per galaxy: the picture, then the maps of every filter of every layer.

    Parameters
    ----------
    seen : sequence of (picture, title, right or wrong, maps by layer)
    """
    layers = list(seen[0][3])
    filters = [min(8, seen[0][3][layer].shape[2]) for layer in layers]
    # A narrow empty column separates the layers.
    ratios = [1.5, *(ratio for count in filters for ratio in (0.18, *[1.0] * count))]
    figure = _night(0.82 * sum(ratios) + 0.4, 1.3 * len(seen) + 0.8)
    grid = figure.subplots(len(seen), len(ratios), squeeze=False, width_ratios=ratios)
    for index, (row, (picture, title, right, maps)) in enumerate(zip(grid, seen, strict=True)):
        for axes in row:
            _bare(axes).set_visible(False)
        row[0].set_visible(True)
        row[0].imshow(picture, interpolation="lanczos")
        row[0].set_title(title, color=_verdict_colour(right), fontsize=7.5, pad=3, parse_math=False)
        column = 1
        for layer, count in zip(layers, filters, strict=True):
            for number in range(count):
                axes = row[column + 1 + number]
                axes.set_visible(True)
                axes.imshow(maps[layer][:, :, number], cmap=MAPS, norm=_stretch(maps[layer]))
                if index == 0:
                    axes.set_title(f"{layer}\nfilter {number + 1}", color=STARLIGHT, fontsize=6.5, pad=3)
            column += count + 1
    figure.suptitle("What the network sees", color=STARLIGHT, fontsize=11)
    return figure


def draw_attribution(picture: NDArray[Any], told: Any, name: str, label: str | None) -> Figure:
    """Draw a galaxy, its attribution map for an answer, and the probabilities.

    Parameters
    ----------
    picture : ndarray of uint8, shape (height, width, 3)
    told : `peculiar.models.attribution.Attribution`
    name : str
        Name of the galaxy.
    label : str or None
        The labelled answer, if known.
    """
    figure = _night(11.2, 4.1)
    galaxy, overlay, chances = figure.subplots(1, 3, width_ratios=(1, 1, 0.62))
    left, upper, right, lower = told.square
    _bare(galaxy).imshow(picture, interpolation="lanczos")
    if right - left < picture.shape[1] or lower - upper < picture.shape[0]:
        corners = ([left, right, right, left, left], [upper, upper, lower, lower, upper])
        galaxy.plot(*(np.array(each) - 0.5 for each in corners), color=STARLIGHT, linewidth=0.8, linestyle=(0, (4, 4)))
    galaxy.set_title(name, color=STARLIGHT, fontsize=10, parse_math=False)
    image = _lay_over(overlay, picture, told)
    overlay.set_xlim(left - 0.5, right - 0.5)
    overlay.set_ylim(lower - 0.5, upper - 0.5)
    title = f"{_plain(told.answer)}: {told.probability:.0%}, with the outlined region hidden {told.without:.0%}"
    overlay.set_title(title, color=STARLIGHT, fontsize=10, parse_math=False)
    bar = figure.colorbar(image, ax=overlay, shrink=0.85, pad=0.02)
    bar.set_label("fall of the log-odds if hidden", color=STARLIGHT, fontsize=8)
    bar.ax.tick_params(colors=STARLIGHT, labelsize=7)
    bar.outline.set_visible(False)
    _draw_chances(chances, told, label)
    return figure


def draw_attributions(seen: Sequence[tuple[NDArray[Any], Any, str, str | None]]) -> Figure:
    """Draw several galaxies, each beside its attribution map.

    Parameters
    ----------
    seen : sequence of (picture, `peculiar.models.attribution.Attribution`, name, true answer or None)
    """
    columns = min(4, len(seen))
    rows = math.ceil(len(seen) / columns)
    figure = _night(3.5 * columns, 2.05 * rows)
    for number, pair in enumerate(figure.subplots(rows, 2 * columns, squeeze=False).reshape(-1, 2)):
        if number >= len(seen):
            for axes in pair:
                axes.set_visible(False)
            continue
        picture, told, name, label = seen[number]
        left, upper, right, lower = told.square
        _bare(pair[0]).imshow(picture, interpolation="lanczos")
        _lay_over(pair[1], picture, told)
        for axes in pair:
            axes.set_xlim(left - 0.5, right - 0.5)
            axes.set_ylim(lower - 0.5, upper - 0.5)
        pair[0].set_title(name, color=STARLIGHT, fontsize=7.5, pad=3, parse_math=False)
        verdict = _verdict_colour(None if label is None else label == told.answer)
        pair[1].set_title(
            f"{_plain(told.answer)} {told.probability:.0%} → {told.without:.0%}",
            color=verdict,
            fontsize=7.5,
            pad=3,
            parse_math=False,
        )
    return figure


def draw_overlay(picture: NDArray[Any], told: Any, box: tuple[int, int, int, int], side: int) -> Figure:
    """Draw the attribution map of a picture, without anything else.

    Parameters
    ----------
    picture : ndarray of uint8, shape (height, width, 3)
    told : `peculiar.models.attribution.Attribution`
    box : tuple of int
        The part of the picture to show: left, upper, right, lower.
    side : int
        Of the figure, in pixels at 120 dots per inch.
    """
    figure = Drawing(figsize=(side / 120, side / 120), facecolor=NIGHT)
    axes = _bare(figure.add_axes((0, 0, 1, 1)))
    _lay_over(axes, picture, told)
    axes.set_xlim(box[0] - 0.5, box[2] - 0.5)
    axes.set_ylim(box[3] - 0.5, box[1] - 0.5)
    return figure


def _lay_over(axes: Axes, picture: NDArray[Any], told: Any) -> Any:
    """Draw the grey picture with the colours of the attribution map; return the image for a colour bar."""
    _bare(axes)
    most = float(np.nanmax(np.abs(told.map))) or 1.0
    norm = Normalize(-most, most)
    share = np.nan_to_num(told.map / most)
    grey = np.repeat(picture.mean(axis=2, keepdims=True) / 255, 3, axis=2)
    colours = colormaps[FOR_AND_AGAINST](norm(np.nan_to_num(told.map)))[:, :, :3]
    # Where the evidence is weak, the galaxy shows; where it is strong, the colour shows. The light of the galaxy stays
    # visible in both.
    strength = np.sqrt(np.abs(share))[:, :, None]
    glow = colours * (0.35 + 0.65 * grey)
    axes.imshow((grey * 0.9 * (1 - strength) + glow * strength).clip(0, 1), interpolation="lanczos")
    if told.decisive.any():
        axes.contour(told.map, [told.threshold], colors=[STARLIGHT], linewidths=1.1)
    return ScalarMappable(norm, FOR_AND_AGAINST)


def _draw_chances(axes: Axes, told: Any, label: str | None) -> None:
    """Draw the probabilities as bars; the explained answer has its colour, the label is green or red."""
    _bare(axes).set_box_aspect(1.7)
    names = list(told.probabilities)
    colours = [FOR if name == told.answer else "#54628a" for name in names]
    axes.barh(range(len(names)), list(told.probabilities.values()), color=colours, height=0.62)
    axes.barh(names.index(told.answer), told.without, color=NIGHT, alpha=0.55, height=0.3)
    axes.set_yticks(range(len(names)), [_plain(name) for name in names], parse_math=False)
    best = max(names, key=lambda name: told.probabilities[name])
    for name, text in zip(names, axes.get_yticklabels(), strict=True):
        text.set_color(_verdict_colour(best == label) if name == label else STARLIGHT)
    axes.tick_params(length=0, labelsize=9)
    for number, value in enumerate(told.probabilities.values()):
        axes.text(value + 0.02, number, f"{value:.0%}", color=STARLIGHT, fontsize=8, va="center")
    axes.set_xlim(0, 1.18)
    axes.set_ylim(len(names) - 0.4, -0.6)
    known = "" if label is None else f"\nlabelled {_plain(label)}"
    axes.set_title(f"{_plain(told.question)}{known}", color=STARLIGHT, fontsize=10, parse_math=False)


def _plain(name: str) -> str:
    return name.replace("_", " ")


def draw_samples(samples: Mapping[str, NDArray[Any]]) -> Figure:
    """Draw galaxies of each class, one row per class.

    Parameters
    ----------
    samples : mapping of str to ndarray, shape (n, height, width, 3)
    """
    columns = max(len(pictures) for pictures in samples.values())
    figure = _night(1.2 * columns + 0.9, 1.2 * len(samples))
    for row, (answer, pictures) in zip(
        figure.subplots(len(samples), columns, squeeze=False), samples.items(), strict=True
    ):
        for number, axes in enumerate(row):
            _bare(axes)
            if number < len(pictures):
                axes.imshow(pictures[number], interpolation="lanczos")
        row[0].set_ylabel(answer, color=STARLIGHT, fontsize=10, parse_math=False)
    return figure


def draw_answers(pictures: NDArray[Any], captions: Sequence[Sequence[tuple[str, bool | None]]]) -> Figure:
    """Draw galaxies with captions: one line per answer, green if right, red if wrong.

    Parameters
    ----------
    pictures : ndarray, shape (n, height, width, 3)
    captions : sequence of sequence of (str, bool or None)
        For each picture its lines, and whether each is right; None for a line that is not an answer.
    """
    columns = min(6, len(pictures))
    rows = math.ceil(len(pictures) / columns)
    figure = _night(1.75 * columns, 2.2 * rows)
    grid = figure.subplots(rows, columns, squeeze=False)
    for number, axes in enumerate(grid.flat):
        _bare(axes)
        if number >= len(pictures):
            axes.set_visible(False)
            continue
        axes.imshow(pictures[number], interpolation="lanczos")
        axes.set_xlabel("\n" * len(captions[number]))  # reserves space, because the layout ignores the lines
        for line, (text, right) in enumerate(captions[number]):
            place = (0.5, -0.04 - 0.13 * line)
            axes.text(
                *place,
                text,
                color=_verdict_colour(right),
                fontsize=7.5,
                ha="center",
                va="top",
                transform=axes.transAxes,
                parse_math=False,
            )
    return figure


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
    figure = _night(9, 9)
    axes = _bare(figure.subplots())
    labels = np.array(["galaxies"] * len(x) if classes is None else [str(name) for name in classes])
    size = min(12.0, 2e4 / max(len(x), 1) + 0.6)
    names, counts = np.unique(labels, return_counts=True)
    # Frequent classes are drawn first, so that rare ones stay visible.
    for number, name in enumerate(names[np.argsort(-counts, kind="stable")]):
        mine = labels == name
        colour = ("#7d8aa8", *COLOURS[1:], COLOURS[0])[number % (len(COLOURS) + 1)]
        axes.scatter(x[mine], y[mine], s=size, color=colour, linewidths=0, label=name, rasterized=True)
    legend = axes.legend(frameon=False, labelcolor=STARLIGHT, loc="upper right", markerscale=6 / size**0.5)
    _take_literally(legend)
    axes.set_aspect("equal")
    return figure


def draw_mosaic(pictures: Mapping[tuple[int, int], NDArray[Any]], cells: int) -> Figure:
    """Draw pictures in the cells of a map.

    Parameters
    ----------
    pictures : mapping of (int, int) to ndarray of uint8, shape (size, size, 3)
        By column and row of the cell, counted from the bottom left.
    cells : int
        Number of cells per side.
    """
    size = next(iter(pictures.values())).shape[0] if pictures else 1
    canvas = np.empty((cells * size, cells * size, 3), dtype=np.uint8)
    canvas[:] = [int(NIGHT[digit : digit + 2], 16) for digit in (1, 3, 5)]
    for (column, row), picture in pictures.items():
        top = (cells - 1 - row) * size
        canvas[top : top + size, column * size : (column + 1) * size] = picture
    figure = _night(12, 12)
    _bare(figure.subplots()).imshow(canvas, interpolation="lanczos")
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
    grid = figure.subplots(1, len(scores), squeeze=False, sharey=True)[0]
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
    _take_literally(left.legend(frameon=False, fontsize=7))
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


def _take_literally(legend: Legend) -> None:
    """Show names literally: text between two dollar signs is not a formula."""
    for text in legend.get_texts():
        text.set_parse_math(False)


def _verdict_colour(right: bool | None) -> str:
    return STARLIGHT if right is None else RIGHT if right else WRONG


def _stretch(maps: NDArray[np.floating]) -> PowerNorm:
    return PowerNorm(0.5, vmin=0, vmax=float(maps.max()) or 1.0)


def _night(width: float, height: float) -> Figure:
    return Drawing(figsize=(width, height), facecolor=NIGHT, layout="constrained")


def _bare(axes: Axes) -> Axes:
    """Remove ticks and frame."""
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    axes.set_facecolor(NIGHT)
    return axes
