"""The model file: what it answers, and what is said of files that are none."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

from peculiar.errors import ModelError, NotFoundError, UnknownNameError, UsageError
from peculiar.image import Framing
from peculiar.model import METADATA_KEY, load_model, shipped_model


@pytest.fixture
def pictures() -> NDArray[np.uint8]:
    return np.random.default_rng(222).integers(0, 256, (5, 32, 32, 3), dtype=np.uint8)


def test_probabilities_of_every_question_sum_to_one(tiny_model: Path, pictures: NDArray[np.uint8]) -> None:
    answers = load_model(tiny_model).classify(pictures)
    assert {name: values.shape for name, values in answers.probabilities.items()} == {
        "four_class": (5, 4),
        "clean5": (5, 5),
        "odd": (5, 2),
    }
    assert answers.embedding.shape == (5, 96)
    for values in answers.probabilities.values():
        assert values.dtype == np.float32
        np.testing.assert_allclose(values.sum(axis=1), 1, atol=1e-5)


def test_the_number_of_pictures_changes_no_answer(tiny_model: Path, pictures: NDArray[np.uint8]) -> None:
    model = load_model(tiny_model, threads=1)
    together = model.classify(pictures).probabilities["clean5"]
    alone = np.concatenate([model.classify(pictures[row : row + 1]).probabilities["clean5"] for row in range(5)])
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_four_views_do_not_see_quarter_turns(tiny_model: Path, pictures: NDArray[np.uint8]) -> None:
    model = load_model(tiny_model)
    straight = model.classify(pictures, views=4)
    turned = model.classify(np.ascontiguousarray(np.rot90(pictures, 1, (1, 2))), views=4)
    np.testing.assert_allclose(straight.probabilities["odd"], turned.probabilities["odd"], atol=1e-5)
    np.testing.assert_allclose(straight.embedding, turned.embedding, atol=1e-4)


def test_eight_views_do_not_see_mirrors_either(tiny_model: Path, pictures: NDArray[np.uint8]) -> None:
    model = load_model(tiny_model)
    straight = model.classify(pictures, views=8).probabilities["four_class"]
    mirrored = model.classify(np.ascontiguousarray(pictures[:, ::-1]), views=8).probabilities["four_class"]
    np.testing.assert_allclose(straight, mirrored, atol=1e-5)


def test_one_question_is_chosen_by_name_by_labels_or_is_the_first(tiny_model: Path) -> None:
    model = load_model(tiny_model)
    assert model.asking().question.name == "four_class"
    assert model.asking("clean5").question.name == "clean5"
    assert model.asking(labels="gz2_argmax").question.name == "odd"
    assert model.asking(labels="redshift").question.name == "four_class"
    with pytest.raises(UnknownNameError, match="no question 'clean'"):
        model.asking("clean")


def test_the_card_tells_all(tiny_model: Path) -> None:
    card = load_model(tiny_model).card
    assert card.name == "tiny"
    assert len(card.digest) == 64
    assert card.framing == Framing(32, crop="galaxy")
    assert card.training["recipe"]["width"] == 8
    assert card.training["counts"]["training"] > 0
    assert card.credits == ("Galaxy Zoo 2: Willett et al. 2013",)
    assert card.licence == "CC-BY-4.0"
    assert card.scores["validation"]["clean5"]["galaxies"] > 0


@pytest.mark.parametrize(
    "wrong", [np.zeros((2, 16, 16, 3), np.uint8), np.zeros((32, 32, 3), np.uint8), np.zeros((1, 32, 32, 3), np.float32)]
)
def test_pictures_of_another_kind_are_refused(tiny_model: Path, wrong: NDArray[np.uint8]) -> None:
    with pytest.raises(UsageError, match=r"uint8 \(n, 32, 32, 3\), received"):
        load_model(tiny_model).classify(wrong)


@pytest.mark.parametrize("views", [0, 9])
def test_views_out_of_range(tiny_model: Path, pictures: NDArray[np.uint8], views: int) -> None:
    with pytest.raises(UsageError, match="views has to be between 1 and 8"):
        load_model(tiny_model).classify(pictures, views=views)


def changed(model: Path, change: Callable[[onnx.ModelProto, dict[str, str]], None]) -> Path:
    graph = onnx.load(model)
    notes = {entry.key: entry.value for entry in graph.metadata_props}
    change(graph, notes)
    helper.set_model_props(graph, notes)
    path = Path("changed.onnx")
    onnx.save(graph, path)
    return path


def test_a_missing_file_a_folder_and_garbage(tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="there is no model at"):
        load_model("nothing.onnx")
    with pytest.raises(ModelError, match="is a folder"):
        load_model(tmp_path)
    for content in (b"", b"no model", tiny_model.read_bytes()[:1000], tiny_model.read_bytes()[:-50_000]):
        Path("bad.onnx").write_bytes(content)
        with pytest.raises(ModelError, match=r"bad\.onnx (is not a model file|was not written|is damaged)"):
            load_model("bad.onnx")


def test_the_model_of_another_program() -> None:
    node = helper.make_node("Identity", ["x"], ["y"])
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy"]
    graph = helper.make_graph([node], "g", value[:1], value[1:])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), "other.onnx")
    with pytest.raises(ModelError, match="was not written by `peculiar export`"):
        load_model("other.onnx")


def test_a_later_format(tiny_model: Path) -> None:
    def later(_: onnx.ModelProto, notes: dict[str, str]) -> None:
        notes[METADATA_KEY] = notes[METADATA_KEY].replace('"format":1', '"format":2')

    with pytest.raises(ModelError, match="has format 2, and this version of peculiar reads up to 1"):
        load_model(changed(tiny_model, later))

    def unknown(_: onnx.ModelProto, notes: dict[str, str]) -> None:
        notes[METADATA_KEY] = '{"format": 3, "answers": []}'

    with pytest.raises(ModelError, match="has format 3"):
        load_model(changed(tiny_model, unknown))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"temperatures":{"four_class":', '"temperatures":{"five_class":'),
        ('"questions":[', '"questions":3,"old":['),
        ('{"name":"odd"', '{"name":"even"'),
    ],
)
def test_damaged_metadata(tiny_model: Path, old: str, new: str) -> None:
    def damage(_: onnx.ModelProto, notes: dict[str, str]) -> None:
        assert old in notes[METADATA_KEY]
        notes[METADATA_KEY] = notes[METADATA_KEY].replace(old, new)

    with pytest.raises(ModelError, match="is damaged"):
        load_model(changed(tiny_model, damage))


def test_the_model_that_ships_answers_three_questions() -> None:
    assert shipped_model().stat().st_size < 12e6
    card = load_model().card
    assert [question.name for question in card.questions] == ["four_class", "clean5", "odd"]
    assert card.scores["part"] == "test"
