"""Folders of picture files, with or without one sub-folder per class."""

import copy
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from peculiar.files.figures import is_figure
from peculiar.images.picture_file import PICTURE_SUFFIXES, looks_like_picture
from peculiar.questions.question import question_for
from peculiar.sources.names import Naming
from peculiar.sources.paths import as_text, files_below, files_digest
from peculiar.sources.stream import Row, Shard, Source


class FolderSource(Source):
    """Pictures below a folder, in alphabetical order, or one single picture.

    Ids are paths within the folder, from which `Naming` reads labels: usually the first sub-folder in the path of a
    picture is its label, and pictures without a sub-folder have none.

    Parameters
    ----------
    path : path
        The folder, or the one picture.
    pictures : sequence of path
        The files to use, such as those of `pictures_below`; at least one.
    """

    kind = "folder"

    def __init__(self, path: Path, pictures: Sequence[Path]) -> None:
        self._pictures = sorted(pictures)
        self._root = path if path.is_dir() else path.parent
        self._naming = Naming.of(map(self._name, self._pictures))
        labels = self._naming.labels
        super().__init__(path, question_for("class", labels).name if labels else None)
        self._naming.warn_of_parts(path)

    def __len__(self) -> int:
        """Return the number of pictures."""
        return len(self._pictures)

    def rows(self, start: int = 0, stop: int | None = None) -> Iterator[Row]:
        """Yield pictures' paths."""
        for picture in self._pictures[start:stop]:
            name = self._name(picture)
            yield Row(as_text(name), picture, self._naming.label(name))

    def shards(self, rows: int) -> Iterator[Shard]:
        """Yield shards that hold only the paths of their own pictures."""
        for start in range(0, len(self), rows):
            piece = copy.copy(self)
            piece._pictures = self._pictures[start : start + rows]
            yield Shard(f"{self.name}:{start}-{start + len(piece)}", piece, 0, len(piece))

    def files(self) -> Sequence[Path]:
        """Return the pictures."""
        return self._pictures

    def fingerprint(self, start: int, stop: int | None) -> str:
        """Return a digest that changes when pictures do."""
        return files_digest(self._pictures[start:stop], self._root)

    def _name(self, picture: Path) -> str:
        return picture.relative_to(self._root).as_posix()


def pictures_below(folder: Path) -> Iterator[Path]:
    """Return the pictures below a folder, except figures of peculiar."""
    return without_figures(filter(is_picture, files_below(folder)))


def without_figures(files: Iterable[Path]) -> Iterator[Path]:
    """Yield files except figures that peculiar drew, such as those in ``explained`` and ``evaluation``.

    PNG files of a folder are looked into up to the first that is no figure, because opening all would take too long.
    """
    galaxies: set[Path] = set()
    for file in files:
        if file.suffix.lower() == ".png" and file.parent not in galaxies:
            if is_figure(file):
                continue
            galaxies.add(file.parent)
        yield file


def is_picture(path: Path) -> bool:
    """Return whether a file has the name of a picture, or begins like one."""
    if path.suffix.lower() in PICTURE_SUFFIXES:
        return True
    try:
        # Opening a pipe would block.
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return looks_like_picture(file.read(16))
    except OSError:
        return False
