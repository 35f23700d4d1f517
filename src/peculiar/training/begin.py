"""The first network of a run: random, with trained weights of its body, or a model's with heads for new questions."""

from collections.abc import Iterator, Mapping
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import logsumexp, softmax
from torch import Tensor, nn

from peculiar.metrics.dirichlet import fit_factor
from peculiar.models.linear_head import fit_head, fit_shares
from peculiar.models.model_file import Model
from peculiar.questions.votes import numbers_of_votes
from peculiar.sources.answers import Answered
from peculiar.training.augment import middle
from peculiar.training.build import make_net
from peculiar.training.networks.blocks import freeze, recompute
from peculiar.training.networks.bodies import load_imagenet
from peculiar.training.networks.galaxy import GalaxyNet
from peculiar.training.recipe import RunRecord
from peculiar.training.restore import restore, set_head

# The first layers detect edges and colours, which are the same in all pictures: pretrained ones are frozen, which saves
# a quarter of the time.
_FIRST_LAYERS = 4

_BATCH = 128


def first_net(
    record: RunRecord,
    data: Answered,
    rows: NDArray[np.intp],
    device: torch.device,
    *,
    start: Model | None = None,
    body: Mapping[str, Tensor] | None = None,
) -> GalaxyNet:
    """Return the network that a run begins with.

    Parameters
    ----------
    record : RunRecord
    data : Answered
    rows : ndarray of int
        Rows of the training galaxies.
    device : torch.device
        Device that computes embeddings for new heads.
    start : Model, optional
        A model to fine-tune.
    body : mapping of str to Tensor, optional
        First weights of an encoder of timm.
    """
    recipe = record.recipe
    net = make_net(record) if start is None else _of_model(start, record, data, rows, device)
    trained = start is not None or (recipe.pretrained and not recipe.of_timm)
    if start is None and trained:
        load_imagenet(cast(nn.Sequential, net.body))
    if body is not None:
        net.body.load_state_dict(body)
    if recipe.freeze is None:
        freeze(net, _FIRST_LAYERS if trained else 0)
    else:
        freeze(net, None if recipe.freeze == "all" else recipe.freeze)
    if recipe.checkpointing:
        recompute(net)
    return net


def unchanged(data: Answered, rows: NDArray[np.intp], size: int, device: torch.device) -> Iterator[Tensor]:
    """Yield batches of galaxies as network input, without augmentation."""
    for start in range(0, len(rows), _BATCH):
        some = torch.from_numpy(data.pictures[rows[start : start + _BATCH]])
        yield middle(some.to(device), size)


def _of_model(
    start: Model, record: RunRecord, data: Answered, rows: NDArray[np.intp], device: torch.device
) -> GalaxyNet:
    """Return the network of a model, with linear heads on its embeddings for new questions.

    In a network with another embedding, or with a second extent, only the body is the model's.
    """
    recipe = record.recipe
    net, new = restore(start, data.questions)
    if recipe.embedding is not None or recipe.context > 1:
        other = make_net(record)
        other.body.load_state_dict(net.body.state_dict())
        return other
    net.to(device).eval()
    for question in new:
        labels, shares = data.labels[question.name], data.shares.get(question.name)
        trust = data.trust[question.name]
        known = rows[labels[rows] >= 0 if shares is None else trust[rows] > 0]
        with torch.inference_mode():
            embeddings = torch.cat(
                [net.embed(seen).cpu() for seen in unchanged(data, known, recipe.size, device)]
            ).numpy()
        if shares is None:
            head = fit_head(embeddings, labels[known], question, seed=recipe.seed)
            weights, bias = head.weights / head.temperature, head.bias / head.temperature
        else:
            weights, bias = fit_shares(embeddings, shares[known], trust[known], seed=recipe.seed)
            if recipe.votes == "dirichlet":
                bias = bias + _certainty(embeddings @ weights + bias, shares[known], trust[known])
        set_head(net, question, weights.T, bias)
    return net


def _certainty(logits: NDArray[np.floating], shares: NDArray[np.float32], trust: NDArray[np.float32]) -> float:
    """Return the number to add to logits that makes votes most likely, with their exponentials as concentrations."""
    ratios = softmax(logits, axis=1)
    offset = float(np.log(fit_factor(shares * numbers_of_votes(trust)[:, None], ratios)))
    return offset - float(np.median(logsumexp(logits, axis=1)))
