"""Weights and optimiser states as safetensors, a format that other programs read as well."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from peculiar.errors import RunError
from peculiar.files.writing import writing

Arrays = Mapping[str, NDArray[Any]]

_OPTIMIZER = "optimizer."


def write_weights(
    path: Path, weights: Arrays, notes: dict[str, str] | None = None, optimizer: Arrays | None = None
) -> None:
    """Write weights, notes, and the state of an optimiser where there is one, in one step."""
    arrays = {**weights, **{_OPTIMIZER + name: array for name, array in (optimizer or {}).items()}}
    with writing(path) as temporary:
        # Not save_file, whose files only their owner can read.
        temporary.write_bytes(save({name: np.asarray(array, order="C") for name, array in arrays.items()}, notes))


def read_weights(path: Path) -> tuple[dict[str, NDArray[Any]], dict[str, NDArray[Any]], dict[str, str]]:
    """Read weights, the state of an optimiser, and notes.

    Raises
    ------
    RunError
        If the file is missing or damaged.
    """
    try:
        with safe_open(path, "np") as file:
            arrays, notes = {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        message = f"{path} cannot be read ({error})"
        raise RunError(message) from error
    state = {name.removeprefix(_OPTIMIZER): arrays.pop(name) for name in list(arrays) if name.startswith(_OPTIMIZER)}
    return arrays, state, notes
