"""Where the answers of a model and measures of the galaxies disagree."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from peculiar.evaluation.measured import SHOWN, compare_measures
from peculiar.evaluation.page import _measures_section
from peculiar.evaluation.scored import Scored
from peculiar.questions.question import FOUR_CLASS

MERGER = FOUR_CLASS.answers.index("Merger")
COUNT = 30


def scored(**columns: list[Any]) -> Scored:
    """Thirty galaxies, the later the more probably mergers; the last ten are."""
    probabilities = np.full((COUNT, 4), 0.1)
    probabilities[:, MERGER] = np.linspace(0, 0.7, COUNT)
    labels = np.where(np.arange(COUNT) < 20, 0, MERGER)
    candidate: Any = None
    ids = [f"g{number}" for number in range(COUNT)]
    names = tuple(columns)
    return Scored(candidate, FOUR_CLASS, list(range(COUNT)), ids, labels, probabilities, names, columns.__getitem__)


def test_a_measure_is_compared_with_the_probability_of_its_answer() -> None:
    asymmetry: list[Any] = np.linspace(0, 0.5, COUNT).tolist()
    asymmetry[0], asymmetry[29], asymmetry[5] = 0.9, 0.001, None
    (found,) = compare_measures(scored(asymmetry=asymmetry, colour=asymmetry))
    assert (found.answer, found.measure, found.galaxies) == ("Merger", "asymmetry", COUNT - 1)
    assert (found.measure_higher[0], found.network_higher[0]) == ("g0", "g29")
    assert len(found.network_higher) == SHOWN
    assert found.auc_network == 1
    # Of the 10 mergers and 19 others, one of each is on the wrong side.
    assert found.auc_measure == pytest.approx((9 * 18) / 190)
    assert 0.5 < found.correlation < 1


def test_bad_measures_are_left_out_and_few_galaxies_are_not_compared() -> None:
    asymmetry = np.linspace(0, 0.5, COUNT).tolist()
    quality = [2] * 10 + [1] * 20
    (found,) = compare_measures(scored(asymmetry=asymmetry, quality=quality))
    assert found.galaxies == 20
    assert found.correlation == pytest.approx(1)
    assert compare_measures(scored(asymmetry=asymmetry, quality=[4] * 19 + [0] * 11)) == []
    assert compare_measures(scored(colour=asymmetry)) == []


def test_a_measure_that_is_the_same_for_all_tells_nothing(tmp_path: Path) -> None:
    (found,) = compare_measures(scored(asymmetry=[0.5] * COUNT))
    assert (found.correlation, found.auc_measure) == (0, 0.5)
    picture = np.zeros((8, 8, 3), np.uint8)
    section = _measures_section(tmp_path, [(found, [(picture, "Merger 70%\nasymmetry 0.50")])])
    assert section.table[1] == ["Merger", "asymmetry", "30", "0.00", "1.000", "0.500"]
    assert (tmp_path / "measure_Merger_asymmetry.png").is_file()
    assert section.title == "Where network and measure disagree"
