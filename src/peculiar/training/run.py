"""A training run: its folder, history, scores and model file."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from peculiar.errors import RunError
from peculiar.files import run_files
from peculiar.files.run_files import MODEL
from peculiar.models.model_file import Model, load_model
from peculiar.notebook import escaped
from peculiar.text import counted, format_score, shown
from peculiar.training.recipe import PAGE

_MOST_QUESTIONS = 6


@dataclass(frozen=True, slots=True, repr=False)
class Run:
    """A run of the galaxy network; see `peculiar.training.train.train`.

    Parameters
    ----------
    folder : path
    history : list of dict
        A line an epoch: the loss, and the scores on the validation part by question (``val_NAME``). Empty where only a
        head was fitted.
    scores : dict of str to dict
        On galaxies that the model was not trained on, by question.
    stopped : bool
        Whether Ctrl-C ended the training.

    Examples
    --------
    >>> import peculiar
    >>> small = {"width": 8, "size": 32, "epochs": 1}
    >>> run = peculiar.train("training.parquet", "runs/small", label="clean5", start="scratch", verbose=False, **small)
    >>> model = run.export("small.onnx")
    """

    folder: Path
    history: list[dict[str, Any]]
    scores: dict[str, dict[str, Any]]
    stopped: bool = False

    @property
    def model(self) -> Model:
        """The model file in the folder, opened.

        Raises
        ------
        RunError
            If there is none: `export` writes one.
        """
        if not (self.folder / MODEL).is_file():
            message = f"{self.folder} has no {MODEL}; `peculiar export {self.folder} --out MODEL.onnx` writes one"
            raise RunError(message)
        return load_model(self.folder / MODEL)

    def export(
        self,
        out: str | os.PathLike[str],
        *,
        name: str | None = None,
        credits: Sequence[str] = (),
        licence: str = "",
    ) -> Model:
        """Write the model file of the run; see `peculiar.training.export.export`.

        Parameters
        ----------
        out : path-like
            The ``.onnx`` to write.
        name : str, optional
            Name of the model; default: that of the file.
        credits : sequence of str
            Credits for the data.
        licence : str
            Licence of the weights.

        Returns
        -------
        Model
            The file, opened.

        Raises
        ------
        RunError
            If the run is not finished, or its folder is damaged.
        MissingExtraError
            If PyTorch is needed and not installed.

        Examples
        --------
        >>> run = peculiar.train("my_classes")  # doctest: +SKIP
        >>> model = run.export("mine.onnx", credits=["My survey"])  # doctest: +SKIP
        """
        from peculiar.training.export import export

        return export(self.folder, out, name=name, credits=credits, licence=licence)

    def _lines(self) -> list[str]:
        trained = counted(len(self.history), "epoch") if self.history else "a head on embeddings"
        lines = [f"Run in {self.folder}: {trained}{', stopped' if self.stopped else ''}"]
        for question, scores in list(self.scores.items())[:_MOST_QUESTIONS]:
            lines.append(
                f"{question}: balanced accuracy {_scored(scores, 'balanced_accuracy')}, accuracy "
                f"{_scored(scores, 'accuracy')}, AUC {_scored(scores, 'auc')}"
            )
        if len(self.scores) > _MOST_QUESTIONS:
            lines.append(f"and {counted(len(self.scores) - _MOST_QUESTIONS, 'more question')}")
        if (self.folder / PAGE).is_file():
            lines.append(f"page: {self.folder / PAGE}")
        file = self.folder / MODEL
        place = str(file) if file.is_file() else f'run.export("{self.folder.name}.onnx")'
        return [*lines, f"model file: {place}"]

    def __repr__(self) -> str:
        """Return the run in a few lines."""
        return "\n".join(map(shown, self._lines()))

    def _repr_html_(self) -> str:
        """Return the run for a notebook."""
        title, *lines = self._lines()
        rows = "".join(f"<li>{escaped(line)}</li>" for line in lines)
        return f"<div><b>{escaped(title)}</b><ul>{rows}</ul></div>"


def _scored(scores: dict[str, Any], key: str) -> str:
    """Return a score with its interval, if there is one."""
    ends = (scores.get("intervals") or {}).get(key)
    return format_score(scores[key]) + (f" ({ends[0]:.3f} to {ends[1]:.3f})" if ends else "")


def write_result(folder: Path, result: dict[str, Any]) -> None:
    """Write the scores of a run on classes of one's own."""
    run_files.write_json(folder / run_files.SCORES, result)


def read_result(folder: Path) -> dict[str, Any] | None:
    """Read the scores of a run on classes of one's own, None where there are none.

    Raises
    ------
    RunError
        If the file is damaged.
    """
    try:
        result: dict[str, Any] = json.loads((folder / run_files.SCORES).read_bytes())
    except FileNotFoundError:
        return None
    except ValueError as error:
        message = f"{folder / run_files.SCORES} is damaged ({error}); `peculiar train` with --resume writes it again"
        raise RunError(message) from error
    return result
