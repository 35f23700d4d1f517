"""Streams of bytes: decompressed within limits, converted to UTF-8, and with tabs in place of blanks."""

import abc
import bz2
import codecs
import gzip
import io
import lzma
import re
import threading
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from peculiar.errors import DataError

_PACKED: dict[bytes, Callable[[Path], Any]] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\0": lzma.open}
_MOST_UNPACKED, _MOST_TIMES = 1 << 28, 200
"""Beyond so many bytes, a compressed file is read only while it grows by at most this factor."""

_IDLE_SECONDS = 0.1
"""If Arrow's thread has not read for so long, it waits for batches to be taken, or has ended."""

_BLANKS = re.compile(rb'("[^"]*")|[ \t]+')


def packed(head: bytes) -> bool:
    """Return True if the first bytes of a file are those of gzip, bzip2 or xz."""
    return head.startswith(tuple(_PACKED))


def open_unpacked(path: Path) -> IO[bytes]:
    """Open a file; a compressed one is decompressed, within limits, beyond which reading it raises `DataError`."""
    with path.open("rb") as file:
        head = file.read(6)
    unpack = next((unpack for magic, unpack in _PACKED.items() if head.startswith(magic)), None)
    if unpack is None:
        return path.open("rb")
    most = max(_MOST_UNPACKED, _MOST_TIMES * path.stat().st_size)
    return io.BufferedReader(_Bounded(unpack(path), most))


class Halting(io.RawIOBase):
    """A file that Arrow reads ahead in a thread of its own; closing it waits until the thread has left Python.

    If the thread were still reading when the process ends, the process would hang or abort.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self._halted = file, False
        self._reading, self._ended = threading.Lock(), threading.Event()

    def readable(self) -> bool:
        """Return True."""
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        """Return further bytes; none at the end, or after `close`."""
        some = b""
        try:
            with self._reading:
                if not self._halted:
                    some = self._file.read(-1 if size is None else size)
        finally:
            if not some:
                self._ended.set()
        return some

    def close(self) -> None:
        """Close the file once no read is in progress."""
        if not self.closed:
            self._halted = True
            with self._reading:
                self._file.close()
            self._ended.wait(_IDLE_SECONDS)
        super().close()


class _Read(io.RawIOBase):
    """A stream that transforms another one."""

    def __init__(self, file: Any) -> None:
        self._file, self._left = file, b""

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        self._file.close()
        super().close()

    def readinto(self, buffer: Any) -> int:
        while not self._left:
            more = self._next(len(buffer))
            if more is None:
                return 0
            self._left = more
        count = min(len(buffer), len(self._left))
        buffer[:count], self._left = self._left[:count], self._left[count:]
        return count

    @abc.abstractmethod
    def _next(self, size: int) -> bytes | None:
        """Return further bytes, possibly none; None at the end."""


class _Bounded(_Read):
    """The decompressed content of a file, up to a limit."""

    def __init__(self, file: Any, most: int) -> None:
        super().__init__(file)
        self._most, self._count = most, 0

    def _next(self, size: int) -> bytes | None:
        try:
            more = bytes(self._file.read(max(size, 1 << 16)))
        except (OSError, EOFError, lzma.LZMAError, zlib.error, ValueError) as error:
            message = f"is compressed, and damaged ({error}); download it again"
            raise DataError(message) from error
        self._count += len(more)
        if self._count > self._most:
            message = f"is compressed, and holds more than {self._most / 1e6:,.0f} MB; unpack it first"
            raise DataError(message)
        return more or None


class Recoded(_Read):
    """Text in another encoding, converted to UTF-8."""

    def __init__(self, file: Any, encoding: str) -> None:
        super().__init__(file)
        self._decoder = codecs.getincrementaldecoder(encoding)()

    def _next(self, size: int) -> bytes | None:
        more = self._file.read(max(size, 1 << 16))
        text = self._decoder.decode(more, final=not more).removeprefix("\ufeff")
        return text.encode() if more or text else None


class Tabbed(_Read):
    """Lines with cells separated by blanks; each run of blanks becomes one tab."""

    def _next(self, size: int) -> bytes | None:
        lines = self._file.readlines(1 << 16)
        return b"".join(self._line(line) for line in lines) if lines else None

    def _line(self, line: bytes) -> bytes:
        line = line.strip()
        return _BLANKS.sub(lambda found: found[1] or b"\t", line) + b"\n" if line else b""
