"""Galaxies of a campaign that still need answers, and when known galaxies come up. No web code."""

import random
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence

from peculiar.labelling.campaign import Campaign
from peculiar.labelling.web.annotator import Annotator


class Redundancy:
    """Answers of all annotators by galaxy, which decide whether a galaxy is retired.

    An annotator has answered for a galaxy once the path through the tree is finished and no question was skipped.
    Answers are equal if all answers on the path are.

    Parameters
    ----------
    answers : int or None
        Number of annotators after which a galaxy is retired; None: never.
    agree : int or None
        Number of equal answers after which it is.
    """

    def __init__(self, answers: int | None, agree: int | None) -> None:
        self.answers, self._agree = answers, agree
        self._given: dict[int, dict[str, tuple[str, ...]]] = {}
        self._open: dict[int, str] = {}
        self._retired: set[int] = set()

    def update(self, row: int, who: str, annotator: Annotator) -> None:
        """Take into account what an annotator now says of a galaxy."""
        if self.answers is None:
            return
        path, _ = annotator.path(row)
        given = self._given.setdefault(row, {})
        if row in annotator.done and all(one.kind != "skip" for one in annotator.answers(row).values()):
            given[who] = tuple(one.answer for one in path)
        else:
            given.pop(who, None)
        equal = Counter(answers for answers in given.values() if all(answers))
        enough = self._agree is not None and max(equal.values(), default=0) >= self._agree
        self._retired.discard(row)
        if len(given) >= self.answers or enough:
            self._retired.add(row)
            self._open.pop(row, None)
        elif given:
            self._open.setdefault(row, path[0].chosen if path else "")
        else:
            self._open.pop(row, None)

    @property
    def retired(self) -> Collection[int]:
        """Rows of the galaxies that need no further answers."""
        return self._retired

    def begun(self) -> Iterator[tuple[int, str]]:
        """Yield the rows of galaxies that need further answers, and how they were chosen, in the order of answering."""
        yield from self._open.items()


class Gold:
    """Known galaxies, and when they come up.

    Of every `every` galaxies that an annotator is asked about, one is known, at a place drawn by chance. Order and
    places depend on the seed and the name of the annotator.

    Parameters
    ----------
    answers : mapping of int to mapping of str to str
        Known answers by row, then by question.
    campaign : Campaign
    seed : int
    """

    def __init__(self, answers: Mapping[int, Mapping[str, str]], campaign: Campaign, seed: int) -> None:
        self.answers, self._every, self._seed = answers, campaign.gold_every, seed
        self._order: dict[str, Sequence[int]] = {}

    def next(self, who: str, passed: Collection[int]) -> int | None:
        """Return the row of a known galaxy if one is due after the galaxies that an annotator has passed."""
        if not self.answers:
            return None
        block, place = divmod(len(passed), self._every)
        # The order of the galaxies is by chance, which is no secret.
        due = block + (place >= random.Random(f"{self._seed}/{who}/{block}").randrange(self._every))  # noqa: S311
        if who not in self._order:
            order = sorted(self.answers)
            random.Random(f"{self._seed}/{who}").shuffle(order)  # noqa: S311
            self._order[who] = order
        left = [row for row in self._order[who] if row not in passed]
        return left[0] if left and len(self._order[who]) - len(left) < due else None
