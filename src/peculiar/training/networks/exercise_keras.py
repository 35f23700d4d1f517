"""The exercise's network in Keras, and the exchange of weights.

Needs Keras 3 with whatever backend (extra ``keras``).
"""

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from peculiar.errors import DataError, MissingExtraError
from peculiar.training.networks.exercise import ReferenceNet

if TYPE_CHECKING:
    import keras


def to_keras(net: ReferenceNet) -> "keras.Model":
    """Make the Keras network that gives the same probabilities.

    Parameters
    ----------
    net : ReferenceNet
        For pictures of 128 x 128.

    Returns
    -------
    keras.Model
        As the exercise writes it; pictures (n, 128, 128, 3) from 0 to 1 in, probabilities out.

    Raises
    ------
    DataError
        If the network is for pictures of another size.
    """
    inputs = ReferenceNet().dense.in_features
    if net.dense.in_features != inputs:
        message = (
            "the Keras twin takes pictures of 128 x 128, after which the first dense layer has "
            f"{inputs} inputs; received a network with {net.dense.in_features}. Make it with size=128"
        )
        raise DataError(message)
    model = _twin(net.dense_1.out_features)
    # Keras keeps filters as (row, column, in, out) and dense weights as (in, out).
    order = {4: (2, 3, 1, 0), 2: (1, 0), 1: (0,)}
    model.set_weights([value.cpu().numpy().transpose(order[value.ndim]) for value in net.state_dict().values()])
    return model


def from_keras(model: "keras.Model") -> ReferenceNet:
    """Make the reference network that gives the same probabilities as a Keras network.

    Parameters
    ----------
    model : keras.Model
        Built as the exercise writes it.

    Raises
    ------
    DataError
        If it is not the exercise's network.
    """
    weights = model.get_weights()
    net = ReferenceNet(classes=weights[-1].size if weights else 4)
    order = {4: (3, 2, 0, 1), 2: (1, 0)}
    tensors = [torch.from_numpy(value.transpose(order.get(value.ndim, range(value.ndim)))) for value in weights]
    expected = net.state_dict()
    if [value.shape for value in tensors] != [value.shape for value in expected.values()]:
        found = [tuple(value.shape) for value in weights]
        message = (
            f"this is not the exercise's network: its weights have the shapes {found}, those of the exercise's are "
            "(3, 3, 3, 8), (8,), (3, 3, 8, 8), (8,), (392, 16), (16,), (16, classes), (classes,); build it as "
            "to_keras(ReferenceNet()) does"
        )
        raise DataError(message)
    net.load_state_dict(dict(zip(expected, tensors, strict=True)))
    # Other activations, or a layer that scales the pictures, leave no trace in the weights.
    picture = np.random.default_rng(222).random((1, 128, 128, 3), dtype=np.float32)
    theirs = _keras().ops.convert_to_numpy(model(picture, training=False))[0]
    with torch.inference_mode():
        ours = net(torch.from_numpy(picture).permute(0, 3, 1, 2)).softmax(dim=1)[0].numpy()
    if not np.allclose(theirs, ours, atol=1e-3):
        message = (
            "this is not the exercise's network: its weights have the right shapes, but make other probabilities "
            f"({theirs.round(3)} instead of {ours.round(3)}); its activations have to be ReLU and softmax in the end, "
            "and its pictures run from 0 to 1"
        )
        raise DataError(message)
    return net


def _keras() -> Any:
    try:
        import keras
    except ImportError as error:
        raise MissingExtraError("the Keras twin", "keras") from error
    return keras


def _twin(classes: int) -> "keras.Model":
    keras = _keras()
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input(shape=(128, 128, 3)),
            layers.Conv2D(8, 3, strides=2, activation="relu"),
            layers.MaxPooling2D(pool_size=(2, 2), strides=2),
            layers.Conv2D(8, 3, strides=2, activation="relu"),
            layers.MaxPooling2D(pool_size=(2, 2), strides=2),
            layers.Flatten(),
            layers.Dense(16, activation="relu"),
            layers.Dense(classes, activation="softmax"),
        ]
    )
