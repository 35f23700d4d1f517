"""A linear head: its calibration and its learning curve; and as one more answer in a model file."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import expit

from peculiar.errors import LabelError, ModelError
from peculiar.metrics.prediction_sets import prediction_sets
from peculiar.models.container import METADATA_KEY, join_card, split_card
from peculiar.models.linear_head import fit_head, head_graph, learning_curve
from peculiar.questions.question import CLEAN5, Question

FLAT = Question("shape", ("round", "flat"))
PICTURES = np.random.default_rng(222).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)


@settings(deadline=None, max_examples=10)
@given(answers=st.integers(2, 300), name=st.text(min_size=1, max_size=40), card=st.text(max_size=300))
def test_the_new_answer_is_linear_and_the_old_ones_stay(tiny_model: Path, answers: int, name: str, card: str) -> None:
    name = f"new {name}"
    random = np.random.default_rng(answers)
    weights = random.normal(size=(96, answers)).astype(np.float32)
    bias = random.normal(size=answers).astype(np.float32)
    before = tiny_model.read_bytes()
    after = join_card(split_card(before)[0] + head_graph(name, weights, bias), card)
    assert split_card(after)[1] == card
    graph = onnx.load_from_string(after)
    onnx.checker.check_model(graph)
    assert {one.key: one.value for one in graph.metadata_props} == {METADATA_KEY: card}
    assert [one.name for one in graph.graph.output][-1] == name
    old, new = onnxruntime.InferenceSession(before), onnxruntime.InferenceSession(after)
    assert new.get_modelmeta().custom_metadata_map[METADATA_KEY] == card
    assert new.get_outputs()[-1].shape == ["n", answers]
    names = [one.name for one in old.get_outputs()]
    expected, found = (session.run(names, {"pictures": PICTURES}) for session in (old, new))
    for one, other in zip(expected, found, strict=True):
        np.testing.assert_array_equal(one, other)
    (logits,) = new.run([name], {"pictures": PICTURES})
    np.testing.assert_allclose(logits, expected[0] @ weights + bias, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("damaged", [b"no model at all", b"\x3a\xff\xff\xff\xff\x0f", b"\x08", b"\xff" * 20])
def test_what_is_no_model(damaged: bytes) -> None:
    with pytest.raises(ModelError, match="the model file is damaged"):
        split_card(damaged)


def drawn(count: int, seed: int = 222) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.float64]]:
    """Embeddings whose labels follow a known probability."""
    random = np.random.default_rng(seed)
    embeddings = (random.normal(size=(count, 12)) * 3 + 5).astype(np.float32)
    chance = expit((embeddings[:, 0] - embeddings[:, 1]) / 2 - 0.5)
    return embeddings, (random.random(count) < chance).astype(np.int64), chance


def test_probabilities_mean_what_they_say() -> None:
    embeddings, labels, _ = drawn(3000)
    head = fit_head(embeddings, labels, FLAT)
    fresh, _, chance = drawn(3000, seed=1)
    found = head.probabilities(fresh)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)
    assert np.abs(found[:, 1] - chance).mean() < 0.03
    assert 0.8 < head.temperature < 1.25
    assert head.scores.count == 3000


def test_several_answers() -> None:
    random = np.random.default_rng(222)
    labels = random.integers(0, 5, 600)
    embeddings = (np.eye(5)[labels] * 4 + random.normal(size=(600, 5))).astype(np.float32)
    head = fit_head(embeddings, labels, CLEAN5)
    assert head.weights.shape == (5, 5)
    assert (head.probabilities(embeddings).argmax(axis=1) == labels).mean() > 0.9


def test_many_labels_are_calibrated_on_all_of_them() -> None:
    embeddings, labels, _ = drawn(20_000)
    head = fit_head(embeddings, labels, FLAT)
    assert head.scores.count == 20_000
    assert 0.9 < head.temperature < 1.1


def test_the_curve_rises_and_looks_ahead() -> None:
    embeddings, labels, _ = drawn(400)
    curve = learning_curve(embeddings, labels, FLAT, 0.01)
    assert curve.labels == (40, 80, 160, 320, 800)
    assert curve.auc[0] < curve.auc[3] <= curve.auc[4] + 0.01
    for low, middle, high in zip(curve.low, curve.auc, curve.high, strict=True):
        assert low <= middle <= high <= 1


def test_rows_of_one_galaxy_are_held_out_together() -> None:
    random = np.random.default_rng(222)
    # Every galaxy has two rows with the same embedding, and labels that nothing in it tells.
    embeddings = random.normal(size=(100, 300)).astype(np.float32).repeat(2, axis=0)
    labels, galaxies = random.integers(0, 2, 100).repeat(2), np.arange(100).repeat(2)
    assert fit_head(embeddings, labels, FLAT).scores.accuracy > 0.75  # remembered, not learned
    assert fit_head(embeddings, labels, FLAT, groups=galaxies.tolist()).scores.accuracy < 0.65
    alone, together = (learning_curve(embeddings, labels, FLAT, 1.0, groups=by) for by in (None, galaxies.tolist()))
    assert alone.auc[-2] > 0.75
    assert together.auc[-2] < 0.65


def test_an_answer_of_few_galaxies_in_many_rows_is_refused() -> None:
    embeddings, labels, _ = drawn(60)
    galaxies = np.where(labels == 1, 0, np.arange(60))
    with pytest.raises(LabelError, match=r"flat has fewer: received round \d+, flat 1 for 'shape'\. Add some"):
        fit_head(embeddings, labels, FLAT, groups=galaxies.tolist())


def test_the_sets_hold_the_right_answer_as_often_as_promised() -> None:
    embeddings, labels, _ = drawn(3000)
    head = fit_head(embeddings, labels, FLAT)
    fresh, truth, _ = drawn(3000, seed=1)
    inside = prediction_sets(head.probabilities(fresh), head.sets["90"])
    assert inside[np.arange(len(truth)), truth].mean() > 0.88
    assert head.held_out.shape == (3000, 2)
