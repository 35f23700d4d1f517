"""Differences of scores of two sets of answers: exact where known, intervals that cover the truth."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import binom
from sklearn.metrics import accuracy_score, log_loss, roc_auc_score

from peculiar.metrics.paired import differences, mcnemar


def answers(
    rng: np.random.Generator, labels: NDArray[np.int64], ease: NDArray[np.float64], skill: float
) -> NDArray[np.float64]:
    """Return probabilities of two classes; `ease` is what both models find in a picture."""
    signal = (2 * labels - 1) * skill + ease + rng.normal(0, 0.5, len(labels))
    second = 1 / (1 + np.exp(-signal))
    return np.stack([1 - second, second], axis=1)


def test_scores_and_differences_equal_scikit_learn() -> None:
    rng = np.random.default_rng(222)
    labels = rng.integers(0, 2, 300)
    ease = rng.normal(0, 1, 300)
    first, second = answers(rng, labels, ease, 0.5), answers(rng, labels, ease, 1.0)
    found = differences(labels, first, second, resamples=50).overall
    for name, score in (
        ("accuracy", lambda one: accuracy_score(labels, one.argmax(axis=1))),
        ("auc", lambda one: roc_auc_score(labels, one[:, 1])),
        ("log_loss", lambda one: log_loss(labels, one)),
    ):
        one = found[name]
        assert (one.first, one.second) == (pytest.approx(score(first)), pytest.approx(score(second)))
        assert one.difference == pytest.approx(score(second) - score(first))
        assert one.interval is not None
        assert one.interval[0] < one.difference < one.interval[1]


def test_a_pair_tells_more_than_two_samples() -> None:
    rng = np.random.default_rng(222)
    labels, ease = rng.integers(0, 2, 500), rng.normal(0, 1.5, 500)
    first, second = answers(rng, labels, ease, 1.0), answers(rng, labels, ease, 1.4)
    mixed = rng.permutation(500)
    # The same two sets of answers, but for different galaxies of the same kinds.
    apart = np.empty_like(second)
    for number in (0, 1):
        rows = np.flatnonzero(labels == number)
        apart[rows] = second[mixed[labels[mixed] == number]]
    paired, unpaired = (differences(labels, first, one).overall["auc"] for one in (second, apart))
    assert paired.difference == pytest.approx(unpaired.difference)
    lengths = [one.interval[1] - one.interval[0] for one in (paired, unpaired) if one.interval is not None]
    assert lengths[0] < 0.8 * lengths[1]


@pytest.mark.parametrize("group_size", [1, 4])
@pytest.mark.slow
def test_intervals_cover_the_true_difference(group_size: int) -> None:
    def sample(rng: np.random.Generator, galaxies: int) -> tuple[NDArray[np.int64], NDArray[np.float64], ...]:
        groups = galaxies // group_size
        labels = rng.integers(0, 2, groups).repeat(group_size)
        ease = rng.normal(0, 1, groups).repeat(group_size)
        return labels, answers(rng, labels, ease, 0.6), answers(rng, labels, ease, 0.9)

    rng = np.random.default_rng(222)
    truth = differences(*sample(rng, 200_000), resamples=2).overall
    repeats, covered = 150, dict.fromkeys(("accuracy", "auc", "log_loss"), 0)
    for _ in range(repeats):
        labels, first, second = sample(rng, 200)
        groups = (np.arange(200) // group_size).tolist()
        found = differences(labels, first, second, groups=groups, resamples=200).overall
        for name in covered:
            low, high = found[name].interval or (0, 0)
            covered[name] += low <= truth[name].difference <= high
    # What 95 % give in 150 repeats, with a probability of 0.9999.
    lowest, highest = binom.interval(0.9999, repeats, 0.95)
    assert all(lowest <= count <= highest for count in covered.values()), covered


def test_alike_answers_and_absent_classes_have_no_interval() -> None:
    labels = np.array([0, 1, 0, 1])
    values = np.array([[0.9, 0.1, 0], [0.2, 0.8, 0], [0.4, 0.6, 0], [0.3, 0.7, 0]])
    found = differences(labels, values, values, resamples=20)
    assert found.overall["accuracy"].as_dict() == {"first": 0.75, "second": 0.75, "difference": 0.0, "interval": None}
    assert not found.overall["accuracy"].clear
    assert found.classes[2]["recall"].as_dict() == dict.fromkeys(("first", "second", "difference", "interval"))
    one = differences(labels[:1], values[:1], values[:1], resamples=20).overall["accuracy"]
    assert (one.difference, one.interval) == (0.0, None)


@pytest.mark.parametrize("counts", [(0, 6), (6, 0), (3, 3), (1, 9), (40, 20)])
def test_mcnemar_sums_the_binomial_distribution(counts: tuple[int, int]) -> None:
    only_first, only_second = counts
    first = np.array([True] * only_first + [False] * only_second + [True, False])
    second = np.array([False] * only_first + [True] * only_second + [True, False])
    *found, p_value = mcnemar(first, second)
    assert tuple(found) == counts
    total, fewer = sum(counts), min(counts)
    mass = binom.pmf(np.arange(total + 1), total, 0.5)
    # Twice the tail, of which the observed count is half.
    expected = 1 - mass[fewer] / 2 if only_first == only_second else 2 * mass[:fewer].sum() + mass[fewer]
    assert p_value == pytest.approx(expected)


def test_mcnemar_without_a_difference_says_nothing() -> None:
    right = np.array([True, False])
    assert mcnemar(right, right) == (0, 0, None)
