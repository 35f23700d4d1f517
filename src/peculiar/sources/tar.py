"""Tar archives of pictures, one or a folder of them, read in place."""

import copy
import lzma
import tarfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import TypeVar

from peculiar.errors import DataError
from peculiar.image import PICTURE_SUFFIXES
from peculiar.schema import question_for
from peculiar.sources.stream import Row, Shard, Source, as_text, files_digest

T = TypeVar("T")

TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")

# What the readers of a damaged archive raise.
_DAMAGE = (tarfile.TarError, OSError, EOFError, ValueError, zlib.error, lzma.LZMAError)


class TarSource(Source):
    """The pictures in tar archives, in the order in which they were packed.

    Ids are the pictures' paths within the archive. The first folder on the way to a picture is its label. Links and
    files that are not called like pictures are passed over; nothing is unpacked.

    Parameters
    ----------
    path : path
        The archive, or the folder that holds several.
    parts : sequence of path
        The archives, in order.

    Raises
    ------
    DataError
        If an archive is damaged, or there is no picture.
    """

    kind = "tar"

    def __init__(self, path: Path, parts: Sequence[Path]) -> None:
        self._parts = list(parts)
        # Where to begin to read, in bytes: a later shard of an archive need not pass over the earlier ones.
        self._offset = 0
        members = [PurePosixPath(member.name) for part in self._parts for member, _ in self._members(part)]
        if not members:
            message = f"{path}: there is no picture in it; expected members called .jpg, .png, .tif and the like"
            raise DataError(message)
        self._count = len(members)
        labels = {label for member in members if (label := _label(member))}
        super().__init__(path, question_for("class", labels).name if labels else None)

    def __len__(self) -> int:
        """Return the number of pictures."""
        return self._count

    def rows(self, start: int = 0, stop: int | None = None) -> Iterator[Row]:
        """Yield pictures' bytes."""
        number = 0
        for part in self._parts:
            for member, read in self._members(part):
                if stop is not None and number >= stop:
                    return
                if number >= start:
                    yield Row(as_text(member.name), read(), _label(PurePosixPath(member.name)))
                number += 1

    def shards(self, rows: int) -> Iterator[Shard]:
        """Yield pieces of an archive each, or of a stretch of one that is not compressed."""
        for part in self._parts:
            offsets = [member.offset for member, _ in self._members(part)]
            # Within a compressed archive there is no way to a place but through all that comes before.
            step = rows if _is_plain(part) else max(len(offsets), 1)
            for start in range(0, len(offsets), step):
                piece = copy.copy(self)
                piece._parts, piece._offset = [part], offsets[start] if start else 0
                length = min(step, len(offsets) - start)
                yield Shard(f"{as_text(part.name)}:{start}-{start + length}", piece, 0, length)

    def files(self) -> Sequence[Path]:
        """Return the archives."""
        return self._parts

    def fingerprint(self, start: int, stop: int | None) -> str:
        """Return a digest that changes when the archives do."""
        return files_digest(self._parts, self._parts[0].parent, self._offset, start, stop)

    def _members(self, part: Path) -> Iterator[tuple[tarfile.TarInfo, Callable[[], bytes]]]:
        """Yield the pictures of an archive, each with the way to read it."""
        with _guard(lambda: part.open("rb"), part) as file:
            file.seek(self._offset)
            with _guard(lambda: tarfile.open(fileobj=file), part) as archive:
                while (member := _guard(archive.next, part)) is not None:
                    archive.members.clear()  # type: ignore[attr-defined] # it remembers all that it has passed
                    if member.isfile() and PurePosixPath(member.name).suffix.lower() in PICTURE_SUFFIXES:
                        yield member, lambda member=member: _read(archive, member, part)  # type: ignore[misc]


def looks_like_tar(path: Path) -> bool:
    """Tell whether a file begins as a tar archive does, compressed or not; a damaged one is known by its name."""
    try:
        return tarfile.is_tarfile(path)
    except _DAMAGE:  # compressed by gzip, and damaged or cut short within the first block
        return path.name.lower().endswith(TAR_SUFFIXES)


def _read(archive: tarfile.TarFile, member: tarfile.TarInfo, part: Path) -> bytes:
    file = _guard(lambda: archive.extractfile(member), part)
    content = b"" if file is None else _guard(file.read, part)
    if len(content) < member.size:
        message = f"{part}: is cut short in {member.name}, after {len(content)} of its {member.size} bytes"
        raise DataError(message)
    return content


def _is_plain(part: Path) -> bool:
    try:
        with tarfile.open(part, "r:"):
            return True
    except tarfile.ReadError:
        return False


def _label(member: PurePosixPath) -> str | None:
    parts = [part for part in member.parts if part != "."]
    return as_text(parts[0]) if len(parts) > 1 else None


def _guard(read: Callable[[], T], part: Path) -> T:
    try:
        return read()
    except _DAMAGE as error:
        message = f"{part}: cannot be read as tar ({error}); fetch or pack it again"
        raise DataError(message) from error
