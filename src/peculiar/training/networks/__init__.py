"""Networks, one architecture a file; `build` makes one by its name.

Inside, pictures are float32 (n, 3, height, width) from 0 to 1, and what comes out are logits (n, classes).
"""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from peculiar.errors import UnknownNameError
from peculiar.training.networks.exercise import ReferenceNet

NETS: dict[str, Callable[[int, int], nn.Module]] = {"reference": ReferenceNet}
"""Name to a function of (number of classes, side of the pictures in pixels)."""


def build(name: str, classes: int, size: int) -> nn.Module:
    """Make an untrained network.

    Parameters
    ----------
    name : str
        One of `NETS`.
    classes : int
        Number of classes.
    size : int
        Side of the pictures, in pixels.

    Raises
    ------
    UnknownNameError
        If there is no network of that name.
    """
    if name not in NETS:
        raise UnknownNameError("network", name, NETS)
    return NETS[name](classes, size)


Hook = Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]
"""Called with a module, its inputs and its output."""


@contextmanager
def observing(net: nn.Module, hooks: Mapping[nn.Module, Hook]) -> Iterator[torch.device]:
    """Let hooks see modules of a network at work as it predicts, without gradients; give its device.

    Afterwards the hooks are gone, and every module is in training mode or not as before: some may be frozen.
    """
    modes = {module: module.training for module in net.modules()}
    handles = [module.register_forward_hook(hook) for module, hook in hooks.items()]
    try:
        net.eval()
        with torch.inference_mode():
            yield next((parameter.device for parameter in net.parameters()), torch.device("cpu"))
    finally:
        for module, training in modes.items():
            module.training = training
        for handle in handles:
            handle.remove()


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer of a network.

    Parameters
    ----------
    name, kind : str
    output_shape : tuple of int
        Without the number of pictures; rows, columns, filters for feature maps.
    parameters : int
        Weights and biases.
    multiply_adds : int
        Multiplications a picture.
    """

    name: str
    kind: str
    output_shape: tuple[int, ...]
    parameters: int
    multiply_adds: int


@dataclass(frozen=True, slots=True)
class Summary:
    """The layers of a network, in the order that a picture passes them; as text, a table."""

    layers: tuple[Layer, ...]

    @property
    def parameters(self) -> int:
        """Weights and biases of all layers."""
        return sum(layer.parameters for layer in self.layers)

    @property
    def multiply_adds(self) -> int:
        """Multiplications that one picture takes."""
        return sum(layer.multiply_adds for layer in self.layers)

    def __str__(self) -> str:
        """Return the table."""
        rows = [("Layer", "Kind", "Output shape", "Parameters")]
        rows += [
            (layer.name, layer.kind, " x ".join(map(str, layer.output_shape)), f"{layer.parameters:,}")
            for layer in self.layers
        ]
        widths = [max(len(row[column]) for row in rows) for column in range(4)]
        lines = [
            f"{name:{widths[0]}}  {kind:{widths[1]}}  {shape:>{widths[2]}}  {parameters:>{widths[3]}}"
            for name, kind, shape, parameters in rows
        ]
        rule = "-" * len(lines[0])
        return "\n".join([lines[0], rule, *lines[1:], rule, f"Total parameters: {self.parameters:,}"])


def summarise(net: nn.Module, size: int) -> Summary:
    """List the layers of a network with their output shapes and parameter counts.

    Parameters
    ----------
    net : torch.nn.Module
    size : int
        Side of the pictures, in pixels.

    Returns
    -------
    Summary
    """
    layers: list[Layer] = []
    names = {module: name for name, module in net.named_modules() if not any(module.children())}

    def note(module: nn.Module, _: tuple[Tensor, ...], output: Tensor) -> None:
        shape = tuple(output.shape[1:])
        weight = getattr(module, "weight", None)
        # Every weight of a convolution is used once for each place of its feature map.
        places = math.prod(shape[1:]) if isinstance(module, nn.Conv2d) else 1
        layers.append(
            Layer(
                names[module],
                type(module).__name__,
                (*shape[1:], shape[0]) if len(shape) == 3 else shape,
                sum(parameter.numel() for parameter in module.parameters()),
                0 if weight is None else weight.numel() * places,
            )
        )

    with observing(net, dict.fromkeys(names, note)) as device:
        net(torch.zeros(1, 3, size, size, device=device))
    return Summary(tuple(layers))
