"""Columns of a source that are copied to its catalogue, beside those that the work on it adds."""

from collections.abc import Iterator, Sequence

import pyarrow as pa

from peculiar.errors import DataError, UsageError
from peculiar.sources.stream import Source
from peculiar.tables.column import Column


def carried_columns(source: Source, columns: Sequence[Column], keep: Sequence[str]) -> list[Column]:
    """Return the columns of a source that are copied to its catalogue.

    Raises
    ------
    UsageError
        If the catalogue has a column of that name itself.
    UnknownNameError
        If the source has no column of that name.
    """
    own = {column.name.lower() for column in columns}
    for name in keep:
        if name.lower() in own:
            message = f"the catalogue has a column {name!r} of its own; leave it out, or rename that of {source.path}"
            raise UsageError(message)
    return source.described(list(dict.fromkeys(keep)))


def side_by_side(
    batches: Iterator[pa.RecordBatch], carried: Iterator[pa.RecordBatch], name: str
) -> Iterator[pa.RecordBatch]:
    """Yield batches joined with the columns of other batches, which have the same rows in different chunks.

    Parameters
    ----------
    batches, carried : iterator of pyarrow.RecordBatch
    name : str
        Name of the rows, for messages.
    """
    held: pa.Table | None = None
    for batch in batches:
        while held is None or len(held) < len(batch):
            more = next(carried, None)
            if more is None:
                message = f"{name}: the columns to keep have fewer rows than the pictures"
                raise DataError(message)
            table = pa.Table.from_batches([more])
            held = table if held is None else pa.concat_tables([held, table])
        beside = held.slice(0, len(batch)).combine_chunks().to_batches()[0]
        held = held.slice(len(batch))
        yield pa.RecordBatch.from_arrays(
            [*batch.columns, *beside.columns], names=[*batch.schema.names, *beside.schema.names]
        )
