"""Paths of files in stores: S3, Google Cloud Storage, the web, the Hugging Face hub, and others that fsspec knows.

Credentials come from the environment, by the conventions of each store. Those in an address (user name and password, or
a signed query) are kept apart: no path, message, catalogue or ledger shows them.
"""

import errno
import fnmatch
import functools
import hashlib
import io
import json
import logging
import posixpath
import stat
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PosixPath, PurePath, PurePosixPath
from typing import IO, Any, TypeVar, cast

from filelock import FileLock

from peculiar.errors import PeculiarError, UsageError
from peculiar.files.addresses import WEB, full_address, restore
from peculiar.files.cache import cache_folder
from peculiar.files.digests import digest_of_state
from peculiar.files.ranges import LEAST_AHEAD, Ranges
from peculiar.files.store_errors import CutShortError, failure_of

logger = logging.getLogger(__name__)

T = TypeVar("T")

WAITS = (0.3, 1.0, 3.0, 10.0)
"""Seconds between the attempts to get an answer."""

_SECONDS = 30
"""Without an answer, after which an attempt counts as failed."""


_AT_ONCE = 32
"""Requests in progress at a time."""

_RECENT = 2.0
"""Seconds for which the last answer about a file is believed when it is opened."""

_PIECE = 1 << 23
"""Bytes of a request when a file is fetched whole."""

_ENDS = 64
"""Beginnings and ends of files that are kept: readers recognise a format and read a footer again and again."""


_VERSIONS = (
    *("ETag", "etag", "Content-MD5", "Digest", "LastModified", "Last-Modified"),
    *("mtime", "updated", "created", "generation", "blob_id"),
)
"""Names, in the answers of stores, of the version of an object or its time."""


@dataclass(frozen=True, slots=True)
class State:
    """Size and kind of a file or folder in a store, by the names of `os.stat_result`.

    A store says of an object that it changed by its tag or its time; `st_mtime_ns` follows from both, and is 0 without
    either.
    """

    st_mode: int
    st_size: int
    st_mtime_ns: int
    st_mtime: float = 0.0
    st_dev: int = 0
    st_ino: int = 0
    ranged: bool = True

    @classmethod
    def of(cls, info: dict[str, Any]) -> "State":
        """Return the state in what fsspec says of an object."""
        folder = info.get("type") == "directory"
        told = [str(info[name]) for name in _VERSIONS if info.get(name)]
        digest = hashlib.sha256("\0".join(told).encode()).digest()
        size, web = info.get("size"), "url" in info
        return cls(
            st_mode=(stat.S_IFDIR if folder else stat.S_IFREG) | 0o644,
            st_size=int(size or 0),
            st_mtime_ns=int.from_bytes(digest[:7]) if told else 0,
            ranged=not (web and (size is None or info.get("partial") is False)),
        )


class RemotePath(PosixPath):
    """The path of a file or folder in a store.

    Methods that read ask the store; each is tried again if the store is busy or the connection breaks. Readers that
    need a file of this machine get one by `os.fspath`: the file is then fetched whole into the cache. Files are
    written by `put`, in one step.

    Parameters
    ----------
    *parts : str or path
        An address without credentials, as `peculiar.files.places.place` makes it, and further parts.
    """

    _known: State | None = None  # from the listing of its folder
    _last: tuple[float, State] | None = None  # the last answer about it, and when it came

    def __new__(cls, *parts: Any) -> "RemotePath":
        """Make a path, also where there are no POSIX paths."""
        return PurePath.__new__(cls, *parts)

    def __str__(self) -> str:
        """Return the address, without credentials."""
        scheme, slash, rest = super().__str__().partition(":/")
        return f"{scheme}://{rest}" if slash else scheme

    def as_posix(self) -> str:
        """Return the address."""
        return str(self)

    def as_uri(self) -> str:
        """Return the address."""
        return str(self)

    def __repr__(self) -> str:
        """Return the address, as it was made."""
        return f"RemotePath({str(self)!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the address, with its credentials if it has any of its own."""
        return _rebuilt, (str(self), full_address(str(self)))

    def __fspath__(self) -> str:
        """Return the path of a copy on this machine."""
        return str(self.fetched())

    @property
    def scheme(self) -> str:
        """Its scheme: ``s3``."""
        return self.parts[0].removesuffix(":")

    @property
    def _full(self) -> str:
        """The address as the store takes it, with credentials of its own, and without ``..``."""
        name = str(self)
        if ".." in self.parts:
            below = posixpath.normpath("/".join(("", *self.parts[2:])))
            name = f"{self.scheme}://{self.parts[1]}{below}"
        return full_address(name)

    @property
    def _key(self) -> Any:
        return _filesystem(self.scheme)._strip_protocol(self._full)

    def is_absolute(self) -> bool:
        """Return True."""
        return True

    def absolute(self) -> "RemotePath":
        """Return the path itself."""
        return self

    def resolve(self, strict: bool = False) -> "RemotePath":
        """Return the path itself."""
        return self

    def expanduser(self) -> "RemotePath":
        """Return the path itself."""
        return self

    def is_relative_to(self, *other: Any) -> bool:
        """Return whether it is below a folder."""
        root = RemotePath(*other).parts
        return self.parts[: len(root)] == root

    def relative_to(self, *other: Any, **options: Any) -> Any:
        """Return the path from a folder above it."""
        if not self.is_relative_to(*other):
            message = f"{self} is not below {RemotePath(*other)}"
            raise ValueError(message)
        return PurePosixPath(*self.parts[len(RemotePath(*other).parts) :])

    def stat(self, *, follow_symlinks: bool = True) -> State:  # type: ignore[override]
        """Return the state, as the store says it now."""
        system = _filesystem(self.scheme)
        system.invalidate_cache()
        state = State.of(self._asked(lambda: system.info(self._key)))
        self._last = time.monotonic(), state
        return state

    def _recent(self) -> State:
        """Return the state as the store said it a moment ago, or says it now."""
        if self._last is not None and time.monotonic() - self._last[0] < _RECENT:
            return self._last[1]
        return self.stat()

    def lstat(self) -> State:  # type: ignore[override]
        """Return the state; there are no links."""
        return self.stat()

    def exists(self, *, follow_symlinks: bool = True) -> bool:
        """Return whether there is something; raises an error if the store does not say."""
        return self._mode() != 0

    def is_file(self, **options: Any) -> bool:
        """Return whether it is a file."""
        return stat.S_ISREG(self._mode())

    def is_dir(self, **options: Any) -> bool:
        """Return whether it is a folder."""
        return stat.S_ISDIR(self._mode())

    def is_symlink(self) -> bool:
        """Return False."""
        return False

    def _mode(self) -> int:
        if self._known is not None:
            return self._known.st_mode
        try:
            return self._recent().st_mode
        except FileNotFoundError:
            return 0

    def samefile(self, other_path: Any) -> bool:
        """Return whether another path is the same address."""
        return isinstance(other_path, RemotePath) and str(other_path) == str(self)

    def open(  # type: ignore[override]
        self,
        mode: str = "r",
        buffering: int = -1,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
    ) -> IO[Any]:
        """Open the file for reading; without buffering, each read is one request."""
        if set(mode) - set("rbt"):
            raise self._refused("written to in pieces")
        state = self._recent()
        if stat.S_ISDIR(state.st_mode):
            raise IsADirectoryError(errno.EISDIR, "it is a folder", str(self))
        if not state.ranged:
            return self.fetched().open(mode, buffering, encoding, errors, newline)

        def get(start: int, stop: int) -> bytes:
            end = stop - start <= LEAST_AHEAD and (start == 0 or stop == state.st_size)
            kept = end and state.st_mtime_ns  # without a version, it would not be noticed that they changed
            return _end(self, start, stop, state.st_mtime_ns) if kept else self._range(start, stop)

        raw = Ranges(get, state.st_size, ahead=buffering != 0)
        if buffering == 0:
            return cast("IO[Any]", raw)
        buffered = io.BufferedReader(raw, LEAST_AHEAD)
        return buffered if "b" in mode else io.TextIOWrapper(buffered, encoding or "utf-8", errors, newline)

    def _range(self, start: int, stop: int) -> bytes:
        """Return a range of bytes, all of them."""
        system = _filesystem(self.scheme)

        def get() -> bytes:
            content = bytes(system.cat_file(self._key, start=start, end=stop))
            if len(content) > stop - start:  # a server that does not know ranges
                content = content[start:stop]
            if len(content) < stop - start:
                message = f"the answer ended after {len(content):,} of {stop - start:,} bytes"
                raise CutShortError(errno.EIO, message, str(self))
            return content

        return self._asked(get)

    def read_bytes(self) -> bytes:
        """Return the content."""
        with self.open("rb", buffering=0) as file:
            return cast("bytes", file.read())

    def read_text(self, encoding: str | None = None, errors: str | None = None, newline: str | None = None) -> str:
        """Return the content as text, in UTF-8 by default."""
        return self.read_bytes().decode(encoding or "utf-8", errors or "strict")

    def iterdir(self) -> Generator["RemotePath", None, None]:
        """Yield the files and folders in the folder."""
        system = _filesystem(self.scheme)
        system.invalidate_cache()
        own = self._key
        for info in self._asked(lambda: system.ls(own, detail=True)):
            name = str(info["name"]).rstrip("/")
            if name == str(own).rstrip("/") or not name.rpartition("/")[2]:
                continue  # an empty object that stands for the folder
            child = self / name.rpartition("/")[2]
            child._known = State.of(info)
            yield child

    def glob(self, pattern: str, **options: Any) -> Iterator["RemotePath"]:  # type: ignore[override]
        """Yield the files and folders that match a pattern."""
        return _matching(self, PurePosixPath(pattern).parts) if self.is_dir() else iter(())

    def rglob(self, pattern: str, **options: Any) -> Iterator["RemotePath"]:  # type: ignore[override]
        """Yield the files and folders at any depth that match a pattern."""
        return self.glob(f"**/{pattern}")

    def fetched(self) -> Path:
        """Return a copy on this machine: in the cache, with its checksum; it is fetched if it is not there yet.

        Raises
        ------
        UsageError
            If it is a folder.
        OSError
            If the store does not give it, or the cache cannot be written to.
        """
        state = self.stat()
        if stat.S_ISDIR(state.st_mode):
            message = f"{self} is a folder, and this command needs it on this machine; copy it first"
            raise UsageError(message)
        folder = cache_folder() / "remote" / hashlib.sha256(str(self).encode()).hexdigest()[:24]
        target, record = folder / self.name, folder / ".record.json"
        told = {"address": str(self), "size": state.st_size, "time": state.st_mtime_ns}
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".lock"):
            if not _as_fetched(target, record, told):
                record.unlink(missing_ok=True)
                part = folder / ".part"
                digest = self._copy(part, state)
                part.replace(target)
                record.write_text(json.dumps(told | {"sha256": digest}))
                logger.info("fetched %s (%.1f MB) into the cache", self, target.stat().st_size / 1e6)
        return target

    def _copy(self, target: Path, state: State) -> str:
        """Write the content to a file of this machine, and return its SHA-256."""
        digest = hashlib.sha256()
        with target.open("wb") as file:
            if not state.ranged:
                content = bytes(self._asked(lambda: _filesystem(self.scheme).cat_file(self._key)))
                digest.update(content)
                file.write(content)
            for start in range(0, state.st_size if state.ranged else 0, _PIECE):
                content = self._range(start, min(start + _PIECE, state.st_size))
                digest.update(content)
                file.write(content)
        return digest.hexdigest()

    def put(self, file: Path) -> None:
        """Send a file of this machine, in one step: a reader sees the old object or the new one.

        Raises
        ------
        UsageError
            If the store takes no files.
        OSError
            If the store refuses it.
        """
        if self.scheme in (*WEB, "hf"):
            message = f"{self}: nothing can be written there; choose a place on this machine or in a bucket (--out)"
            raise UsageError(message)
        system, size = _filesystem(self.scheme), file.stat().st_size

        def send() -> None:
            system.put_file(str(file), self._key)
            system.invalidate_cache()
            stored = int(system.info(self._key)["size"])
            if stored != size:
                message = f"{stored:,} of {size:,} bytes arrived"
                raise CutShortError(errno.EIO, message, str(self))

        self._last = None
        self._asked(send)

    def mkdir(self, mode: int = 0o777, parents: bool = False, exist_ok: bool = False) -> None:
        """Do nothing: folders in a store are the beginnings of names."""

    def rmdir(self) -> None:
        """Do nothing: a folder is gone with its last file."""

    def unlink(self, missing_ok: bool = False) -> None:
        """Remove the file."""
        system = _filesystem(self.scheme)
        self._last = None
        try:
            self._asked(lambda: system.rm_file(self._key))
        except FileNotFoundError:
            if not missing_ok:
                raise

    @staticmethod
    def states_of(files: Sequence["RemotePath"]) -> list[tuple[int, int] | None]:
        """Return size and time of files, asked for in parallel; None for one that is not there."""

        def state(file: RemotePath) -> tuple[int, int] | None:
            try:
                found = file.stat()
            except FileNotFoundError:
                return None
            return found.st_size, found.st_mtime_ns

        with ThreadPoolExecutor(_AT_ONCE) as pool:
            return list(pool.map(state, files))

    def _asked(self, work: Callable[[], T]) -> T:
        """Ask the store, again if it is busy or the connection breaks, and tell errors without credentials."""
        for wait in (*WAITS, None):
            try:
                return work()
            except Exception as error:
                if isinstance(error, PeculiarError):
                    raise
                failure = failure_of(error, str(self))
            if wait is None or not failure.passing:
                break
            logger.debug("%s: %s; trying again", self, failure.error.strerror)
            time.sleep(wait)
        # Not from the original, whose text may hold credentials.
        raise failure.error from None

    def _refused(self, what: str) -> UsageError:
        return UsageError(f"{self} is in a store, where it cannot be {what}; choose a place on this machine")

    def _refuse(self, *args: Any, **options: Any) -> Any:
        raise self._refused("changed in this way")

    rename = replace = touch = chmod = symlink_to = hardlink_to = write_text = write_bytes = _refuse
    readlink = owner = group = _refuse


@functools.lru_cache(_ENDS)
def _end(path: RemotePath, start: int, stop: int, version: int) -> bytes:
    """Return the beginning or the end of a version of a file, which is kept."""
    return path._range(start, stop)


def _rebuilt(address: str, full: str) -> RemotePath:
    restore(address, full)
    return RemotePath(address)


def _matching(folder: RemotePath, parts: tuple[str, ...]) -> Iterator[RemotePath]:
    first, *others = parts
    rest = tuple(others)
    if first == "**":
        if rest:
            yield from _matching(folder, rest)
        for child in sorted(folder.iterdir()):
            if child.is_dir():
                yield from _matching(child, parts)
            if not rest:
                yield child
        return
    wild = any(sign in first for sign in "*?[")
    children = folder.iterdir() if wild else iter([folder / first])
    for child in children:
        if wild and not fnmatch.fnmatchcase(child.name, first):
            continue
        if not rest and (wild or child.exists()):
            yield child
        elif rest and child.is_dir():
            yield from _matching(child, rest)


def _as_fetched(target: Path, record: Path, told: dict[str, Any]) -> bool:
    """Return whether the copy in the cache is that of the object, unharmed."""
    try:
        kept = json.loads(record.read_bytes())
        state = target.stat()
    except (OSError, ValueError):
        return False
    if {name: kept.get(name) for name in told} != told:
        return False
    return bool(digest_of_state(target, state.st_size, state.st_mtime_ns) == kept.get("sha256"))


@functools.cache
def _filesystem(scheme: str) -> Any:
    """Return fsspec's access to the stores of a scheme; `RemotePath` tries again, not the libraries."""
    import fsspec

    options: dict[str, Any] = {}
    if scheme in ("s3", "s3a"):
        timeouts = {"connect_timeout": _SECONDS // 2, "read_timeout": _SECONDS}
        options["config_kwargs"] = {"retries": {"max_attempts": 0}, **timeouts}
    elif scheme in WEB:
        import aiohttp

        timeout = aiohttp.ClientTimeout(total=None, sock_connect=_SECONDS // 2, sock_read=_SECONDS)
        options["client_kwargs"] = {"timeout": timeout, "trust_env": True}
    system = fsspec.filesystem(scheme, use_listings_cache=False, **options)
    if hasattr(system, "retries"):
        system.retries = 1
    return system
