"""Purity and completeness by threshold: estimates, bands that cover, answers that would halve them."""

import numpy as np
import pytest

from peculiar.metrics.purity import Cells, answers_to_halve, count_answers, divide_by_answers, estimate_curves
from peculiar.metrics.stratified import draw_sample, stratify


def catalogue(prevalence: float, skill: float, count: int = 8000) -> tuple[np.ndarray, np.ndarray]:
    """Draw calibrated scores of galaxies, and which are true."""
    random = np.random.default_rng(1)
    truths = random.random(count) < prevalence
    measured = random.normal(skill * truths, 1)
    odds = np.log(prevalence / (1 - prevalence)) + skill * measured - skill**2 / 2
    return 1 / (1 + np.exp(-odds)), truths


def truth_of(scores: np.ndarray, truths: np.ndarray, thresholds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    selected = scores >= thresholds[:, None]
    found = (selected & truths).sum(axis=1)
    return found / selected.sum(axis=1), found / truths.sum()


def test_with_all_answers_everything_is_known() -> None:
    scores, truths = catalogue(0.2, 2, 400)
    strata = stratify(scores)
    cells = count_answers(strata.numbers, strata.lower, np.arange(400), truths)
    found = estimate_curves(cells)
    purity, completeness = truth_of(scores, truths, found.thresholds)
    for band, value in ((found.purity, purity), (found.completeness, completeness)):
        for one in (band.estimate, band.low, band.high):
            assert one == pytest.approx(value)
    assert found.selected[0] == 400
    assert found.true.at(0) == dict.fromkeys(("estimate", "low", "high"), truths.sum())


@pytest.mark.parametrize(("prevalence", "skill", "count"), [(0.01, 2.5, 400), (0.05, 2, 200), (0.3, 1.5, 200)])
@pytest.mark.slow
def test_estimates_are_unbiased_and_bands_cover(prevalence: float, skill: float, count: int) -> None:
    scores, truths = catalogue(prevalence, skill)
    strata = stratify(scores)
    purity, completeness = truth_of(scores, truths, strata.lower)
    open_ = np.flatnonzero((purity > 0) & (purity < 1) & (completeness < 1))
    covered, estimates = [], []
    for seed in range(100):
        rows = draw_sample(strata, count, seed=seed).rows
        found = estimate_curves(count_answers(strata.numbers, strata.lower, rows, truths[rows]))
        assert (found.thresholds == strata.lower).all()
        pairs = ((found.purity, purity), (found.completeness, completeness))
        covered.append([((one.low <= true) & (true <= one.high))[open_] for one, true in pairs])
        estimates.append(found.true.estimate)
    shares = np.mean(covered, axis=0)
    # The thresholds share answers, so their mean over 100 samples has an error of about a point and a half.
    assert shares.mean(axis=1) == pytest.approx(0.96, abs=0.035)
    assert shares.min() > 0.86
    means, errors = np.mean(estimates, axis=0), np.std(estimates, axis=0) / np.sqrt(100)
    assert (np.abs(means - purity * estimate_sizes(strata.sizes)) < 4 * errors + 1e-9).all()


def estimate_sizes(sizes: np.ndarray) -> np.ndarray:
    return np.cumsum(sizes[::-1])[::-1]


def test_bands_reach_to_the_end_without_answers_to_the_contrary() -> None:
    cells = Cells(np.array([0.0, 0.5]), np.array([900.0, 100.0]), np.array([50.0, 50.0]), np.array([0.0, 50.0]))
    found = estimate_curves(cells)
    assert found.purity.high[1] == 1
    assert 0.9 < found.purity.low[1] < 1
    assert found.completeness.high[1] == 1
    assert 0.5 < found.completeness.low[1] < 1


def test_without_true_ones_the_completeness_is_unknown() -> None:
    cells = Cells(np.array([0.0, 0.5]), np.array([900.0, 100.0]), np.array([50.0, 50.0]), np.zeros(2))
    found = estimate_curves(cells)
    assert np.isnan(found.completeness.estimate).all()
    assert np.isnan(found.completeness.low).all()
    assert found.purity.low.tolist() == [0, 0]
    assert found.purity.high[1] < 0.1


def test_strata_without_answers_join_their_neighbours() -> None:
    numbers, lower = np.repeat(np.arange(4), 10), np.array([0.0, 0.2, 0.4, 0.6])
    rows = np.array([0, 1, 2, 20, 21, 22, 23])
    cells = count_answers(numbers, lower, rows, np.array([0, 0, 1, 1, 1, 0, 1], dtype=bool))
    assert cells.lower.tolist() == [0.0, 0.2]
    assert cells.sizes.tolist() == [10, 30]
    assert cells.answered.tolist() == [3, 4]
    assert cells.true.tolist() == [1, 3]


def test_answers_that_were_not_drawn_by_strata_make_their_own() -> None:
    scores, truths = catalogue(0.3, 1.5)
    scores[0] = np.nan
    rows = np.random.default_rng(3).choice(np.arange(1, len(scores)), 300, replace=False)
    numbers, lower = divide_by_answers(scores, rows)
    cells = count_answers(numbers, lower, rows, truths[rows])
    assert numbers[0] == -1
    assert cells.sizes.sum() == len(scores) - 1
    assert cells.answered.sum() == 300
    assert cells.answered.min() >= 5
    purity, _ = truth_of(scores, truths, cells.lower)
    found = estimate_curves(cells)
    assert ((found.purity.low <= purity) & (purity <= found.purity.high)).mean() > 0.8


def test_more_answers_halve_a_band() -> None:
    cells = Cells(np.array([0.0, 0.5]), np.array([9e5, 1e5]), np.array([100.0, 100.0]), np.array([2.0, 50.0]))
    more = answers_to_halve(cells, 1)
    assert more == pytest.approx(600, rel=0.1)  # four times as many
    grown = estimate_curves(cells.grown(1 + more / 200))
    now = estimate_curves(cells)
    ratio = (grown.purity.high - grown.purity.low)[1] / (now.purity.high - now.purity.low)[1]
    assert ratio == pytest.approx(0.5, abs=0.02)
    few = Cells(np.array([0.0, 0.5]), np.array([200.0, 120.0]), np.array([100.0, 100.0]), np.array([2.0, 50.0]))
    assert 10 < answers_to_halve(few, 1, quantity="true") <= 120
    known = Cells(np.array([0.0, 0.5]), np.array([200.0, 100.0]), np.array([100.0, 100.0]), np.array([2.0, 50.0]))
    assert answers_to_halve(known, 1) is None
