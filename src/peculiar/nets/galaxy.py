"""The network of the model that ships: a body, and a head for each question."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from peculiar.nets.bodies import BODIES, LITE_WIDTH


class GalaxyNet(nn.Module):
    """A body, the mean of its maps over places, and one linear head a question.

    Parameters
    ----------
    questions : mapping of str to int
        Name of each question and number of its answers.
    width : int
        Filters of the first layers.
    body : str
        One of `peculiar.nets.bodies.BODIES`.

    Notes
    -----
    Input shape: float (n, 3, size, size), 0 to 1. Output: a dict of logits, float (n, answers), by question.
    """

    def __init__(self, questions: Mapping[str, int], width: int = LITE_WIDTH, body: str = "lite") -> None:
        super().__init__()
        make, times = BODIES[body]
        self.body = make(width)
        self.dropout = nn.Dropout(0.2)
        self.questions = tuple(questions)
        heads = {head_name(name): nn.Linear(times * width, answers) for name, answers in questions.items()}
        self.heads = nn.ModuleDict(heads)

    def embed(self, pictures: Tensor) -> Tensor:
        """Return what the body makes of pictures, float32 (n, values)."""
        maps: Tensor = self.body(pictures)
        return maps.mean(dim=(2, 3)).float()

    def forward(self, pictures: Tensor) -> dict[str, Tensor]:
        """Return the logits of pictures, by question."""
        hidden = self.dropout(self.embed(pictures))
        return {name: head(hidden) for name, head in zip(self.questions, self.heads.values(), strict=True)}


def head_name(question: str) -> str:
    """Return what the head of a question is called, since PyTorch takes neither dots nor the names of its own parts."""
    taken = "." in question or hasattr(nn.ModuleDict(), question)
    return f"{question.replace('.', ' ')} head" if taken else question


def channels_last(net: nn.Module) -> nn.Module:
    """Lay a network's weights out as convolutions are fastest on."""
    return net.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]
