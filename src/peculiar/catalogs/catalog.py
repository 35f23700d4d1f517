"""A catalogue of galaxies: open, search, map, write and show it."""

import os
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from peculiar.catalogs import search
from peculiar.catalogs.anomalies import find_anomalies, read_answers
from peculiar.catalogs.display import catalog_html, describe_catalog
from peculiar.catalogs.external import ExternalEmbeddings
from peculiar.catalogs.layout import LANDMARKS, draw_layout, lay_out_catalog
from peculiar.catalogs.search import Cone, as_cone
from peculiar.catalogs.sheet import draw_sheet
from peculiar.catalogs.table import GalaxyTable
from peculiar.catalogs.tally import TALLIED, Summary, tally_of
from peculiar.errors import UsageError
from peculiar.files.places import place
from peculiar.files.writing import check_apart, writing
from peculiar.images.framing import Framing, parse_crop
from peculiar.models.model_file import Model, load_model
from peculiar.sources import Paths, as_source
from peculiar.sources.beside import columns_beside
from peculiar.sources.stream import Source
from peculiar.tables.to_astropy import to_astropy
from peculiar.tables.writers import format_to_write, write_table

if TYPE_CHECKING:
    import pandas
    from astropy.table import Table
    from matplotlib.figure import Figure

Where = Cone | str | tuple[float, float, float]
"""A circle on the sky: a `Cone`, or right ascension, declination and radius in degrees, or these as text."""


class Catalog(GalaxyTable):
    """A catalogue of galaxies: opened from a file, returned by `predict`, or found by a search.

    Every search returns a catalogue with its rows in memory, so searches can be chained. They compare galaxies with all
    galaxies of the first catalogue: ``catalog.query(x).odd()`` finds the same as ``catalog.odd(where=x)``.

    Parameters
    ----------
    path : path-like
        Parquet that `predict` wrote: a file, or a folder of parts.
    ra, dec : str, optional
        The columns of positions; default: the usual names.
    pictures : path-like, sequence of path-like, or Source, optional
        The pictures of the galaxies, with the same ids, for `show`.
    embeddings, embeddings_id : optional
        A table with embeddings of another network, and its column of ids; see `with_embeddings`.

    Raises
    ------
    NotFoundError
        If it does not exist.
    UsageError
        If it is a table of another format.
    DataError
        If it is damaged, not a table, or has no column ``id``.

    Examples
    --------
    >>> from peculiar import Catalog
    >>> catalog = Catalog("galaxies.parquet", pictures="survey.parquet")
    >>> figure = catalog.odd(top=6).show()
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
        embeddings: str | os.PathLike[str] | None = None,
        embeddings_id: str | None = None,
    ) -> None:
        external = None if embeddings is None else ExternalEmbeddings(embeddings, embeddings_id)
        source = None if pictures is None else as_source(pictures)
        super().__init__(path, ra=ra, dec=dec, pictures=source, external=external)

    def with_embeddings(self, table: str | os.PathLike[str], id: str | None = None) -> Self:
        """Return the same galaxies with embeddings of another network, such as Zoobot, AION, DINO or AstroCLIP.

        They take the place of the catalogue's own in `similar`, `anomalies` and `layout`, in `peculiar.teach` and in
        the labelling pages. Galaxies are matched by id, if necessary without regard to case, folders and suffixes.

        Parameters
        ----------
        table : path-like
            A table with a column of ids, and either a column of vectors or one column a number (``e0``, ``e1`` ...);
            Parquet, FITS, CSV and others. Or an NPZ file with the arrays ``ids`` (n,) and ``embeddings`` (n, d); or an
            NPY file with embeddings beside a table of the same name with their ids.
        id : str, optional
            The column of ids; by default the first with a usual name.

        Returns
        -------
        Catalog

        Raises
        ------
        NotFoundError
            If nothing is there.
        UnknownNameError
            If there is no column of ids.
        UsageError
            If it is not clear which column holds the vectors.
        DataError
            If the table is damaged, or holds no vectors.

        Examples
        --------
        >>> import numpy as np
        >>> from peculiar import Catalog
        >>> catalog = Catalog("galaxies.parquet")
        >>> vectors = np.random.default_rng(222).normal(size=(len(catalog), 640))
        >>> np.savez("zoobot.npz", ids=catalog.ids, embeddings=vectors)
        >>> found = catalog.with_embeddings("zoobot.npz").similar(catalog.ids[:1], top=10)
        >>> found.notes["embeddings"].split(",")[0]
        'zoobot.npz'
        """
        return self.with_external(ExternalEmbeddings(table, id))

    def join(self, table: str | os.PathLike[str], id: str | None = None) -> Self:
        """Return the same galaxies with the columns of another table, such as that of `peculiar.measure`.

        Galaxies are matched by id, if necessary without regard to case, folders and suffixes. Columns that the
        catalogue has itself are left out.

        Parameters
        ----------
        table : path-like
            A table of any format with a column of ids.
        id : str, optional
            The column of ids; default: the first with a usual name.

        Returns
        -------
        Catalog
            All rows in their order; null in the further columns of a galaxy that the table lacks.

        Raises
        ------
        NotFoundError, DataError
            If the table does not exist or cannot be read, or none of the galaxies is in it.
        UnknownNameError
            If there is no column of ids.

        Examples
        --------
        >>> from peculiar import Catalog
        >>> catalog = Catalog("galaxies.parquet").join("labels.csv")
        >>> catalog.query("four_class = 'Ringed' and p_ringed < 0.1").columns["four_class"].name
        'four_class'
        """
        columns, values = columns_beside(table, self._id_batches, self.place, self.columns, id)
        names = self.plain
        joined = self.to_arrow().select(names)
        for column in columns:
            joined = joined.append_column(column.name, values.column(column.name))
        kept = [self.columns[name] for name in names]
        return self.found([*kept, *columns], joined, {"joined": place(table).name}, np.arange(len(self)))

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
            A circle on the sky: ``"150.1,2.2,30arcsec"``, or right ascension, declination and radius in degrees. The
            distance from its centre becomes the column ``distance``.
        by : str, optional
            The column to sort by, highest first; with a minus sign before it, lowest first. Default: the nearest first
            if there is a cone, else the order of the catalogue.
        top : int, optional
            Maximum number of galaxies; default: all, which have to fit into memory.
        columns : sequence of str, optional
            Columns to return besides ``id``; default: all except embeddings.

        Returns
        -------
        Catalog

        Raises
        ------
        UsageError
            If the condition is invalid, or exceeds the limits of time or memory.
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

        The column ``score`` is the cosine of the angle between the embedding of the galaxy and the mean direction of
        the examples, after subtracting the mean of the catalogue. The examples themselves are left out.

        Parameters
        ----------
        ids : sequence of str
            Galaxies of the catalogue.
        examples : sequence of path-like, array or PIL.Image.Image
            Other pictures.
        model : Model or path-like, optional
            For `examples`: the model that made the catalogue; default: the one that ships.
        where, cone : optional
            Restrict the search to galaxies that meet these conditions; see `query`.
        top : int
            Maximum number of galaxies.
        approximate : bool
            Compare only the probable nearest neighbours from an index, for many millions of galaxies; needs the extra
            ``faiss``. The share of true neighbours that it finds is in the notes, as ``recall``.

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
            If `approximate` is set and faiss is not installed.
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
            ``class``: the highest probability of being odd (``p_odd``, or without that column the lowest ``p_normal``).
            ``uncertainty``: the highest entropy.
        where, cone : optional
            Restrict the search to galaxies that meet these conditions; see `query`.
        top : int
            Maximum number of galaxies.

        Returns
        -------
        Catalog

        Raises
        ------
        UnknownNameError
            If `by` is unknown, or the catalogue lacks the column.
        """
        return search.odd(self, by, where=where, cone=as_cone(cone), top=top)

    def anomalies(
        self,
        answers: Mapping[str, float] | Sequence[str | os.PathLike[str]] = (),
        *,
        method: str = "isolation",
        novel: bool = False,
        new: bool = False,
        varied: bool = False,
        where: str | None = None,
        cone: Where | None = None,
        top: int = 50,
        seed: int = 222,
        id: str | None = None,
    ) -> Self:
        """Find the galaxies that differ most from the others, or resemble those rated as interesting.

        Parameters
        ----------
        answers : mapping of str to float, or sequence of path-like, optional
            Ratings of some galaxies by id, 0 to 1; or tables with the columns ``id`` and ``interesting``.
        method : {"isolation", "neighbours"}
            Isolation forest (Liu et al. 2008), or local outlier factor (Breunig et al. 2000).
        novel : bool
            Rank by novelty instead: by the distance to all kinds that the catalogue has plenty of, where ``ood``
            compares with the model's training set. Galaxies whose picture is broken, as ``flags`` say, are left out.
        new : bool
            Leave out galaxies that were rated.
        varied : bool
            Choose galaxies that differ from each other among the ten times as many with the highest ranks: the next to
            rate.
        where, cone : optional
            Restrict the search to galaxies that meet these conditions; see `query`.
        top : int
            Maximum number of galaxies.
        seed : int
            Decides which galaxies the detectors are fitted to, and their trees.
        id : str, optional
            The column of ids of the tables in `answers`; default: found by name.

        Returns
        -------
        Catalog
            Without ratings, the score is a rank between 0 and 1. The column ``interesting`` holds the ratings and is
            empty elsewhere; fill it in and pass the table as `answers`. With `novel`, the column ``novelty`` is the
            share of the catalogue's galaxies that are less novel, whatever the ratings.

        Raises
        ------
        UnknownNameError
            If an id is not in the catalogue, or there is no such method or column.
        UsageError
            If the catalogue has no embeddings, or another method is asked for with `novel`.
        LabelError
            If an entry of a table is not a rating, or there are no ratings.
        """
        given = answers if isinstance(answers, Mapping) else read_answers(answers, id) if answers else {}
        return find_anomalies(
            self,
            given,
            method=method,
            novel=novel,
            new=new,
            varied=varied,
            where=where,
            cone=as_cone(cone),
            top=top,
            seed=seed,
        )

    def layout(self, *, landmarks: int = LANDMARKS, seed: int = 222) -> Self:
        """Compute a map on which similar galaxies lie side by side.

        Parameters
        ----------
        landmarks : int
            Number of galaxies that t-SNE places, 50 or more; each of the others is placed between its most similar
            landmarks.
        seed : int
            Seed of their random choice.

        Returns
        -------
        Catalog
            All rows in their order, with the columns ``x`` and ``y``, from 0 to 1 and null without an embedding, and
            the columns ``id``, ``class`` and position of the catalogue. Its `show` draws the map.

        Raises
        ------
        UsageError
            If the catalogue has no embeddings, or fewer than 50 galaxies with one.
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
            If the suffix is unknown, the file is the one that the catalogue is read from, or the format lacks the type
            of a column.
        """
        path = place(path)
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
    ) -> "Figure":
        """Draw the first galaxies side by side, or the map of a catalogue with a layout.

        Parameters
        ----------
        pictures : path-like, sequence of path-like, or Source, optional
            The pictures, with the same ids; default: those that the catalogue was made from or opened with. A map needs
            none.
        by : str, optional
            A column whose value is shown below each picture, beside the class.
        count : int
            Number of pictures.
        crop : str
            Part of the picture to show: ``galaxy``, ``whole``, or a number of pixels.

        Returns
        -------
        matplotlib.figure.Figure

        Raises
        ------
        UsageError
            If the pictures are not given and not known.
        DataError
            If no picture is found.
        """
        source = self.pictures if pictures is None else as_source(pictures)
        if {"x", "y"} <= self.columns.keys():
            return draw_layout(self, None if pictures is None else source)
        if source is None:
            message = 'give the pictures of these galaxies: show("pictures/")'
            raise UsageError(message)
        figure, _ = draw_sheet(self, source, Framing(128, parse_crop(crop)), by, count=count)
        return figure

    def to_astropy(self) -> "Table":
        """Return all rows as an `astropy.table.Table`, with units and descriptions; null values are masked."""
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
            message = "pandas is not installed; install it with: pip install pandas"
            raise UsageError(message) from error

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Yield the rows as dictionaries by column, without embeddings."""
        for batch in self.batches(self.plain):
            yield from batch.to_pylist()

    def __repr__(self) -> str:
        """Return a description in a few lines: number of galaxies, classes, model."""
        return describe_catalog(self)

    def _repr_html_(self) -> str:
        """Return a description for a notebook: counts of the classes, and the first rows with their pictures."""
        return catalog_html(self)

    @cached_property
    def summary(self) -> Summary:
        """Counts of classes and flags; for a catalogue made by `predict`, also the record of the run."""
        names = [name for name in TALLIED if name in self.columns]
        return Summary(self.path, tally_of(self.batches(names or ["id"])))

    @property
    def counts(self) -> dict[str, int]:
        """Number of galaxies by class, the most frequent first, without pictures that show nothing."""
        return dict(sorted(self.summary.tally.classes.items(), key=lambda one: (-one[1], one[0])))
