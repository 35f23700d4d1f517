"""The temperature gives back the sureness that labels bear out."""

import numpy as np
import pytest
from numpy.typing import NDArray

from peculiar.errors import LabelError
from peculiar.metrics.calibration import (
    Scaling,
    choose_scaling,
    cross_fitted,
    fit_scaling,
    fit_temperature,
    fold_rows,
    reliability,
)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_a_known_temperature_is_found(temperature: float) -> None:
    random = np.random.default_rng(222)
    logits = random.normal(0, 2, (20_000, 4))
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = (chances.cumsum(axis=1) < random.random((20_000, 1))).sum(axis=1)
    assert fit_temperature(logits * temperature, labels) == pytest.approx(temperature, rel=0.05)


def test_labels_without_trust_count_nothing() -> None:
    random = np.random.default_rng(1)
    logits = random.normal(0, 1, (200, 3))
    labels = random.integers(0, 3, 200)
    trust = np.repeat([1.0, 0.0], 100)
    assert fit_temperature(logits, labels, trust) == pytest.approx(
        fit_temperature(logits[:100], labels[:100]), rel=1e-3
    )


def test_a_temperature_of_shares_is_that_of_the_votes_one_by_one() -> None:
    random = np.random.default_rng(222)
    logits = 2 * random.normal(0, 2, (500, 3))
    labels = random.integers(0, 3, (500, 8))
    shares = np.eye(3)[labels].mean(axis=1)
    one_by_one = fit_temperature(logits.repeat(8, axis=0), labels.ravel(), np.full(4000, 1 / 8))
    assert fit_temperature(logits, shares) == pytest.approx(one_by_one, rel=1e-3)


def test_a_few_galaxies_all_told_apart_are_no_reason_to_be_sure() -> None:
    labels = np.arange(20) % 2
    logits = np.where(np.eye(2)[labels] > 0, 1.0, -1.0)
    assert 0.3 < fit_temperature(logits, labels) < 0.6
    many = np.tile(labels, 1000)
    assert fit_temperature(np.tile(logits, (1000, 1)), many) < 0.2


def test_without_labels_there_is_no_temperature() -> None:
    with pytest.raises(LabelError, match="at least one label"):
        fit_temperature(np.empty((0, 3)), np.empty(0, dtype=int))


def biased(count: int, bend: float) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Logits with a bias of one class that labels do not bear out."""
    random = np.random.default_rng(222)
    logits = random.normal(0, 2, (count, 3))
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = (chances.cumsum(axis=1) < random.random((count, 1))).sum(axis=1)
    return logits + np.array([0, bend, 0]), labels


def test_a_scaling_by_classes_takes_a_bias_back() -> None:
    logits, labels = biased(4000, 1.5)
    found, gain, error = choose_scaling(logits, labels)
    assert found.biases[1] - found.biases[0] == pytest.approx(-1.5, abs=0.2)
    assert gain > 5 * error
    assert all(one.bears_out for one in reliability(labels, found.probabilities(logits), answer=1)[2:-2])


def test_what_all_logits_of_a_galaxy_have_in_common_says_nothing() -> None:
    logits, labels = biased(400, 1.5)
    moved = logits + np.random.default_rng(222).normal(0, 5, (400, 1))
    found = fit_scaling(logits, labels)
    np.testing.assert_allclose(found.probabilities(moved), found.probabilities(logits), atol=1e-6)
    np.testing.assert_allclose(fit_scaling(moved, labels).biases, found.biases, atol=1e-3)


def test_no_scaling_that_calls_the_rare_less_often() -> None:
    random = np.random.default_rng(222)
    labels = (random.random(4000) < 0.03).astype(int)
    evidence = random.normal(np.where(labels, 1.5, -1.5), 1) * 3
    logits = np.stack([np.zeros(4000), evidence], axis=1)  # as if both were as frequent
    found, gain, error = choose_scaling(logits, labels)
    assert gain > 5 * error
    assert found.biases == (0.0, 0.0)
    called = [scaling.probabilities(logits)[labels == 1, 1] > 0.5 for scaling in (found, fit_scaling(logits, labels))]
    assert called[0].mean() > called[1].mean() + 0.2


def test_a_temperature_is_kept_where_it_is_as_good() -> None:
    found, gain, error = choose_scaling(*biased(300, 0.0))
    assert found.biases == (0.0, 0.0, 0.0)
    assert len(set(found.weights)) == 1
    assert gain < 2 * error


def test_a_galaxy_that_is_shown_nine_times_tells_no_more_than_once() -> None:
    logits, labels = biased(300, 0.1)
    nine, repeated = np.repeat(logits, 9, axis=0), np.repeat(labels, 9)
    ids = np.repeat(np.arange(300), 9).tolist()
    _, gain, error = choose_scaling(logits, labels)
    together = choose_scaling(nine, repeated, ids)
    assert together[1:] == pytest.approx((gain, error), rel=0.05)
    assert choose_scaling(nine, repeated)[2] < 0.5 * error


def test_no_galaxy_calibrates_itself() -> None:
    logits, labels = biased(60, 0.0)
    groups = [str(number // 3) for number in range(60)]
    seen: list[int] = []

    def fit(some: NDArray[np.floating], _: NDArray[np.integer]) -> Scaling:
        seen.append(len(some))
        return Scaling((1.0,) * 3, (0.0,) * 3)

    cross_fitted(logits, labels, fit, groups=groups)
    assert seen == [48] * 5
    folds = fold_rows(60, groups=groups, folds=5, seed=222)
    assert sorted(np.concatenate(folds).tolist()) == list(range(60))
    assert all(len({groups[row] for row in fold}) == 4 for fold in folds)


def test_reliability_by_hand() -> None:
    chances = np.array([0.6, 0.6, 0.9, 0.9])
    (low, high) = reliability(np.array([0, 1, 0, 0]), np.stack([chances, 1 - chances], axis=1), bins=2)
    assert (low.stated, low.found, low.count, low.bears_out) == (pytest.approx(0.6), 0.5, 2, True)
    assert (high.stated, high.found, high.count) == (pytest.approx(0.9), 1.0, 2)
