"""Common parts of archives of pictures."""

import copy
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Self

import pyarrow as pa

from peculiar.errors import DataError, PictureError
from peculiar.images.decode import PICTURE_SUFFIXES
from peculiar.questions.question import question_for
from peculiar.sources.names import Naming, clean, is_metadata, warn_of_parts
from peculiar.sources.paths import as_text, files_digest, is_litter
from peculiar.sources.sidecars import Sidecars, is_sidecar, together
from peculiar.sources.stream import Row, Source, refuse

Member = tuple[str, int, Callable[[], bytes]]
"""Name of a file in an archive, its first byte, and a function that reads it, which may raise `PictureError`."""


class ArchiveSource(Source):
    """The pictures in one archive or several, in the order of packing.

    Ids are paths within the archive, from which `Naming` reads labels. Links, and files without the name of a picture,
    are skipped. Nothing is extracted, and no other file is opened.

    Parameters
    ----------
    path : path
        The archive, or the folder of several.
    parts : sequence of path
        The archives, in order.

    Attributes
    ----------
    metadata : dict of str to bytes
        The metadata files in the archives, by their paths; see `peculiar.sources.metadata`.
    beside : pyarrow.Table or None
        What files beside single pictures say of them; see `peculiar.sources.sidecars`.

    Raises
    ------
    DataError
        If an archive is damaged, or there is no picture.
    """

    def __init__(self, path: Path, parts: Sequence[Path]) -> None:
        self._parts = list(parts)
        self.metadata: dict[str, bytes] = {}
        self._beside: list[pa.Table] = []
        names = [self._survey(part) for part in self._parts]
        self._counts = [len(some) for some in names]
        if not len(self):
            message = f"{path}: there is no picture in it; expected members called .jpg, .png, .tif and the like"
            raise DataError(message)
        self.beside = together(self._beside) if self._beside else None
        self._naming = Naming.of(name for some in names for name in some)
        labels = self._naming.labels
        super().__init__(path, question_for("class", labels).name if labels else None)
        warn_of_parts(path, [*self._naming.parts, *(part.name.partition(".")[0] for part in parts if len(parts) > 1)])

    def __len__(self) -> int:
        """Return the number of pictures."""
        return sum(self._counts)

    def rows(self, start: int = 0, stop: int | None = None) -> Iterator[Row]:
        """Yield the bytes of pictures; a picture that cannot be decompressed states why."""
        first = 0
        for part, count in zip(self._parts, self._counts, strict=True):
            if first + count > start:
                for number, (name, _, read) in enumerate(self._pictures(part), first):
                    if stop is not None and number >= stop:
                        return
                    if number >= start:
                        yield Row(as_text(name), _content(read), self._naming.label(name))
            first += count

    def ids(self) -> list[str]:
        """Return the id of every picture, without reading one."""
        return [as_text(name) for part in self._parts for name, _, _ in self._pictures(part)]

    def files(self) -> Sequence[Path]:
        """Return the archives."""
        return self._parts

    def fingerprint(self, start: int, stop: int | None) -> str:
        """Return a digest that changes when the archives do."""
        return files_digest(self._parts, self._parts[0].parent, start, stop)

    def _piece(self, part: Path, count: int) -> Self:
        """Return the same source for one archive, or for part of its pictures."""
        piece = copy.copy(self)
        piece._parts, piece._counts, piece.metadata = [part], [count], {}
        piece._beside, piece.beside = [], None
        return piece

    def _survey(self, part: Path) -> list[str]:
        """Return the names of the pictures in an archive, and read its metadata files and those beside pictures."""
        names, sidecars = [], Sidecars(part)
        for path, _, read in self._files(part):
            if _is_picture(path):
                names.append(path)
            elif is_metadata(path):
                content = _content(read)
                if callable(content):
                    message = f"{part}: {as_text(path)} cannot be read; pack the archive again"
                    raise DataError(message)
                self.metadata[path] = content
            elif is_sidecar(path):
                content = _content(read)
                sidecars.add(path, None if callable(content) else content)
        if (table := sidecars.table(names)) is not None:
            self._beside.append(table)
        return names

    def _pictures(self, part: Path) -> Iterator[Member]:
        """Yield the pictures in an archive, each of which has to be read before the next."""
        return (member for member in self._files(part) if _is_picture(member[0]))

    def _files(self, part: Path) -> Iterator[Member]:
        """Yield the files in an archive that belong to no operating system, by their paths."""
        named = ((clean(name), place, read) for name, place, read in self._members(part))
        return (member for member in named if not is_litter(member[0]))

    @abstractmethod
    def _members(self, part: Path) -> Iterator[Member]:
        """Yield the files in an archive."""


def _is_picture(path: str) -> bool:
    return PurePosixPath(path).suffix.lower() in PICTURE_SUFFIXES


def _content(read: Callable[[], bytes]) -> bytes | Callable[[], bytes]:
    try:
        return read()
    except PictureError as error:
        return partial(refuse, error.reason)
