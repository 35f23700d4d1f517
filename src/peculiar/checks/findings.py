"""Kinds of problems that the checks look for, and the findings of a check."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from peculiar.checks.label_issues import Suspect
from peculiar.images.defects import Defect, Remedy, Rule
from peculiar.tables.key_columns import FOUND, Keys
from peculiar.text import counted, shown

_MOST_KINDS = 6


class Problem(Rule):
    """Problems of a set of galaxies, in addition to defects of single pictures."""

    UNREADABLE = "unreadable", "the picture cannot be decoded", Remedy.DROP
    BIT_DEPTH = (
        "bit depth",
        "values of more than 8 bits leave most of their range empty, so their bit depth is a guess",
    )
    SAME_FILE = "same file", "files are identical", Remedy.KEEP_FIRST
    SAME_PIXELS = "same pixels", "files differ, but their pixels are identical", Remedy.KEEP_FIRST
    NEAR_DUPLICATE = (
        "near duplicate",
        "pictures show the same galaxy, also if turned, mirrored, rescaled or cropped differently",
        Remedy.KEEP_FIRST,
    )
    NEIGHBOURS = "neighbours", "positions are closer than `--radius`"
    CONTRADICTION = "contradiction", "duplicates of any kind have different labels", Remedy.DROP
    LEAK = "leak", "duplicates, neighbours or rows of one id are in different parts of the split"
    IMBALANCE = (
        "imbalance",
        "the largest class has more than {threshold} as many galaxies as the smallest",
        Remedy.NONE,
        20,
        "times",
    )
    CONFOUNDER = (
        "confounder",
        "a class goes with the survey, brightness, noise, size or kind of file: its odds are more than {threshold} as "
        "high among such galaxies as among others, by the lower end of a 95 % interval",
        Remedy.NONE,
        3,
        "times",
    )
    LABEL_SPELLING = "label spelling", "labels differ only in case or blanks, are blank, or stand for 'not known'"
    SUSPECT_LABEL = (
        "suspect label",
        "a classifier that has not seen the label finds another one far more probable (cleanlab)",
    )
    DUPLICATE_ID = "duplicate id", "several rows have the same id", Remedy.KEEP_FIRST
    COPIED_COLUMN = (
        "copied column",
        "two columns of numbers are equal in {threshold} of their rows",
        Remedy.NONE,
        99,
        "%",
    )
    CONSTANT_COLUMN = "constant column", "a column has only one value, or none"
    IMPOSSIBLE_VALUE = (
        "impossible value",
        "positions outside the sky, negative redshifts, magnitudes outside -5 to 40, infinities, or a number that "
        "stands for 'not known' (-9999 and the like)",
    )


_FIRST, *_OTHERS = Problem
KINDS: tuple[Rule, ...] = (_FIRST, *Defect, *_OTHERS)
"""All kinds of findings, in the order of reports."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem that was found.

    Parameters
    ----------
    kind : Rule
        One of `KINDS`.
    rows : tuple of int
        Rows of the data; empty if it concerns the whole.
    text : str
        Description.
    score : float or None
        Certainty or distance, if there is a measure.
    """

    kind: Rule
    rows: tuple[int, ...]
    text: str
    score: float | None = None

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """Pairs of the first row with each other one."""
        return [(self.rows[0], other) for other in self.rows[1:]]


@dataclass(slots=True, repr=False)
class CheckResult:
    """The result of a check.

    Parameters
    ----------
    data : path
    ids, labels : list
        Id and label of each row; a missing label is None.
    findings : list of Finding
        In the order of `KINDS`.
    ranking : list of Suspect
        All judged labels, the most suspect first.
    skipped : dict of str to str
        Checks that were skipped, and why.
    seconds : float
    id_type : pyarrow.DataType
        Type of the ids in the data.
    label : str or None
        Column of labels that was asked for.
    keys : Keys
        Columns of ids and positions that were asked for.
    """

    data: Path
    ids: list[str]
    labels: list[str | None]
    findings: list[Finding] = field(default_factory=list)
    ranking: list[Suspect] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    id_type: pa.DataType = field(default_factory=pa.string)
    label: str | None = None
    keys: Keys = FOUND

    def counts(self) -> dict[Rule, int]:
        """Return the number of findings of each kind."""
        numbers = Counter(finding.kind for finding in self.findings)
        return {kind: numbers[kind] for kind in KINDS if numbers[kind]}

    def __repr__(self) -> str:
        """Return the number of findings of each kind, in a few lines."""
        kinds = [f"{kind} {count:,}" for kind, count in self.counts().items()] or ["no problems found"]
        more = len(kinds) - _MOST_KINDS
        lines = kinds[:_MOST_KINDS] + ([f"and {more} more kinds"] if more > 0 else [])
        lines += [f"skipped: {', '.join(self.skipped)}"] if self.skipped else []
        title = f"Check of {self.data}: {counted(len(self.ids), 'galaxy')}"
        return "\n  ".join(map(shown, [title, *lines]))

    def of(self, kind: Rule) -> list[Finding]:
        """Return the findings of a kind."""
        return [finding for finding in self.findings if finding.kind == kind]

    def as_dict(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return {
            "data": str(self.data),
            "rows": len(self.ids),
            "counts": self.counts(),
            "skipped": self.skipped,
            "seconds": round(self.seconds, 1),
            "findings": [
                {
                    "kind": one.kind,
                    "rows": list(one.rows),
                    "ids": [self.ids[row] for row in one.rows],
                    "text": one.text,
                    "score": one.score,
                }
                for one in self.findings
            ],
            "label_ranking": [
                {
                    "id": self.ids[one.row],
                    "row": one.row,
                    "label": one.label,
                    "better": one.better,
                    "quality": one.quality,
                }
                for one in self.ranking
            ],
        }

    def pairs(self) -> list[tuple[int, int]]:
        """Return pairs of rows that show the same galaxy or place on the sky; `split_by_id` keeps them in one part."""
        return [
            pair
            for one in self.findings
            if one.kind is Problem.NEIGHBOURS or one.kind.remedy is Remedy.KEEP_FIRST
            for pair in one.pairs
        ]

    def dropped(self) -> dict[int, str]:
        """Return the rows that a cleaned list leaves out, and why: broken ones, and all duplicates but the first."""
        dropped: dict[int, str] = {}
        stands: dict[int, int] = {}
        for finding in self.findings:
            remedy = finding.kind.remedy
            # Another row represents a dropped duplicate, but none represents a broken row: the first remaining one is
            # kept.
            rows = {_last(stands, row) for row in finding.rows}
            left = sorted(row for row in rows if row not in dropped)
            for row in {Remedy.DROP: left, Remedy.KEEP_FIRST: left[1:]}.get(remedy, []):
                same = "" if remedy is Remedy.DROP else f" as {self.ids[left[0]]}"
                dropped[row] = f"{finding.kind}{same}: {finding.text}"
                if remedy is Remedy.KEEP_FIRST:
                    stands[row] = left[0]
        return dropped


def _last(steps: dict[int, int], row: int) -> int:
    while row in steps:
        row = steps[row]
    return row
