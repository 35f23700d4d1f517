"""One more answer in a model file: what was there stays, what is new is right, and ONNX's own checker agrees."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from peculiar.errors import ModelError
from peculiar.models.container import METADATA_KEY, join_card, split_card
from peculiar.models.linear_head import head_graph

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
