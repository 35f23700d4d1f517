"""Zip archives of pictures, one or a folder of them, read in place."""

import lzma
import stat
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from peculiar.errors import DataError, PictureError
from peculiar.files.limits import PICTURE_BYTES, grows_too_much
from peculiar.sources.archive import ArchiveSource, Member
from peculiar.sources.paths import as_text
from peculiar.sources.stream import Shard

ZIP_SUFFIXES = (".zip",)

# Exceptions for a damaged archive; RuntimeError for encryption, or an unknown compression method.
_DAMAGE = (zipfile.BadZipFile, OSError, EOFError, ValueError, RuntimeError, MemoryError, zlib.error, lzma.LZMAError)

_UTF8 = 0x800


class ZipSource(ArchiveSource):
    """The pictures in zip archives; see `ArchiveSource`."""

    kind = "zip"

    def shards(self, rows: int) -> Iterator[Shard]:
        """Yield shards of one archive each."""
        for part, count in zip(self._parts, self._counts, strict=True):
            piece = self._piece(part, count)
            for start in range(0, count, rows):
                stop = min(start + rows, count)
                yield Shard(f"{as_text(part.name)}:{start}-{stop}", piece, start, stop)

    def _members(self, part: Path) -> Iterator[Member]:
        with open_zip(part) as archive:
            for member in archive.infolist():
                if not (member.is_dir() or stat.S_ISLNK(member.external_attr >> 16)):
                    read = lambda member=member: _read(archive, member)  # noqa: E731
                    yield member_name(member), member.header_offset, read


def open_zip(path: Path) -> zipfile.ZipFile:
    """Open a zip archive, or raise `DataError` if it is damaged."""
    try:
        return zipfile.ZipFile(path)
    except (*_DAMAGE, IndexError) as error:
        message = (
            f"{path}: cannot be read as zip or NPZ ({error}); it may have been cut short: download or write it again"
        )
        raise DataError(message) from error


def member_name(member: zipfile.ZipInfo) -> str:
    """Return the path of a file in a zip archive: in UTF-8, even if macOS does not flag it, with forward slashes."""
    name = member.filename
    if not member.flag_bits & _UTF8:
        try:
            name = name.encode("cp437").decode("utf-8")
        except UnicodeError:
            name = member.filename
    return name.replace("\\", "/")


def _read(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    size, packed = member.file_size, member.compress_size
    if size > PICTURE_BYTES or grows_too_much(packed, size):
        raise PictureError(f"it unpacks to {size:,} bytes from {packed:,}, far more than a picture does")
    try:
        with archive.open(member) as file:
            return file.read()
    except _DAMAGE as error:
        raise PictureError(f"it cannot be unpacked ({error})") from error
