"""Read vectors and their ids, such as the embeddings of any network, from a table or NumPy's files."""

import lzma
import math
import re
import tokenize
import zipfile
import zlib
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from peculiar.errors import DataError, UnknownNameError, UsageError
from peculiar.files.limits import WHOLE_BYTES
from peculiar.tables.formats import check_file, is_table, parts_below
from peculiar.tables.identifiers import id_texts, name_of_ids
from peculiar.tables.key_columns import find_column, find_id
from peculiar.tables.reader import TableReader
from peculiar.text import counted, nth_row, reason

VECTOR_COLUMNS = (
    *("embedding", "embeddings", "image_embedding", "vector", "vectors", "features", "feature"),
    *("representation", "representations", "latent", "latents", "emb", "z"),
)
"""Names of columns of embeddings, the most usual first; case and characters such as _ do not matter."""

ROWS = 1 << 13
"""Rows that are read together."""

_NUMBERED = re.compile(r"(.*?)(\d+)")

# An NPY file has no ids: they are in a table of the same name beside it.
_BESIDE = (".parquet", ".csv", ".tsv", ".fits", ".ecsv", ".vot")

# Exceptions of zipfile, its decompressors and NumPy for damage in different places, as for pictures in NPZ.
_DAMAGE = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, OSError, EOFError, ValueError, TypeError, SyntaxError),
    *(RuntimeError, MemoryError, OverflowError, LookupError, tokenize.TokenError),
)


class Vectors(ABC):
    """Vectors of one length and their ids, read block by block.

    Attributes
    ----------
    path : path
    width : int
        Length of the vectors.
    """

    path: Path
    width: int

    @property
    def files(self) -> Sequence[Path]:
        """The files that are read."""
        return [self.path]

    @abstractmethod
    def ids(self) -> Iterator[pa.Array]:
        """Yield the ids as text, in order; null if there is none."""

    @abstractmethod
    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """Yield the vectors in order, shape (rows, width); NaN for what is missing."""


def open_vectors(path: Path, id: str | None = None) -> Vectors:
    """Open a file with vectors and ids.

    Parameters
    ----------
    path : path
        A table of any format with a column of ids, and either a column of lists of numbers or one column a number
        (``e0``, ``e1`` ...); an NPZ file with an array of ids and one of vectors, shape (n, d); or an NPY file with
        vectors beside a table of the same name with their ids.
    id : str, optional
        The column, or the array, of ids; by default the first with a usual name.

    Raises
    ------
    NotFoundError
        If nothing is there.
    UnknownNameError
        If there is no column of ids, or none of that name.
    UsageError
        If it is not clear which column holds the vectors, or where the ids of an NPY file are.
    DataError
        If it is damaged, or holds no vectors.

    Examples
    --------
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from peculiar.tables.vectors import open_vectors
    >>> np.savez("zoobot.npz", ids=["a", "b"], embeddings=np.ones((2, 640), np.float16))
    >>> open_vectors(Path("zoobot.npz")).width
    640
    """
    check_file(path)
    if path.is_file():
        with path.open("rb") as file:
            head = file.read(6)
        if head == b"\x93NUMPY":
            return _beside(path, id)
        if head.startswith(b"PK\x03\x04"):
            return _in_npz(path, id)
    return TableVectors(TableReader(path), id)


class TableVectors(Vectors):
    """Vectors in a table: in a column of lists, or one column a number.

    Parameters
    ----------
    reader : TableReader
    id : str, optional
        The column of ids.
    """

    def __init__(self, reader: TableReader, id: str | None = None) -> None:
        self.path, self._reader, self._id = reader.path, reader, _id_column(reader, id)
        listed = [field.name for field in reader.schema if _is_vector(field.type)]
        self._listed: str | None = None
        self._numbered: list[str] = []
        if listed:
            self._listed = _only(listed, "columns of vectors", reader.path)
            reader.check_column(self._listed)
            self.width = self._first_width(self._listed)
        else:
            self._numbered = _numbered_columns(reader, self._id)
            self.width = len(self._numbered)

    @property
    def files(self) -> Sequence[Path]:
        """The file, or the parts of a folder."""
        return parts_below(self.path) if self.path.is_dir() else [self.path]

    def ids(self) -> Iterator[pa.Array]:
        """Yield the ids as text."""
        return _ids_in(self._reader, self._id)

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """Yield the vectors."""
        row = 0
        for batch in self._reader.batches([self._listed] if self._listed else self._numbered, rows=ROWS):
            yield self._of_lists(batch.column(0), row) if self._listed else self._of_columns(batch)
            row += batch.num_rows

    def _first_width(self, name: str) -> int:
        """Return the length of the first vector."""
        for batch in self._reader.batches([name], rows=ROWS):
            lengths = _lengths(batch.column(0))
            if len(filled := lengths.filter(pc.greater(lengths, 0))):
                return int(filled[0].as_py())
        message = f"{self.path}: the column {name!r} has no vector in any row; write the embeddings into it"
        raise DataError(message)

    def _of_lists(self, array: pa.Array, first: int) -> NDArray[np.float32]:
        lengths = _lengths(array).fill_null(0).to_numpy(zero_copy_only=False)
        odd = np.flatnonzero((lengths != 0) & (lengths != self.width))
        if len(odd):
            message = (
                f"{self.path}: vectors have different lengths: {self.width} numbers in the first, {lengths[odd[0]]} in "
                f"{nth_row(first + int(odd[0]))}; embeddings of one network have the same length"
            )
            raise DataError(message)
        block = np.full((len(array), self.width), np.nan, dtype=np.float32)
        storage = array.storage if isinstance(array, pa.ExtensionArray) else array
        block[lengths != 0] = _float32(storage.flatten().to_numpy(zero_copy_only=False)).reshape(-1, self.width)
        return block

    def _of_columns(self, batch: pa.RecordBatch) -> NDArray[np.float32]:
        block = np.empty((batch.num_rows, self.width), dtype=np.float32)
        for number, name in enumerate(self._numbered):
            array = batch.column(number)
            try:
                texts = pc.replace_substring_regex(array, r"^\+", "") if self._reader.format == "csv" else array
                block[:, number] = _float32(texts.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False))
            except pa.ArrowInvalid as error:
                message = (
                    f"{self.path}: the column {name!r} holds a value that is no number ({error}); leave the cell empty"
                )
                raise DataError(message) from error
        return block


@dataclass(frozen=True, slots=True)
class _Npy:
    """An array in NumPy's format: in a file of its own, or a member of an NPZ file."""

    path: Path
    name: str
    open: Callable[[], Any]
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fortran: bool

    @classmethod
    def of(cls, path: Path, name: str, open: Callable[[], Any]) -> "_Npy":
        with _guarded(path), open() as file:
            shape, fortran, dtype = _header(file)
        return cls(path, name, open, shape, dtype, fortran)

    def blocks(self) -> Iterator[NDArray[Any]]:
        """Yield some rows at a time."""
        size = self.dtype.itemsize * math.prod(self.shape[1:])
        whole = self.fortran and len(self.shape) > 1
        if whole and size * self.shape[0] > WHOLE_BYTES:
            message = (
                f"{self.path}: {self.name!r} lies column by column and is too large to be read as a whole; write "
                "np.ascontiguousarray(embeddings)"
            )
            raise DataError(message)
        once = max(self.shape[0], 1) if whole else ROWS
        with _guarded(self.path), self.open() as file:
            _header(file)
            for start in range(0, self.shape[0], once):
                shape = (min(once, self.shape[0] - start), *self.shape[1:])
                values = np.frombuffer(file.read(shape[0] * size), self.dtype)
                yield values.reshape(shape, order="F" if self.fortran else "C")


class _ArrayVectors(Vectors):
    """Vectors in an array, whose ids lie elsewhere."""

    def __init__(self, array: _Npy, ids: Callable[[], Iterator[pa.Array]], files: Sequence[Path]) -> None:
        self.path, self.width = array.path, array.shape[1]
        self._array, self._read_ids, self._files = array, ids, files

    @property
    def files(self) -> Sequence[Path]:
        return self._files

    def ids(self) -> Iterator[pa.Array]:
        return self._read_ids()

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        return (_float32(block) for block in self._array.blocks())


def _in_npz(path: Path, id: str | None) -> Vectors:
    """Return the vectors of an NPZ file, and the ids in another of its arrays."""
    with _guarded(path), zipfile.ZipFile(path) as archive:
        names = [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]
    arrays = {name: _Npy.of(path, name, _member(path, name)) for name in names}
    if id is not None and id not in arrays:
        raise UnknownNameError("array", id, names, where=f"in {path.name}")
    named = id or name_of_ids(names)
    if named is None:
        raise UnknownNameError("array", "ids", names, where=f"in {path.name}, which has to hold the ids of its vectors")
    matrices = [name for name, one in arrays.items() if len(one.shape) == 2 and one.dtype.kind in "iuf"]
    if not matrices:
        message = f"{path}: holds no vectors; write them with np.savez(path, ids=ids, embeddings=array of shape (n, d))"
        raise DataError(message)
    vectors, ids = arrays[_only(matrices, "arrays of vectors", path)], arrays[named]
    if ids.dtype.hasobject:
        message = (
            f"{path}: {named!r} holds pickled Python objects, which can run any program and are not read; write text "
            "as np.array(ids, dtype=str)"
        )
        raise DataError(message)
    _check_count(path, vectors, ids.shape[0] if len(ids.shape) == 1 else -1)

    def read() -> Iterator[pa.Array]:
        for block in ids.blocks():
            native = block.astype(block.dtype.newbyteorder("="), copy=False)
            yield id_texts(pa.array(native if native.dtype.kind in "iuf" else native.tolist()))

    return _ArrayVectors(vectors, read, [path])


def _beside(path: Path, id: str | None) -> Vectors:
    """Return the vectors of an NPY file, and the ids in a table of the same name."""
    tables = [one for ending in _BESIDE if (one := path.with_suffix(ending)).is_file() and is_table(one)]
    if not tables:
        message = (
            f"{path}: an NPY file holds no ids; put a table of them beside it, one row a vector, as "
            f"{path.with_suffix('.csv').name}, or write np.savez(path, ids=ids, embeddings=embeddings)"
        )
        raise UsageError(message)
    if len(tables) > 1:
        message = f"{path}: ids may be in {' or '.join(one.name for one in tables)}; keep one table of that name"
        raise UsageError(message)
    array = _Npy.of(path, path.stem, lambda: path.open("rb"))
    if len(array.shape) != 2 or array.dtype.kind not in "iuf":
        message = f"{path}: holds {array.dtype} of shape {array.shape}; vectors are numbers of shape (n, d)"
        raise DataError(message)
    reader = TableReader(tables[0])
    _check_count(path, array, len(reader))
    return _ArrayVectors(array, partial(_ids_in, reader, _id_column(reader, id)), [path, tables[0]])


def _check_count(path: Path, vectors: _Npy, ids: int) -> None:
    if ids != vectors.shape[0]:
        told = "the ids have another shape" if ids < 0 else f"{counted(ids, 'id', 'are', 'is')} there"
        message = f"{path}: {vectors.name!r} has {vectors.shape[0]:,} rows, but {told}; write one id for each vector"
        raise DataError(message)
    if not vectors.shape[1]:
        message = f"{path}: {vectors.name!r} has vectors of length 0; write the embeddings into it"
        raise DataError(message)


def _member(path: Path, name: str) -> Callable[[], Any]:
    @contextmanager
    def opened() -> Iterator[IO[bytes]]:
        with zipfile.ZipFile(path) as archive, archive.open(f"{name}.npy") as file:
            yield file

    return opened


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    return read(file)


@contextmanager
def _guarded(path: Path) -> Iterator[None]:
    try:
        yield
    except DataError:
        raise
    except _DAMAGE as error:
        message = f"{path}: is damaged ({reason(error)}); write it again"
        raise DataError(message) from error


def _id_column(reader: TableReader, id: str | None) -> str:
    name = find_id(reader.schema, id)
    if name is None:
        where = f"in {reader.path.name}, nor one of another usual name of ids; name one with --embeddings-id"
        raise UnknownNameError("column", "id", reader.columns, where=where)
    reader.check_column(name)
    reader.warn_of_lost_digits(name)
    return name


def _ids_in(reader: TableReader, column: str) -> Iterator[pa.Array]:
    return (id_texts(batch.column(0)) for batch in reader.batches([column], rows=ROWS))


def _is_vector(kind: pa.DataType) -> bool:
    """Return True if a column of a type holds a list of numbers a row."""
    kind = kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind
    listed = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    return bool(listed and _is_number(kind.value_type))


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _only(names: Sequence[str], kind: str, path: Path) -> str:
    """Return the only one of some names, or the first of a usual name."""
    found = names[0] if len(names) == 1 else find_column(VECTOR_COLUMNS, names)
    if found is None:
        message = f"{path}: has several {kind} ({', '.join(names[:20])}); keep one, or call it 'embedding'"
        raise UsageError(message)
    return found


def _numbered_columns(reader: TableReader, id: str) -> list[str]:
    """Return the columns of numbers that are numbered from 0 or 1, those of the longest row of numbers."""
    groups: dict[str, dict[int, str]] = defaultdict(dict)
    for field in reader.schema:
        match = _NUMBERED.fullmatch(field.name)
        if match and field.name != id and (_is_number(field.type) or reader.format == "csv"):
            groups[match[1]].setdefault(int(match[2]), field.name)
    rows = [
        [group[number] for number in sorted(group)]
        for group in groups.values()
        if len(group) > 1 and min(group) in (0, 1) and max(group) - min(group) == len(group) - 1
    ]
    rows.sort(key=len, reverse=True)
    if not rows:
        message = (
            f"{reader.path}: has no column of vectors, nor numbered columns of numbers, as e0, e1, e2; there are: "
            f"{', '.join(reader.columns[:20])}"
        )
        raise DataError(message)
    if len(rows) > 1 and len(rows[0]) == len(rows[1]):
        told = " or ".join(f"{row[0]} to {row[-1]}" for row in rows[:2])
        message = f"{reader.path}: it is not clear which columns are the vectors: {told}; leave the others out"
        raise UsageError(message)
    return rows[0]


def _lengths(array: pa.Array) -> pa.Array:
    """Return the length of each list, null if there is none."""
    return pc.list_value_length(array.storage if isinstance(array, pa.ExtensionArray) else array)


def _float32(values: NDArray[Any]) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):  # the reader of the vectors refuses infinite numbers
        return np.asarray(values, dtype=np.float32)
