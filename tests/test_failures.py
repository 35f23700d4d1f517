"""A failure at each step of writing, in every command that writes: a message, and the old file or none."""

import errno
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from peculiar.cli import app
from peculiar.labelling.database import Event, Labels
from peculiar.questions.question import FOUR_CLASS

# Of each command: its words, what it writes, and words that make it write something else there.
QUICK = {
    "get": ("data get simulated --count 5 --size 16 --out OUT", "g.npz", "--seed 1"),
    "pack": ("data pack survey.parquet --out OUT", "p.parquet", ""),
    "csv": ("data convert catalog.parquet OUT", "c.csv", "--column id"),
    "fits": ("data convert catalog.parquet OUT", "c.fits", "--column id"),
    "votable": ("data convert catalog.parquet OUT --sort", "c.vot", ""),
    "ecsv": ("data convert catalog.parquet OUT", "c.ecsv", "--column id"),
    "query": ("search catalog.parquet --where p_odd>0 --out OUT", "q.parquet", "--top 3"),
    "sheet": ("search catalog.parquet --top 3 --sheet OUT --pictures survey.parquet", "q.png", "--top 5"),
    "labels": ("labels export labels.db --out OUT", "l.csv", "--as votes"),
    "predict": ("predict survey.parquet --model model.onnx --workers 1 --out OUT", "a.parquet", "--views 1"),
    "predict csv": ("predict survey.parquet --model model.onnx --workers 1 --out OUT", "a.csv", "--views 1"),
}
TAUGHT = "--catalog catalog.parquet --from model.onnx"
LONG = {
    "check": ("data check survey.parquet --model model.onnx --out OUT", "checked/check.json", "--radius 2"),
    "fix": ("data check survey.parquet --model model.onnx --fix OUT", "f.csv", "--radius 2"),
    "evaluate": ("evaluate survey.parquet --model model.onnx --label four_class --out OUT", "e/scores.json", "--by ra"),
    "explain": ("explain survey.parquet --model model.onnx --count 1 --out OUT", "x/galaxy_1.png", "--views 1"),
    "map": ("search map catalog.parquet --out OUT", "m.fits", "--sheet m.png"),
    "teach": (f"teach survey.parquet {TAUGHT} --label gz2_argmax --out OUT", "t.onnx", "--question q"),
    "export": ("export run --out OUT", "m.onnx", "--licence mine"),
    "known": ("known catalog.parquet --table survey.parquet --out OUT", "k.fits", "--unknown"),
    "consensus": ("labels export labels.db --as consensus --catalog catalog.parquet --out OUT", "s.vot", ""),
    "verify": (
        "verify catalog.parquet --score p_odd --labels survey.parquet --label gz2_argmax --true odd --out OUT",
        "v/verification.json", "--purity 0.8",
    ),
    "calibrate": ("calibrate survey.parquet --model model.onnx --out OUT", "r.onnx", "--scores scores.json"),
    "compare": (
        "compare catalog.parquet catalog.parquet --labels survey.parquet --label four_class --out OUT",
        "w/comparison.json", "--seed 3",
    ),
}  # fmt: skip
# Commands that write and are tried elsewhere, or what they write goes through that of another command.
ELSEWHERE = {
    "train": "exercise/test_train.py: a_full_disk_leaves_the_last_whole_epoch, and test_kills.py",
    "demo": "runs train and evaluate",
    "measure": "shards and ledger of predict",
    "publish": "catalogs/test_publish.py: what_cannot_be_published_is_refused_and_leaves_nothing",
    "labels manifest": "folders as those of publish",
    **dict.fromkeys(("search odd", "search similar", "search anomalies"), "as search query"),
}

Call = Callable[..., tuple[int, str]]


@pytest.fixture
def call(peculiar_command: Any) -> Call:
    """Run the command line in this process; an exception that it lets through fails the test."""

    def run(line: str, out: str) -> tuple[int, str]:
        status, printed, errors = peculiar_command(*(word.replace("OUT", out) for word in line.split()))
        return status, printed + errors

    return run


@pytest.fixture
def inputs(tiny_survey: Path, tiny_model: Path, tiny_catalog: Path, tiny_run: Path) -> None:
    """Inputs of all commands, in the folder that tests run in."""
    for source, to in ((tiny_survey, "survey.parquet"), (tiny_model, "model.onnx"), (tiny_catalog, "catalog.parquet")):
        shutil.copy(source, to)
    shutil.copytree(tiny_run, "run")
    Path("scores.json").write_text(json.dumps({"part": "test"}))
    with Labels("labels.db") as labels:
        labels.ask(FOUR_CLASS)
        labels.record(Event("event-0001", "answer", "ann", "sim-001", FOUR_CLASS.name, "Normal", session="s"))


def part(path: object, name: str) -> bool:
    """Return whether a path is the temporary one of a file."""
    return ".part" in str(path) and str(path).rpartition("/")[2].startswith(f".{Path(name).stem}.")


def cannot_open(name: str, patch: pytest.MonkeyPatch) -> None:
    touch = Path.touch

    def refuse(path: Path, *more: Any, **options: Any) -> None:
        if part(path, name):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        touch(path, *more, **options)

    patch.setattr(Path, "touch", refuse)


def cannot_write(name: str, patch: pytest.MonkeyPatch) -> None:
    """Make the temporary file a link to a device that is always full."""
    unlink = Path.unlink

    def fill(path: Path, *more: Any, **options: Any) -> None:
        fresh = part(path, name) and not path.is_symlink() and path.exists() and path.stat().st_size == 0
        unlink(path, *more, **options)
        if fresh:
            path.symlink_to("/dev/full")

    patch.setattr(Path, "unlink", fill)


def cannot_force(name: str, patch: pytest.MonkeyPatch) -> None:
    fsync = os.fsync

    def fail(number: int) -> None:
        if part(Path(f"/proc/self/fd/{number}").readlink(), name):
            raise OSError(errno.EIO, "Input/output error")
        fsync(number)

    patch.setattr(os, "fsync", fail)


def cannot_rename(name: str, patch: pytest.MonkeyPatch) -> None:
    replace = Path.replace

    def refuse(path: Path, to: Path) -> Path:
        if part(path, name):
            raise OSError(errno.EROFS, "Read-only file system", str(path), None, str(to))
        return replace(path, to)

    patch.setattr(Path, "replace", refuse)


FAILURES = {
    "Permission denied": cannot_open,
    "No space left on device": cannot_write,
    "Input/output error": cannot_force,
    "Read-only file system": cannot_rename,
}


def check(line: str, target: str, more: str, what: str, call: Call) -> None:
    out, path = target.partition("/")[0], Path(target)
    if more:  # there is an older file, which must stay
        status, said = call(line, out)
        assert status == 0, said
    before = path.read_bytes() if path.exists() else None
    written = path.stat().st_mtime_ns if path.exists() else 0
    with pytest.MonkeyPatch.context() as patch:
        FAILURES[what](target, patch)
        status, said = call(f"{line} {more} --overwrite", out)
    assert status == 1, said
    assert what in said
    assert path.name in said
    assert (path.read_bytes() if path.exists() else None) == before
    assert not [one for one in path.parent.iterdir() if ".part" in one.name and one.suffix != ".parts"]
    status, said = call(f"{line} {more} --overwrite", out)
    assert status == 0, said
    assert path.stat().st_mtime_ns > written


def commands(group: Any, before: str = "") -> dict[str, set[str]]:
    """Return the options and arguments of all commands, by their words."""
    found: dict[str, set[str]] = {}
    for name, one in group.commands.items():
        words = f"{before} {name}".strip()
        found |= (
            commands(one, words)
            if hasattr(one, "commands")
            else {words: {opt.strip("-") for param in one.params for opt in param.opts}}
        )
    return found


def test_every_command_that_writes_is_tried() -> None:
    writing = {name for name, given in commands(get_command(app)).items() if given & {"out", "fix", "sheet"}}
    tried = [line.replace("search catalog", "search query catalog") for line, *_ in (QUICK | LONG).values()]
    missed = {name for name in writing if not any(f"{line} ".startswith(f"{name} ") for line in tried)}
    assert missed == set(ELSEWHERE)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full, which stands in for a full disk")
@pytest.mark.usefixtures("inputs")
@pytest.mark.parametrize("what", FAILURES)
@pytest.mark.parametrize("command", QUICK)
def test_a_failure_while_writing_is_told_and_leaves_the_old_file(command: str, what: str, call: Call) -> None:
    check(*QUICK[command], what, call)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full, which stands in for a full disk")
@pytest.mark.usefixtures("inputs")
@pytest.mark.parametrize("what", FAILURES)
@pytest.mark.parametrize("command", LONG)
def test_a_failure_while_writing_after_long_work(command: str, what: str, call: Call) -> None:
    check(*LONG[command], what, call)
