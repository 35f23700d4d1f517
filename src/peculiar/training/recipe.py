"""Settings of a training run, and how its folder records them."""

import json
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from peculiar.errors import ModelError, RunError, UsageError
from peculiar.files import run_files
from peculiar.images.framing import Framing, parse_crop
from peculiar.models.model_file import Model
from peculiar.questions.question import CLEAN5, FOUR_CLASS, ODD, Question
from peculiar.simulation.attributes import ATTRIBUTES
from peculiar.training.dimensions import BODY, LITE_WIDTH, MARGIN, TIMM, WIDENING

QUESTIONS: tuple[Question, ...] = (FOUR_CLASS, CLEAN5, ODD)
"""Questions of the model that ships."""

ATTRIBUTE_QUESTIONS: tuple[Question, ...] = tuple(
    Question(name, (f"no_{name}", name), column=f"{name}_answer") for name in ATTRIBUTES
)
"""Questions of the attributes of simulated galaxies, one each, because several may be right at once."""

AVERAGED = "averaged.safetensors"
"""File of the averaged weights, which are the ones to use."""

NOTES = "notes.json"
"""File of temperatures and scores on the validation part."""

LESSONS = "lessons.safetensors"
"""File of the probabilities of teachers, so that a resumed run need not ask them again."""

PAGE = "report.html"
"""Page about a model of classes of one's own."""

# For fine-tuning: large steps would destroy what the network has learned.
_GOING_ON = {"epochs": 30, "learning_rate": 0.0003}

# The same for encoders of timm that begin with trained weights.
_TRAINED = {"learning_rate": 0.0003, "layer_decay": 0.75}


class Recipe(BaseModel):
    """Settings of a training run.

    Parameters
    ----------
    body : str
        "lite" (EfficientNet-lite0, as in the model that ships), "residual" (the network that was one of its teachers),
        or ``timm:NAME``, an encoder of timm.
    body_arguments : dict
        Arguments of an encoder of timm, where its published configuration has some.
    width : int
        Number of filters of the first layers; not of encoders of timm.
    size : int
        Side of the input pictures, in pixels.
    crop : str
        Square of the pictures that the network sees: "galaxy", "whole", or a number of pixels in the middle.
    epochs : int
        Number of epochs; in each, a galaxy is shown once, or up to three times if its answers are rare.
    batch_size : int
    accumulate : int
        Number of pieces of a batch that are computed one after another: less memory, the same steps. Normalisation by
        batches, and the terms of `consistency`, see the pieces.
    learning_rate : float
        Peak learning rate: it rises over the first tenth of all steps, then falls to zero along a cosine.
    weight_decay : float
        Weight decay of AdamW (Loshchilov & Hutter 2019).
    layer_decay : float
        Learning rate of each block of the body, relative to the next one.
    freeze : int or "all", optional
        Number of blocks of the body, from the first on, that do not learn; by default 4 of the body lite where it
        begins with trained weights, otherwise none.
    checkpointing : bool
        Compute maps again for the gradients instead of storing them: less memory, about a third more time.
    pretrained : bool
        Start from trained weights rather than random ones: those of ImageNet for the default body and width, published
        ones or those of a file for encoders of timm.
    smoothing : float
        Share of each label that is spread over all answers.
    averaging : float
        Decay of the exponential moving average of the weights.
    teaching : float
        Weight of the teachers in the loss, if there are any; the rest is the weight of the labels.
    attributes : float
        Weight of each attribute that simulated galaxies teach, relative to a question about real ones.
    context : {1, 2}
        Width of a second extent that the network sees, relative to the square around the galaxy; 1 for none.
    embedding : int, optional
        Numbers of the embedding, which is whitened after training; by default the features of the body, as they are.
    consistency : float
        Weight of the loss that draws two looks of one galaxy together (VICReg, divided by its weight of invariance); 0
        for none. Then half of each batch are second looks: another picture of the galaxy, if there is one.
    hints : float
        Weight of the loss that keeps the features of ImageNet in the embedding; 0 for none. Needs the extra
        `pretrained`.
    patience : int, optional
        Number of epochs without a fall of the log loss on the validation part after which training ends; the weights of
        the best epoch are taken. By default those of the last one are.
    votes : {"shares", "dirichlet"}
        Loss of questions with votes: the cross-entropy of their fractions, or for fractions and spread the
        Dirichlet-multinomial likelihood; see `peculiar.training.losses.dirichlet_multinomial`.
    precision : {"no", "bf16"}
        Mixed precision. In bfloat16, processors with a matrix unit train the residual body three times as fast; the
        other body gains nothing.
    seed : int
    validation_size, test_size : float
        Shares of the galaxies in the validation and test parts, chosen by a hash of the ids.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    body: str = "lite"
    body_arguments: dict[str, Any] = {}
    width: int = Field(default=LITE_WIDTH, ge=8, le=256)
    size: int = Field(default=128, ge=32, le=1024, multiple_of=2)
    crop: str = "galaxy"
    epochs: int = Field(default=12, ge=1)
    batch_size: int = Field(default=64, ge=2)
    accumulate: int = Field(default=1, ge=1)
    learning_rate: float = Field(default=0.0005, gt=0, lt=1)
    weight_decay: float = Field(default=0.05, ge=0)
    layer_decay: float = Field(default=1.0, gt=0, le=1)
    freeze: int | Literal["all"] | None = None
    checkpointing: bool = False
    pretrained: bool = Field(default=True, validate_default=True)
    smoothing: float = Field(default=0.0, ge=0, lt=1)
    averaging: float = Field(default=0.998, ge=0, lt=1)
    teaching: float = Field(default=0.5, ge=0, le=1)
    attributes: float = Field(default=0.2, ge=0)
    context: int = Field(default=1, ge=1, le=2)
    embedding: int | None = Field(default=None, ge=2, le=512)
    consistency: float = Field(default=0.0, ge=0)
    hints: float = Field(default=0.0, ge=0)
    patience: int | None = Field(default=None, ge=1)
    votes: Literal["shares", "dirichlet"] = "shares"
    precision: Literal["no", "bf16"] = "no"
    seed: int = Field(default=222, ge=0, lt=2**32)
    validation_size: float = Field(default=0.1, gt=0, lt=0.5)
    test_size: float = Field(default=0.15, ge=0, lt=0.5)

    @field_validator("body")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in WIDENING and not value.startswith(TIMM):
            message = f"input should be {' or '.join(map(repr, WIDENING))}, received {value!r}"
            raise ValueError(message)
        return value

    @field_validator("crop")
    @classmethod
    def _can_be_parsed(cls, value: str) -> str:
        try:
            Framing(crop=parse_crop(value))
        except UsageError as error:
            raise ValueError(str(error)) from error
        return value

    @field_validator("freeze", mode="before")
    @classmethod
    def _number_or_all(cls, value: object) -> object:
        told = int(value) if isinstance(value, str) and value.isdecimal() else value
        if told not in (None, "all") and not (isinstance(told, int) and told >= 0):
            message = f"a number of blocks from 0 on, or 'all', received {value!r}"
            raise ValueError(message)
        return told

    @field_validator("pretrained")
    @classmethod
    def _of_one_body(cls, value: bool, info: ValidationInfo) -> bool:
        # An invalid body or width is reported elsewhere.
        wanted = info.data.get("body", "lite"), info.data.get("width", LITE_WIDTH)
        if value and wanted != ("lite", LITE_WIDTH) and not str(wanted[0]).startswith(TIMM):
            message = (
                f"ImageNet weights exist for the body lite of width {LITE_WIDTH}, not for {wanted[0]} of "
                f"width {wanted[1]}; start from random weights (--from scratch, pretrained=False)"
            )
            raise ValueError(message)
        return value

    @field_validator("consistency", "hints")
    @classmethod
    def _of_an_embedding(cls, value: float, info: ValidationInfo) -> float:
        if value and info.data.get("embedding") is None:
            message = f"{info.field_name} needs an embedding of its own; give its size (--embedding 384)"
            raise ValueError(message)
        return value

    @property
    def of_timm(self) -> bool:
        """Whether the body is an encoder of timm."""
        return self.body.startswith(TIMM)

    @property
    def framing(self) -> Framing:
        """Framing of the network's input: the galaxy in the middle."""
        return Framing(self.size * self.context, crop=parse_crop(self.crop), margin=float(self.context))

    @property
    def own_framing(self) -> Framing:
        """Framing of the square around the galaxy alone, which is that of networks with one extent."""
        return Framing(self.size, crop=parse_crop(self.crop))

    @property
    def training_framing(self) -> Framing:
        """The same with a margin, from which augmentation takes its views."""
        side = self.context * round(self.size * MARGIN)
        return Framing(side, crop=parse_crop(self.crop), margin=self.context * MARGIN)

    def prepare(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the part of a picture that is stored for training.

        Parameters
        ----------
        picture : ndarray of uint8, shape (context * side, context * side, 3)
            Framed by `training_framing`.

        Returns
        -------
        ndarray of uint8, shape (side, side, 3) or (side, side, 6)
            The galaxy's own extent, and the wider one where the network sees it.
        """
        if self.context == 1:
            return picture
        side, times = len(picture) // self.context, self.context
        rim = (len(picture) - side) // 2
        wide = picture.reshape(side, times, side, times, 3).mean(axis=(1, 3))
        own = picture[rim : rim + side, rim : rim + side]
        return np.concatenate([own, np.rint(wide).astype(np.uint8)], axis=2)


def make_recipe(start: Model | None = None, **values: Any) -> Recipe:
    """Make a `Recipe`, or report all invalid values at once.

    Parameters
    ----------
    start : Model, optional
        Model to fine-tune: width and size are those of the model, and the defaults are fewer epochs and smaller steps.
    **values
        Fields of the recipe; None means the default.

    Raises
    ------
    UsageError
        If a value is out of range.
    """
    given = {name: value for name, value in values.items() if value is not None}
    if start is not None:
        crop = "whole" if start.framing.crop is None else str(start.framing.crop)
        its = {"width": width_of(start), "size": start.framing.size, "crop": crop, "pretrained": False}
        given = {**its, **_GOING_ON, **given}
    elif str(given.get("body")).startswith(TIMM) and given.get("pretrained"):
        given = {**_TRAINED, **given}
    try:
        return Recipe(**given)
    except ValidationError as error:
        raise UsageError(run_files.wrong_values(error)) from error


def width_of(model: Model) -> int:
    """Return the number of filters of the first convolution of a model's network.

    Raises
    ------
    ModelError
        If its body is not `BODY`.
    """
    if not trainable(model):
        raise unfit(model)
    return int(model.card.training["recipe"]["width"])


def trainable(model: Model) -> bool:
    """Return whether the network of a model can be trained further."""
    recipe = model.card.training.get("recipe", {})
    return bool(recipe.get("body") == BODY and recipe.get("embedding") is None and recipe.get("context", 1) == 1)


def unfit(model: Model) -> ModelError:
    """Return the error for a model that cannot be trained further."""
    return ModelError(
        f"{model.path} cannot be trained further: it does not hold a network with the body {BODY} that "
        "`peculiar export` wrote; give one that does (--from)"
    )


class RunRecord(BaseModel):
    """Record of a run in ``run.json``.

    `seen` identifies the galaxies that the starting model had been trained on, and `weights` the first weights of an
    encoder of timm.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    recipe: Recipe
    questions: tuple[Question, ...]
    data: tuple[str, ...]
    data_digest: str
    split_digest: str
    counts: dict[str, int]
    duplicates: int
    teachers: tuple[str, ...] = ()
    start: str | None = None
    seen: tuple[str, ...] = ()
    weights: str | None = None
    notes: tuple[dict[str, str], ...] = ()
    versions: dict[str, str]


def read_record(folder: Path) -> RunRecord:
    """Read the record of a run.

    Raises
    ------
    RunError
        If the folder is not that of a run, or its record is damaged.
    """
    try:
        text = (folder / run_files.RECORD).read_text(encoding="utf-8", errors="replace")
        return RunRecord.model_validate_json(text)
    except ValidationError as error:
        if '"arguments"' in text:
            message = (
                f"{folder} is a run of the exercise's network, which cannot be exported to a model file; `peculiar "
                "evaluate` and `peculiar explain` accept the folder itself (--model)"
            )
            raise RunError(message) from error
        message = (
            f"{folder} is not the folder of a training run, or is from another version of peculiar, or its "
            f"{run_files.RECORD} is damaged ({run_files.wrong_values(error)})"
        )
        raise RunError(message) from error
    except OSError as error:
        message = f"{folder} is not the folder of a training run ({error})"
        raise RunError(message) from error


def read_notes(folder: Path) -> dict[str, Any]:
    """Read the temperatures and the scores on the validation part that a finished run wrote.

    Raises
    ------
    RunError
        If the run is not finished, or the file is damaged.
    """
    try:
        notes: dict[str, Any] = json.loads((folder / NOTES).read_bytes())
    except FileNotFoundError as error:
        message = f"{folder} has no {NOTES}: the run is not finished; continue it (--resume)"
        raise RunError(message) from error
    except ValueError as error:
        message = f"{folder / NOTES} is damaged ({error}); `peculiar train` with --resume writes it again"
        raise RunError(message) from error
    return notes


def check_resumable(old: RunRecord, new: RunRecord, folder: Path) -> None:
    """Raise `RunError` if the run in a folder differs from the one to be resumed."""
    # Questions of the same name may differ in much, which would fill the message.
    changed = [
        f"answers, columns or trust of {was.name} differ"
        for was, now in zip(old.questions, new.questions, strict=False)
        if was != now and was.name == now.name
    ]
    run_files.check_same(folder, _compared(old), _compared(new), changed)


def _compared(record: RunRecord) -> dict[str, Any]:
    told = record.model_dump()
    named = {name: told[name] for name in ("data_digest", "split_digest", "teachers", "start", "weights")}
    return {**told["recipe"], **named, "questions": ", ".join(one.name for one in record.questions)}
