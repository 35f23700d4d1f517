"""Damaged files for every reader, derived from small valid ones and read in a process with limits.

A reader is named as "module:function", of a module in this folder. The function takes a path, reads all there is to
read, and returns. It may raise a `PeculiarError`. Everything else is a fault: another exception, a crash, too much
memory, too much time, a connection.

>>> found = read_all("test_fuzz_tables:read", damaged(good, 500, seed=1, folder=tmp_path))
>>> assert not faults(found), faults(found)
"""

import importlib
import json
import os
import random
import resource
import selectors
import subprocess
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

HERE = Path(__file__).parent

_NUMBERS = (b"0", b"-1", b"7", b"255", b"65536", b"2147483647", b"4294967295", b"9223372036854775807", b"1" + b"0" * 30)
_WORDS = (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f", b"\x80\0\0\0", b"\xff" * 8)


def mutate(content: bytes, chance: random.Random, tokens: Sequence[bytes] = ()) -> bytes:
    """Return a file with one to four faults: flipped bits, other numbers, pieces lost, doubled, moved or put in.

    Parameters
    ----------
    content : bytes
    chance : random.Random
    tokens : sequence of bytes
        Words that mean something in the format, to be put in anywhere.
    """
    faults = [_flip, _number, _word, _cut, _lose, _double, _swap]
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        choice = chance.randrange(len(faults) + bool(tokens))
        if choice == len(faults):
            at = chance.randint(0, len(content))
            content = content[:at] + chance.choice(tokens) + content[at:]
        elif content:
            content = faults[choice](content, chance)
    return content


def _flip(content: bytes, chance: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(chance.choice((1, 1, 4, 32))):
        changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def _number(content: bytes, chance: random.Random) -> bytes:
    """Replace a number that is written in digits."""
    digits = [at for at in range(len(content)) if content[at : at + 1].isdigit()]
    if not digits:
        return _flip(content, chance)
    begin = end = chance.choice(digits)
    while end < len(content) and content[end : end + 1].isdigit():
        end += 1
    while begin and content[begin - 1 : begin].isdigit():
        begin -= 1
    other = chance.choice(_NUMBERS)
    # Headers with columns of fixed width have to keep it.
    return content[:begin] + (other.rjust(end - begin) if chance.random() < 0.5 else other) + content[end:]


def _word(content: bytes, chance: random.Random) -> bytes:
    """Write a number over a binary one."""
    word = chance.choice(_WORDS)
    at = chance.randrange(len(content))
    return content[:at] + word + content[at + len(word) :]


def _piece(content: bytes, chance: random.Random) -> tuple[int, int]:
    begin = chance.randrange(len(content))
    return begin, min(len(content), begin + chance.choice((1, 2, 8, 80, 512, 2880)))


def _cut(content: bytes, chance: random.Random) -> bytes:
    return content[: chance.randrange(len(content))]


def _lose(content: bytes, chance: random.Random) -> bytes:
    begin, end = _piece(content, chance)
    return content[:begin] + content[end:]


def _double(content: bytes, chance: random.Random) -> bytes:
    begin, end = _piece(content, chance)
    return content[:end] + content[begin:end] * chance.choice((1, 1, 3, 50)) + content[end:]


def _swap(content: bytes, chance: random.Random) -> bytes:
    begin, end = _piece(content, chance)
    at = chance.randint(0, len(content) - (end - begin))
    rest = content[:begin] + content[end:]
    return rest[:at] + content[begin:end] + rest[at:]


def damaged(
    good: Sequence[Path], count: int, *, seed: int, folder: Path, tokens: Sequence[bytes] = ()
) -> Iterator[Path]:
    """Yield paths of damaged files, each written when it is asked for: as many of each good file, up to one."""
    chance = random.Random(seed)
    contents = [(path, path.read_bytes()) for path in good]
    for number in range(count):
        path, content = contents[number % len(contents)]
        made = folder / f"{seed}-{number}-{path.name}"
        made.write_bytes(mutate(content, chance, tokens))
        yield made


def read_all(
    reader: str, files: Iterator[Path] | Sequence[Path], *, seconds: float = 20, megabytes: int = 1000
) -> dict[Path, str]:
    """Read files one by one in a process of its own, and return what became of each.

    Parameters
    ----------
    reader : str
        "module:function".
    files : iterable of path
    seconds : float
        How long a file may take.
    megabytes : int
        How much address space may be taken beyond what the imports and the first call took.

    Returns
    -------
    dict of path to str
        "read", "refused: ..." with the message of a `PeculiarError`, or "fault: ...".
    """
    found: dict[Path, str] = {}
    worker: subprocess.Popen[str] | None = None
    try:
        for file in files:
            if worker is None:
                worker = _start(reader, megabytes)
            found[file] = _ask(worker, file, seconds)
            if worker.poll() is not None:
                worker = None
    finally:
        if worker is not None:
            worker.kill()
            worker.wait()
            _close(worker)
    return found


def faults(found: dict[Path, str]) -> dict[str, str]:
    """Return what `read_all` found to be wrong, by the name of the file."""
    return {str(file): told for file, told in found.items() if told.startswith("fault: ")}


def _start(reader: str, megabytes: int) -> "subprocess.Popen[str]":
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "ARROW_DEFAULT_MEMORY_POOL": "system"}
    command = [sys.executable, __file__, reader, str(megabytes)]
    # Standard error goes to where the tests' own does: a crash of a C library writes its reason there.
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=HERE, env=environment
    )


def _ask(worker: "subprocess.Popen[str]", file: Path, seconds: float) -> str:
    assert worker.stdin is not None
    assert worker.stdout is not None
    worker.stdin.write(f"{json.dumps(str(file.absolute()))}\n")
    worker.stdin.flush()
    with selectors.DefaultSelector() as selector:
        selector.register(worker.stdout, selectors.EVENT_READ)
        answered = selector.select(seconds)
    line = worker.stdout.readline() if answered else ""
    if line:
        return str(json.loads(line))
    worker.kill()
    code = worker.wait()
    _close(worker)
    return f"fault: ended with {code}" if answered else f"fault: took longer than {seconds:g} s"


def _close(worker: "subprocess.Popen[str]") -> None:
    for stream in (worker.stdin, worker.stdout):
        if stream is not None:
            stream.close()


def _serve(reader: str, megabytes: int) -> None:
    """Read the files that are named on standard input, and answer on standard output."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a reader prints must not be taken for an answer
    module, _, function = reader.partition(":")
    read: Callable[[Path], object] = getattr(importlib.import_module(module), function)
    warnings.simplefilter("ignore")
    connections: list[str] = []
    sys.addaudithook(
        lambda event, given: (
            connections.append(f"{event} {given!r}")
            if event in ("socket.connect", "socket.getaddrinfo", "urllib.Request", "ftplib.connect")
            else None
        )
    )
    limited = False
    for line in sys.stdin:
        told = outcome(read, Path(json.loads(line)))
        if connections:
            told = f"fault: {'; '.join(connections)}"
            connections.clear()
        if not limited:  # what is imported late, with the first file, does not count
            size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            limit = size + (megabytes << 20)
            resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
            limited = True
        answers.write(json.dumps(told) + "\n")
        answers.flush()


def outcome(read: Callable[[Path], object], file: Path) -> str:
    from peculiar.errors import PeculiarError

    try:
        read(file)
    except PeculiarError as error:
        return f"refused: {error}"
    except BaseException:  # noqa: BLE001 - whatever else comes out of a reader is what is looked for
        return f"fault: {traceback.format_exc(limit=-6)}"
    return "read"


if __name__ == "__main__":
    sys.path.insert(0, str(HERE))
    _serve(sys.argv[1], int(sys.argv[2]))
