"""The ledger of a long run: a line for each finished shard, so that a killed run resumes.

A folder holds the parts of a catalogue and ``_ledger.jsonl``. The first line of the ledger states everything that
decides the result; each further line announces a part, or records it as complete once it has its final name. So the
ledger names every part, and nothing else in the folder is ever removed.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, Any, TypeVar

from filelock import FileLock, Timeout
from pydantic import AfterValidator, BaseModel, ConfigDict, TypeAdapter, ValidationError

from peculiar.errors import LedgerError, UsageError
from peculiar.files.cache import cache_folder
from peculiar.files.log import open_log
from peculiar.files.places import is_remote, states
from peculiar.files.writing import replacing, sweep

_LOCK = ".lock"

FILE = "_ledger.jsonl"  # pyarrow and pandas skip names that begin with "_", and read the folder as one table


class Header(BaseModel):
    """The settings that decide the result of a run; a run with other settings is another run.

    Parameters
    ----------
    source : str
        Name of the input.
    model : str
        The model's digest.
    settings : dict
        Further settings by name; JSON values.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str
    model: str
    settings: dict[str, Any]

    def differences(self, other: "Header") -> list[str]:
        """Return the differences from another run, as in "model was 8c28…, is 11ab…"."""
        mine, its = ({"source": one.source, "model": one.model[:12], **one.settings} for one in (self, other))
        names = dict.fromkeys([*mine, *its])
        return [f"{name} was {mine.get(name)}, is {its.get(name)}" for name in names if mine.get(name) != its.get(name)]


def _plain(name: str) -> str:
    """Raise an error for a name that leads out of the folder."""
    if not name or name != Path(name).name or name.startswith("."):
        message = f"{name!r} is not the name of a part"
        raise ValueError(message)
    return name


PartName = Annotated[str, AfterValidator(_plain)]


class Begun(BaseModel):
    """A part that is about to be made, recorded first so that it is known to belong to the run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    begun: PartName


class Entry(BaseModel):
    """A finished shard.

    Parameters
    ----------
    shard : str
        Name of the shard.
    fingerprint : str
        Fingerprint of the input files; see `peculiar.sources.stream.Source.fingerprint`.
    content : str
        Digest of the input, to recognise files whose times changed; empty if computing it would take longer than
        classifying.
    part : str
        The file with the rows, in the folder of the ledger.
    size : int
        Size of that file, in bytes.
    sha256 : str
        Digest of that file.
    rows : int
    seconds : float
    classes, flagged : dict of str to int
    problems : dict of str to str
        As in `peculiar.catalogs.tally.Tally`.
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
    """The open ledger of a folder; see `open_ledger`.

    Attributes
    ----------
    folder : path
    entries : dict of str to Entry
        Finished shards by name, without those whose part is missing.
    """

    def __init__(self, folder: Path, entries: dict[str, Entry]) -> None:
        self.folder = folder
        self.entries = entries
        self._log = open_log(folder / FILE)
        self._announced: set[str] = set()

    def announce(self, parts: Iterable[str]) -> None:
        """Record all parts that will be made in a store, where one line at a time would take too long."""
        if is_remote(self.folder):
            self._announced = set(parts)
            for part in sorted(self._announced):
                self._log.append(_line(Begun(begun=part)))
            self._log.flush()

    def begin(self, part: str) -> None:
        """Record that a part is about to be made."""
        if part not in self._announced:
            self._log.append(_line(Begun(begun=part)))
            self._log.flush()

    def drop(self, shard: str) -> None:
        """Remove the part of a shard whose input has changed."""
        (self.folder / self.entries.pop(shard).part).unlink(missing_ok=True)

    def clear(self) -> None:
        """Remove the parts, the ledger, and the folder if nothing else is in it."""
        _remove_parts(self.folder)
        for name in (FILE, _LOCK):
            (self.folder / name).unlink(missing_ok=True)
        with suppress(OSError):  # the folder contains other files
            self.folder.rmdir()

    def flush(self) -> None:
        """Store entries that wait for it."""
        self._log.flush()

    def add(self, entry: Entry) -> None:
        """Record that a part is complete; on a disk, the entry is stored when this returns."""
        self._log.append(_line(entry))
        self.entries[entry.shard] = entry


def read_header(folder: Path, *, restart: bool = False) -> Header | None:
    """Return the header of the run in a folder; None if there is none, or it is to be restarted."""
    file = folder / FILE
    if restart or not file.is_file():
        return None
    line, end, _ = file.read_bytes().partition(b"\n")
    return _parse(Header, line, file, 1) if end else None


@contextmanager
def open_ledger(folder: Path, header: Header, *, restart: bool, overwrite: bool = False) -> Iterator[Ledger]:
    """Open or create the ledger of a folder, and lock it against other processes.

    Parameters
    ----------
    folder : path
        Created if it does not exist.
    header : Header
        Settings of the run that is about to start or continue.
    restart : bool
        Start over, whatever was done before.
    overwrite : bool
        Start over if the existing run has other settings.

    Raises
    ------
    UsageError
        If the folder holds something else, another process is using it, or its run has other settings.
    LedgerError
        If the ledger is damaged anywhere but at its end, where a power failure leaves half a line.
    """
    file = folder / FILE
    if folder.exists() and (not folder.is_dir() or (_holds_files(folder) and not file.exists())):
        message = f"{folder} holds other files than the parts of a catalogue; choose another output (--out)"
        raise UsageError(message)
    try:
        lock = FileLock(_lock_of(folder))
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(blocking=False)
    except Timeout as error:  # a subclass of OSError
        message = f"another process is using {folder}; wait for it, or choose another output (--out)"
        raise UsageError(message) from error
    except OSError as error:
        message = f"{folder} cannot be written to ({error.strerror}); choose another output (--out)"
        raise UsageError(message) from error
    with lock:
        sweep(folder, alone=True)
        if restart:
            _begin(file, header)
        ledger = Ledger(folder, _read(file, header, overwrite=overwrite))
        try:
            yield ledger
        finally:
            ledger.flush()
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
    """Return the parts that the ledger of a folder names; unreadable lines are skipped.

    Raises
    ------
    LedgerError
        If its first line cannot be read, so that it may not be a ledger.
    """
    file = folder / FILE
    lines = file.read_bytes().splitlines() if file.exists() else []
    try:
        if lines:
            Header.model_validate_json(lines[0])
    except ValidationError as error:
        message = f"{file} cannot be read as a ledger, so nothing was removed; choose another output (--out)"
        raise LedgerError(message) from error
    names = set()
    for line in lines[1:]:
        with suppress(ValidationError):
            parsed = _LATER.validate_json(line)
            names.add(parsed.begun if isinstance(parsed, Begun) else parsed.part)
    return names


def _line(line: BaseModel) -> bytes:
    return line.model_dump_json().encode()


def _lock_of(folder: Path) -> Path:
    """Return the file that is locked: in the folder, or for one in a store, in the cache of this machine."""
    if not is_remote(folder):
        return folder / _LOCK
    place = cache_folder() / "locks" / hashlib.sha256(str(folder).encode()).hexdigest()[:24]
    place.parent.mkdir(parents=True, exist_ok=True)
    return place


def _read(file: Path, header: Header, *, overwrite: bool) -> dict[str, Entry]:
    content = file.read_bytes() if file.exists() else b""
    whole = content.rfind(b"\n") + 1
    if whole < len(content):  # truncated within a line
        os.truncate(file, whole)
    lines = content[:whole].splitlines()
    if not lines:
        _begin(file, header)
        return {}
    differences = _parse(Header, lines[0], file, 1).differences(header)
    if differences and (overwrite or not part_names(file.parent)):  # nothing was done yet, so nothing is lost
        _begin(file, header)
        return {}
    if differences:
        message = (
            f"{file.parent} was started with other settings: {'; '.join(differences)}. Use the same, start over "
            "(--restart), or choose another output (--out)"
        )
        raise UsageError(message)
    parsed = {one.shard: one for number, line in enumerate(lines[1:], 2) if (one := _entry(line, file, number))}
    found = states(file.parent / entry.part for entry in parsed.values())
    return {
        entry.shard: entry
        for entry, state in zip(parsed.values(), found, strict=True)
        if state is not None and state[0] == entry.size
    }


def read_entries(folder: Path) -> list[Entry]:
    """Return the entries of the finished shards in the ledger of a folder.

    Raises
    ------
    LedgerError
        If a line is damaged.
    """
    file = folder / FILE
    lines = file.read_bytes().splitlines()
    for line in lines[:1]:
        _parse(Header, line, file, 1)
    parsed = (_entry(line, file, number) for number, line in enumerate(lines[1:], 2))
    return list({entry.shard: entry for entry in parsed if entry}.values())


def _entry(line: bytes, file: Path, number: int) -> Entry | None:
    """Return the entry in a line; None for a part that was only announced."""
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
