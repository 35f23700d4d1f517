"""Blocks of a body: which are frozen, how fast each of the others learns, and which maps are stored."""

from collections.abc import Mapping

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from peculiar.errors import UsageError
from peculiar.training.networks.galaxy import GalaxyNet
from peculiar.training.networks.timm_body import TimmBody


def block_numbers(body: nn.Module) -> Mapping[str, int]:
    """Return the block of each parameter of a body, from 0 on, in the order in which a picture passes them."""
    if isinstance(body, TimmBody):
        return body.blocks()
    return {name: int(name.partition(".")[0]) for name, _ in body.named_parameters()}


def freeze(net: GalaxyNet, count: int | None) -> None:
    """Freeze the first blocks of a network's body, with the statistics of their normalisation.

    Parameters
    ----------
    net : GalaxyNet
    count : int or None
        Number of the blocks; None for all.

    Raises
    ------
    UsageError
        If the body has fewer.
    """
    if count == 0:
        return
    numbers = block_numbers(net.body)
    there = max(numbers.values()) + 1
    if count is not None and count > there:
        message = f"--freeze {count}: the body has {there} blocks; give fewer, or 'all'"
        raise UsageError(message)
    for name, parameter in net.body.named_parameters():
        if count is None or numbers[name] < count:
            parameter.requires_grad = False
    net.still = [
        module
        for module in net.body.modules()
        if isinstance(module, _BatchNorm) and not any(one.requires_grad for one in module.parameters())
    ]


def speeds(net: GalaxyNet, decay: float) -> dict[str, float]:
    """Return how fast the parameters of a body learn, relative to the learning rate.

    Each block learns at `decay` times the rate of the one behind it (Clark et al. 2020, arXiv:2003.10555, section 3.1):
    the first blocks detect what all pictures have in common.
    """
    if decay == 1:
        return {}
    numbers = block_numbers(net.body)
    last = max(numbers.values())
    return {f"body.{name}": decay ** (last - number) for name, number in numbers.items()}


def recompute(net: GalaxyNet) -> None:
    """Compute maps again for the gradients, block by block, instead of storing them."""
    if isinstance(net.body, TimmBody):
        net.body.recompute()
    else:
        net.recompute = True
