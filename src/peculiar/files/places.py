"""Paths of files and folders, on this machine or in a store.

Everything that a user names is opened through `place`. An address (``s3://``, ``gs://``, ``https://``, ``hf://`` or
another of fsspec's) becomes a `peculiar.files.remote.RemotePath`, which is a path whose methods ask the store, so that
readers need not know the difference. The few functions here are those whose way differs.
"""

import glob
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeGuard

from peculiar.errors import UsageError
from peculiar.files.addresses import check_scheme, remember
from peculiar.files.remote import RemotePath

_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):(//?)(.*)", re.DOTALL)
"""An address. A path of `pathlib` has lost one of its two slashes."""


_PICTURES_AT_ONCE = 16


class Entry(NamedTuple):
    """A file or folder in a folder."""

    path: Path
    is_folder: bool  # not a link to one
    is_link: bool


def place(given: str | os.PathLike[str]) -> Path:
    """Return the path of what a user names: a `RemotePath` for an address, otherwise a path of this machine.

    Parameters
    ----------
    given : path-like
        A path, or an address with its scheme. User name, password and query of an address are kept apart, and no
        message shows them. ``file://`` is a path of this machine.

    Raises
    ------
    UsageError
        If the scheme is unknown, or the address names no bucket, host or repository.
    MissingExtraError
        If the packages for the scheme are not installed.
    """
    if isinstance(given, RemotePath):
        return given
    text = os.fspath(given)
    found = _ADDRESS.fullmatch(text)
    if found is None or (found[2] == "/" and isinstance(given, str)):
        return Path(given)
    scheme, _, rest = found.groups()
    if scheme.lower() == "file":
        return Path(f"/{rest.removeprefix('localhost').lstrip('/')}")
    if isinstance(given, Path) and Path(given.parts[0]).exists():  # a folder called "s3:"
        return given
    check_scheme(scheme.lower())
    return RemotePath(remember(scheme.lower(), rest))


def places(given: Any) -> Any:
    """Apply `place` to each path, also within lists; return other values unchanged."""
    if isinstance(given, Path):
        return place(given)
    return [places(one) for one in given] if isinstance(given, list | tuple) else given


def is_address(text: str) -> bool:
    """Return whether a text is an address with a scheme."""
    found = _ADDRESS.fullmatch(text)
    return found is not None and found[2] == "//"


def is_remote(path: object) -> TypeGuard[RemotePath]:
    """Return whether a path is an address in a store."""
    return isinstance(path, RemotePath)


def entries(folder: Path) -> list[Entry]:
    """Return the files and folders in a folder, in the order of their names."""
    if isinstance(folder, RemotePath):
        return [Entry(one, one.is_dir(), False) for one in sorted(folder.iterdir(), key=lambda one: one.name)]
    with os.scandir(folder) as found:
        ordered = sorted(found, key=lambda one: one.name)
    return [Entry(Path(one.path), one.is_dir(follow_symlinks=False), one.is_symlink()) for one in ordered]


def full(path: Path) -> Path:
    """Return a path that does not depend on the current folder, without ``..``; links are kept."""
    return path if isinstance(path, RemotePath) else Path(os.path.abspath(path))  # noqa: PTH100 - links are kept


def within(path: Path, root: Path) -> str:
    """Return the path of a file from a folder, with ``..`` if it is not below it; an address from another store."""
    if isinstance(path, RemotePath):
        return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)
    return os.path.relpath(path, root)


def common_folder(files: Iterable[Path]) -> Path:
    """Return the innermost folder that holds all of some files, whose paths are full.

    Raises
    ------
    UsageError
        If there is none: they are in different stores.
    """
    folders = list(dict.fromkeys(file.parent for file in files))
    for one in (folders[0], *folders[0].parents):
        if all(folder.is_relative_to(one) for folder in folders):
            return one
    message = f"{folders[0]} and {folders[-1]} are in different stores; give files of one of them"
    raise UsageError(message)


def matching(pattern: Path) -> list[Path]:
    """Return the paths that a pattern matches, in their order."""
    if isinstance(pattern, RemotePath):
        above = next(one for one in pattern.parents if not any(sign in str(one) for sign in "*?["))
        return sorted(above.glob(pattern.relative_to(above).as_posix()))
    return sorted(map(Path, glob.glob(os.fspath(pattern))))  # noqa: PTH207 - of the current folder, as it is written


def exists(path: Path) -> bool:
    """Return whether something is at a path; a name that is too long is none that exists."""
    return path.exists() if isinstance(path, RemotePath) else os.path.exists(path)  # noqa: PTH110


def fetched(path: Path) -> Path:
    """Return a path of this machine: the path itself, or a copy in the cache of a file in a store."""
    return path.fetched() if isinstance(path, RemotePath) else path


def same(one: Path, other: Path) -> bool:
    """Return whether two paths lead to the same file, which is there."""
    if isinstance(one, RemotePath) or isinstance(other, RemotePath):
        return type(one) is type(other) and str(one) == str(other)
    return one.exists() and other.exists() and one.samefile(other)


def on_this_machine(given: str | os.PathLike[str], what: str) -> Path:
    """Return the path of something that cannot be in a store.

    Raises
    ------
    UsageError
        If an address was given.
    """
    path = place(given)
    if isinstance(path, RemotePath):
        message = f"{path} is in a store, but {what} has to be on this machine; give a path"
        raise UsageError(message)
    return path


def there(path: Path) -> bool:
    """Return whether something is at a path, also a link that leads nowhere."""
    return path.exists() if isinstance(path, RemotePath) else os.path.lexists(path)


def at_once(picture: object) -> int:
    """Return how many pictures like this to read at a time: several if each is a file in a store, which takes time."""
    return _PICTURES_AT_ONCE if isinstance(picture, RemotePath) else 1


def arrow_file(path: Path) -> Any:
    """Return a file for readers of Arrow, which ask for the ranges of bytes that they need."""
    import pyarrow as pa

    if isinstance(path, RemotePath):
        return pa.PythonFile(path.open("rb", buffering=0), mode="r")
    # Arrow would read the part before a colon in a relative path as a URL scheme.
    return pa.OSFile(str(path.absolute()))


def states(files: Iterable[Path]) -> Iterator[tuple[int, int] | None]:
    """Yield size and time of files, as they are now; None for one that is not there. Stores are asked in parallel."""
    listed = list(files)
    remote = [one for one in listed if isinstance(one, RemotePath)]
    known = dict(zip(remote, RemotePath.states_of(remote), strict=True)) if remote else {}
    for file in listed:
        if isinstance(file, RemotePath):
            yield known[file]
            continue
        try:
            state = file.stat()
        except OSError:  # a broken link, or a removed file: its row reports it
            yield None
        else:
            yield state.st_size, state.st_mtime_ns
