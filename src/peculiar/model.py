"""The model file: one ONNX with weights, and in its metadata all that is needed to use and to judge it.

The graph takes ``pictures``, uint8 (n, size, size, 3), and gives ``embedding``, float (n, d), and logits, float
(n, answers), under the name of each question. It runs on ONNX Runtime; no deep-learning framework is imported.
"""

import os
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from scipy.special import softmax

from peculiar.calibrate import Scaling
from peculiar.errors import ModelError, NotFoundError, UnknownNameError, UsageError
from peculiar.image import Framing
from peculiar.ood import Familiar
from peculiar.schema import Question
from peculiar.sets import Thresholds

FORMAT = 1
"""Version of the model file; a reader refuses later ones."""

METADATA_KEY = "peculiar"

SHIPPED = "galaxy.onnx"


class Card(BaseModel):
    """What a model file says of itself.

    Parameters
    ----------
    format : int
        Version of the model file.
    name : str
    digest : str
        Fingerprint (SHA-256, hexadecimal) of all that decides the answers.
    framing : Framing
        How the network wants its pictures.
    questions : tuple of Question
        What it answers.
    temperatures : dict of str to float
        By question, what its logits are divided by; see `peculiar.calibrate`.
    scalings : dict of str to Scaling
        By question, weights and biases for logits already divided by the temperature, where these are better.
    sets : dict of str to dict of str to tuple of float
        By question and level, the thresholds of prediction sets; see `peculiar.sets`.
    familiar : Familiar or None
        What the embeddings of the training pictures are like; see `peculiar.ood`.
    views : int
        Over how many turned and mirrored views of a picture answers are averaged unless told otherwise; see
        `Model.classify`.
    training : dict
        How it was trained: recipe, counts, digests, versions.
    scores : dict
        On which galaxies, and how good.
    credits : tuple of str
        Whom to thank for the data.
    licence : str
        Of the weights.
    version : str
        Of peculiar that wrote the file.
    """

    model_config = ConfigDict(frozen=True)

    format: int
    name: str
    digest: str
    framing: Framing
    questions: tuple[Question, ...] = Field(min_length=1)
    temperatures: dict[str, float]
    scalings: dict[str, Scaling] = {}
    sets: dict[str, Thresholds] = {}
    familiar: Familiar | None = None
    views: int = Field(default=1, ge=1, le=8)
    training: dict[str, Any] = {}
    scores: dict[str, Any] = {}
    credits: tuple[str, ...] = ()
    licence: str = ""
    version: str = ""


@dataclass(frozen=True, slots=True)
class Answers:
    """What a model says of some pictures.

    Parameters
    ----------
    probabilities : dict of str to ndarray of float32, shape (n, answers)
        By question; rows sum to 1.
    embedding : ndarray of float32, shape (n, d)
        What the network makes of a picture before it answers: alike for pictures that look alike.
    """

    probabilities: dict[str, NDArray[np.float32]]
    embedding: NDArray[np.float32]


class Model:
    """A model file, ready to classify; see `load_model`.

    Parameters
    ----------
    path : path
    card : Card
    session : onnxruntime.InferenceSession
    """

    def __init__(self, path: Path, card: Card, session: onnxruntime.InferenceSession) -> None:
        self.path = path
        self.card = card
        self._session = session

    @property
    def framing(self) -> Framing:
        """How it wants its pictures."""
        return self.card.framing

    @property
    def embedding_size(self) -> int:
        """Number of values of an embedding."""
        return int(self._session.get_outputs()[0].shape[1])

    def with_card(self, card: Card) -> "Model":
        """Return the same network under another card."""
        return Model(self.path, card, self._session)

    def classify(self, pictures: NDArray[np.uint8], *, views: int | None = None) -> Answers:
        """Answer all questions about pictures that are framed as the model wants them.

        Parameters
        ----------
        pictures : ndarray of uint8, shape (n, size, size, 3)
        views : int, optional
            Average the answers over so many views of each picture, 1 to 8: turned by quarters, then mirrored too.
            Takes that many times as long. By default as the model's card says.

        Returns
        -------
        Answers

        Raises
        ------
        UsageError
            If the pictures have another shape or type, or `views` is out of range.
        """
        size = self.card.framing.size
        if pictures.ndim != 4 or pictures.shape[1:] != (size, size, 3) or pictures.dtype != np.uint8:
            message = f"pictures have to be uint8 (n, {size}, {size}, 3), received {pictures.dtype} {pictures.shape}"
            raise UsageError(message)
        views = self.card.views if views is None else views
        self.check_views(views)
        names = ["embedding", *(question.name for question in self.card.questions)]
        turned = [
            np.rot90(pictures if view < 4 else pictures[:, :, ::-1], view % 4, axes=(1, 2)) for view in range(views)
        ]
        runs = [self._session.run(names, {"pictures": np.ascontiguousarray(view)}) for view in turned]
        embedding, *logits = (
            np.mean(outputs, axis=0) if views > 1 else outputs[0] for outputs in zip(*runs, strict=True)
        )
        probabilities = {
            question.name: self._probabilities(question.name, values)
            for question, values in zip(self.card.questions, logits, strict=True)
        }
        return Answers(probabilities, embedding)

    @staticmethod
    def check_views(views: int) -> None:
        """Raise `UsageError` unless a picture has so many views."""
        if not 1 <= views <= 8:
            message = f"views has to be between 1 and 8, received {views}"
            raise UsageError(message)

    def _probabilities(self, question: str, logits: NDArray[np.float32]) -> NDArray[np.float32]:
        cooled = logits / np.float32(self.card.temperatures[question])
        scaling = self.card.scalings.get(question)
        return softmax(cooled, axis=1) if scaling is None else scaling.probabilities(cooled)

    def asking(self, name: str | None = None, *, labels: str | None = None, views: int | None = None) -> "OneQuestion":
        """Return the model as one that answers a single question.

        Parameters
        ----------
        name : str, optional
            Of the question; by default the one that a column of labels answers, or else the first.
        labels : str, optional
            Name of that column.
        views : int, optional
            Average over so many turned and mirrored views; see `classify`.

        Raises
        ------
        UnknownNameError
            If the model does not answer a question of that name.
        """
        questions = {question.name: question for question in self.card.questions}
        if name is None:
            answering = [one.name for one in questions.values() if labels in (one.name, one.column)]
            name = (answering or list(questions))[0]
        if name not in questions:
            raise UnknownNameError("question", name, questions, where=f"in {self.path.name}")
        return OneQuestion(self, questions[name], views)


@dataclass(frozen=True, slots=True)
class OneQuestion:
    """A model that is asked one question."""

    model: Model
    question: Question
    views: int | None = None

    @property
    def framing(self) -> Framing:
        """How the model wants its pictures."""
        return self.model.framing

    def probabilities(self, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Classify pictures, uint8 (n, size, size, 3), into probabilities, float32 (n, classes)."""
        return self.model.classify(pictures, views=self.views).probabilities[self.question.name]


def shipped_model() -> Path:
    """Return the path of the model file that ships with the package."""
    return Path(str(resources.files("peculiar") / "weights" / SHIPPED))


def cores() -> int:
    """Return how many processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def load_model(path: str | os.PathLike[str] | None = None, *, threads: int | None = None) -> Model:
    """Open a model file.

    Parameters
    ----------
    path : path-like, optional
        An ``.onnx`` that ``peculiar export`` wrote; by default the model that ships.
    threads : int, optional
        Of the network's arithmetic; by default one a core.

    Returns
    -------
    Model

    Raises
    ------
    NotFoundError
        If nothing is there.
    ModelError
        If it is no model file, one of another program, damaged, or of a later version of the format.
    """
    path = shipped_model() if path is None else Path(path)
    if not path.exists():
        raise NotFoundError(f"there is no model at {path}; `peculiar export` writes one (.onnx) from a run")
    if path.is_dir():
        message = f"{path} is a folder; a model is one file, which `peculiar export {path} --out MODEL.onnx` writes"
        raise ModelError(message)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    # Told how many, it leaves it to the system on which cores they run; else it would pin them, also to forbidden ones.
    options.intra_op_num_threads = threads or cores()
    # Threads that wait by spinning would take the cores from those that decode pictures.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # whatever ONNX Runtime says of a file that it cannot use
        message = f"{path} is not a model file, or a damaged one; fetch or export it again ({_brief(error)})"
        raise ModelError(message) from error
    text = session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
    if text is None:
        message = f"{path} was not written by `peculiar export`: it lacks the questions that it answers"
        raise ModelError(message)
    card = _read_card(text, path)
    outputs = {output.name for output in session.get_outputs()}
    missing = {"embedding", *(question.name for question in card.questions)} - outputs
    if missing or [one.name for one in session.get_inputs()] != ["pictures"]:
        message = f"{path} is damaged: its network does not give {', '.join(sorted(missing))} from pictures"
        raise ModelError(message)
    return Model(path, card, session)


def _read_card(text: str, path: Path) -> Card:
    try:
        card = Card.model_validate_json(text)
    except ValidationError as error:
        later = _later(text)
        message = _newer(path, later) if later else f"{path} is damaged: its metadata cannot be read ({_brief(error)})"
        raise ModelError(message) from error
    if card.format > FORMAT:
        raise ModelError(_newer(path, card.format))
    lacking = [question.name for question in card.questions if not card.temperatures.get(question.name, 0) > 0]
    if lacking:
        message = f"{path} is damaged: no temperature above 0 for {', '.join(lacking)}"
        raise ModelError(message)
    return card


def _later(text: str) -> int | None:
    """Return the format that damaged or unknown metadata claim, if it is later than ours."""

    class Claim(BaseModel):
        format: int

    try:
        claimed = Claim.model_validate_json(text).format
    except ValidationError:
        return None
    return claimed if claimed > FORMAT else None


def _newer(path: Path, format: int) -> str:
    return (
        f"{path} has format {format}, and this version of peculiar reads up to {FORMAT}; "
        "`pip install --upgrade peculiar` brings a later one"
    )


def _brief(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
