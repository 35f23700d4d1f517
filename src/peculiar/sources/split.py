"""Split galaxies into training, validation and test parts, by class and reproducibly."""

import hashlib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from peculiar.errors import LabelError, UsageError
from peculiar.sources.names import part_told
from peculiar.sources.stream import Source
from peculiar.text import counted

PARTS = ("training", "validation", "test")

TOLD = {"train": "training", "validation": "validation", "test": "test"}
"""Parts by the names of folders and files; folds are none of them."""


T = TypeVar("T", int, str)


@dataclass(frozen=True, slots=True)
class Split:
    """The parts of a set of galaxies, as row numbers in the order of the draw.

    Parameters
    ----------
    training, validation : ndarray of int
    test : ndarray of int
        Empty if there is no such part.
    """

    training: NDArray[np.intp]
    validation: NDArray[np.intp]
    test: NDArray[np.intp] = field(default_factory=lambda: np.empty(0, dtype=np.intp))

    def by_name(self) -> dict[str, NDArray[np.intp]]:
        """Return the rows of each part by its name, in the order of `PARTS`."""
        return dict(zip(PARTS, (self.training, self.validation, self.test), strict=True))

    def digest(self, ids: Sequence[str]) -> str:
        """Return a digest (SHA-256, hexadecimal) of the ids in each part, regardless of order."""
        digest = hashlib.sha256()
        for part in (self.training, self.validation, *([self.test] if len(self.test) else [])):
            digest.update(_joined(sorted(ids[row] for row in part)))
        return digest.hexdigest()


def split(labels: ArrayLike, *, validation_size: float = 0.2, seed: int = 222, answers: Sequence[str] = ()) -> Split:
    """Split galaxies like the exercise: at random, stratified by class.

    Equal, index by index, to scikit-learn's ``train_test_split(data, labels, test_size=0.20, stratify=labels,
    shuffle=True, random_state=222)`` for one-hot labels.

    Parameters
    ----------
    labels : array-like, shape (n, classes) one-hot or (n,) class numbers
    validation_size : float
        Share of the validation part, between 0 and 1.
    seed : int
        Seed of the random choice.
    answers : sequence of str, optional
        Names of the classes, for messages.

    Returns
    -------
    Split

    Raises
    ------
    LabelError
        If `labels` are neither one-hot nor class numbers, a class has a single galaxy, or either part would be smaller
        than the number of classes.
    UsageError
        If `validation_size` is not between 0 and 1.
    """
    labels = np.asarray(labels)
    if not 0 < validation_size < 1:
        message = f"the share of the validation part has to be between 0 and 1, received {validation_size}"
        raise UsageError(message)
    one_hot = _one_hot(labels, len(answers))
    counts = one_hot.sum(axis=0).astype(int)
    names = answers or [f"class {number}" for number in range(len(counts))]
    # Show blanks around a name.
    lonely = [
        name if name == name.strip() else repr(name) for name, count in zip(names, counts, strict=True) if count == 1
    ]
    if lonely:
        message = (
            f"{', '.join(lonely)}: one galaxy only, which cannot be in both parts of a stratified split; add another "
            "of that class or leave it out"
        )
        raise LabelError(message)
    held_back = math.ceil(validation_size * len(labels))
    classes = int(np.count_nonzero(counts))
    if not len(labels) or classes > min(held_back, len(labels) - held_back):
        message = (
            f"{counted(len(labels), 'galaxy')} of {counted(classes, 'class')} "
            f"{'is' if len(labels) == 1 else 'are'} too few to hold back {validation_size:.0%} for validation with "
            "every class in both parts; add some, or hold back another share"
        )
        raise LabelError(message)
    return _stratified(one_hot, held_back, np.random.RandomState(seed))


def _stratified(one_hot: NDArray[Any], held_back: int, random: np.random.RandomState) -> Split:
    """Draw the parts in the order of scikit-learn's `StratifiedShuffleSplit`, whose import takes half a second."""
    # It orders classes by their one-hot rows as text, so the last column comes first.
    members = [np.flatnonzero(column) for column in one_hot.T[::-1] if column.any()]
    counts = np.array([len(rows) for rows in members])
    trained = _proportional(counts, len(one_hot) - held_back, random)
    held = _proportional(counts - trained, held_back, random)
    shuffled = [rows[random.permutation(len(rows))] for rows in members]
    training = [rows[:count] for rows, count in zip(shuffled, trained, strict=True)]
    validation = [rows[start : start + count] for rows, start, count in zip(shuffled, trained, held, strict=True)]
    return Split(random.permutation(np.concatenate(training)), random.permutation(np.concatenate(validation)))


def _proportional(counts: NDArray[np.intp], draws: int, random: np.random.RandomState) -> NDArray[np.intp]:
    """Share draws out in proportion to counts; what rounding leaves goes to the largest fractions, ties at random."""
    exact = counts / counts.sum() * draws
    shares = np.floor(exact)
    fractions, left = exact - shares, int(draws - shares.sum())
    for fraction in np.unique(fractions)[::-1]:
        if not left:
            break
        tied = np.flatnonzero(fractions == fraction)
        taken = random.choice(tied, size=min(left, len(tied)), replace=False)
        shares[taken] += 1
        left -= len(taken)
    numbers: NDArray[np.intp] = shares.astype(np.intp)
    return numbers


def keep_together(parts: Split, same: Iterable[tuple[int, int]]) -> Split:
    """Move validation rows that show a galaxy of the training part to the training part.

    Parameters
    ----------
    parts : Split
        Of two parts.
    same : iterable of (int, int)
        Pairs of rows.
    """
    trained = set(parts.training.tolist())
    moved = {row for group in connected(same) if trained.intersection(group) for row in group} - trained
    kept = np.array([row not in moved for row in parts.validation], dtype=bool)
    return Split(np.concatenate([parts.training, parts.validation[~kept]]), parts.validation[kept])


def split_by_id(
    ids: Sequence[str], same: Iterable[tuple[int, int]] = (), *, validation_size: float = 0.1, test_size: float = 0.15
) -> Split:
    """Split galaxies by a hash of their ids, so that a galaxy is in the same part in every set.

    Parameters
    ----------
    ids : sequence of str
        An id may occur several times; its rows stay together.
    same : iterable of (int, int)
        Pairs of rows that show the same galaxy under different ids; they stay together, too.
    validation_size, test_size : float
        Shares of the parts, between 0 and 1.

    Returns
    -------
    Split
        The parts, with rows in order.
    """
    first = {id_: group[0] for group in connected((ids[one], ids[other]) for one, other in same) for id_ in group}
    parts = np.array(
        [part_of(first.get(id_, id_), validation_size=validation_size, test_size=test_size) for id_ in ids]
    )
    return Split(*(np.flatnonzero(parts == part) for part in PARTS))


def connected(pairs: Iterable[tuple[T, T]]) -> list[tuple[T, ...]]:
    """Return the connected groups of pairs: two or more members each, in order.

    Examples
    --------
    >>> connected([(3, 1), (4, 5), (1, 2)])
    [(1, 2, 3), (4, 5)]
    """
    from scipy.cluster.hierarchy import DisjointSet

    found = DisjointSet()
    for pair in pairs:
        found.add(pair[0])
        found.add(pair[1])
        found.merge(*pair)
    return sorted(tuple(sorted(group)) for group in found.subsets() if len(group) > 1)


def part_of(id_: str, *, validation_size: float, test_size: float) -> str:
    """Return the part of a galaxy, one of `PARTS`, from the hash of its id."""
    place = int(hashlib.sha256(id_.encode()).hexdigest()[:8], 16) / 2**32
    if place < test_size:
        return "test"
    return "validation" if place < test_size + validation_size else "training"


def told_parts(sources: Iterable[Source]) -> dict[str, str]:
    """Return the part of each galaxy that folders or files name one for, one of `PARTS`, by its id."""
    found: dict[str, str] = {}
    for source in sources:
        found |= parts_in(source.ids(), source.parts())
    return found


def parts_in(ids: Iterable[str], beside: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the known parts by id, each one of `PARTS`: as given in `beside`, or by a folder in the id."""
    named = {id_: (beside or {}).get(id_) or part_told(id_) for id_ in ids}
    return {id_: TOLD[part] for id_, part in named.items() if part in TOLD}


def part_rule(told: Mapping[str, str], *, validation_size: float, test_size: float) -> Callable[[str], str]:
    """Return the function that gives the part of a galaxy, one of `PARTS`, by its id, as training assigns it.

    Parameters
    ----------
    told : mapping of str to str
        The parts that folders or files name; see `told_parts`. If they name a validation part, galaxies without a part
        are in training; otherwise the validation part is drawn from all that are not in the test part.
    validation_size, test_size : float
        Shares of the parts that are drawn by the hash of the ids; the test part is drawn if nothing is told at all.

    Examples
    --------
    >>> part = part_rule({"test/12.png": "test"}, validation_size=0.1, test_size=0.15)
    >>> part("test/12.png")
    'test'
    """
    drawn = 0 if told else test_size
    validated = "validation" in told.values()

    def part(id_: str) -> str:
        known = told.get(id_, "training")
        if validated or known == "test":
            return known
        return part_of(id_, validation_size=validation_size, test_size=drawn)

    return part


def _one_hot(labels: NDArray[Any], classes: int) -> NDArray[Any]:
    """Return labels as one-hot rows: scikit-learn orders classes by these rows as text, not by their numbers."""
    if (
        labels.ndim == 2
        and labels.dtype.kind in "biuf"
        and np.isin(labels, (0, 1)).all()
        and (labels.sum(1) == 1).all()
    ):
        return labels
    if labels.ndim == 1 and (not labels.size or (labels.dtype.kind in "iu" and labels.min() >= 0)):
        numbers = labels.astype(np.intp)
        # The last of the classes may not occur.
        return np.eye(max(classes, numbers.max(initial=-1) + 1), dtype=np.float32)[numbers]
    message = (
        "labels have to be one-hot, (n, classes) of 0 and 1 with one 1 per row, or class numbers, (n,) integers from 0 "
        f"on; received {labels.dtype} of the shape {labels.shape}, beginning with {labels.ravel()[:3].tolist()}"
    )
    raise LabelError(message)


def data_digest(ids: Iterable[str], labels: NDArray[np.integer], pictures: NDArray[np.uint8]) -> str:
    """Return a digest (SHA-256, hexadecimal) of ids, labels and pixels."""
    digest = hashlib.sha256(_joined(ids))
    digest.update(np.ascontiguousarray(labels, dtype="<i8").data)
    digest.update(np.ascontiguousarray(pictures).data)
    return digest.hexdigest()


def _joined(ids: Iterable[str]) -> bytes:
    # A separator that no id contains, so that ("a", "bc") and ("ab", "c") differ.
    return ("\x1f".join(ids) + "\x1e").encode()
