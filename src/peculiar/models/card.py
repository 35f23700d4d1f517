"""The card of a model file: everything needed to use and judge its network."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from peculiar.errors import ModelError
from peculiar.images.framing import Framing
from peculiar.metrics.calibration import Scaling
from peculiar.metrics.prediction_sets import Thresholds
from peculiar.models.container import digest_of, join_card
from peculiar.models.novelty import Novelty
from peculiar.questions.question import Question

FORMAT = 1
"""Version of the model file; a reader refuses later ones."""


# Allowed temperatures; fitted ones are between 0.05 and 20.
_TEMPERATURES = (0.01, 100.0)


class Card(BaseModel):
    """The metadata of a model file.

    Parameters
    ----------
    format : int
        Version of the model file.
    name : str
    digest : str
        SHA-256, hexadecimal, of everything that decides the answers.
    framing : Framing
        Framing of its pictures.
    questions : tuple of Question
        The questions that it answers.
    temperatures : dict of str to float
        By question, the temperature that divides its logits; see `peculiar.metrics.calibration`.
    scalings : dict of str to Scaling
        By question, weights and biases for logits that are already divided by the temperature, if they are better.
    spreads : dict of str to float
        By question that was trained with the Dirichlet-multinomial likelihood, the factor of the concentrations, which
        are the exponentials of its logits; see `peculiar.metrics.dirichlet`.
    sets : dict of str to dict of str to tuple of float
        By question and level, the thresholds of prediction sets; see `peculiar.metrics.prediction_sets`.
    familiar : Novelty or None
        The distribution of the training pictures; see `peculiar.models.novelty`.
    embedding : str
        Description of its embedding, and of the similarity that it stands for; empty for the mean of the last maps.
    views : int
        Default number of views in test-time augmentation; see `Model.classify`.
    about : str
        The main question, whose answer is the ``class`` of a catalogue. Empty for the first.
    training : dict
        Record of its training: recipe, counts, digests, versions.
    scores : dict
        Its scores, and the galaxies that they were measured on.
    credits : tuple of str
        Acknowledgements for the data.
    licence : str
        Of the weights.
    version : str
        Version of peculiar that wrote the file.
    """

    model_config = ConfigDict(frozen=True)

    format: int
    name: str
    digest: str
    framing: Framing
    questions: tuple[Question, ...] = Field(min_length=1)
    temperatures: dict[str, float]
    scalings: dict[str, Scaling] = {}
    spreads: dict[str, float] = {}
    sets: dict[str, Thresholds] = {}
    familiar: Novelty | None = None
    embedding: str = ""
    views: int = Field(default=1, ge=1, le=8)
    training: dict[str, Any] = {}
    scores: dict[str, Any] = {}
    credits: tuple[str, ...] = ()
    licence: str = ""
    version: str = ""
    about: str = ""

    @property
    def part_sizes(self) -> dict[str, float]:
        """``validation_size`` and ``test_size`` of the split that it was trained on; 0 if there was none."""
        recipe = self.training.get("recipe", {})
        return {name: float(recipe.get(name, 0)) for name in ("validation_size", "test_size")}

    @property
    def main_question(self) -> Question:
        """The main question, which a catalogue is about."""
        return next((one for one in self.questions if one.name == self.about), self.questions[0])

    @model_validator(mode="after")
    def _check(self) -> "Card":
        """Refuse values that make probabilities meaningless."""
        problems = list(_faults(self))
        if problems:
            message = "; ".join(problems)
            raise ValueError(message)
        return self


def _faults(card: Card) -> Iterator[str]:
    """Yield inconsistencies between the entries of a card."""
    answers = {question.name: len(question.answers) for question in card.questions}
    least, most = _TEMPERATURES
    if len(answers) < len(card.questions):
        yield "two questions have the same name"
    if card.about and card.about not in answers:
        yield f"its main question {card.about!r} is not one of its questions"
    for question in card.questions:
        name = question.name
        if len(set(question.answers)) < max(2, len(question.answers)):
            yield f"the question {name!r} does not have two or more different answers"
        if not least <= card.temperatures.get(name, math.nan) <= most:
            yield f"no temperature between {least:g} and {most:g} for {name!r}"
        if not 0 < card.spreads.get(name, 1) < math.inf:
            yield f"the spread of {name!r} has to be a finite number above 0"
        scaling = card.scalings.get(name)
        if scaling is not None:
            values = (*scaling.weights, *scaling.biases)
            fits = len(scaling.weights) == len(scaling.biases) == answers[name]
            if not fits or not all(map(math.isfinite, values)):
                yield f"the scaling of {name!r} needs a finite weight and bias for each answer"
        for level, thresholds in card.sets.get(name, {}).items():
            if (
                not level.isdecimal()
                or len(thresholds) != answers[name]
                or not all(0 <= one <= 1 for one in thresholds)
            ):
                yield f"the {level} % sets of {name!r} need a threshold from 0 to 1 for each answer"


def seal(graph: bytes, card: Card) -> bytes:
    """Return the content of a model file: an ONNX graph without a card, and a card with the digest of both."""
    digest = digest_of(graph, card.model_dump_json())
    return join_card(graph, card.model_copy(update={"digest": digest}).model_dump_json())


def check_digest(graph: bytes, text: str, card: Card, path: Path) -> None:
    """Raise `ModelError` unless the digest of a model file matches."""
    if not card.digest:
        message = f"{path} has no digest, so it cannot be verified; export it again with this version of peculiar"
        raise ModelError(message)
    try:
        found = digest_of(graph, text)
    except ModelError as error:
        message = f"{path} is damaged: {error}"
        raise ModelError(message) from error
    if found != card.digest:
        message = (
            f"{path} is damaged: its digest has to be {card.digest[:12]}, and is {found[:12]}; download it again, or "
            "export or teach it again"
        )
        raise ModelError(message)


def read_card(text: str, path: Path) -> Card:
    """Read a card from JSON that was found in the file at `path`; raises `ModelError` if it cannot be used."""
    try:
        card = Card.model_validate_json(text)
    except ValidationError as error:
        later = _later(text)
        message = _newer(path, later) if later else f"{path} is damaged: its card cannot be used ({_wrong(error)})"
        raise ModelError(message) from error
    if card.format > FORMAT:
        raise ModelError(_newer(path, card.format))
    return card


def _wrong(error: ValidationError) -> str:
    """Return the errors of pydantic in one line."""
    found = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}".removeprefix(": ") for one in error.errors()]
    return "; ".join(found)[:300]


def _later(text: str) -> int | None:
    """Return the format in damaged or unknown metadata, if it is later than ours."""

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
