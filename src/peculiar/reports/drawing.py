"""Figures: how they are made, saved and shown; the colours that they share."""

import io
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.text import Text

from peculiar.files.figures import SOFTWARE
from peculiar.files.writing import writing
from peculiar.text import shown_lines

# Galaxies are shown on a dark sky, and so are feature maps.
NIGHT, STARLIGHT = "#0b1021", "#e8ecf4"
RIGHT, WRONG = "#4fd1a5", "#ff7a6b"

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


def night(width: float, height: float) -> Figure:
    """Return an empty figure with a dark background; width and height in inches."""
    return Drawing(figsize=(width, height), facecolor=NIGHT, layout="constrained")


def bare(axes: Axes) -> Axes:
    """Remove ticks and frame."""
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    axes.set_facecolor(NIGHT)
    return axes


def take_literally(legend: Legend) -> None:
    """Show names literally: text between two dollar signs is not a formula."""
    for text in legend.get_texts():
        text.set_parse_math(False)
