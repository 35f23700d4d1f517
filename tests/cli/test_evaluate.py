"""`peculiar evaluate` on invalid tables: messages, and undefined scores."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest

COUNT = 24


def columns(**changed: list[Any]) -> dict[str, list[Any]]:
    """A table of probabilities of two answers, with labels, and some columns changed."""
    odd = [0.9 - 0.03 * number for number in range(COUNT)]
    table = {
        "id": [f"g{number}" for number in range(COUNT)],
        "p_not_odd": [1 - one for one in odd],
        "p_odd": odd,
        "odd": ["odd" if number % 3 else "not_odd" for number in range(COUNT)],
        "field": [f"f{number // 4}" for number in range(COUNT)],
    }
    return {name: entries for name, entries in {**table, **changed}.items() if entries}


def first(value: Any, name: str = "p_odd") -> dict[str, list[Any]]:
    return {name: [value, *columns()[name][1:]]}


@pytest.fixture
def judge(peculiar_command: Any) -> Callable[..., tuple[int, str, str]]:
    def call(table: dict[str, list[Any]], *words: str) -> tuple[int, str, str]:
        pa.parquet.write_table(pa.table(table), "t.parquet")
        return peculiar_command("evaluate", "t.parquet", "--label", "odd", *words)  # type: ignore[no-any-return]

    return call


@pytest.mark.parametrize(
    ("changed", "status", "words"),
    [
        (
            first(-0.1),
            1,
            "in t.parquet have to be non-negative and sum to 1; 1 do not, the first of them g0, row 0 (counted from 0)",
        ),
        (
            first(0.5),
            1,
            "have to be non-negative and sum to 1; 1 do not, the first of them g0, row 0 (counted from 0): ",
        ),
        (
            {name: [100 * one for one in columns()[name]] for name in ("p_odd", "p_not_odd")},
            1,
            "these seem to be per cent: divide them by 100",
        ),
        ({"p_odd": ["high"] * COUNT}, 1, "the column 'p_odd' has to hold probabilities, numbers from 0 to 1"),
        ({"p_odd": [], "p_not_odd": []}, 1, "t.parquet: no column holds pictures"),
        ({"odd": []}, 2, "there is no column 'odd'"),
        ({"odd": [None] * COUNT}, 1, "no galaxy has both a label in 'odd' and probabilities"),
        ({"odd": ["maybe"] * COUNT}, 1, "24 galaxies have labels that are not answers to 'odd'"),
        (first("maybe", "odd"), 1, "1 galaxy has labels that are not answers to 'odd'"),
    ],
)
def test_bad_tables_are_refused(
    judge: Callable[..., tuple[int, str, str]], changed: dict[str, list[Any]], status: int, words: str
) -> None:
    found, output, errors = judge(columns(**changed))
    assert (found, output) == (status, "")
    assert words in errors
    assert not Path("evaluation").exists()


@pytest.mark.parametrize(
    ("changed", "options", "note"),
    [
        (first(None), (), "1 labelled galaxy has no probabilities in t.parquet, or not all of them."),
        (first(float("nan")), (), "1 labelled galaxy has no probabilities in t.parquet, or not all of them."),
        (first(float("inf")), (), "1 labelled galaxy has no probabilities in t.parquet, or not all of them."),
        ({"odd": ["odd"] * COUNT}, (), "All labels are 'odd': scores that compare classes are undefined."),
        (first("g1", "id"), (), "1 row repeats the id of another: the bootstrap draws rows of one id together."),
        (
            {"id": ["g0", "g1"] * 12},
            (),
            "22 rows repeat the id of another: the bootstrap draws rows of one id together.",
        ),
        ({"field": ["f"] * COUNT}, ("--group", "field"), "All galaxies belong to one group: there are no intervals."),
        (
            {"field": [""] * COUNT},
            ("--group", "field"),
            "The column of groups is empty: each galaxy is a group of its own.",
        ),
    ],
)
@pytest.mark.slow
def test_what_is_undefined_is_said(
    judge: Callable[..., tuple[int, str, str]], changed: dict[str, list[Any]], options: tuple[str, ...], note: str
) -> None:
    status, output, errors = judge(columns(**changed), *options, "--json")
    assert status == 0, errors
    found = json.loads(output)
    assert note in found["notes"]
    assert found["model"] == "an unnamed model"
    assert found["sets_from"] != "the model file"
    assert found["trained_on"]["count"] is None
    page = Path("evaluation/report.html").read_text(encoding="utf-8")
    assert "galaxy d0745ae7d5cc" not in page
    assert "is not known which galaxies" in page


@pytest.mark.slow
def test_a_table_of_another_model_is_told_from_the_one_that_is_named(
    judge: Callable[..., tuple[int, str, str]], tiny_model: Path
) -> None:
    status, output, errors = judge(columns(model=["b" * 12] * COUNT), "--model", str(tiny_model))
    assert status == 0, errors
    assert "Model: bbbbbbbbbbbb; scores on 24 galaxies" in output
    assert "warning: t.parquet holds probabilities of bbbbbbbbbbbb, not of tiny" in errors
