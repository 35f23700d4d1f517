"""Labelled galaxies of a source in memory, ready for training."""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from peculiar.errors import LabelError, PeculiarWarning, UnreadablePictureWarning
from peculiar.images.decode import encode_picture
from peculiar.images.framing import Framing
from peculiar.notebook import Markup, bar, card, escaped, table, thumbnail
from peculiar.questions.question import QUESTIONS, Question, question_for
from peculiar.questions.spelling import odd_names, one_hot
from peculiar.sources.stream import Galaxy, Source
from peculiar.text import counted, shown

# Number of columns of a table without labels that are checked for labels.
_MOST_COLUMNS = 60

# Examples of a class that a notebook shows.
_SHOWN = 6


@dataclass(frozen=True, slots=True, repr=False)
class Dataset:
    """Labelled galaxies in memory, ready for training.

    Parameters
    ----------
    question : Question
        Its answers are the classes.
    ids : list of str
    pictures : ndarray of uint8, shape (n, size, size, 3)
    labels : ndarray of int, shape (n,)
        Number of the class, in the order of the question's answers.
    problems : dict of str to str
        Labelled galaxies that were left out, and why.

    Examples
    --------
    >>> import numpy as np
    >>> from peculiar import FOUR_CLASS, Dataset
    >>> pictures = np.zeros((2, 128, 128, 3), np.uint8)
    >>> len(Dataset(FOUR_CLASS, ["a", "b"], pictures, np.array([0, 3]), {}))
    2
    """

    question: Question
    ids: list[str]
    pictures: NDArray[np.uint8]
    labels: NDArray[np.int64]
    problems: dict[str, str]

    def __len__(self) -> int:
        """Return the number of galaxies."""
        return len(self.ids)

    def counts(self) -> dict[str, int]:
        """Return the number of galaxies of each class, in the order of the question's answers."""
        numbers = np.bincount(self.labels, minlength=len(self.question.answers)).tolist()
        return dict(zip(self.question.answers, numbers, strict=True))

    def __repr__(self) -> str:
        """Return the galaxies in a few lines: how many, of which classes and size."""
        classes = ", ".join(f"{shown(name)} {count:,}" for name, count in self.counts().items())
        height, width = self.pictures.shape[1:3]
        left = f"\n  {len(self.problems):,} left out, since their pictures cannot be read" if self.problems else ""
        return (
            f"Dataset: {counted(len(self), 'galaxy')}, pictures of {width} x {height} pixels\n"
            f"  {shown(self.question.name)}: {classes}{left}"
        )

    def _repr_html_(self) -> str:
        """Return the galaxies for a notebook: the number of each class with a bar, and some of its pictures."""
        most = max(self.counts().values(), default=0) or 1
        rows = []
        for number, (name, count) in enumerate(self.counts().items()):
            some = np.flatnonzero(self.labels == number)[:_SHOWN]
            pictures = (thumbnail(encode_picture(self.pictures[row], "JPEG"), self.ids[row]) for row in some)
            rows.append([escaped(name), bar(count / most, f"{count:,}"), Markup("".join(pictures))])
        title = repr(self).partition("\n")[0]
        return card(title, [table([self.question.name, "galaxies", "examples"], rows)])

    def take(self, rows: NDArray[np.intp]) -> Iterator[Galaxy]:
        """Yield the galaxies of rows."""
        for row in rows:
            yield Galaxy(self.ids[row], self.pictures[row], self.question.answers[self.labels[row]])


def warn_of_names(path: Path, labels: Sequence[str | None], name: str) -> None:
    """Warn of suspicious class names; see `peculiar.questions.spelling`."""
    meant = QUESTIONS.get(name)
    for sentence in odd_names(labels, name, meant.answers if meant else ()):
        warnings.warn(f"{path}: {sentence}", PeculiarWarning, stacklevel=3)


def warn_of_unreadable(problems: Mapping[str, str], total: int, *, stacklevel: int = 3) -> None:
    """Warn of pictures that are left out: `problems` has the reasons by id, `total` is the number of all pictures."""
    first = next(iter(problems))
    message = (
        f"{len(problems):,} of {counted(total, 'picture')} cannot be read and {'is' if len(problems) == 1 else 'are'} "
        f"left out; the first is {first}: {problems[first]}"
    )
    warnings.warn(message, UnreadablePictureWarning, stacklevel=stacklevel)


def how_to_label(source: Source) -> str:
    """Return how labels can be given to a source that has none, as part of a sentence."""
    if hint := one_hot({name: source.column(name) for name in source.columns[:_MOST_COLUMNS]}):
        return hint
    if source.columns:
        return f"name the column that holds them (--label); there are: {', '.join(source.columns)}"
    return "put the pictures into one sub-folder per class, or give a table with a column of labels"


def read_dataset(
    source: Source, framing: Framing | None = None, *, progress: Callable[[int, int], object] = lambda done, total: None
) -> Dataset:
    """Read the labelled galaxies of a source into memory, 49 kB each at 128 x 128.

    Parameters
    ----------
    source : Source
    framing : Framing, optional
        Crop and size of the pictures.
    progress : callable
        Called regularly with the numbers of galaxies read and to read.

    Returns
    -------
    Dataset

    Raises
    ------
    LabelError
        If there are no labels, or fewer than two classes.

    Warns
    -----
    UnreadablePictureWarning
        If pictures cannot be read; they are left out.

    Examples
    --------
    >>> import peculiar
    >>> dataset = peculiar.read_dataset(peculiar.open_source("my_classes"))
    >>> dataset.pictures.shape, dataset.question.answers
    ((24, 128, 128, 3), ('edge_on', 'face_on'))
    """
    framing = framing or Framing()
    known = [label for label in source.labels() if label is not None]
    if not known:
        message = f"{source.path}: no galaxy has a label; {how_to_label(source)}"
        raise LabelError(message)
    warn_of_names(source.path, known, source.label or "label")
    question = question_for(source.label or "label", known)
    if len(set(known)) < 2:
        message = f"{source.path}: all {len(known)} labels are {known[0]!r}; at least two classes are needed"
        raise LabelError(message)
    pictures = np.empty((len(known), framing.size, framing.size, 3), dtype=np.uint8)
    numbers = {answer: number for number, answer in enumerate(question.answers)}
    ids: list[str] = []
    labels: list[int] = []
    problems: dict[str, str] = {}
    for galaxy in source.galaxies(framing, labelled_only=True):
        if galaxy.picture is None or galaxy.label is None:
            problems[galaxy.id] = galaxy.problem or ""
            continue
        pictures[len(ids)] = galaxy.picture
        ids.append(galaxy.id)
        labels.append(numbers[galaxy.label])
        if len(ids) % 100 == 0 or len(ids) == len(known):
            progress(len(ids), len(known))
    if problems:
        warn_of_unreadable(problems, len(known))
    if len(set(labels)) < 2:
        message = (
            f"{source.path}: only {len(ids)} of {len(known)} labelled pictures can be read, and they have fewer than "
            "two classes; at least two are needed"
        )
        raise LabelError(message)
    return Dataset(question, ids, pictures[: len(ids)], np.array(labels, dtype=np.int64), problems)
