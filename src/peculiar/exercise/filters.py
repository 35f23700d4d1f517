"""Feature maps of the convolutional layers of a network, drawn for galaxies."""

import functools
import importlib
import itertools
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.markup import escape
from scipy import special

from peculiar.errors import DataError, UsageError
from peculiar.exercise.network import Network
from peculiar.files.places import place
from peculiar.notebook import show_inline
from peculiar.questions.question import FOUR_CLASS
from peculiar.reports.drawing import save
from peculiar.reports.galaxy_plots import MOST_FILTERS, draw_contact_sheet, draw_galaxy, draw_maps
from peculiar.text import shown

if TYPE_CHECKING:
    from peculiar.exercise.run_folder import TrainedNet

Maps = dict[str, NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Activation:
    """Prediction and feature maps of a network for one galaxy.

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
        """True if the prediction is the label; None if there is no label."""
        return None if self.actual is None else self.predicted == self.actual

    @property
    def title(self) -> str:
        """The prediction and the true label, in words."""
        known = "" if self.actual is None else f", actual {self.actual}"
        return f"predicted {self.predicted}{known}"

    def __repr__(self) -> str:
        """Return the prediction and the sizes of the maps, without the arrays."""
        sizes = (f"{layer} {' x '.join(map(str, values.shape))}" for layer, values in self.maps.items())
        return shown(f"Activation: {self.title}; maps: {', '.join(sizes)}")


def visualize_activations(
    model: Any,
    batches: Iterable[Any],
    *,
    count: int = 5,
    out: str | os.PathLike[str] = "activations",
    answers: Sequence[str] | None = None,
) -> list[Activation]:
    """Draw what each filter of each convolutional layer sees in sample galaxies.

    For each of the first galaxies, prints the prediction, the true label, and whether it was right; writes
    ``galaxy_1.png`` and one figure of the filters' maps a layer (``galaxy_1_conv2d.png``); then, for all of them,
    ``contact_sheet.png``, which a notebook shows.

    Parameters
    ----------
    model : TrainedNet, Network, keras.Model or torch.nn.Module
        It may end in probabilities or in logits.
    batches : iterable or iterator of (pictures, labels)
        Pictures (n, height, width, 3), from 0 to 1 or uint8; labels one-hot (n, classes) or class numbers (n,) or
        (n, 1). An unknown label is a row of zeros, or -1. For instance the exercise's ``validation_iterator``. Only as
        many batches are taken as needed.
    count : int
        Number of galaxies.
    out : path-like
        Folder for the figures.
    answers : sequence of str, optional
        Names of the classes; by default those the model knows, else the exercise's.

    Returns
    -------
    list of Activation
        The galaxies that were drawn.

    Raises
    ------
    UsageError
        If `model` is of none of these kinds or has no convolutional layer, `answers` does not fit it, or `count` is
        below 1.
    DataError
        If the batches hold something else, or nothing, or pictures of a size that the model does not take.

    Examples
    --------
    >>> import peculiar
    >>> data, labels = peculiar.load_galaxy_data("galaxydata.npz")
    >>> network = peculiar.load_run("runs/first")
    >>> shown = peculiar.visualize_activations(network, [(data, labels)], count=1)
    Galaxy 1: ...
    >>> sorted(shown[0].maps)
    ['conv2d', 'conv2d_1']
    """
    if count < 1:
        message = f"at least one galaxy is needed, received count={count}"
        raise UsageError(message)
    pictures, labels = _first(batches, count)
    maps, probabilities = _look(model, pictures)
    names = _names(answers or getattr(getattr(model, "question", None), "answers", None), probabilities.shape[1])
    if max(labels) >= len(names):
        message = (
            f"the labels go up to class {max(labels)}, but the model knows 0 to {len(names) - 1} ({', '.join(names)}); "
            "give labels of the question that it was trained on"
        )
        raise DataError(message)
    folder, looked = place(out), []
    # Lines stay whole, so that paths can be copied.
    write = functools.partial(Console(highlight=False).print, soft_wrap=True)
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
            filters = values.shape[2]
            which = f"its {filters}" if filters <= MOST_FILTERS else f"the first {MOST_FILTERS} of its {filters}"
            figure = draw_maps(picture, values, f"{layer}: what {which} filters see\n{activation.title}")
            activation.files.append(save(figure, folder / f"{stem}_{layer.replace('.', '_')}.png"))
        verdict = {True: ": [green]right[/]", False: ": [red]wrong[/]", None: ""}[activation.right]
        write(f"Galaxy {index + 1}: {escape(shown(activation.title))} ({row.max():.0%} sure){verdict}")
        looked.append(activation)
    sheet = draw_contact_sheet(
        [(seen.picture, seen.title.replace(", ", "\n"), seen.right, seen.maps) for seen in looked]
    )
    save(sheet, folder / "contact_sheet.png")
    show_inline(sheet)
    write(shown(f"Figures are in {folder}"), markup=False)
    return looked


def visualize_galaxies(
    data: Any, trained: "TrainedNet", *, count: int = 5, out: str | os.PathLike[str] = "activations"
) -> list[str]:
    """Draw what each filter of a trained network sees in galaxies that it was not trained on.

    Parameters
    ----------
    data : path-like, Source, or pictures
        As `peculiar.sources.as_source` takes them. With labels, the classes take turns.
    trained : TrainedNet
    count, out
        As in `visualize_activations`.

    Returns
    -------
    list of str
        Ids of the galaxies.

    Raises
    ------
    DataError
        If the network was trained on all of them, or no picture can be read.
    """
    from peculiar.sources import as_source
    from peculiar.sources.interleave import interleave_classes
    from peculiar.sources.stream import decode_row

    source = as_source(data)
    seen = set() if trained.origin is None else trained.origin.trained_on
    numbers: dict[str | None, int] = {answer: number for number, answer in enumerate(trained.question.answers)}
    galaxies = (
        galaxy
        for galaxy in (decode_row(row, trained.framing) for row in interleave_classes(source))
        if galaxy.picture is not None and galaxy.id not in seen
    )
    chosen = list(itertools.islice(galaxies, max(count, 0)))
    if not chosen and count > 0:
        message = (
            f"{source.path}: the network was trained on all of its galaxies, or their pictures cannot be read; give "
            "other galaxies"
        )
        raise DataError(message)
    visualize_activations(
        trained, [([one.picture], [numbers.get(one.label, -1)]) for one in chosen], count=count, out=out
    )
    return [one.id for one in chosen]


def _first(batches: Iterable[Any], count: int) -> tuple[NDArray[np.float32], list[int]]:
    """Take the first pictures (float, 0 to 1) and class numbers from batches."""
    pictures: list[NDArray[np.float32]] = []
    labels: list[int] = []
    for batch in _iterate(batches):
        if not isinstance(batch, tuple | list) or len(batch) < 2:
            message = (
                f"batches have to be pairs of (pictures, labels), received {type(batch).__name__}; a single batch goes "
                "into a list, [(pictures, labels)]"
            )
            raise DataError(message)
        some, classes = _to_numpy(batch[0]), _to_numpy(batch[1])
        if classes.ndim == 2 and classes.shape[1] == 1:
            classes = classes[:, 0]
        elif classes.ndim == 2 and classes.dtype.kind in "biuf":
            classes = np.where((classes > 0).any(axis=1), classes.argmax(axis=1), -1)
        if some.ndim == 4 and some.shape[1] == 3 != some.shape[3]:
            some = some.transpose(0, 2, 3, 1)
        if some.ndim != 4 or some.shape[3] != 3 or classes.shape != some.shape[:1] or classes.dtype.kind not in "biuf":
            message = (
                "batches have to hold pictures (n, height, width, 3) and as many labels, one-hot or class numbers; "
                f"received pictures {some.shape} and labels {classes.shape} of {classes.dtype}"
            )
            raise DataError(message)
        scaled = some.astype(np.float32) / 255 if some.dtype == np.uint8 else some.astype(np.float32)
        if not (scaled >= 0).all() or scaled.max(initial=0) > 1:
            message = (
                "pictures have to run from 0 to 1 (divide by 255, or by their maximum), or be uint8; received "
                f"{some.dtype} from {some.min()} to {some.max()}"
            )
            raise DataError(message)
        pictures.extend(scaled)
        labels.extend(map(int, np.nan_to_num(classes, nan=-1)))
        if len(pictures) >= count:
            break
    if not pictures:
        raise DataError("there is no picture in the batches; an iterator that has run out has to be created again")
    return np.stack(pictures[:count]), labels[:count]


def _iterate(batches: Any) -> Iterator[Any]:
    """Iterate over an iterator, an iterable, or a sequence without iteration (Keras's PyDataset)."""
    if hasattr(batches, "__iter__"):
        # Not by `yield from`, which would close the caller's generator.
        return iter(batches)
    if hasattr(batches, "__getitem__") and hasattr(batches, "__len__"):
        return (batches[index] for index in range(len(batches)))
    message = f"batches have to be an iterable of (pictures, labels), received {type(batches).__name__}"
    raise DataError(message)


def _to_numpy(values: Any) -> NDArray[Any]:
    return np.asarray(values.detach().cpu() if hasattr(values, "detach") else values)


def _names(answers: Sequence[str] | None, classes: int) -> Sequence[str]:
    if answers is not None and len(answers) == classes:
        return answers
    if answers is not None:
        message = f"the model has {classes} classes, received {len(answers)} names for them; give one a class"
        raise UsageError(message)
    return FOUR_CLASS.answers if classes == 4 else [f"class {number}" for number in range(classes)]


def _look(model: Any, pictures: NDArray[np.float32]) -> tuple[Maps, NDArray[np.floating]]:
    """Return the maps of every convolutional layer, and the probabilities."""
    net = getattr(model, "net", model)
    families = {kind.__module__.split(".")[0] for kind in type(model).__mro__}
    # With the PyTorch backend a Keras network is a PyTorch module too, so Keras is asked first.
    family = next((family for family in ("keras", "tf_keras", "torch") if family in families), None)
    try:
        if family == "torch":
            maps, outputs = _look_torch(model, pictures)
        elif family is not None:
            maps, outputs = _look_keras(model, pictures, family)
        elif isinstance(net, Network):
            maps, outputs = net.activations(pictures)
        else:
            message = (
                f"the model has to be a network of the exercise, of Keras or of PyTorch, received "
                f"{type(model).__name__}; `load_run(FOLDER)` loads that of a training run"
            )
            raise UsageError(message)
    except (UsageError, DataError):
        raise
    except (RuntimeError, ValueError) as error:
        message = (
            f"the network does not take pictures of the shape {pictures.shape[1:]}; give it those of the size that it "
            f"was made for ({error})"
        )
        raise DataError(message) from error
    if not maps:
        raise UsageError("the network has no convolutional layer whose filters could be shown; give one that has")
    if outputs.ndim != 2:
        message = f"the network has to return one value per class, (n, classes); received {outputs.shape}"
        raise UsageError(message)
    if not np.isfinite(outputs).all():
        raise DataError("the network returned values that are not numbers; train it again (--learning-rate)")
    sums_to_one = (abs(outputs.sum(axis=1) - 1) < 1e-3).all() and (outputs >= 0).all()
    return maps, outputs if sums_to_one else special.softmax(outputs, axis=1)


def _look_keras(model: Any, pictures: NDArray[np.float32], family: str) -> tuple[Maps, NDArray[np.floating]]:
    keras = importlib.import_module(family)
    layers = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
    if not getattr(model, "inputs", None):
        message = (
            f"the Keras network ({type(model).__name__}) has no inputs yet, or none that can be followed to its "
            "layers; make it a Sequential or functional one that begins with keras.Input"
        )
        raise UsageError(message)
    extractor = keras.Model(
        model.inputs[0], {"maps": {layer.name: layer.output for layer in layers}, "outputs": model.outputs[0]}
    )
    seen = extractor(pictures, training=False)
    maps = {layer.name: _to_numpy(seen["maps"][layer.name]).clip(min=0) for layer in layers}
    return maps, _to_numpy(seen["outputs"])


def _look_torch(net: Any, pictures: NDArray[np.float32]) -> tuple[Maps, NDArray[np.floating]]:
    torch = importlib.import_module("torch")
    maps: Maps = {}
    names = {module: name for name, module in net.named_modules() if isinstance(module, torch.nn.Conv2d)}

    def note(module: Any, _: Any, output: Any) -> None:
        # Channels last, and clamped at zero like the ReLU that follows.
        maps[names[module]] = output.permute(0, 2, 3, 1).clamp(min=0).cpu().numpy()

    # Each module has a mode of its own to return to, because some may be frozen.
    modes = {module: module.training for module in net.modules()}
    hooks = [module.register_forward_hook(note) for module in names]
    try:
        net.eval()
        with torch.inference_mode():
            device = next((parameter.device for parameter in net.parameters()), "cpu")
            outputs = net(torch.from_numpy(pictures).to(device).permute(0, 3, 1, 2)).cpu().numpy()
    finally:
        for module, training in modes.items():
            module.training = training
        for hook in hooks:
            hook.remove()
    return maps, outputs
