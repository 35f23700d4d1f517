"""A catalogue of galaxies: open it, search it, lay it out, write it, show it."""

import os
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from matplotlib.figure import Figure

from peculiar.catalogs import search
from peculiar.catalogs.anomalies import find_anomalies, read_answers
from peculiar.catalogs.display import catalog_html, describe_catalog
from peculiar.catalogs.layout import LANDMARKS, draw_layout, lay_out_catalog
from peculiar.catalogs.search import Cone, as_cone
from peculiar.catalogs.sheet import draw_sheet
from peculiar.catalogs.table import GalaxyTable
from peculiar.catalogs.tally import TALLIED, Summary, tally_of
from peculiar.errors import UsageError
from peculiar.files.writing import check_apart, writing
from peculiar.images.decode import Framing, parse_crop
from peculiar.models.model_file import Model, load_model
from peculiar.sources import Paths, as_source
from peculiar.sources.stream import Source
from peculiar.tables.to_astropy import to_astropy
from peculiar.tables.writers import format_to_write, write_table

if TYPE_CHECKING:
    import pandas
    from astropy.table import Table

Where = Cone | str | tuple[float, float, float]
"""A circle on the sky: a `Cone`, or right ascension, declination and radius in degrees, or these as text."""


class Catalog(GalaxyTable):
    """A catalogue of galaxies: what `predict` returns and writes, and what a search in one finds.

    Every search gives a catalogue again, whose rows stay in memory, so that searches can follow one another. Galaxies
    that were found are compared with all galaxies of the catalogue that was searched first: ``catalog.query(x).odd()``
    finds what ``catalog.odd(where=x)`` finds.

    Parameters
    ----------
    path : path-like
        Parquet: a file, or a folder of parts.
    ra, dec : str, optional
        The columns of positions; by default those of the usual names.
    pictures : path-like, sequence of path-like, or Source, optional
        Where the pictures of the galaxies are, by the same ids; for `show`.

    Raises
    ------
    NotFoundError
        If nothing is there.
    UsageError
        If it is a table of another format.
    DataError
        If it is damaged, no table, or has no column ``id``.

    Examples
    --------
    >>> from peculiar import Catalog
    >>> catalog = Catalog("galaxies.parquet")
    >>> first = catalog.query("flags = 0", by="entropy", top=3)
    >>> len(first)
    3
    >>> alike = catalog.query("p_Odd > 0.1").similar(first.ids, top=10)
    >>> alike.write("alike.fits")
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        ra: str | None = None,
        dec: str | None = None,
        pictures: Paths | Source | None = None,
    ) -> None:
        super().__init__(path, ra=ra, dec=dec, pictures=None if pictures is None else as_source(pictures))

    def query(
        self,
        where: str | None = None,
        *,
        cone: Where | None = None,
        by: str | None = None,
        top: int | None = None,
        columns: Sequence[str] | None = None,
    ) -> Self:
        """Find the galaxies that meet a condition.

        Parameters
        ----------
        where : str, optional
            A condition on the columns, such as ``p_ringed > 0.9 and entropy < 0.5``.
        cone : Cone, str or tuple, optional
            Where on the sky: ``"150.1,2.2,30arcsec"``, or right ascension, declination and radius in degrees. The
            distance from its middle becomes the column ``distance``.
        by : str, optional
            The column to order by, highest first; with a minus sign before it, lowest first. By default the nearest
            first where there is a cone, or else the order of the catalogue.
        top : int, optional
            So many at the most; by default all, which have to fit into memory.
        columns : sequence of str, optional
            Which columns to give besides ``id``; by default all but embeddings.

        Returns
        -------
        Catalog

        Raises
        ------
        UsageError
            If the condition cannot be understood, or not be computed within the limits of time and memory.
        UnknownNameError
            If there is no such column.
        """
        return search.query(self, where, cone=as_cone(cone), by=by, top=top, columns=columns)

    def similar(
        self,
        ids: Sequence[str] = (),
        *,
        examples: Sequence[Any] = (),
        model: Model | str | os.PathLike[str] | None = None,
        where: str | None = None,
        cone: Where | None = None,
        top: int = 50,
        approximate: bool = False,
    ) -> Self:
        """Find the galaxies that look most like some examples.

        The cosine of the angle between each galaxy's embedding and the mean direction of the examples, all centred on
        the catalogue's mean, is the column ``score``. The examples themselves are left out.

        Parameters
        ----------
        ids : sequence of str
            Galaxies of the catalogue.
        examples : sequence of path-like, array or PIL.Image.Image
            Other pictures.
        model : Model or path-like, optional
            For `examples`: the model that made the catalogue; by default the one that ships.
        where, cone : optional
            Only among galaxies that meet these; see `query`.
        top : int
            So many at the most.
        approximate : bool
            Compare only those galaxies that an index finds probably nearest, which is for many millions; needs the
            extra ``faiss``. What share of the nearest it finds is in the notes, as ``recall``.

        Returns
        -------
        Catalog

        Raises
        ------
        UnknownNameError
            If a galaxy is not in the catalogue.
        UsageError
            If there are no examples, the catalogue has no embeddings, or another model made it.
        PictureError
            If a picture cannot be read.
        MissingExtraError
            If it is to be approximate, and faiss is not installed.
        """
        embeddings = None
        if len(examples):
            opened = model if isinstance(model, Model) else load_model(model)
            embeddings = search.embed(self, opened, examples)
        return search.similar(
            self, ids, embeddings=embeddings, where=where, cone=as_cone(cone), top=top, approximate=approximate
        )

    def odd(self, by: str = "class", *, where: str | None = None, cone: Where | None = None, top: int = 50) -> Self:
        """Find the galaxies that the model calls odd, or is unsure of.

        Parameters
        ----------
        by : {"class", "uncertainty"}
            ``class``: the highest probability that something is odd (``p_odd``, or where there is no such column, the
            lowest ``p_normal``). ``uncertainty``: the highest entropy.
        where, cone : optional
            Only among galaxies that meet these; see `query`.
        top : int
            So many at the most.

        Returns
        -------
        Catalog

        Raises
        ------
        UnknownNameError
            If `by` is another, or the catalogue lacks the column.
        """
        return search.odd(self, by, where=where, cone=as_cone(cone), top=top)

    def anomalies(
        self,
        answers: Mapping[str, float] | Sequence[str | os.PathLike[str]] = (),
        *,
        method: str = "isolation",
        new: bool = False,
        varied: bool = False,
        where: str | None = None,
        cone: Where | None = None,
        top: int = 50,
        seed: int = 222,
    ) -> Self:
        """Find the galaxies that are most unlike the others, or most like those that were found interesting.

        Parameters
        ----------
        answers : mapping of str to float, or sequence of path-like, optional
            For some ids how interesting they are, 0 to 1; or tables with the columns ``id`` and ``interesting``.
        method : {"isolation", "neighbours"}
            Isolation forest (Liu et al. 2008), or local outlier factor (Breunig et al. 2000).
        new : bool
            Leave out galaxies that were answered for.
        varied : bool
            Of ten times as many, the first in rank, those that are unlike each other: what to answer for next.
        where, cone : optional
            Only among galaxies that meet these; see `query`.
        top : int
            So many at the most.
        seed : int
            Decides which galaxies the detectors are fitted to, and their trees.

        Returns
        -------
        Catalog
            The score is a rank between 0 and 1 before any answers. The column ``interesting`` holds the answers and is
            empty elsewhere: fill it in, and give the table as `answers`.

        Raises
        ------
        UnknownNameError
            If an id is not in the catalogue, or there is no such method.
        UsageError
            If the catalogue has no embeddings.
        LabelError
            If an entry of a table is no answer, or there is none at all.
        """
        given = answers if isinstance(answers, Mapping) else read_answers(answers) if answers else {}
        return find_anomalies(
            self, given, method=method, new=new, varied=varied, where=where, cone=as_cone(cone), top=top, seed=seed
        )

    def layout(self, *, landmarks: int = LANDMARKS, seed: int = 222) -> Self:
        """Lay out the galaxies on a map, those that look alike side by side.

        Parameters
        ----------
        landmarks : int
            How many galaxies are laid out by t-SNE, 50 or more; the others go between those that they are most alike.
        seed : int
            Decides which.

        Returns
        -------
        Catalog
            All rows in their order, with the columns ``x`` and ``y``, which are 0 to 1, and null where there is no
            embedding; and of the catalogue's own ``id``, ``class`` and position. Its `show` draws the map.

        Raises
        ------
        UsageError
            If the catalogue has no embeddings, or fewer than 50 galaxies that have one.
        """
        return lay_out_catalog(self, landmarks=landmarks, seed=seed)

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write all rows as a table.

        Parameters
        ----------
        path : path-like
            Its suffix decides the format: ``.parquet``, ``.csv``, ``.fits``, ``.vot``, ``.xml`` or ``.ecsv``.

        Raises
        ------
        UsageError
            If the suffix is not known, it is what the catalogue is read from, or a column is of a type that the format
            does not have.
        """
        path = Path(path)
        format = format_to_write(path)
        check_apart(path, *self.files)
        with writing(path) as temporary:
            write_table(temporary, format, list(self.columns.values()), self.batches(list(self.columns)), self.notes)

    def show(
        self,
        pictures: Paths | Source | None = None,
        *,
        by: str | None = None,
        count: int = 24,
        crop: str = "galaxy",
    ) -> Figure:
        """Draw the first galaxies side by side, or a catalogue that was laid out as a map.

        Parameters
        ----------
        pictures : path-like, sequence of path-like, or Source, optional
            Where the pictures are, by the same ids; by default where the catalogue was made from, or what it was opened
            with. A map needs none.
        by : str, optional
            The column whose value is told below each picture, beside the class.
        count : int
            How many pictures.
        crop : str
            What to show of each: ``galaxy``, ``whole``, or a number of pixels.

        Returns
        -------
        matplotlib.figure.Figure

        Raises
        ------
        UsageError
            If it is not known where the pictures are.
        DataError
            If none of the pictures is there.
        """
        source = self.pictures if pictures is None else as_source(pictures)
        if {"x", "y"} <= self.columns.keys():
            return draw_layout(self, None if pictures is None else source)
        if source is None:
            message = 'say where the pictures of these galaxies are: show("pictures/")'
            raise UsageError(message)
        figure, _ = draw_sheet(self, source, Framing(128, parse_crop(crop)), by, count=count)
        return figure

    def to_astropy(self) -> "Table":
        """Return all rows as an `astropy.table.Table`, with units, descriptions, and null values masked."""
        return to_astropy(self.to_arrow())

    def to_pandas(self) -> "pandas.DataFrame":
        """Return all rows as a `pandas.DataFrame`.

        Raises
        ------
        UsageError
            If pandas is not installed.
        """
        try:
            return self.to_arrow().to_pandas()
        except ModuleNotFoundError as error:
            message = "pandas is not installed; type: pip install pandas"
            raise UsageError(message) from error

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Yield the rows, each a dictionary by column, without embeddings."""
        for batch in self.batches(self.plain):
            yield from batch.to_pylist()

    def __repr__(self) -> str:
        """Return the catalogue in a few lines: how many galaxies, of which classes, by which model."""
        return describe_catalog(self)

    def _repr_html_(self) -> str:
        """Return the catalogue for a notebook: counts of its classes, and its first rows with their pictures."""
        return catalog_html(self)

    @cached_property
    def summary(self) -> Summary:
        """How many galaxies are in which class and are flagged; of one that `predict` made, how that went."""
        names = [name for name in TALLIED if name in self.columns]
        return Summary(self.path, tally_of(self.batches(names or ["id"])))

    @property
    def counts(self) -> dict[str, int]:
        """Number of galaxies by class, without those whose picture shows nothing, the most frequent class first."""
        return dict(sorted(self.summary.tally.classes.items(), key=lambda one: (-one[1], one[0])))


def open_catalog(
    path: str | os.PathLike[str],
    *,
    ra: str | None = None,
    dec: str | None = None,
    pictures: Paths | Source | None = None,
) -> Catalog:
    """Open a catalogue that `predict` wrote.

    Parameters
    ----------
    path : path-like
        Parquet: a file, or a folder of parts.
    ra, dec : str, optional
        The columns of positions; by default those of the usual names.
    pictures : path-like, sequence of path-like, or Source, optional
        Where the pictures of the galaxies are, by the same ids; for `Catalog.show`.

    Returns
    -------
    Catalog

    Raises
    ------
    NotFoundError
        If nothing is there.
    UsageError
        If it is a table of another format.
    DataError
        If it is damaged, no table, or has no column ``id``.

    Examples
    --------
    >>> import peculiar
    >>> catalog = peculiar.open_catalog("galaxies.parquet", pictures="survey.parquet")
    >>> figure = catalog.odd(top=6).show()
    """
    return Catalog(path, ra=ra, dec=dec, pictures=pictures)
