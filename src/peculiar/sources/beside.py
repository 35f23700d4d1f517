"""Further columns of galaxies from another table, joined by id."""

import os
from collections.abc import Collection, Iterator

import numpy as np
import pyarrow as pa

from peculiar.errors import DataError, UnknownNameError
from peculiar.sources.joins import Ids, join_rows
from peculiar.tables.column import Column
from peculiar.tables.identifiers import id_texts
from peculiar.tables.key_columns import find_id
from peculiar.tables.reader import TableReader
from peculiar.tables.typed import carried, described


def columns_beside(
    path: str | os.PathLike[str], ids: Ids, place: str, taken: Collection[str], id: str | None = None
) -> tuple[list[Column], pa.Table]:
    """Return the columns of a table for galaxies with some ids.

    Parameters
    ----------
    path : path-like
        The table, of any format.
    ids : callable
        Reads the ids of the galaxies, batch by batch.
    place : str
        The galaxies in messages.
    taken : collection of str
        Names of columns that the galaxies have themselves, which are left out.
    id : str, optional
        The column of ids of the table; default: the first with a usual name.

    Returns
    -------
    list of Column
    pyarrow.Table
        One row for each galaxy, with null for a galaxy that the table lacks.

    Raises
    ------
    NotFoundError, DataError
        If the table does not exist, cannot be read or has no ids, or none of the galaxies is in it.
    UnknownNameError
        If there is no column `id`.
    """
    table = TableReader(path)
    key = find_id(table.schema, id)
    if key is None:
        raise UnknownNameError("column", "id", table.columns, where=f"in {path}, by which it could be joined")
    table.check_column(key)
    table.warn_of_lost_digits(key)

    def its_ids() -> Iterator[list[str | None]]:
        return (id_texts(batch.column(0)).to_pylist() for batch in table.batches([key]))

    join = join_rows(ids, its_ids, f"{path} and {place}")
    if (join.partners < 0).all():
        mine, its = (next((id_ for some in read() for id_ in some if id_), "") for read in (ids, its_ids))
        message = (
            f"{path}: none of the galaxies of {place} is in it; its ids look like {its!r}, the others like {mine!r}. "
            "Name another column of ids (--id)"
        )
        raise DataError(message)
    own = {name.casefold() for name in taken}
    names = [
        field.name
        for field in table.schema
        if field.name != key and field.name.casefold() not in own and not pa.types.is_nested(field.type)
    ]
    columns = described(table, names)
    whole = pa.Table.from_batches(carried(table, columns, 0, None), pa.schema([column.field() for column in columns]))
    rows = pa.array(np.maximum(join.partners, 0), mask=join.partners < 0)
    return columns, whole.take(rows)
