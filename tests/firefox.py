"""Firefox for the tests, driven by Mozilla's own client."""

import gc
import shutil
import socket
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

NAMES = ("firefox-esr", "firefox")

SETTINGS = {"ui.prefersReducedMotion": 1}

# What the console has of pages: errors of scripts, and what the Content-Security-Policy refused.
WRONG = """
return Services.console.getMessageArray()
    .filter(one => one instanceof Ci.nsIScriptError && /javascript|CSP/i.test(one.category)
        && /127\\.0\\.0\\.1/.test(one.sourceName) && !(one.flags & Ci.nsIScriptError.warningFlag))
    .map(one => `${one.errorMessage} (${one.sourceName}:${one.lineNumber})`);
"""

ASKED = """
return performance.getEntriesByType('resource').map(one => one.name).filter(one => !one.startsWith('data:'));
"""


class Firefox:
    """A window of Firefox."""

    def __init__(self, marionette: Any) -> None:
        self.marionette = marionette

    def goto(self, address: str) -> None:
        """Open a page, and wait until it is loaded."""
        self.marionette.navigate(address)

    def run(self, script: str, *args: Any) -> Any:
        """Return the result of a script in the page."""
        return self.marionette.execute_script(script, list(args), sandbox=None)

    def wait(self, condition: str, *args: Any) -> None:
        """Wait until an expression is true in the page."""
        until = time.monotonic() + 60
        while not self.run(f"return Boolean({condition})", *args):
            assert time.monotonic() < until, condition
            time.sleep(0.05)

    def shown(self, selector: str) -> None:
        """Wait for an element that can be seen."""
        self.wait("document.querySelector(arguments[0])?.checkVisibility()", selector)

    def press(self, key: str) -> None:
        """Press a key."""
        self._actions("key").key_down(key).key_up(key).perform()

    def drag(self, *places: tuple[float, float]) -> None:
        """Drag the mouse from place to place."""
        first, *others = [(round(x), round(y)) for x, y in places]
        actions = self._actions("pointer", {"pointerType": "mouse"}).pointer_move(*first).pointer_down()
        for place in others:
            actions = actions.pointer_move(*place, duration=50)
        actions.pointer_up().perform()

    def _actions(self, kind: str, options: dict[str, Any] | None = None) -> Any:
        from marionette_driver.marionette import ActionSequence

        return ActionSequence(self.marionette, kind, f"the {kind}", options)

    def wrong(self) -> list[str]:
        """Return the errors since the last time."""
        with self.marionette.using_context("chrome"):
            found: list[str] = self.marionette.execute_script(WRONG)
            self.marionette.execute_script("Services.console.reset()")
        return found

    def asked(self) -> list[str]:
        """Return the addresses that the page asked for."""
        found: list[str] = self.run(ASKED)
        return found

    def forget(self) -> None:
        """Forget who answers, and what was kept."""
        self.marionette.delete_all_cookies()


@contextmanager
def browsing(log: str) -> Iterator[Firefox]:
    """Start Firefox; skips where there is none."""
    program = next((found for name in NAMES if (found := shutil.which(name))), None)
    if program is None:
        pytest.skip("there is no Firefox")
    driver = pytest.importorskip("marionette_driver.marionette")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with _forgotten_sockets():
        marionette = driver.Marionette(
            bin=program, headless=True, host="127.0.0.1", port=port, prefs=SETTINGS, startup_timeout=120, gecko_log=log
        )
        marionette.start_session()
    try:
        yield Firefox(marionette)
    finally:
        with _forgotten_sockets():
            marionette.quit()
            marionette.instance.close(clean=True)


@contextmanager
def _forgotten_sockets() -> Iterator[None]:
    """Ignore warnings about sockets that Mozilla's client leaves open."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        yield
        gc.collect()
