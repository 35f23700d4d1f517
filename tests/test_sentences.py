"""Numbers in sentences, whatever their sign and number."""

import re
from pathlib import Path

import numpy as np
import pytest

import peculiar
from peculiar.evaluation.assess import assess
from peculiar.evaluation.page import _calibration_text
from peculiar.questions.question import Question
from peculiar.text import changed, counted, nth_row
from simulated_answers import draw


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 galaxies are"), (1, "1 galaxy is"), (2, "2 galaxies are"), (1200, "1,200 galaxies are")],
)
def test_things_are_counted(count: int, text: str) -> None:
    assert counted(count, "galaxy", "are", "is") == text
    assert counted(count, "galaxy") == text.rsplit(" ", 1)[0]


def test_rows_are_counted_from_0_in_every_message() -> None:
    assert nth_row(1200) == "row 1,200 (counted from 0)"
    sources = Path(peculiar.__file__).parent.rglob("*.py")
    rest = [text for path in sources for text in re.findall(r"\brow \{[^}]*\+ 1[^}]*\}", path.read_text())]
    assert rest == []


def test_plurals() -> None:
    assert [counted(2, noun) for noun in ("class", "box", "label", "epoch")] == [
        "2 classes",
        "2 boxes",
        "2 labels",
        "2 epochs",
    ]


@pytest.mark.parametrize(
    ("by", "text"),
    [
        (0.0362, "higher by 0.0362"),
        (-0.0362, "lower by 0.0362"),
        (0.0, "unchanged"),
        (-0.0, "unchanged"),
        (-0.00001, "unchanged"),
        (float("nan"), "changed by an undefined amount"),
        (float("-inf"), "changed by an undefined amount"),
    ],
)
def test_the_sign_decides_the_word(by: float, text: str) -> None:
    assert changed(by) == text


@pytest.mark.parametrize(
    ("gain", "words"),
    [(-0.0362, "the log loss is higher by 0.0362"), (0.0362, "the log loss is lower by 0.0362"), (0, "is unchanged")],
)
def test_the_page_says_which_way_a_scaling_changes_the_log_loss(gain: float, words: str) -> None:
    labels, probabilities = draw(np.random.default_rng(2), 60)
    found = assess([str(n) for n in range(60)], labels, probabilities, Question("shape", ("a", "b", "c")), resamples=5)
    found.calibration["gain_by_classes"] = gain
    assert words in " ".join(_calibration_text(found))
