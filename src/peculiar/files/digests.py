"""Digests of files."""

import functools
import hashlib
from pathlib import Path


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@functools.lru_cache(maxsize=64)
def digest_of_state(path: Path, size: int, time: int) -> str:
    """Return the SHA-256 of a file that has this size and time (`st_mtime_ns`), computed once."""
    return file_digest(path)
