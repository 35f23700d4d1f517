"""The galaxy network: a body, and a head for each question."""

from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor, nn

from peculiar.training.dimensions import LITE_WIDTH, WIDENING
from peculiar.training.networks.bodies import BODIES


class GalaxyNet(nn.Module):
    """A body, global average pooling, and one linear head per question.

    Parameters
    ----------
    questions : mapping of str to int
        Name of each question and number of its answers.
    width : int
        Number of filters of the first layers.
    body : str
        One of `peculiar.training.networks.bodies.BODIES`.

    Notes
    -----
    Input shape: float (n, 3, size, size), 0 to 1. Output: a dict of logits, float (n, answers), by question.
    """

    def __init__(self, questions: Mapping[str, int], width: int = LITE_WIDTH, body: str = "lite") -> None:
        super().__init__()
        self.body = BODIES[body](width)
        self.dropout = nn.Dropout(0.2)
        self.questions = tuple(questions)
        # By number: PyTorch restricts the names of modules, but questions may have any name.
        self.heads = nn.ModuleList(nn.Linear(WIDENING[body] * width, answers) for answers in questions.values())

    def embed(self, pictures: Tensor) -> Tensor:
        """Return the embeddings of pictures, float32 (n, values)."""
        maps: Tensor = self.body(pictures)
        return maps.mean(dim=(2, 3)).float()

    def forward(self, pictures: Tensor) -> dict[str, Tensor]:
        """Return the logits of pictures, by question."""
        hidden = self.dropout(self.embed(pictures))
        return {name: head(hidden) for name, head in zip(self.questions, self.heads, strict=True)}

    def head(self, question: str) -> nn.Linear:
        """Return the head of a question."""
        return cast(nn.Linear, self.heads[self.questions.index(question)])


def channels_last(net: nn.Module) -> nn.Module:
    """Convert the weights of a network to channels-last layout, the fastest for convolutions."""
    return net.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]
