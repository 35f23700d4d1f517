"""Prediction sets: mapie's, a threshold a class, and coverage of what was promised."""

import numpy as np
import pytest
from mapie.classification import SplitConformalClassifier
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin

from peculiar.errors import LabelError
from peculiar.metrics.intervals import wilson
from peculiar.metrics.prediction_sets import (
    LEVELS,
    RISK,
    SHORTFALL,
    coverage,
    cross_fitted_sets,
    fit_sets,
    name_sets,
    prediction_sets,
)
from simulated_answers import draw


class Known(ClassifierMixin, BaseEstimator):
    """A classifier whose features are its probabilities."""

    def fit(self, features: NDArray[np.float64], labels: NDArray[np.int64]) -> "Known":
        self.classes_ = np.arange(features.shape[1])
        self.n_features_in_ = features.shape[1]
        self.fitted_ = True
        return self

    def predict(self, features: NDArray[np.float64]) -> NDArray[np.int64]:
        return features.argmax(axis=1)

    def predict_proba(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        return features


@pytest.mark.filterwarnings("ignore:WARNING. your conformalization dataset has less labels")
@pytest.mark.parametrize("answer", range(3))
def test_sets_are_those_of_mapie_on_the_galaxies_of_a_class(answer: int) -> None:
    random = np.random.default_rng(3)
    (labels, probabilities), (_, others) = draw(random, 903), draw(random, 500)
    known, mine = Known().fit(probabilities, labels), labels == answer
    theirs = SplitConformalClassifier(known, confidence_level=[level / 100 for level in LEVELS], prefit=True)
    theirs.conformalize(probabilities[mine], labels[mine])
    expected = theirs.predict_set(others)[1][:, answer]
    thresholds = fit_sets(labels, probabilities)
    for number, level in enumerate(LEVELS):
        inside = others[:, answer] >= thresholds[str(level)][answer]
        if level == 80:  # about as many are called rightly, and those need no threshold
            assert (inside <= expected[:, number]).all()
        else:
            assert (inside == expected[:, number]).mean() > 0.99, level


def test_thresholds_by_class_by_hand() -> None:
    chances = np.arange(1, 20) / 20
    probabilities = np.stack([chances, 1 - chances], axis=1)
    found = fit_sets(np.zeros(19, int), probabilities, levels=(80, 90, 95))
    # Of 19 and one more, four may lie below for 80 %, two for 90 %, one for 95 %, were the mean enough.
    # Coverage would then be below 75 % with the probability that at most three of 19 are in a quarter, 0.26. With two
    # below it is 0.031, with one for 90 % it is 0.85^19 = 0.046, and for 95 % not even one may be: 0.9^19 = 0.135.
    assert found == {"80": (0.1, 0.0), "90": (0.05, 0.0), "95": (0.0, 0.0)}


@pytest.mark.parametrize("count", [30, 53, 120])
@pytest.mark.parametrize("level", [80, 90])
def test_few_galaxies_of_a_class_seldom_leave_it_uncovered(count: int, level: int) -> None:
    random = np.random.default_rng(count + level)
    covered = []
    for _ in range(2000):
        chances = random.random(count)
        ((threshold, _),) = fit_sets(
            np.zeros(count, int), np.stack([chances, 1 - chances], axis=1), levels=[level]
        ).values()
        # Of probabilities that are uniform, so many are above it.
        covered.append(1 - threshold)
    short = np.mean(np.array(covered) < level / 100 - SHORTFALL)
    assert short < RISK + 0.015
    # No more than that asks for, or sets would be needlessly large.
    assert np.mean(covered) < level / 100 + 0.08


def test_many_galaxies_of_a_class_are_covered_as_promised() -> None:
    chances = np.random.default_rng(1).random(999)
    thresholds = fit_sets(np.zeros(999, int), np.stack([chances, 1 - chances], axis=1), levels=[80, 90, 95, 99])
    ranks = {level: int((chances <= values[0]).sum()) for level, values in thresholds.items()}
    assert ranks == {"80": 200, "90": 100, "95": 50, "99": 10}


def test_no_set_is_empty_and_names_are_in_order() -> None:
    sets = prediction_sets(np.array([[0.5, 0.3, 0.2], [0.4, 0.35, 0.25]]), (0.9, 0.3, 0.3))
    assert name_sets(sets, "abc") == ["a|b", "a|b"]
    sets = prediction_sets(np.array([[0.5, 0.3, 0.2]]), (0.9, 0.9, 0.9))
    assert name_sets(sets, "abc") == ["a"]


@pytest.mark.parametrize("classes", [2, 3, 10])
@pytest.mark.parametrize("seed", range(5))
def test_the_class_that_is_called_is_in_its_set(classes: int, seed: int) -> None:
    random = np.random.default_rng([seed, classes])
    # Rare classes, sure and unsure answers, and ties: thresholds of some classes are then close to 1.
    probabilities = random.dirichlet(np.geomspace(0.05, 5, classes), 600).astype(np.float32).round(2) + np.float32(1e-3)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    labels = np.array([random.choice(classes, p=row / row.sum()) for row in probabilities.astype(float)])
    labels[::7] = random.integers(0, classes, len(labels[::7]))
    called, rows = probabilities.argmax(axis=1), np.arange(600)
    fitted = fit_sets(labels[:300], probabilities[:300], levels=(50, *LEVELS))
    for thresholds in [*fitted.values(), (1.0,) * classes]:
        assert prediction_sets(probabilities, thresholds)[rows, called].all()
    for inside in cross_fitted_sets(labels, probabilities).values():
        assert inside[rows, called].all()


def test_each_class_is_covered() -> None:
    labels, probabilities = draw(np.random.default_rng(4), 6000)
    found = {one.level: one for one in coverage(labels, cross_fitted_sets(labels, probabilities), "abc")}
    right = probabilities.argmax(axis=1) == labels
    assert 0.75 < right.mean() < 0.85
    for level, one in found.items():
        assert one.coverage > level / 100 - 0.01
        for number, of in enumerate(one.classes.values()):
            # Those that are called rightly are covered anyway.
            promised = max(level / 100, right[labels == number].mean())
            assert promised - 0.02 < of["coverage"] < promised + 0.02
    assert found[80].size < found[90].size < found[99].size


def test_a_class_without_galaxies_is_undefined() -> None:
    (one,) = coverage(np.array([0]), {"90": np.array([[True, False]])}, ("a", "b"))
    assert one.classes["b"] == {"count": 0, "coverage": None, "interval": None, "size": None}


def test_refusals() -> None:
    with pytest.raises(LabelError, match="at least one label"):
        fit_sets(np.empty(0, int), np.empty((0, 2)))
    with pytest.raises(LabelError, match="at least two different galaxies, received 1"):
        cross_fitted_sets(np.zeros(3, int), np.full((3, 2), 0.5), groups=["a", "a", "a"])


def test_of_the_decided_galaxies_the_right_ones_are_counted() -> None:
    sets = np.array([[True, False], [True, False], [False, True], [True, True]])
    (one,) = coverage(np.array([0, 1, 1, 0]), {"90": sets}, ("a", "b"))
    assert one.single == 0.75
    assert one.single_accuracy == pytest.approx(2 / 3)
    assert one.single_interval == pytest.approx(wilson(2, 3))
    (none,) = coverage(np.array([0, 1]), {"99": np.ones((2, 2), dtype=bool)}, ("a", "b"))
    assert (none.single, none.single_accuracy, none.single_interval) == (0, None, None)


def test_decided_galaxies_are_more_often_right_than_all() -> None:
    labels, probabilities = draw(np.random.default_rng(4), 3000)
    found = coverage(labels, cross_fitted_sets(labels, probabilities), "abc")
    whole = (probabilities.argmax(axis=1) == labels).mean()
    assert all(one.single_interval[0] > whole for one in found if one.single_accuracy is not None and one.single < 0.9)
    assert sum(one.single < 0.9 for one in found) >= 2
