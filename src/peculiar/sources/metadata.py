"""Metadata files beside pictures, as in the imagefolder layout of the Hugging Face hub.

A file ``metadata.csv``, ``metadata.jsonl`` or ``metadata.parquet`` has a row for each picture. Its column
``file_name``, or the first called ``*_file_name``, holds the path of the picture within the folder of the metadata
file. Every other column may hold labels, ids, positions, or anything else.
"""

import posixpath
import tempfile
import unicodedata
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from peculiar.errors import DataError, PeculiarWarning, UnknownNameError
from peculiar.images.fits import split_band
from peculiar.sources.columns import LABEL_COLUMNS, check_alike, class_names, known_sky, positions_of, warn_of_positions
from peculiar.sources.names import is_metadata
from peculiar.sources.paths import as_text, files_below, files_digest
from peculiar.sources.stream import Row, Shard, Source
from peculiar.sources.table import class_of, file_name_column
from peculiar.tables.column import Column
from peculiar.tables.identifiers import entry_text, type_of_ids, warn_of_ids, widest
from peculiar.tables.key_columns import FOUND, Keys, find_column
from peculiar.tables.reader import TableReader
from peculiar.tables.typed import kinds, typed_batches


class Listing(NamedTuple):
    """A metadata file: its folder, as a path within the data, and its table."""

    folder: str
    table: TableReader


class MetadataSource(Source):
    """Pictures with the columns of metadata files.

    The pictures, their order and their ids are those of the other source. A picture without a row in a metadata file
    keeps its row here, with empty columns.

    Parameters
    ----------
    pictures : Source
        Its ids are paths of files.
    listings : sequence of Listing
        Each with a column of names of files. They are read here, and not opened later.
    label : str, optional
        The column of labels; default: the first of the usual names, otherwise the labels of the other source.
    keys : Keys
        The columns of ids and positions. Only a given column of ids replaces the paths.

    Raises
    ------
    DataError
        If the columns of several metadata files have different types.
    UnknownNameError
        If there is no column with a given name.

    Warns
    -----
    PeculiarWarning
        If files are listed that are not there, pictures are not listed, or files are listed more than once.
    """

    kind = "pictures with metadata"

    def __init__(
        self, pictures: Source, listings: Sequence[Listing], label: str | None = None, keys: Keys = FOUND
    ) -> None:
        first = listings[0].table
        names = list(dict.fromkeys(name for listing in listings for name in listing.table.columns))
        own = [*names, *filter(None, [pictures.label])]
        for name in filter(None, (label, *keys.given())):
            if name not in (own if name == label else names):
                raise UnknownNameError("column", name, own, where=f"in {_listed(listings)}")
        found = label or find_column(LABEL_COLUMNS, names)
        super().__init__(pictures.path, found or pictures.label)
        self._pictures, self.notes = pictures, pictures.notes
        self.columns = tuple(names)
        self._files = [listing.table.path for listing in listings if listing.table.path.exists()]
        self._text = all(listing.table.format == "csv" for listing in listings)
        self._names = class_names(first.schema, found)
        self._id = keys.id
        self._sky = known_sky(first, keys)
        check_alike([listing.table for listing in listings], self._sky.names if self._sky else (), found)
        self.positioned = self._sky is not None or pictures.positioned
        rows, there = _match(pictures.ids(), listings)
        # One row for each picture, in their order, so that a shard needs a part of it only.
        self._table = _together(listings).take(pa.array(rows, pa.int64())).combine_chunks()
        self._first = 0
        self._id_type = pa.string()
        if self._id is not None:
            for listing in listings:
                listing.table.warn_of_lost_digits(self._id)
        if self._id is not None and there:
            self._id_type = widest(type_of_ids(listing.table, self._id) for listing in listings)

    @property
    def id_type(self) -> pa.DataType:
        """Type of the column of ids if one was named and all pictures are listed, otherwise text."""
        return self._id_type

    def __len__(self) -> int:
        """Return the number of pictures."""
        return len(self._pictures)

    def rows(self, start: int = 0, stop: int | None = None) -> Iterator[Row]:
        """Yield the rows of pictures, with labels, positions and ids from the metadata files."""
        table = self._part(start, stop)
        nothing: list[Any] = [None] * len(table)
        labels = self._entries(self.label, table) if self.label in self.columns else nothing
        ids = self._entries(self._id, table) if self._id else nothing
        positions = nothing
        if self._sky is not None:
            positions = [one for batch in table.to_batches() for one in positions_of(self._sky, batch)]
        for row, id_, label, position in zip(self._pictures.rows(start, stop), ids, labels, positions, strict=True):
            yield replace(
                row,
                id=id_ or row.id,
                label=label if self.label in self.columns else row.label,
                position=position or row.position,
            )

    def ids(self) -> list[str]:
        """Return the id of every row, without reading a picture."""
        paths = self._pictures.ids()
        if self._id is None:
            return paths
        return [id_ or path for id_, path in zip(self._entries(self._id, self._part()), paths, strict=True)]

    def check_ids(self) -> None:
        """Warn of ids and positions that cannot be right."""
        warn_of_ids(self.path, lambda: [self.ids()])
        if self._sky is not None:
            warn_of_positions(self.path, self._sky, map(self._sky.read, self._table.to_batches()))

    def labels(self) -> list[str | None]:
        """Return the label of every row, without reading a picture."""
        return self.column(self.label) if self.label else [None] * len(self)

    def column(self, name: str) -> list[str | None]:
        """Return the entries of a column as text, None where empty; all None where there is no such column."""
        return self._entries(name, self._part()) if name in self.columns else self._pictures.column(name)

    def shards(self, rows: int) -> Iterator[Shard]:
        """Yield the shards of the pictures, each with its part of the metadata."""
        done = 0
        for shard in self._pictures.shards(rows):
            count = len(shard.source) - shard.start if shard.stop is None else shard.stop - shard.start
            piece = object.__new__(MetadataSource)
            piece.__dict__.update(self.__dict__)
            piece._pictures, piece._first = shard.source, shard.start
            piece._table = self._table.take(pa.array(range(done, done + count), pa.int64()))
            yield replace(shard, source=piece)
            done += count

    def files(self) -> Sequence[Path]:
        """Return the pictures or their archives, and the metadata files beside them."""
        return [*self._pictures.files(), *self._files]

    def behind(self, start: int, stop: int | None) -> Sequence[Path]:
        """Return the files that some rows are read from."""
        return [*self._pictures.behind(start, stop), *self._files]

    def fingerprint(self, start: int, stop: int | None) -> str:
        """Return a digest that changes when the pictures or the metadata files do."""
        return files_digest(self._files, self.path, self._pictures.fingerprint(start, stop))

    def described(self, names: Sequence[str]) -> list[Column]:
        """Return the descriptions of columns; columns of CSV files have the types that fit all of their values."""
        for name in names:
            if name not in self.columns:
                raise UnknownNameError("column", name, self.columns, where=f"in the metadata of {self.path.name}")
        fields = [self._table.schema.field(name) for name in names]
        if self._text and names:
            types = kinds(self._table.select(list(names)).to_batches(), names)
            fields = [field.with_type(type_) for field, type_ in zip(fields, types, strict=True)]
        return [Column.of(field) for field in fields]

    def carried(self, columns: Sequence[Column], start: int, stop: int | None) -> Iterator[pa.RecordBatch]:
        """Yield columns of the rows from `start` to before `stop`; null for pictures that are not listed."""
        batches = self._part(start, stop).to_batches()
        return typed_batches(batches, columns, text=self._text, path=self.path)

    def _part(self, start: int = 0, stop: int | None = None) -> pa.Table:
        """Return the metadata of some rows."""
        begin = start - self._first if start else 0
        return self._table.slice(begin, None if stop is None else stop - start)

    def _entries(self, name: str | None, table: pa.Table) -> list[str | None]:
        names = self._names if name == self.label else ()
        return [class_of(one, names) for one in table.column(name).to_pylist()]


def with_metadata(
    pictures: Source,
    beside: Sequence[Path] = (),
    inside: Mapping[str, bytes] | None = None,
    single: pa.Table | None = None,
    label: str | None = None,
    keys: Keys = FOUND,
) -> Source:
    """Return pictures with the columns of their metadata files; the source itself if there are none.

    Parameters
    ----------
    pictures : Source
    beside : sequence of path
        Metadata files below the folder of the pictures.
    inside : mapping of str to bytes, optional
        Metadata files within archives, by their paths.
    single : pyarrow.Table, optional
        Columns from files beside single pictures, used if there is no metadata file.
    label, keys
        As for `MetadataSource`.

    Warns
    -----
    PeculiarWarning
        If a metadata file has no column of names of files; it is ignored.
    """
    with tempfile.TemporaryDirectory() as scratch:
        listings = [Listing(_folder(path, pictures.path), TableReader(path)) for path in beside]
        for number, (name, content) in enumerate((inside or {}).items()):
            copy = Path(scratch, str(number))
            copy.write_bytes(content)
            table = TableReader(copy, called=pictures.path / as_text(name))
            listings.append(Listing(posixpath.dirname(name), table))
        if single is not None and not listings:
            listings.append(Listing("", TableReader.of(single, f"{pictures.path} (.cls, .json)")))
        usable = [listing for listing in listings if file_name_column(listing.table.columns)]
        for listing in listings:
            if listing not in usable:
                message = (
                    f"{listing.table.path}: has no column file_name, and is ignored; name the column with the names "
                    f"of the pictures so. There are: {', '.join(listing.table.columns)}"
                )
                warnings.warn(message, PeculiarWarning, stacklevel=4)
        return MetadataSource(pictures, usable, label, keys) if usable else pictures


def metadata_below(folder: Path) -> list[Path]:
    """Return the metadata files below a folder."""
    return sorted(path for path in files_below(folder) if is_metadata(path.name))


def _folder(path: Path, root: Path) -> str:
    return path.parent.relative_to(root).as_posix()


def _listed(listings: Sequence[Listing]) -> str:
    return " and ".join(str(listing.table.path.name) for listing in listings)


def _together(listings: Sequence[Listing]) -> pa.Table:
    tables = [pa.Table.from_batches(table.batches(table.columns), schema=table.schema) for _, table in listings]
    try:
        return pa.concat_tables(tables, promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        message = (
            f"{' and '.join(str(table.path) for _, table in listings)}: their columns have different types ({error})"
        )
        raise DataError(f"{message}; write them in one format, with the same columns") from error


def _match(paths: Sequence[str], listings: Sequence[Listing]) -> tuple[list[int | None], bool]:
    """Return the row of each picture in the tables put together, and True if all pictures have one."""
    there = {unicodedata.normalize("NFC", path): number for number, path in enumerate(paths)}
    rows: list[int | None] = [None] * len(paths)
    missing: dict[str, None] = {}
    twice: dict[str, None] = {}
    row = listed = 0
    for folder, table in listings:
        for cell in table.column(str(file_name_column(table.columns))):
            name = entry_text(cell)
            if name is not None:
                listed += 1
                number = next((there[path] for path in _readings(folder, name) if path in there), None)
                if number is None:
                    missing[name] = None
                else:
                    if rows[number] is not None:
                        twice[name] = None
                    rows[number] = row
            row += 1
    unlisted = [path for path, one in zip(paths, rows, strict=True) if one is None]
    where = " and ".join(str(listing.table.path) for listing in listings)
    for some, of, what in (
        (missing, listed, "listed files are not there"),
        (unlisted, len(paths), "pictures are not listed, and have no metadata"),
        (twice, listed, "files are listed more than once; the last row counts"),
    ):
        if some:
            message = f"{where}: {len(some):,} of {of:,} {what}; the first is {next(iter(some))!r}"
            warnings.warn(message, PeculiarWarning, stacklevel=5)
    return rows, not unlisted


def _readings(folder: str, name: str) -> Iterator[str]:
    """Yield the paths that a name in a metadata file may stand for."""
    path = posixpath.normpath(posixpath.join(folder, name.strip().replace("\\", "/")))
    path = unicodedata.normalize("NFC", path)
    yield path
    # The files of one galaxy in several bands have the name without the band as their id.
    if (split := split_band(posixpath.basename(path))) is not None:
        yield posixpath.join(posixpath.dirname(path), split[0])
