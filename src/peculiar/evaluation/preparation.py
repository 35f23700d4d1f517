"""Preparation of the pictures behind two sets of answers (crop, views, bands), and its differences."""

from collections.abc import Mapping, Sequence

from peculiar.models.predict import Classifier
from peculiar.sources.stream import Source
from peculiar.tables.column import texts
from peculiar.tables.reader import TableReader

_SETTINGS = ("crop", "views", "fast decoding", "stamp size", "bands", "pixel", "stretch")
"""Notes of a catalogue that change its answers, besides pictures and model."""

Preparation = Mapping[str, str]
"""Settings by name, as the notes of a catalogue state them."""


def of_table(table: TableReader) -> dict[str, str]:
    """Return the settings that a table states; empty for CSV, which has no notes."""
    # FITS headers write their keywords in capitals.
    notes = {name.lower(): text for name, text in texts(table.schema.metadata).items()}
    return {name: notes[name] for name in _SETTINGS if name in notes}


def of_pictures(classifier: Classifier, views: int | None, source: Source) -> dict[str, str]:
    """Return the settings with which a model classifies the pictures of a source."""
    framing = classifier.framing
    found = {"crop": str(framing.crop or "whole"), "fast decoding": str(framing.fast).lower(), **source.notes}
    if views is not None:
        found["views"] = str(views)
    return {name: found[name] for name in _SETTINGS if name in found}


def differing(first: Preparation, second: Preparation, names: Sequence[str]) -> list[str]:
    """Return remarks on settings that differ, or that only one of the two states, as sentences.

    Parameters
    ----------
    first, second : Preparation
    names : sequence of str
        Names of the two.
    """
    notes = []
    unlike = [name for name in _SETTINGS if name in first and name in second and first[name] != second[name]]
    if unlike:
        listed = "; ".join(f"{name} {first[name]} and {second[name]}" for name in unlike)
        notes.append(
            f"The pictures of {names[0]} and {names[1]} were prepared differently ({listed}), which may explain part "
            "of the difference."
        )
    for one, other, name in ((first, second, names[0]), (second, first, names[1])):
        if other and not one:
            notes.append(
                f"{name} does not state how its pictures were prepared (crop, views), as CSV cannot; check that they "
                "were prepared alike."
            )
    return notes
