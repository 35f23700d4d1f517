"""Zarr archives of cut-outs, as Cutana and images_to_zarr write them: an array ``images``, and a table beside it.

https://esa.github.io/Cutana/stable/reference/output_formats/: each batch has a folder with ``images.zarr``, whose array
``images`` is (n, height, width, colours), and ``images_metadata.parquet`` with a row for each picture, in their order.
"""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from peculiar.errors import DataError, UnknownNameError, extra
from peculiar.files.limits import ZARR_CHUNK_BYTES
from peculiar.files.places import on_this_machine
from peculiar.images.compose import compose_picture
from peculiar.images.fits import Bands
from peculiar.sources.columns import LABEL_COLUMNS, check_alike, class_names, known_sky, positions_of, warn_of_positions
from peculiar.sources.paths import as_text, files_digest
from peculiar.sources.stack import Stack, has_unknown
from peculiar.sources.stream import MISSING, Row, Shard, Source, refuse
from peculiar.tables.column import Column
from peculiar.tables.identifiers import entry_text, type_of_ids, warn_of_ids
from peculiar.tables.key_columns import FOUND, Keys, find_column, find_id
from peculiar.tables.reader import TableReader
from peculiar.tables.typed import carried, described

_ARRAY = "images"

_MARKS = ("zarr.json", ".zgroup", ".zarray")

_CODECS = {
    *("blosc", "bytes", "crc32c", "gzip", "lz4", "lz4hc", "sharding_indexed", "shuffle", "transpose", "zlib", "zstd"),
    *("bz2", "lzma", "delta", "bitround", "fixedscaleoffset", "adler32", "crc32", "fletcher32"),
}
"""Codecs that only compute. Others, such as ``pickle``, may run any program."""

# Exceptions of zarr and its codecs for damage in different places.
_DAMAGE = (OSError, RuntimeError, LookupError, TypeError, ValueError, AttributeError, MemoryError, OverflowError)

_OF_CUTANA = "original_cutout_size"
"""A column that only Cutana writes, whose rows of pixels run from the bottom up, as in FITS."""


def archives_in(folder: Path) -> list[Path]:
    """Return the Zarr archives of pictures in a folder, in order: the folder itself, in it, or in batches in it."""
    if _is_archive(folder):
        return [folder]
    found = [*folder.glob("*.zarr"), *folder.glob("*/images.zarr")]
    return sorted(one for one in found if _is_archive(one))


def _is_archive(folder: Path) -> bool:
    return any((folder / mark).is_file() for mark in _MARKS)


@dataclass(frozen=True)
class _Batch:
    """An archive, and the table of its pictures.

    Parameters
    ----------
    path : path
    table : path or None
    """

    path: Path
    table: Path | None

    @classmethod
    def of(cls, path: Path) -> "_Batch":
        """Find the table beside an archive."""
        names = (f"{path.stem}_metadata.parquet", "images_metadata.parquet")
        return cls(path, next((one for name in names if (one := path.with_name(name)).is_file()), None))

    @cached_property
    def reader(self) -> TableReader | None:
        """The table."""
        return None if self.table is None else TableReader(self.table)

    @cached_property
    def array(self) -> Any:
        """The array of pictures; only `_CODECS` will be used to read it."""
        with extra("reading Zarr", "zarr"):
            import zarr
        on_this_machine(self.path, "a Zarr archive")
        try:
            array = zarr.open(store=self.path, mode="r")
            array = array[_ARRAY] if isinstance(array, zarr.Group) else array
            shape, chunks = array.shape, array.chunks
        except KeyError as error:
            message = f"{self.path}: has no array {_ARRAY!r}, in which Cutana and images_to_zarr store pictures"
            raise DataError(message) from error
        except _DAMAGE as error:
            raise _damaged(self.path, error) from error
        strange = {name for name in _codecs(array) if name not in _CODECS}
        if strange or array.dtype.kind not in "buif":
            what = f"is encoded by {', '.join(sorted(strange))}" if strange else f"holds {array.dtype}"
            message = f"{self.path}: the array {_ARRAY!r} {what}, which is not read; write it as numbers, with zstd"
            raise DataError(message)
        if math.prod(chunks) * array.dtype.itemsize > ZARR_CHUNK_BYTES:
            message = f"{self.path}: the array claims chunks of {chunks}, more than {ZARR_CHUNK_BYTES:,} bytes each"
            raise DataError(message)
        stored = sum(file.stat().st_size for file in self.path.rglob("*") if file.is_file())
        if shape and shape[0] > stored:
            message = f"{self.path}: claims {shape[0]:,} pictures and has {stored:,} bytes; it was copied in part"
            raise DataError(message)
        if self.reader is not None and len(self.reader) != shape[0]:
            message = (
                f"{self.table}: has {len(self.reader):,} rows, and {self.path.name} beside it {shape[0]:,} pictures; "
                "they have to be of the same batch"
            )
            raise DataError(message)
        return array


class ZarrSource(Source):
    """The pictures of Zarr archives, chunk by chunk.

    Ids, labels and positions are those of the table beside each archive; without a table, ids are made of the path of
    the archive and the row. Bytes are finished pictures, and so are floats from 0 to 1. Other floats are the flux of
    one to three bands, from the reddest to the bluest, and are stretched as FITS images are; see
    `peculiar.images.compose.compose_picture`. A picture whose chunk is damaged or missing keeps its row.

    Parameters
    ----------
    path : path
        An archive, or the folder of several.
    archives : sequence of path
        The archives, in order.
    label : str or None
        The column of labels of the tables; None takes the first of the usual names.
    keys : Keys
        The columns of ids and positions of the tables.

    Raises
    ------
    MissingExtraError
        If zarr is not installed.
    DataError
        If an array has another shape or type, is encoded by a codec that may run a program, or its table does not fit.
    UnknownNameError
        If a table has no column with a given name.
    """

    kind = "zarr"

    def __init__(self, path: Path, archives: Sequence[Path], label: str | None = None, keys: Keys = FOUND) -> None:
        self._batches = [_Batch.of(archive) for archive in archives]
        first = self._batches[0].reader
        self.columns = () if first is None else first.columns
        for name in filter(None, (label, *keys.given())):
            if name not in self.columns:
                raise UnknownNameError("column", name, self.columns, where=f"in the tables beside {path.name}")
        super().__init__(path, label or find_column(LABEL_COLUMNS, self.columns))
        self._id = None if first is None else find_id(first.schema, keys.id)
        self._sky = None if first is None else known_sky(first, keys)
        self._names = () if first is None else class_names(first.schema, self.label)
        if first is not None:
            tables = [batch.reader for batch in self._batches if batch.reader is not None]
            check_alike(tables, self._sky.names if self._sky else (), self.label)
        self.positioned = self._sky is not None
        self._bottom_up = _OF_CUTANA in self.columns
        array = self._batches[0].array
        stack = Stack.of(array.shape, array.dtype, _ARRAY, self._batches[0].path)
        self._finished = stack.dtype.kind != "f" or _is_bright_at_most_one(self._batches[0], stack)
        if stack.dtype.kind == "f" and self._finished:
            stack = Stack(stack.shape, stack.dtype, 1)
        elif stack.dtype.kind != "f":
            pieces = _pictures(self._batches[0], _step(array, stack), 0, array.shape[0])
            stack = stack.whitened((one for one, _ in pieces if one is not None), _ARRAY, self._batches[0].path)
        self._white = stack.white
        self._counts = [self._stack(batch).shape[0] for batch in self._batches]

    def _stack(self, batch: _Batch) -> Stack:
        """Return the layout of an archive, which has to have the type of the first."""
        array = batch.array
        if array.dtype != (first := self._batches[0].array).dtype:
            message = f"{batch.path}: holds {array.dtype}, and {self._batches[0].path} {first.dtype}; give one of them"
            raise DataError(message)
        stack = Stack.of(array.shape, array.dtype, _ARRAY, batch.path)
        return Stack(stack.shape, stack.dtype, self._white)

    def __len__(self) -> int:
        """Return the number of pictures."""
        return sum(self._counts)

    @property
    def id_type(self) -> pa.DataType:
        """Type of the column of ids of the first table."""
        first = self._batches[0].reader
        return pa.string() if first is None else type_of_ids(first, self._id)

    def rows(self, start: int = 0, stop: int | None = None) -> Iterator[Row]:
        """Yield the pixels of pictures; those in a damaged chunk state why."""
        for batch, first, last in self._stretches(start, stop):
            stack = self._stack(batch)
            ids, labels = self._texts(batch, self._id, first, last), self._texts(batch, self.label, first, last)
            positions, step = self._positions(batch, first, last), _step(batch.array, stack)
            for number, (piece, problem) in enumerate(_pictures(batch, step, first, last)):
                content = partial(refuse, problem) if problem or piece is None else partial(self._shown, stack, piece)
                unknown = piece is not None and bool(has_unknown(piece)[0])
                name = ids[number] or f"{self._place(batch)}-{first + number}"
                label = self._named(labels[number])
                yield Row(name, content, label, positions[number], MISSING if unknown else 0)

    def ids(self) -> list[str]:
        """Return the id of every picture, without reading one."""
        return [
            id_ or f"{self._place(batch)}-{number}"
            for batch, count in zip(self._batches, self._counts, strict=True)
            for number, id_ in enumerate(self._texts(batch, self._id, 0, count))
        ]

    def check_ids(self) -> None:
        """Warn of ids and positions that cannot be right."""
        warn_of_ids(self.path, lambda: [self.ids()])
        for reader in [batch.reader for batch in self._batches if batch.reader is not None]:
            if self._id is not None:
                reader.warn_of_lost_digits(self._id)
            if self._sky is not None:
                warn_of_positions(reader.path, self._sky, map(self._sky.read, reader.batches(self._sky.names)))

    def labels(self) -> list[str | None]:
        """Return the label of every picture, without reading one."""
        return [self._named(one) for one in self.column(str(self.label))] if self.label else [None] * len(self)

    def column(self, name: str) -> list[str | None]:
        """Return the entries of a column of the tables as text, None where empty or without a table."""
        pairs = zip(self._batches, self._counts, strict=True)
        return [entry for batch, count in pairs for entry in self._texts(batch, name, 0, count)]

    def shards(self, rows: int) -> Iterator[Shard]:
        """Yield shards of one archive each, which end at the end of a chunk where that is possible."""
        for number, batch in enumerate(self._batches):
            piece = object.__new__(ZarrSource)
            piece.__dict__.update(self.__dict__, _batches=[batch], _counts=[self._counts[number]])
            chunk = batch.array.chunks[0]
            step = max(rows // chunk, 1) * chunk
            for start in range(0, self._counts[number], step):
                stop = min(start + step, self._counts[number])
                yield Shard(f"{self._place(batch)}:{start}-{stop}", piece, start, stop)

    def __getstate__(self) -> dict[str, Any]:
        """Pickle as paths: the arrays and tables are opened again."""
        return {**self.__dict__, "_batches": [_Batch(one.path, one.table) for one in self._batches]}

    def files(self) -> Sequence[Path]:
        """Return the archives, which are folders, and the tables beside them."""
        return [file for batch in self._batches for file in (batch.path, batch.table) if file is not None]

    def fingerprint(self, start: int, stop: int | None) -> str:
        """Return a digest of the names, sizes and times of the files of the archives, and of the tables."""
        inside = [sorted(one for one in batch.path.rglob("*") if one.is_file()) for batch in self._batches]
        tables = [batch.table for batch in self._batches if batch.table is not None]
        return files_digest([*(one for some in inside for one in some), *tables], self.path, start, stop)

    def described(self, names: Sequence[str]) -> list[Column]:
        """Return the descriptions of columns of the tables."""
        for name in names:
            if name not in self.columns:
                raise UnknownNameError("column", name, self.columns, where=f"in the tables beside {self.path.name}")
        first = self._batches[0].reader
        return [] if first is None else described(first, names)

    def carried(self, columns: Sequence[Column], start: int, stop: int | None) -> Iterator[pa.RecordBatch]:
        """Yield columns of the tables; null for pictures without a table."""
        schema = pa.schema([column.field() for column in columns])
        for batch, first, last in self._stretches(start, stop):
            if batch.reader is not None:
                yield from carried(batch.reader, columns, first, last)
            else:
                nulls = [pa.nulls(last - first, field.type) for field in schema]
                yield pa.RecordBatch.from_arrays(nulls, schema=schema)

    def _stretches(self, start: int, stop: int | None) -> Iterator[tuple[_Batch, int, int]]:
        """Yield the archives that contain a range of rows, with the first and the last row in each."""
        ends = list(accumulate(self._counts))
        stop = ends[-1] if stop is None else stop
        for batch, count, end in zip(self._batches, self._counts, ends, strict=True):
            first, last = max(start - (end - count), 0), min(stop - (end - count), count)
            if first < last:
                yield batch, first, last

    def _place(self, batch: _Batch) -> str:
        """Return the path of an archive within the folder, without suffix, for ids and the names of shards."""
        below = batch.path != self.path
        return as_text((batch.path.relative_to(self.path) if below else Path(self.name)).with_suffix("").as_posix())

    def _texts(self, batch: _Batch, name: str | None, first: int, last: int) -> list[str | None]:
        if name is None or batch.reader is None:
            return [None] * (last - first)
        batches = batch.reader.batches([name], first, last)
        return [entry_text(value) for one in batches for value in one.column(0).to_pylist()]

    def _positions(self, batch: _Batch, first: int, last: int) -> list[tuple[float, float] | None]:
        if self._sky is None or batch.reader is None:
            return [None] * (last - first)
        batches = batch.reader.batches(self._sky.names, first, last)
        return [position for one in batches for position in positions_of(self._sky, one)]

    def _named(self, entry: str | None) -> str | None:
        """Return the name of a class that is written as a number."""
        known = self._names and entry is not None and entry.isdecimal() and int(entry) < len(self._names)
        return self._names[int(entry)] if known and entry is not None else entry

    def _shown(self, stack: Stack, piece: NDArray[Any]) -> NDArray[np.uint8]:
        """Return one picture as bytes, from the top down."""
        if self._finished:
            pixels: NDArray[np.uint8] = stack.pixels(piece)[0]
            return pixels[::-1] if self._bottom_up else pixels
        values = piece[0] if piece.ndim == 4 else piece[0][..., None]
        planes = np.moveaxis(values, 2, 0) if values.shape[2] in {1, 3} else values
        pixels = compose_picture(Bands(np.ascontiguousarray(planes, np.float32), (), None))
        return pixels if self._bottom_up else pixels[::-1]


def _pictures(batch: _Batch, step: int, start: int, stop: int) -> Iterator[tuple[NDArray[Any] | None, str]]:
    """Yield each picture as an array of one, or None and the reason why its chunk cannot be read.

    `step` rows are read at a time, a multiple of the length of a chunk, so that none is decompressed twice.
    """
    chunk = batch.array.chunks[0]
    for first, last in _ranges(step, start, stop):
        try:
            piece = np.asarray(batch.array[first:last])
        except _DAMAGE as error:
            if step > chunk:  # the other chunks may be sound
                yield from _pictures(batch, chunk, first, last)
            else:
                reason = f"the chunk of {batch.path.name} that holds it is damaged ({_line(error)})"
                yield from [(None, reason)] * (last - first)
            continue
        empty = (piece == batch.array.fill_value).all(axis=tuple(range(1, piece.ndim)))
        for number in range(last - first):
            reason = f"it is empty: its chunk of {batch.path.name} is missing, or was never written"
            yield piece[number : number + 1], reason if empty[number] else ""


def _ranges(step: int, start: int, stop: int) -> Iterator[tuple[int, int]]:
    """Yield ranges of rows that end at multiples of `step`."""
    while start < stop:
        end = min((start // step + 1) * step, stop)
        yield start, end
        start = end


def _step(array: Any, stack: Stack) -> int:
    """Return how many rows to read at a time: whole chunks."""
    chunk = int(array.chunks[0])
    return chunk * max(1, stack.once // chunk)


def _is_bright_at_most_one(batch: _Batch, stack: Stack) -> bool:
    """Return whether the floats of the first readable picture run from 0 to 1, as those of finished ones do."""
    pictures = _pictures(batch, _step(batch.array, stack), 0, batch.array.shape[0])
    values = (piece for piece, problem in pictures if not problem)
    for piece in values:
        if piece is not None and np.isfinite(piece).any():
            return bool(np.nanmin(piece) >= 0 and np.nanmax(piece) <= 1)
    return True


def _codecs(array: Any) -> Iterator[str]:
    """Yield the names of the codecs of an array, also of those within others."""

    def named(value: Any) -> Iterator[str]:
        if isinstance(value, dict):
            name = value.get("name", value.get("id"))
            if isinstance(name, str):
                yield name.removeprefix("numcodecs.").lower()
            for one in value.values():
                yield from named(one)
        elif isinstance(value, list):
            for one in value:
                yield from named(one)

    metadata = json.loads(json.dumps(array.metadata.to_dict(), default=str))
    for key in ("codecs", "compressor", "compressors", "filters"):
        yield from named(metadata.get(key))


def _damaged(path: Path, error: Exception) -> DataError:
    return DataError(f"{path}: cannot be read as Zarr ({_line(error)}); it is damaged, or was copied in part")


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
