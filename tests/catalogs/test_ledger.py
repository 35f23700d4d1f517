"""The ledger: what is in it is done, whatever happened to the machine meanwhile."""

import errno
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from peculiar.catalogs.ledger import Entry, Header, open_ledger
from peculiar.errors import LedgerError, UsageError

HEADER = Header(source="stamps", model="0123456789abcdef", settings={"views": 2})


def entry(name: str, content: bytes = b"rows") -> Entry:
    return Entry(
        shard=name, fingerprint="f", content="c", part=f"{name}.parquet", size=len(content),
        sha256=hashlib.sha256(content).hexdigest(), rows=3, seconds=0.1, classes={"Normal": 3}, flagged={}, problems={},
    )  # fmt: skip


def add(folder: Path, *names: str) -> None:
    with open_ledger(folder, HEADER, restart=False) as ledger:
        for name in names:
            (folder / f"{name}.parquet").write_bytes(b"rows")
            ledger.add(entry(name))


def names(folder: Path, header: Header = HEADER, *, restart: bool = False) -> list[str]:
    with open_ledger(folder, header, restart=restart) as ledger:
        return list(ledger.entries)


def test_what_was_added_is_there_the_next_time(tmp_path: Path) -> None:
    add(tmp_path / "run", "a", "b")
    add(tmp_path / "run", "c")
    assert names(tmp_path / "run") == ["a", "b", "c"]


def test_half_a_line_at_the_end_is_forgotten(tmp_path: Path) -> None:
    add(tmp_path, "a", "b")
    file = tmp_path / "_ledger.jsonl"
    whole = file.read_bytes()
    for cut in range(1, len(entry("b").model_dump_json()) + 1, 7):
        file.write_bytes(whole[:-cut])
        assert names(tmp_path) == ["a"]
        add(tmp_path, "c")
        assert names(tmp_path) == ["a", "c"]
        file.write_bytes(whole)


@pytest.mark.parametrize("content", [b"", b"{", b'{"source":"stamps"'])
def test_a_ledger_without_a_whole_line_begins_anew(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "_ledger.jsonl").write_bytes(content)
    assert names(tmp_path) == []
    add(tmp_path, "a")
    assert names(tmp_path) == ["a"]


def test_a_part_that_is_gone_or_cut_short_is_not_done(tmp_path: Path) -> None:
    add(tmp_path, "a", "b", "c")
    (tmp_path / "a.parquet").unlink()
    (tmp_path / "b.parquet").write_bytes(b"ro")
    assert names(tmp_path) == ["c"]


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    add(tmp_path, "a")
    left, own = tmp_path / ".b.0123abcd-123.part.parquet", tmp_path / ".b.part.parquet"
    left.write_bytes(b"half")
    own.write_bytes(b"somebody's")
    assert names(tmp_path) == ["a"]
    assert not left.exists()
    assert own.exists()


@pytest.mark.parametrize("restart", [True, False])
@pytest.mark.parametrize("done", [[], ["a"]])
def test_only_what_the_ledger_names_is_removed(tmp_path: Path, restart: bool, done: list[str]) -> None:
    add(tmp_path, *done)
    with open_ledger(tmp_path, HEADER, restart=False) as ledger:
        ledger.begin("begun.parquet")
        (tmp_path / "begun.parquet").write_bytes(b"whole, but killed before the ledger says so")
    mine = [tmp_path / "mine.parquet", tmp_path / "notes.txt", tmp_path / ".hidden.parquet"]
    for file in mine:
        file.write_bytes(b"mine")
    assert names(tmp_path, restart=restart) == ([] if restart else done)
    assert [file.read_bytes() for file in mine] == [b"mine"] * 3
    assert (tmp_path / "begun.parquet").exists() == (not restart)
    with open_ledger(tmp_path, HEADER, restart=False) as ledger:
        ledger.clear()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(file.name for file in mine)


@pytest.mark.parametrize("name", ["../mine.parquet", "/etc/passwd", "a/b.parquet", ".hidden", "..", ""])
def test_a_ledger_that_names_other_places_is_refused(tmp_path: Path, name: str) -> None:
    folder, mine = tmp_path / "run", tmp_path / "mine.parquet"
    add(folder, "a")
    mine.write_bytes(b"rows")
    line = entry("b").model_dump(mode="json") | {"part": name}
    with (folder / "_ledger.jsonl").open("a") as file:
        file.write(json.dumps(line) + "\n" + json.dumps({"begun": name}) + "\n")
    with pytest.raises(LedgerError, match="line 3 is damaged"):
        names(folder)
    assert names(folder, restart=True) == []
    assert mine.read_bytes() == b"rows"


def test_a_file_of_another_kind_is_not_taken_for_a_ledger(tmp_path: Path) -> None:
    file = tmp_path / "_ledger.jsonl"
    file.write_text("my own notes\nof two lines\n")
    for restart in (False, True):
        with pytest.raises(LedgerError, match=r"_ledger\.jsonl"):
            names(tmp_path, restart=restart)
    assert file.read_text() == "my own notes\nof two lines\n"


def test_another_header_is_refused_once_something_is_done(tmp_path: Path) -> None:
    other = HEADER.model_copy(update={"settings": {"views": 1, "fast": True}})
    assert names(tmp_path) == []
    assert names(tmp_path, other) == []
    assert names(tmp_path) == []
    add(tmp_path, "a")
    with pytest.raises(UsageError, match="started with other settings: views was 2, is 1; fast was None, is True"):
        names(tmp_path, other)
    assert names(tmp_path, other, restart=True) == []
    assert not (tmp_path / "a.parquet").exists()


@pytest.mark.parametrize("number", [1, 2])
def test_a_line_damaged_by_hand_is_named(tmp_path: Path, number: int) -> None:
    add(tmp_path, "a", "b")
    lines = (tmp_path / "_ledger.jsonl").read_bytes().splitlines(keepends=True)
    lines[number - 1] = b'{"shard": "a"}\n'
    (tmp_path / "_ledger.jsonl").write_bytes(b"".join(lines))
    with pytest.raises(LedgerError, match=f"line {number} is damaged"):
        names(tmp_path)


def test_a_full_disk_leaves_no_half_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add(tmp_path, "a")
    before = (tmp_path / "_ledger.jsonl").read_bytes()

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with open_ledger(tmp_path, HEADER, restart=False) as ledger:
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", full)
            with pytest.raises(OSError, match="No space left on device"):
                ledger.add(entry("b"))
        assert (tmp_path / "_ledger.jsonl").read_bytes() == before
        assert list(ledger.entries) == ["a"]


def test_a_place_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"file/run cannot be written to \(Not a directory\); choose another output"):
        names(tmp_path / "file" / "run")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(UsageError, match=r"run cannot be written to \(Permission denied\)"):
        names(tmp_path / "run")


def test_two_processes_do_not_share_a_ledger(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from peculiar.catalogs.ledger import Header, open_ledger\n"
        "with open_ledger(Path(sys.argv[1]), Header(source='stamps', model='0', settings={}), restart=False): pass"
    )
    command: list[Any] = [sys.executable, "-c", script, tmp_path]
    with open_ledger(tmp_path, HEADER, restart=False):
        held = subprocess.run(command, capture_output=True, text=True, check=False)
    assert held.returncode == 1
    assert "another process is using" in held.stderr
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0
