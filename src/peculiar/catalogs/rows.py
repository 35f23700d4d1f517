"""Rows of a catalogue: probabilities, classes, novelty and flags of each galaxy."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from peculiar.catalogs.abstention import SAFE_CLASS, WHY, abstain, abstention_columns
from peculiar.catalogs.tally import FLAG_MEANINGS, SHOWS_NOTHING, Flag, Tally, unlike
from peculiar.catalogs.vote_columns import vote_columns, vote_values
from peculiar.images.artefacts import MEASURES, measure_artefacts
from peculiar.metrics.prediction_sets import name_sets, prediction_sets
from peculiar.models.model_file import Model
from peculiar.models.predict import NO_ANSWER, readable_batches
from peculiar.questions.column_names import answer_columns, class_columns
from peculiar.questions.question import Question
from peculiar.sources.stream import Galaxy
from peculiar.tables.column import DEC, ID, RA, Column
from peculiar.tables.healpix import HEALPIX, healpix_29
from peculiar.tables.identifiers import typed_ids

SET_LEVEL = "90"
"""Coverage of the prediction sets that are written, in per cent."""


def catalog_columns(
    model: Model, *, positions: bool, embeddings: bool, id_type: pa.DataType | None = None
) -> list[Column]:
    """Return the columns of a catalogue that a model writes.

    Parameters
    ----------
    model : Model
    positions : bool
        Include the columns of positions.
    embeddings : bool
        Include the column of embeddings.
    id_type : pyarrow.DataType, optional
        Type of the ids; default: text. See `peculiar.sources.stream.Source.id_type`.
    """
    columns = [replace(ID, type=id_type or ID.type), *((RA, DEC, HEALPIX) if positions else ())]
    for question, number, name in _probability_columns(model.card.questions):
        meaning = f": {question.meanings[number]}" if question.meanings else ""
        text = f"probability of the answer {question.answers[number]!r} to {_called(question)}{meaning}"
        columns.append(Column(name, pa.float32(), text, ucd="stat.probability"))
    columns += vote_columns(model)
    main = _called(model.card.main_question)
    columns += [
        Column("class", pa.string(), f"most probable answer to {main}", ucd="meta.code.class"),
        *(
            Column(name, pa.string(), f"most probable answer to {_called(question)}", ucd="meta.code.class")
            for question, name in _class_columns(model.card.questions)
        ),
        *_judgement_columns(model),
        Column("entropy", pa.float32(), f"entropy of the probabilities of {main}, in nats", ucd="stat.value"),
        Column("flags", pa.int32(), _flags_text(), ucd="meta.code.qual"),
        Column("model", pa.string(), "first twelve digits of the model's digest", ucd="meta.id"),
    ]
    if embeddings:
        text = "embedding of the picture; similar pictures have similar embeddings"
        columns.append(Column("embedding", pa.list_(pa.float32(), model.embedding_size), text))
    return columns


def _judgement_columns(model: Model) -> list[Column]:
    """Return the columns of prediction sets, abstention and novelty, if the model file is calibrated for them."""
    columns, main = [], model.card.main_question
    if SET_LEVEL in model.card.sets.get(main.name, {}):
        text = (
            f"answers to {_called(main)} that cannot be ruled out: "
            f"the right one is among them in {SET_LEVEL} of 100 cases"
        )
        columns.append(Column(f"set_{SET_LEVEL}", pa.string(), text, ucd="meta.code.class"))
        columns += abstention_columns(main.answers, _called(main))
    if model.card.familiar is not None:
        text = "novelty: distance from the training set; about 5 % of ordinary galaxies exceed 1"
        columns.append(Column("ood", pa.float32(), text, ucd="stat.value"))
    return columns


def _judgements(
    model: Model,
    probabilities: NDArray[np.float32],
    embedding: NDArray[np.float32],
    artefacts: NDArray[np.float32],
    flags: NDArray[np.int32],
) -> dict[str, NDArray[np.generic] | list[str | None]]:
    """Return the values of `_judgement_columns`; None and NaN if a picture cannot be read."""
    main = model.card.main_question
    result: dict[str, NDArray[np.generic] | list[str | None]] = {}
    ood = None if model.card.familiar is None else model.card.familiar.ood(embedding, artefacts)
    if ood is not None:
        result["ood"] = ood
    thresholds = model.card.sets.get(main.name, {}).get(SET_LEVEL)
    if thresholds is not None:
        sets = np.zeros(probabilities.shape, dtype=bool)
        readable = ~np.isnan(probabilities[:, 0])
        sets[readable] = prediction_sets(probabilities[readable], thresholds)
        named = zip(name_sets(sets, main.answers), readable, strict=True)
        result[f"set_{SET_LEVEL}"] = [name if known else None for name, known in named]
        result[SAFE_CLASS], result[WHY] = abstain(main.answers, sets, flags, ood)
    return result


def _flags_text() -> str:
    return "what is wrong with the picture, bits: " + "; ".join(
        f"{flag.value} {meaning}" for flag, meaning in FLAG_MEANINGS.items()
    )


def _called(question: Question) -> str:
    """Return the name of a question for a description, without line breaks and control characters."""
    return question.name if question.name.isprintable() and question.name.strip() else repr(question.name)


def _probability_columns(questions: Sequence[Question]) -> Iterator[tuple[Question, int, str]]:
    """Yield the question, the number of the answer and the name of each column of probabilities."""
    columns = answer_columns(questions)
    for question in questions:
        for number, answer in enumerate(question.answers):
            if answer in columns[question.name]:
                yield question, number, columns[question.name][answer]


def _class_columns(questions: Sequence[Question]) -> Iterator[tuple[Question, str]]:
    """Yield each question and the column of its most probable answer; for a single question that is ``class``."""
    if len(questions) > 1:
        names = class_columns(questions)
        yield from ((question, names[question.name]) for question in questions)


def catalog_batches(
    galaxies: Iterable[Galaxy],
    columns: Sequence[Column],
    model: Model,
    tally: Tally,
    *,
    views: int,
    batch_size: int,
) -> Iterator[pa.RecordBatch]:
    """Classify galaxies into the rows of a catalogue, batch by batch.

    There is one row per galaxy, in order: a picture that cannot be read keeps its row, with nulls and a flag.

    Parameters
    ----------
    galaxies : iterable of Galaxy
    columns : sequence of Column
        Columns of the catalogue; see `catalog_columns`.
    model : Model
    tally : Tally
        Counts the rows that were yielded.
    views : int
        Number of turned and mirrored views to average over, 1 to 8.
    batch_size : int
        Number of pictures per batch; it changes only the speed.

    Raises
    ------
    UsageError
        If `batch_size` is below 1.
    """
    names = [column.name for column in columns]
    for batch, readable, pictures in readable_batches(galaxies, batch_size):
        values = _values(model, batch, readable, pictures, views)
        ids = typed_ids([galaxy.id for galaxy in batch], columns[0].type)
        arrays = [ids, *(_array(values[column.name], column.type) for column in columns[1:])]
        tally.add(_count(batch, values))
        yield pa.RecordBatch.from_arrays(arrays, names=names)


def _values(
    model: Model,
    batch: list[Galaxy],
    readable: list[int],
    pictures: NDArray[np.uint8] | None,
    views: int,
) -> dict[str, NDArray[np.generic] | list[str | None]]:
    """Return the columns of one batch, with NaN and None for unknown values."""
    count, questions, main = len(batch), model.card.questions, model.card.main_question
    flags = np.full(count, Flag.UNREADABLE, dtype=np.int32)
    embedding = np.full((count, model.embedding_size), np.nan, dtype=np.float32)
    artefacts = np.full((count, len(MEASURES)), np.nan, dtype=np.float32)
    found = {question.name: np.full((count, len(question.answers)), np.nan, dtype=np.float32) for question in questions}
    concentrations = {name: np.full_like(found[name], np.nan) for name in model.card.spreads}
    if pictures is not None:
        answers = model.classify(pictures, views=views, framed=True)
        blank = pictures.reshape(len(pictures), -1, 3)
        flags[readable] = np.where((blank == blank[:, :1]).all(axis=(1, 2)), Flag.BLANK, 0)
        flags[readable] |= np.where(np.isnan(answers.embedding[:, 0]), Flag.NO_ANSWER, 0)
        embedding[readable] = answers.embedding
        if model.card.familiar is not None:
            artefacts[readable] = measure_artefacts(pictures)
        for name, probabilities in answers.probabilities.items():
            found[name][readable] = probabilities
        for name, values in answers.concentrations.items():
            concentrations[name][readable] = values
    flags |= np.array([galaxy.flags for galaxy in batch], dtype=np.int32)
    chances = found[main.name]
    positions = np.array([galaxy.position or (np.nan, np.nan) for galaxy in batch])
    return {
        "ra": positions[:, 0],
        "dec": positions[:, 1],
        HEALPIX.name: _cells(positions),
        **{name: found[question.name][:, number] for question, number, name in _probability_columns(questions)},
        **vote_values(model, found, concentrations),
        "class": _called_classes(main, chances),
        **{name: _called_classes(question, found[question.name]) for question, name in _class_columns(questions)},
        **_judgements(model, chances, embedding, artefacts, flags),
        "entropy": -(chances * np.log(np.maximum(chances, 1e-30))).sum(axis=1),
        "flags": flags,
        "model": [model.card.digest[:12]] * count,
        "embedding": embedding,
    }


def _called_classes(question: Question, probabilities: NDArray[np.float32]) -> list[str | None]:
    """Return the most probable answer of each row, the first of equals; None if the probabilities are NaN."""
    known = ~np.isnan(probabilities[:, 0])
    numbers = np.where(known, probabilities.argmax(axis=1), len(question.answers))
    names = (*question.answers, None)
    return [names[number] for number in numbers.tolist()]


def _cells(positions: NDArray[np.float64]) -> NDArray[np.generic]:
    """Return the HEALPix cells of positions (n, 2), masked where a position is missing."""
    cells = healpix_29(positions[:, 0], positions[:, 1])
    return np.ma.masked_less(cells, 0)


def _array(values: NDArray[np.generic] | list[str | None], type: pa.DataType) -> pa.Array:
    """Return an Arrow array with null for NaN."""
    if isinstance(values, list):
        return pa.array(values, type)
    if pa.types.is_fixed_size_list(type):
        flat = pa.array(values.ravel(), type.value_type)
        return pa.FixedSizeListArray.from_arrays(flat, type.list_size, mask=pa.array(np.isnan(values[:, 0])))
    return pa.array(values, type, from_pandas=True)


def _count(batch: list[Galaxy], values: dict[str, NDArray[np.generic] | list[str | None]]) -> Tally:
    flags = np.asarray(values["flags"]).astype(int)
    flagged = {str(flag.name).lower(): int(np.count_nonzero(flags & flag)) for flag in Flag}
    flagged |= unlike(np.asarray(values.get("ood", []), dtype=np.float32))
    problems = {galaxy.id: galaxy.problem for galaxy in batch if galaxy.problem is not None}
    problems |= {batch[row].id: NO_ANSWER for row in np.flatnonzero(flags & Flag.NO_ANSWER)}
    seen = (flags & SHOWS_NOTHING) == 0
    return Tally(
        rows=len(batch),
        classes=dict(Counter(str(name) for name, shows in zip(values["class"], seen, strict=True) if name and shows)),
        flagged={name: count for name, count in flagged.items() if count},
        problems=problems,
    )
