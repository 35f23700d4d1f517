"""Embed labelled pictures with a model, to learn from the embeddings."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from peculiar.errors import LabelError
from peculiar.images.framing import Framing
from peculiar.models.model_file import Model
from peculiar.models.predict import NO_ANSWER, readable_batches
from peculiar.questions.question import Question
from peculiar.sources.answers import NOTHING_READABLE
from peculiar.sources.stream import Galaxy, Source, decode_row, in_order

# Number of pictures per batch.
_TOGETHER = 64


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
    """

    ids: list[str]
    labels: NDArray[np.int64]
    embeddings: NDArray[np.float32]
    problems: dict[str, str]


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
    labels: list[int] = []
    parts = [np.empty((0, model.embedding_size), np.float32)]
    problems: dict[str, str] = {}
    for source in sources:
        known = [numbers.get(entry) for entry in source.column(question.column)]
        answers = iter([number for number in known if number is not None])
        for batch, readable, pictures in readable_batches(_labelled(source, known, model.framing), _TOGETHER):
            labels_of_batch = [next(answers) for _ in batch]
            problems.update((one.id, one.problem) for one in batch if one.problem is not None)
            if pictures is not None:
                embedding = model.classify(pictures, framed=True).embedding
                finite = np.isfinite(embedding).all(axis=1)
                parts.append(embedding[finite])
                used = [readable[row] for row in np.flatnonzero(finite)]
                ids.extend(batch[row].id for row in used)
                labels.extend(labels_of_batch[row] for row in used)
                problems.update((batch[row].id, NO_ANSWER) for row in set(readable).difference(used))
            progress(len(batch))
    if problems and not ids:
        raise LabelError(NOTHING_READABLE)
    return Embedded(ids, np.array(labels, dtype=np.int64), np.concatenate(parts), problems)


def _labelled(source: Source, known: Sequence[int | None], framing: Framing) -> Iterator[Galaxy]:
    """Yield the galaxies with a label, decoded and framed."""
    rows = (row for row, number in zip(source.rows(), known, strict=True) if number is not None)
    return in_order(lambda row: decode_row(row, framing), rows, 2)
