"""Stores of the rows of a catalogue: Parquet files, other tables, or memory."""

import hashlib
import json
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet
from numpy.typing import NDArray

from peculiar.errors import DataError, NotFoundError, PeculiarWarning, UsageError
from peculiar.files.places import fetched
from peculiar.tables.column import Column, notes_of, texts
from peculiar.tables.formats import MODEL_NOTE, check_file, parts_below, table_format
from peculiar.tables.parquet import check_footer, described_schema
from peculiar.tables.reader import TableReader
from peculiar.tables.typed import carried, described
from peculiar.tables.writers.stream import schema_of
from peculiar.text import reason

BLOCK = 16_384
"""Number of rows per block: 25 MB of embeddings of 384 values."""


_MADE_BY = (MODEL_NOTE, "crop", "views")
"""Notes of a catalogue that have to be the same in all of its parts, so that their probabilities are comparable."""


class Store(ABC):
    """Access to the rows of a table.

    Attributes
    ----------
    files : list of path
        Files that the rows are read from; empty for rows in memory.
    state : str
        Identifies the files in their state when they were opened; empty for rows in memory.
    """

    @property
    def files(self) -> Sequence[Path]:
        """The files that the rows are read from."""
        return ()

    @property
    def state(self) -> str:
        """Identifies the files in their state when they were opened."""
        return ""

    @property
    @abstractmethod
    def schema(self) -> pa.Schema:
        """Columns and notes."""

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of rows."""

    @property
    @abstractmethod
    def dataset(self) -> pa.dataset.Dataset:
        """The rows as an object that DuckDB can query."""

    @abstractmethod
    def take(self, rows: NDArray[np.integer], columns: Sequence[str]) -> pa.Table:
        """Read some columns of some rows, in the order of `rows`."""

    @abstractmethod
    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Yield some columns of all rows, in order."""

    @abstractmethod
    def check_unchanged(self) -> None:
        """Raise `DataError` if the files have changed since they were opened."""

    @abstractmethod
    def damaged(self, error: Exception) -> DataError:
        """Return the message for a failed read."""


class MemoryStore(Store):
    """Rows in memory."""

    def __init__(self, table: pa.Table) -> None:
        self.table = table

    @property
    def schema(self) -> pa.Schema:
        """Columns and notes."""
        return self.table.schema

    def __len__(self) -> int:
        """Return the number of rows."""
        return int(self.table.num_rows)

    @cached_property
    def dataset(self) -> pa.dataset.Dataset:
        """The rows as an object that DuckDB can query."""
        return pa.dataset.dataset(self.table)

    def take(self, rows: NDArray[np.integer], columns: Sequence[str]) -> pa.Table:
        """Read some columns of some rows, in the order of `rows`."""
        return self.table.select(list(columns)).take(pa.array(rows, pa.int64()))

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Yield some columns of all rows, in order."""
        yield from self.table.select(list(columns)).to_batches(max_chunksize=BLOCK)

    def check_unchanged(self) -> None:
        """Do nothing: rows in memory do not change."""

    def damaged(self, error: Exception) -> DataError:
        """Return the message for a failed read."""
        return DataError(f"the catalogue in memory cannot be read ({reason(error)})")


class ParquetStore(Store):
    """Rows of one Parquet file, of a folder of parts with the same columns, or of a HATS catalogue.

    Parameters
    ----------
    path : path

    Raises
    ------
    NotFoundError
        If it does not exist.
    UsageError
        If it is a table of another format.
    DataError
        If it is damaged, not a table, or its parts have different columns.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._files = _parts(path)
        self._opened_state = self._state()
        try:
            here = [str(fetched(file).absolute()) for file in self._files]
            self._dataset = pa.dataset.dataset(here, format="parquet")
            self._rows = int(self._dataset.count_rows())
            fragments = list(self._dataset.get_fragments())
            parts = [(one.path, one.physical_schema) for one in fragments]
            for file, fragment in zip(self._files, fragments, strict=True):
                _check_rows(fragment.metadata, file)
        except (pa.ArrowException, OSError) as error:
            raise self.damaged(error) from error
        self._schema = described_schema(self._dataset.schema, self._files[0])
        columns = {field.name: Column.of(field) for field in self._schema}
        for part, schema in parts:
            types = {field.name: field.type for field in schema}
            odd = [name for name, column in columns.items() if not _alike(types.get(name), column.type)]
            if odd:
                message = (
                    f"{part}: the columns {', '.join(odd)} differ from those of {self._files[0].name}; the parts of a "
                    "catalogue need the same columns"
                )
                raise DataError(message)
        self._warn_of_makers([schema for _, schema in parts])

    def _warn_of_makers(self, schemas: Sequence[pa.Schema]) -> None:
        """Warn if parts were made by different models, or from differently prepared pictures."""
        notes = [texts(schema.metadata) for schema in schemas]
        made = {name: dict.fromkeys(one[name] for one in notes if name in one) for name in _MADE_BY}
        if unlike := {name: list(values) for name, values in made.items() if len(values) > 1}:
            listed = "; ".join(f"{name} {', '.join(one[:12] for one in values)}" for name, values in unlike.items())
            message = (
                f"{self.path}: its parts were made in different ways ({listed}), so their probabilities are not "
                "comparable; put each kind into a folder of its own"
            )
            warnings.warn(message, PeculiarWarning, stacklevel=4)

    @property
    def files(self) -> Sequence[Path]:
        """The file, or the parts."""
        return self._files

    @property
    def state(self) -> str:
        """Identifies the files in their state when they were opened."""
        return self._opened_state

    @property
    def schema(self) -> pa.Schema:
        """Columns and notes."""
        return self._schema

    def __len__(self) -> int:
        """Return the number of rows."""
        return self._rows

    @property
    def dataset(self) -> pa.dataset.Dataset:
        """The rows as an object that DuckDB can query."""
        return self._dataset

    def take(self, rows: NDArray[np.integer], columns: Sequence[str]) -> pa.Table:
        """Read some columns of some rows, in the order of `rows`."""
        self.check_unchanged()
        try:
            return self._dataset.take(pa.array(rows, pa.int64()), columns=list(columns))
        except (pa.ArrowException, OSError) as error:
            raise self.damaged(error) from error

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Yield some columns of all rows, in order."""
        self.check_unchanged()
        try:
            # Neither as a data set nor with read-ahead, which would both hold gigabytes of embeddings in memory.
            for file in self._files:
                parquet = pa.parquet.ParquetFile(fetched(file), pre_buffer=False, buffer_size=1 << 20)
                yield from parquet.iter_batches(batch_size=BLOCK, columns=list(columns))
        except (pa.ArrowException, OSError) as error:
            raise self.damaged(error) from error

    def check_unchanged(self) -> None:
        """Raise `DataError` if the files have changed since they were opened.

        Rows read before and after a change would not belong together.
        """
        try:
            same = self._state() == self._opened_state
        except OSError:
            same = False
        if not same:
            message = f"{self.path} has changed since it was opened; open it again (restart `peculiar label`)"
            raise DataError(message)

    def damaged(self, error: Exception) -> DataError:
        """Return the message for a failed read."""
        return DataError(
            f"{self.path}: cannot be read as Parquet ({reason(error)}); it is damaged, cut short or of another kind"
        )

    def _state(self) -> str:
        return state_of(self.path, self._files)


class LaterStore(Store):
    """Rows of a table of any format, opened on first access.

    Formats other than Parquet are read into memory.

    Parameters
    ----------
    path : path
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @cached_property
    def _opened(self) -> Store:
        if self.path.is_dir() or table_format(self.path) == "parquet":
            return ParquetStore(self.path)
        reader = TableReader(self.path)
        columns = described(reader, reader.columns)
        return MemoryStore(pa.Table.from_batches(carried(reader, columns), schema_of(columns, notes_of(reader.schema))))

    @property
    def files(self) -> Sequence[Path]:
        """The file, or the parts of a folder."""
        return self._opened.files or [self.path]

    @property
    def state(self) -> str:
        """Identifies the files in their state when they were opened; empty for rows in memory."""
        return self._opened.state

    @property
    def schema(self) -> pa.Schema:
        """Columns and notes."""
        return self._opened.schema

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self._opened)

    @property
    def dataset(self) -> pa.dataset.Dataset:
        """The rows as an object that DuckDB can query."""
        return self._opened.dataset

    def take(self, rows: NDArray[np.integer], columns: Sequence[str]) -> pa.Table:
        """Read some columns of some rows, in the order of `rows`."""
        return self._opened.take(rows, columns)

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Yield some columns of all rows, in order."""
        return self._opened.batches(columns)

    def check_unchanged(self) -> None:
        """Raise `DataError` if the files have changed since they were opened."""
        self._opened.check_unchanged()

    def damaged(self, error: Exception) -> DataError:
        """Return the message for a failed read."""
        return self._opened.damaged(error)


def state_of(path: Path, files: Sequence[Path]) -> str:
    """Return a key for files: before the first hyphen their identity, after it their state."""
    states = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    place = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:16]
    return f"{place}-{hashlib.sha256(json.dumps(states).encode()).hexdigest()[:16]}"


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
        message = f"{path} is not a catalogue: neither Parquet nor another known kind of table"
        raise DataError(message)
    if format != "parquet":
        other = path.with_suffix(".parquet")
        message = f"{path} is {format}, and searching needs Parquet; type: peculiar data convert {path} {other}"
        raise UsageError(message)
    return [path]


def _check_rows(metadata: pa.parquet.FileMetaData, file: Path) -> None:
    """Raise `DataError` if a file claims more rows than it holds, which DuckDB would make room for."""
    try:
        check_footer(metadata, file)
    except DataError as error:
        raise DataError(f"{file}: {error}") from error


def _alike(one: pa.DataType | None, other: pa.DataType) -> bool:
    """Return whether a column may have these types in two parts: numbers may differ, lengths of lists may not."""
    if one is None or not pa.types.is_fixed_size_list(other):
        return one is not None
    return bool(pa.types.is_fixed_size_list(one) and one.list_size == other.list_size)
