"""Read a file in a store by ranges of bytes."""

import errno
import io
import os
from collections.abc import Callable
from typing import Any

LEAST_AHEAD, MOST_AHEAD = 1 << 16, 1 << 21
"""Bytes of a request: the first of a file, and at the most for one that is read from its beginning to its end."""


class Ranges(io.RawIOBase):
    """A file that is read by ranges of bytes, more at a time the longer it is read on without a jump."""

    def __init__(self, get: Callable[[int, int], bytes], size: int, *, ahead: bool) -> None:
        self._get, self._size, self._ahead = get, size, ahead
        self._position, self._begin, self._held = 0, 0, b""
        self._step = LEAST_AHEAD

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the position."""
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a position, and return it."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise OSError(errno.EINVAL, "the place is before the beginning of the file")
        self._position = base + offset
        return self._position

    def readinto(self, buffer: Any) -> int:
        """Read into a buffer, and return the number of bytes; fewer than its size if they would take a request."""
        view = memoryview(buffer).cast("B")
        some = self._some(len(view))
        view[: len(some)] = some
        return len(some)

    def read(self, size: int | None = -1) -> bytes:
        """Return so many bytes, or those up to the end."""
        left = max(self._size - self._position, 0)
        left = left if size is None or size < 0 else min(size, left)
        pieces = []
        while left:
            pieces.append(self._some(left))
            left -= len(pieces[-1])
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _some(self, wanted: int) -> bytes:
        """Return some of the bytes from the position on: all that are held, or else those of one request."""
        wanted = min(wanted, max(self._size - self._position, 0))
        offset = self._position - self._begin
        if wanted and not 0 <= offset < len(self._held):
            self._fill(wanted)
            offset = 0
        some = self._held[offset : offset + wanted]
        self._position += len(some)
        if not self._ahead:
            self._held = b""
        return some

    def _fill(self, wanted: int) -> None:
        """Get the bytes from the position on, more than before if the last ones were read to their end."""
        end = self._begin + len(self._held)
        on = 0 <= self._position - end <= self._step and self._held
        self._step = min(2 * self._step, MOST_AHEAD) if on else LEAST_AHEAD
        more = max(wanted, self._step) if self._ahead else wanted
        stop = min(self._position + min(more, MOST_AHEAD), self._size)
        self._held, self._begin = self._get(self._position, stop), self._position
