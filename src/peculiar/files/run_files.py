"""The files of a training run, whole at any moment.

::

    run.json           settings, versions, digests of data and split
    split.csv          which galaxy was in which part
    history.jsonl      a line an epoch
    best.safetensors   weights of the epoch with the lowest validation loss
    last.safetensors   weights and optimiser after the last epoch, to resume from
    scores.json        scores on the validation part
"""

import csv
import json
import platform
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import BaseModel, ValidationError

from peculiar.errors import RunError, UsageError
from peculiar.files.formulas import with_marks, without_marks
from peculiar.files.writing import writing

RECORD, SPLIT, HISTORY, BEST, LAST, SCORES = (
    "run.json",
    "split.csv",
    "history.jsonl",
    "best.safetensors",
    "last.safetensors",
    "scores.json",
)

MODEL = "model.onnx"
"""The model file that a run on classes of one's own leaves in its folder."""

_VERSIONS = ("peculiar", "numpy", "scikit-learn", "pillow", "safetensors")


def versions(*packages: str) -> dict[str, str]:
    """Return the versions of Python and of the packages that decide a training's outcome, as far as installed."""
    found = {"python": platform.python_version()}
    for package in (*_VERSIONS, *packages):
        with suppress(metadata.PackageNotFoundError):
            found[package] = metadata.version(package)
    return found


def model_file_of(path: Path) -> Path:
    """Return the model file in the folder of a run; the path itself if it is no folder, or has no model file."""
    inside = path / MODEL
    return inside if inside.is_file() else path


def check_folder(folder: Path, *, resume: bool, known: Sequence[str] = (RECORD,)) -> None:
    """Check that a folder is free for a run: new, empty, or with `resume` that of a run (one of the files `known`).

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


def check_same(folder: Path, before: Mapping[str, Any], now: Mapping[str, Any], others: Sequence[str] = ()) -> None:
    """Raise `RunError` if the run in a folder differs from the one to be resumed.

    Parameters
    ----------
    folder : path
    before, now : mapping of str to object
        Settings and digests of the two runs, by the same names.
    others : sequence of str
        Further differences, in words.
    """
    differing = [f"{name} was {before[name]}, is {value}" for name, value in now.items() if before[name] != value]
    if differing := [*differing, *others]:
        message = f"{folder} cannot be resumed with other settings: {'; '.join(differing)}"
        raise RunError(message)


def write_text(path: Path, text: str) -> None:
    """Write a text file in one step: a reader sees the old one or the new one."""
    with writing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_record(folder: Path, record: BaseModel) -> None:
    """Write ``run.json``, by which a folder is known as that of a run."""
    write_text(folder / RECORD, record.model_dump_json(indent=2) + "\n")


def write_beginning(
    folder: Path, record: BaseModel, ids: Sequence[str], parts: Mapping[str, NDArray[np.integer]]
) -> None:
    """Write the record of a run, and then its split: the ids of the rows of each part."""
    folder.mkdir(parents=True, exist_ok=True)
    write_record(folder, record)
    write_split(folder, {part: list(dict.fromkeys(ids[row] for row in rows)) for part, rows in parts.items()})


def write_split(folder: Path, parts: dict[str, list[str]]) -> None:
    """Write which ids are in which part."""
    with writing(folder / SPLIT) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("id", "part"))
        for part, ids in parts.items():
            writer.writerows((id_, part) for id_ in with_marks(pa.array(ids, pa.string())).to_pylist())


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


def read_split(folder: Path) -> dict[str, str]:
    """Read which part each id was in: "training" or "validation"."""
    try:
        with (folder / SPLIT).open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        ids = without_marks(pa.array([row["id"] for row in rows], pa.string())).to_pylist()
        return {id_: row["part"] for id_, row in zip(ids, rows, strict=True)}
    except (OSError, KeyError, csv.Error) as error:
        message = f"{folder / SPLIT} cannot be read ({error!r})"
        raise RunError(message) from error


def best_epoch(history: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the line of the epoch with the lowest validation loss, the first of several."""
    return min(history, key=lambda line: line["val_loss"])


@dataclass(frozen=True, slots=True)
class Origin:
    """The run that a trained network comes from.

    Parameters
    ----------
    folder : path
    weights : {"last", "best"}
        Which of its weights they are.
    split_digest : str
        Of the split that it was trained on.
    """

    folder: Path
    weights: str
    split_digest: str

    @property
    def epoch(self) -> int:
        """Number of the epoch after which these were the weights."""
        history = read_history(self.folder)
        return int((best_epoch(history) if self.weights == "best" else history[-1])["epoch"])

    @property
    def trained_on(self) -> set[str]:
        """Ids of the galaxies that it was trained on."""
        return {id_ for id_, part in read_split(self.folder).items() if part == "training"}


def wrong_values(error: ValidationError) -> str:
    """Return the errors of pydantic in one line."""
    return "; ".join(f"{'.'.join(map(str, one['loc']))}: {_wrong(one)}" for one in error.errors())


def _wrong(one: Mapping[str, Any]) -> str:
    # Messages of our own validators are sentences already.
    return (
        str(one["ctx"]["error"]) if one["type"] == "value_error" else f"{one['msg'].lower()}, received {one['input']!r}"
    )
