"""Intervals: known answers, agreement with scikit-learn's weighted scores, and coverage in simulation."""

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn import metrics

from peculiar.metrics.intervals import group_numbers, score_intervals, statistics, wilson
from peculiar.metrics.scores import evaluate
from simulated_answers import draw


# The first three from Newcombe 1998, table I, method 3; 0 of 20 worked out by hand: z^2 / (n + z^2).
@pytest.mark.parametrize(
    ("successes", "total", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (1, 29, 0.0061, 0.1718), (0, 20, 0.0, 0.1611)],
)
def test_wilson_known_answers(successes: int, total: int, low: float, high: float) -> None:
    assert wilson(successes, total) == pytest.approx([low, high], abs=1e-4)


def test_of_nothing_there_is_no_rate() -> None:
    assert wilson(0, 0) is None


def test_weighted_scores_are_those_of_scikit_learn() -> None:
    random = np.random.default_rng(5)
    labels, probabilities = draw(random, 400)
    probabilities = probabilities.round(2)  # ties
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    weights = random.integers(0, 4, 400).astype(float)
    found = statistics(labels, probabilities, np.stack([weights, np.ones(400)]))
    predicted = probabilities.argmax(axis=1)
    for number in range(3):
        of_class, chance = labels == number, probabilities[:, number]
        kept = {"labels": [number], "average": "macro", "sample_weight": weights}
        assert found["class_auc"][0, number] == pytest.approx(
            metrics.roc_auc_score(of_class, chance, sample_weight=weights)
        )
        assert found["class_average_precision"][0, number] == pytest.approx(
            metrics.average_precision_score(of_class, chance, sample_weight=weights)
        )
        assert found["f1"][0, number] == pytest.approx(metrics.f1_score(labels, predicted, **kept))
    scores = evaluate(labels, probabilities, "abc")
    for name in ("accuracy", "balanced_accuracy", "auc", "average_precision", "log_loss", "brier", "calibration_error"):
        assert found[name][1, 0] == pytest.approx(getattr(scores, name)), name


def test_grouped_rows_widen_the_intervals() -> None:
    labels, probabilities = draw(np.random.default_rng(6), 200)
    alone = score_intervals(labels, probabilities).overall["log_loss"]
    nine, chances = np.repeat(labels, 9), np.repeat(probabilities, 9, axis=0)
    together = score_intervals(nine, chances, groups=np.repeat(np.arange(200), 9).tolist()).overall
    apart = score_intervals(nine, chances).overall["log_loss"]
    assert alone is not None
    assert apart is not None
    assert together["log_loss"] == pytest.approx(alone, abs=0.1 * (alone[1] - alone[0]))
    assert apart[1] - apart[0] < 0.5 * (alone[1] - alone[0])
    # A rate of repeated galaxies is bootstrapped too: Wilson's would take them for so many galaxies.
    assert together["accuracy"] != wilson(int((chances.argmax(axis=1) == nine).sum()), len(nine))


def test_fields_without_a_bond_have_the_calibration_error_of_single_rows() -> None:
    labels, probabilities = draw(np.random.default_rng(6), 1000)
    fields = (np.arange(1000) // 20).tolist()
    alone, grouped = (
        score_intervals(labels, probabilities, groups=groups, resamples=50).overall["calibration_error"]
        for groups in (None, fields)
    )
    assert alone is not None
    assert grouped == pytest.approx(alone, rel=0.15, abs=0.002)
    # Copies of a galaxy are one: nine of each say no more than the one.
    nine, chances = np.repeat(labels, 9), np.repeat(probabilities, 9, axis=0)
    copies = score_intervals(nine, chances, groups=np.repeat(np.arange(1000), 9).tolist(), resamples=50)
    assert copies.overall["calibration_error"] == pytest.approx(alone, rel=0.15, abs=0.002)


def test_few_groups_tell_little() -> None:
    labels, probabilities = draw(np.random.default_rng(6), 90)
    three = score_intervals(labels, probabilities, groups=(np.arange(90) // 30).tolist()).overall
    for name in ("accuracy", "auc", "log_loss", "brier"):
        alone, grouped = score_intervals(labels, probabilities).overall[name], three[name]
        assert alone is not None
        assert grouped is not None
        assert 0 <= grouped[0] < grouped[1] <= (1 if name in ("accuracy", "auc") else np.inf)
    # A class that one group alone holds has no interval: nothing says how it is in other groups.
    once = np.where(labels == 2, 0, labels)
    once[0] = 2
    found = score_intervals(once, probabilities, groups=(np.arange(90) // 30).tolist())
    assert found.classes[2]["recall"] is None


def test_rows_of_no_known_group_do_not_belong_together() -> None:
    assert group_numbers(6, ["a", None, "b", None, "a", "None"]).tolist() == [0, 1, 2, 3, 0, 4]
    labels, probabilities = draw(np.random.default_rng(6), 100)
    assert score_intervals(labels, probabilities, groups=[None] * 100) == score_intervals(labels, probabilities)


def test_what_is_not_defined_has_no_interval() -> None:
    one = evaluate(np.array([0]), np.array([[0.7, 0.3]]), ("a", "b"), resamples=50)
    assert one.intervals["accuracy"] == pytest.approx([0.2065, 1.0], abs=1e-4)
    assert one.intervals["log_loss"] is None
    assert one.classes["b"].intervals == dict.fromkeys(("precision", "recall", "f1", "auc", "average_precision"))
    same = evaluate(np.zeros(30, int), np.tile([0.7, 0.3], (30, 1)), ("a", "b"), resamples=50)
    assert same.intervals["auc"] is None
    assert same.classes["b"].auc is None


def test_no_mistake_among_few_galaxies_does_not_mean_none_at_all() -> None:
    labels = np.repeat([0, 1], [5, 10])
    probabilities = np.where(labels[:, None] == [0, 1], 0.9, 0.1)
    found = score_intervals(labels, probabilities, resamples=200)
    assert found.overall["accuracy"] == pytest.approx([0.796, 1.0], abs=1e-3)
    for name in ("balanced_accuracy", "auc", "average_precision", "log_loss", "brier"):
        assert found.overall[name] is None, name
    assert found.classes[0]["recall"] == wilson(5, 5)
    assert (found.classes[0]["f1"], found.classes[0]["class_auc"]) == (None, None)
    # Rates are bootstrapped where rows belong together, and tell as little.
    pairs = score_intervals(labels, probabilities, groups=(np.arange(15) // 2).tolist(), resamples=200)
    assert (pairs.overall["accuracy"], pairs.classes[1]["precision"]) == (None, None)


@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.uint64, ">i4"])
def test_labels_of_any_integer_type_have_the_same_intervals(kind: type[np.integer] | str) -> None:
    labels = np.arange(60) % 20  # 20 classes have 400 cells of confusion, and a byte counts to 255
    probabilities = np.eye(20)[np.where(np.arange(60) % 7, labels, 0)]
    pairs = (np.arange(60) // 2).tolist()
    expected = score_intervals(labels, probabilities, groups=pairs, resamples=50)
    assert score_intervals(labels.astype(kind), probabilities, groups=pairs, resamples=50) == expected


@pytest.mark.slow
@pytest.mark.parametrize("start", [1, 20])
def test_intervals_cover(start: int) -> None:
    random = np.random.default_rng(start)
    labels, probabilities = draw(random, 1_000_000)
    true = statistics(labels, probabilities, np.ones((1, len(labels))))
    hits: dict[str, list[bool]] = {}
    for seed in range(1000):
        found = score_intervals(*draw(random, 600), resamples=300, seed=seed)
        for name, ends in (*found.overall.items(), *found.classes[1].items()):
            value = true[name][0, 1 if name in found.classes[1] else 0]
            assert ends is not None
            hits.setdefault(name, []).append(ends[0] <= value <= ends[1])
    shares = {name: float(np.mean(values)) for name, values in hits.items()}
    assert shares.pop("calibration_error") >= 0.93
    assert not {name: share for name, share in shares.items() if not 0.93 <= share <= 0.97}, shares


def draw_groups(
    random: np.random.Generator, count: int, size: int, *, field: float = 0.0, copies: float = 0.0, heat: float = 1.0
) -> tuple[NDArray[np.int64], NDArray[np.float64], list[int]]:
    """Labels and probabilities as of `draw`, in groups.

    Rows of a group share a shift of their logits that says nothing of the label (`field`, its spread), as in a field of
    bad seeing, or are the same galaxy with a share of the noise in common (`copies`). Above a `heat` of 1 the
    probabilities are too sure.
    """
    groups = np.repeat(np.arange(count // size), size)
    several = groups.max() + 1 if copies else len(groups)
    rows = groups if copies else np.arange(len(groups))
    labels = random.choice(3, several, p=[0.5, 0.3, 0.2])[rows]
    noise = np.sqrt(copies) * random.normal(size=(several, 3))[rows]
    noise += np.sqrt(1 - copies) * random.normal(size=(len(groups), 3))
    logits = np.log([0.5, 0.3, 0.2]) + 1.5 * (noise + 1.5 * np.eye(3)[labels])
    logits += field * random.normal(size=(groups.max() + 1, 3))[groups]
    exponentials = np.exp(heat * (logits - logits.max(axis=1, keepdims=True)))
    return labels, exponentials / exponentials.sum(axis=1, keepdims=True), groups.tolist()


@pytest.mark.slow
@pytest.mark.parametrize("count", [100, 600])
@pytest.mark.parametrize(
    "kind",
    [
        {"size": 1},
        {"size": 1, "heat": 1.6},
        {"size": 5, "field": 0.8},
        {"size": 20},
        {"size": 20, "field": 0.8},
        {"size": 3, "copies": 0.9, "heat": 1.6},
    ],
    ids=str,
)
def test_intervals_of_groups_cover(kind: dict[str, float], count: int) -> None:
    labels, probabilities, _ = draw_groups(np.random.default_rng(9), 600_000, **kind)
    true = statistics(labels, probabilities, np.ones((1, len(labels))))
    hits: dict[str, list[bool]] = {}
    for seed in range(400):
        drawn, chances, groups = draw_groups(np.random.default_rng([7, seed]), count, **kind)
        found = score_intervals(drawn, chances, groups=groups, resamples=100, seed=seed)
        for name, ends in (*found.overall.items(), *found.classes[0].items()):
            if ends is not None:
                hits.setdefault(name, []).append(ends[0] <= true[name][0, 0] <= ends[1])
    shares = {name: float(np.mean(values)) for name, values in hits.items()}
    # It covers at least as often as is said: where probabilities are off it reaches further than it would have to.
    assert shares.pop("calibration_error") >= 0.93
    # 90 to 98 %, as far as 400 sets tell: the standard error of a share of 0.97 is 0.009.
    assert not {name: share for name, share in shares.items() if not 0.89 <= share <= 0.99}, shares
