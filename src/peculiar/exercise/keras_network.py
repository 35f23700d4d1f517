"""The exercise's network in Keras, and the exchange of weights.

Needs Keras 3 with whatever backend (extra ``keras``).
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from peculiar.errors import DataError, MissingExtraError
from peculiar.exercise.layers import Floats, softmax
from peculiar.exercise.network import Network

if TYPE_CHECKING:
    import keras

_SIZE = 128


def to_keras(net: Network) -> "keras.Model":
    """Make the Keras network that gives the same probabilities.

    Parameters
    ----------
    net : Network
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
    if net.size != _SIZE:
        message = f"the Keras network takes pictures of 128 x 128, received a network for {net.size} x {net.size}"
        raise DataError(message)
    model = _build(net.classes)
    model.set_weights([_turned(part) for part in net.parts.values()])
    return model


def from_keras(model: "keras.Model") -> Network:
    """Make the exercise's network that gives the same probabilities as a Keras network.

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
    net = Network(classes=weights[-1].size if weights else 4)
    if [value.shape for value in weights] != [_turned(part).shape for part in net.parts.values()]:
        found = [tuple(value.shape) for value in weights]
        message = (
            f"this is not the exercise's network: its weights have the shapes {found}, those of the exercise's are "
            "(3, 3, 3, 8), (8,), (3, 3, 8, 8), (8,), (392, 16), (16,), (16, classes), (classes,); build it as "
            "to_keras(Network()) does"
        )
        raise DataError(message)
    for part, value in zip(net.parts.values(), weights, strict=True):
        _turned(part)[...] = value
    # Other activations, or a layer that scales the pictures, leave no trace in the weights.
    picture = np.random.default_rng(222).random((1, _SIZE, _SIZE, 3), dtype=np.float32)
    theirs = _keras().ops.convert_to_numpy(model(picture, training=False))[0]
    ours = softmax(net.logits(picture))[0]
    if not np.allclose(theirs, ours, atol=1e-3):
        message = (
            "this is not the exercise's network: its weights have the right shapes, but make other probabilities "
            f"({theirs.round(3)} instead of {ours.round(3)}); its activations have to be ReLU and softmax in the end, "
            "and its pictures run from 0 to 1"
        )
        raise DataError(message)
    return net


def _turned(part: Floats) -> Floats:
    """Return a view of weights as Keras keeps them: what they make comes last."""
    return np.moveaxis(part, 0, -1)


def _keras() -> Any:
    try:
        import keras
    except ImportError as error:
        raise MissingExtraError("the Keras network", "keras") from error
    return keras


def _build(classes: int) -> "keras.Model":
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
