"""The model file: an ONNX graph with its weights and a card, opened, verified and run.

The graph takes ``pictures``, uint8 (n, size, size, 3), and returns ``embedding``, float (n, d), and then logits, float
(n, answers), one output per question in the order of the card. It runs on ONNX Runtime; no deep-learning framework is
imported. The digest is verified when a file is opened. The outputs of each batch are checked: answers that are not
numbers become NaN.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from scipy.special import softmax

from peculiar.errors import ModelError, NotFoundError, UnknownNameError, UsageError
from peculiar.files.places import fetched, place
from peculiar.files.run_files import MODEL, model_file_of
from peculiar.files.writing import writing
from peculiar.images.framing import Framing
from peculiar.models.card import Card, check_digest, read_card, seal
from peculiar.models.container import split_card
from peculiar.models.devices import CPU, PROVIDERS, Device, choose, lacks_memory, settled
from peculiar.notebook import card as printed
from peculiar.notebook import escaped
from peculiar.questions.question import Question, answering
from peculiar.sources.given import framed_batches
from peculiar.tables.formats import table_format
from peculiar.tables.writers import FORMATS
from peculiar.text import counted, shown

SHIPPED = "galaxy.onnx"

# Most questions of a model, and most characters of a line, in its description.
_MOST_QUESTIONS, _MOST_TOLD = 5, 160

# The largest size of a protocol buffer.
_LARGEST = 2**31


@dataclass(frozen=True, slots=True)
class Answers:
    """Answers of a model for pictures.

    Parameters
    ----------
    probabilities : dict of str to ndarray of float32, shape (n, answers)
        By question; rows sum to 1. NaN if the network returned values that are not numbers.
    embedding : ndarray of float32, shape (n, d)
        The vector that the network computes for a picture: similar for similar pictures. The card describes it.
    concentrations : dict of str to ndarray of float32, shape (n, answers)
        Those of a Dirichlet distribution of vote fractions, whose expectation is the probabilities; only for questions
        that were trained with its likelihood.
    """

    probabilities: dict[str, NDArray[np.float32]]
    embedding: NDArray[np.float32] = field(repr=False)
    concentrations: dict[str, NDArray[np.float32]] = field(default_factory=dict)


class Model:
    """A model file, ready to classify; see `load_model`.

    Parameters
    ----------
    path : path
    card : Card
    session : onnxruntime.InferenceSession
    device : Device, optional
        The device that the session runs on; default: the processor.

    Examples
    --------
    >>> import numpy as np
    >>> import peculiar
    >>> model = peculiar.load_model()
    >>> answers = model.classify(np.zeros((2, 128, 128, 3), np.uint8))
    >>> answers.probabilities["four_class"].shape
    (2, 4)
    """

    def __init__(
        self, path: Path, card: Card, session: onnxruntime.InferenceSession, device: Device | None = None
    ) -> None:
        self.path = path
        self.card = card
        self.device = device or Device(CPU, "as asked for")
        self._session = session
        self._most: int | None = None

    def _lines(self) -> list[str]:
        card, main = self.card, self.card.main_question.name
        crops = {"None": "the whole picture", "galaxy": "the galaxy in the middle"}
        crop = crops.get(str(card.framing.crop), f"the middle {card.framing.crop}")
        told = f"{card.framing.size} x {card.framing.size} pixels of {crop}"
        lines = [
            f"{'answers' if one.name != main else 'catalogues are about'} {one.name}: {', '.join(one.answers)}"
            for one in sorted(card.questions, key=lambda one: one.name != main)
        ]
        more = len(lines) - _MOST_QUESTIONS
        lines = lines[:_MOST_QUESTIONS] + ([f"and {counted(more, 'more question')}"] if more > 0 else [])
        lines.append(f"looks at {told}, {counted(card.views, 'view')}; embeddings of {self.embedding_size} values")
        can = {
            "calibrated": bool(card.scalings) or any(one != 1 for one in card.temperatures.values()),
            "prediction sets": bool(card.sets),
            "novelty": card.familiar is not None,
        }
        lines.append(", ".join(name for name, there in can.items() if there) or "not calibrated")
        lines += [f"weights: {card.licence}"] if card.licence else []
        return [shown(line if len(line) <= _MOST_TOLD else f"{line[: _MOST_TOLD - 1]}…") for line in lines]

    def __repr__(self) -> str:
        """Return a description of the model in a few lines."""
        title = f"Model {shown(self.card.name)} {self.card.digest[:12]}"
        return "\n".join([title, *(f"  {line}" for line in self._lines())])

    def _repr_html_(self) -> str:
        """Return the model for a notebook."""
        title = f"Model {self.card.name} {self.card.digest[:12]}"
        credits = [escaped(f"credits: {'; '.join(self.card.credits)}")] if self.card.credits else []
        return printed(title, [*map(escaped, self._lines()), *credits])

    @property
    def framing(self) -> Framing:
        """Framing of its pictures."""
        return self.card.framing

    @property
    def embedding_size(self) -> int:
        """Length of an embedding."""
        return int(self._session.get_outputs()[0].shape[1])

    def with_card(self, card: Card) -> "Model":
        """Return the same network with another card."""
        return Model(self.path, card, self._session, self.device)

    def classify(self, pictures: Any, *, views: int | None = None, framed: bool = False) -> Answers:
        """Answer all questions about pictures.

        Pictures are framed as in `peculiar.predict`.

        Parameters
        ----------
        pictures : array, PIL.Image.Image, or iterable of these
            A uint8 array (n, height, width, 3) or (height, width, 3), or one of floats from 0 to 1; or a list of arrays
            or Pillow images, whose sizes may differ.
        views : int, optional
            Number of views of each picture to average over, 1 to 8: turned by quarters, then also mirrored. Takes that
            many times as long. Default: the number in the card.
        framed : bool
            The pictures are already framed, as those of ``source.galaxies(model.framing)``: a uint8 array (n, size,
            size, 3).

        Returns
        -------
        Answers

        Raises
        ------
        UsageError
            If something is not a picture, framed pictures have another shape or type, or `views` is out of range.
        ModelError
            If the outputs of the network do not match its card.
        """
        views = self.card.views if views is None else views
        self.check_views(views)
        if framed:
            return self._classify(pictures, views)
        parts = [self._classify(some, views) for some in framed_batches(pictures, self.framing)]
        empty = {one.name: np.empty((0, len(one.answers)), np.float32) for one in self.card.questions}
        return Answers(
            {
                name: np.concatenate([none, *(part.probabilities[name] for part in parts)])
                for name, none in empty.items()
            },
            np.concatenate([np.empty((0, self.embedding_size), np.float32), *(part.embedding for part in parts)]),
            {
                name: np.concatenate([empty[name], *(part.concentrations[name] for part in parts)])
                for name in self.card.spreads
            },
        )

    def _classify(self, pictures: NDArray[np.uint8], views: int) -> Answers:
        size = self.card.framing.size
        if pictures.ndim != 4 or pictures.shape[1:] != (size, size, 3) or pictures.dtype != np.uint8:
            message = (
                f"framed pictures have to be uint8 (n, {size}, {size}, 3), received {pictures.dtype} {pictures.shape}"
            )
            raise UsageError(message)
        turned = [
            np.rot90(pictures if view < 4 else pictures[:, :, ::-1], view % 4, axes=(1, 2)) for view in range(views)
        ]
        runs = [self._run(np.ascontiguousarray(view)) for view in turned]
        with np.errstate(invalid="ignore", over="ignore"):  # values that are not numbers are marked below
            embedding, *logits = (
                np.mean(outputs, axis=0) if views > 1 else outputs[0] for outputs in zip(*runs, strict=True)
            )
        self._check_shapes(len(pictures), embedding, logits)
        probabilities = {
            question.name: self._probabilities(question.name, values)
            for question, values in zip(self.card.questions, logits, strict=True)
        }
        concentrations = {
            question.name: self._concentrations(question.name, values)
            for question, values in zip(self.card.questions, logits, strict=True)
            if question.name in self.card.spreads
        }
        outputs = [embedding, *probabilities.values(), *concentrations.values()]
        broken = ~np.isfinite(np.concatenate([*outputs, *logits], axis=1)).all(axis=1)
        if broken.any():
            for values in outputs:
                values[broken] = np.nan
        return Answers(probabilities, embedding, concentrations)

    def _run(self, pictures: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        """Return the outputs of the network, in smaller batches from the first on that exceeds the device's memory."""
        parts: list[list[NDArray[np.float32]]] = []
        done = 0
        while done < len(pictures) or not parts:
            some = pictures[done : done + (self._most or len(pictures))]
            try:
                parts.append(self._session.run(None, {"pictures": some}))
            except Exception as error:  # ONNX Runtime has one class for all failures
                if len(some) < 2 or not lacks_memory(error):
                    raise
                self._most = len(some) // 2
            else:
                done += len(some)
        return parts[0] if len(parts) == 1 else [np.concatenate(outputs) for outputs in zip(*parts, strict=True)]

    def _check_shapes(self, count: int, embedding: NDArray[np.float32], logits: list[NDArray[np.float32]]) -> None:
        """Raise `ModelError` unless the outputs have the shapes stated in the card."""
        found = [values.shape for values in (embedding, *logits)]
        wanted = [(count, self.embedding_size), *((count, len(one.answers)) for one in self.card.questions)]
        if found != wanted:
            message = f"{self.path} is damaged: its network gives {found} for {count} pictures, instead of {wanted}"
            raise ModelError(message)

    @staticmethod
    def check_views(views: int) -> None:
        """Raise `UsageError` unless the number of views is valid."""
        if not 1 <= views <= 8:
            message = f"views has to be between 1 and 8, received {views}"
            raise UsageError(message)

    def _probabilities(self, question: str, logits: NDArray[np.float32]) -> NDArray[np.float32]:
        with np.errstate(invalid="ignore", over="ignore"):  # as above
            cooled = logits / np.float32(self.card.temperatures[question])
            scaling = self.card.scalings.get(question)
            return softmax(cooled, axis=1) if scaling is None else scaling.probabilities(cooled)

    def _concentrations(self, question: str, logits: NDArray[np.float32]) -> NDArray[np.float32]:
        with np.errstate(invalid="ignore", over="ignore"):  # as above
            cooled = logits / np.float32(self.card.temperatures[question])
            return np.asarray(np.exp(cooled) * np.float32(self.card.spreads[question]))

    def asking(
        self,
        name: str | None = None,
        *,
        labels: str | None = None,
        entries: Iterable[str | None] = (),
        views: int | None = None,
    ) -> "OneQuestion":
        """Return the model for a single question.

        Parameters
        ----------
        name : str, optional
            Of the question; default: the one that a column of labels answers, or the main question.
        labels : str, optional
            Name of that column.
        entries : iterable of (str or None)
            Values of the column: if no question has the name of the column, one with these answers is taken.
        views : int, optional
            Number of views to average over; see `classify`.

        Raises
        ------
        UnknownNameError
            If the model has no question of that name.
        """
        questions = {question.name: question for question in self.card.questions}
        if name is None:
            main = self.card.main_question
            taught = main if self.card.about else None
            name = (answering(self.card.questions, labels, entries, taught=taught) or main).name
        if name not in questions:
            raise UnknownNameError("question", name, questions, where=f"in {self.path.name}")
        return OneQuestion(self, questions[name], views)


@dataclass(frozen=True, slots=True)
class OneQuestion:
    """A model for a single question."""

    model: Model
    question: Question
    views: int | None = None

    @property
    def framing(self) -> Framing:
        """Framing of its pictures."""
        return self.model.framing

    def probabilities(self, pictures: Any, *, framed: bool = False) -> NDArray[np.float32]:
        """Classify pictures into probabilities, float32 (n, answers); see `Model.classify`."""
        return self.model.classify(pictures, views=self.views, framed=framed).probabilities[self.question.name]


def shipped_model() -> Path:
    """Return the path of the model that ships with the package."""
    return Path(str(resources.files("peculiar.models") / "weights" / SHIPPED))


def cores() -> int:
    """Return the number of processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def load_model(
    path: str | os.PathLike[str] | None = None, *, threads: int | None = None, device: str | None = None
) -> Model:
    """Open a model file.

    Parameters
    ----------
    path : path-like, optional
        An ``.onnx`` file, or the folder of a run that holds one; default: the model that ships.
    threads : int, optional
        Number of threads of the network; default: one per core.
    device : str, optional
        "cpu", "cuda" or another device of ONNX Runtime; default: "auto", a GPU for which a provider is installed,
        otherwise the processor.

    Returns
    -------
    Model

    Raises
    ------
    UnknownNameError, UsageError
        If the device is unknown, or is not there.
    NotFoundError
        If nothing is there.
    ModelError
        If it is not a model file of peculiar, is damaged, or has a later version of the format.

    Examples
    --------
    >>> import peculiar
    >>> model = peculiar.load_model()
    >>> model.card.main_question.answers
    ('Normal', 'Ringed', 'Merger', 'Other')
    """
    chosen = choose(device)
    path = shipped_model() if path is None else model_file_of(place(path))
    graph, text, content = _read(path)
    card = read_card(text, path)
    check_digest(graph, text, card, path)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    # With a stated number of threads, the system chooses their cores; otherwise they would be pinned, even to forbidden
    # cores.
    options.intra_op_num_threads = threads or cores()
    # Spinning threads would take cores from those that decode pictures.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        providers = list(dict.fromkeys([chosen.provider, PROVIDERS[CPU]]))
        session = onnxruntime.InferenceSession(content, options, providers=providers)
    except Exception as error:  # any error of ONNX Runtime for a file that it cannot use
        message = f"{path} is not a model file, or is damaged; download or export it again ({_brief(error)})"
        raise ModelError(message) from error
    outputs = [output.name for output in session.get_outputs()]
    if (
        [one.name for one in session.get_inputs()] != ["pictures"]
        or outputs[0] != "embedding"
        or len(outputs) != 1 + len(card.questions)
        or not isinstance(session.get_outputs()[0].shape[-1], int)
    ):
        message = (
            f"{path} is damaged: its network has to give an embedding and {len(card.questions)} answers from pictures, "
            f"and gives {', '.join(outputs)}"
        )
        raise ModelError(message)
    model = Model(path, card, session, settled(chosen, session, asked=device))
    _probe(model)
    return model


def write_model(graph: bytes, card: Card, out: str | os.PathLike[str]) -> Model:
    """Write a model file atomically, and open it.

    Parameters
    ----------
    graph : bytes
        The ONNX graph, without a card.
    card : Card
        Its digest is computed here.
    out : path-like

    Raises
    ------
    ModelError
        If the result could not be opened; then nothing is written.
    """
    out = place(out)
    with writing(out) as temporary:
        temporary.write_bytes(seal(graph, card))
        try:
            model = load_model(temporary)
        except ModelError as error:  # names the temporary file
            raise ModelError(str(error).replace(str(temporary), str(out))) from error
    return Model(out, model.card, model._session, model.device)


def _read(path: Path) -> tuple[bytes, str, bytes]:
    """Return the graph, the card, and the complete content of a model file."""
    if not path.exists():
        raise NotFoundError(f"there is no model at {path}; `peculiar export` writes one (.onnx) from a run")
    if path.is_dir():
        message = f"{path} is a folder without {MODEL}; `peculiar export {path} --out MODEL.onnx` writes that of a run"
        raise ModelError(message)
    if not path.is_file() or path.stat().st_size > _LARGEST:
        message = f"{path} is not a model file, but something else, or too large for one"
        raise ModelError(message)
    try:
        content = fetched(path).read_bytes()
        graph, text = split_card(content)
    except (OSError, ModelError) as error:
        reason = f"{path} is not a model file, or is damaged; download or export it again ({_brief(error)})"
        raise ModelError(_other_kind(path) or reason) from error
    if text is None:
        reason = f"{path} was not written by `peculiar export`: it lacks the questions that it answers"
        raise ModelError(_other_kind(path) or reason)
    return graph, text, content


def _other_kind(path: Path) -> str:
    """Return a message if a file that cannot be read as a model file is of another known kind; otherwise nothing."""
    if not path.is_file():
        return ""
    suffix, found = path.suffix.lower(), table_format(path)
    if path.stat().st_size == 0:
        kind = "an empty file"
    elif found == "csv" and suffix not in FORMATS:
        kind = "text"
    elif found is not None:
        kind = "a table, such as a catalogue"
    elif suffix in FORMATS:
        kind = f"a damaged table, going by its suffix {suffix}"
    else:
        return ""
    return f"{path} is not a model file, but {kind}; give an .onnx file that `peculiar export` wrote"


def _probe(model: Model) -> None:
    """Raise `ModelError` unless the answers for one picture match the card."""
    size, card = model.framing.size, model.card
    picture = np.linspace(0, 255, size * size * 3).astype(np.uint8).reshape(1, size, size, 3)
    if card.familiar is not None and not card.familiar.fits(model.embedding_size):
        message = f"{model.path} is damaged: its novelty data do not fit its embedding"
        raise ModelError(message)
    try:
        answers = model.classify(picture, views=1, framed=True)
    except ModelError:
        raise
    except Exception as error:  # any error of ONNX Runtime for a network that does not run
        message = f"{model.path} is damaged: its network does not run ({_brief(error)})"
        raise ModelError(message) from error
    wrong = [name for name, values in answers.probabilities.items() if not abs(values.sum() - 1) < 1e-3]
    if wrong:
        message = f"{model.path} is damaged: its answers to {', '.join(wrong)} are not probabilities that sum to 1"
        raise ModelError(message)


def _brief(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
