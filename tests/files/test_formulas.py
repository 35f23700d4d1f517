"""Text that a spreadsheet would evaluate: marked wherever CSV is written, and the same after reading."""

import csv
from pathlib import Path

import pyarrow as pa
import pytest

from peculiar.files.formulas import marked, unmarked
from peculiar.files.run_files import read_split, write_split
from peculiar.tables.column import Column
from peculiar.tables.reader import TableReader
from peculiar.tables.writers import write_table

FORMULAS = ["=1+1", "+a", "-x", "@SUM(A1)", "\tx", "\rx", "\nx", "'=1", "''-a", "-1.5.2", "+", '="a,b"\n']
PLAIN = ["", "a=1", "'a", "-1.5", "+3e-4", " =1", "Möri", "NGC 1300"]


@pytest.mark.parametrize("text", FORMULAS)
def test_a_formula_is_marked_and_comes_back(text: str) -> None:
    assert marked(text) == f"'{text}"
    assert unmarked(marked(text)) == text


@pytest.mark.parametrize("text", PLAIN)
def test_other_text_stays_as_it_is(text: str) -> None:
    assert marked(text) == unmarked(text) == text


def test_ids_of_a_split_come_back(tmp_path: Path) -> None:
    parts = {"training": [*FORMULAS, "a"], "validation": [*PLAIN[1:], "-"]}
    write_split(tmp_path, parts)
    assert read_split(tmp_path) == {id_: part for part, ids in parts.items() for id_ in ids}
    with (tmp_path / "split.csv").open(newline="") as file:
        cells = [row["id"] for row in csv.DictReader(file)]
    assert not [cell for cell in cells if cell[0] in "=@\t\r\n"]
    table = TableReader(tmp_path / "split.csv")
    assert dict(zip(table.column("id"), table.column("part"), strict=True)) == read_split(tmp_path)


@pytest.mark.parametrize("name", [text for text in FORMULAS if text.isprintable()])
def test_names_and_values_of_a_table_come_back(name: str, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    columns = [Column("id", pa.string()), Column(name, pa.string())]
    batch = pa.RecordBatch.from_arrays([pa.array(["1", "2"]), pa.array([name, "plain"])], names=["id", name])
    write_table(path, "csv", columns, [batch], {})
    with path.open(newline="") as file:
        header, first, _ = csv.reader(file)
    assert (header[1], first[1]) == (f"'{name}", f"'{name}")
    table = TableReader(path)
    assert table.columns == ("id", name)
    assert table.column(name) == [name, "plain"]
