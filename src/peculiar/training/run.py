"""A training run: its folder, history, scores and model file."""

import html
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from peculiar.models.model_file import Model
from peculiar.text import counted, format_score


@dataclass(frozen=True, slots=True, repr=False)
class Run:
    """A run of the galaxy network; see `peculiar.training.train.train`.

    Parameters
    ----------
    folder : path
    history : list of dict
        A line an epoch: the loss, and the scores on the validation part by question (``val_NAME``).
    scores : dict of str to dict
        On galaxies that the model was not trained on, by question.

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
            Name of the model; by default that of the file.
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
        lines = [f"Run in {self.folder}: {counted(len(self.history), 'epoch')}"]
        for question, scores in self.scores.items():
            lines.append(
                f"{question}: accuracy {format_score(scores['accuracy'])}, balanced accuracy "
                f"{format_score(scores['balanced_accuracy'])}, AUC {format_score(scores['auc'])}"
            )
        return [*lines[:9], f'export("{self.folder.name}.onnx") writes the model file']

    def __repr__(self) -> str:
        """Return the run in a few lines."""
        return "\n".join(self._lines())

    def _repr_html_(self) -> str:
        """Return the run for a notebook."""
        return "<br>".join(html.escape(line) for line in self._lines())
