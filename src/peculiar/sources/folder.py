"""Pictures in files of their own: loose, or in a sub-folder a class."""

import copy
from collections.abc import Iterator, Sequence
from pathlib import Path

from peculiar.errors import DataError
from peculiar.image import PICTURE_SUFFIXES, looks_like_picture
from peculiar.schema import question_for
from peculiar.sources.stream import Row, Shard, Source, as_text, files_below, files_digest


class FolderSource(Source):
    """Pictures below a folder, in alphabetical order, or one single picture.

    The first sub-folder on the way to a picture is its label; loose pictures have none. Ids are paths within the
    folder.

    Parameters
    ----------
    path : path
        The folder, or the one picture.
    pictures : sequence of path
        Those that are taken, such as `pictures_below` the folder.

    Raises
    ------
    DataError
        If there is no picture.
    """

    kind = "folder"

    def __init__(self, path: Path, pictures: Sequence[Path]) -> None:
        self._pictures = sorted(pictures)
        self._root = path if path.is_dir() else path.parent
        if not self._pictures:
            message = (
                f"{path}: there is no picture in this folder; expected JPEG, PNG, TIFF or FITS files, or a folder a "
                "class"
            )
            raise DataError(message)
        labels = {label for picture in self._pictures if (label := self._label(picture))}
        super().__init__(path, question_for("class", labels).name if labels else None)

    def __len__(self) -> int:
        """Return the number of pictures."""
        return len(self._pictures)

    def rows(self, start: int = 0, stop: int | None = None) -> Iterator[Row]:
        """Yield pictures' paths."""
        for picture in self._pictures[start:stop]:
            yield Row(as_text(picture.relative_to(self._root).as_posix()), picture, self._label(picture))

    def shards(self, rows: int) -> Iterator[Shard]:
        """Yield pieces that hold no more than their own pictures' paths."""
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

    def _label(self, picture: Path) -> str | None:
        parts = picture.relative_to(self._root).parts
        return as_text(parts[0]) if len(parts) > 1 else None


def pictures_below(folder: Path) -> Iterator[Path]:
    """Return the pictures below a folder."""
    return filter(is_picture, files_below(folder))


def is_picture(path: Path) -> bool:
    """Tell whether a file is called like a picture, or begins like one."""
    if path.suffix.lower() in PICTURE_SUFFIXES:
        return True
    try:
        with path.open("rb") as file:
            return looks_like_picture(file.read(16))
    except OSError:
        return False
