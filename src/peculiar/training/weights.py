"""Weights of PyTorch networks as safetensors, and conversion of pictures to network input."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from peculiar.exercise import weights as files


def write_weights(
    path: Path,
    weights: Mapping[str, Tensor],
    notes: dict[str, str] | None = None,
    optimizer: Mapping[str, Tensor] | None = None,
) -> None:
    """Write weights, notes, and the state of an optimiser if there is one, atomically."""
    arrays, state = (
        {name: tensor.detach().cpu().numpy() for name, tensor in tensors.items()}
        for tensors in (weights, optimizer or {})
    )
    files.write_weights(path, arrays, notes, state)


def read_weights(path: Path) -> tuple[dict[str, Tensor], dict[str, Tensor], dict[str, str]]:
    """Read weights, the state of an optimiser, and notes.

    Raises
    ------
    RunError
        If the file is missing or damaged.
    """
    weights, state, notes = files.read_weights(path)
    tensors, others = ({name: torch.from_numpy(array) for name, array in arrays.items()} for arrays in (weights, state))
    return tensors, others, notes


def to_input(pictures: Tensor, device: torch.device) -> Tensor:
    """Convert uint8 (n, height, width, 3) to network input: float (n, 3, height, width), 0 to 1.

    The memory layout stays channels-last, which is also the fastest for convolutions.
    """
    return pictures.to(device).permute(0, 3, 1, 2).to(torch.float32).mul_(1 / 255)
