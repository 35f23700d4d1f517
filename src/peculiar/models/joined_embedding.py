"""Join the means of earlier maps to the embedding of a model file, without training.

The last maps of a network keep little but what answers its questions. The maps before them also hold what distinguishes
galaxies of other kinds and surveys (``docs/lab-book.md``). Each number is standardised, the features of the last maps
count twice, and all are turned to their principal components: one linear layer. The heads keep their input, so no
answer changes.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper, shape_inference

from peculiar.errors import LabelError, ModelError, UsageError

MOST = 512
"""Largest number of values of an embedding."""

# Weight of the features of the last maps beside the means of earlier ones, by experiment (``docs/lab-book.md``).
_FEATURES_WEIGHT = 2.0

# Smallest standard deviation of a number relative to the median of all: one that hardly changes among ordinary galaxies
# must not outweigh all others in a picture of another survey.
_LEAST_SPREAD = 0.05

_OUTPUT, _FEATURES, _JOINED, _AXES = "embedding", "embedding.features", "embedding.joined", "embedding.axes"
_WEIGHTS, _HALF, _BIAS = "embedding.weights", "embedding.weights.half", "embedding.bias"


@dataclass(frozen=True, slots=True)
class Join:
    """The linear layer that makes an embedding from joined means.

    Parameters
    ----------
    weights : ndarray of float16, shape (m, d)
    bias : ndarray of float32, shape (d,)
    """

    weights: NDArray[np.float16]
    bias: NDArray[np.float32]

    def __call__(self, joined: NDArray[np.floating]) -> NDArray[np.float32]:
        """Return the embeddings, shape (n, d), of joined means, shape (n, m)."""
        return np.asarray(joined @ self.weights.astype(np.float32) + self.bias, dtype=np.float32)


def check_size(size: int) -> None:
    """Raise `UsageError` unless this can be the size of an embedding."""
    if not 2 <= size <= MOST:
        message = f"an embedding has between 2 and {MOST} numbers, received {size}"
        raise UsageError(message)


def join_means(graph: onnx.ModelProto, size: int, path: Path) -> None:
    """Let a graph return all means side by side as its embedding.

    The means are those of the last maps, as the embedding was, and those behind the last shortcut of each number of
    channels.

    Parameters
    ----------
    graph : onnx.ModelProto
        As `peculiar.training.export` or `peculiar.models.calibrate` writes it; changed in place.
    size : int
        Size of the embedding that is to be made of them.
    path : path
        Its file, for messages.

    Raises
    ------
    ModelError
        If its embedding is not the mean of its last maps, or it has no shortcuts.
    UsageError
        If there are fewer numbers than `size`.
    """
    maps = _earlier_maps(graph)
    makers = [node.op_type for node in graph.graph.node if _OUTPUT in node.output]
    if makers != ["ReduceMean"] or not maps:
        message = (
            f"{path} has an embedding that joins earlier maps already, or a network without any; give the file that "
            "`peculiar export` wrote of a network without an embedding of its own (--model)"
        )
        raise ModelError(message)
    count = graph.graph.output[0].type.tensor_type.shape.dim[1].dim_value + sum(maps.values())
    if size > count:
        message = f"{path} has {count} features to make an embedding of, fewer than {size} (--embedding)"
        raise UsageError(message)
    for node in graph.graph.node:
        for names in (node.input, node.output):
            names[:] = [_FEATURES if name == _OUTPUT else name for name in names]
    graph.graph.initializer.append(numpy_helper.from_array(np.array([2, 3]), _AXES))
    means = [f"{name}.mean" for name in maps]
    for name, mean in zip(maps, means, strict=True):
        graph.graph.node.append(helper.make_node("ReduceMean", [name, _AXES], [mean], keepdims=0))
    graph.graph.node.append(helper.make_node("Concat", [_FEATURES, *means], [_OUTPUT], axis=1))
    _resize(graph, count)


def fit_join(joined: NDArray[np.floating], features: int, size: int) -> Join:
    """Fit the layer that makes an embedding from joined means.

    Parameters
    ----------
    joined : ndarray, shape (n, m)
        The embeddings that a graph of `join_means` gives of galaxies on which the network was not trained.
    features : int
        Number of the m numbers that are features of the last maps; these come first.
    size : int
        Numbers of the embedding.

    Raises
    ------
    LabelError
        If there are fewer galaxies than numbers of the embedding.
    """
    if len(joined) <= size:
        message = (
            f"an embedding of {size} numbers (--embedding) needs more than {size} galaxies of the model's validation "
            f"part, received {len(joined)}; give more of the data that it was trained on, or make the embedding shorter"
        )
        raise LabelError(message)
    values = np.asarray(joined, dtype=np.float64)
    middle, spread = values.mean(axis=0), values.std(axis=0)
    scale = 1 / np.maximum(spread, _LEAST_SPREAD * float(np.median(spread)) or 1.0)
    scale[:features] *= _FEATURES_WEIGHT
    _, axes = np.linalg.eigh(np.cov(((values - middle) * scale).T))
    axes = axes[:, ::-1][:, :size]
    # An axis has no sign of its own: its largest entry is positive, so that the same data give the same embedding.
    axes *= np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(size)])
    weights = (scale[:, None] * axes).astype(np.float16)
    return Join(weights, (-middle @ weights.astype(np.float64)).astype(np.float32))


def set_join(graph: onnx.ModelProto, join: Join) -> None:
    """Put the layer behind the joined means of a graph of `join_means`."""
    for node in graph.graph.node:
        node.output[:] = [_JOINED if name == _OUTPUT else name for name in node.output]
    graph.graph.initializer.extend(
        [numpy_helper.from_array(join.weights, _HALF), numpy_helper.from_array(join.bias, _BIAS)]
    )
    graph.graph.node.extend(
        [
            helper.make_node("Cast", [_HALF], [_WEIGHTS], to=TensorProto.FLOAT),
            helper.make_node("Gemm", [_JOINED, _WEIGHTS, _BIAS], [_OUTPUT]),
        ]
    )
    _resize(graph, len(join.bias))


def describe_join(size: int, galaxies: int) -> str:
    """Return what the card of a model says of a joined embedding."""
    return (
        f"{size} principal components, not whitened, of the means of the last maps, which count twice, and of earlier "
        f"maps, each number standardised on {galaxies:,} galaxies of the validation part. Near are galaxies that the "
        "questions call alike, and less so those of like shapes and textures; it was not trained for a similarity"
    )


def _earlier_maps(graph: onnx.ModelProto) -> dict[str, int]:
    """Return the last sum of maps of each number of channels, and this number; as floats, if it is in eight bits."""
    shapes = {
        value.name: [side.dim_value for side in value.type.tensor_type.shape.dim]
        for value in shape_inference.infer_shapes(graph).graph.value_info
    }
    last = {
        shapes[node.output[0]][1]: node.output[0]
        for node in graph.graph.node
        if node.op_type == "Add" and len(shapes.get(node.output[0], ())) == 4
    }
    behind = {
        node.input[0]: node.output[0]
        for node in graph.graph.node
        if node.op_type in ("QuantizeLinear", "DequantizeLinear")
    }
    return {behind.get(behind.get(name, ""), name): channels for channels, name in last.items()}


def _resize(graph: onnx.ModelProto, count: int) -> None:
    """State the number of values of the embedding."""
    graph.graph.output[0].type.tensor_type.shape.dim[1].dim_value = count
