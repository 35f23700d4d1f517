"""One annotator: the answers given, and the place reached in the decision tree."""

from collections import deque
from dataclasses import dataclass, field

from peculiar.labelling.database import Event
from peculiar.questions.question import Question, Tree


@dataclass(slots=True)
class Person:
    """One who answers.

    Parameters
    ----------
    tree : Tree
        What is asked of every galaxy.

    Attributes
    ----------
    events : dict of str to (int, Event)
        What is not undone, in order: number and event, by the event's name.
    done, begun : set of int, dict of int to None
        Rows of galaxies whose path has ended, and of those in the middle of it, the last that was answered for last.
    ahead : deque of (int, str)
        Rows that come next, and how they were chosen.
    """

    tree: Tree
    events: dict[str, tuple[int, Event]] = field(default_factory=dict)
    done: set[int] = field(default_factory=set)
    begun: dict[int, None] = field(default_factory=dict)
    ahead: deque[tuple[int, str]] = field(default_factory=deque)
    _by_row: dict[int, dict[str, Event]] = field(default_factory=dict)

    @property
    def last(self) -> Event | None:
        """What an undo would take back."""
        return next(reversed(self.events.values()))[1] if self.events else None

    def add(self, number: int, event: Event, row: int | None) -> None:
        """Take in an event; its row is None where the galaxy is of another source."""
        self.events[event.event] = (number, event)
        if row is not None:
            self._by_row.setdefault(row, {})[event.event] = event
            self._place(row)

    def drop(self, name: str, row: int | None) -> Event | None:
        """Take an event back; return it, if it was there."""
        _, event = self.events.pop(name, (0, None))
        if event is not None and row is not None:
            del self._by_row[row][name]
            self._place(row)
        return event

    def _place(self, row: int) -> None:
        said = self.said(row)
        self.done.discard(row)
        self.begun.pop(row, None)
        if self.path(row)[1] is None or any(event.kind == "skip" for event in said.values()):
            self.done.add(row)
        elif said:
            self.begun[row] = None

    def said(self, row: int) -> dict[str, Event]:
        """Return the last word on a galaxy, by question."""
        return {event.question: event for event in self._by_row.get(row, {}).values()}

    def path(self, row: int) -> tuple[list[Event], Question | None]:
        """Return what was said of a galaxy from the first question on, and what is asked next, if anything."""
        said, path = self.said(row), list[Event]()
        question: Question | None = self.tree.root
        while question is not None and (event := said.get(question.name)) is not None:
            path.append(event)
            question = None if event.kind == "skip" else self.tree.after(question.name, event.answer)
        return path, question

    def below(self, row: int, question: str) -> list[Event]:
        """Return what was said of a galaxy further down its path than a question."""
        path, _ = self.path(row)
        places = [place for place, event in enumerate(path) if event.question == question]
        return path[places[0] + 1 :] if places else []

    def latest(self, question: str) -> list[tuple[int, Event]]:
        """Return the last event of each galaxy that is about a question."""
        about = (told for told in self.events.values() if told[1].question == question)
        return list({event.galaxy: (number, event) for number, event in about}.values())
