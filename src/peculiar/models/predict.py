"""Pictures to probabilities."""

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from peculiar.errors import UsageError
from peculiar.images.framing import Framing
from peculiar.questions.question import Question
from peculiar.sources.stream import Galaxy, Source


class Classifier(Protocol):
    """The interface of everything that returns probabilities."""

    @property
    def question(self) -> Question:
        """The question that it answers."""

    @property
    def framing(self) -> Framing:
        """Framing of its pictures."""

    def probabilities(self, pictures: NDArray[np.uint8], *, framed: bool = False) -> NDArray[np.float32]:
        """Classify pictures into probabilities, float32 (n, classes); NaN if there are none.

        `framed` pictures are uint8 (n, size, size, 3), framed by `framing`; others are framed here.
        """


NO_ANSWER = "the model returned values that are not numbers"
"""The problem of a readable picture without probabilities."""


@dataclass(frozen=True, slots=True)
class Predictions:
    """Probabilities of the galaxies of a source, one row per galaxy.

    Parameters
    ----------
    ids : list of str
    labels : list of (str or None)
        The labels of the source.
    probabilities : ndarray of float32, shape (n, classes)
        NaN if a picture cannot be read, or the model returned no numbers.
    problems : dict of str to str
        The reasons, by id.
    """

    ids: list[str]
    labels: list[str | None]
    probabilities: NDArray[np.float32]
    problems: dict[str, str]

    def scored(self, question: Question) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return class numbers (n,) and probabilities (n, classes) of the galaxies that have both."""
        numbers = {answer: number for number, answer in enumerate(question.answers)}
        readable = ~np.isnan(self.probabilities[:, 0])
        known = [row for row, label in enumerate(self.labels) if label in numbers and readable[row]]
        labels = np.array([numbers[self.labels[row] or ""] for row in known], dtype=np.int64)
        return labels, self.probabilities[known]


def predict(
    model: Classifier,
    source: Source | Iterable[Galaxy],
    *,
    batch_size: int = 64,
    progress: Callable[[int], object] = lambda done: None,
) -> Predictions:
    """Classify every galaxy of a source.

    Parameters
    ----------
    model : Classifier
        Such as the result of `peculiar.load_run`.
    source : Source or iterable of Galaxy
        Decoded galaxies have to be framed for the model.
    batch_size : int
        Pictures that go through the network together.
    progress : callable
        Called with the number of galaxies classified since the last call.

    Returns
    -------
    Predictions

    Raises
    ------
    UsageError
        If `batch_size` is below 1.
    """
    galaxies = source.galaxies(model.framing) if isinstance(source, Source) else source
    ids: list[str] = []
    labels: list[str | None] = []
    parts: list[NDArray[np.float32]] = []
    problems: dict[str, str] = {}
    for batch, readable, pictures in readable_batches(galaxies, batch_size):
        part = np.full((len(batch), len(model.question.answers)), np.nan, dtype=np.float32)
        if pictures is not None:
            part[readable] = model.probabilities(pictures, framed=True)
            broken = [row for row in readable if np.isnan(part[row, 0])]
            problems.update((batch[row].id, NO_ANSWER) for row in broken)
        parts.append(part)
        ids.extend(galaxy.id for galaxy in batch)
        labels.extend(galaxy.label for galaxy in batch)
        problems.update((galaxy.id, galaxy.problem) for galaxy in batch if galaxy.problem is not None)
        progress(len(batch))
    probabilities = np.concatenate(parts) if parts else np.empty((0, len(model.question.answers)), np.float32)
    return Predictions(ids, labels, probabilities, problems)


def readable_batches(
    galaxies: Iterable[Galaxy], batch_size: int
) -> Iterator[tuple[list[Galaxy], list[int], NDArray[np.uint8] | None]]:
    """Collect galaxies into batches for a network.

    Yields
    ------
    batch : list of Galaxy
        `batch_size` of them, fewer at the end.
    readable : list of int
        The rows of the batch with a picture.
    pictures : ndarray of uint8, shape (len(readable), size, size, 3), or None
        None if no picture of the batch could be read.

    Raises
    ------
    UsageError
        If `batch_size` is below 1.
    """
    if batch_size < 1:
        message = f"batch_size has to be at least 1, received {batch_size}"
        raise UsageError(message)
    stream = iter(galaxies)
    while batch := list(itertools.islice(stream, batch_size)):
        found = [(row, galaxy.picture) for row, galaxy in enumerate(batch) if galaxy.picture is not None]
        pictures = np.stack([picture for _, picture in found]) if found else None
        yield batch, [row for row, _ in found], pictures
