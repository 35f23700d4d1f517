"""Progress of a training run, and its listeners."""

import sys
from typing import Any

from peculiar.text import format_score
from peculiar.training.recipe import RunRecord


class Watcher:
    """Listener to the progress of a training run; its methods do nothing unless overridden."""

    def note(self, text: str) -> None:
        """Receive a remark on the data or the run, as a sentence."""

    def reading(self, done: int, total: int) -> None:
        """Receive the number of pictures read."""

    def comparing(self, done: int, total: int) -> None:
        """Receive the number of pictures compared with others to find duplicates."""

    def embedding(self, done: int, total: int) -> None:
        """Receive the number of pictures embedded."""

    def asking(self, done: int, total: int) -> None:
        """Receive the number of pictures classified by the teachers."""

    def begin(self, record: RunRecord, parameters: int) -> None:
        """Receive the record at the start of training."""

    def batch(self, epoch: int, done: int, total: int, loss: float) -> None:
        """Receive the end of a batch, with the mean loss of the epoch so far."""

    def epoch(self, line: dict[str, Any]) -> None:
        """Receive the line of the history that an epoch added."""


class Forwarder(Watcher):
    """Listener that passes everything on to another one."""

    def __init__(self, inner: Watcher) -> None:
        for name in ("note", "reading", "comparing", "embedding", "asking", "begin", "batch", "epoch"):
            if getattr(type(self), name) is getattr(Watcher, name):  # not what a sub-class does itself
                setattr(self, name, getattr(inner, name))
        self._inner = inner


class EpochLines(Watcher):
    """Listener that writes a line per epoch to standard error; the default for a run from Python."""

    def note(self, text: str) -> None:
        """Write the remark."""
        sys.stderr.write(f"{text}\n")

    def begin(self, record: RunRecord, parameters: int) -> None:
        """Write the number of pictures and the questions."""
        sys.stderr.write(f"{record_text(record, parameters)}\n")
        self._epochs = record.recipe.epochs

    def epoch(self, line: dict[str, Any]) -> None:
        """Write the scores of an epoch."""
        sys.stderr.write(f"{epoch_text(line, self._epochs)}\n")


def record_text(record: RunRecord, parameters: int) -> str:
    """Return a description of the training data."""
    counts = ", ".join(f"{part} {count:,}" for part, count in record.counts.items())
    questions = ", ".join(question.name for question in record.questions)
    return f"pictures: {counts}; questions: {questions}; {parameters:,} parameters"


def duration_text(seconds: float) -> str:
    """Return a duration in words.

    Examples
    --------
    >>> duration_text(75), duration_text(600), duration_text(9000)
    ('75 s', '10 min', '2.5 h')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def epoch_text(line: dict[str, Any], epochs: int) -> str:
    """Return a line of the history as text."""
    scores = "  |  ".join(
        f"{key.removeprefix('val_')} log loss {format_score(value['log_loss'])}, accuracy "
        f"{format_score(value['accuracy'])}, "
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
