"""Get sets of galaxies: the exercise's, simulated ones, mock observations, cut-outs of a survey."""

import os
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from peculiar.errors import DataError, UnknownNameError, UsageError
from peculiar.files.places import place
from peculiar.progress import counting
from peculiar.sources import as_source
from peculiar.sources.columns import LABEL_COLUMNS
from peculiar.sources.cutouts import Fetched, fetch_cutouts
from peculiar.sources.exercise import copy_galaxy_data
from peculiar.sources.http import Manners
from peculiar.sources.mock import write_mock
from peculiar.sources.npz import write_npz
from peculiar.sources.positions import Positions
from peculiar.sources.simulated import simulate
from peculiar.sources.surveys import choose_frame, find_survey
from peculiar.sources.table import picture_column
from peculiar.tables.formats import is_table
from peculiar.tables.identifiers import entry_text
from peculiar.tables.key_columns import Keys, find_column
from peculiar.tables.reader import TableReader
from peculiar.text import counted, shown

NAMES = {"exercise": ".npz", "simulated": ".npz", "mock": ".parquet"}
"""Sets of galaxies that `get` knows, and the suffixes of their files."""


def get(
    name: str,
    out: str | os.PathLike[str],
    *,
    count: int = 1400,
    size: int = 128,
    seed: int = 222,
    looks: Sequence[str] = ("decals",),
    features: Sequence[str] = (),
    context: float = 1.0,
    progress: Callable[[int], object] | None = None,
) -> Path:
    """Get a set of galaxies as a file.

    Parameters
    ----------
    name : {"exercise", "simulated", "mock"}
        The 1,400 published galaxies of the exercise, which are downloaded if necessary; simulated galaxies of the same
        four classes; or mock observations: simulated galaxies with known features, as surveys show them.
    out : path-like
        With the suffix ``.npz``, of mock observations ``.parquet``.
    count, size, seed : int
        Of simulated galaxies and mock observations: how many, the side of the pictures in pixels, and the seed.
    looks : sequence of str
        Of mock observations: the surveys that show each galaxy, "random", or "any". Several make as many pictures of
        every galaxy.
    features : sequence of str
        Of mock observations: every galaxy has one of these at least. Without any, features are as frequent as always.
    context : float
        Of mock observations: width of the frame relative to that which shows the galaxy, 1 to 4.
    progress : callable, optional
        Called with the number of mock observations made since the last call.

    Returns
    -------
    path
        `out`.

    Raises
    ------
    UsageError
        If `out` has another suffix, or a number is out of range.
    UnknownNameError
        If there is no such set, look or feature.
    DownloadError
        If the galaxies of the exercise cannot be downloaded.

    Examples
    --------
    >>> import peculiar
    >>> file = peculiar.get("simulated", "simulated.npz", count=8, size=64)
    >>> len(peculiar.open_source(file))
    8
    """
    out = place(out)
    if name not in NAMES:
        raise UnknownNameError("data set", name, NAMES)
    check_suffix(out, NAMES[name])
    if name == "exercise":
        copy_galaxy_data(out)
    elif name == "simulated":
        simulation = simulate(count, size=size, seed=seed)
        write_npz(out, simulation.pictures, simulation.labels, parameters=simulation.parameters)
    else:
        options: dict[str, Any] = {"size": size, "seed": seed, "looks": looks, "features": features, "context": context}
        write_mock(out, count, **options, progress=progress)
    return out


def check_suffix(path: Path, suffix: str) -> None:
    """Raise `UsageError` if a name has the suffix of another kind of file than is written."""
    if path.suffix.lower() != suffix:
        message = f"{path}: the output has another format; give a name that ends in {suffix}"
        raise UsageError(message)


def get_cutouts(
    positions: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    survey: str,
    size_arcsec: float | None = None,
    pixels: int | None = None,
    pixel_scale: float | None = None,
    rate: float | None = None,
    workers: int = 4,
    id: str | None = None,
    ra: str | None = None,
    dec: str | None = None,
    overwrite: bool = False,
    stop: threading.Event | None = None,
    progress: Callable[[int], object] | None = None,
    verbose: bool = True,
) -> Fetched:
    """Download cut-outs of a survey at the positions of a table.

    Nothing is requested twice: after any interruption, the same call resumes.

    Parameters
    ----------
    positions : path-like
        A table with the columns ``ra`` and ``dec`` (ICRS, in degrees unless they state another unit) and an id.
    out : path-like
        Folder for the pictures and the table ``cutouts.parquet``; it can then be opened as a source.
    survey : {"sdss", "legacy", "panstarrs", "des", "dss"}
    size_arcsec : float, optional
        Side of a cut-out on the sky, in arcsec.
    pixels : int, optional
        Side of a cut-out, in pixels; by default 256.
    pixel_scale : float, optional
        In arcsec per pixel; by default the survey's own.
    rate : float, optional
        Requests per second at most; by default that which the survey asks for.
    workers : int
        Number of simultaneous requests; the rate applies to all of them together.
    id, ra, dec : str, optional
        The columns of ids and positions; by default those with the usual names.
    overwrite : bool
        Replace the index even if it lists other positions; no picture is removed.
    stop : threading.Event, optional
        Once it is set, no further requests are sent.
    progress : callable, optional
        Called with the number of positions finished since the last call.
    verbose : bool
        Show progress on standard error, where `progress` is not given.

    Returns
    -------
    Fetched

    Raises
    ------
    UnknownNameError
        If there is no such survey or column.
    UsageError
        If the frame does not fit the survey, the folder holds something else, or an option is out of range.
    DownloadError
        If the folder or the cache cannot be written to.

    Examples
    --------
    >>> import peculiar
    >>> fetched = peculiar.get_cutouts("positions.csv", "cutouts", survey="legacy")  # doctest: +SKIP
    """
    chosen = find_survey(survey)
    frame = choose_frame(chosen, size_arcsec=size_arcsec, pixels=pixels, pixel_scale=pixel_scale)
    manners = Manners(chosen.rate if rate is None else rate)
    where = Positions(place(positions), Keys(id, ra, dec))
    with ExitStack() as stack:
        if progress is None:
            progress = stack.enter_context(counting("fetched", len(where), verbose=verbose))
        return fetch_cutouts(
            where,
            out,
            chosen,
            frame,
            manners=manners,
            workers=workers,
            overwrite=overwrite,
            stop=stop,
            progress=progress,
        )


@dataclass(frozen=True, slots=True, repr=False)
class Contents:
    """Kind, galaxies and classes of a set of galaxies; see `describe`.

    Parameters
    ----------
    data : str
    kind : str
        "npz", "folder", "table", "table without pictures" ...
    galaxies : int
    label : str or None
        Column of labels, or the name of the question that they answer; None without labels.
    classes : dict of str to int
        Number of galaxies per class, the most frequent first.
    unlabelled : int
    """

    data: str
    kind: str
    galaxies: int
    label: str | None
    classes: dict[str, int]
    unlabelled: int

    def as_dict(self) -> dict[str, Any]:
        """Return the same as a dictionary, for JSON."""
        return {name: getattr(self, name) for name in self.__slots__}

    def __repr__(self) -> str:
        """Return it in two lines."""
        classes = ", ".join(f"{shown(name)} {count:,}" for name, count in self.classes.items()) or "no labels"
        return f"{shown(self.data)}: {counted(self.galaxies, 'galaxy')} ({self.kind})\n{classes}"


def describe(data: Any, *, label: str | None = None, id: str | None = None) -> Contents:
    """Describe a set of galaxies: its kind, the number of galaxies, and the number in each class.

    Parameters
    ----------
    data : path-like, sequence of path-like, array, list of PIL.Image.Image, or Source
        As `predict` takes it, or a table without pictures, such as a catalogue.
    label, id : str, optional
        The columns of labels and ids of a table; by default those with the usual names.

    Returns
    -------
    Contents

    Raises
    ------
    NotFoundError, DataError
        If the data are not there, or none of the kinds that are known.
    UnknownNameError
        If there is no such column.

    Examples
    --------
    >>> import peculiar
    >>> peculiar.describe("my_classes").classes
    {'edge_on': 12, 'face_on': 12}
    """
    try:
        source = as_source(data, label=label, id=id)
    except DataError:
        table = _table_without_pictures(data) if isinstance(data, str | os.PathLike) else None
        if table is None:
            raise
        found = label or find_column(LABEL_COLUMNS, table.columns)
        labels = [entry_text(entry) for entry in table.column(found)] if found else [None] * len(table)
        return _counted(str(data), "table without pictures", found, labels)
    place = data if isinstance(data, str | os.PathLike) else source.path
    return _counted(str(place), source.kind, source.label, source.labels())


def _counted(data: str, kind: str, label: str | None, labels: Sequence[str | None]) -> Contents:
    counts = Counter(labels)
    unlabelled = counts.pop(None, 0)
    classes = {str(name): count for name, count in counts.most_common()}
    return Contents(data, kind, len(labels), label, classes, unlabelled)


def _table_without_pictures(path: str | os.PathLike[str]) -> TableReader | None:
    """Open a table such as a catalogue; None if it is none, is damaged, or has pictures that cannot be used."""
    try:
        table = TableReader(path) if is_table(place(path)) else None
    except DataError:
        return None
    if table is None or picture_column(table.schema):
        return None
    # Any line of text is a table of one column without rows.
    return None if table.format == "csv" and len(table.columns) < 2 and not len(table) else table
