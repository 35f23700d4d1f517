"""Ids that two files write in different ways."""

import pytest

from peculiar.errors import LabelError
from peculiar.sources.joins import WAYS, join_ids

AS_THEY_ARE, TRIMMED, FOLDERS, NAMES = WAYS


@pytest.mark.parametrize(
    ("ids", "others", "way"),
    [
        (["100008", "100023"], ["100008", "100023"], AS_THEY_ARE),
        (["100008.jpg", "100023.jpg"], ["100008", "100023"], FOLDERS),
        (["100008", "100023"], ["images/100008.jpg", "images/100023.jpg"], NAMES),
        (["A/1.jpg", "B/1.jpg"], ["train/A/1", "train/B/1"], FOLDERS),
        (["B\\x.PNG", "B\\y.PNG"], ["x", "y"], NAMES),
        (["b'J12'", "b'J13'"], ["j12", "J13 "], TRIMMED),
        (["7.0", "8.0"], ["7", "8"], TRIMMED),
        (["x.fits.gz", "y.fits.fz"], ["x", "y"], FOLDERS),
    ],
)
def test_ids_are_joined(ids: list[str], others: list[str], way: str) -> None:
    for mine, its in ((ids, others), (others, ids)):
        found = join_ids(mine, its)
        assert (found.partners, found.way) == (dict(zip(mine, its, strict=True)), way)


def test_the_way_that_joins_more_is_taken_and_the_strictest_of_equals() -> None:
    found = join_ids(["1.jpg", "2.jpg", "3.jpg"], ["1.jpg", "2", "3"])
    assert found.partners == {"1.jpg": "1.jpg", "2.jpg": "2", "3.jpg": "3"}
    assert join_ids(["a", "b.jpg"], ["a", "c"]).way == AS_THEY_ARE
    assert join_ids(["a"], ["b"]).partners == {}
    assert join_ids([], ["b"]).partners == {}


def test_a_decimal_point_is_no_suffix() -> None:
    assert join_ids(["J1.5", "J1.6"], ["J1", "J2"]).partners == {}


@pytest.mark.parametrize(
    ("ids", "others"),
    [(["A/1.jpg", "B/1.jpg"], ["1"]), (["1"], ["1.jpg", "1.png"]), (["X"], ["x", "x "])],
)
def test_ids_that_may_be_either_are_refused(ids: list[str], others: list[str]) -> None:
    with pytest.raises(LabelError, match=r"labels: no id is the same in both, and .* would be .*not known which"):
        join_ids(ids, others, "labels")
    # Where some are the same as they are, these alone are joined.
    assert join_ids([*ids, "same"], [*others, "same"]).partners == {"same": "same"}
