"""A model file back into a network: it answers as before, whatever the file keeps its weights in."""

import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from peculiar.errors import ModelError
from peculiar.models.card import seal
from peculiar.models.model_file import Model, load_model, write_model
from peculiar.models.quantize import quantize
from peculiar.questions.question import Question
from peculiar.training.export import export
from peculiar.training.networks.galaxy import GalaxyNet
from peculiar.training.restore import restore, set_head, width_of

PICTURES = np.random.default_rng(222).integers(0, 256, (24, 32, 32, 3), dtype=np.uint8)

MOOD = Question("mood", ("calm", "stormy"))


def answers(net: GalaxyNet, model: Model) -> dict[str, np.ndarray]:
    with torch.inference_mode():
        logits = net.eval()(torch.from_numpy(PICTURES).permute(0, 3, 1, 2).float() / 255)
    return {name: torch.softmax(one / model.card.temperatures[name], 1).numpy() for name, one in logits.items()}


def embeddings(net: GalaxyNet) -> np.ndarray:
    with torch.inference_mode():
        return net.eval().embed(torch.from_numpy(PICTURES).permute(0, 3, 1, 2).float() / 255).numpy()


def furthest(net: GalaxyNet, model: Model) -> float:
    """By how much a probability of a network and of a file differ at the most."""
    found = model.classify(PICTURES, views=1, framed=True).probabilities
    return max(float(np.abs(one - found[name]).max()) for name, one in answers(net, model).items())


@pytest.fixture(scope="module")
def lively_model(tmp_path_factory: pytest.TempPathFactory, tiny_run: Path) -> Model:
    """A model file of `tiny_run` with blocks that do something."""
    from peculiar.training.recipe import AVERAGED
    from peculiar.training.weights import read_weights, write_weights

    folder = tmp_path_factory.mktemp("lively") / "run"
    shutil.copytree(tiny_run, folder)
    random = torch.Generator().manual_seed(1)
    tensors, _, _ = read_weights(folder / AVERAGED)
    for name, tensor in tensors.items():
        if "project" in name or tensor.ndim == 1:
            tensor.copy_(torch.rand(tensor.shape, generator=random) * 0.2)
    write_weights(folder / AVERAGED, tensors)
    return export(folder, folder.parent / "lively.onnx")


def test_a_restored_network_answers_as_the_file(lively_model: Model) -> None:
    net, new = restore(lively_model, lively_model.card.questions)
    assert new == []
    assert furthest(net, lively_model) < 1e-5
    assert width_of(lively_model) == 8


def test_of_eight_bits_too(lively_model: Model, tmp_path: Path) -> None:
    place = tmp_path / "eight.onnx"
    eight = write_model(quantize(lively_model, PICTURES).SerializeToString(), lively_model.card, place)
    net, _ = restore(eight, eight.card.questions)
    embedded, expected = embeddings(net), lively_model.classify(PICTURES, views=1, framed=True).embedding
    # Seven bits of a weight are left, and the differences add up over the layers.
    assert float(np.abs(embedded - expected).max()) < 0.1 * float(np.abs(expected).max())
    assert np.corrcoef(embedded.ravel(), expected.ravel())[0, 1] > 0.99


def test_new_questions_are_told(lively_model: Model) -> None:
    own = lively_model.card.questions[0]
    other = Question(own.name, own.answers[::-1])
    net, new = restore(lively_model, [MOOD, own])
    assert new == [MOOD]
    assert restore(lively_model, [other])[1] == [other]
    set_head(net, MOOD, np.ones((2, 96), np.float32), np.array([0, 1], np.float32))
    assert net.head("mood").bias.tolist() == [0, 1]


def test_another_network_is_refused(lively_model: Model, tmp_path: Path) -> None:
    graph = onnx.load(lively_model.path)
    for weights in graph.graph.initializer:
        weights.name = weights.name.replace("body.3", "trunk.3")
    for node in graph.graph.node:
        node.input[:] = [name.replace("body.3", "trunk.3") for name in node.input]
        node.output[:] = [name.replace("body.3", "trunk.3") for name in node.output]
    del graph.metadata_props[:]
    place = tmp_path / "strange.onnx"
    place.write_bytes(seal(graph.SerializeToString(), lively_model.card))
    with pytest.raises(ModelError, match=r"strange\.onnx cannot be trained further"):
        restore(load_model(place), [MOOD])
