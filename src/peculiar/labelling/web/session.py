"""A labelling session: answers so far, the next galaxy, the heads learned from the answers. No web code."""

import hashlib
import secrets
import threading
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute
from numpy.typing import NDArray

from peculiar.catalogs.active import Loop, features
from peculiar.errors import LabelError
from peculiar.labelling.answers import agreement_of
from peculiar.labelling.campaign import Campaign
from peculiar.labelling.database import Event, Labels
from peculiar.labelling.gold import GOLD, GOLD_TOLD, gold_skills
from peculiar.labelling.web.annotator import Annotator
from peculiar.labelling.web.id_index import IdIndex
from peculiar.labelling.web.pictures import SMALL, Pictures
from peculiar.labelling.web.redundancy import Gold, Redundancy
from peculiar.labelling.web.task import Feedback, Task
from peculiar.questions.question import Question, Tree

_AHEAD = 10

REQUESTED = "asked for"
"""How a galaxy was chosen that an annotator picked, as stored in the database."""


class Session:
    """A decision tree of questions about the galaxies of a source, for any number of annotators.

    An annotator finishes the path of a galaxy through the tree before the next one. Rows without a unique id and rows
    without a picture are left out.

    Parameters
    ----------
    ids : sequence of str
        Ids of the galaxies, in the order of the source.
    pictures : Pictures
    tree : Tree
    labels : Labels
    learned : str, optional
        Name of the question for the grid and for active learning; default: the first.
    loop : Loop or None
        Active learning; without it, galaxies come in random order.
    model : str
        Digest of the model, or of the table, that the embeddings are from.
    predictions : mapping of str to ndarray, optional
        Probabilities in the catalogue, by the name of the column.
    predicted : ndarray of int, shape (n,), optional
        Number of the answer that is the most probable one in the catalogue; -1 if unknown.
    seed : int
        Of the random order.
    id_type : pyarrow.DataType, optional
        Type of the ids in the galaxies' table, used for exports.
    only : sequence of str, optional
        Ids of the galaxies to ask about; default: all.
    in_order : bool
        Ask everybody about the galaxies of `only` in their order, also about those that somebody has answered.
    campaign : Campaign, optional
        Rules by which annotators share the galaxies. The ids of its known galaxies are those of this session.
    """

    def __init__(
        self,
        ids: Sequence[str],
        pictures: Pictures,
        tree: Tree,
        labels: Labels,
        *,
        learned: str | None = None,
        loop: Loop | None = None,
        model: str = "",
        predictions: dict[str, NDArray[np.floating]] | None = None,
        predicted: NDArray[np.int64] | None = None,
        seed: int = 222,
        id_type: pa.DataType | None = None,
        only: Sequence[str] | None = None,
        in_order: bool = False,
        campaign: Campaign | None = None,
    ) -> None:
        self.ids = ids if isinstance(ids, IdIndex) else IdIndex(ids)
        self.pictures, self.tree, self.labels, self.loop = pictures, tree, labels, loop
        self.question = tree.root if learned is None else tree[learned]
        self.model, self.predictions, self.predicted = model, predictions or {}, predicted
        self.id = secrets.token_hex(8)
        labels.ask(*tree.questions, id_type=id_type)
        self.campaign = campaign or Campaign()
        if self.campaign.gold:
            labels.set_gold(self.campaign.gold)
        self._names = tuple(question.name for question in tree.questions)
        self._numbers = {answer: number for number, answer in enumerate(self.question.answers)}
        # An answer is stored by id, so of several rows with one id only the first can be finished.
        self._never = np.zeros(len(ids), dtype=bool)
        self._never[self.ids.repeated] = True
        if pictures.places is not None:
            self._never |= pictures.places < 0
        self._without_picture = self._never.copy()
        if only is not None:
            self._never |= ~pa.compute.is_in(self.ids.texts, pa.array(only, pa.string())).to_numpy(zero_copy_only=False)
        known = ((self.ids.get(id_), answers) for id_, answers in self.campaign.gold.items())
        there = {row: answers for row, answers in known if row is not None and not self._without_picture[row]}
        self._gold = Gold(there, self.campaign, seed)
        self._redundancy = Redundancy(self.campaign.answers, self.campaign.agree)
        given = (self.ids.get(id_) for id_ in dict.fromkeys(only if only is not None and in_order else ()))
        self._given = [row for row in given if row is not None and not self._never[row]]
        order = np.random.default_rng(seed).permutation(len(ids))
        ordinary = ~self._never
        ordinary[list(there)] = False
        self._order = order[ordinary[order]]
        # Order of the galaxies in the random sample.
        self._sample_order = {int(row): place for place, row in enumerate(loop.apart)} if loop is not None else {}
        self._annotators: dict[str, Annotator] = {}
        self._answered: Counter[str] = Counter()
        self._seen_event = 0
        self._lock = threading.RLock()
        with self._lock:
            self._refresh()
            self._learn()

    def __len__(self) -> int:
        """Return the number of galaxies."""
        return len(self.ids)

    def _refresh(self) -> None:
        """Read the events that were added to the database since the last call, by this session or another."""
        for number, event in self.labels.history(*self._names, after=self._seen_event):
            self._seen_event = number
            annotator, row = self._annotator(event.who), self.ids.get(event.galaxy)
            if event.kind == "undo":
                undone = annotator.drop(event.undoes or "", row)
                self._answered[event.galaxy] -= undone is not None and undone.kind == "answer"
            else:
                annotator.add(number, event, row)
                self._answered[event.galaxy] += event.kind == "answer"
            if row is not None:
                self._redundancy.update(row, event.who, annotator)

    def _annotator(self, who: str) -> Annotator:
        return self._annotators.setdefault(who, Annotator(self.tree))

    def next(self, who: str) -> Task | None:
        """Return the next question for an annotator, None if nothing is left; the pictures after it are read ahead."""
        with self._lock:
            self._refresh()
            annotator = self._annotator(who)
            while annotator.ahead and not self._wanted(annotator, *annotator.ahead[0]):
                annotator.ahead.popleft()
            while len(annotator.ahead) < _AHEAD and (more := self._choose(who, annotator)) is not None:
                annotator.ahead.append(more)
            self.pictures.prepare(row for row, _ in islice(annotator.ahead, _AHEAD))
            if annotator.begun:
                return self._task(annotator, next(reversed(annotator.begun)), "")
            return self._task(annotator, *annotator.ahead[0]) if annotator.ahead else None

    def _wanted(self, annotator: Annotator, row: int, chosen: str) -> bool:
        if row in annotator.done or row in annotator.begun:
            return False
        if chosen == REQUESTED or row in self._gold.answers:
            return True
        if self.campaign.answers is not None:
            return row not in self._redundancy.retired
        return chosen == "random" or not self._answered[self.ids[row]]

    def _choose(self, who: str, annotator: Annotator) -> tuple[int, str] | None:
        """Return the row of the next galaxy, and how it was chosen; None if none is left."""
        passed = annotator.done.union(annotator.begun, (row for row, _ in annotator.ahead))
        usual = REQUESTED if self._given else "random" if self.loop is None else self.loop.strategy
        # On the page, known galaxies are like the others.
        if (known := self._gold.next(who, passed)) is not None:
            return known, usual
        taken = passed.union(self._gold.answers, self._redundancy.retired)
        if self._given:
            row = next((row for row in self._given if row not in taken), None)
            return None if row is None else (row, REQUESTED)
        for row, chosen in self._redundancy.begun():
            if row not in taken and not self._never[row]:
                return row, usual if chosen == REQUESTED else chosen
        if self.loop is None:
            row = next((int(row) for row in self._order if int(row) not in taken), None)
            return None if row is None else (row, "random")
        done, elsewhere = self._never.copy(), np.zeros(len(self), dtype=bool)
        done[list(taken)] = True
        if self.campaign.answers is None:
            elsewhere[self._answered_rows()] = True
        return self.loop.next(done, len(passed), elsewhere)

    def _answered_rows(self) -> list[int]:
        """Return the rows of the galaxies that somebody has answered for."""
        found = (self.ids.get(id_) for id_, count in self._answered.items() if count)
        return [row for row in found if row is not None]

    def grid(self, who: str, count: int) -> list[Task]:
        """Return `count` galaxies for the grid that the annotator has not answered for."""
        with self._lock:
            self._refresh()
            annotator = self._annotator(who)
            kept, annotator.ahead = annotator.ahead, deque()
            while len(annotator.ahead) < count and (more := self._choose(who, annotator)) is not None:
                annotator.ahead.append(more)
            found = [self._task(annotator, *one) for one in annotator.ahead]
            annotator.ahead = kept
        self.pictures.prepare((one.row for one in found), SMALL)
        return found

    def show(self, who: str, row: int) -> Task:
        """Return the question for a galaxy by its row; raises `LabelError` if there is no such row."""
        self.check(row)
        with self._lock:
            self._refresh()
            annotator = self._annotator(who)
            return self._task(annotator, row, dict(annotator.ahead).get(row, REQUESTED))

    def ask_first(self, who: str, rows: Sequence[int]) -> None:
        """Ask an annotator about given galaxies first, except those that they have answered for."""
        for row in rows:
            self.check(row)
        with self._lock:
            found = (self.ids.get(self.ids[row]) for row in rows)
            annotator, wanted = self._annotator(who), dict.fromkeys(row for row in found if row is not None)
            waiting = [one for one in annotator.ahead if one[0] not in wanted]
            annotator.ahead = deque([*((row, REQUESTED) for row in wanted), *waiting])

    def upcoming(self, who: str) -> list[int]:
        """Return the rows after the next one."""
        with self._lock:
            annotator = self._annotators.get(who)
            if annotator is None:
                return []
            return [row for row, _ in islice(annotator.ahead, 0 if annotator.begun else 1, _AHEAD)]

    def kept(self, who: str) -> list[Task]:
        """Return the tasks after the next one, for a browser that may lose its connection."""
        with self._lock:
            annotator, chosen = self._annotator(who), dict(self._annotator(who).ahead)
            return [self._task(annotator, row, chosen[row]) for row in self.upcoming(who)]

    def check(self, row: int) -> None:
        """Raise `LabelError` if there is no such row."""
        if not 0 <= row < len(self):
            message = f"there is no galaxy {row}; they are counted from 0 to {len(self) - 1}"
            raise LabelError(message)

    def shown(self) -> NDArray[np.bool_]:
        """Return the galaxies of the session that have a picture and an id of their own, as a mask of shape (n,)."""
        return ~self._never

    def page_token(self, row: int) -> str:
        """Return a token that a page sends with an answer, to identify the galaxy that it showed."""
        return hashlib.sha256(self.ids[row].encode()).hexdigest()[:16]

    def check_page_token(self, row: int, token: str) -> None:
        """Raise `LabelError` if a page is from a session with another galaxy in this row."""
        self.check(row)
        if token != self.page_token(row):
            message = "this page is from a session with other galaxies; nothing was stored; load the page again"
            raise LabelError(message)

    def _task(self, annotator: Annotator, row: int, chosen: str) -> Task:
        path, question = annotator.path(row)
        if row in annotator.done or question is None:  # it was requested, so it starts from the beginning
            path, question, chosen = [], self.tree.root, REQUESTED
        return Task(
            row=row,
            id=self.ids[row],
            question=question,
            path=tuple(path),
            chosen=chosen,
            event=secrets.token_hex(12),
            done=len(annotator.done),
            last=annotator.last,
            before=annotator.answers(row).get(question.name),
        )

    def answer(
        self,
        who: str,
        row: int,
        question: str,
        event: str,
        kind: str,
        answer: int | None,
        seconds: float | None,
        chosen: str,
    ) -> None:
        """Store an annotator's answer for a galaxy; it is on the disk when this returns.

        Parameters
        ----------
        question : str
            Its name: the next one in the tree, or an earlier one that is answered again.
        answer : int or None
            Number of the answer; None for skip and unsure.
        """
        current = self.tree[question]
        stored = self._event(who, row, current, event, kind, answer, seconds, chosen)
        with self._lock:
            self._refresh()
            annotator = self._annotator(who)
            path, following = annotator.path(row)
            if current not in (self.tree.root, following, *(self.tree[one.question] for one in path)):
                message = f"{question!r} is no longer a question about this galaxy; load the page again"
                raise LabelError(message)
            if row in annotator.begun:  # the choice of a galaxy applies to all of its questions
                stored = replace(stored, chosen=next(iter(annotator.answers(row).values())).chosen)
            self._store([stored])

    def answer_many(
        self,
        who: str,
        rows: Mapping[int, int | None],
        event: str,
        seconds: float | None,
        chosen: Mapping[int, str],
        otherwise: str = "skip",
    ) -> None:
        """Store many answers, all or none: numbers of answers by row; where there is None, `otherwise`."""
        each = None if seconds is None else seconds / max(len(rows), 1)
        events = [
            self._event(
                who,
                row,
                self.question,
                f"{event}-{row}",
                otherwise if one is None else "answer",
                one,
                each,
                chosen[row],
            )
            for row, one in rows.items()
        ]
        with self._lock:
            self._refresh()
            self._store(events)

    def _event(
        self,
        who: str,
        row: int,
        question: Question,
        event: str,
        kind: str,
        answer: int | None,
        seconds: float | None,
        chosen: str,
    ) -> Event:
        self.check(row)
        if kind not in ("answer", "skip", "unsure"):
            message = f"an event is one of answer, skip, unsure; received {kind[:40]!r}"
            raise LabelError(message)
        if (kind == "answer") != (answer is not None and 0 <= answer < len(question.answers)):
            message = f"the answers have the numbers 0 to {len(question.answers) - 1}; received {answer}"
            raise LabelError(message)
        # Only galaxies of the random sample may count as random, whatever a form says.
        if row in self._gold.answers:
            chosen = GOLD_TOLD if self.campaign.feedback else GOLD
        elif self.loop is not None and chosen == "random" and not self.loop.kept[row]:
            chosen = self.loop.strategy
        return Event(
            event,
            kind,
            who,
            self.ids[row],
            question.name,
            question.answers[answer] if answer is not None else "",
            seconds=seconds,
            model=self.model,
            session=self.id,
            chosen=chosen,
        )

    def _store(self, events: list[Event]) -> None:
        """Store events, with undos of answers on paths that they leave, and learn if there are enough."""
        new = [one for one in events if self.labels.find(one.event) is None]
        undos = [undo for one in new for undo in _undos(one.event, self._below(one))]
        self.labels.record([*undos, *events])
        self._refresh()
        self._learn()

    def _below(self, event: Event) -> list[Event]:
        row = self.ids.get(event.galaxy)
        return [] if row is None else self._annotator(event.who).below(row, event.question)

    def undo(self, who: str, event: str, undoes: str) -> int | None:
        """Withdraw an event, and later answers on its path; return the row of its galaxy.

        The row is None if the galaxy belongs to another source.
        """
        with self._lock:
            self._refresh()
            annotator = self._annotator(who)
            _, known = annotator.events.get(undoes, (0, None))
            if known is None:
                again = self.labels.find(event)
                if again is None or (again.who, again.undoes) != (who, undoes):
                    message = "there is nothing to undo"
                    raise LabelError(message)
                return self.ids.get(again.galaxy)
            self.labels.record([*_undos(event, self._below(known)), _undo(event, known)])
            self._refresh()
            row = self.ids.get(known.galaxy)
            if row is not None and row not in annotator.begun:
                annotator.ahead.appendleft((row, known.chosen))
            return row

    def batch(self, who: str, name: str) -> list[Event]:
        """Return the events of an annotator that were stored together, without those that were withdrawn."""
        with self._lock:
            self._refresh()
            return [one for _, one in self._annotator(who).events.values() if one.event.startswith(f"{name}-")]

    def undo_batch(self, who: str, event: str, undoes: str) -> int:
        """Withdraw what was stored together, and later answers on its paths, all or none; return how many galaxies."""
        with self._lock:
            known = self.batch(who, undoes)
            if not known and self.labels.find(f"{event}-1") is None:
                message = "there is nothing to undo"
                raise LabelError(message)
            below = {other.event: other for one in known for other in self._below(one)}
            self.labels.record(_undos(event, [*below.values(), *(one for one in known if one.event not in below)]))
            self._refresh()
            return len({one.galaxy for one in known})

    def untouched(self, who: str) -> NDArray[np.bool_]:
        """Return the galaxies that an annotator has neither seen nor requested, as a mask of shape (n,).

        Galaxies that anybody has answered for, and those of the random sample, are left out as well.
        """
        with self._lock:
            self._refresh()
            annotator, free = self._annotator(who), ~self._never
            if self.loop is not None:
                free &= ~self.loop.kept
            requested = (row for row, chosen in annotator.ahead if chosen == REQUESTED)
            taken = annotator.done.union(annotator.begun, requested, self._answered_rows())
            free[list(taken.union(self._gold.answers, self._redundancy.retired))] = False
            return free

    def _majority_answers(self, loop: Loop) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return rows and majority answers, in the order of answering.

        Galaxies of the random sample that have not been reached yet are left out, because an annotator picked them.
        """
        votes: dict[int, Counter[int]] = {}
        reached = -1
        last = [event for annotator in self._annotators.values() for event in annotator.latest(self.question.name)]
        for _, event in sorted(last, key=lambda one: one[0]):
            row = self.ids.get(event.galaxy)
            if row is None:
                continue
            if event.chosen == "random":
                reached = max(reached, self._sample_order.get(row, -1))
            if event.kind == "answer" and event.answer in self._numbers:
                votes.setdefault(row, Counter())[self._numbers[event.answer]] += 1
        learned = loop.embeddings.known.copy()
        learned[loop.apart[1 + reached :]] = False
        # Known galaxies were not drawn at random.
        learned[[row for row in self._gold.answers if loop.kept[row]]] = False
        given = [(row, counts.most_common(1)[0][0]) for row, counts in votes.items() if learned[row]]
        return np.array([row for row, _ in given], dtype=np.int64), np.array([one for _, one in given], dtype=np.int64)

    def _learn(self) -> None:
        if self.loop is not None:
            self.loop.learn_in_background(*self._majority_answers(self.loop))

    def prediction(self, row: int) -> dict[str, list[tuple[str, float]]]:
        """Return the probabilities of a galaxy, by the head and by the catalogue's model."""
        self.check(row)
        found: dict[str, list[tuple[str, float]]] = {}
        if self.loop is not None and self.loop.committee is not None and self.loop.embeddings.known[row]:
            chances = self.loop.committee.probabilities(features(self.loop.embeddings, np.array([row])))[0]
            found["learned from your answers"] = list(zip(self.question.answers, map(float, chances), strict=True))
        model = [(name, float(values[row])) for name, values in self.predictions.items() if np.isfinite(values[row])]
        if model:
            found["the catalogue's model"] = model
        return found

    def feedback(self, who: str, event: str) -> Feedback | None:
        """Return the feedback on the last answer; None if the galaxy was not a known one, or without feedback."""
        if not self.campaign.feedback:
            return None
        with self._lock:
            self._refresh()
            _, answer = self._annotator(who).events.get(event, (0, None))
        row = None if answer is None else self.ids.get(answer.galaxy)
        if answer is None or row is None or answer.kind not in ("answer", "unsure"):
            return None
        known = self._gold.answers.get(row, {}).get(answer.question)
        if known is None:
            return None
        return Feedback(row, answer, known, self.campaign.note(self.tree[answer.question], known))

    def retired(self) -> int:
        """Return the number of galaxies that need no further answers by the rules of the campaign."""
        with self._lock:
            self._refresh()
            return len(self._redundancy.retired)

    def state(self) -> int:
        """Return the number of the last event, which changes whenever something was said."""
        with self._lock:
            self._refresh()
            return self._seen_event

    def current(self, question: Question) -> tuple[int, dict[str, dict[int, Event]]]:
        """Return the last event of each annotator for each row, and the number of the last event of all."""
        with self._lock:
            self._refresh()
            found = {
                who: {
                    row: event
                    for _, event in annotator.latest(question.name)
                    if (row := self.ids.get(event.galaxy)) is not None
                }
                for who, annotator in sorted(self._annotators.items())
            }
            return self._seen_event, {who: events for who, events in found.items() if events}

    def said(self, row: int) -> list[Event]:
        """Return all events about a galaxy, in order."""
        self.check(row)
        return self.labels.about(self.ids[row], *self._names)

    def asked(self, who: str, row: int) -> list[tuple[Question, Event | None]]:
        """Return the questions that an annotator may answer about a galaxy, and the answers to them so far."""
        self.check(row)
        with self._lock:
            self._refresh()
            path, following = self._annotator(who).path(row)
        known: list[tuple[Question, Event | None]] = [(self.tree[one.question], one) for one in path]
        return [*known, *([] if following is None else [(following, None)])]

    def annotators(self) -> list[str]:
        """Return the names of the annotators who have answered."""
        with self._lock:
            self._refresh()
            return sorted(who for who, annotator in self._annotators.items() if annotator.events)

    def summary(self, question: Question) -> dict[str, Any]:
        """Return counts, agreement and skill for one question."""
        with self._lock:
            self._refresh()
            last = {who: annotator.latest(question.name) for who, annotator in self._annotators.items()}
        # By kind as well, because an answer may have the name of a kind.
        counts = {who: Counter((one.kind, one.answer) for _, one in events) for who, events in last.items() if events}
        found = agreement_of(question.name, (event for events in last.values() for _, event in events))
        known = self.labels.gold(question.name)
        events = (event for _, event in self.labels.history(question.name)) if known else ()
        return {"annotators": counts, "agreement": found, "gold": gold_skills(events, known)}


def _undo(name: str, event: Event) -> Event:
    return replace(event, event=name, kind="undo", answer="", at="", seconds=None, undoes=event.event)


def _undos(name: str, events: list[Event]) -> list[Event]:
    return [_undo(f"{name}-{number}", event) for number, event in enumerate(events, 1)]
