"""The labelling pages as they are served: the address, the token, the port, the browser, and the end by Ctrl-C."""

import os
import queue
import re
import signal
import socket
import stat
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlencode, urlsplit

import pytest

from labelling_pages import form
from peculiar.catalogs.catalog import Catalog
from peculiar.errors import DataError, UsageError
from peculiar.images.decode import encode_picture
from peculiar.labelling.database import Labels
from peculiar.labelling.web import serve, timeouts
from peculiar.labelling.web.serve import label, open_session
from pictures import draw_galaxy

here = pytest.mark.allow_hosts(["127.0.0.1", "::1"])


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for number in range(4):
        (folder / f"{number}.png").write_bytes(encode_picture(draw_galaxy(32, 6, 16, 16, seed=number)))
    return folder


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1,::1")


@contextmanager
def visiting(visit: Callable[[str], object]) -> Iterator[Callable[[str], object]]:
    """Visit the pages in a thread, then press Ctrl-C; give the callable to which the address is announced."""
    addresses: queue.Queue[str | None] = queue.Queue()
    failures: list[BaseException] = []

    def run() -> None:
        address = addresses.get()
        if address is None:
            return
        try:
            get(address)  # the server runs now, and takes the signal
            visit(address)
        except BaseException as error:  # noqa: BLE001 - raised again below
            failures.append(error)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield addresses.put
    finally:
        addresses.put(None)
        thread.join()
    for failure in failures:
        raise failure


def get(address: str, sent: dict[str, str] | None = None, **headers: str) -> str:
    body = None if sent is None else urlencode(sent).encode()
    with urllib.request.urlopen(urllib.request.Request(address, body, headers), timeout=20) as got:
        return str(got.read().decode())


def connect(address: str, sent: bytes) -> socket.socket:
    opened = socket.create_connection(("127.0.0.1", urlsplit(address).port or 0), timeout=20)
    opened.sendall(sent)
    return opened


@here
def test_answers_are_stored_until_ctrl_c(pictures: Path, tmp_path: Path) -> None:
    def visit(address: str) -> None:
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", address)
        sent = form(get(f"{address}?who=Ada")) | {"choice": "1"}
        get(f"{address}answer", sent, **{"HX-Request": "true"})

    with visiting(visit) as announce, pytest.raises(KeyboardInterrupt):
        label(pictures, question="odd", db=tmp_path / "a.db", port=0, token=False, browser=False, on_ready=announce)
    with Labels(tmp_path / "a.db") as labels:
        assert [one.answer for one in labels.current("odd")] == ["odd"]


@here
def test_only_the_address_with_the_token_opens_the_pages(pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def visit(address: str) -> None:
        plain, _, token = address.partition("?token=")
        assert re.fullmatch(r"[\w-]{32}", token)
        with pytest.raises(urllib.error.HTTPError, match="401"):
            get(plain)
        name = f"peculiar-{urlsplit(address).port}"
        assert "Who answers?" in get(plain, Cookie=f"{name}={token}")

    with visiting(visit) as announce, pytest.raises(KeyboardInterrupt):
        label(pictures, question="odd", port=0, browser=False, on_ready=announce)
    assert capsys.readouterr() == ("", "")


@here
def test_a_catalogue_is_served_with_its_gallery(drawn_catalog: Path, tiny_survey: Path) -> None:
    def visit(address: str) -> None:
        assert 'href="/galaxy/' in get(f"{address}gallery")

    with visiting(visit) as announce, pytest.raises(KeyboardInterrupt):
        label(
            Catalog(drawn_catalog),
            pictures=tiny_survey,
            question="odd",
            port=0,
            token=False,
            browser=False,
            on_ready=announce,
        )


@here
def test_in_a_notebook_the_call_returns_when_it_is_interrupted(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "in_notebook", lambda: True)
    closed = []
    close = serve.Pictures.close
    monkeypatch.setattr(serve.Pictures, "close", lambda pictures: (closed.append(stopped.is_set()), close(pictures)))
    stopped, run = threading.Event(), serve.uvicorn.Server.run

    def running(server: Any, sockets: list[socket.socket]) -> None:
        run(server, sockets)
        stopped.set()

    monkeypatch.setattr(serve.uvicorn.Server, "run", running)
    with visiting(get) as announce:
        label(pictures, question="odd", port=0, token=False, browser=False, on_ready=announce)
    assert closed == [True]


@here
def test_the_browser_is_led_to_the_address_by_a_file_of_this_user(
    pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: queue.Queue[tuple[str, int]] = queue.Queue()

    def browse(uri: str) -> None:
        page = Path(unquote(urlsplit(uri).path))
        opened.put((page.read_text(), stat.S_IMODE(page.stat().st_mode)))

    def visit(address: str) -> None:
        page, mode = opened.get(timeout=20)
        assert f'content="0; url={address}"' in page
        assert mode == 0o600

    monkeypatch.setattr(serve.webbrowser, "open", browse)
    with visiting(visit) as announce, pytest.raises(KeyboardInterrupt):
        label(pictures, question="odd", port=0, on_ready=announce)


@here
def test_without_a_listener_the_address_is_printed(
    pictures: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(serve.uvicorn.Server, "run", lambda server, sockets: None)
    label(pictures, question="odd", port=0, token=False, browser=False)
    said = capsys.readouterr().err
    assert re.fullmatch(
        r"The labelling pages are served at http://127\.0\.0\.1:\d+/ until this is interrupted\.\n", said
    )


@here
def test_an_address_of_ipv6_is_in_brackets(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_INET6) as tried:
        try:
            tried.bind(("::1", 0))
        except OSError:
            pytest.skip("this machine has no IPv6")
    with visiting(get) as announce, pytest.raises(KeyboardInterrupt):
        label(pictures, question="odd", host="::1", port=0, token=False, browser=False, on_ready=announce)


@here
def test_a_port_in_use_is_refused_and_another_advised(pictures: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=rf"cannot listen on 127\.0\.0\.1, port {port} \(.*in use.*--port"):
            label(pictures, question="odd", port=port, browser=False)


@here
def test_an_address_of_another_machine_is_refused(pictures: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot listen on 192\.0\.2\.1, port 0"):
        label(pictures, question="odd", host="192.0.2.1", port=0, browser=False)


@pytest.mark.parametrize("port", [-1, 65_536])
def test_a_number_that_is_no_port_is_refused(pictures: Path, port: int) -> None:
    with pytest.raises(UsageError, match=f"to 65535; received {port}"):
        label(pictures, question="odd", port=port, browser=False)


def test_a_catalogue_without_pictures_asks_where_they_are(drawn_catalog: Path, tmp_path: Path) -> None:
    advice = r"catalogue without pictures; say where they are \(--pictures DATA\)"
    for catalog in (drawn_catalog, Catalog(drawn_catalog)):
        with pytest.raises(UsageError, match=advice):
            label(catalog, db=tmp_path / "labels.db", browser=False)


def test_other_faults_of_the_data_are_told_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="empty"):
        label(tmp_path / "empty", browser=False)


def test_pictures_of_other_galaxies_are_refused(drawn_catalog: Path, pictures: Path, tmp_path: Path) -> None:
    with (
        Labels(tmp_path / "labels.db") as labels,
        pytest.raises(UsageError, match=r"none of the galaxies of .*sim-000"),
    ):
        open_session(drawn_catalog, labels, pictures=pictures, question="odd")


@here
def test_requests_that_do_not_arrive_in_time_are_cut_off(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeouts, "HEADER_SECONDS", 1.0)

    def visit(address: str) -> None:
        late = [connect(address, half) for half in (b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ")]
        asked = connect(address, b"GET /static/icon.svg HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert asked.recv(4096).startswith(b"HTTP/1.1 200")
        asked.close()
        for one in late:
            one.settimeout(5)
            assert closed(one)

    with visiting(visit) as announce, pytest.raises(KeyboardInterrupt):
        label(pictures, question="odd", port=0, token=False, browser=False, on_ready=announce)


@here
def test_of_too_many_waiting_connections_the_oldest_is_closed(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeouts, "MOST_WAITING", 3)

    def visit(address: str) -> None:
        waiting = [connect(address, b"GET ") for _ in range(4)]
        assert closed(waiting[0])
        waiting[3].sendall(b"/static/icon.svg HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert waiting[3].recv(4096).startswith(b"HTTP/1.1 200")
        for one in waiting:
            one.close()

    with visiting(visit) as announce, pytest.raises(KeyboardInterrupt):
        label(pictures, question="odd", port=0, token=False, browser=False, on_ready=announce)


def closed(opened: socket.socket) -> bool:
    """Wait until the other end closes a connection."""
    try:
        return opened.recv(4096) == b""
    except ConnectionResetError:
        return True
    finally:
        opened.close()
