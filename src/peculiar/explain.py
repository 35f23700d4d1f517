"""What a network sees: the maps that the filters of its convolutional layers make of a galaxy."""

import importlib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from peculiar.errors import DataError, UsageError
from peculiar.plots import draw_contact_sheet, draw_galaxy, draw_maps, save
from peculiar.schema import FOUR_CLASS

if TYPE_CHECKING:
    from torch import nn

Maps = dict[str, NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Activation:
    """What a network made of one galaxy.

    Parameters
    ----------
    picture : ndarray of float32, shape (height, width, 3)
        0 to 1.
    predicted : str
    actual : str or None
        None where it is not known.
    probabilities : dict of str to float
        By class.
    maps : dict of str to ndarray of float32, shape (rows, columns, filters)
        By convolutional layer, in the order that the picture passes them; behind the layer's ReLU, so never negative.
    files : list of path
        The figures: the galaxy, and one a layer.
    """

    picture: NDArray[np.float32]
    predicted: str
    actual: str | None
    probabilities: dict[str, float]
    maps: Maps
    files: list[Path] = field(default_factory=list)

    @property
    def right(self) -> bool | None:
        """Whether the prediction is the true label; None where that is not known."""
        return None if self.actual is None else self.predicted == self.actual

    @property
    def title(self) -> str:
        """The prediction and the true label, in words."""
        known = "" if self.actual is None else f", actual {self.actual}"
        return f"predicted {self.predicted}{known}"


def visualize_activations(
    model: Any,
    batches: Iterable[Any],
    *,
    count: int = 5,
    out: str | os.PathLike[str] = "activations",
    answers: Sequence[str] | None = None,
) -> list[Activation]:
    """Show what each filter of each convolutional layer sees in sample galaxies.

    For each of the first galaxies, prints the prediction, the true label, and whether it was right; writes
    ``galaxy_1.png`` and one figure of the filters' maps a layer (``galaxy_1_conv2d.png``); then, for all of them,
    ``contact_sheet.png``.

    Parameters
    ----------
    model : keras.Model, TrainedNet, or torch.nn.Module
        A Keras network ends in probabilities; a PyTorch one may end in logits.
    batches : iterable or iterator of (pictures, labels)
        Pictures (n, height, width, 3), from 0 to 1 or uint8; labels one-hot (n, classes) or class numbers (n,), -1
        where not known. For instance the exercise's ``validation_iterator``. No more is taken than is needed.
    count : int
        How many galaxies.
    out : path-like
        Folder for the figures.
    answers : sequence of str, optional
        Names of the classes; by default those the model knows, else the exercise's.

    Returns
    -------
    list of Activation
        What was drawn.

    Raises
    ------
    UsageError
        If `model` is of none of these kinds or has no convolutional layer, or `count` is below 1.
    DataError
        If the batches hold something else, or nothing.
    """
    if count < 1:
        message = f"at least one galaxy is needed, received count={count}"
        raise UsageError(message)
    pictures, labels = _first(batches, count)
    maps, probabilities = _look(model, pictures)
    names = _names(answers or getattr(getattr(model, "question", None), "answers", None), probabilities.shape[1])
    if max(labels) >= len(names):
        message = f"the labels go up to class {max(labels)}, the model knows {len(names)} classes, from 0 on"
        raise DataError(message)
    folder, console, shown = Path(out), Console(highlight=False), []
    for index, (picture, label, row) in enumerate(zip(pictures, labels, probabilities, strict=True)):
        activation = Activation(
            picture,
            predicted=names[int(row.argmax())],
            actual=names[label] if label >= 0 else None,
            probabilities={name: float(value) for name, value in zip(names, row, strict=True)},
            maps={layer: values[index] for layer, values in maps.items()},
        )
        stem = f"galaxy_{index + 1}"
        figure = draw_galaxy(picture, activation.title, right=activation.right)
        activation.files.append(save(figure, folder / f"{stem}.png"))
        for layer, values in activation.maps.items():
            figure = draw_maps(picture, values, f"{layer}: what its {values.shape[2]} filters see\n{activation.title}")
            activation.files.append(save(figure, folder / f"{stem}_{layer.replace('.', '_')}.png"))
        verdict = {True: ": [green]right[/]", False: ": [red]wrong[/]", None: ""}[activation.right]
        console.print(f"Galaxy {index + 1}: {activation.title} ({row.max():.0%} sure){verdict}")
        shown.append(activation)
    sheet = draw_contact_sheet(
        [(seen.picture, seen.title.replace(", ", "\n"), seen.right, seen.maps) for seen in shown]
    )
    save(sheet, folder / "contact_sheet.png")
    console.print(f"Figures are in {folder}")
    return shown


def _first(batches: Iterable[Any], count: int) -> tuple[NDArray[np.float32], list[int]]:
    """Take the first pictures (float, 0 to 1) and class numbers from batches."""
    pictures: list[NDArray[np.float32]] = []
    labels: list[int] = []
    for batch in _iterate(batches):
        if not isinstance(batch, tuple | list) or len(batch) < 2:
            message = f"batches have to be pairs of (pictures, labels), received {type(batch).__name__}"
            raise DataError(message)
        some, classes = _to_numpy(batch[0]), _to_numpy(batch[1])
        if some.ndim == 4 and some.shape[1] == 3 != some.shape[3]:
            some = some.transpose(0, 2, 3, 1)
        if some.ndim != 4 or some.shape[3] != 3 or len(classes) != len(some):
            message = (
                "batches have to hold pictures (n, height, width, 3) and as many labels, received "
                f"{some.shape} and {classes.shape}"
            )
            raise DataError(message)
        scaled = some.astype(np.float32) / 255 if some.dtype == np.uint8 else some.astype(np.float32)
        if not (scaled >= 0).all() or scaled.max(initial=0) > 1:
            message = f"pictures have to run from 0 to 1, or be uint8; these run from {some.min()} to {some.max()}"
            raise DataError(message)
        pictures.extend(scaled)
        labels.extend(int(label) for label in (classes.argmax(axis=1) if classes.ndim == 2 else classes))
        if len(pictures) >= count:
            break
    if not pictures:
        raise DataError("there is no picture in the batches")
    return np.stack(pictures[:count]), labels[:count]


def _iterate(batches: Any) -> Iterator[Any]:
    """Iterate over an iterator, an iterable, or what can only be indexed (Keras's PyDataset)."""
    if hasattr(batches, "__next__") or hasattr(batches, "__iter__"):
        yield from batches
    else:
        yield from (batches[index] for index in range(len(batches)))


def _to_numpy(values: Any) -> NDArray[Any]:
    return np.asarray(values.detach().cpu() if hasattr(values, "detach") else values)


def _names(answers: Sequence[str] | None, classes: int) -> Sequence[str]:
    if answers is not None and len(answers) == classes:
        return answers
    if answers is not None:
        message = f"{len(answers)} names were given for {classes} classes"
        raise UsageError(message)
    return FOUR_CLASS.answers if classes == 4 else [f"class {number}" for number in range(classes)]


def _look(model: Any, pictures: NDArray[np.float32]) -> tuple[Maps, NDArray[np.float32]]:
    """Return the maps of every convolutional layer, and the probabilities."""
    families = {kind.__module__.split(".")[0] for kind in type(model).__mro__}
    # With the PyTorch backend a Keras network is a PyTorch module too, so Keras is asked first.
    keras = next((family for family in ("keras", "tf_keras") if family in families), None)
    if keras:
        maps, outputs = _look_keras(model, pictures, keras)
    elif "torch" in families or hasattr(model, "net"):
        maps, outputs = _look_torch(getattr(model, "net", model), pictures)
    else:
        message = f"the model has to be a Keras or PyTorch network, received {type(model).__name__}"
        raise UsageError(message)
    if not maps:
        raise UsageError("the network has no convolutional layer whose filters could be shown")
    return maps, outputs


def _look_keras(model: Any, pictures: NDArray[np.float32], family: str) -> tuple[Maps, NDArray[np.float32]]:
    keras = importlib.import_module(family)
    layers = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
    extractor = keras.Model(model.inputs, [*(layer.output for layer in layers), model.outputs[0]])
    *maps, outputs = (_to_numpy(values) for values in extractor(pictures, training=False))
    return {layer.name: values.clip(min=0) for layer, values in zip(layers, maps, strict=True)}, outputs


def _look_torch(net: "nn.Module", pictures: NDArray[np.float32]) -> tuple[Maps, NDArray[np.float32]]:
    import torch

    maps: Maps = {}
    hooks = [
        module.register_forward_hook(
            # Channels last, and cut at zero as the ReLU that follows does.
            lambda _, __, output, name=name: maps.update({name: output.permute(0, 2, 3, 1).clamp(min=0).cpu().numpy()})
        )
        for name, module in net.named_modules()
        if isinstance(module, torch.nn.Conv2d)
    ]
    was_training = net.training
    try:
        with torch.inference_mode():
            device = next(net.parameters()).device
            outputs = net.eval()(torch.from_numpy(pictures).to(device).permute(0, 3, 1, 2))
            sums_to_one = bool(((outputs.sum(dim=1) - 1).abs() < 1e-3).all() and (outputs >= 0).all())
            probabilities = outputs if sums_to_one else outputs.softmax(dim=1)
    finally:
        net.train(was_training)
        for hook in hooks:
            hook.remove()
    return maps, probabilities.cpu().numpy()
