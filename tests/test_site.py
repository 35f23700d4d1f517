"""The site: every page and public name is on it, once; it is built without a warning, and asks no other host."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import peculiar
from browser import Browser, find_barriers

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
SECTIONS = ("tutorials", "how-to", "gallery", "explanation", "reference", "develop")
BARE = {"index", *SECTIONS}

# Ten kinds of pages, narrow and wide, that everybody can read.
SHOWN = (
    "index",
    "tutorials",
    "notebooks/unusual",
    "predict",
    "scores",
    "cli",
    "api",
    "api/peculiar.predict",
    "api/peculiar.Catalog",
    "changelog",
)


def read(page: str) -> str:
    return (DOCS / f"{page}.md").read_text(encoding="utf-8")


def listed(page: str) -> list[str]:
    """Return the pages that the toctree of a page lists."""
    (content,) = re.findall(r"^```\{toctree\}\n(.*?)^```", read(page), flags=re.MULTILINE | re.DOTALL)
    return [line for line in content.splitlines() if line and not line.startswith(":")]


def test_every_page_is_in_one_section() -> None:
    assert tuple(listed("index")) == SECTIONS
    placed = [page for section in SECTIONS for page in listed(section)]
    pages = [page for folder in (".", "notebooks", "gallery") for page in DOCS.glob(f"{folder}/*.md")]
    assert sorted(placed) == sorted({page.relative_to(DOCS).with_suffix("").as_posix() for page in pages} - BARE)


@pytest.mark.parametrize("section", SECTIONS)
def test_a_section_says_what_its_pages_hold(section: str) -> None:
    assert re.findall(r"^\| \[[^]]+\]\(([\w/-]+)\.md\) \|", read(section), flags=re.MULTILINE) == listed(section)


def test_every_public_name_has_a_page_of_its_own() -> None:
    names = [
        name for names in re.findall(r":nosignatures:\n\n(.*?)```", read("api"), re.DOTALL) for name in names.split()
    ]
    assert names == peculiar.__all__


def test_what_the_first_page_takes_from_the_readme_is_there_once() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    marks = [
        mark.encode().decode("unicode_escape")
        for page in ("index", *SECTIONS)
        for mark in re.findall(r'^:(?:start-after|end-before): "(.*)"$', read(page), flags=re.MULTILINE)
    ]
    assert len(marks) >= 6
    assert {mark: readme.count(mark) for mark in marks} == dict.fromkeys(marks, 1)


def test_nothing_is_written_in_the_readme_and_on_the_site() -> None:
    readme = {line.strip() for line in (ROOT / "README.md").read_text(encoding="utf-8").splitlines()}
    for page in sorted(file.stem for file in DOCS.glob("*.md")):
        twice = {line for line in read(page).splitlines() if len(line) > 60 and line.strip() in readme}
        assert not twice, f"docs/{page}.md"


@pytest.fixture(scope="module")
def site() -> Path:
    """The site as `make site` builds it."""
    pytest.importorskip("myst_nb", reason="the group docs is not installed: make site")
    built = ROOT / "build" / "site"
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "-q", "-n", "-W", "--keep-going", DOCS, built],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return built


@pytest.mark.slow
def test_the_site_names_no_other_host_to_ask(site: Path) -> None:
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > len(peculiar.__all__)
    loading = re.compile(
        r"<(?:script|img|iframe|source|link(?![^>]*rel=\"(?:canonical|license)\"))[^>]*(?:src|href)=\"(?:https?:)?//[^\"]+"
    )
    assert {page.name: found for page in pages if (found := loading.findall(page.read_text("utf-8")))} == {}
    styles = [file.read_text("utf-8") for file in site.rglob("*.css")]
    assert not [
        found for style in styles for found in re.findall(r"(?:url\(|@import )[\"']?(?:https?:)?//[^)]*", style)
    ]


@pytest.mark.slow
@pytest.mark.parametrize("page", SHOWN)
def test_a_page_is_readable_by_everybody(site: Path, browser: Browser, page: str) -> None:
    for width, scheme in ((400, "dark"), (1400, "light")):
        window = browser.window(width, scheme=scheme)
        window.goto((site / f"{page}.html").as_uri())
        assert find_barriers(window) == []


@pytest.mark.slow
def test_the_search_finds_a_column(site: Path, browser: Browser) -> None:
    window = browser.window()
    window.goto((site / "search.html").as_uri() + "?q=set_90")
    window.wait_for_selector("#search-results li a")
    found = window.eval_on_selector_all("#search-results li a", "links => links.map(link => link.href)")
    assert any("catalog.html" in address for address in found)
