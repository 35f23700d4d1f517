"""Histograms and counts of the columns of a selection, by which it is narrowed. No web code."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from peculiar.catalogs.tally import FLAG_MEANINGS, Flag
from peculiar.labelling.web.gallery import MOST_CLASSES, Gallery, code_texts
from peculiar.labelling.web.limiter import ResultCache
from peculiar.labelling.web.review import Answers
from peculiar.labelling.web.selection import FLAGS, Range, Selection

BINS = 32
"""Number of bars of a histogram."""

MOST_HISTOGRAMS, MOST_COUNTS = 16, 6
"""Maximum number of columns of numbers, and of texts."""

_KEPT = 64

_NOTHING = 255


@dataclass(frozen=True, slots=True)
class Histogram:
    """Numbers of galaxies by the value of a column.

    Parameters
    ----------
    name : str
    edges : tuple of float, length `BINS` + 1
        Ends of the bars; the first and the last bar also hold what is beyond them.
    counts : tuple of int, length `BINS`
        Of the galaxies that meet all other conditions.
    low, high : int
        Numbers of the edges that the condition on this column names.
    """

    name: str
    edges: tuple[float, ...]
    counts: tuple[int, ...]
    low: int
    high: int

    @property
    def heights(self) -> list[float]:
        """Heights of the bars, 0 to 1."""
        most = max(self.counts, default=0) or 1
        return [count / most for count in self.counts]

    def texts(self) -> tuple[str, str]:
        """Return the ends of the condition."""
        low, high = self.edges[self.low], self.edges[self.high]
        return f"{low:.3g}" if self.low else "lowest", f"{high:.3g}" if self.high < BINS else "highest"


@dataclass(frozen=True, slots=True)
class Entry:
    """A value of a column of texts, its number of galaxies, and the selection that a click on it leads to."""

    value: str
    name: str
    count: int
    chosen: bool
    leads: Selection


@dataclass(frozen=True, slots=True)
class Counts:
    """Numbers of galaxies by the text, or the bits, in a column."""

    name: str
    entries: tuple[Entry, ...]
    chosen: bool


@dataclass(frozen=True, slots=True)
class _Codes:
    """A column with few values: number of the value of each galaxy, shape (n,), `_NOTHING` if there is none."""

    codes: NDArray[np.uint8]
    names: tuple[str, ...] = ()
    edges: tuple[float, ...] = ()


class Facets:
    """Histograms and counts of a gallery's columns.

    Parameters
    ----------
    gallery : Gallery
    """

    def __init__(self, gallery: Gallery) -> None:
        self.gallery = gallery
        self._known: ResultCache[tuple[str, str, int], _Codes] = ResultCache(gallery.limiter, _KEPT)
        catalog = gallery.catalog
        sky = () if catalog.sky is None else catalog.sky.names
        left_out = {"id", "model", FLAGS, *sky}
        self._numbers = [
            name
            for name in catalog.plain
            if catalog.numeric(name) and name not in left_out and not name.startswith("_")
        ][:MOST_HISTOGRAMS]
        text = (pa.types.is_string, pa.types.is_large_string, pa.types.is_dictionary)
        self._texts = [
            name
            for name in catalog.plain
            if name not in left_out and any(one(catalog.columns[name].type) for one in text)
        ][:MOST_COUNTS]

    def of(self, selection: Selection) -> Iterator[Histogram | Counts]:
        """Yield the histograms and counts of the galaxies that meet a selection.

        Each disregards the condition on its own column, so that it shows what other choices would find.

        Raises
        ------
        UsageError, UnknownNameError
            As `Gallery.rows`.
        """
        answers = self.gallery.answers(selection.about)
        narrowed = selection.narrowed()
        all_rows = self.gallery.rows(selection)
        said_texts, said_numbers = answers.facets()
        for name in [*self._texts, *said_texts]:
            codes = self._codes(name, answers)
            if len(codes.names) > 1 or name in narrowed:
                rows = self.gallery.rows(selection.without(name)) if name in narrowed else all_rows
                yield _counts(name, codes, rows, selection)
        if self.gallery.catalog.numeric(FLAGS):
            rows = self.gallery.rows(selection.without(FLAGS)) if FLAGS in narrowed else all_rows
            yield _flags(self._codes(FLAGS, answers).codes[rows], selection)
        for name in [*self._numbers, *said_numbers]:
            codes = self._codes(name, answers)
            if codes.edges:
                rows = self.gallery.rows(selection.without(name)) if name in narrowed else all_rows
                yield _histogram(name, codes, rows, narrowed.get(name, (None, None)))

    def _codes(self, name: str, answers: Answers) -> _Codes:
        mine = name in answers.columns
        key = (name, answers.question.name if mine else "", answers.state if mine else 0)
        return self._known.get(key, lambda: self._code(name, answers if mine else None))

    def _code(self, name: str, answers: Answers | None) -> _Codes:
        catalog = self.gallery.catalog
        type_ = (catalog.columns if answers is None else answers.columns)[name].type
        if name == FLAGS and answers is None:
            return _Codes(np.nan_to_num(self.gallery.numbers(name)).astype(np.int64).astype(np.uint8))
        if pa.types.is_integer(type_) or pa.types.is_floating(type_):
            values = (
                self.gallery.numbers(name)
                if answers is None
                else answers.values[name].cast(pa.float64()).to_numpy(zero_copy_only=False)
            )
            return _bars(name, values)
        arrays = (batch.column(0) for batch in catalog.batches([name])) if answers is None else [answers.values[name]]
        found = code_texts(arrays)
        # A column of names of their own is no choice.
        names = found.names if len(found.names) < MOST_CLASSES else ()
        return _Codes(np.asarray(found.values).astype(np.uint8), names)


def _bars(name: str, values: NDArray[np.float64]) -> _Codes:
    known = np.isfinite(values)
    if not known.any():
        return _Codes(np.empty(0, dtype=np.uint8))
    # A sample decides: ends need not be exact, and a quantile of a million values takes longer than all the rest.
    some = values[known][:: max(1, int(known.sum()) // 50_000)]
    low, high = (0.0, 1.0) if name.startswith("p_") else (float(end) for end in np.quantile(some, (0.002, 0.998)))
    if not low < high:
        low, high = low - 0.5, low + 0.5
    edges = [float(f"{edge:.6g}") for edge in np.linspace(low, high, BINS + 1)]
    if len(set(edges)) <= BINS:
        return _Codes(np.empty(0, dtype=np.uint8))
    codes = np.searchsorted(edges[1:-1], values, side="right").astype(np.uint8)
    codes[~known] = _NOTHING
    return _Codes(codes, edges=tuple(edges))


def _histogram(name: str, codes: _Codes, rows: NDArray[np.int32], chosen: Range | list[str]) -> Histogram:
    counts = np.bincount(codes.codes[rows], minlength=256)[:BINS]
    low, high = chosen if isinstance(chosen, tuple) else (None, None)
    first = 0 if low is None else int(np.abs(np.array(codes.edges) - low).argmin())
    last = BINS if high is None else int(np.abs(np.array(codes.edges) - high).argmin())
    return Histogram(name, codes.edges, tuple(counts.tolist()), min(first, BINS - 1), max(last, first + 1))


def _counts(name: str, codes: _Codes, rows: NDArray[np.int32], selection: Selection) -> Counts:
    counts = np.bincount(codes.codes[rows], minlength=256)
    found = {one: (one.replace("_", " "), int(counts[number])) for number, one in enumerate(codes.names)}
    return _entries(name, found, selection)


def _flags(flags: NDArray[np.uint8], selection: Selection) -> Counts:
    found = {"0": ("none", int((flags == 0).sum()))}
    for flag in FLAG_MEANINGS:
        if count := int((flags & flag.value > 0).sum()):
            found[str(flag.value)] = (str(Flag(flag).name).lower().replace("_", " "), count)
    return _entries(FLAGS, found, selection)


def _entries(name: str, found: Mapping[str, tuple[str, int]], selection: Selection) -> Counts:
    narrowed = selection.narrowed()
    now = narrowed.get(name, [])
    chosen = list(now) if isinstance(now, list) else []
    entries = []
    for value in [*found, *(one for one in chosen if one not in found)]:
        called, count = found.get(value, (value, 0))
        left = [one for one in chosen if one != value] if value in chosen else [*chosen, value]
        leads = selection.narrowing({**narrowed, name: left}) if left else selection.without(name)
        entries.append(Entry(value, called, count, value in chosen, leads))
    return Counts(name, tuple(entries), bool(chosen))
