"""Train on classes of one's own: a head on embeddings first, then fine-tuning, which is kept only if it is better."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from peculiar.catalogs.teach import write_taught
from peculiar.checks.duplicates import same_galaxies
from peculiar.errors import RunError
from peculiar.files import run_files
from peculiar.files.run_files import MODEL
from peculiar.models.embed import Embedded, embed_labelled
from peculiar.models.linear_head import Head, fit_head
from peculiar.models.model_file import Model, cores, load_model
from peculiar.models.seen import SEEN, Seen
from peculiar.progress import adding
from peculiar.questions.question import Question
from peculiar.sources.dataset import warn_of_unreadable
from peculiar.sources.split import PARTS, data_digest
from peculiar.sources.stream import Source, decode_row, in_order
from peculiar.text import counted
from peculiar.training.fine_tuning import Ending, FineTune, Task, reason_against, score_rows
from peculiar.training.fine_tuning import fine_tune as tune
from peculiar.training.held_out import RESAMPLES, Parts, find_parts
from peculiar.training.outcome import Outcome
from peculiar.training.page import MOST_MISTAKES, write_outcome
from peculiar.training.parts import told_split
from peculiar.training.recipe import PAGE, Recipe, RunRecord
from peculiar.training.run import Run, read_result, write_result
from peculiar.training.watch import Watcher

VALIDATION_SIZE = 0.2
"""Share of the galaxies that is held out, unless folders name other parts."""

PATIENCE = 8
"""Epochs without a lower log loss after which fine-tuning ends."""


def train_classes(
    sources: list[Source],
    question: Question,
    folder: Path,
    *,
    start: Model,
    recipe: Recipe,
    fine_tune: FineTune = "auto",
    time_limit: float | None = None,
    resume: bool = False,
    watcher: Watcher,
) -> Run:
    """Train a model on classes of one's own.

    A head is fitted to the embeddings of a model, and written with its cross-validated scores. Then the network is
    fine-tuned, if PyTorch is there and the held-out galaxies can show whether that is better. Its weights are kept only
    if it is. Whatever ends the training early, the folder has a model file and a page.

    Parameters
    ----------
    sources : list of Source
        With labels in the question's column.
    question : Question
    folder : path
        Folder of the run: ``model.onnx``, ``report.html``, ``scores.json``, ``run.json``, ``split.csv``, and after
        fine-tuning the files that `peculiar.training.loop.train_network` writes.
    start : Model
        Model whose embeddings are taken, and whose network is fine-tuned.
    recipe : Recipe
        Settings of the fine-tuning.
    fine_tune : {"auto", "always", "never"}
        "auto" fine-tunes where it is worth it: where the head makes enough mistakes for another model to be better.
    time_limit : float, optional
        Minutes that the fine-tuning may take.
    resume : bool
        Go on with the run in `folder`.
    watcher : Watcher

    Returns
    -------
    Run

    Raises
    ------
    UsageError
        If the folder holds something already and `resume` is not set.
    LabelError
        If labels are too few.
    RunError
        If the run in the folder was of other galaxies.
    MissingExtraError
        If PyTorch is missing and `fine_tune` is "always".
    """
    task = Task(sources, question, folder, start, recipe, watcher)
    run_files.check_folder(folder, resume=resume)
    if resume and (finished := _finished(task)) is not None:
        return finished
    galaxies = _embed(task)
    same = same_galaxies(sources, galaxies.ids, threads=cores(), progress=adding(watcher.comparing, len(galaxies.ids)))
    told = {id_: part for source in sources for id_, part in source.parts().items()}
    parts = find_parts(galaxies.ids, same, validation_size=recipe.validation_size, told=told)
    notes = _notes(task, galaxies, parts, len(same))
    head, outcome = _fit(task, galaxies, parts, notes)
    reason = reason_against(task, galaxies, parts, fine_tune)
    outcome = replace(outcome, why=reason)
    _write_head(task, galaxies, parts, head, len(same))
    _write(task, outcome, finished=bool(reason))
    watcher.note(f"{outcome.summary}; {folder / MODEL} and {folder / PAGE} are written.")
    ending = Ending()
    if not reason:
        outcome, ending = tune(task, galaxies, parts, outcome, time_limit=time_limit, resume=resume)
        _write(task, outcome, finished=not ending.why)
    done = "Fine-tuned" if outcome.kept == "network" else "The head is kept" if outcome.comparison else "Not fine-tuned"
    watcher.note(f"{done}: {outcome.why}.")
    return _run(task, stopped=ending.interrupted)


def _finished(task: Task) -> Run | None:
    """Return the run in the folder if nothing is left to do."""
    result = read_result(task.folder)
    if result is None:
        return None
    column = task.question.column
    labelled = {
        id_
        for source in task.sources
        for id_, entry in zip(source.ids(), source.column(column), strict=True)
        if entry in task.question.answers
    }
    before = run_files.read_split(task.folder).keys() | result["unreadable"].keys()
    if labelled != before or list(task.question.answers) != result["answers"]:
        message = (
            f"{task.folder} cannot be resumed: it was trained on other galaxies ({len(labelled - before):,} are new, "
            f"{len(before - labelled):,} are gone); give the run another folder (--out)"
        )
        raise RunError(message)
    return _run(task, stopped=False) if result["finished"] else None


def _run(task: Task, *, stopped: bool) -> Run:
    result = read_result(task.folder) or {}
    history = run_files.read_history(task.folder) if (task.folder / run_files.HISTORY).exists() else []
    return Run(task.folder, history, {result["question"]: result["scores"]}, stopped)


def _embed(task: Task) -> Embedded:
    column, answers = task.question.column, set(task.question.answers)
    total = sum(entry in answers for source in task.sources for entry in source.column(column))
    galaxies = embed_labelled(task.sources, task.question, task.start, progress=adding(task.watcher.embedding, total))
    if galaxies.problems:
        warn_of_unreadable(galaxies.problems, total, stacklevel=5)
    return galaxies


def _notes(task: Task, galaxies: Embedded, parts: Parts, pairs: int) -> list[str]:
    """Return remarks on the galaxies for the page, as sentences."""
    told = []
    without = sum(map(len, task.sources)) - len(galaxies.ids) - len(galaxies.problems)
    if without > 0:
        told.append(
            f"{counted(without, 'galaxy', 'have', 'has')} no label and {'is' if without == 1 else 'are'} not used."
        )
    if galaxies.problems:
        some = [f"{id_} ({problem})" for id_, problem in list(galaxies.problems.items())[:5]]
        told.append(f"{counted(len(galaxies.problems), 'picture')} cannot be read: {', '.join(some)}.")
    if pairs:
        told.append(
            f"{counted(pairs, 'pair', 'show', 'shows')} the same galaxy; its pictures stay on one side of each split."
        )
    if parts.moved:
        told.append(
            f"{counted(parts.moved, 'picture', 'are', 'is')} in a validation or test folder, and of a galaxy of the "
            "training part: learned from like those."
        )
    packs = tuple(task.start.card.training.get(SEEN, ()))
    known = int(Seen(packs).among(galaxies.ids).sum()) if packs else 0
    if known:
        told.append(
            f"The training set of {task.start.card.name} contains {known:,} of the {len(galaxies.ids):,} galaxies, by "
            "their ids; scores on those are too good."
        )
    return told


def _fit(task: Task, galaxies: Embedded, parts: Parts, notes: list[str]) -> tuple[Head, Outcome]:
    """Fit the head to all galaxies but those of the test part, and score it."""
    question, rows = task.question, parts.rows("training", "validation")
    head = fit_head(
        galaxies.embeddings[rows],
        galaxies.labels[rows],
        question,
        groups=parts.groups[rows].tolist(),
        resamples=RESAMPLES,
        seed=task.recipe.seed,
    )
    test = parts.rows("test")
    if len(test):
        scored = test
        probabilities: NDArray[np.floating] = head.probabilities(galaxies.embeddings[test])
        scores, measured = score_rows(task, galaxies, parts, test, probabilities), "on the test folders"
    else:
        scored, probabilities, scores, measured = rows, head.held_out, head.scores, "by cross-validation"
    counts = {
        part: Counter(question.answers[label] for label in galaxies.labels[parts.rows(part)].tolist()) for part in PARTS
    }
    outcome = Outcome(
        question=question,
        start=task.start.card.name,
        kept="head",
        why="",
        measured=measured,
        ids=[galaxies.ids[row] for row in scored],
        labels=galaxies.labels[scored],
        probabilities=probabilities,
        scores=scores,
        counts=counts,
        notes=notes,
        unreadable=galaxies.problems,
    )
    return head, outcome


def _write_head(task: Task, galaxies: Embedded, parts: Parts, head: Head, pairs: int) -> None:
    """Write the files of a run whose model is a head."""
    folder, start = task.folder, task.start
    rows = {part: parts.rows(part) for part in PARTS}
    record = RunRecord(
        recipe=task.recipe,
        questions=(task.question,),
        data=tuple(source.path.name for source in task.sources),
        data_digest=data_digest(galaxies.ids, galaxies.labels, galaxies.embeddings.view(np.uint8)),
        split_digest=told_split(galaxies.ids, parts.by_id(galaxies.ids)).digest(galaxies.ids),
        counts={part: len(some) for part, some in rows.items()},
        duplicates=pairs,
        start=start.card.digest,
        seen=tuple(start.card.training.get(SEEN, ())),
        notes=tuple(dict(source.notes) for source in task.sources),
        versions=run_files.versions(),
    )
    if not (folder / run_files.LAST).exists():  # fine-tuning that was stopped has a record of its own
        run_files.write_beginning(folder, record, galaxies.ids, rows)
    used = parts.rows("training", "validation")
    write_taught(start, head, folder / MODEL, len(used), seen=[galaxies.ids[row] for row in used], name=task.name)


def _write(task: Task, outcome: Outcome, *, finished: bool) -> None:
    """Write the page, and last the scores, which mark a run as finished."""
    wanted = {outcome.ids[row] for row in outcome.mistakes()[:MOST_MISTAKES]}
    pictures: dict[str, NDArray[np.uint8]] = {}
    for source in task.sources:
        rows = (row for row in source.rows() if row.id in wanted)
        for galaxy in in_order(lambda row: decode_row(row, task.start.framing), rows, 2):
            if galaxy.picture is not None:
                pictures.setdefault(galaxy.id, galaxy.picture)
    write_outcome(task.folder, outcome, load_model(task.folder / MODEL), pictures)
    write_result(task.folder, outcome.as_dict() | {"finished": finished})
