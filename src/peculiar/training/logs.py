"""The history of a run for other programs: a table, or what TensorBoard shows."""

import csv
import io
from pathlib import Path
from typing import Any

from peculiar.errors import UnknownNameError, extra
from peculiar.files import run_files
from peculiar.training.watch import Forwarder, Watcher

LOGS = ("csv", "tensorboard")

CSV, EVENTS = "history.csv", "tensorboard"
"""The table, and the folder of TensorBoard's files, in the folder of a run."""


class Logged(Forwarder):
    """Listener that writes the history after each epoch, and passes everything on.

    Parameters
    ----------
    inner : Watcher
    folder : path
        Of the run.
    kind : {"csv", "tensorboard"}

    Raises
    ------
    UnknownNameError
        If there is no such kind.
    MissingExtraError
        If TensorBoard is not installed.
    """

    def __init__(self, inner: Watcher, folder: Path, kind: str) -> None:
        super().__init__(inner)
        if kind not in LOGS:
            raise UnknownNameError("kind of log", kind, LOGS)
        self._folder, self._kind = folder, kind
        if kind == "tensorboard":
            with extra("the log for TensorBoard", "tensorboard"):
                import tensorboard  # noqa: F401

    def epoch(self, line: dict[str, Any]) -> None:
        """Write the history with this epoch."""
        self._inner.epoch(line)
        if self._kind == "csv":
            write_csv(self._folder)
        else:
            _write_events(self._folder / EVENTS, line)


def write_csv(folder: Path) -> None:
    """Write the history of a run as a table, a row an epoch."""
    rows = [flat(line) for line in run_files.read_history(folder)]
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    run_files.write_text(folder / CSV, text.getvalue())


def flat(line: dict[str, Any]) -> dict[str, Any]:
    """Return a line of the history with one number by name.

    Examples
    --------
    >>> flat({"epoch": 1, "loss": 0.5, "val_class": {"auc": 0.9, "recall": [1.0, 0.5]}})
    {'epoch': 1, 'loss': 0.5, 'val_class/auc': 0.9, 'val_class/recall_0': 1.0, 'val_class/recall_1': 0.5}
    """
    found: dict[str, Any] = {}
    for name, value in line.items():
        inner = value if isinstance(value, dict) else None
        if isinstance(value, list):
            inner = {str(number): one for number, one in enumerate(value)}
        joint = "_" if isinstance(value, list) else "/"
        found |= {name: value} if inner is None else {f"{name}{joint}{key}": one for key, one in flat(inner).items()}
    return found


def _write_events(folder: Path, line: dict[str, Any]) -> None:
    """Add an epoch to the files of TensorBoard; one that was trained again after a kill replaces what was there."""
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(folder), purge_step=line["epoch"]) as writer:
        for name, value in flat(line).items():
            if value is not None and name != "epoch":
                writer.add_scalar(name, value, line["epoch"])
