"""Rows as FITS and VOTable store them: big-endian records of fixed width."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from peculiar.tables.column import Column
from peculiar.tables.writers.stream import element, refuse_nul

_CANDIDATES = 64


@dataclass(slots=True)
class Extent:
    """Properties of all values of a column that are needed before the first is written.

    Parameters
    ----------
    ascii : bool
        Whether its text is pure ASCII.
    utf8, utf16 : int
        Bytes of its longest text.
    missing : bool
        Whether it contains nulls.
    holes : bool
        Whether elements of its lists are null.
    beyond : bool
        Whether it contains integers beyond signed 64 bits.
    unused : array
        Integers of its type that it does not contain, as candidates for null.
    """

    ascii: bool = True
    utf8: int = 0
    utf16: int = 0
    missing: bool = False
    holes: bool = False
    beyond: bool = False
    unused: NDArray[np.integer] = field(default_factory=lambda: np.empty(0, np.int64))


def measure(schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> list[Extent]:
    """Return the extents of the columns, in one pass over `batches`."""
    extents = [Extent(unused=_candidates(field.type)) for field in schema]
    for batch in batches:
        for extent, array, name in zip(extents, batch.columns, schema.names, strict=True):
            _widen(extent, array, name)
    return extents


def _candidates(type: pa.DataType) -> NDArray[np.integer]:
    """Return the smallest, the largest, the second smallest ... integers of a type."""
    type = element(type)
    if not pa.types.is_integer(type):
        return np.empty(0, np.int64)
    kind = type.to_pandas_dtype()
    limits = np.iinfo(kind)
    pairs = ((limits.min + step, limits.max - step) for step in range(_CANDIDATES // 2))
    return np.array([value for pair in pairs for value in pair], dtype=kind)


def _widen(extent: Extent, array: pa.Array, name: str) -> None:
    inner, missing = _elements(array)
    known = inner if missing is None else inner.filter(pa.array(~missing))
    extent.missing |= missing is not None
    extent.holes |= len(known) < (len(array) - array.null_count) * math.prod(shape(array.type))
    if pa.types.is_string(inner.type):
        refuse_nul(name, known)
        extent.utf8 = max(extent.utf8, pc.max(pc.binary_length(known)).as_py() or 0)
        if pc.all(pc.string_is_ascii(known)).as_py() is False:
            extent.ascii = False
        # A character takes two bytes of UTF-16, or four where it takes four of UTF-8.
        lengths = (len(text.encode("utf-16-be")) for text in known.to_pylist()) if not extent.ascii else ()
        plain = 2 * (pc.max(pc.utf8_length(known)).as_py() or 0)
        extent.utf16 = max(extent.utf16, plain, *lengths)
    elif len(extent.unused):
        extent.unused = np.setdiff1d(extent.unused, known.to_numpy(), assume_unique=False)
        if inner.type == pa.uint64():
            extent.beyond |= (pc.max(known).as_py() or 0) > np.iinfo(np.int64).max


def _elements(array: pa.Array) -> tuple[pa.Array, NDArray[np.bool_] | None]:
    """Return the innermost elements of all lists, also of null lists, and a mask of unknown ones, if any."""
    missing = _nulls(array)
    while pa.types.is_fixed_size_list(array.type):
        size = array.type.list_size
        array = array.values.slice(array.offset * size, len(array) * size)
        above, missing = missing, _nulls(array)
        if above is not None:
            above = np.repeat(above, size)
            missing = above if missing is None else above | missing
    return array, missing


def _nulls(array: pa.Array) -> NDArray[np.bool_] | None:
    return np.asarray(array.is_null().to_numpy(zero_copy_only=False)) if array.null_count else None


def shape(type: pa.DataType) -> tuple[int, ...]:
    """Return the lengths of nested lists, the outer first; empty if the values are not lists."""
    return (type.list_size, *shape(type.value_type)) if pa.types.is_fixed_size_list(type) else ()


def row_type(columns: Sequence[Column], widths: Sequence[int], *, nulls: bool) -> np.dtype[np.void]:
    """Return the type of a row.

    Parameters
    ----------
    columns : sequence of Column
    widths : sequence of int
        Bytes of each column of text.
    nulls : bool
        Begin with one bit per column, set if its value is null, as in VOTable's BINARY2.

    Returns
    -------
    numpy.dtype
        With the fields f0, f1 ..., after an optional field nulls.
    """
    fields: list[tuple[Any, ...]] = [("nulls", "u1", (-(-len(columns) // 8),))] if nulls else []
    for number, (column, width) in enumerate(zip(columns, widths, strict=True)):
        inner = element(column.type)
        if pa.types.is_string(inner):
            kind = np.dtype(f"S{width}")
        else:
            kind = np.dtype("u1" if pa.types.is_boolean(inner) else inner.to_pandas_dtype()).newbyteorder(">")
        fields.append((f"f{number}", kind, shape(column.type)))
    return np.dtype(fields)


def records(
    batches: Iterable[pa.RecordBatch],
    row: np.dtype[np.void],
    blanks: Sequence[Any],
    encoding: Sequence[str],
    *,
    offsets: bool = False,
) -> Iterator[bytes]:
    """Yield rows as bytes, batch by batch.

    Parameters
    ----------
    batches : iterable of pyarrow.RecordBatch
    row : numpy.dtype
        See `row_type`.
    blanks : sequence
        Value for null in each column.
    encoding : sequence of str
        Encoding of each column of text.
    offsets : bool
        Store unsigned integers of 16 bits and more as signed ones, minus half their range, as FITS does.
    """
    for batch in batches:
        rows = np.zeros(batch.num_rows, dtype=row)
        for number, (array, blank, code) in enumerate(zip(batch.columns, blanks, encoding, strict=True)):
            values = _values(array, blank, code)
            if offsets and values.dtype.kind == "u" and values.dtype.itemsize > 1:
                values = values ^ values.dtype.type(1 << 8 * values.dtype.itemsize - 1)
            rows[f"f{number}"] = values
        if "nulls" in (row.names or ()):
            missing = [array.is_null().to_numpy(zero_copy_only=False) for array in batch.columns]
            rows["nulls"] = np.packbits(np.stack(missing, axis=1), axis=1)
        yield rows.tobytes()


def _values(array: pa.Array, blank: Any, encoding: str) -> NDArray[Any]:
    inner, missing = _elements(array)
    if pa.types.is_string(inner.type):
        texts = inner.fill_null("")
        if encoding == "utf-16-be":
            values = np.array([text.encode(encoding) for text in texts.to_pylist()], dtype=np.bytes_)
        else:  # Arrow's text is UTF-8, and so ASCII
            values = np.array(texts.cast(pa.binary()).to_pylist(), dtype=np.bytes_)
    elif pa.types.is_boolean(inner.type):
        signs = pc.if_else(inner, ord("T"), ord("F")).fill_null(blank)
        values = np.asarray(signs.to_numpy(zero_copy_only=False), dtype=np.uint8)
    else:
        values = np.asarray(inner.fill_null(blank).to_numpy(zero_copy_only=False))
    if inner is array:
        return values
    if missing is not None:
        values = np.where(missing, np.asarray(b"" if values.dtype.kind == "S" else blank, values.dtype), values)
    return values.reshape(len(array), *shape(array.type))
