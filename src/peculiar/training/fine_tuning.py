"""Fine-tune a network on classes of one's own, and keep it only if it is better than a head on its embeddings."""

import importlib.util
import itertools
import math
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from peculiar.errors import MissingExtraError
from peculiar.files import run_files
from peculiar.files.run_files import MODEL
from peculiar.metrics.scores import Scores, evaluate
from peculiar.models.embed import Embedded
from peculiar.models.model_file import Model, load_model
from peculiar.models.predict import predict
from peculiar.questions.question import Question
from peculiar.sources.stream import Source, decode_row, in_order
from peculiar.text import counted
from peculiar.training.held_out import LEAST_MISTAKES, RESAMPLES, Parts, compare, guessing, head_without, too_few
from peculiar.training.outcome import HELD_OUT, Outcome
from peculiar.training.recipe import Recipe, RunRecord, read_record, trainable, unfit
from peculiar.training.validation import best_epoch
from peculiar.training.watch import Forwarder, Watcher, duration_text

FineTune = Literal["auto", "always", "never"]
FINE_TUNE: tuple[FineTune, ...] = get_args(FineTune)


@dataclass(frozen=True, slots=True)
class Task:
    """Model, galaxies and folder of a training run."""

    sources: list[Source]
    question: Question
    folder: Path
    start: Model
    recipe: Recipe
    watcher: Watcher

    @property
    def name(self) -> str:
        """Name of the model: that of the folder."""
        return self.folder.resolve().name


def score_rows(
    task: Task, galaxies: Embedded, parts: Parts, rows: NDArray[np.intp], probabilities: NDArray[np.floating]
) -> Scores:
    """Score the probabilities of some of the galaxies, with intervals."""
    return evaluate(
        galaxies.labels[rows],
        probabilities,
        task.question.answers,
        resamples=RESAMPLES,
        groups=parts.groups[rows].tolist(),
        seed=task.recipe.seed,
    )


@dataclass(frozen=True, slots=True)
class Ending:
    """End of a fine-tuning.

    Parameters
    ----------
    why : str
        Reason for an early end; empty if there was none.
    interrupted : bool
        True if Ctrl-C ended it.
    """

    why: str = ""
    interrupted: bool = False


class _Deadline(Forwarder):
    """Passes on what training tells, and ends it when its time is over."""

    def __init__(self, inner: Watcher, seconds: float) -> None:
        super().__init__(inner)
        self._seconds, self._end = seconds, math.inf
        self.over = False

    def begin(self, record: RunRecord, parameters: int) -> None:
        self._end = time.monotonic() + self._seconds
        self._inner.begin(record, parameters)

    def batch(self, epoch: int, done: int, total: int, loss: float) -> None:
        self._inner.batch(epoch, done, total, loss)
        self.over = time.monotonic() > self._end
        if self.over:  # ends the training as Ctrl-C does
            raise KeyboardInterrupt


def reason_against(task: Task, galaxies: Embedded, parts: Parts, fine_tune: FineTune) -> str:
    """Return why the network is not fine-tuned; empty if it is."""
    if fine_tune == "never":
        return "it was not asked for (--fine-tune never)"
    if any(importlib.util.find_spec(name) is None for name in ("torch", "accelerate", "onnx", "onnxscript")):
        if fine_tune == "always":
            raise MissingExtraError("fine-tuning", "train")
        return "PyTorch is not installed (pip install 'peculiar[train]')"
    if not trainable(task.start):
        if fine_tune == "always":
            raise unfit(task.start)
        return f"the network of {task.start.card.name} cannot be trained further"
    if few := too_few(galaxies, parts, task.question):
        return f"there are too few galaxies to learn from and to compare on: {few}"
    if fine_tune == "always":
        return ""
    rows = parts.rows("validation")
    head = head_without(galaxies, parts, task.question, task.recipe.seed)
    wrong = int((head.probabilities(galaxies.embeddings[rows]).argmax(axis=1) != galaxies.labels[rows]).sum())
    if wrong < LEAST_MISTAKES:
        return (
            f"a head fitted to the others makes {counted(wrong, 'mistake')} on the {len(rows)} held-out galaxies, too "
            "few to show that another model is better"
        )
    return ""


def fine_tune(
    task: Task, galaxies: Embedded, parts: Parts, outcome: Outcome, *, time_limit: float | None, resume: bool
) -> tuple[Outcome, Ending]:
    """Fine-tune the network of a model, and put it into the model file if it is better than the head there.

    Parameters
    ----------
    task : Task
    galaxies : Embedded
    parts : Parts
    outcome : Outcome
        Of the head.
    time_limit : float or None
        In minutes.
    resume : bool
        Go on with a fine-tuning that was stopped.

    Returns
    -------
    outcome : Outcome
    ending : Ending
    """
    from peculiar.models.calibrate import calibrate
    from peculiar.training.network_file import write_network

    by_id, rows = parts.by_id(galaxies.ids), parts.rows("validation")
    history, ending = _train(task, by_id, time_limit, resume=resume)
    if not history:
        return replace(outcome, why=ending.why), ending
    head = head_without(galaxies, parts, task.question, task.recipe.seed)
    card = task.start.card
    with tempfile.TemporaryDirectory(dir=task.folder, prefix=".") as place:
        network = write_network(
            task.folder,
            Path(place) / MODEL,
            name=task.name,
            views=card.views,
            credits=card.credits,
            licence=card.licence,
        )
        comparison = compare(
            galaxies.labels[rows],
            head.probabilities(galaxies.embeddings[rows]),
            _answers(task, network, galaxies, rows),
            task.question.answers,
            groups=parts.groups[rows].tolist(),
            seed=task.recipe.seed,
        )
        if comparison.network_is_better:
            scores = {"held-out galaxies": comparison.network.as_dict()}
            calibrate(task.sources, task.folder / MODEL, network, parts=by_id, scores=scores)
    outcome = replace(
        outcome,
        why=f"{comparison.text}{f' ({ending.why})' if ending.why else ''}",
        comparison=comparison,
        history=history,
        guessing=guessing(galaxies.labels[rows], len(task.question.answers)),
    )
    return _of_network(task, galaxies, parts, outcome) if comparison.network_is_better else outcome, ending


def _train(
    task: Task, by_id: dict[str, str], time_limit: float | None, *, resume: bool
) -> tuple[list[dict[str, Any]], Ending]:
    """Fine-tune; return the history, and how it ended."""
    from peculiar.training.loop import train_network

    recipe, held_out = task.recipe, sum(part == "validation" for part in by_id.values())
    limit = math.inf if time_limit is None else 60 * time_limit
    deadline = _Deadline(task.watcher, limit)
    if resume and (task.folder / run_files.LAST).exists():
        recipe = recipe.model_copy(update={"epochs": read_record(task.folder).recipe.epochs})

    def plan(step: float, steps: int) -> int:
        # Scoring the held-out galaxies is a pass forward, of three that a step takes.
        epoch = step * (steps + held_out / recipe.batch_size / 3)
        epochs = int(min(recipe.epochs, limit / epoch))
        if epochs:
            task.watcher.note(
                f"Fine-tuning: {counted(epochs, 'epoch')} of {counted(steps, 'step')} take about "
                f"{duration_text(epochs * epoch)} ({step:.2f} s a step). Ctrl-C ends it and keeps the result so far."
            )
        return epochs

    try:
        history = train_network(
            task.sources,
            task.folder,
            recipe,
            questions=(task.question,),
            start=task.start,
            parts=by_id,
            plan=plan,
            keep_stopped=True,
            resume=True,
            watcher=deadline,
        )
    except KeyboardInterrupt:
        by = "the time limit was reached" if deadline.over else "it was stopped"
        return [], Ending(f"{by} before the first epoch ended", interrupted=not deadline.over)
    if not history:
        return [], Ending(f"one epoch takes longer than the time limit of {duration_text(limit)}")
    planned = read_record(task.folder).recipe.epochs
    if len(history) in (planned, best_epoch(history) + (recipe.patience or planned)):
        return history, Ending()
    by = "the time limit was reached" if deadline.over else "it was stopped"
    return history, Ending(f"{by} after epoch {len(history)} of {planned}", interrupted=not deadline.over)


def _answers(task: Task, model: Model, galaxies: Embedded, rows: NDArray[np.intp]) -> NDArray[np.float32]:
    """Return the probabilities of a model for some of the galaxies, shape (len(rows), answers); even where it fails."""
    wanted = set(galaxies.rows[rows].tolist())
    every = itertools.chain.from_iterable(source.rows() for source in task.sources)
    some = (row for number, row in enumerate(every) if number in wanted)
    pictures = in_order(lambda row: decode_row(row, model.framing), some, 2)
    found = predict(model.asking(task.question.name), pictures).probabilities
    return np.nan_to_num(found, nan=1 / len(task.question.answers))


def _of_network(task: Task, galaxies: Embedded, parts: Parts, outcome: Outcome) -> Outcome:
    """Return the outcome with the scores of the network that is kept."""
    rows = parts.rows("test")
    if len(rows):
        probabilities: NDArray[np.floating] = _answers(task, load_model(task.folder / MODEL), galaxies, rows)
        scores, measured = score_rows(task, galaxies, parts, rows, probabilities), "on the test folders"
    elif outcome.comparison is not None:
        rows, probabilities = parts.rows("validation"), outcome.comparison.probabilities
        scores, measured = outcome.comparison.network, HELD_OUT
    return replace(
        outcome,
        kept="network",
        measured=measured,
        ids=[galaxies.ids[row] for row in rows],
        labels=galaxies.labels[rows],
        probabilities=probabilities,
        scores=scores,
    )
