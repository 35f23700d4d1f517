"""Held-out galaxies: which they are, and when a network is better on them than a head."""

import numpy as np
import pytest
from numpy.typing import NDArray

from peculiar.models.embed import Embedded
from peculiar.questions.question import Question
from peculiar.sources.split import PARTS, part_rule, parts_in, split_by_id
from peculiar.training.held_out import compare, find_parts, guessing, head_without, too_few

SHAPE = Question("shape", ("round", "flat"))


def galaxies(labels: NDArray[np.int64]) -> Embedded:
    random = np.random.default_rng(222)
    embeddings = (labels[:, None] * 3 + random.normal(size=(len(labels), 4))).astype(np.float32)
    return Embedded([f"{number}" for number in range(len(labels))], labels, embeddings, {})


def test_a_hash_of_the_ids_holds_out_a_share_and_copies_stay_together() -> None:
    ids = [f"{number}.jpg" for number in range(2000)]
    same = [(f"{number}.jpg", f"{number + 1000}.jpg") for number in range(300)]
    parts = find_parts(ids, same, validation_size=0.2)
    assert set(parts.names) == {"training", "validation"}
    assert 0.17 < len(parts.rows("validation")) / 2000 < 0.23
    by_id = parts.by_id(ids)
    assert all(by_id[one] == by_id[other] for one, other in same)
    assert all(parts.groups[row] == parts.groups[row + 1000] for row in range(300))
    assert len(set(parts.groups)) == 1700
    # The part of a galaxy without copies does not depend on what else there is.
    again = find_parts(ids[300:1000], [], validation_size=0.2).by_id(ids[300:1000])
    assert all(again[id_] == by_id[id_] for id_ in ids[300:1000])


def test_folders_tell_the_parts() -> None:
    ids = ["train/a/1.jpg", "valid/a/2.jpg", "test/a/3.jpg", "a/4.jpg", "train/b/5.jpg"]
    parts = find_parts(ids, [], validation_size=0.2)
    assert parts.names.tolist() == ["training", "validation", "test", "training", "training"]
    assert parts.moved == 0


def test_without_a_folder_to_validate_a_hash_decides_and_the_test_folder_stays_apart() -> None:
    ids = [f"{'test' if number % 4 == 0 else 'train'}/a/{number}.jpg" for number in range(400)]
    parts = find_parts(ids, [], validation_size=0.2)
    assert {part for id_, part in parts.by_id(ids).items() if id_.startswith("test")} == {"test"}
    assert {part for id_, part in parts.by_id(ids).items() if id_.startswith("train")} == {"training", "validation"}


def test_copies_of_training_galaxies_leave_the_other_folders() -> None:
    ids = ["train/a/1.jpg", "valid/a/1.jpg", "valid/a/2.jpg", "test/a/2.jpg", "test/a/3.jpg"]
    same = [("train/a/1.jpg", "valid/a/1.jpg"), ("valid/a/2.jpg", "test/a/2.jpg")]
    parts = find_parts(ids, same, validation_size=0.2)
    assert parts.names.tolist() == ["training", "training", "validation", "validation", "test"]
    assert parts.moved == 2


def test_too_few_galaxies_of_a_class_are_told() -> None:
    labels = np.repeat([0, 1], [60, 6])
    ids = [f"{'valid' if number < 20 or number == 65 else 'train'}/{number}.jpg" for number in range(66)]
    parts = find_parts(ids, [], validation_size=0.2)
    assert too_few(galaxies(labels), parts, SHAPE) == "flat 1 in the validation part, where 2 of a class are needed"
    parts = find_parts(ids, [("train/60.jpg", "train/61.jpg")], validation_size=0.2)
    told = too_few(galaxies(labels), parts, SHAPE)
    assert told.startswith("flat 4 in the training part, where 5 of a class are needed; flat 1")


def test_the_compared_head_knows_nothing_of_the_held_out_galaxies() -> None:
    data = galaxies(np.arange(100) % 2)
    parts = find_parts(
        [f"{'valid' if number < 30 else 'train'}/{number}.jpg" for number in range(100)], [], validation_size=0.2
    )
    head = head_without(data, parts, SHAPE, 222)
    rows = parts.rows("training")
    assert head.scores.count == len(rows) == 70
    changed = Embedded(data.ids, np.where(np.arange(100) < 30, 1 - data.labels, data.labels), data.embeddings, {})
    np.testing.assert_array_equal(head_without(changed, parts, SHAPE, 222).weights, head.weights)


@pytest.mark.parametrize(("mended", "better"), [(55, True), (4, False), (-20, False)])
def test_a_network_is_better_only_by_more_than_chance(mended: int, better: bool) -> None:
    labels = np.random.default_rng(222).integers(0, 2, 200)
    called = np.where(np.arange(200) < 60, 1 - labels, labels)  # the head is wrong for sixty
    other = called.copy()
    rows = np.arange(mended) if mended > 0 else np.arange(100, 100 - mended)
    other[rows] = 1 - other[rows]
    head, network = (np.eye(2)[one] * 0.4 + 0.3 for one in (called, other))
    found = compare(labels, head, network, SHAPE.answers, groups=range(200), seed=222)
    assert found.network_is_better is better
    assert found.network.count == found.head.count == 200
    assert "on the 200 held-out galaxies the fine-tuned network has a log loss of" in found.text


def test_two_pictures_of_one_galaxy_do_not_make_a_gain_more_certain() -> None:
    random = np.random.default_rng(222)
    labels = random.integers(0, 2, 200)
    head, network = random.dirichlet((2, 2), (2, 200))
    once = compare(labels, head, network, SHAPE.answers, groups=range(200), seed=222)
    labels, head, network = (one.repeat(2, axis=0) for one in (labels, head, network))
    twice = compare(labels, head, network, SHAPE.answers, groups=np.arange(200).repeat(2).tolist(), seed=222)
    assert twice.gain_error == pytest.approx(once.gain_error, rel=0.05)


def test_a_network_that_finds_rare_classes_less_often_is_not_better() -> None:
    labels = np.repeat([0, 1], [190, 10])
    head = np.tile([0.55, 0.45], (200, 1))
    head[labels == 1] = [0.4, 0.6]
    network = np.tile([0.99, 0.01], (200, 1))
    found = compare(labels, head, network, SHAPE.answers, groups=range(200), seed=222)
    assert found.gain > 2 * found.gain_error
    assert not found.network_is_better


def test_guessing_knows_how_frequent_classes_are() -> None:
    found = guessing(np.repeat([0, 1], [75, 25]), 3)
    assert found["log_loss"] == pytest.approx(-(0.75 * np.log(0.75) + 0.25 * np.log(0.25)))
    assert found["balanced_accuracy"] == 0.5


@pytest.mark.parametrize(
    "folders", ["other", "train", "test", "train test", "train valid", "test valid", "train valid test"]
)
def test_scoring_and_calibration_know_the_parts_of_training(folders: str) -> None:
    ids = [f"{folder}/{number}.png" for folder in folders.split() for number in range(60)]
    told, sizes = parts_in(ids), {"validation_size": 0.2, "test_size": 0.3}
    by_hash = split_by_id(ids, **sizes)
    trained = (
        find_parts(ids, [], validation_size=0.2).by_id(ids)
        if told
        else {ids[row]: part for part in PARTS for row in getattr(by_hash, part)}
    )
    part_in = part_rule(told, **sizes)
    assert {id_: part_in(id_) for id_ in ids} == trained
