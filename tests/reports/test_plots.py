"""Figures: what they show, what they leave out, and files that are whole or not there."""

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import matplotlib.image
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.text import Text
from numpy.typing import NDArray

from peculiar.metrics.prediction_sets import coverage
from peculiar.reports import drawing, galaxy_plots, plots

ANSWERS = ("Normal", "Ringed", "Merger", "Other")
LAYERS = {"conv2d": (9, 8), "conv2d_1": (5, 3)}


@pytest.fixture
def picture() -> NDArray[np.float32]:
    return np.random.default_rng(0).random((16, 16, 3), dtype=np.float32)


def maps(side: int, filters: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).random((side, side, filters), dtype=np.float32)


def shown(figure: Figure) -> list[Axes]:
    """The axes that are to be seen and hold a picture."""
    return [axes for axes in figure.axes if axes.get_visible() and axes.images]


def title_of(figure: Figure) -> tuple[str, str]:
    """Text and colour of a figure's title."""
    text = figure._suptitle
    return text.get_text(), to_hex(text.get_color())


@pytest.mark.parametrize("name", ["figure.png", "figure.pdf"])
def test_save_writes_the_kind_that_the_name_says(tmp_path: Path, picture: NDArray[Any], name: str) -> None:
    path = tmp_path / "new" / name
    assert drawing.save(galaxy_plots.draw_galaxy(picture, "a galaxy", right=None), path) == path
    content = path.read_bytes()
    assert content.startswith({".png": b"\x89PNG\r\n\x1a\n", ".pdf": b"%PDF-"}[path.suffix])
    if path.suffix == ".png":
        assert matplotlib.image.imread(path).shape[:2] == (552, 504)
    else:
        assert content.rstrip().endswith(b"%%EOF")


class FullDisk(Figure):
    def savefig(self, path: Path, **_: Any) -> None:
        path.write_bytes(b"\x89PNG, and then")
        raise OSError(28, "No space left on device")


def test_save_leaves_nothing_half_written(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No space left"):
        drawing.save(FullDisk(), tmp_path / "new.png")
    assert list(tmp_path.iterdir()) == []


def test_save_keeps_the_old_figure_if_it_fails(tmp_path: Path) -> None:
    path = tmp_path / "figure.png"
    path.write_bytes(b"the old one")
    with pytest.raises(OSError, match="No space left"):
        drawing.save(FullDisk(), path)
    assert path.read_bytes() == b"the old one"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("right", "colour"), [(True, drawing.RIGHT), (False, drawing.WRONG), (None, drawing.STARLIGHT)]
)
def test_galaxy(picture: NDArray[Any], right: bool | None, colour: str) -> None:
    figure = galaxy_plots.draw_galaxy(picture, "predicted Ringed", right=right)
    assert title_of(figure) == ("predicted Ringed", colour)
    (axes,) = shown(figure)
    np.testing.assert_array_equal(axes.images[0].get_array(), picture)
    assert to_hex(figure.get_facecolor()) == drawing.NIGHT


@pytest.mark.parametrize("filters", [1, 3, 8, 17])
def test_maps_of_one_layer(picture: NDArray[Any], filters: int) -> None:
    layer = maps(9, filters)
    figure = galaxy_plots.draw_maps(picture, layer, "conv2d: what they see")
    assert title_of(figure)[0] == "conv2d: what they see"
    galaxy, *grid = shown(figure)
    assert galaxy.get_title() == "the galaxy"
    assert [axes.get_title() for axes in grid] == [f"filter {number}" for number in range(1, filters + 1)]
    for number, axes in enumerate(grid):
        np.testing.assert_array_equal(axes.images[0].get_array(), layer[:, :, number])
    # One scale for all, from zero on, which the bar explains.
    assert {(axes.images[0].norm.vmin, axes.images[0].norm.vmax) for axes in grid} == {(0.0, float(layer.max()))}
    assert [axes.get_ylabel() for axes in figure.axes].count("activation") == 1


def test_silent_filters_are_called_so(picture: NDArray[Any]) -> None:
    layer = maps(9, 4)
    layer[:, :, 2] = 0
    titles = [axes.get_title() for axes in shown(galaxy_plots.draw_maps(picture, layer, ""))]
    assert titles == ["the galaxy", "filter 1", "filter 2", "filter 3 (silent)", "filter 4"]


def test_a_layer_that_is_silent_altogether(tmp_path: Path, picture: NDArray[Any]) -> None:
    figure = galaxy_plots.draw_maps(picture, np.zeros((5, 5, 2), np.float32), "silence")
    drawing.save(figure, tmp_path / "silence.png")
    # Dark, where a scale from 0 to 0 would be undefined.
    for axes in shown(figure)[1:]:
        assert axes.images[0].norm(0.0) == 0


def test_a_layer_with_many_filters_is_cut(picture: NDArray[Any]) -> None:
    figure = galaxy_plots.draw_maps(picture, np.ones((1, 1, 500), np.float32), "")
    assert len(shown(figure)) == 1 + galaxy_plots.MOST_FILTERS
    assert max(figure.get_size_inches()) < 30


def seen(picture: NDArray[Any]) -> list[tuple[NDArray[Any], str, bool | None, dict[str, NDArray[np.float32]]]]:
    return [
        (picture, f"galaxy {number}", right, {name: maps(*shape, seed=number) for name, shape in LAYERS.items()})
        for number, right in enumerate((True, False, None))
    ]


def test_contact_sheet(picture: NDArray[Any]) -> None:
    rows = seen(picture)
    figure = galaxy_plots.draw_contact_sheet(rows)
    axes = shown(figure)
    assert len(axes) == 3 * (1 + 8 + 3)
    per_row = [axes[start : start + 12] for start in (0, 12, 24)]
    for row, (_, title, _, by_layer) in zip(per_row, rows, strict=True):
        assert row[0].get_title() == title
        expected = [by_layer[name][:, :, number] for name, (_, count) in LAYERS.items() for number in range(count)]
        for cell, values in zip(row[1:], expected, strict=True):
            np.testing.assert_array_equal(cell.images[0].get_array(), values)
    colours = [to_hex(row[0].title.get_color()) for row in per_row]
    assert colours == [drawing.RIGHT, drawing.WRONG, drawing.STARLIGHT]
    # No map stands in the narrow columns that part the layers.
    ratios = axes[0].get_gridspec().get_width_ratios()
    assert {ratios[cell.get_subplotspec().colspan.start] for row in per_row for cell in row[1:]} == {1.0}
    # Filters are named once, above the first galaxy.
    named = [f"{name}\nfilter {number + 1}" for name, (_, count) in LAYERS.items() for number in range(count)]
    assert [cell.get_title() for cell in per_row[0][1:]] == named
    assert not any(cell.get_title() for row in per_row[1:] for cell in row[1:])
    assert title_of(figure)[0] == "What the network sees"


def test_contact_sheet_shows_the_first_eight_filters(picture: NDArray[Any]) -> None:
    figure = galaxy_plots.draw_contact_sheet([(picture, "", None, {"wide": maps(3, 20)})])
    assert len(shown(figure)) == 1 + 8


def test_samples_a_row_a_class() -> None:
    samples = {"Normal": np.full((3, 8, 8, 3), 0.2), "Ringed": np.full((1, 8, 8, 3), 0.7)}
    figure = galaxy_plots.draw_samples(samples)
    assert len(figure.axes) == 6
    assert [bool(axes.images) for axes in figure.axes] == [True, True, True, True, False, False]
    assert [axes.get_ylabel() for axes in figure.axes] == ["Normal", "", "", "Ringed", "", ""]
    assert figure.axes[3].images[0].get_array().max() == pytest.approx(0.7)


def line(epoch: int, value: float | None) -> dict[str, Any]:
    keys = ("loss", "categorical_accuracy", "auc")
    return {"epoch": epoch, **dict.fromkeys(keys, value), **{f"val_{key}": epoch / 10 for key in keys}}


def test_history() -> None:
    figure = plots.draw_history([line(1, 0.5), line(2, None), line(3, 0.7)])
    assert [axes.get_title() for axes in figure.axes] == ["loss", "accuracy", "AUC (pooled)"]
    for axes in figure.axes:
        assert axes.get_xlabel() == "epoch"
        training, validation = axes.lines
        assert [training.get_label(), validation.get_label()] == ["training", "validation"]
        assert list(training.get_xdata()) == [1, 2, 3]
        # A score that is not defined leaves a gap.
        values = list(training.get_ydata())
        assert values[::2] == [0.5, 0.7]
        assert math.isnan(values[1])
        assert list(validation.get_ydata()) == [0.1, 0.2, 0.3]
        assert training.get_color() != validation.get_color()
    legend = figure.axes[-1].get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["training", "validation"]


@pytest.mark.parametrize("epochs", [1, 2, 12])
def test_epochs_are_whole_numbers(epochs: int) -> None:
    figure = plots.draw_history([line(epoch, 0.5) for epoch in range(1, epochs + 1)])
    figure.draw_without_rendering()
    low, high = figure.axes[0].get_xlim()
    ticks = [tick for tick in figure.axes[0].get_xticks() if low <= tick <= high]
    assert ticks == [round(tick) for tick in ticks]


def test_confusion() -> None:
    confusion = [[8, 2, 0, 0], [1, 3, 0, 0], [0, 0, 0, 0], [0, 0, 1, 6]]
    figure = plots.draw_confusion(confusion, ANSWERS)
    axes, bar = figure.axes
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted", "true")
    assert [text.get_text() for text in axes.get_xticklabels()] == list(ANSWERS)
    assert [text.get_text() for text in axes.get_yticklabels()] == list(ANSWERS)
    assert bar.get_ylabel() == "share of the true class"
    cells = {text.get_position(): text.get_text() for text in axes.texts}
    assert len(cells) == 16
    # (column, row): counts and shares of the row; a class without a galaxy has none.
    assert cells[0, 0] == "8\n80%"
    assert cells[1, 0] == "2\n20%"
    assert cells[0, 1] == "1\n25%"
    assert {cells[column, 2] for column in range(4)} == {"0\n0%"}
    shares = axes.images[0].get_array()
    np.testing.assert_allclose(shares[3], [0, 0, 1 / 7, 6 / 7])
    # Legible on dark and on light cells.
    colours = {text.get_position(): text.get_color() for text in axes.texts}
    assert (colours[0, 0], colours[1, 0]) == ("white", "black")


def test_answers_below_their_galaxies() -> None:
    pictures = np.full((7, 8, 8, 3), 90, dtype=np.uint8)
    figure = galaxy_plots.draw_answers(pictures, [[("one: Ringed 90%", True), ("two: Normal 51%", False)]] * 7)
    shown = [axes for axes in figure.axes if axes.get_visible()]
    assert len(shown) == 7
    assert [text.get_text() for text in shown[6].texts] == ["one: Ringed 90%", "two: Normal 51%"]
    assert [text.get_color() for text in shown[6].texts] == [drawing.RIGHT, drawing.WRONG]


def test_coverage_of_every_class_is_drawn() -> None:
    answers = [*(f"class {number}" for number in range(14)), "all"]
    labels = np.arange(60) % 15
    inside = {"90": np.ones((60, 15), bool), "80": np.eye(15, dtype=bool)[np.where(labels == 14, 0, labels)]}
    left, right = plots.draw_coverage(coverage(labels, inside, answers)).axes
    assert [line.get_label() for line in left.lines] == ["promised", "all", *answers]
    assert left.lines[1].get_ydata()[1] == pytest.approx(100 * 14 / 15)
    assert left.lines[-1].get_ydata()[1] == 0
    assert len(right.lines) == 16


@pytest.mark.slow
def test_names_with_dollar_signs_are_no_formulas(tmp_path: Path, picture: NDArray[Any]) -> None:
    name = "$a_$"
    inside = {"90": np.ones((2, 2), bool)}
    told = SimpleNamespace(
        question=name,
        answer=name,
        probabilities={name: 0.6, "b": 0.4},
        probability=0.6,
        without=0.2,
        map=np.ones((16, 16), np.float32),
        threshold=2.0,
        decisive=np.zeros((16, 16), bool),
        square=(0, 0, 16, 16),
    )
    figures = [
        plots.draw_scores({"recall": {name: (0.5, [0.4, 0.6]), "b": (0.5, None)}}),
        plots.draw_confusion([[1, 0], [0, 1]], [name, "b"]),
        plots.draw_coverage(coverage(np.array([0, 1]), inside, [name, "b"])),
        galaxy_plots.draw_answers(picture[None], [[(name, None)]]),
        galaxy_plots.draw_samples({name: picture[None]}),
        galaxy_plots.draw_galaxy(picture, name, right=None),
        galaxy_plots.draw_maps(picture, maps(4, 2), name),
        galaxy_plots.draw_contact_sheet([(picture, name, None, {"conv2d": maps(4, 2)})]),
        plots.draw_map(np.array([0.1, 0.2]), np.array([0.1, 0.2]), [name, "b"]),
        galaxy_plots.draw_attribution(picture, told, name, name),
        galaxy_plots.draw_attributions([(picture, told, name, name)]),
    ]
    for number, figure in enumerate(figures):
        assert drawing.save(figure, tmp_path / f"{number}.png").stat().st_size > 1000
        assert any(name in text.get_text() for text in figure.findobj(Text)), number


HOSTILE = "a\u202eb\u2066c\x1b[31m\x07"


@pytest.mark.parametrize(
    "draw",
    [
        lambda picture: galaxy_plots.draw_galaxy(picture, HOSTILE, right=None),
        lambda picture: galaxy_plots.draw_maps(picture, maps(4, 2), HOSTILE),
        lambda picture: galaxy_plots.draw_contact_sheet([(picture, HOSTILE, True, {HOSTILE: maps(4, 2)})]),
        lambda picture: galaxy_plots.draw_samples({HOSTILE: np.stack([picture])}),
        lambda picture: galaxy_plots.draw_answers(np.stack([picture]), [[(HOSTILE, True)]]),
        lambda picture: plots.draw_confusion([[1, 0], [0, 1]], [HOSTILE, "b"]),
        lambda picture: plots.draw_map(np.arange(3.0), np.arange(3.0), [HOSTILE, "b", None]),
        lambda picture: plots.draw_scores({HOSTILE: {HOSTILE: (0.5, (0.4, 0.6))}}),
    ],
)
def test_no_text_of_a_figure_controls_or_turns(draw: Any, picture: NDArray[np.float32], tmp_path: Path) -> None:
    figure = draw(picture)
    drawing.save(figure, tmp_path / "figure.png")
    texts = [text.get_text() for text in figure.findobj(Text)]
    assert all(line.isprintable() for text in texts for line in text.split("\n"))
    assert any(r"a\u202eb\u2066c\x1b[31m\x07" in text for text in texts)
