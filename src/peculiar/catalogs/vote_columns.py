"""Columns of a catalogue for models of votes: shares of all volunteers, and intervals of the shares."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from peculiar.metrics.dirichlet import LEVEL, intervals
from peculiar.models.model_file import Model
from peculiar.questions.column_names import derived_columns
from peculiar.questions.question import Question
from peculiar.questions.votes import reached
from peculiar.tables.column import Column

JOINT, LOW, HIGH = "p_joint_", "low_", "high_"
"""Beginnings of the names of these columns."""

_CHANCE = "stat.probability"


def vote_columns(model: Model) -> list[Column]:
    """Return the columns of a catalogue that a model of votes adds to those of the probabilities.

    Parameters
    ----------
    model : Model
        With a decision tree, there are the shares of all volunteers, for questions that not everyone is asked. With the
        Dirichlet-multinomial likelihood, there are the ends of an interval for each share.
    """
    questions = model.card.questions
    columns = [
        Column(
            name, pa.float32(), f"share of all volunteers who would answer {answer!r} to {question.name}", "", _CHANCE
        )
        for question, answer, name in _names(questions, JOINT, _reachable(questions))
    ]
    outside = 50 * (1 - LEVEL)
    for prefix, percentile in ((LOW, outside), (HIGH, 100 - outside)):
        columns += [
            Column(name, pa.float32(), f"{percentile:.0f}th percentile of the share of {answer!r}", "", _CHANCE)
            for _, answer, name in _names(questions, prefix, model.card.spreads)
        ]
    return columns


def vote_values(
    model: Model,
    probabilities: Mapping[str, NDArray[np.float32]],
    concentrations: Mapping[str, NDArray[np.float32]],
) -> dict[str, NDArray[np.generic]]:
    """Return the values of `vote_columns`; NaN where there are no probabilities.

    Parameters
    ----------
    model : Model
    probabilities, concentrations : mapping of str to ndarray of float32, shape (n, answers)
        By question.
    """
    questions = model.card.questions
    shares = reached(questions, probabilities)
    values: dict[str, NDArray[np.generic]] = {
        name: shares[question.name] * probabilities[question.name][:, question.answers.index(answer)]
        for question, answer, name in _names(questions, JOINT, shares)
    }
    ends = {name: intervals(found) for name, found in concentrations.items()}
    for end, prefix in enumerate((LOW, HIGH)):
        for question, answer, name in _names(questions, prefix, ends):
            values[name] = ends[question.name][:, question.answers.index(answer), end]
    return values


def _reachable(questions: Sequence[Question]) -> dict[str, NDArray[np.float64]]:
    return reached(questions, {one.name: np.empty((0, len(one.answers))) for one in questions})


def _names(
    questions: Sequence[Question], prefix: str, wanted: Mapping[str, object]
) -> Iterator[tuple[Question, str, str]]:
    """Yield the question, the answer and the name of each column of a kind."""
    columns = derived_columns(questions, prefix)
    for question in questions:
        if question.name in wanted:
            for answer, name in columns[question.name].items():
                yield question, answer, name
