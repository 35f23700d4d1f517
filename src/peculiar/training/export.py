"""Export a training run to a model file."""

import os
from collections.abc import Sequence
from typing import Any

from peculiar.errors import extra
from peculiar.files.places import on_this_machine, place
from peculiar.files.run_files import MODEL
from peculiar.models.container import split_card
from peculiar.models.model_file import Model, load_model, write_model


def export(
    folder: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    name: str | None = None,
    scores: dict[str, Any] | None = None,
    views: int | None = None,
    credits: Sequence[str] = (),
    licence: str = "",
) -> Model:
    """Write the model file of a training run, under a name and with credits.

    A run on classes of one's own has its model file in its folder already: this writes a copy of it, without PyTorch.

    Parameters
    ----------
    folder : path-like
        Folder that ``peculiar train`` wrote.
    out : path-like
        The ``.onnx`` to write, atomically.
    name : str, optional
        Name of the model; default: that of the file.
    scores : dict, optional
        Scores for the file; default: those of the run.
    views : int, optional
        Number of turned and mirrored views that the model averages over by default, 1 to 8; default: 2, or as before.
    credits : sequence of str
        Credits for the data, after those that the model has.
    licence : str
        Licence of the weights; default: that of the model.

    Returns
    -------
    Model
        The file, opened.

    Raises
    ------
    UsageError
        If `views` is out of range.
    RunError
        If the folder is not that of a finished run, or damaged.
    ModelError
        If the file's answers differ from PyTorch's.
    MissingExtraError
        If PyTorch is needed and not installed.

    Examples
    --------
    >>> import peculiar
    >>> model = peculiar.export("runs/galaxy", "galaxy.onnx", credits=["My survey"])
    >>> model.card.name
    'galaxy'
    """
    if views is not None:
        Model.check_views(views)
    folder, out = on_this_machine(folder, "the folder of a run"), place(out)
    if not (folder / MODEL).is_file():
        with extra("exporting a network", "train"):
            from peculiar.training.network_file import write_network
        return write_network(
            folder, out, name=name or out.stem, scores=scores, views=views or 2, credits=credits, licence=licence
        )
    card = load_model(folder / MODEL).card
    changed = card.model_copy(
        update={
            "name": name or out.stem,
            "scores": scores or card.scores,
            "views": views or card.views,
            "credits": (*card.credits, *credits),
            "licence": licence or card.licence,
        }
    )
    graph, _ = split_card((folder / MODEL).read_bytes())
    return write_model(graph, changed, out)
