"""Calibrate a model file on labelled galaxies: temperature, prediction sets and novelty threshold.

The network does not change, or is quantized to eight bits, and may get another embedding. Everything is fitted to the
validation part of the model's own split, on which it was not trained.
"""

import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from peculiar.errors import LabelError, ModelError
from peculiar.files.places import place
from peculiar.images.artefacts import measure_artefacts
from peculiar.metrics.calibration import Scaling, choose_scaling, cross_fitted, fit_scaling
from peculiar.metrics.prediction_sets import Thresholds, fit_sets
from peculiar.models.joined_embedding import check_size, describe_join, fit_join, join_means, set_join
from peculiar.models.model_file import Answers, Model, load_model, write_model
from peculiar.models.novelty import DIRECTIONS, fit_novelty
from peculiar.models.predict import readable_batches
from peculiar.models.quantize import check_body, pictures_for_ranges, quantize
from peculiar.questions.question import Question
from peculiar.sources.answers import answers_to
from peculiar.sources.labels import open_labelled, told_questions
from peculiar.sources.split import part_rule, told_parts
from peculiar.sources.stream import Galaxy, Source

# This many training pictures of a survey are enough to know their distribution.
_MOST_TRAINING = 6000

_LEAST_TRUST = 0.5

Given = str | os.PathLike[str] | Source


def calibrate(
    data: Given | Sequence[Given],
    out: str | os.PathLike[str],
    model: Model | str | os.PathLike[str] | None = None,
    *,
    labels: str | os.PathLike[str] | None = None,
    id: str | None = None,
    eight_bits: bool = False,
    embedding: int | None = None,
    parts: Mapping[str, str] | None = None,
    scores: dict[str, Any] | None = None,
    progress: Callable[[int], object] = lambda done: None,
) -> Model:
    """Calibrate a model file on galaxies that it was not trained on.

    Parameters
    ----------
    data : path-like, Source, or sequence of these
        The training and validation galaxies of the model. Pictures for which the model returns values that are not
        numbers are left out.
    out : path-like
        The ``.onnx`` to write, atomically; it may be the model's own.
    model : Model or path-like, optional
        A model that was trained with a validation part; by default the one that ships.
    labels : path-like, optional
        A table of labels or votes by id, for data that have none.
    id : str, optional
        The column of ids, of either table; by default the first of the usual names.
    eight_bits : bool
        Quantize the network to eight bits, with ranges from some of the training pictures; see
        `peculiar.models.quantize`. Calibration follows quantization.
    embedding : int, optional
        Give it an embedding of this many numbers, up to 512, that joins the means of earlier maps to those of the last,
        fitted to the validation part; see `peculiar.models.joined_embedding`. The answers do not change; questions that
        it was taught on embeddings keep theirs, too. By default the embedding stays as it is.
    parts : mapping of str to str, optional
        The part of each galaxy in the model's training, "training", "validation" or "test", by its id; default: by the
        hash of the id, as in training.
    scores : dict, optional
        Scores for the file; default: those of the model.
    progress : callable
        Called with the number of galaxies classified since the last call.

    Returns
    -------
    Model
        The model with, for each question that the galaxies answer, weights and biases by class if they are measurably
        better than the temperature, and thresholds of prediction sets; and with the distribution of its training
        pictures. Other questions keep their calibration, unless the network is quantized.

    Raises
    ------
    ModelError
        If the model does not state its validation part, is already in eight bits, or its embedding is not the mean of
        its last maps.
    LabelError
        If no question has an answer in the validation part, or it has too few galaxies for the embedding.
    UsageError
        If the network has too few features for an embedding of this size.

    Examples
    --------
    >>> import peculiar
    >>> model = peculiar.export("runs/galaxy", "galaxy.onnx")
    >>> calibrated = peculiar.calibrate("training.parquet", "calibrated.onnx", model)
    >>> calibrated.card.digest != model.card.digest
    True
    """
    if embedding is not None:
        check_size(embedding)
    model = model if isinstance(model, Model) else load_model(model)
    given = [data] if isinstance(data, str | os.PathLike | Source) else data
    sources = [open_labelled(one, labels=labels, id=id) for one in given]
    if labels is not None:
        sources, _ = told_questions(sources, model.card.questions, labels, id)
    return _calibrate(
        model,
        sources,
        place(out),
        eight_bits=eight_bits,
        embedding=embedding,
        parts=parts,
        scores=scores,
        progress=progress,
    )


def _calibrate(
    model: Model,
    sources: Sequence[Source],
    out: Path,
    *,
    eight_bits: bool,
    embedding: int | None,
    parts: Mapping[str, str] | None,
    scores: dict[str, Any] | None,
    progress: Callable[[int], object],
) -> Model:
    sizes = model.card.part_sizes
    if not sizes["validation_size"]:
        message = (
            f"{model.path}: its card has no validation part, so it may have been trained on any galaxy; give a model "
            "file that `peculiar export` wrote"
        )
        raise ModelError(message)
    part_in = part_rule(told_parts(sources), **sizes) if parts is None else lambda id_: parts.get(id_, "")
    graph, seen = onnx.load(model.path), model
    del graph.metadata_props[:]
    if eight_bits:
        check_body(model)
        graph = quantize(model, pictures_for_ranges(model, sources, part_in))
    if embedding is not None:
        join_means(graph, embedding, model.path)
    if eight_bits or embedding is not None:
        seen = _opened(graph, model)

    unscaled = seen.with_card(model.card.model_copy(update={"scalings": {}}))
    embeddings: dict[str, list[NDArray[np.float32]]] = {"training": [], "validation": []}
    artefacts: dict[str, list[NDArray[np.float32]]] = {"training": [], "validation": []}
    surveys: list[str] = []
    chances: dict[str, list[NDArray[np.float32]]] = {question.name: [] for question in model.card.questions}
    labels: dict[str, list[int]] = {question.name: [] for question in model.card.questions}
    ids: dict[str, list[str]] = {question.name: [] for question in model.card.questions}
    batches = (batch for source in sources for batch in _answered(unscaled, source, part_in))
    for galaxies, answers, pictures in batches:
        measured = measure_artefacts(pictures)
        for row, (part, name, survey, entries) in enumerate(galaxies):
            if not np.isfinite(answers.embedding[row]).all():
                continue
            embeddings[part].append(answers.embedding[row])
            artefacts[part].append(measured[row])
            if part == "training":
                surveys.append(survey)
            for question in model.card.questions:
                entry = entries.get(question.name)
                if part == "validation" and entry is not None:
                    chances[question.name].append(answers.probabilities[question.name][row])
                    labels[question.name].append(question.answers.index(entry))
                    ids[question.name].append(name)
        progress(len(galaxies))
    scalings, sets = _fit_answers(model.card.questions, chances, labels, ids)
    if not eight_bits:
        scalings = {name: one for name, one in model.card.scalings.items() if name not in sets} | scalings
        sets = model.card.sets | sets
    updates: dict[str, Any] = {
        "scalings": scalings,
        "sets": sets,
        "familiar": None,
        "scores": scores or model.card.scores,
    }
    vectors = {part: np.array(some) for part, some in embeddings.items()}
    if embedding is not None:
        join = fit_join(vectors["validation"], model.embedding_size, embedding)
        set_join(graph, join)
        updates["embedding"] = describe_join(embedding, len(vectors["validation"]))
        vectors = {part: join(some) for part, some in vectors.items() if len(some)}
    if len(embeddings["training"]) >= 10 * DIRECTIONS:
        training, held_back = ((vectors[part], np.array(artefacts[part])) for part in ("training", "validation"))
        updates["familiar"] = fit_novelty(training, held_back, surveys)
    return write_model(graph.SerializeToString(deterministic=True), model.card.model_copy(update=updates), out)


def _fit_answers(
    questions: Sequence[Question],
    chances: dict[str, list[NDArray[np.float32]]],
    labels: dict[str, list[int]],
    ids: dict[str, list[str]],
) -> tuple[dict[str, Scaling], dict[str, Thresholds]]:
    """Return scalings where they are better, and thresholds of prediction sets, by question."""
    voted = {question.name for question in questions if question.votes}
    scalings: dict[str, Scaling] = {}
    sets: dict[str, Thresholds] = {}
    for name, numbers in labels.items():
        if len(set(numbers)) < 2:
            continue
        known, logits = np.array(numbers), np.log(np.maximum(np.array(chances[name], dtype=np.float64), 1e-12))
        # Pictures of one galaxy stay in one fold, because a scaling fitted to one of them knows the others. Questions
        # with votes keep their temperature, because their probabilities are vote fractions.
        scaling = None if name in voted else choose_scaling(logits, known, ids[name])[0]
        if scaling is not None and any(scaling.biases):
            scalings[name] = scaling
            # A scaling is too good on the galaxies that it was fitted to, above all for small classes.
            logits = cross_fitted(logits, known, fit_scaling, groups=ids[name])
        sets[name] = fit_sets(known, np.exp(logits))
    if not sets:
        message = (
            f"the validation part has fewer than two different answers to {', '.join(labels)}; give the data that the "
            "model was trained on, or train with more galaxies"
        )
        raise LabelError(message)
    return scalings, sets


def _opened(graph: onnx.ModelProto, model: Model) -> Model:
    """Return a model with the graph, and the card of another whose novelty does not fit it."""
    card = model.card.model_copy(update={"familiar": None})
    with tempfile.TemporaryDirectory() as folder:
        return write_model(graph.SerializeToString(deterministic=True), card, Path(folder) / model.path.name)


def _answered(
    model: Model, source: Source, part_in: Callable[[str], str]
) -> Iterator[tuple[list[tuple[str, str, str, dict[str, str | None]]], Answers, NDArray[np.uint8]]]:
    """Yield part, id, survey and labels of a batch, answers, and pictures: all of validation, some of training."""
    columns = {question.name: _labels(source, question) for question in model.card.questions}
    # Pictures of a survey in another file are often made in another way.
    surveys = [f"{survey or ''} in {source.path}" for survey in source.column("survey")]
    rows: list[tuple[str, str, int]] = []
    for batch, _, pictures in readable_batches(_wanted(model, source, part_in, surveys, rows), 64):
        if pictures is not None:
            known = [
                (part, one, surveys[row], {name: column[row] for name, column in columns.items()})
                for part, one, row in rows
            ]
            yield known, model.classify(pictures, framed=True), pictures
        del rows[: len(batch)]


def _wanted(
    model: Model, source: Source, part_in: Callable[[str], str], surveys: list[str], rows: list[tuple[str, str, int]]
) -> Iterator[Galaxy]:
    """Yield readable galaxies, only the first of each survey's training part; note part, id and row of each."""
    taken: Counter[str] = Counter()
    for row, galaxy in enumerate(source.galaxies(model.framing)):
        known = part_in(galaxy.id)
        if galaxy.picture is None or known not in ("training", "validation"):
            continue
        if known == "training" and taken[surveys[row]] == _MOST_TRAINING:
            continue
        taken[surveys[row]] += known == "training"
        rows.append((known, galaxy.id, row))
        yield galaxy


def _labels(source: Source, question: Question) -> list[str | None]:
    """Return the labels of a source for a question, without unreliable ones."""
    trust, entries = dict(question.trust), answers_to(source, question)
    bases = source.column(question.basis)
    return [
        entry if trust.get(basis or "", 1.0) >= _LEAST_TRUST else None
        for entry, basis in zip(entries, bases, strict=True)
    ]
