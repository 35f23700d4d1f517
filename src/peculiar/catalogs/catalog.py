"""A catalogue opened for searching: its parts, columns and embeddings.

Embeddings are centred, scaled to length 1, and kept in the cache as one array that is mapped into memory, so that the
cosine of the angle between any two is a product of matrices, and a second search has nothing to prepare.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.dataset
import pyarrow.parquet
from numpy.typing import NDArray

from peculiar.errors import DataError, NotFoundError, UnknownNameError, UsageError
from peculiar.files.claims import file_digest
from peculiar.files.writing import cache_folder, replacing
from peculiar.tables.column import Column, notes_of
from peculiar.tables.identifiers import id_texts
from peculiar.tables.quantity import quantity_of
from peculiar.tables.reader import MODEL_NOTE, check_file, entry_text, parts_below, table_format
from peculiar.tables.sky import Sky, sky_names

BLOCK = 16_384
"""Rows of embeddings that are worked on together: 25 MB of 384 values."""


class Shelf:
    """A catalogue in Parquet: one file, or a folder of parts.

    Parameters
    ----------
    path : path-like
    ra, dec : str, optional
        The columns of positions; by default those of the usual names.

    Attributes
    ----------
    columns : dict of str to Column
        By name, in the order of the file.
    notes : dict of str to str
        What the file says of its making.
    state : str
        What tells this catalogue, as its files were when it was opened, from others and from what it was before.

    Raises
    ------
    NotFoundError
        If nothing is there.
    UsageError
        If it is a table of another format.
    DataError
        If it is damaged, no table, or has no column ``id``.
    """

    def __init__(self, path: str | os.PathLike[str], *, ra: str | None = None, dec: str | None = None) -> None:
        self.path = Path(path)
        self._keys = ra, dec
        self.files = _parts(self.path)
        self.state = self._state()
        try:
            self.dataset = pa.dataset.dataset([str(file.absolute()) for file in self.files], format="parquet")
            rows = self.dataset.count_rows()
            parts = [(one.path, one.physical_schema) for one in self.dataset.get_fragments()]
        except (pa.ArrowException, OSError) as error:
            raise self.damaged(error) from error
        self._rows = int(rows)
        self.columns = {field.name: Column.of(field) for field in self.dataset.schema}
        self.notes = notes_of(self.dataset.schema)
        for part, schema in parts:
            types = {field.name: field.type for field in schema}
            odd = [name for name, column in self.columns.items() if not _alike(types.get(name), column.type)]
            if odd:
                message = (
                    f"{part}: has not the columns {', '.join(odd)} as {self.files[0].name} has them; the parts of a "
                    "catalogue have the same columns"
                )
                raise DataError(message)
        if "id" not in self.columns:
            message = f"{self.path} has no column 'id'; is it a catalogue that `peculiar predict` wrote?"
            raise DataError(message)

    def __len__(self) -> int:
        """Return the number of rows."""
        return self._rows

    @property
    def plain(self) -> list[str]:
        """Names of the columns that hold one value a row: all but embeddings."""
        return [name for name, column in self.columns.items() if not pa.types.is_nested(column.type)]

    def numeric(self, name: str) -> bool:
        """Tell whether there is a column of this name that holds numbers."""
        type_ = self.columns[name].type if name in self.columns else pa.null()
        return bool(pa.types.is_integer(type_) or pa.types.is_floating(type_) or pa.types.is_decimal(type_))

    def check_columns(self, names: Sequence[str]) -> None:
        """Raise `UnknownNameError` unless there are columns of these names."""
        for name in names:
            if name not in self.columns:
                raise UnknownNameError("column", name, self.columns, where=f"in {self.path.name}")

    @cached_property
    def sky(self) -> Sky | None:
        """The columns of positions, and how they are read in degrees; None where there are none of numbers.

        Raises
        ------
        UnknownNameError
            If there is no column of a name that was given.
        DataError
            If they are in a unit that is no angle.
        """
        self.check_columns([name for name in self._keys if name is not None])
        names = sky_names(list(self.columns.values()), *self._keys)
        if names is None or not (self.numeric(names[0]) and self.numeric(names[1])):
            return None
        ra, dec = (
            quantity_of(self.columns[name], "deg", where=str(self.path), hours=hours)
            for name, hours in zip(names, (True, False), strict=True)
        )
        return Sky(ra, dec)

    def need_sky(self) -> Sky:
        """Return the columns of positions; raise an error where there are none of numbers."""
        if self.sky is not None:
            return self.sky
        names = sky_names(list(self.columns.values()), *self._keys)
        if names is None:
            where = f"in {self.path.name}, and none else of positions; name them with --ra COLUMN and --dec COLUMN"
            raise UnknownNameError("column", "ra", self.columns, where=where)
        self.check_numbers(names)
        raise UsageError(f"{self.path.name}: {' and '.join(names)} hold no numbers")

    def check_numbers(self, names: Sequence[str]) -> None:
        """Raise `UnknownNameError` unless there are columns of these names, `UsageError` unless they hold numbers."""
        self.check_columns(names)
        for name in names:
            if not self.numeric(name):
                message = (
                    f"the column {name!r} of {self.path.name} holds {self.columns[name].type}, and numbers are needed; "
                    "write it as numbers"
                )
                raise UsageError(message)

    def check_model(self, digest: str, advice: str) -> None:
        """Raise `UsageError` if the catalogue says that a model of another digest made it."""
        made = self.notes.get(MODEL_NOTE, digest)
        if made != digest:
            message = f"{self.path} was made by the model {made[:12]}, not by {digest[:12]}; {advice}"
            raise UsageError(message)

    def check_unchanged(self) -> None:
        """Raise `DataError` unless the files are as they were when the catalogue was opened.

        What was read of them before would not fit what is read now: rows have other numbers then.
        """
        try:
            same = self._state() == self.state
        except OSError:
            same = False
        if not same:
            message = f"{self.path} has changed since it was opened; open it again (a desk: stop it, and start it anew)"
            raise DataError(message)

    def damaged(self, error: Exception) -> DataError:
        """Return what to say where reading failed."""
        return DataError(
            f"{self.path}: cannot be read as Parquet ({_line(error)}); it is damaged, cut short or of another kind"
        )

    def take(self, rows: NDArray[np.integer], columns: Sequence[str]) -> pa.Table:
        """Read some columns of some rows, in the order of `rows`."""
        self.check_unchanged()
        try:
            return self.dataset.take(pa.array(rows, pa.int64()), columns=list(columns))
        except (pa.ArrowException, OSError) as error:
            raise self.damaged(error) from error

    def rows_of(self, ids: Sequence[str], *, lenient: bool = False) -> NDArray[np.int64]:
        """Find the rows of galaxies.

        Parameters
        ----------
        ids : sequence of str
            Each at most once counts.
        lenient : bool
            Give -1 for those that are not there, instead of an error.

        Returns
        -------
        ndarray of int, shape (len(ids),)
            The first row of each.

        Raises
        ------
        UnknownNameError
            If one is not there.
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
        if lacking and not lenient:
            more = f" (nor {len(lacking) - 1} more of those given)" if len(lacking) > 1 else ""
            some = [entry_text(one) or "" for one in self.dataset.head(20, columns=["id"])["id"].to_pylist()]
            raise UnknownNameError("galaxy", lacking[0], some, where=f"in {self.path.name}{more}")
        return np.array([found.get(id_, -1) for id_ in ids], dtype=np.int64)

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Yield some columns of all rows, in order."""
        self.check_unchanged()
        try:
            # Neither as a data set nor with a buffer ahead: both would hold gigabytes of a file of embeddings.
            for file in self.files:
                parquet = pa.parquet.ParquetFile(file, pre_buffer=False, buffer_size=1 << 20)
                yield from parquet.iter_batches(batch_size=BLOCK, columns=list(columns))
        except (pa.ArrowException, OSError) as error:
            raise self.damaged(error) from error

    def embeddings(self) -> "Embeddings":
        """Return what the network made of each galaxy.

        The first call for a catalogue writes them to the cache, which takes some seconds a million.

        Raises
        ------
        UsageError
            If the catalogue has none.
        DataError
            If none of its galaxies has one.
        """
        column = self.columns.get("embedding")
        if column is None or not pa.types.is_fixed_size_list(column.type):
            message = (
                f"{self.path} has no embeddings, which this search needs; `peculiar predict DATA --embeddings --out "
                f"{self.path.with_suffix('.parquet').name}` makes a catalogue that has"
            )
            raise UsageError(message)
        width = column.type.list_size
        array = self.cached("embeddings", ".npy", lambda file: self._prepare(file, width))
        return Embeddings(np.load(array, mmap_mode="r"))

    def _state(self) -> str:
        states = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in self.files]
        place = hashlib.sha256(str(self.path.resolve()).encode()).hexdigest()[:16]
        return f"{place}-{hashlib.sha256(json.dumps(states).encode()).hexdigest()[:16]}"

    def cached(self, kind: str, ending: str, make: Callable[[Path], object]) -> Path:
        """Return a file in the cache that is made of this catalogue once; what it was before is deleted.

        A file that is no more as it was written (cut short, of another catalogue) is made again.

        Parameters
        ----------
        kind : str
            The folder in the cache.
        ending : str
            How the file's name ends: what else it depends on, and its suffix.
        make : callable
            Given the path to write to.
        """
        state = self.state
        folder = cache_folder() / kind
        file = folder / f"{state}{ending}"
        if not _as_written(file):
            with replacing(file) as temporary:
                make(temporary)
            with replacing(_stamp(file)) as temporary:
                temporary.write_text(json.dumps(_state_of(file) | {"sha256": file_digest(file)}))
            for older in folder.glob(f"{state.partition('-')[0]}-*"):
                if not older.name.startswith(state):
                    older.unlink(missing_ok=True)
        return file

    def _prepare(self, file: Path, width: int) -> None:
        """Write the array of `Embeddings`."""
        shape = (len(self) + 1, width + 1)
        np.lib.format.open_memmap(file, mode="w+", dtype=np.float32, shape=shape).flush()
        _allocate(file)
        total, count, start = np.zeros(width), 0, 1
        for batch in self.batches(["embedding"]):
            block = _matrix(batch.column(0), width)
            known = np.isfinite(block).all(axis=1)
            block[~known] = np.nan
            total += block[known].sum(axis=0, dtype=np.float64)
            count += int(known.sum())
            # Mapped anew for each block, since pages that were written to count as memory until they are let go.
            np.load(file, mmap_mode="r+")[start : start + len(block), :-1] = block
            start += len(block)
        if not count:
            message = f"{self.path}: no galaxy has an embedding, since none of their pictures could be read"
            raise DataError(message)
        centre = (total / count).astype(np.float32)
        np.load(file, mmap_mode="r+")[0] = np.append(centre, 0)
        for start in range(1, len(self) + 1, BLOCK):
            array = np.load(file, mmap_mode="r+")
            array[start : start + BLOCK] = _comparable(array[start : start + BLOCK, :-1], centre)


class Embeddings:
    """Embeddings of a catalogue, made comparable.

    Parameters
    ----------
    array : ndarray of float32, shape (1 + n, d + 1)
        The centre, then the centred embeddings, scaled to length 1, with the length that they had in the last column;
        NaN where a galaxy has none.

    Attributes
    ----------
    centre : ndarray of float32, shape (d,)
    vectors : ndarray of float32, shape (n, d)
        Directions from the centre, of length 1.
    """

    def __init__(self, array: NDArray[np.float32]) -> None:
        self.centre, self.vectors, self._lengths = np.array(array[0, :-1]), array[1:, :-1], array[1:, -1]

    @cached_property
    def lengths(self) -> NDArray[np.float32]:
        """Distances from the centre, shape (n,); the first call reads the whole array."""
        return np.array(self._lengths)

    @cached_property
    def known(self) -> NDArray[np.bool_]:
        """Which galaxies have an embedding, shape (n,)."""
        return ~np.isnan(self.lengths)

    @classmethod
    def of(cls, embeddings: NDArray[np.floating]) -> "Embeddings":
        """Make embeddings in memory comparable, shape (n, d); NaN where there is none."""
        centre = np.asarray(np.nanmean(embeddings, axis=0, dtype=np.float64), dtype=np.float32)
        return cls(np.vstack([np.append(centre, 0), _comparable(embeddings.astype(np.float32), centre)]))

    def __len__(self) -> int:
        """Return the number of galaxies, those without an embedding among them."""
        return len(self.vectors)

    def blocks(self) -> Iterator[tuple[slice, NDArray[np.float32]]]:
        """Yield the vectors a few thousand at a time, and which rows they are."""
        for start in range(0, len(self), BLOCK):
            rows = slice(start, min(start + BLOCK, len(self)))
            yield rows, self.vectors[rows]

    def place(self, embedding: NDArray[np.floating]) -> NDArray[np.float32]:
        """Centre an embedding of shape (..., d), and scale it to length 1: comparable with `vectors`."""
        return _comparable(np.asarray(embedding, dtype=np.float32), self.centre)[..., :-1]

    def cosines(self, vector: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the cosine of the angle between a vector of length 1, shape (d,), and each galaxy's; NaN for none."""
        found = np.empty(len(self), dtype=np.float32)
        for rows, block in self.blocks():
            found[rows] = block @ vector
        return found


def _comparable(embeddings: NDArray[np.float32], centre: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return directions from the centre, of length 1, and in one more column the distance from it."""
    centred = embeddings - centre
    lengths = np.sqrt(np.einsum("...d,...d->...", centred, centred))[..., None]
    return np.concatenate([centred / np.maximum(lengths, np.finfo(np.float32).tiny), lengths], axis=-1)


def _stamp(file: Path) -> Path:
    """Return where it says how a file of the cache was written."""
    return file.with_name(f"{file.name}.stamp")


def _state_of(file: Path) -> dict[str, Any]:
    state = file.stat()
    return {"size": state.st_size, "time": state.st_mtime_ns}


def _as_written(file: Path) -> bool:
    """Tell whether a file of the cache is as it was written: by its size and time, or else by its digest."""
    try:
        stamp, state = json.loads(_stamp(file).read_bytes()), _state_of(file)
        if {name: stamp[name] for name in state} == state:
            return True
        return bool(stamp["size"] == state["size"] and stamp["sha256"] == file_digest(file))
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _allocate(file: Path) -> None:
    """Give a file its room on the disk: a write to memory that it is mapped to could not say that there is none."""
    if hasattr(os, "posix_fallocate"):
        with file.open("rb+") as opened:
            os.posix_fallocate(opened.fileno(), 0, file.stat().st_size)


def _parts(path: Path) -> list[Path]:
    if not path.exists():
        raise NotFoundError(f"there is no catalogue at {path}; `peculiar predict DATA --out {path}` writes one")
    if path.is_dir():
        parts = parts_below(path)
        if not parts:
            message = f"{path} holds no Parquet files; a catalogue is one of them, or a folder of parts"
            raise DataError(message)
        return parts
    check_file(path)
    format = table_format(path)
    if format is None:
        message = f"{path} is no catalogue: neither Parquet nor another kind of table that is known"
        raise DataError(message)
    if format != "parquet":
        other = path.with_suffix(".parquet")
        message = f"{path} is {format}, and searching needs Parquet; type: peculiar data convert {path} {other}"
        raise UsageError(message)
    return [path]


def _alike(one: pa.DataType | None, other: pa.DataType) -> bool:
    """Tell whether two parts of a catalogue can hold a column as these types: numbers differ, lengths of lists not."""
    if one is None or not pa.types.is_fixed_size_list(other):
        return one is not None
    return bool(pa.types.is_fixed_size_list(one) and one.list_size == other.list_size)


def _matrix(array: Any, width: int) -> NDArray[np.float32]:
    """Return a list a row as a matrix, shape (n, width); NaN where there is none."""
    matrix = np.full((len(array), width), np.nan, dtype=np.float32)
    known = array.is_valid().to_numpy(zero_copy_only=False)
    matrix[known] = array.flatten().to_numpy(zero_copy_only=False).reshape(-1, width)
    return matrix


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
