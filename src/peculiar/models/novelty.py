"""Novelty: the distance of a picture from the training set, to detect out-of-distribution pictures.

The first distance is the Mahalanobis distance of the direction of an embedding from those of the training pictures (Lee
et al. 2018, with embeddings normalised to length 1 as in Müller & Hein 2025). Its covariance is stored as the largest
directions and one variance for all others (Tipping & Bishop 1999). A network that was trained to distinguish galaxies
ignores many artefacts of detectors. So the second distance is that of measures of the picture itself
(`peculiar.images.artefacts`), by their density in a mixture of Gaussians. The result is the larger of both, each
divided by its threshold, such that 5 % of the galaxies of the validation part exceed 1. Above 1, a picture is out of
distribution.
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
"""Share of ordinary galaxies above 1."""

LOOK_ALARMS = 0.04
"""Share of them that are above 1 by the measures of the picture itself; part of `FALSE_ALARMS`."""

# Smallest variance of a Gaussian relative to that of the measure, so that a value that nearly all pictures share does
# not exclude others.
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
    """The distribution of the measures of training pictures: a mixture of Gaussians, 17 kB in the card of a model.

    Parameters
    ----------
    middle, scale : ndarray of float16, shape (m,)
        Standardise a measure to mean 0 and standard deviation 1.
    shares : ndarray of float16, shape (g,)
        Weight of each Gaussian.
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
        """Return how improbable measures, shape (n, m), are: for one Gaussian, the Mahalanobis distance."""
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
    """The distribution of training pictures, 120 kB in the card of a model; see `fit_novelty`.

    Parameters
    ----------
    middle : ndarray of float16, shape (d,)
        Mean direction.
    axes : ndarray of float16, shape (k, d)
        The largest directions of the covariance, each divided by its standard deviation.
    variance : float
        In all other directions.
    limit : float
        The distance that becomes 1.
    looks : Looks
        The distribution of the measures of the pictures.
    looks_limit : float
        Its distance that becomes 1.
    """

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    middle: _Array
    axes: _Array
    variance: float
    limit: float
    looks: Looks
    looks_limit: float

    def fits(self, size: int) -> bool:
        """Return whether the values are finite, fit embeddings of this length, and have limits above 0."""
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
        """Return the novelty of pictures.

        Parameters
        ----------
        embedding : ndarray, shape (n, d)
        artefacts : ndarray, shape (n, 28)
            Of the same pictures; see `peculiar.images.artefacts.measure_artefacts`.

        Returns
        -------
        ndarray of float32, shape (n,)
            0 for the mean of the training set; 5 % of ordinary galaxies exceed 1. NaN if the embedding is NaN.
        """
        told = np.maximum(self.distances(embedding) / self.limit, self.looks.distances(artefacts) / self.looks_limit)
        return told.astype(np.float32)

    def distances(self, embedding: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the Mahalanobis distance of each embedding, shape (n, d), from the training pictures."""
        away = _directions(embedding) - self.middle.astype(np.float64)
        axes = self.axes.astype(np.float64)
        inside = away @ axes.T
        # An axis is divided by its standard deviation, so its length gives the part of `away` along it.
        lengths = np.linalg.norm(axes, axis=1)
        outside = (away**2).sum(axis=1) - ((inside / lengths) ** 2).sum(axis=1)
        return np.asarray(np.sqrt((inside**2).sum(axis=1) + np.maximum(outside, 0) / self.variance))


def fit_novelty(
    training: tuple[NDArray[np.floating], NDArray[np.floating]],
    held_back: tuple[NDArray[np.floating], NDArray[np.floating]],
    surveys: Sequence[str] | None = None,
) -> Novelty:
    """Fit the distribution of training pictures.

    Parameters
    ----------
    training : tuple of ndarray, shapes (n, d) and (n, 28)
        Embeddings and measures (`peculiar.images.artefacts.measure_artefacts`) of some thousands of the pictures that
        the model was trained on.
    held_back : tuple of ndarray, shapes (m, d) and (m, 28)
        The same for similar pictures that it was not trained on, which set the thresholds.
    surveys : sequence of str, length n, optional
        Survey of each training picture. A survey has the weight of the square root of the number of its pictures, so
        that a large survey does not hide a small one.

    Raises
    ------
    DataError
        If there are fewer than ten times `DIRECTIONS` training pictures, or fewer than twenty held-out ones.
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
    # Half precision ends at 6e-8, and an embedding with dead units has variances of 0.
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
    # The embedding distance gets the share of false alarms that the measures leave.
    share = max(1 - (1 - FALSE_ALARMS) / usual.mean(), 0.0)  # with few galaxies, the measures may use all of it
    limit = float(np.quantile(summary.distances(held_back[0][usual]), 1 - share))
    return summary.model_copy(update={"limit": limit, "looks_limit": looks_limit})


def _fit_looks(measures: NDArray[np.floating], weights: NDArray[np.float64]) -> Looks:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    middle = weights @ measures
    # A constant measure still needs a scale.
    scale = np.maximum(np.sqrt(weights @ (measures - middle) ** 2), 0.01)
    # It accepts no weights, so pictures are drawn with them.
    drawn = np.random.default_rng(222).choice(len(measures), 2 * len(measures), p=weights)
    mixture = GaussianMixture(GROUPS, reg_covar=_LEAST_VARIANCE, random_state=222)
    with warnings.catch_warnings():
        # Incomplete convergence does not matter, because the threshold is fitted to the result.
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
