"""Pages that are files, in a real browser: the report of an evaluation, the findings of the checks.

The fixture `browser` adds to every test: nothing goes wrong in the console, and no request leaves the machine.
"""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from PIL import Image
from typer.testing import CliRunner

from browser import SCHEMES, WIDTHS, Browser, find_barriers, find_unreachable
from peculiar.checks.findings import KINDS, CheckResult, Finding
from peculiar.checks.page import write_report
from peculiar.cli import app
from peculiar.evaluation.assess import assess
from peculiar.evaluation.page import write_assessment
from peculiar.evaluation.robustness import Shifted
from peculiar.questions.question import Question
from peculiar.sources import open_source
from peculiar.verification.verify import verify
from simulated_answers import draw

HOSTILE = "<script>window.hacked = true</script>"


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report that has every section."""
    folder = tmp_path_factory.mktemp("report")
    labels, probabilities = draw(np.random.default_rng(2), 200)
    found = assess(
        [str(number) for number in range(200)],
        labels,
        probabilities,
        Question("shape", ("a", f"b {HOSTILE}", "a_third_answer_whose_name_is_long")),
        columns={"survey": ["x" if number % 3 else HOSTILE for number in range(200)]},
        unlabelled=draw(np.random.default_rng(3), 100)[1],
        resamples=50,
    )
    shifts = {"blur": Shifted("pixels", (0, 1, 3), [0.9, 0.88, 0.8], [0.02, 0.02, 0.03], [1, 1, 0.9], [0, 0, 0])}
    facts = {"command": f"peculiar evaluate {HOSTILE}", "digest": "0123456789abcdef" * 8}
    picture = np.zeros((32, 32, 3), np.uint8)
    return write_assessment(folder, found, facts, mistakes=[(picture, "a 99%\nlabel: b")] * 3, shifts=shifts)


@pytest.fixture(scope="module")
def findings(tmp_path_factory: pytest.TempPathFactory, tiny_survey: Path) -> Path:
    """Write the page of the checks with findings of every kind, with and without pictures, for hostile ids."""
    folder = tmp_path_factory.mktemp("findings")
    table = pa.parquet.read_table(tiny_survey)
    ids = [f"{HOSTILE} {number}" if number % 5 == 0 else f"sim-{number}-{'x' * number}" for number in range(len(table))]
    pa.parquet.write_table(table.set_column(0, "id", [ids]), folder / "data.parquet")
    findings = [
        Finding(kind, rows, f"{HOSTILE} is wrong with it, and more that takes some words to tell", 0.5)
        for number, kind in enumerate(KINDS)
        for rows in ((), (number,), (number, number + 1), tuple(range(number, number + 6)))
    ]
    found = CheckResult(
        folder / "data.parquet", open_source(folder / "data.parquet").ids(), [None] * len(ids), findings
    )
    return write_report(found, folder / "page")


@pytest.fixture(scope="module")
def verification(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a verification by a score with a hostile name, with a threshold in the middle."""
    folder = tmp_path_factory.mktemp("verification")
    scores = np.random.default_rng(1).beta(0.3, 1, 300)
    pa.parquet.write_table(pa.table({"id": np.arange(300), HOSTILE: scores}), folder / "catalog.parquet")
    answers = {str(number): bool(score > 0.4) for number, score in enumerate(scores)}
    found = verify(folder / "catalog.parquet", HOSTILE, answers, purity=0.8, count=300)
    assert found.threshold is not None
    return found.write(folder, command=f"peculiar verify {HOSTILE}")


def assert_readable(browser: Browser, file: Path, width: int, scheme: str) -> None:
    page = browser.window(width=width, scheme=scheme)
    page.goto(file.as_uri())
    assert find_barriers(page) == []
    assert find_unreachable(page) == []
    assert page.evaluate("window.hacked") is None
    broken = "[...document.images].filter(one => one.loading !== 'lazy' && !one.naturalWidth).length"
    assert page.evaluate(broken) == 0
    assert browser.asked == {file.as_uri()}


@pytest.mark.parametrize("width", [400, 1400])
def test_the_report_of_an_evaluation(browser: Browser, report: Path, width: int) -> None:
    assert_readable(browser, report, width, "light")


@pytest.mark.parametrize("width", [400, 1400])
@pytest.mark.slow
def test_the_page_of_the_checks(browser: Browser, findings: Path, width: int) -> None:
    assert_readable(browser, findings, width, "dark")


@pytest.mark.parametrize("width", [400, 1400])
def test_the_page_of_a_verification(browser: Browser, verification: Path, width: int) -> None:
    assert_readable(browser, verification, width, "light")


@pytest.mark.slow
def test_pages_that_the_commands_write(
    browser: Browser, tiny_survey: Path, tiny_model: Path, drawn_catalog: Path, tmp_path: Path
) -> None:
    def run(*words: Any) -> None:
        result = CliRunner().invoke(app, [str(word) for word in words])
        assert result.exit_code == 0, result.output

    # The drawn catalogue says that no model made it, so that its classes can be counted.
    options = ["--label", "gz2_argmax", "--by", "ra", "--fractions", drawn_catalog, "--shift", "--views", 1]
    run("evaluate", tiny_survey, "--model", tiny_model, "--out", tmp_path / "report", *options)
    run("data", "check", tiny_survey, "--model", tiny_model, "--label", "clean5", "--out", tmp_path / "check")
    for file in (tmp_path / "report" / "report.html", tmp_path / "check" / "index.html"):
        for width in (*WIDTHS, 1400):
            for scheme in SCHEMES:
                browser.asked.clear()
                assert_readable(browser, file, width, scheme)


def test_a_table_that_goes_on_shows_it(browser: Browser, report: Path) -> None:
    """The right end of a table that is wider than the page is shaded, until it is reached."""
    window = browser.window(width=400)
    window.goto(report.as_uri())
    wide = window.locator(".wide")
    number = wide.evaluate_all("all => all.findIndex(one => one.scrollWidth > one.clientWidth + 20)")
    assert number >= 0

    def edge() -> tuple[int, ...]:
        """Return the colour of the empty right edge of a table, beside its last row."""
        box = wide.nth(number).bounding_box()
        clip = {"x": box["x"] + box["width"] - 2, "y": box["y"] + 3, "width": 1, "height": 1}
        shot = Image.open(io.BytesIO(window.screenshot(clip=clip, full_page=True))).convert("RGB")
        return tuple(shot.getpixel((0, 0)))

    window.evaluate("scrollTo(0, 0)")
    shaded = edge()
    wide.nth(number).evaluate("one => one.scrollTo(one.scrollWidth, 0)")
    assert sum(edge()) > sum(shaded) + 60
