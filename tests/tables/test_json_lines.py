"""JSON lines: columns in their types, digits kept, lines named that are not objects."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from peculiar.errors import DataError
from peculiar.tables.formats import table_format
from peculiar.tables.json_lines import read_lines
from peculiar.tables.reader import TableReader

LARGE = (1 << 53) + 1


@pytest.mark.parametrize(
    ("values", "type_", "expected"),
    [
        (["1", "2"], pa.int64(), [1, 2]),
        (["1", "2.5", "null"], pa.float64(), [1.0, 2.5, None]),
        ([str((1 << 64) - 1), "null"], pa.uint64(), [(1 << 64) - 1, None]),
        ([str(LARGE), "0.5"], pa.string(), [str(LARGE), "0.5"]),
        ([str(1 << 70)], pa.string(), [str(1 << 70)]),
        (['"2020-01-01"', '"a"'], pa.string(), ["2020-01-01", "a"]),
        (['"0017"', "17"], pa.string(), ["0017", "17"]),
        (["true", "false"], pa.bool_(), [True, False]),
        (["true", "1"], pa.string(), ["true", "1"]),
        (["null"], pa.string(), [None]),
        (["[1, 2]", "[3]"], pa.list_(pa.int64()), [[1, 2], [3]]),
        (['[1, "a"]', "[3]"], pa.string(), ['[1, "a"]', "[3]"]),
        (['{"bytes": null}'], pa.string(), None),
    ],
)
def test_types_hold_every_value(values: list[str], type_: pa.DataType, expected: list[Any] | None) -> None:
    column = read_lines(f'{{"a": {value}}}\n'.encode() for value in values).column("a")
    if expected is not None:
        assert (column.type, column.to_pylist()) == (type_, expected)
    column.validate(full=True)


def test_a_key_that_a_line_lacks_is_null() -> None:
    table = read_lines([b'\xef\xbb\xbf{"a": 1}\n', b"\n", b'{"b": "x", "a": 2}'])
    assert table.to_pydict() == {"a": [1, 2], "b": [None, "x"]}


@pytest.mark.parametrize(
    ("line", "said"),
    [(b'{"a": 1', "line 2 is not JSON"), (b"[1]", r"line 2 is not an object but '\[1\]'"), (b"\xff", "line 2 is not")],
)
def test_a_line_that_is_no_object_is_named(line: bytes, said: str) -> None:
    with pytest.raises(DataError, match=said):
        read_lines([b'{"a": 1}\n', line])


def test_a_table_of_json_lines_is_recognised_by_its_content(tmp_path: Path) -> None:
    path = tmp_path / "galaxies.txt"
    path.write_text('{"id": "0017", "z": 0.1}\n{"id": "18", "z": 0.2}\n')
    assert table_format(path) == "jsonl"
    table = TableReader(path)
    assert (table.columns, len(table), table.column("id")) == (("id", "z"), 2, ["0017", "18"])
    path.write_text('{"id": "0017"}\n{"id"')
    with pytest.raises(DataError, match=r"galaxies\.txt: line 2 is not JSON"):
        TableReader(path)
