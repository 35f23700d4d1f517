"""Unlikeness: a false-alarm rate that is kept, what is far is far, and a card that holds it."""

import numpy as np
import pytest
from numpy.typing import NDArray

from peculiar.errors import DataError
from peculiar.ood import Familiar, fit_familiar


def embeddings(seed: int, count: int) -> NDArray[np.float32]:
    """Embeddings of 100 values, of which 20 directions make up most, and one is dead."""
    random = np.random.default_rng(seed)
    mixing = np.random.default_rng(0).normal(size=(20, 100))
    found = np.abs(random.normal(size=(count, 20)) @ mixing + random.normal(0, 0.3, (count, 100)) + 4)
    found[:, 7] = 0
    return found.astype(np.float32)


def test_false_alarms_are_as_stated() -> None:
    found = fit_familiar(embeddings(1, 4000), embeddings(2, 2000))
    assert (found.unlikeness(embeddings(3, 4000)) > 1).mean() == pytest.approx(0.05, abs=0.015)
    strange = np.abs(np.random.default_rng(4).normal(size=(200, 100)))
    assert (found.unlikeness(strange) > 1).all()


def test_a_card_holds_it_in_little_room() -> None:
    found = fit_familiar(embeddings(1, 2000), embeddings(2, 500))
    text = found.model_dump_json()
    assert len(text) < 25_000
    again = Familiar.model_validate_json(text)
    some = embeddings(5, 50)
    np.testing.assert_array_equal(again.unlikeness(some), found.unlikeness(some))


def test_an_unreadable_picture_has_none() -> None:
    found = fit_familiar(embeddings(1, 1000), embeddings(2, 100))
    told = found.unlikeness(np.full((1, 100), np.nan, np.float32))
    assert np.isnan(told[0])
    assert told.dtype == np.float32


def test_too_few_to_tell() -> None:
    with pytest.raises(DataError, match="640 training pictures and 20 held back at least, received 30 and 5"):
        fit_familiar(embeddings(1, 30), embeddings(2, 5))
