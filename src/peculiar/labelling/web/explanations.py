"""Explanations of the model's answers for the browser, computed on demand and cached."""

import io
import os
from dataclasses import dataclass
from urllib.parse import quote, unquote

from peculiar.errors import UsageError
from peculiar.images.framing import Framing, kept_square
from peculiar.labelling.web.limiter import Limiter, ResultCache
from peculiar.labelling.web.pictures import LARGE, Pictures
from peculiar.models.attribution import Attribution, attribute
from peculiar.models.model_file import Model, load_model
from peculiar.reports.galaxy_plots import draw_overlay

_KEPT = 100


@dataclass(frozen=True, slots=True)
class Overlay:
    """The explanation of an answer, as a picture and in figures.

    Parameters
    ----------
    content : bytes
        JPEG of the same square and size as the large picture of the galaxy.
    question, answer : str
    probability : float
        Of the answer, for the original picture.
    without : float
        The same with the outlined region hidden.
    """

    content: bytes
    question: str
    answer: str
    probability: float
    without: float


class Explanations:
    """Explanations of a model's answers, drawn over the pictures.

    Parameters
    ----------
    model : Model
    pictures : Pictures
    """

    def __init__(self, model: Model, pictures: Pictures) -> None:
        self.model, self.pictures = model, pictures
        # One at a time, because one uses all cores.
        self._kept: ResultCache[tuple[int, str], Overlay] = ResultCache(Limiter(1, timeout=60.0), _KEPT)

    @property
    def choices(self) -> dict[str, dict[str, str]]:
        """Possible explanations, by question: the argument of `draw`, and its answer, "" for the most probable."""
        return {
            question.name: {_address(question.name): ""}
            | {_address(question.name, answer): answer for answer in question.answers}
            for question in self.model.card.questions
        }

    def draw(self, row: int, asked: str = "") -> Overlay:
        """Explain an answer for the picture of a row.

        Parameters
        ----------
        row : int
        asked : str
            ``question/answer``, each as in an address. Default: the most probable answer, and the main question of the
            model.

        Raises
        ------
        UnknownNameError
            If there is no such question or answer.
        PictureError
            If the picture cannot be read.
        """
        return self._kept.get((row, asked), lambda: self._draw(row, asked))

    def _draw(self, row: int, asked: str) -> Overlay:
        question, _, answer = map(unquote, asked.partition("/"))
        picture = self.pictures.pixels(row)
        model, glance = (self.model.asking(question or None, views=views) for views in (None, 1))
        attribution = attribute(model, picture, answer or None, glance=glance)
        left, upper, right, lower = map(round, kept_square(picture, Framing(LARGE)))
        # Encoded like all pictures, so that only the pixels of the file reach the browser.
        buffer = io.BytesIO()
        figure = draw_overlay(picture, attribution, (left, upper, right, lower), LARGE)
        figure.savefig(buffer, format="jpg", dpi=120, pil_kwargs={"quality": 92})
        return _drawn(buffer.getvalue(), attribution)


def _address(*words: str) -> str:
    """Return a question, or a question and an answer, as one text; both may contain slashes."""
    return "/".join(quote(word, safe=" ") for word in words)


def _drawn(content: bytes, attribution: Attribution) -> Overlay:
    return Overlay(content, attribution.question, attribution.answer, attribution.probability, attribution.without)


def open_explanations(
    digest: str, pictures: Pictures, model: str | os.PathLike[str] | None = None
) -> Explanations | None:
    """Return the explanations of a catalogue's answers; None if its model is not available.

    Parameters
    ----------
    digest : str
        Digest of the model that made the catalogue.
    pictures : Pictures
    model : path-like, optional
        Its model file; default: the model that ships, if it made the catalogue.

    Raises
    ------
    UsageError
        If the file is of another model.
    """
    opened = load_model(model)
    if opened.card.digest == digest:
        return Explanations(opened, pictures)
    if model is None:
        return None
    message = (
        f"{model} did not make this catalogue: its digest is {opened.card.digest[:12]}, that of the model that did "
        f"{digest[:12] or 'unknown'}; give that one (--model), or none"
    )
    raise UsageError(message)
