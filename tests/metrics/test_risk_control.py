"""Thresholds that keep a promise: in a single stratum as Clopper and Pearson, and seldom broken in simulations."""

import numpy as np
import pytest
from scipy.stats import binomtest
from tests.metrics.test_purity import catalogue, truth_of

from peculiar.metrics.purity import Cells, count_answers
from peculiar.metrics.risk_control import (
    completeness_p_values,
    purity_p_values,
    threshold_of_completeness,
    threshold_of_purity,
)
from peculiar.metrics.stratified import draw_sample, stratify


def cells_of(*rows: tuple[float, float, float, float]) -> Cells:
    return Cells(*(np.array(column, dtype=float) for column in zip(*rows, strict=True)))


def test_a_single_stratum_has_the_p_value_of_clopper_and_pearson() -> None:
    cells = cells_of((0.5, 1e7, 1000, 930))
    exact = binomtest(930, 1000, 0.91, alternative="greater").pvalue
    assert purity_p_values(cells, 0.91)[0] == pytest.approx(exact, rel=0.15)
    assert purity_p_values(cells, 0.91)[0] > exact


def test_complete_answers_leave_no_doubt() -> None:
    cells = cells_of((0.0, 20, 20, 2), (0.5, 10, 10, 9))
    assert purity_p_values(cells, 0.9).tolist() == [1, 0]
    assert completeness_p_values(cells, 0.8).tolist() == [0, 0]
    assert completeness_p_values(cells, 0.9).tolist() == [0, 1]
    assert threshold_of_purity(cells, 0.9) == 1
    assert threshold_of_completeness(cells, 0.8) == 1
    assert threshold_of_completeness(cells, 0.9) is None


def test_too_few_answers_promise_nothing() -> None:
    few = cells_of((0.0, 900, 10, 0), (0.5, 100, 10, 10))
    assert threshold_of_purity(few, 0.9) is None
    assert threshold_of_completeness(few, 0.9) is None
    none = cells_of((0.0, 900, 10, 0), (0.5, 100, 10, 0))
    assert threshold_of_purity(none, 0.9) is None
    assert threshold_of_completeness(none, 0.9) is None


@pytest.mark.parametrize(("prevalence", "skill", "wanted"), [(0.02, 2.5, 0.5), (0.1, 2.5, 0.7), (0.4, 3, 0.9)])
@pytest.mark.slow
def test_promises_are_kept_in_nineteen_of_twenty_samples(prevalence: float, skill: float, wanted: float) -> None:
    scores, truths = catalogue(prevalence, skill)
    strata = stratify(scores)
    purity, completeness = truth_of(scores, truths, strata.lower)
    broken, given = np.zeros(2), np.zeros(2)
    for seed in range(100):
        rows = draw_sample(strata, 500, seed=seed).rows
        cells = count_answers(strata.numbers, strata.lower, rows, truths[rows])
        for which, (find, true) in enumerate(
            ((threshold_of_purity, purity), (threshold_of_completeness, completeness))
        ):
            number = find(cells, wanted)
            given[which] += number is not None
            broken[which] += number is not None and true[number] < wanted
    assert (broken <= 0.05 * 100).all()
    assert given[0] > 50
