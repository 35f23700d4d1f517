"""Ids of galaxies: text inside peculiar, and the original type in tables.

Inside peculiar an id is its canonical text, so 123, 123.0 and "123" are the same galaxy, and "007" and 7 differ. Output
for other programs has the type of the column from which the ids were read, because these programs compare numbers with
numbers and text with text.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from peculiar.tables.reader import ID_COLUMNS, TableReader, entry_text, find_column

WHOLE_NUMBER = r"^(0|-?[1-9][0-9]*)$"
"""An integer in canonical form: 0017, +1 and -0 would change when read as integers."""

_NUMBER = r"^-?[0-9]+(\.[0-9]+)?(e[+-]?[0-9]+)?$|^-?inf$"

BATCH_ROWS = 1 << 14


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
        return whole_type(batch.column(0) for batch in table.batches([column], rows=BATCH_ROWS))
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
