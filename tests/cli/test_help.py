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
from peculiar.training.export import export

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
    """Give the files of `surroundings` the names that they have in the examples, and make what these go on from."""
    survey = pyarrow.parquet.read_table("survey.parquet")
    ids = pa.array([*survey["id"].to_pylist()[:-2], "12", "345"])
    survey = survey.set_column(0, "id", ids).append_column("magnitude", pa.array(np.linspace(14, 18, len(survey))))
    pyarrow.parquet.write_table(survey, "galaxies.parquet")
    Path("survey.parquet").unlink()
    for folder in ("survey", "stamps", "tiles", "runs/mine"):
        Path(folder).mkdir(parents=True)
    for id_, image in zip(ids.to_pylist(), survey["image"].to_pylist(), strict=True):
        for folder in ("survey", "stamps"):
            Path(folder, f"{id_}.png").write_bytes(image["bytes"])
    labels = zip(ids.to_pylist(), survey["four_class"].to_pylist(), strict=True)
    Path("labels.csv").write_text("id,label\n" + "".join(f"{id_},{label}\n" for id_, label in labels))
    np.savez("galaxies.npz", data=np.load("galaxydata.npz")["data"][np.arange(346) % 40])
    Path("mosaic.fits").rename("tiles/mosaic.fits")
    for picture in Path("my_classes").rglob("*.png"):  # others by their ids, which no model was trained on
        other = Path("labelled", picture.parent.name, f"other-{picture.name}")
        other.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(picture, other)
    shutil.copy("pictures/03.png", "ring.png")
    catalog = predict("galaxies.parquet", "catalog.parquet", embeddings=True, keep=["magnitude"], verbose=False)
    teach("my_classes", "mine.onnx")
    for name in ("old", "new"):
        shutil.copy("mine.onnx", f"{name}.onnx")
    for name in ("first", "second"):
        shutil.copy("catalog.parquet", f"{name}.parquet")
    rated = catalog.anomalies(varied=True, top=10).ids
    Path("first.csv").write_text("id,interesting\n" + "".join(f"{id_},{row % 2}\n" for row, id_ in enumerate(rated)))


def clear(name: str, words: list[str]) -> None:
    """Remove what the command of an example writes, and give it the inputs that only its command needs."""
    written = [words[place + 1] for place, word in enumerate(words) if word in ("--out", "--sheet")]
    written += words[-1:] if name == "data convert" and "--hats" not in words else []
    written += ["catalog.parquet"] if name == "predict" and "--out" not in words else []
    for path in map(Path, written):
        path.unlink(missing_ok=True)
    if name == "calibrate":  # a taught model has no validation part
        export("runs/galaxy", "mine.onnx")
        shutil.move("training.parquet", "galaxies.parquet")
    if name == "publish" and "p_ringed" in words:
        table = pyarrow.parquet.read_table("catalog.parquet")
        place = table.column_names.index("p_ringed")
        values = pa.array(np.linspace(0, 1, len(table)), pa.float32())
        pyarrow.parquet.write_table(table.set_column(place, table.schema.field(place), values), "catalog.parquet")


@pytest.mark.slow
def test_the_examples_do_what_they_say(surroundings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    furnish_examples()
    failed = []
    for number, (name, line) in enumerate(EXAMPLES):
        words = shlex.split(line)[1:]
        asks = name == "verify" and "--pictures" in words
        if name in UNATTENDED or asks or "--split" in line:
            continue
        folder = tmp_path / f"example-{number}"
        shutil.copytree(surroundings, folder)
        monkeypatch.chdir(folder)
        clear(name, words)
        done = CliRunner().invoke(app, words)
        if done.exit_code:
            failed.append(f"{line}: {done.output[-300:]} {done.exception!r}")
        shutil.rmtree(folder)
        monkeypatch.chdir(surroundings)
    assert not failed, "\n".join(failed)


def test_id_names_a_column_in_every_command() -> None:
    given = {
        (name, option.name): option.help
        for name, command in COMMANDS.items()
        for option in command.params
        if "--id" in option.opts
    }
    assert len(given) > 15
    assert not [one for one, text in given.items() if not text.startswith(("Column of ids", "Field of a subject"))]


@pytest.mark.parametrize("name", COMMANDS)
def test_common_options_have_one_order(name: str) -> None:
    options = [option.opts[0] for option in COMMANDS[name].params]
    common = [option for option in options if option in ORDER + LATER]
    assert common == sorted(common, key=(ORDER + LATER).index)
