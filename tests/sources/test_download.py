"""Fetching a published file from a real server on this machine."""

import hashlib
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from peculiar.errors import DataError, DownloadError
from peculiar.files.cache import cache_folder
from peculiar.sources.download import fetch
from web_server import Published

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])

NAME = "galaxydata.npz"

CONTENT = bytes(range(256)) * 1200

CUT = 100_000


def accept(path: Path) -> None:
    """Find nothing wrong."""


def left_in_cache() -> set[str]:
    """Everything in the cache but the lock, which stays for the next time."""
    return {path.name for path in cache_folder().iterdir()} - {f"{NAME}.lock"}


@pytest.fixture
def whole(published: Published) -> Published:
    published.content = CONTENT
    return published


@pytest.fixture
def broken(whole: Published) -> Published:
    """A server that closed the connection once, after `CUT` bytes, and works again."""
    whole.cut_after = CUT
    with pytest.raises(DownloadError, match=f"the connection ended after {CUT} of {len(CONTENT)} bytes; call again"):
        fetch(whole.url, NAME, check=accept)
    assert left_in_cache() == {f"{NAME}.part", f"{NAME}.part.json"}
    whole.cut_after = None
    return whole


def test_a_file_is_fetched_once(whole: Published) -> None:
    checked: list[bytes] = []
    path = fetch(whole.url, NAME, check=lambda path: checked.append(path.read_bytes()))
    assert path == cache_folder() / NAME
    assert path.read_bytes() == CONTENT
    assert checked == [CONTENT]
    assert left_in_cache() == {NAME}
    assert fetch(whole.url, NAME, check=accept) == path
    assert len(whole.asked) == 1
    assert "Range" not in whole.asked[0]


def test_a_broken_download_goes_on_where_it_stopped(broken: Published) -> None:
    assert fetch(broken.url, NAME, check=accept).read_bytes() == CONTENT
    assert broken.asked[1]["Range"] == f"bytes={CUT}-"
    assert broken.asked[1]["If-Range"] == '"first"'
    assert broken.sent == [CUT, len(CONTENT) - CUT]
    assert left_in_cache() == {NAME}


def test_a_download_may_break_more_than_once(broken: Published) -> None:
    broken.cut_after = 50_000
    with pytest.raises(DownloadError, match=f"after 50000 of {len(CONTENT) - CUT} bytes"):
        fetch(broken.url, NAME, check=accept)
    broken.cut_after = None
    assert fetch(broken.url, NAME, check=accept).read_bytes() == CONTENT
    assert broken.sent == [CUT, 50_000, len(CONTENT) - CUT - 50_000]


def test_the_date_of_change_serves_where_there_is_no_etag(whole: Published) -> None:
    date = "Wed, 21 Oct 2015 07:28:00 GMT"
    whole.validator = ("Last-Modified", date)
    whole.cut_after = CUT
    with pytest.raises(DownloadError):
        fetch(whole.url, NAME, check=accept)
    whole.cut_after = None
    assert fetch(whole.url, NAME, check=accept).read_bytes() == CONTENT
    assert whole.asked[1]["If-Range"] == date
    assert whole.sent[1] == len(CONTENT) - CUT


def test_without_a_validator_the_whole_file_is_fetched_again(whole: Published) -> None:
    whole.validator, whole.cut_after = None, CUT
    with pytest.raises(DownloadError):
        fetch(whole.url, NAME, check=accept)
    whole.cut_after = None
    assert fetch(whole.url, NAME, check=accept).read_bytes() == CONTENT
    assert "Range" not in whole.asked[1]


@pytest.mark.parametrize("note", ["", "{", "17"])
def test_a_spoilt_note_of_the_validator_means_the_whole_file_again(note: str, broken: Published) -> None:
    (cache_folder() / f"{NAME}.part.json").write_text(note)
    assert fetch(broken.url, NAME, check=accept).read_bytes() == CONTENT
    assert "Range" not in broken.asked[1]


def test_a_server_without_ranges_sends_the_whole_file(broken: Published) -> None:
    broken.ranges = False
    assert fetch(broken.url, NAME, check=accept).read_bytes() == CONTENT
    assert broken.sent == [CUT, len(CONTENT)]


def test_a_file_that_changed_meanwhile_is_fetched_from_the_start(broken: Published) -> None:
    broken.content, broken.validator = b"new" * 100_000, ("ETag", '"second"')
    assert fetch(broken.url, NAME, check=accept).read_bytes() == b"new" * 100_000
    assert broken.asked[1]["If-Range"] == '"first"'


def test_nothing_is_left_to_fetch_where_the_whole_file_had_come(broken: Published) -> None:
    (cache_folder() / f"{NAME}.part").write_bytes(CONTENT)
    assert fetch(broken.url, NAME, check=accept).read_bytes() == CONTENT
    assert broken.asked[1]["Range"] == f"bytes={len(CONTENT)}-"
    assert left_in_cache() == {NAME}


@pytest.mark.parametrize(("status", "said"), [(404, "404 Not Found"), (503, "503 Service"), (416, "416 ")])
def test_an_error_of_the_server_is_told(status: int, said: str, whole: Published) -> None:
    whole.status = status
    with pytest.raises(DownloadError, match=f"{whole.url}: the server answered {said}"):
        fetch(whole.url, NAME, check=accept)
    assert left_in_cache() == set()


def test_an_error_of_the_server_keeps_what_had_come(broken: Published) -> None:
    broken.status = 503
    with pytest.raises(DownloadError, match="503"):
        fetch(broken.url, NAME, check=accept)
    broken.status = None
    assert fetch(broken.url, NAME, check=accept).read_bytes() == CONTENT
    assert broken.sent[1] == len(CONTENT) - CUT


def test_a_refused_connection_is_told() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/galaxydata.npz"
    with pytest.raises(DownloadError, match=rf"{url}: could not be downloaded \(.*refused"):
        fetch(url, NAME, check=accept)


def test_a_server_that_does_not_answer_is_given_up(whole: Published) -> None:
    whole.delay = threading.Event()
    with pytest.raises(DownloadError, match=r"could not be downloaded \(timed out\)"):
        fetch(whole.url, NAME, check=accept, timeout=0.1)


def test_a_body_of_unknown_length_that_breaks_off_is_noticed(whole: Published) -> None:
    whole.chunked, whole.cut_after = True, CUT
    with pytest.raises(DownloadError, match=r"the connection broke off .*; call again to resume"):
        fetch(whole.url, NAME, check=accept)
    assert left_in_cache() == {f"{NAME}.part", f"{NAME}.part.json"}


def test_a_file_that_is_not_the_expected_one_is_not_kept(whole: Published) -> None:
    def refuse(path: Path) -> None:
        raise DataError("no galaxies in it")

    with pytest.raises(DownloadError, match=f"{whole.url} was downloaded but is not .*: no galaxies in it"):
        fetch(whole.url, NAME, check=refuse)
    assert left_in_cache() == set()


def test_the_published_checksum_is_checked(whole: Published) -> None:
    wrong, right = hashlib.sha256(b"").hexdigest(), hashlib.sha256(CONTENT).hexdigest()
    with pytest.raises(DownloadError, match=f"its SHA-256 is {right}, published is {wrong}"):
        fetch(whole.url, NAME, check=accept, sha256=wrong)
    assert left_in_cache() == set()
    assert fetch(whole.url, NAME, check=accept, sha256=right).read_bytes() == CONTENT


def test_two_threads_fetch_once(whole: Published) -> None:
    whole.delay = threading.Event()
    paths: list[Path] = []
    threads = [threading.Thread(target=lambda: paths.append(fetch(whole.url, NAME, check=accept))) for _ in range(2)]
    for thread in threads:
        thread.start()
    while not whole.asked:
        threads[0].join(0.01)
    threads[0].join(0.1)  # time for the other to ask as well, if nothing kept it
    whole.delay.set()
    for thread in threads:
        thread.join()
    assert paths == [cache_folder() / NAME] * 2
    assert len(whole.asked) == 1


def test_two_processes_fetch_once(whole: Published) -> None:
    whole.delay = threading.Event()
    program = (
        "import sys; from peculiar.sources.download import fetch; print(fetch(*sys.argv[1:], check=lambda path: None))"
    )
    command = [sys.executable, "-c", program, whole.url, NAME]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    while not whole.asked:
        threading.Event().wait(0.01)
    threading.Event().wait(0.2)
    whole.delay.set()
    answers = [process.communicate(timeout=20)[0] for process in processes]
    assert answers == [f"{cache_folder() / NAME}\n"] * 2
    assert len(whole.asked) == 1


def test_a_cache_that_cannot_be_written_to_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("PECULIAR_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(
        DownloadError, match=r"file/cache: cannot be written to \(Not a directory\); set PECULIAR_CACHE"
    ):
        fetch("http://127.0.0.1:9/", NAME, check=accept)


def test_a_full_disk_during_a_download_is_told(whole: Published, full_disk: Path) -> None:
    cache_folder().mkdir()
    (cache_folder() / f"{NAME}.part").symlink_to(full_disk)
    with pytest.raises(DownloadError, match=r"could not be downloaded \(.*No space left on device"):
        fetch(whole.url, NAME, check=accept)
