"""The exercise's network in PyTorch, whose numbers ours have to be."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from peculiar.exercise.layers import Floats
from peculiar.exercise.network import Network


class TorchNet(nn.Module):
    """The exercise's network in plain PyTorch, with Keras's initial weights."""

    def __init__(self, classes: int = 4, size: int = 128) -> None:
        super().__init__()
        side = size
        for _ in range(2):
            side = ((side - 3) // 2 + 1) // 2
        self.conv2d = nn.Conv2d(3, 8, 3, stride=2)
        self.max_pooling2d = nn.MaxPool2d(2, stride=2)
        self.conv2d_1 = nn.Conv2d(8, 8, 3, stride=2)
        self.max_pooling2d_1 = nn.MaxPool2d(2, stride=2)
        self.flatten = nn.Flatten()
        self.dense = nn.Linear(side * side * 8, 16)
        self.dense_1 = nn.Linear(16, classes)
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(parameter)
            else:
                nn.init.xavier_uniform_(parameter)

    def forward(self, pictures: Tensor) -> Tensor:
        hidden = self.max_pooling2d(self.conv2d(pictures).relu())
        hidden = self.max_pooling2d_1(self.conv2d_1(hidden).relu())
        # Keras flattens (row, column, filter).
        hidden = self.dense(self.flatten(hidden.permute(0, 2, 3, 1))).relu()
        logits: Tensor = self.dense_1(hidden)
        return logits


def to_torch(net: Network) -> TorchNet:
    """The same network in PyTorch."""
    other = TorchNet(net.classes, net.size)
    other.load_state_dict({name: torch.tensor(np.ascontiguousarray(part)) for name, part in net.arrays().items()})
    return other


def by_pytorch(
    net: Network, pictures: NDArray[np.uint8], labels: NDArray[np.integer[Any]]
) -> tuple[Floats, float, Floats]:
    """Return logits, loss, and gradients in the order of `Network.vector`."""
    other = to_torch(net)
    logits = other(torch.from_numpy(pictures).permute(0, 3, 1, 2).to(torch.float32) * (1 / 255))
    loss = functional.cross_entropy(logits, torch.from_numpy(labels))
    loss.backward()
    slopes = [parameter.grad for parameter in other.parameters()]
    ordered = [one.permute(0, 2, 3, 1) if one.ndim == 4 else one for one in slopes if one is not None]
    gradients: Floats = torch.cat([one.reshape(-1) for one in ordered]).numpy()
    return logits.detach().numpy(), loss.item(), gradients
