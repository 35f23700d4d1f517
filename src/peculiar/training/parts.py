"""The split of a training run; all pictures of a galaxy are in one part."""

import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from peculiar.checks.duplicates import same_galaxies
from peculiar.errors import LabelError, PeculiarWarning
from peculiar.models.model_file import cores
from peculiar.progress import adding
from peculiar.simulation.attributes import is_mock
from peculiar.sources import Source
from peculiar.sources.answers import NOTHING_READABLE, Answered
from peculiar.sources.split import PARTS, Split, split_by_id, told_parts
from peculiar.training.held_out import find_parts
from peculiar.training.recipe import Recipe


def split_galaxies(
    galaxies: Answered,
    sources: Sequence[Source],
    recipe: Recipe,
    *,
    progress: Callable[[int, int], object] = lambda done, total: None,
) -> tuple[Split, int]:
    """Return the split of the galaxies of some sources, and the number of pairs of duplicates.

    Galaxies stay in the parts that folders or files name (train, valid, test); otherwise a hash of their ids decides.
    Pictures of one galaxy under different ids, however turned, mirrored or cropped, are in the same part. Mock
    observations are not compared: each id is another galaxy, and faint ones are so much alike that it would take hours.
    """
    places = {id_: row for row, id_ in enumerate(galaxies.ids)}
    real = [source for source in sources if not is_mock(source.columns)]
    pairs = same_galaxies(real, places, threads=cores(), progress=adding(progress, len(places)))
    if told_parts(sources):
        told = {id_: part for source in sources for id_, part in source.parts().items()}
        found = find_parts(galaxies.ids, pairs, validation_size=recipe.validation_size, told=told)
        return Split(*(found.rows(part) for part in PARTS)), len(pairs)
    same = [(places[one], places[other]) for one, other in pairs]
    parts = split_by_id(galaxies.ids, same, validation_size=recipe.validation_size, test_size=recipe.test_size)
    return parts, len(pairs)


def told_split(ids: Sequence[str], parts: Mapping[str, str]) -> Split:
    """Return the rows of each part, from the part of each id; an id that has none is in none."""
    part_of_row = np.array([parts.get(id_, "") for id_ in ids])
    return Split(*(np.flatnonzero(part_of_row == part) for part in PARTS))


def content(galaxies: Answered) -> NDArray[np.int64]:
    """Return all labels and votes of galaxies as integers, shape (questions and voted answers, n)."""
    votes = [galaxies.trust[name] * shares.T for name, shares in galaxies.shares.items()]
    return np.vstack([*galaxies.labels.values(), *(np.rint(1e6 * one).astype(np.int64) for one in votes)])


def check_parts(data: Answered, parts: Split) -> None:
    """Raise an error if too few galaxies have answers for training or validation; warn of answers of one galaxy."""
    if not len(data.ids):
        raise LabelError(NOTHING_READABLE)
    if not len(parts.validation):
        message = (
            f"none of the {len(set(data.ids))} galaxies falls into the validation part, which a hash of their ids "
            "decides; give more of them"
        )
        raise LabelError(message)
    for name, labels in data.labels.items():
        if not (labels[parts.training] >= 0).any():
            message = f"no galaxy of the training part answers {name!r}; give more that do, or leave the question out"
            raise LabelError(message)
    for question in data.questions:
        labels = data.labels[question.name]
        galaxies = Counter(label for label, _ in set(zip(labels.tolist(), data.ids, strict=True)))
        lonely = [answer for number, answer in enumerate(question.answers) if galaxies[number] == 1]
        if lonely and not question.votes:
            message = (
                f"{question.name}: {', '.join(lonely)}: one galaxy only, which cannot be both learned and validated; "
                "add another of that class or leave it out"
            )
            warnings.warn(message, PeculiarWarning, stacklevel=2)


def other_looks(ids: Sequence[str], rows: NDArray[np.intp]) -> dict[int, list[int]]:
    """Return for each of some rows the others that show the same galaxy, where there are any."""
    same: dict[str, list[int]] = {}
    for row in rows.tolist():
        same.setdefault(ids[row], []).append(row)
    return {row: [one for one in group if one != row] for group in same.values() if len(group) > 1 for row in group}
