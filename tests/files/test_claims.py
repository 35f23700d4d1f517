"""What a command did not write itself it does not replace; the same command is told from another."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest

from peculiar.errors import PeculiarWarning, UsageError
from peculiar.files.cache import cache_folder
from peculiar.files.claims import Request, claiming, inputs_digest
from peculiar.files.writing import writing
from peculiar.labelling.database import Event, Labels
from peculiar.models.model_file import load_model
from peculiar.questions.question import FOUR_CLASS

Call = Callable[..., tuple[int, str]]


@pytest.fixture
def call(peculiar_command: Any) -> Call:
    """Run the command line in this process; returns exit status and all that was printed."""

    def run(*words: object) -> tuple[int, str]:
        status, out, err = peculiar_command(*words)
        return status, out + err

    return run


def copies(folder: Path, **places: Path) -> dict[str, Path]:
    """Copy inputs, which a test may spoil, and make a database of answers and a smaller survey beside them."""
    few = pa.parquet.read_table(places["survey"]).slice(0, 3)
    pa.parquet.write_table(few, folder / "few.parquet")
    copied = {name: Path(shutil.copy(place, folder / f"{name}{place.suffix}")) for name, place in places.items()}
    with Labels(folder / "labels.db") as labels:
        labels.ask(FOUR_CLASS)
        for n in range(9):
            answer = FOUR_CLASS.answers[n % 4]
            labels.record(
                Event(f"event-{n:04d}", "answer", "ann", f"sim-{n:03d}", FOUR_CLASS.name, answer, session="s")
            )
    return copied | {"database": folder / "labels.db", "few": folder / "few.parquet"}


@pytest.fixture
def made(tmp_path: Path, tiny_survey: Path, tiny_model: Path, tiny_catalog: Path, tiny_run: Path) -> dict[str, Path]:
    """Inputs of every command."""
    return copies(tmp_path, survey=tiny_survey, model=tiny_model, catalog=tiny_catalog) | {"run": tiny_run}


@pytest.fixture
def stand_ins(tmp_path: Path, tiny_survey: Path, drawn_catalog: Path) -> dict[str, Path]:
    """Inputs that are good enough for a command that is to stop before its work."""
    return copies(tmp_path, survey=tiny_survey, model=load_model().path, catalog=drawn_catalog) | {"run": tmp_path}


# Of each command: its words, what it writes ("OUT" among the words, or a file in that folder), and words that make
# another request of it.
COMMANDS: dict[str, tuple[str, str, str]] = {
    "predict": ("predict {survey} --model {model} --workers 1 --out OUT", "c.parquet", "--views 1"),
    "predict csv": ("predict {survey} --model {model} --workers 1 --out OUT", "c.csv", "--embeddings"),
    "measure": ("measure {few} --workers 1 --out OUT", "measures.parquet", "--keep survey"),
    "get": ("data get simulated --count 5 --size 16 --out OUT", "g.npz", "--seed 1"),
    "pack": ("data pack {survey} --out OUT", "p.parquet", "--bands=") ,
    "convert": ("data convert {catalog} OUT", "c.csv", "--column id"),
    "check": ("data check {survey} --model {model} --out OUT", "checked/check.json", "--radius 2"),
    "check page": ("data check {survey} --model {model} --out OUT", "checked/index.html", "--radius 2"),
    "fix": ("data check {survey} --model {model} --fix OUT", "f.csv", "--radius 2"),
    "evaluate": ("evaluate {survey} --model {model} --label four_class --out OUT", "e/scores.json", "--views 1"),
    "report": ("evaluate {survey} --model {model} --label four_class --out OUT", "e/report.html", "--views 1"),
    "compare": ("compare {model} {model} {survey} --label four_class --out OUT", "d/comparison.json", "--views 1"),
    "compare page": ("compare {model} {model} {survey} --label four_class --out OUT", "d/comparison.html", "--seed 1"),
    "explain": ("explain {survey} --model {model} --count 1 --out OUT", "x/galaxy_1.png", "--views 1"),
    "overview": ("explain {survey} --model {model} --count 1 --out OUT", "x/overview.png", "--views 1"),
    "query": ("search {catalog} --where p_odd>0 --out OUT", "q.csv", "--top 3"),
    "sheet": ("search {catalog} --sheet OUT --pictures {survey}", "q.png", "--top 3"),
    "odd": ("search odd {catalog} --out OUT", "o.parquet", "--top 3"),
    "map": ("search map {catalog} --out OUT", "m.fits", "--sheet m.png"),
    "teach": (
        "teach {survey} --catalog {catalog} --from {model} --label gz2_argmax --out OUT", "t.onnx", "--question q",
    ),
    "export": ("export {run} --out OUT", "m.onnx", "--licence mine"),
    "calibrate": ("calibrate {survey} --model {model} --out OUT", "r.onnx", "--scores {scores}"),
    "labels": ("labels export {database} --out OUT", "l.csv", "--as votes"),
    "consensus": (
        "labels export {database} --as consensus --catalog {catalog} --out OUT", "s.csv", "--question four_class",
    ),
    "known": ("known {catalog} --table {survey} --out OUT", "k.parquet", "--unknown"),
    "verification": (
        "verify {catalog} --score p_odd --labels {survey} --label gz2_argmax --true odd --out OUT",
        "v/verification.json", "--purity 0.8",
    ),
    "publish": ("publish {catalog} --pictures {survey} --size 32 --out OUT", "wall/", "--top 3"),
    "manifest": ("labels manifest {survey} --size 8 --out OUT", "manifest/", "--size 9"),
}  # fmt: skip


# Take longer than five seconds, five times in a row.
LONG = ("measure", "evaluate", "compare", "compare page", "export", "sheet")


def words(command: str, made: dict[str, Path], *, more: bool = False) -> tuple[list[str], Path]:
    """Return the words of a command, and the file that it writes."""
    line, target, other = COMMANDS[command]
    folder = target.partition("/")[0]
    Path("scores.json").write_text("{}")
    line = f"{line} {other}" if more else line
    return [word.format(**made, scores="scores.json").replace("OUT", folder) for word in line.split()], Path(target)


def content(path: Path) -> Any:
    if path.is_dir():
        return {one.relative_to(path): one.read_bytes() for one in path.rglob("*") if one.is_file()}
    return path.read_bytes()


@pytest.mark.parametrize("there", ["file", "folder", "link", "link to nowhere", "write-protected"])
@pytest.mark.parametrize("command", COMMANDS)
def test_what_lies_there_is_not_replaced(command: str, there: str, stand_ins: dict[str, Path], call: Call) -> None:
    line, target = words(command, stand_ins)
    target.parent.mkdir(parents=True, exist_ok=True)
    elsewhere = Path("elsewhere")
    elsewhere.write_text("mine")
    if there == "folder":
        target.mkdir(exist_ok=True)
        (target / "notes.txt").write_text("mine")
    elif there.startswith("link"):
        target.symlink_to(elsewhere.absolute() if there == "link" else "nowhere")
    else:
        target.write_text("mine")
        target.chmod(0o444 if there == "write-protected" else 0o644)
    status, said = call(*line)
    assert status == 2, said
    assert str(target) in said
    assert elsewhere.read_text() == "mine"
    assert target.is_symlink() == there.startswith("link")
    if there == "folder":
        assert [one.name for one in target.iterdir()] == ["notes.txt"]
    elif there != "link to nowhere":
        assert target.read_text() == "mine"


@pytest.mark.parametrize("command", [name for name, (_, target, _) in COMMANDS.items() if "/" not in target])
def test_an_input_is_never_replaced(command: str, stand_ins: dict[str, Path], call: Call) -> None:
    line, target = words(command, stand_ins)
    (name,) = [one for one in ("survey", "catalog", "database") if f"{{{one}}}" in COMMANDS[command][0]][:1] or [None]
    if name is None:
        pytest.skip("it reads nothing that it could replace")
    before = stand_ins[name].read_bytes()
    target.symlink_to(stand_ins[name])
    status, said = call(*line, "--overwrite")
    assert (status, stand_ins[name].read_bytes() == before) == (2, True), said
    assert "is the input of this command" in said


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(name, marks=[pytest.mark.slow] if name in LONG else [])
        for name in COMMANDS
        if name not in ("predict csv", "report", "overview", "check page", "fix")
    ],
)
@pytest.mark.slow
def test_the_same_command_is_told_from_another(command: str, made: dict[str, Path], call: Call) -> None:
    line, target = words(command, made)
    status, said = call(*line)
    assert status == 0, said
    for _ in range(2):  # the same command finds it done, or does it again
        status, said = call(*line)
        assert status == 0, said
    before = content(target)
    other, _ = words(command, made, more=True)
    # The first two have no options that change what is written; a verification goes on in its folder.
    if command not in ("pack", "map", "verification"):
        status, said = call(*other)
        assert status == 2, said
        assert content(target) == before
        assert "other options" in said or "has to be new" in said
    if target.is_dir():
        return
    target.write_bytes(before + b"\n")
    status, said = call(*line)
    assert (status, content(target)) == (2, before + b"\n")
    assert "was changed since" in said
    status, said = call(*other, "--overwrite")
    assert status == 0, said
    assert content(target) != before + b"\n"


def test_the_product_of_another_command_is_not_replaced(stand_ins: dict[str, Path], call: Call) -> None:
    assert call("data", "convert", stand_ins["catalog"], "table.csv", "--column", "id")[0] == 0
    before = Path("table.csv").read_bytes()
    status, said = call("search", stand_ins["catalog"], "--out", "table.csv")
    assert status == 2
    assert "table.csv was written by `peculiar data convert`; choose another output, or replace it" in said
    assert Path("table.csv").read_bytes() == before


def test_other_content_of_an_input_is_another_request_and_another_time_is_not(
    stand_ins: dict[str, Path], call: Call, tiny_survey: Path
) -> None:
    line = ["data", "convert", stand_ins["catalog"], "c.csv", "--column", "id"]
    assert call(*line)[0] == 0
    os.utime(stand_ins["catalog"], ns=(1, 1))
    status, said = call(*line)
    assert status == 0
    assert "Already done" in said
    shutil.copy(tiny_survey, stand_ins["catalog"])
    assert call(*line)[0] == 2


@pytest.mark.slow
def test_the_default_folder_holds_the_latest_evaluation(made: dict[str, Path], call: Call) -> None:
    words = ["evaluate", str(made["survey"]), "--model", str(made["model"]), "--label", "four_class"]
    assert call(*words)[0] == 0
    first = Path("evaluation/scores.json").read_bytes()
    assert call(*words, "--views", "1")[0] == 0
    assert Path("evaluation/scores.json").read_bytes() != first
    Path("evaluation/scores.json").write_text("mine")
    status, told = call(*words)
    assert (status, Path("evaluation/scores.json").read_text()) == (2, "mine")
    assert "was changed since peculiar wrote it" in told


@pytest.mark.slow
def test_figures_of_before_are_cleared_away_and_those_of_others_are_not(made: dict[str, Path], call: Call) -> None:
    line = ["explain", made["survey"], "--model", made["model"], "--out", "x"]
    assert call(*line, "--count", "3")[0] == 0
    Path("x/galaxy_9.png").write_text("mine")
    Path("x/galaxy_3.png").write_bytes(Path("x/galaxy_3.png").read_bytes() + b"changed")
    status, said = call(*line, "--count", "1", "--overwrite")
    assert status == 0, said
    assert sorted(one.name for one in Path("x").iterdir()) == [
        "galaxy_1.png", "galaxy_3.png", "galaxy_9.png", "overview.png",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["run.json", "notes.txt"])
def test_a_run_does_not_begin_in_a_folder_of_something_else(name: str, fake_npz: Path, call: Call) -> None:
    Path("run").mkdir()
    Path("run", name).write_text("mine")
    for more in ([], ["--resume"]) if name == "notes.txt" else ([],):
        status, said = call("train", fake_npz, "--net", "exercise", "--out", "run", "--epochs", "1", *more)
        assert status == 2, said
        assert [(one.name, one.read_text()) for one in Path("run").iterdir()] == [(name, "mine")]


def test_the_demo_does_not_replace_a_page_of_somebody(fake_npz: Path, call: Call) -> None:
    Path("demo").mkdir()
    Path("demo/index.html").write_text("my homepage")
    status, said = call("demo", "--data", fake_npz, "--epochs", "1")
    assert status == 2
    assert "demo/index.html was not written by peculiar" in said
    assert [one.name for one in Path("demo").iterdir()] == ["index.html"]


def write(path: Path, text: str, request: Request) -> None:
    with claiming(request), writing(path) as temporary:
        temporary.write_text(text)


def test_a_damaged_record_is_none(tmp_path: Path) -> None:
    path, request = tmp_path / "a.csv", Request("predict", "1")
    for damage in (b"", b"{", b"[1]", b"null", b'[{"path": 3}]', b"\xff"):
        write(path, "rows", Request("predict", "1", overwrite=True))
        (record,) = (cache_folder() / "written").iterdir()
        record.write_bytes(damage)
        with pytest.raises(UsageError, match=r"a\.csv was not written by peculiar"):
            write(path, "others", request)
    assert path.read_text() == "rows"


def test_a_file_copied_over_is_not_taken_for_the_one_of_before(tmp_path: Path) -> None:
    path, request = tmp_path / "a.csv", Request("predict", "1")
    write(path, "rows", request)
    state = path.stat()
    path.write_text("sowr")
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    with pytest.raises(UsageError, match="was changed since peculiar wrote it"):
        request.__class__("predict", "1").check(path)


def test_a_cache_that_cannot_be_written_to_is_told_and_the_file_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("PECULIAR_CACHE", str(tmp_path / "file"))
    with pytest.warns(PeculiarWarning, match="set PECULIAR_CACHE to another folder"):
        write(tmp_path / "a.csv", "rows", Request("predict", "1"))
    assert (tmp_path / "a.csv").read_text() == "rows"


def test_inputs_are_known_by_content_and_large_ones_by_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "in").mkdir()
    file = tmp_path / "in" / "a.jpg"
    file.write_bytes(b"picture")
    first = inputs_digest([tmp_path / "in"])
    os.utime(file, ns=(1, 1))
    assert inputs_digest([tmp_path / "in"]) == first
    file.rename(tmp_path / "in" / "b.jpg")
    assert inputs_digest([tmp_path / "in"]) != first
    monkeypatch.setattr("peculiar.files.claims.CONTENT_BYTES", 3)
    second = inputs_digest([tmp_path / "in"])
    os.utime(tmp_path / "in" / "b.jpg", ns=(2, 2))
    assert inputs_digest([tmp_path / "in"]) != second
