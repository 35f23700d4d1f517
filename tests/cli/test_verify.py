"""`peculiar verify`: a sample first, answers later, from the pages or from a table."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from typer.testing import CliRunner

from peculiar.cli import app
from peculiar.labelling.database import Event, Labels
from peculiar.labelling.web import serve

COUNT = 400


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    scores = np.random.default_rng(1).beta(0.2, 1, COUNT)
    pa.parquet.write_table(pa.table({"id": [f"g{row}" for row in range(COUNT)], "p_ring": scores}), "catalog.parquet")
    return tmp_path


def is_true(id_: str) -> bool:
    return bool(np.random.default_rng(1).beta(0.2, 1, COUNT)[int(id_[1:])] > 0.3)


def run(*words: str) -> str:
    result = CliRunner().invoke(app, ["verify", "catalog.parquet", "--score", "p_ring", *words])
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.slow
def test_first_the_sample_then_the_figures(folder: Path) -> None:
    output = run("--answers", "100")
    assert "The sample, 100 galaxies, is in verification/sample.csv" in output
    with (folder / "verification" / "sample.csv").open(newline="") as file:
        ids = [row["id"] for row in csv.DictReader(file)]
    filled = [f"{id_},{'yes' if is_true(id_) else 'no'}" for id_ in ids]
    (folder / "answers.csv").write_text("\n".join(["id,label", *filled]) + "\n")
    output = run("--answers", "100", "--labels", "answers.csv", "--purity", "0.8")
    assert "purity of 80% or more" in output
    assert "verification/accepted.parquet has the column accepted" in output
    assert {"verification.html", "verification.json", "accepted.parquet"} <= {
        path.name for path in (folder / "verification").iterdir()
    }
    told = json.loads(run("--answers", "100", "--labels", "answers.csv", "--purity", "0.8", "--json"))
    assert told["answers"] == 100
    assert told["threshold"] == pytest.approx(0.3, abs=0.2)


def test_the_pages_ask_about_the_sample_and_answers_are_continued(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, Any]] = []

    def answering(some: slice) -> Callable[..., None]:
        def label(data: Any, *, question: Any, only: list[str], db: Path, **options: Any) -> None:
            asked.append({"data": data, "question": question, "only": only, **options})
            with Labels(db) as labels:
                labels.ask(question)
                for id_ in only[some]:
                    answer = "yes" if is_true(id_) else "no"
                    labels.record(Event(f"event-{id_}", "answer", "Ada", id_, question.name, answer))
            raise KeyboardInterrupt

        return label

    monkeypatch.setattr(serve, "label", answering(slice(0, 40)))
    output = run("--answers", "80", "--pictures", "pictures", "--no-browser")
    assert "40 of the 80 galaxies of the sample have no answer" in output
    assert asked[0]["data"] == [Path("pictures")]
    assert asked[0]["question"].answers == ("no", "yes")
    assert len(asked[0]["only"]) == 80
    monkeypatch.setattr(serve, "label", answering(slice(40, 80)))
    told = json.loads(run("--answers", "80", "--pictures", "pictures", "--no-browser", "--json"))
    assert told["answers"] == 80
    assert asked[1]["only"] == asked[0]["only"]
    # Without the pages, the same figures from the same answers.
    again = json.loads(run("--answers", "80", "--json"))
    assert again["thresholds"] == told["thresholds"]


@pytest.mark.slow
def test_answers_may_be_filled_in_beside_the_sample(folder: Path) -> None:
    run("--answers", "60", "--out", "mine")
    with (folder / "mine" / "sample.csv").open(newline="") as file:
        ids = [row["id"] for row in csv.DictReader(file)]
    filled = [f"{id_},{'yes' if is_true(id_) else 'no'}" for id_ in ids]
    text = "\n".join(["id,label", *filled]) + "\n"
    (folder / "mine" / "sample.csv").write_text(text)
    told = json.loads(run("--answers", "60", "--out", "mine", "--purity", "0.6", "--json"))
    assert told["answers"] == 60
    assert told["threshold"] is not None
    assert (folder / "mine" / "accepted.parquet").exists()
    # Another promise, which no threshold keeps: nothing of the earlier one stays, and no answer is lost.
    told = json.loads(run("--answers", "60", "--out", "mine", "--purity", "0.999", "--json"))
    assert told["threshold"] is None
    assert not (folder / "mine" / "accepted.parquet").exists()
    assert (folder / "mine" / "sample.csv").read_text() == text


def test_files_of_others_are_kept(folder: Path) -> None:
    (folder / "verification").mkdir()
    (folder / "verification" / "sample.csv").write_text("mine")
    result = CliRunner().invoke(app, ["verify", "catalog.parquet", "--score", "p_ring"])
    assert result.exit_code != 0
    assert (folder / "verification" / "sample.csv").read_text() == "mine"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--labels", "a.csv", "--pictures", "p"], "not both"),
        (["--purity", "0.9", "--completeness", "0.5"], "not both"),
        (["--purity", "90"], "between 0 and 1; received 90"),
        (["--completeness", "nan"], "between 0 and 1; received nan"),
        (["--labels", "nothing.csv"], "nothing.csv"),
    ],
)
def test_options_that_do_not_go_together(folder: Path, words: list[str], message: str) -> None:
    result = CliRunner().invoke(app, ["verify", "catalog.parquet", "--score", "p_ring", *words])
    assert result.exit_code != 0
    assert message in str(result.exception)
