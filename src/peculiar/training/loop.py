"""The training loop of the galaxy network: several questions at once, resumable after every epoch."""

import math
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from peculiar.errors import RunError, UsageError
from peculiar.files import run_files
from peculiar.files.places import on_this_machine
from peculiar.metrics.calibration import fit_temperature
from peculiar.models.model_file import Model
from peculiar.models.seen import SEEN
from peculiar.questions.question import FOUR_CLASS, Question
from peculiar.questions.votes import numbers_of_votes
from peculiar.simulation.attributes import ATTRIBUTES
from peculiar.sources import Source, open_source
from peculiar.sources.answers import Answered, read_answered
from peculiar.sources.split import Split, data_digest
from peculiar.training import checkpoint
from peculiar.training.augment import views
from peculiar.training.balance import SURE, class_weights, draws
from peculiar.training.begin import first_net, unchanged
from peculiar.training.build import make_net
from peculiar.training.consistency import vicreg
from peculiar.training.dimensions import BODY
from peculiar.training.encoder_weights import FirstWeights
from peculiar.training.hints import ImageNetHints, hint_loss
from peculiar.training.lessons import ask_teachers, check_teacher, keep_lessons, kept_lessons
from peculiar.training.losses import dirichlet_multinomial, weighted_cross_entropy
from peculiar.training.networks.bodies import imagenet_file
from peculiar.training.networks.galaxy import channels_last
from peculiar.training.optimizer import make_optimizer, set_rate
from peculiar.training.parts import check_parts, content, other_looks, split_galaxies, told_split
from peculiar.training.recipe import (
    AVERAGED,
    LESSONS,
    NOTES,
    QUESTIONS,
    Recipe,
    RunRecord,
    check_resumable,
    make_recipe,
    read_record,
    width_of,
)
from peculiar.training.validation import Known, best_epoch, score
from peculiar.training.watch import Watcher
from peculiar.training.weights import write_weights

# A question with few labels, for which the model is made, has a higher weight.
_QUESTION_WEIGHTS = {FOUR_CLASS.name: 2.0}

# The first step is slower, because memory is allocated.
_MEASURED_STEPS = 3

# The terms of VICReg are divided by the weight that the paper gives to invariance.
_INVARIANCE = 25.0

# Training galaxies whose embeddings tell how they are whitened.
_WHITENED_BY = 8192


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
    watcher = watcher or Watcher()
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
        loop = _Loop(galaxies, split, record, folder, watcher, start, first.state if first else None)
        if plan is not None and not resuming:
            epochs = plan(loop.seconds_a_step(), loop.steps)
            if not epochs:
                return []
            loop.record = record.model_copy(update={"recipe": recipe.model_copy(update={"epochs": epochs})})
        lessons = kept_lessons(folder, record) if resume else None
        if lessons is None and teachers:
            lessons = ask_teachers(teachers, galaxies, split.training, watcher)
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


class _Loop:
    """The state of one run."""

    def __init__(
        self,
        data: Answered,
        parts: Split,
        record: RunRecord,
        folder: Path,
        watcher: Watcher,
        start: Model | None = None,
        body: Mapping[str, Tensor] | None = None,
    ) -> None:
        self.data, self.parts, self.record, self.folder, self.watcher = data, parts, record, folder, watcher
        self.lessons: dict[str, NDArray[np.float32]] = {}
        recipe = record.recipe
        AcceleratorState._reset_state()
        self.accelerator = Accelerator(mixed_precision=recipe.precision)
        self.device = self.accelerator.device
        torch.manual_seed(recipe.seed)
        net = first_net(record, data, parts.training, self.device, start=start, body=body)
        self.net = channels_last(net.to(self.device))
        self.average = channels_last(make_net(record).to(self.device)).eval()
        self.average.load_state_dict(self.net.state_dict())
        self.hints = channels_last(ImageNetHints().to(self.device)) if recipe.hints else None
        self.drawn = draws(data, parts.training)
        self.looks = other_looks(data.ids, parts.training) if recipe.consistency else {}
        self.galaxies = recipe.batch_size // (2 if recipe.consistency else 1)
        # Class weights would bias the vote fractions that the network learns.
        self.class_weights = {
            question.name: self._there(
                np.ones(len(question.answers), np.float32)
                if question.name in data.shares
                else class_weights(data.labels[question.name][self.drawn], len(question.answers))
            )
            for question in data.questions
        }
        self.steps = len(self.drawn) // self.galaxies
        if not self.steps:
            message = f"{len(self.drawn)} training galaxies are fewer than a batch of {recipe.batch_size}"
            raise UsageError(message)
        self.optimizer = make_optimizer(self.net, recipe)

    def seconds_a_step(self) -> float:
        """Measure the time of a step without changing the weights."""
        rows = self.drawn[: self.record.recipe.batch_size]
        self.net.train()
        times = []
        for _ in range(_MEASURED_STEPS):
            started = time.perf_counter()
            torch.autograd.backward(self._loss(rows))
            self.optimizer.zero_grad()
            times.append(time.perf_counter() - started)
        return min(times)

    def run(
        self,
        lessons: dict[str, NDArray[np.float32]] | None = None,
        *,
        resuming: bool = False,
        keep_stopped: bool = False,
    ) -> list[dict[str, Any]]:
        self.lessons = lessons or {}
        history = self._load() if resuming else self._begin()
        self.watcher.begin(self.record, sum(parameter.numel() for parameter in self.net.parameters()))
        try:
            self._epochs(history)
        except KeyboardInterrupt:
            if not (keep_stopped and (self.folder / run_files.LAST).exists()):
                raise
            history = self._load()
        if self.record.recipe.patience is not None:
            checkpoint.load_best(self.folder, self.average)
        run_files.write_json(self.folder / NOTES, self._conclude())
        return history

    def _epochs(self, history: list[dict[str, Any]]) -> None:
        """Train the remaining epochs, and add their lines to the history."""
        patience = self.record.recipe.patience
        for epoch in range(len(history) + 1, self.record.recipe.epochs + 1):
            if patience is not None and history and len(history) - best_epoch(history) >= patience:
                return
            started = time.perf_counter()
            line = {"epoch": epoch, "loss": self._train(epoch), **self._validate()}
            line["seconds"] = round(time.perf_counter() - started, 1)
            history.append(line)
            best = patience is not None and best_epoch(history) == len(history)
            checkpoint.save(self.folder, self.net, self.average, self.optimizer, history, best=best)
            self.watcher.epoch(line)

    def _begin(self) -> list[dict[str, Any]]:
        self.folder.mkdir(parents=True, exist_ok=True)
        parts = {
            name: list(dict.fromkeys(self.data.ids[row] for row in rows))
            for name, rows in (
                ("training", self.parts.training),
                ("validation", self.parts.validation),
                ("test", self.parts.test),
            )
        }
        # The record is written first, because it identifies the folder as a run.
        run_files.write_text(self.folder / run_files.RECORD, self.record.model_dump_json(indent=2) + "\n")
        run_files.write_split(self.folder, parts)
        return []

    def _load(self) -> list[dict[str, Any]]:
        return checkpoint.load(self.folder, self.net, self.average, self.optimizer)

    def _train(self, epoch: int) -> float:
        recipe = self.record.recipe
        self.net.train()
        # All randomness in an epoch is determined by the seed and the number of the epoch, so that a resumed run
        # repeats it.
        random = np.random.default_rng([recipe.seed, epoch])
        order = random.permutation(self.drawn)
        torch.manual_seed(int(random.integers(2**63)))
        total = 0.0
        for step in range(self.steps):
            rows = order[step * self.galaxies : (step + 1) * self.galaxies]
            if recipe.consistency:
                rows = np.concatenate([rows, [random.choice(self.looks.get(row, [row])) for row in rows]])
            progress = ((epoch - 1) * self.steps + step) / (recipe.epochs * self.steps)
            set_rate(self.optimizer, recipe, progress)
            loss = self._loss(rows)
            self.optimizer.zero_grad()
            torch.autograd.backward(loss)
            self.optimizer.step()
            self._take_average((epoch - 1) * self.steps + step + 1)
            total += loss.item()
            if not math.isfinite(total):
                message = "the loss is no longer a number; train with smaller steps (--learning-rate)"
                raise RunError(message)
            self.watcher.batch(epoch, step + 1, self.steps, total / (step + 1))
        return round(total / self.steps, 5)

    def _loss(self, rows: NDArray[np.intp]) -> Tensor:
        recipe = self.record.recipe
        pictures = torch.from_numpy(self.data.pictures[rows]).to(self.device)
        seen = views(pictures, recipe.size)
        with self.accelerator.autocast():
            embeddings = self.net.embed(seen)
            logits = self.net.answer(embeddings)
        losses = [self._question_loss(name, answers.float(), rows) for name, answers in logits.items()]
        if recipe.consistency:
            one, other = embeddings.float().chunk(2)
            losses.append(recipe.consistency * vicreg(one, other).loss() / _INVARIANCE)
        if self.hints is not None:
            losses.append(recipe.hints * hint_loss(self.net.hints(embeddings).float(), self.hints(seen[:, :3])))
        return torch.stack(losses).sum()

    def _question_loss(self, name: str, logits: Tensor, rows: NDArray[np.intp]) -> Tensor:
        recipe = self.record.recipe
        weight = recipe.attributes if name in ATTRIBUTES else _QUESTION_WEIGHTS.get(name, 1.0)
        labels, shares, trust = self.data.labels[name][rows], self.data.shares.get(name), self.data.trust[name][rows]
        if shares is not None and recipe.votes == "dirichlet":
            counts = numbers_of_votes(trust).astype(np.float32)
            loss = dirichlet_multinomial(logits, self._there(shares[rows]), self._there(counts))
        else:
            loss = weighted_cross_entropy(
                logits,
                self._there(labels if shares is None else shares[rows]),
                self._there(trust),
                self.class_weights[name],
                recipe.smoothing,
            )
        if name in self.lessons:
            # For a galaxy with an uncertain label the teacher would only repeat the label that it was trained on.
            sure = (labels < 0) | (trust >= SURE) | (shares is not None)
            lesson, asked = self._there(self.lessons[name][rows]), self._there(sure)
            taught = (functional.cross_entropy(logits, lesson, reduction="none") * asked).mean()
            loss = loss.lerp(taught, recipe.teaching)
        return weight * loss

    def _unchanged(self, rows: NDArray[np.intp]) -> Iterator[Tensor]:
        return unchanged(self.data, rows, self.record.recipe.size, self.device)

    def _there(self, values: NDArray[Any]) -> Tensor:
        return torch.from_numpy(values).to(self.device)

    @torch.no_grad()
    def _take_average(self, step: int) -> None:
        """Update the exponential moving average of the weights, faster at first."""
        decay = min(self.record.recipe.averaging, step / (step + 20))
        for average, now in zip(self.average.state_dict().values(), self.net.state_dict().values(), strict=True):
            if average.dtype.is_floating_point:
                average.lerp_(now, 1 - decay)
            else:
                average.copy_(now)

    def _validate(self) -> dict[str, Any]:
        """Score the averaged weights on the validation part."""
        spread = self.record.recipe.votes == "dirichlet"
        return {
            f"val_{name}": score(known, spread=spread and known.is_voted)
            for name, known in self._known_answers().items()
        }

    def _conclude(self) -> dict[str, Any]:
        """Fit the temperatures on the validation part, and the spreads of votes."""
        if self.record.recipe.embedding is not None:
            self._whiten()
        known = self._known_answers()
        spread = {name for name, one in known.items() if self.record.recipe.votes == "dirichlet" and one.is_voted}
        return {
            "temperatures": {
                # The logits of such questions also say how certain the shares are.
                name: round(fit_temperature(one.logits, one.answers, one.trust), 4)
                if len(one.labels) and name not in spread
                else 1.0
                for name, one in known.items()
            },
            "spreads": {name: round(known[name].fit_spread(), 4) for name in known if name in spread},
            "scores": {name: score(one, spread=name in spread) for name, one in known.items()},
        }

    def _whiten(self) -> None:
        """Whiten the embeddings of the averaged weights, as training galaxies have them."""
        rows = np.random.default_rng(self.record.recipe.seed).permutation(self.parts.training)[:_WHITENED_BY]
        with torch.inference_mode():
            embeddings = torch.cat([self.average.embed(seen) for seen in self._unchanged(rows)])
        self.average.whiten(embeddings.clone())
        write_weights(self.folder / AVERAGED, self.average.state_dict())

    def _known_answers(self) -> dict[str, Known]:
        """Return the labels or votes of the validation galaxies with the outputs of the network, by question."""
        rows = self.parts.validation
        with torch.inference_mode():
            answers: list[dict[str, Tensor]] = [self.average(seen) for seen in self._unchanged(rows)]
        found = {}
        for name, labels in self.data.labels.items():
            shares, trust = self.data.shares.get(name), self.data.trust[name][rows]
            known = labels[rows] >= 0 if shares is None else trust > 0
            logits = torch.cat([part[name] for part in answers]).float().cpu().numpy()
            found[name] = Known(
                labels[rows][known], None if shares is None else shares[rows][known], trust[known], logits[known]
            )
        return found
