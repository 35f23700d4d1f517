"""Verification by people: samples, answers of any kind, thresholds, the page, the catalogue beside."""

import csv
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
from peculiar.verification.page import PAGE
from peculiar.verification.sample import draw_verification_sample
from peculiar.verification.verify import VERIFICATION, Verification, verify

COUNT = 3000


@pytest.fixture
def truths() -> np.ndarray:
    return np.random.default_rng(1).random(COUNT) < 0.2


@pytest.fixture
def catalog(tmp_path: Path, truths: np.ndarray) -> Path:
    """A catalogue whose score is high for most true ones."""
    random = np.random.default_rng(2)
    scores = 1 / (1 + np.exp(-random.normal(-4 + 7 * truths, 1.5)))
    path = tmp_path / "catalog.parquet"
    ids = np.arange(COUNT) + 7_000_000
    columns = {"id": ids, "p_ringed": scores.astype(np.float32), "mag": random.uniform(14, 18, COUNT)}
    notes = {"answer columns": json.dumps({"four_class": {"Ringed": "p_ringed"}})}
    pa.parquet.write_table(pa.table({**columns, "class": ["x"] * COUNT}).replace_schema_metadata(notes), path)
    return path


def answers_for(catalog: Path, truths: np.ndarray, yes: str = "yes", no: str = "no", **options: Any) -> dict[str, str]:
    sample = draw_verification_sample(catalog, "p_ringed", **options)
    return {id_: yes if truths[int(id_) - 7_000_000] else no for id_ in sample.ids}


def write_table(path: Path, answers: dict[str, str], column: str = "label") -> Path:
    path.write_text(f"id,{column}\n" + "".join(f"{id_},{one}\n" for id_, one in answers.items()))
    return path


def test_a_sample_and_its_answers_give_a_threshold_that_holds(
    tmp_path: Path, catalog: Path, truths: np.ndarray
) -> None:
    table = write_table(tmp_path / "answers.csv", answers_for(catalog, truths))
    found = verify(catalog, "p_ringed", table, purity=0.8)
    scores = Catalog(catalog).to_arrow()["p_ringed"].to_numpy()
    assert found.threshold is not None
    chosen = scores >= found.threshold
    assert truths[chosen].mean() > 0.8
    at = found.curves.at(found.number or 0)
    assert at["selected"] == chosen.sum()
    assert at["purity"]["low"] <= truths[chosen].mean() <= at["purity"]["high"]
    assert at["completeness"]["low"] <= truths[chosen].sum() / truths.sum() <= at["completeness"]["high"]
    total = found.curves.true.at(0)
    assert total["low"] <= truths.sum() <= total["high"]
    assert found.notes == []
    assert found.answer == "Ringed"
    assert f"{chosen.sum():,} galaxies have p_ringed" in found.verdict
    assert "3,000 galaxies" in repr(found)
    assert found.more["purity"] is None or found.more["purity"] > 0


@pytest.mark.parametrize("kind", [pa.int64(), pa.uint64(), pa.string(), pa.float64()])
def test_galaxies_without_an_id_are_left_out_and_ids_keep_their_type(tmp_path: Path, kind: pa.DataType) -> None:
    first = 2**53 if kind == pa.float64() else 2**63 - 100
    ids = pa.array([None, None, *(str(first + 2 * number) for number in range(48))]).cast(kind)
    pa.parquet.write_table(pa.table({"id": ids, "p_ringed": np.linspace(0, 1, 50)}), tmp_path / "nameless.parquet")
    sample = draw_verification_sample(tmp_path / "nameless.parquet", "p_ringed", count=40)
    assert 40 <= len(sample.ids) <= 48  # each stratum has a few
    assert "" not in sample.ids
    sample.write(tmp_path / "sample.parquet")
    written = pa.parquet.read_table(tmp_path / "sample.parquet")["id"]
    assert (written.type, written.null_count) == (kind, 0)
    assert set(written.to_pylist()) <= set(ids.to_pylist())


@pytest.mark.parametrize(("answers", "true"), [(("Ringed", "unsure"), ()), (("unsure", "Ringed"), ["unsure"])])
def test_an_answer_may_be_called_unsure(
    tmp_path: Path, catalog: Path, truths: np.ndarray, answers: tuple[str, str], true: list[str]
) -> None:
    columns = {"Ringed": "p_ringed", "unsure": "p_unsure"}
    table = pa.parquet.read_table(catalog)
    notes = {"answer columns": json.dumps({"four_class": columns})}
    pa.parquet.write_table(table.replace_schema_metadata(notes), catalog)
    given = answers_for(catalog, truths, *answers)
    found = verify(catalog, "p_ringed", write_table(tmp_path / "answers.csv", given), true=true)
    assert found.cells.answered.sum() == len(given)
    assert found.notes == []


def test_a_wanted_completeness_gives_a_lower_threshold(catalog: Path, truths: np.ndarray) -> None:
    answers = {id_: one == "yes" for id_, one in answers_for(catalog, truths, count=400).items()}
    found = verify(catalog, "p_ringed", answers, completeness=0.6, count=400)
    assert found.threshold is not None
    scores = Catalog(catalog).to_arrow()["p_ringed"].to_numpy()
    assert truths[scores >= found.threshold].sum() / truths.sum() > 0.6
    higher = verify(catalog, "p_ringed", answers, completeness=0.85, count=400)
    assert higher.threshold is not None
    assert higher.threshold < found.threshold


def test_the_page_the_figures_and_the_catalogue_are_written(tmp_path: Path, catalog: Path, truths: np.ndarray) -> None:
    table = write_table(tmp_path / "answers.csv", answers_for(catalog, truths))
    found = verify(catalog, "p_ringed", table, purity=0.8)
    page = found.write(tmp_path / "out", command="peculiar verify catalog.parquet")
    assert page == tmp_path / "out" / PAGE
    text = page.read_text()
    assert found.verdict in text
    assert "peculiar verify catalog.parquet" in text
    told = json.loads((tmp_path / "out" / VERIFICATION).read_text())
    assert told["threshold"] == found.threshold
    assert len(told["thresholds"]) == len(found.curves.thresholds)
    assert told["thresholds"][0]["selected"] == COUNT
    before = catalog.read_bytes()
    count = found.write_accepted(tmp_path / "accepted.parquet")
    accepted = Catalog(tmp_path / "accepted.parquet").to_arrow()
    assert count == found.curves.selected[found.number]
    assert accepted["accepted"].to_numpy(zero_copy_only=False).sum() == count
    assert accepted.drop_columns("accepted").equals(Catalog(catalog).to_arrow())
    for given in (catalog, table):
        with pytest.raises(UsageError, match=f"{given.name} is the input of this command and would be lost"):
            found.write_accepted(given)
    assert catalog.read_bytes() == before
    assert found.show().axes


def test_a_condition_restricts_everything(tmp_path: Path, catalog: Path, truths: np.ndarray) -> None:
    where = "mag < 16"
    bright = Catalog(catalog).to_arrow()["mag"].to_numpy() < 16
    sample = draw_verification_sample(catalog, "p_ringed", where=where, count=150)
    assert all(bright[int(id_) - 7_000_000] for id_ in sample.ids)
    answers = {id_: bool(truths[int(id_) - 7_000_000]) for id_ in sample.ids}
    found = verify(catalog, "p_ringed", answers, where=where, purity=0.6, count=150)
    assert found.notes == []
    assert found.curves.selected[0] == bright.sum()
    found.write_accepted(tmp_path / "accepted.parquet")
    accepted = Catalog(tmp_path / "accepted.parquet").to_arrow()["accepted"].to_numpy()
    assert accepted.sum() == found.curves.selected[found.number]
    assert not accepted[~bright].any()


def test_the_sample_does_not_show_the_score(tmp_path: Path, catalog: Path, truths: np.ndarray) -> None:
    sample = draw_verification_sample(catalog, "p_ringed", count=50)
    sample.write(tmp_path / "sample.csv")
    with (tmp_path / "sample.csv").open(newline="") as file:
        assert list(csv.reader(file)) == [["id", "label"], *([id_, ""] for id_ in sample.ids)]
    write_table(tmp_path / "sample.csv", answers_for(catalog, truths, count=50))
    assert verify(catalog, "p_ringed", tmp_path / "sample.csv", count=50).cells.answered.sum() == 50
    with pytest.raises(UsageError):
        sample.write(catalog)


def test_some_answers_are_enough_and_unsure_is_none(tmp_path: Path, catalog: Path, truths: np.ndarray) -> None:
    answers = dict(list(answers_for(catalog, truths).items())[:60])
    answers[next(iter(answers))] = "unsure"
    found = verify(catalog, "p_ringed", write_table(tmp_path / "a.csv", answers))
    assert found.cells.answered.sum() == 59
    assert found.notes == [
        "1 answer is unsure, and left out.",
        "141 of the 200 galaxies of the sample have no answer.",
    ]


@pytest.mark.parametrize(
    ("yes", "no", "options"),
    [
        ("1", "0", {}),
        ("True", "False", {}),
        ("Ringed", "Merger", {}),
        ("ring", "none", {"true": ["ring", "arc"]}),
    ],
)
def test_what_means_true_is_found_or_named(
    tmp_path: Path, catalog: Path, truths: np.ndarray, yes: str, no: str, options: dict[str, Any]
) -> None:
    answers = answers_for(catalog, truths, yes, no)
    found = verify(catalog, "p_ringed", write_table(tmp_path / "a.csv", answers), **options)
    assert found.cells.true.sum() == sum(one == yes for one in answers.values())


def test_answers_that_were_not_drawn_count_as_random(tmp_path: Path, catalog: Path, truths: np.ndarray) -> None:
    rows = np.random.default_rng(5).permutation(COUNT)[:300]
    answers = {str(7_000_000 + row): "yes" if truths[row] else "no" for row in rows}
    found = verify(catalog, "p_ringed", write_table(tmp_path / "a.csv", answers))
    assert "not in the sample" in found.notes[0]
    total = found.curves.true.at(0)
    assert total["low"] <= truths.sum() <= total["high"]


def test_answers_that_are_all_alike_are_told(catalog: Path, truths: np.ndarray) -> None:
    answers = answers_for(catalog, truths)
    found = verify(catalog, "p_ringed", dict.fromkeys(answers, False))
    assert found.number is None
    assert "answers are alike: untrue" in found.notes[-1]
    assert found.as_dict()["thresholds"][3]["completeness"]["estimate"] is None
    assert "No threshold" in found.verdict
    sure = verify(catalog, "p_ringed", dict.fromkeys(answers, True), purity=0.7)
    assert "answers are alike: true" in sure.notes[-1]
    assert sure.number is not None


def test_without_a_threshold_it_says_how_many_more_answers_might_give_one(catalog: Path, truths: np.ndarray) -> None:
    answers = {id_: one == "yes" for id_, one in answers_for(catalog, truths, count=40).items()}
    found = verify(catalog, "p_ringed", answers, purity=0.9, count=40)
    assert found.number is None
    assert found.missing is not None
    assert found.missing > 0
    assert f"about {found.missing:,} more might" in found.verdict
    with pytest.raises(UsageError, match="No threshold"):
        found.write_accepted("accepted.parquet")


def test_rows_without_a_score_and_repeated_ids_are_left_out(tmp_path: Path) -> None:
    scores = np.linspace(0, 1, 60)
    scores[5] = np.nan
    path = tmp_path / "c.parquet"
    pa.parquet.write_table(pa.table({"id": [*map(str, range(59)), "3"], "s": scores}), path)
    sample = draw_verification_sample(path, "s", count=100)
    assert sorted(sample.ids) == sorted(str(number) for number in range(59) if number != 5)
    found = verify(path, "s", dict.fromkeys(sample.ids, True))
    assert found.notes[:2] == [
        "1 galaxy is left out, without a number in s.",
        "1 row is left out, because an earlier one has the same id.",
    ]


def test_scores_that_are_no_probabilities_are_taken(tmp_path: Path) -> None:
    scores = np.random.default_rng(3).lognormal(0, 2, 500)
    path = tmp_path / "c.parquet"
    pa.parquet.write_table(pa.table({"id": np.arange(500), "ood": scores}), path)
    sample = draw_verification_sample(path, "ood", count=100)
    found = verify(path, "ood", {id_: bool(scores[int(id_)] > 3) for id_ in sample.ids}, purity=0.7, count=100)
    assert found.threshold == pytest.approx(3, rel=0.5)


def refused(error: type[Exception], message: str, *arguments: Any, **options: Any) -> None:
    with pytest.raises(error, match=message):
        verify(*arguments, **options)


def test_bad_input_is_refused_with_what_to_do(tmp_path: Path, catalog: Path, truths: np.ndarray) -> None:
    answers = answers_for(catalog, truths)
    table = write_table(tmp_path / "a.csv", answers)
    refused(UnknownNameError, "no column 'p_ring'.*p_ringed", catalog, "p_ring", table)
    refused(UsageError, "'class'.*numbers are needed", catalog, "class", table)
    refused(UsageError, "no galaxy of catalog.parquet meets", catalog, "p_ringed", table, where="mag > 90")
    refused(UsageError, "not both", catalog, "p_ringed", table, purity=0.9, completeness=0.9)
    refused(UsageError, "between 0 and 1; received 90", catalog, "p_ringed", table, purity=90)
    refused(
        LabelError,
        "0 answers for galaxies of catalog.parquet",
        catalog,
        "p_ringed",
        write_table(tmp_path / "b.csv", {}),
    )
    few = write_table(tmp_path / "c.csv", dict(list(answers.items())[:1]))
    refused(LabelError, "1 answer for galaxies of catalog.parquet, and 10 are needed", catalog, "p_ringed", few)
    unclear = write_table(tmp_path / "d.csv", answers_for(catalog, truths, "bar", "disc"))
    refused(LabelError, "--true.*bar, disc", catalog, "p_ringed", unclear)
    refused(LabelError, "no label is 'ring'", catalog, "p_ringed", table, true=["ring"])
    with pytest.raises(UsageError, match="40 galaxies or more; received 3"):
        draw_verification_sample(catalog, "p_ringed", count=3)
    same = tmp_path / "same.parquet"
    pa.parquet.write_table(pa.table({"id": ["a", "b"], "s": [0.5, 0.5]}), same)
    with pytest.raises(UsageError, match=r"same\.parquet, column 's': all galaxies have the score 0.5"):
        draw_verification_sample(same, "s")


def test_answers_for_other_galaxies_are_warned_of(catalog: Path, truths: np.ndarray) -> None:
    answers = {id_: one == "yes" for id_, one in answers_for(catalog, truths).items()}
    with pytest.warns(PeculiarWarning, match="1 answer is for galaxies that catalog.parquet lacks or leaves out"):
        found = peculiar.verify(catalog, "p_ringed", {**answers, "elsewhere": True})
    assert isinstance(found, Verification)
    assert found.cells.answered.sum() == 200


def test_ids_that_are_written_in_another_way_are_joined(tmp_path: Path, catalog: Path, truths: np.ndarray) -> None:
    answers = {f"stamps/{id_}.jpg": one for id_, one in answers_for(catalog, truths).items()}
    found = verify(catalog, "p_ringed", write_table(tmp_path / "a.csv", answers))
    assert found.cells.answered.sum() == 200
    assert found.notes == []
