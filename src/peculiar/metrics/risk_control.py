"""Thresholds that keep a promised purity or completeness, from answers for a stratified sample.

Each threshold has a p value: the probability of such answers if the promise fails there. Thresholds are tested one
after the other in an order that does not depend on the answers, each at the same level, until one fails (learn then
test, with fixed sequence testing: Angelopoulos et al. 2025, Ann. Appl. Stat. 19, 1641, algorithm 1). So the probability
that a threshold which passed breaks the promise is at most that level.

The p values are those of Clopper & Pearson (1934), extended to strata: the distribution of the number of true ones is
that of `peculiar.metrics.purity.estimate_curves`, but the prior weight of one galaxy speaks against the promise. In a
single stratum, and for strata sampled at equal rates, this is their interval, which never covers too rarely. With
unequal rates it is an approximation, whose risk `benchmarks/score_verify.py` measures.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc

from peculiar.metrics.purity import Cells, Total

RISK = 0.05
"""Largest probability that the promise is broken."""

# Shares of the allowed contamination at which the first tests would just pass.
_HOPED = (0.25, 0.5)

_TRUE, _UNTRUE = (1.0, 0.0), (0.0, 1.0)


def threshold_of_purity(cells: Cells, wanted: float) -> int | None:
    """Return the lowest threshold that keeps a promised purity, but for a risk of 5 %.

    The tests begin twice, each time with half of the risk: at the highest threshold that would pass if the
    contamination were a quarter of the allowed one, and at that for half of it. From there they go down.

    Parameters
    ----------
    cells : Cells
        Thresholds are their lower ends.
    wanted : float
        Between 0 and 1.

    Returns
    -------
    int or None
        Number of the threshold; None if no threshold passes.
    """
    level, found = RISK / len(_HOPED), []
    values = purity_p_values(cells, wanted)
    for hope in _HOPED:
        true = np.where(cells.complete, cells.true, cells.answered * (1 - (1 - wanted) * hope))
        hoped = purity_p_values(Cells(cells.lower, cells.sizes, cells.answered, true), wanted)
        begin = np.flatnonzero(hoped <= level)[-1:]
        for number in range(int(begin[0]) if len(begin) else -1, -1, -1):
            if values[number] > level:
                break
            found.append(number)
    return min(found, default=None)


def threshold_of_completeness(cells: Cells, wanted: float, *, seed: int = 222) -> int | None:
    """Return the highest threshold that keeps a promised completeness, but for a risk of 5 %.

    The completeness falls with the threshold, so the tests begin at the lowest one and go up.

    Parameters
    ----------
    cells, wanted
        See `threshold_of_purity`.
    seed : int

    Returns
    -------
    int or None
        Number of the threshold; None if no threshold passes but the first, which selects all.
    """
    failed = np.flatnonzero(completeness_p_values(cells, wanted, seed=seed)[1:] > RISK)
    last = int(failed[0]) if len(failed) else len(cells.sizes) - 1
    return last or None


def purity_p_values(cells: Cells, wanted: float) -> NDArray[np.float64]:
    """Return the p value of a purity below `wanted` at each threshold, shape (cells,)."""
    total = Total.of(cells, cells.above, _UNTRUE)
    needed = wanted * np.cumsum(cells.sizes[::-1])[::-1] - total.least
    values = betainc(total.first, total.second, np.clip(needed / np.maximum(total.open, 1), 0, 1))
    return np.where(total.open > 0, values, needed > 0)


def completeness_p_values(cells: Cells, wanted: float, *, seed: int = 222) -> NDArray[np.float64]:
    """Return the p value of a completeness below `wanted` at each threshold, shape (cells,)."""
    random = np.random.default_rng(seed)
    ours = Total.of(cells, cells.above, _UNTRUE).draw(random)
    theirs = Total.of(cells, ~cells.above, _TRUE).draw(random)
    return np.asarray(((1 - wanted) * ours < wanted * theirs).mean(axis=0))
