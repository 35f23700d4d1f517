"""Answers of a linear head for the galaxies of a catalogue, as a table."""

import json

import numpy as np
import pyarrow as pa
from scipy.special import entr

from peculiar.catalogs.abstention import abstain, abstention_columns
from peculiar.catalogs.catalog import Catalog
from peculiar.catalogs.rows import SET_LEVEL
from peculiar.catalogs.store import BLOCK
from peculiar.metrics.prediction_sets import name_sets, prediction_sets
from peculiar.models.linear_head import Head
from peculiar.questions.column_names import COLUMNS_NOTE, MAIN_NOTE, answer_columns
from peculiar.tables.column import Column


def answer_catalog(catalog: Catalog, head: Head) -> Catalog:
    """Answer a question for all galaxies of a catalogue by their embeddings.

    Parameters
    ----------
    catalog : Catalog
        With embeddings, as the head was fitted to.
    head : Head

    Returns
    -------
    Catalog
        In memory, all rows in their order: ``id``, ``ra`` and ``dec`` if the catalogue has them, a probability for each
        answer (for two answers that of the second), ``class``, ``set_90``, ``safe_class``, ``why`` and ``entropy``;
        null if a galaxy has no embedding.

    Raises
    ------
    UsageError, DataError
        If the catalogue has no embeddings.
    """
    embeddings, question = catalog.embeddings(), head.question
    chances = np.full((len(embeddings), len(question.answers)), np.nan, dtype=np.float32)
    for start in range(0, len(embeddings), BLOCK):
        rows = np.arange(start, min(start + BLOCK, len(embeddings)))
        rows = rows[embeddings.known[rows]]
        chances[rows] = head.probabilities(embeddings.raw(rows))
    known = np.flatnonzero(embeddings.known)
    names = answer_columns([question])
    columns = [catalog.columns[name] for name in ("id", "ra", "dec") if name in catalog.columns]
    table = pa.Table.from_batches(catalog.batches([column.name for column in columns]))

    def add(column: Column, values: pa.Array) -> None:
        nonlocal table
        columns.append(column)
        table = table.append_column(column.name, values)

    for number, answer in enumerate(question.answers):
        if name := names[question.name].get(answer):
            text = f"probability of the answer {answer!r} to {question.name}"
            values = pa.array(chances[:, number], pa.float32(), from_pandas=True)
            add(Column(name, pa.float32(), text, ucd="stat.probability"), values)
    classes: list[str | None] = [None] * len(chances)
    called = chances[known].argmax(axis=1)
    thresholds = head.sets.get(SET_LEVEL)
    inside = np.zeros(chances.shape, dtype=bool)
    if thresholds:
        inside[known] = prediction_sets(chances[known], thresholds)
    for row, number in zip(known.tolist(), called.tolist(), strict=True):
        classes[row] = question.answers[number]
    named = zip(name_sets(inside, question.answers), inside.sum(axis=1), strict=True)
    sets = [name if some else None for name, some in named]
    text = f"most probable answer to {question.name}"
    add(Column("class", pa.string(), text, ucd="meta.code.class"), pa.array(classes, pa.string()))
    text = f"answers to {question.name} that cannot be ruled out: the right one is among them in {SET_LEVEL} of 100"
    add(Column(f"set_{SET_LEVEL}", pa.string(), f"{text} cases", ucd="meta.code.class"), pa.array(sets, pa.string()))
    if thresholds:
        abstained = abstain(question.answers, inside)
        for column, values in zip(abstention_columns(question.answers, question.name), abstained, strict=True):
            add(column, pa.array(values, pa.string()))
    text = f"entropy of the probabilities of {question.name}, in nats"
    entropy = pa.array(entr(chances).sum(axis=1), pa.float32(), from_pandas=True)
    add(Column("entropy", pa.float32(), text, ucd="stat.value"), entropy)
    notes = {MAIN_NOTE: question.name, COLUMNS_NOTE: json.dumps(names), **catalog.whose}
    return Catalog.of_rows(columns, table, notes)
