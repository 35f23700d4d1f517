"""The epochs of a training run: steps, scores after each epoch, and checkpoints."""

import math
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import broadcast_object_list
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from peculiar.errors import RunError, UsageError
from peculiar.files import run_files
from peculiar.metrics.calibration import fit_temperature
from peculiar.models.model_file import Model
from peculiar.questions.question import FOUR_CLASS
from peculiar.questions.votes import numbers_of_votes
from peculiar.simulation.attributes import ATTRIBUTES
from peculiar.sources.answers import Answered
from peculiar.sources.split import Split
from peculiar.training import checkpoint
from peculiar.training.augment import views
from peculiar.training.balance import SURE, class_weights, draws
from peculiar.training.begin import first_net, unchanged
from peculiar.training.build import make_net
from peculiar.training.consistency import INVARIANCE, vicreg
from peculiar.training.hints import ImageNetHints, hint_loss
from peculiar.training.losses import dirichlet_multinomial, weighted_cross_entropy
from peculiar.training.networks.galaxy import channels_last
from peculiar.training.optimizer import make_optimizer, set_rate
from peculiar.training.parts import other_looks
from peculiar.training.recipe import AVERAGED, NOTES, RunRecord
from peculiar.training.validation import Known, best_epoch, score
from peculiar.training.watch import Watcher, duration_text
from peculiar.training.weights import write_weights

# The main question has few labels, and therefore a higher weight.
_QUESTION_WEIGHTS = {FOUR_CLASS.name: 2.0}

# The first step is slower, because memory is allocated.
_MEASURED_STEPS = 3

# Number of steps after the first from which the remaining time is estimated.
_ESTIMATED_BY = 10

# Number of training galaxies to which the whitening is fitted.
_WHITENED_BY = 8192


class Loop:
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
            message = (
                f"{len(self.drawn)} training galaxies are fewer than a batch of {recipe.batch_size}; give more "
                "galaxies, or a smaller batch (--batch-size)"
            )
            raise UsageError(message)
        least = self.accelerator.num_processes * recipe.accumulate * (2 if recipe.consistency else 1)
        if self.galaxies < least:
            message = (
                f"a batch of {recipe.batch_size} galaxies cannot be computed in {least} pieces; take fewer, or a "
                "larger batch (--batch-size)"
            )
            raise UsageError(message)
        self.optimizer = make_optimizer(self.net, recipe)
        self.planned, self.first_epoch, self.started = False, 1, 0.0

    def seconds_a_step(self) -> float:
        """Measure the time of a step without changing the weights."""
        rows = self.drawn[: self.record.recipe.batch_size]
        self.net.train()
        times = []
        for _ in range(_MEASURED_STEPS):
            started = time.perf_counter()
            self._gradients(rows)
            self.optimizer.zero_grad()
            times.append(time.perf_counter() - started)
        return min(times)

    def try_step(self, number: int, rate: float) -> float:
        """Take a step at a learning rate, on the galaxies of that number, and return the loss before it."""
        recipe = self.record.recipe
        order = np.random.default_rng([recipe.seed, number // self.steps]).permutation(self.drawn)
        start = number % self.steps * self.galaxies
        self.net.train()
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["speed"]
        self.optimizer.zero_grad()
        loss = self._gradients(self._with_looks(order[start : start + self.galaxies], np.random.default_rng(number)))
        self.optimizer.step()
        return loss

    def run(
        self,
        lessons: dict[str, NDArray[np.float32]] | None = None,
        *,
        resuming: bool = False,
        keep_stopped: bool = False,
    ) -> list[dict[str, Any]]:
        """Train the epochs that are left, conclude the run, and return its history."""
        self.lessons = lessons or {}
        # Each process has to find the folder as it was, before the first one writes.
        self.accelerator.wait_for_everyone()
        history = self._load() if resuming else self._begin()
        self.first_epoch = len(history) + 1
        self.watcher.begin(self.record, sum(parameter.numel() for parameter in self.net.parameters()))
        try:
            self._epochs(history)
        except KeyboardInterrupt:
            if not (keep_stopped and (self.folder / run_files.LAST).exists()):
                raise
            history = self._load()
        if self.accelerator.is_main_process:
            if self.record.recipe.patience is not None:
                checkpoint.load_best(self.folder, self.average)
            run_files.write_json(self.folder / NOTES, self._conclude())
        self.accelerator.wait_for_everyone()
        return history

    def _epochs(self, history: list[dict[str, Any]]) -> None:
        """Train the remaining epochs, and add their lines to the history."""
        patience = self.record.recipe.patience
        for epoch in range(len(history) + 1, self.record.recipe.epochs + 1):
            if patience is not None and history and len(history) - best_epoch(history) >= patience:
                return
            started = time.perf_counter()
            line = {"epoch": epoch, "loss": self._train(epoch)}
            if self.accelerator.is_main_process:
                line |= self._validate()
                line["seconds"] = round(time.perf_counter() - started, 1)
            # All processes have to see the same scores, by which training may end.
            (line,) = broadcast_object_list([line])
            history.append(line)
            if self.accelerator.is_main_process:
                best = patience is not None and best_epoch(history) == len(history)
                checkpoint.save(self.folder, self.net, self.average, self.optimizer, history, best=best)
                self.watcher.epoch(line)

    def _begin(self) -> list[dict[str, Any]]:
        if not self.accelerator.is_main_process:
            return []
        run_files.write_beginning(self.folder, self.record, self.data.ids, self.parts.by_name())
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
            rows = self._with_looks(order[step * self.galaxies : (step + 1) * self.galaxies], random)
            progress = ((epoch - 1) * self.steps + step) / (recipe.epochs * self.steps)
            set_rate(self.optimizer, recipe, progress)
            self.optimizer.zero_grad()
            total += self._gradients(rows)
            self.optimizer.step()
            self._take_average((epoch - 1) * self.steps + step + 1)
            if not math.isfinite(total):
                message = "the loss is no longer a number; train with smaller steps (--learning-rate)"
                raise RunError(message)
            self.watcher.batch(epoch, step + 1, self.steps, total / (step + 1))
            self._estimate(epoch, step)
        return round(total / self.steps, 5)

    def _with_looks(self, rows: NDArray[np.intp], random: np.random.Generator) -> NDArray[np.intp]:
        """Return a batch with second looks, if the recipe wants them."""
        if not self.record.recipe.consistency:
            return rows
        return np.concatenate([rows, [random.choice(self.looks.get(row, [row])) for row in rows]])

    def _gradients(self, rows: NDArray[np.intp]) -> float:
        """Compute the gradients of a batch, in pieces, some of them in other processes; return its loss.

        Augmentation and dropout are drawn for the whole batch, so that pieces and processes change nothing.
        """
        pictures = torch.from_numpy(self.data.pictures[rows]).to(self.device)
        seen = views(pictures, self.record.recipe.size)
        kept = self.net.dropout(torch.ones(len(rows), self.net.size, device=self.device))
        total = torch.zeros((), device=self.device)
        for piece in self._pieces(len(rows)):
            loss = self._loss(rows[piece], seen[piece], kept[piece]) * (len(piece) / len(rows))
            torch.autograd.backward(loss)
            total += loss.detach()
        if self.accelerator.num_processes > 1:
            learned = [parameter for parameter in self.net.parameters() if parameter.grad is not None]
            whole = torch.cat([total[None], *(cast(Tensor, one.grad).flatten() for one in learned)])
            total, *gradients = self.accelerator.reduce(whole, "sum").split([1, *(one.numel() for one in learned)])
            for parameter, gradient in zip(learned, gradients, strict=True):
                cast(Tensor, parameter.grad).copy_(gradient.view_as(parameter))
        return total.item()

    def _pieces(self, count: int) -> list[NDArray[np.intp]]:
        """Return the pieces of a batch that this process computes; second looks stay beside the first."""
        looks = 2 if self.record.recipe.consistency else 1
        half = count // looks
        own = np.arange(half)[self.accelerator.process_index :: self.accelerator.num_processes]
        pieces = np.array_split(own, self.record.recipe.accumulate)
        return [np.concatenate([piece + look * half for look in range(looks)]) for piece in pieces]

    def _estimate(self, epoch: int, step: int) -> None:
        """Estimate the duration of the training from its first steps, once."""
        if epoch != self.first_epoch or self.planned:
            return
        if step == 0:  # slower than the others
            self.started = time.perf_counter()
        elif step == min(_ESTIMATED_BY, self.steps - 1):
            seconds = (time.perf_counter() - self.started) / step
            # Scoring is a pass forward, of three that a step takes.
            scoring = len(self.parts.validation) / self.record.recipe.batch_size / 3
            epochs = self.record.recipe.epochs - epoch + 1
            left = seconds * (epochs * (self.steps + scoring) - step - 1)
            self.watcher.note(
                f"About {duration_text(left)} to the end of epoch {epoch + epochs - 1} ({seconds:.2g} s a step)."
            )

    def _loss(self, rows: NDArray[np.intp], seen: Tensor, kept: Tensor) -> Tensor:
        """Return the mean loss of some galaxies, from their views and the factors of dropout."""
        recipe = self.record.recipe
        with self.accelerator.autocast():
            embeddings = self.net.embed(seen)
            logits = self.net.answer(embeddings, kept)
        losses = [self._question_loss(name, answers.float(), rows) for name, answers in logits.items()]
        if recipe.consistency:
            one, other = embeddings.float().chunk(2)
            losses.append(recipe.consistency * vicreg(one, other).loss() / INVARIANCE)
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
