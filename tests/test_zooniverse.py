"""Zooniverse: exports of classifications in, manifests out."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from peculiar.cli import app
from peculiar.errors import DataError, UnknownNameError, UsageError
from peculiar.labels import Labels
from peculiar.schema import Question, Tree
from peculiar.sources import open_source
from peculiar.zooniverse import export_manifest, import_classifications

SHELL = Tree("shell", (Question("shell", ("no_shell", "shell")),))


def classification(number: int, value: Any, **changed: Any) -> dict[str, Any]:
    told = {
        "classification_id": number,
        "user_name": "not-logged-in-e2f9",
        "user_id": "",
        "workflow_id": 11,
        "created_at": "2025-03-01 12:30:05 UTC",
        "metadata": json.dumps({"started_at": "2025-03-01T12:30:00.000Z", "finished_at": "2025-03-01T12:30:04.500Z"}),
        "annotations": json.dumps([{"task": "T0", "task_label": "Is there a shell?", "value": value}]),
        "subject_data": json.dumps({"900": {"retired": None, "#id": f"g{number}", "Filename": "1.jpg"}}),
        "subject_ids": "900",
    }
    return told | changed


def export(path: Path, rows: list[dict[str, Any]]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_classifications_become_answers_once(tmp_path: Path) -> None:
    plain = json.dumps({"901": {"retired": None}})
    rows = [
        classification(1, "Shell"),
        classification(2, "**No shell**"),
        classification(3, ["shell"]),
        classification(4, "An artifact"),
        classification(5, "shell", subject_data=plain, metadata="{}"),
    ]
    path = export(tmp_path / "export.csv", rows)
    with Labels(tmp_path / "labels.db") as labels:
        found = import_classifications(path, labels, SHELL)
        assert (found.new, found.known, found.passed_over) == (4, 0, {"An artifact": 1})
        assert import_classifications(path, labels, SHELL).known == 4
        told = {one.galaxy: one for one in labels.current("shell")}
    assert {galaxy: one.answer for galaxy, one in told.items()} == {
        "g1": "shell",
        "g2": "no_shell",
        "g3": "shell",
        "901": "shell",
    }
    assert told["g1"].seconds == 4.5
    assert told["g1"].at == "2025-03-01T12:30:05.000+00:00"
    assert told["901"].seconds is None


def test_only_the_task_that_is_named_counts(tmp_path: Path) -> None:
    both = json.dumps([{"task": "T0", "value": "shell"}, {"task": "T1", "value": "no shell"}])
    path = export(tmp_path / "export.csv", [classification(1, "", annotations=both)])
    with Labels(tmp_path / "labels.db") as labels:
        import_classifications(path, labels, SHELL, tasks={"T1": "shell"})
        assert [one.answer for one in labels.current("shell")] == ["no_shell"]


def test_questions_are_imported_one_after_the_other(tmp_path: Path) -> None:
    both = json.dumps([{"task": "T0", "value": "shell"}, {"task": "T1", "value": "left"}])
    path = export(tmp_path / "export.csv", [classification(1, "", annotations=both)])
    side = Tree("side", (Question("side", ("left", "right")),))
    with Labels(tmp_path / "labels.db") as labels:
        for tree in (SHELL, side):
            assert import_classifications(path, labels, tree).new == 1
        assert [one.answer for name in ("shell", "side") for one in labels.current(name)] == ["shell", "left"]


def test_tasks_answer_the_questions_of_a_tree(tmp_path: Path) -> None:
    where = Question("where", ("inside", "outside"))
    tree = Tree("shells", (SHELL.root, where), {("shell", "shell"): "where"})
    both = json.dumps([{"task": "T0", "value": "Shell"}, {"task": "T4", "value": "Outside"}])
    rows = [
        classification(1, "", annotations=both),
        classification(2, "No shell"),
        classification(3, "An artifact"),
    ]
    path = export(tmp_path / "export.csv", rows)
    with Labels(tmp_path / "labels.db") as labels:
        with pytest.raises(UsageError, match="as in T0=shell"):
            import_classifications(path, labels, tree)
        with pytest.raises(UnknownNameError, match="no question 'wher'"):
            import_classifications(path, labels, tree, tasks={"T0": "wher"})
        found = import_classifications(path, labels, tree, tasks={"T0": "shell", "T4": "where"})
        assert (found.new, found.known, found.passed_over) == (3, 0, {"An artifact": 1})
        assert import_classifications(path, labels, tree, tasks={"T0": "shell", "T4": "where"}).known == 3
        assert import_classifications(path, labels, SHELL).known == 2
        assert [(one.galaxy, one.answer) for one in labels.current("where")] == [("g1", "outside")]
        assert [one.answer for one in labels.current("shell")] == ["shell", "no_shell"]


@pytest.mark.parametrize(
    ("changed", "match"),
    [
        ({"annotations": "[{"}, "line 2: cannot be read"),
        ({"annotations": "3"}, "line 2: cannot be read"),
        ({"subject_data": "{}"}, "line 2: cannot be read"),
        ({"classification_id": "../x"}, "line 2: cannot be read"),
        ({"created_at": "yesterday"}, "line 2: cannot be read"),
        ({"annotations": json.dumps([{"task": "T0", "value": "Ring"}])}, "found: 'Ring'"),
    ],
)
def test_a_bad_export_says_where(tmp_path: Path, changed: dict[str, Any], match: str) -> None:
    path = export(tmp_path / "export.csv", [classification(1, "shell", **changed)])
    with Labels(tmp_path / "labels.db") as labels, pytest.raises(DataError, match=match):
        import_classifications(path, labels, SHELL)


def test_another_table_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other.csv").write_text("id,label\n1,shell\n")
    with Labels(tmp_path / "labels.db") as labels, pytest.raises(DataError, match="lacks the columns"):
        import_classifications(tmp_path / "other.csv", labels, SHELL)


def test_a_manifest_names_pictures_by_number(tiny_survey: Path, tmp_path: Path) -> None:
    written, problems = export_manifest(open_source(tiny_survey), tmp_path / "out", size=64)
    assert (written, problems) == (100, {})
    with (tmp_path / "out" / "manifest.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[7] == {"image": "0000007.jpg", "#id": "sim-007"}
    assert all((tmp_path / "out" / row["image"]).read_bytes().startswith(b"\xff\xd8") for row in rows)
    with pytest.raises(UsageError, match="new or empty"):
        export_manifest(open_source(tiny_survey), tmp_path / "out")


def test_commands_import_and_write_a_manifest(tiny_survey: Path, tmp_path: Path) -> None:
    path = export(tmp_path / "export.csv", [classification(1, "odd"), classification(2, "not odd")])
    runner = CliRunner()
    gz2 = export(tmp_path / "gz2.csv", [classification(1, "Smooth"), classification(2, "Features or disk")])
    words = ["labels", "import", str(gz2), "--question", "gz2", "--db", str(tmp_path / "gz2.db")]
    done = runner.invoke(app, [*words, "--task", "T0=t01_smooth_or_features", "--task", "T1=t07_rounded"])
    assert "2 answers are new, 0 were known" in done.stdout
    done = runner.invoke(app, ["labels", "import", str(path), "--question", "odd", "--db", str(tmp_path / "l.db")])
    assert "2 answers are new, 0 were known" in done.stdout
    done = runner.invoke(app, ["labels", "manifest", str(tiny_survey), "--out", str(tmp_path / "m"), "--size", "32"])
    assert "100 galaxies are in" in done.stdout
