"""Readers of several files and of text, damaged: rows or a `PeculiarError`, within limits of memory and time.

Of formats that are folders, one of the files is damaged. More of them, as many as FUZZ_COUNT says, with the seed
FUZZ_SEED: `make fuzz`, and the slow tests.
"""

import json
import os
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from classifications import classification, export
from field_formats import CLASSES, DEC, FORMATS, IDS, RA, encoded
from fuzz import faults, mutate, outcome, read_all
from peculiar.images.framing import Framing
from peculiar.labelling.database import Labels
from peculiar.labelling.zooniverse import import_classifications
from peculiar.models.model_file import load_model
from peculiar.questions.question import Question, Tree
from peculiar.questions.question_file import find_tree
from peculiar.sources import open_source
from peculiar.sources.labels import read_labels
from peculiar.sources.positions import Positions
from peculiar.tables.reader import TableReader
from peculiar.tables.vectors import open_vectors

SHELL = Tree("shell", (Question("shell", ("no_shell", "shell")),))
TOKENS = [b"[" * 500, b"{" * 500, b'"\\u0000"', b"null", b"NaN", b"1e999", b"&a [*a]", b"\xff\xfe", b"../../", b"---\n"]


def pictures(path: Path) -> None:
    source = open_source(path)
    assert sum(1 for _ in source.galaxies(Framing(16))) == len(source)


def table(path: Path) -> None:
    reader = TableReader(path)
    for name in dict.fromkeys(reader.columns):
        for batch in reader.batches([name]):
            batch.column(0).to_pylist()


def answers(path: Path) -> None:
    with Labels(path.with_suffix(".db")) as labels:
        import_classifications(path, labels, SHELL)


def vectors(path: Path) -> None:
    found = open_vectors(path)
    assert sum(map(len, found.ids())) == sum(map(len, found.blocks()))


def listed(name: str, text: str) -> Callable[[Path], Path]:
    """Return a function that writes a file of metadata beside pictures."""

    def write(folder: Path) -> Path:
        for number, content in enumerate(encoded()):
            (folder / f"{number}.png").write_bytes(content)
        (folder / name).write_text(text)
        return folder

    return write


def written(name: str, text: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (folder / name).write_text(text)
        return folder / name

    return write


def saved(folder: Path) -> Path:
    np.save(folder / "a.npy", np.zeros((8, 4), np.float32))
    (folder / "a.csv").write_text("id\n" + "\n".join(map(str, IDS)) + "\n")
    return folder / "a.npy"


ROWS = [
    {"file_name": f"{number}.png", "objid": id_, "ra": ra, "dec": dec, "label": label}
    for number, (id_, ra, dec, label) in enumerate(zip(IDS, RA.tolist(), DEC.tolist(), CLASSES, strict=True))
]
LINES = "".join(json.dumps(row) + "\n" for row in ROWS)
CSV = "objid,ra,dec,label\n" + "".join("{objid},{ra},{dec},{label}\n".format(**row) for row in ROWS)
METADATA = "file_name,objid,ra,dec,label\n" + "".join(f"{at}.png,{line}\n" for at, line in enumerate(CSV.split()[1:]))
IPAC = "|  objid|     ra|    dec|\n|   long| double| double|\n" + "".join(f" {n:7} {n:7}.{n:7}.\n" for n in range(9))
QUESTION = (
    'name = "q"\n[[question]]\nname = "a"\nasks = "?"\nanswers = ["x", "y"]\nvotes = ["a1", "a2"]\nthen = {x = "b"}\n'
    '[[question]]\nname = "b"\nasks = "?"\nanswers = ["u", "v"]\nvotes = ["b1", "b2"]\n'
)
# Of each reader: how its file or folder is written, and what reads it.
KINDS: dict[str, tuple[Callable[[Path], Path], Callable[[Path], object]]] = {
    **{name: (format.write, pictures) for name, format in FORMATS.items()},
    "metadata as CSV": (listed("metadata.csv", METADATA), pictures),
    "metadata as JSON lines": (listed("metadata.jsonl", LINES), pictures),
    "JSON lines": (written("a.jsonl", LINES), table),
    "IPAC": (written("a.tbl", IPAC), table),
    "labels": (written("a.csv", CSV), lambda path: read_labels(path, "label")),
    "positions": (written("a.csv", CSV), lambda path: list(Positions(path))),
    "questions": (written("a.toml", QUESTION), lambda path: find_tree(str(path))),
    "classifications": (
        lambda folder: export(folder / "a.csv", [classification(n, "Shell") for n in range(9)]), answers,
    ),
    "vectors": (saved, vectors),
    "model": (lambda folder: Path(shutil.copy(load_model().path, folder)), load_model),
}  # fmt: skip


def made(kind: str, count: int, seed: int, folder: Path) -> Iterator[Path]:
    """Yield damaged files or folders of a kind, each when it is asked for."""
    chance = random.Random(f"{seed} {kind}")
    for number in range(count):
        place = folder / f"{kind}-{number}"
        place.mkdir()
        path = KINDS[kind][0](place)
        parts = sorted(one for one in place.rglob("*") if one.is_file())
        part = chance.choice(parts)
        part.write_bytes(mutate(part.read_bytes(), chance, TOKENS))
        yield path


def read(path: Path) -> None:
    """Read a damaged file or folder of `made`, whose kind is in its path."""
    kind = next(name for name in KINDS for part in path.parts if part.rpartition("-")[0] == name)
    KINDS[kind][1](path)


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    name = str(request.param)
    if name in FORMATS and FORMATS[name].needs:
        pytest.importorskip(FORMATS[name].needs, reason=f"{FORMATS[name].needs} is not installed")
    return name


@pytest.mark.filterwarnings("ignore")
def test_damaged_files_of_a_format_are_read_or_refused(kind: str, tmp_path: Path) -> None:
    (tmp_path / f"{kind}-good").mkdir()
    assert outcome(KINDS[kind][1], KINDS[kind][0](tmp_path / f"{kind}-good")) == "read"
    found = {
        path: outcome(read, path) for path in made(kind, 3 if kind in FORMATS or kind == "model" else 8, 19, tmp_path)
    }
    assert not faults(found), faults(found)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_many_damaged_files_of_a_format_are_read_or_refused(kind: str, tmp_path: Path) -> None:
    count, seed = int(os.environ.get("FUZZ_COUNT", "200")), int(os.environ.get("FUZZ_SEED", "20"))
    found = read_all("test_fuzz_formats:read", made(kind, count, seed, tmp_path), seconds=20, megabytes=1000)
    assert not faults(found), faults(found)
