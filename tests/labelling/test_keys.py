"""Keys, ticks and the address of the labelling pages in a browser."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from browser import Browser
from labelling_server import Server, serving
from peculiar.labelling.database import Labels

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, drawn_catalog: Path, tiny_survey: Path) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("keys")
    with pytest.MonkeyPatch.context() as patch, serving() as start:
        patch.setenv("no_proxy", "127.0.0.1")
        yield start(drawn_catalog, folder, "--pictures", tiny_survey, "--question", "odd", "--port", 0)


def enter(browser: Browser, server: Server, who: str, path: str = "/", **options: Any) -> Any:
    page = browser.window(**options)
    page.goto(f"{server.address}/who")
    page.fill("#who", who)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{server.address}/")
    if path != "/":
        page.goto(server.address + path)
    page.wait_for_load_state()
    return page


def event(page: Any) -> str:
    return str(page.get_attribute("form.answers [name=event]", "value"))


def press(page: Any, key: str, code: str, **more: Any) -> None:
    """Press a key as a keyboard of another country has it."""
    told = {"key": key, "code": code, "bubbles": True} | more
    page.evaluate("told => document.body.dispatchEvent(new KeyboardEvent('keydown', told))", told)


def wait(page: Any, old: str) -> None:
    page.wait_for_function("old => document.querySelector('form.answers [name=event]')?.value !== old", arg=old)


def answers(server: Server, who: str) -> list[str]:
    with Labels(server.log.parent / "labels.db", create=False) as labels:
        return [one.answer for _, one in labels.history("odd") if one.who == who]


@pytest.mark.parametrize(
    ("who", "key", "code", "shift"),
    [
        ("French", "é", "Digit2", False),
        ("French shift", "2", "Digit2", True),
        ("Czech", "ě", "Digit2", False),
        ("US", "2", "Digit2", False),
        ("Numpad", "2", "Numpad2", False),
    ],
)
@pytest.mark.slow
def test_digits_are_digits_on_every_keyboard(
    browser: Browser, server: Server, who: str, key: str, code: str, shift: bool
) -> None:
    page = enter(browser, server, who)
    old = event(page)
    press(page, key, code, shiftKey=shift)
    wait(page, old)
    assert answers(server, who) == ["odd"]


def test_signs_of_the_upper_row_are_no_digits_on_an_american_keyboard(browser: Browser, server: Server) -> None:
    page = enter(browser, server, "Bang")
    press(page, "!", "Digit1", shiftKey=True)
    press(page, "-", "Minus")
    assert answers(server, "Bang") == []


@pytest.mark.slow
def test_keys_stay_off_when_the_page_is_loaded_again(browser: Browser, server: Server) -> None:
    page = enter(browser, server, "Off")
    page.keyboard.press("h")
    page.wait_for_selector("dialog[open]")
    page.uncheck("#keys")
    page.reload()
    page.wait_for_load_state()
    assert not page.is_checked("#keys")
    page.keyboard.press("2")
    page.click("[data-help]")
    page.wait_for_selector("dialog[open]")
    page.check("#keys")
    page.keyboard.press("Escape")
    page.reload()
    page.wait_for_load_state()
    old = event(page)
    page.keyboard.press("1")
    wait(page, old)
    assert answers(server, "Off") == ["not_odd"]


def test_a_key_during_a_request_is_not_dropped_silently(browser: Browser, server: Server) -> None:
    page = enter(browser, server, "Fast")
    old, held = event(page), []
    page.route("**/answer", lambda route: held.append(route))
    page.keyboard.press("1")
    page.wait_for_selector("form.answers.htmx-request")
    page.keyboard.press("2")
    page.locator("#told", has_text="Not taken").wait_for()
    held[0].continue_()
    page.unroute("**/answer")
    wait(page, old)
    assert answers(server, "Fast") == ["not_odd"]
    old = event(page)
    page.keyboard.press("2")
    wait(page, old)
    assert page.inner_text("#told") == ""
    assert answers(server, "Fast") == ["not_odd", "odd"]


@pytest.mark.slow
def test_after_an_answer_the_address_names_no_galaxy(browser: Browser, server: Server) -> None:
    page = enter(browser, server, "Row", "/?row=5")
    old = event(page)
    page.keyboard.press("1")
    wait(page, old)
    page.wait_for_url(f"{server.address}/")
    page.keyboard.press("z")
    page.wait_for_url(f"{server.address}/?row=5")


@pytest.mark.slow
def test_ticks_of_a_grid_do_not_come_back_on_another_galaxy(browser: Browser, server: Server) -> None:
    page = enter(browser, server, "Back", "/grid")
    ticked = page.locator("[name=ticked]")
    rows = ticked.evaluate_all("all => all.map(one => one.value)")
    ticked.nth(0).check()
    page.select_option("[name=no]", "0")
    page.click("button.main")
    page.wait_for_selector("main [role=status]")
    assert page.input_value("[name=no]") == "0"
    page.go_back()
    page.wait_for_selector("main:not(:has([role=status])) .tiles")
    page.wait_for_load_state("networkidle")
    again = ticked.evaluate_all("all => all.map(one => [one.value, one.checked])")
    assert {row for row, _ in again}.isdisjoint(rows)
    assert not any(checked for _, checked in again)


@pytest.mark.slow
def test_the_bar_of_ticked_galaxies_is_reached_by_keyboard(browser: Browser, server: Server) -> None:
    page = enter(browser, server, "Tab", "/gallery")
    page.focus(".tiles input >> nth=0")
    page.keyboard.press("Space")
    reached = []
    for _ in range(12):
        page.keyboard.press("Shift+Tab")
        if page.evaluate("document.activeElement.closest('#ticked') !== null"):
            reached.append(page.evaluate("document.activeElement.textContent"))
    # Backwards: the answers, then what else can be done with the galaxies.
    assert reached[0] == "uUnsure"
    assert {"Clear", "Parquet", "CSV"} <= set(reached[1:])


@pytest.mark.slow
def test_a_note_of_waiting_is_not_a_box(browser: Browser, server: Server) -> None:
    """The class of the note was also that of the box that stands where a map will be."""
    page = enter(browser, server, "Note", "/gallery")
    height = page.evaluate(
        "() => { const one = document.createElement('span'); one.className = 'soft working'; one.textContent = 'x';"
        " document.querySelector('main').append(one); return one.getBoundingClientRect().height; }"
    )
    assert height < 40


@pytest.mark.slow
def test_a_map_says_that_it_is_being_drawn(browser: Browser, server: Server) -> None:
    page = enter(browser, server, "Map")
    page.route("**/points/*", lambda route: None)
    page.goto(f"{server.address}/map", wait_until="domcontentloaded")
    assert page.locator(".field", has_text="being drawn").first.is_visible()
    # Once it is there, the note is gone.
    page.unroute("**/points/*")
    page.goto(f"{server.address}/map")
    page.wait_for_selector(".field[data-ready]")
    assert not page.locator(".field[data-ready] .state").first.is_visible()


@pytest.mark.slow
def test_names_of_annotators_are_not_broken_letter_by_letter(browser: Browser, server: Server) -> None:
    for who in ("Constantine", "Christabel"):
        page = enter(browser, server, who)
        old = event(page)
        page.keyboard.press("1")
        wait(page, old)
    page = enter(browser, server, "Narrow", "/progress", width=400)
    assert max(count_lines(page)) < 2
    page.goto(f"{server.address}/galaxy/3")
    for width in (400, 900):
        page.set_viewport_size({"width": width, "height": 900})
        assert max(count_lines(page)) < 2


def count_lines(page: Any) -> list[float]:
    """Return the number of lines of each name of a row, and of each value of a galaxy."""
    found: list[float] = page.locator("tbody :is(th, .chances td:not(:has(meter)))").evaluate_all(
        "all => all.map(one => one.getBoundingClientRect().height / parseFloat(getComputedStyle(one).lineHeight))"
    )
    return found
