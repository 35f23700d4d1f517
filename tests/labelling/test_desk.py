"""The labelling pages in a cell of a notebook."""

import re
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.cookiejar import CookieJar
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import peculiar
from browser import Browser
from peculiar.errors import UsageError
from peculiar.labelling.database import Labels
from peculiar.labelling.web.desk import Desk, hub_url


@contextmanager
def notebooks(folder: Path) -> Iterator[str]:
    """Serve a folder, as a notebook server does."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=folder)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


HUB = {"JUPYTERHUB_SERVICE_PREFIX": "/user/ada/"}


@pytest.mark.allow_hosts(["127.0.0.1"])
def test_a_desk_serves_until_it_is_closed(tiny_survey: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with peculiar.open_desk(tiny_survey, question="odd", db=tmp_path / "l.db", page="/progress") as desk:
        shown = desk._repr_html_()
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/progress\?token=\S+", desk.address)
        assert shown.count(desk.address) == 3
        opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
        with opener.open(desk.address, timeout=20) as got:
            policy = got.headers["content-security-policy"]
        assert "frame-ancestors 'self' http://localhost:* http://127.0.0.1:*;" in policy
        with opener.open(desk.address.partition("?")[0], timeout=20) as got:
            assert b"<h1>Progress</h1>" in got.read()
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(desk.address, timeout=20)


@pytest.mark.allow_hosts(["127.0.0.1"])
def test_a_desk_of_this_machine_may_do_without_a_token(
    tiny_survey: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with peculiar.open_desk(tiny_survey, question="odd", db=tmp_path / "l.db", token=False) as desk:
        assert desk.address.endswith("/")
    monkeypatch.setenv("JUPYTERHUB_SERVICE_PREFIX", "/user/ada/")
    monkeypatch.setenv("JUPYTERHUB_PUBLIC_URL", "https://hub.example.org/user/ada/")
    with pytest.raises(UsageError, match="can be reached by others"):
        peculiar.open_desk(tiny_survey, question="odd", db=tmp_path / "l.db", token=False)


def test_an_address_cannot_leave_its_place_in_the_cell() -> None:
    shown = Desk("http://127.0.0.1:1/?a=\"><script>'</script>", 100, lambda: None)._repr_html_()
    assert shown.count("<script>") == shown.count("</script>") == 1


def test_on_a_hub_the_address_of_its_proxy_is_used() -> None:
    assert hub_url({}, 81) is None
    public = HUB | {"JUPYTERHUB_PUBLIC_URL": "https://hub.example.org/user/ada/"}
    assert hub_url(public, 81) == "https://hub.example.org/user/ada/proxy/81/"
    with pytest.raises(UsageError, match=r"url='https://HUB/user/ada/proxy/8222/'"):
        hub_url(HUB, 81)


@pytest.mark.slow
@pytest.mark.allow_hosts(["127.0.0.1"])
@pytest.mark.parametrize("page", ["", "gallery"])
def test_a_page_of_this_machine_shows_the_desk_in_a_frame(
    browser: Browser, tiny_survey: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, page: str
) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with (
        notebooks(tmp_path) as address,
        peculiar.open_desk(tiny_survey, question="odd", db=tmp_path / "l.db", page=page) as desk,
    ):
        (tmp_path / "n.html").write_text(f'<!doctype html><link rel="icon" href="data:,">{desk._repr_html_()}')
        window = browser.window()
        window.goto(f"{address}/n.html")
        frame = window.frame_locator("iframe")
        if page:
            frame.locator(".tiles img").first.wait_for()
        else:
            frame.locator("#who").fill("Ada")
            frame.locator("#who").press("Enter")
            frame.locator("#galaxy").wait_for()
            frame.locator("body").press("2")
            frame.locator("figcaption", has_text="1 seen").wait_for()
        browser.close()
        # Chromium tells that a frame of another port may not take the focus by itself.
        browser.wrong = [one for one in browser.wrong if "autofocusing" not in one]
    if not page:
        with Labels(tmp_path / "l.db") as labels:
            assert [one.answer for one in labels.current("odd")] == ["odd"]
