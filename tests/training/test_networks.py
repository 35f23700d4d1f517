"""The networks: the exercise's layer by layer, its first weights, and looking at a network without changing it."""

import math
import sys

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from peculiar.errors import DataError, MissingExtraError, UnknownNameError, UsageError
from peculiar.training.networks import NETS, Layer, build, observing, summarise
from peculiar.training.networks.exercise import ReferenceNet
from peculiar.training.networks.exercise_keras import from_keras, to_keras

# As the exercise's Keras summary prints them: name, kind, output shape, parameters.
EXERCISE = [
    ("conv2d", "Conv2d", (63, 63, 8), 224),
    ("max_pooling2d", "MaxPool2d", (31, 31, 8), 0),
    ("conv2d_1", "Conv2d", (15, 15, 8), 584),
    ("max_pooling2d_1", "MaxPool2d", (7, 7, 8), 0),
    ("flatten", "Flatten", (392,), 0),
    ("dense", "Linear", (16,), 6288),
    ("dense_1", "Linear", (4,), 68),
]


def seeded(seed: int = 222, classes: int = 4, size: int = 128) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return build("reference", classes, size)


def noise(count: int = 3, size: int = 128, seed: int = 0) -> Tensor:
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(seed))


def test_the_layers_are_those_of_the_exercise() -> None:
    summary = summarise(seeded(), 128)
    assert [(layer.name, layer.kind, layer.output_shape, layer.parameters) for layer in summary.layers] == EXERCISE
    assert summary.parameters == 7164 == sum(parameter.numel() for parameter in seeded().parameters())


def test_multiplications_as_counted_by_hand() -> None:
    work = [layer.multiply_adds for layer in summarise(seeded(), 128).layers]
    # A convolution: places x filters x (rows x columns x colours of a filter).
    assert work == [63 * 63 * 8 * (3 * 3 * 3), 0, 15 * 15 * 8 * (3 * 3 * 8), 0, 0, 392 * 16, 16 * 4]
    assert summarise(seeded(), 128).multiply_adds == 857_304 + 129_600 + 6_272 + 64


def test_the_summary_as_text() -> None:
    lines = str(summarise(seeded(), 128)).splitlines()
    assert lines[0].split() == ["Layer", "Kind", "Output", "shape", "Parameters"]
    assert lines[2].split() == ["conv2d", "Conv2d", "63", "x", "63", "x", "8", "224"]
    assert lines[7].split() == ["dense", "Linear", "16", "6,288"]
    assert lines[-1] == "Total parameters: 7,164"
    # A table: every row as wide as its rules.
    assert {len(line) for line in lines[:-1]} == {len(lines[1])}
    assert set(lines[1]) == set(lines[-2]) == {"-"}


def test_weights_begin_as_those_of_keras() -> None:
    fans = {"conv2d": (27, 72), "conv2d_1": (72, 72), "dense": (392, 16), "dense_1": (16, 4)}
    for name, layer in seeded().named_children():
        if name not in fans:
            continue
        assert not layer.bias.any()
        weights, bound = layer.weight.detach(), math.sqrt(6 / sum(fans[name]))
        assert weights.abs().max() <= bound
        # Uniform up to the bound: the extremes are almost reached, and the spread is that of a uniform distribution.
        assert weights.abs().max() > 0.9 * bound
        assert weights.std() == pytest.approx(bound / math.sqrt(3), rel=0.15)


def test_seeds_decide_the_weights() -> None:
    first, same, other = (seeded(seed).state_dict() for seed in (5, 5, 6))
    assert all(torch.equal(first[name], same[name]) for name in first)
    assert not any(torch.equal(first[name], other[name]) for name in first if name.endswith("weight"))


@torch.inference_mode()
def test_forward_is_the_exercise_written_out() -> None:
    net, pictures = seeded(), noise()
    tensors = dict(net.named_parameters())
    hidden = pictures
    for name in ("conv2d", "conv2d_1"):
        hidden = functional.conv2d(hidden, tensors[f"{name}.weight"], tensors[f"{name}.bias"], stride=2)
        hidden = functional.max_pool2d(functional.relu(hidden), 2)
    hidden = hidden.permute(0, 2, 3, 1).reshape(len(pictures), 392)
    hidden = functional.relu(functional.linear(hidden, tensors["dense.weight"], tensors["dense.bias"]))
    expected = functional.linear(hidden, tensors["dense_1.weight"], tensors["dense_1.bias"])
    torch.testing.assert_close(net(pictures), expected, atol=1e-6, rtol=1e-5)


@torch.inference_mode()
def test_the_layout_of_the_memory_changes_nothing() -> None:
    net, pictures = seeded(), noise()
    before = pictures.clone()
    last = pictures.contiguous(memory_format=torch.channels_last)
    assert last.stride() != pictures.stride()
    torch.testing.assert_close(net(last), net(pictures), atol=1e-6, rtol=0)
    # The ReLUs work in place, though never on what was given.
    assert torch.equal(pictures, before)


@torch.inference_mode()
def test_a_galaxy_is_judged_by_itself() -> None:
    net, pictures = seeded(), noise(4)
    torch.testing.assert_close(net(pictures)[2:3], net(pictures[2:3]), atol=1e-6, rtol=0)


@pytest.mark.parametrize(("classes", "size"), [(2, 21), (5, 64), (10, 127), (4, 129), (4, 256)])
def test_other_sizes_and_classes(classes: int, size: int) -> None:
    net = seeded(classes=classes, size=size)
    assert net(noise(2, size)).shape == (2, classes)


@pytest.mark.parametrize("size", [1, 3, 20])
def test_pictures_that_are_too_small(size: int) -> None:
    with pytest.raises(UsageError, match=f"at least 21 x 21 pixels, received {size}"):
        ReferenceNet(4, size)


def test_unknown_network() -> None:
    with pytest.raises(
        UnknownNameError, match=r"no network 'referense'. Did you mean 'reference'\? There are: reference"
    ):
        build("referense", 4, 128)
    assert set(NETS) == {"reference"}


class Odd(nn.Module):
    """A network with a frozen part, a block within a block and a layer that is used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.block = nn.Sequential(nn.Conv2d(3, 3, 3, padding=1, bias=False), nn.BatchNorm2d(3))
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 2))

    def forward(self, pictures: Tensor) -> Tensor:
        logits: Tensor = self.head(self.block(self.block(pictures)))
        return logits


def state(net: nn.Module) -> tuple[list[bool], list[int], list[Tensor]]:
    return (
        [module.training for module in net.modules()],
        [len(module._forward_hooks) for module in net.modules()],
        [tensor.clone() for tensor in net.state_dict().values()],
    )


@pytest.mark.parametrize("training", [True, False])
def test_summarise_leaves_the_network_as_it_was(training: bool) -> None:
    net = Odd().train(training)
    net.block[1].eval()
    modes, hooks, tensors = state(net)

    summary = summarise(net, 20)

    after = state(net)
    assert after[0] == modes
    assert after[1] == hooks == [0] * len(hooks)
    # Batch normalisation would have learned from the picture if it had been in training.
    assert all(torch.equal(a, b) for a, b in zip(tensors, after[2], strict=True))
    assert [layer.name for layer in summary.layers] == [
        *["block.0", "block.1"] * 2,
        *(f"head.{number}" for number in range(3)),
    ]
    assert summary.layers[0] == Layer("block.0", "Conv2d", (20, 20, 3), 81, 400 * 81)


def test_a_failure_leaves_the_network_as_it_was() -> None:
    net = seeded().train()
    net.flatten.eval()
    modes, hooks, _ = state(net)
    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        summarise(net, 64)
    assert state(net)[:2] == (modes, hooks)


def test_observing_takes_no_gradients() -> None:
    net, seen = seeded().train(), []
    with observing(net, {net.dense: lambda module, inputs, output: seen.append((module, output))}) as device:
        assert device == torch.device("cpu")
        assert not net.training
        net(noise(1))
    assert [module for module, _ in seen] == [net.dense]
    assert not seen[0][1].requires_grad
    assert net.training


def test_observing_a_network_without_weights() -> None:
    with observing(nn.Flatten(), {}) as device:
        assert device == torch.device("cpu")


def test_the_twin_is_for_pictures_of_128() -> None:
    with pytest.raises(DataError, match=r"128 x 128, .* 392 inputs; received .* 72. Make it with size=128"):
        to_keras(ReferenceNet(4, 64))


def test_the_twin_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keras", None)
    with pytest.raises(MissingExtraError, match=r"the Keras twin needs .* pip install 'peculiar\[keras\]'"):
        to_keras(ReferenceNet())


class Weights:
    """A Keras network, as far as `from_keras` looks at it."""

    def __init__(self, *shapes: tuple[int, ...]) -> None:
        self.shapes = shapes

    def get_weights(self) -> list[np.ndarray]:
        return [np.zeros(shape, np.float32) for shape in self.shapes]


@pytest.mark.parametrize(
    "model",
    [
        Weights(),
        Weights(()),
        Weights((3, 3, 3, 8), (8,)),
        Weights((3, 3, 3, 8), (8,), (3, 3, 8, 8), (8,), (392, 16), (16,), (16, 4), (5,)),
        Weights((5, 5, 3, 8), (8,), (3, 3, 8, 8), (8,), (392, 16), (16,), (16, 4), (4,)),
        # A twin for smaller pictures.
        Weights((3, 3, 3, 8), (8,), (3, 3, 8, 8), (8,), (72, 16), (16,), (16, 4), (4,)),
    ],
)
def test_other_keras_networks_are_refused(model: Weights) -> None:
    with pytest.raises(
        DataError, match=r"not the exercise's network: its weights have the shapes .* to_keras"
    ) as caught:
        from_keras(model)
    assert str(list(model.shapes)) in str(caught.value)
