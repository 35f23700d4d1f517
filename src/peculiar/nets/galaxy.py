"""The network of the model that ships: a small residual body, and a head for each question."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

# Blocks in each stage; a stage halves the feature maps and, from the second on, doubles the filters.
_STAGES = (1, 2, 2, 1)


class GalaxyNet(nn.Module):
    """A residual network (He et al. 2016) with one linear head a question.

    A 5 x 5 convolution of stride 2, four stages of 3 x 3 residual blocks that each halve the feature maps, the mean
    over places, and the heads. Dense convolutions throughout: processors multiply them several times as fast as the
    depthwise ones that the usual small networks save their multiplications with (``docs/lab-book.md``).

    Parameters
    ----------
    questions : mapping of str to int
        Name of each question and number of its answers.
    width : int
        Filters of the first stage; the last has eight times as many.

    Notes
    -----
    Input shape: float (n, 3, size, size), 0 to 1. Output: a dict of logits, float (n, answers), by question.
    """

    def __init__(self, questions: Mapping[str, int], width: int = 48) -> None:
        super().__init__()
        layers: list[nn.Module] = [
            nn.Conv2d(3, width, 5, stride=2, padding=2, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
        ]
        filters = width
        for stage, blocks in enumerate(_STAGES):
            for block in range(blocks):
                layers.append(_Block(filters, width << stage, stride=2 if block == 0 else 1))
                filters = width << stage
        self.body = nn.Sequential(*layers)
        self.dropout = nn.Dropout(0.2)
        self.heads = nn.ModuleDict({name: nn.Linear(filters, answers) for name, answers in questions.items()})

    def embed(self, pictures: Tensor) -> Tensor:
        """Return what the body makes of pictures, float32 (n, 8 width)."""
        maps: Tensor = self.body(pictures)
        return maps.mean(dim=(2, 3)).float()

    def forward(self, pictures: Tensor) -> dict[str, Tensor]:
        """Return the logits of pictures, by question."""
        hidden = self.dropout(self.embed(pictures))
        return {name: head(hidden) for name, head in self.heads.items()}


class _Block(nn.Module):
    """Two 3 x 3 convolutions and a shortcut around them; a stride is taken by the shortcut as a mean."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(after)
        # A block begins as its shortcut (Goyal et al. 2017, section 5.1).
        nn.init.zeros_(self.norm2.weight)
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or before != after:
            pool = nn.AvgPool2d(stride) if stride > 1 else nn.Identity()
            self.shortcut = nn.Sequential(pool, nn.Conv2d(before, after, 1, bias=False), nn.BatchNorm2d(after))

    def forward(self, maps: Tensor) -> Tensor:
        hidden = functional.relu(self.norm1(self.conv1(maps)))
        return functional.relu(self.norm2(self.conv2(hidden)) + self.shortcut(maps))


def channels_last(net: nn.Module) -> nn.Module:
    """Lay a network's weights out as convolutions are fastest on."""
    return net.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]
