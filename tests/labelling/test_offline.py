"""A lost connection: answers go on, are kept in the browser, and are stored once and in order."""

import re
import time
from pathlib import Path
from typing import Any

import pytest

from browser import Browser
from labelling_server import Server, Servers
from peculiar.labelling.database import Event, Labels

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])

LOST = re.compile(r"ERR_|Failed to fetch|\b403\b|htmx:(sendError|afterRequest|responseError)")
"""What the console tells of a connection that is lost."""

SAID = {"1": "not_odd", "2": "odd"}


@pytest.fixture
def page(browser: Browser, tiny_survey: Path, tmp_path: Path, servers: Servers) -> Any:
    server = servers(tiny_survey, tmp_path, "--question", "odd", "--port", 0)
    opened = enter(browser, server)
    opened.server = server
    yield opened
    browser.close()
    browser.wrong = [told for told in browser.wrong if not LOST.search(told)]


def enter(browser: Browser, server: Server) -> Any:
    page = browser.window()
    page.goto(f"{server.address}/who")
    page.fill("#who", "Ada")
    with page.expect_response("**/ahead"):
        page.keyboard.press("Enter")
    page.wait_for_load_state("networkidle")
    return page


def press(page: Any, key: str) -> tuple[str, str]:
    """Answer; return the galaxy and its answer, once another question is shown."""
    event = page.get_attribute("form.answers [name=event]", "value")
    galaxy = page.inner_text("figcaption .id")
    page.keyboard.press(key)
    page.wait_for_function("old => document.querySelector('form.answers [name=event]')?.value !== old", arg=event)
    return galaxy, SAID.get(key, "")


def stored(page: Any, count: int) -> list[tuple[str, str]]:
    """Return the answers in the database once there are so many events."""
    until = time.monotonic() + 60
    while len(events := history(page)) < count:
        assert time.monotonic() < until, events
        page.wait_for_timeout(50)
    return [(one.galaxy, one.answer) for one in events]


def history(page: Any) -> list[Event]:
    with Labels(page.server.log.parent / "labels.db", create=False) as labels:
        return [one for _, one in labels.history("odd")]


def test_answers_without_a_connection_are_stored_once_and_in_order(page: Any) -> None:
    said = [press(page, "1")]
    page.wait_for_load_state("networkidle")
    page.context.set_offline(True)
    said += [press(page, key) for key in "2121"]
    assert "4 answers are kept in this browser" in page.inner_text("#notice")
    assert page.evaluate("document.getElementById('galaxy').naturalWidth") > 0  # pictures were read ahead
    assert len(history(page)) == 1
    page.context.set_offline(False)
    assert stored(page, 5) == said
    page.wait_for_function("() => document.getElementById('notice').hidden")
    said.append(press(page, "2"))
    page.wait_for_load_state("networkidle")
    assert stored(page, 6) == said
    press(page, "z")
    assert [one.kind for one in history(page)][-1] == "undo"
    assert page.inner_text("figcaption .id") == said[-1][0]


@pytest.mark.slow
def test_no_galaxy_that_was_read_ahead_is_shown_twice(page: Any) -> None:
    said = [press(page, key) for key in "12"]  # those were among the ones read ahead
    page.context.set_offline(True)
    said += [press(page, key) for key in "12"]
    page.context.set_offline(False)
    assert stored(page, 4) == said
    page.wait_for_function("() => document.getElementById('notice').hidden")
    said += [press(page, key) for key in "121"]
    page.context.set_offline(True)
    said += [press(page, key) for key in "2"]
    page.context.set_offline(False)
    assert stored(page, len(said)) == said
    assert len(dict(said)) == len(said)


@pytest.mark.slow
def test_an_undo_without_a_connection_shows_the_galaxy_again(page: Any) -> None:
    page.context.set_offline(True)
    first, second = press(page, "1"), press(page, "2")
    assert press(page, "z")[0] != second[0]
    assert page.inner_text("figcaption .id") == second[0]
    changed = press(page, "1")
    page.context.set_offline(False)
    assert stored(page, 2) == [first, (second[0], "not_odd")]
    assert changed == (second[0], "not_odd")


@pytest.mark.slow
def test_answers_outlast_the_page_that_kept_them(page: Any) -> None:
    page.context.set_offline(True)
    said = [press(page, key) for key in "12"]
    context, server = page.context, page.server
    page.close()
    context.set_offline(False)
    again = context.new_page()
    again.server = server
    again.goto(f"{server.address}/progress")
    assert stored(again, 2) == said


@pytest.mark.slow
def test_when_nothing_is_left_to_show_the_page_waits(page: Any) -> None:
    page.context.set_offline(True)
    said = []
    while page.locator("form.answers").count():
        galaxy = page.inner_text("figcaption .id")
        page.keyboard.press("2")
        page.wait_for_function("old => document.querySelector('figcaption .id')?.textContent !== old", arg=galaxy)
        said.append((galaxy, "odd"))
    assert len(said) >= 5
    assert "Waiting" in page.inner_text("h1")
    page.context.set_offline(False)
    page.wait_for_selector("form.answers")
    assert stored(page, len(said)) == said
    assert page.inner_text("figcaption .id") not in dict(said)


def test_a_grid_keeps_its_ticks_until_it_is_stored(page: Any) -> None:
    page.goto(f"{page.server.address}/grid")
    page.wait_for_load_state("networkidle")
    ticked = page.locator("[name=ticked]")
    ticked.nth(2).check()
    row = ticked.nth(2).get_attribute("value")
    page.context.set_offline(True)
    page.click("button.main")
    page.wait_for_selector("#notice:not([hidden])")
    assert ticked.nth(2).is_checked()
    assert history(page) == []
    page.context.set_offline(False)
    page.wait_for_selector("main [role=status]")
    odd = [one.galaxy for one in history(page) if one.answer == "odd"]
    assert odd == [f"sim-{int(row):03d}"]
    assert len(history(page)) == 24


@pytest.mark.slow
def test_a_killed_server_gets_what_was_answered_meanwhile(page: Any, tiny_survey: Path, servers: Servers) -> None:
    said = [press(page, "2")]
    page.wait_for_load_state("networkidle")
    page.server.kill()
    said += [press(page, key) for key in "112"]
    port = page.server.port
    servers(tiny_survey, page.server.log.parent, "--question", "odd", "--port", port)
    assert stored(page, 4) == said
    page.wait_for_function("() => document.getElementById('notice').hidden")
    said.append(press(page, "1"))
    page.wait_for_load_state("networkidle")
    assert stored(page, 5) == said
