"""Many galaxies with the answers to many questions, in memory: what the model that ships learns from."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from peculiar.errors import LabelError, UnreadablePictureWarning
from peculiar.image import Framing
from peculiar.schema import Question
from peculiar.sources.stream import Source

UNKNOWN = -1
"""Label of a galaxy whose answer is not known."""


@dataclass(frozen=True, slots=True)
class Answered:
    """Galaxies that each answer at least one of several questions.

    Parameters
    ----------
    questions : tuple of Question
        Those that at least two different answers are known to.
    ids : list of str
        The same galaxy may occur in several sources.
    origins : ndarray of int, shape (n,)
        Number of the source that each row comes from.
    pictures : ndarray of uint8, shape (n, size, size, 3)
    labels : dict of str to ndarray of int, shape (n,)
        By question, the number of the answer; `UNKNOWN` where it is not known.
    trust : dict of str to ndarray of float32, shape (n,)
        By question, how far each label counts, 0 to 1.
    bases : dict of str to list of (str or None)
        By question, where each label comes from, if that is known.
    surveys : list of (str or None)
        The survey that each picture comes from (column ``survey``).
    """

    questions: tuple[Question, ...]
    ids: list[str]
    origins: NDArray[np.intp]
    pictures: NDArray[np.uint8]
    labels: dict[str, NDArray[np.int64]]
    trust: dict[str, NDArray[np.float32]]
    bases: dict[str, list[str | None]]
    surveys: list[str | None]

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.ids)


def read_answered(
    sources: Sequence[Source],
    questions: Sequence[Question],
    framing: Framing,
    *,
    progress: Callable[[int, int], object] = lambda done, total: None,
) -> Answered:
    """Read the pictures of several sources that answer at least one of several questions.

    Parameters
    ----------
    sources : sequence of Source
    questions : sequence of Question
        Each is looked for in its column of every source.
    framing : Framing
        How pictures are cut and sized.
    progress : callable
        Called now and then with the numbers of pictures read and to read.

    Returns
    -------
    Answered

    Raises
    ------
    LabelError
        If a label is none of its question's answers, or no question has two different answers.
    """
    columns = {
        question.name: [answer for source in sources for answer in _answers(source, question)] for question in questions
    }
    asked = tuple(question for question in questions if len(set(columns[question.name]) - {None}) > 1)
    places = " and ".join(str(source.path) for source in sources)
    if not asked:
        names = ", ".join(question.column for question in questions)
        message = f"{places}: none of the columns {names} has two different answers to learn from"
        raise LabelError(message)
    rows = zip(*(columns[question.name] for question in asked), strict=True)
    known = np.array([any(answer is not None for answer in answers) for answers in rows])
    pictures = np.empty((int(known.sum()), framing.size, framing.size, 3), dtype=np.uint8)
    kept: list[int] = []
    ids: list[str] = []
    problems: list[str] = []
    # Numbered over all sources, one after the other.
    numbered = enumerate(galaxy for source in sources for galaxy in source.galaxies(framing))
    for row, galaxy in numbered:
        if not known[row]:
            continue
        if galaxy.picture is None:
            problems.append(f"{galaxy.id}: {galaxy.problem}")
            continue
        pictures[len(kept)] = galaxy.picture
        kept.append(row)
        ids.append(galaxy.id)
        if len(kept) % 100 == 0 or len(kept) == len(pictures):
            progress(len(kept), len(pictures))
    if problems:
        message = (
            f"{len(problems)} of {len(pictures)} pictures cannot be read and are left out; the first is {problems[0]}"
        )
        warnings.warn(message, UnreadablePictureWarning, stacklevel=2)
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
    origins = np.concatenate([np.full(len(source), number) for number, source in enumerate(sources)])
    surveys = [entry for source in sources for entry in source.column("survey")]
    return Answered(
        asked, ids, origins[kept], pictures[: len(kept)], labels, trust, bases, [surveys[row] for row in kept]
    )


def _answers(source: Source, question: Question) -> list[str | None]:
    """Return the answer of every row of a source to a question, None where it says nothing."""
    answers = [None if entry in question.silent else entry for entry in source.column(question.column)]
    question.check(answers, source.path)
    return answers
