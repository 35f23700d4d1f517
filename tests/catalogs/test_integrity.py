"""Checks of files: intact files pass, and each kind of damage is found."""

import functools
import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest

from peculiar.catalogs.integrity import check_files
from peculiar.catalogs.ledger import Entry, Header, open_ledger
from peculiar.errors import NotFoundError
from peculiar.files.claims import Request, claiming
from peculiar.files.digests import file_digest
from peculiar.labelling.database import Event, Labels
from peculiar.models.model_file import load_model
from peculiar.questions.question import FOUR_CLASS
from peculiar.tables.convert import convert


def flip(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def problems(path: str | Path) -> list[str]:
    return [problem for one in check_files(path) for problem in one.problems]


def ledger(folder: Path) -> Path:
    """Write a folder of three parts with a ledger."""
    with open_ledger(folder, Header(source="stamps", model="0", settings={}), restart=False) as opened:
        for name in "abc":
            part = folder / f"{name}.parquet"
            opened.begin(part.name)
            pa.parquet.write_table(pa.table({"id": [f"{name}{n}" for n in range(99)]}), part)
            opened.add(
                Entry(
                    shard=name,
                    fingerprint="",
                    content="",
                    part=part.name,
                    size=part.stat().st_size,
                    sha256=file_digest(part),
                    rows=99,
                    seconds=0,
                    classes={},
                    flagged={},
                    problems={},
                )
            )
    return folder


def rewrite(path: Path) -> None:
    pa.parquet.write_table(pa.table({"id": ["x"]}), path)


def damage_line(path: Path) -> None:
    path = path.with_name("_ledger.jsonl")
    path.write_text(path.read_text().replace('"rows":99', '"rows":"many"', 1))


def count_otherwise(path: Path) -> None:
    path = path.with_name("_ledger.jsonl")
    path.write_text(path.read_text().replace('"rows":99', '"rows":98', 1))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (Path.unlink, "is gone"),
        (cut, "bytes; "),
        (lambda path: flip(path, 60), "its checksum differs"),
        (rewrite, "bytes; "),
        (damage_line, "line 3 is damaged"),
        (count_otherwise, "has 99 rows; 98 were written"),
        (lambda path: shutil.copy(path, path.with_name("mine.parquet")), "not in the ledger"),
    ],
)
def test_damage_in_a_folder_of_parts_is_found(tmp_path: Path, spoil: Callable[[Path], object], said: str) -> None:
    folder = ledger(tmp_path / "catalog")
    assert problems(folder) == []
    assert [(one.kind, one.rows) for one in check_files(folder)] == [("ledger", 297), *[("part", 99)] * 3]
    spoil(folder / "a.parquet")
    found = problems(folder)
    assert any(said in one for one in found), found


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".fits", ".vot", ".ecsv"])
@pytest.mark.parametrize("spoil", [cut, lambda path: flip(path, path.stat().st_size // 2)])
def test_a_table_that_was_changed_since_is_found(
    drawn_catalog: Path, suffix: str, spoil: Callable[[Path], object]
) -> None:
    path = Path(f"c{suffix}")
    with claiming(Request("data convert", "1")):
        convert(drawn_catalog, path, columns=["id", "ra", "dec", "p_odd"])
    (whole,) = check_files(path)
    assert (whole.kind, whole.rows, whole.checksum, whole.problems) == ("table", 100, True, [])
    spoil(path)
    assert "has changed since `peculiar data convert` wrote it" in problems(path)


def test_pages_of_a_parquet_file_have_checksums_of_their_own(drawn_catalog: Path) -> None:
    convert(drawn_catalog, "c.parquet", columns=["id", "ra"])
    assert problems("c.parquet") == []
    column = pa.parquet.read_metadata("c.parquet").row_group(0).column(1)
    flip(Path("c.parquet"), (column.dictionary_page_offset or column.data_page_offset) + 200)
    (problem,) = problems("c.parquet")  # though nothing was noted of it on this machine
    assert "cannot be read to its end" in problem


def test_a_model_file_that_is_damaged_is_found() -> None:
    shutil.copy(load_model().path, "model.onnx")
    assert problems("model.onnx") == []
    cut(Path("model.onnx"))
    (found,) = check_files("model.onnx")
    assert found.problems
    assert not any("model.onnx" in problem for problem in found.problems)  # the name of the file stands before them


def test_a_database_of_answers_that_is_damaged_is_found() -> None:
    with Labels("labels.db") as labels:
        labels.ask(FOUR_CLASS)
        for n in range(400):
            name = f"event-{n:04d}"
            labels.record(Event(name, "answer", "ann", f"galaxy-{n}", FOUR_CLASS.name, "Normal", session="s"))
    (whole,) = check_files("labels.db")
    assert (whole.kind, whole.rows, whole.problems) == ("answers", 400, [])
    content = bytearray(Path("labels.db").read_bytes())
    content[8192:8292] = bytes(100)
    Path("damaged.db").write_bytes(content)
    assert problems("damaged.db")
    with sqlite3.connect("other.db") as other:
        other.execute("CREATE TABLE notes (text)")
    other.close()
    assert "cannot be read as a database of answers" in problems("other.db")[0]


def test_a_folder_is_checked_by_its_files(drawn_catalog: Path) -> None:
    Path("mixed").mkdir()
    shutil.copy(drawn_catalog, "mixed/c.parquet")
    Path("mixed/notes.txt").write_text("not peculiar's")
    assert [one.path.name for one in check_files("mixed")] == ["c.parquet"]
    cut(Path("mixed/c.parquet"))
    assert problems("mixed")
    with pytest.raises(NotFoundError, match="nothing at nowhere"):
        check_files("nowhere")


def test_the_command_prints_and_ends_with_what_was_found(peculiar_command: Any, tmp_path: Path) -> None:
    folder = ledger(tmp_path / "catalog")
    call = functools.partial(peculiar_command, "check-files")
    status, said, _ = call(folder)
    assert status == 0
    assert "4 files, 0 with problems" in said
    cut(folder / "b.parquet")
    status, said, errors = call(folder)
    assert status == 1
    assert "b.parquet: has" in errors
    status, said, _ = call(folder, "--json")
    found = json.loads(said)
    assert (status, found["wrong"], len(found["files"])) == (1, 1, 4)
