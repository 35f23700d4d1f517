"""The file that a cell of a table names, for paths of any operating system."""

import re
import unicodedata
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from urllib.parse import unquote, urlsplit

from peculiar.errors import MissingExtraError, UsageError
from peculiar.files.places import exists, is_address, is_remote, place, there
from peculiar.sources.stream import refuse

# All other cells are paths as they are, which need no access to the disk.
_ODD = re.compile(r"[\\%]|^\s|\s$|^[A-Za-z][A-Za-z0-9+.-]*:|[^\x00-\x7f]")

_WINDOWS = re.compile(r"/?[A-Za-z]:[\\/]|\\\\")
_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")


def named_file(cell: str, folder: Path) -> Path | Callable[[], bytes]:
    """Return the file that a cell names, relative to the table's folder, or a function that raises `PictureError`.

    If the file does not exist, its name is tried without surrounding blanks, with slashes for backslashes, with accents
    in the other normal form, without ``file://``, and with ``%20`` as a blank.
    """
    if is_remote(folder) and (is_address(cell) or cell.startswith("/")):
        return _in_store(cell, folder)
    if not _ODD.search(cell) or there(folder / cell):
        return folder / cell
    for reading in _readings(cell.strip()):
        path = folder / reading
        if exists(path):
            return path
    text = _local(cell.strip())
    if _WINDOWS.match(text):
        return partial(refuse, f"{text} is a Windows path and not on this machine; write paths relative to the table")
    if _ADDRESS.match(text):
        return partial(refuse, f"{text} is a URL, which is not downloaded; download the pictures and write their paths")
    return folder / text


def _in_store(cell: str, folder: Path) -> Path | Callable[[], bytes]:
    """Return the file of an address in a table that is in a store itself, if it is in the same bucket or host."""
    try:
        file = place(cell)
    except (UsageError, MissingExtraError):
        file = Path(cell)
    if file.parts[:2] == folder.parts[:2]:
        return file
    return partial(refuse, "it is not in the store of its table, and is not fetched; write paths relative to the table")


def _readings(text: str) -> Iterator[str]:
    """Yield possible paths, the likeliest first."""
    local = _local(text)
    plain = dict.fromkeys((local, unquote(local)))
    slashed = [one.replace("\\", "/") for one in plain if not _WINDOWS.match(one)]
    for one in dict.fromkeys((*plain, *slashed)):
        yield from dict.fromkeys((one, unicodedata.normalize("NFC", one), unicodedata.normalize("NFD", one)))


def _local(text: str) -> str:
    """Return the path in a ``file://`` URL of this machine; other text unchanged."""
    if text[:5].lower() != "file:":
        return text
    try:
        parts = urlsplit(text)
    except ValueError:
        return text
    return unquote(parts.path) if parts.netloc in ("", "localhost") else text
