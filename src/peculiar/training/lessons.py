"""Knowledge distillation: probabilities of teachers for the training galaxies."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from peculiar.errors import UsageError
from peculiar.models.model_file import Model
from peculiar.simulation.attributes import ATTRIBUTES
from peculiar.sources.answers import Answered
from peculiar.training.recipe import LESSONS, RunRecord
from peculiar.training.watch import Watcher
from peculiar.training.weights import read_weights, write_weights

# The teachers average over all views, so that the network learns to be invariant to rotation and mirroring.
_VIEWS = 8
_BATCH = 32


def check_teacher(teacher: Model, record: RunRecord) -> None:
    """Raise an error for a teacher that does not fit, or that may have been trained on held-out galaxies."""
    # Simulated galaxies have the truth of their attributes, and need no teacher for it.
    mine = {question.name: question.answers for question in record.questions if question.name not in ATTRIBUTES}
    its = {question.name: question.answers for question in teacher.card.questions if question.name in mine}
    if its != mine:
        message = f"the teacher {teacher.path} does not answer the same questions: {mine} are needed, it has {its}"
        raise UsageError(message)
    if teacher.framing != record.recipe.own_framing:
        message = (
            f"the teacher {teacher.path} wants {teacher.framing}, and this run {record.recipe.own_framing}; train with "
            "the size and crop of the teacher"
        )
        raise UsageError(message)
    if teacher.card.training.get("split_digest") != record.split_digest:
        message = (
            f"the teacher {teacher.path} was trained on other parts of the data, so it may have seen galaxies that are "
            "held out here; train a teacher on the same data with the same shares"
        )
        raise UsageError(message)


def ask_teachers(
    teachers: Sequence[Model], data: Answered, rows: NDArray[np.intp], watcher: Watcher
) -> dict[str, NDArray[np.float32]]:
    """Return the mean probabilities of the teachers, by question, for some of the galaxies.

    Other rows are 0, and so are those for which a teacher returns values that are not numbers: they teach nothing.
    """
    size = teachers[0].framing.size
    rim = (data.pictures.shape[1] - size) // 2
    asked = [question for question in data.questions if question.name not in ATTRIBUTES]
    lessons = {question.name: np.zeros((len(data), len(question.answers)), np.float32) for question in asked}
    for start in range(0, len(rows), _BATCH):
        some = rows[start : start + _BATCH]
        pictures = data.pictures[some, rim : rim + size, rim : rim + size, :3]
        answers = [teacher.classify(pictures, views=_VIEWS, framed=True).probabilities for teacher in teachers]
        for name, lesson in lessons.items():
            lesson[some] = np.nan_to_num(np.mean([probabilities[name] for probabilities in answers], axis=0))
        watcher.asking(min(start + _BATCH, len(rows)), len(rows))
    return lessons


def keep_lessons(folder: Path, record: RunRecord, lessons: dict[str, NDArray[np.float32]]) -> None:
    """Write the probabilities of the teachers into the folder of a run."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {str(number): torch.from_numpy(lesson) for number, lesson in enumerate(lessons.values())}
    write_weights(folder / LESSONS, tensors, {"of": _asked(record)})


def kept_lessons(folder: Path, record: RunRecord) -> dict[str, NDArray[np.float32]] | None:
    """Return the stored probabilities of the same teachers for the same galaxies, if there are any."""
    if not (folder / LESSONS).exists():
        return None
    tensors, _, notes = read_weights(folder / LESSONS)
    asked = [question.name for question in record.questions if question.name not in ATTRIBUTES]
    names = {str(number): name for number, name in enumerate(asked)}
    if notes.get("of") != _asked(record) or set(tensors) != set(names):
        return None
    return {name: tensors[number].numpy() for number, name in names.items()}


def _asked(record: RunRecord) -> str:
    return record.model_dump_json(include={"teachers", "data_digest", "split_digest", "questions"})
