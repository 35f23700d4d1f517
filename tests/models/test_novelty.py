"""Unlikeness: a false-alarm rate that is kept, what is far is far, and a card that holds it."""

import numpy as np
import pytest
from numpy.typing import NDArray

from peculiar.errors import DataError
from peculiar.images.artefacts import MEASURES
from peculiar.models.novelty import Looks, Novelty, fit_novelty


def embeddings(seed: int, count: int) -> NDArray[np.float32]:
    """Embeddings of 100 values, of which 20 directions make up most, and one is dead."""
    random = np.random.default_rng(seed)
    mixing = np.random.default_rng(0).normal(size=(20, 100))
    found = np.abs(random.normal(size=(count, 20)) @ mixing + random.normal(0, 0.3, (count, 100)) + 4)
    found[:, 7] = 0
    return found.astype(np.float32)


def measures(seed: int, count: int) -> NDArray[np.float32]:
    """Measures of as many pictures; the first two go together, and the last is one that all have alike."""
    found = np.random.default_rng(seed).gamma(4, size=(count, len(MEASURES)))
    found[:, 1] = found[:, 0] + 0.1 * found[:, 1]
    found[:, -1] = 0
    return found.astype(np.float32)


def pictures(seed: int, count: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    return embeddings(seed, count), measures(seed, count)


@pytest.fixture(scope="module")
def familiar() -> Novelty:
    return fit_novelty(pictures(1, 3000), pictures(2, 2000))


def test_false_alarms_are_as_stated(familiar: Novelty) -> None:
    assert (familiar.ood(*pictures(2, 2000)) > 1).mean() == pytest.approx(0.05, abs=0.001)
    assert (familiar.ood(*pictures(3, 4000)) > 1).mean() == pytest.approx(0.05, abs=0.015)
    strange = np.abs(np.random.default_rng(4).normal(size=(200, 100)))
    assert (familiar.ood(strange, measures(4, 200)) > 1).all()


@pytest.mark.parametrize("measure", range(len(MEASURES)))
def test_one_measure_is_enough(familiar: Novelty, measure: int) -> None:
    usual = np.repeat(np.median(measures(1, 3000), axis=0, keepdims=True), 100, axis=0)
    assert (familiar.ood(embeddings(3, 100), usual) > 1).mean() < 0.1
    usual[:, measure] = 40
    assert (familiar.ood(embeddings(3, 100), usual) > 1).all()


def test_what_is_usual_alone_may_be_unusual_together(familiar: Novelty) -> None:
    usual = measures(5, 100)
    apart = usual.copy()
    apart[:, 0] = usual[::-1, 0]
    far = np.abs(apart[:, 0] - usual[:, 0]) > 3
    assert (familiar.ood(embeddings(5, 100), usual)[far] > 1).mean() < 0.2
    assert (familiar.ood(embeddings(5, 100), apart)[far] > 1).mean() > 0.95


def test_of_one_gaussian_it_is_the_mahalanobis_distance() -> None:
    one = np.ones((1, 3))
    spread = np.array([2.0, 4.0, 0.5])
    looks = Looks.model_validate(
        {"middle": one[0], "scale": spread, "shares": one[0, :1], "means": 0 * one, "factors": np.eye(3)[None]}
    )
    some = np.random.default_rng(6).normal(size=(50, 3))
    np.testing.assert_allclose(looks.distances(some), np.sqrt((((some - 1) / spread) ** 2).sum(axis=1)))


@pytest.mark.slow
def test_a_small_survey_is_not_drowned() -> None:
    def other(seed: int, count: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        # Its embeddings vary in directions of their own.
        embedding, measured = pictures(seed, count)
        more = np.random.default_rng(seed).normal(size=(count, 3)) @ np.random.default_rng(7).normal(size=(3, 100))
        return (embedding + 4 * more).astype(np.float32), measured

    training = tuple(np.concatenate(both) for both in zip(pictures(1, 3000), other(2, 40), strict=True))
    held_back = tuple(np.concatenate(both) for both in zip(pictures(3, 2000), other(4, 20), strict=True))
    told, drowned = (
        fit_novelty((training[0], training[1]), (held_back[0], held_back[1]), surveys).ood(*other(5, 500))
        for surveys in (["large"] * 3000 + ["small"] * 40, None)
    )
    assert (told > 1).mean() < 0.5 * (drowned > 1).mean()


# Of 27, two are beyond what is measured on the picture alone, more than one in twenty.
@pytest.mark.parametrize("held_back", [20, 27])
def test_few_galaxies_do(held_back: int) -> None:
    found = fit_novelty(pictures(1, 1000), pictures(2, held_back))
    near = np.repeat(embeddings(1, 1000).mean(axis=0, keepdims=True), 20, axis=0)
    assert (found.ood(near, measures(3, 20)) <= 1).mean() > 0.5


def test_a_card_holds_it_in_little_room(familiar: Novelty) -> None:
    text = familiar.model_dump_json()
    assert len(text) < 50_000
    again = Novelty.model_validate_json(text)
    np.testing.assert_array_equal(again.ood(*pictures(5, 50)), familiar.ood(*pictures(5, 50)))


def test_an_unreadable_picture_has_none(familiar: Novelty) -> None:
    told = familiar.ood(np.full((1, 100), np.nan, np.float32), np.full((1, len(MEASURES)), np.nan, np.float32))
    assert np.isnan(told[0])
    assert told.dtype == np.float32


def test_too_few_to_tell() -> None:
    with pytest.raises(DataError, match="at least 960 training pictures and 20 held-out ones, received 30 and 5"):
        fit_novelty(pictures(1, 30), pictures(2, 5))
