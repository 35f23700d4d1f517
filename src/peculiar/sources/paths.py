"""Files below a folder: their names, which of them count, and a digest of their state."""

import hashlib
import warnings
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path

from peculiar.errors import DataError, PeculiarWarning
from peculiar.files.places import Entry, entries, states, within

_LITTER = {"__macosx", "@eadir", "$recycle.bin", "system volume information", "thumbs.db", "desktop.ini"}


def as_text(name: str) -> str:
    r"""Return the name of a file as text that can be stored and shown: bytes that are not UTF-8 become ``\xff``."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def files_below(folder: Path) -> Iterator[Path]:
    """Yield the files below a folder, except hidden ones and those of operating systems.

    Every folder is entered once, even if links form circles, and under its own name if it has one here. A link to a
    file beside it is skipped, because the file itself is read.

    Raises
    ------
    DataError
        If the folder itself cannot be read.

    Warns
    -----
    PeculiarWarning
        If a folder below it cannot be read.
    """
    entered: set[tuple[int, int]] = set()
    folders, links = deque([folder]), deque[Path]()
    while folders or links:
        if not folders:
            link = links.popleft()
            if link.is_dir():
                folders.append(link)
            elif not _leads_beside(link):
                yield link
            continue
        here = folders.popleft()
        try:
            found = _entries(here)
            state = here.stat()
            if state.st_ino and (state.st_dev, state.st_ino) in entered:  # folders of stores have no number
                continue
            entered.add((state.st_dev, state.st_ino))
        except OSError as error:
            if here == folder:
                raise _unreadable(here, error) from error
            warnings.warn(f"{_unreadable(here, error)} and is skipped", PeculiarWarning, stacklevel=2)
            continue
        for entry in found:
            if entry.is_link:
                links.append(entry.path)
            elif entry.is_folder:
                folders.append(entry.path)
            else:
                yield entry.path


def children(folder: Path) -> list[Path]:
    """Return files and folders in a folder, sorted by name, without hidden ones and those of operating systems.

    Raises
    ------
    DataError
        If the folder cannot be read.
    """
    try:
        return [entry.path for entry in _entries(folder)]
    except OSError as error:
        raise _unreadable(folder, error) from error


def _entries(folder: Path) -> list[Entry]:
    return [entry for entry in entries(folder) if not is_litter(entry.path.name)]


def _unreadable(folder: Path, error: OSError) -> DataError:
    return DataError(f"{folder}: this folder cannot be read ({error.strerror})")


def is_litter(path: str) -> bool:
    """Return whether a file or folder in a path is hidden, or belongs to an operating system."""
    return any(
        (piece.startswith(".") and piece not in {".", ".."}) or piece in _LITTER for piece in path.lower().split("/")
    )


def _leads_beside(link: Path) -> bool:
    """Return whether a link leads to a file in its own folder; False for a broken link."""
    try:
        target = link.resolve(strict=True)
    except (OSError, RuntimeError):  # RuntimeError: links in a circle, before Python 3.13
        return False
    return target.parent == link.parent.resolve() and not is_litter(target.name)


def files_digest(files: Iterable[Path], root: Path, *more: object) -> str:
    """Return a digest of the names (within `root`), sizes and times of files, and of further values."""
    digest, listed = hashlib.sha256(repr(more).encode()), list(files)
    for file, state in zip(listed, states(listed), strict=True):
        told = "" if state is None else f"{state[0]}\0{state[1]}"
        digest.update(f"{as_text(within(file, root))}\0{told}\n".encode())
    return digest.hexdigest()
