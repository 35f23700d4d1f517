"""Attribution by occlusion: hide regions of a picture and measure how the answer changes.

The method is that of Zeiler & Fergus (2014, ECCV, arXiv:1311.2901), section 4.2. It needs only the probabilities of a
model, so it works with any model, without gradients and without PyTorch.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from peculiar.errors import PictureError, UnknownNameError
from peculiar.images.framing import frame_pixels, kept_square
from peculiar.models.predict import NO_ANSWER, Classifier
from peculiar.sources.given import pixels_of

PLACES, WIDTH = 16, 3 / 16
"""Places per side that are hidden one after another, and the width of each as a share of the side."""

SHARE = 0.1
"""Share of the square that counts as decisive: where hiding lowers the answer most."""

# The replacement of hidden pixels is computed on a picture this much smaller, because it is smooth; and the standard
# deviation of its Gaussian, as a share of the side.
_SHRINK, _REACH = 4, 3 / 32

_BATCH = 32

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Attribution:
    """Map of the regions of a picture that support an answer, and of those that oppose it.

    Parameters
    ----------
    question, answer : str
        The question, and the answer that is explained.
    probabilities : dict of str to float
        Probability of each answer, for the original picture.
    map : ndarray of float32, shape (height, width)
        For each pixel of the picture, the fall of the log-odds of the answer, ln(p / (1 - p)), if the pixel is hidden:
        the mean over the places that cover it, weighted by the share that they hide. Negative where the picture opposes
        the answer. NaN outside the square that the model sees.
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
        """Probability of the answer, for the original picture."""
        return self.probabilities[self.answer]

    @property
    def decisive(self) -> NDArray[np.bool_]:
        """The decisive pixels, (height, width)."""
        return self.map > self.threshold


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
    PictureError
        If the model returns values that are not numbers for it.
    """
    question = model.question
    if answer is not None and answer not in question.answers:
        raise UnknownNameError("answer", answer, question.answers, where=f"to {question.name!r}")
    picture = pixels_of(picture)
    seen, square = frame_pixels(picture, model.framing), kept_square(picture, model.framing)
    chances = model.probabilities(seen[None], framed=True)[0]
    if not np.isfinite(chances).all():
        raise PictureError(NO_ANSWER)
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
        Share of each pixel to hide, from 0 (visible) to 1 (hidden).

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


def _windows(where: NDArray[np.floating]) -> Floats:
    """Return the share that each place along a side hides at positions from 0 to 1 of the side: (places, positions).

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
