"""Commands killed at random moments, and started again: nothing is lost, doubled, half-written or left over.

Twice each by default; for a table of twenty kills of every command::

    PECULIAR_KILLS=20 pytest -m slow -n 2 -s tests/test_kills.py
"""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.error
from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from safetensors.numpy import load_file

from labelling_server import Server
from peculiar.labelling.database import Labels
from peculiar.models.model_file import load_model
from peculiar.tables.reader import TableReader

KILLS = int(os.environ.get("PECULIAR_KILLS", "2"))
SEED = int(os.environ.get("PECULIAR_SEED", "222"))

pytestmark = [pytest.mark.slow, pytest.mark.allow_hosts(["127.0.0.1"])]


def command(folder: Path, line: str) -> subprocess.Popen[str]:
    """Start a command in a folder, in a new process group."""
    return subprocess.Popen(
        [sys.executable, "-m", "peculiar", *line.split()],
        cwd=folder,
        env=os.environ | {"PECULIAR_CACHE": str(folder / "cache")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def whole(folder: Path, line: str) -> None:
    process = command(folder, line)
    said, _ = process.communicate(timeout=600)
    assert process.returncode == 0, said


def kill(folder: Path, line: str, after: float) -> bool:
    """Start a command and kill it after some seconds; return whether it was still running."""
    process = command(folder, line)
    try:
        process.communicate(timeout=after)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return True
    return False


def listed(folder: Path) -> set[str]:
    """Return all files of a folder, but for the cache and for locks."""
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and path.relative_to(folder).parts[0] != "cache" and not path.name.endswith(".lock")
    }


def table(path: Path) -> Any:
    reader = TableReader(path)
    return pa.Table.from_batches(reader.batches(reader.columns)).to_pydict()


def tensors(path: Path) -> list[Any]:
    return [(name, array.tobytes()) for name, array in sorted(load_file(path).items())]


def history(path: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return [{name: value for name, value in line.items() if name != "seconds"} for line in lines]


def arrays(path: Path) -> list[Any]:
    with np.load(path) as opened:
        return [(name, opened[name].tobytes()) for name in sorted(opened)]


def digest(path: Path) -> str:
    return load_model(path).card.digest


def scores(path: Path) -> Any:
    return json.loads(path.read_text())


# Of each command: its words, and how what it writes is compared with what an undisturbed one wrote.
CASES: dict[str, tuple[str, dict[str, Callable[[Path], Any]]]] = {
    "train": (
        "train galaxies.npz --net exercise --out run --epochs 3 --resume",
        {
            "run/history.jsonl": history,
            "run/best.safetensors": tensors,
            "run/last.safetensors": tensors,
            "run/scores.json": scores,
            "run/split.csv": Path.read_bytes,
        },
    ),
    "train classes": (
        "train survey.parquet --from model.onnx --label gz2_argmax --fine-tune always --epochs 3 --batch-size 16 "
        "--out run --resume",
        {"run/model.onnx": digest, "run/scores.json": scores, "run/split.csv": Path.read_bytes},
    ),
    "evaluate": (
        "evaluate survey.parquet --model model.onnx --label four_class --out scores",
        {"scores/scores.json": scores},
    ),
    "teach": (
        "teach survey.parquet --catalog catalog.parquet --from model.onnx --label gz2_argmax --out taught.onnx",
        {"taught.onnx": digest},
    ),
    "calibrate": ("calibrate survey.parquet --model model.onnx --out again.onnx", {"again.onnx": digest}),
    "pack": ("data pack galaxies.npz --out packed.parquet", {"packed.parquet": table}),
    "convert": ("data convert catalog.parquet sorted.fits --sort", {"sorted.fits": table}),
    "hats": ("data convert catalog.parquet hats --hats", {"hats/partition_info.csv": Path.read_bytes}),
    "get": ("data get simulated --count 300 --out got.npz", {"got.npz": arrays}),
    "predict": (
        "predict galaxies.npz --model model.onnx --workers 2 --shard-rows 100 --out answers.parquet",
        {"answers.parquet": table},
    ),
    "parts": ("predict galaxies.npz --model model.onnx --workers 1 --shard-rows 100 --out answers", {"answers": table}),
}


@pytest.fixture
def prepared(tmp_path: Path, tiny_survey: Path, tiny_model: Path, tiny_catalog: Path) -> Callable[[str], Path]:
    """Return a function that makes a folder with the inputs of all commands."""
    rng = np.random.default_rng(222)
    labels = np.eye(4, dtype=np.float32)[np.arange(400) % 4]
    pictures = rng.integers(0, 255, (400, 64, 64, 3)).astype(np.uint8)

    def make(name: str) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        np.savez_compressed(folder / "galaxies.npz", data=pictures, labels=labels)
        copied = {"survey.parquet": tiny_survey, "model.onnx": tiny_model, "catalog.parquet": tiny_catalog}
        for to, source in copied.items():
            shutil.copy(source, folder / to)
        return folder

    return make


@pytest.mark.parametrize("name", CASES)
def test_a_command_that_was_killed_does_all_of_it_the_next_time(name: str, prepared: Callable[[str], Path]) -> None:
    line, products = CASES[name]
    reference = prepared("reference")
    whole(reference, line)  # also fills caches of compiled code
    shutil.rmtree(reference)
    reference = prepared("reference")
    begun = time.monotonic()
    whole(reference, line)
    took = time.monotonic() - begun
    rng, hit = random.Random(f"{SEED} {name}"), 0
    for number in range(KILLS):
        folder = prepared(f"kill-{number}")
        hit += kill(folder, line, rng.uniform(0, took))
        whole(folder, line)
        for product, read in products.items():
            assert read(folder / product) == read(reference / product), product
        assert listed(folder) == listed(reference)
        shutil.rmtree(folder)
    print(f"\n{name:12} {took:5.1f} s  {KILLS} kills, {hit} of them while it ran: nothing lost, doubled or left over")


def form(page: str) -> dict[str, str]:
    """Return the hidden fields of the form for an answer."""
    found = re.search(r'<form[^>]*action="/answer".*?</form>', page, re.DOTALL)
    assert found is not None, page
    fields = re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', found[0])
    return {name: unescape(value) for name, value in fields}


def test_a_killed_labelling_server_has_stored_every_confirmed_answer(tiny_survey: Path, tmp_path: Path) -> None:
    rng, confirmed, hit = random.Random(SEED), 0, 0
    for number in range(KILLS):
        folder = tmp_path / str(number)
        folder.mkdir()
        said: list[str] = []
        pending: dict[str, str] | None = None
        server = Server(tiny_survey, folder, "--question", "odd", "--port", "0")
        killer = threading.Timer(rng.uniform(0, 2), server.kill)
        killer.start()
        try:
            page = server.get("/?who=Ada")
            for answer in range(60):
                pending = form(page) | {"choice": str(answer % 2)}
                page = server.post("/answer", pending)
                said.append(pending["event"])
                pending = None
        except (OSError, urllib.error.URLError):
            hit += 1
        killer.join()
        confirmed += len(said)
        server = Server(tiny_survey, folder, "--question", "odd", "--port", "0")
        if pending is not None:  # the page keeps an answer that was not confirmed, and sends it again
            server.post("/answer", pending | {"csrf": server.get("/csrf")})
            said.append(pending["event"])
        server.kill(signal.SIGINT)
        with Labels(folder / "labels.db") as labels:
            assert [one.event for _, one in labels.history("odd")] == said
        assert {path.name for path in folder.iterdir()} <= {"labels.db", "server.log", "cache"}
    print(
        f"\n{'label':12}          {KILLS} kills, {hit} of them while it answered: {confirmed} answers, all there once"
    )
