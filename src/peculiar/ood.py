"""How unlike the training pictures a picture is: far from all of them, an answer means little.

The direction of an embedding is compared with those of the training pictures by the Mahalanobis distance (Lee et al.
2018, with the embedding brought to length 1 as in Müller & Hein 2025), whose covariance is kept as its largest
directions and one variance for all others (Tipping & Bishop 1999). To a network that was trained to tell galaxies apart
much of what a detector leaves in a picture means nothing, so flaws of the picture itself are measured too; see
`peculiar.flaws`. The largest is told, each as a multiple of a limit, such that one in twenty galaxies of the validation
part exceeds 1: above 1 a picture is unlike.
"""

import base64
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainSerializer

from peculiar.errors import DataError
from peculiar.flaws import FLAWS, Flaw

DIRECTIONS = 64

FALSE_ALARMS = 0.05
"""Share of galaxies like those trained on that are above 1."""

FLAW_ALARMS = 0.005
"""Share of them that are above 1 for the sake of one flaw; it is part of `FALSE_ALARMS`."""


def _decode(value: object) -> object:
    if not isinstance(value, dict):
        return value
    return np.frombuffer(base64.b64decode(value["float16"]), dtype="<f2").reshape(value["shape"])


def _encode(value: NDArray[np.float16]) -> dict[str, object]:
    text = base64.b64encode(np.ascontiguousarray(value, dtype="<f2").tobytes()).decode()
    return {"shape": list(value.shape), "float16": text}


_Array = Annotated[NDArray[np.float16], BeforeValidator(_decode), PlainSerializer(_encode)]


class Familiar(BaseModel):
    """What the embeddings of training pictures are like, in 50 kB of a model's card; see `fit_familiar`.

    Parameters
    ----------
    middle : ndarray of float16, shape (d,)
        Mean direction.
    axes : ndarray of float16, shape (k, d)
        The largest directions of the covariance, each divided by its standard deviation.
    variance : float
        In all other directions.
    limit : float
        The distance that is told as 1.
    flaws : dict of str to tuple of float
        By flaw, what half of the galaxies exceed, and what is told as 1. Empty in files of earlier versions.
    """

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    middle: _Array
    axes: _Array
    variance: float
    limit: float
    flaws: dict[Flaw, tuple[float, float]] = {}

    def unlikeness(self, embedding: NDArray[np.floating], flaws: NDArray[np.floating]) -> NDArray[np.float32]:
        """Return how unlike the training pictures some pictures are.

        Parameters
        ----------
        embedding : ndarray, shape (n, d)
        flaws : ndarray, shape (n, 5)
            Of the same pictures; see `peculiar.flaws.measure_flaws`.

        Returns
        -------
        ndarray of float32, shape (n,)
            0 in the middle; 1 is exceeded by one in twenty of the galaxies that it was fitted for. NaN where the
            embedding is.
        """
        told = self.distances(embedding) / self.limit
        for flaw, (middle, limit) in self.flaws.items():
            told = np.maximum(told, (flaws[:, FLAWS.index(flaw)] - middle) / (limit - middle))
        return told.astype(np.float32)

    def distances(self, embedding: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the Mahalanobis distance of each embedding, shape (n, d), from the training pictures."""
        away = _directions(embedding) - self.middle.astype(np.float64)
        axes = self.axes.astype(np.float64)
        inside = away @ axes.T
        # An axis is divided by its deviation, so its length says what part of `away` lies along it.
        lengths = np.linalg.norm(axes, axis=1)
        outside = (away**2).sum(axis=1) - ((inside / lengths) ** 2).sum(axis=1)
        return np.asarray(np.sqrt((inside**2).sum(axis=1) + np.maximum(outside, 0) / self.variance))


def fit_familiar(
    training: NDArray[np.floating], held_back: NDArray[np.floating], flaws: NDArray[np.floating]
) -> Familiar:
    """Summarise the embeddings of training pictures.

    Parameters
    ----------
    training : ndarray, shape (n, d)
        Of some thousands of the pictures that the model was trained on.
    held_back : ndarray, shape (m, d)
        Of pictures like them that it was not trained on, which decide what is far.
    flaws : ndarray, shape (m, 5)
        Of the pictures held back.

    Raises
    ------
    DataError
        If there are too few to tell: fewer than ten times `DIRECTIONS`, or twenty held back.
    """
    if len(training) < 10 * DIRECTIONS or len(held_back) < 20:
        message = (
            f"to tell what is familiar takes embeddings of {10 * DIRECTIONS} training pictures and 20 held back at "
            f"least, received {len(training)} and {len(held_back)}"
        )
        raise DataError(message)
    directions = _directions(training)
    middle = directions.mean(axis=0)
    variances, axes = np.linalg.eigh(np.cov(directions.T))
    kept = min(DIRECTIONS, len(variances) - 1)
    largest, others = variances[-kept:], variances[:-kept]
    # Half precision holds nothing below 6e-8, and an embedding with dead units has variances of 0.
    deviations = np.sqrt(np.maximum(largest, 1e-8))
    summary = Familiar(
        middle=middle.astype(np.float16),
        axes=(axes[:, -kept:] / deviations).T.astype(np.float16),
        variance=max(float(others.mean()), 1e-12),
        limit=1.0,
    )
    usual = np.median(flaws, axis=0)
    # "higher": of few galaxies none is above, rather than one for each flaw. What none has still needs a scale.
    most = np.maximum(np.quantile(flaws, 1 - FLAW_ALARMS, axis=0, method="higher"), usual + 0.01)
    flawed = (flaws > most).any(axis=1)
    # The distance gets what the flaws leave of the false alarms.
    share = (FALSE_ALARMS - flawed.mean()) / (1 - flawed.mean())
    limit = float(np.quantile(summary.distances(held_back[~flawed]), 1 - share))
    limits = {name: (float(usual[number]), float(most[number])) for number, name in enumerate(FLAWS)}
    return summary.model_copy(update={"limit": limit, "flaws": limits})


def _directions(embedding: NDArray[np.floating]) -> NDArray[np.float64]:
    lengths = np.linalg.norm(embedding, axis=1, keepdims=True)
    return np.asarray(embedding / np.maximum(lengths, 1e-12), dtype=np.float64)
