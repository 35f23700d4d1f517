"""Tables of galaxies to search: columns, ids, positions and embeddings, on disk or in memory."""

import json
import os
import shutil
import tempfile
import warnings
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute
from numpy.typing import NDArray

from peculiar.catalogs.cache import cached
from peculiar.catalogs.embeddings import Embeddings, of_column, prepare
from peculiar.catalogs.external import ExternalEmbeddings
from peculiar.catalogs.store import LaterStore, MemoryStore, ParquetStore, Store
from peculiar.errors import DataError, PeculiarWarning, UnknownNameError, UsageError
from peculiar.files.cache import cache_folder
from peculiar.files.places import place
from peculiar.sources.joins import partners_of
from peculiar.sources.stream import Source
from peculiar.tables.column import Column, notes_of
from peculiar.tables.formats import MODEL_NOTE
from peculiar.tables.identifiers import entry_text, id_texts
from peculiar.tables.quantity import quantity_of
from peculiar.tables.sky import Sky, sky_names
from peculiar.tables.writers.stream import schema_of

EMBEDDINGS_NOTE = "embeddings"
"""Note of a search with embeddings of another network: whose they are."""

Rows = NDArray[np.integer] | Callable[[], NDArray[np.integer]]
"""Numbers of rows, or a function that finds them on demand."""


class GalaxyTable:
    """Rows of galaxies: of a Parquet catalogue (a file or a folder of parts), or found in one by a search.

    Parameters
    ----------
    path : path-like
    ra, dec : str, optional
        The columns of positions; default: the usual names.
    pictures : Source, optional
        The pictures of the galaxies.
    external : ExternalEmbeddings, optional
        Embeddings that take the place of the catalogue's own.

    Attributes
    ----------
    path : path or None
        The file or the folder of parts; None for rows in memory.
    root : GalaxyTable
        The catalogue that was searched, or itself. Embeddings are those of the root, and galaxies are compared with all
        galaxies of the root.

    Raises
    ------
    NotFoundError
        If it does not exist.
    UsageError
        If it is a table of another format.
    DataError
        If it is damaged, not a table, or has no column ``id``.
    """

    path: Path | None
    root: Self
    pictures: Source | None

    _store: Store
    _keys: tuple[str | None, str | None]
    _rows: Rows | None
    _external: ExternalEmbeddings | None

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        ra: str | None = None,
        dec: str | None = None,
        pictures: Source | None = None,
        external: ExternalEmbeddings | None = None,
    ) -> None:
        self._open(place(path), ParquetStore(place(path)), (ra, dec), pictures=pictures, external=external)

    def _open(
        self,
        path: Path | None,
        store: Store,
        keys: tuple[str | None, str | None] = (None, None),
        *,
        pictures: Source | None = None,
        root: Self | None = None,
        rows: Rows | None = None,
        external: ExternalEmbeddings | None = None,
    ) -> None:
        """Use the rows of a store; `rows` are their numbers in `root`."""
        self.path, self._store, self._keys, self._external = path, store, keys, external
        self.root, self._rows, self.pictures = self if root is None else root, rows, pictures
        if not isinstance(store, LaterStore) and "id" not in self.columns:
            message = f"{self.place} has no column 'id'; give a catalogue written by `peculiar predict`"
            raise DataError(message)

    @cached_property
    def columns(self) -> dict[str, Column]:
        """The columns by name, in order."""
        return {field.name: Column.of(field) for field in self._store.schema}

    @cached_property
    def notes(self) -> dict[str, str]:
        """Notes on how the rows were made, and on the search."""
        return notes_of(self._store.schema)

    @classmethod
    def of_file(cls, path: Path, *, pictures: Source | None = None) -> Self:
        """Refer to a table of any format that was just written; it is opened on first access."""
        new = cls.__new__(cls)
        new._open(path, LaterStore(path), pictures=pictures)
        return new

    @classmethod
    def of_rows(
        cls,
        columns: Sequence[Column],
        table: pa.Table,
        notes: Mapping[str, str] | None = None,
        *,
        pictures: Source | None = None,
    ) -> Self:
        """Make a catalogue of rows in memory.

        Parameters
        ----------
        columns : sequence of Column
        table : pyarrow.Table
            The rows, with these columns.
        notes : mapping of str to str, optional
            Notes on the catalogue.
        pictures : Source, optional
            The pictures.
        """
        new = cls.__new__(cls)
        new._open(None, MemoryStore(table.cast(schema_of(columns, notes))), pictures=pictures)
        return new

    def found(self, columns: Sequence[Column], table: pa.Table, notes: Mapping[str, str], rows: Rows) -> Self:
        """Return some of these rows, with the columns chosen or added by a search.

        Parameters
        ----------
        columns : sequence of Column
        table : pyarrow.Table
            The rows, with these columns.
        notes : mapping of str to str
            Notes on the search, added to `notes`.
        rows : ndarray of int, or callable
            Numbers of the rows.
        """
        mine = self._rows

        def in_root() -> NDArray[np.integer]:
            chosen = rows() if callable(rows) else rows
            return chosen if mine is None else self.rows[chosen]

        new = type(self).__new__(type(self))
        store = MemoryStore(table.cast(schema_of(columns, {**self.notes, **notes})))
        new._open(None, store, self._keys, pictures=self.pictures, root=self.root, rows=in_root)
        return new

    def with_column(self, column: Column, values: pa.Array) -> Self:
        """Return the same rows with one more column at the end, replacing one of the same name."""
        others = [one for one in self.columns.values() if one.name != column.name]
        table = self.to_arrow().select([one.name for one in others]).append_column(column.name, values)
        return self.found([*others, column], table, {}, np.arange(len(self)))

    def with_external(self, external: ExternalEmbeddings) -> Self:
        """Return the same rows with embeddings from a table."""
        new = type(self).__new__(type(self))
        root = None if self.root is self else self.root.with_external(external)
        new._open(
            self.path, self._store, self._keys, pictures=self.pictures, root=root, rows=self._rows, external=external
        )
        return new

    def head(self, count: int) -> Self:
        """Return the first rows, without embeddings."""
        rows, names = np.arange(min(count, len(self))), self.plain
        return self.found([self.columns[name] for name in names], self.take(rows, names), {}, rows)

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self._store)

    @property
    def place(self) -> str:
        """Location of the rows, for messages."""
        return "the catalogue in memory" if self.root.path is None else str(self.root.path)

    @property
    def name(self) -> str:
        """Name of the catalogue, for messages."""
        return "the catalogue in memory" if self.root.path is None else self.root.path.name

    @cached_property
    def rows(self) -> NDArray[np.int64]:
        """Numbers of the rows in `root`, shape (n,)."""
        found = np.arange(len(self)) if self._rows is None else self._rows() if callable(self._rows) else self._rows
        return np.asarray(found, dtype=np.int64)

    @property
    def plain(self) -> list[str]:
        """Names of the columns with one value per row: all except embeddings."""
        return [name for name, column in self.columns.items() if not pa.types.is_nested(column.type)]

    def numeric(self, name: str) -> bool:
        """Return whether there is a column of numbers with this name."""
        type_ = self.columns[name].type if name in self.columns else pa.null()
        return bool(pa.types.is_integer(type_) or pa.types.is_floating(type_) or pa.types.is_decimal(type_))

    def check_columns(self, names: Sequence[str]) -> None:
        """Raise `UnknownNameError` unless these columns exist."""
        for name in names:
            if name not in self.columns:
                raise UnknownNameError("column", name, self.columns, where=f"in {self.name}")

    @cached_property
    def sky(self) -> Sky | None:
        """The columns of positions, with their conversion to degrees; None without columns of numbers.

        Raises
        ------
        UnknownNameError
            If a named column does not exist.
        DataError
            If their unit is not an angle.
        """
        self.check_columns([name for name in self._keys if name is not None])
        names = sky_names(list(self.columns.values()), *self._keys)
        if names is None or not (self.numeric(names[0]) and self.numeric(names[1])):
            return None
        ra, dec = (
            quantity_of(self.columns[name], "deg", where=self.place, hours=hours)
            for name, hours in zip(names, (True, False), strict=True)
        )
        return Sky(ra, dec)

    def need_sky(self) -> Sky:
        """Return the columns of positions; raise an error if there are none."""
        if self.sky is not None:
            return self.sky
        names = sky_names(list(self.columns.values()), *self._keys)
        if names is None:
            where = f"in {self.name}, nor another column of positions; name them with --ra COLUMN and --dec COLUMN"
            raise UnknownNameError("column", "ra", self.columns, where=where)
        self.check_numbers(names)
        raise UsageError(f"{self.name}: {' and '.join(names)} hold no numbers")

    def check_numbers(self, names: Sequence[str]) -> None:
        """Raise `UnknownNameError` unless these columns exist, `UsageError` unless they hold numbers."""
        self.check_columns(names)
        for name in names:
            if not self.numeric(name):
                message = (
                    f"the column {name!r} of {self.name} holds {self.columns[name].type}, and numbers are needed; "
                    "write it as numbers"
                )
                raise UsageError(message)

    def check_model(self, digest: str, advice: str) -> None:
        """Raise `UsageError` if a model with another digest made the catalogue."""
        made = self.notes.get(MODEL_NOTE, digest)
        if made != digest:
            message = f"{self.place} was made by the model {made[:12]}, not by {digest[:12]}; {advice}"
            raise UsageError(message)

    def check_unchanged(self) -> None:
        """Raise `DataError` if the files have changed since the catalogue was opened."""
        self._store.check_unchanged()

    def damaged(self, error: Exception) -> DataError:
        """Return the message for a failed read."""
        return self._store.damaged(error)

    @property
    def files(self) -> Sequence[Path]:
        """The files that the rows are read from; empty for rows in memory."""
        return self._store.files

    @property
    def state(self) -> str:
        """Identifies the files in their state when they were opened; empty for rows in memory."""
        return self._store.state

    @property
    def dataset(self) -> pa.dataset.Dataset:
        """The rows as an object that DuckDB can query."""
        return self._store.dataset

    def take(self, rows: NDArray[np.integer], columns: Sequence[str]) -> pa.Table:
        """Read some columns of some rows, in the order of `rows`; also embeddings that a search left out."""
        if self.root is not self and not set(columns) <= self.columns.keys():
            return self.root.take(self.rows[rows], columns)
        return self._store.take(rows, columns)

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Yield some columns of all rows, in order."""
        return self._store.batches(columns)

    def to_arrow(self) -> pa.Table:
        """Return all columns of all rows, with their notes, as an Arrow table in memory."""
        names = list(self.columns)
        return pa.Table.from_batches(self.batches(names), self._store.schema.with_metadata(self.notes))

    @property
    def ids(self) -> list[str]:
        """Ids of the galaxies, as text."""
        return [entry_text(one) or "" for batch in self.batches(["id"]) for one in batch.column(0).to_pylist()]

    def rows_of(self, ids: Sequence[str], *, lenient: bool = False) -> NDArray[np.int64]:
        """Find the rows of galaxies.

        Parameters
        ----------
        ids : sequence of str
            Ids; a repeated one counts once.
        lenient : bool
            The ids are those of another table: compare them as `peculiar.sources.joins.join_ids` does, and return -1
            for missing ones instead of raising an error.

        Returns
        -------
        ndarray of int, shape (len(ids),)
            The first row of each id.

        Raises
        ------
        UnknownNameError
            If an id does not exist.
        LabelError
            If it is not clear which ids of the other table belong together.
        """
        wanted = pa.array(ids, pa.string())
        found: dict[str, int] = {}
        start = 0
        for batch in self.batches(["id"]):
            values = id_texts(batch.column(0))
            for row in np.flatnonzero(pa.compute.is_in(values, wanted).to_numpy(zero_copy_only=False)):
                found.setdefault(values[int(row)].as_py(), start + int(row))
            start += batch.num_rows
        lacking = [id_ for id_ in ids if id_ not in found]
        if lacking and lenient:  # other ways to write ids take seconds per million
            every = self.ids
            partners = partners_of(every, ids, f"{self.name} and the table of ids")
            for number, id_ in enumerate(every):
                if id_ in partners:
                    found.setdefault(partners[id_], number)
        elif lacking:
            more = f" (nor {len(lacking) - 1} more of those given)" if len(lacking) > 1 else ""
            some = [entry_text(one) or "" for one in self.dataset.head(20, columns=["id"])["id"].to_pylist()]
            raise UnknownNameError("galaxy", lacking[0], some, where=f"in {self.name}{more}")
        return np.array([found.get(id_, -1) for id_ in ids], dtype=np.int64)

    def embeddings(self) -> Embeddings:
        """Return the embeddings of all galaxies, normalised: those of the model, or of a table of another network.

        The first call for a catalogue writes them to the cache, which takes some seconds per million galaxies.

        Raises
        ------
        UsageError
            If the catalogue has no embeddings.
        DataError
            If no galaxy has an embedding.

        Warns
        -----
        PeculiarWarning
            If a table lacks galaxies, or has vectors that cannot be used.
        """
        if self.root is not self:
            return self.root.embeddings().take(self.rows)
        if self._external is not None:
            return self._joined[0]
        column = self.columns.get("embedding")
        if column is None or not pa.types.is_fixed_size_list(column.type):
            out = "catalog.parquet" if self.path is None else self.path.with_suffix(".parquet").name
            message = (
                f"{self.place} has no embeddings, which this search needs; `peculiar predict DATA --embeddings --out "
                f"{out}` makes a catalogue that has, and --embeddings TABLE takes those of another network"
            )
            raise UsageError(message)
        width = column.type.list_size
        return Embeddings(np.load(self.cached("embeddings", ".npy", lambda file: self._prepare(file, width)), "r"))

    @property
    def whose(self) -> dict[str, str]:
        """Note of whose embeddings are searched; empty for those of the catalogue's own model."""
        return {} if self.root._external is None else {EMBEDDINGS_NOTE: self.root._joined[1]}

    @property
    def external(self) -> ExternalEmbeddings | None:
        """Embeddings from a table, which take the place of the catalogue's own."""
        return self.root._external

    @cached_property
    def _joined(self) -> tuple[Embeddings, str]:
        """The embeddings of a table, and whose they are."""
        external = self._external
        if external is None:
            raise UsageError(f"{self.place} was opened without a table of embeddings")
        join = cache(lambda: external.join(self._id_batches, self.place))
        array = self.cached("embeddings", ".npy", lambda file: external.prepare(file, join()))
        embeddings = Embeddings(np.load(array, "r"))
        told = self.cached(
            "embeddings", ".json", lambda file: file.write_text(json.dumps(external.facts(join(), embeddings)))
        )
        facts = json.loads(told.read_text())
        if problems := external.problems(facts):
            warnings.warn(problems, PeculiarWarning, stacklevel=3)
        return embeddings, external.whose(facts)

    def _id_batches(self) -> Iterator[list[str | None]]:
        return (id_texts(batch.column(0)).to_pylist() for batch in self.batches(["id"]))

    def _prepare(self, file: Path, width: int) -> None:
        if not prepare(file, len(self), width, of_column(self.batches(["embedding"]), width)):
            message = f"{self.place}: no galaxy has an embedding, because no picture could be read"
            raise DataError(message)

    def cached(self, kind: str, ending: str, make: Callable[[Path], object]) -> Path:
        """Return a file derived from the embeddings; see `peculiar.catalogs.cache.cached`.

        For a catalogue in files it is in the folder `kind` of the cache; for one in memory, in a temporary folder that
        exists as long as the catalogue.
        """
        if self._external is not None:
            ending = f"-{self._external.digest[:16]}{ending}"
        if self._store.state:
            return cached(cache_folder() / kind, self._store.state, ending, make)
        return cached(self._scratch / kind, "memory", ending, make)

    @cached_property
    def _scratch(self) -> Path:
        folder = tempfile.mkdtemp(prefix="peculiar-")
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        return Path(folder)
