"""The end of a process: its status, what it wrote, and nothing that is taken apart while threads use it."""

import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

import peculiar.cli

# A program whose command does something, with an object that would be taken apart with the interpreter.
PROGRAM = """
import atexit, sys
import peculiar.cli

class Part:
    def __del__(self):
        print("taken apart")

def main():
    global part
    part = Part()
    part.itself = part
    atexit.register(print, "closed")
    print("x" * 100_000)
    {end}

peculiar.cli.main = main
peculiar.cli.command()
"""


@pytest.mark.parametrize(
    ("end", "status", "said"),
    [
        ("pass", 0, ""),
        ("sys.exit()", 0, ""),
        ("sys.exit(2)", 2, ""),
        ("sys.exit('in words')", 1, "in words\n"),
        ("raise ValueError('unforeseen')", 1, "ValueError: unforeseen\n"),
    ],
)
def test_a_process_ends_with_its_status_and_all_of_its_output(end: str, status: int, said: str) -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM.format(end=end)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (status, f"{'x' * 100_000}\nclosed\n")
    assert done.stderr.endswith(said)


def test_output_that_cannot_be_written_is_a_failure(full_disk: Path) -> None:
    with full_disk.open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM.format(end="pass")], stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert done.returncode == 1


def test_both_ways_to_start_the_command_end_so() -> None:
    (script,) = entry_points(group="console_scripts", name="peculiar")
    assert script.load() is peculiar.cli.command
    assert "command()" in (Path(peculiar.cli.__file__).parent.parent / "__main__.py").read_text()
