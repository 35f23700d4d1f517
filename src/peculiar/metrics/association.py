"""Odds ratios of the classes of a data set and other properties, such as the survey."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from peculiar.metrics.intervals import CONFIDENCE

Trait = Sequence[str | float | None]
"""A property of each galaxy: text or a number; None if unknown."""

# Entries that fewer galaxies have or lack are not looked at, nor are properties with more different texts.
_LEAST_OF_AN_ENTRY, _MOST_ENTRIES = 10, 12


@dataclass(frozen=True, slots=True)
class Association:
    """A class that is more common among the galaxies of one entry of a property than among the others.

    Parameters
    ----------
    answer : str
        The class.
    trait : str
        The property, such as "survey".
    entry : str
        The entry, such as "decals"; of numbers "above 17.5" or "below 17.5", where 17.5 is the median.
    ratio : float
        Odds ratio: odds of the class there, divided by its odds elsewhere.
    interval : tuple of float
        Its 95 % interval, simultaneous for all ratios that were computed.
    rows : ndarray of int
        Galaxies of the class that have the entry.
    """

    answer: str
    trait: str
    entry: str
    ratio: float
    interval: tuple[float, float]
    rows: NDArray[np.intp]

    @property
    def text(self) -> str:
        """The association in words."""
        ratio, low, high = (f"{one:.2g}" if one < 100 else f"{one:,.0f}" for one in (self.ratio, *self.interval))
        return (
            f"{self.answer} goes with {self.trait} {self.entry}: its odds are {ratio} times as high there "
            f"({low} to {high})"
        )


def associations(labels: Sequence[str | None], traits: Mapping[str, Trait], least: float = 3.0) -> list[Association]:
    """Find the classes that go with a property of the galaxies.

    A network can learn such a property in the place of the class.

    Parameters
    ----------
    labels : sequence of (str or None)
    traits : mapping of str to sequence of (str, float or None)
        Properties by name, one entry a galaxy. Numbers are divided at their median.
    least : float
        An association is returned if the lower end of the interval of its odds ratio is larger.

    Returns
    -------
    list of Association
        The strongest entry of each property and class, the strongest first. Half a galaxy is added to each of the four
        counts (Haldane 1956); intervals are normal in the logarithm of the odds ratio (Woolf 1955), at a level that
        is divided by their number (Bonferroni).

    Examples
    --------
    >>> labels = ["Ringed"] * 60 + ["Normal"] * 60
    >>> surveys = ["decals"] * 50 + ["sdss"] * 60 + ["decals"] * 10
    >>> [found.text for found in associations(labels, {"survey": surveys})][0]
    'Ringed goes with survey decals: its odds are 23 times as high there (6.5 to 82)'
    """
    answers = np.array([label or "" for label in labels], dtype=object)
    known = answers != ""
    classes = sorted(set(answers[known]))
    cells = [
        (answer, trait, entry, answers == answer, there & known, elsewhere & known)
        for trait, entries in traits.items()
        for entry, there, elsewhere in _divisions(entries)
        for answer in classes
    ]
    reach = float(ndtri(1 - (1 - CONFIDENCE) / 2 / max(1, len(cells))))
    best: dict[tuple[str, str], Association] = {}
    for answer, trait, entry, of_class, there, elsewhere in cells:
        counts = [np.count_nonzero(part & side) for part in (there, elsewhere) for side in (of_class, ~of_class)]
        logarithm, error = _log_odds(np.array(counts) + 0.5)
        low, high = (float(np.exp(logarithm + side * reach * error)) for side in (-1, 1))
        former = best.get((trait, answer))
        if low > least and (former is None or low > former.interval[0]):
            rows = np.flatnonzero(of_class & there)
            best[trait, answer] = Association(answer, trait, entry, float(np.exp(logarithm)), (low, high), rows)
    return sorted(best.values(), key=lambda one: -one.interval[0])


def _log_odds(counts: NDArray[np.floating]) -> tuple[float, float]:
    """Return the logarithm of the odds ratio of a table of four counts, row by row, and its standard error."""
    return float(np.log(counts[0] * counts[3] / counts[1] / counts[2])), float(np.sqrt((1 / counts).sum()))


def _divisions(entries: Trait) -> Iterator[tuple[str, NDArray[np.bool_], NDArray[np.bool_]]]:
    """Yield the entries of a property, with the galaxies that have them and those that have another one."""
    known = np.array([entry not in (None, "") for entry in entries], dtype=bool)
    found: list[tuple[str, NDArray[np.bool_]]] = []
    if all(isinstance(entry, int | float) for entry, there in zip(entries, known, strict=True) if there):
        numbers = np.array([entry if isinstance(entry, int | float) else np.nan for entry in entries])
        if known.any():
            middle = float(np.nanmedian(numbers))
            found = [(f"above {middle:.4g}", numbers > middle), (f"below {middle:.4g}", numbers < middle)]
    else:
        values = np.array(entries, dtype=object)
        names = Counter(values[known].tolist())
        found = [(str(name), values == name) for name in names] if len(names) <= _MOST_ENTRIES else []
    for name, there in found:
        elsewhere = known & ~there
        if min(there.sum(), elsewhere.sum()) >= _LEAST_OF_AN_ENTRY:
            yield name, there, elsewhere
