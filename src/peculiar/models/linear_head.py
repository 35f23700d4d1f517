"""Add a linear head to a model file, without the ``onnx`` package.

An ONNX file is a protocol buffer, in which a message may come in several parts that a reader merges. So a question is
added as a second part of the graph: weights, a Gemm on ``embedding``, an output. The existing bytes do not change.
"""

import struct

import numpy as np
from numpy.typing import NDArray

from peculiar.models.container import number, piece, text

# Numbers of the fields, from onnx.proto.
_MODEL_GRAPH = 7
_GRAPH_NODE, _GRAPH_INITIALIZER, _GRAPH_OUTPUT = 1, 5, 12
_FLOAT = 1


def head_graph(name: str, weights: NDArray[np.float32], bias: NDArray[np.float32]) -> bytes:
    """Return the part of the graph for one more question: ``name`` = ``embedding`` @ weights + bias.

    Parameters
    ----------
    name : str
        Of the output.
    weights : ndarray of float32, shape (d, answers)
    bias : ndarray of float32, shape (answers,)

    Returns
    -------
    bytes
        A field ``graph`` of ONNX's ModelProto.
    """
    names = (f"{name}.weights", f"{name}.bias")
    node = b"".join(text(1, one) for one in ("embedding", *names)) + text(2, name) + text(3, f"{name}.gemm")
    graph = piece(_GRAPH_NODE, node + text(4, "Gemm"))
    graph += piece(_GRAPH_INITIALIZER, _tensor(names[0], weights)) + piece(_GRAPH_INITIALIZER, _tensor(names[1], bias))
    dimensions = piece(1, text(2, "n")) + piece(1, number(1, len(bias)))
    tensor_type = number(1, _FLOAT) + piece(2, dimensions)
    graph += piece(_GRAPH_OUTPUT, text(1, name) + piece(2, piece(1, tensor_type)))
    return piece(_MODEL_GRAPH, graph)


def _tensor(name: str, values: NDArray[np.float32]) -> bytes:
    flat = struct.pack(f"<{values.size}f", *values.ravel().tolist())
    return b"".join(number(1, side) for side in values.shape) + number(2, _FLOAT) + text(8, name) + piece(9, flat)
