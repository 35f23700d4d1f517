"""The model file answers as the network that it was made of."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from peculiar.errors import ModelError, RunError, UsageError
from peculiar.models.model_file import load_model
from peculiar.training import build, network_file, recipe
from peculiar.training.export import export
from peculiar.training.weights import to_input
from pictures import draw_galaxy


def test_probabilities_are_those_of_pytorch(tiny_run: Path, tiny_model: Path) -> None:
    pictures = np.stack([draw_galaxy(32, 4 + seed, 16, 16, seed=seed) for seed in range(12)])
    net = build.load_net(tiny_run, recipe.read_record(tiny_run))
    temperatures = recipe.read_notes(tiny_run)["temperatures"]
    with torch.inference_mode():
        logits = net(to_input(torch.from_numpy(pictures), torch.device("cpu")))
    answers = load_model(tiny_model).classify(pictures, views=1, framed=True).probabilities
    for name, values in logits.items():
        expected = torch.softmax(values / temperatures[name], dim=1).numpy()
        np.testing.assert_allclose(answers[name], expected, atol=1e-3)


def test_large_weights_are_stored_in_half_precision(tiny_model: Path) -> None:
    stored = onnx.load(tiny_model).graph.initializer
    kinds = {weights.data_type for weights in stored if np.prod(weights.dims) >= 2**14}
    assert kinds == {onnx.TensorProto.FLOAT16}


@pytest.mark.slow
def test_where_half_precision_changes_answers_all_weights_are_whole(
    tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [{"odd": 0.02}, {}]  # of the halved file, of the whole one
    monkeypatch.setattr(network_file, "_wrong", lambda *_: found.pop(0))
    export(tiny_run, tmp_path / "model.onnx")
    kinds = {weights.data_type for weights in onnx.load(tmp_path / "model.onnx").graph.initializer}
    assert onnx.TensorProto.FLOAT in kinds
    assert onnx.TensorProto.FLOAT16 not in kinds


def test_a_number_of_views_out_of_range_is_refused(tiny_run: Path) -> None:
    with pytest.raises(UsageError, match="views has to be between 1 and 8, received 9"):
        export(tiny_run, "model.onnx", views=9)


def test_the_file_names_nothing_of_the_machine(tiny_model: Path) -> None:
    content = tiny_model.read_bytes()
    assert str(Path.home()).encode() not in content
    assert b"site-packages" not in content


@pytest.mark.slow
def test_the_digest_follows_from_what_decides_the_answers(tiny_run: Path, tiny_model: Path) -> None:
    one, again = load_model(tiny_model).card, export(tiny_run, "again.onnx", scores={"part": "test"}).card
    assert again.digest == one.digest
    assert (again.name, again.scores) == ("again", {"part": "test"})


@pytest.mark.slow
def test_a_file_that_answers_otherwise_is_not_written(tiny_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network_file, "TOLERANCE", 0.0)
    with pytest.raises(ModelError, match="otherwise than PyTorch"):
        export(tiny_run, "model.onnx")
    assert list(Path().glob("*.onnx")) == []


def test_a_folder_that_is_no_fit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="not the folder of a training run"):
        export(tmp_path, "model.onnx")
