"""The folder of a training run, whole at any moment.

::

    run.json           arguments, versions, digests of data and split
    split.csv          which galaxy was in which part
    history.jsonl      a line an epoch
    best.safetensors   weights of the epoch with the lowest validation loss
    last.safetensors   weights and optimiser after the last epoch, to resume from
    scores.json        scores on the validation part
"""

import csv
import json
import os
import platform
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor, nn

from peculiar.errors import NotFoundError, RunError, UnknownNameError, UsageError
from peculiar.files.writing import writing
from peculiar.images.decode import Framing
from peculiar.questions.question import Question
from peculiar.sources.given import framed_batches
from peculiar.training.networks import build

RECORD, SPLIT, HISTORY, BEST, LAST, SCORES = (
    "run.json",
    "split.csv",
    "history.jsonl",
    "best.safetensors",
    "last.safetensors",
    "scores.json",
)

_OPTIMIZER = "optimizer."


class Arguments(BaseModel):
    """What a training run was asked to do.

    Parameters
    ----------
    net : str
        Name of the architecture.
    epochs, batch_size : int
    seed : int
        Decides the first weights and the order of the galaxies.
    learning_rate : float
    validation_size : float
        Share of the galaxies that is held back.
    split_seed : int
        Decides which galaxies are held back. Apart from `seed`, so that runs can be compared on the same galaxies.
    framing : Framing
        How pictures are cut and sized.
    precision : {"no", "bf16"}
        Mixed precision.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    net: str = "reference"
    epochs: int = Field(default=8, ge=1)
    batch_size: int = Field(default=5, ge=1)
    seed: int = Field(default=222, ge=0, lt=2**32)
    learning_rate: float = Field(default=0.001, gt=0, lt=10)
    validation_size: float = Field(default=0.2, gt=0, lt=1)
    split_seed: int = Field(default=222, ge=0, lt=2**32)
    framing: Framing = Framing()
    precision: Literal["no", "bf16"] = "no"


def arguments(**values: Any) -> Arguments:
    """Make `Arguments`, and report everything that is wrong with them at once.

    Raises
    ------
    UsageError
        If a value is out of range, or a name unknown.
    """
    try:
        return Arguments(**values)
    except ValidationError as error:
        raise UsageError(wrong_values(error)) from error


def wrong_values(error: ValidationError) -> str:
    """Return what pydantic found wrong, in one line."""
    return "; ".join(f"{'.'.join(map(str, one['loc']))}: {_wrong(one)}" for one in error.errors())


def _wrong(one: Mapping[str, Any]) -> str:
    # What checks of our own found is a sentence already.
    return (
        str(one["ctx"]["error"]) if one["type"] == "value_error" else f"{one['msg'].lower()}, received {one['input']!r}"
    )


class Record(BaseModel):
    """What a run's folder says of the run, in ``run.json``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    arguments: Arguments
    question: Question
    data: str
    label: str | None
    data_digest: str
    split_digest: str
    training_count: int
    validation_count: int
    versions: dict[str, str]


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that decide a training's outcome."""
    packages = ("peculiar", "torch", "numpy", "scikit-learn", "pillow", "accelerate", "safetensors")
    found = {"python": platform.python_version(), **{package: metadata.version(package) for package in packages}}
    with suppress(metadata.PackageNotFoundError):
        found["numba"] = metadata.version("numba")  # an extra
    return found


def files(folder: Path) -> list[Path]:
    """Return the files that a run has in its folder."""
    return [folder / name for name in (RECORD, SPLIT, HISTORY, BEST, LAST, SCORES)]


def remove(folder: Path) -> None:
    """Remove the files of a run, and nothing else that may lie in its folder."""
    for file in files(folder):
        file.unlink(missing_ok=True)


def check_folder(folder: Path, *, resume: bool, known: Sequence[str] = (RECORD,)) -> None:
    """See that a folder is free for a run: new or empty, or with `resume` that of a run, with one of the files `known`.

    Raises
    ------
    UsageError
        If it is a file, or holds something else.
    """
    if folder.exists() and not folder.is_dir():
        message = f"{folder} is a file; give the run a folder of its own (--out)"
        raise UsageError(message)
    held = folder.is_dir() and any(not one.name.startswith(".") for one in folder.iterdir())
    if held and not resume:
        message = f"{folder} is not empty; give the run another folder (--out), or go on with it (--resume)"
        raise UsageError(message)
    if held and not any((folder / name).exists() for name in known):
        message = f"{folder} holds something else than a training run; give the run another folder (--out)"
        raise UsageError(message)


def write_text(path: Path, text: str) -> None:
    """Write a text file in one step: a reader sees the old one or the new one."""
    with writing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_split(folder: Path, parts: dict[str, list[str]]) -> None:
    """Write which ids are in which part."""
    with writing(folder / SPLIT) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("id", "part"))
        writer.writerows((id_, part) for part, ids in parts.items() for id_ in ids)


def write_json(path: Path, value: Any) -> None:
    """Write a value as JSON, in one step."""
    write_text(path, json.dumps(value, indent=2) + "\n")


def format_history(history: list[dict[str, Any]]) -> str:
    """Return a history as JSON lines."""
    return "".join(json.dumps(line) + "\n" for line in history)


def parse_history(text: str, path: Path) -> list[dict[str, Any]]:
    """Read a history from JSON lines that were found in `path`."""
    try:
        return [json.loads(line) for line in text.splitlines()]
    except ValueError as error:
        message = f"the history in {path} cannot be read ({error})"
        raise RunError(message) from error


def write_history(folder: Path, history: list[dict[str, Any]]) -> None:
    """Write ``history.jsonl``."""
    write_text(folder / HISTORY, format_history(history))


def read_history(folder: Path) -> list[dict[str, Any]]:
    """Read ``history.jsonl``."""
    try:
        text = (folder / HISTORY).read_text(encoding="utf-8")
    except OSError as error:
        message = f"{folder / HISTORY} cannot be read ({error.strerror})"
        raise RunError(message) from error
    return parse_history(text, folder / HISTORY)


def write_weights(
    path: Path,
    weights: dict[str, Tensor],
    notes: dict[str, str] | None = None,
    optimizer: dict[str, Tensor] | None = None,
) -> None:
    """Write weights, and the state of an optimiser where there is one, as safetensors, in one step."""
    tensors = {**weights, **{_OPTIMIZER + name: tensor for name, tensor in (optimizer or {}).items()}}
    # Cloned, since weights may be views of one vector, of which safetensors would want to write but one.
    plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    with writing(path) as temporary:
        # Not save_file, whose files only their owner can read.
        temporary.write_bytes(save(plain, notes))


def read_record(folder: Path) -> Record:
    """Read ``run.json``.

    Raises
    ------
    NotFoundError
        If there is no such folder.
    RunError
        If the folder is not a training run, or its record is damaged.
    """
    if not folder.is_dir():
        raise NotFoundError(f"there is no folder {folder}; `peculiar train DATA --out {folder}` makes one")
    try:
        text = (folder / RECORD).read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError as error:
        message = f"{folder} is not a training run: it has no {RECORD}"
        raise RunError(message) from error
    try:
        return Record.model_validate_json(text)
    except ValidationError as error:
        if '"recipe"' in text:
            message = (
                f"{folder} was written by `peculiar fit`; `peculiar export {folder} --out MODEL.onnx` makes a model"
            )
            raise RunError(message) from error
        message = f"{folder / RECORD} is damaged, or of another version of peculiar: {error}"
        raise RunError(message) from error


def read_weights(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read tensors and notes from safetensors.

    Raises
    ------
    RunError
        If the file is missing or damaged.
    """
    try:
        with safe_open(path, "pt") as file:
            notes = file.metadata() or {}
        return load_file(path), notes
    except (SafetensorError, OSError) as error:
        message = f"{path} cannot be read ({error})"
        raise RunError(message) from error


def read_split(folder: Path) -> dict[str, str]:
    """Read which part each id was in: "training" or "validation"."""
    try:
        with (folder / SPLIT).open(newline="", encoding="utf-8") as file:
            return {row["id"]: row["part"] for row in csv.DictReader(file)}
    except (OSError, KeyError, csv.Error) as error:
        message = f"{folder / SPLIT} cannot be read ({error!r})"
        raise RunError(message) from error


class TrainedNet:
    """A trained network, ready to classify.

    Parameters
    ----------
    net : torch.nn.Module
    question : Question
    framing : Framing
    """

    def __init__(self, net: nn.Module, question: Question, framing: Framing) -> None:
        self.net = net.eval()
        self.question = question
        self.framing = framing

    def probabilities(self, pictures: Any, *, framed: bool = False) -> NDArray[np.float32]:
        """Classify pictures into probabilities.

        Parameters
        ----------
        pictures : array, PIL.Image.Image, or iterable of these
            As `peculiar.models.model_file.Model.classify` takes them.
        framed : bool
            They are uint8, (n, size, size, 3), cut and sized as `framing` says.

        Returns
        -------
        ndarray of float32, shape (n, classes)

        Raises
        ------
        UsageError
            If something is no picture.
        """
        if not framed:
            parts = [self.probabilities(some, framed=True) for some in framed_batches(pictures, self.framing)]
            return np.concatenate([np.empty((0, len(self.question.answers)), np.float32), *parts])
        device = next(self.net.parameters()).device
        with torch.inference_mode():
            logits = self.net(to_input(torch.from_numpy(pictures), device))
            probabilities: NDArray[np.float32] = torch.softmax(logits, dim=1).cpu().numpy()
        return probabilities


def to_input(pictures: Tensor, device: torch.device) -> Tensor:
    """Turn uint8 (n, height, width, 3) into what networks take: float (n, 3, height, width), 0 to 1.

    The memory stays as it is laid out (channels last), which is also what convolutions are fastest on.
    """
    return pictures.to(device).permute(0, 3, 1, 2).to(torch.float32).mul_(1 / 255)


def best_epoch(history: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the line of the epoch with the lowest validation loss, the first of several."""
    return min(history, key=lambda line: line["val_loss"])


def epoch_of(folder: Path, weights: str) -> int:
    """Return the number of the epoch after which a run had its best or last weights."""
    history = read_history(folder)
    return int((best_epoch(history) if weights == "best" else history[-1])["epoch"])


def load_run(folder: str | os.PathLike[str], *, weights: str = "last") -> TrainedNet:
    """Load the network of a training run.

    Parameters
    ----------
    folder : path-like
        What ``peculiar train`` wrote.
    weights : {"last", "best"}
        Those of the last epoch, which the scores of training are of, or of the epoch with the lowest validation loss.

    Returns
    -------
    TrainedNet

    Raises
    ------
    NotFoundError
        If there is no such folder.
    RunError
        If the folder is not a training run, or damaged.
    UnknownNameError
        If `weights` is neither.
    """
    folder = Path(folder)
    files = {"best": BEST, "last": LAST}
    if weights not in files:
        raise UnknownNameError("set of weights", weights, files)
    record = read_record(folder)
    net = build(record.arguments.net, len(record.question.answers), record.arguments.framing.size)
    tensors, _ = read_weights(folder / files[weights])
    try:
        net.load_state_dict(net_tensors(tensors))
    except RuntimeError as error:
        message = f"{folder}: the weights do not fit the network {record.arguments.net!r} ({error})"
        raise RunError(message) from error
    return TrainedNet(net, record.question, record.arguments.framing)


def net_tensors(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the network's part of the tensors in a safetensors file."""
    return {name: tensor for name, tensor in tensors.items() if not name.startswith(_OPTIMIZER)}


def optimizer_tensors(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the optimiser's part of the tensors in a safetensors file."""
    return {name.removeprefix(_OPTIMIZER): tensor for name, tensor in tensors.items() if name.startswith(_OPTIMIZER)}
