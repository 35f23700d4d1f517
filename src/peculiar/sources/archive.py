"""Common parts of archives of pictures."""

import copy
import warnings
from abc import abstractmethod
from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Self

import pyarrow as pa

from peculiar.errors import DataError, PeculiarWarning, PictureError
from peculiar.images.picture_file import PICTURE_SUFFIXES
from peculiar.questions.question import question_for
from peculiar.sources.names import Naming, clean, is_metadata, warn_of_parts
from peculiar.sources.paths import as_text, files_digest, is_litter
from peculiar.sources.sidecars import Sidecars, is_sidecar, together
from peculiar.sources.stream import Row, Source, refuse
from peculiar.text import counted

Member = tuple[str, int, Callable[[], bytes]]
"""Name of a file in an archive, its first byte, and a function that reads it, which may raise `PictureError`."""


class ArchiveSource(Source):
    """The pictures in one archive or several, in the order of packing.

    Ids are paths within the archive, from which `Naming` reads labels. If files in several archives have the same path,
    the ids of all begin with the name of the archive. Links, and files without the name of a picture, are skipped.
    Nothing is extracted, and no other file is opened.

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

    Warns
    -----
    PeculiarWarning
        If files in several archives, or in one, have the same path.
    """

    def __init__(self, path: Path, parts: Sequence[Path]) -> None:
        self._parts = list(parts)
        found = [self._survey(part) for part in self._parts]
        names = [one.names for one in found]
        self._counts = [len(some) for some in names]
        self._places = [one.places for one in found]
        if not len(self):
            message = (
                f"{path}: there is no picture in it; expected members called .jpg, .png, .tif and the like (FITS "
                "images are read from folders, so unpack them)"
            )
            raise DataError(message)
        self._folders = _folders(path, self._parts, found)
        placed = list(zip(self._folders, found, strict=True))
        self.metadata = {folder + name: content for folder, one in placed for name, content in one.metadata.items()}
        beside = [_below(folder, one.beside) for folder, one in placed if one.beside is not None]
        self.beside = together(beside) if beside else None
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
        for part, count, folder in zip(self._parts, self._counts, self._folders, strict=True):
            if first + count > start:
                for number, (name, _, read) in enumerate(self._pictures(part), first):
                    if stop is not None and number >= stop:
                        return
                    if number >= start:
                        yield Row(as_text(folder + name), _content(read), self._naming.label(name))
            first += count

    def ids(self) -> list[str]:
        """Return the id of every picture, without reading one."""
        parts = zip(self._folders, self._parts, strict=True)
        return [as_text(folder + name) for folder, part in parts for name, _, _ in self._pictures(part)]

    def files(self) -> Sequence[Path]:
        """Return the archives."""
        return self._parts

    def fingerprint(self, start: int, stop: int | None) -> str:
        """Return a digest that changes when the archives do."""
        return files_digest(self._parts, self._parts[0].parent, start, stop)

    def _piece(self, part: Path, count: int) -> Self:
        """Return the same source for one archive, or for part of its pictures."""
        piece = copy.copy(self)
        piece._folders = [self._folders[self._parts.index(part)]]
        piece._parts, piece._counts, piece._places = [part], [count], []
        piece.metadata, piece.beside = {}, None
        return piece

    def _survey(self, part: Path) -> "_Content":
        """Return the names and places of the pictures in an archive, its metadata files and those beside pictures."""
        names, places, metadata, sidecars = [], array("q"), {}, Sidecars(part)
        for path, place, read in self._files(part):
            if _is_picture(path):
                names.append(path)
                places.append(place)
            elif is_metadata(path):
                content = _content(read)
                if callable(content):
                    message = f"{part}: {as_text(path)} cannot be read; pack the archive again"
                    raise DataError(message)
                metadata[path] = content
            elif is_sidecar(path):
                content = _content(read)
                sidecars.add(path, None if callable(content) else content)
        return _Content(names, places, metadata, sidecars.table(names))

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


@dataclass(frozen=True, slots=True)
class _Content:
    """Content of an archive: names and places of pictures, metadata files by name, and the table of sidecars."""

    names: list[str]
    places: "array[int]"
    metadata: dict[str, bytes]
    beside: pa.Table | None


def _folders(path: Path, parts: Sequence[Path], found: Sequence[_Content]) -> list[str]:
    """Return the beginning of the ids of each archive: empty, or its name and a slash if names occur in several."""
    counts = Counter(name for one in found for name in one.names)
    counts.subtract(dict.fromkeys(counts, 1))
    repeated = +counts
    within = sum(len(one.names) - len(set(one.names)) for one in found)
    if within:
        first = next(name for one in found for name, count in Counter(one.names).items() if count > 1)
        message = (
            f"{path}: {counted(within, 'file', 'have', 'has')} the path of an earlier one in the same archive, such as "
            f"{as_text(first)}, and therefore its id; pack the archive again, with each once"
        )
        warnings.warn(message, PeculiarWarning, stacklevel=4)
    listings = Counter(name for one in found for name in one.metadata)
    if repeated.total() == within and max(listings.values(), default=1) == 1:
        return [""] * len(parts)
    if across := repeated.total() - within:
        message = (
            f"{path}: {counted(across, 'file', 'have', 'has')} the path of a file in another archive, such as "
            f"{as_text(next(iter(repeated)))}; ids begin with the names of the archives"
        )
        warnings.warn(message, PeculiarWarning, stacklevel=4)
    return [f"{name}/" for name in _different(parts)]


def _different(parts: Sequence[Path]) -> list[str]:
    """Return different names of archives: without suffixes, with them, or with as many folders as needed."""
    names = [part.name for part in parts]
    stems = [name.partition(".")[0] or name for name in names]
    depth = 1
    while len(set(stems)) < len(stems):
        stems = ["/".join(part.parts[-depth:]) for part in parts]
        depth += 1
    return stems


def _below(folder: str, beside: pa.Table) -> pa.Table:
    """Return a table of files beside pictures, with their paths in a folder."""
    place = beside.schema.get_field_index("file_name")
    names = [as_text(folder) + name for name in beside["file_name"].to_pylist()]
    return beside.set_column(place, "file_name", pa.array(names, pa.string()))


def _is_picture(path: str) -> bool:
    return PurePosixPath(path).suffix.lower() in PICTURE_SUFFIXES


def _content(read: Callable[[], bytes]) -> bytes | Callable[[], bytes]:
    try:
        return read()
    except PictureError as error:
        return partial(refuse, error.reason)
