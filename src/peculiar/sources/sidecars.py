"""Labels and metadata beside each picture of an archive, as WebDataset keeps them.

https://huggingface.co/docs/hub/datasets-webdataset: the files of one sample have the same name up to the first dot.
``587722.cls`` holds the class of ``587722.jpg``, a number or a name, and ``587722.json`` an object with further values.
"""

import json
import posixpath
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from peculiar.errors import PeculiarWarning
from peculiar.sources.paths import as_text

CLASS = "cls"
"""Column of the content of ``.cls`` files."""

_SUFFIXES = (".cls", ".json")


def is_sidecar(path: str) -> bool:
    """Return whether a file in an archive may describe a picture beside it."""
    return path.lower().endswith(_SUFFIXES)


class Sidecars:
    """The files beside the pictures of one archive.

    Parameters
    ----------
    archive : path
        Its name is in the warning of files that cannot be read.
    """

    def __init__(self, archive: Path) -> None:
        self._archive = archive
        self._of_key: dict[str, dict[str, Any]] = {}
        self._broken: list[str] = []

    def add(self, path: str, content: bytes | None) -> None:
        """Add a file by its path in the archive; None if it cannot be read."""
        entries = self._of_key.setdefault(_key(path), {})
        try:
            text = (content or b"\xff").decode("utf-8-sig").strip()
            if path.lower().endswith(".cls"):
                entries[CLASS] = int(text) if text.isdecimal() else text
            else:
                told = json.loads(text)
                # A list or a number alone has no name of its own.
                entries |= told if isinstance(told, dict) else {"json": told}
        except (ValueError, RecursionError):
            self._broken.append(path)

    def table(self, pictures: Sequence[str]) -> pa.Table | None:
        """Return a row for each picture that has such a file, with its path as ``file_name``; None if none has.

        Warns
        -----
        PeculiarWarning
            If files beside pictures cannot be read; the values in them are empty.
        """
        keys = {_key(path) for path in pictures}
        if broken := [path for path in self._broken if _key(path) in keys]:
            message = (
                f"{self._archive}: {len(broken):,} of the files beside its pictures cannot be read, such as "
                f"{as_text(broken[0])}; the labels and values in them are empty"
            )
            warnings.warn(message, PeculiarWarning, stacklevel=4)
        there = [path for path in pictures if _key(path) in self._of_key]
        rows = [self._of_key[_key(path)] for path in there]
        names = [name for name in dict.fromkeys(name for row in rows for name in row) if name != "file_name"]
        if not names:
            return None
        columns = {name: _array(row.get(name) for row in rows) for name in names}
        return pa.table({"file_name": [as_text(path) for path in there], **columns})


def together(tables: Iterable[pa.Table]) -> pa.Table:
    """Return one table of those of several archives; columns whose types differ become text."""
    found = list(tables)
    fields: dict[str, set[pa.DataType]] = {}
    for field in (field for table in found for field in table.schema):
        fields.setdefault(field.name, set()).add(field.type)
    mixed = {name for name, types in fields.items() if len(types - {pa.null()}) > 1}
    numbers = {name for name in mixed if fields[name] <= {pa.null(), pa.int64(), pa.float64()}}
    for number, table in enumerate(found):
        for name in mixed & {*table.column_names}:
            at, kind = table.schema.get_field_index(name), pa.float64() if name in numbers else pa.string()
            found[number] = table = table.set_column(at, name, table[name].cast(kind))
    return pa.concat_tables(found, promote_options="default")


def _key(path: str) -> str:
    """Return the key that the files of one sample share: their path up to the first dot of the name."""
    folder, name = posixpath.split(path)
    return posixpath.join(folder, name.partition(".")[0])


def _array(values: Iterable[Any]) -> pa.Array:
    """Return values of JSON as numbers, flags or text; lists, objects and mixed columns become text."""
    listed = [json.dumps(value) if isinstance(value, list | dict) else value for value in values]
    try:
        array = pa.array(listed)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        return pa.array([value if value is None or isinstance(value, str) else json.dumps(value) for value in listed])
    return array
