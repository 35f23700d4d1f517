"""What a model file remembers of the galaxies that it was trained on."""

import numpy as np
import pytest

from peculiar.errors import ModelError
from peculiar.models.model_file import load_model
from peculiar.models.seen import SEEN, Seen, pack_ids


@pytest.mark.parametrize(
    "written",
    ["100008", "100008.jpg", "images/100008.JPG", "C:\\data\\100008.png", "b'100008'", " 100008 ", "100008.0"],
)
def test_ids_are_found_as_they_are_written_elsewhere(written: str) -> None:
    for trained in ("100008", "train/100008.jpg", "100008.fits.gz"):
        seen = Seen((pack_ids([trained, "100023"]),))
        assert seen.among([written, "100038", "00008"]).tolist() == [True, False, False]


def test_files_of_one_name_in_several_folders_are_told_apart() -> None:
    trained = Seen((pack_ids(["Normal/1.jpg", "Ringed/2.jpg", "Merger/1.jpg"]),))
    assert trained.among(["Normal/1.jpg", "Ringed/1.jpg", "Ringed/2.jpg"]).tolist() == [True, False, True]
    # One name in two folders: it is not known which of them was trained on.
    trained = Seen((pack_ids(["1.jpg"]),))
    assert trained.among(["Normal/1.jpg", "Ringed/1.jpg"]).tolist() == [False, False]
    assert trained.among(["Normal/1.jpg", "Normal/1.jpg"]).tolist() == [True, True]


def test_a_model_that_goes_on_from_another_has_seen_what_both_have() -> None:
    seen = Seen((pack_ids(["a", "b"]), pack_ids(["c"])))
    assert seen.among(["a", "b", "c", "d"]).tolist() == [True, True, True, False]
    assert not Seen()
    assert seen


def test_few_others_are_taken_for_them() -> None:
    seen = Seen((pack_ids(f"sdss-{number}" for number in range(20_000)),))
    assert len(seen.packs[0]) < 110_000
    assert np.count_nonzero(seen.among([f"decals-{number}" for number in range(20_000)])) <= 3
    assert seen.among([f"sdss-{number}.jpg" for number in range(20_000)]).all()


@pytest.mark.parametrize("pack", ["", "name:x", "id:AAA", "other:AAAA", "name:AAA="])
def test_damaged_notes_are_told(pack: str) -> None:
    with pytest.raises(ModelError, match="damaged"):
        Seen((pack,)).among(["a"])


def test_the_model_that_ships_knows_what_it_was_trained_on() -> None:
    seen = Seen(tuple(load_model().card.training[SEEN]))
    ids = ["sdss-588297865264889984", "decals-J001240.06-000210.4.jpg", "sdss-588017705088319588", "galaxydata-1"]
    assert seen.among(ids).tolist() == [True, True, False, False]
