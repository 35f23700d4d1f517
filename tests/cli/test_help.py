"""Help of every command: the same options in the same order, examples that can be typed."""

import shlex
from collections.abc import Iterator
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from peculiar.cli import app
from peculiar.cli.help import Command

# Options that several commands have. Those of `search` print, so where they write to comes last.
ORDER = ("--net", "--from", "--model", "--catalog", "--label", "--labels", "--id", "--ra", "--dec", "--question")
LATER = ("--views", "--fast", "--batch-size", "--workers", "--seed", "--resume", "--restart", "--overwrite", "--json")


def walk(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    if hasattr(command, "commands"):
        for child, one in command.commands.items():
            yield from walk(one, f"{name} {child}".strip())
    else:
        yield name, command


COMMANDS = dict(walk(typer.main.get_command(app), ""))
EXAMPLES = [
    (name, line.strip())
    for name, command in COMMANDS.items()
    if isinstance(command, Command)
    for line in command.examples.splitlines()[1:]
]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_examples_and_no_types_of_flags(name: str) -> None:
    shown = CliRunner().invoke(app, [*name.split(), "--help"], env={"COLUMNS": "100"}).output
    assert "bool" not in shown
    lines = [line for own, line in EXAMPLES if own == name]
    assert lines
    for line in lines:
        assert f"\n  {line}\n" in shown


@pytest.mark.parametrize(("name", "line"), EXAMPLES)
def test_an_example_can_be_typed(name: str, line: str) -> None:
    words = shlex.split(line)
    assert words[0] == "peculiar"
    shortened = name.split()[: 1 if name == "search query" and "query" not in words else None]
    assert words[1 : 1 + len(shortened)] == shortened
    command = COMMANDS[name]
    with command.make_context(name, words[1 + len(shortened) :]) as context:
        assert isinstance(context.params, dict)


def test_a_misspelt_option_of_an_example_would_be_found() -> None:
    with pytest.raises(Exception, match="No such option: --epoch"):
        COMMANDS["train"].make_context("train", ["data", "--epoch", "3"])


@pytest.mark.parametrize("name", COMMANDS)
def test_common_options_have_one_order(name: str) -> None:
    options = [option.opts[0] for option in COMMANDS[name].params]
    if name in ("explain", "search similar"):  # there --id names galaxies
        options.remove("--id")
    common = [option for option in options if option in ORDER + LATER]
    assert common == sorted(common, key=(ORDER + LATER).index)
