"""The state of a run between epochs: weights, their average, and the optimiser, in files that are whole at any time."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from peculiar.files import run_files
from peculiar.training.networks.galaxy import GalaxyNet
from peculiar.training.recipe import AVERAGED
from peculiar.training.weights import read_weights, write_weights

# The average is also stored with the state of the optimiser, so that one file determines where a resumed run continues.
_AVERAGE = "average."


def save(
    folder: Path,
    net: GalaxyNet,
    average: GalaxyNet,
    optimizer: torch.optim.Optimizer,
    history: list[dict[str, Any]],
    *,
    best: bool,
) -> None:
    """Write the state after an epoch, and the history.

    Parameters
    ----------
    folder : path
        Of the run.
    net, average : GalaxyNet
        The network, and the moving average of its weights.
    optimizer : torch.optim.Optimizer
    history : list of dict
        A line an epoch.
    best : bool
        Keep the average as that of the best epoch, too.
    """
    averaged = average.state_dict()
    write_weights(folder / AVERAGED, averaged)
    if best:
        write_weights(folder / run_files.BEST, averaged)
    state = {_AVERAGE + name: value for name, value in averaged.items()}
    for number, values in optimizer.state_dict()["state"].items():
        state.update({f"{number}.{name}": value for name, value in values.items()})
    note = {"history": run_files.format_history(history)}
    write_weights(folder / run_files.LAST, net.state_dict(), note, state)
    run_files.write_history(folder, history)


def load(folder: Path, net: GalaxyNet, average: GalaxyNet, optimizer: torch.optim.Optimizer) -> list[dict[str, Any]]:
    """Set network, average and optimiser to what `save` wrote last, and return the history.

    Raises
    ------
    RunError
        If the files are damaged.
    """
    tensors, state, notes = read_weights(folder / run_files.LAST)
    history = run_files.parse_history(notes.get("history", ""), folder / run_files.LAST)
    net.load_state_dict(tensors)
    averaged = {name: value for name, value in state.items() if name.startswith(_AVERAGE)}
    average.load_state_dict({name.removeprefix(_AVERAGE): value for name, value in averaged.items()})
    _load_optimizer(optimizer, {name: value for name, value in state.items() if name not in averaged})
    run_files.write_history(folder, history)
    return history


def load_best(folder: Path, average: GalaxyNet) -> None:
    """Set the average to that of the best epoch, also in the file of the weights to use."""
    tensors, _, _ = read_weights(folder / run_files.BEST)
    average.load_state_dict(tensors)
    write_weights(folder / AVERAGED, average.state_dict())


def _load_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        number, name = key.split(".")
        # The fused optimiser iterates over memory, so its state needs the memory layout of the weights.
        laid_out = value.contiguous(memory_format=torch.channels_last) if value.ndim == 4 else value
        state.setdefault(int(number), {})[name] = laid_out
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
