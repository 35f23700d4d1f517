"""The galaxies of a catalogue as a wall: sorted, filtered, one looked at closely, what was found as a table."""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import numpy as np
from numpy.typing import NDArray

from peculiar.search import Hits, best, odd_column, parse_cone, query
from peculiar.shelf import Embeddings, Shelf

_KEPT = 8

_MOST_OF_TABLE = 100_000


@dataclass(frozen=True, slots=True)
class Asking:
    """What is to be seen, as it is typed.

    Parameters
    ----------
    where, cone, by : str
        As `peculiar search` takes them; empty for all, everywhere, in the order of the catalogue.
    """

    where: str = ""
    cone: str = ""
    by: str = ""

    def query(self, **more: object) -> str:
        """Return the same as the query of an address."""
        told = {"where": self.where, "cone": self.cone, "by": self.by, **more}
        return urlencode({name: value for name, value in told.items() if value not in ("", None)})


class Wall:
    """A catalogue to be looked at.

    Parameters
    ----------
    shelf : Shelf
    embeddings : Embeddings
    ids : sequence of str
        Of its galaxies, in order.
    """

    def __init__(self, shelf: Shelf, embeddings: Embeddings, ids: Sequence[str]) -> None:
        self.shelf, self.embeddings, self.ids = shelf, embeddings, ids
        self._rows = {id_: row for row, id_ in enumerate(ids)}
        self._orders: OrderedDict[Asking, NDArray[np.int32]] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def sorts(self) -> dict[str, str]:
        """Ways to sort: what `by` is, and what it is called."""
        uncertain = {odd_column(self.shelf, "uncertainty"): "least certain first"}
        likely = {name: f"{name[2:].replace('_', ' ')} first" for name in self.shelf.plain if name.startswith("p_")}
        known = {name: text for name, text in (uncertain | likely).items() if name in self.shelf.columns}
        return {"": "as in the catalogue"} | known

    def rows(self, asking: Asking) -> NDArray[np.int32]:
        """Return the rows that meet a condition, in order; the last few searches are kept.

        Raises
        ------
        UsageError, UnknownNameError
            If the condition, the cone or the order cannot be understood.
        """
        with self._lock:
            if asking not in self._orders:
                found = self._query(asking, None, [])
                self._orders[asking] = np.array([self._rows[id_] for id_ in found.ids], dtype=np.int32)
                while len(self._orders) > _KEPT:
                    self._orders.popitem(last=False)
            self._orders.move_to_end(asking)
            return self._orders[asking]

    def table(self, asking: Asking) -> Hits:
        """Return what meets a condition with all columns but embeddings; the first hundred thousand."""
        return self._query(asking, _MOST_OF_TABLE, None)

    def _query(self, asking: Asking, top: int | None, columns: list[str] | None) -> Hits:
        cone = parse_cone(asking.cone) if asking.cone else None
        return query(self.shelf, asking.where or None, cone=cone, by=asking.by or None, top=top, columns=columns)

    def facts(self, row: int) -> dict[str, Any]:
        """Return the entries of a galaxy, by column; no pictures."""
        found = self.shelf.take(np.array([row]), self.shelf.plain).to_pylist()[0]
        return {name: value for name, value in found.items() if value is not None and not isinstance(value, bytes)}

    def neighbours(self, row: int, count: int = 12) -> list[int]:
        """Return the rows of the galaxies most like one, the most alike first; none where it has no embedding."""
        if not self.embeddings.known[row]:
            return []
        cosines = self.embeddings.cosines(np.asarray(self.embeddings.vectors[row]))
        cosines[row] = np.nan
        return [self._rows[id_] for id_ in best(self.shelf, cosines, count, "cosine").ids]


def links(facts: dict[str, Any]) -> dict[str, str]:
    """Return where else a galaxy can be looked at, if its position is known."""
    ra, dec = facts.get("ra"), facts.get("dec")
    if not isinstance(ra, float) or not isinstance(dec, float):
        return {}
    return {
        "SDSS SkyServer": "https://skyserver.sdss.org/dr18/VisualTools/navi?" + urlencode({"ra": ra, "dec": dec}),
        "Legacy Survey viewer": "https://www.legacysurvey.org/viewer?" + urlencode({"ra": ra, "dec": dec, "zoom": 15}),
    }
