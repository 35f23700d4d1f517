"""Outcome of a verification: the threshold, what holds there, and what more answers would bring."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np

from peculiar.catalogs.catalog import Catalog
from peculiar.metrics.purity import Cells, Curves, answers_to_halve
from peculiar.metrics.risk_control import RISK, threshold_of_completeness, threshold_of_purity
from peculiar.text import counted

# The number of more answers is looked for up to this multiple of the answers there are.
_MORE = (1.5, 2, 3, 4, 6, 8, 12, 16)

Aim = Literal["purity", "completeness"]


@dataclass(frozen=True, repr=False)
class Outcome:
    """Figures of a verification; see `peculiar.verification.verify.Verification` for the attributes."""

    catalog: Catalog
    score: str
    answer: str
    where: str | None
    aim: Aim
    wanted: float
    cells: Cells
    curves: Curves
    number: int | None
    notes: list[str] = field(default_factory=list)
    seed: int = 222
    labels: Path | None = None

    @property
    def threshold(self) -> float | None:
        """The threshold that keeps the promise: galaxies with this score or a higher one are accepted."""
        return None if self.number is None else float(self.curves.thresholds[self.number])

    @cached_property
    def more(self) -> dict[str, int | None]:
        """How many more answers would halve the bands of purity and completeness at the threshold.

        Without a threshold, the median of all thresholds counts. None if answers for all galaxies would not.
        """
        number = len(self.curves.thresholds) // 2 if self.number is None else self.number
        return {
            quantity: answers_to_halve(self.cells, number, quantity=quantity, seed=self.seed)
            for quantity in ("purity", "completeness")
        }

    @cached_property
    def missing(self) -> int | None:
        """About how many more answers would give a threshold; None if there is one, or 16 times as many would not."""
        if self.number is not None:
            return None
        for times in _MORE:
            grown = self.cells.grown(times)
            if find_threshold(grown, self.aim, self.wanted, self.seed) is not None:
                return int(np.ceil((grown.answered - self.cells.answered).sum()))
        return None

    @property
    def verdict(self) -> str:
        """A sentence on the threshold and the galaxies above it."""
        promise = f"{self.aim} of {self.wanted:.0%} or more"
        if self.number is None:
            more = f"; about {self.missing:,} more might, if they are like these" if self.missing else ""
            why = f"the answers are too few, or too mixed{more}"
            return f"No threshold of {self.score} has a {promise} for certain: {why}."
        at = self.curves.at(self.number)
        return (
            f"{counted(at['selected'], 'galaxy', 'have', 'has')} {self.score} of {at['threshold']:.4g} or more: "
            f"{promise}, with a certainty of {1 - RISK:.0%} or more. The purity is about {_range(at['purity'])}, the "
            f"completeness about {_range(at['completeness'])}."
        )


def find_threshold(cells: Cells, aim: Aim, wanted: float, seed: int) -> int | None:
    """Return the number of the threshold that keeps a promise; None if there is none."""
    if aim == "purity":
        return threshold_of_purity(cells, wanted)
    return threshold_of_completeness(cells, wanted, seed=seed)


def _range(one: Mapping[str, float]) -> str:
    if not np.isfinite(one["estimate"]):
        return "unknown, as no answer is true"
    return f"{one['estimate']:.0%} ({one['low']:.0%} to {one['high']:.0%})"
