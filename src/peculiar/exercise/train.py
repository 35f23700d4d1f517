"""Train a network on a labelled source: seeded and resumable, with a line of history per epoch."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import gather_object
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from peculiar.errors import RunError
from peculiar.exercise.adam import Adam
from peculiar.metrics.scores import Scores, class_auc, evaluate, pooled_auc
from peculiar.sources import Source, open_source
from peculiar.sources.split import Split, data_digest, keep_together, split
from peculiar.sources.stream import Dataset, read_dataset
from peculiar.text import counted, format_score
from peculiar.training import run_folder
from peculiar.training.networks import build, summarise
from peculiar.training.networks.exercise import ReferenceNet
from peculiar.training.run_folder import Arguments, Record, TrainedNet

try:
    from peculiar.exercise.kernel import Kernel
except ImportError:  # numba is an extra, and lacks for the newest Python for a while
    Kernel = None  # type: ignore[assignment, misc]

# Below this many multiplications a step, handing work to a second thread costs more than the thread saves.
_SINGLE_THREAD_WORK = 200_000_000

_VALIDATION_BATCH = 64


class Watcher:
    """What a training run tells whoever watches; does nothing unless overridden."""

    def reading(self, done: int, total: int) -> None:
        """Tell how many pictures have been read."""

    def begin(self, record: Record, summary: str) -> None:
        """Tell that training begins."""

    def batch(self, epoch: int, done: int, total: int, loss: float, accuracy: float) -> None:
        """Tell that a batch is done, and the epoch's mean loss and accuracy so far."""

    def epoch(self, line: dict[str, Any]) -> None:
        """Tell the line of the history that an epoch added."""


class EpochLines(Watcher):
    """Writes a line an epoch to standard error: what a run from Python shows unless told otherwise."""

    def begin(self, record: Record, summary: str) -> None:
        """Write how many galaxies there are, and of which classes."""
        counts = f"{counted(record.training_count, 'galaxy')} to train on, {record.validation_count:,} held back"
        sys.stderr.write(f"{counts}; classes: {', '.join(record.question.answers)}\n")
        self._epochs = record.arguments.epochs

    def epoch(self, line: dict[str, Any]) -> None:
        """Write the metrics of an epoch."""
        sys.stderr.write(f"{epoch_text(line, self._epochs)}\n")


def epoch_text(line: dict[str, Any], epochs: int) -> str:
    """Return a line of the history in words."""
    scores = (
        f"{prefix}loss {line[key + 'loss']:.3f}  accuracy {line[key + 'categorical_accuracy']:.3f}  "
        f"AUC {format_score(line[key + 'auc'])}"
        for prefix, key in (("", ""), ("validation: ", "val_"))
    )
    return f"epoch {line['epoch']}/{epochs}  {'  |  '.join(scores)}  ({line['seconds']:.1f} s)"


@dataclass(frozen=True, slots=True)
class Trained:
    """What a training run left.

    Parameters
    ----------
    folder : path
    model : TrainedNet
        With the weights of the last epoch, as the exercise has it.
    history : list of dict
        A line an epoch.
    scores : Scores
        On the validation part, of the last epoch's weights.
    data : Dataset
    split : Split
    main_process : bool
        Whether this is the one process, of those that trained together, that writes and tells.
    """

    folder: Path
    model: TrainedNet
    history: list[dict[str, Any]]
    scores: Scores
    data: Dataset
    split: Split
    main_process: bool


def train(
    data: str | os.PathLike[str] | Source | Dataset,
    out: str | os.PathLike[str],
    arguments: Arguments | None = None,
    *,
    label: str | None = None,
    resume: bool = False,
    watcher: Watcher | None = None,
    verbose: bool = True,
) -> Trained:
    """Train a network.

    The loss is categorical cross-entropy, the optimiser Adam (Kingma & Ba 2015) as Keras defines it. Training metrics
    are those of the batches as they went by, before each update, as Keras reports them. After every epoch the
    run's folder is whole: a killed run goes on from there with `resume`, to the same history.

    Parameters
    ----------
    data : path-like, Source or Dataset
        Labelled galaxies.
    out : path-like
        Folder of the run; see `peculiar.training.run_folder`.
    arguments : Arguments, optional
        Network, epochs, batch size and so on; the exercise's by default.
    label : str, optional
        The column that holds the labels, for a table.
    resume : bool
        Go on with the run in `out`, if there is one. Everything but the number of epochs has to be as it was.
    watcher : Watcher, optional
        Told of the progress.
    verbose : bool
        Without a watcher, write a line an epoch to standard error.

    Returns
    -------
    Trained

    Raises
    ------
    UsageError
        If `out` holds something already and `resume` is not set.
    RunError
        If the run in `out` had other arguments or data, or is damaged, or the network's answers become infinite.
    LabelError
        If labels are missing or too few to split by class.

    Notes
    -----
    Several GPUs or processes: ``accelerate launch -m peculiar train ...``; `batch_size` is what each process takes.

    The exercise's network is trained by `peculiar.exercise.kernel` on a CPU where numba is installed (extra ``fast``),
    otherwise by PyTorch; a run may begin by the one and go on by the other. They differ as two processors do, by
    rounding.
    """
    arguments, watcher, folder = (
        arguments or Arguments(),
        watcher or (EpochLines() if verbose else Watcher()),
        Path(out),
    )
    run_folder.check_folder(folder, resume=resume)
    resuming = resume and (folder / run_folder.LAST).exists()
    if isinstance(data, str | os.PathLike):
        data = open_source(data, label=label)
    name, label = (str(data.path), data.label) if isinstance(data, Source) else ("memory", data.question.name)
    galaxies = read_dataset(data, arguments.framing, progress=watcher.reading) if isinstance(data, Source) else data
    parts = split(
        galaxies.labels,
        validation_size=arguments.validation_size,
        seed=arguments.split_seed,
        answers=galaxies.question.answers,
    )
    # Data in the exercise's layout are split as the exercise does it, index for index.
    if isinstance(data, Source) and data.kind != "npz":
        parts = keep_together(parts, _same_rows(data, galaxies))
    record = Record(
        arguments=arguments,
        question=galaxies.question,
        data=name,
        label=label,
        data_digest=data_digest(galaxies.ids, galaxies.labels, galaxies.pictures),
        split_digest=parts.digest(galaxies.ids),
        training_count=len(parts.training),
        validation_count=len(parts.validation),
        versions=run_folder.versions(),
    )
    if resuming:
        _check_same(run_folder.read_record(folder), record, folder)
    with torch.random.fork_rng():
        loop = _Loop(galaxies, parts, record, folder, watcher)
        with _threads(loop.work):
            history = loop.run(resuming=resuming)
            probabilities = loop.probabilities(parts.validation)
        model = TrainedNet(loop.bare, galaxies.question, arguments.framing)
    scores = evaluate(galaxies.labels[parts.validation], probabilities, galaxies.question.answers)
    main_process = loop.accelerator.is_main_process
    if main_process:
        run_folder.write_json(folder / run_folder.SCORES, scores.as_dict())
    return Trained(folder, model, history, scores, galaxies, parts, main_process)


def _same_rows(source: Source, galaxies: Dataset) -> list[tuple[int, int]]:
    """Return pairs of rows that show the same galaxy, however turned, mirrored or cut."""
    from peculiar.checks.duplicates import same_galaxies  # with ONNX Runtime, which the exercise does not need

    places = {id_: row for row, id_ in enumerate(galaxies.ids)}
    return [(places[one], places[other]) for one, other in same_galaxies([source], places)]


class _Loop:
    """The state of one training run."""

    def __init__(self, data: Dataset, parts: Split, record: Record, folder: Path, watcher: Watcher) -> None:
        self.record, self.folder, self.parts, self.data = record, folder, parts, data
        arguments = record.arguments
        # accelerate keeps the precision for the whole process, and would refuse a second run with another.
        AcceleratorState._reset_state()
        self.accelerator = Accelerator(mixed_precision=arguments.precision)
        self.watcher = watcher if self.accelerator.is_main_process else Watcher()
        torch.manual_seed(arguments.seed)
        net = build(arguments.net, len(data.question.answers), arguments.framing.size)
        self.summary = summarise(net, arguments.framing.size)
        # Three passes through the network: forward, and backward for activations and for weights.
        self.work = 3 * self.summary.multiply_adds * arguments.batch_size
        self.bare = net.to(self.accelerator.device)
        # In a single process accelerate would change nothing, and load PyTorch's compiler, a second, to find that out.
        self.net = self.accelerator.prepare(net) if self.accelerator.num_processes > 1 else net
        self.optimizer = Adam(net, arguments.learning_rate)
        # Only for the exercise's network, and on one core. PyTorch on two is slower, also with large batches.
        self.kernel = (
            Kernel(data.pictures, data.labels, net, self.optimizer)
            if Kernel is not None
            and isinstance(net, ReferenceNet)
            and arguments.precision == "no"
            and self.accelerator.num_processes == 1
            and self.accelerator.device.type == "cpu"
            else None
        )
        # Entering accelerate's context costs as much as a layer, so only where it does something.
        self.autocast = nullcontext if arguments.precision == "no" else self.accelerator.autocast

    def run(self, *, resuming: bool) -> list[dict[str, Any]]:
        history = self._resume() if resuming else self._begin()
        self.watcher.begin(self.record, str(self.summary))
        for epoch in range(len(history) + 1, self.record.arguments.epochs + 1):
            started = time.perf_counter()
            line = {"epoch": epoch, **self._train(epoch), **self._validate()}
            line["seconds"] = round(time.perf_counter() - started, 3)
            history.append(line)
            if self.accelerator.is_main_process:
                self._save(history)
            self.watcher.epoch(line)
        return history

    def _begin(self) -> list[dict[str, Any]]:
        if self.accelerator.is_main_process:
            self.folder.mkdir(parents=True, exist_ok=True)
            ids, parts = self.data.ids, self.parts
            # The record is the first file, by which the folder is known as that of a run.
            run_folder.write_text(self.folder / run_folder.RECORD, self.record.model_dump_json(indent=2) + "\n")
            run_folder.write_split(
                self.folder,
                {
                    "training": [ids[row] for row in parts.training],
                    "validation": [ids[row] for row in parts.validation],
                },
            )
        return []

    def _resume(self) -> list[dict[str, Any]]:
        tensors, notes = run_folder.read_weights(self.folder / run_folder.LAST)
        history = run_folder.parse_history(notes.get("history", ""), self.folder / run_folder.LAST)
        self.bare.load_state_dict(run_folder.net_tensors(tensors))
        self.optimizer.restore(run_folder.optimizer_tensors(tensors))
        if self.accelerator.is_main_process:
            # The number of epochs may have been raised, and a kill may have come between weights and history.
            run_folder.write_text(self.folder / run_folder.RECORD, self.record.model_dump_json(indent=2) + "\n")
            run_folder.write_history(self.folder, history)
        return history

    def _save(self, history: list[dict[str, Any]]) -> None:
        """Write weights and history; the one step that decides where a resumed run goes on is that of LAST."""
        weights = self.bare.state_dict()
        if run_folder.best_epoch(history) is history[-1]:
            run_folder.write_weights(self.folder / run_folder.BEST, weights)
        history_note = {"history": run_folder.format_history(history)}
        run_folder.write_weights(self.folder / run_folder.LAST, weights, history_note, self.optimizer.state())
        run_folder.write_history(self.folder, history)

    def _train(self, epoch: int) -> dict[str, Any]:
        self.net.train()
        # Everything random in an epoch follows from the seed and its number, so that a resumed run repeats it.
        random = np.random.default_rng([self.record.arguments.seed, epoch])
        batches = list(self._batches(random.permutation(self.parts.training)))
        torch.manual_seed(int(random.integers(2**63)))
        losses = hits = 0.0
        seen: list[tuple[NDArray[np.intp], NDArray[np.float32]]] = []
        for done, rows in enumerate(batches, 1):
            logits, loss = self._learn(rows) if self.kernel is None else self.kernel.learn(rows)
            seen.append((rows, logits))
            losses += loss
            hits += np.count_nonzero(logits.argmax(axis=1) == self.data.labels[rows]) / len(rows)
            self.watcher.batch(epoch, done, len(batches), losses / done, hits / done)
        return self._metrics(seen)

    def _validate(self) -> dict[str, Any]:
        rows = self.parts.validation
        return {
            f"val_{name}": value for name, value in self._metrics([(rows, self._answer(rows))], gather=False).items()
        }

    def probabilities(self, rows: NDArray[np.intp]) -> NDArray[np.float32]:
        """Return what the network says of galaxies, shape (len(rows), classes)."""
        return _softmax(self._answer(rows))

    def _learn(self, rows: NDArray[np.intp]) -> tuple[NDArray[np.float32], float]:
        logits, loss = self._forward(rows)
        self.optimizer.zero_grad()
        torch.autograd.backward(loss)
        self.optimizer.step()
        return logits.detach().cpu().numpy(), loss.item()

    def _answer(self, rows: NDArray[np.intp]) -> NDArray[np.float32]:
        if self.kernel is not None:
            return self.kernel.logits(rows)
        self.net.eval()
        with torch.inference_mode():
            parts = [
                self._forward(rows[start : start + _VALIDATION_BATCH])[0].cpu().numpy()
                for start in range(0, len(rows), _VALIDATION_BATCH)
            ]
        return np.concatenate(parts)

    def _batches(self, order: NDArray[np.intp]) -> Iterator[NDArray[np.intp]]:
        """Yield this process's share of every batch; the last one may be smaller, but is never empty."""
        processes, rank = self.accelerator.num_processes, self.accelerator.process_index
        step = self.record.arguments.batch_size * processes
        for start in range(0, len(order), step):
            rows = order[start : start + step]
            yield np.array_split(rows if len(rows) >= processes else order[:processes], processes)[rank]

    def _forward(self, rows: NDArray[np.intp]) -> tuple[Tensor, Tensor]:
        device = self.accelerator.device
        # Rows are picked by NumPy, which copies them whole; PyTorch's indexing goes byte by byte, a tenth of a step.
        pictures, labels = torch.from_numpy(self.data.pictures[rows]), torch.from_numpy(self.data.labels[rows])
        with self.autocast():
            logits = self.net(run_folder.to_input(pictures, device))
        logits = logits.float()
        return logits, functional.cross_entropy(logits, labels.to(device))

    def _metrics(
        self, seen: list[tuple[NDArray[np.intp], NDArray[np.float32]]], *, gather: bool = True
    ) -> dict[str, Any]:
        if gather and self.accelerator.num_processes > 1:
            seen = gather_object(seen)
        labels = self.data.labels[np.concatenate([rows for rows, _ in seen])]
        logits = np.concatenate([logits for _, logits in seen])
        if not np.isfinite(logits).all():
            message = "the network's answers are no longer numbers; train with a smaller step (--learning-rate)"
            raise RunError(message)
        probabilities = _softmax(logits)
        answers = self.data.question.answers
        one_hot = np.eye(len(answers), dtype=np.float32)[labels]
        return {
            "loss": round(float(functional.cross_entropy(torch.from_numpy(logits), torch.from_numpy(labels))), 6),
            "categorical_accuracy": round(float((probabilities.argmax(axis=1) == labels).mean()), 6),
            "auc": _rounded(pooled_auc(one_hot, probabilities)),
            "auc_by_class": {
                answer: _rounded(class_auc(one_hot[:, number], probabilities[:, number]))
                for number, answer in enumerate(answers)
            },
        }


def _softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    probabilities: NDArray[np.float32] = torch.softmax(torch.from_numpy(logits), dim=1).numpy()
    return probabilities


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)


@contextmanager
def _threads(work: int) -> Iterator[None]:
    """Use as many threads as a step of `work` multiplications is worth."""
    before = torch.get_num_threads()
    torch.set_num_threads(1 if work < _SINGLE_THREAD_WORK else before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _check_same(old: Record, new: Record, folder: Path) -> None:
    """Refuse to go on with a run that had other arguments or other data."""
    before, now = old.model_dump(), new.model_dump()
    before["arguments"].pop("epochs")
    now["arguments"].pop("epochs")
    pairs = {
        **{name: (before["arguments"][name], now["arguments"][name]) for name in now["arguments"]},
        **{name: (before[name], now[name]) for name in ("label", "question", "data_digest", "split_digest")},
    }
    differing = [f"{name} was {was}, is {is_}" for name, (was, is_) in pairs.items() if was != is_]
    if differing:
        message = f"{folder} cannot be resumed, it was another run: {'; '.join(differing)}"
        raise RunError(message)
