"""Two models or catalogues compared: the same galaxies, the same classes, figures that add up, and the command."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

import peculiar
from peculiar.catalogs.catalog import Catalog
from peculiar.errors import LabelError, PeculiarWarning, UnknownNameError, UsageError
from peculiar.evaluation.compare import compare
from peculiar.evaluation.evaluate import evaluate


def write_answers(path: Path, ids: list[str], probabilities: dict[str, Any], **columns: Any) -> Path:
    pa.parquet.write_table(pa.table({"id": ids, **probabilities, **columns}), path)
    return path


@pytest.fixture
def two(tmp_path: Path) -> tuple[Path, Path, Path]:
    """Two tables of probabilities for 60 galaxies, in another order of rows and of columns, and their labels."""
    rng = np.random.default_rng(222)
    names, truth = ["Disc", "Ring", "Tail"], rng.integers(0, 3, 60)
    ids = [f"g{number}" for number in range(60)]

    def drawn(skill: float) -> np.ndarray:
        values = np.exp(rng.normal(0, 1, (60, 3)) + skill * np.eye(3)[truth])
        return values / values.sum(axis=1, keepdims=True)

    one, other = drawn(1.0), drawn(4.0)
    order = rng.permutation(60)
    return (
        write_answers(tmp_path / "old.parquet", ids, {f"p_{n.lower()}": one[:, k] for k, n in enumerate(names)}),
        write_answers(
            tmp_path / "new.parquet",
            [ids[row] for row in order],
            {f"p_{names[k].lower()}": other[order, k] for k in (2, 0, 1)},
        ),
        write_answers(tmp_path / "labels.parquet", ids, {}, label=[names[k] for k in truth], mag=np.arange(60)),
    )


def test_two_tables_are_compared_on_their_common_galaxies(two: tuple[Path, Path, Path]) -> None:
    old, new, labels = two
    found = compare(old, new, labels=labels, by=["mag"])
    assert found.names == ("old.parquet", "new.parquet")
    assert found.first.ids == found.second.ids
    scores = [evaluate(one, labels=labels, verbose=False).scores for one in (old, new)]
    accuracy = found.scores.overall["accuracy"]
    assert (accuracy.first, accuracy.second) == pytest.approx([one.accuracy for one in scores])
    assert accuracy.clear
    assert "new.parquet is more accurate" in found.verdict
    only_first, only_second, p_value = found.mcnemar
    assert (only_second - only_first) / 60 == pytest.approx(accuracy.difference)
    assert p_value is not None
    assert p_value < 0.01
    assert found.transitions.sum() == 60
    assert len(found.changed) == 60 - np.trace(found.transitions)
    assert list(found.by) == ["mag"]
    assert len(found.by["mag"]) == 4
    assert "60 galaxies" in repr(found)


def test_the_galaxies_that_the_second_corrects_come_first(two: tuple[Path, Path, Path]) -> None:
    found = compare(two[0], two[1], labels=two[2])
    before, after = (one[found.rows_changed] for one in found.called)
    labels = found.first.labels[found.rows_changed]
    kinds = [0 if a == label else 1 if b == label else 2 for b, a, label in zip(before, after, labels, strict=True)]
    assert kinds == sorted(kinds)
    assert kinds[0] == 0


def test_swapped_sides_give_the_opposite(two: tuple[Path, Path, Path]) -> None:
    there, back = compare(two[0], two[1], labels=two[2]), compare(two[1], two[0], labels=two[2])
    for name, one in there.scores.overall.items():
        other = back.scores.overall[name]
        assert one.difference == pytest.approx(-(other.difference or 0))
    order = [back.question.answers.index(answer) for answer in there.question.answers]
    assert (there.transitions == back.transitions.T[np.ix_(order, order)]).all()


def test_a_model_against_a_catalogue_of_it_shows_no_difference(
    tiny_survey: Path, tiny_model: Path, tiny_catalog: Path
) -> None:
    catalog = Catalog(tiny_catalog)
    for side in (tiny_catalog, catalog):
        found = compare(side, tiny_model, tiny_survey, label="clean5", views=1, verbose=False)
        assert found.changed == []
        assert found.scores.overall["accuracy"].difference == 0
        assert found.scores.overall["log_loss"].difference == pytest.approx(0, abs=1e-6)


def test_galaxies_that_either_was_trained_on_are_left_out(tiny_survey: Path, tiny_model: Path, tmp_path: Path) -> None:
    ids = pa.parquet.read_table(tiny_survey)["id"].to_pylist()
    even = {f"p_{name}": [0.2] * len(ids) for name in ("round", "in_between", "spiral", "edge_on", "cigar")}
    other = write_answers(tmp_path / "other.parquet", ids, even)
    found = compare(tiny_model, other, tiny_survey, label="clean5", verbose=False)
    alone = evaluate(tiny_survey, tiny_model, label="clean5", verbose=False)
    assert found.first.ids == alone.scored.ids
    assert any("the first was trained on" in note for note in found.notes)
    assert any("not known which galaxies the second was trained on" in note for note in found.notes)
    whole = compare(tiny_model, other, tiny_survey, label="clean5", include_training=True, verbose=False)
    assert len(whole.first.ids) > len(found.first.ids)


@pytest.mark.slow
def test_the_command_writes_a_page_and_prints_what_the_function_returns(
    tiny_survey: Path, tiny_model: Path, tiny_catalog: Path, tmp_path: Path, peculiar_command: Any
) -> None:
    status, said, told = peculiar_command(
        "compare", tiny_catalog, tiny_model, tiny_survey, "--label", "clean5", "--by", "survey", "--json"
    )
    assert (status, told) == (0, "")
    found = compare(tiny_catalog, tiny_model, tiny_survey, label="clean5", by=["survey"], verbose=False)
    printed = json.loads(said)
    assert printed.pop("command").startswith("peculiar compare")
    expected = json.loads(json.dumps(found.as_dict()))
    expected.pop("command")
    assert printed == expected
    files = {file.name for file in Path("comparison").iterdir()}
    assert {"comparison.json", "comparison.html", "differences.png", "reliability.pdf", "transitions.png"} <= files
    page = (Path("comparison") / "comparison.html").read_text()
    assert "By survey" in page
    assert "McNemar" in page or found.mcnemar[2] is None
    status, said, _ = peculiar_command("compare", tiny_catalog, tiny_model, tiny_survey, "--label", "clean5")
    assert status == 0
    assert found.verdict in " ".join(said.split())


@pytest.mark.slow
def test_the_page_shows_the_galaxies_of_another_class(tiny_survey: Path, tiny_model: Path, tmp_path: Path) -> None:
    table = pa.parquet.read_table(tiny_survey)
    names = ("round", "in_between", "spiral", "edge_on", "cigar")
    even = {f"p_{name}": [0.6 if name == "cigar" else 0.1] * len(table) for name in names}
    other = write_answers(tmp_path / "cigars.parquet", table["id"].to_pylist(), even)
    page = compare(other, tiny_model, tiny_survey, label="clean5", verbose=False).write(tmp_path / "found")
    assert (tmp_path / "found" / "changed.png").exists()
    told = json.loads((tmp_path / "found" / "comparison.json").read_text())
    assert {one["first"] for one in told["changed"]} == {"cigar"}
    assert told["changed"][0]["id"] in page.read_text()


@pytest.mark.slow
def test_the_pictures_of_two_catalogues_are_those_of_the_data(
    tiny_survey: Path, tiny_catalog: Path, tmp_path: Path
) -> None:
    table = pa.parquet.read_table(tiny_catalog)
    names = ("round", "in_between", "spiral", "edge_on", "cigar")
    even = {f"p_{name}": [0.6 if name == "cigar" else 0.1] * len(table) for name in names}
    other = write_answers(tmp_path / "cigars.parquet", table["id"].to_pylist(), even)
    found = compare(tiny_catalog, other, tiny_survey, label="clean5", verbose=False)
    assert list(found.pictures(found.rows_changed[:3])) == found.rows_changed[:3].tolist()
    found.write(tmp_path / "found")
    assert (tmp_path / "found" / "changed.png").exists()
    pa.parquet.write_table(pa.parquet.read_table(tiny_survey, columns=["id", "clean5"]), tmp_path / "labels.parquet")
    bare = compare(tiny_catalog, other, tmp_path / "labels.parquet", label="clean5", verbose=False)
    assert (bare.changed, bare.pictures(bare.rows_changed)) == (found.changed, {})


def test_galaxies_in_one_or_repeated_are_left_out_and_counted(two: tuple[Path, Path, Path], tmp_path: Path) -> None:
    old, new, labels = two
    table = pa.parquet.read_table(new)
    pa.parquet.write_table(pa.concat_tables([table.slice(0, 40), table.slice(0, 1)]), tmp_path / "less.parquet")
    with pytest.warns(PeculiarWarning, match="labels of galaxies that are not in the data: 20 of 60"):
        found = compare(old, tmp_path / "less.parquet", labels=labels)
    assert len(found.first.ids) == 39
    assert any("1 id occurs more than once" in note for note in found.notes)
    assert any("21 galaxies are in the first only" in note for note in found.notes)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ("ids", LabelError, "no galaxy is in both: the ids of the first are like 'g0', those of the second like 'h0'"),
        ("answers", UsageError, "answer different questions"),
        ("labels", LabelError, "another label in the second"),
        ("column", UnknownNameError, "no column 'colour'"),
        ("data", UsageError, "name labelled galaxies to compare on"),
        ("no labels", LabelError, "name the column of labels"),
    ],
)
def test_what_cannot_be_compared(
    change: str, error: type[Exception], words: str, two: tuple[Path, Path, Path], tmp_path: Path, tiny_model: Path
) -> None:
    old, new, labels = two
    ids = [f"g{number}" for number in range(60)]
    truth = pa.parquet.read_table(labels)["label"].to_pylist()
    read = {name: pa.parquet.read_table(old)[name] for name in ("p_disc", "p_ring", "p_tail")}
    own = write_answers(tmp_path / "own.parquet", ids, read, label=truth)
    options: dict[str, Any] = {"label": "label"}
    if change == "ids":
        new = write_answers(tmp_path / "x.parquet", [f"h{number}" for number in range(60)], read, label=truth)
    elif change == "answers":
        two_answers = {"p_bar": [0.3] * 60, "p_disc": [0.7] * 60}
        new = write_answers(tmp_path / "x.parquet", ids, two_answers, label=["Bar", "Disc"] * 30)
    elif change == "labels":
        new = write_answers(tmp_path / "x.parquet", ids, read, label=[truth[-1], *truth[1:-1], truth[0]][::-1])
    elif change == "column":
        new, options = own, {"label": "label", "by": ["colour"]}
    elif change == "data":
        new = tiny_model
    else:
        new, options = own, {}
    with pytest.raises(error, match=words.replace("(", r"\(")):
        compare(own, new, verbose=False, **options)


def test_files_of_one_name_are_told_apart(two: tuple[Path, Path, Path], tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    again = tmp_path / "a" / "old.parquet"
    again.write_bytes(two[0].read_bytes())
    found = compare(two[0], again, labels=two[2])
    assert found.names == (str(two[0]), str(again))
    assert compare(two[0], two[0], labels=two[2]).names == ("old.parquet (first)", "old.parquet (second)")
    assert peculiar.compare is compare


@pytest.mark.parametrize("damage", [b"", b"PAR1 cut short", b"\0\0\0\0 damaged"])
@pytest.mark.parametrize("first", [True, False])
def test_a_damaged_catalogue_is_named_and_not_taken_for_a_model(
    peculiar_command: Any, two: tuple[Path, Path, Path], damage: bytes, *, first: bool
) -> None:
    Path("bad.parquet").write_bytes(damage)
    good = pa.parquet.read_table(two[0])
    pa.parquet.write_table(good.append_column("class", [["Disc"] * len(good)]), "good.parquet")
    sides = ("bad.parquet", "good.parquet") if first else ("good.parquet", "bad.parquet")
    for labels in (("--labels", two[2]), ()):
        status, _, errors = peculiar_command("compare", *sides, *labels)
        assert status == 1
        assert errors.startswith("error: bad.parquet: ")
        assert "model" not in errors
