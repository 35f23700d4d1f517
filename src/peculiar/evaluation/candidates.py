"""The models that can be scored (a run, a model file, the model behind a table), and the galaxies each is scored on."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from peculiar.errors import LabelError, UnknownNameError
from peculiar.files.run_files import Origin
from peculiar.models.model_file import Model
from peculiar.models.predict import Classifier
from peculiar.models.provenance import Maker, read_maker
from peculiar.models.seen import SEEN, Seen, pack_ids
from peculiar.questions.question import Question
from peculiar.sources.split import PARTS, part_of
from peculiar.sources.stream import Source
from peculiar.tables.reader import TableReader
from peculiar.text import counted


@dataclass(frozen=True)
class Candidate:
    """A model of either kind that is about to be scored; see `run_candidate` and `file_candidate`.

    Parameters
    ----------
    name : str
    folder : path
        Where its scores are written unless told otherwise.
    about : callable
        Given a question's name, or None, and a source: the classifier that answers the question, by default the one
        that the source's labels answer.
    in_part : callable
        Whether the galaxy of an id is in the part that was asked for.
    settings : dict
        What was asked of it, by the names of the options.
    trained_on : callable
        Given ids, which of them it was trained on, as booleans; None where that is not known.
    include_training : bool
        Whether it is scored on these as well.
    digest : str
        Of the model file; empty for a run.
    digests : dict of str to str
        What to tell of where it comes from.
    weights : str
        Of a run, which weights they are.
    maker : Maker
        What a table says of the model that made it; of a model file that file.
    questions : tuple of Question
    temperatures : dict of str to float
        By question.
    sets : dict of str to dict of str to tuple of float
        Thresholds of its prediction sets, by question and level.
    data : tuple of str
        Names of the files that it was trained on.
    """

    name: str
    folder: Path
    about: Callable[[str | None, Source], Classifier]
    in_part: Callable[[str], bool]
    settings: dict[str, Any]
    trained_on: Callable[[Sequence[str]], NDArray[np.bool_]] | None = None
    include_training: bool = False
    digest: str = ""
    digests: dict[str, str] = field(default_factory=dict)
    weights: str = ""
    maker: Maker = field(default_factory=Maker)
    questions: tuple[Question, ...] = ()
    temperatures: dict[str, float] = field(default_factory=dict)
    sets: dict[str, dict[str, tuple[float, ...]]] = field(default_factory=dict)
    data: tuple[str, ...] = ()

    @property
    def described(self) -> str:
        """The model in words."""
        return f"{self.name}, {self.weights}" if self.weights else self.name

    def choose(self, ids: Sequence[str], path: Path) -> "Choice":
        """Return which of some galaxies it may be scored on, with `path` for messages.

        Raises
        ------
        LabelError
            If none is left.
        """
        there = np.array([self.in_part(id_) for id_ in ids], dtype=bool)
        known = None if self.trained_on is None else self.trained_on(ids) & there
        taken = there if known is None or self.include_training else there & ~known
        if not taken.any():
            advice = (
                "the model was trained on all of them: score others, or these too (--include-training)"
                if there.any()
                else f"none is in the part {self.settings.get('part')}: score all (--part all)"
            )
            message = f"none of the {len(ids):,} labelled galaxies of {path} is left to score; {advice}"
            raise LabelError(message)
        trained = None if known is None else int(known.sum())
        return Choice(taken, int((~there).sum()), trained, included=self.include_training)


@dataclass(frozen=True, slots=True)
class Choice:
    """Which galaxies a model is scored on; see `Candidate.choose`.

    Parameters
    ----------
    taken : ndarray of bool, shape (n,)
    elsewhere : int
        How many are left out since they are in another part than was asked for.
    trained_on : int or None
        How many of the others the model was trained on; None where that is not known.
    included : bool
        Whether these are scored.
    """

    taken: NDArray[np.bool_]
    elsewhere: int = 0
    trained_on: int | None = None
    included: bool = False

    @property
    def left_out(self) -> int:
        """How many galaxies are not scored."""
        return int((~self.taken).sum())

    def as_dict(self) -> dict[str, int | bool | None]:
        """Return how many galaxies the model was trained on, and whether they are scored, fit for JSON."""
        return {"count": self.trained_on, "scored": self.included}

    def sentences(self, part: str = "") -> list[str]:
        """Return what is to be said of it."""
        told = []
        if self.elsewhere:
            they = "it is" if self.elsewhere == 1 else "they are"
            told.append(f"{counted(self.elsewhere, 'galaxy', 'are', 'is')} left out: {they} not in the part {part}.")
        if self.trained_on is None:
            told.append("It is not known which galaxies the model was trained on: scores on these would be too good.")
        elif self.trained_on and self.included:
            scored = counted(self.trained_on, "galaxy", "are", "is")
            told.append(f"{scored} scored that the model was trained on: the scores are too good.")
        elif self.trained_on:
            them = "it" if self.trained_on == 1 else "them"
            left_out = counted(self.trained_on, "galaxy", "are", "is")
            told.append(f"{left_out} left out: the model was trained on {them}.")
            told.append("(--include-training scores these too.)")
        return told


class RunNet(Classifier, Protocol):
    """A network of a training run, as `peculiar.load_run` returns it."""

    @property
    def origin(self) -> Origin | None:
        """The run that it comes from, if any."""


def run_candidate(trained: RunNet, *, include_training: bool = False) -> Candidate:
    """Return the network of a training run as a candidate.

    Parameters
    ----------
    trained : RunNet
    include_training : bool
        Score it on galaxies that it was trained on as well.
    """
    origin = trained.origin
    if origin is None:
        return Candidate(
            "a network in memory",
            Path("evaluation"),
            about=lambda _, __: trained,
            in_part=lambda _: True,
            settings={},
            questions=(trained.question,),
        )
    epoch = origin.epoch
    return Candidate(
        name=str(origin.folder),
        folder=origin.folder / "evaluation",
        about=lambda _, __: trained,
        in_part=lambda _: True,
        settings={"weights": origin.weights, "epoch": epoch},
        weights=f"its {origin.weights} weights" + (f" (epoch {epoch})" if epoch else ""),
        trained_on=Seen((pack_ids(origin.trained_on),)).among,
        include_training=include_training,
        questions=(trained.question,),
        digests={"digest of the split it was trained on": origin.split_digest},
    )


def file_candidate(
    model: Model, *, part: str = "all", views: int | None = None, include_training: bool = False
) -> Candidate:
    """Return a model file as a candidate.

    Parameters
    ----------
    model : Model
    part : str
        Of `peculiar.sources.split.PARTS`, of galaxies by their ids as the model was trained; or all.
    views : int, optional
        Average over so many turned and mirrored views; by default as the model says.
    include_training : bool
        Score it on galaxies that it was trained on as well; they are in the part ``training``.

    Raises
    ------
    UnknownNameError
        If there is no such part.
    """
    if part not in ("all", *PARTS):
        raise UnknownNameError("part", part, ("all", *PARTS))
    card = model.card
    recipe = card.training.get("recipe", {})
    sizes = {name: float(recipe.get(name, 0)) for name in ("validation_size", "test_size")}
    seen = Seen(tuple(card.training.get(SEEN, ())))
    return Candidate(
        name=f"{card.name} {card.digest[:12]}",
        folder=Path("evaluation"),
        about=lambda question, source: model.asking(
            question, labels=source.label, entries=() if question else source.labels(), views=views
        ),
        in_part=lambda id_: part in ("all", part_of(id_, **sizes)),
        settings={"part": part, "views": views or card.views},
        trained_on=seen.among if seen else None,
        include_training=include_training or part == "training",
        digest=card.digest,
        maker=Maker((card.digest,), card.name),
        digests={
            "digest of the model": card.digest,
            "digest of the split it was trained on": str(card.training.get("split_digest", "")),
        },
        questions=card.questions,
        temperatures=card.temperatures,
        sets=card.sets,
        data=tuple(card.training.get("data", ())),
    )


def table_candidate(candidate: Candidate, path: Path) -> Candidate:
    """Return the model that made a table of probabilities, as far as the table says.

    Parameters
    ----------
    candidate : Candidate
        The model that was asked for. What is known of it holds for the table only where the table says that this is the
        model that made it.
    path : path

    Returns
    -------
    Candidate
        Of another model there is no temperature, no set, and nothing is known of what it was trained on.
    """
    maker = read_maker(TableReader(path))
    if maker.is_model(candidate.digest):
        return candidate
    settings = {name: value for name, value in candidate.settings.items() if name == "part" and value != "all"}
    return replace(
        candidate,
        name=str(maker),
        folder=Path("evaluation"),
        settings=settings,
        # A table that says nothing may be of the model that was asked for; one that names another is not.
        trained_on=None if maker.digests or candidate.digest else candidate.trained_on,
        digest="",
        maker=maker,
        weights="",
        digests={"digest of the model": ", ".join(maker.digests) or "not stated"},
        temperatures={},
        sets={},
    )
