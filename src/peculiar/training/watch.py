"""Progress of a training run, and who is told of it."""

import sys
from typing import Any

from peculiar.text import format_score
from peculiar.training.recipe import RunRecord


class Watcher:
    """What a training run tells whoever watches; does nothing unless overridden."""

    def note(self, text: str) -> None:
        """Tell something of the data or the run, in a sentence."""

    def reading(self, done: int, total: int) -> None:
        """Tell how many pictures have been read."""

    def comparing(self, done: int, total: int) -> None:
        """Tell how many pictures have been compared with others, to find those of the same galaxy."""

    def embedding(self, done: int, total: int) -> None:
        """Tell how many pictures have been embedded."""

    def asking(self, done: int, total: int) -> None:
        """Tell about how many pictures the teacher has been asked."""

    def begin(self, record: RunRecord, parameters: int) -> None:
        """Tell that training begins."""

    def batch(self, epoch: int, done: int, total: int, loss: float) -> None:
        """Tell that a batch is done, and the epoch's mean loss so far."""

    def epoch(self, line: dict[str, Any]) -> None:
        """Tell the line of the history that an epoch added."""


class EpochLines(Watcher):
    """Writes a line an epoch to standard error: what a run from Python shows unless told otherwise."""

    def note(self, text: str) -> None:
        """Write the sentence."""
        sys.stderr.write(f"{text}\n")

    def begin(self, record: RunRecord, parameters: int) -> None:
        """Write how many pictures there are, and which questions."""
        sys.stderr.write(f"{record_text(record, parameters)}\n")
        self._epochs = record.recipe.epochs

    def epoch(self, line: dict[str, Any]) -> None:
        """Write the scores of an epoch."""
        sys.stderr.write(f"{epoch_text(line, self._epochs)}\n")


def record_text(record: RunRecord, parameters: int) -> str:
    """Return in words what a run learns from."""
    counts = ", ".join(f"{part} {count:,}" for part, count in record.counts.items())
    questions = ", ".join(question.name for question in record.questions)
    return f"pictures: {counts}; questions: {questions}; {parameters:,} parameters"


def epoch_text(line: dict[str, Any], epochs: int) -> str:
    """Return a line of the history in words."""
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
