"""Help of every command: the same options in the same order, examples that can be typed."""

import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
import typer
from typer.testing import CliRunner

from peculiar.catalogs.predict import predict
from peculiar.catalogs.teach import teach
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


# What needs the network, waits for a browser, or trains for long; `export` goes on from a run.
UNATTENDED = ("demo", "train", "label", "data get", "export", "known")


def furnish_examples() -> None:
    """Give the files of `surroundings` the names that they have in the examples, and what the examples go on from."""
    survey = pyarrow.parquet.read_table("survey.parquet")
    ids = pa.array(["12", "345", *survey["id"].to_pylist()[2:]])
    survey = survey.set_column(0, "id", ids).append_column("magnitude", pa.array(np.linspace(14, 18, len(survey))))
    pyarrow.parquet.write_table(survey, "galaxies.parquet")
    labels = zip(ids.to_pylist(), survey["four_class"].to_pylist(), strict=True)
    Path("labels.csv").write_text("id,label\n" + "".join(f"{id_},{label}\n" for id_, label in labels))
    np.savez("galaxies.npz", data=np.load("galaxydata.npz")["data"][np.arange(346) % 40])
    Path("tiles").mkdir()
    Path("mosaic.fits").rename("tiles/mosaic.fits")
    for picture in Path("my_classes").rglob("*.png"):  # others by their ids, which no model was trained on
        other = Path("labelled", picture.parent.name, f"other-{picture.name}")
        other.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(picture, other)
    shutil.copytree("pictures", "stamps")
    shutil.copy("pictures/03.png", "ring.png")
    predict("galaxies.parquet", "catalog.parquet", embeddings=True, keep=["magnitude"], verbose=False)
    teach("my_classes", "old.onnx")
    shutil.copy("old.onnx", "new.onnx")
    for name in ("first", "second"):
        shutil.copy("catalog.parquet", f"{name}.parquet")


@pytest.mark.slow
@pytest.mark.usefixtures("surroundings")
def test_the_examples_do_what_they_say() -> None:
    furnish_examples()
    failed = []
    for name, line in EXAMPLES:
        if name in UNATTENDED or "--split" in line:
            continue
        done = CliRunner().invoke(app, shlex.split(line)[1:])
        if done.exit_code:
            failed.append(f"{line}: {done.output[-300:]} {done.exception!r}")
        if "--out first.csv" in line:
            title, *rows = Path("first.csv").read_text().splitlines()
            rated = [f"{row}{number % 2}" for number, row in enumerate(rows)]
            Path("first.csv").write_text("\n".join([title, *rated]))
    assert not failed, "\n".join(failed)


@pytest.mark.parametrize("name", COMMANDS)
def test_common_options_have_one_order(name: str) -> None:
    options = [option.opts[0] for option in COMMANDS[name].params]
    if name in ("explain", "search similar"):  # there --id names galaxies
        options.remove("--id")
    common = [option for option in options if option in ORDER + LATER]
    assert common == sorted(common, key=(ORDER + LATER).index)
