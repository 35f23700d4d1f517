"""What the labelling desk knows: who answered what, what to show next, how the learning goes. Nothing of the web."""

import secrets
import threading
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from peculiar.active import Loop, features
from peculiar.agreement import Skill, kappas, krippendorff_alpha, skills
from peculiar.errors import LabelError
from peculiar.labels import Event, Labels
from peculiar.schema import Question
from peculiar.web.ids import Ids
from peculiar.web.pictures import SMALL, Pictures

_AHEAD = 4

ASKED_FOR = "asked for"
"""How a galaxy was chosen that somebody picked."""


@dataclass(slots=True)
class _Person:
    """What one person did: their events that are not undone, in order, and the last of each galaxy."""

    events: dict[str, tuple[int, Event]] = field(default_factory=dict)
    done: Counter[int] = field(default_factory=Counter)
    ahead: deque[tuple[int, str]] = field(default_factory=deque)


@dataclass(frozen=True, slots=True)
class Asked:
    """A galaxy to be answered for.

    Parameters
    ----------
    row : int
    id : str
    chosen : str
        How it was chosen.
    event : str
        The name that the answer will have.
    done : int
        How many galaxies the person has seen.
    last : Event or None
        What an undo would take back.
    before : Event or None
        What the person said of this galaxy before.
    """

    row: int
    id: str
    chosen: str
    event: str
    done: int
    last: Event | None
    before: Event | None


class Desk:
    """One question about the galaxies of a source, asked of any number of people.

    Parameters
    ----------
    ids : sequence of str
        Of the galaxies, in the order of the source.
    pictures : Pictures
    question : Question
    labels : Labels
    loop : Loop or None
        Chooses; without it galaxies are asked about in random order.
    model : str
        Digest of the model that made the embeddings.
    opinions : mapping of str to ndarray, optional
        What the catalogue says of each galaxy: a probability each, by the name of the column.
    seed : int
        Of the random order.
    """

    def __init__(
        self,
        ids: Sequence[str],
        pictures: Pictures,
        question: Question,
        labels: Labels,
        *,
        loop: Loop | None = None,
        model: str = "",
        opinions: dict[str, NDArray[np.floating]] | None = None,
        seed: int = 222,
    ) -> None:
        self.ids = self._rows = ids if isinstance(ids, Ids) else Ids(ids)
        self.pictures, self.question, self.labels, self.loop = pictures, question, labels, loop
        self.model, self.opinions = model, opinions or {}
        self.session = secrets.token_hex(8)
        labels.ask(question)
        self._numbers = {answer: number for number, answer in enumerate(question.answers)}
        self._order = np.random.default_rng(seed).permutation(len(ids))
        # Whose turn comes when, of the galaxies kept apart.
        self._turns = {int(row): turn for turn, row in enumerate(loop.apart)} if loop is not None else {}
        self._people: dict[str, _Person] = {}
        self._answered: Counter[int] = Counter()
        self._seen_event = 0
        self._lock = threading.RLock()
        with self._lock:
            self._refresh()
            self._learn()

    def __len__(self) -> int:
        """Return the number of galaxies."""
        return len(self.ids)

    def _refresh(self) -> None:
        """Take in what came into the database since the last look, from this desk or another."""
        for number, event in self.labels.history(self.question.name, self._seen_event):
            self._seen_event = number
            person = self._people.setdefault(event.who, _Person())
            if event.kind == "undo":
                _, undone = person.events.pop(event.undoes or "", (0, None))
                self._count(person, undone, -1)
            else:
                person.events[event.event] = (number, event)
                self._count(person, event, 1)

    def _count(self, person: _Person, event: Event | None, by: int) -> None:
        row = None if event is None else self._rows.get(event.galaxy)
        if event is not None and row is not None:  # the database may hold galaxies of other sources
            person.done[row] += by
            self._answered[row] += by * (event.kind == "answer")

    def next(self, who: str) -> Asked | None:
        """Return what to ask a person next, None where nothing is left; pictures of those after it are read ahead."""
        with self._lock:
            self._refresh()
            person = self._people.setdefault(who, _Person())
            while person.ahead and not self._wanted(person, *person.ahead[0]):
                person.ahead.popleft()
            while len(person.ahead) < _AHEAD and (more := self._choose(person)) is not None:
                person.ahead.append(more)
            self.pictures.prepare(row for row, _ in islice(person.ahead, _AHEAD))
            return self._asked(person, *person.ahead[0]) if person.ahead else None

    def _wanted(self, person: _Person, row: int, chosen: str) -> bool:
        return person.done[row] <= 0 and (chosen in ("random", ASKED_FOR) or self._answered[row] <= 0)

    def _choose(self, person: _Person) -> tuple[int, str] | None:
        waiting = {row for row, _ in person.ahead}
        if self.loop is None:
            rows = (int(row) for row in self._order if person.done[int(row)] <= 0 and int(row) not in waiting)
            row = next(rows, None)
            return None if row is None else (row, "random")
        done, elsewhere = np.zeros(len(self), dtype=bool), np.zeros(len(self), dtype=bool)
        done[[row for row, count in person.done.items() if count > 0] + list(waiting)] = True
        elsewhere[[row for row, count in self._answered.items() if count > 0]] = True
        return self.loop.next(done, int(done.sum()), elsewhere)

    def some(self, who: str, count: int) -> list[Asked]:
        """Return so many galaxies to answer for at once."""
        with self._lock:
            self._refresh()
            person = self._people.setdefault(who, _Person())
            kept, person.ahead = person.ahead, deque()
            while len(person.ahead) < count and (more := self._choose(person)) is not None:
                person.ahead.append(more)
            found = [self._asked(person, *one) for one in person.ahead]
            person.ahead = kept
        self.pictures.prepare((one.row for one in found), SMALL)
        return found

    def show(self, who: str, row: int) -> Asked:
        """Return the same for a galaxy that was asked for by its row; raises `LabelError` if there is none."""
        self.check(row)
        with self._lock:
            self._refresh()
            person = self._people.setdefault(who, _Person())
            return self._asked(person, row, ASKED_FOR)

    def ask_first(self, who: str, rows: Sequence[int]) -> None:
        """Ask a person about some galaxies before all others, but for those that they have seen."""
        for row in rows:
            self.check(row)
        with self._lock:
            person = self._people.setdefault(who, _Person())
            waiting = [one for one in person.ahead if one[0] not in set(rows)]
            person.ahead = deque([*((row, ASKED_FOR) for row in rows), *waiting])

    def upcoming(self, who: str) -> list[int]:
        """Return the rows that come after the next."""
        with self._lock:
            person = self._people.get(who)
            return [] if person is None else [row for row, _ in islice(person.ahead, 1, _AHEAD)]

    def check(self, row: int) -> None:
        """Raise `LabelError` unless there is such a row."""
        if not 0 <= row < len(self):
            message = f"there is no galaxy {row}; they are counted from 0 to {len(self) - 1}"
            raise LabelError(message)

    def _asked(self, person: _Person, row: int, chosen: str) -> Asked:
        before = [event for _, event in person.events.values() if event.galaxy == self.ids[row]]
        last = max(person.events.values(), key=lambda one: one[0])[1] if person.events else None
        done = sum(count > 0 for count in person.done.values())
        return Asked(row, self.ids[row], chosen, secrets.token_hex(12), done, last, before[-1] if before else None)

    def answer(
        self, who: str, row: int, event: str, kind: str, answer: int | None, seconds: float | None, chosen: str
    ) -> None:
        """Store what a person said of a galaxy; it is on the disk when this returns.

        Parameters
        ----------
        answer : int or None
            Number of the answer; None for skip and unsure.
        """
        self.answer_all([self._event(who, row, event, kind, answer, seconds, chosen)])

    def answer_many(
        self, who: str, rows: dict[int, int | None], event: str, seconds: float | None, chosen: dict[int, str]
    ) -> None:
        """Store the answers to a grid, all or none: numbers of answers by row, None for one that was passed over."""
        each = None if seconds is None else seconds / max(len(rows), 1)
        self.answer_all(
            [
                self._event(who, row, f"{event}-{row}", "skip" if one is None else "answer", one, each, chosen[row])
                for row, one in rows.items()
            ]
        )

    def _event(
        self, who: str, row: int, event: str, kind: str, answer: int | None, seconds: float | None, chosen: str
    ) -> Event:
        self.check(row)
        if kind not in ("answer", "skip", "unsure"):
            message = f"one answers, skips or is unsure; received {kind[:40]!r}"
            raise LabelError(message)
        if (kind == "answer") != (answer is not None and 0 <= answer < len(self.question.answers)):
            message = f"the answers have the numbers 0 to {len(self.question.answers) - 1}; received {answer}"
            raise LabelError(message)
        # Only what is kept apart may count as chosen by chance, whatever a form says.
        if self.loop is not None and chosen == "random" and not self.loop.kept[row]:
            chosen = self.loop.strategy
        text = self.question.answers[answer] if answer is not None else ""
        return Event(
            event,
            kind,
            who,
            self.ids[row],
            self.question.name,
            text,
            seconds=seconds,
            model=self.model,
            session=self.session,
            chosen=chosen,
        )

    def answer_all(self, events: list[Event]) -> None:
        """Store events, and learn if there are enough."""
        self.labels.record(events)
        with self._lock:
            self._refresh()
            self._learn()

    def undo(self, who: str, event: str, undoes: str) -> int | None:
        """Take back an event; return the row of its galaxy, None where it is of another source."""
        with self._lock:
            self._refresh()
            known = [
                one for _, one in self.labels.history(self.question.name) if one.event == undoes and one.who == who
            ]
            if not known:
                message = "there is nothing to undo"
                raise LabelError(message)
            undo = replace(known[0], event=event, kind="undo", answer="", at="", seconds=None, undoes=undoes)
            again = self.undone(event, undoes)
            if not again:
                self.labels.record(undo)
            self._refresh()
            row = self._rows.get(known[0].galaxy)
            person = self._people[who]
            if row is not None and not again:
                person.ahead.appendleft((row, known[0].chosen))
            return row

    def undone(self, event: str, undoes: str) -> bool:
        """Tell whether this very undo is stored already."""
        return any(one.event == event and one.undoes == undoes for _, one in self.labels.history(self.question.name))

    def _given(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return rows and answers that most agree on, in the order in which they were answered.

        Of the galaxies kept apart those are left out whose turn has not come: somebody picked them, not chance.
        """
        votes: dict[int, Counter[int]] = {}
        last = [event for person in self._people.values() for event in _latest(person)]
        by_chance = [self._rows.get(event.galaxy, -1) for _, event in last if self._is_by_chance(event)]
        for _, event in sorted(last, key=lambda one: one[0]):
            row = self._rows.get(event.galaxy)
            if row is not None and event.kind == "answer" and event.answer in self._numbers:
                votes.setdefault(row, Counter())[self._numbers[event.answer]] += 1
        known = self.loop.embeddings.known if self.loop is not None else np.ones(len(self), dtype=bool)
        if self.loop is not None:
            waiting = self.loop.apart[1 + max((self._turns[row] for row in by_chance), default=-1) :]
            known = known.copy()
            known[waiting] = False
        given = [(row, counts.most_common(1)[0][0]) for row, counts in votes.items() if known[row]]
        return np.array([row for row, _ in given], dtype=np.int64), np.array([one for _, one in given], dtype=np.int64)

    def _is_by_chance(self, event: Event) -> bool:
        return event.chosen == "random" and self._rows.get(event.galaxy, -1) in self._turns

    def _learn(self) -> None:
        if self.loop is not None:
            self.loop.learn_behind(*self._given())

    def opinion(self, row: int) -> dict[str, list[tuple[str, float]]]:
        """Return what the head, and the catalogue's model, say of a galaxy: probabilities by answer."""
        self.check(row)
        told: dict[str, list[tuple[str, float]]] = {}
        if self.loop is not None and self.loop.committee is not None and self.loop.embeddings.known[row]:
            chances = self.loop.committee.probabilities(features(self.loop.embeddings, np.array([row])))[0]
            told["learned from your answers"] = list(zip(self.question.answers, map(float, chances), strict=True))
        model = [(name, float(values[row])) for name, values in self.opinions.items() if np.isfinite(values[row])]
        if model:
            told["the catalogue's model"] = model
        return told

    def summary(self) -> dict[str, Any]:
        """Return counts, agreement and skill for a page."""
        with self._lock:
            self._refresh()
            people = {
                who: Counter(event.answer or event.kind for _, event in _latest(person))
                for who, person in self._people.items()
                if person.events
            }
            ratings: dict[str, dict[str, str]] = {}
            for who, person in self._people.items():
                for _, event in _latest(person):
                    if event.kind == "answer":
                        ratings.setdefault(event.galaxy, {})[who] = event.answer
        several = {galaxy: given for galaxy, given in ratings.items() if len(given) > 1}
        found: list[Skill] = skills(several)
        return {
            "people": people,
            "answered": len(ratings),
            "several": len(several),
            "alpha": krippendorff_alpha(given.values() for given in several.values()),
            "kappas": kappas(several),
            "skills": found,
        }


def _latest(person: _Person) -> list[tuple[int, Event]]:
    """Return the last event of each galaxy."""
    return list({event.galaxy: (number, event) for number, event in person.events.values()}.values())
