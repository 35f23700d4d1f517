"""Paths of this machine and addresses in stores."""

import errno
import pickle
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from peculiar.errors import MissingExtraError, UsageError
from peculiar.files import addresses, remote
from peculiar.files.places import common_folder, entries, on_this_machine, place, same, states, within
from peculiar.files.remote import RemotePath
from peculiar.files.writing import writing, writing_folder

fsspec = pytest.importorskip("fsspec")


@pytest.fixture
def store(memory_store: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A store in memory with three files, and no waiting between attempts."""
    monkeypatch.setattr(remote, "WAITS", (0.0, 0.0))
    memory_store.pipe({"/b/a.txt": b"0123456789" * 50_000, "/b/x/one.parquet": b"1", "/b/x/y/two.parquet": b"2"})
    return memory_store


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("memory://b/x/", "memory://b/x"),
        (Path("memory://b/x"), "memory://b/x"),
        ("MEMORY://b/x", "memory://b/x"),
        ("https://host/a%20b.fits", "https://host/a%20b.fits"),
        ("https://ada:secret@host/a.fits?X-Amz-Signature=secret", "https://host/a.fits"),
        ("file:///data/a.fits", "/data/a.fits"),
        (Path("file:///data/a.fits"), "/data/a.fits"),
        ("C:/data", "C:/data"),
        ("data/a.fits", "data/a.fits"),
    ],
)
def test_what_is_given_is_a_path_or_an_address_without_credentials(given: str | Path, told: str) -> None:
    pytest.importorskip("aiohttp")
    path = place(given)
    assert str(path) == told
    assert isinstance(path, RemotePath) == ("://" in told)
    assert "secret" not in f"{path} {path!r} {path.parent} {path.parts}"


def test_credentials_of_an_address_reach_the_store_and_other_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("aiohttp")
    address = "https://ada:secret@host/a.fits?X-Amz-Signature=of//it"
    path = place(address)
    pickled = pickle.dumps(path)
    monkeypatch.setattr(addresses, "_hidden", {})
    assert pickle.loads(pickled)._full == address
    # The command line's paths have lost a slash of two, and are the addresses that were typed.
    assert place(Path(address))._full == address  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("nonsense://b/x", "unknown"),
        ("memory://", "names no folder"),
        ("memory://ada:secret@b/x", "set them in the environment"),
    ],
)
def test_addresses_that_lead_nowhere_are_refused(given: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as refused:
        place(given)
    assert "secret" not in str(refused.value)


def test_two_files_that_only_the_query_tells_apart_are_refused() -> None:
    pytest.importorskip("aiohttp")
    place("https://host/get?file=1&X-Amz-Signature=a")
    place("https://host/get?file=1&X-Amz-Signature=b")
    with pytest.raises(UsageError, match="only in its query"):
        place("https://host/get?file=2")


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def lacks(scheme: str) -> None:
        raise ImportError(scheme)

    monkeypatch.setattr(fsspec, "get_filesystem_class", lacks)
    with pytest.raises(MissingExtraError, match=r"peculiar\[remote\]"):
        place("s3://bucket/x")


def test_a_folder_of_a_store_is_listed_and_searched(store: Any) -> None:
    root = place("memory://b")
    assert (root.exists(), root.is_dir(), root.is_file()) == (True, True, False)
    assert not (root / "nothing").exists()
    assert [(one.path.name, one.is_folder) for one in entries(root)] == [("a.txt", False), ("x", True)]
    assert [str(one) for one in root.glob("*/*.parquet")] == ["memory://b/x/one.parquet"]
    assert sorted(one.name for one in root.rglob("*.parquet")) == ["one.parquet", "two.parquet"]
    assert list((root / "a.txt").glob("*")) == []


def test_paths_in_a_store_behave_like_paths(store: Any) -> None:
    path = place("memory://b/x/one.parquet")
    assert isinstance(path.parent, RemotePath)
    assert (path.name, path.suffix, path.parent.name) == ("one.parquet", ".parquet", "x")
    assert path.relative_to(place("memory://b")) == PurePosixPath("x/one.parquet")
    assert path == path.with_name("two.parquet").with_name("one.parquet")
    assert hash(path) == hash(place("memory://b/x/one.parquet"))
    assert within(path, path.parent) == "one.parquet"
    assert common_folder([path, path.parent.parent / "a.txt"]) == place("memory://b")
    with pytest.raises(UsageError, match="different stores"):
        common_folder([path, Path("/data/a")])
    assert (path.parent / "../a.txt").stat().st_size == 500_000
    assert same(path, place("memory://b/x/one.parquet"))
    assert not same(path, Path("/data/a"))


@pytest.mark.parametrize("buffering", [-1, 0])
def test_a_file_of_a_store_is_read_like_one_of_a_disk(store: Any, buffering: int) -> None:
    content = store.cat("/b/a.txt")
    with place("memory://b/a.txt").open("rb", buffering=buffering) as file:
        assert file.read(7) == content[:7]
        file.seek(-3, 2)
        assert file.read() == content[-3:]
        file.seek(12_345)
        assert (file.read(100), file.tell()) == (content[12_345:12_445], 12_445)
        file.seek(0)
        assert file.read() == content
        assert file.read(1) == b""
    assert place("memory://b/a.txt").read_bytes() == content


def test_ends_of_a_file_are_asked_for_once_and_again_when_it_has_changed(
    store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def counted(name: str) -> Any:
        real = getattr(type(store), name)

        def ask(self: Any, *args: Any, **options: Any) -> Any:
            asked.append(name)
            return real(self, *args, **options)

        return ask

    for name in ("info", "cat_file"):
        monkeypatch.setattr(type(store), name, counted(name))
    path, size = place("memory://b/a.txt"), 500_000

    def read() -> bytes:
        with path.open("rb", buffering=0) as file:
            head = file.read(100)
            file.seek(size - 100)
            return head + file.read(100)

    assert {read() for _ in range(5)} == {b"0123456789" * 20}
    assert sorted(asked) == ["cat_file", "cat_file", "info"]
    store.pipe("/b/a.txt", b"9876543210" * 50_000)
    path.stat()  # as the check of a run's input does
    assert read() == b"9876543210" * 20


def test_what_is_read_once_is_not_held(store: Any) -> None:
    path = place("memory://b/a.txt")
    with path.open("rb", buffering=0) as file:
        assert len(file.read(400_000)) == 400_000
        assert file._held == b""  # type: ignore[attr-defined]


def test_a_copy_is_kept_until_the_file_changes_and_made_again_if_it_is_harmed(store: Any) -> None:
    path = place("memory://b/x/one.parquet")
    copy = Path(path.__fspath__())
    assert copy.read_bytes() == b"1"
    state = copy.stat()
    assert Path(path.__fspath__()).stat().st_mtime_ns == state.st_mtime_ns
    copy.write_bytes(b"?")
    assert Path(path.__fspath__()).read_bytes() == b"1"
    store.pipe("/b/x/one.parquet", b"new")
    assert Path(path.__fspath__()).read_bytes() == b"new"
    with pytest.raises(UsageError, match="is a folder"):
        path.parent.__fspath__()


def test_a_file_is_sent_whole_or_not_at_all(store: Any) -> None:
    path = place("memory://b/new/table.csv")
    with writing(path) as temporary:
        temporary.write_text("first")
        assert not path.exists()
    assert path.read_text() == "first"

    def fail() -> None:
        with writing(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert path.read_text() == "first"
    path.unlink()
    path.unlink(missing_ok=True)
    assert not path.exists()


def test_what_cannot_be_done_in_a_store_is_refused(store: Any) -> None:
    path = place("memory://b/a.txt")
    with pytest.raises(UsageError, match="on this machine"):
        on_this_machine(path, "a database")
    with pytest.raises(UsageError, match="choose a place on this machine"):
        path.rename(path.with_name("c.txt"))
    with pytest.raises(UsageError, match="choose a place on this machine"):
        path.open("ab")
    with pytest.raises(UsageError, match="writes a folder"), writing_folder(path.parent / "pages"):
        pass


def test_every_way_of_a_path_to_the_disk_asks_the_store() -> None:
    """A method of `pathlib` that was forgotten would look for a file called "s3:" in the present folder."""
    harmless = {
        *("as_posix", "as_uri", "is_absolute", "is_relative_to", "is_reserved", "joinpath", "match", "relative_to"),
        *("with_name", "with_stem", "with_suffix", "with_segments", "full_match", "from_uri", "cwd", "home"),
        *(
            "anchor",
            "drive",
            "name",
            "parent",
            "parents",
            "parts",
            "root",
            "stem",
            "suffix",
            "suffixes",
            "parser",
            "info",
        ),
        *("is_block_device", "is_char_device", "is_fifo", "is_socket", "is_mount", "is_junction", "lchmod", "link_to"),
        *("walk", "copy", "copy_into", "move", "move_into", "expanduser", "info"),
    }
    assert {name for name in dir(Path) if not name.startswith("_")} - harmless <= vars(RemotePath).keys()


class _Flaky:
    """A store that fails a few times."""

    def __init__(self, error: Exception, times: int) -> None:
        self.error, self.left, self.asked = error, times, 0

    def __call__(self) -> str:
        self.asked += 1
        self.left -= 1
        if self.left >= 0:
            raise self.error
        return "done"


class _AnswerError(Exception):
    def __init__(self, status: int) -> None:
        super().__init__(f"status {status} of https://host/a?X-Amz-Signature=secret")
        self.status = status


@pytest.mark.parametrize(
    ("error", "kind", "said", "again"),
    [
        (_AnswerError(503), OSError, "busy", True),
        (_AnswerError(401), PermissionError, "access is denied", False),
        (_AnswerError(404), FileNotFoundError, "no such object", False),
        (_AnswerError(418), OSError, "_AnswerError", False),
        (TimeoutError("secret"), TimeoutError, "in time", True),
        (ConnectionResetError("secret"), OSError, "connection", True),
        (OSError(errno.EBUSY, "SlowDown"), OSError, "busy", True),
        (PermissionError("secret"), PermissionError, "access is denied", False),
    ],
)
def test_errors_of_stores_are_told_without_credentials_and_passing_ones_tried_again(
    store: Any, error: Exception, kind: type[OSError], said: str, again: bool
) -> None:
    path = place("memory://b/a.txt")
    assert isinstance(path, RemotePath)
    assert not again or path._asked(_Flaky(error, 2)) == "done"
    flaky = _Flaky(error, 100)
    with pytest.raises(kind, match=said) as raised:
        path._asked(flaky)
    assert flaky.asked == (3 if again else 1)
    assert raised.value.__suppress_context__
    assert raised.value.filename == "memory://b/a.txt"
    assert "secret" not in str(raised.value)


def test_an_answer_that_ends_early_is_asked_for_again(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    path, used, short = place("memory://b/a.txt"), remote._filesystem("memory"), [True, True]
    whole = used.cat_file

    def cut(key: str, start: int | None = None, end: int | None = None) -> bytes:
        content: bytes = whole(key, start=start, end=end)
        return content[:100] if short and short.pop() else content

    monkeypatch.setattr(used, "cat_file", cut)
    assert path.read_bytes() == whole("/b/a.txt")
    assert not short
    short += [True] * 100
    with pytest.raises(OSError, match="ended after 100 of"):
        path.read_bytes()


def test_states_tell_changed_and_vanished_files(store: Any, tmp_path: Path) -> None:
    (tmp_path / "here").write_text("1")
    files = [place("memory://b/a.txt"), tmp_path / "here", place("memory://b/gone"), tmp_path / "gone"]
    first = list(states(files))
    assert [state and state[0] for state in first] == [500_000, 1, None, None]
    store.pipe("/b/a.txt", b"x" * 500_000)
    assert next(states(files)) != first[0]
