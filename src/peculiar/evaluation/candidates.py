"""Models that can be scored (a run, a model file, the model behind a table), and the galaxies to score them on."""

from collections.abc import Callable, Mapping, Sequence
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
from peculiar.sources.split import PARTS, part_rule, parts_in
from peculiar.sources.stream import Source
from peculiar.tables.reader import TableReader, as_table
from peculiar.text import counted


@dataclass(frozen=True)
class Candidate:
    """A model that is to be scored; see `run_candidate` and `file_candidate`.

    Parameters
    ----------
    name : str
    folder : path
        Default folder of its scores.
    about : callable
        Function of the name of a question, or None, and a source, that returns the classifier for the question;
        default: the question that the labels of the source answer.
    part : str
        The requested part, one of `peculiar.sources.split.PARTS`, or "all".
    sizes : dict of str to float
        ``validation_size`` and ``test_size`` of its split.
    settings : dict
        Settings by the names of the options.
    trained_on : callable
        Function of ids that returns a mask of those that it was trained on, or None if unknown.
    include_training : bool
        Whether it is scored on galaxies that it was trained on.
    digest : str
        Digest of the model file; empty for a run.
    digests : dict of str to str
        Further digests by their descriptions, for reports.
    weights : str
        For a run: the weights that are used.
    maker : Maker
        The model that made a table, as the table states it; or the model file itself.
    questions : tuple of Question
    temperatures : dict of str to float
        Temperatures by question.
    sets : dict of str to dict of str to tuple of float
        Thresholds of its prediction sets, by question and level.
    data : tuple of str
        Names of the files that it was trained on.
    """

    name: str
    folder: Path
    about: Callable[[str | None, Source], Classifier]
    settings: dict[str, Any]
    part: str = "all"
    sizes: dict[str, float] = field(default_factory=dict)
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
        """Description of the model."""
        return f"{self.name}, {self.weights}" if self.weights else self.name

    def choose(self, ids: Sequence[str], path: Path, told: Mapping[str, str] | None = None) -> "Choice":
        """Return the choice of galaxies that it may be scored on.

        Parameters
        ----------
        ids : sequence of str
        path : path
            For messages.
        told : mapping of str to str, optional
            The parts that folders or files name, by id; default: those of the folders in the ids.

        Raises
        ------
        LabelError
            If no galaxy is left.
        """
        there = np.ones(len(ids), dtype=bool)
        if self.part != "all":
            part_in = part_rule(parts_in(ids) if told is None else told, **self.sizes)
            there = np.array([part_in(id_) == self.part for id_ in ids], dtype=bool)
        known = None if self.trained_on is None else self.trained_on(ids) & there
        taken = there if known is None or self.include_training else there & ~known
        if not taken.any():
            advice = (
                "the model was trained on all of them; give others, or score these as well (--include-training)"
                if there.any()
                else f"none is in the part {self.part}; score all (--part all)"
            )
            message = f"none of the {len(ids):,} labelled galaxies of {path} is left to score; {advice}"
            raise LabelError(message)
        trained = None if known is None else int(known.sum())
        return Choice(taken, int((~there).sum()), trained, included=self.include_training)


@dataclass(frozen=True, slots=True)
class Choice:
    """The galaxies that a model is scored on; see `Candidate.choose`.

    Parameters
    ----------
    taken : ndarray of bool, shape (n,)
    elsewhere : int
        Number of galaxies left out because they are in another part.
    trained_on : int or None
        Number of the others that the model was trained on; None if unknown.
    included : bool
        Whether galaxies that the model was trained on are scored.
    """

    taken: NDArray[np.bool_]
    elsewhere: int = 0
    trained_on: int | None = None
    included: bool = False

    @property
    def left_out(self) -> int:
        """Number of galaxies that are not scored."""
        return int((~self.taken).sum())

    def as_dict(self) -> dict[str, int | bool | None]:
        """Return the number of galaxies that the model was trained on, and whether they are scored, for JSON."""
        return {"count": self.trained_on, "scored": self.included}

    def sentences(self, part: str = "") -> list[str]:
        """Return remarks on the choice, as sentences."""
        found = []
        if self.elsewhere:
            they = "it is" if self.elsewhere == 1 else "they are"
            found.append(f"{counted(self.elsewhere, 'galaxy', 'are', 'is')} left out: {they} not in the part {part}.")
        if self.trained_on is None:
            found.append("It is not known which galaxies the model was trained on; its scores on those are too good.")
        elif self.trained_on and self.included:
            scored = counted(self.trained_on, "galaxy", "are", "is")
            found.append(f"{scored} scored that the model was trained on: the scores are too good.")
        elif self.trained_on:
            them = "it" if self.trained_on == 1 else "them"
            left_out = counted(self.trained_on, "galaxy", "are", "is")
            found.append(f"{left_out} left out: the model was trained on {them}.")
            found.append("(--include-training scores these too.)")
        return found


class RunNet(Classifier, Protocol):
    """A network of a training run, as returned by `peculiar.load_run`."""

    @property
    def origin(self) -> Origin | None:
        """Its run, if any."""


def run_candidate(trained: RunNet, *, include_training: bool = False) -> Candidate:
    """Return the network of a training run as a candidate.

    Parameters
    ----------
    trained : RunNet
    include_training : bool
        Also score it on galaxies that it was trained on.
    """
    origin = trained.origin
    if origin is None:
        return Candidate(
            "a network in memory",
            Path("evaluation"),
            about=lambda _, __: trained,
            settings={},
            questions=(trained.question,),
        )
    epoch = origin.epoch
    return Candidate(
        name=str(origin.folder),
        folder=origin.folder / "evaluation",
        about=lambda _, __: trained,
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
        One of `peculiar.sources.split.PARTS`, as assigned when the model was trained: by folders named like parts, or
        else by id; or "all".
    views : int, optional
        Number of turned and mirrored views to average over; default: as in the model's card.
    include_training : bool
        Also score it on galaxies that it was trained on; they are in the part ``training``.

    Raises
    ------
    UnknownNameError
        If the part is unknown.
    """
    if part not in ("all", *PARTS):
        raise UnknownNameError("part", part, ("all", *PARTS))
    card = model.card
    seen = Seen(tuple(card.training.get(SEEN, ())))
    return Candidate(
        name=f"{card.name} {card.digest[:12]}",
        folder=Path("evaluation"),
        about=lambda question, source: model.asking(
            question, labels=source.label, entries=() if question else source.labels(), views=views
        ),
        part=part,
        sizes=card.part_sizes,
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


def table_candidate(candidate: Candidate, table: Path | TableReader) -> Candidate:
    """Return the model that made a table of probabilities, as far as the table states it.

    Parameters
    ----------
    candidate : Candidate
        The requested model. Its properties apply to the table only if the table states that this model made it.
    table : path or TableReader

    Returns
    -------
    Candidate
        For another model, temperatures, prediction sets and training galaxies are unknown.
    """
    maker = read_maker(as_table(table))
    if maker.is_model(candidate.digest):
        return candidate
    settings = {name: value for name, value in candidate.settings.items() if name == "part" and value != "all"}
    return replace(
        candidate,
        name=str(maker),
        folder=Path("evaluation"),
        settings=settings,
        # A table without a statement may be from the requested model; one that names another model is not.
        trained_on=None if maker.digests or candidate.digest else candidate.trained_on,
        digest="",
        maker=maker,
        weights="",
        digests={"digest of the model": ", ".join(maker.digests) or "not stated"},
        temperatures={},
        sets={},
    )
