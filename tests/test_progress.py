"""Progress of a long call from Python, in a terminal, a notebook and a log."""

import io
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from peculiar.catalogs.predict import predict
from peculiar.models.model_file import load_model
from peculiar.notebook import in_notebook
from peculiar.progress import reporting, stages
from peculiar.sources import open_source


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_log_gets_a_line_at_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    with reporting("classified") as tell:
        for done in range(0, 1001, 10):
            tell(done, 1000)
    assert capsys.readouterr().err == "classified 1,000 of 1,000 in 0 s\n"


def test_a_terminal_shows_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", shown := Terminal())
    monkeypatch.setattr("peculiar.progress._RENEWED", 0.0)
    with reporting("classified") as tell:
        tell(1, None)
        tell(2, 3)
    assert "\rclassified 2 of 3 in 0 s" in shown.getvalue()
    assert shown.getvalue().count("\n") == 1


def test_the_time_left_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", shown := Terminal())
    times = iter([0.0, 0.0, 10.0, 10.0, 10.0, 40.0, 40.0, 40.0, 40.0])
    monkeypatch.setattr("peculiar.progress.time.monotonic", lambda: next(times, 40.0))
    with reporting("classified") as tell:
        tell(1, 4)
        tell(4, 4)
    assert "classified 1 of 4 in 10 s, 30 s left" in shown.getvalue()
    assert shown.getvalue().endswith("classified 4 of 4 in 40 s\x1b[K\n")


def test_stages_have_a_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    for verbose in (True, False):
        with stages(verbose=verbose) as progress:
            progress("classifying", 3)
            progress("classifying", 4)
            progress("pushing", 5)
        shown = capsys.readouterr().err.splitlines()
        assert shown == (["classifying 7 in 0 s", "pushing 5 in 0 s"] if verbose else [])


def test_a_notebook_shows_a_bar_in_its_cell(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shown: list[str] = []
    handle = types.SimpleNamespace(update=shown.append)

    def display(what: str, *, display_id: bool) -> Any:
        shown.append(what)
        return handle if display_id else None

    ipython = types.ModuleType("IPython")
    ipython.get_ipython = lambda: types.SimpleNamespace(kernel=None)  # type: ignore[attr-defined]
    displays = types.ModuleType("IPython.display")
    displays.HTML, displays.display = str, display  # type: ignore[attr-defined]
    assert not in_notebook()
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", displays)
    monkeypatch.setattr("peculiar.progress._RENEWED", 0.0)
    assert in_notebook()
    with reporting("<classified>") as tell:
        tell(1, 4)
        tell(4, 4)
    assert shown[0] == '<progress value="0.250"></progress> &lt;classified&gt; 1 of 4 in 0 s'
    assert shown[-1] == '<progress value="1.000"></progress> &lt;classified&gt; 4 of 4 in 0 s'
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("verbose", [True, False])
def test_a_catalogue_tells_how_far_it_is(
    tiny_survey: Path, tiny_model: Path, verbose: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    predict(open_source(tiny_survey), "c.csv", load_model(tiny_model), verbose=verbose)
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("classified 100 of 100 in ") == verbose
