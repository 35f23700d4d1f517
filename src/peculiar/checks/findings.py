"""What the doctor looks for, and what it found."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from peculiar.checks.label_issues import Suspect
from peculiar.images.defects import RULES

# A class is rare if the largest has so many times as many galaxies.
IMBALANCE = 20


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of finding.

    Parameters
    ----------
    text : str
        The rule.
    remedy : {"drop", "keep first", ""}
        What a cleaned list does: leave all of a finding's galaxies out, keep the first alone, or nothing.
    """

    text: str
    remedy: str = ""


KINDS = {
    "unreadable": Kind("the picture cannot be decoded", "drop"),
    # What lies beside a bright star, or is one of two galaxies, may be worth keeping.
    **{
        kind: Kind(rule.sentence, "" if kind in {"off-centre", "uneven sky"} else "drop")
        for kind, rule in RULES.items()
    },
    "bit depth": Kind("values of more than 8 bits leave most of their range empty, so that their depth is guessed"),
    "same file": Kind("pictures are the same byte for byte", "keep first"),
    "same pixels": Kind("pictures differ in their files but not in their pixels", "keep first"),
    "near duplicate": Kind(
        "pictures show the same galaxy, whether turned, mirrored, rescaled or cut anew", "keep first"
    ),
    "neighbours": Kind("positions on the sky are closer than the radius asked for"),
    "contradiction": Kind("duplicates of any sort have different labels", "drop"),
    "leak": Kind("duplicates, neighbours or rows of one id lie in different parts of the split"),
    "imbalance": Kind(f"the largest class has over {IMBALANCE} times as many galaxies as the smallest"),
    "label spelling": Kind("labels differ in case or blanks alone, or are blank"),
    "suspect label": Kind("a classifier that has not seen the label finds another far more probable (cleanlab)"),
    "duplicate id": Kind("several rows have the same id", "keep first"),
    "copied column": Kind("two columns of numbers are equal in 99 % of their rows"),
    "constant column": Kind("a column has one value only, or none"),
    "impossible value": Kind(
        "positions outside the sky, negative redshifts, magnitudes outside -5 to 40, infinities, or a number that "
        "stands for 'not known' (-9999 and the like)"
    ),
}
"""What the doctor looks for, by kind."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong.

    Parameters
    ----------
    kind : str
        One of `KINDS`.
    rows : tuple of int
        Of the data; empty if it concerns the whole.
    text : str
        What was found.
    score : float or None
        How sure, or how close, where there is a measure.
    """

    kind: str
    rows: tuple[int, ...]
    text: str
    score: float | None = None


@dataclass(slots=True)
class Diagnosis:
    """What the doctor found.

    Parameters
    ----------
    data : path
    ids, labels : list
        Of every row; a label is None where there is none.
    findings : list of Finding
        In the order of `KINDS`.
    ranking : list of Suspect
        All labels that could be judged, the most suspect first.
    skipped : dict of str to str
        What could not be looked for, and why.
    seconds : float
    id_type : pyarrow.DataType
        Of the ids in the data.
    """

    data: Path
    ids: list[str]
    labels: list[str | None]
    findings: list[Finding] = field(default_factory=list)
    ranking: list[Suspect] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    id_type: pa.DataType = field(default_factory=pa.string)

    def counts(self) -> dict[str, int]:
        """Return how many findings there are of each kind that was found."""
        counted = Counter(finding.kind for finding in self.findings)
        return {kind: counted[kind] for kind in KINDS if counted[kind]}

    def of(self, kind: str) -> list[Finding]:
        """Return the findings of a kind."""
        return [finding for finding in self.findings if finding.kind == kind]

    def as_dict(self) -> dict[str, Any]:
        """Return all of it, for JSON."""
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
        """Return pairs of rows that show the same place on the sky; `split_by_id` keeps them in one part."""
        related = (
            one.rows for one in self.findings if one.kind == "neighbours" or KINDS[one.kind].remedy == "keep first"
        )
        return [(rows[0], other) for rows in related for other in rows[1:]]

    def dropped(self) -> dict[int, str]:
        """Return which rows a cleaned list leaves out, and why: broken ones, and all duplicates but the first."""
        dropped: dict[int, str] = {}
        stands: dict[int, int] = {}
        for finding in self.findings:
            remedy = KINDS[finding.kind].remedy
            # A duplicate that was dropped is stood for by what it was dropped for, what is broken by nobody: the first
            # that is left is kept.
            rows = {_last(stands, row) for row in finding.rows}
            left = sorted(row for row in rows if row not in dropped)
            for row in {"drop": left, "keep first": left[1:]}.get(remedy, []):
                same = "" if remedy == "drop" else f" as {self.ids[left[0]]}"
                dropped[row] = f"{finding.kind}{same}: {finding.text}"
                if remedy == "keep first":
                    stands[row] = left[0]
        return dropped


def _last(steps: dict[int, int], row: int) -> int:
    while row in steps:
        row = steps[row]
    return row
