"""Embed labelled pictures with a model, to learn from the embeddings."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from peculiar.errors import LabelError
from peculiar.images.framing import Framing
from peculiar.models.model_file import Model
from peculiar.models.predict import NO_ANSWER, readable_batches
from peculiar.questions.question import Question
from peculiar.sources.answers import NOTHING_READABLE
from peculiar.sources.stream import Galaxy, Source, decode_row, in_order

_BATCH = 64


@dataclass(frozen=True, slots=True)
class Embedded:
    """Labelled galaxies and their embeddings, in the order of their sources.

    Parameters
    ----------
    ids : list of str
    labels : ndarray of int, shape (n,)
        Answers by number.
    embeddings : ndarray of float32, shape (n, d)
    problems : dict of str to str
        Reasons why pictures cannot be used, by id; these galaxies are left out.
    rows : ndarray of int, shape (n,)
        Row of each galaxy in the sources, counted through all of them; empty if the embeddings are of a catalogue.
    """

    ids: list[str]
    labels: NDArray[np.int64]
    embeddings: NDArray[np.float32]
    problems: dict[str, str]
    rows: NDArray[np.intp] = field(default_factory=lambda: np.empty(0, np.intp))


def embed_labelled(
    sources: Sequence[Source],
    question: Question,
    model: Model,
    *,
    progress: Callable[[int], object] = lambda done: None,
) -> Embedded:
    """Embed the pictures of all galaxies with a label.

    Parameters
    ----------
    sources : sequence of Source
        With labels in the question's column.
    question : Question
    model : Model
        The model that computes the embeddings, averaged over as many views as its answers.
    progress : callable
        Called with the number of pictures embedded since the last call.
    """
    numbers: dict[str | None, int] = {answer: number for number, answer in enumerate(question.answers)}
    ids: list[str] = []
    labels, rows = [np.empty(0, np.int64)], [np.empty(0, np.intp)]
    embeddings = [np.empty((0, model.embedding_size), np.float32)]
    problems: dict[str, str] = {}
    first = 0
    for source in sources:
        known = np.array([numbers.get(entry, -1) for entry in source.column(question.column)], dtype=np.int64)
        labelled, done = np.flatnonzero(known >= 0), 0
        for batch, readable, pictures in readable_batches(_labelled(source, known, model.framing), _BATCH):
            problems.update((one.id, one.problem) for one in batch if one.problem is not None)
            if pictures is not None:
                embedding = model.classify(pictures, framed=True).embedding
                finite = np.isfinite(embedding).all(axis=1)
                used = np.array(readable)[finite]
                ids.extend(batch[row].id for row in used)
                labels.append(known[labelled[done + used]])
                rows.append(first + labelled[done + used])
                embeddings.append(embedding[finite])
                problems.update((batch[row].id, NO_ANSWER) for row in np.array(readable)[~finite])
            done += len(batch)
            progress(len(batch))
        first += len(known)
    if problems and not ids:
        raise LabelError(NOTHING_READABLE)
    return Embedded(ids, np.concatenate(labels), np.concatenate(embeddings), problems, np.concatenate(rows))


def _labelled(source: Source, known: NDArray[np.integer], framing: Framing) -> Iterator[Galaxy]:
    """Yield the galaxies with a label, decoded and framed."""
    rows = (row for row, number in zip(source.rows(), known, strict=True) if number >= 0)
    return in_order(lambda row: decode_row(row, framing), rows, 2)
