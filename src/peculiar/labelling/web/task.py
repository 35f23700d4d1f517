"""One question about one galaxy, as an annotator is asked it. No web code."""

from dataclasses import dataclass

from peculiar.labelling.database import Event
from peculiar.questions.question import Question


@dataclass(frozen=True, slots=True)
class Task:
    """A galaxy and the question to answer about it.

    Parameters
    ----------
    row : int
    id : str
    question : Question
    path : tuple of Event
        The annotator's answers for this galaxy on the path to the question.
    chosen : str
        How it was chosen; empty for a galaxy that was already begun.
    event : str
        Name of the event for the answer.
    done : int
        Number of galaxies that the annotator has finished.
    last : Event or None
        The event that an undo would withdraw.
    before : Event or None
        The annotator's earlier answer to this question for this galaxy.
    """

    row: int
    id: str
    question: Question
    path: tuple[Event, ...]
    chosen: str
    event: str
    done: int
    last: Event | None
    before: Event | None


@dataclass(frozen=True, slots=True)
class Feedback:
    """Feedback on an answer for a known galaxy.

    Parameters
    ----------
    row : int
    answer : Event
    known : str
        The known answer.
    note : str
        What the field guide says of the known answer; may be empty.
    """

    row: int
    answer: Event
    known: str
    note: str
