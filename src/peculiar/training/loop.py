"""The training of the galaxy network: several questions at once, resumable after every epoch."""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from peculiar.errors import UsageError
from peculiar.files import run_files
from peculiar.files.places import on_this_machine
from peculiar.models.model_file import Model
from peculiar.models.seen import SEEN
from peculiar.questions.question import Question
from peculiar.sources import Source, open_source
from peculiar.sources.answers import read_answered
from peculiar.sources.split import data_digest
from peculiar.training import processes
from peculiar.training.dimensions import BODY
from peculiar.training.encoder_weights import FirstWeights
from peculiar.training.epochs import Loop
from peculiar.training.lessons import ask_teachers, check_teacher, keep_lessons, kept_lessons
from peculiar.training.networks.bodies import imagenet_file
from peculiar.training.parts import check_parts, content, split_galaxies, told_split
from peculiar.training.recipe import (
    LESSONS,
    QUESTIONS,
    Recipe,
    RunRecord,
    check_resumable,
    make_recipe,
    read_record,
    width_of,
)
from peculiar.training.watch import Watcher


def train_network(
    data: Sequence[str | os.PathLike[str] | Source],
    out: str | os.PathLike[str],
    recipe: Recipe | None = None,
    *,
    questions: Sequence[Question] = QUESTIONS,
    teachers: Sequence[Model] = (),
    start: Model | None = None,
    first: FirstWeights | None = None,
    parts: Mapping[str, str] | None = None,
    plan: Callable[[float, int], int] | None = None,
    trial: Callable[[Loop], object] | None = None,
    keep_stopped: bool = False,
    resume: bool = False,
    watcher: Watcher | None = None,
) -> list[dict[str, Any]]:
    """Train the galaxy network on several questions at once.

    Rows contribute to the questions that they have labels for. A hash of the id assigns a galaxy to a part; all
    pictures of a galaxy, also under different ids, are in one part. The test part is not used.

    Parameters
    ----------
    data : sequence of path-like or Source
        The same galaxy may occur in several of them, with different sharpness.
    out : path-like
        Folder of the run: ``run.json``, ``split.csv``, ``history.jsonl``, ``averaged.safetensors`` (the weights to
        use) and ``last.safetensors`` (to resume from; with teachers, ``lessons.safetensors`` as well).
    recipe : Recipe, optional
    questions : sequence of Question
        Questions to train, if the data have labels for them; for questions with columns of votes, the vote fractions
        are learned.
    teachers : sequence of Model
        Teachers for knowledge distillation (Hinton et al. 2015): their probabilities, averaged over turned and mirrored
        views, carry more information than a label and also answer questions without labels. They have to be trained on
        the same split, so that they have not seen held-out galaxies.
    start : Model, optional
        A model to fine-tune, instead of ImageNet weights; see `recipe`. A question that it does not answer starts from
        a linear head fitted by `peculiar.models.linear_head`, so that the first steps do not distort the features of
        the body (Kumar et al. 2022).
    first : FirstWeights, optional
        The weights that an encoder of timm begins with.
    parts : mapping of str to str, optional
        The part of each galaxy, "training", "validation" or "test", by id, instead of the hash.
    plan : callable, optional
        Function of the measured seconds per step and the number of steps per epoch that returns the number of epochs,
        instead of that of the recipe. With 0 nothing is trained. A resumed run keeps its number.
    trial : callable, optional
        Called with the state of the run, ready to train, in the place of training.
    keep_stopped : bool
        After Ctrl-C, finish as if the last complete epoch had been the last one, if there is one.
    resume : bool
        Continue the run in `out`, if there is one.
    watcher : Watcher, optional
        Receives the progress.

    Returns
    -------
    list of dict
        The history, one line per epoch: loss, and log loss, accuracy, balanced accuracy and AUC of each question on the
        validation part.

    Raises
    ------
    UsageError
        If `out` is not empty and `resume` is not set; if a teacher has other questions or other framing, or may have
        seen held-out galaxies; or if the model to fine-tune has other framing or another width.
    MissingExtraError
        If ImageNet weights are requested and not installed.
    ModelError
        If the model to fine-tune is another network.
    RunError
        If the run in `out` has another recipe or other data, or is damaged, or the loss becomes NaN.
    LabelError
        If there are no labels, no labels for a question in the training part, no galaxy in the validation part, or
        fewer than five galaxies for an answer to a question that is new to the model to fine-tune.
    """
    recipe, folder = recipe or make_recipe(start), on_this_machine(out, "the folder of a run")
    watcher = watcher if watcher is not None and processes.is_first() else Watcher()
    if start is not None:
        recipe = recipe.model_copy(update={"pretrained": False})
    resuming = resume and (folder / run_files.LAST).exists()
    run_files.check_folder(folder, resume=resume, known=(run_files.RECORD, LESSONS))
    # Checked before anything is read.
    if (recipe.pretrained and not recipe.of_timm) or recipe.hints:
        imagenet_file()
    if start is not None:
        _check_start(start, recipe)
    sources = [one if isinstance(one, Source) else open_source(one) for one in data]
    galaxies = read_answered(
        sources, questions, recipe.training_framing, prepare=recipe.prepare, progress=watcher.reading
    )
    before = read_record(folder) if resuming else None
    digest = data_digest(galaxies.ids, content(galaxies), galaxies.pictures)
    if parts is not None:
        split, duplicates = told_split(galaxies.ids, parts), 0
    elif before is not None and before.data_digest == digest:
        # Comparing tens of thousands of galaxies takes minutes.
        split, duplicates = told_split(galaxies.ids, run_files.read_split(folder)), before.duplicates
    else:
        split, duplicates = split_galaxies(galaxies, sources, recipe, progress=watcher.comparing)
    check_parts(galaxies, split)
    few = len(split.training) < recipe.batch_size and "batch_size" not in recipe.model_fields_set
    if few:  # a small set needs no explicit batch size
        recipe = recipe.model_copy(update={"batch_size": max(2, len(split.training))})
    record = RunRecord(
        recipe=recipe,
        questions=galaxies.questions,
        data=tuple(source.path.name for source in sources),
        data_digest=digest,
        split_digest=split.digest(galaxies.ids),
        counts={"training": len(split.training), "validation": len(split.validation), "test": len(split.test)},
        duplicates=duplicates,
        teachers=tuple(teacher.card.digest for teacher in teachers),
        start=start and start.card.digest,
        seen=tuple(start.card.training.get(SEEN, ())) if start else (),
        weights=first.name if first else None,
        notes=tuple(dict(source.notes) for source in sources),
        versions=run_files.versions("torch", "accelerate"),
    )
    for teacher in teachers:
        check_teacher(teacher, record)
    if before is not None:
        check_resumable(before, record, folder)
    with torch.random.fork_rng():
        # Made before the slow pass of the teachers, because it finds other errors.
        loop = Loop(galaxies, split, record, folder, watcher, start, first.state if first else None)
        if trial is not None:
            trial(loop)
            return []
        if plan is not None and not resuming:
            epochs = plan(loop.seconds_a_step(), loop.steps)
            if not epochs:
                return []
            loop.planned = True
            loop.record = record.model_copy(update={"recipe": recipe.model_copy(update={"epochs": epochs})})
        lessons = kept_lessons(folder, record) if resume else None
        if lessons is None and teachers:
            lessons = ask_teachers(teachers, galaxies, split.training, watcher)
            if processes.is_first():
                keep_lessons(folder, record, lessons)
        return loop.run(lessons, resuming=resuming, keep_stopped=keep_stopped)


def _check_start(start: Model, recipe: Recipe) -> None:
    """Raise an error for a model to fine-tune that was trained with another recipe."""
    for what, its, mine in (
        ("body", BODY, recipe.body),
        ("width", width_of(start), recipe.width),
        ("pictures", start.framing, recipe.own_framing),
    ):
        if its != mine:
            message = (
                f"{start.path} cannot be fine-tuned with other {what}: it has {its}, this run {mine}; leave "
                "body, width and size at those of the model"
            )
            raise UsageError(message)
