"""Skill of annotators on known galaxies (gold standards)."""

from collections import Counter
from collections.abc import Iterable, Mapping

from peculiar.labelling.database import Event
from peculiar.metrics.agreement import Skill
from peculiar.metrics.intervals import wilson
from peculiar.text import counted

GOLD, GOLD_TOLD = "gold", "gold with feedback"
"""Entries of the column ``chosen`` for known galaxies: without feedback, and with it."""


def gold_skills(events: Iterable[Event], known: Mapping[str, str]) -> list[Skill]:
    """Return how often each annotator is right on known galaxies, in descending order.

    After feedback, an answer that takes the place of the first does not count. "Unsure" and skips do not count.

    Parameters
    ----------
    events : iterable of Event
        All events of one question, in order.
    known : mapping of str to str
        Answers by galaxy.
    """
    first: dict[tuple[str, str], Event] = {}
    standing: dict[tuple[str, str], dict[str, Event]] = {}
    for one in events:
        if one.galaxy not in known:
            continue
        key = one.who, one.galaxy
        if one.kind == "undo":
            standing[key].pop(one.undoes or "", None)
            continue
        if one.kind == "answer":
            first.setdefault(key, one)
        standing.setdefault(key, {})[one.event] = one
    right: dict[str, Counter[bool]] = {}
    for (who, galaxy), events_of in standing.items():
        told = first.get((who, galaxy))
        counts = told if told is not None and told.chosen == GOLD_TOLD else next(reversed(events_of.values()), None)
        if counts is not None and counts.kind == "answer":
            right.setdefault(who, Counter())[counts.answer == known[galaxy]] += 1
    found = []
    for who, tally in right.items():
        total = tally.total()
        low, high = wilson(tally[True], total) or (0.0, 1.0)
        found.append(Skill(who, total, total, tally[True] / total, float(low), float(high)))
    return sorted(found, key=lambda one: (-(one.agreed or 0.0), one.who))


def gold_lines(skills: Iterable[Skill]) -> list[str]:
    """Return skills as text, one line per annotator."""
    return [
        f"{one.who} is right on {one.agreed or 0:.2f} ({one.low:.2f} to {one.high:.2f}) of "
        f"{counted(one.compared, 'known galaxy')}"
        for one in skills
    ]
