"""Consensus: simulated crowds with a known truth, and crowds so small that little can be said."""

import numpy as np
import pytest
from numpy.typing import NDArray

from crowds import Crowd, simulate_crowd
from peculiar.metrics.consensus import Answers, Estimate, estimate_consensus

GOOD, CARELESS = [0.85, 0.8, 0.8], [0.25, 0.25]
FOUR = (0.4, 0.3, 0.2, 0.1)


def right(found: Estimate, crowd: Crowd) -> float:
    return float((found.probabilities.argmax(axis=1) == crowd.truth).mean())


def crowds(
    skills: list[float], galaxies: int, each: int | None = None, shares: tuple[float, ...] = FOUR
) -> list[Crowd]:
    return [simulate_crowd(skills, galaxies, each=each, shares=shares, seed=seed) for seed in range(3000 // galaxies)]


def answers(rows: list[list[int]], classes: int = 2) -> Answers:
    """Answers by galaxy and person; -1 for none."""
    table = np.array(rows)
    galaxy, person = np.nonzero(table >= 0)
    return Answers(galaxy, person, table[galaxy, person], *table.shape, classes=classes)


@pytest.mark.parametrize(
    ("galaxies", "each", "shares"),
    [(500, None, FOUR), (500, 3, FOUR), (100, None, FOUR), (500, None, (0.7, 0.3)), (100, 3, (0.7, 0.3))],
)
@pytest.mark.slow
def test_consensus_beats_the_majority_where_two_of_five_are_careless(
    galaxies: int, each: int | None, shares: tuple[float, ...]
) -> None:
    careless = [1 / len(shares)] * 2
    simulated = crowds([*GOOD, *careless], galaxies, each, shares)
    majority = np.mean([(one.majority() == one.truth).mean() for one in simulated])
    alone = [right(estimate_consensus(one.given), one) for one in simulated]
    assert np.mean(alone) > majority + 0.02
    few = simulated[:6]
    together = np.mean([right(estimate_consensus(one.given, one.model), one) for one in few])
    model = np.mean([(one.model.argmax(axis=1) == one.truth).mean() for one in few])
    assert together > max(np.mean(alone[:6]), model) + 0.01


def test_consensus_is_as_good_as_the_majority_where_nobody_is_careless() -> None:
    simulated = crowds([0.9, 0.9, 0.9], 100)
    majority = np.mean([(one.majority() == one.truth).mean() for one in simulated])
    assert np.mean([right(estimate_consensus(one.given), one) for one in simulated]) > majority - 0.01


def test_probabilities_are_calibrated_although_the_model_is_too_sure() -> None:
    simulated = crowds([*GOOD, *CARELESS], 500, 3)
    for model in (False, True):
        found = [estimate_consensus(one.given, one.model if model else None) for one in simulated]
        sure = np.concatenate([one.probabilities.max(axis=1) for one in found])
        hit = np.concatenate(
            [one.probabilities.argmax(axis=1) == crowd.truth for one, crowd in zip(found, simulated, strict=True)]
        )
        assert sure.mean() == pytest.approx(hit.mean(), abs=0.03)
    alone = np.concatenate([one.model.max(axis=1) for one in simulated]).mean()
    assert alone > np.mean([(one.model.argmax(axis=1) == one.truth).mean() for one in simulated]) + 0.05


def test_intervals_of_skill_cover_it() -> None:
    skills = [*GOOD, *CARELESS]
    found = [estimate_consensus(one.given).skills for one in crowds(skills, 500, 3)]
    inside = [
        one.low <= skill <= one.high
        for of_crowd in found
        for one, skill in zip(of_crowd, skills, strict=True)
        if one.low is not None and one.high is not None
    ]
    # 30 intervals at 95 %: fewer than 25 inside has a probability of 0.003.
    assert len(inside) == 30
    assert sum(inside) >= 25
    assert all(min(one.accuracy or 0 for one in of[:3]) > max(one.accuracy or 1 for one in of[3:]) for of in found)


def test_errors_are_those_of_each_answer() -> None:
    # The third always gives the first answer: right in 70 of 100, and worth nothing.
    random = np.random.default_rng(222)
    truth = (random.random(600) > 0.7).astype(int)
    people = [np.where(random.random(600) < 0.9, truth, 1 - truth) for _ in range(2)] + [np.zeros(600, dtype=int)]
    found = estimate_consensus(answers(np.stack(people, axis=1).tolist()))
    assert found.errors.sum(axis=2) == pytest.approx(np.ones((3, 2)))
    assert found.errors[2, :, 0] == pytest.approx([1, 1], abs=0.1)
    assert found.errors[0].diagonal() == pytest.approx([0.9, 0.9], abs=0.07)


def probabilities(rows: list[list[int]], model: NDArray[np.floating] | None = None) -> list[float]:
    return [float(one) for one in estimate_consensus(answers(rows), model).probabilities[:, 1]]


def test_two_who_differ_leave_it_open() -> None:
    tied = probabilities([[0, 1], [1, 0]])
    assert tied == pytest.approx([0.5, 0.5])


def test_all_alike_are_right() -> None:
    found = estimate_consensus(answers([[1, 1, 1]] * 5))
    assert (found.probabilities[:, 1] > 0.99).all()
    assert [one.accuracy for one in found.skills] == pytest.approx([1, 1, 1], abs=0.01)
    assert all(one.low is not None and 0.4 < one.low < 0.7 for one in found.skills)


def test_one_answer_says_little_of_a_person() -> None:
    rows = [[0, 0, -1], [1, 1, -1], [0, 0, 1], *[[number % 2, number % 2, -1] for number in range(20)]]
    found = estimate_consensus(answers(rows))
    last = found.skills[2]
    assert (last.answers, last.compared) == (1, 1)
    assert last.low is not None
    assert last.high is not None
    assert last.high - last.low > 0.7
    assert found.probabilities[2, 0] > 0.9


def test_a_person_whom_nothing_is_compared_with_has_no_skill() -> None:
    rows = [[0, 0, -1], [1, 1, -1], [-1, -1, 1], [0, 1, -1]]
    found = estimate_consensus(answers(rows))
    assert found.skills[2].accuracy is None
    assert found.skills[2].answers == 1
    assert found.probabilities[2, 1] > 0.5


def test_a_model_decides_where_it_has_an_answer() -> None:
    rows = [[0, 1], [1, 0], [0, 0], [1, 1]] * 10
    model = np.tile([[0.1, 0.9], [np.nan, np.nan], [0.9, 0.1], [0.1, 0.9]], (10, 1))
    found = probabilities(rows, model)
    assert found[0] > 0.8
    assert found[1] < 0.1  # the model has none here, and agreed with the second person elsewhere
    assert found[2] < 0.1
    assert found[3] > 0.9
    assert estimate_consensus(answers(rows), model).model is not None


def test_a_certain_and_wrong_model_is_overruled() -> None:
    random = np.random.default_rng(222)
    truth = random.integers(0, 2, 200)
    people = [np.where(random.random(200) < 0.9, truth, 1 - truth) for _ in range(3)]
    majority = (np.sum(people, axis=0) > 1).astype(int)
    model = np.eye(2)[random.integers(0, 2, 200)]
    found = estimate_consensus(answers(np.stack(people, axis=1).tolist()), model)
    assert (found.probabilities.argmax(axis=1) == majority).mean() > 0.98
    assert found.model is not None
    assert found.model.accuracy == pytest.approx((model.argmax(axis=1) == truth).mean(), abs=0.05)


def test_consensus_is_the_one_of_cleanlab_where_a_crowd_is_good() -> None:
    multiannotator = pytest.importorskip("cleanlab.multiannotator", reason="cleanlab is not installed")
    pandas = pytest.importorskip("pandas", reason="cleanlab brings pandas")
    crowd = simulate_crowd([0.9, 0.85, 0.85, 0.8, 0.8], 500, shares=FOUR)
    table = pandas.DataFrame(crowd.answers)
    theirs = multiannotator.get_label_quality_multiannotator(table, crowd.model, verbose=False)
    called = theirs["label_quality"]["consensus_label"].to_numpy()
    ours = estimate_consensus(crowd.given, crowd.model)
    assert (ours.probabilities.argmax(axis=1) == called).mean() > 0.95
    assert right(ours, crowd) >= (called == crowd.truth).mean()
