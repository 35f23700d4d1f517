"""Files and folders are written in one step."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from peculiar.errors import UsageError
from peculiar.files import writing as writing_module
from peculiar.files.cache import cache_folder
from peculiar.files.writing import sweep, sync, writing, writing_folder


def test_the_cache_lies_where_the_environment_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PECULIAR_CACHE", str(tmp_path / "here"))
    assert cache_folder() == tmp_path / "here"


def test_the_cache_lies_in_the_user_s_folder_otherwise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PECULIAR_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder().is_absolute()
    assert "peculiar" in cache_folder().parts


def test_writing_makes_the_folder_and_replaces_the_file_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "new" / "run.npz"
    for content in ("first", "second"):
        with writing(path) as temporary:
            assert (temporary.parent, temporary.suffix) == (path.parent, ".npz")
            temporary.write_text(content)
            assert path.exists() == (content == "second")
        assert path.read_text() == content
        assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("failure", [RuntimeError, KeyboardInterrupt])
def test_a_failure_while_writing_leaves_the_old_file(failure: type[BaseException], tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"
    path.write_text("old")

    def write() -> None:
        with writing(path) as temporary:
            temporary.write_text("half of the n")
            raise failure

    with pytest.raises(failure):
        write()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_while_writing_leaves_the_old_file(tmp_path: Path, full_disk: Path) -> None:
    path = tmp_path / "scores.csv"
    path.write_text("old")

    def write() -> None:
        with writing(path) as temporary:
            temporary.symlink_to(full_disk)
            temporary.write_text("new")

    with pytest.raises(OSError, match="No space left") as caught:
        write()
    assert caught.value.errno == errno.ENOSPC
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["run.npz", "catalog", "a.b.csv", "[odd] name.parquet", "ü.txt"])
def test_what_a_killed_process_left_is_cleared_away_by_the_next(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    program = (
        "import os, signal, sys; from pathlib import Path; from peculiar.files.writing import writing\n"
        "with writing(Path(sys.argv[1])) as temporary:\n"
        "    temporary.write_text('half of it')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", program, path], check=False)
    (left,) = tmp_path.iterdir()
    others = [tmp_path / ".run.part.npz", tmp_path / f".{path.stem}.123.part{path.suffix}", tmp_path / ".hidden"]
    for other in others:
        other.write_text("somebody's")
    with writing(path) as temporary:
        temporary.write_text("whole")
        assert not left.exists()
    assert path.read_text() == "whole"
    assert sorted(tmp_path.iterdir()) == sorted([path, *others])


def test_what_another_process_is_writing_stays(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    program = (
        "import sys; from pathlib import Path; from peculiar.files.writing import writing\n"
        "with writing(Path(sys.argv[1])) as temporary:\n"
        "    temporary.write_text('the other'); print(flush=True); sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", program, path]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        with writing(path) as temporary:
            temporary.write_text("this one")
        assert path.read_text() == "this one"
        process.communicate("")
    assert process.returncode == 0
    assert path.read_text() == "the other"
    assert list(tmp_path.iterdir()) == [path]


def test_the_name_is_forced_to_the_disk_as_well_as_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forced: list[Path] = []
    fsync = os.fsync

    def note(number: int) -> None:
        forced.append(Path(f"/proc/self/fd/{number}").readlink())
        fsync(number)

    monkeypatch.setattr(os, "fsync", note)
    with writing(tmp_path / "a.csv") as temporary:
        temporary.write_text("rows")
    assert forced == [temporary, tmp_path]


def test_a_folder_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    def write(failure: type[BaseException] | None) -> None:
        with writing_folder(tmp_path / "new") as temporary:
            (temporary / "below").mkdir()
            (temporary / "below" / "a.txt").write_text("a")
            if failure is not None:
                raise failure

    for failure in (RuntimeError, KeyboardInterrupt):
        with pytest.raises(failure):
            write(failure)
        assert list(tmp_path.iterdir()) == []
    write(None)
    assert (tmp_path / "new" / "below" / "a.txt").read_text() == "a"
    with pytest.raises(UsageError, match="new has to be new, or an empty folder"):
        write(None)
    assert len(list(tmp_path.iterdir())) == 1


def leave(folder: Path, name: str, *, host: str | None = None, process: int = 2**22 + 1) -> Path:
    """Leave a temporary file as a killed process does; by default, no process has this number."""
    name, _, suffix = name.partition(".")
    path = folder / f".{name}.{host or writing_module._HOST}-{process}.part.{suffix}"
    path.write_text("half")
    return path


def test_temporary_files_of_killed_processes_alone_are_removed(tmp_path: Path) -> None:
    dead, folder = leave(tmp_path, "a.csv"), leave(tmp_path, "d.csv")
    folder.unlink()
    (folder / "part").mkdir(parents=True)
    lives = leave(tmp_path, "b.csv", process=os.getpid())
    elsewhere = leave(tmp_path, "c.csv", host="0" * 8)
    sweep(tmp_path)
    assert set(tmp_path.iterdir()) == {lives, elsewhere}
    sweep(tmp_path, alone=True)
    assert not dead.exists()
    assert list(tmp_path.iterdir()) == []


def test_temporary_files_of_other_files_stay(tmp_path: Path) -> None:
    own, other = leave(tmp_path, "a.csv"), leave(tmp_path, "a.fits")
    sweep(tmp_path, tmp_path / "a.csv")
    assert (own.exists(), other.exists()) == (False, True)


@pytest.mark.parametrize("error", [PermissionError, OverflowError])
def test_a_process_of_another_user_may_be_alive(
    error: type[Exception], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(process: int, number: int) -> None:
        raise error

    monkeypatch.setattr(os, "kill", refuse)
    left = leave(tmp_path, "a.csv")
    sweep(tmp_path)
    assert left.exists()


def test_a_file_system_that_cannot_flush_folders_is_used_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(number: int) -> None:
        raise OSError(reason, "no")

    monkeypatch.setattr(os, "fsync", fail)
    reason = errno.EINVAL
    sync(tmp_path)
    reason = errno.EIO
    with pytest.raises(OSError, match="no"):
        sync(tmp_path)
