"""Pictures in memory as a source."""

import numpy as np
import pytest

from peculiar.errors import UsageError
from peculiar.sources import as_source, open_pictures
from peculiar.sources.memory import MemorySource


def test_the_fingerprint_is_of_pixels_and_ids() -> None:
    pictures = np.zeros((3, 8, 8, 3), np.uint8)
    source = MemorySource(pictures)
    before = source.fingerprint(0, 2)
    assert MemorySource(pictures.copy()).fingerprint(0, 2) == before
    assert MemorySource(pictures, ["a", "b", "c"]).fingerprint(0, 2) != before
    changed = pictures.copy()
    changed[2, 0, 0, 0] = 1
    assert MemorySource(changed).fingerprint(0, 2) == before
    assert MemorySource(changed).fingerprint(0, 3) != source.fingerprint(0, 3)
    assert list(source.files()) == []


def test_every_picture_has_an_id() -> None:
    with pytest.raises(UsageError, match="as many ids as pictures are needed, received 2 and 3"):
        MemorySource(np.zeros((3, 8, 8, 3), np.uint8), ["a", "b"])


def test_options_of_files_are_refused() -> None:
    pictures = np.zeros((3, 8, 8, 3), np.uint8)
    with pytest.raises(UsageError, match="bands: only for data that are given by their path"):
        as_source(pictures, bands="i,r,g", id=None)
    with pytest.raises(UsageError, match="bands: only for data that are given by their path"):
        as_source(MemorySource(pictures), bands="i,r,g")
    with pytest.raises(UsageError, match="positions are for mosaics that are given by their paths"):
        open_pictures(pictures, "positions.csv")
