"""Columns of astropy tables as Arrow arrays: scalars, lists, matrices and text."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from peculiar.errors import DataError

_PARTS = (("re", "real"), ("im", "imag"))
"""A complex number as an Arrow struct, because Arrow has no complex type."""


def to_arrow(name: str, column: Any, unknown: NDArray[np.bool_] | None = None) -> pa.Array:
    """Return a column as an Arrow array.

    Masked values, empty text and NaN become null, and so does a list whose elements are all null.

    Parameters
    ----------
    name : str
    column : astropy.table.Column
    unknown : ndarray of bool, optional
        Mask of unknown values, if the column itself has none.

    Raises
    ------
    DataError
        If Arrow has no type for the values.
    """
    values = np.asarray(np.ma.getdata(column))  # not as an astropy column, which compares bytes as text, slowly
    mask = np.ma.getmaskarray(column) if unknown is None else unknown
    try:
        if values.dtype.kind == "O":
            return _objects(column)
        if 0 in values.shape[1:] or values.dtype.itemsize == 0:
            return pa.nulls(len(values))
        if values.dtype.kind == "c":
            return _complex(values, mask)
        return _lists(values, mask)
    except (pa.ArrowException, TypeError, ValueError) as error:
        message = f"the column {name!r} holds {values.dtype}, which cannot be read ({error})"
        raise DataError(message) from error


def _lists(values: NDArray[Any], mask: NDArray[np.bool_]) -> pa.Array:
    """Return an array of any number of dimensions; each dimension but the first becomes a list."""
    if values.ndim == 1:
        return _flat(values, mask)
    missing = mask | np.isnan(values) if values.dtype.kind == "f" else mask
    array = _flat(values.ravel(), mask.ravel(), listed=True)
    for axis in range(values.ndim - 1, 0, -1):
        absent = missing.all(axis=tuple(range(axis, values.ndim))).ravel()
        array = pa.FixedSizeListArray.from_arrays(array, values.shape[axis], mask=pa.array(absent))
    return array


def _flat(values: NDArray[Any], mask: NDArray[np.bool_], *, listed: bool = False) -> pa.Array:
    kind = values.dtype.kind
    if kind in "SU":
        texts = pa.array(values.tolist(), pa.binary() if kind == "S" else pa.string()).cast(pa.string())
        absent = mask if listed else mask | (values == values.dtype.type())
        return pc.if_else(pa.array(absent), None, pc.ascii_rtrim(texts, " "))
    values = values.astype(values.dtype.newbyteorder("="), copy=False)
    if kind == "f":
        # Within lists NaN stays NaN, as in lists of numbers elsewhere.
        absent = np.isnan(values)
        return pa.array(values, mask=mask & ~absent if listed else mask | absent)
    return pa.array(values, mask=mask)


def _complex(values: NDArray[Any], mask: NDArray[np.bool_]) -> pa.Array:
    values = values.astype(values.dtype.newbyteorder("="), copy=False)
    if values.ndim > 1:
        rows = [None if absent.all() else row for row, absent in zip(values, mask, strict=True)]
        return pa.array([None if row is None else _told(row) for row in rows])
    parts = [pa.array(np.ascontiguousarray(getattr(values, part))) for _, part in _PARTS]
    missing = pa.array(mask | np.isnan(values))
    return pa.StructArray.from_arrays(parts, names=[name for name, _ in _PARTS], mask=missing)


def _told(value: Any) -> Any:
    """Return a list of any depth with complex numbers as structs."""
    if isinstance(value, np.ndarray):
        return [_told(one) for one in value]
    return {name: float(getattr(value, part)) for name, part in _PARTS}


def _objects(column: Any) -> pa.Array:
    """Return an array of Python objects: lists of any length, or values that a program wrote as JSON."""
    kinds = {value.dtype for value in column if isinstance(value, np.ndarray) and value.ndim == 1}
    if len(kinds) == 1 and (kind := kinds.pop()).kind in "iufb":
        return pa.array([_plain(value) for value in column], pa.list_(pa.from_numpy_dtype(kind.newbyteorder("="))))
    return pa.array([_plain(value) for value in column])


def _plain(value: Any) -> Any:
    """Return a value in Python's types: masked values, also within lists, are None."""
    if value is None or value is np.ma.masked:
        return None
    if isinstance(value, np.ma.MaskedArray):
        return [_plain(one) for one in value]
    if isinstance(value, np.ndarray):
        return value.tolist() if value.dtype.kind not in "cO" else [_plain(one) for one in value]
    if isinstance(value, complex | np.complexfloating):
        return _told(value)
    return value.item() if isinstance(value, np.generic) else value
