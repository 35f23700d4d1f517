"""No input brings the program down: each ends soon, with words or with a flagged row."""

import subprocess
import sys
from pathlib import Path

import pytest

from bad_inputs import KINDS

SCRIPT = Path(__file__).with_name("bad_inputs.py")


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_bad_inputs_end_with_words(kind: str) -> None:
    # In a process of its own: a child counts the memory of the process that started it as its own.
    done = subprocess.run([sys.executable, SCRIPT, "--kind", kind], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith(kind)
