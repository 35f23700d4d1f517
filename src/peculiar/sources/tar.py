"""Tar archives of pictures, one or a folder of them, read in place."""

import bz2
import gzip
import lzma
import tarfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, TypeVar

from peculiar.errors import DataError, PictureError
from peculiar.files.limits import PASSED_BYTES, PICTURE_BYTES, grows_too_much
from peculiar.sources.archive import ArchiveSource, Member
from peculiar.sources.paths import as_text, files_digest
from peculiar.sources.stream import Shard

T = TypeVar("T")

TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")

# Exceptions for a damaged archive.
_DAMAGE = (tarfile.TarError, OSError, EOFError, ValueError, OverflowError, MemoryError, zlib.error, lzma.LZMAError)

_UNPACK: dict[bytes, Callable[..., Any]] = {b"\x1f\x8b\x08": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\0": lzma.open}

_STEP = 1 << 20


class TarSource(ArchiveSource):
    """The pictures in tar archives, compressed or not; see `ArchiveSource`."""

    kind = "tar"

    # First byte to read, so that a later shard of an archive does not read the earlier ones.
    _offset = 0

    def shards(self, rows: int) -> Iterator[Shard]:
        """Yield shards of one archive each, or of a part of an uncompressed one."""
        for part, places in zip(self._parts, self._places, strict=True):
            # A compressed archive can only be read from its beginning.
            step = rows if _packing(part) is None else max(len(places), 1)
            for start in range(0, len(places), step):
                length = min(step, len(places) - start)
                piece = self._piece(part, length)
                piece._offset = places[start] if start else 0
                yield Shard(f"{as_text(part.name)}:{start}-{start + length}", piece, 0, length)

    def fingerprint(self, start: int, stop: int | None) -> str:
        """Return a digest that changes when the archives do."""
        return files_digest(self._parts, self._parts[0].parent, self._offset, start, stop)

    def _members(self, part: Path) -> Iterator[Member]:
        with _guard(lambda: part.open("rb"), part) as file:
            file.seek(self._offset)
            archive = _guard(lambda: _open(file, part), part)
            while (member := _guard(archive.next, part)) is not None:
                archive.members.clear()  # type: ignore[attr-defined] # it remembers all that it has passed
                if member.isfile():
                    yield member.name, member.offset, lambda member=member: _read(archive, member, part)  # type: ignore[misc]
            _guard(lambda: _check_end(archive), part)


class _Unpacked:
    """The bytes of an archive, in pieces of limited size, up to the limit of decompression."""

    def __init__(self, packed: IO[bytes], unpack: Callable[..., Any] | None) -> None:
        self._packed = packed
        self._file: IO[bytes] = unpack(packed) if unpack else packed

    def tell(self) -> int:
        return self._file.tell()

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= PICTURE_BYTES:
            message = f"one piece of it claims {size:,} bytes"
            raise tarfile.ReadError(message)
        return self._file.read(size)

    def seek(self, place: int) -> int:
        if self._file is self._packed:
            return self._file.seek(place)
        if place < self._file.tell():
            self._file.seek(0)
        # Step by step, because skipping means decompressing.
        while (left := place - self._file.tell()) > 0 and self._file.read(min(left, _STEP)):
            if grows_too_much(self._packed.tell(), self._file.tell(), PASSED_BYTES):
                message = f"it unpacks to more than {self._file.tell():,} bytes, far more than pictures do"
                raise tarfile.ReadError(message)
        return self._file.tell()


def looks_like_tar(path: Path) -> bool:
    """Return whether a file begins like a tar archive, compressed or not; a damaged one is recognised by its name."""
    try:
        with path.open("rb") as file:
            return _open(file, path).next() is not None
    except _DAMAGE:  # it is not a tar, or it is damaged or cut short within the first block
        return path.name.lower().endswith(TAR_SUFFIXES) and _packing(path) is not None


def _packing(part: Path) -> Callable[..., Any] | None:
    with part.open("rb") as file:
        head = file.read(6)
    return next((unpack for magic, unpack in _UNPACK.items() if head.startswith(magic)), None)


def _open(file: IO[bytes], part: Path) -> tarfile.TarFile:
    return tarfile.TarFile(fileobj=_Unpacked(file, _packing(part)))  # type: ignore[arg-type]


def _read(archive: tarfile.TarFile, member: tarfile.TarInfo, part: Path) -> bytes:
    if member.issparse() or member.size > PICTURE_BYTES:
        kind = "a sparse file" if member.issparse() else "a file"
        raise PictureError(f"it is {kind} of {member.size:,} bytes, more than a picture can have")
    file = _guard(lambda: archive.extractfile(member), part)
    return b"" if file is None else _guard(file.read, part)


def _check_end(archive: tarfile.TarFile) -> None:
    """Raise `tarfile.ReadError` if the archive does not end in zeros: then a header is damaged."""
    file = archive.fileobj
    if file is not None:
        file.seek(archive.offset)
        if any(file.read(tarfile.BLOCKSIZE)):
            message = f"what follows byte {archive.offset:,} is damaged"
            raise tarfile.ReadError(message)


def _guard(read: Callable[[], T], part: Path) -> T:
    try:
        return read()
    except _DAMAGE as error:
        message = f"{part}: cannot be read as tar ({error}); download or pack it again"
        raise DataError(message) from error
