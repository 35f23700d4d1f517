"""Purity and completeness of the galaxies above a threshold of a score, from answers for a stratified sample.

The purity is the share of the selected galaxies that are true, the completeness the share of the true ones that are
selected. Both refer to the galaxies of the catalogue, of which the sample was drawn, not to an imagined larger set.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv

from peculiar.metrics.intervals import CONFIDENCE

_FEWEST = 3
"""Number of answers that a cell needs, unless all of its galaxies have one."""

_CELLS, _IN_CELL = 40, 5
"""Largest number of cells made of answers, and the number of answers that each needs."""

# The prior has the weight of one galaxy, as Jeffreys' prior of a rate has: half of it true, half not.
_JEFFREYS = (0.5, 0.5)

_DRAWS = 4000

_TAILS = np.array([(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])

MOST_TIMES = 64
"""More answers by a larger factor are not considered."""


@dataclass(frozen=True, slots=True)
class Cells:
    """Answers counted by strata of the score, the lowest first.

    Parameters
    ----------
    lower : ndarray, shape (cells,)
        The lowest score of each cell.
    sizes, answered, true : ndarray, shape (cells,)
        Number of galaxies in the catalogue, of those with an answer, and of those that are true.
    """

    lower: NDArray[np.float64]
    sizes: NDArray[np.float64]
    answered: NDArray[np.float64]
    true: NDArray[np.float64]

    @property
    def above(self) -> NDArray[np.bool_]:
        """For each lower end (rows), which cells (columns) lie above it, shape (cells, cells)."""
        return np.triu(np.ones((len(self.sizes), len(self.sizes)), dtype=bool))

    @property
    def complete(self) -> NDArray[np.bool_]:
        """True for cells whose galaxies all have an answer, shape (cells,)."""
        return np.asarray(self.answered == self.sizes)

    def grown(self, times: float) -> "Cells":
        """Return the cells with several times as many answers in the same proportions, as far as there are galaxies."""
        answered = np.minimum(self.answered * times, self.sizes)
        return Cells(self.lower, self.sizes, answered, self.true * answered / self.answered)


@dataclass(frozen=True, slots=True)
class Band:
    """A quantity as a function of the threshold, with its pointwise 95 % band; each of shape (thresholds,).

    Parameters
    ----------
    estimate, low, high : ndarray
    """

    estimate: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]

    def at(self, number: int) -> dict[str, float]:
        """Return the quantity at one of the thresholds, for JSON."""
        values = (self.estimate, self.low, self.high)
        return dict(zip(("estimate", "low", "high"), (float(one[number]) for one in values), strict=True))


@dataclass(frozen=True, slots=True)
class Curves:
    """Purity and completeness as functions of the threshold; see `estimate_curves`.

    Parameters
    ----------
    thresholds : ndarray, shape (thresholds,)
        Ascending; galaxies with this score or a higher one are selected. The first selects all.
    selected : ndarray of int, shape (thresholds,)
        Number of selected galaxies.
    purity, completeness : Band
        0 to 1. The completeness is NaN if no answer is true.
    true : Band
        Number of true ones among the selected.
    """

    thresholds: NDArray[np.float64]
    selected: NDArray[np.int64]
    purity: Band
    completeness: Band
    true: Band

    def at(self, number: int) -> Mapping[str, Any]:
        """Return all of it at one of the thresholds, for JSON."""
        return {
            "threshold": float(self.thresholds[number]),
            "selected": int(self.selected[number]),
            "purity": self.purity.at(number),
            "completeness": self.completeness.at(number),
            "true": self.true.at(number),
        }


def count_answers(
    numbers: NDArray[np.integer], lower: NDArray[np.floating], rows: NDArray[np.integer], truths: NDArray[np.bool_]
) -> Cells:
    """Count answers by stratum, and join strata with too few answers to a neighbour.

    Parameters
    ----------
    numbers : ndarray of int, shape (n,)
        The stratum of each galaxy of the catalogue, the lowest score first; -1 for galaxies that are left out.
    lower : ndarray, shape (strata,)
        The lowest score of each stratum.
    rows : ndarray of int, shape (k,)
        The galaxies with an answer.
    truths : ndarray of bool, shape (k,)
        The answers.
    """
    strata, of = len(lower), numbers[rows]
    sizes = np.bincount(numbers[numbers >= 0], minlength=strata)
    answered, true = np.bincount(of, minlength=strata), np.bincount(of[truths], minlength=strata)

    def enough(part: slice) -> bool:
        return bool(answered[part].sum() >= min(_FEWEST, sizes[part].sum()))

    starts = [0]
    for stratum in range(1, strata):
        if enough(slice(starts[-1], stratum)) and enough(slice(stratum, None)):
            starts.append(stratum)
    joined = [np.add.reduceat(counts, starts).astype(np.float64) for counts in (sizes, answered, true)]
    return Cells(np.asarray(lower[starts], dtype=np.float64), *joined)


def divide_by_answers(
    scores: NDArray[np.floating], rows: NDArray[np.integer]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Divide galaxies into strata with about as many answers each, for answers that were not drawn by strata.

    Within a stratum the answers then count as drawn at random.

    Parameters
    ----------
    scores : ndarray, shape (n,)
    rows : ndarray of int, shape (k,)
        The galaxies with an answer.

    Returns
    -------
    numbers : ndarray of int, shape (n,)
        The stratum of each galaxy; -1 without a score.
    lower : ndarray, shape (strata,)
        The lowest score of each stratum.
    """
    known = np.isfinite(scores)
    ordered = np.sort(scores[rows])
    cells = max(min(len(ordered) // _IN_CELL, _CELLS), 1)
    places = np.arange(1, cells) * len(ordered) // cells
    edges = np.unique((ordered[places - 1] + ordered[places]) / 2)
    numbers = np.where(known, np.searchsorted(edges, scores, side="right"), -1)
    there, numbers = np.unique(numbers, return_inverse=True)
    numbers = numbers - (there[0] < 0)
    lower = np.full(numbers.max() + 1, np.inf)
    np.minimum.at(lower, numbers[known], scores[known])
    return numbers, lower


def estimate_curves(cells: Cells, *, seed: int = 222) -> Curves:
    """Estimate purity and completeness at the lower ends of the cells, with 95 % bands.

    Estimates weight each answer by the number of galaxies that it stands for (Horvitz & Thompson 1952). For the bands,
    the number of true ones among the galaxies without an answer has a beta-binomial distribution in each cell. Its
    prior has the weight of one galaxy in all cells of a selection together (Jeffreys 1946; in each cell it would
    outweigh the few answers of a rare class), in proportion to the galaxies without an answer. A cell counts as two
    answers fewer, so that the variance is the unbiased one of stratified sampling, p (1 - p) / (n - 1) (Cochran 1977,
    eq. 3.7). The sum over cells is a beta distribution of the same mean and variance. Without any answer to the
    contrary a band reaches to the end. Bands are pointwise: at each threshold, they cover the truth in 95 % of samples.

    Parameters
    ----------
    cells : Cells
    seed : int
        Of the draws for the bands of the completeness.

    Returns
    -------
    Curves
    """
    rates = cells.true / cells.answered
    found = np.cumsum((cells.sizes * rates)[::-1])[::-1]
    selected = np.cumsum(cells.sizes[::-1])[::-1]
    of_selected, of_others = Total.of(cells, cells.above), Total.of(cells, ~cells.above)
    low, high = of_selected.ends()
    random = np.random.default_rng(seed)
    ours, theirs = of_selected.draw(random), of_others.draw(random)
    # In whole galaxies: a single true one that was found below leaves it open whether there is another.
    ends = np.stack(
        [
            np.quantile(_share(np.floor(ours), np.ceil(theirs)), _TAILS[0], axis=0),
            np.quantile(_share(np.ceil(ours), np.floor(theirs)), _TAILS[1], axis=0),
        ]
    )
    with np.errstate(invalid="ignore"):
        completeness = found / found[0]
    ends[0, of_selected.least == 0] = 0.0
    ends[1, of_others.least == 0] = 1.0
    ends[:, 0] = 1.0  # the first threshold selects all
    if not cells.true.sum():
        ends = np.full_like(ends, np.nan)
    return Curves(
        cells.lower,
        selected.astype(np.int64),
        Band(found / selected, low / selected, high / selected),
        Band(completeness, *ends),
        Band(found, low, high),
    )


def answers_to_halve(cells: Cells, number: int, *, quantity: str = "purity", seed: int = 222) -> int | None:
    """Return how many more answers, in the same proportions, would halve a band at one threshold.

    Parameters
    ----------
    cells : Cells
    number : int
        Of the threshold.
    quantity : {"purity", "completeness", "true"}
    seed : int

    Returns
    -------
    int or None
        None if answers for all galaxies, or for 64 times as many, would not halve it, or the band has no width.
    """

    def width(times: float) -> float:
        band: Band = getattr(estimate_curves(cells.grown(times), seed=seed), quantity)
        return float(band.high[number] - band.low[number])

    now = width(1)
    low, high = 1.0, float(MOST_TIMES)
    if not now > 0 or width(high) > now / 2:
        return None
    while high / low > 1.02:
        middle = (low * high) ** 0.5
        low, high = (low, middle) if width(middle) <= now / 2 else (middle, high)
    return int(np.ceil((cells.grown(high).answered - cells.answered).sum()))


def _share(part: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    return part / np.maximum(part + others, 1)


@dataclass(frozen=True, slots=True)
class Total:
    """The number of true ones in several sets of cells: a beta distribution from `least` to `least` + `open`.

    Parameters
    ----------
    least, untrue : ndarray, shape (sets,)
        Number of galaxies with an answer that are true, and that are not.
    open : ndarray, shape (sets,)
        Number of galaxies without an answer.
    first, second : ndarray, shape (sets,)
        Parameters of the distribution.
    """

    least: NDArray[np.float64]
    untrue: NDArray[np.float64]
    open: NDArray[np.float64]
    first: NDArray[np.float64]
    second: NDArray[np.float64]

    @classmethod
    def of(cls, cells: Cells, members: NDArray[np.bool_], prior: tuple[float, float] = _JEFFREYS) -> "Total":
        """Sum over the cells of each set; `members` has the shape (sets, cells), `prior` is of true and of untrue."""
        parts = members.astype(np.float64)
        unknown = (cells.sizes - cells.answered).astype(np.float64)
        open_ = parts @ unknown
        with np.errstate(invalid="ignore", divide="ignore"):
            share = np.where(members, unknown / open_[:, None], 0.0)
            scale = np.maximum(cells.answered - 2, 1) / cells.answered
            first = cells.true * scale + prior[0] * share
            second = (cells.answered - cells.true) * scale + prior[1] * share
            total = first + second
            mean = unknown * first / total
            variance = unknown * first * second * (total + unknown) / (total**2 * (total + 1))
            mean, variance = (np.where(members & (unknown > 0), one, 0.0).sum(axis=1) for one in (mean, variance))
            rate = np.where(open_ > 0, mean / open_, 0.5)
            concentration = np.maximum(np.where(variance > 0, rate * (1 - rate) * open_**2 / variance - 1, 1e9), 1e-9)
        least, untrue = (
            parts @ cells.true,
            parts @ (cells.answered - cells.true),
        )
        return cls(least, untrue, open_, *(np.maximum(one * concentration, 1e-9) for one in (rate, 1 - rate)))

    def ends(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return both ends of the 95 % intervals, in whole galaxies."""
        low, high = (self.open * betaincinv(self.first, self.second, tail) for tail in _TAILS)
        low = np.where(self.least > 0, self.least + np.floor(low), 0.0)
        return low, self.least + np.where(self.untrue > 0, np.ceil(high), self.open)

    def draw(self, random: np.random.Generator) -> NDArray[np.float64]:
        """Draw numbers, shape (draws, sets)."""
        return self.least + self.open * random.beta(self.first, self.second, (_DRAWS, len(self.open)))
