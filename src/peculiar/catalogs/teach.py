"""Teaching a model a new question from few labels, with a calibrated linear head on its embeddings."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from peculiar.catalogs.answers import answer_catalog
from peculiar.catalogs.catalog import Catalog
from peculiar.errors import DataError, LabelError, UsageError
from peculiar.files.places import place
from peculiar.models.container import split_card
from peculiar.models.embed import Embedded, embed_labelled
from peculiar.models.linear_head import Head, LearningCurve, fit_head, head_graph, learning_curve
from peculiar.models.model_file import Model, load_model, write_model
from peculiar.models.seen import SEEN, pack_ids
from peculiar.questions.question import Question
from peculiar.sources.labels import find_question, open_labelled, question_of, read_labels
from peculiar.sources.stream import Source
from peculiar.tables.formats import is_table
from peculiar.tables.writers import format_to_write
from peculiar.text import format_score, shown


@dataclass(frozen=True, slots=True)
class Taught:
    """A taught model, and the labels that it was fitted to.

    Parameters
    ----------
    model : Model or None
        The new model, opened; None for a head on embeddings of another network.
    head : Head
    used : int
        Number of labels that the head was fitted to.
    left_out : int
        Number of labelled galaxies without an embedding: they are not in the catalogue, or the picture cannot be read.
    curve : LearningCurve or None
        The learning curve, if requested.
    catalog : Catalog or None
        The answers for all galaxies of the catalogue, for a head on embeddings of another network.
    """

    model: Model | None
    head: Head
    used: int
    left_out: int
    curve: LearningCurve | None
    catalog: Catalog | None = None

    def __repr__(self) -> str:
        """Return the question, the labels and the cross-validated scores in a few lines."""
        question, scores = self.head.question, self.head.scores
        lines = [f"Taught: {question.name}, answers {', '.join(question.answers)}", f"  labels: {self.used:,}"]
        if self.left_out:
            lines[-1] += f", and {self.left_out:,} left out"
        lines.append(f"  cross-validated: balanced accuracy {format_score(scores.balanced_accuracy)}")
        return "\n".join(map(shown, lines))


def teach(
    data: str | os.PathLike[str] | Source | Sequence[str | os.PathLike[str] | Source],
    out: str | os.PathLike[str],
    *,
    catalog: str | os.PathLike[str] | Catalog | None = None,
    embeddings: str | os.PathLike[str] | None = None,
    embeddings_id: str | None = None,
    model: str | os.PathLike[str] | Model | None = None,
    label: str | None = None,
    labels: str | os.PathLike[str] | None = None,
    question: str | None = None,
    id: str | None = None,
    curve: bool = False,
    seed: int = 222,
    progress: Callable[[int], object] = lambda done: None,
) -> Taught:
    """Teach a model a new question from labelled galaxies.

    Parameters
    ----------
    data : path-like, Source, or sequence of these
        Labelled pictures, such as a folder with one sub-folder per class. With `catalog`, a table with a column of ids
        and one of labels, whose empty entries are skipped.
    out : path-like
        The model file to write (``.onnx``). It answers the old questions as before, and the new one. With `embeddings`,
        a table of any format with the answers for all galaxies of the catalogue.
    catalog : path-like or Catalog, optional
        Catalogue of the labelled galaxies with embeddings, made by `model`; no picture is read then.
    embeddings, embeddings_id : optional
        A table with embeddings of another network for the catalogue's galaxies, and its column of ids; see
        `peculiar.Catalog.with_embeddings`. A model file cannot hold a head on them, because it computes its answers
        from pictures with its own network.
    model : path-like or Model, optional
        Default: the model that ships.
    label : str, optional
        Column of labels; default: the first of the usual names, the only other column, or the folders of the pictures.
    labels : path-like, optional
        Table with a column of ids and one of labels, for pictures without labels.
    question : str, optional
        Name of the question; default: the name of the column.
    id : str, optional
        Column of ids in the table of labels; default: the first of the usual names.
    curve : bool
        Also measure the learning curve, which takes as long again.
    seed : int
        Seed of the folds.
    progress : callable
        Called with the number of pictures embedded since the last call.

    Returns
    -------
    Taught

    Raises
    ------
    LabelError
        If labels are missing or too few.
    UsageError
        If another model made the catalogue, or the model already answers a question of that name; or if `out` is not
        of a kind that can be written.
    UnknownNameError
        If there is no column of that name.

    Examples
    --------
    >>> import peculiar
    >>> taught = peculiar.teach("my_classes", "mine.onnx")
    >>> taught.head.question.answers, taught.used
    (('edge_on', 'face_on'), 24)
    """
    out = place(out)
    if embeddings is not None and catalog is None:
        message = "embeddings of another network are joined to a catalogue; give that one as well (--catalog)"
        raise UsageError(message)
    if catalog is not None and not isinstance(catalog, Catalog):
        catalog = Catalog(catalog, embeddings=embeddings, embeddings_id=embeddings_id)
    elif catalog is not None and embeddings is not None:
        catalog = catalog.with_embeddings(embeddings, embeddings_id)
    if catalog is not None and catalog.external is not None:
        _check_external(out, model, catalog.external.path)
        found, asked, left_out = _labelled_of(catalog, data, label=label, id=id, question=question)
        head, taught_curve = _fitted(found, asked, curve=curve, seed=seed)
        answers = answer_catalog(catalog, head)
        answers.write(out)
        return Taught(None, head, len(found.ids), left_out, taught_curve, answers)
    model = model if isinstance(model, Model) else load_model(model)
    if out.suffix != ".onnx":
        message = f"{out}: the name of a model file has to end in .onnx"
        raise UsageError(message)
    if catalog is None:
        given = [data] if isinstance(data, str | os.PathLike | Source) else list(data)
        sources = [_opened(one, label=label, labels=labels, id=id) for one in given]
        sources, asked = find_question(
            sources, [one.name for one in model.card.questions], label=label, labels=labels, id=id, question=question
        )
        _check_new(model, asked)
        found = embed_labelled(sources, asked, model, progress=progress)
        left_out = len(found.problems)
    else:
        catalog.check_model(model.card.digest, "teach the model that made the catalogue, or make a new catalogue")
        found, asked, left_out = _labelled_of(catalog, data, label=label, id=id, question=question)
        _check_new(model, asked)
    head, taught_curve = _fitted(found, asked, curve=curve, seed=seed)
    new = write_taught(model, head, out, len(found.ids), seen=found.ids)
    return Taught(new, head, len(found.ids), left_out, taught_curve)


def _fitted(found: Embedded, asked: Question, *, curve: bool, seed: int) -> tuple[Head, LearningCurve | None]:
    # Pictures of one galaxy, in several sets, stay in one fold.
    groups = found.ids if len(set(found.ids)) < len(found.ids) else None
    head = fit_head(found.embeddings, found.labels, asked, groups=groups, resamples=1000, seed=seed)
    if not curve:
        return head, None
    return head, learning_curve(found.embeddings, found.labels, asked, head.strength, groups=groups, seed=seed)


def _labelled_of(
    catalog: Catalog, data: object, *, label: str | None, id: str | None, question: str | None
) -> tuple[Embedded, Question, int]:
    """Return the galaxies of a catalogue that a table has labels of, the question, and how many labels are left out."""
    if isinstance(data, Source) or not isinstance(data, str | os.PathLike):
        message = "with a catalogue, give one table of labels instead of pictures"
        raise UsageError(message)
    label, by_id = read_labels(data, label, id)
    asked = replace(question_of(label, by_id.values()), name=question or label)
    found = _of_catalog(catalog, by_id, asked)
    return found, asked, len(by_id) - len(found.ids)


def _check_external(out: Path, model: object, table: Path) -> None:
    """Refuse a model file: its network does not make these embeddings."""
    if out.suffix == ".onnx":
        message = (
            f"{out}: a model file computes its answers from pictures, and the network that made the embeddings of "
            f"{table} is not in it. Give a table, {out.with_suffix('.parquet').name}, which gets the answers for all "
            "galaxies of the catalogue"
        )
        raise UsageError(message)
    if model is not None:
        message = f"no model is needed with the embeddings of {table}; leave out --from, or --embeddings"
        raise UsageError(message)
    format_to_write(out)


def _opened(
    data: str | os.PathLike[str] | Source, *, label: str | None, labels: str | os.PathLike[str] | None, id: str | None
) -> Source:
    if isinstance(data, Source):
        return data
    try:
        return open_labelled(data, label=label, labels=labels, id=id)
    except DataError as error:
        if not is_table(place(data)):
            raise
        message = f"{error}. A table of labels needs a catalogue with embeddings of its galaxies (--catalog)"
        raise DataError(message) from error


def _check_new(model: Model, question: Question) -> None:
    if question.name in {one.name for one in model.card.questions}:
        message = (
            f"{model.path.name} already answers {question.name!r}; give the new question another name (--question)"
        )
        raise UsageError(message)


def _of_catalog(catalog: Catalog, by_id: Mapping[str, str], question: Question) -> Embedded:
    """Return the labelled galaxies of a catalogue."""
    embeddings, found = raw_embeddings(catalog, catalog.rows_of(list(by_id), lenient=True))
    if by_id and not len(found):
        message = (
            f"none of the {len(by_id):,} labelled galaxies has an embedding in {catalog.place}; the first is "
            f"{next(iter(by_id), '')!r}"
        )
        raise LabelError(message)
    numbers = np.array([question.answers.index(one) for one in by_id.values()], dtype=np.int64)[found]
    ids = list(by_id)
    return Embedded([ids[row] for row in found], numbers, embeddings, {})


def raw_embeddings(catalog: Catalog, rows: NDArray[np.integer]) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """Read the embeddings as the network computed them.

    Returns
    -------
    embeddings : ndarray of float32, shape (k, d)
    found : ndarray of int, shape (k,)
        Indices into `rows`; rows of -1 or without an embedding are left out.
    """
    known = catalog.embeddings()  # raises an error if there are none
    there = np.flatnonzero(rows >= 0)
    if catalog.external is not None:
        there = there[known.known[rows[there]]]
        return known.raw(rows[there]), there
    column = catalog.take(rows[there], ["embedding"])["embedding"].combine_chunks()
    valid = np.flatnonzero(column.is_valid().to_numpy(zero_copy_only=False))
    flat = column.flatten().to_numpy(zero_copy_only=False).astype(np.float32)
    matrix = flat.reshape(len(valid), column.type.list_size)
    finite = np.isfinite(matrix).all(axis=1)
    return matrix[finite], there[valid[finite]]


def write_taught(model: Model, head: Head, out: Path, count: int, *, seen: Iterable[str] = (), name: str = "") -> Model:
    """Write the model file with one more question, which becomes the main question of its catalogues.

    `seen` are the ids of the galaxies that the head was fitted to. The name of the model is `name`, or the file name.
    """
    card, question = model.card, head.question
    graph, _ = split_card(model.path.read_bytes())
    graph += head_graph(f"logits_{len(card.questions)}", head.weights, head.bias)
    changed = card.model_copy(
        update={
            "name": name or out.stem,
            "questions": (*card.questions, question),
            "temperatures": {**card.temperatures, question.name: head.temperature},
            "sets": {**card.sets, question.name: head.sets},
            "about": question.name,
            "training": {
                **card.training,
                "taught": {**card.training.get("taught", {}), question.name: count},
                SEEN: [*card.training.get(SEEN, ()), pack_ids(seen)],
            },
            "scores": {**card.scores, f"taught {question.name}, by cross-validation": head.scores.as_dict()},
            "version": metadata.version("peculiar"),
        }
    )
    return write_model(graph, changed, out)
