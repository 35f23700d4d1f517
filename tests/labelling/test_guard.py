"""Access to the labelling pages: the token, pages of other sites, and slow or endless requests."""

import contextlib
import html
import re
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from labelling_server import Server, Servers, serving
from peculiar.errors import UsageError
from peculiar.images.decode import encode_picture
from peculiar.labelling.database import Labels
from peculiar.labelling.web.app import make_app
from peculiar.labelling.web.guard import Guard
from peculiar.labelling.web.serve import label, open_session
from pictures import draw_galaxy

TOKEN = "secret-token"
HERE = "http://127.0.0.1:8222"


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for number in range(4):
        (folder / f"{number}.png").write_bytes(encode_picture(draw_galaxy(32, 6, 16, 16, seed=number)))
    return folder


@pytest.fixture
def app(pictures: Path, tmp_path: Path) -> Iterator[Any]:
    with Labels(tmp_path / "labels.db") as labels:
        session = open_session(pictures, labels, question="odd")
        yield make_app(session)
        session.pictures.close()


def open_client(guarded: Guard, base: str = HERE) -> TestClient:
    return TestClient(guarded, base_url=base, follow_redirects=False)


@pytest.mark.parametrize(
    "address", ["/", "/?who=Ada", "/picture/0/large", "/export/events.csv", "/csrf", "/static/pages.js"]
)
def test_without_the_token_nothing_is_shown(app: Any, address: str) -> None:
    with open_client(Guard(app, TOKEN)) as client:
        separator = "&" if "?" in address else "?"
        for wrong in ("", f"{separator}token=", f"{separator}token={TOKEN}x", f"{separator}token=\u00fc"):
            refused = client.get(address + wrong)
            assert refused.status_code == 401
            assert "it contains the token" in refused.text
        assert client.post("/answer", data={"token": TOKEN}).status_code == 401
        assert client.post(f"/answer?token={TOKEN}").status_code == 401


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("/?token={}", "/"),
        ("/?who=Ada&token={}&row=3", "/?who=Ada&row=3"),
        ("/map?where=p+%3E+0.5&token={}", "/map?where=p+%3E+0.5"),
        ("//evil.example/?token={}", "/evil.example/"),
        ("/%5Cevil.example?token={}", "/%5Cevil.example"),
        ('/%22%3E%3Cscript%3E?token={}&x="', "/%22%3E%3Cscript%3E?x=%22"),
        ("/?token=wrong&token={}", "/"),
    ],
)
def test_the_address_with_the_token_lets_in_and_leads_on(app: Any, address: str, place: str) -> None:
    with open_client(Guard(app, TOKEN)) as client:
        opened = client.get(HERE + address.format(TOKEN), headers={"Sec-Fetch-Site": "cross-site"})
        assert opened.status_code == 200
        assert opened.headers["set-cookie"] == f"peculiar-8222={TOKEN}; HttpOnly; SameSite=Strict; Path=/"
        # No other page, log or history is told of the address.
        assert opened.headers["referrer-policy"] == "no-referrer"
        assert opened.headers["cache-control"] == "no-store"
        assert TOKEN not in opened.text
        found = re.search(r'content="0; url=([^"]*)"', opened.text)
        assert found is not None
        assert html.unescape(found[1]) == place
        assert "<script" not in opened.text
        assert client.get("/?who=Ada").status_code == 200


def test_desks_on_other_ports_have_cookies_of_their_own(app: Any) -> None:
    with open_client(Guard(app, TOKEN), "http://127.0.0.1:9000") as client:
        assert client.get("/", headers={"Cookie": f"peculiar-8222={TOKEN}"}).status_code == 401
        assert client.get("/", headers={"Cookie": f"peculiar-8222=other; peculiar-9000={TOKEN}"}).status_code == 200


@pytest.mark.parametrize(
    ("cookies", "status"),
    [
        (f"peculiar-8222={TOKEN}", 200),
        (f'other={{"a": "b"}}; peculiar-8222={TOKEN}', 200),
        (f"path=/; peculiar-8222={TOKEN}; last", 200),
        (f"no word; peculiar-8222={TOKEN}", 200),
        (f"peculiar-8222=wrong; peculiar-8222={TOKEN}", 200),
        ("peculiar-8222=wrong", 401),
        (f"other={TOKEN}", 401),
        ("peculiar-8222=", 401),
    ],
)
def test_cookies_of_other_programs_do_not_hide_the_token(app: Any, cookies: str, status: int) -> None:
    with open_client(Guard(app, TOKEN)) as client:
        assert client.get("/", headers={"Cookie": cookies}).status_code == status


def test_with_a_host_of_its_own_the_desk_answers_to_any_name(app: Any) -> None:
    with open_client(Guard(app, TOKEN, local=False), "http://labels.example:8222") as client:
        assert client.get("/").status_code == 401
        opened = client.get(f"/?token={TOKEN}")
        # Browsers complain of it where the connection is not safe.
        assert "cross-origin-opener-policy" not in opened.headers
        assert client.get("/?who=Ada").status_code == 200
    with open_client(Guard(app, TOKEN), "http://labels.example:8222") as client:
        assert client.get(f"/?token={TOKEN}").status_code == 421


OWN = [
    {},
    {"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate"},
    {"Sec-Fetch-Site": "same-origin"},
    {"Referer": f"{HERE}/gallery?where=x"},
    {"Origin": HERE, "Referer": HERE},
]
FOREIGN = [
    {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"},
    {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "unheard-of"},
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://127.0.0.1:9999"},
    {"Referer": "https://evil.example/page"},
    {"Referer": "http://127.0.0.1:9999/"},
    {"Referer": "http://127.0.0.1.evil.example:8222/"},
    {"Referer": "file:///home/ada/page.html"},
    {"Sec-Fetch-Site": "none", "Origin": "https://evil.example"},
]


@pytest.mark.parametrize("token", ["", TOKEN])
@pytest.mark.parametrize(
    "address", ["/", "/?who=Ada", "/grid?who=Ada", "/picture/0/large", "/export/votes.csv", "/nowhere"]
)
def test_pages_of_other_sites_reach_nothing(app: Any, token: str, address: str) -> None:
    cookie = {"Cookie": f"peculiar-8222={TOKEN}"}  # as if a browser brought it all the same
    with open_client(Guard(app, token)) as client:
        for headers in OWN:
            assert client.get(address, headers=headers | cookie).status_code == (404 if address == "/nowhere" else 200)
        for headers in FOREIGN:
            for method in ("GET", "HEAD", "POST", "OPTIONS"):
                refused = client.request(method, address, headers=headers | cookie)
                assert refused.status_code == 403, (headers, method)


def test_a_desk_that_others_can_reach_needs_the_token(pictures: Path) -> None:
    with pytest.raises(UsageError, match="leave out --no-token"):
        label(pictures, host="0.0.0.0", token=False, browser=False)
    assert not Path("labels.db").exists()


@pytest.fixture(scope="module")
def server(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("served")
    with serving() as start, pytest.MonkeyPatch.context() as patch:
        patch.setenv("no_proxy", "127.0.0.1")
        yield start(pictures, folder, "--question", "odd", "--port", 0)


def connect(server: Server, sent: bytes = b"") -> socket.socket:
    opened = socket.create_connection(("127.0.0.1", server.port), timeout=60)
    opened.sendall(sent)
    return opened


def closes(opened: socket.socket, within: float) -> bytes:
    """What comes until the other end closes the connection."""
    got = b""
    opened.settimeout(within)
    with contextlib.suppress(ConnectionResetError):
        while piece := opened.recv(4096):
            got += piece
    opened.close()
    return got


HALF = [
    b"",
    b"GET / HT",
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ",
    b"\r\n" * 10,
]


@pytest.mark.slow
@pytest.mark.allow_hosts(["127.0.0.1"])
def test_half_sent_requests_are_cut_off_and_others_answered(server: Server) -> None:
    some = [connect(server, head) for head in HALF for _ in range(20)]
    body = b"POST /answer HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Length: 50\r\n\r\nwho=" % server.port
    bodies = [connect(server, body) for _ in range(20)]
    begun = time.monotonic()
    for _ in range(5):
        assert "Who answers?" in server.get("/")
    assert time.monotonic() - begun < 5
    for opened in some:
        closes(opened, 30)
    for opened in bodies:
        assert b" 408 " in closes(opened, 40)
    assert "Who answers?" in server.get("/")
    assert "Traceback" not in server.log.read_text()


@pytest.mark.slow
@pytest.mark.allow_hosts(["127.0.0.1"])
def test_a_head_that_trickles_is_cut_off(server: Server) -> None:
    opened = connect(server, b"GET / HTTP/1.1\r\n")
    begun = time.monotonic()
    with contextlib.suppress(ConnectionError):  # a byte a moment does not make it start over
        while time.monotonic() < begun + 40:
            opened.sendall(b"X")
            time.sleep(0.2)
    assert time.monotonic() - begun < 30
    opened.close()


@pytest.mark.allow_hosts(["127.0.0.1"])
def test_many_idle_connections_leave_room(server: Server) -> None:
    some = [connect(server) for _ in range(400)]
    begun = time.monotonic()
    assert "Who answers?" in server.get("/")
    assert time.monotonic() - begun < 5
    # The oldest are closed.
    assert closes(some[0], 10) == b""
    for opened in some[1:]:
        opened.close()


@pytest.mark.allow_hosts(["127.0.0.1"])
def test_a_connection_is_used_again(server: Server) -> None:
    opened = connect(server)
    for _ in range(3):
        opened.sendall(b"GET /static/icon.svg HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n" % server.port)
        got = b""
        while b"</svg>" not in got:
            got += opened.recv(4096)
        assert got.startswith(b"HTTP/1.1 200")
    opened.close()


@pytest.mark.allow_hosts(["127.0.0.1"])
def test_by_default_the_address_has_a_token(pictures: Path, tmp_path: Path, servers: Servers) -> None:
    server = servers(pictures, tmp_path, "--question", "odd", "--port", 0, token=True)
    assert re.fullmatch(rf"http://127\.0\.0\.1:{server.port}/\?token=[\w-]{{32}}", server.address)
    plain = connect(server, b"GET / HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n")
    assert b" 401 " in closes(plain, 20)
    token = server.address.partition("=")[2].encode()
    known = connect(server, b"GET /?token=%s HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n" % token)
    assert b"set-cookie: peculiar=" + token in closes(known, 20)
    server.kill(signal.SIGINT)
    assert server.log.read_text().count(token.decode()) == 1
