"""Decode plain JPEGs with simplejpeg, where it is installed: the same pixels as Pillow's, in less time.

A JPEG is plain if it has one or three colours and no orientation.
"""

import functools
import threading
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

# Larger pictures do not reuse memory: it would be kept as long as the thread.
_KEPT_PIXELS = 1 << 22


class _Memory(threading.local):
    """Memory for the pixels of one picture, for each thread, because new memory takes as long as decoding into it."""

    def __init__(self) -> None:
        self.pixels = np.empty(0, np.uint8)

    def of(self, size: int) -> NDArray[np.uint8]:
        if size > self.pixels.size:
            self.pixels = np.empty(size, np.uint8)
        return self.pixels


_memory = _Memory()


def decode_jpeg(content: bytes, least: tuple[int, int] = (0, 0)) -> NDArray[np.uint8] | None:
    """Decode a plain JPEG.

    Parameters
    ----------
    content : bytes
        The file.
    least : tuple of int
        Width and height that suffice: the decoder reduces the picture by as much as these allow; by default not at all.

    Returns
    -------
    ndarray of uint8, shape (height, width, 3), or None
        None if simplejpeg is not installed or rejects the file; then Pillow decides.
    """
    decode = jpeg_decoder()
    try:
        return None if decode is None else decode(content, "RGB", min_width=least[0], min_height=least[1])
    except ValueError:
        return None


def open_jpeg(content: bytes, size: tuple[int, int]) -> Image.Image | None:
    """Decode a plain JPEG to an image of Pillow that is valid until the next call in the same thread.

    The image shares its memory with the decoder: copying the pixels, and new memory for them, would take as long as
    decoding.

    Parameters
    ----------
    content : bytes
        The file.
    size : tuple of int
        Its width and height.

    Returns
    -------
    PIL.Image.Image or None
        RGB; None as in `decode_jpeg`.
    """
    decode = jpeg_decoder()
    if decode is None:
        return None
    import pyarrow as pa

    width, height = size
    pixels = width * height
    memory = _memory.of(4 * pixels) if pixels <= _KEPT_PIXELS else np.empty(4 * pixels, np.uint8)
    try:
        decode(content, "RGBX", buffer=memory)  # Pillow's images have a fourth byte, which it ignores
    except ValueError:
        return None
    return Image.fromarrow(pa.Array.from_buffers(pa.uint32(), pixels, [None, pa.py_buffer(memory)]), "RGB", size)


@functools.cache
def jpeg_decoder() -> Callable[..., NDArray[np.uint8]] | None:
    """Return simplejpeg's decoder, or None without the extra `fast`."""
    try:
        import simplejpeg
    except ImportError:
        return None
    decoder: Callable[..., NDArray[np.uint8]] = simplejpeg.decode_jpeg
    return decoder
