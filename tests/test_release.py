"""A release: one version everywhere, and distributions that hold exactly what they should."""

import json
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent

# Under another name on conda-forge.
ON_CONDA = {"duckdb": "python-duckdb", "matplotlib": "matplotlib-base"}

# What people who have the source do not need of the repository.
LEFT_OUT = (".ci/", ".containerignore", ".zenodo.json", "Containerfile", "packaging/")


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    settings: dict[str, Any] = tomllib.loads(read("pyproject.toml"))["project"]
    return settings


def recipe() -> dict[str, Any]:
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")
    content: dict[str, Any] = yaml.safe_load(read("packaging/recipe.yaml"))
    return content


def test_the_version_is_the_same_everywhere(project: dict[str, Any]) -> None:
    version = project["version"]
    assert re.search(rf"^version: {re.escape(version)}$", read("CITATION.cff"), flags=re.MULTILINE)
    assert read("CHANGELOG.md").split("## [")[1].startswith(f"{version}] - ")
    assert f"Version {version}, " in read("README.md")
    assert recipe()["context"]["version"] == version


def test_zenodo_is_told_what_the_project_says(project: dict[str, Any]) -> None:
    told = json.loads(read(".zenodo.json"))
    assert told["title"] == project["name"]
    assert told["description"] == project["description"]
    assert told["keywords"] == project["keywords"]
    assert [creator["name"] for creator in told["creators"]] == [author["name"] for author in project["authors"]]
    cited = read("CITATION.cff")
    assert f"license: {told['license']}" in cited
    assert all(f"- {keyword}" in cited for keyword in told["keywords"])


def test_the_recipe_asks_for_what_the_project_needs(project: dict[str, Any]) -> None:
    needed = []
    for text in project["dependencies"]:
        name, bound = re.fullmatch(r"([\w-]+)(>=[\d.]+)", text).groups()  # type: ignore[union-attr]
        needed.append(f"{ON_CONDA.get(name, name)} {bound}")
    made = recipe()
    assert made["requirements"]["run"] == ["python >=${{ python_min }}", *needed]
    assert made["about"]["license"] == project["license"]
    assert made["about"]["license_file"] == project["license-files"]
    (command,) = made["build"]["python"]["entry_points"]
    assert command == "peculiar = " + project["scripts"]["peculiar"]


def test_the_images_install_extras_that_there_are(project: dict[str, Any]) -> None:
    text = read("Containerfile")
    assert re.findall(r"^FROM \S+ AS (\w+)$", text, flags=re.MULTILINE) == ["wheel", "cpu", "gpu"]
    asked = [extra for extras in re.findall(r"\.whl\)\[([\w,]+)\]", text) for extra in extras.split(",")]
    assert len(asked) >= 5
    assert not set(asked) - set(project["optional-dependencies"])
    copied = [name for names in re.findall(r"^COPY ([^-.].*) \S+$", text, flags=re.MULTILINE) for name in names.split()]
    assert copied
    assert all((ROOT / name).exists() for name in copied)


@pytest.fixture(scope="module")
def tracked() -> set[str]:
    done = subprocess.run(["git", "-C", ROOT, "ls-files"], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("not a checkout")
    return set(done.stdout.splitlines())


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with sdist and wheel; the wheel is made from the sdist."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.mark.slow
def test_the_wheel_holds_the_package_and_nothing_else(built: Path, tracked: set[str], project: dict[str, Any]) -> None:
    (file,) = built.glob("*.whl")
    assert file.name == f"peculiar-{project['version']}-py3-none-any.whl"
    with zipfile.ZipFile(file) as wheel:
        names = set(wheel.namelist())
    about = f"peculiar-{project['version']}.dist-info"
    packaged = {name.removeprefix("src/") for name in tracked if name.startswith("src/")}
    assert {name for name in names if not name.startswith(about)} == packaged
    licences = {f"{about}/licenses/{name}" for name in project["license-files"]}
    rest = {f"{about}/{name}" for name in ("METADATA", "RECORD", "WHEEL", "entry_points.txt")}
    assert {name for name in names if name.startswith(about)} == licences | rest


@pytest.mark.slow
def test_the_sdist_holds_the_repository(built: Path, tracked: set[str], project: dict[str, Any]) -> None:
    (file,) = built.glob("*.tar.gz")
    with tarfile.open(file) as archive:
        names = {member.name.partition("/")[2] for member in archive if member.isfile()}
    assert names - {"PKG-INFO"} == {name for name in tracked if not name.startswith(LEFT_OUT)}


@pytest.mark.slow
def test_an_index_would_take_both(built: Path) -> None:
    pytest.importorskip("twine", reason="the group release is not installed: make release-check")
    command = [sys.executable, "-m", "twine", "check", "--strict", *built.iterdir()]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("PASSED") == 2
