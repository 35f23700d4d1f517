"""One HTML page from sections of text, tables and figures; it loads nothing from the network."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from pathlib import Path

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from numpy.typing import NDArray
from PIL import Image

from peculiar.files.writing import writing
from peculiar.images.decode import encode_picture
from peculiar.metrics.scores import Scores
from peculiar.text import format_score, in_template


@dataclass(frozen=True, slots=True)
class Picture:
    """A figure of a page.

    Parameters
    ----------
    file : str
        Path relative to the page.
    caption : str
        A sentence that describes the figure; also its alternative text.
    content : bytes
        The figure as PNG, if the page itself holds it; `file` is then the target of its link.
    """

    file: str
    caption: str
    content: bytes = b""

    @property
    def data(self) -> str:
        """The figure as a ``data:`` address."""
        return f"data:image/png;base64,{base64.b64encode(self.content).decode()}"


@dataclass(frozen=True, slots=True)
class Strip:
    """Small pictures side by side, with one caption.

    Parameters
    ----------
    pictures : sequence of str
        ``data:`` addresses; see `embedded`.
    caption : str
    """

    pictures: Sequence[str]
    caption: str


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a page.

    Parameters
    ----------
    title : str
    text : sequence of str
        Paragraphs.
    table : sequence of rows
        The first row is the header.
    text_columns : int
        Number of columns, from the left, that hold text; they are left-aligned.
    figures : sequence of Picture
    gallery : sequence of Strip
    code : str
        Text that keeps its spaces and lines.
    """

    title: str
    text: Sequence[str] = ()
    table: Sequence[Sequence[str]] = ()
    text_columns: int = 1
    figures: Sequence[Picture] = ()
    gallery: Sequence[Strip] = ()
    code: str = ""


def write_page(path: Path, title: str, lead: str, sections: Sequence[Section]) -> Path:
    """Write a page.

    Parameters
    ----------
    path : path
        The HTML file.
    title, lead : str
        Heading, and the sentence below it.
    sections : sequence of Section

    Returns
    -------
    path
        The file that was written.
    """
    environment = Environment(
        loader=PackageLoader("peculiar.reports"), autoescape=True, undefined=StrictUndefined, finalize=in_template
    )
    footer = f"Made with peculiar {metadata.version('peculiar')}."
    text = environment.get_template("page.html").render(
        title=title, lead=lead, sections=sections, size_of=partial(_size, path.parent), footer=footer
    )
    with writing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return path


def _size(folder: Path, figure: Picture) -> tuple[int, int] | None:
    """Return width and height of a figure in pixels; None if its file does not exist yet.

    With its size in the page, a figure keeps its place while it loads, and the text does not jump.
    """
    file = io.BytesIO(figure.content) if figure.content else folder / figure.file
    if isinstance(file, Path) and not file.exists():
        return None
    with Image.open(file) as opened:
        return opened.size


def embedded(pixels: NDArray[np.uint8]) -> str:
    """Return pixels, uint8 (height, width, 3), as a ``data:`` address, so that a page needs no other file."""
    return f"data:image/jpeg;base64,{base64.b64encode(encode_picture(pixels, 'JPEG')).decode()}"


def score_table(scores: Scores) -> list[list[str]]:
    """Return the scores of each class as a table."""
    rows = [["class", "galaxies", "precision", "recall", "F1", "AUC"]]
    rows += [
        [name, str(of.count), *(format_score(value) for value in (of.precision, of.recall, of.f1, of.auc))]
        for name, of in scores.classes.items()
    ]
    return rows
