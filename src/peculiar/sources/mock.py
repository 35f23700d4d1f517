"""Mock observations: simulated galaxies with known features, written with their truth as a Parquet table."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from peculiar.errors import UsageError
from peculiar.files.writing import writing
from peculiar.images.decode import encode_picture
from peculiar.simulation import attributes, simulate_views
from peculiar.simulation.truth import COLUMNS, columns_of_truth
from peculiar.tables.column import ID, Column
from peculiar.tables.writers import write_table
from peculiar.tables.writers.stream import schema_of

_BATCH = 32


def write_mock(
    out: Path,
    count: int,
    *,
    size: int,
    seed: int,
    looks: Sequence[str],
    features: Sequence[str],
    context: float,
    progress: Callable[[int], object] | None = None,
) -> None:
    """Write mock observations, one row a picture; see `peculiar.get`.

    Raises
    ------
    UsageError
        If a number is out of range, or there are no looks.
    UnknownNameError
        If there is no such look or feature.
    """
    if count < 1 or not looks:
        message = f"received count={count} and {len(looks)} looks; at least one galaxy and one look are needed"
        raise UsageError(message)
    image = Column("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())]), "picture of the galaxy")
    columns = [ID, *COLUMNS, *attributes.COLUMNS, image]

    def batches() -> Iterator[pa.RecordBatch]:
        for start in range(0, count, _BATCH):
            rows = range(start, min(start + _BATCH, count))
            views = [
                (f"mock-{row:06d}" + (f"-{number}" if len(looks) > 1 else ""), view)
                for row in rows
                for number, view in enumerate(
                    simulate_views(row, seed=seed, looks=looks, features=features, size=size, contexts=(context,))
                )
            ]
            truths = [view.truth for _, view in views]
            truth = columns_of_truth(truths)
            pictures = [{"bytes": encode_picture(view.picture), "path": None} for _, view in views]
            arrays = [pa.array([name for name, _ in views]), *truth.itercolumns()]
            arrays += [*attributes.answer_columns(truths), pa.array(pictures, image.type)]
            yield pa.Table.from_arrays(arrays, schema=schema_of(columns)).combine_chunks().to_batches()[0]
            if progress is not None:
                progress(len(rows))

    with writing(out) as temporary:
        write_table(temporary, "parquet", columns, batches(), {})
