"""The ledger of a long run: what is done, line by line, so that a killed run goes on where it stopped.

A folder holds the parts of a catalogue and ``_ledger.jsonl``. The ledger's first line says what decides the result,
each further one that a part is whole. A line is written once its part has its final name, and is on disk before the
next.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict, ValidationError

from peculiar.errors import LedgerError, UsageError

FILE = "_ledger.jsonl"  # pyarrow and pandas pass over what begins so, and read the folder as one table


class Header(BaseModel):
    """What decides the result of a run: with another of these it is another run.

    Parameters
    ----------
    source : str
        Name of the input.
    model : str
        The model's digest.
    settings : dict
        By name; JSON values.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str
    model: str
    settings: dict[str, Any]

    def differences(self, other: "Header") -> list[str]:
        """Say what is otherwise in another run: "model was 8c28…, is 11ab…"."""
        mine, its = ({"source": one.source, "model": one.model[:12], **one.settings} for one in (self, other))
        names = dict.fromkeys([*mine, *its])
        return [f"{name} was {mine.get(name)}, is {its.get(name)}" for name in names if mine.get(name) != its.get(name)]


class Entry(BaseModel):
    """A piece of the input that is done.

    Parameters
    ----------
    shard : str
        Its name.
    fingerprint : str
        Of the input's files; see `peculiar.sources.stream.Source.fingerprint`.
    part : str
        The file with its rows, in the ledger's folder.
    size : int
        Of that file, in bytes.
    rows : int
    seconds : float
    classes, flagged : dict of str to int
    problems : dict of str to str
        As `peculiar.catalog.Tally`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    shard: str
    fingerprint: str
    part: str
    size: int
    rows: int
    seconds: float
    classes: dict[str, int]
    flagged: dict[str, int]
    problems: dict[str, str]


Line = TypeVar("Line", Header, Entry)


class Ledger:
    """The ledger in a folder, opened by `open_ledger`.

    Attributes
    ----------
    folder : path
    entries : dict of str to Entry
        By name of the shard. Those whose part has gone missing are not among them.
    """

    def __init__(self, folder: Path, entries: dict[str, Entry]) -> None:
        self.folder = folder
        self.entries = entries

    def add(self, entry: Entry) -> None:
        """Note that a part is whole; it is on disk when this returns."""
        _append(self.folder / FILE, entry)
        self.entries[entry.shard] = entry


def read_header(folder: Path, *, restart: bool = False) -> Header | None:
    """Return how the run in a folder was begun; None where there is none, or it is to begin anew."""
    file = folder / FILE
    if restart or not file.is_file():
        return None
    line, end, _ = file.read_bytes().partition(b"\n")
    return _parse(Header, line, file, 1) if end else None


@contextmanager
def open_ledger(folder: Path, header: Header, *, restart: bool) -> Iterator[Ledger]:
    """Open the ledger in a folder, or begin one; no other process can meanwhile.

    Parameters
    ----------
    folder : path
        Made if it is not there.
    header : Header
        Of the run that is about to go on or to begin.
    restart : bool
        Begin anew, whatever was done before.

    Raises
    ------
    UsageError
        If the folder holds something else, another process is at work in it, or what is there was made otherwise.
    LedgerError
        If the ledger is damaged anywhere but at its end, where a power cut leaves half a line.
    """
    file = folder / FILE
    if folder.exists() and (not folder.is_dir() or (_holds_files(folder) and not file.exists())):
        message = f"{folder} holds something else than a catalogue's parts; give another place (--out)"
        raise UsageError(message)
    lock = FileLock(folder / ".lock")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(blocking=False)
    except Timeout as error:  # a kind of OSError
        message = f"another process is at work on {folder}; wait for it, or give another place (--out)"
        raise UsageError(message) from error
    except OSError as error:
        message = f"{folder} cannot be written to ({error.strerror}); give another place (--out)"
        raise UsageError(message) from error
    with lock:
        _sweep(folder)
        if restart:
            _begin(file, header)
        try:
            yield Ledger(folder, _read(file, header))
        finally:
            _sweep(folder)


def _sweep(folder: Path) -> None:
    """Remove what processes that were killed left half-written."""
    for leftover in folder.glob(".*.part.parquet"):
        leftover.unlink()


def _begin(file: Path, header: Header) -> None:
    for part in file.parent.glob("*.parquet"):
        part.unlink()
    file.unlink(missing_ok=True)
    _append(file, header)


def _append(file: Path, line: BaseModel) -> None:
    with file.open("ab") as opened:
        before = opened.tell()
        try:
            opened.write(line.model_dump_json().encode() + b"\n")
            opened.flush()
            os.fsync(opened.fileno())
        except OSError as error:  # a full disk must not leave half a line in front of the next
            os.truncate(file, before)
            raise OSError(error.errno, error.strerror, str(file)) from error


def _read(file: Path, header: Header) -> dict[str, Entry]:
    content = file.read_bytes() if file.exists() else b""
    whole = content.rfind(b"\n") + 1
    if whole < len(content):  # cut off in the middle of a line
        os.truncate(file, whole)
    lines = content[:whole].splitlines()
    if len(lines) <= 1:  # nothing was done, so that nothing is lost
        _begin(file, header)
        return {}
    differences = _parse(Header, lines[0], file, 1).differences(header)
    if differences:
        message = (
            f"{file.parent} was begun otherwise: {'; '.join(differences)}. Go on as it was begun, start over "
            "(--restart), or give another place (--out)"
        )
        raise UsageError(message)
    entries = (_parse(Entry, line, file, number) for number, line in enumerate(lines[1:], 2))
    return {entry.shard: entry for entry in entries if _size(file.parent / entry.part) == entry.size}


def _parse(kind: type[Line], line: bytes, file: Path, number: int) -> Line:
    try:
        return kind.model_validate_json(line)
    except ValidationError as error:
        message = (
            f"{file}: line {number} is damaged ({json.dumps(line[:40].decode(errors='replace'))}...); delete that "
            "line to have its part made again, or start over (--restart)"
        )
        raise LedgerError(message) from error


def _holds_files(folder: Path) -> bool:
    return any(not child.name.startswith(".") for child in folder.iterdir())


def _size(path: Path) -> int | None:
    return path.stat().st_size if path.exists() else None
