"""The public names: what they are, that they are typed and cheap to import, and that their examples run."""

import ast
import doctest
import importlib
import inspect
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import peculiar

ROOT = Path(__file__).resolve().parent.parent
CONSTANTS = {"FOUR_CLASS", "CLEAN5", "ODD"}
DOCUMENTED = sorted(set(peculiar.__all__) - CONSTANTS)

# Commands that ask people or the network.
UNATTENDED = {"label", "open_desk", "Desk", "get_cutouts"}
SLOW = {"demo", "Run", "export", "calibrate"}


def seen_by_type_checkers() -> dict[str, str]:
    """The public names and their modules, as the package says them to type checkers."""
    tree = ast.parse((ROOT / "src" / "peculiar" / "__init__.py").read_text(encoding="utf-8"))
    (shown,) = (node for node in tree.body if isinstance(node, ast.If))
    return {
        one.asname or one.name: str(line.module)
        for line in shown.body
        if isinstance(line, ast.ImportFrom)
        for one in line.names
    }


def test_what_is_loaded_is_what_type_checkers_see() -> None:
    assert len(peculiar.__all__) == len(set(peculiar.__all__))
    assert set(seen_by_type_checkers()) == set(peculiar.__all__) == set(peculiar._HOME_OF)
    for name, module in seen_by_type_checkers().items():
        assert module == f"peculiar.{peculiar._HOME_OF[name]}"
        assert getattr(peculiar, name) is getattr(importlib.import_module(module), name)
    assert set(peculiar.__all__) <= set(dir(peculiar))


def test_no_public_name_is_a_module() -> None:
    for name in peculiar.__all__:
        assert not isinstance(getattr(peculiar, name), ModuleType)
        # Once the module is imported, it would hide the function.
        assert not (ROOT / "src" / "peculiar" / f"{name}.py").exists()
        assert not (ROOT / "src" / "peculiar" / name).exists()


def test_a_misspelt_name_is_not_there() -> None:
    with pytest.raises(AttributeError, match="module 'peculiar' has no attribute 'laod_model'"):
        _ = peculiar.laod_model
    with pytest.raises(ImportError, match="cannot import name 'laod_model'"):
        exec("from peculiar import laod_model")


PROGRAM = """
import peculiar
from peculiar import Catalog, Question, predict, train

reveal_type(peculiar.load_model)
reveal_type(predict("pictures").query("p_odd > 0.9").similar(ids=["a"]))
reveal_type(peculiar.evaluate("galaxies.parquet").write("report"))
reveal_type(train("my_classes").export("mine.onnx"))
reveal_type(peculiar.FOUR_CLASS)
peculiar.laod_model()
peculiar.predict(picture="x")
"""

REVEALED = (
    'Revealed type is "def (path: str | os.PathLike[str] | None =, *, threads: int | None =, device: str | None =) -> ',
    'Revealed type is "peculiar.catalogs.catalog.Catalog"',
    'Revealed type is "pathlib.Path"',
    'Revealed type is "peculiar.models.model_file.Model"',
    'Revealed type is "peculiar.questions.question.Question"',
    'Module has no attribute "laod_model"; maybe "load_model"?',
    'Unexpected keyword argument "picture" for "predict"',
)


def test_type_checkers_know_the_names(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM, encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--config-file",
        ROOT / "pyproject.toml",
        "--cache-dir",
        ROOT / ".mypy_cache",
    ]
    done = subprocess.run([*command, tmp_path / "program.py"], capture_output=True, text=True, check=False, cwd=ROOT)
    lines = [
        line.partition(": ")[2].removeprefix("note: ").removeprefix("error: ") for line in done.stdout.splitlines()
    ]
    told = [line for line in lines if line.startswith(("Revealed", "Module", "Unexpected"))]
    assert len(told) == len(REVEALED), done.stdout + done.stderr
    for line, expected in zip(told, REVEALED, strict=True):
        assert line.startswith(expected), line


def test_importing_costs_nothing() -> None:
    program = "import sys, peculiar; print(*{name.partition('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    heavy = {
        "numpy",
        "scipy",
        "pyarrow",
        "duckdb",
        "astropy",
        "matplotlib",
        "onnxruntime",
        "sklearn",
        "torch",
        "typer",
        "rich",
        "pydantic",
        "PIL",
    }
    assert not heavy & set(loaded)


@pytest.mark.parametrize("name", DOCUMENTED)
def test_every_public_name_is_documented_with_an_example(name: str) -> None:
    thing = getattr(peculiar, name)
    text = inspect.getdoc(thing) or ""
    assert "\nExamples\n--------\n" in text, name
    if inspect.isfunction(thing):
        described = set(inspect.signature(thing).parameters)
        assert described <= set(text.replace(",", " ").replace("*", " ").split()), name


# What is left out of an example's training warns; nobody has to know.
@pytest.mark.filterwarnings("ignore::peculiar.errors.SimulatedDataWarning")
@pytest.mark.usefixtures("surroundings")
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in SLOW else ()) for name in DOCUMENTED]
)
def test_examples_run(name: str) -> None:
    thing: Any = getattr(peculiar, name)
    options = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    (test,) = doctest.DocTestFinder(recurse=False).find(thing, name, globs={"peculiar": peculiar})
    examples = [one for one in test.examples if not one.options.get(doctest.SKIP)]
    assert examples or name in UNATTENDED, f"{name} has no example that runs"
    report: list[str] = []
    doctest.DocTestRunner(optionflags=options).run(test, out=report.append)
    assert not report, "".join(report)
