"""Scores: what scikit-learn and Keras say, None where there is nothing to score, and clear refusals."""

import json
import math
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn import metrics

from peculiar.errors import DataError, LabelError
from peculiar.metrics.scores import Scores, class_auc, evaluate, pooled_auc

ANSWERS = ("Normal", "Ringed", "Merger", "Other")


def random_case(seed: int, count: int = 60) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Labels in which every class occurs, and probabilities that lean towards them."""
    rng = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(4), rng.integers(0, 4, count - 4)])
    logits = rng.normal(size=(count, 4)) + 1.5 * np.eye(4)[labels]
    exponentials = np.exp(logits)
    return labels, (exponentials / exponentials.sum(axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("seed", range(5))
def test_agrees_with_scikit_learn(seed: int) -> None:
    labels, probabilities = random_case(seed)
    exact = probabilities.astype(np.float64)
    predicted = exact.argmax(axis=1)

    scores = evaluate(labels, probabilities, ANSWERS)

    assert scores.count == 60
    assert scores.accuracy == pytest.approx(metrics.accuracy_score(labels, predicted))
    assert scores.balanced_accuracy == pytest.approx(metrics.balanced_accuracy_score(labels, predicted))
    assert scores.log_loss == pytest.approx(metrics.log_loss(labels, exact / exact.sum(axis=1, keepdims=True)), 1e-5)
    assert scores.auc == pytest.approx(metrics.roc_auc_score(np.eye(4)[labels], exact, average="macro"))
    assert scores.confusion == metrics.confusion_matrix(labels, predicted).tolist()
    for number, answer in enumerate(ANSWERS):
        of, kept = scores.classes[answer], {"labels": [number], "average": None}
        assert of.precision == pytest.approx(metrics.precision_score(labels, predicted, **kept)[0])
        assert of.recall == pytest.approx(metrics.recall_score(labels, predicted, **kept)[0])
        assert of.f1 == pytest.approx(metrics.f1_score(labels, predicted, **kept)[0])
        assert of.auc == pytest.approx(metrics.roc_auc_score(labels == number, exact[:, number]))
        assert of.average_precision == pytest.approx(
            metrics.average_precision_score(labels == number, exact[:, number])
        )
        assert of.count == (labels == number).sum()


def test_labels_may_be_bytes() -> None:
    answers = [f"class {number}" for number in range(20)]
    labels = np.arange(20).repeat(2)
    probabilities = np.eye(20)[labels]
    assert evaluate(labels.astype(np.uint8), probabilities, answers) == evaluate(labels, probabilities, answers)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=2))
def test_equal_probabilities_share_the_area(cases: list[tuple[bool, int]]) -> None:
    labels, tenths = np.array([label for label, _ in cases]), np.array([tenth for _, tenth in cases])
    if labels.all() or not labels.any():
        assert class_auc(labels, tenths / 10) is None
    else:
        assert class_auc(labels, tenths / 10) == pytest.approx(metrics.roc_auc_score(labels, tenths))


def by_hand() -> Scores:
    return evaluate([0, 0, 1, 1], [[0.9, 0.1], [0.4, 0.6], [0.2, 0.8], [0.3, 0.7]], ("yes", "no"))


def test_a_case_worked_out_by_hand() -> None:
    scores = by_hand()
    assert scores.confusion == [[1, 1], [0, 2]]
    assert scores.accuracy == 0.75
    assert scores.balanced_accuracy == 0.75
    assert scores.log_loss == pytest.approx(-math.log(0.9 * 0.4 * 0.8 * 0.7) / 4)
    assert scores.classes["yes"].precision == 1.0
    assert scores.classes["yes"].recall == 0.5
    assert scores.classes["yes"].f1 == pytest.approx(2 / 3)
    assert scores.classes["no"].precision == pytest.approx(2 / 3)
    assert scores.classes["no"].recall == 1.0
    assert scores.classes["no"].f1 == pytest.approx(0.8)
    # Both galaxies of a class have higher probabilities of it than both of the other.
    assert scores.classes["yes"].auc == scores.classes["no"].auc == scores.auc == 1.0
    # Of 4 x 4 pairs of a right and a wrong entry one is the wrong way round: 0.4 and 0.6.
    assert scores.pooled_auc == pytest.approx(15 / 16)


def test_scores_as_json_come_back_the_same() -> None:
    found = by_hand().as_dict()
    assert json.loads(json.dumps(found)) == found
    assert found["classes"]["yes"] == {
        "precision": 1.0,
        "recall": 0.5,
        "f1": pytest.approx(2 / 3),
        "auc": 1.0,
        "count": 2,
        "average_precision": 1.0,
        "intervals": {},
    }


def test_a_class_that_does_not_occur_has_no_recall_and_no_auc() -> None:
    labels = [0, 1, 2, 0]
    # The fourth galaxy is called Other, of which there is none.
    probabilities = np.eye(4)[[0, 1, 2, 3]]
    scores = evaluate(labels, probabilities, ANSWERS)
    other = scores.classes["Other"]
    assert (other.precision, other.recall, other.f1, other.auc, other.count) == (0.0, None, 0.0, None, 0)
    assert scores.balanced_accuracy == pytest.approx((0.5 + 1 + 1) / 3)
    assert scores.auc is None
    assert scores.pooled_auc is not None
    assert scores.confusion[0] == [1, 0, 0, 1]


def test_a_class_that_is_never_predicted_has_no_precision() -> None:
    scores = evaluate([0, 1], [[0.9, 0.1], [0.8, 0.2]], ("yes", "no"))
    no = scores.classes["no"]
    assert (no.precision, no.recall, no.f1, no.auc, no.count) == (None, 0.0, 0.0, 1.0, 1)


def test_a_class_that_neither_occurs_nor_is_predicted_has_no_score() -> None:
    scores = evaluate([0, 1], [[0.9, 0.1, 0], [0.2, 0.8, 0]], ("a", "b", "c"))
    c = scores.classes["c"]
    assert (c.precision, c.recall, c.f1, c.auc, c.count) == (None, None, None, None, 0)
    assert scores.balanced_accuracy == 1.0


def test_only_one_class_occurs() -> None:
    scores = evaluate([1, 1], [[0.4, 0.6], [0.7, 0.3]], ("a", "b"))
    assert scores.accuracy == scores.balanced_accuracy == 0.5
    assert scores.auc is None
    assert scores.classes["b"].auc is None
    assert scores.pooled_auc is not None


def test_a_sure_mistake_costs_much_but_not_infinitely() -> None:
    scores = evaluate([1], [[1.0, 0.0]], ("a", "b"))
    assert 80 < scores.log_loss < 100


def test_half_precision_is_precise_enough() -> None:
    labels, probabilities = random_case(3)
    halves = evaluate(labels, probabilities.astype(np.float16), ANSWERS)
    assert halves.log_loss == pytest.approx(evaluate(labels, probabilities, ANSWERS).log_loss, abs=2e-3)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), data=st.data())
def test_the_order_of_galaxies_changes_nothing(seed: int, data: st.DataObject) -> None:
    labels, probabilities = random_case(seed, 20)
    order = data.draw(st.permutations(range(20)))
    before = evaluate(labels, probabilities, ANSWERS).as_dict()
    after = evaluate(labels[order], probabilities[order], ANSWERS).as_dict()
    for name in ("log_loss", "brier", "calibration_error"):
        assert after.pop(name) == pytest.approx(before.pop(name), rel=1e-9)
    assert after == before


@pytest.mark.parametrize(
    ("labels", "probabilities", "error", "message"),
    [
        ([], np.empty((0, 2)), LabelError, "there is no galaxy to score; its label has to be one of a, b"),
        (3, [[1, 0]], LabelError, r"one integer per galaxy.*received int64 of the shape \(\)"),
        ([[1, 0]], [[1, 0]], LabelError, r"argmax\(axis=1\).*received int64 of the shape \(1, 2\)"),
        ([0.0], [[1, 0]], LabelError, r"class numbers.*received float64 of the shape \(1,\)"),
        ([True], [[1, 0]], LabelError, "received bool"),
        (["a"], [[1, 0]], LabelError, "received <U1"),
        ([0, 1, 2], [[1, 0]] * 3, LabelError, "class numbers from 0 to 1, received 2"),
        ([0, -1], [[1, 0]] * 2, LabelError, "class numbers from 0 to 1, received -1"),
        ([0], [[1, 0], [1, 0]], DataError, r"shape \(1, 2\) for 1 labels and 2 classes, received \(2, 2\)"),
        ([0], [[1, 0, 0]], DataError, r"shape \(1, 2\).*received \(1, 3\)"),
        ([0, 1], [1, 0], DataError, r"shape \(2, 2\).*received \(2,\)"),
        (
            [0, 1, 1],
            [[0.5, 0.5], [0.9, 0.3], [2.0, 1.0]],
            DataError,
            r"sum to 1; 2 do not, the first of them row 1 \(counted from 0\): \[0.9, 0.3\]",
        ),
        ([0], [[1.2, -0.2]], DataError, r"non-negative.*row 0 \(counted from 0\): \[1.2, -0.2\]"),
        ([0], [[math.nan, 1]], DataError, r"1 do not.*row 0 \(counted from 0\): \[nan, 1.0\]"),
        ([0], [[math.inf, 1]], DataError, "1 do not"),
        (np.ma.array([0, 1], mask=[False, True]), [[1, 0], [1, 0]], DataError, "masked in some rows; leave those rows"),
        ([0], np.ma.array([[1, 0]], mask=[[True, False]]), DataError, "masked in some rows"),
    ],
)
def test_refusals(labels: Any, probabilities: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        evaluate(labels, probabilities, ("a", "b"))


def keras_auc(one_hot: NDArray[Any], probabilities: NDArray[Any]) -> float:
    metric = keras.metrics.AUC()
    metric.update_state(one_hot, probabilities)
    return float(metric.result())


def softmax(rng: np.random.Generator, count: int) -> NDArray[np.float32]:
    return rng.dirichlet(np.ones(4), count).astype(np.float32)


def at_thresholds(rng: np.random.Generator, count: int) -> NDArray[np.float32]:
    return (rng.integers(0, 200, (count, 4)) / 199).astype(np.float32)


def beside_thresholds(rng: np.random.Generator, count: int) -> NDArray[np.float32]:
    exactly = at_thresholds(rng, count)
    return np.nextafter(exactly, rng.integers(0, 2, exactly.shape).astype(np.float32)).astype(np.float32)


def ends(rng: np.random.Generator, count: int) -> NDArray[np.float32]:
    return rng.integers(0, 2, (count, 4)).astype(np.float32)


def ties(rng: np.random.Generator, count: int) -> NDArray[np.float32]:
    return softmax(rng, 3)[rng.integers(0, 3, count)]


def doubles(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    """Not float32: differences that only float64 has are ties for Keras."""
    return 0.25 + rng.integers(-2, 3, (count, 4)) * 1e-9


@pytest.mark.parametrize("kind", [softmax, at_thresholds, beside_thresholds, ends, ties, doubles])
def test_pooled_auc_is_that_of_keras(kind: Any) -> None:
    for seed in range(25):
        rng = np.random.default_rng(seed)
        count = int(rng.integers(2, 80))
        one_hot = np.eye(4, dtype=np.float32)[rng.integers(0, 4, count)]
        probabilities = kind(rng, count)
        assert pooled_auc(one_hot, probabilities) == pytest.approx(keras_auc(one_hot, probabilities), abs=1e-6), seed


def test_pooled_auc_at_every_threshold() -> None:
    # Rounding takes eight of the 200 to the far side of their threshold; comparisons would not see it.
    thresholds = (np.arange(200) / 199).astype(np.float32)
    one_hot = np.random.default_rng(222).integers(0, 2, (50, 4))
    probabilities = thresholds.reshape(50, 4)
    assert pooled_auc(one_hot, probabilities) == pytest.approx(keras_auc(one_hot, probabilities), abs=1e-6)


def test_pooled_auc_takes_what_rounding_puts_beside_0_and_1_for_these() -> None:
    one_hot = np.array([[1, 0], [1, 0]])
    probabilities = np.array([[1 + 1e-6, 1.0], [-1e-6, 0.0]], np.float32)
    assert pooled_auc(one_hot, probabilities) == pytest.approx(0.5)
    assert keras_auc(one_hot, probabilities) == pytest.approx(0.5)


def test_pooled_auc_is_of_200_thresholds_not_of_every_value() -> None:
    # Between two thresholds order is not seen: right and wrong entries that lie there count as a tie.
    assert pooled_auc(np.array([[1, 0]]), np.array([[0.5011, 0.5010]])) == pytest.approx(0.5)
    assert class_auc(np.array([1, 0]), np.array([0.5011, 0.5010])) == 1.0


@pytest.mark.parametrize("labels", [np.zeros((3, 2)), np.ones((3, 2))])
def test_aucs_need_both_zeros_and_ones(labels: NDArray[Any]) -> None:
    assert pooled_auc(labels, np.full((3, 2), 0.5)) is None
    assert class_auc(labels[:, 0], np.full(3, 0.5)) is None
