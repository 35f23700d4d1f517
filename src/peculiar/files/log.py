"""Files that grow line by line, on a disk or in a store."""

import os
import time
from pathlib import Path
from typing import Protocol

from peculiar.files.remote import RemotePath
from peculiar.files.writing import replacing

SECONDS = 5.0
"""A file in a store is sent again at most so often, because it can only be sent whole."""


class Log(Protocol):
    """A file that grows."""

    def append(self, line: bytes) -> None:
        """Add a line, without its end."""

    def flush(self) -> None:
        """Make sure that all lines are stored."""


class DiskLog:
    """A file on a disk: each line is on the disk when `append` returns."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def append(self, line: bytes) -> None:
        """Add a line, without its end."""
        with self._file.open("ab") as opened:
            before = opened.tell()
            try:
                opened.write(line + b"\n")
                opened.flush()
                os.fsync(opened.fileno())
            except OSError as error:  # a full disk must not leave half a line before the next one
                os.truncate(self._file, before)
                raise OSError(error.errno, error.strerror, str(self._file)) from error

    def flush(self) -> None:
        """Do nothing: every line is on the disk."""


class StoreLog:
    """A file in a store: a kill loses the lines of the last seconds, and never leaves half a line."""

    def __init__(self, file: RemotePath) -> None:
        self._file = file
        self._lines = [file.read_bytes()] if file.exists() else []
        self._sent, self._waiting = time.monotonic(), False

    def append(self, line: bytes) -> None:
        """Add a line, without its end; it is sent with the next ones."""
        self._lines.append(line + b"\n")
        self._waiting = True
        if time.monotonic() - self._sent >= SECONDS:
            self.flush()

    def flush(self) -> None:
        """Send the file, if there are new lines."""
        if self._waiting:
            with replacing(self._file) as temporary:
                temporary.write_bytes(b"".join(self._lines))
            self._sent, self._waiting = time.monotonic(), False


def open_log(file: Path) -> Log:
    """Return a file that grows, which may exist."""
    return StoreLog(file) if isinstance(file, RemotePath) else DiskLog(file)
