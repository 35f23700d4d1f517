"""JSON lines: one object a line, whose keys are the columns."""

import json
from collections.abc import Iterable
from typing import Any

import pyarrow as pa

from peculiar.errors import DataError

_EXACT = 1 << 53
"""Smallest integer that a float may not hold."""


def read_lines(lines: Iterable[bytes]) -> pa.Table:
    """Read JSON lines into a table; a key that a line lacks is null.

    A column is text if its values are of several types, or mix floats with integers too large for floats, so that no
    digit of an id is lost.

    Raises
    ------
    DataError
        If a line is not a JSON object.
    """
    rows: list[dict[str, Any]] = []
    for number, line in enumerate(lines, 1):
        text = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
        if not text.strip():
            continue
        try:
            row = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise DataError(
                f"line {number:,} is not JSON ({error}); give one object a line, such as {{...}}"
            ) from error
        if not isinstance(row, dict):
            message = f"line {number:,} is not an object but {text[:40].decode()!r}; give one a line, such as {{...}}"
            raise DataError(message)
        rows.append(row)
    names = list(dict.fromkeys(name for row in rows for name in row))
    return pa.table({name: _array([row.get(name) for row in rows]) for name in names})


def _array(values: list[Any]) -> pa.Array:
    kinds = {type(value) for value in values if value is not None}
    exact = kinds != {int, float} or all(abs(value) < _EXACT for value in values if isinstance(value, int))
    if len(kinds) <= 1 or (kinds == {int, float} and exact):
        for type_ in (None, pa.uint64()):
            try:
                array = pa.array(values, type_)
            except (pa.ArrowException, TypeError, OverflowError):  # lists of several types, integers beyond 64 bits
                continue
            return array.cast(pa.string()) if pa.types.is_null(array.type) else array
    return pa.array([one if one is None or isinstance(one, str) else json.dumps(one) for one in values], pa.string())
