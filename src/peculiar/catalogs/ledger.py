"""The ledger of a long run: a line for each finished shard, so that a killed run resumes.

A folder holds the parts of a catalogue and ``_ledger.jsonl``. The ledger's first line says what decides the result,
each further one that a part is about to be made, or that it is whole. The latter is written once the part has its final
name. So every part is named in the ledger, and nothing else in the folder is ever removed.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, Any, TypeVar

from filelock import FileLock, Timeout
from pydantic import AfterValidator, BaseModel, ConfigDict, TypeAdapter, ValidationError

from peculiar.errors import LedgerError, UsageError
from peculiar.files.writing import replacing, sweep

_LOCK = ".lock"

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


def _plain(name: str) -> str:
    """Refuse a name that leads out of the ledger's folder."""
    if not name or name != Path(name).name or name.startswith("."):
        message = f"{name!r} is not the name of a part"
        raise ValueError(message)
    return name


PartName = Annotated[str, AfterValidator(_plain)]


class Begun(BaseModel):
    """A part that is about to be made, so that it is known as the run's own whatever happens next."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    begun: PartName


class Entry(BaseModel):
    """A piece of the input that is done.

    Parameters
    ----------
    shard : str
        Its name.
    fingerprint : str
        Of the input's files; see `peculiar.sources.stream.Source.fingerprint`.
    content : str
        Digest of the input's content, by which files are known again whose times changed; empty where that would take
        longer than classifying them.
    part : str
        The file with its rows, in the ledger's folder.
    size : int
        Of that file, in bytes.
    sha256 : str
        Of that file.
    rows : int
    seconds : float
    classes, flagged : dict of str to int
    problems : dict of str to str
        As `peculiar.catalogs.rows.Tally`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    shard: str
    fingerprint: str
    content: str
    part: PartName
    size: int
    sha256: str
    rows: int
    seconds: float
    classes: dict[str, int]
    flagged: dict[str, int]
    problems: dict[str, str]


Line = TypeVar("Line", Header, Entry)

_LATER: TypeAdapter[Begun | Entry] = TypeAdapter(Begun | Entry)


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

    def begin(self, part: str) -> None:
        """Note that a part is about to be made."""
        _append(self.folder / FILE, Begun(begun=part))

    def drop(self, shard: str) -> None:
        """Remove the part of a shard, whose input has changed."""
        (self.folder / self.entries.pop(shard).part).unlink(missing_ok=True)

    def clear(self) -> None:
        """Remove the parts, the ledger, and the folder if nothing else is in it."""
        _remove_parts(self.folder)
        for name in (FILE, _LOCK):
            (self.folder / name).unlink(missing_ok=True)
        with suppress(OSError):  # something of the user's is in it
            self.folder.rmdir()

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
def open_ledger(folder: Path, header: Header, *, restart: bool, overwrite: bool = False) -> Iterator[Ledger]:
    """Open the ledger in a folder, or begin one; no other process can meanwhile.

    Parameters
    ----------
    folder : path
        Made if it is not there.
    header : Header
        Of the run that is about to go on or to begin.
    restart : bool
        Begin anew, whatever was done before.
    overwrite : bool
        Begin anew where the run that is there was begun otherwise.

    Raises
    ------
    UsageError
        If the folder holds something else, another process is at work in it, or what is there was made otherwise.
    LedgerError
        If the ledger is damaged anywhere but at its end, where a power cut leaves half a line.
    """
    file = folder / FILE
    if folder.exists() and (not folder.is_dir() or (_holds_files(folder) and not file.exists())):
        message = f"{folder} holds something else than a catalogue's parts; choose another output (--out)"
        raise UsageError(message)
    lock = FileLock(folder / _LOCK)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(blocking=False)
    except Timeout as error:  # a kind of OSError
        message = f"another process is at work on {folder}; wait for it, or choose another output (--out)"
        raise UsageError(message) from error
    except OSError as error:
        message = f"{folder} cannot be written to ({error.strerror}); choose another output (--out)"
        raise UsageError(message) from error
    with lock:
        sweep(folder, alone=True)
        if restart:
            _begin(file, header)
        try:
            yield Ledger(folder, _read(file, header, overwrite=overwrite))
        finally:
            if folder.is_dir():
                sweep(folder, alone=True)


def _begin(file: Path, header: Header) -> None:
    _remove_parts(file.parent)
    with replacing(file) as temporary:
        temporary.write_bytes(header.model_dump_json().encode() + b"\n")


def _remove_parts(folder: Path) -> None:
    """Remove the parts that the ledger names."""
    for name in part_names(folder):
        (folder / name).unlink(missing_ok=True)


def part_names(folder: Path) -> set[str]:
    """Return the parts that the ledger in a folder names; lines that cannot be read name none.

    Raises
    ------
    LedgerError
        If its first line cannot be read, so that it may be no ledger at all.
    """
    file = folder / FILE
    lines = file.read_bytes().splitlines() if file.exists() else []
    try:
        if lines:
            Header.model_validate_json(lines[0])
    except ValidationError as error:
        message = f"{file} is not a ledger that can be read, so that nothing is removed; choose another output (--out)"
        raise LedgerError(message) from error
    names = set()
    for line in lines[1:]:
        with suppress(ValidationError):
            told = _LATER.validate_json(line)
            names.add(told.begun if isinstance(told, Begun) else told.part)
    return names


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


def _read(file: Path, header: Header, *, overwrite: bool) -> dict[str, Entry]:
    content = file.read_bytes() if file.exists() else b""
    whole = content.rfind(b"\n") + 1
    if whole < len(content):  # cut off in the middle of a line
        os.truncate(file, whole)
    lines = content[:whole].splitlines()
    if not lines:
        _begin(file, header)
        return {}
    differences = _parse(Header, lines[0], file, 1).differences(header)
    if differences and (overwrite or not part_names(file.parent)):  # where nothing was done, nothing is lost
        _begin(file, header)
        return {}
    if differences:
        message = (
            f"{file.parent} was begun otherwise: {'; '.join(differences)}. Go on as it was begun, start over "
            "(--restart), or choose another output (--out)"
        )
        raise UsageError(message)
    told = {one.shard: one for number, line in enumerate(lines[1:], 2) if (one := _entry(line, file, number))}
    return {entry.shard: entry for entry in told.values() if _size(file.parent / entry.part) == entry.size}


def read_entries(folder: Path) -> list[Entry]:
    """Return what the ledger in a folder says of each shard that is done.

    Raises
    ------
    LedgerError
        If a line is damaged.
    """
    file = folder / FILE
    lines = file.read_bytes().splitlines()
    for line in lines[:1]:
        _parse(Header, line, file, 1)
    told = (_entry(line, file, number) for number, line in enumerate(lines[1:], 2))
    return list({entry.shard: entry for entry in told if entry}.values())


def _entry(line: bytes, file: Path, number: int) -> Entry | None:
    """Return what a line says is done; None where it says that a part was begun."""
    with suppress(ValidationError):
        Begun.model_validate_json(line)
        return None
    return _parse(Entry, line, file, number)


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
