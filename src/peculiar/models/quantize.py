"""Quantize a model file to eight bits: a quarter of the size, half the time where processors multiply bytes.

Weights and feature maps become integers: maps with ranges measured on real pictures, weights with one range per filter
(Jacob et al. 2018, section 2). The first layers stay in floating point, and so do the mean of the last map and the
heads.
"""

import logging
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from peculiar.errors import LabelError, ModelError
from peculiar.models.model_file import Model
from peculiar.sources.stream import Source

_IN_BYTES = ("Conv", "Clip", "Add")

# The first layers stay in floating point, because their rounding errors reach all others (``docs/lab-book.md``).
_FIRST = ("net.body.0.", "net.body.1.", "net.body.2.")

_BATCH = 32

# Number of parts of the data, and most galaxies of each: ranges need all kinds of pictures, but few of each.
_PIECES, _OF_A_PIECE = 32, 16


def quantize(model: Model, pictures: NDArray[np.uint8]) -> onnx.ModelProto:
    """Return the graph of a model, quantized to eight bits, without metadata.

    Parameters
    ----------
    model : Model
        As `peculiar.training.export` writes it.
    pictures : ndarray of uint8, shape (n, size, size, 3)
        Framed pictures, which decide the ranges.

    Raises
    ------
    ModelError
        If its weights are in eight bits already.
    """
    graph = onnx.load(model.path)
    if any(node.op_type == "QuantizeLinear" for node in graph.graph.node):
        message = f"{model.path} is in eight bits already; give the model file that `peculiar export` wrote"
        raise ModelError(message)
    del graph.metadata_props[:]
    _widen(graph)
    spared = [
        node.name
        for node in graph.graph.node
        if node.op_type not in _IN_BYTES or any(name.startswith(_FIRST) for name in node.input)
    ]
    with tempfile.TemporaryDirectory() as folder, _quiet():
        file = Path(folder) / "model.onnx"
        quantize_static(
            graph,
            file,
            _Batches(pictures),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=list(_IN_BYTES),
            nodes_to_exclude=spared,
            per_channel=True,
            # Weights have seven bits: with eight, processors that add pairs of products in 16 bits would overflow, and
            # the answers would depend on the processor.
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
        quantized = onnx.load(file)
    del quantized.metadata_props[:]
    return quantized


def check_body(model: Model) -> None:
    """Raise `ModelError` for a model whose body was not made to be quantized."""
    body = str(model.card.training.get("recipe", {}).get("body", ""))
    if body.startswith("timm:"):
        message = (
            f"{model.path} has the body {body}, whose answers may change in eight bits; leave its weights as they are, "
            "or train the body lite"
        )
        raise ModelError(message)


def pictures_for_ranges(model: Model, sources: Sequence[Source], part_in: Callable[[str], str]) -> NDArray[np.uint8]:
    """Return framed pictures of training galaxies of the model, from all over the data.

    Parameters
    ----------
    model : Model
    sources : sequence of Source
    part_in : callable
        Function of an id that returns the part of the galaxy, one of `peculiar.sources.split.PARTS`.
    """
    found = []
    for source in sources:
        step = max(1, len(source) // _PIECES)
        for start in range(0, len(source), step):
            galaxies = source.galaxies(model.framing, start=start, stop=min(start + step, start + 4 * _OF_A_PIECE))
            fitting = [
                galaxy.picture for galaxy in galaxies if galaxy.picture is not None and part_in(galaxy.id) == "training"
            ]
            found += fitting[:_OF_A_PIECE]
    if not found:
        message = "none of the pictures belongs to the model's training part; give the data that it was trained on"
        raise LabelError(message)
    return np.stack(found)


class _Batches(CalibrationDataReader):  # type: ignore[misc]
    """Pictures in the form in which ONNX Runtime measures the ranges of feature maps."""

    def __init__(self, pictures: NDArray[np.uint8]) -> None:
        self._batches = (pictures[start : start + _BATCH] for start in range(0, len(pictures), _BATCH))

    def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
        some = next(self._batches, None)
        return None if some is None else {"pictures": some}


def _widen(graph: onnx.ModelProto) -> None:
    """Convert weights that are stored in half precision to single precision."""
    halves = {weights.name: weights for weights in graph.graph.initializer if weights.data_type == TensorProto.FLOAT16}
    for node in [node for node in graph.graph.node if node.op_type == "Cast" and node.input[0] in halves]:
        weights = halves[node.input[0]]
        values = numpy_helper.to_array(weights).astype(np.float32)
        weights.CopyFrom(numpy_helper.from_array(values, node.output[0]))
        graph.graph.node.remove(node)


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppress ONNX Runtime's advice to preprocess the graph, which has been done."""
    logger = logging.getLogger()
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)
