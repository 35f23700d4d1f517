"""One more linear answer in a model file, without the ``onnx`` package.

An ONNX file is a protocol buffer, and of those the parts of a message may come one after the other: a reader joins
them. So a question is added by a second piece of graph behind the first (weights, a Gemm on ``embedding``, an output),
and the metadata are replaced. What was there stays as it was, byte for byte.
"""

import struct
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from peculiar.errors import ModelError
from peculiar.model import METADATA_KEY

# Numbers of the fields, from onnx.proto.
_MODEL_GRAPH, _MODEL_METADATA = 7, 14
_GRAPH_NODE, _GRAPH_INITIALIZER, _GRAPH_OUTPUT = 1, 5, 12
_FLOAT = 1


def head_graph(name: str, weights: NDArray[np.float32], bias: NDArray[np.float32]) -> bytes:
    """Return the piece of graph that answers a question: ``name`` = ``embedding`` @ weights + bias.

    Parameters
    ----------
    name : str
        Of the question, and of the output.
    weights : ndarray of float32, shape (d, answers)
    bias : ndarray of float32, shape (answers,)

    Returns
    -------
    bytes
        A field ``graph`` of ONNX's ModelProto.
    """
    names = (f"{name}.weights", f"{name}.bias")
    node = b"".join(_text(1, one) for one in ("embedding", *names)) + _text(2, name) + _text(3, f"{name}.gemm")
    graph = _piece(_GRAPH_NODE, node + _text(4, "Gemm"))
    graph += _piece(_GRAPH_INITIALIZER, _tensor(names[0], weights)) + _piece(
        _GRAPH_INITIALIZER, _tensor(names[1], bias)
    )
    dimensions = _piece(1, _text(2, "n")) + _piece(1, _number(1, len(bias)))
    tensor_type = _number(1, _FLOAT) + _piece(2, dimensions)
    graph += _piece(_GRAPH_OUTPUT, _text(1, name) + _piece(2, _piece(1, tensor_type)))
    return _piece(_MODEL_GRAPH, graph)


def with_head(model: bytes, graph: bytes, card: str) -> bytes:
    """Return a model file with a piece of graph more, and another card.

    Parameters
    ----------
    model : bytes
        The file.
    graph : bytes
        Of `head_graph`.
    card : str
        JSON, in place of the file's own.

    Raises
    ------
    ModelError
        If the file is no protocol buffer.
    """
    key = _text(1, METADATA_KEY)
    kept = [
        model[start:stop]
        for field, start, stop in _fields(model)
        if field != _MODEL_METADATA or key not in model[start:stop]
    ]
    return b"".join([*kept, graph, _piece(_MODEL_METADATA, key + _text(2, card))])


def _fields(message: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield number, begin and end of each field of a message."""
    place = 0
    while place < len(message):
        start = place
        tag, place = _read_number(message, place)
        match tag & 7:
            case 0:
                _, place = _read_number(message, place)
            case 1:
                place += 8
            case 2:
                length, place = _read_number(message, place)
                place += length
            case 5:
                place += 4
            case _:
                place = len(message) + 1
        if place > len(message):
            message_ = "the model file is damaged: its fields do not end where the file does"
            raise ModelError(message_)
        yield tag >> 3, start, place


def _read_number(message: bytes, place: int) -> tuple[int, int]:
    """Return a number of seven bits a byte, the lowest first, and where it ends."""
    value = shift = 0
    while place < len(message):
        byte = message[place]
        value |= (byte & 127) << shift
        place, shift = place + 1, shift + 7
        if byte < 128:
            return value, place
    return value, len(message) + 1


def _write_number(value: int) -> bytes:
    written = bytearray()
    while value > 127:
        written.append(value & 127 | 128)
        value >>= 7
    return bytes([*written, value])


def _number(field: int, value: int) -> bytes:
    return _write_number(field << 3) + _write_number(value)


def _piece(field: int, content: bytes) -> bytes:
    return _write_number(field << 3 | 2) + _write_number(len(content)) + content


def _text(field: int, text: str) -> bytes:
    return _piece(field, text.encode())


def _tensor(name: str, values: NDArray[np.float32]) -> bytes:
    flat = struct.pack(f"<{values.size}f", *values.ravel().tolist())
    return b"".join(_number(1, side) for side in values.shape) + _number(2, _FLOAT) + _text(8, name) + _piece(9, flat)
