"""Train the exercise's network on a labelled source: seeded and resumable, with a line of history per epoch."""

import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from peculiar.errors import RunError
from peculiar.evaluation.display import describe_scores, scores_html
from peculiar.exercise import run_folder
from peculiar.exercise.adam import Adam
from peculiar.exercise.layers import Floats, cross_entropy, softmax
from peculiar.exercise.network import Network
from peculiar.exercise.run_folder import Arguments, Record, TrainedNet
from peculiar.exercise.steps import Steps
from peculiar.exercise.weights import read_weights, write_weights
from peculiar.files import run_files
from peculiar.files.places import on_this_machine
from peculiar.metrics.scores import Scores, class_auc, evaluate, pooled_auc
from peculiar.sources import Source, open_source
from peculiar.sources.dataset import Dataset, read_dataset
from peculiar.sources.split import Split, data_digest, keep_together, split
from peculiar.text import counted, format_score


class Watcher:
    """Listener to the progress of a training run; its methods do nothing unless overridden."""

    def reading(self, done: int, total: int) -> None:
        """Receive the number of pictures that have been read."""

    def begin(self, record: Record, summary: str) -> None:
        """Receive the beginning of the training."""

    def batch(self, epoch: int, done: int, total: int, loss: float, accuracy: float) -> None:
        """Receive the end of a batch, with the epoch's mean loss and accuracy so far."""

    def epoch(self, line: dict[str, Any]) -> None:
        """Receive the line of the history that an epoch added."""


class EpochLines(Watcher):
    """Listener that writes a line per epoch to standard error; the default for a run from Python."""

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
    """Result of a training run.

    Parameters
    ----------
    folder : path
    model : TrainedNet
        With the weights of the last epoch, as in the exercise.
    history : list of dict
        A line an epoch.
    scores : Scores
        On the validation part, of the last epoch's weights.
    data : Dataset
    split : Split
    """

    folder: Path
    model: TrainedNet
    history: list[dict[str, Any]]
    scores: Scores
    data: Dataset
    split: Split

    @property
    def _title(self) -> str:
        galaxies = counted(self.scores.count, "galaxy")
        return f"Run {self.folder}: {counted(len(self.history), 'epoch')}, scored on {galaxies} of the validation part"

    def __repr__(self) -> str:
        """Return the scores in a few lines, without the arrays."""
        return describe_scores(self._title, self.scores, [])

    def _repr_html_(self) -> str:
        """Return the scores for a notebook."""
        return scores_html(self._title, self.scores, [])


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
    """Train the exercise's network.

    The loss is categorical cross-entropy, the optimiser Adam (Kingma & Ba 2015) as Keras defines it. Training metrics
    are those of the batches before each update, as Keras reports them. After every epoch the folder of the run is
    complete: a killed run continues from there with `resume`, and ends with the same history.

    Parameters
    ----------
    data : path-like, Source or Dataset
        Labelled galaxies.
    out : path-like
        Folder of the run; see `peculiar.files.run_files`.
    arguments : Arguments, optional
        Epochs, batch size and so on; default: those of the exercise.
    label : str, optional
        The column that holds the labels, for a table.
    resume : bool
        Continue the run in `out`, if there is one. All settings but the number of epochs have to be the same.
    watcher : Watcher, optional
        Receives the progress.
    verbose : bool
        Without a watcher, write a line per epoch to standard error.

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
    If numba is installed, `peculiar.exercise.kernel` computes the steps, otherwise NumPy, which is 17 times as slow.
    The two differ by rounding only, so a run can start with one and continue with the other.
    """
    arguments, watcher, folder = (
        arguments or Arguments(),
        watcher or (EpochLines() if verbose else Watcher()),
        on_this_machine(out, "the folder of a run"),
    )
    run_files.check_folder(folder, resume=resume)
    resuming = resume and (folder / run_files.LAST).exists()
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
        versions=run_files.versions("numba"),
    )
    if resuming:
        run_files.check_same(folder, _compared(run_folder.read_record(folder)), _compared(record))
    loop = _Loop(galaxies, parts, record, folder, watcher)
    # Matrices this small are multiplied faster by one thread than by two.
    with threadpool_limits(1, user_api="blas"):
        history = loop.run(resuming=resuming)
    probabilities = softmax(loop.steps.logits(parts.validation))
    scores = evaluate(galaxies.labels[parts.validation], probabilities, galaxies.question.answers)
    run_files.write_json(folder / run_files.SCORES, scores.as_dict())
    origin = run_files.Origin(folder, "last", record.split_digest)
    net = TrainedNet(loop.net, galaxies.question, arguments.framing, origin)
    return Trained(folder, net, history, scores, galaxies, parts)


def fastest_steps() -> type[Steps]:
    """Return the compiled steps where numba is installed, else those of NumPy."""
    try:
        from peculiar.exercise.kernel import Kernel
    except ImportError:  # numba supports a new Python some months after its release
        return Steps
    return Kernel


def _same_rows(source: Source, galaxies: Dataset) -> list[tuple[int, int]]:
    """Return pairs of rows that show the same galaxy, however turned, mirrored or cut."""
    from peculiar.checks.duplicates import same_galaxies  # with ONNX Runtime, which the exercise does not need

    places = {id_: row for row, id_ in enumerate(galaxies.ids)}
    return [(places[one], places[other]) for one, other in same_galaxies([source], places)]


class _Loop:
    """The state of one training run."""

    def __init__(self, data: Dataset, parts: Split, record: Record, folder: Path, watcher: Watcher) -> None:
        self.data, self.parts, self.record, self.folder, self.watcher = data, parts, record, folder, watcher
        arguments = record.arguments
        self.net = Network(len(data.question.answers), arguments.framing.size, seed=arguments.seed)
        self.optimizer = Adam(self.net.vector, arguments.learning_rate)
        self.steps = fastest_steps()(data.pictures, data.labels, self.net, self.optimizer)

    def run(self, *, resuming: bool) -> list[dict[str, Any]]:
        history = self._resume() if resuming else self._begin()
        self.watcher.begin(self.record, str(self.net))
        for epoch in range(len(history) + 1, self.record.arguments.epochs + 1):
            started = time.perf_counter()
            line = {"epoch": epoch, **self._train(epoch), **self._validate()}
            line["seconds"] = round(time.perf_counter() - started, 3)
            history.append(line)
            self._save(history)
            self.watcher.epoch(line)
        return history

    def _begin(self) -> list[dict[str, Any]]:
        run_files.write_beginning(self.folder, self.record, self.data.ids, self.parts.by_name())
        return []

    def _resume(self) -> list[dict[str, Any]]:
        weights, state, notes = read_weights(self.folder / run_files.LAST)
        history = run_files.parse_history(notes.get("history", ""), self.folder / run_files.LAST)
        self.net.load(weights)
        self.optimizer.restore(state)
        # The number of epochs may have been raised, and a kill may have come between weights and history.
        run_files.write_record(self.folder, self.record)
        run_files.write_history(self.folder, history)
        return history

    def _save(self, history: list[dict[str, Any]]) -> None:
        """Write weights and history; LAST alone decides from where a resumed run continues."""
        weights = self.net.arrays()
        if run_files.best_epoch(history) is history[-1]:
            write_weights(self.folder / run_files.BEST, weights)
        note = {"history": run_files.format_history(history)}
        write_weights(self.folder / run_files.LAST, weights, note, self.optimizer.state())
        run_files.write_history(self.folder, history)

    def _train(self, epoch: int) -> dict[str, Any]:
        # The order of the galaxies follows from the seed and the epoch's number, so that a resumed run repeats it.
        random = np.random.default_rng([self.record.arguments.seed, epoch])
        order, size = random.permutation(self.parts.training), self.record.arguments.batch_size
        batches = [order[start : start + size] for start in range(0, len(order), size)]
        losses = hits = 0.0
        answered = []
        for done, rows in enumerate(batches, 1):
            logits, loss = self.steps.learn(rows)
            answered.append(logits)
            losses += loss
            hits += np.count_nonzero(logits.argmax(axis=1) == self.data.labels[rows]) / len(rows)
            self.watcher.batch(epoch, done, len(batches), losses / done, hits / done)
        return self._metrics(order, np.concatenate(answered))

    def _validate(self) -> dict[str, Any]:
        rows = self.parts.validation
        return {f"val_{name}": value for name, value in self._metrics(rows, self.steps.logits(rows)).items()}

    def _metrics(self, rows: NDArray[np.intp], logits: Floats) -> dict[str, Any]:
        labels, answers = self.data.labels[rows], self.data.question.answers
        if not np.isfinite(logits).all():
            message = "the network's answers are no longer numbers; train with a smaller step (--learning-rate)"
            raise RunError(message)
        probabilities = softmax(logits)
        one_hot = np.eye(len(answers), dtype=np.float32)[labels]
        return {
            "loss": round(cross_entropy(logits, labels), 6),
            "categorical_accuracy": round(float((probabilities.argmax(axis=1) == labels).mean()), 6),
            "auc": _rounded(pooled_auc(one_hot, probabilities)),
            "auc_by_class": {
                answer: _rounded(class_auc(one_hot[:, number], probabilities[:, number]))
                for number, answer in enumerate(answers)
            },
        }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)


def _compared(record: Record) -> dict[str, Any]:
    """Return the settings that must be equal to resume a run; the number of epochs may grow."""
    told = record.model_dump(exclude={"arguments": {"epochs"}})
    named = {name: told[name] for name in ("label", "question", "data_digest", "split_digest")}
    return {**told["arguments"], **named}
