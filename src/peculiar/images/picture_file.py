"""Files of pictures: recognised by their first bytes, read up to a limit of size."""

import os
import stat

from peculiar.errors import PictureError
from peculiar.files.limits import PICTURE_BYTES
from peculiar.files.places import is_remote

PICTURE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp", ".gif", ".bmp", ".ppm", ".jp2"})

_MAGIC = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG\r\n": "PNG",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"GIF8": "GIF",
    b"BM": "BMP",
    b"P5": "PPM",
    b"P6": "PPM",
    b"\0\0\0\x0cjP": "JPEG 2000",
}
"""Kinds of pictures, by their first bytes."""


def looks_like_picture(head: bytes) -> bool:
    """Return whether a file is a picture of one of `FORMATS`, from its first 16 bytes."""
    return bool(kind_of_picture(head))


def kind_of_picture(head: bytes) -> str:
    """Return the kind of a picture, such as "JPEG", from its first 16 bytes; empty for other files."""
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WebP"
    return next((kind for magic, kind in _MAGIC.items() if head.startswith(magic)), "")


def read_encoded(path: str | os.PathLike[str]) -> bytes:
    """Return the content of a picture file; raise `PictureError` also for pipes, devices and large files."""
    try:
        if is_remote(path):
            _check_size(path, path.stat().st_size)
            return path.read_bytes()
        # Do not wait: a pipe may never send anything.
        with open(path, "rb", buffering=0, opener=_open_at_once) as file:
            state = os.fstat(file.fileno())
            if not stat.S_ISREG(state.st_mode):
                raise PictureError(f"{path} is not a file but a pipe, a socket or a device")
            _check_size(path, state.st_size)
            return file.read(PICTURE_BYTES)
    except (OSError, ValueError) as error:  # ValueError: a null character in the path
        if isinstance(error, PictureError):
            raise
        raise PictureError(f"{path} cannot be opened ({getattr(error, 'strerror', None) or error})") from error


def _check_size(path: str | os.PathLike[str], size: int) -> None:
    if size > PICTURE_BYTES:
        raise PictureError(f"{path} has {size:,} bytes, more than the {PICTURE_BYTES:,} of a picture")


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
