"""Shares of classes: exact in the limit, and intervals that cover when prevalences change."""

import numpy as np
import pytest
from numpy.typing import NDArray

from peculiar.errors import LabelError
from peculiar.prevalence import adjusted_counts, expectation_maximisation, fractions

PRIOR = np.array([0.5, 0.3, 0.2])


def draw(
    random: np.random.Generator, count: int, shares: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Galaxies of given shares, and what a classifier says that is calibrated for those of `PRIOR`."""
    labels = random.choice(3, count, p=shares)
    logits = np.log(PRIOR) + 1.7 * (random.normal(size=(count, 3)) + 1.7 * np.eye(3)[labels])
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return labels, exponentials / exponentials.sum(axis=1, keepdims=True)


def test_counts_by_hand() -> None:
    # A tenth of the first and a fifth of the second are confused; 0.3 * 0.9 + 0.7 * 0.2 = 0.41.
    assert adjusted_counts(np.array([[90, 10], [20, 80]]), np.array([41, 59])) == pytest.approx([0.3, 0.7])
    # Fewer than the confusion alone would make of none.
    assert adjusted_counts(np.array([[90, 10], [20, 80]]), np.array([10, 90])) == pytest.approx([0.0, 1.0])


def test_many_galaxies_give_the_shares() -> None:
    random, shares = np.random.default_rng(2), np.array([0.1, 0.2, 0.7])
    labels, probabilities = draw(random, 20_000, PRIOR)
    _, others = draw(random, 20_000, shares)
    assert expectation_maximisation(others, PRIOR) == pytest.approx(shares, abs=0.01)
    found = fractions(labels, probabilities, others, "abc", resamples=5).values()
    assert [one.adjusted for one in found] == pytest.approx(shares, abs=0.02)
    assert [one.expected for one in found] == pytest.approx(shares, abs=0.02)
    assert sum(one.counted for one in found) == pytest.approx(1)
    assert max(abs(one.counted - share) for one, share in zip(found, shares, strict=True)) > 0.05


@pytest.mark.slow
def test_intervals_cover_when_prevalences_change() -> None:
    random = np.random.default_rng(1)
    hits: list[tuple[bool, bool]] = []
    for seed in range(150):
        shares = random.dirichlet(np.full(3, 2.0))
        labels, probabilities = draw(random, 300, PRIOR)
        _, others = draw(random, 500, shares)
        found = fractions(labels, probabilities, others, "abc", resamples=100, seed=seed)
        hits += [
            (
                one.adjusted_interval[0] <= share <= one.adjusted_interval[1],
                one.expected_interval[0] <= share <= one.expected_interval[1],
            )
            for one, share in zip(found.values(), shares, strict=True)
        ]
    by_counts, by_maximisation = np.mean(hits, axis=0)
    assert 0.85 < by_counts < 0.95
    assert 0.85 < by_maximisation < 0.95


def test_refusals() -> None:
    probabilities = np.full((3, 2), 0.5)
    with pytest.raises(LabelError, match="b: no labelled galaxy of this class"):
        fractions(np.zeros(3, int), probabilities, probabilities, "ab")
    with pytest.raises(LabelError, match="no galaxy without a label"):
        fractions(np.array([0, 1, 0]), probabilities, np.empty((0, 2)), "ab")
