"""Train the galaxy network: several questions at once, resumable after every epoch."""

import math
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from numpy.typing import NDArray
from scipy.special import softmax
from torch import Tensor
from torch.nn import functional

from peculiar.catalogs.teach import fit_head, fit_shares
from peculiar.checks.duplicates import same_galaxies
from peculiar.errors import LabelError, RunError, UsageError
from peculiar.files import run_files
from peculiar.metrics.calibration import fit_temperature
from peculiar.metrics.scores import class_auc
from peculiar.models.model_file import Model, cores
from peculiar.models.seen import SEEN
from peculiar.questions.question import CLEAN5, FOUR_CLASS, ODD, Question
from peculiar.questions.votes import Votes, deviations
from peculiar.sources import Source, open_source
from peculiar.sources.answers import Answered, read_answered
from peculiar.sources.split import Split, data_digest, split_by_id
from peculiar.text import format_score
from peculiar.training.augment import middle, views
from peculiar.training.losses import weighted_cross_entropy
from peculiar.training.networks.bodies import imagenet_file, load_imagenet
from peculiar.training.networks.galaxy import GalaxyNet, channels_last, numbered_heads
from peculiar.training.recipe import NOTES, FitRecord, Recipe, check_same, make_recipe, read_fit
from peculiar.training.restore import BODY, restore, set_head, width_of
from peculiar.training.weights import read_weights, write_weights

QUESTIONS: tuple[Question, ...] = (FOUR_CLASS, CLEAN5, ODD)
"""Those of the model that ships."""

AVERAGED = "averaged.safetensors"
"""Weights averaged over the last few hundred steps: those to use."""

LESSONS = "lessons.safetensors"
"""What teachers said, so that a resumed run need not ask them again."""

# A rare answer is drawn up to so many times as often as the most frequent one, if its label is as sure as this:
# seen again and again, wrong labels are learned by heart.
_MOST_DRAWS = 3
_SURE = 0.8

# What imbalance the draws leave, the loss makes up for by this power of it: whole, the rarest few would decide.
_CLASS_WEIGHT_POWER = 1 / 2

# A question with few labels, but the reason that the model exists, counts more.
_QUESTION_WEIGHTS = {FOUR_CLASS.name: 2.0}

# What the first layers see, edges and colours, is the same in all pictures: weights that know it are kept, which saves
# a quarter of the time. Heads, which mostly begin with nothing, take longer steps.
_FIRST_LAYERS, _HEADS_SPEED = 4, 4.0

# A teacher looks at every galaxy from all sides, so that its pupil learns to answer alike whatever way one is turned.
_TEACHER_VIEWS = 8
_TEACHER_BATCH = 32

# The average is kept with the optimiser's state as well, so that one file decides where a resumed run goes on.
_AVERAGE = "average."

_WARM_UP = 0.1
_VALIDATION_BATCH = 128


class FitWatcher:
    """What a fit tells whoever watches; does nothing unless overridden."""

    def reading(self, done: int, total: int) -> None:
        """Tell how many pictures have been read."""

    def comparing(self, done: int, total: int) -> None:
        """Tell how many pictures have been compared with others, to find those of the same galaxy."""

    def asking(self, done: int, total: int) -> None:
        """Tell about how many pictures the teacher has been asked."""

    def begin(self, record: FitRecord, parameters: int) -> None:
        """Tell that training begins."""

    def batch(self, epoch: int, done: int, total: int, loss: float) -> None:
        """Tell that a batch is done, and the epoch's mean loss so far."""

    def epoch(self, line: dict[str, Any]) -> None:
        """Tell the line of the history that an epoch added."""


class EpochLines(FitWatcher):
    """Writes a line an epoch to standard error: what a fit from Python shows unless told otherwise."""

    def begin(self, record: FitRecord, parameters: int) -> None:
        """Write how many pictures there are, and which questions."""
        sys.stderr.write(f"{record_text(record, parameters)}\n")
        self._epochs = record.recipe.epochs

    def epoch(self, line: dict[str, Any]) -> None:
        """Write the scores of an epoch."""
        sys.stderr.write(f"{epoch_text(line, self._epochs)}\n")


def record_text(record: FitRecord, parameters: int) -> str:
    """Return in words what a fit learns from."""
    counts = ", ".join(f"{part} {count:,}" for part, count in record.counts.items())
    questions = ", ".join(question.name for question in record.questions)
    return f"pictures: {counts}; questions: {questions}; {parameters:,} parameters"


def epoch_text(line: dict[str, Any], epochs: int) -> str:
    """Return a line of the history in words."""
    scores = "  |  ".join(
        f"{key.removeprefix('val_')} accuracy {format_score(value['accuracy'])}, "
        + (
            f"shares off by {format_score(max(value['deviation']))}"
            if "deviation" in value
            else f"AUC {format_score(value['auc'])}"
        )
        for key, value in line.items()
        if key.startswith("val_")
    )
    return (
        f"epoch {line['epoch']}/{epochs}  loss {line['loss']:.3f}  |  validation: {scores}  ({line['seconds']:.0f} s)"
    )


def fit(
    data: Sequence[str | os.PathLike[str] | Source],
    out: str | os.PathLike[str],
    recipe: Recipe | None = None,
    *,
    questions: Sequence[Question] = QUESTIONS,
    teachers: Sequence[Model] = (),
    start: Model | None = None,
    resume: bool = False,
    watcher: FitWatcher | None = None,
    verbose: bool = True,
) -> list[dict[str, Any]]:
    """Train the galaxy network on several questions at once.

    Rows answer the questions that they have labels for. A hash of its id decides which part a galaxy is in; pictures
    of one galaxy under different ids are kept on one side. The test part is not looked at here.

    Parameters
    ----------
    data : sequence of path-like or Source
        The same galaxy may occur in several of them, as pictures of different sharpness.
    out : path-like
        Folder of the run: ``run.json``, ``split.csv``, ``history.jsonl``, ``averaged.safetensors`` (the weights to
        use) and ``last.safetensors`` (to resume from; with teachers, ``lessons.safetensors`` as well).
    recipe : Recipe, optional
    questions : sequence of Question
        Those that the data have labels for are learned; of those that name columns of votes, the shares of the answers.
    teachers : sequence of Model
        Models to learn from as well (knowledge distillation, Hinton et al. 2015): their probabilities, averaged over
        turned and mirrored views, say more of a galaxy than one label does, and answer the questions that have none.
        They have to have been trained on the same parts, so that they know nothing of the galaxies that are held back.
    start : Model, optional
        A model to go on from (fine-tuning) rather than from weights of ImageNet; see `recipe`. A question that it does
        not answer begins with the head that `peculiar.catalogs.teach` would give it, so that the first steps do not
        spoil what the body knows (Kumar et al. 2022).
    resume : bool
        Go on with the run in `out`, if there is one.
    watcher : FitWatcher, optional
        Told of the progress.
    verbose : bool
        Without a watcher, write a line an epoch to standard error.

    Returns
    -------
    list of dict
        The history, a line an epoch: loss, and on the validation part accuracy, balanced accuracy and AUC a question.

    Raises
    ------
    UsageError
        If `out` holds something already and `resume` is not set, or a teacher answers other questions, wants other
        pictures, or may have seen galaxies that are held back; or the model to go on from wants other pictures or has
        another width.
    MissingExtraError
        If weights of ImageNet are wanted, and not installed.
    ModelError
        If the model to go on from is another network.
    RunError
        If the run in `out` had another recipe or other data, or is damaged, or the loss is no longer a number.
    LabelError
        If there are no labels to learn from, or none of a question in the training part, or no galaxy in the validation
        part, or fewer than five galaxies of an answer to a question that is new to the model to go on from.
    """
    recipe, folder = recipe or make_recipe(start), Path(out)
    watcher = watcher or (EpochLines() if verbose else FitWatcher())
    if start is not None:
        recipe = recipe.model_copy(update={"pretrained": False})
    resuming = resume and (folder / run_files.LAST).exists()
    run_files.check_folder(folder, resume=resume, known=(run_files.RECORD, LESSONS))
    # Told before anything is read.
    if recipe.pretrained:
        imagenet_file()
    if start is not None:
        _check_start(start, recipe)
    sources = [one if isinstance(one, Source) else open_source(one) for one in data]
    galaxies = read_answered(sources, questions, recipe.training_framing, progress=watcher.reading)
    parts, duplicates = fit_parts(galaxies, sources, recipe, progress=watcher.comparing)
    _check_parts(galaxies, parts)
    few = len(parts.training) < recipe.batch_size and "batch_size" not in recipe.model_fields_set
    if few:  # so small a set has not to be told how many go into a step
        recipe = recipe.model_copy(update={"batch_size": max(2, len(parts.training))})
    record = FitRecord(
        recipe=recipe,
        questions=galaxies.questions,
        data=tuple(source.path.name for source in sources),
        data_digest=data_digest(galaxies.ids, _told(galaxies), galaxies.pictures),
        split_digest=parts.digest(galaxies.ids),
        counts={"training": len(parts.training), "validation": len(parts.validation), "test": len(parts.test)},
        duplicates=duplicates,
        teachers=tuple(teacher.card.digest for teacher in teachers),
        start=start and start.card.digest,
        seen=tuple(start.card.training.get(SEEN, ())) if start else (),
        notes=tuple(dict(source.notes) for source in sources),
        versions=run_files.versions("torch", "accelerate"),
    )
    for teacher in teachers:
        _check_teacher(teacher, record)
    if resuming:
        check_same(read_fit(folder), record, folder)
    with torch.random.fork_rng():
        # Made before the teachers are asked, which takes long: it finds what else may be wrong.
        loop = _Fit(galaxies, parts, record, folder, watcher, start)
        lessons = _kept_lessons(folder, record) if resume else None
        if lessons is None and teachers:
            lessons = _lessons(teachers, galaxies, parts.training, watcher)
            _keep_lessons(folder, record, lessons)
        return loop.run(lessons, resuming=resuming)


def fit_parts(
    galaxies: Answered,
    sources: Sequence[Source],
    recipe: Recipe,
    *,
    progress: Callable[[int, int], object] = lambda done, total: None,
) -> tuple[Split, int]:
    """Return the parts of galaxies that were read from some sources, and the number of pairs of duplicates.

    Pictures of one galaxy under different ids, however turned, mirrored or cut, are in the same part.
    """
    places = {id_: row for row, id_ in enumerate(galaxies.ids)}
    done = 0

    def count(more: int) -> None:
        nonlocal done
        done += more
        progress(done, len(places))

    pairs = same_galaxies(sources, places, threads=cores(), progress=count)
    same = [(places[one], places[other]) for one, other in pairs]
    parts = split_by_id(galaxies.ids, same, validation_size=recipe.validation_size, test_size=recipe.test_size)
    return parts, len(pairs)


def _told(galaxies: Answered) -> NDArray[np.int64]:
    """Return all that is known of galaxies, shape (questions and voted answers, n), as whole numbers."""
    votes = [galaxies.trust[name] * shares.T for name, shares in galaxies.shares.items()]
    return np.vstack([*galaxies.labels.values(), *(np.rint(1e6 * one).astype(np.int64) for one in votes)])


def _check_parts(data: Answered, parts: Split) -> None:
    """Refuse galaxies of which too few have answers to learn from, or to choose by."""
    if not len(parts.validation):
        message = (
            f"none of the {len(set(data.ids))} galaxies falls into the validation part, which a hash of their ids "
            "decides; give more of them"
        )
        raise LabelError(message)
    for name, labels in data.labels.items():
        if not (labels[parts.training] >= 0).any():
            message = f"no galaxy of the training part answers {name!r}; give more that do, or leave the question out"
            raise LabelError(message)


def _check_teacher(teacher: Model, record: FitRecord) -> None:
    """Refuse a teacher that could not be understood, or that would give away what is held back."""
    mine = {question.name: question.answers for question in record.questions}
    its = {question.name: question.answers for question in teacher.card.questions if question.name in mine}
    if its != mine:
        message = f"the teacher {teacher.path} does not answer the same questions: {mine} are asked, it knows {its}"
        raise UsageError(message)
    if teacher.framing != record.recipe.framing:
        message = f"the teacher {teacher.path} wants {teacher.framing}, and this run {record.recipe.framing}"
        raise UsageError(message)
    if teacher.card.training.get("split_digest") != record.split_digest:
        message = (
            f"the teacher {teacher.path} was trained on other parts of the data, so that it may know galaxies that are "
            "held back here; train one on the same data with the same shares"
        )
        raise UsageError(message)


def _check_start(start: Model, recipe: Recipe) -> None:
    """Refuse a model to go on from that another recipe made."""
    for what, its, mine in (
        ("body", BODY, recipe.body),
        ("width", width_of(start), recipe.width),
        ("pictures", start.framing, recipe.framing),
    ):
        if its != mine:
            message = (
                f"training cannot go on from {start.path} with other {what}: it has {its}, and this run {mine}; leave "
                "body, width and size to the model"
            )
            raise UsageError(message)


def _lessons(
    teachers: Sequence[Model], data: Answered, rows: NDArray[np.intp], watcher: FitWatcher
) -> dict[str, NDArray[np.float32]]:
    """Return teachers' mean probabilities, by question, of some of the galaxies; the rows of others stay 0."""
    size = teachers[0].framing.size
    rim = (data.pictures.shape[1] - size) // 2
    lessons = {question.name: np.zeros((len(data), len(question.answers)), np.float32) for question in data.questions}
    for start in range(0, len(rows), _TEACHER_BATCH):
        some = rows[start : start + _TEACHER_BATCH]
        pictures = data.pictures[some, rim : rim + size, rim : rim + size]
        told = [teacher.classify(pictures, views=_TEACHER_VIEWS, framed=True).probabilities for teacher in teachers]
        for name, lesson in lessons.items():
            lesson[some] = np.mean([probabilities[name] for probabilities in told], axis=0)
        watcher.asking(min(start + _TEACHER_BATCH, len(rows)), len(rows))
    return lessons


def _keep_lessons(folder: Path, record: FitRecord, lessons: dict[str, NDArray[np.float32]]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {str(number): torch.from_numpy(lesson) for number, lesson in enumerate(lessons.values())}
    write_weights(folder / LESSONS, tensors, {"of": _asked(record)})


def _kept_lessons(folder: Path, record: FitRecord) -> dict[str, NDArray[np.float32]] | None:
    """Return what the same teachers said of the same galaxies before a run was stopped, if they were asked."""
    if not (folder / LESSONS).exists():
        return None
    tensors, _, notes = read_weights(folder / LESSONS)
    names = {str(number): question.name for number, question in enumerate(record.questions)}
    if notes.get("of") != _asked(record) or set(tensors) != set(names):
        return None
    return {name: tensors[number].numpy() for number, name in names.items()}


def _asked(record: FitRecord) -> str:
    return record.model_dump_json(include={"teachers", "data_digest", "split_digest", "questions"})


class _Fit:
    """The state of one fit."""

    def __init__(
        self,
        data: Answered,
        parts: Split,
        record: FitRecord,
        folder: Path,
        watcher: FitWatcher,
        start: Model | None = None,
    ) -> None:
        self.data, self.parts, self.record, self.folder, self.watcher = data, parts, record, folder, watcher
        self.lessons: dict[str, NDArray[np.float32]] = {}
        recipe = record.recipe
        AcceleratorState._reset_state()
        self.accelerator = Accelerator(mixed_precision=recipe.precision)
        self.device = self.accelerator.device
        torch.manual_seed(recipe.seed)
        answers = {question.name: len(question.answers) for question in data.questions}
        net = GalaxyNet(answers, recipe.width, recipe.body) if start is None else self._go_on_from(start)
        if start is None and recipe.pretrained:
            load_imagenet(net.body)
        if start is not None or recipe.pretrained:
            net.body[:_FIRST_LAYERS].requires_grad_(requires_grad=False)
        self.net = channels_last(net.to(self.device))
        self.average = channels_last(GalaxyNet(answers, recipe.width, recipe.body).to(self.device)).eval()
        self.average.load_state_dict(self.net.state_dict())
        self.drawn = _draws(data, parts.training)
        # With weights the shares of votes that a network learns would be others.
        self.class_weights = {
            question.name: self._there(
                np.ones(len(question.answers), np.float32)
                if question.name in data.shares
                else _class_weights(data.labels[question.name][self.drawn], len(question.answers))
            )
            for question in data.questions
        }
        self.steps = len(self.drawn) // recipe.batch_size
        if not self.steps:
            message = f"{len(self.drawn)} galaxies to learn from are fewer than a batch of {recipe.batch_size}"
            raise UsageError(message)
        # Offsets are not decayed: they do not make a network simpler.
        groups: dict[tuple[bool, bool], list[Tensor]] = {}
        for name, parameter in self.net.named_parameters():
            if parameter.requires_grad:
                groups.setdefault((name.startswith("heads."), parameter.ndim > 1), []).append(parameter)
        self.optimizer = torch.optim.AdamW(
            [
                {
                    "params": parameters,
                    "weight_decay": recipe.weight_decay if matrices else 0.0,
                    "speed": _HEADS_SPEED if heads else 1.0,
                }
                for (heads, matrices), parameters in groups.items()
            ],
            lr=recipe.learning_rate,
            fused=True,
        )

    def run(
        self, lessons: dict[str, NDArray[np.float32]] | None = None, *, resuming: bool = False
    ) -> list[dict[str, Any]]:
        self.lessons = lessons or {}
        history = self._resume() if resuming else self._begin()
        self.watcher.begin(self.record, sum(parameter.numel() for parameter in self.net.parameters()))
        for epoch in range(len(history) + 1, self.record.recipe.epochs + 1):
            started = time.perf_counter()
            line = {"epoch": epoch, "loss": self._train(epoch), **self._validate()}
            line["seconds"] = round(time.perf_counter() - started, 1)
            history.append(line)
            self._save(history)
            self.watcher.epoch(line)
        run_files.write_json(self.folder / NOTES, self._conclude())
        return history

    def _go_on_from(self, start: Model) -> GalaxyNet:
        """Return the network of a model; questions that are new to it get heads on its embeddings as they are."""
        net, new = restore(start, self.data.questions)
        net.to(self.device).eval()
        for question in new:
            labels, shares = self.data.labels[question.name], self.data.shares.get(question.name)
            trust = self.data.trust[question.name]
            rows = self.parts.training
            rows = rows[labels[rows] >= 0 if shares is None else trust[rows] > 0]
            with torch.inference_mode():
                embeddings = torch.cat([net.embed(seen).cpu() for seen in self._seen(rows)]).numpy()
            if shares is None:
                head = fit_head(embeddings, labels[rows], question, seed=self.record.recipe.seed)
                weights, bias = head.weights / head.temperature, head.bias / head.temperature
            else:
                weights, bias = fit_shares(embeddings, shares[rows], trust[rows])
            set_head(net, question, weights.T, bias)
        return net

    def _seen(self, rows: NDArray[np.intp]) -> Iterator[Tensor]:
        """Yield galaxies as the network sees them when it does not train, in batches."""
        for start in range(0, len(rows), _VALIDATION_BATCH):
            some = torch.from_numpy(self.data.pictures[rows[start : start + _VALIDATION_BATCH]])
            yield middle(some.to(self.device), self.record.recipe.size)

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
        # The record is the first file, by which the folder is known as that of a run.
        run_files.write_text(self.folder / run_files.RECORD, self.record.model_dump_json(indent=2) + "\n")
        run_files.write_split(self.folder, parts)
        return []

    def _resume(self) -> list[dict[str, Any]]:
        tensors, state, notes = read_weights(self.folder / run_files.LAST)
        history = run_files.parse_history(notes.get("history", ""), self.folder / run_files.LAST)
        names = [question.name for question in self.data.questions]
        self.net.load_state_dict(numbered_heads(tensors, names))
        averaged = {name: value for name, value in state.items() if name.startswith(_AVERAGE)}
        average = {name.removeprefix(_AVERAGE): value for name, value in averaged.items()}
        self.average.load_state_dict(numbered_heads(average, names))
        self._restore_optimizer({name: value for name, value in state.items() if name not in averaged})
        run_files.write_history(self.folder, history)
        return history

    def _save(self, history: list[dict[str, Any]]) -> None:
        write_weights(self.folder / AVERAGED, self.average.state_dict())
        state = {_AVERAGE + name: value for name, value in self.average.state_dict().items()}
        for number, values in self.optimizer.state_dict()["state"].items():
            state.update({f"{number}.{name}": value for name, value in values.items()})
        note = {"history": run_files.format_history(history)}
        write_weights(self.folder / run_files.LAST, self.net.state_dict(), note, state)
        run_files.write_history(self.folder, history)

    def _restore_optimizer(self, tensors: dict[str, Tensor]) -> None:
        state: dict[int, dict[str, Tensor]] = {}
        for key, value in tensors.items():
            number, name = key.split(".")
            # The fused optimiser walks through memory, so its state has to be laid out as the weights are.
            laid_out = value.contiguous(memory_format=torch.channels_last) if value.ndim == 4 else value
            state.setdefault(int(number), {})[name] = laid_out
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": state})

    def _train(self, epoch: int) -> float:
        recipe = self.record.recipe
        self.net.train()
        # Everything random in an epoch follows from the seed and its number, so that a resumed run repeats it.
        random = np.random.default_rng([recipe.seed, epoch])
        order = random.permutation(self.drawn)
        torch.manual_seed(int(random.integers(2**63)))
        total = 0.0
        for step in range(self.steps):
            rows = order[step * recipe.batch_size : (step + 1) * recipe.batch_size]
            progress = ((epoch - 1) * self.steps + step) / (recipe.epochs * self.steps)
            for group in self.optimizer.param_groups:
                group["lr"] = recipe.learning_rate * group["speed"] * _rate(progress)
            loss = self._loss(rows)
            self.optimizer.zero_grad()
            torch.autograd.backward(loss)
            self.optimizer.step()
            self._take_average((epoch - 1) * self.steps + step + 1)
            total += loss.item()
            if not math.isfinite(total):
                message = "the loss is no longer a number; train with a smaller step (--learning-rate)"
                raise RunError(message)
            self.watcher.batch(epoch, step + 1, self.steps, total / (step + 1))
        return round(total / self.steps, 5)

    def _loss(self, rows: NDArray[np.intp]) -> Tensor:
        recipe = self.record.recipe
        pictures = torch.from_numpy(self.data.pictures[rows]).to(self.device)
        seen = views(pictures, recipe.size)
        with self.accelerator.autocast():
            logits = self.net(seen)
        losses = [self._question_loss(name, answers.float(), rows) for name, answers in logits.items()]
        return torch.stack(losses).sum()

    def _question_loss(self, name: str, logits: Tensor, rows: NDArray[np.intp]) -> Tensor:
        recipe, weight = self.record.recipe, _QUESTION_WEIGHTS.get(name, 1.0)
        labels, shares, trust = self.data.labels[name][rows], self.data.shares.get(name), self.data.trust[name][rows]
        loss = weighted_cross_entropy(
            logits,
            self._there(labels if shares is None else shares[rows]),
            self._there(trust),
            self.class_weights[name],
            recipe.smoothing,
        )
        if self.lessons:
            # Of a galaxy with an unsure label the teacher repeats just that: it was trained on it.
            sure = (labels < 0) | (trust >= _SURE) | (shares is not None)
            lesson, asked = self._there(self.lessons[name][rows]), self._there(sure)
            taught = (functional.cross_entropy(logits, lesson, reduction="none") * asked).mean()
            loss = loss.lerp(taught, recipe.teaching)
        return weight * loss

    def _there(self, values: NDArray[Any]) -> Tensor:
        return torch.from_numpy(values).to(self.device)

    @torch.no_grad()
    def _take_average(self, step: int) -> None:
        """Move the average a little towards the weights; faster at first, when it still knows nothing."""
        decay = min(self.record.recipe.averaging, step / (step + 20))
        for average, now in zip(self.average.state_dict().values(), self.net.state_dict().values(), strict=True):
            if average.dtype.is_floating_point:
                average.lerp_(now, 1 - decay)
            else:
                average.copy_(now)

    def _validate(self) -> dict[str, Any]:
        """Score the averaged weights on the validation part."""
        return {f"val_{name}": _scores(known) for name, known in self._known_answers().items()}

    def _conclude(self) -> dict[str, Any]:
        """Fit what turns logits into probabilities, on the validation part."""
        known = self._known_answers()
        return {
            "temperatures": {
                name: round(fit_temperature(one.logits, one.answers, one.trust), 4) if len(one.labels) else 1.0
                for name, one in known.items()
            },
            "scores": {name: _scores(one) for name, one in known.items()},
        }

    def _known_answers(self) -> dict[str, "_Known"]:
        """Return what is known of the validation part's galaxies, and what the network says of them, by question."""
        rows = self.parts.validation
        with torch.inference_mode():
            answers: list[dict[str, Tensor]] = [self.average(seen) for seen in self._seen(rows)]
        found = {}
        for name, labels in self.data.labels.items():
            shares, trust = self.data.shares.get(name), self.data.trust[name][rows]
            known = labels[rows] >= 0 if shares is None else trust > 0
            logits = torch.cat([part[name] for part in answers]).float().cpu().numpy()
            found[name] = _Known(
                labels[rows][known], None if shares is None else shares[rows][known], trust[known], logits[known]
            )
        return found


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known of some galaxies, and what the network says of them."""

    labels: NDArray[np.int64]
    shares: NDArray[np.float32] | None
    trust: NDArray[np.float32]
    logits: NDArray[np.float32]

    @property
    def answers(self) -> NDArray[np.int64] | NDArray[np.float32]:
        """Numbers of the answers; or the shares of each, where people voted."""
        return self.labels if self.shares is None else self.shares


def _scores(known: _Known) -> dict[str, Any]:
    classes = known.logits.shape[1]
    probabilities, labels = softmax(known.logits, axis=1), known.labels
    voted = {}
    if known.shares is not None:
        off = deviations(Votes(known.shares, known.trust, labels), probabilities)
        voted = {"deviation": [round(value, 4) for value in off.tolist()]}
        # Of galaxies whose votes are level no answer is the right one.
        probabilities, labels = probabilities[labels >= 0], labels[labels >= 0]
    chosen = probabilities.argmax(axis=1)
    recalls = [
        float((chosen[labels == number] == number).mean()) for number in range(classes) if (labels == number).any()
    ]
    aucs = [class_auc((labels == number).astype(np.float32), probabilities[:, number]) for number in range(classes)]
    areas = [auc for auc in aucs if auc is not None]
    return {
        "galaxies": len(labels),
        "accuracy": round(float((chosen == labels).mean()), 4) if len(labels) else None,
        "balanced_accuracy": round(float(np.mean(recalls)), 4) if recalls else None,
        "recall": [round(value, 4) for value in recalls],
        "auc": round(float(np.mean(areas)), 4) if areas else None,
        **voted,
    }


def _draws(data: Answered, rows: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the rows of an epoch: as often as the square root of how rare a row's rarest sure answer is, 3 at most."""
    # Of votes the shares are learned, which would be others if some galaxies came more often for their votes.
    labelled = {name: labels[rows] for name, labels in data.labels.items() if name not in data.shares}
    counts = {name: np.bincount(labels[labels >= 0]) for name, labels in labelled.items()}
    most = max((count.max() for count in counts.values()), default=1)
    times = np.ones(len(rows))
    for name, labels in labelled.items():
        known = (labels >= 0) & (data.trust[name][rows] >= _SURE)
        rarity = np.sqrt(most / np.maximum(counts[name], 1))
        times[known] = np.maximum(times[known], rarity[labels[known]])
    return np.repeat(rows, np.minimum(times, _MOST_DRAWS).astype(int))


def _class_weights(labels: NDArray[np.int64], classes: int) -> NDArray[np.float32]:
    counts = np.bincount(labels[labels >= 0], minlength=classes)
    counts[counts == 0] = max(counts.max(), 1)  # what never occurs has no say
    weights: NDArray[np.float32] = ((counts.max() / counts) ** _CLASS_WEIGHT_POWER).astype(np.float32)
    return weights


def _rate(progress: float) -> float:
    """Return the share of the peak learning rate after so much of the training."""
    if progress < _WARM_UP:
        return progress / _WARM_UP
    return (1 + math.cos(math.pi * (progress - _WARM_UP) / (1 - _WARM_UP))) / 2


def load_net(folder: Path, record: FitRecord) -> GalaxyNet:
    """Load the averaged weights of a fit, ready to classify."""
    answers = {question.name: len(question.answers) for question in record.questions}
    net = GalaxyNet(answers, record.recipe.width, record.recipe.body)
    tensors, _, _ = read_weights(folder / AVERAGED)
    try:
        net.load_state_dict(numbered_heads(tensors, net.questions))
    except RuntimeError as error:
        message = f"{folder}: the weights do not fit the network of {run_files.RECORD} ({error})"
        raise RunError(message) from error
    return net.eval()
