"""Flags of the pictures of a catalogue, and counts of galaxies by flag and class."""

import enum
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute
from numpy.typing import NDArray

from peculiar.sources.stream import EDGE, GUESSED, MISSING, OFF_MOSAIC


class Flag(enum.IntFlag):
    """Problems of a picture, as bits of the column ``flags``."""

    UNREADABLE = 1
    BLANK = 2
    EDGE = EDGE
    OFF_MOSAIC = OFF_MOSAIC
    MISSING = MISSING
    GUESSED = GUESSED
    NO_ANSWER = 64


FLAG_MEANINGS = {
    Flag.UNREADABLE: "the picture cannot be read; its probabilities are null",
    Flag.BLANK: "the picture is of one colour",
    Flag.EDGE: "the picture reaches beyond the edge of its mosaic",
    Flag.OFF_MOSAIC: "the position lies on no mosaic",
    Flag.MISSING: "pixels of the picture are missing (NaN or blank)",
    Flag.GUESSED: "the bit depth of the picture's values is a guess",
    Flag.NO_ANSWER: "the model returned values that are not numbers; its probabilities are null",
}


SHOWS_NOTHING = Flag.UNREADABLE | Flag.BLANK | Flag.OFF_MOSAIC

BROKEN = SHOWS_NOTHING | Flag.EDGE | Flag.MISSING | Flag.NO_ANSWER
"""Flags of pictures that differ from others by what is wrong with them."""


@dataclass(slots=True)
class Tally:
    """Counts of classified pictures.

    Parameters
    ----------
    rows : int
    classes : dict of str to int
        Number of rows by answer to the main question, without pictures that show nothing.
    flagged : dict of str to int
        Number of rows by flag, in lower case; rows with ``ood`` above 1 are counted as "unlike".
    problems : dict of str to str
        Reasons why pictures cannot be read or classified, by id; the first hundred.
    """

    rows: int = 0
    classes: dict[str, int] = field(default_factory=dict)
    flagged: dict[str, int] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)

    def add(self, other: "Tally") -> None:
        """Add other counts."""
        self.rows += other.rows
        for mine, its in ((self.classes, other.classes), (self.flagged, other.flagged)):
            for name, count in its.items():
                mine[name] = mine.get(name, 0) + count
        for id_, problem in other.problems.items():
            if len(self.problems) < _MOST_PROBLEMS:
                self.problems[id_] = problem


_MOST_PROBLEMS = 100


@dataclass(frozen=True, slots=True)
class Summary:
    """Summary of the classification of a survey.

    Parameters
    ----------
    path : path or None
        The catalogue, a file or a folder of Parquet parts; None for one in memory.
    tally : Tally
        Counts of the pictures, including those of earlier runs that this run continued.
    failed : dict of str to str
        Reasons why shards could not be classified, by shard.
    kept : int
        Number of rows from earlier runs.
    seconds : float
    already : bool
        Whether the same call had written the catalogue before, so that nothing was done.
    """

    path: Path | None
    tally: Tally
    failed: dict[str, str] = field(default_factory=dict)
    kept: int = 0
    seconds: float = 0
    already: bool = False

    @property
    def all_unreadable(self) -> bool:
        """True if there are pictures and none of them can be read."""
        return 0 < self.tally.rows == self.tally.flagged.get("unreadable", 0)

    def as_dict(self) -> dict[str, Any]:
        """Return the figures, for JSON."""
        return {
            "rows": self.tally.rows,
            "kept": self.kept,
            "classes": self.tally.classes,
            "flagged": self.tally.flagged,
            "problems": self.tally.problems,
            "failed": self.failed,
            "seconds": round(self.seconds, 3),
        }


TALLIED = ("class", "flags", "ood")
"""Columns of a catalogue that `tally_of` counts, if they exist."""


def tally_of(batches: Iterable[pa.RecordBatch]) -> Tally:
    """Count the rows of an existing catalogue by class and flag, without the reasons of unreadable pictures.

    Parameters
    ----------
    batches : iterable of pyarrow.RecordBatch
        With the columns of `TALLIED` that the catalogue has.
    """
    tally = Tally()
    for batch in batches:
        there = batch.schema.names
        flags = np.zeros(batch.num_rows, dtype=np.int64)
        if "flags" in there and pa.types.is_integer(batch.schema.field("flags").type):
            flags = pa.compute.fill_null(batch.column("flags"), 0).to_numpy(zero_copy_only=False).astype(np.int64)
        flagged = {str(flag.name).lower(): int(np.count_nonzero(flags & flag)) for flag in Flag}
        classes = {}
        if "class" in there:
            seen = pa.array((flags & SHOWS_NOTHING) == 0)
            counted = pa.compute.value_counts(batch.column("class").filter(seen)).to_pylist()
            classes = {str(one["values"]): one["counts"] for one in counted if one["values"] is not None}
        if "ood" in there and pa.types.is_floating(batch.schema.field("ood").type):
            flagged |= unlike(batch.column("ood").to_numpy(zero_copy_only=False))
        tally.add(Tally(batch.num_rows, classes, {name: count for name, count in flagged.items() if count}))
    return tally


def unlike(ood: NDArray[np.floating]) -> dict[str, int]:
    """Return a sentence with the number of galaxies that look unlike the training set, if there are any."""
    count = int(np.count_nonzero(np.asarray(ood, dtype=np.float32) > 1))
    return {"unlike": count} if count else {}
