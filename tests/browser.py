"""A browser for the tests: windows that are watched, axe-core, and what can be reached by Tab."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

WIDTHS, SCHEMES = (400, 900, 1600), ("light", "dark")

# WCAG 2.0 to 2.2, levels A and AA.
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]

# What the keyboard has to reach: of radio buttons that belong together the keyboard reaches the chosen one.
REACHABLE = """() => [...document.querySelectorAll(
    'a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex]:not([tabindex^="-"])')]
    .filter(one => !one.disabled && one.getClientRects().length && one.checkVisibility({visibilityProperty: true})
        && !one.closest('[inert]') && (!document.querySelector('dialog[open]') || one.closest('dialog[open]'))
        && (one.type !== 'radio' || one.checked))
    .map((one, place) => { one.dataset.place = place; return one.outerHTML.slice(0, 160); })"""

# The element with the focus: where it is in the list above, and what is wrong with how it shows that it has it.
# Two frames later: what moves when the focus does has moved by then.
FOCUSED = """async () => {
    await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
    const one = document.activeElement, style = getComputedStyle(one), box = one.getBoundingClientRect();
    if (one === document.body) { return null; }
    const outlined = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 1;
    // The middle of what is in the window: a picture may be larger than that.
    const half = (low, high, room) => (Math.max(low, 0) + Math.min(high, room)) / 2;
    const middle = document.elementFromPoint(
        half(box.left, box.right, innerWidth), half(box.top, box.bottom, innerHeight));
    const seen = middle && (one.contains(middle) || middle.contains(one));
    return { place: one.dataset.place ?? null, html: one.outerHTML.slice(0, 160),
        wrong: !outlined ? 'no outline' : !seen ? 'hidden' : '' };
}"""


class Browser:
    """Chromium with monitored windows.

    Attributes
    ----------
    wrong : list of str
        Errors and warnings of the console (among them what the Content-Security-Policy refused), errors of scripts,
        dialogs that opened.
    asked : set of str
        Every address that was asked for, save ``data:``.
    """

    def __init__(self, chromium: Any) -> None:
        self.chromium = chromium
        self.wrong: list[str] = []
        self.asked: set[str] = set()

    def window(self, width: int = 1400, height: int = 900, scheme: str = "light", **options: Any) -> Any:
        """Open a window of its own: it shares no cookies with others."""
        context = self.chromium.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme, reduced_motion="reduce", **options
        )
        context.set_default_timeout(60_000)  # the machine may have other things to do
        context.on("request", lambda request: self._ask(request.url))
        page = context.new_page()
        page.on("console", lambda told: self._told(told))
        page.on("pageerror", lambda error: self.wrong.append(str(error)))
        page.on("dialog", lambda dialog: (self.wrong.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        return page

    def _ask(self, address: str) -> None:
        if not address.startswith("data:"):
            self.asked.add(address)

    def _told(self, told: Any) -> None:
        if told.type in ("error", "warning"):
            self.wrong.append(f"{told.text} ({told.location.get('url')})")

    def close(self) -> None:
        """Close all windows."""
        for context in self.chromium.contexts:
            context.close()


@contextmanager
def browsing() -> Iterator[Browser]:
    """Start the system's Chromium, or Playwright's own; skip the test if there is neither."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="the package playwright is not installed")
    found = next(filter(None, map(shutil.which, NAMES)), None)
    with sync_api.sync_playwright() as playwright:
        try:
            chromium = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        except sync_api.Error as error:
            if found is not None or "Executable doesn't exist" not in str(error):
                raise
            pytest.skip(f"no browser: none of {', '.join(NAMES)} is on PATH, nor has Playwright one of its own")
        yield Browser(chromium)
        chromium.close()


def find_barriers(page: Any) -> list[str]:
    """Return what axe-core finds on a page against WCAG 2, levels A and AA, and whether it is wider than its window."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    # Without preload: it fetches style sheets, which a page that is a file may not.
    options = {"runOnly": RULES, "resultTypes": ["violations"], "preload": False}
    found = axe.Axe().run(page, options=options).response["violations"]
    told = [f"{one['id']}: {node['html'][:200]}: {node['failureSummary']}" for one in found for node in one["nodes"]]
    width, room = page.evaluate("() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    return told + ([f"the page is {width} pixels wide in a window of {room}"] if width > room else [])


def find_unreachable(page: Any) -> list[str]:
    """Return what Tab does not reach, and what does not show that it has the focus."""
    wanted = dict(enumerate(page.evaluate(REACHABLE)))
    page.evaluate("() => { document.activeElement.blur(); getSelection().collapse(document.body); }")
    told, reached = [], set()
    for _ in range(2 * len(wanted) + 5):
        page.keyboard.press("Tab")
        one = page.evaluate(FOCUSED)
        if one is None or one["place"] in reached:
            if reached and len(reached) == len(wanted):
                break
            continue
        reached.add(one["place"])
        if one["wrong"]:
            told.append(f"{one['wrong']}: {one['html']}")
    # Elements that scrolling replaced by more of the gallery no longer exist.
    there = page.evaluate("() => [...document.querySelectorAll('[data-place]')].map(one => one.dataset.place)")
    return told + [f"not reached: {wanted[int(place)]}" for place in there if place not in reached]
