"""A training run as an object: printed, and its files."""

from pathlib import Path

import pytest

from peculiar.errors import RunError
from peculiar.files import run_files
from peculiar.training.recipe import PAGE
from peculiar.training.run import Run, read_result, write_result

SCORES = {"balanced_accuracy": 0.9, "accuracy": 0.8, "auc": 0.75, "intervals": {"accuracy": [0.7, 0.85]}}


def test_a_run_prints_its_scores(tmp_path: Path) -> None:
    folder = tmp_path / "first"
    run = Run(folder, [{"loss": 1.0}, {"loss": 0.5}], {"shell": SCORES}, stopped=True)
    assert repr(run).splitlines() == [
        f"Run in {folder}: 2 epochs, stopped",
        "shell: balanced accuracy 0.900, accuracy 0.800 (0.700 to 0.850), AUC 0.750",
        'model file: run.export("first.onnx")',
    ]
    folder.mkdir()
    (folder / PAGE).touch()
    (folder / run_files.MODEL).touch()
    many = Run(folder, [], {f"q{number}": SCORES for number in range(8)})
    told = repr(many).splitlines()
    assert told[0] == f"Run in {folder}: a head on embeddings"
    assert told[-3:] == ["and 2 more questions", f"page: {folder / PAGE}", f"model file: {folder / run_files.MODEL}"]


def test_a_notebook_shows_names_as_text(tmp_path: Path) -> None:
    shown = Run(tmp_path / "a<b>", [], {"<i>shell": SCORES})._repr_html_()
    assert "a&lt;b&gt;: a head on embeddings</b>" in shown
    assert "<li>&lt;i&gt;shell: balanced accuracy 0.900" in shown


def test_a_run_without_a_model_file_says_what_writes_one(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"`peculiar export .* --out MODEL\.onnx` writes one"):
        _ = Run(tmp_path, [], {}).model


def test_scores_come_back_or_are_damaged(tmp_path: Path) -> None:
    assert read_result(tmp_path) is None
    write_result(tmp_path, {"model": "head", "scores": SCORES})
    assert read_result(tmp_path) == {"model": "head", "scores": SCORES}
    (tmp_path / run_files.SCORES).write_text('{"model"')
    with pytest.raises(RunError, match=r"is damaged.*with --resume writes it again"):
        read_result(tmp_path)
