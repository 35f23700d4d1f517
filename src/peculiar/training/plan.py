"""The plan of a training run: recipe, galaxies, questions and first weights, from its arguments."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from peculiar.errors import UsageError, extra
from peculiar.models.model_file import SHIPPED, Model, load_model
from peculiar.questions.question import Question
from peculiar.questions.question_file import find_tree
from peculiar.sources import Source
from peculiar.sources.labels import find_question, open_labelled, told_questions
from peculiar.training.classes import PATIENCE, VALIDATION_SIZE
from peculiar.training.dimensions import HUB, TIMM
from peculiar.training.recipe import ATTRIBUTE_QUESTIONS, QUESTIONS, Recipe, make_recipe, trainable
from peculiar.training.watch import Watcher

if TYPE_CHECKING:
    from peculiar.training.encoder_weights import FirstWeights
    from peculiar.training.networks.timm_body import Encoder

SHIPPED_NAME = Path(SHIPPED).stem
"""Name of the model that ships, and of the set of its questions."""

Given = str | os.PathLike[str] | Source


@dataclass(frozen=True, slots=True)
class Asked:
    """Arguments of a run of the galaxy network, or of an encoder of timm; see `peculiar.training.train.train`."""

    data: list[Given]
    settings: dict[str, Any]
    net: str
    start: str | os.PathLike[str] | Model | None
    weights: Path | None
    label: str | None
    labels: str | os.PathLike[str] | None
    id: str | None
    question: str | None


@dataclass(frozen=True, slots=True)
class Plan:
    """Plan of a run; see `make_plan`.

    Parameters
    ----------
    recipe : Recipe
    origin : Model or None
        The model that training goes on from.
    encoder : Encoder or None
        The encoder of timm.
    own : bool
        True for classes of one's own, to which a head is fitted first.
    """

    recipe: Recipe
    origin: Model | None
    encoder: "Encoder | None"
    own: bool


def make_plan(asked: Asked, watcher: Watcher, *, teachers: bool) -> Plan:
    """Return the plan of a run, or raise an error for settings that do not go together."""
    given, start, encoder = asked.settings, asked.start, None
    if asked.net.startswith((TIMM, HUB)):
        with extra("training", "train"):
            from peculiar.training.networks.timm_body import look_up
        encoder = look_up(asked.net)
        start = _start_of(encoder, start, asked.weights, watcher)
        its = {"body": f"{TIMM}{encoder.name}", "body_arguments": encoder.arguments, "size": encoder.size}
        given = {**its, **given}
    elif start is None:
        # Another network than that of the model that ships, or one for pictures of another size, cannot go on from it.
        other = not given.keys().isdisjoint(("body", "width", "context", "embedding", "crop")) or (
            "size" in given and given["size"] != load_model().framing.size
        )
        start = "imagenet" if asked.question is not None or other else SHIPPED_NAME
    origin = origin_of(start) if encoder is None else None
    own = asked.question is None and not teachers and origin is not None
    if own:
        given = {"validation_size": VALIDATION_SIZE, "test_size": 0.0, "patience": PATIENCE} | given
    if own and origin is not None and not trainable(origin):
        recipe = make_recipe(**{"size": origin.framing.size, "pretrained": False, **given})
    else:
        trained = {"scratch": False, "pretrained": True}.get(start) if isinstance(start, str) else None
        recipe = make_recipe(origin, pretrained=trained, **given)
    return Plan(recipe, origin, encoder, own)


def open_asked(asked: Asked, plan: Plan, watcher: Watcher) -> tuple[list[Source], Sequence[Question]]:
    """Return sources that have the labels, and the questions to learn."""
    sources = [
        one if isinstance(one, Source) else open_labelled(one, labels=asked.labels, id=asked.id) for one in asked.data
    ]
    sources, questions = _questions(sources, asked, plan.origin)
    for source in sources:
        if source.joined:
            watcher.note(source.joined)
    return sources, questions


def first_of(asked: Asked, plan: Plan) -> "FirstWeights | None":
    """Return the trained weights that an encoder of timm begins with, if it does."""
    if plan.encoder is None or not plan.recipe.pretrained:
        return None
    with extra("training", "train"):
        from peculiar.training.encoder_weights import first_weights
    return first_weights(plan.encoder, plan.recipe.size, asked.weights, plan.recipe.seed)


def _start_of(
    encoder: "Encoder", start: str | os.PathLike[str] | Model | None, weights: Path | None, watcher: Watcher
) -> str:
    """Return where an encoder of timm begins: "pretrained" or "scratch"."""
    if start not in (None, "pretrained", "scratch"):
        message = (
            f"--from {start}: an encoder of timm begins with published weights (pretrained), with random ones "
            "(scratch), or with those of a file (--weights)"
        )
        raise UsageError(message)
    if weights is not None:
        if start == "scratch":
            message = "--from scratch and --weights exclude each other"
            raise UsageError(message)
        return "pretrained"
    if not encoder.published:
        if start == "pretrained":
            message = f"no weights of {encoder.name} are published; give a file of them (--weights), or --from scratch"
            raise UsageError(message)
        watcher.note(f"No weights of {encoder.name} are published: it begins with random ones.")
        return "scratch"
    return "pretrained" if start is None else str(start)


def origin_of(start: str | os.PathLike[str] | Model) -> Model | None:
    """Return the model that training goes on from, None where it begins with other weights."""
    if isinstance(start, Model):
        return start
    if start in ("imagenet", "scratch"):
        return None
    return load_model(None if start == SHIPPED_NAME else start)


def _questions(sources: list[Source], asked: Asked, model: Model | None) -> tuple[list[Source], Sequence[Question]]:
    """Return sources that have the labels, and the questions to learn."""
    if asked.question == SHIPPED_NAME and asked.labels is None:
        simulated = [one for one in ATTRIBUTE_QUESTIONS if any(any(source.column(one.column)) for source in sources)]
        return sources, (*QUESTIONS, *simulated)
    if asked.question is not None:
        known = QUESTIONS if asked.question == SHIPPED_NAME else find_tree(asked.question).questions
        return told_questions(sources, known, asked.labels, asked.id)
    taken = [] if model is None else [one.name for one in model.card.questions]
    sources, own = find_question(sources, taken, label=asked.label, labels=asked.labels, id=asked.id)
    return sources, (own,)
