"""Write the network of a training run as a model file, and check its answers against PyTorch."""

import logging
import warnings
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from pydantic import ValidationError
from torch import Tensor, nn

from peculiar.errors import ModelError, RunError
from peculiar.files import run_files
from peculiar.files.writing import writing
from peculiar.models.card import FORMAT, Card, seal
from peculiar.models.model_file import Model, load_model
from peculiar.models.seen import SEEN, pack_ids
from peculiar.training.build import load_net
from peculiar.training.networks.galaxy import GalaxyNet
from peculiar.training.recipe import Recipe, read_notes, read_record
from peculiar.training.weights import to_input

# Half precision keeps three digits of a weight, and halves the file; arithmetic stays in single precision. The few
# weights of the first layers need more digits than that, and take little room. A network whose temperature is low needs
# more digits of all of them.
_HALF_FROM = 2**14

TOLERANCE = 1e-3
"""Largest difference of a probability of the model file from PyTorch's."""


class _Graph(nn.Module):
    """The computation of the file: decoded pictures in, embedding and logits out."""

    def __init__(self, net: GalaxyNet) -> None:
        super().__init__()
        self.net = net
        for module in [*net.modules()]:
            for name, part in module.named_children():
                if isinstance(part, nn.ReLU6):
                    setattr(module, name, _Clip())

    def forward(self, pictures: Tensor) -> tuple[Tensor, ...]:
        embedding = self.net.embed(self.net.extents(pictures.permute(0, 3, 1, 2).to(torch.float32) * (1 / 255)))
        return (embedding, *(head(embedding) for head in self.net.heads))


class _Clip(nn.Module):
    """The same as `nn.ReLU6`, which the exporter would take apart and put together again in twice the time."""

    def forward(self, values: Tensor) -> Tensor:
        return values.clamp(0, 6)


def write_network(
    folder: Path,
    out: Path,
    *,
    name: str = "",
    scores: dict[str, Any] | None = None,
    views: int = 2,
    credits: Sequence[str] = (),
    licence: str = "",
) -> Model:
    """Write the model file of the averaged weights of a run; see `peculiar.training.export.export`.

    Raises
    ------
    RunError
        If the folder is not that of a finished run, or damaged.
    ModelError
        If the file's answers differ from PyTorch's by more than `TOLERANCE`.
    """
    record = read_record(folder)
    net = load_net(folder, record)
    notes = read_notes(folder)
    size = record.recipe.framing.size
    whole = _to_onnx(net, size)
    try:
        card = Card(
            format=FORMAT,
            name=name or out.stem,
            digest="",
            framing=record.recipe.framing,
            questions=record.questions,
            temperatures=notes["temperatures"],
            spreads=notes.get("spreads", {}),
            embedding=_about_embedding(record.recipe),
            views=views,
            training={
                **record.model_dump(mode="json", exclude={"questions"}),
                "epochs": len(run_files.read_history(folder)),
                SEEN: [
                    *record.seen,
                    pack_ids(id_ for id_, part in run_files.read_split(folder).items() if part == "training"),
                ],
            },
            scores=scores or {"validation": notes["scores"]},
            credits=tuple(credits),
            licence=licence,
            version=metadata.version("peculiar"),
        )
    except ValidationError as error:
        message = f"{folder} cannot be exported: {run_files.wrong_values(error)}"
        raise RunError(message) from error
    with writing(out) as temporary:
        for graph in (_halved(whole), whole):
            onnx.checker.check_model(graph)
            temporary.write_bytes(seal(graph.SerializeToString(deterministic=True), card))
            wrong = _wrong(load_model(temporary), net, notes["temperatures"])
            if not wrong:
                break
        else:
            listed = ", ".join(f"{question} by up to {worst:.2g}" for question, worst in wrong.items())
            message = f"the exported network answers otherwise than PyTorch: {listed}"
            raise ModelError(message)
    return load_model(out)


def _about_embedding(recipe: Recipe) -> str:
    """Return what the card says of an embedding of its own."""
    if recipe.embedding is None:
        return ""
    looks = "; trained to be near for two looks of one galaxy" if recipe.consistency else ""
    features = "the features of the encoder" if recipe.of_timm else "the means of the last maps and of earlier ones"
    return f"{recipe.embedding} numbers, whitened, of {features}{looks}"


def _to_onnx(net: GalaxyNet, size: int) -> onnx.ModelProto:
    """Trace a network, its normalisations folded into its convolutions."""
    # By number, because questions may have any name, and the exporter uses names of outputs as identifiers.
    names = ["embedding", *(f"logits_{number}" for number in range(len(net.questions)))]
    example = torch.zeros(2, size, size, 3, dtype=torch.uint8)
    exporter = logging.getLogger("torch.onnx")
    before = exporter.level
    with warnings.catch_warnings():
        # PyTorch's exporter warns of its own internals, and of packages that it could do without.
        warnings.simplefilter("ignore")
        exporter.setLevel(logging.ERROR)
        try:
            program = torch.onnx.export(
                _Graph(net).eval(),
                (example,),
                dynamo=True,
                input_names=["pictures"],
                output_names=names,
                dynamic_shapes=({0: "n"},),
                verbose=False,
            )
        finally:
            exporter.setLevel(before)
    graph: onnx.ModelProto = program.model_proto  # type: ignore[union-attr]
    _strip(graph)
    return graph


def _strip(graph: onnx.ModelProto) -> None:
    """Remove what the exporter notes of the source: half a megabyte that names files of the machine."""
    for part in (*graph.graph.node, *graph.graph.input, *graph.graph.output, *graph.graph.value_info):
        del part.metadata_props[:]
        if isinstance(part, onnx.NodeProto):
            part.doc_string = ""
    del graph.graph.metadata_props[:]
    del graph.metadata_props[:]
    graph.doc_string = graph.graph.doc_string = ""


def _halved(whole: onnx.ModelProto) -> onnx.ModelProto:
    """Return a graph with large weights in half precision; ONNX Runtime widens them once, as it loads the file."""
    graph = onnx.ModelProto()
    graph.CopyFrom(whole)
    for weights in graph.graph.initializer:
        values = numpy_helper.to_array(weights)
        if values.dtype != np.float32 or values.size < _HALF_FROM:
            continue
        name = weights.name
        weights.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}.half"))
        graph.graph.node.insert(0, helper.make_node("Cast", [f"{name}.half"], [name], to=TensorProto.FLOAT))
    return graph


def _wrong(model: Model, net: GalaxyNet, temperatures: dict[str, float]) -> dict[str, float]:
    """Return the largest differences of the file's probabilities from the network's, by question, if too large.

    They are compared on smooth and on noisy pictures.
    """
    size = model.framing.size
    random = np.random.default_rng(222)
    noise = random.integers(0, 256, (8, size, size, 3), dtype=np.uint8)
    blocks = random.integers(0, 256, (8, 4, 4, 3), dtype=np.uint8).repeat(size // 4, axis=1).repeat(size // 4, axis=2)
    smooth = np.zeros_like(noise)
    smooth[:, : blocks.shape[1], : blocks.shape[2]] = blocks
    pictures = np.concatenate([noise, smooth])
    found = model.classify(pictures, views=1, framed=True).probabilities
    with torch.inference_mode():
        logits = net(net.extents(to_input(torch.from_numpy(pictures), torch.device("cpu"))))
    furthest = {
        question: float(np.abs(found[question] - torch.softmax(values / temperatures[question], dim=1).numpy()).max())
        for question, values in logits.items()
    }
    return {question: worst for question, worst in furthest.items() if not worst <= TOLERANCE}
