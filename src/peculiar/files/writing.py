"""Write files and folders whole or not at all."""

import errno
import hashlib
import logging
import os
import re
import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Protocol

import platformdirs

from peculiar.errors import PeculiarError, UsageError

logger = logging.getLogger(__name__)


def cache_folder() -> Path:
    """Return the folder that fetched files are kept in: ``$PECULIAR_CACHE``, else the system's place for caches."""
    return Path(os.environ.get("PECULIAR_CACHE") or platformdirs.user_cache_dir("peculiar"))


class Claim(Protocol):
    """What `writing` asks and tells while a command runs; see `peculiar.files.claims`."""

    def check(self, path: Path) -> None:
        """Raise `UsageError` if `path` may not be replaced."""

    def note(self, path: Path, content: Path) -> None:
        """Note that `content` is about to become `path`."""


claimed: ContextVar[Claim | None] = ContextVar("claimed", default=None)
"""The claim of the command that runs; None in a program that uses the library, which may replace what it likes."""


@contextmanager
def writing(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path` to write to, and rename it to `path` at the end if nothing went wrong.

    A reader sees the old file or the new one, never a part; a failure (a full disk, an interruption) leaves the old.

    Raises
    ------
    UsageError
        If the command that runs may not replace what is at `path`.
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
    """Do as `writing`, whoever wrote what is at `path`: for files in the cache, and in folders with a ledger.

    Parameters
    ----------
    path : path
    before : callable
        Called with the temporary path when that is whole and on disk, before it is renamed.
    """
    temporary = _temporary(path)
    with _told_of(path, temporary):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            sweep(path.parent, path)
            temporary.touch()
            temporary.unlink()  # some writers want to make it themselves
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
    """Give a temporary folder beside `path`, and rename it to `path` at the end; `path` is new or an empty folder.

    Raises
    ------
    UsageError
        If there is something at `path`.
    """
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
    """Let errors of the system name the file that was asked for, whatever the temporary one is called."""
    try:
        yield
    except OSError as error:
        named = error.filename is not None and not str(error.filename).startswith(str(temporary))
        if isinstance(error, PeculiarError) or error.errno is None or named:
            raise
        # A full disk says that it is full, but not which file it has no room for.
        raise OSError(error.errno, error.strerror, str(path)) from error


# Which machine and process writes; of another machine that shares the disk it is not known whether the process lives.
_HOST = hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]
_TEMPORARY = re.compile(r"\.(.+)\.([0-9a-f]{8})-(\d+)\.part(\.[^.]*)?", re.DOTALL)


def _temporary(path: Path) -> Path:
    # The suffix stays the last, since some writers choose the format by it.
    return path.with_name(f".{path.stem}.{_HOST}-{os.getpid()}.part{path.suffix}")


def sweep(folder: Path, of: Path | None = None, *, alone: bool = False) -> None:
    """Remove what processes that were killed left half-written in a folder, and nothing else.

    Parameters
    ----------
    folder : path
    of : path, optional
        Only what was to become this file.
    alone : bool
        No other process is at work here, so that all of it is left over.
    """
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
    """Force a file, or the names in a folder, to the disk; some file systems cannot do that for folders."""
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(number)


def check_apart(out: Path, *read: Path) -> None:
    """Refuse to write to what is read, which would be lost.

    Raises
    ------
    UsageError
        If `out` is one of the files or folders that are read, under whatever name.
    """
    for path in read if out.exists() else ():
        if path.exists() and out.samefile(path):
            message = f"{out} is the input of this command and would be lost; choose another output (--out)"
            raise UsageError(message)
