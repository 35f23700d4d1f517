"""Progress of a long call from Python."""

import io
import sys
from pathlib import Path

import pytest

from peculiar.catalogs.predict import predict
from peculiar.models.model_file import load_model
from peculiar.progress import telling
from peculiar.sources import open_source


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_log_gets_a_line_at_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    with telling("classified") as tell:
        for done in range(0, 1001, 10):
            tell(done, 1000)
    assert capsys.readouterr().err == "classified 1,000 of 1,000 in 0 s\n"


def test_a_terminal_shows_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", shown := Terminal())
    monkeypatch.setattr("peculiar.progress._TERMINAL", 0.0)
    with telling("classified") as tell:
        tell(1, None)
        tell(2, 3)
    assert "\rclassified 2 of 3 in 0 s" in shown.getvalue()
    assert shown.getvalue().count("\n") == 1


@pytest.mark.parametrize("verbose", [True, False])
def test_a_catalogue_tells_how_far_it_is(
    tiny_survey: Path, tiny_model: Path, verbose: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    predict(open_source(tiny_survey), "c.csv", load_model(tiny_model), verbose=verbose)
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("classified 100 of 100 in ") == verbose
