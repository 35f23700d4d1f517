"""Shares of classes: exact in the limit, and intervals that cover when prevalences change."""

import numpy as np
import pytest
from numpy.typing import NDArray

from peculiar.errors import LabelError
from peculiar.metrics.prevalence import adjusted_counts, expectation_maximisation, fractions, sample_counts, shortest

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


@pytest.mark.slow
def test_many_galaxies_give_the_shares() -> None:
    random, shares = np.random.default_rng(2), np.array([0.1, 0.2, 0.7])
    labels, probabilities = draw(random, 20_000, PRIOR)
    _, others = draw(random, 20_000, shares)
    assert expectation_maximisation(others, PRIOR) == pytest.approx(shares, abs=0.01)
    found = fractions(labels, probabilities, others, "abc", draws=20).values()
    assert [one.adjusted for one in found] == pytest.approx(shares, abs=0.02)
    assert [one.expected for one in found] == pytest.approx(shares, abs=0.02)
    assert sum(one.counted for one in found) == pytest.approx(1)
    assert max(abs(one.counted - share) for one, share in zip(found, shares, strict=True)) > 0.05


# Of three classes, how often galaxies of each are called so: about as well as galaxies are told apart.
RATES = np.array([[0.92, 0.07, 0.01], [0.06, 0.86, 0.08], [0.04, 0.16, 0.8]])


@pytest.mark.parametrize(
    ("labelled", "others", "shares"),
    [
        ((150, 90, 60), 500, None),
        ((60, 50, 12), 200, None),
        ((700, 500, 30), 5000, None),
        ((300, 300, 300), 300, (0.02, 0.18, 0.8)),
        ((300, 300, 50), 2000, (0.6, 0.37, 0.03)),
    ],
    ids=["hundreds", "few", "many, one class rare", "one class nearly gone", "rare here and there"],
)
@pytest.mark.slow
def test_intervals_of_counts_cover(labelled: tuple[int, ...], others: int, shares: tuple[float, ...] | None) -> None:
    random = np.random.default_rng(len(labelled) + others)
    covered, widths = [], []
    for _ in range(300):
        true = random.dirichlet(np.full(3, 2.0)) if shares is None else np.array(shares)
        confusion = np.stack([random.multinomial(count, rates) for count, rates in zip(labelled, RATES, strict=True)])
        low, high = shortest(sample_counts(confusion, random.multinomial(others, true @ RATES), random))
        covered.append((low <= true) & (true <= high))
        widths.append(high - low)
    assert 0.87 < np.mean(covered) < 0.94
    # Were nothing confused and all known, 90 % of a share of a third would be this wide.
    assert np.mean(widths) < 5 * 3.3 * np.sqrt(2 / 9 / others)


def test_a_class_may_be_missing() -> None:
    # Two of a hundred are called so that are not: as many as are expected of none.
    confusion, random = np.array([[98, 2], [10, 90]]), np.random.default_rng(3)
    low, high = shortest(sample_counts(confusion, np.array([980, 20]), random))
    assert low[1] < 0.001
    assert 0.005 < high[1] < 0.06


def test_a_mistake_that_was_not_seen_may_be_made() -> None:
    # None of five was confused, and yet the half that are called so may well be more.
    confusion, random = np.array([[200, 0], [0, 5]]), np.random.default_rng(3)
    low, high = shortest(sample_counts(confusion, np.array([5000, 5000]), random))
    assert low[1] == pytest.approx(0.5, abs=0.02)
    assert high[1] > 0.55


def test_counts_that_no_shares_explain_have_shares_all_the_same() -> None:
    # Of neither class are nine in ten called the first.
    confusion = np.array([[500, 500], [100, 900]])
    found = sample_counts(confusion, np.array([9000, 1000]), np.random.default_rng(3))
    assert found.sum(axis=1) == pytest.approx(1)
    assert found[:, 0].min() > 0.99


@pytest.mark.slow
def test_intervals_cover_when_prevalences_change() -> None:
    random = np.random.default_rng(1)
    hits: list[tuple[bool, bool]] = []
    for seed in range(150):
        shares = random.dirichlet(np.full(3, 2.0))
        labels, probabilities = draw(random, 300, PRIOR)
        _, others = draw(random, 500, shares)
        found = fractions(labels, probabilities, others, "abc", draws=100, seed=seed)
        hits += [
            (
                one.adjusted_interval[0] <= share <= one.adjusted_interval[1],
                one.expected_interval[0] <= share <= one.expected_interval[1],
            )
            for one, share in zip(found.values(), shares, strict=True)
        ]
    by_counts, by_maximisation = np.mean(hits, axis=0)
    assert 0.87 < by_counts < 0.93
    # Calibration on some sixty galaxies of a class is a little less sure than their weights tell.
    assert 0.84 < by_maximisation < 0.94


def test_refusals() -> None:
    probabilities = np.full((3, 2), 0.5)
    with pytest.raises(LabelError, match="b: no labelled galaxy of this class"):
        fractions(np.zeros(3, int), probabilities, probabilities, "ab")
    with pytest.raises(LabelError, match="no galaxies without labels"):
        fractions(np.array([0, 1, 0]), probabilities, np.empty((0, 2)), "ab")
