"""The command line, one thin module per command."""

import atexit
import os
import signal
import sys
from types import FrameType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from peculiar.cli.commands import app as app

_INTERRUPTED, _BROKEN_PIPE = 130, 141
"""Exit statuses by the convention of shells: 128 plus the number of the signal."""


class PipeClosed(BaseException):
    """The reader of standard output has gone. Not an OSError, because typer handles those itself."""


def main() -> None:
    """Run the command line."""
    interrupts: list[int] = []

    def interrupt(number: int, frame: FrameType | None) -> None:
        interrupts.append(number)
        signal.default_int_handler(number, frame)

    # Shells let what they start in the background ignore Ctrl-C, which is left so.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, interrupt)
    try:
        # Importing takes a while, and Ctrl-C may be pressed meanwhile.
        from peculiar.cli.commands import run

        run()
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)
    except Exception:
        # An extension module that is interrupted while it is imported raises ImportError instead.
        if interrupts:
            sys.exit(_INTERRUPTED)
        raise
    except PipeClosed:
        # The reader of the output has gone, such as `head`; there is nothing to report.
        from peculiar.cli.terminal import let_go

        let_go()
        sys.exit(_BROKEN_PIPE)


def command() -> None:
    """Run the command line as a process of its own.

    The process ends once everything is closed and written, and Python is not taken apart: threads of Arrow that still
    hold objects of Python would abort it or hang (apache/arrow, issues 34314 and 50482).
    """
    status = 1  # that of a traceback
    atexit.register(lambda: _leave(status))  # the first that is registered is the last that is called
    try:
        main()
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
        raise


def _leave(status: int) -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):  # a full disk, or closed
            status = status or 1
    os._exit(status)


def __getattr__(name: str) -> Any:
    """Return the commands, which are imported on first use."""
    if name == "app":
        from peculiar.cli.commands import app

        return app
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
