"""Active learning: scores against their definitions, the loop on clouds of points, the advice to stop."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score

from peculiar.catalogs.active import (
    STRATEGIES,
    Committee,
    Loop,
    choose,
    features,
    fit_committee,
    informativeness,
    k_centre,
    mean_precision,
    measure,
)
from peculiar.catalogs.embeddings import Embeddings
from peculiar.errors import UnknownNameError, UsageError


def cloud(count: int = 3000, share: float = 0.03, seed: int = 1) -> tuple[Embeddings, NDArray[np.int64]]:
    """Return points of which a few, in two places, are of another kind."""
    random = np.random.default_rng(seed)
    points = random.normal(size=(count, 16))
    odd = random.random(count) < share
    points[odd, 0] += np.where(random.random(odd.sum()) < 0.5, 4, 3)
    points[odd, 1] += np.where(points[odd, 0] > 3.5, 3, 0)
    return Embeddings.of(points), odd.astype(np.int64)


def test_the_scores_are_what_they_are_called() -> None:
    chances = np.array([[[0.9, 0.1], [0.5, 0.5], [0.9, 0.1]], [[0.9, 0.1], [0.5, 0.5], [0.1, 0.9]]], dtype=np.float32)
    np.testing.assert_allclose(informativeness(chances, "margin"), [-0.8, 0, 0], atol=1e-6)
    level = np.log(2)
    sure = -(0.9 * np.log(0.9) + 0.1 * np.log(0.1))
    np.testing.assert_allclose(informativeness(chances, "entropy"), [sure, level, level], atol=1e-6)
    # Members who are unsure do not disagree: only the third galaxy tells.
    np.testing.assert_allclose(informativeness(chances, "bald"), [0, 0, level - sure], atol=1e-6)
    np.testing.assert_allclose(informativeness(chances, "rare", rare=1), [0.1, 0.5, 0.5], atol=1e-6)
    with pytest.raises(UnknownNameError, match="margin"):
        informativeness(chances, "margins")


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 40), st.integers(0, 50), st.integers(0, 1000))
def test_those_spread_out_are_different_and_as_far_apart_as_any(count: int, wanted: int, seed: int) -> None:
    vectors = np.random.default_rng(seed).normal(size=(count, 3)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    chosen = k_centre(vectors, wanted)
    assert len(chosen) == len(set(chosen)) == min(count, wanted)
    if wanted:
        assert chosen[0] == 0
    if len(chosen) > 1:
        assert chosen[1] == np.argmin(vectors @ vectors[0])


def test_a_committee_knows_answers_that_nobody_gave() -> None:
    embeddings, odd = cloud(500, 0.3)
    committee = fit_committee(features(embeddings, slice(None)), odd * 2, 3)
    chances = committee.chances(features(embeddings, slice(None)))
    assert chances.shape == (8, 500, 3)
    np.testing.assert_allclose(chances.sum(axis=-1), 1, rtol=1e-5)
    assert not chances[:, :, 1].any()
    assert average_precision_score(odd, committee.probabilities(features(embeddings, slice(None)))[:, 2]) > 0.9
    with pytest.raises(UsageError, match="two answers"):
        fit_committee(features(embeddings, slice(None)), np.zeros(500, dtype=int), 3)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_only_free_galaxies_are_chosen(strategy: str) -> None:
    embeddings, odd = cloud(300, 0.2)
    free = np.zeros(300, dtype=bool)
    free[100:130] = True
    committee = fit_committee(features(embeddings, slice(None)), odd, 2)
    for who in (committee, None):
        chosen = choose(embeddings, free, who, 50, strategy=strategy)
        assert sorted(chosen) == list(range(100, 130))
        assert len(set(choose(embeddings, free, who, 7, strategy=strategy))) == 7
    assert len(choose(embeddings, np.zeros(300, dtype=bool), committee, 5, strategy=strategy)) == 0


def test_the_mean_precision_is_scikit_learns() -> None:
    random = np.random.default_rng(222)
    labels, chances = random.integers(0, 3, 200), random.random((200, 3))
    expected = np.mean([average_precision_score(labels == answer, chances[:, answer]) for answer in range(3)])
    assert mean_precision(labels, chances, range(3)) == pytest.approx(expected)
    assert np.isnan(mean_precision(labels[labels < 2], chances[labels < 2], [0, 2]))


def answer_all(loop: Loop, truth: NDArray[np.int64], count: int) -> tuple[NDArray[np.int64], list[str]]:
    """Answer correctly, refitting after every twenty; return rows and how each was chosen."""
    done, nobody = np.zeros(len(truth), dtype=bool), np.zeros(len(truth), dtype=bool)
    rows: list[int] = []
    how: list[str] = []
    for number in range(count):
        found = loop.next(done, number, nobody)
        assert found is not None
        rows.append(found[0])
        how.append(found[1])
        done[found[0]] = True
        if len(rows) % 20 == 0:
            loop.learn(np.array(rows), truth[rows])
    return np.array(rows), how


def test_the_loop_finds_rare_ones_and_keeps_a_share_apart() -> None:
    embeddings, odd = cloud()
    loop = Loop(embeddings, ("plain", "odd"))
    rows, how = answer_all(loop, odd, 300)
    assert len(set(rows)) == 300
    by_chance = np.array(how) == "random"
    assert by_chance.sum() == 60
    np.testing.assert_array_equal(loop.kept[rows], by_chance)
    # Of 240 galaxies drawn by chance seven would be odd.
    assert odd[rows[~by_chance]].sum() > 30
    # Those by chance are a fair draw: the first of a fixed order, whatever else was found.
    np.testing.assert_array_equal(rows[by_chance], loop.apart[:60])
    assert len(loop.progress) == 15
    assert loop.progress[-1].learned == 240
    assert loop.progress[-1].tested == 60


def test_the_rarest_answer_is_one_that_was_given() -> None:
    embeddings, odd = cloud(600, 0.1)
    loop = Loop(embeddings, ("plain", "odd", "never"), strategy="rare", apart=0)
    loop.learn(np.arange(200), odd[:200])
    done, nobody = np.arange(600) < 200, np.zeros(600, dtype=bool)
    for number in range(12):
        row, _ = loop.next(done, number, nobody) or (0, "")
        done[row] = True
    assert odd[200:][done[200:]].sum() > 6


def test_nobody_is_asked_what_another_answered_save_what_is_kept_apart() -> None:
    embeddings, _ = cloud(200)
    loop = Loop(embeddings, ("plain", "odd"), apart=0.25)
    elsewhere = np.ones(200, dtype=bool)
    done = np.zeros(200, dtype=bool)
    for number in range(50):
        found = loop.next(done, number, elsewhere)
        assert found is not None
        assert found[1] == "random"
        done[found[0]] = True
    assert loop.next(done, 50, elsewhere) is None


def test_the_score_is_within_its_interval_and_the_end_is_honest() -> None:
    embeddings, odd = cloud(4000, 0.3)
    vectors, answers = features(embeddings, slice(None)), ("plain", "odd")

    def progress(learned: int, tested: int):
        fitted = fit_committee(vectors[:learned], odd[:learned], 2) if odd[:learned].any() else None
        return measure(
            vectors[:learned], odd[:learned], vectors[2000 : 2000 + tested], odd[2000 : 2000 + tested], answers, fitted
        )

    early = progress(40, 8)
    assert (early.score, early.may_stop) == (None, False)
    assert "too early to say" in early.advice
    some = progress(20, 200)
    assert some.score is not None
    assert some.low < some.score < some.high
    assert not some.may_stop
    late = progress(2000, 2000)
    assert late.may_stop
    assert late.gain_high is not None
    assert late.gain_high < 0.01
    assert measure(vectors[:0], odd[:0], vectors[:5], odd[:5], answers, None).advice.startswith("two different answers")


def test_it_learns_behind_and_says_when_it_began() -> None:
    embeddings, odd = cloud(400, 0.3)
    loop = Loop(embeddings, ("plain", "odd"), every=10)
    rows = np.arange(30)
    assert not loop.learn_in_background(rows[:5], odd[:5])
    assert loop.learn_in_background(rows, odd[:30])
    loop.wait()
    assert not loop.learn_in_background(rows, odd[:30])
    assert isinstance(loop.committee, Committee)


def test_what_cannot_be_is_refused() -> None:
    embeddings, _ = cloud(50)
    with pytest.raises(UsageError, match="apart has to be"):
        Loop(embeddings, ("a", "b"), apart=1)
    with pytest.raises(UnknownNameError, match="margin"):
        Loop(embeddings, ("a", "b"), strategy="margn")
    with pytest.raises(UnknownNameError, match="bald"):
        choose(embeddings, np.ones(50, dtype=bool), None, 3, strategy="bld")


def test_a_score_does_not_wait_for_the_rarest_answer() -> None:
    embeddings, odd = cloud(4000, 0.3)
    vectors = features(embeddings, slice(None))
    labels = odd.copy()
    labels[[0, 2000]] = 2  # one among those that are learned, one in the random sample
    committee = fit_committee(vectors[:1000], labels[:1000], 3)
    found = measure(
        *(vectors[:1000], labels[:1000], vectors[2000:2100], labels[2000:2100]), ("plain", "odd", "rare"), committee
    )
    assert found.scored == ("plain", "odd")
    assert found.score is not None
    assert 0.5 < found.score <= 1
    assert not found.may_stop
    assert "1 of the 100 in the random sample are rare" in found.advice
