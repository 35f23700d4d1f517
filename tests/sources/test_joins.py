"""Ids that two files write in different ways."""

import re

import numpy as np
import pytest

from peculiar.errors import DataError, LabelError
from peculiar.sources.joins import WAYS, Ids, join_ids, join_rows, partners_of

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


def rows_of(*batches: list[str | None]) -> Ids:
    """What reads ids in batches."""
    return lambda: iter(batches)


@pytest.mark.parametrize(
    ("ids", "others", "partners", "way"),
    [
        (["a", "b", "c"], ["c", "a"], [1, -1, 0], AS_THEY_ARE),
        (["a", "b", "a"], ["a", "b", "a"], [2, 1, 2], AS_THEY_ARE),
        (["1.jpg", "2.jpg"], ["2", "x", "1"], [2, 0], FOLDERS),
        (["A.jpg", "b.jpg"], ["folder/b.png", "folder/a.png"], [1, 0], NAMES),
        (["7.0", "8.0"], ["7", "8"], [0, 1], TRIMMED),
        (["a", None, ""], ["", "a", None], [1, -1, -1], AS_THEY_ARE),
        (["a"], ["b"], [-1], AS_THEY_ARE),
        ([], ["b"], [], AS_THEY_ARE),
        (["a"], [], [-1], AS_THEY_ARE),
    ],
)
def test_rows_are_joined(ids: list[str | None], others: list[str | None], partners: list[int], way: str) -> None:
    found = join_rows(rows_of(ids[:1], ids[1:]), rows_of(others[:1], others[1:]))
    assert (found.partners.tolist(), found.way, found.rows) == (partners, way, len(others))


def test_rows_are_joined_as_ids_are() -> None:
    random = np.random.default_rng(222)
    for _ in range(50):
        ids, others = (
            list(
                dict.fromkeys(random.choice(["a", "A", "a.jpg", "x/a.jpg", "b", "B.png", "c", "7", "7.0"], 4).tolist())
            )
            for _ in range(2)
        )
        try:
            expected = join_ids(ids, others)
        except LabelError as error:
            with pytest.raises(DataError, match=re.escape(str(error))):
                join_rows(rows_of(ids), rows_of(others))
            continue
        found = join_rows(rows_of(ids), rows_of(others))
        partners = {id_: others[row] for id_, row in zip(ids, found.partners, strict=True) if row >= 0}
        assert partners == expected.partners
        assert found.way == expected.way or not partners


def test_doubled_ids_are_counted() -> None:
    assert join_rows(rows_of(["a"]), rows_of(["a", "b", "a", "a", None, None])).doubled == 2


def test_partners_of_some_wanted_ids() -> None:
    files = ["a/1.png", "a/2.png", "b/3.png"]
    assert partners_of(files, ["2", "9"]) == {"a/2.png": "2"}
    assert partners_of(files, ["a/2.png"]) == {"a/2.png": "a/2.png"}
    assert partners_of(files, []) == {}
    with pytest.raises(LabelError, match="not known which belongs to which"):
        partners_of(["a/1.png", "b/1.png"], ["1"])
