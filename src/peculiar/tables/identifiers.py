"""Ids of galaxies: text inside peculiar, and the original type in tables.

Inside peculiar an id is its canonical text, so 123, 123.0 and "123" are the same galaxy, and "007" and 7 differ. Output
for other programs has the type of the column from which the ids were read, because these programs compare numbers with
numbers and text with text.
"""

import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from peculiar.errors import PeculiarWarning
from peculiar.tables.key_columns import ID_COLUMNS, find_column, simple_name
from peculiar.tables.reader import MANY_ROWS, TableReader

WHOLE_NUMBER = r"^(0|-?[1-9][0-9]*)$"
"""An integer in canonical form: 0017, +1 and -0 would change when read as integers."""

_NUMBER = r"^-?[0-9]+(\.[0-9]+)?(e[+-]?[0-9]+)?$|^-?inf$"


def entry_text(value: Any) -> str | None:
    """Return a value as text, None if it is empty: bytes are decoded, and integers have no decimals."""
    if value is None or value != value:  # noqa: PLR0124 - NaN and NaT differ from themselves, whatever their type
        return None
    if isinstance(value, bytes):
        value = value.decode(errors="replace")
    elif isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value) or None


def repeated_ids(read: Callable[[], Iterable[Sequence[str]]]) -> tuple[int, list[str]]:
    """Count the ids that occur more than once.

    Parameters
    ----------
    read : callable
        Returns the ids, batch by batch. Eight bytes of each are kept; if some occur twice, the ids are read again.

    Returns
    -------
    count : int
    first : list of str
        Up to three of them.
    """
    kept = [np.fromiter(map(hash, batch), np.int64, len(batch)) for batch in read()]
    values, counts = np.unique(np.concatenate([np.empty(0, np.int64), *kept]), return_counts=True)
    twice = set(values[counts > 1].tolist())
    found = (id_ for batch in (read() if twice else ()) for id_ in batch if hash(id_) in twice)
    first: dict[str, None] = {}
    for id_ in found:
        first[id_] = None
        if len(first) == min(3, len(twice)):
            break
    return len(twice), list(first)


def warn_of_ids(path: Path, read: Callable[[], Iterable[Sequence[str]]]) -> None:
    """Warn of ids that occur more than once; `read` is as in `repeated_ids`."""
    count, first = repeated_ids(read)
    if count:
        message = (
            f"{path}: ids that occur more than once: {count:,}, such as {', '.join(map(repr, first))}; joins by id "
            "will confuse their rows. Name another column with --id COLUMN, or make the ids unique"
        )
        warnings.warn(message, PeculiarWarning, stacklevel=3)


def warn_of_no_ids(table: TableReader, other: Iterable[str | None]) -> None:
    """Warn that rows are numbered, if a column may hold ids under another name.

    Parameters
    ----------
    table : TableReader
    other : iterable of str or None
        Columns that hold something else.
    """
    taken = {simple_name(name) for name in other if name}
    left = [field.name for field in table.schema if _may_be_id(field.type) and simple_name(field.name) not in taken]
    if left:
        message = (
            f"{table.path}: no column of ids was recognised, so rows are numbered; name one with --id COLUMN. "
            f"There are: {', '.join(one or repr(one) for one in left[:20])}"
            + (f" and {len(left) - 20} more" if len(left) > 20 else "")
        )
        warnings.warn(message, PeculiarWarning, stacklevel=3)


def _may_be_id(kind: pa.DataType) -> bool:
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_integer(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind))


def id_texts(array: pa.Array) -> pa.Array:
    """Return ids as canonical text, null if there is none."""
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pa.types.is_integer(array.type):
        return array.cast(pa.string())
    if pa.types.is_string(array.type) or pa.types.is_large_string(array.type) or pa.types.is_string_view(array.type):
        texts = array.cast(pa.string())
        return pc.if_else(pc.equal(texts, ""), None, texts)
    return pa.array([entry_text(value) for value in array.to_pylist()], pa.string())


@dataclass(frozen=True, slots=True)
class ArrayIds:
    """Ids in an array beside the pictures, in NPZ and HDF5.

    Parameters
    ----------
    type : pyarrow.DataType
    texts : list of (str or None)
    stem : str
        Name of the file, used for pictures without an id.
    """

    type: pa.DataType
    texts: list[str | None]
    stem: str

    def __getitem__(self, row: int) -> str:
        """Return the id of a row."""
        return self.texts[row] or f"{self.stem}-{row}"

    @classmethod
    def of(cls, values: NDArray[Any] | None, count: int, stem: str) -> "ArrayIds":
        """Return the ids of an array; the names of rows if there is no array of ids."""
        if values is None or values.shape != (count,) or values.dtype.kind not in "iuSUO":
            return cls(pa.string(), [None] * count, stem)
        if values.dtype.kind in "iu":
            numbers = pa.array(values.astype(values.dtype.newbyteorder("="), copy=False))
            return cls(numbers.type, id_texts(numbers).to_pylist(), stem)
        texts = [entry_text(value) for value in values.tolist()]
        return cls(pa.string(), [None if text is None else text.rstrip(" \0") for text in texts], stem)


def name_of_ids(names: Sequence[str]) -> str | None:
    """Return the array that holds ids, by its name."""
    return find_column((*ID_COLUMNS, "ids"), names)


def typed_ids(ids: Sequence[str | None] | pa.Array, type: pa.DataType) -> pa.Array:
    """Return ids in a type; null if their text is not a value of the type, such as the name of a row without an id."""
    texts = ids if isinstance(ids, pa.Array) else pa.array(ids, pa.string())
    if pa.types.is_string(type):
        return texts
    try:
        return texts.cast(type)
    except pa.ArrowInvalid:
        pattern = WHOLE_NUMBER if pa.types.is_integer(type) else _NUMBER
        return pc.if_else(pc.match_substring_regex(texts, pattern), texts, None).cast(type)


def type_of_ids(table: TableReader, column: str | None) -> pa.DataType:
    """Return the type for writing the ids of a column.

    Numbers and text keep their type. CSV has no types: its ids are 64-bit integers if all of them are written so,
    otherwise text. Other types become text.

    Parameters
    ----------
    table : TableReader
    column : str or None
        None if the rows are named by their number.
    """
    if column is None:
        return pa.string()
    if table.format == "csv":
        return whole_type(batch.column(0) for batch in table.batches([column], rows=MANY_ROWS))
    type = table.schema.types[table.columns.index(column)]
    if pa.types.is_dictionary(type):
        type = type.value_type
    exact = pa.types.is_decimal(type) and type.scale == 0
    return type if exact or pa.types.is_integer(type) or pa.types.is_floating(type) else pa.string()


def whole_type(texts: Iterable[pa.Array]) -> pa.DataType:
    """Return int64 or uint64 if all texts are canonical integers of that type, otherwise string."""
    left, seen = [pa.int64(), pa.uint64()], False
    for array in texts:
        left = [type for type in left if holds(array, type)]
        seen |= array.null_count < len(array)
        if not left:
            break
    return left[0] if left and seen else pa.string()


def holds(texts: pa.Array, type: pa.DataType) -> bool:
    """Return whether all texts are canonical integers of a type; nulls count as such."""
    if pc.all(pc.match_substring_regex(texts, WHOLE_NUMBER)).as_py() is False:
        return False
    try:
        texts.cast(type)
    except pa.ArrowInvalid:
        return False
    return True


def widest(types: Iterable[pa.DataType]) -> pa.DataType:
    """Return the narrowest type that holds the ids of all types unchanged, or text."""
    distinct = list(dict.fromkeys(types))
    if len(distinct) == 1:
        return distinct[0]
    if not distinct or not all(pa.types.is_integer(one) or pa.types.is_floating(one) for one in distinct):
        return pa.string()
    common = np.result_type(*(one.to_pandas_dtype() for one in distinct))
    # NumPy would choose float64 as a type that holds int64, but it keeps only 16 of 19 digits.
    long = any(pa.types.is_integer(one) and one.bit_width == 64 for one in distinct)
    return pa.string() if common.kind == "f" and long else pa.from_numpy_dtype(common)
