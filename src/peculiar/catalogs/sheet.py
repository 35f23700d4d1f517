"""Contact sheets: pictures of galaxies of a catalogue, side by side."""

import itertools
from collections.abc import Collection, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from peculiar.catalogs.table import GalaxyTable
from peculiar.errors import DataError
from peculiar.images.framing import Framing
from peculiar.sources.joins import partners_of
from peculiar.sources.stream import Row, Source, decode_row

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_ON_SHEET, MOST_OF_ID = 120, 22


def draw_sheet(
    catalog: GalaxyTable, source: Source, framing: Framing, by: str | None = None, *, count: int = MOST_ON_SHEET
) -> tuple["Figure", list[str]]:
    """Draw the first galaxies side by side, with id and class below each.

    Parameters
    ----------
    catalog : GalaxyTable
    source : Source
        The pictures, with the same ids.
    framing : Framing
        Part of each picture to show.
    by : str, optional
        A column whose value is shown beside the class.
    count : int
        Maximum number of galaxies.

    Returns
    -------
    figure : matplotlib.figure.Figure
    missing : list of str
        Ids of galaxies whose picture was not found or cannot be read.

    Raises
    ------
    DataError
        If no picture is found.
    """
    first = catalog.head(count)
    ids = first.ids
    pictures = find_pictures(source, ids, framing)
    if not pictures:
        message = f"none of the {len(ids)} galaxies found has a readable picture in {source.path}"
        raise DataError(message)
    missing = np.full((framing.size, framing.size, 3), 40, dtype=np.uint8)
    table = first.to_arrow()
    captions = [table[name].to_pylist() if name in table.column_names else [] for name in ("class", by)]
    captions = [
        [
            (id_ if len(id_) <= MOST_OF_ID else f"{id_[: MOST_OF_ID - 1]}…", None),
            (" ".join(_short(column[row]) for column in captions if column), None),
        ]
        for row, id_ in enumerate(ids)
    ]
    from peculiar.reports import (
        galaxy_plots,  # Matplotlib takes a fifth of a second to import, and searches do not need it
    )

    figure = galaxy_plots.draw_answers(np.stack([pictures.get(id_, missing) for id_ in ids]), captions)
    return figure, [id_ for id_ in ids if id_ not in pictures]


def find_pictures(
    source: Source, ids: Iterable[str], framing: Framing, *, most: int | None = None
) -> dict[str, NDArray[np.uint8]]:
    """Read the pictures of some galaxies from a source.

    Parameters
    ----------
    source : Source
    ids : iterable of str
        Ids of galaxies, if necessary compared without regard to case, folders and suffixes.
    framing : Framing
    most : int, optional
        Maximum number of rows of the source to look at.

    Returns
    -------
    dict of str to ndarray of uint8, shape (size, size, 3)
        Pictures by id; missing and unreadable ones are left out.
    """
    found: dict[str, NDArray[np.uint8]] = {}
    for id_, row in find_rows(source, set(ids), most):
        galaxy = decode_row(row, framing)
        if galaxy.picture is not None:
            found[id_] = galaxy.picture
    return found


def find_rows(source: Source, ids: Collection[str], most: int | None = None) -> Iterator[tuple[str, Row]]:
    """Yield the rows of a source that show some galaxies, each with the id that was asked for.

    Parameters
    ----------
    source : Source
    ids : collection of str
        Compared as by `peculiar.sources.joins.partners_of`; the first of several rows with one id counts.
    most : int, optional
        Maximum number of rows to look at.
    """
    left = partners_of(source.ids()[:most], ids, f"{source.path} and the catalogue")
    for row in itertools.islice(source.rows(), most) if left else ():
        if (id_ := left.pop(row.id, None)) is not None:
            yield id_, row
        if not left:
            return


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
