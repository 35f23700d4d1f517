"""List of the commands, in the order of `peculiar --help`, and their common behaviour."""

import errno
import logging
import sys
import warnings
from importlib import metadata
from typing import Annotated, Any

import typer

from peculiar.cli import (
    about,
    calibrate,
    compare,
    data,
    demo,
    evaluate,
    explain,
    export,
    known,
    label,
    measure,
    predict,
    publish,
    search,
    teach,
    train,
    verify,
)
from peculiar.cli.help import Group, with_examples
from peculiar.cli.terminal import OneLine, err, keep_results_apart, out, show_warning, shown_warnings
from peculiar.errors import PeculiarError, PeculiarWarning
from peculiar.text import plain, reason


class _Commands(Group):
    """The commands, which refuse empty arguments: from an unset variable, one would mean the current folder."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Refuse empty arguments, and pass the others to the command."""
        if "" in args:
            before = " ".join(["peculiar", *args[: args.index("")]])
            ctx.fail(f'the argument after "{before}" is empty; was a variable of the shell not set?')
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_Commands,
    help="peculiar finds the odd galaxies: it classifies galaxy pictures into a searchable catalogue.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

for command, examples in (
    (demo.demo, demo.EXAMPLES),
    (train.train, train.EXAMPLES),
    (export.export, export.EXAMPLES),
    (predict.predict, predict.EXAMPLES),
    (evaluate.evaluate, evaluate.EXAMPLES),
    (compare.compare, compare.EXAMPLES),
    (verify.verify, verify.EXAMPLES),
    (calibrate.calibrate, calibrate.EXAMPLES),
    (explain.explain, explain.EXAMPLES),
    (teach.teach, teach.EXAMPLES),
    (known.known, known.EXAMPLES),
    (measure.measure, measure.EXAMPLES),
    (label.label, label.EXAMPLES),
    (publish.publish, publish.EXAMPLES),
    (about.check_files, about.CHECK_EXAMPLES),
    (about.info, about.INFO_EXAMPLES),
):
    app.command(**with_examples(*examples))(command)
app.add_typer(data.app, name="data")
app.add_typer(search.app, name="search")
app.add_typer(label.app, name="labels")


_NO_PLACE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.EEXIST, errno.ENOTDIR, errno.EISDIR)


class _Debug:
    on = False


def run() -> None:
    """Run the command. Errors are printed as messages, with a traceback only under ``--debug``."""
    warnings.showwarning = show_warning  # type: ignore[assignment] # file and line do not help a user
    warnings.simplefilter("always", PeculiarWarning)
    shown_warnings.clear()
    try:
        app()
    except (PeculiarError, OSError) as error:
        if _Debug.on:
            raise
        err.print("error:", style="bold red", end=" ")
        err.print(_message(error))
        sys.exit(getattr(error, "exit_status", 1))


def _message(error: Exception) -> str:
    """Return the message of an error, with advice for a file that cannot be written."""
    if isinstance(error, PeculiarError) or not isinstance(error, OSError) or error.filename is None:
        return plain(str(error))
    if error.errno in _NO_PLACE:
        return f"{error.filename} cannot be read or written to ({error.strerror}); choose another file"
    return f"{error.filename}: {reason(error)}"


def _version(wanted: bool) -> None:
    if wanted:
        out.print(f"peculiar {metadata.version('peculiar')}")
        raise typer.Exit


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    _: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", is_eager=True, callback=_version)
    ] = False,
) -> None:
    _Debug.on = debug
    # Help is a result; a group without a command prints its help.
    if not {"-h", "--help"} & set(sys.argv) and sys.argv[1:] not in [[group.name] for group in app.registered_groups]:
        keep_results_apart()
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(OneLine())
    logging.basicConfig(handlers=[handler])
    logging.getLogger("peculiar").setLevel(logging.INFO)
