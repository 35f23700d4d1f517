"""Zooniverse: exports of classifications in, manifests out."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from classifications import classification, export
from peculiar.cli import app
from peculiar.errors import DataError, NotFoundError, UnknownNameError, UsageError
from peculiar.labelling.classifications import read_classifications
from peculiar.labelling.database import Labels
from peculiar.labelling.zooniverse import Chosen, Imported, export_manifest, import_classifications
from peculiar.questions.question import Question, Tree
from peculiar.sources import MemorySource, open_source
from peculiar.sources.answers import read_votes
from peculiar.sources.labels import told_questions

SHELL = Tree("shell", (Question("shell", ("no_shell", "shell")),))


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
        assert (found.new, found.known, found.passed_over) == (4, 0, {"another answer: An artifact": 1})
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
        import_classifications(path, labels, SHELL, Chosen({"T1": "shell"}))
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
            import_classifications(path, labels, tree, Chosen({"T0": "wher"}))
        found = import_classifications(path, labels, tree, Chosen({"T0": "shell", "T4": "where"}))
        assert (found.new, found.known, found.passed_over) == (3, 0, {"another answer: An artifact": 1})
        assert import_classifications(path, labels, tree, Chosen({"T0": "shell", "T4": "where"})).known == 3
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
        ({"annotations": json.dumps([{"task": "T0", "value": "Ring"}])}, "found: another answer: Ring"),
    ],
)
def test_a_bad_export_says_where(tmp_path: Path, changed: dict[str, Any], match: str) -> None:
    path = export(tmp_path / "export.csv", [classification(1, "shell", **changed)])
    with Labels(tmp_path / "labels.db") as labels, pytest.raises(DataError, match=match):
        import_classifications(path, labels, SHELL)


def test_another_table_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other.csv").write_text("id,label\n1,shell\n")
    with Labels(tmp_path / "labels.db") as labels, pytest.raises(DataError, match="lacks classification_id, user_name"):
        import_classifications(tmp_path / "other.csv", labels, SHELL)


def test_a_manifest_names_pictures_by_number(tiny_survey: Path, tmp_path: Path) -> None:
    written, problems = export_manifest(open_source(tiny_survey), tmp_path / "out", size=64)
    assert (written, problems) == (100, {})
    with (tmp_path / "out" / "manifest.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[7] == {"image": "0000007.jpg", "#id": "sim-007"}
    assert all((tmp_path / "out" / row["image"]).read_bytes().startswith(b"\xff\xd8") for row in rows)
    with pytest.raises(UsageError, match="has to be new, or an empty folder"):
        export_manifest(open_source(tiny_survey), tmp_path / "out")


@pytest.mark.parametrize("id_", ["=1+1", "-x", "'@x", "plain"])
def test_ids_of_a_manifest_come_back_from_zooniverse(id_: str, tmp_path: Path) -> None:
    source = MemorySource(np.zeros((1, 8, 8, 3), np.uint8), [id_])
    export_manifest(source, tmp_path / "out", size=8)
    with (tmp_path / "out" / "manifest.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["#id"][0] not in "=+-@"
    data = json.dumps({"7": {"#id": row["#id"]}})
    (one,) = read_classifications(export(tmp_path / "export.csv", [classification(1, "shell", subject_data=data)]))
    assert one.galaxy() == id_


def test_commands_import_and_write_a_manifest(tiny_survey: Path, tmp_path: Path) -> None:
    path = export(tmp_path / "export.csv", [classification(1, "odd"), classification(2, "not odd")])
    runner = CliRunner()
    gz2 = export(tmp_path / "gz2.csv", [classification(1, "Smooth"), classification(2, "Features or disk")])
    words = ["labels", "import", str(gz2), "--question", "gz2", "--db", str(tmp_path / "gz2.db")]
    done = runner.invoke(app, [*words, "--task", "T0=t01_smooth_or_features", "--task", "T1=t07_rounded"])
    assert "new answers: 2; known before: 0" in done.stdout
    done = runner.invoke(app, ["labels", "import", str(path), "--question", "odd", "--db", str(tmp_path / "l.db")])
    assert "new answers: 2; known before: 0" in done.stdout
    done = runner.invoke(app, ["labels", "manifest", str(tiny_survey), "--out", str(tmp_path / "m"), "--size", "32"])
    assert "100 galaxies are in" in done.stdout


YES = Tree("shell", (Question("shell", ("No", "Yes")),))


def task(value: Any, key: str = "T0", asks: str | None = "Is there a **shell**?") -> dict[str, Any]:
    return {"task": key, "task_label": asks, "value": value}


def said(number: int, *tasks: dict[str, Any], who: str = "ada", **changed: Any) -> dict[str, Any]:
    more = {"workflow_id": "101", "workflow_name": "Shells", "workflow_version": "12.7", "user_name": who}
    return classification(number, "", annotations=json.dumps(tasks)) | more | changed


def option(label: str, **more: Any) -> dict[str, Any]:
    return {"select_label": "Shell", "option": True, "value": "a1b2", "label": label, **more}


def imported(tmp_path: Path, rows: list[dict[str, Any]], *chosen: Any, **more: Any) -> tuple[Imported, dict[str, str]]:
    path = export(tmp_path / "export.csv", rows)
    with Labels(tmp_path / "labels.db") as labels:
        found = import_classifications(path, labels, YES, Chosen(*chosen, **more))
        return found, {one.galaxy: one.answer for one in labels.current("shell")}


@pytest.mark.parametrize(
    ("tasks", "answer", "reason"),
    [
        ([task("Yes")], "Yes", ""),
        ([task(" yes ")], "Yes", ""),
        ([task("**Yes**")], "Yes", ""),
        ([task("![yes.png](https://example.org/x.png =100x) Yes")], "Yes", ""),
        ([task("[Yes](https://example.org)")], "Yes", ""),
        ([task("Yes \U0001f44d\U0001f3fd")], "Yes", ""),
        ([task("\u2764\ufe0f\u200d\U0001f525 _Yes_<br>")], "Yes", ""),
        ([task(["Yes"])], "Yes", ""),
        ([task(["Yes", "No"])], None, "several answers at once"),
        ([task(["No", "Yes"])], None, "several answers at once"),
        ([task(["Yes", "Dust"])], None, "several choices at once"),
        ([task([])], None, "no answer"),
        ([task(None)], None, "no answer"),
        ([task("")], None, "no answer"),
        ([], None, "no answer"),
        ([task("Yes, of course")], None, "another answer: Yes, of course"),
        ([task(0)], None, "no choice: 0"),
        ([task([{"tool": 0, "x": 1.5, "y": 2.5, "details": []}])], None, "no choice: "),
        ([task([{"choice": "YES", "answers": {}, "filters": {}}])], None, "no choice: "),
        ([task([option("Yes")])], "Yes", ""),
        ([task(option("Yes", value=0))], "Yes", ""),
        ([task([option("Yes"), option("No")])], None, "several answers at once"),
        ([task([{"option": False, "value": "Yes"}])], "Yes", ""),
        ([task([task("Yes"), task("inside", "T1")], "T5", None)], "Yes", ""),
        ([task([task([task("Yes")], "T4", None)], "T5", None)], "Yes", ""),
        ([task([task("Yes")], "T5", None), task("Yes")], "Yes", ""),
        ([task([task("Yes")], "T5", None), task("No")], None, "several answers at once"),
        ([task("Yes", "T1")], None, "no answer"),
    ],
)
def test_what_an_annotation_says(tmp_path: Path, tasks: list[dict[str, Any]], answer: str | None, reason: str) -> None:
    rows = [said(1, *tasks), said(2, task("No"))]
    found, answers = imported(tmp_path, rows, {"T0": "shell"})
    assert answers.pop("g2") == "No"
    assert answers == ({"g1": answer} if answer else {})
    assert found.new == 1 + bool(answer)
    assert all(one.startswith(reason) for one in found.passed_over)
    assert len(found.passed_over) == bool(reason)


@pytest.mark.parametrize("answers", [("\U0001f44d", "\U0001f44e"), ("a_b", "a b"), ("yes", "Yes"), ("*", "**")])
def test_answers_that_differ_in_little_are_told_apart(tmp_path: Path, answers: tuple[str, str]) -> None:
    tree = Tree("shell", (Question("shell", answers),))
    path = export(tmp_path / "export.csv", [said(number, task(one)) for number, one in enumerate(answers)])
    with Labels(tmp_path / "labels.db") as labels:
        import_classifications(path, labels, tree)
        assert tuple(one.answer for one in labels.current("shell")) == answers


OTHER = {"workflow_id": "202", "workflow_name": "Quality", "workflow_version": "3.1"}


@pytest.mark.parametrize(
    ("rows", "says", "chosen", "answers"),
    [
        (
            [said(1, task("Yes")), said(2, task("No", asks="Is it blurred?"), **OTHER)],
            "several workflows answer it: name one",
            {"workflow": "101"},
            {"g1": "Yes"},
        ),
        (
            [said(1, task("Yes")), said(2, task("No", asks="Is it blurred?"), **OTHER)],
            r"workflow 202 \(Quality\), version 3.1, T0 'is it blurred\?': 1",
            {"workflow": "Quality"},
            {"g2": "No"},
        ),
        (
            [said(1, task("Yes")), said(2, task("No", asks="Is it a star?"), workflow_version="2.1")],
            "its wording changed: name the first version",
            {"version": "12"},
            {"g1": "Yes"},
        ),
        (
            [said(1, task("Yes")), said(2, task("No", asks="Is it a star?"), workflow_version="2.1")],
            "its wording changed",
            {"version": "2.0"},
            {"g1": "Yes", "g2": "No"},
        ),
        (
            [said(1, task("Yes")), said(2, task("No", "T1", "Is it a star?"))],
            "several tasks answer it: name one",
            {"tasks": {"T1": "shell"}},
            {"g2": "No"},
        ),
        (
            [said(1, task("Yes"), task("Yes", "T1", "Is it a star?"))],
            "answers in several tasks: name one",
            {"tasks": {"T0": "shell"}},
            {"g1": "Yes"},
        ),
    ],
)
def test_what_may_be_of_another_question_is_not_stored_until_it_is_clear(
    tmp_path: Path, rows: list[dict[str, Any]], says: str, chosen: dict[str, Any], answers: dict[str, str]
) -> None:
    with pytest.raises((UsageError, DataError), match=says):
        imported(tmp_path, rows)
    with Labels(tmp_path / "labels.db") as labels:
        assert labels.questions() == {}
    found, told = imported(tmp_path, rows, **chosen)
    assert told == answers
    assert sum(found.passed_over.values()) == len(rows) - len(answers)


def test_versions_that_ask_in_the_same_words_are_one(tmp_path: Path) -> None:
    rows = [
        said(1, task("Yes"), workflow_version="9.3"),
        said(2, task("Yes", asks="is there a shell?"), workflow_version="10.1"),
        said(3, task([task("No", asks=None)], "T5", None), workflow_version="11.1"),
    ]
    found, answers = imported(tmp_path, rows)
    assert answers == {"g1": "Yes", "g2": "Yes", "g3": "No"}
    assert found.passed_over == {}


def test_the_same_person_twice_is_one_vote_and_the_last_one_counts(tmp_path: Path) -> None:
    same = {"subject_data": json.dumps({"900": {"#id": "g"}})}
    rows = [said(1, task("Yes"), **same), said(2, task("Yes"), who="bob", **same), said(3, task("No"), **same)]
    found, _ = imported(tmp_path, rows)
    assert (found.new, found.again) == (3, 1)
    with Labels(tmp_path / "labels.db") as labels:
        assert labels.votes("shell")["g"] == {"No": 1, "Yes": 1}


@pytest.mark.parametrize(
    ("entries", "id_name", "galaxy"),
    [
        ({"#id": "g1"}, None, "g1"),
        ({"#ID": "g1"}, None, "g1"),
        ({" !Galaxy ": 17}, None, "17"),
        ({"//ObjID": 1237648720693755918}, None, "1237648720693755918"),
        ({"Filename": "1.jpg"}, None, "900"),
        ({"id": "", "Filename": "1.jpg"}, None, "900"),
        ({"Filename": "1.jpg", "id": "g1"}, "filename", "1.jpg"),
        ({"#Filename": "1.jpg"}, "#filename", "1.jpg"),
        ({"id": "g1"}, "filename", None),
    ],
)
def test_which_galaxy_a_subject_is(
    tmp_path: Path, entries: dict[str, Any], id_name: str | None, galaxy: str | None
) -> None:
    rows = [
        said(1, task("Yes"), subject_data=json.dumps({"900": entries})),
        said(2, task("No"), subject_data=json.dumps({"901": {"filename": "2.jpg", "#id": "g2"}})),
    ]
    found, answers = imported(tmp_path, rows, id_name=id_name)
    assert answers == ({galaxy: "Yes"} if galaxy else {}) | {"2.jpg" if id_name else "g2": "No"}
    assert found.unnamed == (galaxy == "900")
    assert found.passed_over == ({} if galaxy else {"subjects without an entry 'filename'": 1})


@pytest.mark.parametrize("version", ["new", "12.7.1", "-", "v12"])
def test_a_version_is_a_number(tmp_path: Path, version: str) -> None:
    with pytest.raises(UsageError, match=r"12 or 12\.7; received"):
        imported(tmp_path, [said(1, task("Yes"))], version=version)


def test_the_command_says_what_was_passed_over(tmp_path: Path) -> None:
    rows = [
        said(1, task("Yes")),
        said(2, task("No", asks="Is it blurred?"), **OTHER),
        said(3, task(["Yes", "No"])),
        said(4, task("Yes"), subject_data=json.dumps({"904": {}})),
        said(5, task("No"), subject_data=json.dumps({"904": {}})),
    ]
    (tmp_path / "shell.toml").write_text('name = "shell"\nanswers = ["No", "Yes"]\n')
    export(tmp_path / "export.csv", rows)
    words = ["labels", "import", "export.csv", "--question", "shell.toml", "--db", "a.db"]
    refused = CliRunner().invoke(app, words)
    assert "--workflow" in str(refused.exception)
    done = CliRunner().invoke(app, [*words, "--workflow", "Shells", "--version", "12"])
    assert done.stdout.splitlines() == [
        "new answers: 3; known before: 0; skipped classifications: 2",
        "skipped: 1, workflow 202 (Quality)",
        "skipped: 1, several answers at once",
        "repeated answers of one person for one galaxy, of which the last counts: 1",
        "identified only by the number of their subject (--id names another field): 2",
    ]


def test_an_export_that_is_not_there_is_told(tmp_path: Path) -> None:
    with Labels(tmp_path / "labels.db") as labels, pytest.raises(NotFoundError, match=r"no export .* at .*none\.csv"):
        import_classifications(tmp_path / "none.csv", labels, SHELL)


def test_an_unknown_version_is_before_every_other(tmp_path: Path) -> None:
    rows = [said(1, task("Yes"), workflow_version=""), said(2, task("Yes"), workflow_version="12.1")]
    found, answers = imported(tmp_path, rows, version="12")
    assert answers == {"g2": "Yes"}
    assert found.passed_over == {"version unknown": 1}


def test_many_classifications_are_stored_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("peculiar.labelling.zooniverse._AT_ONCE", 2)
    found, answers = imported(tmp_path, [said(number, task("Yes")) for number in range(5)])
    assert (found.new, found.known) == (5, 0)
    assert answers == {f"g{number}": "Yes" for number in range(5)}


def test_a_manifest_leaves_out_what_cannot_be_read(tmp_path: Path, plain_pictures: list[bytes]) -> None:
    (tmp_path / "pictures").mkdir()
    for number in range(3):
        (tmp_path / "pictures" / f"{number}.png").write_bytes(plain_pictures[number][: 30 if number == 1 else None])
    source = open_source(tmp_path / "pictures")
    written, problems = export_manifest(source, tmp_path / "out", size=16)
    assert (written, list(problems)) == (2, ["1.png"])
    assert problems["1.png"]
    with (tmp_path / "out" / "manifest.csv").open() as file:
        listed = list(csv.DictReader(file))
    assert [row["#id"] for row in listed] == ["0.png", "2.png"]
    assert {row["image"] for row in listed} == {path.name for path in (tmp_path / "out").glob("*.jpg")}
    for size in (0, 1025):
        with pytest.raises(UsageError, match=f"from 1 to 1024 pixels; received {size}"):
            export_manifest(source, tmp_path / "other", size=size)


def test_reduced_tables_of_panoptes_aggregation_are_votes(tmp_path: Path) -> None:
    path = tmp_path / "question_reducer_shell.csv"
    path.write_text(
        "subject_id,workflow_id,task,reducer_key,data.no,data.yes,data.aggregation_version\n"
        "901,101,T0,default,3.0,1.0,4.1.0\n902,101,T0,default,,5.0,4.1.0\n"
    )
    question = Question("shell", ("no", "yes"), votes=("data.no", "data.yes"))
    source = MemorySource([np.zeros((4, 4, 3), np.uint8)] * 2, ["901", "902"])
    (voted,), (told,) = told_questions([source], [question], path, "subject_id")
    assert read_votes(voted, told).shares.tolist() == [[0.75, 0.25], [0, 1]]
