"""Tables with a column of pictures, or of paths to pictures.

Pictures inside the table are encoded bytes: the Hugging Face layout (a struct of ``bytes`` and ``path``) or a plain
binary column. Paths are relative to the table's folder.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from peculiar.errors import DataError
from peculiar.sources.stream import Row, Source
from peculiar.table import TableReader

ID_COLUMNS = ("id", "id_str", "object_id", "objid", "dr7objid", "source_id", "iauname", "name")
LABEL_COLUMNS = ("four_class", "label", "labels", "class", "clean5", "gz2_argmax")
PICTURE_COLUMNS = ("image", "picture", "img", "jpg", "file", "file_loc", "filename", "file_name", "filepath", "path")


class TableSource(Source):
    """The rows of one table, or of several with the same columns.

    Parameters
    ----------
    path : path
        The table, or the folder that holds its parts.
    parts : sequence of path
        The files, in order.
    label : str or None
        The column that holds the labels; None takes the first of `LABEL_COLUMNS` that is there.

    Raises
    ------
    DataError
        If a part is damaged or has other columns, or no column holds pictures.
    UnknownNameError
        If there is no column `label`.
    """

    kind = "table"

    def __init__(self, path: Path, parts: Sequence[Path], label: str | None = None) -> None:
        self._parts = [TableReader(part) for part in parts]
        first = self._parts[0]
        if label is not None:
            first.check_column(label)
        super().__init__(path, label or _first(LABEL_COLUMNS, first.columns))
        self.columns = first.columns
        self._picture = _picture_column(first)
        self._id = _first(ID_COLUMNS, first.columns)
        self._names = _class_names(first.schema, self.label)
        for part in self._parts[1:]:
            missing = {self._picture, self._id, self.label} - {None, *part.columns}
            if missing:
                message = f"{part.path}: lacks the columns {sorted(map(str, missing))} that {first.path.name} has"
                raise DataError(message)

    def __len__(self) -> int:
        """Return the number of rows."""
        return sum(len(part) for part in self._parts)

    def labels(self) -> list[str | None]:
        """Return the label of every row."""
        if self.label is None:
            return [None] * len(self)
        return [self._name(value) for part in self._parts for value in part.column(self.label)]

    def column(self, name: str) -> list[str | None]:
        """Return the entries of a column as text, None where empty; all None where there is no such column."""
        if name == self.label or name not in self.columns:
            return super().column(name)
        return [None if value in (None, "") else str(value) for part in self._parts for value in part.column(name)]

    def rows(self) -> Iterator[Row]:
        """Yield every row, its picture as bytes or as a path."""
        wanted = [name for name in (self._picture, self._id, self.label) if name is not None]
        for part in self._parts:
            number = 0
            for batch in part.batches(list(dict.fromkeys(wanted))):
                pictures = batch.column(self._picture).to_pylist()
                ids = batch.column(self._id).to_pylist() if self._id else [None] * len(pictures)
                labels = batch.column(self.label).to_pylist() if self.label else [None] * len(pictures)
                for picture, id_, label in zip(pictures, ids, labels, strict=True):
                    content = _content(picture, part.path.parent)
                    name = f"{part.path.stem}-{number}" if id_ in (None, "") else str(id_)
                    yield Row(name, content, self._name(label))
                    number += 1

    def _name(self, value: Any) -> str | None:
        if value is None or value == "" or value != value:  # only NaN differs from itself
            return None
        if self._names and isinstance(value, int):
            return self._names[value] if 0 <= value < len(self._names) else None
        return str(value)


def _first(names: Sequence[str], columns: Sequence[str]) -> str | None:
    """Return the first of `names` that is a column, in whatever case it is written there."""
    lower = {column.lower(): column for column in reversed(columns)}
    return next((lower[name] for name in names if name in lower), None)


def _holds_bytes(type_: pa.DataType) -> bool:
    if pa.types.is_struct(type_):
        return bool(type_.get_field_index("bytes") >= 0)
    return bool(pa.types.is_binary(type_) or pa.types.is_large_binary(type_))


def _picture_column(table: TableReader) -> str:
    encoded = [field.name for field in table.schema if _holds_bytes(field.type)]
    found = _first(PICTURE_COLUMNS, encoded) or next(iter(encoded), None) or _first(PICTURE_COLUMNS, table.columns)
    if found is None:
        message = (
            f"{table.path}: no column holds pictures. Needed is one with encoded bytes, or one with paths called "
            f"{', '.join(PICTURE_COLUMNS[:-1])} or {PICTURE_COLUMNS[-1]}; there are: {', '.join(table.columns)}"
        )
        raise DataError(message)
    return found


def _content(picture: Any, folder: Path) -> bytes | Path:
    """Return what a cell holds: bytes, or the path of a file. An empty cell gives no bytes, an unreadable picture."""
    if isinstance(picture, dict):
        picture = picture.get("path") if picture.get("bytes") is None else picture["bytes"]
    if isinstance(picture, bytes):
        return picture
    return folder / str(picture) if picture else b""


def _class_names(schema: pa.Schema, column: str | None) -> tuple[str, ...]:
    """Return the class names that the Hugging Face metadata of a Parquet file give for a column of integers."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        return tuple(features[column]["names"])
    except (KeyError, TypeError, ValueError):
        return ()
