"""Pictures given from Python: arrays, lists of arrays, Pillow images."""

import itertools
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from peculiar.errors import PictureError, UsageError
from peculiar.images.decode import picture_pixels
from peculiar.images.framing import Framing, frame_pixels

_TAKEN = (
    "give an array of uint8, (n, height, width, 3) or (height, width, 3), or a list of such pictures or of Pillow's; "
    "floats from 0 to 1 do as well"
)


_TOGETHER = 64


def framed_batches(pictures: Any, framing: Framing) -> Iterator[NDArray[np.uint8]]:
    """Frame pictures of any kind that `each_picture` accepts, and yield them in batches: (n, size, size, 3)."""
    stream = (frame_pixels(picture, framing) for picture in each_picture(pictures))
    while some := list(itertools.islice(stream, _TOGETHER)):
        yield np.stack(some)


def each_picture(pictures: Any) -> Iterator[NDArray[np.uint8]]:
    """Yield the pixels of one picture, or of several.

    Parameters
    ----------
    pictures : array, PIL.Image.Image, or iterable of these
        An array of four dimensions holds several pictures.

    Yields
    ------
    ndarray of uint8, shape (height, width, 3)

    Raises
    ------
    UsageError
        If something is not a picture.
    """
    if isinstance(pictures, Image.Image):
        yield pixels_of(pictures)
    elif hasattr(pictures, "__array__"):
        array = _to_array(pictures, "the array")
        if array.ndim != 4:
            yield pixels_of(array)
        else:
            # One by one, so that floats do not need twice the memory.
            yield from (pixels_of(picture, f"picture {number}") for number, picture in enumerate(array))
    elif isinstance(pictures, Iterable) and not isinstance(pictures, str | bytes):
        yield from (pixels_of(picture, f"picture {number}") for number, picture in enumerate(pictures))
    else:
        message = f"{type(pictures).__name__} is not a picture; {_TAKEN}"
        raise UsageError(message)


def pixels_of(picture: Any, called: str = "the picture") -> NDArray[np.uint8]:
    """Return the pixels of one picture.

    Parameters
    ----------
    picture : array of shape (height, width, 3), or PIL.Image.Image
        An array holds uint8, or floats from 0 to 1, which are multiplied by 255 and rounded.
    called : str
        Its name in errors.

    Returns
    -------
    ndarray of uint8, shape (height, width, 3)

    Raises
    ------
    UsageError
        If it is something else.
    """
    if isinstance(picture, Image.Image):
        try:
            return picture_pixels(picture)
        except (PictureError, OSError) as error:
            message = f"{called} cannot be read: {error}"
            raise UsageError(message) from error
    if not hasattr(picture, "__array__"):
        what = "None: one that could not be read is left out" if picture is None else type(picture).__name__
        message = f"{called} is {what}; {_TAKEN}"
        raise UsageError(message)
    array = _to_array(picture, called)
    if array.ndim != 3 or array.shape[2] != 3 or 0 in array.shape:
        hint = "colours come last" if 3 in array.shape[:1] + array.shape[1:2] and array.ndim > 2 else "three colours"
        message = f"{called} has the shape {array.shape}, and (height, width, 3) is needed ({hint}); {_TAKEN}"
        raise UsageError(message)
    if array.dtype == np.uint8:
        return array
    if array.dtype.kind != "f" or not (np.isfinite(array).all() and array.min() >= 0 and array.max() <= 1):
        message = f"{called} holds {array.dtype} from {array.min()} to {array.max()}; {_TAKEN}"
        raise UsageError(message)
    pixels: NDArray[np.uint8] = np.rint(array * 255).astype(np.uint8)
    return pixels


def _to_array(values: Any, called: str) -> NDArray[Any]:
    try:
        array: NDArray[Any] = np.asarray(values)
    except (TypeError, ValueError, RuntimeError) as error:  # a tensor on a GPU, or one with gradients
        message = f"{called} cannot be converted to a NumPy array ({error}); {_TAKEN}"
        raise UsageError(message) from error
    return array
