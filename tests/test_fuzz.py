"""The harness for damaged files sees what it is there to see."""

import random
import socket
import time
from pathlib import Path

import pytest

import fuzz
from peculiar.errors import DataError


def read(path: Path) -> None:
    """Do what the file says, as a reader with faults might."""
    match path.read_text():
        case "refuse":
            raise DataError("no table")
        case "raise":
            raise KeyError("x")
        case "sleep":
            time.sleep(60)
        case "swell":
            bytearray(1 << 31)
        case "die":
            import os

            os.abort()
        case "connect":
            with socket.socket() as one:
                one.settimeout(0.1)
                try:
                    one.connect(("127.0.0.1", 9))
                except OSError:
                    return


@pytest.mark.parametrize(
    ("what", "told"),
    [
        ("fine", "read"),
        ("refuse", "refused: no table"),
        ("raise", "fault: Traceback"),
        ("sleep", "fault: took longer"),
        ("swell", "fault: Traceback"),
        ("die", "fault: ended with -6"),
        ("connect", "fault: socket.connect"),
    ],
)
@pytest.mark.slow
def test_what_a_reader_does_is_told(tmp_path: Path, what: str, told: str) -> None:
    files = [tmp_path / "first", tmp_path / "second", tmp_path / "third"]
    for file, content in zip(files, ("fine", what, "fine"), strict=True):
        file.write_text(content)
    found = fuzz.read_all("test_fuzz:read", files, seconds=5, megabytes=500)
    assert [one.startswith(wanted) for one, wanted in zip(found.values(), ("read", told, "read"), strict=True)] == [
        True
    ] * 3, found
    assert set(fuzz.faults(found)) == ({str(files[1])} if told.startswith("fault") else set())


def test_the_same_seed_makes_the_same_files_and_another_others(tmp_path: Path) -> None:
    good = tmp_path / "good.csv"
    good.write_text("id,ra\na,150.1\nb,160.2\n")
    contents = []
    for seed in (1, 1, 2):
        folder = tmp_path / str(len(contents))
        folder.mkdir()
        contents.append([file.read_bytes() for file in fuzz.damaged([good], 50, seed=seed, folder=folder)])
    assert contents[0] == contents[1] != contents[2]
    assert len(set(contents[0])) > 40
    assert good.read_bytes() not in contents[0][:3] or contents[0].count(good.read_bytes()) < 5


def test_tokens_are_put_in() -> None:
    made = [fuzz.mutate(b"abc", random.Random(seed), [b"TOKEN"]) for seed in range(100)]
    assert any(b"TOKEN" in one for one in made)
    assert not any(b"TOKEN" in fuzz.mutate(b"abc", random.Random(seed)) for seed in range(100))
