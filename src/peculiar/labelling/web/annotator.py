"""One annotator: the answers given, and the place reached in the decision tree."""

from collections import deque
from dataclasses import dataclass, field

from peculiar.labelling.database import Event
from peculiar.questions.question import Question, Tree


@dataclass(slots=True)
class Annotator:
    """An annotator.

    Parameters
    ----------
    tree : Tree
        The questions for every galaxy.

    Attributes
    ----------
    events : dict of str to (int, Event)
        Events that are not undone, in order: number and event, by name.
    done, begun : set of int, dict of int to None
        Rows of finished galaxies, and of begun ones, the most recent last.
    ahead : deque of (int, str)
        The next rows, and how they were chosen.
    """

    tree: Tree
    events: dict[str, tuple[int, Event]] = field(default_factory=dict)
    done: set[int] = field(default_factory=set)
    begun: dict[int, None] = field(default_factory=dict)
    ahead: deque[tuple[int, str]] = field(default_factory=deque)
    _by_row: dict[int, dict[str, Event]] = field(default_factory=dict)

    @property
    def last(self) -> Event | None:
        """The event that an undo would withdraw."""
        return next(reversed(self.events.values()))[1] if self.events else None

    def add(self, number: int, event: Event, row: int | None) -> None:
        """Add an event; its row is None if the galaxy belongs to another source."""
        self.events[event.event] = (number, event)
        if row is not None:
            self._by_row.setdefault(row, {})[event.event] = event
            self._place(row)

    def drop(self, name: str, row: int | None) -> Event | None:
        """Withdraw an event; return it, if it exists."""
        _, event = self.events.pop(name, (0, None))
        if event is not None and row is not None:
            del self._by_row[row][name]
            self._place(row)
        return event

    def _place(self, row: int) -> None:
        answers = self.answers(row)
        self.done.discard(row)
        self.begun.pop(row, None)
        if self.path(row)[1] is None or any(event.kind == "skip" for event in answers.values()):
            self.done.add(row)
        elif answers:
            self.begun[row] = None

    def answers(self, row: int) -> dict[str, Event]:
        """Return the current answers for a galaxy, by question."""
        return {event.question: event for event in self._by_row.get(row, {}).values()}

    def path(self, row: int) -> tuple[list[Event], Question | None]:
        """Return the answers for a galaxy from the first question on, and the next question, if any."""
        answers, path = self.answers(row), list[Event]()
        question: Question | None = self.tree.root
        while question is not None and (event := answers.get(question.name)) is not None:
            path.append(event)
            question = None if event.kind == "skip" else self.tree.after(question.name, event.answer)
        return path, question

    def below(self, row: int, question: str) -> list[Event]:
        """Return the answers for a galaxy after a question on its path."""
        path, _ = self.path(row)
        places = [place for place, event in enumerate(path) if event.question == question]
        return path[places[0] + 1 :] if places else []

    def latest(self, question: str) -> list[tuple[int, Event]]:
        """Return the last event of each galaxy for a question."""
        about = (one for one in self.events.values() if one[1].question == question)
        return list({event.galaxy: (number, event) for number, event in about}.values())
