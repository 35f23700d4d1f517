"""The gallery of a catalogue: sorted, filtered, one galaxy in detail, the result as a table."""

import hashlib
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import Any
from urllib.parse import urlencode

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from peculiar.catalogs.catalog import Catalog
from peculiar.catalogs.embeddings import Embeddings
from peculiar.catalogs.layout import find_places
from peculiar.catalogs.search import DISTANCE, added_column, find_rows, odd_column, parse_cone
from peculiar.catalogs.where import read_where
from peculiar.errors import PeculiarError, UnknownNameError, UsageError
from peculiar.labelling.web.charts import Colouring, Places, Plane, Sky, View, parse_shape
from peculiar.labelling.web.id_index import IdIndex
from peculiar.labelling.web.limiter import Limiter, ResultCache
from peculiar.labelling.web.review import Answers, no_answers
from peculiar.labelling.web.selection import Selection
from peculiar.tables import sky
from peculiar.tables.column import Column
from peculiar.tables.identifiers import entry_text

_KEPT = 16

MOST_OF_TABLE = 100_000

MOST_SECONDS = 30.0
"""Time limit of a search."""

MOST_CLASSES = 40
"""Maximum number of classes that have a colour of their own."""


Found = tuple[NDArray[np.int32], NDArray[np.float64] | None]
"""Rows in order, and their distances from the centre of the cone, if there is one."""


class Layout:
    """Places of galaxies on the similarity map, computed in the background, once per catalogue."""

    def __init__(self, catalog: Catalog, embeddings: Embeddings | None) -> None:
        self.catalog, self.embeddings, self.problem = catalog, embeddings, ""
        self._places: NDArray[np.float32] | None = None
        self._begun = 0.0
        self._worker: threading.Thread | None = None
        self._lock = threading.Lock()

    @property
    def places(self) -> NDArray[np.float32] | None:
        """Places, shape (n, 2), NaN if a galaxy has no embedding; None until they are computed.

        The first access starts the computation.
        """
        with self._lock:
            if self._worker is None:
                self._begun = time.monotonic()
                self._worker = threading.Thread(target=self._lay_out, name="map", daemon=True)
                self._worker.start()
                # Results in the cache are available at once.
                self._worker.join(0.3)
        return self._places

    @property
    def seconds(self) -> float:
        """Duration of the computation so far."""
        return time.monotonic() - self._begun

    def _lay_out(self) -> None:
        try:
            if self.embeddings is None:
                self.problem = "Similar galaxies are not known: that takes a catalogue with embeddings."
                return
            self._places = find_places(self.catalog, self.embeddings)
        except (PeculiarError, OSError) as error:
            self.problem = str(error)
        finally:
            # An unexpected exception ends the thread, and Python prints it on the terminal.
            if self._places is None and not self.problem:
                self.problem = "the map could not be computed; the reason is on the terminal that serves these pages"

    def wait(self) -> None:
        """Wait until the computation is done."""
        if self._worker is not None:
            self._worker.join()


class Gallery:
    """The gallery of a catalogue.

    Parameters
    ----------
    catalog : Catalog
    embeddings : Embeddings or None
    ids : sequence of str
        Ids of its galaxies, in order.
    answers : callable
        Returns the answers to a question by its name, as `Review.answers` does.

    Attributes
    ----------
    layout : Layout
    """

    def __init__(
        self,
        catalog: Catalog,
        embeddings: Embeddings | None,
        ids: Sequence[str],
        answers: Callable[[str], Answers] = no_answers,
    ) -> None:
        self.catalog, self.embeddings, self.ids, self.answers = catalog, embeddings, ids, answers
        self.layout = Layout(catalog, embeddings)
        self.limiter = Limiter()
        self._found: ResultCache[tuple[Selection, int], Found] = ResultCache(self.limiter, _KEPT)
        self._colourings: ResultCache[tuple[str, str, int], Colouring] = ResultCache(self.limiter, _KEPT)

    @property
    def has_maps(self) -> bool:
        """True if there is a map of the sky or of similarity."""
        return self.catalog.sky is not None or self.embeddings is not None

    @cached_property
    def state(self) -> str:
        """Identifies the galaxies in their order, so that ticks are not taken for those of others."""
        if self.catalog.state:
            return self.catalog.state
        return hashlib.sha256("\0".join(self.ids[:]).encode(errors="replace")).hexdigest()

    @property
    def whose(self) -> str:
        """Name of the table that the embeddings are from; empty if they are the catalogue's own."""
        return "" if self.catalog.external is None else self.catalog.external.path.name

    def sorts(self, answers: Answers) -> dict[str, str]:
        """Return ways to sort: the value of `by`, and its label."""
        uncertain = {odd_column(self.catalog, "uncertainty"): "least certain first"}
        likely = {name: f"{name[2:].replace('_', ' ')} first" for name in self.catalog.plain if name.startswith("p_")}
        known = {name: text for name, text in (uncertain | likely).items() if name in self.catalog.columns}
        known = {"": "as in the catalogue"} | known
        if not answers.columns:
            return known
        votes, agreement = answers.called("votes"), answers.called("agreement")
        return known | {f"-{agreement}": "least agreed first", votes: "most answers first"}

    def colours(self, answers: Answers) -> dict[str, str]:
        """Return ways to colour the maps: the column, and its label."""
        numbers = [
            name
            for name in self.catalog.plain
            if pa.types.is_floating(self.catalog.columns[name].type) and name not in ("ra", "dec")
        ]
        classes = ["class"] if "class" in self.catalog.columns else []
        return {"": "how many"} | {name: name.replace("_", " ") for name in [*classes, *numbers, *answers.columns]}

    @cached_property
    def sky(self) -> Places | None:
        """Right ascension and declination, each of shape (n,), NaN if unknown; None if all are unknown."""
        if self.catalog.sky is None:
            return None
        ra, dec = (one.convert(self.numbers(one.name)) for one in (self.catalog.sky.ra, self.catalog.sky.dec))
        return (ra, dec) if bool(np.isfinite(ra + dec).any()) else None

    def places(self, kind: str) -> Places | None:
        """Return the coordinates of all galaxies on a map, "sky" or "map"; None if there is no such map, or not yet."""
        if kind == "sky":
            return self.sky
        return None if self.layout.places is None else (self.layout.places[:, 0], self.layout.places[:, 1])

    def frame(self, kind: str) -> View:
        """Return the part of a map, "sky" or "map", in which all galaxies lie."""
        return Plane() if kind == "map" else self._whole_sky

    @cached_property
    def _whole_sky(self) -> Sky:
        return Sky.around(*(self.sky or (np.empty(0), np.empty(0))))

    def rows(self, selection: Selection) -> NDArray[np.int32]:
        """Return the rows that meet a condition, in order; the last few searches are kept.

        Raises
        ------
        UsageError, UnknownNameError
            If the condition, the cone, the order or a rectangle is invalid.
        """
        rows = self._search(selection)[0]
        chosen = self.chosen(selection, rows)
        return rows if chosen is None else rows[chosen]

    def chosen(self, selection: Selection, rows: NDArray[np.int32]) -> NDArray[np.bool_] | None:
        """Return a mask of the rows in the rectangles; None if there is no rectangle."""
        inside = np.ones(len(rows), dtype=bool)
        if selection.sky:
            if self.sky is None:
                message = "the catalogue has no positions, so a part of the sky contains no galaxies"
                raise UsageError(message)
            shape = parse_shape(selection.sky, "sky")
            inside &= self.frame("sky").holds(shape, *(values[rows] for values in self.sky))
        if selection.map:
            shape = parse_shape(selection.map, "map")
            places = self.layout.places
            if places is None:
                raise UsageError(self.layout.problem or "the map is being computed; try again in a minute")
            inside &= self.frame("map").holds(shape, *places[rows].T)
        return inside if selection.sky or selection.map else None

    def keys(self, selection: Selection, rows: Sequence[int], start: int) -> list[str]:
        """Return the values that some rows of a selection, from a place on, are sorted by, as text."""
        name = selection.by.removeprefix("-")
        if not len(rows):
            return []
        if name:
            answers = self.answers(selection.about)
            values = (
                answers.values[name].take(pa.array(rows))
                if name in answers.columns
                else self.catalog.take(np.array(rows), [name])[name]
            ).to_pylist()
            return [f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}" for value in values]
        if selection.cone:
            distances = self._search(selection)[1]
            if distances is not None and not (selection.sky or selection.map):
                return [f"{_angle(one)} away" for one in distances[start : start + len(rows)]]
        return [""] * len(rows)

    def before(self, selection: Selection) -> NDArray[np.int32]:
        """Return the result of `rows` without rectangles."""
        return self._search(selection)[0]

    def table(self, selection: Selection) -> Catalog:
        """Return the rows that meet a condition, with all columns except embeddings; at most a hundred thousand.

        If the selection is about answers, they are columns, too.
        """
        rows, distances = self._search(selection)
        chosen = self.chosen(selection, rows)
        which = (np.arange(len(rows)) if chosen is None else np.flatnonzero(chosen))[:MOST_OF_TABLE]
        found = self.take(rows[which])
        found.notes.update(
            {
                name: text
                for name in ("where", "cone", "sky", "map", "review", "narrow")
                if (text := getattr(selection, name))
            }
        )
        answers = self.answers(selection.about)
        if self._of_answers(selection, answers)[0]:
            for name, column in answers.columns.items():
                found = found.with_column(column, answers.values[name].take(pa.array(rows[which])))
        if distances is None:
            return found
        return found.with_column(added_column(DISTANCE, self.catalog), pa.array(distances[which]))

    def take(self, rows: NDArray[np.integer]) -> Catalog:
        """Return rows with all columns except embeddings."""
        names = self.catalog.plain
        return self.catalog.found(
            [self.catalog.columns[name] for name in names], self.catalog.take(rows, names), {}, rows
        )

    def colouring(self, name: str, about: str = "") -> Colouring | None:
        """Return the colours of all galaxies by a column; None if it is empty.

        Raises
        ------
        UnknownNameError
            If the maps cannot be coloured by it, or there is no such question.
        """
        if not name:
            return None
        answers = self.answers(about)
        if name not in (known := self.colours(answers)):
            raise UnknownNameError("column to colour by", name, [one for one in known if one])
        if name not in answers.columns:
            return self._colourings.get((name, "", 0), lambda: self._colours_of(name))
        values = answers.values[name]

        def colour() -> Colouring:
            if pa.types.is_string(values.type):
                return code_texts([values])
            return Colouring.of_numbers(values.cast(pa.float64()).to_numpy(zero_copy_only=False))

        return self._colourings.get((name, about, answers.state), colour)

    def _colours_of(self, name: str) -> Colouring:
        if name == "class":
            return code_texts(batch.column(0) for batch in self.catalog.batches([name]))
        return Colouring.of_numbers(self.numbers(name))

    def numbers(self, name: str) -> NDArray[np.float64]:
        """Return a column of numbers, NaN where it is unknown."""
        parts = [batch.column(0).cast(pa.float64()) for batch in self.catalog.batches([name])]
        return np.concatenate([part.to_numpy(zero_copy_only=False) for part in parts])

    def _search(self, selection: Selection) -> Found:
        """Return rows in order, and their distances from the centre of the cone."""
        selection = selection.found
        answers = self.answers(selection.about)
        needed, where = self._of_answers(selection, answers)

        def search() -> Found:
            cone = parse_cone(selection.cone) if selection.cone else None
            catalog = self._with(answers, needed) if needed else self.catalog
            rows, distances = find_rows(
                catalog, where or None, cone=cone, by=selection.by or None, seconds=MOST_SECONDS
            )
            return rows.astype(np.int32), distances

        return self._found.get((selection, answers.state if needed else 0), search)

    def _of_answers(self, selection: Selection, answers: Answers) -> tuple[frozenset[str], str]:
        """Return the columns that a search among answers needs, none if it is not about answers, and the condition."""
        where = selection.condition(self.catalog.columns)
        types = {name: column.type for name, column in (self.catalog.columns | answers.columns).items()}
        used = read_where(where, types).columns if where else frozenset()
        used |= {selection.by.removeprefix("-")} & types.keys()
        if not used & answers.columns.keys():
            return frozenset(), where
        places = self.catalog.sky.names if selection.cone and self.catalog.sky is not None else ()
        return used | {"id", *places}, where

    def _with(self, answers: Answers, names: frozenset[str]) -> Catalog:
        """Return some columns of the catalogue in memory, beside those of the answers."""
        mine = [name for name in self.catalog.columns if name in names]
        table = pa.Table.from_batches(self.catalog.batches(mine))
        columns: list[Column] = [self.catalog.columns[name] for name in mine]
        for name in names & answers.columns.keys():
            columns.append(answers.columns[name])
            table = table.append_column(name, answers.values[name])
        return self.catalog.found(columns, table, {}, np.arange(len(self.catalog)))

    def row_of(self, id_: str) -> int | None:
        """Return the row of an id; None if there is none."""
        return self.ids.get(id_) if isinstance(self.ids, IdIndex) else None

    def is_text(self, name: str) -> bool:
        """Return whether a column holds text."""
        type_ = self.catalog.columns[name].type
        return bool(pa.types.is_string(type_) or pa.types.is_large_string(type_))

    def facts(self, row: int) -> dict[str, Any]:
        """Return the values of a galaxy, by column, without pictures. A missing id is replaced by the row."""
        found = self.catalog.take(np.array([row]), self.catalog.plain).to_pylist()[0]
        known = {name: value for name, value in found.items() if value is not None and not isinstance(value, bytes)}
        return known | {"id": entry_text(found["id"]) or f"row {row}"}

    def texts(self, facts: dict[str, Any]) -> dict[str, str]:
        """Return the values of a galaxy as text, with all digits that their columns hold."""
        return {name: _text(value, self.catalog.columns[name].type) for name, value in facts.items()}

    def neighbours(self, row: int, count: int = 12) -> list[int]:
        """Return the rows of the galaxies most similar to one, in descending order; none if it has no embedding."""
        if self.embeddings is None or not self.embeddings.known[row]:
            return []
        cosines = self.embeddings.cosines(np.asarray(self.embeddings.vectors[row]))
        cosines[row] = np.nan
        rows = np.flatnonzero(~np.isnan(cosines))
        if len(rows) > count:
            rows = rows[np.argpartition(-cosines[rows], count - 1)[:count]]
        return [int(one) for one in rows[np.argsort(-cosines[rows], kind="stable")]]


def _angle(degrees: float) -> str:
    """Return an angle in the unit that suits its size."""
    factor, unit = (3600, "″") if degrees < 1 / 60 else (60, "′") if degrees < 1 else (1, "°")
    return f"{degrees * factor:.3g}{unit}"


def code_texts(arrays: Iterable[pa.Array]) -> Colouring:
    """Return texts as classes, the most frequent first; those beyond the first forty have none."""
    codes: list[NDArray[np.int16]] = []
    numbers: dict[str, int] = {}
    for array in arrays:
        known = array.cast(pa.string()).dictionary_encode()
        # Classes beyond the first ones have no colour of their own.
        news = [
            numbers.setdefault(one, len(numbers)) if one in numbers or len(numbers) < MOST_CLASSES else -1
            for one in known.dictionary.to_pylist()
        ]
        places = known.indices.fill_null(len(news)).to_numpy(zero_copy_only=False)
        codes.append(np.array([*news, -1], dtype=np.int16)[places])
    return Colouring.of_classes(np.concatenate(codes), list(numbers))


def _text(value: Any, type_: pa.DataType) -> str:
    if isinstance(value, float):
        # Fewer digits would move a galaxy: the fourth one of a right ascension is a hundred arcseconds or more.
        return str(np.float32(value) if pa.types.is_float32(type_) else value)
    return entry_text(value) or ""


def links(facts: dict[str, Any], places: "sky.Sky | None") -> dict[str, str]:
    """Return links to other viewers, if the position of a galaxy is known."""
    if places is None or not all(isinstance(facts.get(name), float) for name in places.names):
        return {}
    ra, dec = (float(one.convert(np.array(facts[one.name]))) for one in (places.ra, places.dec))
    return {
        "SDSS SkyServer": "https://skyserver.sdss.org/dr18/VisualTools/navi?" + urlencode({"ra": ra, "dec": dec}),
        "Legacy Survey viewer": "https://www.legacysurvey.org/viewer?" + urlencode({"ra": ra, "dec": dec, "zoom": 15}),
    }
