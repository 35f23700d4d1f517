"""The command line: one thin file a command."""

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from peculiar.cli.commands import app as app

_INTERRUPTED, _BROKEN_PIPE = 130, 141
"""Exit statuses, as shells have them: 128 and the number of the signal."""


class PipeClosed(BaseException):
    """Nobody reads what is printed. No OSError, which typer would end the program for in its own way."""


def main() -> None:
    """Run the command line."""
    try:
        # It takes a while, and Ctrl-C may be pressed in it.
        from peculiar.cli.commands import run

        run()
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)
    except PipeClosed:
        # Who read the results has gone, as `head` does; nothing is left to be said.
        from peculiar.cli.terminal import let_go

        let_go()
        sys.exit(_BROKEN_PIPE)


def __getattr__(name: str) -> Any:
    """Return the commands, which are imported on first use."""
    if name == "app":
        from peculiar.cli.commands import app

        return app
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
