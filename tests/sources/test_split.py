"""The split: the exercise's own, index for index; stratified, reproducible, and clear about what cannot be split."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split

from peculiar.errors import LabelError, UsageError
from peculiar.sources.split import Split, data_digest, part_of, split, split_by_id

EXERCISE: dict[str, Any] = {"test_size": 0.20, "shuffle": True, "random_state": 222}


def one_hot(numbers: NDArray[Any], classes: int = 4) -> NDArray[np.float32]:
    return np.eye(classes, dtype=np.float32)[numbers]


@pytest.mark.parametrize("count", [20, 57, 200])
def test_same_as_the_exercise_on_fake_labels(count: int) -> None:
    rng = np.random.default_rng(count)
    labels = one_hot(np.concatenate([np.repeat(np.arange(4), 2), rng.integers(0, 4, count)]))
    data = np.arange(len(labels))
    training, validation, *_ = train_test_split(data, labels, stratify=labels, **EXERCISE)

    parts = split(labels)

    np.testing.assert_array_equal(parts.training, training)
    np.testing.assert_array_equal(parts.validation, validation)


def test_same_as_the_exercise_on_the_real_galaxies(real_data: Path) -> None:
    with np.load(real_data / "galaxydata.npz") as file:
        data, labels = file["data"], file["labels"]
    x_train, x_valid, y_train, y_valid = train_test_split(data, labels, stratify=labels, **EXERCISE)

    parts = split(labels)

    assert len(parts.training) == 1120
    assert len(parts.validation) == 280
    for expected, found in (
        (x_train, data[parts.training]),
        (x_valid, data[parts.validation]),
        (y_train, labels[parts.training]),
        (y_valid, labels[parts.validation]),
    ):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("classes", [2, 4, 5, 12])
@pytest.mark.parametrize("kind", [np.float32, np.int64, bool])
def test_class_numbers_give_the_same_split_as_one_hot(classes: int, kind: type) -> None:
    numbers = np.random.default_rng(classes).permutation(np.repeat(np.arange(classes), 9))

    by_number, by_row = split(numbers), split(one_hot(numbers, classes).astype(kind))

    np.testing.assert_array_equal(by_number.training, by_row.training)
    np.testing.assert_array_equal(by_number.validation, by_row.validation)


@settings(max_examples=100, deadline=None)
@given(
    counts=st.lists(st.integers(2, 40), min_size=1, max_size=7),
    absent=st.integers(0, 2),
    size=st.floats(0.05, 0.95),
    seed=st.integers(0, 2**32 - 1),
)
def test_same_as_scikit_learns_whatever_is_split(counts: list[int], absent: int, size: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    # Classes in the middle that no galaxy is of.
    numbers = rng.permutation(np.repeat(np.arange(len(counts)) + absent * (np.arange(len(counts)) > 0), counts))
    labels = one_hot(numbers, len(counts) + absent)
    try:
        expected = train_test_split(np.arange(len(labels)), stratify=labels, test_size=size, random_state=seed)
    except ValueError:
        with pytest.raises(LabelError, match="too few to hold back"):
            split(labels, validation_size=size, seed=seed)
        return
    parts = split(labels, validation_size=size, seed=seed)
    np.testing.assert_array_equal(parts.training, expected[0])
    np.testing.assert_array_equal(parts.validation, expected[1])


def test_lists_are_labels_too() -> None:
    numbers = [0, 1] * 10
    np.testing.assert_array_equal(split(numbers).training, split(np.array(numbers)).training)


@pytest.mark.parametrize("missing", [0, 2, 3])
def test_a_class_without_a_galaxy_changes_nothing(missing: int) -> None:
    present = [number for number in range(4) if number != missing]
    numbers = np.random.default_rng(1).permutation(np.repeat(present, 10))

    parts = split(numbers, answers=("Normal", "Ringed", "Merger", "Other"))

    np.testing.assert_array_equal(parts.training, split(one_hot(numbers)).training)
    assert np.bincount(numbers[parts.validation], minlength=4).tolist() == [0 if n == missing else 2 for n in range(4)]


def test_seeds_matter_and_are_repeatable() -> None:
    numbers = np.repeat(np.arange(4), 20)
    np.testing.assert_array_equal(split(numbers, seed=5).training, split(numbers, seed=5).training)
    assert not np.array_equal(split(numbers, seed=5).training, split(numbers, seed=6).training)
    np.testing.assert_array_equal(split(numbers).training, split(numbers, seed=222).training)


@settings(max_examples=60, deadline=None)
@given(
    counts=st.lists(st.integers(8, 60), min_size=2, max_size=6),
    size=st.floats(0.15, 0.85),
    seed=st.integers(0, 2**32 - 1),
)
def test_parts_are_disjoint_complete_and_in_proportion(counts: list[int], size: float, seed: int) -> None:
    numbers = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))

    parts = split(numbers, validation_size=size, seed=seed)

    assert sorted([*parts.training, *parts.validation]) == list(range(len(numbers)))
    assert abs(len(parts.validation) - size * len(numbers)) <= 1
    share = len(parts.validation) / len(numbers)
    held_back = np.bincount(numbers[parts.validation], minlength=len(counts))
    assert (abs(held_back - share * np.array(counts)) < 1 + 1e-9).all()


def ids_of(count: int) -> list[str]:
    return [f"galaxy-{row}" for row in range(count)]


def test_digest_ignores_the_order_within_a_part() -> None:
    ids = ids_of(10)
    rows = np.arange(10)
    assert Split(rows[:7], rows[7:]).digest(ids) == Split(rows[6::-1], rows[:6:-1]).digest(ids)


def test_digest_ignores_the_order_of_the_rows() -> None:
    ids = ids_of(10)
    turned = Split(np.arange(3, 10), np.arange(3))
    assert turned.digest(ids[::-1]) == Split(np.arange(7), np.arange(7, 10)).digest(ids)


def test_digest_changes_if_one_galaxy_changes_sides() -> None:
    ids, rows = ids_of(10), np.arange(10)
    digests = {
        Split(rows[:7], rows[7:]).digest(ids),
        Split(rows[:8], rows[8:]).digest(ids),
        Split(rows[7:], rows[:7]).digest(ids),
        Split(rows[:7], rows[7:]).digest([*ids[:9], "another"]),
    }
    assert len(digests) == 4
    assert all(len(digest) == 64 and set(digest) <= set("0123456789abcdef") for digest in digests)


def test_digest_tells_where_an_id_ends() -> None:
    rows = np.arange(3)
    assert Split(rows[:2], rows[2:]).digest(["a", "bc", "d"]) != Split(rows[:2], rows[2:]).digest(["ab", "c", "d"])


def test_data_digest_sees_every_change(fake_pictures: NDArray[np.uint8]) -> None:
    pictures, labels, ids = fake_pictures[:3], np.array([0, 1, 2]), ids_of(3)
    changed = pictures.copy()
    changed[2, 127, 127, 2] ^= 1
    digests = [
        data_digest(ids, labels, pictures),
        data_digest(ids[::-1], labels, pictures),
        data_digest(ids, labels[::-1], pictures),
        data_digest(ids, labels, changed),
    ]
    assert len(set(digests)) == 4


def test_data_digest_depends_on_values_alone(fake_pictures: NDArray[np.uint8]) -> None:
    pictures, labels = fake_pictures[:3], np.array([0, 1, 2])
    scattered = np.asfortranarray(pictures)
    assert data_digest(iter(ids_of(3)), labels.astype(np.int32), scattered) == data_digest(ids_of(3), labels, pictures)


@pytest.mark.parametrize("size", [0, 1, -0.2, 1.5, float("nan")])
def test_share_out_of_range(size: float) -> None:
    with pytest.raises(UsageError, match=rf"between 0 and 1, received {size}"):
        split([0, 1] * 10, validation_size=size)


def test_a_class_with_a_single_galaxy_is_named() -> None:
    numbers = [*[0] * 9, 1, *[2] * 9, 3]
    with pytest.raises(LabelError, match=r"^Ringed, Other: one galaxy only.*add another.*or leave it out"):
        split(numbers, answers=("Normal", "Ringed", "Merger", "Other"))
    with pytest.raises(LabelError, match=r"^class 1, class 3: one galaxy only"):
        split(numbers)


@pytest.mark.parametrize(
    ("numbers", "size", "message"),
    [
        ([0, 0, 1, 1, 2, 2], 0.2, r"6 galaxies of 3 classes are too few to hold back 20%"),
        ([0] * 4 + [1] * 4 + [2] * 4, 0.9, r"12 galaxies of 3 classes are too few to hold back 90%"),
        ([], 0.2, r"0 galaxies of 0 classes are too few"),
    ],
)
def test_too_few_galaxies(numbers: list[int], size: float, message: str) -> None:
    with pytest.raises(LabelError, match=message):
        split(numbers, validation_size=size)


@pytest.mark.parametrize(
    "labels",
    [
        [0, 1, -1, 0, 1],
        [0.0, 1.0, 0.0, 1.0],
        ["Normal", "Ringed"],
        [[1, 0], [1, 1], [0, 1]],
        [[0.5, 0.5], [1, 0]],
        [[0, 2], [2, 0]],
        [["a", "b"]],
        np.zeros((2, 2, 2)),
        3,
    ],
)
def test_labels_that_are_neither_one_hot_nor_numbers(labels: Any) -> None:
    with pytest.raises(LabelError, match=r"have to be one-hot.*or class numbers.*received .* of the shape \("):
        split(labels)


IDS = [f"galaxy-{number}" for number in range(2000)]


def test_a_split_by_id_has_the_shares_asked_for() -> None:
    parts = split_by_id(IDS, validation_size=0.1, test_size=0.15)
    assert len(parts.test) / 2000 == pytest.approx(0.15, abs=0.03)
    assert len(parts.validation) / 2000 == pytest.approx(0.1, abs=0.03)
    assert sorted([*parts.training, *parts.validation, *parts.test]) == list(range(2000))


def test_a_galaxy_s_part_follows_from_its_id_alone() -> None:
    whole, half = split_by_id(IDS), split_by_id(IDS[1000:])
    assert {IDS[1000 + row] for row in half.test} == {IDS[row] for row in whole.test if row >= 1000}
    for row in whole.test[:20]:
        assert part_of(IDS[row], validation_size=0.1, test_size=0.15) == "test"
    for row in whole.validation[:20]:
        assert part_of(IDS[row], validation_size=0.1, test_size=0.15) == "validation"


def test_the_same_id_and_known_duplicates_are_on_one_side() -> None:
    ids = [*IDS, *IDS]
    same = [(first, first + 1) for first in range(0, 1000, 5)] + [(1, 2)]
    parts = split_by_id(ids, same)
    side = np.empty(4000, dtype=int)
    for number, rows in enumerate((parts.training, parts.validation, parts.test)):
        side[rows] = number
    assert (side[:2000] == side[2000:]).all()
    assert all(side[first] == side[second] for first, second in same)
    # Enough pairs that some would be torn apart otherwise.
    apart = split_by_id(ids)
    assert any((first in apart.test) != (first + 1 in apart.test) for first in range(0, 1000, 5))


def test_the_digest_sees_the_test_part() -> None:
    ids = ["a", "b", "c"]
    one, two = np.array([0]), np.array([1])
    assert Split(one, two).digest(ids) != Split(one, two, np.array([2])).digest(ids)
