"""Odds ratios of classes and properties: exact, with intervals that hold for all of them together."""

import numpy as np
import pytest
from scipy.stats import binom
from scipy.stats.contingency import odds_ratio

from peculiar.metrics.association import associations


def test_the_odds_ratio_is_that_of_the_counts() -> None:
    labels = ["a"] * 50 + ["b"] * 50
    trait = ["x"] * 40 + ["y"] * 10 + ["x"] * 10 + ["y"] * 40
    found = associations(labels, {"survey": trait}, least=1)
    assert [(one.answer, one.entry) for one in found] == [("a", "x"), ("b", "y")]
    assert found[0].ratio == pytest.approx((40.5 / 10.5) ** 2)
    assert found[0].ratio == pytest.approx(odds_ratio([[40, 10], [10, 40]], kind="sample").statistic, rel=0.1)
    assert found[0].rows.tolist() == list(range(40))
    assert "a goes with survey x" in found[0].text


def test_numbers_are_divided_at_their_median() -> None:
    rng = np.random.default_rng(222)
    bright = np.concatenate([rng.normal(5, 1, 60), rng.normal(0, 1, 60)])
    labels = ["big"] * 60 + ["small"] * 60
    found = associations(labels, {"brightness": bright.tolist()})
    assert [(one.answer, one.entry.split()[0]) for one in found] == [("big", "above"), ("small", "below")]


def test_unknown_entries_and_labels_are_in_neither_part() -> None:
    labels: list[str | None] = ["a"] * 40 + ["b"] * 40 + [None] * 40
    trait: list[str | None] = ["x"] * 30 + [None] * 10 + ["y"] * 30 + [None] * 10 + ["x"] * 40
    (first, second) = associations(labels, {"survey": trait})
    assert first.ratio == second.ratio == pytest.approx(61**2)


@pytest.mark.parametrize(
    "trait",
    [["x"] * 80, [None] * 80, ["x"] * 75 + ["y"] * 5, [str(number) for number in range(80)], [1.0] * 80],
    ids=["one", "none", "rare", "many", "equal"],
)
def test_what_divides_nothing_is_left_out(trait: list[str | float | None]) -> None:
    assert associations(["a"] * 40 + ["b"] * 40, {"trait": trait}, least=0) == []


def test_chance_is_rarely_reported() -> None:
    rng = np.random.default_rng(222)
    repeats, reported = 300, 0
    for _ in range(repeats):
        labels = rng.choice(["a", "b", "c", "d"], 200).tolist()
        traits = {f"t{number}": rng.choice(["x", "y", "z"], 200).tolist() for number in range(3)}
        traits |= {f"n{number}": rng.normal(size=200).tolist() for number in range(3)}
        reported += bool(associations(labels, traits, least=1))
    # One end of each simultaneous interval counts: at most 2.5 % of the sets, and few more by the approximation.
    assert reported <= binom.isf(1e-4, repeats, 0.04), reported
