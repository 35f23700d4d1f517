"""Samples that are balanced over a score: strata, shares, nested draws."""

import numpy as np
import pytest

from peculiar.errors import UsageError
from peculiar.metrics.stratified import MOST_STRATA, allocate, draw_sample, stratify


def scores_of(count: int = 5000, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).beta(0.1, 3, count)


def test_strata_are_ordered_by_score_and_have_equal_shares() -> None:
    scores = scores_of()
    strata = stratify(scores)
    assert MOST_STRATA - 3 <= len(strata.lower) <= MOST_STRATA
    assert strata.sizes.sum() == len(scores)
    assert np.median(strata.shares) == pytest.approx(1 / MOST_STRATA, rel=0.05)
    assert strata.shares.max() < 0.1
    assert (np.diff(strata.lower) > 0).all()
    for stratum, lower in enumerate(strata.lower):
        assert scores[strata.numbers == stratum].min() == lower
    assert (np.searchsorted(strata.lower, scores, side="right") - 1 == strata.numbers).all()


def test_half_of_the_sample_is_balanced_over_the_score() -> None:
    scores = scores_of(100_000)
    sample = draw_sample(stratify(scores), 400)
    in_bins = np.bincount((scores[sample.rows] * 10).astype(int), minlength=10)
    full = np.bincount((scores * 10).astype(int), minlength=10) > 40
    assert (in_bins[full] >= 15).all()
    assert in_bins[0] > 100


def test_equal_scores_share_a_stratum() -> None:
    scores = np.repeat([0.0, 0.2, 0.9], [900, 90, 10])
    strata = stratify(scores)
    assert strata.lower.tolist() == [0.0, 0.2, 0.9]
    assert strata.sizes.tolist() == [900, 90, 10]
    drawn = allocate(strata, 60)
    assert drawn.sum() == 60
    assert drawn[2] == 10  # no more than there are; the others get the rest


def test_scores_that_are_no_probabilities_are_balanced_by_halves() -> None:
    scores = np.random.default_rng(2).lognormal(0, 2, 1024)
    strata = stratify(scores)
    order = np.argsort(-scores)
    share = strata.shares[strata.numbers] / strata.sizes[strata.numbers]
    halves = [share[order[1024 >> (k + 1) : 1024 >> k]].sum() for k in range(6)]
    # Half of the sample evenly: 1/2, 1/4 ...; the other half in ten bins.
    assert halves == pytest.approx([0.5 / 2 ** (k + 1) + 0.05 for k in range(6)], abs=0.03)


def test_inclusion_probabilities_are_those_of_repeated_draws() -> None:
    scores = scores_of(300)
    strata = stratify(scores)
    counts = np.zeros(300)
    for seed in range(400):
        sample = draw_sample(strata, 80, seed=seed)
        counts[sample.rows] += 1
    told = (allocate(strata, 80) / strata.sizes)[strata.numbers]
    assert sample.probabilities == pytest.approx(told[sample.rows])
    assert (np.abs(counts / 400 - told) < 5 * np.sqrt(told * (1 - told) / 400) + 1e-9).all()


@pytest.mark.parametrize(
    "scores",
    [
        scores_of(),
        scores_of(60),
        np.repeat([0.0, 0.2, 0.9], [900, 90, 10]),
        np.random.default_rng(2).lognormal(0, 2, 1024),
    ],
    ids=["many", "few", "equal", "no probabilities"],
)
def test_as_many_are_drawn_as_asked_and_a_larger_sample_contains_the_smaller_one(scores: np.ndarray) -> None:
    strata, before = stratify(scores), set[int]()
    for count in (1, 39, 40, 41, 42, 59, 100, 250, 10_000):
        drawn = draw_sample(strata, count, seed=5).rows.tolist()
        assert len(drawn) == len({*drawn}) == min(max(count, len(strata.sizes)), len(scores))
        assert before <= {*drawn}
        assert {*strata.numbers[drawn]} == {*range(len(strata.sizes))}
        before = {*drawn}


def test_all_are_drawn_if_there_are_fewer() -> None:
    strata = stratify(scores_of(50))
    sample = draw_sample(strata, 1000)
    assert sorted(sample.rows) == list(range(50))
    assert (sample.probabilities == 1).all()


def test_a_negative_seed_is_refused() -> None:
    with pytest.raises(UsageError, match="0 or more; received -1"):
        draw_sample(stratify(scores_of(50)), 10, seed=-1)


def test_galaxies_without_a_score_are_left_out() -> None:
    scores = scores_of(100)
    scores[[3, 7]] = [np.nan, np.inf]
    strata = stratify(scores)
    assert strata.numbers[[3, 7]].tolist() == [-1, -1]
    assert sorted(draw_sample(strata, 1000).rows) == [row for row in range(100) if row not in (3, 7)]


@pytest.mark.parametrize(
    ("scores", "message"),
    [([np.nan, np.nan], "no galaxy has a score"), ([0.5, 0.5, np.nan], "all galaxies have the score 0.5"), ([], "no")],
)
def test_scores_without_a_threshold_are_refused(scores: list[float], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        stratify(np.array(scores))
