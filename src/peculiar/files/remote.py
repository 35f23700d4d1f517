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
import os
import posixpath
import re
import stat
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PosixPath, PurePath, PurePosixPath
from typing import IO, Any, TypeVar, cast

from filelock import FileLock

from peculiar.errors import MissingExtraError, PeculiarError, UsageError
from peculiar.files.cache import cache_folder

logger = logging.getLogger(__name__)

T = TypeVar("T")

WAITS = (0.3, 1.0, 3.0, 10.0)
"""Seconds between the attempts to get an answer."""

_SECONDS = 30
"""Without an answer, after which an attempt counts as failed."""

_LEAST_AHEAD, _MOST_AHEAD = 1 << 16, 1 << 23
"""Bytes of a request: the first of a file, and at the most for one that is read from its beginning to its end."""

_AT_ONCE = 32
"""Requests in progress at a time."""

_WEB = ("http", "https")

_SIGNATURE = re.compile(
    r"(X-(Amz|Goog)-[^=]*|Signature|sig|se|sp|sv|sr|st|sks|skt|ske|skv|skoid|sktid|spr|Expires|Policy|Key-Pair-Id"
    r"|AWSAccessKeyId|GoogleAccessId|[a-z_]*token|download)(=|$)",
    re.IGNORECASE,
)
"""Entries of a query that sign it, or do not say which file is meant."""

_LACKS = {
    "s3": "bucket",
    "s3a": "bucket",
    "gs": "bucket",
    "gcs": "bucket",
    "http": "host",
    "https": "host",
    "hf": "repository",
}

_WHERE = {
    "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE or ~/.aws; for a public bucket FSSPEC_S3_ANON=true",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS or gcloud auth application-default login",
    "hf": "HF_TOKEN or hf auth login",
    "https": "~/.netrc, or a signed address",
}
"""Sources of credentials, by scheme."""

# The parts of addresses that no message shows, by the addresses without them. They are pickled with a path, so that
# worker processes can read.
_hidden: dict[str, str] = {}


def check_scheme(scheme: str) -> None:
    """Check that the packages for a scheme are installed.

    Raises
    ------
    UsageError
        If fsspec does not know the scheme.
    MissingExtraError
        If fsspec, or its package for the scheme, is not installed.
    """
    try:
        import fsspec
    except ImportError as error:
        raise MissingExtraError(f"reading {scheme}:// addresses", "remote") from error
    try:
        fsspec.get_filesystem_class(scheme)
    except ValueError as error:
        message = (
            f"addresses of the kind {scheme}:// are unknown; give one that begins with s3://, gs://, https:// or "
            "hf://datasets/, or a path"
        )
        raise UsageError(message) from error
    except ImportError as error:
        raise MissingExtraError(f"reading {scheme}:// addresses", "remote") from error


def remember(scheme: str, rest: str) -> str:
    """Return an address without user name, password and query, which are remembered.

    Raises
    ------
    UsageError
        If it names no bucket, host or repository, or has credentials where the store does not take them.
    """
    host, slash, path = rest.lstrip("/").partition("/")
    user, at, host = host.rpartition("@")
    query = ""
    if scheme in _WEB:
        path, sign, query = path.partition("?")
        query = sign + query
        path = path.partition("#")[0]
    elif at:
        message = (
            f"{scheme}://{host}/{path}: credentials in an address would be seen by others; set them in the "
            f"environment ({_where(scheme)})"
        )
        raise UsageError(message)
    if not host:
        message = f"{scheme}:// names no {_LACKS.get(scheme, 'folder')}; give an address such as {_example(scheme)}"
        raise UsageError(message)
    plain = f"{scheme}://{host}{slash}{path}".rstrip("/")
    if scheme in _WEB:
        _hide(plain, f"{scheme}://{user}{at}{host}{slash}{path}{query}")
    return plain


def _hide(plain: str, address: str) -> None:
    """Remember an address with its credentials; a path of `pathlib` has lost one of two slashes in a row."""
    known = _hidden.get(plain)
    if known is not None and _shortened(known) == address:
        return
    if known is not None and _file_query(known) != _file_query(address):
        message = f"{plain} is given for two files that differ only in its query; download them, and give their paths"
        raise UsageError(message)
    _hidden[plain] = address


def _shortened(address: str) -> str:
    scheme, _, rest = address.partition("://")
    return f"{scheme}://{re.sub('/+', '/', rest)}"


def _file_query(address: str) -> list[str]:
    """Return the part of a query that is no signature and may say which file is meant."""
    return sorted(one for one in address.partition("?")[2].split("&") if one and not _SIGNATURE.match(one))


def _example(scheme: str) -> str:
    examples = {"s3": "s3://bucket/folder", "gs": "gs://bucket/folder", "hf": "hf://datasets/owner/name"}
    return examples.get(scheme, f"{scheme}://host/file")


def _where(scheme: str) -> str:
    return _WHERE.get({"s3a": "s3", "gcs": "gs", "http": "https"}.get(scheme, scheme), "see fsspec")


_VERSIONS = (
    *("ETag", "etag", "Content-MD5", "Digest", "LastModified", "Last-Modified"),
    *("mtime", "updated", "created", "generation", "blob_id"),
)
"""Names, in the answers of stores, of the version of an object or its time."""


@dataclass(frozen=True, slots=True)
class State:
    """Size and kind of a file or folder in a store, by the names of `os.stat_result`.

    A store says of an object that it changed by its tag or its time; `st_mtime_ns` follows from both.
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
            st_mtime_ns=int.from_bytes(digest[:7]),
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

    _known: State | None = None

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
        return _rebuilt, (str(self), _hidden.get(str(self)))

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
        return _hidden.get(name, name)

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
        return State.of(self._asked(lambda: system.info(self._key)))

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
            return self.stat().st_mode
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
        state = self.stat()
        if stat.S_ISDIR(state.st_mode):
            raise IsADirectoryError(errno.EISDIR, "it is a folder", str(self))
        if not state.ranged:
            return self.fetched().open(mode, buffering, encoding, errors, newline)
        raw = _Ranges(self._range, state.st_size, ahead=buffering != 0)
        if buffering == 0:
            return cast("IO[Any]", raw)
        buffered = io.BufferedReader(raw, _LEAST_AHEAD)
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
                raise _CutShortError(errno.EIO, message, str(self))
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
            for start in range(0, state.st_size if state.ranged else 0, _MOST_AHEAD):
                content = self._range(start, min(start + _MOST_AHEAD, state.st_size))
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
        if self.scheme in (*_WEB, "hf"):
            message = f"{self}: nothing can be written there; choose a place on this machine or in a bucket (--out)"
            raise UsageError(message)
        system, size = _filesystem(self.scheme), file.stat().st_size

        def send() -> None:
            system.put_file(str(file), self._key)
            system.invalidate_cache()
            stored = int(system.info(self._key)["size"])
            if stored != size:
                message = f"{stored:,} of {size:,} bytes arrived"
                raise _CutShortError(errno.EIO, message, str(self))

        self._asked(send)

    def mkdir(self, mode: int = 0o777, parents: bool = False, exist_ok: bool = False) -> None:
        """Do nothing: folders in a store are the beginnings of names."""

    def rmdir(self) -> None:
        """Do nothing: a folder is gone with its last file."""

    def unlink(self, missing_ok: bool = False) -> None:
        """Remove the file."""
        system = _filesystem(self.scheme)
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
                told = _told(error, self)
            if wait is None or not told.passing:
                break
            logger.debug("%s: %s; trying again", self, told.error.strerror)
            time.sleep(wait)
        # Not from the original, whose text may hold credentials.
        raise told.error from None

    def _refused(self, what: str) -> UsageError:
        return UsageError(f"{self} is in a store, where it cannot be {what}; choose a place on this machine")

    def _refuse(self, *args: Any, **options: Any) -> Any:
        raise self._refused("changed in this way")

    rename = replace = touch = chmod = symlink_to = hardlink_to = write_text = write_bytes = _refuse
    readlink = owner = group = _refuse


def _rebuilt(address: str, hidden: str | None) -> RemotePath:
    if hidden is not None:
        _hidden[address] = hidden
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


class _Ranges(io.RawIOBase):
    """A file that is read by ranges of bytes, more at a time the longer it is read on without a jump."""

    def __init__(self, get: Callable[[int, int], bytes], size: int, *, ahead: bool) -> None:
        self._get, self._size, self._ahead = get, size, ahead
        self._position, self._begin, self._held = 0, 0, b""
        self._step = _LEAST_AHEAD

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, place: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        if base + place < 0:
            raise OSError(errno.EINVAL, "the place is before the beginning of the file")
        self._position = base + place
        return self._position

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        wanted = min(len(view), max(self._size - self._position, 0))
        offset = self._position - self._begin
        if wanted and not 0 <= offset < len(self._held):
            self._fill(wanted)
            offset = 0
        some = self._held[offset : offset + wanted]
        view[: len(some)] = some
        self._position += len(some)
        return len(some)

    def read(self, size: int = -1) -> bytes:
        """Return so many bytes, or those up to the end."""
        wanted = max(self._size - self._position, 0)
        wanted = wanted if size is None or size < 0 else min(size, wanted)
        content = bytearray(wanted)
        done = 0
        while done < wanted:
            done += self.readinto(memoryview(content)[done:])
        return bytes(content)

    def _fill(self, wanted: int) -> None:
        """Get the bytes from the position on, more than before if the last ones were read to their end."""
        end = self._begin + len(self._held)
        on = 0 <= self._position - end <= self._step and self._held
        self._step = min(2 * self._step, _MOST_AHEAD) if on else _LEAST_AHEAD
        more = max(wanted, self._step) if self._ahead else wanted
        stop = min(self._position + min(more, _MOST_AHEAD), self._size)
        self._held, self._begin = self._get(self._position, stop), self._position


class _CutShortError(OSError):
    """An answer that ended early."""


@dataclass(frozen=True, slots=True)
class _Told:
    """An error in peculiar's words, and whether it may pass."""

    error: OSError
    passing: bool


# Classes of errors after which the same request may succeed, by their names in the libraries of the stores.
_BROKEN = re.compile(
    r"Timeout|ConnectionError|ConnectionClosed|EndpointConnection|IncompleteRead|PayloadError|Disconnected|ServerOS"
    r"|ClientConnector|ClientOSError|ResponseStreaming|HTTPClientError|ConnectError|ReadError|RemoteProtocol|CutShort"
    r"|ConnectionReset|BrokenPipe|ContentLength"
)


def _told(error: BaseException, path: RemotePath) -> _Told:
    """Return an error of a library as an `OSError` that shows no credentials."""
    name, where = str(path), _where(path.scheme)
    chain = list(_causes(error))
    status = next((code for one in chain if (code := _status(one))), 0)
    text = " ".join(str(one) for one in chain)
    kinds = " ".join(type(one).__name__ for one in chain)
    if re.search(r"NoCredentials|CredentialRetrieval|DefaultCredentialsError|PartialCredentials", kinds):
        return _Told(PermissionError(errno.EACCES, f"no credentials were found; set {where}", name), False)
    if status in (401, 403) or isinstance(error, PermissionError) or "GatedRepo" in kinds:
        reason = f"access is denied; check the credentials in the environment ({where})"
        return _Told(PermissionError(errno.EACCES, reason, name), False)
    if "bucket does not exist" in text or "NoSuchBucket" in text:
        bucket = f"there is no bucket {path.parts[1]!r}; check its name and the endpoint (AWS_ENDPOINT_URL)"
        return _Told(OSError(errno.ENXIO, bucket, name), False)
    if status == 429 or status >= 500 or "SlowDown" in text or (isinstance(error, OSError) and error.errno in _BUSY):
        busy = f"the store is busy or failing (status {status or 503}), also when asked again; try later"
        return _Told(OSError(errno.EIO, busy, name), True)
    if status in (404, 410) or (isinstance(error, FileNotFoundError) and not _BROKEN.search(kinds)):
        return _Told(FileNotFoundError(errno.ENOENT, "there is no such object", name), False)
    if isinstance(error, _CutShortError):
        return _Told(OSError(errno.EIO, f"{error.strerror}, also when asked again", name), True)
    if "Timeout" in kinds:
        late = "the store gave no answer in time, also when asked again; try later"
        return _Told(TimeoutError(errno.ETIMEDOUT, late, name), True)
    if _BROKEN.search(kinds):
        reason = "the connection to the store failed, also when tried again; check the address, endpoint and network"
        return _Told(OSError(errno.EIO, reason, name), True)
    said = f" ({status})" if status else ""
    return _Told(OSError(errno.EIO, f"the store answered with an error: {type(error).__name__}{said}", name), False)


_BUSY = (errno.EBUSY, getattr(errno, "EREMOTEIO", errno.EBUSY))


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _status(error: BaseException) -> int:
    """Return the status of HTTP that an error tells; 0 if none."""
    response = getattr(error, "response", None)
    if isinstance(response, dict):
        return int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    for holder in (error, response):
        for field in ("status", "status_code", "code"):
            value = getattr(holder, field, None)
            if isinstance(value, int) and not isinstance(value, bool) and 100 <= value < 600:
                return value
    return 0


def _as_fetched(target: Path, record: Path, told: dict[str, Any]) -> bool:
    """Return whether the copy in the cache is that of the object, unharmed."""
    try:
        kept = json.loads(record.read_bytes())
        state = target.stat()
    except (OSError, ValueError):
        return False
    if {name: kept.get(name) for name in told} != told:
        return False
    return bool(_digest(target, state.st_size, state.st_mtime_ns) == kept.get("sha256"))


@functools.lru_cache(maxsize=64)
def _digest(file: Path, size: int, time_: int) -> str:
    """Return the digest of a file of this size and time, computed once."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


@functools.cache
def _filesystem(scheme: str) -> Any:
    """Return fsspec's access to the stores of a scheme; `RemotePath` tries again, not the libraries."""
    import fsspec

    options: dict[str, Any] = {}
    if scheme in ("s3", "s3a"):
        timeouts = {"connect_timeout": _SECONDS // 2, "read_timeout": _SECONDS}
        options["config_kwargs"] = {"retries": {"max_attempts": 0}, **timeouts}
    elif scheme in _WEB:
        import aiohttp

        timeout = aiohttp.ClientTimeout(total=None, sock_connect=_SECONDS // 2, sock_read=_SECONDS)
        options["client_kwargs"] = {"timeout": timeout, "trust_env": True}
    system = fsspec.filesystem(scheme, use_listings_cache=False, **options)
    if hasattr(system, "retries"):
        system.retries = 1
    return system
