"""An Arrow table as a table of astropy, with all that is known of its columns."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute
from numpy.typing import NDArray

from peculiar.tables.column import Column, notes_of

if TYPE_CHECKING:
    from astropy.table import Table


def to_astropy(table: pa.Table) -> "Table":
    """Return a table of astropy: units and descriptions are kept, null values masked, UCDs in the columns' ``meta``.

    Parameters
    ----------
    table : pyarrow.Table
        Lists of one length become arrays of two dimensions; what NumPy has no type for, Python's objects.

    Returns
    -------
    astropy.table.Table
    """
    from astropy import table as astropy_table  # takes a third of a second to import
    from astropy.units import Unit

    made = astropy_table.Table(meta=notes_of(table.schema))
    for field in table.schema:
        column, values = Column.of(field), table[field.name].combine_chunks()
        unknown = values.is_null().to_numpy(zero_copy_only=False)
        array = _array(values, column.type)
        known: dict[str, Any] = {"name": column.name, "description": column.description or None}
        known["unit"] = Unit(column.unit, parse_strict="silent") if column.unit else None
        known["meta"] = {"ucd": column.ucd} if column.ucd else {}
        if unknown.any():
            mask = np.broadcast_to(unknown.reshape(-1, *[1] * (array.ndim - 1)), array.shape)
            made[column.name] = astropy_table.MaskedColumn(array, mask=mask, **known)
        else:
            made[column.name] = astropy_table.Column(array, **known)
    return made


def _array(values: Any, type: pa.DataType) -> NDArray[Any]:
    """Return the values of a column; where they are null, something that stands in."""
    if pa.types.is_string(type) or pa.types.is_large_string(type):
        return np.array([text or "" for text in values.to_pylist()], dtype=np.str_)
    if pa.types.is_fixed_size_list(type):
        width = type.list_size
        array = np.zeros((len(values), width), dtype=type.value_type.to_pandas_dtype())
        array[values.is_valid().to_numpy(zero_copy_only=False)] = (
            values.flatten().to_numpy(zero_copy_only=False).reshape(-1, width)
        )
        return array
    if pa.types.is_boolean(type) or pa.types.is_integer(type) or pa.types.is_floating(type):
        filled = pa.compute.fill_null(values, False if pa.types.is_boolean(type) else 0)
        return np.asarray(filled.to_numpy(zero_copy_only=False))
    if pa.types.is_temporal(type):
        return np.asarray(values.to_numpy(zero_copy_only=False))
    objects = np.empty(len(values), dtype=object)
    objects[:] = values.to_pylist()
    return objects
