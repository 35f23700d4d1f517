"""The optimiser of the galaxy network, and its learning rate over a training."""

import math

import torch
from torch import Tensor

from peculiar.training.networks.blocks import speeds
from peculiar.training.networks.galaxy import GalaxyNet
from peculiar.training.recipe import Recipe

_WARM_UP = 0.1

# Heads, which are mostly new, have a higher learning rate.
_HEADS_SPEED = 4.0


def make_optimizer(net: GalaxyNet, recipe: Recipe) -> torch.optim.AdamW:
    """Make AdamW (Loshchilov & Hutter 2019) for the weights of a network that are not frozen."""
    # Biases have no weight decay: it would not simplify the network.
    slower = speeds(net, recipe.layer_decay)
    groups: dict[tuple[float, bool], list[Tensor]] = {}
    for name, parameter in net.named_parameters():
        if parameter.requires_grad:
            speed = slower.get(name, 1.0) if name.startswith("body.") else _HEADS_SPEED
            groups.setdefault((speed, parameter.ndim > 1), []).append(parameter)
    return torch.optim.AdamW(
        [
            {
                "params": parameters,
                "weight_decay": recipe.weight_decay if matrices else 0.0,
                "speed": speed,
            }
            for (speed, matrices), parameters in groups.items()
        ],
        lr=recipe.learning_rate,
        fused=True,
    )


def set_rate(optimizer: torch.optim.Optimizer, recipe: Recipe, progress: float) -> None:
    """Set the learning rate after a share of the training, 0 to 1: a linear rise, then a fall along half a cosine."""
    share = progress / _WARM_UP
    if progress >= _WARM_UP:
        share = (1 + math.cos(math.pi * (progress - _WARM_UP) / (1 - _WARM_UP))) / 2
    for group in optimizer.param_groups:
        group["lr"] = recipe.learning_rate * group["speed"] * share
