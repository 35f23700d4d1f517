"""Pack pictures of any source into one Parquet table that every command can read."""

import itertools
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from peculiar.errors import PictureError, UsageError
from peculiar.files.places import place
from peculiar.files.writing import check_apart, writing
from peculiar.images.decode import encode_picture
from peculiar.sources import as_source
from peculiar.sources.paths import as_text
from peculiar.sources.stream import Row, in_order
from peculiar.tables.column import DEC, ID, RA, Column
from peculiar.tables.identifiers import typed_ids
from peculiar.tables.writers import write_table
from peculiar.tables.writers.stream import schema_of


@dataclass(frozen=True, slots=True)
class Packed:
    """The result of packing.

    Parameters
    ----------
    path : path
    rows : int
    problems : dict of str to str
        Why pictures cannot be read, by id; their rows have no picture.
    """

    path: Path
    rows: int
    problems: dict[str, str] = field(default_factory=dict)


def pack(
    data: Any,
    out: str | os.PathLike[str],
    *,
    threads: int = 2,
    progress: Callable[[int], object] = lambda done: None,
) -> Packed:
    """Write the pictures of a source into one Parquet table, with id, position and label if known.

    Encoded files are copied byte by byte; pixels (of FITS images, stamps of a mosaic, arrays) become PNG, which is
    lossless. So the table is classified exactly like the source.

    Parameters
    ----------
    data : path-like, sequence of path-like, array, list of PIL.Image.Image, or Source
        Galaxies with pictures, as `predict` takes them.
    out : path-like
        With the suffix ``.parquet``.
    threads : int
        Number of threads that read.
    progress : callable
        Called with the number of pictures packed since the last call.

    Raises
    ------
    UsageError
        If `out` has another suffix, or is the source.

    Examples
    --------
    >>> import peculiar
    >>> packed = peculiar.pack("pictures", "packed.parquet")
    >>> packed.rows
    12
    """
    source, out = as_source(data), place(out)
    if out.suffix.lower() != ".parquet" or out.is_dir():
        message = f"{out}: pictures are packed into a Parquet file; name one that ends with .parquet"
        raise UsageError(message)
    check_apart(out, source.path, *source.files())
    columns = [replace(ID, type=source.id_type), *((RA, DEC) if source.positioned else ())]
    if source.label:
        columns.append(Column(source.label, pa.string()))
    # The layout of Hugging Face, so that its `datasets` can read them.
    features = {one.name: {"dtype": str(one.type), "_type": "Value"} for one in columns} | {"image": {"_type": "Image"}}
    columns.append(Column("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())]), "picture of the galaxy"))
    notes = {**source.notes, "huggingface": json.dumps({"info": {"features": features}})}
    schema = schema_of(columns)
    result = Packed(out, len(source))

    def batches() -> Iterator[pa.RecordBatch]:
        read = in_order(_read, source.rows(), threads)
        while some := list(itertools.islice(read, 32)):
            result.problems.update((row.id, reason) for row, _, reason in some if reason)
            values = [_values(row, content, source.label) for row, content, _ in some]
            others = pa.RecordBatch.from_pylist(values, schema=schema.remove(0))
            ids = typed_ids([row.id for row, _, _ in some], source.id_type)
            yield pa.RecordBatch.from_arrays([ids, *others.columns], schema=schema)
            progress(len(some))

    with writing(out) as temporary:
        write_table(temporary, "parquet", columns, batches(), notes)
    return result


def _read(row: Row) -> tuple[Row, bytes | None, str]:
    """Return a row with its encoded picture, or the reason why there is none."""
    try:
        content = row.read()
    except PictureError as error:
        return row, None, as_text(error.reason)
    return row, content if isinstance(content, bytes) else encode_picture(content), ""


def _values(row: Row, content: bytes | None, label: str | None) -> dict[str, Any]:
    ra, dec = row.position or (None, None)
    known = {"ra": ra, "dec": dec, "image": {"bytes": content, "path": None}}
    return known | ({label: row.label} if label else {})
