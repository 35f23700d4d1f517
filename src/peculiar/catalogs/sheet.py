"""Draw pictures of some galaxies of a catalogue, side by side."""

import itertools
from collections.abc import Iterable
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from peculiar.catalogs.table import GalaxyTable
from peculiar.errors import DataError
from peculiar.images.decode import Framing
from peculiar.reports import plots
from peculiar.sources.stream import Source, decode_row

MOST_ON_SHEET, MOST_OF_ID = 120, 22


def draw_sheet(
    catalog: GalaxyTable, source: Source, framing: Framing, by: str | None = None, *, count: int = MOST_ON_SHEET
) -> tuple[Figure, list[str]]:
    """Draw the first galaxies side by side, and below each its id and class.

    Parameters
    ----------
    catalog : GalaxyTable
    source : Source
        Where their pictures are, by the same ids.
    framing : Framing
        What to show of each.
    by : str, optional
        The column whose value is told beside the class.
    count : int
        So many at the most.

    Returns
    -------
    figure : matplotlib.figure.Figure
    missing : list of str
        Identifiers of those whose picture was not found, or cannot be read.

    Raises
    ------
    DataError
        If not one of the pictures is there.
    """
    first = catalog.head(count)
    ids = first.ids
    pictures = find_pictures(source, ids, framing)
    if not pictures:
        message = f"none of the {len(ids)} galaxies found has a readable picture in {source.path}"
        raise DataError(message)
    missing = np.full((framing.size, framing.size, 3), 40, dtype=np.uint8)
    table = first.to_arrow()
    told = [table[name].to_pylist() if name in table.column_names else [] for name in ("class", by)]
    captions = [
        [
            (id_ if len(id_) <= MOST_OF_ID else f"{id_[: MOST_OF_ID - 1]}…", None),
            (" ".join(_short(column[row]) for column in told if column), None),
        ]
        for row, id_ in enumerate(ids)
    ]
    figure = plots.draw_answers(np.stack([pictures.get(id_, missing) for id_ in ids]), captions)
    return figure, [id_ for id_ in ids if id_ not in pictures]


def find_pictures(
    source: Source, ids: Iterable[str], framing: Framing, *, most: int | None = None
) -> dict[str, NDArray[np.uint8]]:
    """Read the pictures of some galaxies of a source.

    Parameters
    ----------
    source : Source
    ids : iterable of str
    framing : Framing
    most : int, optional
        Only look at so many rows of the source.

    Returns
    -------
    dict of str to ndarray of uint8, shape (size, size, 3)
        By id; those that are not there, or cannot be read, are left out.
    """
    wanted = set(ids)
    found: dict[str, NDArray[np.uint8]] = {}
    for row in itertools.islice(source.rows(), most):
        if row.id in wanted:
            wanted.remove(row.id)
            galaxy = decode_row(row, framing)
            if galaxy.picture is not None:
                found[row.id] = galaxy.picture
        if not wanted:
            break
    return found


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
