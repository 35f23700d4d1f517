"""Galaxies with answers to several questions, in memory, for training."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from peculiar.errors import LabelError
from peculiar.images.framing import Framing
from peculiar.questions.question import Question
from peculiar.questions.votes import UNKNOWN, Votes, count_votes
from peculiar.sources.dataset import warn_of_unreadable
from peculiar.sources.stream import Source
from peculiar.text import counted

NOTHING_READABLE = "none of the pictures can be read, so there is nothing to learn from"


@dataclass(frozen=True, slots=True)
class Answered:
    """Galaxies that each answer at least one of several questions.

    Parameters
    ----------
    questions : tuple of Question
        Questions with at least two different known answers.
    ids : list of str
        The same galaxy may occur in several sources.
    origins : ndarray of int, shape (n,)
        Number of the source of each row.
    pictures : ndarray of uint8, shape (n, size, size, 3 or more)
    labels : dict of str to ndarray of int, shape (n,)
        By question, the number of the answer, or `UNKNOWN`.
    trust : dict of str to ndarray of float32, shape (n,)
        By question, the weight of each label, 0 to 1.
    shares : dict of str to ndarray of float32, shape (n, answers)
        Vote fractions, only for questions with votes. Their labels are the majority answers, unknown for ties, and
        their trust is the weight of the fractions.
    bases : dict of str to list of (str or None)
        By question, the origin of each label, if known.
    surveys : list of (str or None)
        The survey of each picture (column ``survey``).
    """

    questions: tuple[Question, ...]
    ids: list[str]
    origins: NDArray[np.intp]
    pictures: NDArray[np.uint8]
    labels: dict[str, NDArray[np.int64]]
    trust: dict[str, NDArray[np.float32]]
    bases: dict[str, list[str | None]]
    surveys: list[str | None]
    shares: dict[str, NDArray[np.float32]] = field(default_factory=dict)

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.ids)


def read_answered(
    sources: Sequence[Source],
    questions: Sequence[Question],
    framing: Framing,
    *,
    prepare: Callable[[NDArray[np.uint8]], NDArray[np.uint8]] = lambda picture: picture,
    progress: Callable[[int, int], object] = lambda done, total: None,
) -> Answered:
    """Read the pictures of sources that answer at least one of several questions.

    Parameters
    ----------
    sources : sequence of Source
    questions : sequence of Question
        Each is searched in its column, or its columns of votes, of every source.
    framing : Framing
        Crop and size of the pictures.
    prepare : callable
        Change of each framed picture before it is kept.
    progress : callable
        Called regularly with the numbers of pictures read and to read.

    Returns
    -------
    Answered

    Raises
    ------
    LabelError
        If a label is not an answer to its question, or no question has two different answers.
    """
    votes = {question.name: _all_votes(sources, question) for question in questions if question.votes}
    columns = {
        question.name: [answer for source in sources for answer in answers_to(source, question)]
        for question in questions
    }
    asked = tuple(question for question in questions if len(set(columns[question.name]) - {None}) > 1)
    places = " and ".join(str(source.path) for source in sources)
    if not asked:
        names = ", ".join(name for question in questions for name in question.columns)
        message = f"{places}: none of the columns {names} has two different answers to learn from"
        raise LabelError(message)
    rows = zip(*(columns[question.name] for question in asked), strict=True)
    known = np.array([any(answer is not None for answer in answers) for answers in rows])
    for told in votes.values():
        known |= told.trust > 0
    blank = prepare(np.zeros((framing.size, framing.size, 3), dtype=np.uint8))
    pictures = np.empty((int(known.sum()), *blank.shape), dtype=np.uint8)
    kept: list[int] = []
    ids: list[str] = []
    problems: dict[str, str] = {}
    # Row numbers count over all sources.
    numbered = enumerate(galaxy for source in sources for galaxy in source.galaxies(framing))
    for row, galaxy in numbered:
        if not known[row]:
            continue
        if galaxy.picture is None:
            problems[galaxy.id] = str(galaxy.problem)
            continue
        pictures[len(kept)] = prepare(galaxy.picture)
        kept.append(row)
        ids.append(galaxy.id)
        if len(kept) % 100 == 0 or len(kept) == len(pictures):
            progress(len(kept), len(pictures))
    if problems:
        warn_of_unreadable(problems, len(pictures))
    labels: dict[str, NDArray[np.int64]] = {}
    trust: dict[str, NDArray[np.float32]] = {}
    bases: dict[str, list[str | None]] = {}
    for question in asked:
        numbers: dict[str | None, int] = {None: UNKNOWN} | {
            answer: number for number, answer in enumerate(question.answers)
        }
        labels[question.name] = np.array([numbers[columns[question.name][row]] for row in kept], dtype=np.int64)
        basis = [entry for source in sources for entry in source.column(question.basis)]
        bases[question.name] = [basis[row] for row in kept]
        trusted = dict(question.trust)
        trust[question.name] = np.array([trusted.get(entry or "", 1) for entry in bases[question.name]], np.float32)
        if question.votes:
            trust[question.name] = votes[question.name].trust[kept]
    origins = np.concatenate([np.full(len(source), number) for number, source in enumerate(sources)])
    surveys = [entry for source in sources for entry in source.column("survey")]
    return Answered(
        questions=asked,
        ids=ids,
        origins=origins[kept],
        pictures=pictures[: len(kept)],
        labels=labels,
        trust=trust,
        bases=bases,
        surveys=[surveys[row] for row in kept],
        shares={question.name: votes[question.name].shares[kept] for question in asked if question.votes},
    )


def answers_to(source: Source, question: Question) -> list[str | None]:
    """Return the answer, or majority answer, of every row of a source to a question; None if there is none.

    Raises
    ------
    LabelError
        If a value is not an answer, or not a number of votes.
    """
    if question.votes:
        return [None if one == UNKNOWN else question.answers[one] for one in read_votes(source, question).labels]
    answers = [None if entry in question.silent else entry for entry in source.column(question.column)]
    question.check(answers, source.path)
    return answers


def read_votes(source: Source, question: Question) -> Votes:
    """Return the votes of every row of a source on a question.

    Raises
    ------
    LabelError
        If a value is not a number of votes.
    """
    entries = [source.column(name) for name in question.columns]
    votes = np.array([[_number(entry) for entry in column] for column in entries], dtype=np.float64)
    votes = votes.T.reshape(len(source), len(question.columns))
    wrong = np.argwhere(~(np.isfinite(votes) & (votes >= 0)))
    if len(wrong):
        row, column = wrong[0]
        name = question.columns[column]
        message = (
            f"{source.path}: {len(wrong):,} entries of {', '.join(question.columns)} are not numbers of votes; the "
            f"first is {entries[column][row]!r} in {name}, of {source.ids()[row]}"
        )
        raise LabelError(message)
    if len(question.votes) == len(question.answers):
        return count_votes(votes)
    given = np.array([entry is not None for entry in entries[0]])
    return count_votes(_with_rest(source, question, votes, given))


def _with_rest(
    source: Source, question: Question, votes: NDArray[np.float64], given: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Return votes with those for the first answer, which has no column: what the others leave of the total."""
    others, total = (votes[:, :-1], votes[:, -1]) if question.total else (votes, given.astype(np.float64))
    rest = total - others.sum(axis=1)
    more = np.flatnonzero(rest < -1e-3)
    if len(more):
        what = question.total or "1, the total of fractions"
        message = (
            f"{source.path}: {counted(len(more), 'galaxy', 'have', 'has')} more votes in {', '.join(question.votes)} "
            f"than in {what}; the first is {source.ids()[more[0]]}. Name the column with the number of people asked "
            "(total = ..., in the TOML file)"
        )
        raise LabelError(message)
    return np.column_stack([np.maximum(rest, 0), others])


def _all_votes(sources: Sequence[Source], question: Question) -> Votes:
    told = [read_votes(source, question) for source in sources]
    return Votes(*(np.concatenate([getattr(one, part) for one in told]) for part in ("shares", "trust", "labels")))


def _number(entry: str | None) -> float:
    try:
        number = float(entry or 0)
    except ValueError:
        return -1.0
    return 0.0 if math.isnan(number) else number
