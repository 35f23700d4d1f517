"""Rows as FITS and VOTable hold them: big-endian records of one width."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from peculiar.column import Column

_CANDIDATES = 64


@dataclass(slots=True)
class Extent:
    """What has to be known of all values of a column before its first is written.

    Parameters
    ----------
    ascii : bool
        Whether its text is ASCII alone.
    utf8, utf16 : int
        Bytes of its longest text.
    missing : bool
        Whether something in it is null.
    holes : bool
        Whether elements of its lists are.
    unused : array
        Integers of its type that it does not hold, to stand for null.
    """

    ascii: bool = True
    utf8: int = 0
    utf16: int = 0
    missing: bool = False
    holes: bool = False
    unused: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))


def measure(schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> list[Extent]:
    """Return the extents of the columns; `batches` is gone through once."""
    extents = [Extent(unused=_candidates(field.type)) for field in schema]
    for batch in batches:
        for extent, array in zip(extents, batch.columns, strict=True):
            _widen(extent, array)
    return extents


def _candidates(type: pa.DataType) -> NDArray[np.int64]:
    """Return the least, the largest, the second least ... integers of a type."""
    type = element(type)
    if not pa.types.is_integer(type):
        return np.empty(0, np.int64)
    limits = np.iinfo(type.to_pandas_dtype())
    pairs = ((limits.min + step, limits.max - step) for step in range(_CANDIDATES // 2))
    return np.array([value for pair in pairs for value in pair], dtype=np.int64)


def _widen(extent: Extent, array: pa.Array) -> None:
    inner = array
    if pa.types.is_fixed_size_list(array.type):
        inner = array.flatten()
        extent.holes |= bool(inner.null_count)
    extent.missing |= bool(array.null_count or inner.null_count)
    if pa.types.is_string(array.type):
        extent.utf8 = max(extent.utf8, pc.max(pc.binary_length(array)).as_py() or 0)
        if pc.all(pc.string_is_ascii(array)).as_py() is False:
            extent.ascii = False
        # A character takes two bytes of UTF-16, or four where it takes four of UTF-8.
        lengths = (len(text.encode("utf-16-be")) for text in array.drop_null().to_pylist()) if not extent.ascii else ()
        plain = 2 * (pc.max(pc.utf8_length(array)).as_py() or 0)
        extent.utf16 = max(extent.utf16, plain, *lengths)
    elif len(extent.unused):
        extent.unused = np.setdiff1d(extent.unused, inner.drop_null().to_numpy(), assume_unique=False)


def _elements(array: pa.Array) -> pa.Array:
    """Return the elements of all lists, also of those that are null."""
    size = array.type.list_size
    return array.values.slice(array.offset * size, len(array) * size)


def element(type: pa.DataType) -> pa.DataType:
    """Return the type of a list's elements, or that of a value that is no list."""
    return type.value_type if pa.types.is_fixed_size_list(type) else type


def row_type(columns: Sequence[Column], widths: Sequence[int], *, nulls: bool) -> np.dtype[np.void]:
    """Return the type of a row.

    Parameters
    ----------
    columns : sequence of Column
    widths : sequence of int
        For each column of text its bytes.
    nulls : bool
        Begin with a bit a column that is set where its value is null, as VOTable's BINARY2 does.

    Returns
    -------
    numpy.dtype
        With the fields f0, f1 ..., and before them perhaps one named nulls.
    """
    fields: list[tuple[Any, ...]] = [("nulls", "u1", (-(-len(columns) // 8),))] if nulls else []
    for number, (column, width) in enumerate(zip(columns, widths, strict=True)):
        inner = element(column.type)
        if pa.types.is_string(inner):
            kind = np.dtype(f"S{width}")
        else:
            kind = np.dtype("u1" if pa.types.is_boolean(inner) else inner.to_pandas_dtype()).newbyteorder(">")
        shape = (column.type.list_size,) if inner != column.type else ()
        fields.append((f"f{number}", kind, shape))
    return np.dtype(fields)


def records(
    batches: Iterable[pa.RecordBatch], row: np.dtype[np.void], blanks: Sequence[Any], encoding: Sequence[str]
) -> Iterator[bytes]:
    """Yield rows as bytes, batch by batch.

    Parameters
    ----------
    batches : iterable of pyarrow.RecordBatch
    row : numpy.dtype
        See `row_type`.
    blanks : sequence
        For each column what stands for null.
    encoding : sequence of str
        For each column of text how its characters are encoded.
    """
    for batch in batches:
        rows = np.zeros(batch.num_rows, dtype=row)
        for number, (array, blank, code) in enumerate(zip(batch.columns, blanks, encoding, strict=True)):
            rows[f"f{number}"] = _values(array, blank, code)
        if "nulls" in (row.names or ()):
            missing = [array.is_null().to_numpy(zero_copy_only=False) for array in batch.columns]
            rows["nulls"] = np.packbits(np.stack(missing, axis=1), axis=1)
        yield rows.tobytes()


def _values(array: pa.Array, blank: Any, encoding: str) -> NDArray[Any]:
    if pa.types.is_string(array.type):
        texts = array.fill_null("")
        if encoding == "utf-16-be":
            return np.array([text.encode(encoding) for text in texts.to_pylist()], dtype=np.bytes_)
        return np.array(texts.cast(pa.binary()).to_pylist(), dtype=np.bytes_)  # Arrow's text is UTF-8, and so ASCII
    if pa.types.is_boolean(array.type):
        signs = pc.if_else(array, ord("T"), ord("F")).fill_null(blank)
        return np.asarray(signs.to_numpy(zero_copy_only=False), dtype=np.uint8)
    if pa.types.is_fixed_size_list(array.type):
        inner = _elements(array).fill_null(blank).to_numpy(zero_copy_only=False)
        values = inner.reshape(len(array), array.type.list_size)
        if array.null_count:
            missing = array.is_null().to_numpy(zero_copy_only=False)
            values = np.where(missing[:, None], np.asarray(blank, values.dtype), values)
        return np.asarray(values)
    return np.asarray(array.fill_null(blank).to_numpy(zero_copy_only=False))
