"""Information in the path of a picture: its id, its label, its part of a split.

Files of operating systems and programs are skipped. Of the folders in the path of a picture, those named like parts of
a split (train, valid, test) give its part. Folders that contain everything mean nothing. The first remaining folder is
the label.
"""

import functools
import re
import unicodedata
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from peculiar.errors import PeculiarWarning
from peculiar.questions.question import QUESTIONS
from peculiar.sources.paths import as_text

_PARTS = {
    **dict.fromkeys(("train", "training", "trainset", "trn"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "valset", "dev", "eval", "evaluation"), "validation"),
    **dict.fromkeys(("test", "testing", "testset", "tst", "holdout"), "test"),
}

# Words without meaning for a galaxy: "images", "train_images", "images_training_rev1", "train-00000-of-00002".
_PLAIN = frozenset(
    (
        *("image", "images", "img", "imgs", "picture", "pictures", "pic", "pics", "photo", "photos"),
        *("jpg", "jpeg", "png", "tif", "tiff", "webp", "fits", "tar", "zip", "parquet"),
        *("galaxy", "galaxies", "cutout", "cutouts", "stamp", "stamps", "data", "dataset", "datasets"),
        *("set", "split", "splits", "part", "rev", "v", "of", "file", "files", "subset", "folder", "dir"),
    )
)

_METADATA = {"metadata.csv", "metadata.jsonl", "metadata.parquet"}

_KNOWN = frozenset(answer for question in QUESTIONS.values() for answer in question.answers)


KEPT_APART = ", except by `peculiar train` and `calibrate`, which keep them apart"
"""Further words of `warn_of_parts` for sources whose parts are kept apart in training."""


@dataclass(frozen=True, slots=True)
class Naming:
    """Rules for reading the folders of pictures.

    Parameters
    ----------
    around : int
        Number of folders, apart from parts of a split, that contain all pictures and so are not labels.
    parts : tuple of str
        Names of the folders for parts of a split, in alphabetical order.
    labels : frozenset of str
        All labels that occur.
    """

    around: int = 0
    parts: tuple[str, ...] = ()
    labels: frozenset[str] = frozenset()

    @classmethod
    def of(cls, paths: Iterable[str]) -> "Naming":
        """Determine how to read the paths of pictures, as returned by `clean`."""
        folders = {tuple(path.split("/")[:-1]) for path in paths}
        parts = {folder for one in folders for folder in one if part_of(folder)}
        naming = cls(_around({_without_parts(one) for one in folders}), tuple(sorted(parts)))
        labels = {label for one in folders if (label := naming.label("/".join([*one, ""]))) is not None}
        return cls(naming.around, naming.parts, frozenset(labels))

    def label(self, path: str) -> str | None:
        """Return the label of a picture; accents are equal in either normal form."""
        folders = _without_parts(tuple(path.split("/")[:-1]))[self.around :]
        return as_text(unicodedata.normalize("NFC", folders[0])) if folders else None

    def warn_of_parts(self, path: Path) -> None:
        """Warn if pictures of several parts of a split are read as one set."""
        warn_of_parts(path, self.parts, KEPT_APART)


def warn_of_parts(path: Path, parts: Iterable[str], apart: str = "") -> None:
    """Warn if names are those of several parts of a split, which are read together; `apart` adds who does not."""
    named = {name: part for name in parts if (part := part_of(name))}
    if len(set(named.values())) > 1:
        listed = ", ".join(as_text(name) for name in sorted(named)[:6]) + (" ..." if len(named) > 6 else "")
        message = (
            f"{path}: {listed} are taken for parts of a split, not for classes, and are read together{apart}. To train "
            "or evaluate on one part alone, give its path"
        )
        warnings.warn(message, PeculiarWarning, stacklevel=4)


def clean(path: str) -> str:
    """Return a normalised path within a folder or archive: "./a//b.jpg" and "/a/b.jpg" become "a/b.jpg"."""
    if "//" in path or path.startswith(("/", "./")) or "/./" in path:
        return "/".join(piece for piece in path.split("/") if piece not in ("", "."))
    return path


def part_told(path: str) -> str | None:
    """Return the part of a split in the folders of a picture's path; None where they name none."""
    return next((part for folder in path.split("/")[:-1] if (part := part_of(folder))), None)


def is_metadata(path: str) -> bool:
    """Return whether a path is that of a metadata file; see `peculiar.sources.metadata`."""
    return path.rpartition("/")[2].lower() in _METADATA


@functools.lru_cache(maxsize=4096)
def part_of(name: str) -> str | None:
    """Return the part of a split in the name of a folder or file: "train", "validation", "test", "fold 3", or none."""
    lower = name.lower()
    words = [word for word in re.findall(r"[^\W\d_]+", lower) if word not in _PLAIN]
    if words == ["fold"] and (number := re.search(r"\d+", lower)):
        return f"fold {int(number[0])}"
    return _PARTS.get(words[0]) if len(words) == 1 else None


def _without_parts(folders: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(folder for folder in folders if not part_of(folder))


def _around(folders: set[tuple[str, ...]]) -> int:
    """Count the folders that contain all pictures: "dataset" and "images" in dataset/images/Ringed/."""
    depth = 0
    while len(heads := {one[depth : depth + 1] for one in folders}) == 1 and (head := next(iter(heads))):
        below = {one[depth + 1 : depth + 2] for one in folders}
        classes_below = () not in below or len(below) > 2
        if head[0] in _KNOWN or not (classes_below or _says_nothing(head[0])):
            break
        depth += 1
    return depth


def _says_nothing(name: str) -> bool:
    words = re.findall(r"[^\W\d_]+", name.lower())
    return bool(words) and _PLAIN.issuperset(words)
