"""Draw a sample that is balanced over a score, with known inclusion probabilities.

Galaxies are ordered by score and divided into strata. Within a stratum every galaxy is equally likely to be drawn, so
that an answer stands for as many galaxies as its stratum has for each one drawn (Horvitz & Thompson 1952).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from peculiar.errors import UsageError

MOST_STRATA = 40

# Half of the sample is balanced over as many bins of the score.
_BINS = 10

# Part of the mean score in the expected share of true ones: the lowest scores are often too close to 0.
_MIXED = 0.1

_FEWEST = 1
"""Number of galaxies that are drawn of each stratum."""


@dataclass(frozen=True, slots=True)
class Strata:
    """Galaxies in strata of their score, the lowest first; see `stratify`.

    Parameters
    ----------
    numbers : ndarray of int, shape (n,)
        The stratum of each galaxy; -1 without a score.
    lower : ndarray, shape (strata,)
        The lowest score of each stratum.
    sizes : ndarray of int, shape (strata,)
        Number of galaxies of each stratum.
    shares : ndarray, shape (strata,)
        Share of the sample that each stratum is to have; they sum to 1.
    """

    numbers: NDArray[np.int64]
    lower: NDArray[np.float64]
    sizes: NDArray[np.int64]
    shares: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Sample:
    """Galaxies that were drawn; see `draw_sample`.

    Parameters
    ----------
    rows : ndarray of int, shape (k,)
        In random order, so that the first ones are a sample, too.
    probabilities : ndarray, shape (k,)
        The probability with which each of them was drawn.
    """

    rows: NDArray[np.int64]
    probabilities: NDArray[np.float64]


def stratify(scores: NDArray[np.floating]) -> Strata:
    """Divide galaxies into strata by their score.

    Half of the sample is balanced over the score, for the purity at every threshold: each of ten bins has the same
    share. If a score lies outside 0 to 1, the bins are the upper half of the galaxies, the upper half of the others,
    and so on. The other half is distributed for the completeness: in proportion to the standard deviation that an
    answer has if scores are probabilities, the square root of s (1 - s) (Neyman 1934, eq. 48), or evenly over the
    galaxies if they are not. Every stratum has the same share of the sample, as far as equal scores allow.

    Parameters
    ----------
    scores : ndarray, shape (n,)
        NaN or infinite where there is no score.

    Returns
    -------
    Strata

    Raises
    ------
    UsageError
        If no galaxy has a score, or all have the same.
    """
    known = np.flatnonzero(np.isfinite(scores))
    ordered = known[np.argsort(scores[known], kind="stable")]
    values = scores[ordered].astype(np.float64)
    if not len(values) or values[0] == values[-1]:
        what = "no galaxy has a score" if not len(values) else f"all galaxies have the score {values[0]:g}"
        message = f"{what}, so there is no threshold to choose"
        raise UsageError(message)
    shares = _shares(values)
    # Equal scores are in one stratum: that in which the middle of their share falls.
    starts = np.flatnonzero(np.append(True, values[1:] != values[:-1]))
    ends = np.append(0.0, np.cumsum(np.add.reduceat(shares, starts)))
    middles = np.repeat((ends[:-1] + ends[1:]) / 2, np.diff(np.append(starts, len(values))))
    _, strata = np.unique(np.minimum(middles * MOST_STRATA, MOST_STRATA - 1).astype(int), return_inverse=True)
    numbers = np.full(len(scores), -1)
    numbers[ordered] = strata
    first = np.searchsorted(strata, np.arange(strata[-1] + 1))
    return Strata(
        numbers, values[first], np.bincount(strata), np.asarray(np.bincount(strata, shares), dtype=np.float64)
    )


def draw_sample(strata: Strata, count: int, *, seed: int = 222) -> Sample:
    """Draw galaxies of each stratum at random, without replacement.

    A larger sample with the same seed contains the smaller one.

    Parameters
    ----------
    strata : Strata
    count : int
        Number of galaxies to draw; all of them if there are fewer.
    seed : int

    Returns
    -------
    Sample

    Raises
    ------
    UsageError
        If the seed is negative.
    """
    if seed < 0:
        message = f"a seed is 0 or more; received {seed}"
        raise UsageError(message)
    drawn = allocate(strata, count)
    luck = np.random.default_rng(seed).random(len(strata.numbers))
    order = np.lexsort((luck, strata.numbers))
    first = np.searchsorted(strata.numbers[order], np.arange(len(drawn)))
    rows = np.concatenate([order[start : start + some] for start, some in zip(first, drawn, strict=True)])
    # Not in the order of their strata, so that the first ones are a sample, too.
    rows = np.random.default_rng(seed).permutation(rows)
    return Sample(rows, (drawn / strata.sizes)[strata.numbers[rows]])


def allocate(strata: Strata, count: int) -> NDArray[np.int64]:
    """Return how many galaxies of each stratum to draw: one, and then by their shares, but no more than there are.

    Galaxies are given out one by one, each to the stratum that is farthest behind its share (Webster's method), so a
    larger count takes none back.

    Parameters
    ----------
    strata : Strata
    count : int
        Together; one of each stratum if this is less, and all galaxies if it is more.
    """
    most = np.minimum(strata.sizes, max(count, _FEWEST))
    first = np.cumsum(most) - most
    stratum = np.repeat(np.arange(len(most)), most)
    number = np.arange(len(stratum)) - first[stratum]
    due = np.where(number < _FEWEST, np.inf, strata.shares[stratum] / (number + 0.5))
    given = np.argsort(-due, kind="stable")[: max(count, _FEWEST * len(most))]
    return np.bincount(stratum[given], minlength=len(most)).astype(np.int64)


def _shares(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the share of the sample that each galaxy is to have, of ascending scores."""
    count = len(values)
    if values[0] >= 0 and values[-1] <= 1:
        bins = np.minimum((values * _BINS).astype(int), _BINS - 1)
        expected = (1 - _MIXED) * values + _MIXED * values.mean()
        deviation = np.sqrt(expected * (1 - expected))
    else:
        bins = np.minimum(np.log2(count / np.arange(count, 0, -1)).astype(int), _BINS - 1)
        deviation = np.ones(count)
    balanced = 1 / np.bincount(bins)[bins]
    return np.asarray(balanced / balanced.sum() / 2 + deviation / deviation.sum() / 2)
