"""Tables with a column of pictures, or of paths to pictures.

Pictures inside the table are encoded bytes: the Hugging Face layout (a struct of ``bytes`` and ``path``) or a plain
binary column. Paths are relative to the table's folder.
"""

import copy
import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
from numpy.typing import NDArray

from peculiar.errors import DataError, PeculiarWarning, PictureError, UnknownNameError
from peculiar.files.places import arrow_file
from peculiar.images.fits_file import looks_like_fits
from peculiar.images.linear import read_linear
from peculiar.images.stretch import Stretch, notes_of_fits
from peculiar.images.unstretched import read_unstretched
from peculiar.sources.cells import named_file
from peculiar.sources.columns import LABEL_COLUMNS, class_names, known_sky, positions_of, warn_of_positions
from peculiar.sources.names import KEPT_APART, part_of, warn_of_parts
from peculiar.sources.paths import as_text, files_digest
from peculiar.sources.stream import Row, Shard, Source, read_flagged
from peculiar.tables.column import Column
from peculiar.tables.formats import MODEL_NOTE
from peculiar.tables.identifiers import entry_text, type_of_ids, warn_of_ids, warn_of_no_ids, widest
from peculiar.tables.key_columns import FOUND, Keys, find_column, find_id
from peculiar.tables.quantity import same_unit
from peculiar.tables.reader import TableReader
from peculiar.tables.sky import DEC_NAMES, RA_NAMES, Sky, find_sky
from peculiar.tables.typed import carried, described

PICTURE_COLUMNS = ("image", "picture", "img", "jpg", "file", "file_loc", "filename", "file_name", "filepath", "path")

SCALE_COLUMNS = ("pixel_arcsec", "pixscale")
"""Columns with the side of a pixel, in arcsec."""

_OTHERS = (*PICTURE_COLUMNS, *LABEL_COLUMNS, *RA_NAMES, *DEC_NAMES)
"""Columns that hold no ids."""


class TableSource(Source):
    """The rows of one table, or of several with the same columns.

    Parameters
    ----------
    path : path
        The table, or the folder of its parts.
    parts : sequence of path
        The files, in order. Only the first readable one is opened at first, so that a damaged one does not block the
        others.
    label : str or None
        The column of labels; None takes the first of `LABEL_COLUMNS`.
    bands : sequence of str
        Bands of FITS pictures, from the reddest to the bluest; default: by their names.
    stretch : Stretch, optional
        Stretch of FITS pictures, one for all; default: by the unit or noise of each picture.
    keys : Keys
        The columns of ids and positions.
    classes : mapping of str to tuple of str
        By column, the names of the classes that its integers stand for; default: those in the metadata of the file.

    Raises
    ------
    DataError
        If no part can be read, or no column holds pictures.
    UnknownNameError
        If there is no column `label`, or none of those in `keys`.

    Warns
    -----
    PeculiarWarning
        If no column of ids is recognised, or positions have an unknown unit or are not angles.
    """

    kind = "table"

    def __init__(
        self,
        path: Path,
        parts: Sequence[Path],
        label: str | None = None,
        bands: Sequence[str] = (),
        stretch: Stretch | None = None,
        keys: Keys = FOUND,
        classes: Mapping[str, tuple[str, ...]] | None = None,
    ) -> None:
        self._parts = list(parts)
        self._bands, self._stretch = tuple(bands), stretch
        self._readers: dict[Path, TableReader] = {}
        first = self._first_readable()
        self._first, self._schema = first.path.name, first.schema
        for name in filter(None, (label, *keys.given())):
            first.check_column(name)
        super().__init__(path, label or find_column(LABEL_COLUMNS, first.columns))
        self.columns = first.columns
        self._picture = _need_pictures(first)
        self._id = find_id(first.schema, keys.id)
        self._sky = known_sky(first, keys)
        self._scale = find_column(SCALE_COLUMNS, first.columns)
        self._position = () if self._sky is None else self._sky.names
        self.positioned = self._sky is not None
        if self._id is None:
            warn_of_no_ids(first, (self._picture, self.label, *self._position, *_OTHERS))
        self._names = class_names(first.schema, self.label) or (classes or {}).get(str(self.label), ())
        if self._bands or stretch:
            self.notes = notes_of_fits(self._bands, stretch)
        if len(self._parts) > 1:
            named = {name for part in self._parts for name in self._place(part).with_suffix("").parts}
            warn_of_parts(path, named, KEPT_APART)

    def __getstate__(self) -> dict[str, Any]:
        """Pickle as paths, with the properties that the first part decided for all."""
        return {**self.__dict__, "_readers": {}}

    @cached_property
    def id_type(self) -> pa.DataType:
        """Type of the column of ids; for parts that differ, the narrowest that holds the ids of all."""
        types = []
        for part in self._parts:
            with suppress(DataError):  # a damaged part has no ids
                types.append(type_of_ids(self._reader(part), self._id))
        return widest(types)

    def __len__(self) -> int:
        """Return the number of rows."""
        return sum(len(self._reader(part)) for part in self._parts)

    def ids(self) -> list[str]:
        """Return the id of every row, without reading a picture."""
        if self._id is None:
            return super().ids()
        told: list[str] = []
        for part in self._parts:
            values = enumerate(self._reader(part).column(self._id))
            told += [_name(self._place(part), number, value) for number, value in values]
        return told

    def check_ids(self) -> None:
        """Warn of ids, labels and positions that cannot be right; damaged parts are skipped."""
        if self.label is not None and len(self._parts) > 1:
            self._warn_of_kinds()
        if self._id is not None:
            warn_of_ids(self.path, self._batches_of_ids)
            self._first_readable().warn_of_lost_digits(self._id)
        if self._sky is not None:
            warn_of_positions(self.path, self._sky, self._batches_of_positions())

    def _batches_of_ids(self) -> Iterator[list[str]]:
        for part in self._parts:
            try:
                for batch in self._reader(part).batches([str(self._id)]):
                    yield [id_ for value in batch.column(0).to_pylist() if (id_ := entry_text(value))]
            except DataError:  # its rows will be reported as damaged
                continue

    def _batches_of_positions(self) -> Iterator[NDArray[np.float64]]:
        for part in self._parts:
            with suppress(DataError):
                reader = self._reader(part)
                if sky := self._sky_in(reader):
                    yield from map(sky.read, reader.batches(sky.names))

    def parts(self) -> dict[str, str]:
        """Return the part of a split of each row by its id, as the names of the files and folders tell it."""
        told: dict[str, str] = {}
        for part in self._parts if len(self._parts) > 1 else ():
            found = next((one for name in self._place(part).with_suffix("").parts if (one := part_of(name))), None)
            if found is not None:
                told |= dict.fromkeys(self._piece([part]).ids(), found)
        return told

    def labels(self) -> list[str | None]:
        """Return the label of every row."""
        if self.label is None:
            return [None] * len(self)
        readers = [self._reader(part) for part in self._parts]
        return [class_of(value, self._names_in(one)) for one in readers for value in one.column(self.label)]

    def column(self, name: str) -> list[str | None]:
        """Return the entries of a column as text, None where empty; all None where there is no such column."""
        if name == self.label or name not in self.columns:
            return super().column(name)
        values = (value for part in self._parts for value in self._reader(part).column(name))
        return [entry_text(value) for value in values]

    def rows(self, start: int = 0, stop: int | None = None) -> Iterator[Row]:
        """Yield rows, their pictures as bytes or as paths."""
        for reader, first, last in self._stretches(start, stop):
            yield from self._rows_of(reader, first, last)

    def shards(self, rows: int) -> Iterator[Shard]:
        """Yield shards that end at the end of a row group or a file, or within one that is larger.

        Small files are combined into one shard, up to so many rows. A damaged file is a shard of unknown length.
        """
        gathered: list[Path] = []
        count = 0
        for part in self._parts:
            try:
                groups = self._reader(part).group_ends()
                length = groups[-1] if groups else 0
            except DataError:
                groups, length = [], None
            if gathered and (length is None or count + length > rows):
                yield self._together(gathered, count)
                gathered, count = [], 0
            if length is None:
                yield Shard(self._told(part), self._piece([part]), 0, None)
            elif length <= rows:
                gathered.append(part)
                count += length
            else:
                yield from self._shards_of(part, groups, rows)
        if gathered:
            yield self._together(gathered, count)

    def _together(self, parts: list[Path], count: int) -> Shard:
        more = f" and {len(parts) - 1} more" if len(parts) > 1 else ""
        return Shard(f"{self._told(parts[0])}{more}:0-{count}", self._piece(parts), 0, count)

    def _shards_of(self, part: Path, groups: list[int], rows: int) -> Iterator[Shard]:
        """Yield shards of a file, whose row groups end at given rows."""
        piece = self._piece([part])
        ends = [
            end
            for begin, last in zip([0, *groups], groups, strict=False)
            for end in (*range(begin + rows, last, rows), last)
        ]
        start = 0
        for end, following in zip(ends, [*ends[1:], None], strict=True):
            if end > start and (following is None or following - start > rows):
                yield Shard(f"{self._told(part)}:{start}-{end}", piece, start, end)
                start = end

    def files(self) -> Sequence[Path]:
        """Return the tables, without the pictures that they name."""
        return self._parts

    def behind(self, start: int, stop: int | None) -> Sequence[Path]:
        """Return the tables, and the pictures that some rows name."""
        return [*self._parts, *self._named(start, stop)]

    def fingerprint(self, start: int, stop: int | None) -> str:
        """Return a digest that changes when the tables do, or the pictures that these rows name."""
        return files_digest(self.behind(start, stop), self._parts[0].parent, start, stop, *self.notes.items())

    def described(self, names: Sequence[str]) -> list[Column]:
        """Return the descriptions of columns; columns of a CSV file have the types that fit all of their values."""
        columns: dict[str, Column] = {}
        for part in self._parts:
            try:
                reader = self._reader(part, checked=False)
                there = [name for name in names if name in reader.columns]
                columns |= {one.name: one for one in described(reader, [name for name in there if name not in columns])}
            except DataError:  # its rows will be reported as damaged
                continue
            for name in there:
                if not same_unit(own := Column.of(reader.schema.field(name)), columns[name]):
                    message = (
                        f"{part}: {name} is in {own.unit or 'no unit'}, but in {columns[name].unit or 'no unit'} in "
                        "another file; leave it out of --keep, or write it in the same unit in all files"
                    )
                    raise DataError(message)
        for name in names:
            if name not in columns:
                raise UnknownNameError("column", name, self.columns, where=f"in {self.path.name}")
        return [columns[name] for name in names]

    def carried(self, columns: Sequence[Column], start: int, stop: int | None) -> Iterator[pa.RecordBatch]:
        """Yield columns of the rows from `start` to before `stop`; null if a part lacks one."""
        for reader, first, last in self._stretches(start, stop):
            yield from carried(reader, columns, first, last)

    def _stretches(self, start: int, stop: int | None) -> Iterator[tuple[TableReader, int, int | None]]:
        """Yield the parts that contain a range of rows, with the first and last row in each."""
        begin = 0
        for part in self._parts:
            if stop is not None and begin >= stop:
                return
            reader = self._reader(part)
            # Counting the rows of a CSV file takes a pass through it, which reading from its start does not need.
            whole = len(self._parts) == 1 and start == 0
            count = None if whole else len(reader)
            if count is None or begin + count > start:
                yield reader, max(start - begin, 0), None if stop is None else stop - begin
            begin += count or 0

    def _named(self, start: int, stop: int | None) -> Iterator[Path]:
        """Yield the picture files of some rows."""
        with suppress(DataError):  # a damaged table names no readable file
            for reader, first, last in self._stretches(start, stop):
                if _names_files(reader.schema, self._picture):
                    for batch in reader.batches([self._picture], first, last):
                        contents = (_content(one, reader.path.parent) for one in batch.column(0).to_pylist())
                        yield from (one for one in contents if isinstance(one, Path))

    def names_files(self) -> bool:
        """Return True if the first table names picture files, or cannot be read."""
        try:
            return _names_files(TableReader(self._parts[0]).schema, self._picture)
        except (DataError, StopIteration):
            return True

    def holds_fits(self) -> bool:
        """Return True if the first picture is FITS, or cannot be read, which its row will report."""
        plain = copy.copy(self)
        plain._bands, plain._stretch = (), None
        try:
            return all(looks_like_fits(bytes(row.read()[:1024])) for row in plain.rows(0, 1))
        except (DataError, PictureError):
            return True

    def _place(self, part: Path) -> Path:
        """Return the path of a part within the folder; its name, if it is the table itself."""
        below = part != self.path and part.is_relative_to(self.path)
        return part.relative_to(self.path) if below else Path(part.name)

    def _told(self, part: Path) -> str:
        """Return the path of a part as text, for the names of shards."""
        return as_text(self._place(part).as_posix())

    def _piece(self, parts: list[Path]) -> "TableSource":
        """Return the same source with only some parts."""
        piece = copy.copy(self)
        piece._parts = parts
        piece.__dict__["id_type"] = self.id_type  # all parts of a catalogue have the same columns
        return piece

    def _first_readable(self) -> TableReader:
        problem: DataError | None = None
        for part in self._parts:
            try:
                return self._reader(part, checked=False)
            except DataError as error:
                problem = problem or error
        raise problem or DataError("there is no table among the files")

    def _reader(self, part: Path, *, checked: bool = True) -> TableReader:
        """Open a part once, and check that it has the columns of the first."""
        if part not in self._readers:
            self._readers[part] = TableReader(part)
        reader = self._readers[part]
        needed = (self._picture, self._id, self.label, *self._position) if checked else ()
        missing = {*needed} - {None, *reader.columns}
        if missing:
            message = f"{part}: lacks the columns {sorted(map(str, missing))} that {self._first} has"
            raise DataError(message)
        return reader

    def _rows_of(self, part: TableReader, start: int, stop: int | None) -> Iterator[Row]:
        side = self._scale if self._scale in part.columns else None
        wanted = [self._picture, self._id, self.label, *self._position, side]
        number, names, sky = start, self._names_in(part), self._sky_in(part)
        for batch in part.batches(list(dict.fromkeys(name for name in wanted if name is not None)), start, stop):
            pictures = batch.column(self._picture).to_pylist()
            unknown = [None] * len(pictures)
            ids = batch.column(self._id).to_pylist() if self._id else unknown
            labels = batch.column(self.label).to_pylist() if self.label else unknown
            positions = positions_of(sky, batch) if sky else unknown
            scales = batch.column(side).to_pylist() if side else unknown
            for picture, id_, label, position, scale in zip(pictures, ids, labels, positions, scales, strict=True):
                name, class_ = _name(self._place(part.path), number, id_), class_of(label, names)
                row = Row(name, _content(picture, part.path.parent), class_, position, pixel=_pixel_side(scale))
                yield self._with_bands(row)
                number += 1

    def _with_bands(self, row: Row) -> Row:
        """Return a row whose picture is read with the bands and the stretch, if there are any."""
        file = row.content
        if not (self._bands or self._stretch) or not isinstance(file, bytes | Path):
            return row
        return replace(
            row,
            content=partial(read_flagged, (file,), self._bands, self._stretch),
            linear=partial(read_linear, (file,), self._bands) if self._bands else None,
            unstretched=partial(read_unstretched, (file,), self._bands),
        )

    def _names_in(self, part: TableReader) -> tuple[str, ...]:
        """Return the names of classes that a part states, or else those of the first."""
        return class_names(part.schema, self.label) or self._names

    def _sky_in(self, part: TableReader) -> Sky | None:
        """Return the columns of positions of a part, whose unit may be another than in the first."""
        if self._sky is None or all(
            Column.of(part.schema.field(name)) == Column.of(self._schema.field(name)) for name in self._position
        ):
            return self._sky
        return find_sky(part, *self._position)

    def _warn_of_kinds(self) -> None:
        """Warn if the labels are text in some files, and numbers without names in others."""
        kinds: dict[bool, str] = {}
        for part in self._parts:
            with suppress(DataError):  # its rows will be reported as damaged
                reader = self._reader(part)
                type_ = reader.schema.field(str(self.label)).type
                bare = (pa.types.is_integer(type_) or pa.types.is_floating(type_)) and not self._names_in(reader)
                kinds.setdefault(bare, part.name)
        if len(kinds) == 2:
            message = (
                f"{self.path}: labels in {self.label!r} are numbers in {kinds[True]} and text in {kinds[False]}, and "
                "count as different classes; write them alike in all files"
            )
            warnings.warn(message, PeculiarWarning, stacklevel=3)


def _pixel_side(value: Any) -> float | None:
    """Return an entry of a column of pixel sides; None if it is not a positive number."""
    try:
        side = float(value)
    except (TypeError, ValueError):
        return None
    return side if math.isfinite(side) and side > 0 else None


def class_of(value: Any, names: Sequence[str]) -> str | None:
    """Return an entry of a column of labels as text; for a number the name of its class, if names are known."""
    if names and isinstance(value, int):
        return names[value] if 0 <= value < len(names) else None
    return entry_text(value)


def _name(part: Path, number: int, id_: Any) -> str:
    """Return the id of a row: file and number if the table has none."""
    return entry_text(id_) or f"{as_text(part.with_suffix('').as_posix())}-{number}"


def _holds_bytes(type_: pa.DataType) -> bool:
    if pa.types.is_struct(type_):
        return bool(type_.get_field_index("bytes") >= 0)
    return bool(pa.types.is_binary(type_) or pa.types.is_large_binary(type_))


def holds_galaxies(path: Path) -> bool:
    """Return True if a Parquet file has a column of pictures and is no catalogue of a model.

    A damaged file counts as one, so that it is reported.
    """
    try:
        schema = pyarrow.parquet.read_schema(arrow_file(path))
    except (pa.ArrowException, OSError):
        return True
    return MODEL_NOTE.encode() not in (schema.metadata or {}) and picture_column(schema) is not None


def _need_pictures(table: TableReader) -> str:
    found = picture_column(table.schema)
    if found is None:
        message = (
            f"{table.path}: no column holds pictures. Give one with encoded bytes, or one with paths called "
            f"{', '.join(PICTURE_COLUMNS[:-1])} or {PICTURE_COLUMNS[-1]}; there are: {', '.join(table.columns)}"
        )
        raise DataError(message)
    return found


def picture_column(schema: pa.Schema) -> str | None:
    """Return the column of a table that holds pictures or their paths; None if there is none."""
    encoded = [field.name for field in schema if _holds_bytes(field.type)]
    return (
        find_column(PICTURE_COLUMNS, encoded)
        or next(iter(encoded), None)
        or find_column(PICTURE_COLUMNS, schema.names)
        or file_name_column(schema.names)
    )


def file_name_column(columns: Sequence[str]) -> str | None:
    """Return the column of names of files in the imagefolder layout: ``file_name``, or the first ``*_file_name``."""
    pictures = [f"{name}_file_name" for name in PICTURE_COLUMNS[:3]]
    others = [name for name in columns if name.lower().endswith("_file_name")]
    return find_column(["file_name", *pictures], columns) or next(iter(others), None)


def _content(picture: Any, folder: Path) -> bytes | Path | Callable[[], bytes]:
    """Return the content of a cell: bytes, or the path of a file; empty bytes for an empty cell."""
    if isinstance(picture, dict):
        picture = picture.get("path") if picture.get("bytes") is None else picture["bytes"]
    if isinstance(picture, bytes):
        return picture
    return named_file(str(picture), folder) if picture else b""


def _names_files(schema: pa.Schema, column: str) -> bool:
    """Return True if a column of pictures holds paths rather than the pictures themselves."""
    type_ = next(field.type for field in schema if field.name == column)
    return not (_holds_bytes(type_) or pa.types.is_binary(type_) or pa.types.is_large_binary(type_))
