"""Rows of a source in an order in which classes alternate."""

import itertools
from collections.abc import Iterator

import numpy as np

from peculiar.sources.stream import Row, Source

# Rows that are read in one pass, because each pass through a source takes time.
_AT_A_TIME = 64


def interleave_classes(source: Source, *, seed: int = 222) -> Iterator[Row]:
    """Yield the rows of a source so that the first few are of all classes.

    With labels, the classes alternate, in random order within each; rows without a label come last. Otherwise rows
    keep their order.

    Parameters
    ----------
    source : Source
    seed : int
        Of the order within a class.
    """
    classes: dict[str, list[int]] = {}
    labels = source.labels()
    for number, label in enumerate(labels):
        if label is not None:
            classes.setdefault(label, []).append(number)
    if len(classes) < 2:
        yield from source.rows()
        return
    random = np.random.default_rng(seed)
    shuffled = [random.permutation(classes[label]).tolist() for label in sorted(classes)]
    order = [number for group in itertools.zip_longest(*shuffled) for number in group if number is not None]
    order += [number for number, label in enumerate(labels) if label is None]
    for start in range(0, len(order), _AT_A_TIME):
        some = order[start : start + _AT_A_TIME]
        sought = set(some)
        found = {number: row for number, row in enumerate(source.rows(0, max(some) + 1)) if number in sought}
        yield from (found[number] for number in some)
