"""Votes: which columns hold them, and how far they count."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from peculiar.questions.column_names import count_columns
from peculiar.questions.question import Question
from peculiar.questions.question_file import find_tree
from peculiar.questions.votes import UNKNOWN, count_votes, deviations, find_votes, numbers_of_votes, reached

BAR = Question("bar", ("strong", "weak", "no"))


def test_columns_of_galaxy_zoo_2_are_found() -> None:
    columns = [
        "dr7objid",
        "t02_edgeon_a05_no_count",
        "t02_edgeon_a04_yes_count",
        "t02_edgeon_a04_yes_fraction",
        "t02_edgeon_a05_no_fraction",
        "t03_bar_a06_bar_count",
    ]
    (found,) = find_votes(find_tree("gz2").questions, columns)
    assert found.name == "t02_edgeon"
    assert found.votes == ("t02_edgeon_a04_yes_count", "t02_edgeon_a05_no_count")


def test_columns_of_galaxy_zoo_decals_are_found() -> None:
    questions = find_tree("gz_decals").questions
    counts = [f"{question.name}_{answer}" for question in questions for answer in question.answers]
    shares = [f"{one}_fraction" for one in counts]
    assert len(counts) == 34
    for columns in (counts, shares, [*shares, *counts]):
        found = find_votes(questions, columns)
        assert [question.name for question in found] == [question.name for question in questions]
    assert found[0].votes == ("smooth-or-featured_smooth", "smooth-or-featured_featured-or-disk", *found[0].votes[2:])
    assert found[-1].answers[0] in found[-1].votes[0]


def test_columns_of_the_galaxy_challenge_are_found() -> None:
    questions = find_tree("gz2").questions
    counts = {1: 3, 2: 2, 3: 2, 4: 2, 5: 4, 6: 2, 7: 3, 8: 7, 9: 3, 10: 3, 11: 6}
    columns = [f"Class{task}.{number + 1}" for task, count in counts.items() for number in range(count)]
    found = find_votes(questions, columns)
    assert sorted(name for question in found for name in question.votes) == sorted(columns)
    assert {question.name: question.votes[-1] for question in found}["t07_rounded"] == "Class7.3"
    assert find_votes([BAR], columns) == []


def test_columns_of_the_desk_are_those_of_one_question() -> None:
    columns = ["id", "n_strong", "n_weak", "n_no", "n_unsure"]
    assert find_votes([BAR], columns)[0].votes == ("n_strong", "n_weak", "n_no")
    assert find_votes([BAR, Question("ring", ("no", "strong"))], columns) == []


@pytest.mark.parametrize("answers", [("+", "-"), ("<2", ">2"), ("Yes", "yes"), ("ü", "u"), ("x" * 200, "x" * 199)])
def test_columns_of_answers_that_are_alike_but_for_signs(answers: tuple[str, ...]) -> None:
    for order in (answers, answers[::-1]):
        named = count_columns(order)
        assert len({name.lower() for name in named.values()}) == 2
        assert all(len(name.encode("ascii", "backslashreplace")) <= 62 for name in named.values())
        assert named == count_columns(order[::-1])
        (found,) = find_votes([Question("q", order)], ["id", *count_columns(answers).values()])
        assert found.votes == tuple(named[answer] for answer in order)
    if len({re.sub(r"\W", "_", answer).lower() for answer in answers}) == 1:
        assert find_votes([Question("q", answers)], ["q_" + answers[0], "q_" + answers[1]]) == []


def test_a_question_that_names_its_columns_has_those_where_they_are() -> None:
    named = Question("bar", ("yes", "no"), votes=("Class3.1", "Class3.2"))
    assert find_votes([named], ["Class3.1", "Class3.2", "bar_yes", "bar_no"]) == [named]
    (other,) = find_votes([named], ["Class3.1", "bar_yes", "bar_no"])
    assert other.votes == ("bar_yes", "bar_no")
    assert find_votes([named], ["Class3.1", "bar_yes"]) == []


def test_a_question_that_lacks_a_column_is_not_found() -> None:
    assert find_votes([BAR], ["bar_strong", "bar_weak"]) == []


def test_shares_and_the_answer_of_most() -> None:
    found = count_votes(np.array([[3.0, 1, 0], [0, 0, 0], [2, 2, 1], [0, 0, 7]]))
    np.testing.assert_allclose(found.shares, [[0.75, 0.25, 0], [0, 0, 0], [0.4, 0.4, 0.2], [0, 0, 1]], rtol=1e-6)
    assert found.labels.tolist() == [0, UNKNOWN, UNKNOWN, 2]
    assert found.trust[1] == 0
    assert found.of([3, 0]).labels.tolist() == [2, 0]


@given(st.integers(1, 5000))
def test_more_votes_count_more_and_never_more_than_one(count: int) -> None:
    trust = count_votes(np.array([[count, 0.0], [count + 1, 0.0]])).trust
    assert 0 < trust[0] < trust[1] < 1


def test_two_votes_count_nearly_twice_and_two_hundred_hardly_more_than_one_hundred() -> None:
    one, two, hundred, more = count_votes(np.array([[1.0, 0], [2, 0], [100, 0], [200, 0]])).trust
    assert two / one == pytest.approx(2 / 1.05, rel=1e-5)
    assert more / hundred < 1.1


def test_shares_count_as_those_of_usual_votes_and_part_of_them_as_fewer() -> None:
    shares = count_votes(np.array([[0.6, 0.4], [0.06, 0.04], [0, 0]])).trust
    counts = count_votes(np.array([[24.0, 16], [2.4, 1.6], [0, 0]])).trust
    np.testing.assert_allclose(shares, counts, rtol=1e-6)


def test_weights_are_those_that_find_the_share_best() -> None:
    """Galaxies that look alike differ beyond their picture: neither each vote nor each galaxy counts the same."""
    random = np.random.default_rng(222)
    numbers = np.array([1, 2, 3, 5, 200, 300])
    errors = []
    for _ in range(2000):
        truth = random.beta(0.3 * 19, 0.7 * 19, len(numbers))  # two votes on one are alike with 1 / (19 + 1)
        votes = random.binomial(numbers, truth)
        trust = count_votes(np.column_stack([votes, numbers - votes]).astype(float)).trust
        errors.append([np.average(votes / numbers, weights=one) - 0.3 for one in (trust, numbers, None)])
    ours, by_votes, by_galaxies = (np.array(errors) ** 2).mean(axis=0)
    assert ours < 0.9 * by_votes
    assert ours < 0.5 * by_galaxies


def test_deviations_are_of_galaxies_as_they_count() -> None:
    votes = count_votes(np.array([[40.0, 0], [0, 0], [0, 40]]))
    off = deviations(votes, np.array([[0.9, 0.1], [0, 1], [0.3, 0.7]]))
    np.testing.assert_allclose(off, [np.sqrt((0.01 + 0.09) / 2)] * 2, rtol=1e-6)
    assert deviations(votes.of([1]), np.array([[0.5, 0.5]])).tolist() == [0, 0]


@pytest.mark.parametrize(("name", "campaign"), [("gz_hubble", "hubble"), ("gz_euclid", "euclid"), ("gz_jwst", "jwst")])
def test_columns_of_campaigns_are_found(name: str, campaign: str) -> None:
    questions = find_tree(name).questions
    counts = [f"{question.name}-{campaign}_{answer}" for question in questions for answer in question.answers]
    for columns in (counts, [f"{one}_fraction" for one in counts]):
        found = find_votes(questions, columns)
        assert [name for question in found for name in question.votes] == columns


def test_answers_are_not_taken_from_two_campaigns() -> None:
    columns = ["bar-dr12_yes", "bar-dr12_no", "bar-dr5_strong", "bar-dr5_weak", "bar-dr5_no"]
    assert find_votes([BAR], columns)[0].votes == ("bar-dr5_strong", "bar-dr5_weak", "bar-dr5_no")


def test_columns_of_several_answers_are_found() -> None:
    ring = Question("rare-features_ring", ("no", "yes"), total="rare-features_total-votes")
    (found,) = find_votes([ring], ["rare-features_ring", "rare-features_ring_fraction", "rare-features_total-votes"])
    assert (found.votes, found.total) == (("rare-features_ring",), "rare-features_total-votes")
    (found,) = find_votes([ring], ["rare-features_ring_fraction"])
    assert (found.votes, found.total, found.columns) == (("rare-features_ring_fraction",), "", found.votes)
    assert find_votes([ring], ["rare-features_lens"]) == []


def test_numbers_of_votes_follow_from_their_weights() -> None:
    votes = count_votes(np.array([[0, 0], [1, 0], [3, 2], [30, 10], [300, 100]]))
    np.testing.assert_allclose(votes.counts, [0, 1, 5, 40, 400], rtol=1e-4)
    fractions = count_votes(np.array([[0.1, 0.1], [0.5, 0.5], [0.01, 0]]))
    np.testing.assert_allclose(numbers_of_votes(fractions.trust), [8, 40, 0.4], rtol=1e-4)


def test_shares_of_all_volunteers_add_up_along_the_tree() -> None:
    tree = find_tree("gz2")
    rng = np.random.default_rng(0)
    chances = {one.name: rng.dirichlet(np.ones(len(one.answers)), 5) for one in tree.questions}
    found = reached(tree.questions, chances)
    assert set(found) == {one.name for one in tree.questions} - {tree.root.name}
    featured, smooth = chances["t01_smooth_or_features"][:, 1], chances["t01_smooth_or_features"][:, 0]
    np.testing.assert_allclose(found["t02_edgeon"], featured)
    np.testing.assert_allclose(found["t03_bar"], featured * chances["t02_edgeon"][:, 1])
    # Branches meet again: all but those who see a star are asked for anything odd.
    np.testing.assert_allclose(found["t06_odd"], smooth + featured)


def test_shares_are_not_known_where_a_branch_is_missing() -> None:
    tree = find_tree("gz2")
    some = [one for one in tree.questions if one.name in ("t01_smooth_or_features", "t02_edgeon", "t10_arms_winding")]
    found = reached(some, {one.name: np.full((1, len(one.answers)), 0.5) for one in some})
    assert set(found) == {"t02_edgeon"}
