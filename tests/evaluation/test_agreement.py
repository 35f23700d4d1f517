"""Two catalogues without labels: how far their classes agree, and what is said of how they were made."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest

from peculiar.errors import LabelError, NotFoundError, UnknownNameError, UsageError
from peculiar.evaluation.agreement import compare_classes
from peculiar.evaluation.compare import compare
from peculiar.tables.convert import convert


def write(path: Path, classes: dict[Any, str | None], notes: dict[str, str] | None = None, **more: Any) -> Path:
    table = pa.table({"id": list(classes), "class": list(classes.values()), **more})
    pa.parquet.write_table(table.replace_schema_metadata(notes or {}), path)
    return path


@pytest.fixture
def two(tmp_path: Path) -> tuple[Path, Path]:
    first = dict(zip("abcdef", ["Disc", "Disc", "Ring", "Ring", None, "Disc"], strict=True))
    second = dict(zip("fedcbg", ["Disc", "Ring", "Disc", "Ring", "Disc", "Disc"], strict=True))
    return write(tmp_path / "one.parquet", first), write(tmp_path / "two.parquet", second)


def test_the_classes_of_the_common_galaxies_are_compared(two: tuple[Path, Path]) -> None:
    found = compare_classes(*two)
    assert (found.ids, found.answers) == (["b", "c", "d", "f"], ("Disc", "Ring"))
    assert (found.share, found.changed) == (0.75, ["d"])
    assert found.transitions.tolist() == [[2, 0], [1, 1]]
    assert found.kappa == pytest.approx(0.5)
    assert found.interval == pytest.approx([0.3006, 0.9544], abs=1e-4)
    assert found.notes == [
        "1 galaxy is left out: without a class in one.parquet.",
        "1 galaxy is in one.parquet only.",
        "2 galaxies are in two.parquet only.",
    ]
    assert "75.0 % of 4 galaxies" in repr(found)


@pytest.mark.parametrize("suffix", ["csv", "fits", "vot", "ecsv", "parquet"])
@pytest.mark.parametrize("kind", [str, int])
def test_catalogues_of_any_format_are_compared(suffix: str, kind: Callable[[Any], Any], tmp_path: Path) -> None:
    ids = [kind(2**63 - 1 - number) for number in range(4)]
    classes = dict(zip(ids, ["Disc", "Ring", "Disc", "Ring"], strict=True))
    first = write(tmp_path / "one.parquet", classes)
    second = tmp_path / f"two.{suffix}"
    convert(first, second)
    assert compare_classes(first, second).share == 1
    assert compare_classes(second, first).ids == [str(one) for one in ids]


def test_catalogues_prepared_differently_are_named(two: tuple[Path, Path], tmp_path: Path) -> None:
    alike, other = {"crop": "galaxy", "views": "2"}, {"CROP": "whole", "VIEWS": "2"}
    first = write(tmp_path / "a.parquet", {"a": "Disc", "b": "Ring"}, alike)
    second = write(tmp_path / "b.parquet", {"a": "Disc", "b": "Ring"}, other)
    said = (
        "The pictures of a.parquet and b.parquet were prepared differently (crop galaxy and whole), which may explain "
        "part of the difference."
    )
    assert said in compare_classes(first, second).notes
    assert compare_classes(first, first).notes == []
    assert any(
        note.startswith("one.parquet does not state how")
        for note in compare_classes(write(tmp_path / "c.parquet", {"b": "Disc"}, alike), two[0]).notes
    )
    labels = tmp_path / "labels.csv"
    labels.write_text("id,label\na,Disc\nb,Ring\n")
    for path, notes in ((first, alike), (second, other)):
        write(path, {"a": "Disc", "b": "Ring"}, notes, p_disc=[0.9, 0.1], p_ring=[0.1, 0.9])
    assert said in compare(first, second, labels=labels).notes


def test_a_model_states_how_it_prepares_pictures(tiny_survey: Path, tiny_model: Path, tiny_catalog: Path) -> None:
    found = compare(tiny_catalog, tiny_model, tiny_survey, label="clean5", views=1, verbose=False)
    assert not any("prepared" in note for note in found.notes)
    found = compare(tiny_catalog, tiny_model, tiny_survey, label="clean5", views=2, verbose=False)
    assert any("prepared differently (views 1 and 2)" in note for note in found.notes)


def test_a_question_of_both_may_be_named(tmp_path: Path) -> None:
    own = {"a": "yes", "b": "no"}
    first = write(tmp_path / "a.parquet", own, {"question": "shape"}, class_odd=["odd", "plain"])
    second = write(tmp_path / "b.parquet", {"a": "odd", "b": "odd"}, {"question": "odd"})
    with pytest.raises(UsageError, match=r"b\.parquet has no answers to shape, but to odd; name a question"):
        compare_classes(first, second)
    found = compare_classes(first, second, question="odd")
    assert (found.question, found.share) == ("odd", 0.5)


def test_what_cannot_be_compared_is_said(two: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(LabelError, match=r"no galaxy is in both: ids of one\.parquet are like 'a', those of x"):
        compare_classes(two[0], write(tmp_path / "x.parquet", {"z": "Disc"}))
    with pytest.raises(UsageError, match=r"one\.parquet has the classes Disc, Ring, y\.parquet Bar; name a question"):
        compare_classes(two[0], write(tmp_path / "y.parquet", {"a": "Bar"}))
    pa.parquet.write_table(pa.table({"id": ["a", "a"], "class": ["Disc", "Ring"]}), tmp_path / "twice.parquet")
    with pytest.raises(LabelError, match=r"twice\.parquet: no galaxy has a class and an id of its own"):
        compare_classes(two[0], tmp_path / "twice.parquet")
    pa.parquet.write_table(pa.table({"id": ["a"], "p_disc": [0.3]}), tmp_path / "z.parquet")
    with pytest.raises(UnknownNameError, match="no column 'class'"):
        compare_classes(two[0], tmp_path / "z.parquet")


def test_a_missing_side_is_named(two: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"there is nothing at .*no\.vot; give a model file, a run, or a table of"):
        compare(two[0], tmp_path / "no.vot")


def test_the_command_compares_without_labels(two: tuple[Path, Path], peculiar_command: Any) -> None:
    status, said, told = peculiar_command("compare", *two, "--json")
    assert (status, told) == (0, "")
    found = compare_classes(*two)
    printed = json.loads(said)
    assert printed.pop("command").startswith("peculiar compare")
    assert printed == {name: value for name, value in found.as_dict().items() if name != "command"}
    assert {"comparison.json", "comparison.html", "transitions.png"} <= {
        one.name for one in Path("comparison").iterdir()
    }
    status, said, _ = peculiar_command("compare", *two)
    assert status == 0
    assert found.verdict in " ".join(said.split())
    status, _, told = peculiar_command("compare", *two, "--by", "survey")
    assert status == 2
    assert "--by: without labels there are no scores" in " ".join(told.split())


def test_labels_may_be_those_of_pictures(two: tuple[Path, Path], tmp_path: Path, plain_pictures: list[bytes]) -> None:
    ids = [f"{label}/{number}.png" for number, label in enumerate(["Disc", "Ring", "Disc"])]
    for number, id_ in enumerate(ids):
        path = tmp_path / "data" / id_
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(plain_pictures[number])
    classes = dict.fromkeys(ids, "Disc")
    chances = {"p_disc": [0.9, 0.4, 0.9], "p_ring": [0.1, 0.6, 0.1]}
    first = write(tmp_path / "a.parquet", classes, **chances)
    found = compare(first, first, tmp_path / "data", verbose=False)
    assert found.scores.overall["accuracy"].first == 1
