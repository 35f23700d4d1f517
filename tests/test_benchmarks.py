"""Benchmarks print their figures, and add them to `results.csv` only on request."""

import ast
import csv
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"
RECORDING = sorted(path for path in FOLDER.glob("*.py") if "record(" in path.read_text() and path.name != "machine.py")


def called(path: Path) -> set[str]:
    """The names of the functions and methods that a script calls."""
    calls = [node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    return {
        one.id if isinstance(one, ast.Name) else one.attr for one in calls if isinstance(one, ast.Name | ast.Attribute)
    }


@pytest.mark.parametrize("path", RECORDING, ids=lambda path: path.stem)
def test_every_benchmark_that_can_record_has_the_option(path: Path) -> None:
    assert {"make_parser", "parse_args", "describe"} <= called(path)
    assert "ArgumentParser" not in called(path)


def test_only_one_place_writes_the_results() -> None:
    assert len(RECORDING) > 20
    naming = [path.name for path in FOLDER.glob("*.py") if "RESULTS" in path.read_text()]
    assert naming == ["machine.py"]


SCRIPT = '''"""A figure."""
from machine import make_parser, record
make_parser(__doc__).parse_args()
record("a machine", ("what", 1.5, "s"))
'''


@pytest.mark.parametrize(("words", "added"), [([], []), (["--record"], [["python benchmarks/bench.py", "1.5"]])])
def test_results_change_only_on_request(words: list[str], added: list[list[str]]) -> None:
    shutil.copy(FOLDER / "machine.py", ".")
    Path("bench.py").write_text(SCRIPT)
    shutil.copy(FOLDER / "results.csv", ".")
    before = Path("results.csv").read_text()
    done = subprocess.run([sys.executable, "bench.py", *words], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["what", "1.500", "s"]
    after = Path("results.csv").read_text()
    assert after.startswith(before)
    assert [[row[2], row[5]] for row in csv.reader(after[len(before) :].splitlines())] == added


@pytest.mark.slow
def test_a_benchmark_leaves_the_results_alone() -> None:
    before = (FOLDER / "results.csv").read_bytes()
    done = subprocess.run(
        [sys.executable, FOLDER / "bench_simulated.py", "--count", "2"], check=True, capture_output=True, text=True
    )
    assert "pictures/CPU-s" in done.stdout
    assert (FOLDER / "results.csv").read_bytes() == before
