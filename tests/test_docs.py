"""The docs say what is: commands and snippets run, generated pages are up to date, the tree is that on the disk."""

import importlib.util
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

from peculiar.cli import app

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "peculiar"
README = ROOT / "README.md"
_BESIDE = [ROOT / name for name in ("CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")]
PAGES = [README, *_BESIDE, *sorted((ROOT / "docs").glob("*.md"))]
OWN_TESTS = {"lesson.md", "python.md", "train.md"}
LONG = {"compare", "explain", "scores", "search"}  # pages whose commands take longer than five seconds
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def page_name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def read(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def without_code(text: str) -> str:
    return BLOCK.sub("", text)


def blocks(page: Path) -> Iterator[tuple[str, str, int]]:
    """Yield language, content and first line number of every fenced block."""
    text = read(page)
    for match in BLOCK.finditer(text):
        yield match[1], match[2], text.count("\n", 0, match.start(2))


def commands(content: str) -> Iterator[tuple[str, str]]:
    """Yield every command of a console block, and the output that the page shows below it."""
    for part in re.split(r"^\$ ", content, flags=re.MULTILINE)[1:]:
        command, _, output = part.partition("\n")
        yield command, output


def run_command(command: str, expected: str, page: Path) -> None:
    program, *arguments = shlex.split(command)
    assert program == "peculiar"
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, f"{page_name(page)}: {command}\n{result.output}\n{result.exception!r}"
    # Elsewhere the output shown is that of real galaxies, which are not here.
    if expected and page.name == "data.md":
        assert result.stdout.split() == expected.split(), f"{page_name(page)}: {command}\n{result.stdout}"


def run_page(page: Path) -> dict[str, Any]:
    """Run the snippets and peculiar's commands of a page, in their order, in one namespace."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for language, content, line in blocks(page):
        if language == "python":
            exec(compile("\n" * line + content, str(page), "exec"), namespace)
        if language == "console":
            for command, output in commands(content):
                if command.startswith("peculiar "):
                    run_command(command, output, page)
    return namespace


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def fake_surroundings(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fake_pictures: NDArray[np.uint8],
    fake_labels: NDArray[np.float32],
) -> None:
    """Replace the exercise's galaxies by fake ones, and open no windows."""
    folder = tmp_path / "data"
    folder.mkdir()
    np.savez_compressed(folder / "galaxydata.npz", data=fake_pictures, labels=fake_labels)
    monkeypatch.setenv("PECULIAR_DATA", str(folder))
    monkeypatch.setenv("MPLBACKEND", "Agg")
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")


@pytest.mark.usefixtures("fake_surroundings")
@pytest.mark.slow
def test_the_lesson_runs_as_it_stands() -> None:
    namespace = run_page(ROOT / "docs" / "lesson.md")
    assert Path("activations/contact_sheet.png").is_file()
    assert Path("activations_keras/contact_sheet.png").is_file()
    history = namespace["longer"].history
    assert history[7] == namespace["trained"].history[7]
    assert namespace["difference"] < 1e-5
    assert namespace["model"].count_params() == 7164
    conventions = read(ROOT / "docs" / "conventions.md")
    assert not [key for key in history[0] if f"`{key}`" not in conventions]
    written = {file.name for file in Path("runs/lesson").iterdir()}
    assert not [name for name in written if f"`{name}`" not in conventions]


@pytest.mark.slow
@pytest.mark.usefixtures("surroundings")
def test_the_most_common_jobs_run_in_three_lines_each(monkeypatch: pytest.MonkeyPatch) -> None:
    page = ROOT / "docs" / "python.md"
    listening = SimpleNamespace(getsockname=lambda: ("127.0.0.1", 8222), close=lambda: None)
    monkeypatch.setattr("peculiar.labelling.web.serve._listen", lambda host, port: listening)
    monkeypatch.setattr("uvicorn.Server.run", lambda server, sockets: None)
    monkeypatch.setattr("webbrowser.open", lambda address: True)
    jobs = [content for language, content, _ in blocks(page) if language == "python"][1:]
    assert len(jobs) >= 10
    assert max(len(job.splitlines()) for job in jobs) <= 3
    namespace = run_page(page)
    assert len(namespace["alike"]) == 10
    assert namespace["taught"].head.question.answers == ("edge_on", "face_on")
    files = ("pictures.csv", "report/report.html", "runs/mine/model.onnx", "taught.onnx", "answers.db", "answered.csv")
    assert [file for file in files if not Path(file).is_file()] == []


@pytest.mark.usefixtures("surroundings")
def test_class_folders_become_a_model_in_one_command() -> None:
    namespace = run_page(ROOT / "docs" / "train.md")
    assert {"model.onnx", "report.html", "scores.json", "split.csv", "run.json"} <= {
        file.name for file in Path("runs/my_classes").iterdir()
    }
    assert set(namespace["catalog"].counts) >= {"edge_on", "face_on"}


# Its training leaves out a broken picture, and warns.
@pytest.mark.filterwarnings("ignore::peculiar.errors.UnreadablePictureWarning")
@pytest.mark.usefixtures("fake_surroundings")
@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, marks=[pytest.mark.slow] if page.stem in LONG else [], id=page_name(page))
        for page in PAGES
        if page.name not in OWN_TESTS
    ],
)
def test_snippets_and_commands_run(page: Path) -> None:
    run_page(page)


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_make_targets_exist(page: Path) -> None:
    targets = re.findall(r"^([\w-]+):.*##", read(ROOT / "Makefile"), flags=re.MULTILINE)
    asked = re.findall(r"`make ([a-z-]+)`", read(page))
    asked += re.findall(r"^\$ make ([a-z-]+)", read(page), flags=re.MULTILINE)
    assert set(asked) <= set(targets)


def test_the_reference_of_the_commands_is_up_to_date() -> None:
    made = script("make_cli")
    assert made.page() == read(made.PAGE), "type: make docs"


def test_the_card_of_the_model_is_up_to_date() -> None:
    made = script("make_models")
    assert made.page() == read(made.PAGE), "type: make docs"


def test_the_picture_of_the_architecture_is_up_to_date() -> None:
    made = script("make_architecture")
    assert made.draw() == read(made.PICTURE), "type: make docs"
    assert made.list_modules() == read(made.PAGE), "type: make docs"


def test_the_gallery_shows_the_galaxies_of_its_script() -> None:
    gallery = script("make_gallery")
    # Probabilities depend on the processor, the galaxies do not.
    made, kept = [re.findall(r"simulated: (\w+)", text) for text in (gallery.draw(), read(gallery.PICTURE))]
    assert made == kept, "type: make docs"
    assert len(kept) == gallery.COUNT


def test_the_mock_observations_shown_are_of_every_feature_and_look() -> None:
    mock = script("make_mock")
    shown = re.findall(r">([\w ]+)</text>", read(mock.PICTURE))
    assert shown == [name.replace("_", " ") for name in (*mock.ALL_FEATURES, *mock.LOOKS)], "type: make docs"


def test_the_files_that_the_architecture_names_are_there() -> None:
    named = re.findall(r"`([\w/]+\.py)`", read(ROOT / "docs" / "architecture.md"))
    assert len(named) > 40
    assert not [name for name in named if not (PACKAGE / name).is_file()]


def test_the_readme_names_every_command() -> None:
    names = [name for name, text in script("make_cli").helps() if "COMMAND" not in text.splitlines()[0]]
    assert not [name for name in names if f"| `{name}" not in read(README)]


def tree() -> dict[str, str]:
    """Return the paths of the tree that the README prints, with their phrases; folders end in a slash."""
    (content,) = [content for _, content, _ in blocks(README) if "├── src/" in content]
    listed, above = {}, [""]
    for line in content.splitlines()[1:]:
        match = re.match(r"^((?:│   |    )*)(?:├──|└──) (\S+)\s+(\S.*)", line)
        assert match, f"no name and phrase in the tree's line {line!r}"
        depth = len(match[1]) // 4
        path = above[depth] + match[2]
        assert path not in listed
        listed[path] = match[3]
        del above[depth + 1 :]
        above.append(path)
    return listed


def test_the_tree_is_that_on_the_disk() -> None:
    listed = tree()
    for path in listed:
        assert (ROOT / path).is_dir() if path.endswith("/") else (ROOT / path).is_file(), path
    rooms = {f"src/peculiar/{file.parent.name}/" for file in PACKAGE.glob("*/__init__.py")}
    phrases = {path: phrase for path, phrase in listed.items() if path.startswith("src/peculiar/")}
    del phrases["src/peculiar/"]
    assert rooms == set(phrases)
    job = script("make_architecture").job
    for room, phrase in phrases.items():
        first = job(ROOT / room / "__init__.py")
        assert phrase == first[0].lower() + first[1:], f"{room}: README and docstring differ"


def test_the_readme_is_short() -> None:
    assert len(read(README).splitlines()) <= 150


def test_the_tree_holds_all_that_is_under_version_control() -> None:
    done = subprocess.run(["git", "-C", ROOT, "ls-files"], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("not a checkout")
    top = {line.split("/")[0] + "/" * ("/" in line) for line in done.stdout.splitlines()}
    assert {path for path in top if not path.startswith(".")} <= set(tree())


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", without_code(read(page)), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", without_code(read(page))):
        if target.startswith(("http://", "https://")):
            continue
        path, _, anchor = target.partition("#")
        file = page.parent / path if path else page
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), target


@pytest.mark.parametrize("page", [*PAGES, *sorted((ROOT / "docs").glob("*.svg"))], ids=page_name)
def test_no_page_asks_another_host(page: Path) -> None:
    text = read(page).replace('xmlns="http://www.w3.org/2000/svg"', "")
    address = r"(?:https?:)?//"
    assert not re.findall(rf"!\[[^\]]*\]\({address}|(?:src|href|data)\s*=\s*[\"']{address}|@import|url\(|<script", text)
