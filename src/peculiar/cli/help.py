"""Help of a command: options, flags without a type, and examples at the end."""

from typing import Any

from typer.core import TyperCommand, TyperGroup

from peculiar.cli.terminal import out
from peculiar.files.places import is_address, place, places


class _Types:
    """Mixin that shows no types of flags and of arguments."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return arguments and options, ``--help`` among them."""
        params: list[Any] = super().get_params(ctx)  # type: ignore[misc] # of the command class
        for param in params:
            if param.param_type_name == "argument":
                param.display_type_rich = lambda ctx: ""
            elif param.is_flag:
                param.metavar = ""
        return params


class Group(_Types, TyperGroup):
    """A group of commands."""


class Command(_Types, TyperCommand):
    """A command whose help ends with examples."""

    def __init__(self, *args: Any, epilog: str | None = None, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.examples = epilog or ""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the arguments; an address is one as it was typed, where a path would lose one of its slashes."""
        for arg in args:
            text = arg.partition("=")[2] if arg.startswith("-") else arg
            if is_address(text):
                place(text)
        return list(super().parse_args(ctx, args))

    def invoke(self, ctx: Any) -> Any:
        """Run the command, with paths of this machine or in stores."""
        ctx.params = {name: places(value) for name, value in ctx.params.items()}
        return super().invoke(ctx)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help; examples stay on one line each, to be copied."""
        super().format_help(ctx, formatter)
        if self.rich_markup_mode is None:
            formatter.write(f"\n{self.examples}\n")
        else:
            for line in (*self.examples.splitlines(), ""):
                out.print(line, markup=False, highlight=False, soft_wrap=True)


def with_examples(*lines: str) -> dict[str, Any]:
    """Return the settings of a command whose help ends with examples.

    Parameters
    ----------
    lines : str
        Command lines, as typed.
    """
    title = "Example:" if len(lines) == 1 else "Examples:"
    return {"cls": Command, "epilog": "\n".join((title, *(f"  {line}" for line in lines)))}
