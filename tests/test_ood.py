"""Unlikeness: a false-alarm rate that is kept, what is far is far, and a card that holds it."""

import numpy as np
import pytest
from numpy.typing import NDArray

from peculiar.errors import DataError
from peculiar.flaws import FLAWS
from peculiar.ood import Familiar, fit_familiar


def embeddings(seed: int, count: int) -> NDArray[np.float32]:
    """Embeddings of 100 values, of which 20 directions make up most, and one is dead."""
    random = np.random.default_rng(seed)
    mixing = np.random.default_rng(0).normal(size=(20, 100))
    found = np.abs(random.normal(size=(count, 20)) @ mixing + random.normal(0, 0.3, (count, 100)) + 4)
    found[:, 7] = 0
    return found.astype(np.float32)


def flaws(seed: int, count: int) -> NDArray[np.float32]:
    """Flaws of as many pictures; the last kind is one that no galaxy has."""
    found = np.random.default_rng(seed).gamma(4, size=(count, len(FLAWS)))
    found[:, -1] = 0
    return found.astype(np.float32)


def test_false_alarms_are_as_stated() -> None:
    found = fit_familiar(embeddings(1, 4000), embeddings(2, 2000), flaws(2, 2000))
    assert (found.unlikeness(embeddings(2, 2000), flaws(2, 2000)) > 1).mean() == pytest.approx(0.05, abs=0.001)
    assert (found.unlikeness(embeddings(3, 4000), flaws(3, 4000)) > 1).mean() == pytest.approx(0.05, abs=0.015)
    strange = np.abs(np.random.default_rng(4).normal(size=(200, 100)))
    assert (found.unlikeness(strange, flaws(4, 200)) > 1).all()


@pytest.mark.parametrize("flaw", range(len(FLAWS)))
def test_one_flaw_is_enough(flaw: int) -> None:
    found = fit_familiar(embeddings(1, 4000), embeddings(2, 2000), flaws(2, 2000))
    flawed = np.full((100, len(FLAWS)), 3, np.float32)
    flawed[:, -1] = 0
    assert (found.unlikeness(embeddings(3, 100), flawed) > 1).mean() < 0.1
    flawed[:, flaw] = 30
    assert (found.unlikeness(embeddings(3, 100), flawed) > 1).all()


def test_of_few_galaxies_none_is_above_for_a_flaw() -> None:
    found = fit_familiar(embeddings(1, 700), embeddings(2, 20), flaws(2, 20))
    near = np.repeat(embeddings(1, 700).mean(axis=0, keepdims=True), 20, axis=0)
    assert (found.unlikeness(near, flaws(2, 20)) <= 1).all()


def test_a_card_holds_it_in_little_room() -> None:
    found = fit_familiar(embeddings(1, 2000), embeddings(2, 500), flaws(2, 500))
    text = found.model_dump_json()
    assert len(text) < 25_000
    again = Familiar.model_validate_json(text)
    some = embeddings(5, 50), flaws(5, 50)
    np.testing.assert_array_equal(again.unlikeness(*some), found.unlikeness(*some))


def test_a_card_of_an_earlier_version_tells_the_distance_alone() -> None:
    found = fit_familiar(embeddings(1, 2000), embeddings(2, 500), flaws(2, 500))
    earlier = Familiar.model_validate_json(found.model_dump_json(exclude={"flaws"}))
    some = embeddings(5, 50)
    np.testing.assert_allclose(
        earlier.unlikeness(some, np.full((50, len(FLAWS)), 1e6)), found.distances(some) / found.limit, rtol=1e-6
    )


def test_a_card_with_a_flaw_that_is_not_known_is_refused() -> None:
    found = fit_familiar(embeddings(1, 2000), embeddings(2, 500), flaws(2, 500))
    with pytest.raises(ValueError, match="colours apart"):
        Familiar.model_validate({**found.model_dump(), "flaws": {"dust": (0, 1)}})


def test_an_unreadable_picture_has_none() -> None:
    found = fit_familiar(embeddings(1, 1000), embeddings(2, 100), flaws(2, 100))
    told = found.unlikeness(np.full((1, 100), np.nan, np.float32), np.full((1, len(FLAWS)), np.nan, np.float32))
    assert np.isnan(told[0])
    assert told.dtype == np.float32


def test_too_few_to_tell() -> None:
    with pytest.raises(DataError, match="640 training pictures and 20 held back at least, received 30 and 5"):
        fit_familiar(embeddings(1, 30), embeddings(2, 5), flaws(2, 5))
