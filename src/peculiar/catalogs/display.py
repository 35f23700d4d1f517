"""Descriptions of a catalogue, as text and as HTML for notebooks."""

import json
import math
from typing import Any

import numpy as np

from peculiar.catalogs.sheet import find_pictures
from peculiar.catalogs.table import GalaxyTable
from peculiar.catalogs.tally import Summary
from peculiar.errors import PeculiarError
from peculiar.images.decode import encode_picture
from peculiar.images.framing import Framing
from peculiar.models.provenance import NAME_NOTE
from peculiar.notebook import Markup, bar, card, counts, escaped, table, thumbnail
from peculiar.questions.column_names import COLUMNS_NOTE, MAIN_NOTE
from peculiar.tables.formats import MODEL_NOTE
from peculiar.text import counted, shown

_MOST_COUNTED = 5_000_000
"""Number of rows up to which classes are counted for a description, which takes less than a second."""

_SEARCHED = ("where", "cone", "similar to", "anomalies by", "embeddings")
"""Notes that describe a search."""

_FLAGS = {"unlike": "unlike the training set"}

_ROWS, _CHANCES, _SCANNED = 8, 6, 20_000

# Maximum number of characters of foreign text in a line.
_MOST_TOLD = 60


def describe_catalog(catalog: GalaxyTable) -> str:
    """Return a description of a catalogue in a few lines."""
    try:
        return "\n".join([_title(catalog), *(f"  {line}" for line in _lines(catalog))])
    except PeculiarError as error:  # its files are gone, or changed since it was opened
        return f"Catalog that cannot be read: {shown(str(error))}"


def catalog_html(catalog: GalaxyTable) -> str:
    """Return a description of a catalogue as HTML: counts of the classes, and the first rows with their pictures."""
    try:
        return _html(catalog)
    except PeculiarError:
        return card(describe_catalog(catalog), [])


def _html(catalog: GalaxyTable) -> str:
    parts = [escaped(line) for line in _lines(catalog) if not line.startswith("classes")]
    if summary := _summary(catalog):
        parts.insert(0, counts(_by_number(summary.tally.classes)))
    return card(_title(catalog), [*parts, _first_rows(catalog)])


def _title(catalog: GalaxyTable) -> str:
    found = "" if catalog.root is catalog else f" of {len(catalog.root):,}"
    place = "in memory" if catalog.root.path is None else shown(str(catalog.root.path))
    return f"Catalog: {counted(len(catalog), 'galaxy')}{found}, {place}"


def _summary(catalog: GalaxyTable) -> Summary | None:
    if len(catalog) > _MOST_COUNTED and "summary" not in catalog.__dict__:
        return None
    summary = getattr(catalog, "summary", None)
    return summary if isinstance(summary, Summary) else None


def _lines(catalog: GalaxyTable) -> list[str]:
    lines = [f"{name}: {_short(catalog.notes[name])}" for name in _SEARCHED if name in catalog.notes]
    summary = _summary(catalog)
    if summary is not None and summary.tally.classes:
        classes = _by_number(summary.tally.classes)
        lines.append("classes: " + _listed(f"{_short(name, 30)} {count:,}" for name, count in classes.items()))
    if summary is not None and summary.tally.flagged:
        flagged = ((_FLAGS.get(name, name), count) for name, count in summary.tally.flagged.items())
        lines.append("flagged: " + _listed(f"{name.replace('_', ' ')} {count:,}" for name, count in flagged))
    if MODEL_NOTE in catalog.notes:
        lines.append(f"model: {_short(catalog.notes.get(NAME_NOTE, ''))} {catalog.notes[MODEL_NOTE][:12]}".rstrip())
    lines.append("columns: " + _listed((_short(name, 30) for name in catalog.columns), most=12))
    return lines


def _by_number(numbers: dict[str, int]) -> dict[str, int]:
    return dict(sorted(numbers.items(), key=lambda one: (-one[1], one[0])))


def _listed(texts: Any, most: int = 8) -> str:
    names = list(texts)
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more:,} more" if more > 0 else "")


def _short(text: str, most: int = _MOST_TOLD) -> str:
    line = shown(text)
    return line if len(line) <= most else f"{line[: most - 1]}…"


def _first_rows(catalog: GalaxyTable) -> Markup:
    """Return the first rows as a table, with pictures if they are available, and probabilities as bars."""
    first = catalog.head(_ROWS)
    if not len(first):
        return Markup("")
    chances = [name for name in _chances(catalog) if first.numeric(name)][:_CHANCES]
    # Columns that a search added are shown, too: the score, the distance.
    added = [name for name in first.columns if name not in catalog.root.columns and first.numeric(name)]
    names = [name for name in ("class", *chances, *added) if name in first.columns]
    pictures: dict[str, Any] = {}
    if catalog.pictures is not None:
        pictures = find_pictures(catalog.pictures, first.ids, Framing(64, crop="galaxy"), most=_SCANNED)
    rows = []
    for id_, row in zip(first.ids, first.to_arrow().to_pylist(), strict=True):
        cells = [_cell(row[name], chance=name in chances) for name in names]
        if pictures:
            seen = pictures.get(id_)
            cells.insert(0, Markup("") if seen is None else thumbnail(encode_picture(seen, "JPEG"), id_))
        rows.append([*cells[: bool(pictures)], escaped(_short(id_, 30)), *cells[bool(pictures) :]])
    head = [*(["picture"] if pictures else []), "id", *(name.removeprefix("p_") for name in names)]
    more = len(catalog) - len(first)
    shown_table = table(head, rows)
    return Markup(shown_table + (f"and {more:,} more" if more else ""))


def _chances(catalog: GalaxyTable) -> list[str]:
    """Return the columns of probabilities of the main question, if the notes name it."""
    try:
        own = json.loads(catalog.notes[COLUMNS_NOTE])[catalog.notes[MAIN_NOTE]].values()
    except (KeyError, ValueError, TypeError, AttributeError):  # another program's notes
        return [name for name in catalog.columns if name.startswith("p_")]
    return [name for name in catalog.columns if name in own]


def _cell(value: Any, *, chance: bool) -> Markup:
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return Markup("–")
    if chance:
        return bar(float(value), f"{value:.2f}")
    return escaped(f"{value:.4g}" if isinstance(value, float | np.floating) else _short(str(value), 30))
