"""Explain a model's answers for galaxies: attribution maps, and figures of them."""

import os
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from peculiar.errors import DataError, PictureError, UnknownNameError, UsageError
from peculiar.files.places import place
from peculiar.files.run_files import MODEL, model_file_of
from peculiar.models.attribution import Attribution, attribute
from peculiar.models.model_file import Model, load_model
from peculiar.models.predict import Classifier
from peculiar.progress import counting
from peculiar.reports.drawing import picture_of, save
from peculiar.reports.galaxy_plots import draw_attribution, draw_attributions
from peculiar.sources import as_source
from peculiar.sources.dataset import warn_of_unreadable
from peculiar.sources.interleave import interleave_classes
from peculiar.sources.stream import Row, Source
from peculiar.text import counted, shown

_MOST_LINES = 8


@dataclass(frozen=True, slots=True, repr=False)
class Explained:
    """A galaxy whose answer was explained.

    Parameters
    ----------
    id : str
    label : str or None
        The labelled answer, if known.
    attribution : Attribution
    picture : ndarray of uint8, shape (height, width, 3)
    file : path or None
        The figure, if it was written.
    """

    id: str
    label: str | None
    attribution: Attribution
    picture: NDArray[np.uint8]
    file: Path | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return everything except map and picture, as JSON values."""
        told = self.attribution
        return {
            "id": self.id,
            "label": self.label,
            "question": told.question,
            "answer": told.answer,
            "probability": told.probability,
            "without_decisive": told.without,
            "probabilities": told.probabilities,
            "square": list(told.square),
            "file": None if self.file is None else str(self.file),
        }

    def __repr__(self) -> str:
        """Return the explanation in two lines."""
        told = self.attribution
        chances = ", ".join(f"{shown(name)} {chance:.2f}" for name, chance in told.probabilities.items())
        return f"{shown(str(self))}\n  {shown(told.question)}: {chances}"

    def _repr_png_(self) -> bytes:
        """Return the figure for a notebook."""
        return picture_of(self.show())

    def show(self) -> Figure:
        """Draw the galaxy, its attribution map and the probabilities.

        Returns
        -------
        matplotlib.figure.Figure
        """
        return draw_attribution(self.picture, self.attribution, self.id, self.label)

    def __str__(self) -> str:
        """Return the explanation in a line."""
        told = self.attribution
        known = "" if self.label is None else f"; labelled {self.label}"
        hidden = f"{told.without:.0%} with the outlined region hidden"
        return f"{self.id}: {told.answer} {told.probability:.0%}, {hidden}{known}"


class Explanations(Sequence[Explained]):
    """Galaxies whose answers were explained; see `explain`."""

    def __init__(self, explained: Sequence[Explained]) -> None:
        self._explained = tuple(explained)

    @overload
    def __getitem__(self, which: int) -> Explained: ...
    @overload
    def __getitem__(self, which: slice) -> "Explanations": ...
    def __getitem__(self, which: int | slice) -> "Explained | Explanations":
        """Return one of them, or some."""
        return self._explained[which] if isinstance(which, int) else Explanations(self._explained[which])

    def __len__(self) -> int:
        """Return the number of galaxies."""
        return len(self._explained)

    def __repr__(self) -> str:
        """Return the explanations, a line per galaxy."""
        lines = [shown(str(one)) for one in self[:_MOST_LINES]]
        more = len(self) - len(lines)
        title = f"Explanations of {counted(len(self), 'galaxy')}"
        return "\n  ".join([title, *lines, *([f"and {more} more"] if more else [])])

    def _repr_png_(self) -> bytes:
        """Return the figure for a notebook."""
        return picture_of(self.show())

    def show(self) -> Figure:
        """Draw all galaxies, each beside its attribution map.

        Returns
        -------
        matplotlib.figure.Figure
        """
        return draw_attributions([(one.picture, one.attribution, one.id, one.label) for one in self])


def explain(
    data: Any,
    model: Model | Classifier | str | os.PathLike[str] | None = None,
    out: str | os.PathLike[str] | None = None,
    *,
    count: int = 5,
    ids: Collection[str] = (),
    label: str | None = None,
    id: str | None = None,
    question: str | None = None,
    answer: str | None = None,
    views: int | None = None,
    progress: Callable[[int], object] | None = None,
    verbose: bool = True,
) -> Explanations:
    """Explain a model's answers: find the regions of pictures that support an answer, and those that oppose it.

    Regions of a picture are hidden one after another; see `peculiar.models.attribution.attribute`.

    Parameters
    ----------
    data : path-like, sequence of path-like, array, list of PIL.Image.Image, or Source
        Galaxies with pictures, as `predict` takes them.
    model : Model, path-like or Classifier, optional
        By default the model that ships.
    out : path-like, optional
        Folder for the figures: one per galaxy, and ``overview.png`` with all of them.
    count : int
        Number of galaxies. With labels, the classes take turns and a fixed seed draws the galaxies within each;
        otherwise the first galaxies are taken. Unreadable pictures are skipped.
    ids : collection of str, optional
        Explain these instead.
    label, id : str, optional
        The columns of labels and ids of a table; by default those with the usual names.
    question : str, optional
        The question of the model to explain; by default the one that the labels answer.
    answer : str, optional
        The answer to explain; by default the most probable answer of each galaxy.
    views : int, optional
        Number of turned and mirrored views to average over, 1 to 8; default: that of the model's card, and a single
        view for pictures with a hidden region.
    progress : callable, optional
        Called with the number of galaxies done since the last call.
    verbose : bool
        Show progress on standard error, where `progress` is not given.

    Returns
    -------
    Explanations

    Raises
    ------
    UsageError
        If `count` is below 1, or `model` is the folder of a run.
    UnknownNameError
        If there is no such column, question or answer, or no galaxy with one of the ids.
    DataError
        If no picture can be read.

    Warns
    -----
    UnreadablePictureWarning
        If pictures cannot be read; the others are explained.

    Examples
    --------
    >>> import peculiar
    >>> explanations = peculiar.explain("pictures", count=1, views=1, verbose=False)
    >>> 0 <= explanations[0].attribution.probability <= 1
    True
    >>> figure = explanations.show()
    """
    if count < 1:
        message = f"at least one galaxy is needed, received count={count}"
        raise UsageError(message)
    source = as_source(data, label=label, id=id)
    asked, glance = _asked(model, source, question, views)
    wanted = set(ids)
    if wanted and (missing := wanted.difference(source.ids())):
        raise UnknownNameError("galaxy", min(missing), source.ids(), where=f"in {source.path.name}")
    folder = None if out is None else place(out)
    explained: list[Explained] = []
    problems: dict[str, str] = {}
    with ExitStack() as stack:
        if progress is None:
            progress = stack.enter_context(counting("explained", len(wanted) or count, verbose=verbose))
        for row in _rows_of(source, wanted) if ids else interleave_classes(source):
            try:
                picture = row.pixels()
                told = attribute(asked, picture, answer, glance=glance)
            except PictureError as error:
                problems[row.id] = error.reason
                continue
            file = None if folder is None else folder / f"galaxy_{len(explained) + 1}.png"
            one = Explained(row.id, row.label if row.label in asked.question.answers else None, told, picture, file)
            if file is not None:
                save(one.show(), file)
            explained.append(one)
            progress(1)
            if not ids and len(explained) == count:
                break
    if not explained:
        first = "; the first is {}: {}".format(*next(iter(problems.items()))) if problems else ""
        message = f"{source.path}: no picture can be read{first}"
        raise DataError(message)
    if problems:
        warn_of_unreadable(problems, len(explained) + len(problems))
    explanations = Explanations(explained)
    if folder is not None:
        save(explanations.show(), folder / "overview.png")
    return explanations


def _asked(
    model: Model | Classifier | str | os.PathLike[str] | None, source: Source, question: str | None, views: int | None
) -> tuple[Classifier, Classifier | None]:
    """Return the classifiers of pictures, and of pictures with a hidden region."""
    if isinstance(model, str | os.PathLike) and model_file_of(place(model)).is_dir():
        message = (
            f"{model} is a folder without {MODEL}: visualize_activations(load_run({str(model)!r}), ...) shows what the "
            "filters of the exercise's network see; `peculiar export` writes the model file of another run"
        )
        raise UsageError(message)
    if model is None or isinstance(model, str | os.PathLike):
        model = load_model(model)
    if not isinstance(model, Model):
        return model, None
    entries = () if question else source.labels()
    asked, glance = (
        model.asking(question, labels=source.label, entries=entries, views=each) for each in (views, views or 1)
    )
    return asked, glance


def _rows_of(source: Source, ids: set[str]) -> Iterator[Row]:
    """Yield the first row of each id."""
    for row in source.rows():
        if row.id in ids:
            yield row
            ids.discard(row.id)
        if not ids:
            return
