"""Provenance of a table of probabilities: the model that made it."""

import re
from dataclasses import dataclass
from pathlib import Path

from peculiar.errors import DataError
from peculiar.tables.formats import MODEL_NOTE
from peculiar.tables.identifiers import entry_text
from peculiar.tables.reader import TableReader

NAME_NOTE = "model name"
"""Note of a catalogue with the name of its model."""

_COLUMN = "model"

# Digits of a digest in the column of a catalogue.
_DIGITS = 12


@dataclass(frozen=True, slots=True)
class Maker:
    """The model that made a table, as the table states it.

    Parameters
    ----------
    digests : tuple of str
        The models in its notes and its column, by digest or name; empty if it states none.
    name : str
        Name of the model in its notes.
    """

    digests: tuple[str, ...] = ()
    name: str = ""

    def is_model(self, digest: str) -> bool:
        """Return whether the table states one model only, the one with this digest."""
        return bool(self.digests and digest) and all(_same(one, digest) for one in self.digests)

    def differs(self, other: "Maker") -> bool:
        """Return whether the models of two tables are known to differ."""
        return any(not _same(mine, its) for mine in self.digests for its in other.digests)

    def __str__(self) -> str:
        """Return the model in words."""
        if not self.digests:
            return "an unnamed model"
        if len(self.digests) > 1:
            return f"several models: {', '.join(one[:_DIGITS] for one in self.digests[:3])}"
        return f"{self.name} {self.digests[0][:_DIGITS]}".strip()


def read_maker(table: TableReader) -> Maker:
    """Return the model that a table states, in its notes and in its column ``model``."""
    notes = {key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()}
    column = table.column(_COLUMN) if _COLUMN in table.columns else []
    digests = dict.fromkeys(text for entry in column if (text := entry_text(entry)))
    if note := notes.get(MODEL_NOTE):
        # The column has the first digits of the digest in the notes.
        digests = {note: None} | {one: None for one in digests if not _same(one, note)}
    return Maker(tuple(digests), notes.get(NAME_NOTE, ""))


def check_maker(path: Path, maker: Maker, scored: Maker) -> list[str]:
    """Return remarks on a catalogue whose classes are counted with the scores of a model.

    Raises
    ------
    DataError
        If they were made by different models.
    """
    if maker.differs(scored) or len(maker.digests) > 1:
        message = (
            f"{path}: made by the model {maker}, but the model to be scored is {scored}; make the catalogue again "
            "with this model"
        )
        raise DataError(message)
    if maker.digests and scored.digests:
        return []
    return [f"{path} does not state which model made it; the scored model is assumed."]


def _same(one: str, other: str) -> bool:
    """Compare digests, one of which may have only twelve digits."""
    shorter, longer = sorted((one.strip().lower(), other.strip().lower()), key=len)
    return longer == shorter or (
        re.fullmatch(f"[0-9a-f]{{{_DIGITS},}}", shorter) is not None and longer.startswith(shorter)
    )
