"""The folder of a run of the exercise: its settings, and the trained network."""

import os
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from peculiar.errors import DataError, NotFoundError, RunError, UnknownNameError, UsageError
from peculiar.exercise.layers import Floats, softmax
from peculiar.exercise.network import Network
from peculiar.exercise.weights import read_weights
from peculiar.files.places import on_this_machine
from peculiar.files.run_files import BEST, HISTORY, LAST, RECORD, SCORES, SPLIT, Origin, wrong_values
from peculiar.images.framing import Framing
from peculiar.questions.question import Question
from peculiar.sources.given import framed_batches


class Arguments(BaseModel):
    """Settings of a training run.

    Parameters
    ----------
    epochs, batch_size : int
    seed : int
        Seed of the first weights and of the order of the galaxies.
    learning_rate : float
    validation_size : float
        Share of the galaxies that is held back.
    split_seed : int
        Seed of the choice of galaxies that are held back. Separate from `seed`, so that runs can be compared on the
        same galaxies.
    framing : Framing
        Crop and size of the pictures.

    Examples
    --------
    >>> from peculiar import Arguments
    >>> Arguments(epochs=12).batch_size
    5
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    epochs: int = Field(default=8, ge=1)
    batch_size: int = Field(default=5, ge=1)
    seed: int = Field(default=222, ge=0, lt=2**32)
    learning_rate: float = Field(default=0.001, gt=0, lt=10)
    validation_size: float = Field(default=0.2, gt=0, lt=1)
    split_seed: int = Field(default=222, ge=0, lt=2**32)
    framing: Framing = Framing()


def arguments(**values: Any) -> Arguments:
    """Make `Arguments`, or report all invalid values at once.

    Raises
    ------
    UsageError
        If a value is out of range, or a name unknown.
    """
    try:
        return Arguments(**values)
    except ValidationError as error:
        raise UsageError(wrong_values(error)) from error


class Record(BaseModel):
    """Record of a run in its folder, ``run.json``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    net: Literal["exercise"] = "exercise"
    arguments: Arguments
    question: Question
    data: str
    label: str | None
    data_digest: str
    split_digest: str
    training_count: int
    validation_count: int
    versions: dict[str, str]


def files(folder: Path) -> list[Path]:
    """Return the files that a run has in its folder."""
    return [folder / name for name in (RECORD, SPLIT, HISTORY, BEST, LAST, SCORES)]


def remove(folder: Path) -> None:
    """Remove the files of a run, and nothing else that may lie in its folder."""
    for file in files(folder):
        file.unlink(missing_ok=True)


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
                f"{folder} holds a run of the galaxy network; `peculiar export {folder} --out MODEL.onnx` makes a "
                "model file of it"
            )
            raise RunError(message) from error
        message = f"{folder / RECORD} is damaged, or of another version of peculiar: {error}"
        raise RunError(message) from error


class TrainedNet:
    """A trained network, ready to classify.

    Parameters
    ----------
    net : Network
    question : Question
        The question whose answers are the network's classes.
    framing : Framing
        Framing of its pictures.
    origin : Origin, optional
        The run that it comes from.
    """

    def __init__(self, net: Network, question: Question, framing: Framing, origin: Origin | None = None) -> None:
        self.net = net
        self.question = question
        self.framing = framing
        self.origin = origin

    def probabilities(self, pictures: Any, *, framed: bool = False) -> Floats:
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
        return softmax(self.net.logits(pictures))


def load_run(folder: str | os.PathLike[str], *, weights: str = "last") -> TrainedNet:
    """Load the network of a training run.

    Parameters
    ----------
    folder : path-like
        Folder that ``peculiar train`` wrote.
    weights : {"last", "best"}
        Weights of the last epoch, to which the scores of the run belong, or of that with the lowest validation loss.

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

    Examples
    --------
    >>> import numpy as np
    >>> import peculiar
    >>> network = peculiar.load_run("runs/first")
    >>> network.probabilities(np.zeros((2, 128, 128, 3), np.uint8)).shape
    (2, 4)
    """
    folder = on_this_machine(folder, "the folder of a run")
    named = {"best": BEST, "last": LAST}
    if weights not in named:
        raise UnknownNameError("set of weights", weights, named)
    record = read_record(folder)
    net = Network(len(record.question.answers), record.arguments.framing.size)
    arrays, _, _ = read_weights(folder / named[weights])
    try:
        net.load(arrays)
    except DataError as error:
        message = f"{folder}: the weights do not fit the network of {RECORD} ({error})"
        raise RunError(message) from error
    origin = Origin(folder, weights, record.split_digest)
    return TrainedNet(net, record.question, record.arguments.framing, origin)
