"""Inputs of `evaluate` and `compare`: the model to score, and labelled galaxies or a table of probabilities."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from peculiar.errors import RunError, UsageError
from peculiar.evaluation.candidates import Candidate, RunNet, file_candidate, run_candidate
from peculiar.evaluation.scored import Scored, score_pictures, score_table
from peculiar.files.places import place
from peculiar.files.run_files import MODEL, RECORD, model_file_of
from peculiar.models.model_file import Model, load_model
from peculiar.questions.question import Question
from peculiar.questions.question_file import TREES, find_tree
from peculiar.questions.votes import find_votes
from peculiar.sources.answers import read_votes
from peculiar.sources.labels import LABEL_COLUMNS, label_table, open_labelled, own_question, with_most
from peculiar.sources.stream import Source
from peculiar.tables.key_columns import find_column
from peculiar.tables.reader import TableReader


def candidate_of(
    model: Model | RunNet | str | os.PathLike[str] | None, *, part: str, views: int | None, include_training: bool
) -> Candidate:
    """Return a model as a candidate: a model file, the model that ships (None), or the network of a run.

    Raises
    ------
    UsageError
        If it is the folder of a run without a model file.
    RunError
        If it is another folder.
    """
    if isinstance(model, str | os.PathLike) and model_file_of(place(model)).is_dir():
        if not (place(model) / RECORD).exists():
            message = f"{model} is not a training run: it has neither {RECORD} nor {MODEL}"
            raise RunError(message)
        message = f"{model} is the folder of a run; give its network, load_run({str(model)!r}), or its model file"
        raise UsageError(message)
    if model is None or isinstance(model, str | os.PathLike):
        model = load_model(model)
    if isinstance(model, Model):
        return file_candidate(model, part=part, views=views, include_training=include_training)
    return run_candidate(model, include_training=include_training)


def place_of(data: Any) -> str:
    """Return the name of the data in messages."""
    if isinstance(data, str | os.PathLike):
        return str(data)
    table = table_of(data)
    return str(table.path if table is not None else data.path if isinstance(data, Source) else "pictures")


def table_of(data: Any) -> TableReader | None:
    """Return the table of a catalogue that is given itself rather than by its path; None for other data.

    It is read from its file, if it has one.
    """
    if not hasattr(data, "to_arrow"):
        return None
    path = getattr(data, "path", None)
    return TableReader.of(data.to_arrow(), "the catalogue in memory") if path is None else TableReader(path)


def different_names(places: Sequence[str], models: Sequence[str] = ("", "")) -> tuple[str, str]:
    """Return names of two sides that differ: of their files, with folders if these are alike, or of their models."""
    first, second = (Path(place).name or model for place, model in zip(places, models, strict=True))
    if first != second:
        return first, second
    if places[0] != places[1]:
        return places[0] or first, places[1] or second
    return f"{first} (first)", f"{second} (second)"


@dataclass(frozen=True, slots=True)
class Asked:
    """Arguments of `evaluate` that name the model and the data."""

    data: Any
    candidate: Candidate
    label: str | None
    labels: Path | None
    question: str | None
    id: str | None


def score(asked: Asked, progress: Callable[[int], object]) -> Scored:
    """Read the probabilities of galaxies from a table, or classify them."""
    data, candidate, labels = asked.data, asked.candidate, asked.labels
    table = place(data) if isinstance(data, str | os.PathLike) else table_of(data)
    if table is not None:
        read = score_table(table, candidate, label=asked.label, labels=labels, id=asked.id, question=asked.question)
        if read is not None:
            return read
    voted, question = None, asked.question
    by_votes = _voted_on(asked)
    if by_votes is not None:
        question = by_votes.name
        source, voted = with_most(open_labelled(data, labels=labels, id=asked.id), by_votes, labels, asked.id)
    elif labels is None:
        source = open_labelled(data, label=asked.label, id=asked.id)
    else:
        (source,), _ = own_question([open_labelled(data, labels=labels, id=asked.id)], asked.label, labels, asked.id)
    scored = score_pictures(source, candidate, question=question, progress=progress)
    return scored if voted is None else replace(scored, votes=read_votes(source, voted).of(scored.rows))


def _voted_on(asked: Asked) -> Question | None:
    """Return the question to be scored if the data or a table of labels hold votes."""
    if asked.label is not None:
        return None
    question, labels, answered = asked.question, asked.labels, asked.candidate.questions
    if question in TREES:
        own = {one.name for one in find_tree(str(question)).questions}
        answered = tuple(one for one in answered if one.name in own) or answered
    elif question is not None:
        answered = tuple(one for one in answered if one.name == question)
    if labels is not None:
        columns = label_table(labels, id=asked.id).columns
        if find_column([*LABEL_COLUMNS, *(one.column.lower() for one in answered)], columns) is None:
            found = [find_votes([one], columns) for one in answered]
            if voted := [one for some in found for one in some]:
                return voted[0]
            if question in TREES:
                message = (
                    f"the model {asked.candidate.name} answers "
                    f"{', '.join(one.name for one in asked.candidate.questions)}, and "
                    f"{labels} has no votes on these. Train a model that answers {question}: `peculiar train DATA "
                    f"--labels {labels} --question {question} --from galaxy --out run`, then `peculiar export run "
                    "--out MODEL.onnx`"
                )
                raise UsageError(message)
    first = next(iter(answered), None)
    return first if first is not None and first.votes else None
