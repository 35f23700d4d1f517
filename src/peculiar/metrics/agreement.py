"""Agreement of annotators: Cohen's kappa, Krippendorff's alpha, and each person's skill."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from peculiar.metrics.intervals import wilson

Ratings = Mapping[str, Mapping[str, str]]
"""Answers by galaxy, then by person."""


@dataclass(frozen=True, slots=True)
class Skill:
    """Agreement of one person with the others.

    Parameters
    ----------
    who : str
    answers : int
        Number of galaxies that the person answered for.
    compared : int
        Of these, the number for which the others have a majority answer.
    agreed : float or None
        Share of those compared on which the person gave the majority answer; None if there are none.
    low, high : float or None
        Ends of Wilson's interval at 95 %.
    """

    who: str
    answers: int
    compared: int
    agreed: float | None
    low: float | None
    high: float | None


def cohen_kappa(first: Sequence[str], second: Sequence[str]) -> float | None:
    """Return Cohen's kappa (1960) of two people's answers for the same galaxies, in order.

    1 if they always agree, 0 if they agree as often as by chance; None if there is nothing to compare, or both gave the
    same answer throughout.

    Raises
    ------
    ValueError
        If the numbers of answers differ.
    """
    total = len(first)
    agreed = sum(one == other for one, other in zip(first, second, strict=True))
    if not total:
        return None
    ones, others = Counter(first), Counter(second)
    by_chance = sum(ones[answer] * others[answer] for answer in ones) / total**2
    return None if by_chance == 1 else (agreed / total - by_chance) / (1 - by_chance)


def krippendorff_alpha(ratings: Iterable[Iterable[str]]) -> float | None:
    """Return Krippendorff's alpha (2011) for nominal answers of any number of people, some missing.

    Parameters
    ----------
    ratings : iterable of iterable of str
        The answers for each galaxy; galaxies with fewer than two are ignored.

    Returns
    -------
    float or None
        1 if all agree, 0 if they agree as often as by chance; None if galaxies with several answers have fewer than two
        different answers in all.
    """
    within, totals = 0.0, Counter[str]()
    for one in ratings:
        counts = Counter(one)
        people = counts.total()
        if people > 1:
            totals += counts
            within += sum(count * (people - count) for count in counts.values()) / (people - 1)
    pairable = totals.total()
    between = sum(count * (pairable - count) for count in totals.values())
    return None if between == 0 else 1 - (pairable - 1) * within / between


def kappas(ratings: Ratings) -> dict[tuple[str, str], tuple[float | None, int]]:
    """Return Cohen's kappa of each pair of people, and the number of galaxies that both answered for."""
    people = sorted({who for given in ratings.values() for who in given})
    found = {}
    for number, one in enumerate(people):
        for other in people[number + 1 :]:
            both = [(given[one], given[other]) for given in ratings.values() if one in given and other in given]
            found[one, other] = (cohen_kappa([a for a, _ in both], [b for _, b in both]), len(both))
    return found


def skills(ratings: Ratings) -> list[Skill]:
    """Return how often each person agrees with the majority of the others, in descending order."""
    counted: dict[str, np.ndarray] = {}
    for given in ratings.values():
        together = Counter(given.values())
        for who, answer in given.items():
            others = (together - Counter([answer])).most_common(2)
            clear = bool(others) and (len(others) == 1 or others[0][1] > others[1][1])
            tally = counted.setdefault(who, np.zeros(3, dtype=int))
            tally += [1, clear, clear and others[0][0] == answer]
    told = []
    for who, (answers, compared, agreed) in counted.items():
        interval = wilson(int(agreed), int(compared)) if compared else None
        low, high = (None, None) if interval is None else (float(interval[0]), float(interval[1]))
        told.append(Skill(who, int(answers), int(compared), agreed / compared if compared else None, low, high))
    return sorted(told, key=lambda one: (-(one.agreed or 0.0), one.who))
