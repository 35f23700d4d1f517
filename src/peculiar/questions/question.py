"""Questions about a galaxy and their answers, as data.

The order of a question's answers is the order of its classes everywhere: in one-hot labels, in the outputs of a
network, in the columns of a catalogue. Questions whose answers lead to further questions form a decision tree.
"""

import difflib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from peculiar.errors import LabelError, UnknownNameError
from peculiar.questions.spelling import number_meanings
from peculiar.text import counted


@dataclass(frozen=True, slots=True)
class Question:
    """One question with mutually exclusive answers.

    Parameters
    ----------
    name : str
    answers : tuple of str
        In the order of the classes.
    meanings : tuple of str
        What each answer says about a galaxy, in the same order; optional.
    column : str
        The column that holds its labels; default: the name of the question.
    silent : tuple of str
        Values of that column that are not answers.
    basis : str
        The column with the origin of a label, if there is one.
    trust : tuple of (str, float)
        Weight of the labels of each basis in training, 0 to 1; others have weight 1.
    asks : str
        The question as people read it; default: its name.
    votes : tuple of str
        For a question with votes: the column of each answer, with counts or fractions. Then there is no column of
        labels. If the first answer has none, its votes are the rest of `total`.
    total : str
        The column with the number of people asked, if the first answer has no column of votes; empty for fractions,
        whose total is 1.
    after : tuple of (str, str)
        In a decision tree, the questions and answers that lead to it; empty if everyone is asked.

    Examples
    --------
    >>> from peculiar import Question
    >>> Question("bar", ("bar", "no bar")).asks
    'bar?'
    """

    name: str
    answers: tuple[str, ...]
    meanings: tuple[str, ...] = ()
    column: str = ""
    silent: tuple[str, ...] = ()
    basis: str = ""
    trust: tuple[tuple[str, float], ...] = ()
    asks: str = ""
    votes: tuple[str, ...] = ()
    total: str = ""
    after: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        """Set the defaults of `column` and `asks` from the name."""
        if not self.column:
            object.__setattr__(self, "column", self.name)
        if not self.asks:
            object.__setattr__(self, "asks", self.name.replace("_", " ") + "?")

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that its answers are read from: those of the votes and of their total, or that of the labels."""
        return (*self.votes, *filter(None, [self.total])) if self.votes else (self.column,)

    @property
    def yes_or_no(self) -> bool:
        """True if its answers are yes and no, which many questions have."""
        return {answer.casefold() for answer in self.answers} == {*SEVERAL}

    def check(self, labels: Iterable[str | None], path: Path) -> None:
        """Raise `LabelError` if labels, found in `path`, are not answers. None is an unknown label, and allowed."""
        strange = Counter(label for label in labels if label is not None and label not in self.answers)
        if strange:
            label, count = strange.most_common(1)[0]
            close = difflib.get_close_matches(label.strip(), self.answers, n=1)
            hint = f" (did you mean {close[0]!r}?)" if close else ""
            meanings = number_meanings(strange, self.answers)
            advice = f"; if the numbers stand for {meanings}, write these names in their place" if meanings else ""
            message = (
                f"{path}: {counted(strange.total(), 'galaxy', 'have', 'has')} labels that are not answers to "
                f"{self.name!r}; the most frequent is {label!r}, {counted(count, 'time')}{hint}. The "
                f"answers are: {', '.join(self.answers)}{advice}"
            )
            raise LabelError(message)


@dataclass(frozen=True, slots=True)
class Tree:
    """A decision tree of questions; a single question is a tree of one.

    Parameters
    ----------
    name : str
    questions : tuple of Question
        The first is asked first.
    leads : mapping of (str, str) to str
        By question and answer, the question that is asked next; other answers end the path. Several answers may lead to
        the same question, so that branches meet again.

    Raises
    ------
    LabelError
        If two questions have the same name, an answer leads nowhere or in a circle, or a question cannot be reached.
    """

    name: str
    questions: tuple[Question, ...]
    leads: Mapping[tuple[str, str], str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check that every path begins at the first question and ends."""
        names = [question.name for question in self.questions]
        problems = [f"two questions are called {name!r}" for name, count in Counter(names).items() if count > 1]
        if not names:
            problems.append("there is no question")
        for (asked, answer), to in self.leads.items():
            if asked not in names or answer not in self[asked].answers:
                problems.append(f"{asked!r} has no answer {answer!r} that could lead to {to!r}")
            if to not in names:
                problems.append(f"{answer!r} to {asked!r} leads to {to!r}, and there is no such question")
        if not problems:
            following = {name: {to for (asked, _), to in self.leads.items() if asked == name} for name in names}
            problems += _circles(following) + _lost(names, following)
        if problems:
            message = f"the questions of {self.name!r} do not form a tree: {'; '.join(problems)}"
            raise LabelError(message)

    @property
    def root(self) -> Question:
        """The question that is asked first."""
        return self.questions[0]

    def __getitem__(self, name: str) -> Question:
        """Return a question by its name; raises `UnknownNameError` if there is none."""
        for question in self.questions:
            if question.name == name:
                return question
        raise UnknownNameError("question", name, [question.name for question in self.questions])

    def after(self, name: str, answer: str) -> Question | None:
        """Return the question after an answer; None if the path ends.

        An empty answer (unsure) leads on if all answers lead to the same question.
        """
        reached = {self.leads.get((name, one)) for one in ([answer] if answer else self[name].answers)}
        following = reached.pop() if len(reached) == 1 else None
        return None if following is None else self[following]


def _circles(following: Mapping[str, set[str]]) -> list[str]:
    try:
        TopologicalSorter(following).prepare()
    except CycleError as error:
        return [f"they form a circle: {' > '.join(reversed(error.args[1]))}"]
    return []


def _lost(names: list[str], following: Mapping[str, set[str]]) -> list[str]:
    reached, waiting = set(names[:1]), names[:1]
    while waiting:
        new = following[waiting.pop()] - reached
        reached |= new
        waiting += new
    return [f"no answer leads to {name!r}" for name in names if name not in reached]


SEVERAL = ("no", "yes")
"""Answers to the question whether an answer is among several that people gave at once."""


FOUR_CLASS = Question(
    "four_class",
    ("Normal", "Ringed", "Merger", "Other"),
    (
        "no identifying characteristics",
        "a ring around or within the galaxy",
        "two or more galaxies merging",
        "irregular: disturbed, lensing, a dust lane or another oddity",
    ),
    asks="What kind of galaxy is this?",
    basis="four_class_basis",
    # Only some of the DECaLS galaxies with a ring have the tag: plain rings and disturbed galaxies are among the
    # untagged. Automated looks agree with volunteers at 86-90 % if they were certain, and at 60-80 % if not.
    trust=(("ring_tag", 0.5), ("no_ring_tag", 0.5), ("two_looks", 0.8), ("weak_looks", 0.35)),
)
"""The exercise's four classes."""

KINDS_OF_ODD = FOUR_CLASS.answers[1:]
"""The answers to `FOUR_CLASS` that mean that a galaxy is odd."""

CLEAN5 = Question(
    "clean5",
    ("round", "in_between", "cigar", "edge_on", "spiral"),
    (
        "smooth and round",
        "smooth, between round and cigar-shaped",
        "smooth and cigar-shaped",
        "a disc seen edge-on",
        "a disc with spiral arms",
    ),
    asks="What shape does the galaxy have?",
)
"""Five-way morphology of galaxies that Galaxy Zoo 2 volunteers agreed on (Willett et al. 2013)."""

ODD = Question(
    "odd",
    ("not_odd", "odd"),
    ("nothing odd about it", "something odd: a ring, a merger, a disturbance, a lens, a dust lane"),
    asks="Is there anything odd about the galaxy?",
    column="gz2_argmax",
    silent=("smooth", "features", "artifact"),
)
"""Whether Galaxy Zoo 2 volunteers agreed that something about a galaxy is odd (Willett et al. 2013, task 06)."""

GALAXY10_DECALS = Question(
    "galaxy10_decals",
    (
        "disturbed",
        "merging",
        "round_smooth",
        "in_between_round_smooth",
        "cigar_shaped_smooth",
        "barred_spiral",
        "unbarred_tight_spiral",
        "unbarred_loose_spiral",
        "edge_on_without_bulge",
        "edge_on_with_bulge",
    ),
    asks="What shape does the galaxy have?",
)
"""The classes of Galaxy10 DECaLS, in the order of its numbers 0 to 9 (Leung & Bovy; Walmsley et al. 2022)."""

GALAXY10_SDSS = Question(
    "galaxy10_sdss",
    (
        "face_on_no_spiral",
        "completely_round_smooth",
        "in_between_round_smooth",
        "cigar_shaped_smooth",
        "edge_on_rounded_bulge",
        "edge_on_boxy_bulge",
        "edge_on_no_bulge",
        "tight_spiral",
        "medium_spiral",
        "loose_spiral",
    ),
    asks="What shape does the galaxy have?",
)
"""The classes of Galaxy10 SDSS, in the order of its numbers 0 to 9 (Leung & Bovy; Lintott et al. 2011)."""

GALAXY_MNIST = Question(
    "galaxy_mnist",
    ("smooth_round", "smooth_cigar", "edge_on_disk", "unbarred_spiral"),
    (
        "smooth and round",
        "smooth and cigar-shaped",
        "a disc seen edge-on",
        "a disc with spiral arms and without a bar",
    ),
    asks="What shape does the galaxy have?",
)
"""The classes of GalaxyMNIST, in the order of its numbers 0 to 3 (Walmsley et al. 2022, MNRAS 509, 3966)."""

QUESTIONS = {question.name: question for question in (FOUR_CLASS, CLEAN5, GALAXY10_DECALS, GALAXY10_SDSS, GALAXY_MNIST)}


def question_for(name: str, labels: Iterable[str]) -> Question:
    """Find the question that labels answer.

    Parameters
    ----------
    name : str
        Name of the column, or another name of the labels.
    labels : iterable of str
        The labels that occur.

    Returns
    -------
    Question
        A question of this module whose answers include the labels (one of that name first), otherwise a new one with
        the labels in alphabetical order.
    """
    found = set(labels)
    for question in sorted(QUESTIONS.values(), key=lambda question: question.name != name):
        if found and found <= set(question.answers):
            return question
    return Question(name, tuple(sorted(found)))


def answering(
    questions: Sequence[Question],
    column: str | None,
    labels: Iterable[str | None],
    *,
    taught: Question | None = None,
) -> Question | None:
    """Return the question that a column of labels answers; None if there is none.

    Among the questions whose answers include all labels, it is the one that a model was taught last, otherwise the one
    with the name of the column, otherwise the first. If there is none, it is the question with the name of the column.
    Yes and no do not tell questions apart: if these were taught, the question with the name of the column comes first.

    Parameters
    ----------
    questions : sequence of Question
    column : str or None
    labels : iterable of (str or None)
        Values of the column; None is an unknown label.
    taught : Question, optional
        Which of them a model was taught last.
    """
    found = {label for label in labels if label is not None}
    called = [one for one in questions if column in (one.name, one.column)]
    last = [] if taught is None or (called and taught.yes_or_no) else [taught]
    fitting = [one for one in (*last, *called, *questions) if found and found <= {*one.answers, *one.silent}]
    return next(iter((*fitting, *called)), None)
