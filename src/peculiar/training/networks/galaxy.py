"""The galaxy network: a body, and a head for each question."""

from collections.abc import Mapping
from typing import Self, TypeVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from peculiar.training.dimensions import LITE_WIDTH, WIDENING
from peculiar.training.networks.bodies import BODIES
from peculiar.training.networks.timm_body import TimmBody

Net = TypeVar("Net", bound=nn.Module)


class GalaxyNet(nn.Module):
    """A body, global average pooling, and one linear head per question.

    Parameters
    ----------
    questions : mapping of str to int
        Name of each question and number of its answers.
    width : int
        Number of filters of the first layers.
    body : str or TimmBody
        One of `peculiar.training.networks.bodies.BODIES`, or an encoder of timm.
    context : int
        Width of the second, wider extent relative to the galaxy's own square; 1 for none. Both go through the body as
        one batch, and their features lie side by side.
    embedding : int, optional
        Numbers of the embedding, to which a linear layer joins the features and the means of earlier maps, one for each
        resolution. The last maps keep little but what answers the questions. By default the features are the embedding.
    hints : int
        Numbers of the features of another network that a linear layer predicts from the embedding in training; 0 for
        none.

    Notes
    -----
    Input shape: float (n, 3, size, size), 0 to 1; with a second extent (n, 6, size, size). Output: a dict of logits,
    float (n, answers), by question.
    """

    def __init__(
        self,
        questions: Mapping[str, int],
        width: int = LITE_WIDTH,
        body: str | TimmBody = "lite",
        *,
        context: int = 1,
        embedding: int | None = None,
        hints: int = 0,
    ) -> None:
        super().__init__()
        self.body = BODIES[body](width) if isinstance(body, str) else body
        self.context = context
        # An encoder of timm gives its last features alone.
        self.levels = embedding is not None and isinstance(body, str)
        # Normalisation that training leaves alone, and whether the maps of a block are computed again for gradients.
        self.still: list[nn.Module] = []
        self.recompute = False
        features = WIDENING[body] * width if isinstance(body, str) else body.features
        if self.levels:
            with torch.no_grad():
                features = self._features(torch.zeros(2, 3, 64, 64)).shape[1]
        features *= 2 if context > 1 else 1
        size = embedding or features
        self.join: nn.Module = nn.Identity() if embedding is None else nn.Linear(features, size)
        self.size = size
        self.dropout = nn.Dropout(0.2)
        self.questions = tuple(questions)
        # By number: PyTorch restricts the names of modules, but questions may have any name.
        self.heads = nn.ModuleList(nn.Linear(size, answers) for answers in questions.values())
        self.hints: nn.Module = nn.Linear(size, hints) if hints else nn.Identity()

    def extents(self, pictures: Tensor) -> Tensor:
        """Return the network's input from pictures of a model file, float (n, 3, side, side).

        With a second extent, these show the wider one at the resolution of the galaxy's own: `side` is `context` times
        the size of the input.
        """
        if self.context == 1:
            return pictures
        side = pictures.shape[-1] // self.context
        rim = (pictures.shape[-1] - side) // 2
        own = pictures[:, :, rim : rim + side, rim : rim + side]
        return torch.cat([own, functional.avg_pool2d(pictures, self.context)], dim=1)

    def embed(self, pictures: Tensor) -> Tensor:
        """Return the embeddings of pictures, float32 (n, values)."""
        seen = pictures if self.context == 1 else torch.cat([pictures[:, :3], pictures[:, 3:]])
        features = self._features(seen)
        if self.context > 1:
            # Not `chunk`: the exporter does not know half of a batch of any size.
            features = features.reshape(2, -1, features.shape[1]).transpose(0, 1).flatten(1)
        joined: Tensor = self.join(features)
        return joined

    def train(self, mode: bool = True) -> Self:
        """Set the mode of training, except of normalisation that is frozen."""
        super().train(mode)
        for module in self.still:
            module.eval()
        return self

    def _features(self, maps: Tensor) -> Tensor:
        """Return the means of the last maps; with `levels`, behind those of the last at each higher resolution."""
        if not isinstance(self.body, nn.Sequential):
            vectors: Tensor = self.body(maps)
            return vectors.float()
        means = []
        for number, layer in enumerate(self.body):
            before = maps
            if self.recompute and self.training:
                maps = cast(Tensor, checkpoint(layer, maps, use_reentrant=False))
            else:
                maps = layer(maps)
            if self.levels and number and maps.shape[-1] < before.shape[-1]:
                means.append(before.mean(dim=(2, 3)))
        return torch.cat([*means, maps.mean(dim=(2, 3))], dim=1).float()

    def answer(self, embeddings: Tensor, kept: Tensor | None = None) -> dict[str, Tensor]:
        """Return the logits of embeddings, by question; with the factors `kept` of dropout, if drawn before."""
        hidden = self.dropout(embeddings) if kept is None else embeddings * kept
        return {name: head(hidden) for name, head in zip(self.questions, self.heads, strict=True)}

    def forward(self, pictures: Tensor) -> dict[str, Tensor]:
        """Return the logits of pictures, by question."""
        return self.answer(self.embed(pictures))

    def head(self, question: str) -> nn.Linear:
        """Return the head of a question."""
        return cast(nn.Linear, self.heads[self.questions.index(question)])

    @torch.no_grad()
    def whiten(self, embeddings: Tensor, least: float = 1e-4) -> None:
        """Whiten the embedding without a change of the answers: its numbers get mean 0, spread 1 and no correlation.

        The matrix ``C^(-1/2)`` of the covariance ``C`` (ZCA: Kessy, Lewin & Strimmer 2018, The American Statistician
        72, 309, eq. 5) changes each number as little as possible. It goes into the layer that joins the features,
        and its inverse into the heads.

        Parameters
        ----------
        embeddings : Tensor of float, shape (m, values)
            Embeddings of typical galaxies.
        least : float
            Least variance of a direction, relative to the largest: others hold nothing but rounding.
        """
        join = cast(nn.Linear, self.join)
        values = embeddings.double()
        mean = values.mean(dim=0)
        spread, axes = torch.linalg.eigh(torch.cov(values.T))
        spread = spread.clamp(min=float(spread.max()) * least)
        forth, back = ((axes * spread**power) @ axes.T for power in (-0.5, 0.5))
        join.bias.copy_(forth @ (join.bias.double() - mean))
        join.weight.copy_(forth @ join.weight.double())
        for layer in (*self.heads, *([self.hints] if isinstance(self.hints, nn.Linear) else [])):
            head = cast(nn.Linear, layer)
            head.bias.add_(head.weight.double() @ mean)
            head.weight.copy_(head.weight.double() @ back)


def channels_last(net: Net) -> Net:
    """Convert the weights of a network to channels-last layout, the fastest for convolutions."""
    laid_out: Net = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return laid_out
