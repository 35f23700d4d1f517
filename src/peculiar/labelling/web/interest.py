"""How interesting annotators find galaxies, 0 to 5, and the ranking of anomalies that follows from it. No web code."""

import threading
import time
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from peculiar.catalogs.anomalies import choose_varied, learn, outlier_ranks
from peculiar.catalogs.embeddings import Embeddings
from peculiar.errors import LabelError, PeculiarError
from peculiar.labelling.database import Event
from peculiar.labelling.web.limiter import Limiter, ResultCache
from peculiar.labelling.web.session import Session
from peculiar.questions.question import Question

MOST = 5
"""The greatest interest."""

QUESTION = Question("interest", tuple(str(value) for value in range(MOST + 1)), asks="How interesting is this galaxy?")

CHOSEN = "anomalies"
"""How the galaxies were chosen, as stored in the database."""

_KEPT = 4

_Ratings = tuple[tuple[int, float], ...]


class Interest:
    """The ranking of anomalies of a catalogue, corrected by the ratings of annotators, as `search anomalies` does.

    Ratings are events of a question of their own in the database of the session.

    Parameters
    ----------
    session : Session
    embeddings : Embeddings
    limiter : Limiter
    seed : int
        As in `peculiar.catalogs.anomalies.outlier_ranks`.
    """

    def __init__(self, session: Session, embeddings: Embeddings, limiter: Limiter, seed: int = 222) -> None:
        self.session, self.embeddings, self.seed, self.problem = session, embeddings, seed, ""
        self._ranks: NDArray[np.float32] | None = None
        self._scores: ResultCache[_Ratings, NDArray[np.float32]] = ResultCache(limiter, _KEPT)
        self._worker: threading.Thread | None = None
        self._begun = 0.0
        self._lock = threading.Lock()

    @property
    def ranks(self) -> NDArray[np.float32] | None:
        """Ranks without ratings, shape (n,); None until they are computed, which the first access starts."""
        with self._lock:
            if self._worker is None:
                self._begun = time.monotonic()
                self._worker = threading.Thread(target=self._rank, name="anomalies", daemon=True)
                self._worker.start()
        self._worker.join(1.0)
        return self._ranks

    @property
    def seconds(self) -> float:
        """Duration of the computation so far."""
        return time.monotonic() - self._begun

    def _rank(self) -> None:
        try:
            self._ranks = outlier_ranks(self.embeddings, seed=self.seed)
        except PeculiarError as error:
            self.problem = str(error)
        finally:
            if self._ranks is None and not self.problem:
                self.problem = (
                    "the ranking could not be computed; the reason is on the terminal that serves these pages"
                )

    def wait(self) -> None:
        """Wait until the ranks are computed."""
        if self._worker is not None:
            self._worker.join()

    def events(self) -> list[tuple[int, Event]]:
        """Return the ratings that count, and galaxies that were skipped, with their rows, in order."""
        if not self._asked():
            return []
        found = ((self.session.ids.get(one.galaxy), one) for one in self.session.labels.current(QUESTION.name))
        return [(row, one) for row, one in found if row is not None]

    def ratings(self) -> dict[int, float]:
        """Return the mean rating of each rated galaxy, from 0 to 1, by row."""
        given: dict[int, list[int]] = {}
        for row, one in self.events():
            if one.kind == "answer":
                given.setdefault(row, []).append(int(one.answer))
        return {row: sum(values) / len(values) / MOST for row, values in sorted(given.items())}

    def scores(self, ratings: Mapping[int, float]) -> NDArray[np.float32] | None:
        """Return the ranks corrected by ratings, shape (n,), NaN without an embedding; None if not computed yet."""
        ranks = self.ranks
        if ranks is None or not ratings:
            return ranks
        rows, values = np.array(list(ratings)), np.array(list(ratings.values()))
        return self._scores.get(tuple(ratings.items()), lambda: learn(self.embeddings, ranks, rows, values))

    def ranking(self, who: str, count: int, *, varied: bool = False) -> list[tuple[int, float]]:
        """Return the rows of the highest scores that an annotator has neither rated nor skipped, with the scores.

        Parameters
        ----------
        who : str
        count : int
        varied : bool
            Choose galaxies that differ from each other among ten times as many.
        """
        scores = self.scores(self.ratings())
        if scores is None:
            return []
        left = scores.copy()
        left[[row for row, one in self.events() if one.who == who]] = np.nan
        left[~self.session.shown()] = np.nan
        if varied:
            rows = choose_varied(self.embeddings, left, count)
        else:
            known = np.flatnonzero(~np.isnan(left))
            rows = known[np.argsort(-left[known], kind="stable")[:count]]
        return [(int(row), float(left[row])) for row in rows]

    def rate(self, who: str, row: int, event: str, value: int | None) -> None:
        """Store how interesting a galaxy is, 0 to 5, or that it was skipped; it is on the disk when this returns."""
        self.session.check(row)
        if value is not None and not 0 <= value <= MOST:
            message = f"the interest in a galaxy is 0 to {MOST}; received {value}"
            raise LabelError(message)
        self.session.labels.ask(QUESTION)
        kind, answer = ("skip", "") if value is None else ("answer", str(value))
        stored = Event(event, kind, who, self.session.ids[row], QUESTION.name, answer)
        self.session.labels.record(replace(stored, session=self.session.id, model=self.session.model, chosen=CHOSEN))

    def last(self, who: str) -> Event | None:
        """Return the event that an undo would withdraw."""
        return self.session.labels.last(QUESTION.name, who) if self._asked() else None

    def _asked(self) -> bool:
        """Return whether anything was rated; another question may have the same name."""
        return self.session.labels.questions().get(QUESTION.name) == QUESTION.answers

    def undo(self, who: str, event: str, undoes: str) -> int | None:
        """Withdraw a rating; return the row of its galaxy."""
        known = self.session.labels.find(undoes)
        if known is None or (known.who, known.question) != (who, QUESTION.name):
            message = "there is nothing to undo"
            raise LabelError(message)
        withdrawn = replace(known, event=event, kind="undo", answer="", at="", seconds=None, undoes=undoes)
        self.session.labels.record(withdrawn)
        return self.session.ids.get(known.galaxy)
