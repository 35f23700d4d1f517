"""A record of each file that a command wrote, so that no command replaces a file of another origin.

The cache keeps a record of each file: its size and digest, and the command and request that wrote it. A file without a
record, or one that was changed since, belongs to somebody else.
"""

import errno
import hashlib
import json
import os
import stat
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from peculiar.errors import PeculiarWarning, UsageError
from peculiar.files.cache import cache_folder
from peculiar.files.digests import file_digest
from peculiar.files.places import is_remote, same, states, there, within
from peculiar.files.writing import claimed, replacing

CONTENT_BYTES = 1 << 28
"""Inputs of up to this total size are identified by content; larger ones by names, sizes and times."""

# A record is written before the file is renamed, so after a kill between the two the previous record is the valid one.
_KEPT = 2


@dataclass(slots=True)
class Request:
    """A command's claim to the files that it writes.

    Parameters
    ----------
    command : str
        "predict", "data pack".
    digest : str
        Of everything that decides the output; see `request_digest`.
    inputs : sequence of path
        Inputs of the command, which it never replaces.
    overwrite : bool
        Replace files of any origin.
    renew : bool
        Replace files that the same command wrote for another request: in the folder that it writes to by default.
    facts : dict
        Further values for the record (JSON).
    """

    command: str
    digest: str
    inputs: tuple[Path, ...] = ()
    overwrite: bool = False
    renew: bool = False
    facts: dict[str, Any] = field(default_factory=dict)
    _written: set[str] = field(default_factory=set)

    def check(self, path: Path) -> None:
        """Check that a file may be written.

        Raises
        ------
        UsageError
            If it is an input, a folder or write-protected; or if it has another origin and `overwrite` is not set.
        """
        if not there(path) or _key(path) in self._written:
            return
        for read in self.inputs:
            if same(path, read):
                message = f"{path} is the input of this command and would be lost; choose another output"
                raise UsageError(message)
        if path.is_dir():
            message = f"{path} is a folder; choose a file for the output (--out)"
            raise UsageError(message)
        if path.exists() and not path.is_symlink() and not stat.S_IMODE(path.stat().st_mode) & 0o222:
            message = f"{path} is write-protected; make it writable, or choose another output"
            raise UsageError(message)
        reason = None if self.overwrite else self._stranger(path)
        if reason is not None:
            message = f"{path} {reason}; choose another output, or replace it (--overwrite)"
            raise UsageError(message)

    def done(self, path: Path) -> bool:
        """Return whether this very request wrote the file at `path`."""
        record = _record(path) if there(path) and not path.is_symlink() else None
        return record is not None and (record["command"], record["request"]) == (self.command, self.digest)

    def facts_of(self, path: Path) -> dict[str, Any]:
        """Return the facts that were recorded of a file."""
        record = _record(path)
        return {} if record is None else dict(record.get("facts", {}))

    def note(self, path: Path, content: Path) -> None:
        """Record that `content` is about to become `path`."""
        record = {"path": _key(path), "command": self.command, "request": self.digest, **_state(content)}
        record |= {"facts": self.facts} if self.facts else {}
        kept = [one for one in _records(path) if one != record][: _KEPT - 1]
        place = _place(path)
        try:
            with replacing(place) as temporary:
                temporary.write_text(json.dumps([record, *kept]), encoding="utf-8")
        except OSError as error:
            message = (
                f"{place.parent} cannot be written to ({error.strerror}), so the next command will not know who "
                f"wrote {path}; set PECULIAR_CACHE to another folder"
            )
            warnings.warn(message, PeculiarWarning, stacklevel=3)
        self._written.add(_key(path))

    def tidy(self, folder: Path) -> None:
        """Remove files that an earlier run of this command wrote into a folder and this run did not."""
        for path in folder.iterdir():
            if path.is_file() and not path.is_symlink() and _key(path) not in self._written:
                record = _record(path)
                if record is not None and record["command"] == self.command:
                    path.unlink()

    def _stranger(self, path: Path) -> str | None:
        """Describe the other origin of a file; None if this request wrote it."""
        if path.is_symlink():
            return f"is a link to {os.readlink(path)}"  # noqa: PTH115 - as it is written in the link
        record = _record(path)
        if record is None:
            return "was changed since peculiar wrote it" if _records(path) else "was not written by peculiar"
        if record["command"] != self.command:
            return f"was written by `peculiar {record['command']}`"
        if record["request"] != self.digest and not self.renew:
            return "was written by the same command from other inputs, or with other options"
        return None


@contextmanager
def claiming(request: Request) -> Iterator[Request]:
    """Let `peculiar.files.writing.writing` check and record files with a request, until the end of the block."""
    token = claimed.set(request)
    try:
        yield request
    finally:
        claimed.reset(token)


def request_digest(
    command: str, options: Mapping[str, Any], inputs: Iterable[Path], outputs: Iterable[Path] = ()
) -> str:
    """Return a digest of a command, its options, its inputs without its own outputs, and peculiar's version."""
    told = [command, metadata.version("peculiar"), options, inputs_digest(inputs, outputs)]
    return hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()


def inputs_digest(inputs: Iterable[Path], outputs: Iterable[Path] = ()) -> str:
    """Return a digest of files and folders: of their content, or if that is large, of names, sizes and times.

    Outputs within an input folder, such as the evaluation of a run, are left out.
    """
    written = {place for path in outputs for place in (path.absolute(), path.absolute().parent)}
    files: list[tuple[Path, Path]] = []
    for path in inputs:
        own = {place for place in written if path.absolute() in place.parents}
        files += [(path, file) for file in _files(path) if own.isdisjoint([file.absolute(), *file.absolute().parents])]
    found = [one or _gone(file) for (_, file), one in zip(files, states(file for _, file in files), strict=True)]
    small = sum(size for size, _ in found) <= CONTENT_BYTES
    digest = hashlib.sha256()
    for (path, file), (size, time) in zip(files, found, strict=True):
        # A store says by the tag of a file that its content changed.
        told = (within(file, path.parent), size, file_digest(file) if small and not is_remote(file) else time)
        digest.update(repr(told).encode(errors="surrogateescape"))
    return digest.hexdigest()


def recorded(path: Path) -> dict[str, Any] | None:
    """Return the latest record of a file, even if the file was changed since; None if there is none."""
    records = _records(path)
    return records[0] if records else None


def _gone(file: Path) -> tuple[int, int]:
    raise FileNotFoundError(errno.ENOENT, "it is gone", str(file))


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    return sorted(one for one in path.rglob("*") if one.is_file() and not one.name.startswith("."))


def _state(path: Path) -> dict[str, Any]:
    """Return size and digest of a file, or of all files of a folder."""
    if not path.is_dir():
        return {"size": path.stat().st_size, "sha256": file_digest(path)}
    listed = [(one.relative_to(path).as_posix(), file_digest(one)) for one in sorted(path.rglob("*")) if one.is_file()]
    return {"size": len(listed), "sha256": hashlib.sha256(repr(listed).encode()).hexdigest()}


def _record(path: Path) -> dict[str, Any] | None:
    """Return the record of the file at a path; None if there is none, or the file was changed."""
    records = _records(path)
    if not records:
        return None
    if not path.is_dir() and path.stat().st_size not in [one["size"] for one in records]:
        return None
    state = _state(path)
    return next((one for one in records if one["size"] == state["size"] and one["sha256"] == state["sha256"]), None)


def _records(path: Path) -> list[dict[str, Any]]:
    """Return the records of a path, the latest first; damaged records are ignored."""
    needed = {"path", "command", "request", "size", "sha256"}
    try:
        records = json.loads(_place(path).read_bytes())
        return [one for one in records if needed <= one.keys() and one["path"] == _key(path)]
    except (OSError, ValueError, AttributeError, TypeError):
        return []


def _key(path: Path) -> str:
    return os.fsencode(str(path.parent.resolve() / path.name)).decode(errors="backslashreplace")


def _place(path: Path) -> Path:
    name = hashlib.sha256(_key(path).encode()).hexdigest()
    return cache_folder() / "written" / f"{name}.json"
