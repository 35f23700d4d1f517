"""Novelty: the distance of a picture from the training set, to detect out-of-distribution pictures.

The direction of an embedding is compared with those of the training pictures by the Mahalanobis distance (Lee et al.
2018, with the embedding brought to length 1 as in Müller & Hein 2025), whose covariance is kept as its largest
directions and one variance for all others (Tipping & Bishop 1999). To a network that was trained to tell galaxies apart
much of what a detector leaves in a picture means nothing, so what is measured on the picture itself
(`peculiar.images.artefacts`) is compared too, by its density in a mixture of Gaussians. The larger of both is told,
each as a multiple of a limit, such that one in twenty galaxies of the validation part exceeds 1: above 1 a picture is
unlike.
"""

import base64
import warnings
from collections import Counter
from collections.abc import Sequence
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainSerializer
from scipy.special import logsumexp

from peculiar.errors import DataError

DIRECTIONS = 96

GROUPS = 8
"""Gaussians of the mixture."""

FALSE_ALARMS = 0.05
"""Share of galaxies like those trained on that are above 1."""

LOOK_ALARMS = 0.04
"""Share of them that are above 1 for what is measured on the picture itself; it is part of `FALSE_ALARMS`."""

# Of a measure's variance: a group is no narrower, so that a value that nearly all pictures have is no wall.
_LEAST_VARIANCE = 0.01


def _decode(value: object) -> object:
    if not isinstance(value, dict):
        return value
    return np.frombuffer(base64.b64decode(value["float16"]), dtype="<f2").reshape(value["shape"])


def _encode(value: NDArray[np.float16]) -> dict[str, object]:
    text = base64.b64encode(np.ascontiguousarray(value, dtype="<f2").tobytes()).decode()
    return {"shape": list(value.shape), "float16": text}


_Array = Annotated[NDArray[np.float16], BeforeValidator(_decode), PlainSerializer(_encode)]


class Looks(BaseModel):
    """What is usual of the measures of training pictures: a mixture of Gaussians, in 17 kB of a model's card.

    Parameters
    ----------
    middle, scale : ndarray of float16, shape (m,)
        By which a measure is brought to a mean of 0 and a deviation of 1.
    shares : ndarray of float16, shape (g,)
        Of each Gaussian.
    means : ndarray of float16, shape (g, m)
    factors : ndarray of float16, shape (g, m, m)
        Upper triangular; times its transpose, the inverse of the covariance.
    """

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    middle: _Array
    scale: _Array
    shares: _Array
    means: _Array
    factors: _Array

    def distances(self, artefacts: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return how improbable measures, shape (n, m), are: the Mahalanobis distance if there is one Gaussian."""
        measures = (artefacts - self.middle.astype(np.float64)) / self.scale
        heights = np.log(self.shares.astype(np.float64))
        heights += np.log(np.diagonal(self.factors, axis1=1, axis2=2).astype(np.float64)).sum(axis=1)
        squares = [
            (((measures - mean) @ factor.astype(np.float64)) ** 2).sum(axis=1)
            for mean, factor in zip(self.means, self.factors, strict=True)
        ]
        density = logsumexp(heights - np.stack(squares, axis=1) / 2, axis=1)
        return np.asarray(np.sqrt(2 * np.maximum(heights.max() - density, 0)))


class Novelty(BaseModel):
    """What training pictures are like, in 120 kB of a model's card; see `fit_novelty`.

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
    looks : Looks
        What is usual of the pictures themselves.
    looks_limit : float
        The distance from it that is told as 1.
    """

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    middle: _Array
    axes: _Array
    variance: float
    limit: float
    looks: Looks
    looks_limit: float

    def fits(self, size: int) -> bool:
        """Tell whether these are numbers for embeddings of so many values, and limits above 0."""
        looks = self.looks
        count = len(looks.middle)
        arrays = {
            (size,): (self.middle,),
            (len(self.axes), size): (self.axes,),
            (count,): (looks.middle, looks.scale),
            (len(looks.shares),): (looks.shares,),
            (len(looks.shares), count): (looks.means,),
            (len(looks.shares), count, count): (looks.factors,),
        }
        whole = all(one.shape == shape and np.isfinite(one).all() for shape, some in arrays.items() for one in some)
        limits = (self.variance, self.limit, self.looks_limit)
        return whole and all(0 < one < np.inf for one in limits)

    def ood(self, embedding: NDArray[np.floating], artefacts: NDArray[np.floating]) -> NDArray[np.float32]:
        """Return how unlike the training pictures some pictures are.

        Parameters
        ----------
        embedding : ndarray, shape (n, d)
        artefacts : ndarray, shape (n, 28)
            Of the same pictures; see `peculiar.images.artefacts.measure_artefacts`.

        Returns
        -------
        ndarray of float32, shape (n,)
            0 in the middle; 1 is exceeded by one in twenty of the galaxies that it was fitted for. NaN where the
            embedding is.
        """
        told = np.maximum(self.distances(embedding) / self.limit, self.looks.distances(artefacts) / self.looks_limit)
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


def fit_novelty(
    training: tuple[NDArray[np.floating], NDArray[np.floating]],
    held_back: tuple[NDArray[np.floating], NDArray[np.floating]],
    surveys: Sequence[str] | None = None,
) -> Novelty:
    """Summarise what training pictures are like.

    Parameters
    ----------
    training : tuple of ndarray, shapes (n, d) and (n, 28)
        Embeddings and measures (`peculiar.images.artefacts.measure_artefacts`) of some thousands of the pictures that
        the model was trained on.
    held_back : tuple of ndarray, shapes (m, d) and (m, 28)
        Of pictures like them that it was not trained on, which decide what is far.
    surveys : sequence of str, length n, optional
        Where the training pictures come from. A survey counts as the square root of the number of its pictures, so that
        a small one is not drowned.

    Raises
    ------
    DataError
        If there are too few to tell: fewer than ten times `DIRECTIONS`, or twenty held back.
    """
    embeddings, measures = training
    if len(embeddings) < 10 * DIRECTIONS or len(held_back[0]) < 20:
        message = (
            f"novelty needs embeddings of at least {10 * DIRECTIONS} training pictures and 20 held-out ones, received "
            f"{len(embeddings)} and {len(held_back[0])}"
        )
        raise DataError(message)
    weights = np.full(len(embeddings), 1 / len(embeddings))
    if surveys is not None:
        counts = Counter(surveys)
        weights = np.array([counts[survey] ** -0.5 for survey in surveys])
        weights /= weights.sum()
    directions = _directions(embeddings)
    middle = weights @ directions
    variances, axes = np.linalg.eigh(np.cov(directions.T, aweights=weights))
    kept = min(DIRECTIONS, len(variances) - 1)
    largest, others = variances[-kept:], variances[:-kept]
    # Half precision holds nothing below 6e-8, and an embedding with dead units has variances of 0.
    deviations = np.sqrt(np.maximum(largest, 1e-8))
    looks = _fit_looks(measures, weights)
    summary = Novelty(
        middle=middle.astype(np.float16),
        axes=(axes[:, -kept:] / deviations).T.astype(np.float16),
        variance=max(float(others.mean()), 1e-12),
        limit=1.0,
        looks=looks,
        looks_limit=1.0,
    )
    unusual = looks.distances(held_back[1])
    looks_limit = float(np.quantile(unusual, 1 - LOOK_ALARMS))
    usual = unusual <= looks_limit
    # The distance gets what the looks leave of the false alarms.
    share = max(1 - (1 - FALSE_ALARMS) / usual.mean(), 0.0)  # of few galaxies the looks may take it all
    limit = float(np.quantile(summary.distances(held_back[0][usual]), 1 - share))
    return summary.model_copy(update={"limit": limit, "looks_limit": looks_limit})


def _fit_looks(measures: NDArray[np.floating], weights: NDArray[np.float64]) -> Looks:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    middle = weights @ measures
    # A measure that all pictures have alike still needs a scale.
    scale = np.maximum(np.sqrt(weights @ (measures - middle) ** 2), 0.01)
    # It takes no weights, so that pictures are drawn by them.
    drawn = np.random.default_rng(222).choice(len(measures), 2 * len(measures), p=weights)
    mixture = GaussianMixture(GROUPS, reg_covar=_LEAST_VARIANCE, random_state=222)
    with warnings.catch_warnings():
        # Whether the last digits of its groups still move decides nothing: the limit is fitted to what it is.
        warnings.simplefilter("ignore", ConvergenceWarning)
        mixture.fit((measures[drawn] - middle) / scale)
    half = {
        "middle": middle,
        "scale": scale,
        "shares": mixture.weights_,
        "means": mixture.means_,
        "factors": mixture.precisions_cholesky_,
    }
    return Looks.model_validate({name: value.astype(np.float16) for name, value in half.items()})


def _directions(embedding: NDArray[np.floating]) -> NDArray[np.float64]:
    lengths = np.linalg.norm(embedding, axis=1, keepdims=True)
    return np.asarray(embedding / np.maximum(lengths, 1e-12), dtype=np.float64)
