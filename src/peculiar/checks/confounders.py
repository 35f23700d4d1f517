"""Properties that a network could learn in the place of a class: survey, brightness, size, noise, kind of file."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from peculiar.checks.duplicates import Examined
from peculiar.checks.findings import Finding, Problem
from peculiar.metrics.association import Trait, associations
from peculiar.tables.identifiers import entry_text

_ORIGIN = re.compile(
    r"(?:.*_)?(?:survey|telescope|instrument|camera|detector|band|filter|field|tile|source|origin|dataset|format)(?:_.*)?"
)
"""Names of columns that say where a picture comes from."""


def confounders(rows: Sequence[Examined], columns: Mapping[str, Sequence[Any]], label: str | None) -> Iterator[Finding]:
    """Find the classes that go with a property of the pictures, or with the column of their origin.

    Parameters
    ----------
    rows : sequence of Examined
    columns : mapping of str to sequence
        Of the data, one entry a row.
    label : str or None
        The column of labels.

    Yields
    ------
    Finding
        See `peculiar.metrics.association.associations`; the strongest first.
    """
    traits: dict[str, Trait] = {
        name: [entry_text(entry) for entry in entries]
        for name, entries in columns.items()
        if name != label and _ORIGIN.fullmatch(name.lower()) and len(entries) == len(rows)
    }
    measured = sorted({name for row in rows for name in row.traits})
    traits |= {name: [row.traits.get(name) for row in rows] for name in measured}
    for one in associations([row.label for row in rows], traits, Problem.CONFOUNDER.threshold):
        yield Finding(Problem.CONFOUNDER, tuple(one.rows.tolist()), one.text, round(one.ratio, 3))
