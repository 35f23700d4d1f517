"""Terminal output: only results on standard output, no control characters, quiet ends."""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
import typer
from astropy.io import fits
from typer.testing import CliRunner

from peculiar.cli import PipeClosed, app
from peculiar.cli.terminal import err, out, print_table, print_unreadable
from peculiar.text import width
from pictures import draw_galaxy

COMMAND = [sys.executable, "-m", "peculiar"]


def run(folder: Path, *words: object) -> "subprocess.CompletedProcess[str]":
    surroundings = os.environ | {"PECULIAR_CACHE": str(folder / "cache"), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [*COMMAND, *map(str, words)], check=False, capture_output=True, text=True, cwd=folder, env=surroundings
    )


@pytest.fixture(scope="module")
def talking(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of FITS images about which astropy logs: distortions that CTYPE does not announce."""
    folder = tmp_path_factory.mktemp("talking")
    (folder / "data").mkdir()
    labels = ["id,label,mine"]
    for number in range(16):
        pixels = draw_galaxy(64, 8 + number % 4, 32, 32, seed=number)[..., 0].astype(np.float32)
        header = fits.Header()
        header.update({"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 150.0, "CRVAL2": 2.0})
        header.update({"CRPIX1": 32.0, "CRPIX2": 32.0, "CD1_1": -1e-4, "CD1_2": 0.0, "CD2_1": 0.0, "CD2_2": 1e-4})
        header.update({"A_ORDER": 2, "B_ORDER": 2, "A_2_0": 1e-7, "B_0_2": 1e-7, "AP_ORDER": 2, "BP_ORDER": 2})
        fits.PrimaryHDU(pixels, header).writeto(folder / "data" / f"g{number}.fits")
        answer = ("Normal", "Ringed")[number % 2]
        (folder / "classes" / answer).mkdir(parents=True, exist_ok=True)
        shutil.copy(folder / "data" / f"g{number}.fits", folder / "classes" / answer)
        labels.append(f"g{number}.fits,{answer},{'ab'[number % 2]}")
    (folder / "labels.csv").write_text("\n".join(labels) + "\n")
    made = run(folder, "predict", "data", "--embeddings", "--views", 1, "--out", "catalog.parquet")
    assert made.returncode == 0, made.stderr
    return folder


def test_astropy_does_talk(talking: Path) -> None:
    program = "import sys; from astropy.io import fits; from astropy.wcs import WCS; WCS(fits.getheader(sys.argv[1]))"
    done = subprocess.run(
        [sys.executable, "-c", program, talking / "data/g0.fits"], check=True, capture_output=True, text=True
    )
    assert "INFO" in done.stdout


VERBS = [
    ("data", "list", "data", "--json"),
    ("data", "check", "data", "--json"),
    ("predict", "data", "--views", "1", "--out", "again.parquet", "--json"),
    ("predict", "data", "--views", "1", "--out", "parts", "--shard-rows", "8", "--workers", "2", "--json"),
    ("evaluate", "data", "--labels", "labels.csv", "--out", "report", "--json"),
    ("explain", "data", "--count", "1", "--out", "explained", "--json"),
    ("search", "catalog.parquet", "--json"),
    ("search", "similar", "catalog.parquet", "--galaxy", "g1.fits", "--json"),
    ("search", "odd", "catalog.parquet", "--json"),
    ("search", "anomalies", "catalog.parquet", "--json"),
    ("teach", "labels.csv", "--label", "mine", "--catalog", "catalog.parquet", "--out", "mine.onnx", "--json"),
    ("train", "classes", "--net", "exercise", "--out", "run", "--epochs", "1", "--json"),
    ("info", "--json"),
    ("compare", "catalog.parquet", "catalog.parquet", "--out", "compared", "--json"),
    ("known", "catalog.parquet", "--table", "catalog.parquet", "--out", "known.parquet", "--json"),
    ("verify", "catalog.parquet", "--score", "p_odd", "--out", "verified", "--json"),
    ("publish", "catalog.parquet", "--pictures", "data", "--out", "wall", "--json"),
    ("measure", "data", "--out", "measures.parquet", "--json"),
    ("check-files", "catalog.parquet", "--json"),
    ("measure", "data", "--workers", "1", "--out", "measures.parquet", "--json"),
    ("data", "get", "simulated", "--count", "4", "--size", "16", "--out", "simulated.npz", "--json"),
]


def test_every_command_that_prints_json_is_tried() -> None:
    def with_json(command: Any, *words: str) -> Iterator[tuple[str, ...]]:
        for name, below in getattr(command, "commands", {}).items():
            yield from with_json(below, *words, name)
        if any("--json" in parameter.opts for parameter in command.params):
            yield words

    short = {("search", "query"): ("search", "catalog.parquet")}
    for words in with_json(typer.main.get_command(app)):
        named = short.get(words, words)
        assert any(verb[: len(named)] == named for verb in VERBS), words


@pytest.mark.slow
@pytest.mark.parametrize("words", VERBS, ids=" ".join)
def test_standard_output_is_json_and_nothing_else(talking: Path, words: tuple[str, ...]) -> None:
    done = run(talking, *words)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) is not None


@pytest.mark.slow
def test_help_is_a_result(tmp_path: Path) -> None:
    for words in (("--help",), ("search", "query", "--help"), ("--version",)):
        done = run(tmp_path, *words)
        assert done.returncode == 0
        assert "peculiar" in done.stdout
        assert done.stderr == ""
    for group in ("data", "search", "labels"):
        done = run(tmp_path, group)
        assert "Usage: " in done.stdout
        assert done.stderr == ""


BAD = [
    ("SDSS:star:123", "SDSS:star:123"),
    (":smiley: [bold]x[/bold]", ":smiley: [bold]x[/bold]"),
    ("a\x1b[2J\x1b]0;title\x07b", "a\\x1b[2J\\x1b]0;title\\x07b"),
    ("a\nerror: forged", "a\\nerror: forged"),
    ("a\r\tb", "a\\r\\tb"),
    ("\u202egpj.exe\u2066", "\\u202egpj.exe\\u2066"),
    ("a\u2028b\x85c\x9b31m", "a\\u2028b\\x85c\\x9b31m"),
    ("caf\u00e9 \u661f\u7cfb", "caf\u00e9 \u661f\u7cfb"),
]


@pytest.mark.parametrize(("text", "expected"), BAD)
def test_nothing_in_a_text_commands_the_terminal(capsys: pytest.CaptureFixture[str], text: str, expected: str) -> None:
    out.print(text)
    err.print(text)
    print_table([["id", "class"], [text, "x"]])
    captured = capsys.readouterr()
    assert captured.out.splitlines()[0] == captured.err.splitlines()[0] == expected
    assert captured.out.splitlines()[2].startswith(expected)
    assert captured.err.count("\n") == 1


@pytest.mark.parametrize(("text", "expected"), BAD)
def test_an_id_reaches_tables_raw_and_the_terminal_escaped(tmp_path: Path, text: str, expected: str) -> None:
    table = pa.table({"id": [text, "other"], "class": [text, "x"], "p_odd": [0.9, 0.1]})
    pa.parquet.write_table(table, "c.parquet")
    done = CliRunner().invoke(app, ["search", "c.parquet", "--by", "p_odd"])
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[1].startswith(expected)
    assert len(done.stdout.splitlines()) == 4
    done = CliRunner().invoke(app, ["search", "c.parquet", "--by", "p_odd", "--json"])
    assert json.loads(done.stdout)["found"][0]["id"] == text
    done = CliRunner().invoke(app, ["search", "c.parquet", "--where", "nothing > 1"])
    assert "\x1b" not in str(done.exception)


def test_a_path_in_an_error_is_shown_escaped(tmp_path: Path) -> None:
    name = "no\x1b[31m\n:star:.npz"
    done = run(tmp_path, "data", "list", name)
    assert done.returncode == 2
    assert "no\\x1b[31m\\n:star:.npz" in done.stderr
    assert done.stderr.count("\n") == 1


def test_wide_characters_keep_columns_aligned(capsys: pytest.CaptureFixture[str]) -> None:
    print_table([["id", "n"], ["\u661f\u7cfb", "1"], ["e\u0301", "22"], ["abcd", "3"]])
    assert {width(line) for line in capsys.readouterr().out.splitlines()} == {8}


@pytest.fixture
def many(tmp_path: Path) -> Path:
    table = pa.table({"id": [f"galaxy-{number}" for number in range(20_000)], "p_odd": np.linspace(0, 1, 20_000)})
    pa.parquet.write_table(table, tmp_path / "c.parquet")
    return tmp_path


@pytest.mark.parametrize("more", [[], ["--json"]])
@pytest.mark.slow
def test_a_reader_that_goes_is_no_error(many: Path, more: list[str]) -> None:
    words = [*COMMAND, "search", "c.parquet", "--top", "20000", *more]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=many) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        told = process.stderr.read()
    assert told == b""
    assert process.returncode == 128 + signal.SIGPIPE


SLOW = " + ".join(["pow(sin(p_odd), 2)"] * 200) + " > 0"

# Begins as the installed script does, and says that it has.
PROGRAM = """
import os, sys
from peculiar.cli import main
sys.argv = ["peculiar", "search", "c.parquet", "--by", "p_odd", "--out", "found.csv", "--where", sys.argv[1]]
os.write(2, b".")
main()
"""


@pytest.mark.parametrize("pause", [0.02, 0.05, 0.1, 0.2, 0.4, 0.8])
def test_ctrl_c_while_the_program_is_loaded(many: Path, pause: float) -> None:
    words = [sys.executable, "-c", PROGRAM, SLOW]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=many) as process:
        assert process.stderr is not None
        assert process.stderr.read(1) == b"."
        time.sleep(pause)
        process.send_signal(signal.SIGINT)
        told = process.stderr.read().decode()
    assert "Traceback" not in told
    assert process.returncode in (0, 130)
    assert not list(many.glob(".*part*"))


def test_output_to_a_reader_that_has_gone_ends_the_command() -> None:
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    with pytest.raises(PipeClosed):
        type(out)(file=Gone()).print("a line")


def test_of_many_unreadable_pictures_the_first_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    print_unreadable({f"g{number}": "it is dark" for number in range(12)}, 2000)
    *first, last = capsys.readouterr().err.splitlines()
    assert first == [f"g{number} cannot be read: it is dark" for number in range(10)]
    assert last == "and 1,990 more cannot be read"


INTERRUPTED_IMPORT = """
import os, signal, time
import peculiar.cli, peculiar.cli.commands

def run():
    try:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(10)
    except KeyboardInterrupt:
        raise ImportError("initialization failed") from None

peculiar.cli.commands.run = run
peculiar.cli.main()
"""


def test_an_interrupted_import_of_an_extension_module_is_an_interruption() -> None:
    # Such a module turns KeyboardInterrupt into ImportError, which was shown with its traceback.
    ended = subprocess.run([sys.executable, "-c", INTERRUPTED_IMPORT], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "")
    other = INTERRUPTED_IMPORT.replace("os.kill(os.getpid(), signal.SIGINT)", "raise KeyboardInterrupt")
    ended = subprocess.run([sys.executable, "-c", other], capture_output=True, text=True, check=False)
    assert ended.returncode == 1, "only an interruption hides an error"
    assert "ImportError: initialization failed" in ended.stderr
