"""Adam as Keras defines it, on one vector with all weights of a network."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn


class Adam:
    """The optimiser of Kingma & Ba (2015), in the form of the remark that ends their section 2.

    That form, which Keras has, adds epsilon before the bias correction; ``torch.optim.Adam`` adds it behind. The
    weights of the network are moved into one vector, and so are their gradients, so that a step is six operations
    rather than six a layer. (The first optimiser of ``torch.optim`` also costs a second: it loads the compiler.)

    Parameters
    ----------
    net : torch.nn.Module
        Its parameters become views of one vector; they keep their shapes and their order in memory.
    learning_rate : float
    beta_1, beta_2, epsilon : float
        Keras's values.
    """

    def __init__(
        self,
        net: nn.Module,
        learning_rate: float,
        *,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
    ) -> None:
        self.learning_rate, self.beta_1, self.beta_2, self.epsilon = learning_rate, beta_1, beta_2, epsilon
        parameters = list(net.parameters())
        self.weights = torch.cat([_in_memory_order(parameter.detach()).reshape(-1) for parameter in parameters])
        self.gradients = torch.zeros_like(self.weights)
        self.momentum = torch.zeros_like(self.weights)
        self.velocity = torch.zeros_like(self.weights)
        self.steps = 0
        for parameter, weights, gradients in zip(
            parameters, _views(self.weights, parameters), _views(self.gradients, parameters), strict=True
        ):
            parameter.data, parameter.grad = weights, gradients

    def zero_grad(self) -> None:
        """Forget the gradients of the last step."""
        self.gradients.zero_()

    @torch.no_grad()
    def step(self) -> None:
        """Move the weights by one step against their gradients."""
        size = self.advance()
        self.momentum.lerp_(self.gradients, 1 - self.beta_1)
        self.velocity.mul_(self.beta_2).addcmul_(self.gradients, self.gradients, value=1 - self.beta_2)
        self.weights.addcdiv_(self.momentum, self.velocity.sqrt().add_(self.epsilon), value=-size)

    def advance(self) -> float:
        """Count a step, and return its size."""
        self.steps += 1
        return self.learning_rate * math.sqrt(1 - self.beta_2**self.steps) / (1 - self.beta_1**self.steps)

    def state(self) -> dict[str, Tensor]:
        """Return what `restore` needs to go on from here."""
        return {"momentum": self.momentum, "velocity": self.velocity, "steps": torch.tensor(self.steps)}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Go on from where `state` was taken."""
        self.momentum.copy_(state["momentum"])
        self.velocity.copy_(state["velocity"])
        self.steps = int(state["steps"])


def _in_memory_order(tensor: Tensor) -> Tensor:
    """Return a contiguous view: of filters laid out channels last, the axes as they lie in memory."""
    return tensor if tensor.is_contiguous() else tensor.permute(0, 2, 3, 1)


def _views(vector: Tensor, like: list[nn.Parameter]) -> Iterator[Tensor]:
    for part, parameter in zip(torch.split(vector, [parameter.numel() for parameter in like]), like, strict=True):
        ordered = part.view(_in_memory_order(parameter).shape)
        yield ordered if parameter.is_contiguous() else ordered.permute(0, 3, 1, 2)
