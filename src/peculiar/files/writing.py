"""Write files and folders whole or not at all."""

import errno
import hashlib
import logging
import os
import re
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Protocol

from peculiar.errors import PeculiarError, UsageError
from peculiar.files.places import same
from peculiar.files.remote import RemotePath

logger = logging.getLogger(__name__)


class Claim(Protocol):
    """The interface that `writing` uses to check and record files; see `peculiar.files.claims`."""

    def check(self, path: Path) -> None:
        """Raise `UsageError` if `path` may not be replaced."""

    def note(self, path: Path, content: Path) -> None:
        """Note that `content` is about to become `path`."""


claimed: ContextVar[Claim | None] = ContextVar("claimed", default=None)
"""The claim of the running command; None in a program that uses the library, which may replace any file."""


@contextmanager
def writing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`, and rename it to `path` at the end if nothing failed.

    A reader sees the old file or the new one, never a part; a failure (a full disk, an interruption) leaves the old.

    Raises
    ------
    UsageError
        If the running command may not replace the file at `path`.
    """
    claim = claimed.get()
    if claim is None:
        with replacing(path) as temporary:
            yield temporary
        return
    claim.check(path)
    with replacing(path, before=lambda temporary: claim.note(path, temporary)) as temporary:
        yield temporary


@contextmanager
def replacing(path: Path, *, before: Callable[[Path], object] = lambda temporary: None) -> Iterator[Path]:
    """Like `writing`, but replace files of any origin: for the cache, and for folders with a ledger.

    A file in a store is written on this machine, and sent in one step.

    Parameters
    ----------
    path : path
    before : callable
        Called with the temporary path once it is complete and on disk, before it is renamed.
    """
    if isinstance(path, RemotePath):
        with tempfile.TemporaryDirectory(prefix="peculiar-") as folder:
            temporary = Path(folder) / path.name
            yield temporary
            before(temporary)
            path.put(temporary)
        return
    temporary = _temporary(path)
    with _told_of(path, temporary):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            sweep(path.parent, path)
            temporary.touch()
            temporary.unlink()  # some writers must create it themselves
            yield temporary
            sync(temporary)
            before(temporary)
            temporary.replace(path)
            sync(path.parent)
        finally:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)


@contextmanager
def writing_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder beside `path`, which has to be new or empty, and rename it to `path` at the end.

    Raises
    ------
    UsageError
        If `path` is neither new nor an empty folder.
    """
    if isinstance(path, RemotePath):
        message = f"{path} is in a store, and this command writes a folder; write it on this machine, and copy it there"
        raise UsageError(message)
    if os.path.lexists(path) and (path.is_symlink() or not path.is_dir() or any(path.iterdir())):
        message = f"{path} has to be new, or an empty folder; choose another one"
        raise UsageError(message)
    claim, temporary = claimed.get(), _temporary(path)
    with _told_of(path, temporary):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            sweep(path.parent, path)
            temporary.mkdir()
            yield temporary
            for file in temporary.rglob("*"):
                sync(file)
            sync(temporary)
            if claim is not None:
                claim.note(path, temporary)
            temporary.replace(path)
            sync(path.parent)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def _told_of(path: Path, temporary: Path) -> Iterator[None]:
    """Let system errors name the requested file, not the temporary one."""
    try:
        yield
    except OSError as error:
        named = error.filename is not None and not str(error.filename).startswith(str(temporary))
        if isinstance(error, PeculiarError) or error.errno is None or named:
            raise
        # The error of a full disk does not name the file.
        raise OSError(error.errno, error.strerror, str(path)) from error


# The machine and process that write. For another machine on a shared disk, it is unknown whether the process is alive.
_HOST = hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]
_TEMPORARY = re.compile(r"\.(.+)\.([0-9a-f]{8})-(\d+)\.part(\.[^.]*)?", re.DOTALL)


def _temporary(path: Path) -> Path:
    # The suffix stays last, because some writers choose the format by it.
    return path.with_name(f".{path.stem}.{_HOST}-{os.getpid()}.part{path.suffix}")


def sweep(folder: Path, of: Path | None = None, *, alone: bool = False) -> None:
    """Remove the temporary files that killed processes left in a folder, and nothing else.

    Parameters
    ----------
    folder : path
    of : path, optional
        Only the temporary files for this file.
    alone : bool
        No other process works here, so all temporary files are left over.
    """
    if isinstance(folder, RemotePath):  # what is sent appears whole
        return
    begin = f".{of.stem}." if of else "."
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries if entry.name.startswith(begin)]
    for match in filter(None, map(_TEMPORARY.fullmatch, names)):
        stem, host, process, suffix = match.groups(default="")
        if of is not None and (stem, suffix) != (of.stem, of.suffix):
            continue
        if alone or (host == _HOST and not _lives(int(process))):
            left = folder / match.group()
            if left.is_dir() and not left.is_symlink():
                shutil.rmtree(left, ignore_errors=True)
            else:
                left.unlink(missing_ok=True)


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def sync(path: Path) -> None:
    """Flush a file, or the names in a folder, to the disk; some file systems cannot do this for folders."""
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(number)


def check_apart(out: Path, *read: Path) -> None:
    """Refuse an output that is one of the inputs.

    Raises
    ------
    UsageError
        If `out` is one of the inputs, under any name.
    """
    for path in read if out.exists() else ():
        if same(out, path):
            message = f"{out} is the input of this command and would be lost; choose another output"
            raise UsageError(message)
