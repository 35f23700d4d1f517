"""A model whose reasons are known: it looks for a green spot."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from peculiar.images.framing import Framing
from peculiar.questions.question import Question
from pictures import draw_galaxy

SIDE = 48
SPOT = Question("spot", ("no spot", "spot"))


@dataclass
class SpotFinder:
    """Classifier whose probability of "spot" grows with the greenest pixel, wherever it is."""

    framing: Framing = field(default_factory=lambda: Framing(SIDE))
    question: Question = SPOT
    asked: list[int] = field(default_factory=list)

    def probabilities(self, pictures: NDArray[np.uint8], *, framed: bool = False) -> NDArray[np.float32]:
        self.asked.append(len(pictures))
        green = pictures[..., 1].astype(float) - pictures[..., 0]
        chance = expit((green.max(axis=(1, 2)) - 60) / 15)
        return np.stack([1 - chance, chance], axis=1).astype(np.float32)


def with_spot(row: float, column: float, height: int = SIDE, width: int = SIDE, radius: float = 2) -> NDArray[np.uint8]:
    """A smooth galaxy with a green spot."""
    picture = draw_galaxy(max(height, width), 12, width / 2, height / 2)[:height, :width].copy()
    rows, columns = np.indices((height, width))
    picture[np.hypot(rows - row, columns - column) <= radius, 1] = 255
    return picture
