"""Progress of long calls from Python: one line that a terminal or a notebook renews, a line now and then in a log."""

import importlib
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from typing import Any, TypeVar

from peculiar.notebook import escaped, in_notebook
from peculiar.text import shown

Total = TypeVar("Total")

# Seconds between lines: a terminal and a notebook replace the last line, a log adds one.
_RENEWED, _ELSEWHERE = 0.2, 10.0


@contextmanager
def reporting(task: str) -> Iterator[Callable[[int, int | None], None]]:
    """Yield a function that takes the numbers done and to do (None: unknown), and shows them regularly.

    Parameters
    ----------
    task : str
        The beginning of the line: "classified".
    """
    begun, show = time.monotonic(), _shower()

    def tell(done: int, total: int | None) -> None:
        seconds = time.monotonic() - begun
        of = "" if total is None else f" of {total:,}"
        left = f", {seconds * (total - done) / done:.0f} s left" if total and 0 < done < total and seconds >= 1 else ""
        show(f"{task} {done:,}{of} in {seconds:.0f} s{left}", done / total if total else None)

    try:
        yield tell
    finally:
        show(None, None)


@contextmanager
def counting(task: str, total: int | None = None, *, verbose: bool = True) -> Iterator[Callable[[int], None]]:
    """Yield a function that takes how many more are done, and shows how many that are.

    Parameters
    ----------
    task : str
        The beginning of the line: "explained".
    total : int, optional
        How many there are to do.
    verbose : bool
        Otherwise nothing is shown.
    """
    with reporting(task) if verbose else nullcontext(lambda done, total: None) as tell:
        yield adding(tell, total)


def adding(tell: Callable[[int, Total], object], total: Total) -> Callable[[int], None]:
    """Return a function that takes how many more are done, and tells how many that are, and the total."""
    done = 0

    def add(more: int) -> None:
        nonlocal done
        done += more
        tell(done, total)

    return add


@contextmanager
def stages(*, verbose: bool = True) -> Iterator[Callable[[str, int], None]]:
    """Yield a function that takes a stage and how many more are done in it, and shows that, a line per stage.

    Parameters
    ----------
    verbose : bool
        Otherwise nothing is shown.
    """
    current = ""
    counts: dict[str, int] = {}
    with ExitStack() as stack:
        tell: Callable[[int, int | None], None] = lambda done, total: None  # noqa: E731

        def progress(stage: str, done: int) -> None:
            nonlocal current, tell
            counts[stage] = counts.get(stage, 0) + done
            if verbose and stage != current:
                stack.close()
                current, tell = stage, stack.enter_context(reporting(stage))
            tell(counts[stage], None)

        yield progress


def _shower() -> Callable[[str | None, float | None], None]:
    """Return what shows a line and the share that is done, if it is time for one; the last one, given None, anyway."""
    stream, terminal = sys.stderr, sys.stderr.isatty()
    renew = _in_cell() if in_notebook() else None
    pause = _RENEWED if terminal or renew else _ELSEWHERE
    last, latest, share = time.monotonic(), "", 0.0

    def show(line: str | None, done: float | None) -> None:
        nonlocal last, latest, share
        latest, share = shown(line or latest), share if line is None or done is None else done
        if not latest or (line is not None and time.monotonic() - last < pause):
            return
        last = time.monotonic()
        if renew is not None:
            renew(latest, share)
            return
        stream.write(f"\r{latest}\x1b[K" if terminal else f"{latest}\n")
        stream.write("\n" if terminal and line is None else "")
        stream.flush()

    return show


def _in_cell() -> Callable[[str, float], None]:
    """Return what shows a line and a bar below the cell of a notebook, in the place of the ones before."""
    ipython = importlib.import_module("IPython.display")
    handle: list[Any] = []

    def renew(line: str, share: float) -> None:
        told = ipython.HTML(f'<progress value="{share:.3f}"></progress> {escaped(line)}')
        if handle:
            handle[0].update(told)
        else:
            handle.append(ipython.display(told, display_id=True))

    return renew
