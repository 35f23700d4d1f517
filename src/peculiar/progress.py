"""Progress of long calls from Python: one line on standard error, updated in place on a terminal."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# Seconds between lines: a terminal replaces the last line, a notebook or a log adds a line.
_TERMINAL, _ELSEWHERE = 0.2, 10.0


@contextmanager
def telling(task: str) -> Iterator[Callable[[int, int | None], None]]:
    """Yield a function that takes the numbers done and to do (None: unknown), and shows them regularly.

    Parameters
    ----------
    task : str
        The beginning of the line: "classified".
    """
    stream, begun = sys.stderr, time.monotonic()
    terminal = stream.isatty()
    pause, shown, line = _TERMINAL if terminal else _ELSEWHERE, begun, ""

    def tell(done: int, total: int | None) -> None:
        nonlocal shown, line
        now = time.monotonic()
        of = "" if total is None else f" of {total:,}"
        line = f"{task} {done:,}{of} in {now - begun:.0f} s"
        if now - shown >= pause:
            shown = now
            stream.write(f"\r{line}\x1b[K" if terminal else f"{line}\n")
            stream.flush()

    try:
        yield tell
    finally:
        if line:
            stream.write(f"\r{line}\x1b[K\n" if terminal else f"{line}\n")
            stream.flush()
