"""Reconstruction of the network of a model file, for further training."""

from collections.abc import Sequence

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import Tensor

from peculiar.models.model_file import Model
from peculiar.questions.question import Question
from peculiar.training.dimensions import BODY
from peculiar.training.networks.galaxy import GalaxyNet
from peculiar.training.recipe import unfit, width_of


def restore(model: Model, questions: Sequence[Question]) -> tuple[GalaxyNet, list[Question]]:
    """Return the network of a model file, with a head for each of some questions.

    Quantized weights are converted to the values that they represent.

    Parameters
    ----------
    model : Model
        With the body `BODY`, as `peculiar.training.export` or `peculiar.models.calibrate` writes it.
    questions : sequence of Question

    Returns
    -------
    net : GalaxyNet
    new : list of Question
        Questions that the network was not trained on; their heads are initialised as in a new network.

    Raises
    ------
    ModelError
        If the file holds another network.
    """
    graph = onnx.load(model.path).graph
    constants, outputs = _Constants(graph), [output.name for output in graph.output[1:]]
    net = GalaxyNet({question.name: len(question.answers) for question in questions}, width_of(model), BODY)
    for name, parameter in net.body.named_parameters():
        _fill(parameter, constants[f"net.body.{name}"], model)
    new = []
    known = {one.name: (one.answers, output) for one, output in zip(model.card.questions, outputs, strict=True)}
    for question in questions:
        answers, output = known.get(question.name, ((), ""))
        weights, bias = constants.layer(output) if answers == question.answers else (None, None)
        # A linear head that was taught later is not part of the network and is fitted again.
        if weights is None:
            new.append(question)
        else:
            set_head(net, question, weights, bias)
    return net, new


def set_head(
    net: GalaxyNet, question: Question, weights: NDArray[np.float32], bias: NDArray[np.float32] | None
) -> None:
    """Set the weights, shape (answers, d), and bias, shape (answers,), of the head for a question."""
    head = net.head(question.name)
    values = {"weight": weights, "bias": np.zeros(len(weights), np.float32) if bias is None else bias}
    head.load_state_dict({name: torch.from_numpy(value.copy()) for name, value in values.items()})


def _fill(parameter: Tensor, values: NDArray[np.float32] | None, model: Model) -> None:
    if values is None or values.shape != parameter.shape:
        raise unfit(model)
    with torch.no_grad():
        parameter.copy_(torch.from_numpy(values.copy()))


class _Constants:
    """The weights of a graph by name, converted to single precision."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self._layers = {node.output[0]: node for node in graph.node if node.op_type == "Gemm"}
        self._stored = {weights.name: weights for weights in graph.initializer}
        # The node that dequantizes weights names them as before, or with a suffix.
        self._makers = {
            node.output[0].removesuffix("_DequantizeLinear_Output"): node
            for node in graph.node
            if node.op_type in ("Cast", "DequantizeLinear") and node.input[0] in self._stored
        }

    def layer(self, output: str) -> tuple[NDArray[np.float32] | None, NDArray[np.float32] | None]:
        """Return weights (answers, d) and bias of the linear layer that computes an output, if there is one."""
        node = self._layers.get(output)
        if node is None or not any(one.name == "transB" and one.i for one in node.attribute):
            return None, None
        weights, bias = (self[name] for name in node.input[1:3])
        return weights, bias

    def __getitem__(self, name: str) -> NDArray[np.float32] | None:
        """Return the weights of a name, or None."""
        if name in self._stored:
            return self._array(name)
        if name not in self._makers:
            return None
        values, *rest = (self._array(one) for one in self._makers[name].input)
        if not rest:
            return values
        scale, zero = (one.reshape(-1, *[1] * (values.ndim - 1)) for one in rest)
        return (values - zero) * scale

    def _array(self, name: str) -> NDArray[np.float32]:
        values: NDArray[np.float32] = numpy_helper.to_array(self._stored[name]).astype(np.float32)
        return values
