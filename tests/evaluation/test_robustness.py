"""Robustness: the effect of each corruption, and the amounts at which scores fall."""

import numpy as np
import pytest
from numpy.typing import NDArray

from peculiar.evaluation.robustness import SHIFTS, Shifted, shift_scores
from peculiar.images.decode import encode_picture
from peculiar.images.framing import Framing
from peculiar.questions.question import Question
from peculiar.sources.stream import Row
from pictures import draw_galaxy

PICTURE = draw_galaxy(96, 12, 48, 48, seed=3)


class Brightness:
    """Classifier that recognises bright pictures."""

    question = Question("light", ("dark", "bright"))
    framing = Framing(32)

    def probabilities(self, pictures: NDArray[np.uint8], *, framed: bool = False) -> NDArray[np.float32]:
        bright = 1 / (1 + np.exp(-(pictures.mean(axis=(1, 2, 3)) - 100) / 10))
        return np.stack([1 - bright, bright], axis=1).astype(np.float32)


@pytest.mark.parametrize("name", SHIFTS)
def test_the_first_amount_changes_nothing_and_the_others_do(name: str) -> None:
    _, amounts, change = SHIFTS[name]
    if name not in ("blur", "pixel scale"):
        assert np.array_equal(change(PICTURE, amounts[0], np.random.default_rng(1)), PICTURE)
    for amount in amounts[1:]:
        changed = change(PICTURE, amount, np.random.default_rng(1))
        assert changed.dtype == np.uint8
        assert changed.shape[2] == 3
        assert changed.shape != PICTURE.shape or not np.array_equal(changed, PICTURE)


def test_a_distant_galaxy_is_smaller_and_fainter() -> None:
    change = SHIFTS["redshift"][2]
    near, far = (change(PICTURE, z, np.random.default_rng(1)).astype(float) for z in (0.05, 0.2))
    assert far[46:50, 46:50].mean() < near[46:50, 46:50].mean()
    bright = [(one.mean(axis=2) > 60).sum() for one in (near, far)]
    assert bright[1] < 0.4 * bright[0]


def test_scores_fall_where_they_do() -> None:
    pictures = [np.full((40, 40, 3), grey, np.uint8) for grey in (20, 40, 140, 250)]
    rows = [Row("0", encode_picture(pictures[0])), *(Row(str(n), one) for n, one in enumerate(pictures[1:], 1))]
    rows.append(Row("broken", b"no picture"))
    found = shift_scores(Brightness(), rows, np.array([0, 0, 1, 1, 1]), names=("lost band", "mirror", "rotation"))
    assert found["mirror"].accuracy == [1.0, 1.0, 1.0]
    assert found["mirror"].same == [1.0, 1.0, 1.0]
    assert found["rotation"].accuracy_falls_at is None
    assert found["rotation"].change == pytest.approx([0] * 7, abs=1e-6)
    # Without one of three colours 140 becomes 93, which is dark.
    assert found["lost band"].accuracy == [1.0, 0.75, 0.75, 0.75]
    assert found["lost band"].accuracy_falls_at == 1


def test_the_point_of_the_fall_lies_between_amounts() -> None:
    shifted = Shifted("", (0, 1, 3), [0.9, 0.88, 0.8], [0.02, 0.02, 0.03], [1, 1, 0.9], [0, 0, 0])
    assert shifted.accuracy_falls_at == pytest.approx(1 + 2 * 0.03 / 0.08)
    assert shifted.calibration_falls_at is None
    assert shifted.as_dict()["calibration_falls_at"] is None
    apart = Shifted("", (0, 1, 3), [0.9, 0.88, 0.8], [0.02, 0.02, 0.03], [1, 1, 0.9], [0, 0, 0], apart=True)
    assert apart.accuracy_falls_at == 3
