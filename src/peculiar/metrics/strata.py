"""Strata of galaxies by a column, to score each by itself, and numbers in it that stand for "not known"."""

import itertools
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_MOST_STRATA = 12

_STAND_INS = (-99999.0, -9999.0, -999.0, -99.0, 99.0, 999.0, 9999.0, 99999.0)
"""Numbers that commonly stand for "not known"."""


def strata(entries: Sequence[str | None]) -> dict[str, NDArray[np.intp]]:
    """Divide galaxies into strata by the values of a column, or by its quartiles if it has many different numbers.

    Numbers that stand for "not known", such as -999 far from all others, are strata of their own, the last.

    Parameters
    ----------
    entries : sequence of (str or None)
        One per galaxy; None is in no stratum. Of more than 12 texts the most frequent are taken.

    Returns
    -------
    dict of str to ndarray of int
        Rows by the name of the stratum: bins in order, text values with the most frequent first.
    """
    known = np.array([row for row, entry in enumerate(entries) if entry is not None], dtype=np.intp)
    words = [str(entries[row]) for row in known]
    values = _numbers(words)
    if values is not None and len(set(words)) > _MOST_STRATA:
        instead = stand_ins(values)
        real = np.isfinite(values) & ~instead
        edges = np.unique(np.quantile(values[real], np.linspace(0, 1, 5)))
        places = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, max(len(edges) - 2, 0))
        places[~real] = -1
        names = [f"{low} to {high}" for low, high in itertools.pairwise(_different_texts(edges))]
        # A bin is empty if its upper edge is a value that many galaxies share, because these are in the next bin.
        bins = {name: known[places == place] for place, name in enumerate(names) if (places == place).any()}
        return bins | {f"{one:g} (not known)": known[values == one] for one in np.unique(values[instead])}
    found = np.array(words, dtype=object)
    return {word: known[found == word] for word, _ in Counter(words).most_common(_MOST_STRATA)}


def stand_ins(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which values stand for "not known": numbers such as -999, far outside all others.

    Parameters
    ----------
    values : ndarray of float, shape (n,)

    Returns
    -------
    ndarray of bool, shape (n,)
    """
    usual = np.isin(values, _STAND_INS)
    rest = values[~usual & np.isfinite(values)]
    if not usual.any() or not len(rest):
        return np.zeros(len(values), dtype=bool)
    width = max(float(np.ptp(rest)), 1e-6)
    return np.asarray(usual & ((values < rest.min() - width) | (values > rest.max() + width)))


def _numbers(words: list[str]) -> NDArray[np.float64] | None:
    try:
        values = np.array([float(word) for word in words])
    except ValueError:
        return None
    return values if np.isfinite(values).any() else None


def _different_texts(values: NDArray[np.float64]) -> list[str]:
    """Return numbers as text, with at least four digits, and with enough digits to differ."""
    texts = [[f"{value:.{digits}g}" for value in values] for digits in range(4, 18)]
    return next(some for some in texts if len(set(some)) == len(some))
