"""Names of classes that are probably not meant so, in tables that a learner brings."""

import csv
from pathlib import Path

import numpy as np
import pytest

from peculiar.checks.check import check
from peculiar.errors import LabelError, PeculiarWarning
from peculiar.images.decode import encode_picture
from peculiar.images.framing import Framing
from peculiar.questions.question import FOUR_CLASS
from peculiar.questions.spelling import alike, number_meanings, odd_names, one_hot, unknown_names
from peculiar.sources import open_source
from peculiar.sources.dataset import read_dataset
from peculiar.sources.labels import own_question


def table(columns: dict[str, list[object]], count: int = 8) -> Path:
    random = np.random.default_rng(5)
    for number in range(count):
        pixels = random.integers(0, 255, (40, 40, 3), dtype=np.uint8)
        Path(f"{number}.png").write_bytes(encode_picture(pixels))
    with Path("t.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "file", *columns])
        writer.writerows([f"g{n}", f"{n}.png", *(column[n] for column in columns.values())] for n in range(count))
    return Path("t.csv")


def test_spellings_are_put_together() -> None:
    labels = ["Merger", "merger", "Merger ", " spiral  arm", "Spiral Arm", "Other", None, "Merger"]
    assert alike(labels) == [{"Merger": 2, "merger": 1, "Merger ": 1}, {" spiral  arm": 1, "Spiral Arm": 1}]
    assert alike(["a", "b", "A b"]) == []
    assert alike(["a", "  "]) == [{"  ": 1}]


def test_words_for_not_known_are_told_wherever_labels_are_read() -> None:
    entries = ["ring", "?", "disc", "Unknown", "ring", "disc", "?", None]
    assert unknown_names(entries) == {"?": 2, "Unknown": 1}
    assert unknown_names(entries, ["ring", "disc", "?"]) == {"Unknown": 1}
    assert unknown_names(["nothing", "other", "unsure", "none"]) == {}
    path = table({"kind": entries})
    with pytest.warns(PeculiarWarning, match=r"'\?' \(2\), 'Unknown' \(1\): a class like any other, .* leave such"):
        read_dataset(open_source(path, label="kind"), Framing(16))
    (found,) = check(path, label="kind").of("label spelling")
    assert found.rows == (1, 3, 6)
    assert "stands for 'not known'" in found.text


CAPITALS = ["Merger", "merger", "Normal", "Merger ", "Normal", "normal", "Merger", "Normal"]


def test_spellings_of_one_class_are_told_wherever_labels_are_read() -> None:
    path = table({"four_class": CAPITALS})
    with pytest.warns(PeculiarWarning) as caught:
        read_dataset(open_source(path), Framing(16))
    told = [str(one.message) for one in caught]
    assert told == [
        "t.csv: labels that differ only in case or blanks are separate classes: "
        "'Normal' (3), 'normal' (1): probably one class; "
        "'Merger' (2), 'merger' (1), 'Merger ' (1): probably one class"
    ]
    with pytest.warns(PeculiarWarning, match="labels that differ only in case or blanks"):
        own_question([open_source(path)], "four_class")
    with pytest.raises(LabelError, match=r"did you mean 'Merger'"):
        FOUR_CLASS.check(["Merger "], path)
    found = check(path, label="four_class").of("label spelling")
    assert [one.rows for one in found] == [(2, 4, 5, 7), (0, 1, 3, 6)]
    assert found[1].text == "'Merger' (2), 'merger' (1), 'Merger ' (1): probably one class"


@pytest.mark.parametrize("numbers", [["0", "1", "2", "3"] * 2, ["0.0", "1.0", "2.0", ""] * 2])
def test_class_numbers_of_a_known_question_are_told(numbers: list[object]) -> None:
    path = table({"four_class": numbers})
    meanings = "0 Normal, 1 Ringed, 2 Merger, 3 Other"
    with pytest.warns(PeculiarWarning, match=f"the numbers that the column 'four_class' holds; if .* {meanings}"):
        read_dataset(open_source(path), Framing(16))
    with pytest.raises(LabelError, match=f"if the numbers stand for {meanings}, write these names"):
        FOUR_CLASS.check([str(one) for one in numbers if one], path)


def test_numbers_that_are_no_class_numbers_are_names() -> None:
    assert number_meanings(["0", "7"], FOUR_CLASS.answers) == ""
    assert number_meanings(["0", "x"], FOUR_CLASS.answers) == ""
    assert number_meanings([], FOUR_CLASS.answers) == ""
    assert odd_names(["0", "1"], "mood") == []
    read_dataset(open_source(table({"label": ["0", "1"] * 4})), Framing(16))  # warns of nothing


@pytest.mark.parametrize(("no", "yes"), [("0", "1"), ("0.0", "1.0"), ("False", "True")])
def test_one_hot_columns_are_told(no: str, yes: str) -> None:
    hot = {name: [yes if n % 4 == k else no for n in range(8)] for k, name in enumerate(FOUR_CLASS.answers)}
    with pytest.raises(LabelError, match=r"4 columns hold a 1 .*'Normal', 'Ringed', 'Merger', 'Other'.*idxmax"):
        read_dataset(open_source(table({"z": [*range(8)], **hot})), Framing(16))
    assert one_hot({"a": ["1", "0"], "b": ["1", "0"]}) == ""
    assert one_hot({"a": ["1", "0"]}) == ""
    assert one_hot({"a": ["1", None], "b": ["0", "1"]}) == ""
    assert one_hot({}) == ""
