"""The labelling desk in a real browser, with a real server: sessions, accessibility, and what is hostile.

The fixture `browser` adds to every test: nothing goes wrong in the console, and no request leaves the machine.
"""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from browser import SCHEMES, WIDTHS, Browser, find_barriers, find_unreachable
from desk_server import Servers, serving
from peculiar.labels import Labels
from peculiar.web.serve import open_desk

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])

# Every page of the desk: its address, the key that is pressed on it, and what it then shows. A page that is added to
# the desk needs a line here.
PAGES = [
    ("/", "", "#who"),
    ("/?who=Ada", "", "#galaxy"),
    ("/?who=Ada&row=3", "m", "#opinion meter"),
    ("/?who=Ada&row=3", "h", "dialog[open]"),
    ("/?who=Eve", "", "#desk h1"),
    ("/grid?who=Ada", "", ".tiles img"),
    ("/progress?who=Ada", "", "svg.curve"),
    ("/wall?who=Ada", "", ".tiles img"),
    ("/wall?who=Ada&by=p_odd&where=p_odd+>+0.5&cone=150.3,1.7,0.5", "", ".tiles img"),
    ("/wall?who=Ada&where=nonsense", "", "[role=alert]:not([hidden])"),
    ("/galaxy/7?who=Ada", "", ".chances"),
]




@pytest.fixture(scope="module")
def address(
    tmp_path_factory: pytest.TempPathFactory, drawn_catalog: Path, tiny_survey: Path, chromium: Browser
) -> Iterator[str]:
    """A desk of which two people asked for answers, and which has learned from them."""
    folder = tmp_path_factory.mktemp("desk")
    with pytest.MonkeyPatch.context() as patch, Labels(folder / "labels.db") as labels, serving() as start:
        patch.setenv("no_proxy", "127.0.0.1")
        patch.setenv("PECULIAR_CACHE", str(folder / "cache"))
        desk = open_desk(drawn_catalog, labels, pictures=tiny_survey, question="odd")
        for number in range(30):
            for who in ("Ada", "Bob"):
                asked = desk.next(who)
                assert asked is not None
                desk.answer(who, asked.row, asked.event, "answer", int(number % 3 == 0), 1.0, asked.chosen)
        desk.answer_many("Eve", dict.fromkeys(range(len(desk))), "event-of-eve", None, dict.fromkeys(range(len(desk)), ""))
        assert desk.loop is not None
        desk.loop.wait()
        desk.pictures.close()
        server = start(drawn_catalog, folder, "--pictures", tiny_survey, "--question", "odd", "--port", 0)
        until = time.monotonic() + 60
        while not json.loads(server.get("/progress.json"))["progress"]:
            assert time.monotonic() < until, "the desk does not learn"
            time.sleep(0.05)
        yield server.address


def show(browser: Browser, address: str, page: tuple[str, str, str], **options: Any) -> Any:
    """Open a page as the list above says."""
    path, key, shown = page
    window = browser.window(**options)
    window.goto(address + path)
    if key:
        window.keyboard.press(key)
    window.wait_for_selector(shown)
    return window


def named(page: tuple[str, str, str]) -> str:
    return "-".join(part for part in page[:2] if part)


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_a_narrow_page_has_no_barriers(browser: Browser, address: str, page: tuple[str, str, str]) -> None:
    assert find_barriers(show(browser, address, page, width=400)) == []


@pytest.mark.slow
@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("page", PAGES, ids=named)
def test_no_page_has_barriers(
    browser: Browser, address: str, page: tuple[str, str, str], width: int, scheme: str
) -> None:
    window = show(browser, address, page, width=width, scheme=scheme)
    assert find_barriers(window) == []
    assert find_unreachable(window) == []


def begin(browser: Browser, address: str, who: str) -> Any:
    """Open the desk and say one's name, by keyboard."""
    page = browser.window()
    page.goto(address)
    page.keyboard.type(who)
    page.keyboard.press("Enter")
    page.wait_for_selector("#galaxy")
    return page


def now(page: Any) -> tuple[str, str]:
    """Return the event that an answer would have, and the galaxy that is shown."""
    return page.get_attribute("form.answers [name=event]", "value"), page.inner_text("figcaption .id")


def wait(page: Any, old: tuple[str, str]) -> None:
    """Wait until something else is asked."""
    page.wait_for_function("old => document.querySelector('form.answers [name=event]')?.value !== old", arg=old[0])


def press(page: Any, key: str) -> str:
    """Press a key that leads on; return the galaxy that it was said of."""
    old = now(page)
    page.keyboard.press(key)
    wait(page, old)
    return old[1]


SAID = {"1": ("answer", "not_odd"), "2": ("answer", "odd"), "u": ("unsure", ""), "s": ("skip", "")}


def told(database: Path, who: str) -> list[tuple[str, str, str]]:
    """Return what the database holds of a person, in order."""
    with Labels(database, create=False) as labels:
        return [(one.galaxy, one.kind, one.answer) for _, one in labels.history("odd") if one.who == who]


def test_a_short_session_by_keyboard(browser: Browser, tiny_survey: Path, tmp_path: Path, servers: Servers) -> None:
    server = servers(tiny_survey, tmp_path, "--question", "odd", "--port", 0)
    page = begin(browser, server.address, "Ada")
    said = [(press(page, key), *SAID[key]) for key in "12us1"]
    page.reload()
    assert press(page, "z") != said[-1][0]
    assert now(page)[1] == said[-1][0]
    said += [(said[-1][0], "undo", ""), (press(page, "2"), *SAID["2"])]
    page.keyboard.press("b")
    page.keyboard.press("+")
    assert "brightness(1.25)" in page.get_attribute("#galaxy", "style")
    assert "scale(1.3)" in page.get_attribute("#galaxy", "style")
    assert told(tmp_path / "labels.db", "Ada") == said


@pytest.mark.slow
def test_two_people_and_a_server_that_is_killed(
    browser: Browser, tiny_survey: Path, tmp_path: Path, servers: Servers
) -> None:
    """Fifty galaxies each; the server dies before an answer, just after one was sent, and while nothing is sent."""
    start = [tiny_survey, tmp_path, "--question", "odd", "--port"]
    server = servers(*start, 0)
    people = {who: begin(browser, server.address, who) for who in ("Ada", "Bob")}
    said: dict[str, list[tuple[str, str, str]]] = {who: [] for who in people}
    for number in range(50):
        key = "12us"[number % 4]
        before = {who: now(page) for who, page in people.items()}
        if number in (10, 30):
            server.kill()
        for page in people.values():  # both at once: neither waits for the other
            page.keyboard.press(key)
        if number == 20:
            server.kill()  # it may have stored none, one or both, and told them or not
        if number in (10, 20, 30):
            assert browser.wrong == [] or number > 10
            server = servers(*start, server.port)
        for who, page in people.items():
            wait(page, before[who])
            said[who].append((before[who][1], *SAID[key]))
        if number in (10, 20, 30):
            assert all("ERR_" in told or "403" in told for told in browser.wrong), browser.wrong
            browser.wrong.clear()
    for who, page in people.items():
        page.reload()
        press(page, "z")
        said[who].append((said[who][-1][0], "undo", ""))
        page.reload()
        assert told(tmp_path / "labels.db", who) == said[who]
    assert len({galaxy for galaxy, _, _ in said["Ada"]}) == 50
