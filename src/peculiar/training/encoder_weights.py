"""First weights of an encoder: published ones, or those of a file, which is read without executing anything."""

import pickle
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from peculiar.errors import ModelError, NotFoundError
from peculiar.files.digests import file_digest
from peculiar.text import reason
from peculiar.training.networks.timm_body import Encoder, TimmBody, fetch, fill

# Entries of checkpoints that hold the weights: those of Lightning, of timm and of other training scripts.
_INNER = ("state_dict", "model_state_dict", "model", "encoder")

_GLOBAL = re.compile(r"GLOBAL ([\w.]+)")


@dataclass(frozen=True, slots=True)
class FirstWeights:
    """The weights that a body begins with.

    Parameters
    ----------
    name : str
        Their origin, as the record of the run states it.
    state : mapping of str to Tensor
        Of the body.
    """

    name: str
    state: Mapping[str, Tensor]


def first_weights(encoder: Encoder, size: int, file: Path | None, seed: int) -> FirstWeights:
    """Return the first weights of an encoder for pictures of some size.

    Parameters
    ----------
    encoder : Encoder
    size : int
        In pixels; weights that belong to positions in the picture are interpolated.
    file : path, optional
        A file of weights; by default the published ones.
    seed : int
        Seed of the weights that are in no file.

    Raises
    ------
    NotFoundError
        If there is no such file.
    ModelError
        If it is damaged, of another network, or would execute code.
    DownloadError
        If the published weights cannot be fetched.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        body = TimmBody(encoder.name, encoder.size, encoder.arguments, encoder.config)
        if file is None:
            fill(body, fetch(encoder).state_dict(), encoder.published)
        else:
            fill(body, read_state(file), str(file))
        if size != encoder.size:
            body.resize(size)
    return FirstWeights(encoder.published if file is None else name_of(file), body.state_dict())


def name_of(file: Path) -> str:
    """Return the name of a file of weights in the record of a run."""
    return f"{file.name}, sha256 {file_digest(file)}"


def read_state(file: Path) -> dict[str, Tensor]:
    """Read the weights in a file: safetensors, or what PyTorch or Lightning saved.

    Only tensors and plain values are read of the latter. A file whose pickle names a function or a class, which would
    be called to load it, is refused.

    Raises
    ------
    NotFoundError
        If there is no such file.
    ModelError
        If it is damaged, has no weights, or would execute code.
    """
    if not file.is_file():
        message = f"there is no file of weights {file}"
        raise NotFoundError(message)
    try:
        with file.open("rb") as content:
            told = content.read(9)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of other versions of pickle, which are read or refused
            state = load_file(file) if told[8:] == b"{" else torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        named = _GLOBAL.search(str(error))
        why = (
            f"code would be executed to load it ({named[1]}), which may do anything on this machine"
            if named
            else "it is damaged, or holds something else than weights, which only code could load"
        )
        message = (
            f"{file} is refused: {why}. Ask for the weights alone: as safetensors, or as "
            "torch.save(model.state_dict(), FILE) writes them"
        )
        raise ModelError(message) from error
    except (SafetensorError, RuntimeError, EOFError, ValueError, OSError, LookupError) as error:
        message = f"{file} is damaged, or no file of weights ({reason(error)})"
        raise ModelError(message) from error
    return _tensors(state, file)


def _tensors(state: Any, file: Path) -> dict[str, Tensor]:
    """Return the tensors of a checkpoint, of the innermost entry that holds weights."""
    entries = state if isinstance(state, Mapping) else {}
    while inner := next((entries[one] for one in _INNER if isinstance(entries.get(one), Mapping)), None):
        entries = inner
    found = {str(name): value for name, value in entries.items() if isinstance(value, Tensor)}
    if not found:
        message = f"{file} holds no weights by name; give what torch.save(model.state_dict(), FILE) writes"
        raise ModelError(message)
    return found
