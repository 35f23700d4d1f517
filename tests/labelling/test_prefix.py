"""The labelling pages under a path, behind a proxy that is trusted: every page, picture and form."""

import html
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from starlette.testclient import TestClient

from browser import Browser
from labelling_pages import form
from labelling_server import Servers
from peculiar.catalogs.catalog import Catalog
from peculiar.errors import UsageError
from peculiar.labelling.database import Labels
from peculiar.labelling.web.app import make_app
from peculiar.labelling.web.guard import Guard, Public
from peculiar.labelling.web.serve import label, open_gallery, open_session
from prefix_proxy import proxying

TOKEN = "secret-token"
HUB = "https://hub.example.org"
ROOT = "/user/ada%40x.org/proxy/8222"

PAGES = ["/", "/who", "/grid", "/progress", "/gallery", "/map", "/galaxy/3", "/?row=2", "/gallery?review=votes+%3E+0"]
PAGES += ["/likely?yes=1", "/anomalies?row=3", "/facets", "/galaxy/3/card"]


@pytest.fixture
def guarded(drawn_catalog: Path, tiny_survey: Path, tmp_path: Path) -> Iterator[Any]:
    with Labels(tmp_path / "labels.db") as labels:
        session = open_session(drawn_catalog, labels, pictures=tiny_survey, question="odd")
        app = make_app(session, open_gallery(session, Catalog(drawn_catalog)), root=ROOT)
        yield Guard(app, TOKEN, public=Public.parse(f"{HUB}{ROOT}/"))
        assert session.loop is not None
        session.loop.wait()
        session.pictures.close()


def open_client(guarded: Any, base: str = HUB) -> TestClient:
    return TestClient(guarded, base_url=base, follow_redirects=False)


@pytest.mark.parametrize("forwarded", ["", ROOT], ids=["stripped", "whole"])
@pytest.mark.slow
def test_every_address_is_under_the_path(guarded: Any, forwarded: str) -> None:
    with open_client(guarded) as client:
        cookies = f"peculiar={TOKEN}; peculiar-who=Ada"
        for page in PAGES:
            got = client.get(forwarded + page, headers={"Cookie": cookies})
            assert got.status_code == 200
            addresses = re.findall(r'(?:href|src|action|hx-\w+|formaction)="(/[^"]*|\?[^"]*)"', html.unescape(got.text))
            assert addresses
            for address in addresses:
                assert address.startswith(f"{ROOT}/"), (page, address)
                if "/static/" in address or "/picture/" in address:
                    found = client.get(forwarded + address.removeprefix(ROOT), headers={"Cookie": cookies})
                    assert found.status_code == 200, address


@pytest.mark.parametrize("forwarded", ["", ROOT], ids=["stripped", "whole"])
def test_cookies_and_redirects_stay_under_the_path(guarded: Any, forwarded: str) -> None:
    with open_client(guarded) as client:
        opened = client.get(f"{forwarded}/?token={TOKEN}")
        expected = f"peculiar={TOKEN}; HttpOnly; SameSite=Strict; Path={ROOT}/; Secure"
        assert opened.headers["set-cookie"] == expected
        assert f'url={ROOT}/"' in opened.text
        headers = {"Cookie": f"peculiar={TOKEN}", "Origin": HUB}
        sent = form(client.get(f"{forwarded}/who", headers=headers).text, f"{ROOT}/who") | {"who": "Ada"}
        named = client.post(f"{forwarded}/who", data=sent, headers=headers)
        assert named.headers["location"] == f"{ROOT}/"
        assert f"Path={ROOT}/" in named.headers["set-cookie"]
        assert "Secure" in named.headers["set-cookie"]


@pytest.mark.parametrize(
    ("base", "headers", "status"),
    [
        (HUB, {"Origin": HUB, "Sec-Fetch-Site": "same-origin"}, 200),
        (HUB, {"Referer": f"{HUB}/hub/home"}, 200),
        ("http://127.0.0.1:8222", {"Origin": HUB}, 200),  # a proxy that changes the name of the host
        ("http://127.0.0.1:8222", {"Origin": "http://127.0.0.1:8222"}, 200),
        (HUB, {"Origin": "http://hub.example.org"}, 403),
        (HUB, {"Origin": "https://evil.example.org"}, 403),
        (HUB, {"Origin": "https://hub.example.org.evil.org"}, 403),
        (HUB, {"Sec-Fetch-Site": "same-site"}, 403),
        ("https://evil.example.org", {}, 421),
        ("https://example.org", {}, 421),
    ],
)
def test_the_proxy_is_trusted_and_nobody_else(guarded: Any, base: str, headers: dict[str, str], status: int) -> None:
    with open_client(guarded, base) as client:
        cookie = {"Cookie": f"peculiar={TOKEN}; peculiar-8222={TOKEN}"}
        assert client.get("/who", headers=headers | cookie).status_code == status
        assert client.get("/who", headers=headers).status_code == (401 if status == 200 else status)


@pytest.mark.parametrize(
    "url",
    [
        "hub.example.org",
        "ftp://hub.example.org/",
        "https:///user/",
        "https://ada@hub.example.org/",
        "https://h/?a=1",
        "https://h:x/",
    ],
)
def test_what_is_no_address_of_a_proxy_is_refused(url: str, tiny_survey: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the address of the proxy begins with"):
        label(tiny_survey, db=tmp_path / "labels.db", url=url, browser=False)


def test_behind_a_proxy_a_token_is_needed(tiny_survey: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="leave out --no-token"):
        label(tiny_survey, db=tmp_path / "labels.db", url=HUB, token=False, browser=False)


@pytest.mark.slow
@pytest.mark.allow_hosts(["127.0.0.1"])
@pytest.mark.parametrize("whole", [False, True], ids=["stripped", "whole"])
def test_all_forms_work_behind_a_proxy(
    browser: Browser, drawn_catalog: Path, tiny_survey: Path, tmp_path: Path, servers: Servers, whole: bool
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with proxying("/user/ada/proxy/8222", whole=whole) as proxy:
        server = servers(
            *(drawn_catalog, tmp_path, "--pictures", tiny_survey, "--question", "odd", "--port", port),
            *("--url", f"{proxy.address}/"),
            token=True,
        )
        # The address that is printed is the public one.
        assert urlsplit(server.address).netloc == urlsplit(proxy.address).netloc
        proxy.target = port
        page = browser.window()
        failed: list[str] = []
        page.on("response", lambda got: failed.append(f"{got.status} {got.url}") if got.status >= 400 else None)
        page.goto(server.address)
        page.wait_for_url(f"{proxy.address}/")
        page.fill("#who", "Ada")
        page.keyboard.press("Enter")
        page.wait_for_selector("#galaxy")
        page.wait_for_load_state("networkidle")
        for key in ("1", "2", "z", "2"):
            event = page.get_attribute("form.answers [name=event]", "value")
            page.keyboard.press(key)
            page.wait_for_function("old => document.querySelector('[name=event]').value !== old", arg=event)
        page.click("nav >> text=Grid")
        page.locator("[name=ticked]").nth(0).check()
        page.click("button.main")
        page.wait_for_selector("main [role=status]")
        page.click("nav >> text=Review")
        page.wait_for_selector(".tiles small")
        page.locator(".tiles a").nth(0).click()
        page.select_option("[name=choice]", "unsure")
        page.click(".change button")
        page.wait_for_selector("td:has-text('(unsure)')")
        page.click("nav >> text=Map")
        page.wait_for_selector(".field")
        page.fill("input[name=where]", "ra < 150.5")
        page.click("#selection button")
        page.wait_for_url(f"{proxy.address}/map?*")
        page.wait_for_load_state("networkidle")
        page.click("nav >> text=Progress")
        page.wait_for_selector("tbody th")
        assert failed == []
        assert proxy.outside == []
    with Labels(tmp_path / "labels.db") as labels:
        kinds = [one.kind for _, one in labels.history("odd")]
    assert kinds.count("undo") == 1
    assert len(kinds) == 4 + 24 + 1
