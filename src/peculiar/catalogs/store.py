"""Keep the rows of a catalogue: in Parquet files, in another kind of file, or in memory."""

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet
from numpy.typing import NDArray

from peculiar.errors import DataError, NotFoundError, UsageError
from peculiar.tables.column import Column, notes_of
from peculiar.tables.reader import TableReader, check_file, parts_below, table_format
from peculiar.tables.typed import carried, described
from peculiar.tables.writers.stream import schema_of

BLOCK = 16_384
"""Rows that are worked on together: 25 MB of embeddings of 384 values."""


class Store(ABC):
    """Rows of a table, and how to get at them.

    Attributes
    ----------
    files : list of path
        That the rows are read from; empty for rows in memory.
    state : str
        What tells the files, as they were when they were opened, from others and from what they were before; empty for
        rows in memory.
    """

    @property
    def files(self) -> Sequence[Path]:
        """The files that the rows are read from."""
        return ()

    @property
    def state(self) -> str:
        """What tells the files from what they were before."""
        return ""

    @property
    @abstractmethod
    def schema(self) -> pa.Schema:
        """Columns, and notes on the whole."""

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of rows."""

    @property
    @abstractmethod
    def dataset(self) -> pa.dataset.Dataset:
        """The rows as SQL sees them."""

    @abstractmethod
    def take(self, rows: NDArray[np.integer], columns: Sequence[str]) -> pa.Table:
        """Read some columns of some rows, in the order of `rows`."""

    @abstractmethod
    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Yield some columns of all rows, in order."""

    @abstractmethod
    def check_unchanged(self) -> None:
        """Raise `DataError` unless the files are as they were when they were opened."""

    @abstractmethod
    def damaged(self, error: Exception) -> DataError:
        """Return what to say where reading failed."""


class MemoryStore(Store):
    """Rows in memory."""

    def __init__(self, table: pa.Table) -> None:
        self.table = table

    @property
    def schema(self) -> pa.Schema:
        """Columns, and notes on the whole."""
        return self.table.schema

    def __len__(self) -> int:
        """Return the number of rows."""
        return int(self.table.num_rows)

    @cached_property
    def dataset(self) -> pa.dataset.Dataset:
        """The rows as SQL sees them."""
        return pa.dataset.dataset(self.table)

    def take(self, rows: NDArray[np.integer], columns: Sequence[str]) -> pa.Table:
        """Read some columns of some rows, in the order of `rows`."""
        return self.table.select(list(columns)).take(pa.array(rows, pa.int64()))

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Yield some columns of all rows, in order."""
        yield from self.table.select(list(columns)).to_batches(max_chunksize=BLOCK)

    def check_unchanged(self) -> None:
        """Do nothing: nobody else has a hold of them."""

    def damaged(self, error: Exception) -> DataError:
        """Return what to say where reading failed."""
        return DataError(f"the catalogue in memory cannot be read ({_line(error)})")


class ParquetStore(Store):
    """Rows of one Parquet file, or of a folder of parts with the same columns.

    Parameters
    ----------
    path : path

    Raises
    ------
    NotFoundError
        If nothing is there.
    UsageError
        If it is a table of another format.
    DataError
        If it is damaged, no table, or its parts have different columns.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._files = _parts(path)
        self._opened_state = self._state()
        try:
            self._dataset = pa.dataset.dataset([str(file.absolute()) for file in self._files], format="parquet")
            self._rows = int(self._dataset.count_rows())
            parts = [(one.path, one.physical_schema) for one in self._dataset.get_fragments()]
        except (pa.ArrowException, OSError) as error:
            raise self.damaged(error) from error
        columns = {field.name: Column.of(field) for field in self._dataset.schema}
        for part, schema in parts:
            types = {field.name: field.type for field in schema}
            odd = [name for name, column in columns.items() if not _alike(types.get(name), column.type)]
            if odd:
                message = (
                    f"{part}: has not the columns {', '.join(odd)} as {self._files[0].name} has them; the parts of a "
                    "catalogue have the same columns"
                )
                raise DataError(message)

    @property
    def files(self) -> Sequence[Path]:
        """The file, or the parts."""
        return self._files

    @property
    def state(self) -> str:
        """What tells the files, as they were when they were opened, from what they were before."""
        return self._opened_state

    @property
    def schema(self) -> pa.Schema:
        """Columns, and notes on the whole."""
        return self._dataset.schema

    def __len__(self) -> int:
        """Return the number of rows."""
        return self._rows

    @property
    def dataset(self) -> pa.dataset.Dataset:
        """The rows as SQL sees them."""
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
            # Neither as a data set nor with a buffer ahead: both would hold gigabytes of a file of embeddings.
            for file in self._files:
                parquet = pa.parquet.ParquetFile(file, pre_buffer=False, buffer_size=1 << 20)
                yield from parquet.iter_batches(batch_size=BLOCK, columns=list(columns))
        except (pa.ArrowException, OSError) as error:
            raise self.damaged(error) from error

    def check_unchanged(self) -> None:
        """Raise `DataError` unless the files are as they were when they were opened.

        What was read of them before would not fit what is read now: rows have other numbers then.
        """
        try:
            same = self._state() == self._opened_state
        except OSError:
            same = False
        if not same:
            message = f"{self.path} has changed since it was opened; open it again (restart `peculiar label`)"
            raise DataError(message)

    def damaged(self, error: Exception) -> DataError:
        """Return what to say where reading failed."""
        return DataError(
            f"{self.path}: cannot be read as Parquet ({_line(error)}); it is damaged, cut short or of another kind"
        )

    def _state(self) -> str:
        states = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in self._files]
        place = hashlib.sha256(str(self.path.resolve()).encode()).hexdigest()[:16]
        return f"{place}-{hashlib.sha256(json.dumps(states).encode()).hexdigest()[:16]}"


class LaterStore(Store):
    """Rows of a table of any format, which is opened when somebody asks for them.

    One that is no Parquet is read into memory.

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
        """The file; of a folder its parts."""
        return self._opened.files or [self.path]

    @property
    def state(self) -> str:
        """What tells the files from what they were before; empty for what was read into memory."""
        return self._opened.state

    @property
    def schema(self) -> pa.Schema:
        """Columns, and notes on the whole."""
        return self._opened.schema

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self._opened)

    @property
    def dataset(self) -> pa.dataset.Dataset:
        """The rows as SQL sees them."""
        return self._opened.dataset

    def take(self, rows: NDArray[np.integer], columns: Sequence[str]) -> pa.Table:
        """Read some columns of some rows, in the order of `rows`."""
        return self._opened.take(rows, columns)

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Yield some columns of all rows, in order."""
        return self._opened.batches(columns)

    def check_unchanged(self) -> None:
        """Raise `DataError` unless the files are as they were when they were opened."""
        self._opened.check_unchanged()

    def damaged(self, error: Exception) -> DataError:
        """Return what to say where reading failed."""
        return self._opened.damaged(error)


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


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
