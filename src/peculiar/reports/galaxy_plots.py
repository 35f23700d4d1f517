"""Figures of galaxies: pictures with captions, feature maps, attributions, contact sheets. Nothing is computed here."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize, PowerNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray

from peculiar.reports.drawing import NIGHT, RIGHT, STARLIGHT, WRONG, Drawing, bare, night

MAPS = "magma"

# Support for an answer is orange, opposition blue, no effect dark: a perceptually uniform scale for all kinds of colour
# vision (Crameri's managua, in Matplotlib).
FOR_AND_AGAINST, FOR = "managua_r", "#e0a95f"

# A layer of a large network has hundreds of filters, whose maps would take minutes to draw.
MOST_FILTERS = 64


def draw_galaxy(picture: NDArray[Any], title: str, *, right: bool | None) -> Figure:
    """Draw one galaxy; the title is green if the prediction was right, red if it was wrong."""
    figure = night(4.2, 4.6)
    axes = bare(figure.subplots())
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
    figure = night(1.55 * (columns + rows) + 0.9, 1.55 * rows + 1.0)
    galaxy, filter_maps = figure.subfigures(1, 2, width_ratios=(rows, columns + 0.35), squeeze=False)[0]
    galaxy.set_facecolor(NIGHT)
    filter_maps.set_facecolor(NIGHT)
    axes = bare(galaxy.subplots())
    axes.imshow(picture, interpolation="lanczos")
    axes.set_title("the galaxy", color=STARLIGHT, fontsize=9)
    grid = filter_maps.subplots(rows, columns, squeeze=False)
    stretch = _stretch(maps)
    for number, axes in enumerate(grid.flat):
        bare(axes)
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
    figure = night(0.82 * sum(ratios) + 0.4, 1.3 * len(seen) + 0.8)
    grid = figure.subplots(len(seen), len(ratios), squeeze=False, width_ratios=ratios)
    for index, (row, (picture, title, right, maps)) in enumerate(zip(grid, seen, strict=True)):
        for axes in row:
            bare(axes).set_visible(False)
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
    figure = night(11.2, 4.1)
    galaxy, overlay, chances = figure.subplots(1, 3, width_ratios=(1, 1, 0.62))
    left, upper, right, lower = told.square
    bare(galaxy).imshow(picture, interpolation="lanczos")
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
    figure = night(3.5 * columns, 2.05 * rows)
    for number, pair in enumerate(figure.subplots(rows, 2 * columns, squeeze=False).reshape(-1, 2)):
        if number >= len(seen):
            for axes in pair:
                axes.set_visible(False)
            continue
        picture, told, name, label = seen[number]
        left, upper, right, lower = told.square
        bare(pair[0]).imshow(picture, interpolation="lanczos")
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
    axes = bare(figure.add_axes((0, 0, 1, 1)))
    _lay_over(axes, picture, told)
    axes.set_xlim(box[0] - 0.5, box[2] - 0.5)
    axes.set_ylim(box[3] - 0.5, box[1] - 0.5)
    return figure


def _lay_over(axes: Axes, picture: NDArray[Any], told: Any) -> Any:
    """Draw the grey picture with the colours of the attribution map; return the image for a colour bar."""
    bare(axes)
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
    bare(axes).set_box_aspect(1.7)
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
    figure = night(1.2 * columns + 0.9, 1.2 * len(samples))
    for row, (answer, pictures) in zip(
        figure.subplots(len(samples), columns, squeeze=False), samples.items(), strict=True
    ):
        for number, axes in enumerate(row):
            bare(axes)
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
    figure = night(1.75 * columns, 2.2 * rows)
    grid = figure.subplots(rows, columns, squeeze=False)
    for number, axes in enumerate(grid.flat):
        bare(axes)
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
    figure = night(12, 12)
    bare(figure.subplots()).imshow(canvas, interpolation="lanczos")
    return figure


def _verdict_colour(right: bool | None) -> str:
    return STARLIGHT if right is None else RIGHT if right else WRONG


def _stretch(maps: NDArray[np.floating]) -> PowerNorm:
    return PowerNorm(0.5, vmin=0, vmax=float(maps.max()) or 1.0)
