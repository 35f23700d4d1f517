"""Write ``cli.md``, the reference of the command line, from what ``--help`` says of every command."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from peculiar.cli import app

WIDTH = 96

PAGE = Path(__file__).with_name("cli.md")

HEAD = """\
# The command line

Generated from `--help` of every command by `make docs`; change the text in `src/peculiar/cli/`.

Exit status: 0 done, 1 failed, 2 misused, 130 stopped by Ctrl-C. Results go to standard output; progress, warnings and
errors go to standard error. `--debug`, before the command, shows the traceback of an error:
`peculiar --debug train ...`.
"""


def page() -> str:
    """Return the page."""
    return HEAD + "".join(f"\n## {name}\n\n```text\n{text}\n```\n" for name, text in helps())


def helps() -> Iterator[tuple[str, str]]:
    """Yield every command's full name and its help: plain text of a fixed width, whatever the terminal."""
    root = typer.main.get_command(app)
    settings = {**root.context_settings, "terminal_width": WIDTH, "max_content_width": WIDTH}
    yield from _walk(root, "peculiar", None, settings)


def _walk(command: Any, name: str, parent: Any, settings: dict[str, Any]) -> Iterator[tuple[str, str]]:
    command.rich_markup_mode = None  # frames and colours are for terminals
    # What completion says depends on the shell that this runs in.
    command.params = [one for one in command.params if not str(one.name).endswith("_completion")]
    context = command.context_class(command, info_name=name, parent=parent, **settings)
    yield context.command_path, command.get_help(context)
    for child, subcommand in getattr(command, "commands", {}).items():
        yield from _walk(subcommand, child, context, settings)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
