"""Attribution by occlusion: hide regions of a picture and measure how the answer changes.

The method is that of Zeiler & Fergus (2014, ECCV, arXiv:1311.2901), section 4.2. It needs only the probabilities of a
model, so it works with any model, without gradients and without PyTorch.
"""

import itertools
import os
import warnings
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from peculiar.errors import DataError, PictureError, UnknownNameError, UnreadablePictureWarning, UsageError
from peculiar.images.decode import frame_pixels, kept_square
from peculiar.models.predict import Classifier
from peculiar.reports.plots import draw_attribution, draw_attributions, save
from peculiar.sources.given import pixels_of
from peculiar.sources.stream import Row, Source

PLACES, WIDTH = 16, 3 / 16
"""Places per side that are hidden one after another, and the width of each as a share of the side."""

SHARE = 0.1
"""Share of the square that counts as decisive: where hiding lowers the answer most."""

# The replacement of hidden pixels is computed on a picture this much smaller, because it is smooth; and the standard
# deviation of its Gaussian, as a share of the side.
_SHRINK, _REACH = 4, 3 / 32

_BATCH = 32

# Rows that are read in one pass, because each pass through a source takes time.
_AT_A_TIME = 64

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Attribution:
    """Which regions of a picture support an answer, and which oppose it.

    Parameters
    ----------
    question, answer : str
        The question, and the answer that is explained.
    probabilities : dict of str to float
        Of all answers, for the original picture.
    map : ndarray of float32, shape (height, width)
        For each pixel of the picture, the fall of the log-odds of the answer, ln(p / (1 - p)), if the pixel is hidden:
        the mean over the places that cover it, weighted by how much they do. Negative where the picture opposes the
        answer. NaN outside the square that the model sees.
    threshold : float
        Pixels of the map above it are decisive: a tenth of the square, or fewer if fewer are above 0.
    without : float
        The probability of the answer with all decisive pixels hidden.
    square : tuple of float
        The square that the model sees: left, upper, right, lower, in pixels from the top left corner.
    """

    question: str
    answer: str
    probabilities: dict[str, float]
    map: Floats
    threshold: float
    without: float
    square: tuple[float, float, float, float]

    @property
    def probability(self) -> float:
        """Of the answer, for the original picture."""
        return self.probabilities[self.answer]

    @property
    def decisive(self) -> NDArray[np.bool_]:
        """The decisive pixels, (height, width)."""
        return self.map > self.threshold


@dataclass(frozen=True, slots=True)
class Explained:
    """A galaxy whose answer was explained.

    Parameters
    ----------
    id : str
    label : str or None
        The labelled answer, if known.
    attribution : Attribution
    file : path
        The figure.
    """

    id: str
    label: str | None
    attribution: Attribution
    file: Path

    def as_dict(self) -> dict[str, Any]:
        """Return everything except the map, as JSON values."""
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
            "file": str(self.file),
        }


def attribute(
    model: Classifier, picture: Any, answer: str | None = None, *, glance: Classifier | None = None
) -> Attribution:
    """Find the regions of a picture that support an answer, and those that oppose it.

    Squares with soft edges, 3/16 of the side wide, are hidden at 16 x 16 places, and the model classifies these 256
    pictures, 32 at a time. Hidden pixels are filled from their surroundings; see `hide`.

    Parameters
    ----------
    model : Classifier
        For instance ``load_model().asking("four_class")``.
    picture : array of shape (height, width, 3), or PIL.Image.Image
        The original picture, uint8 or floats from 0 to 1. It is framed here, once, so that the frame does not depend on
        what is hidden.
    answer : str, optional
        Default: the most probable answer.
    glance : Classifier, optional
        A faster model for the hidden places, such as the same model with ``views=1``.

    Returns
    -------
    Attribution

    Raises
    ------
    UnknownNameError
        If the question has no such answer.
    UsageError
        If it is not a picture.
    """
    question = model.question
    if answer is not None and answer not in question.answers:
        raise UnknownNameError("answer", answer, question.answers, where=f"to {question.name!r}")
    picture = pixels_of(picture)
    seen, square = frame_pixels(picture, model.framing), kept_square(picture, model.framing)
    chances = model.probabilities(seen[None], framed=True)[0]
    number = int(chances.argmax()) if answer is None else question.answers.index(answer)
    side = len(seen)
    windows = _windows((np.arange(side) + 0.5) / side)
    asked = glance or model
    # The matrix products in `hide` are small; threads of NumPy would only take cores from the network.
    with threadpool_limits(1, user_api="blas"):
        batches = [asked.probabilities(hide(seen, masks), framed=True) for masks in _masks(windows)]
    whole = _log_odds(asked.probabilities(seen[None], framed=True), number)
    falls = (whole - _log_odds(np.concatenate(batches), number)).reshape(PLACES, PLACES)
    framed = _spread(falls, windows, windows)
    threshold = max(float(np.quantile(framed, 1 - SHARE)), 0.0)
    without = model.probabilities(hide(seen, (framed > threshold)[None].astype(np.float32)), framed=True)[0]
    left, upper, right, lower = square
    rows = (np.arange(picture.shape[0]) + 0.5 - upper) / (lower - upper)
    columns = (np.arange(picture.shape[1]) + 0.5 - left) / (right - left)
    shown = _spread(falls, _windows(rows), _windows(columns))
    shown[(rows < 0) | (rows > 1)] = np.nan
    shown[:, (columns < 0) | (columns > 1)] = np.nan
    return Attribution(
        question.name,
        question.answers[number],
        dict(zip(question.answers, map(float, chances), strict=True)),
        shown,
        threshold,
        float(without[number]),
        square,
    )


def hide(picture: NDArray[np.uint8], masks: Floats) -> NDArray[np.uint8]:
    """Hide places of a picture by filling them from their surroundings.

    A hidden pixel becomes the mean of the visible pixels, weighted by a Gaussian of their distance (normalised
    convolution: Knutsson & Westin 1993, CVPR). The smooth light of a galaxy stays; an arm or a companion disappears. If
    everything nearby is hidden, the pixel becomes the median of the picture.

    Parameters
    ----------
    picture : ndarray of uint8, shape (side, side, 3)
    masks : ndarray of float32, shape (n, side, side)
        How much of each pixel to hide, from 0 (visible) to 1 (hidden).

    Returns
    -------
    ndarray of uint8, shape (n, side, side, 3)
    """
    side = len(picture)
    pixels = (np.arange(side, dtype=np.float32) + 0.5) / side
    cells = (np.arange(-(-side // _SHRINK), dtype=np.float32) + 0.5) * _SHRINK / side
    near = np.exp(-0.5 * ((cells[:, None] - pixels) / np.float32(_REACH)) ** 2)
    near /= near.sum(axis=1, keepdims=True)
    grow = _interpolation(pixels, cells)
    light = np.ascontiguousarray(picture.transpose(2, 0, 1), dtype=np.float32)
    shown = (1 - masks)[:, None]
    # A small weight of the median, which counts where nothing else is near.
    little = np.float32(1e-5)
    weights = near @ shown @ near.T + little
    means = (near @ (shown * light) @ near.T + little * np.median(light, axis=(1, 2))[:, None, None]) / weights
    fill = grow @ means @ grow.T
    hidden = light + masks[:, None] * (fill - light)
    return np.ascontiguousarray(np.rint(hidden).clip(0, 255).astype(np.uint8).transpose(0, 2, 3, 1))


def explain_answers(
    model: Classifier,
    source: Source,
    *,
    out: str | os.PathLike[str] = "explained",
    count: int = 5,
    answer: str | None = None,
    glance: Classifier | None = None,
    ids: Collection[str] = (),
    progress: Callable[[int], object] = lambda done: None,
) -> list[Explained]:
    """Draw attribution maps of galaxies: one figure per galaxy, and ``overview.png`` with all of them.

    Parameters
    ----------
    model : Classifier
    source : Source
    out : path-like
        Folder for the figures.
    count : int
        Number of galaxies. With labels, the classes take turns and a fixed seed draws the galaxies within each;
        otherwise the first galaxies are taken. Unreadable pictures are skipped.
    answer : str, optional
        The answer to explain; default: the most probable answer of each galaxy.
    glance : Classifier, optional
        See `attribute`.
    ids : collection of str, optional
        Explain these instead.
    progress : callable
        Called with the number of galaxies done since the last call.

    Returns
    -------
    list of Explained
        The explained galaxies.

    Raises
    ------
    UsageError
        If `count` is below 1.
    UnknownNameError
        If there is no such answer, or no galaxy with one of the ids.
    DataError
        If no picture can be read.

    Warns
    -----
    UnreadablePictureWarning
        If pictures cannot be read; the others are explained.
    """
    if count < 1:
        message = f"at least one galaxy is needed, received count={count}"
        raise UsageError(message)
    folder, wanted = Path(out), set(ids)
    if wanted and (missing := wanted.difference(source.ids())):
        raise UnknownNameError("galaxy", min(missing), source.ids(), where=f"in {source.path.name}")
    shown: list[Explained] = []
    pictures: list[NDArray[np.uint8]] = []
    problems: dict[str, str] = {}
    for row in _rows_of(source, wanted) if ids else rows_by_turns(source):
        try:
            picture = row.pixels()
            told = attribute(model, picture, answer, glance=glance)
        except PictureError as error:
            problems[row.id] = error.reason
            continue
        label = row.label if row.label in model.question.answers else None
        file = folder / f"galaxy_{len(shown) + 1}.png"
        save(draw_attribution(picture, told, row.id, label), file)
        shown.append(Explained(row.id, label, told, file))
        pictures.append(picture)
        progress(1)
        if not ids and len(shown) == count:
            break
    first = "; the first is {}: {}".format(*next(iter(problems.items()))) if problems else ""
    if not shown:
        message = f"{source.path}: no picture can be read{first}"
        raise DataError(message)
    if problems:
        message = f"{len(problems)} pictures cannot be read and are left out{first}"
        warnings.warn(message, UnreadablePictureWarning, stacklevel=2)
    named = [(picture, one.attribution, one.id, one.label) for picture, one in zip(pictures, shown, strict=True)]
    save(draw_attributions(named), folder / "overview.png")
    return shown


def _rows_of(source: Source, ids: set[str]) -> Iterator[Row]:
    """Yield the first row of each id."""
    for row in source.rows():
        if row.id in ids:
            yield row
            ids.discard(row.id)
        if not ids:
            return


def rows_by_turns(source: Source, *, seed: int = 222) -> Iterator[Row]:
    """Yield the rows of a source so that the first few are of all classes.

    With labels, the classes take turns, in random order within each; rows without a label come last. Otherwise rows
    keep their order.

    Parameters
    ----------
    source : Source
    seed : int
        Of the order within a class.
    """
    classes: dict[str, list[int]] = {}
    labels = source.labels()
    for number, label in enumerate(labels):
        if label is not None:
            classes.setdefault(label, []).append(number)
    if len(classes) < 2:
        yield from source.rows()
        return
    random = np.random.default_rng(seed)
    shuffled = [random.permutation(classes[label]).tolist() for label in sorted(classes)]
    turns = [number for turn in itertools.zip_longest(*shuffled) for number in turn if number is not None]
    turns += [number for number, label in enumerate(labels) if label is None]
    for start in range(0, len(turns), _AT_A_TIME):
        some = turns[start : start + _AT_A_TIME]
        sought = set(some)
        found = {number: row for number, row in enumerate(source.rows(0, max(some) + 1)) if number in sought}
        yield from (found[number] for number in some)


def _windows(where: NDArray[np.floating]) -> Floats:
    """Return how much each place along a side hides at positions from 0 to 1 of the side: (places, positions).

    A place hides half at half its width. Its edges are soft, because a sharp edge is a feature of its own.
    """
    middles = (np.arange(PLACES) + 0.5) / PLACES
    away = np.abs(where - middles[:, None]) / (WIDTH / 2)
    return np.asarray(np.exp2(-(away**4)), dtype=np.float32)


def _masks(windows: Floats) -> Iterator[Floats]:
    """Yield masks of the places, row by row, some at a time: (n, side, side)."""
    places = [(row, column) for row in range(PLACES) for column in range(PLACES)]
    for start in range(0, len(places), _BATCH):
        rows, columns = np.transpose(places[start : start + _BATCH])
        yield windows[rows][:, :, None] * windows[columns][:, None, :]


def _spread(falls: NDArray[np.floating], rows: Floats, columns: Floats) -> Floats:
    """Return, for each position, the mean fall of the places that cover it: (rows, columns)."""
    sums = rows.T @ falls @ columns
    return np.asarray(sums / np.maximum(np.outer(rows.sum(axis=0), columns.sum(axis=0)), 1e-12), dtype=np.float32)


def _log_odds(probabilities: NDArray[np.floating], number: int) -> NDArray[np.float64]:
    """Return ln(p / (1 - p)) of one answer, (n,); 1 - p is the sum of the others, which is accurate near p = 1."""
    chances = probabilities.astype(np.float64)
    others = np.delete(chances, number, axis=1).sum(axis=1)
    odds: NDArray[np.float64] = np.log(np.maximum(chances[:, number], 1e-12) / np.maximum(others, 1e-12))
    return odds


def _interpolation(where: NDArray[np.floating], middles: NDArray[np.floating]) -> Floats:
    """Return weights (where, middles) that interpolate linearly, and keep the last value beyond the ends."""
    unit = np.eye(len(middles), dtype=np.float32)
    return np.stack([np.interp(where, middles, row) for row in unit], axis=1).astype(np.float32)
