"""Answers of teachers: those that are not numbers teach nothing."""

from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from peculiar.images.framing import Framing
from peculiar.questions.question import Question
from peculiar.sources.answers import Answered
from peculiar.training.lessons import ask_teachers
from peculiar.training.watch import Watcher

SHAPE = Question("shape", ("round", "flat"))


class Teacher:
    """A teacher that has no answer for black pictures."""

    framing = Framing(8)

    def classify(self, pictures: NDArray[np.uint8], **_: Any) -> SimpleNamespace:
        chances = np.where(pictures.max(axis=(1, 2, 3)) > 0, 0.25, np.nan)
        return SimpleNamespace(probabilities={"shape": np.stack([chances, 1 - chances], axis=1)})


def test_a_teacher_without_an_answer_teaches_nothing() -> None:
    pictures = np.full((4, 12, 12, 3), 9, np.uint8)
    pictures[1] = 0
    data = Answered((SHAPE,), [*"abcd"], np.zeros(4, int), pictures, {}, {}, {}, [None] * 4)
    teachers: list[Any] = [Teacher(), Teacher()]
    lessons = ask_teachers(teachers, data, np.arange(3), Watcher())
    np.testing.assert_array_equal(lessons["shape"], [[0.25, 0.75], [0, 0], [0.25, 0.75], [0, 0]])
