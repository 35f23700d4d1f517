"""The model file: what it answers, and what is said of files that are none."""

import json
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pyarrow as pa
import pyarrow.parquet
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from peculiar.catalogs import predict as catalogs
from peculiar.errors import ModelError, NotFoundError, UnknownNameError, UsageError
from peculiar.images.framing import Framing, frame_pixels
from peculiar.metrics.calibration import Scaling
from peculiar.models.card import seal
from peculiar.models.container import join_card, split_card
from peculiar.models.model_file import Model, load_model, shipped_model, write_model
from peculiar.models.novelty import fit_novelty
from peculiar.models.predict import predict
from peculiar.sources import open_source
from pictures import draw_galaxy


@pytest.fixture
def pictures() -> NDArray[np.uint8]:
    return np.random.default_rng(222).integers(0, 256, (5, 32, 32, 3), dtype=np.uint8)


def test_probabilities_of_every_question_sum_to_one(tiny_model: Path, pictures: NDArray[np.uint8]) -> None:
    answers = load_model(tiny_model).classify(pictures, framed=True)
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
    together = model.classify(pictures, framed=True).probabilities["clean5"]
    alone = [model.classify(pictures[row : row + 1], framed=True).probabilities["clean5"] for row in range(5)]
    np.testing.assert_allclose(together, np.concatenate(alone), atol=1e-5)


def test_four_views_do_not_see_quarter_turns(tiny_model: Path, pictures: NDArray[np.uint8]) -> None:
    model = load_model(tiny_model)
    straight = model.classify(pictures, views=4, framed=True)
    turned = model.classify(np.ascontiguousarray(np.rot90(pictures, 1, (1, 2))), views=4, framed=True)
    np.testing.assert_allclose(straight.probabilities["odd"], turned.probabilities["odd"], atol=1e-5)
    np.testing.assert_allclose(straight.embedding, turned.embedding, atol=1e-4)


def test_eight_views_do_not_see_mirrors_either(tiny_model: Path, pictures: NDArray[np.uint8]) -> None:
    model = load_model(tiny_model)
    straight = model.classify(pictures, views=8, framed=True).probabilities["four_class"]
    mirrored = model.classify(np.ascontiguousarray(pictures[:, ::-1]), views=8, framed=True).probabilities["four_class"]
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
def test_framed_pictures_of_another_kind_are_refused(tiny_model: Path, wrong: NDArray[np.uint8]) -> None:
    with pytest.raises(UsageError, match=r"uint8 \(n, 32, 32, 3\), received"):
        load_model(tiny_model).classify(wrong, framed=True)


DRAWN = [draw_galaxy(size, size / 9, 0.45 * size, 0.5 * size, seed=size) for size in (32, 48, 80)]


@pytest.mark.parametrize(
    ("given", "seen"),
    [
        (np.stack([DRAWN[0]] * 2), [0, 0]),
        (DRAWN[2], [2]),
        (DRAWN, [0, 1, 2]),
        (tuple(DRAWN[:2]), [0, 1]),
        ((one for one in DRAWN), [0, 1, 2]),
        ([Image.fromarray(one) for one in DRAWN], [0, 1, 2]),
        (Image.fromarray(DRAWN[1]), [1]),
        ([Image.fromarray(DRAWN[0][..., 0]), Image.fromarray(DRAWN[1]).convert("RGBA")], [0, 1]),
        (DRAWN[1] / 255, [1]),
        ([DRAWN[2].astype(np.float32) / 255, DRAWN[0]], [2, 0]),
        (np.stack([DRAWN[1]]).astype(np.float16) / np.float16(255), [1]),
        (np.asfortranarray(DRAWN[1]), [1]),
        ([], []),
        (np.empty((0, 40, 40, 3), np.uint8), []),
    ],
)
def test_pictures_are_framed_as_the_model_wants_them(tiny_model: Path, given: Any, seen: list[int]) -> None:
    model = load_model(tiny_model)
    framed = [frame_pixels(DRAWN[row], model.framing) for row in seen]
    expected = model.classify(np.stack(framed), framed=True) if framed else model.classify([])
    found = model.classify(given)
    for name, values in expected.probabilities.items():
        assert values.shape == (len(seen), len(next(one for one in model.card.questions if one.name == name).answers))
        np.testing.assert_allclose(found.probabilities[name], values, atol=1e-6)
    np.testing.assert_allclose(found.embedding, expected.embedding, atol=1e-5)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (np.zeros((2, 40, 40), np.uint8), r"shape \(2, 40, 40\)"),
        (np.zeros((40, 40), np.uint8), r"shape \(40, 40\)"),
        (np.zeros((2, 3, 40, 40), np.uint8), r"picture 0 has the shape \(3, 40, 40\).*colours come last"),
        (np.zeros((40, 40, 4), np.uint8), r"shape \(40, 40, 4\)"),
        (np.zeros((0, 40, 3), np.uint8), r"shape \(0, 40, 3\)"),
        (np.full((40, 40, 3), 200, np.int64), "int64 from 200 to 200"),
        (np.full((40, 40, 3), 4000, np.uint16), "uint16 from 4000 to 4000"),
        (np.full((40, 40, 3), 200.0), "float64 from 200.0 to 200.0"),
        (np.full((40, 40, 3), np.nan), "float64 from nan"),
        (np.full((40, 40, 3), -0.1), "float64 from -0.1"),
        ([DRAWN[0], None], "picture 1 is None: one that could not be read is left out"),
        ([DRAWN[0], "galaxy.jpg"], "picture 1 is str"),
        ("galaxy.jpg", "str is not a picture"),
        (Path("galaxy.jpg"), "is not a picture"),
        (3, "int is not a picture"),
        (None, "NoneType is not a picture"),
        (Image.fromarray(np.zeros((9, 9), np.int32), "I"), "the picture cannot be read: .*without a known scale"),
        ([[[1, 2, 3]]], "picture 0 is list"),
    ],
)
def test_what_is_no_picture_is_refused_in_words(tiny_model: Path, wrong: Any, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        load_model(tiny_model).classify(wrong)
    with pytest.raises(UsageError, match=says):
        load_model(tiny_model).asking("odd").probabilities(wrong)


@pytest.mark.parametrize("views", [0, 9])
def test_views_out_of_range(tiny_model: Path, pictures: NDArray[np.uint8], views: int) -> None:
    with pytest.raises(UsageError, match="views has to be between 1 and 8"):
        load_model(tiny_model).classify(pictures, views=views)


def changed(model: Path, change: Callable[[str], str]) -> Path:
    """A copy of a model file with another card, whatever its digest."""
    graph, card = split_card(model.read_bytes())
    path = Path("changed.onnx")
    path.write_bytes(join_card(graph, change(card or "")))
    return path


def test_a_missing_file_a_folder_and_garbage(tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="there is no model at"):
        load_model("nothing.onnx")
    with pytest.raises(ModelError, match=r"is a folder without model\.onnx; `peculiar export"):
        load_model(tmp_path)
    for content in (b"", b"no model", tiny_model.read_bytes()[:1000], tiny_model.read_bytes()[:-50_000]):
        Path("bad.onnx").write_bytes(content)
        with pytest.raises(ModelError, match=r"bad\.onnx (is not a model file|was not written|is damaged)"):
            load_model("bad.onnx")


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("c.parquet", b"PAR1 cut short", "a table"),
        ("c.parquet", b"\0\0\0\0 damaged", r"a damaged table, going by its suffix \.parquet"),
        ("c.fits", b"\0\0\0\0 damaged", r"a damaged table, going by its suffix \.fits"),
        ("c.csv", b"id,p_odd\n1,0.5\n", "a table"),
        ("notes.txt", b"id,p_odd\n1,0.5\n", "text"),
        ("m.onnx", b"no model", "text"),
        ("m.onnx", b"", "an empty file"),
        ("c.parquet", b"", "an empty file"),
    ],
)
def test_another_kind_of_file_is_called_by_its_kind(name: str, content: bytes, kind: str) -> None:
    Path(name).write_bytes(content)
    with pytest.raises(ModelError, match=rf"{re.escape(name)} is not a model file, but {kind}.*; give an \.onnx file"):
        load_model(name)


def test_the_folder_of_a_run_stands_for_its_model_file(tiny_model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    shutil.copy(tiny_model, folder / "model.onnx")
    assert load_model(folder).card.digest == load_model(tiny_model).card.digest


def test_the_model_of_another_program() -> None:
    node = helper.make_node("Identity", ["x"], ["y"])
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy"]
    graph = helper.make_graph([node], "g", value[:1], value[1:])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), "other.onnx")
    with pytest.raises(ModelError, match="was not written by `peculiar export`"):
        load_model("other.onnx")


def test_a_later_format(tiny_model: Path) -> None:
    with pytest.raises(ModelError, match="has format 2, and this version of peculiar reads up to 1"):
        load_model(changed(tiny_model, lambda card: card.replace('"format":1', '"format":2')))
    with pytest.raises(ModelError, match="has format 3"):
        load_model(changed(tiny_model, lambda _: '{"format": 3, "answers": []}'))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"temperatures":{"four_class":', '"temperatures":{"five_class":'),
        ('"questions":[', '"questions":3,"old":['),
        ('{"name":"odd"', '{"name":"even"'),
    ],
)
def test_damaged_metadata(tiny_model: Path, old: str, new: str) -> None:
    def damage(card: str) -> str:
        assert old in card
        return card.replace(old, new)

    with pytest.raises(ModelError, match="is damaged"):
        load_model(changed(tiny_model, damage))


@pytest.mark.parametrize("shipped", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_flipped_bit_is_found_or_changes_no_answer(
    tiny_model: Path, pictures: NDArray[np.uint8], shipped: bool
) -> None:
    original = shipped_model() if shipped else tiny_model
    content, model = bytearray(original.read_bytes()), load_model(original)
    shown = pictures.repeat(4, axis=1).repeat(4, axis=2) if shipped else pictures
    expected = model.classify(shown[:2], views=1, framed=True)
    random = np.random.default_rng(222)
    # Some anywhere, and some among the first and last bytes, which hold the structure and the card.
    places = [*random.integers(0, len(content), 12), *range(0, 30, 4), *(len(content) - random.integers(1, 3000, 12))]
    found = 0
    for place in places:
        damaged = bytearray(content)
        damaged[place] ^= 1 << int(random.integers(8))
        Path("flipped.onnx").write_bytes(damaged)
        try:
            answers = load_model("flipped.onnx").classify(shown[:2], views=1, framed=True)
        except ModelError:
            found += 1
            continue
        np.testing.assert_array_equal(answers.embedding, expected.embedding)
        for name, values in expected.probabilities.items():
            np.testing.assert_array_equal(answers.probabilities[name], values)
    assert found >= 12


def test_a_file_without_a_digest_says_so(tiny_model: Path) -> None:
    without = changed(tiny_model, lambda card: re.sub('"digest":"[0-9a-f]*"', '"digest":""', card, count=1))
    with pytest.raises(ModelError, match=r"changed\.onnx has no digest, so it cannot be verified"):
        load_model(without)


BAD_CARDS: dict[str, Callable[[dict[str, Any]], object]] = {
    "no temperature between": lambda card: card["temperatures"].update(odd=1e-300),
    "temperature between 0.01 and 100 for 'four_class'": lambda card: card["temperatures"].update(four_class=1e9),
    "temperature between 0.01 and 100 for 'clean5'": lambda card: card["temperatures"].update(clean5=0),
    "for 'odd'": lambda card: card["temperatures"].pop("odd"),
    "scaling of 'odd'": lambda card: card["scalings"].update(odd=Scaling((1.0,), (0.0,))),
    "biases.0: Input should be a valid number": lambda card: card["scalings"].update(
        clean5=Scaling((1.0,) * 5, (np.inf,) * 5)
    ),
    "90 % sets of 'odd'": lambda card: card["sets"].update(odd={"90": (0.5,)}),
    "four_class.90.3: Input should be a valid number": lambda card: card["sets"].update(
        four_class={"90": (0.5, 0.5, 0.5, np.nan)}
    ),
    "90 % sets of 'clean5'": lambda card: card["sets"].update(clean5={"90": (0.5, 0.5, 0.5, 0.5, 1.5)}),
    "sets of 'clean5'": lambda card: card["sets"].update(clean5={"high": (0.5,) * 5}),
    "its main question 'colour'": lambda card: card.update(about="colour"),
    "two questions have the same name": lambda card: card.update(questions=(*card["questions"], card["questions"][0])),
    "does not have two or more different answers": lambda card: card.update(
        questions=(replace(card["questions"][0], answers=("a", "b", "b", "c")), *card["questions"][1:])
    ),
    "less than or equal to 8": lambda card: card.update(views=9),
    "size has to be between": lambda card: object.__setattr__(card["framing"], "size", 0),
    "do not fit its embedding": lambda card: card.update(
        familiar=fit_novelty(*(2 * [(np.eye(1000, 7), np.eye(1000, 28))]))
    ),
}


@pytest.mark.parametrize("says", BAD_CARDS)
def test_impossible_values_of_a_card_are_refused(tiny_model: Path, says: str) -> None:
    model = load_model(tiny_model)
    graph, _ = split_card(tiny_model.read_bytes())
    entries = {name: getattr(model.card, name) for name in type(model.card).model_fields}
    entries = {name: dict(value) if isinstance(value, dict) else value for name, value in entries.items()}
    entries["framing"] = model.framing
    BAD_CARDS[says](entries)
    Path("bad.onnx").write_bytes(seal(graph, type(model.card).model_construct(**entries)))
    with pytest.raises(ModelError, match=rf"bad\.onnx is damaged.*{says}"):
        load_model("bad.onnx")


def rewired(model: Path, change: Callable[[onnx.ModelProto, int], None]) -> bytes:
    """A model file whose last head is another, under a good digest."""
    graph = onnx.load(model)
    del graph.metadata_props[:]
    (node,) = (number for number, one in enumerate(graph.graph.node) if one.output[0] == graph.graph.output[-1].name)
    change(graph, node)
    return seal(graph.SerializeToString(), load_model(model).card)


def last_bias(graph: onnx.ModelProto, node: int, values: NDArray[np.float32]) -> None:
    """Give the last head another bias."""
    name = graph.graph.node[node].input[2]
    (bias,) = (one for one in graph.graph.initializer if one.name == name)
    bias.CopyFrom(numpy_helper.from_array(values, name))


@pytest.mark.parametrize(
    "values",
    [[np.nan, 0], [np.inf, 0], [-np.inf, 0], [np.inf, np.inf], [np.nan, np.nan], [0], [0, 0, 0], [1e30, -1e30]],
)
def test_a_network_that_does_not_answer_as_its_card_says(tiny_model: Path, values: list[float]) -> None:
    bias = np.array(values, np.float32)

    def change(graph: onnx.ModelProto, node: int) -> None:
        last_bias(graph, node, bias)
        if len(bias) != 2:
            weights = next(one for one in graph.graph.initializer if one.name == graph.graph.node[node].input[1])
            weights.CopyFrom(numpy_helper.from_array(np.zeros((len(bias), 96), np.float32), weights.name))
            graph.graph.output[-1].type.tensor_type.shape.dim[1].dim_value = len(bias)

    content = rewired(tiny_model, change)
    if abs(bias).max() == np.float32(1e30):  # numbers, and a sure answer
        Path("odd.onnx").write_bytes(content)
        assert load_model("odd.onnx").classify(DRAWN[:1]).probabilities["odd"].tolist() == [[1, 0]]
        return
    Path("odd.onnx").write_bytes(content)
    with pytest.raises(ModelError, match=r"odd\.onnx is damaged"):
        load_model("odd.onnx")


@pytest.fixture
def blind_to_bright(tiny_model: Path) -> Model:
    """A model whose first output of the last head is no number for bright pictures."""

    def change(graph: onnx.ModelProto, node: int) -> None:
        name = graph.graph.output[-1].name
        graph.graph.node[node].output[0] = "plain"
        new = [
            helper.make_node("Cast", ["pictures"], ["light"], to=TensorProto.FLOAT),
            helper.make_node("ReduceMean", ["light", "axes"], ["mean"], keepdims=0),
            helper.make_node("Sub", ["limit", "mean"], ["room"]),
            helper.make_node("Sqrt", ["room"], ["root"]),  # NaN below 0
            helper.make_node("Mul", ["root", "nought"], ["nothing"]),
            helper.make_node("Unsqueeze", ["nothing", "last"], ["column"]),
            helper.make_node("Add", ["plain", "column"], [name]),
        ]
        graph.graph.node.extend(new)
        for value, called in ((200.0, "limit"), (0.0, "nought")):
            graph.graph.initializer.append(numpy_helper.from_array(np.array(value, np.float32), called))
        graph.graph.initializer.append(numpy_helper.from_array(np.array([1, 2, 3]), "axes"))
        graph.graph.initializer.append(numpy_helper.from_array(np.array([1]), "last"))

    Path("blind.onnx").write_bytes(rewired(tiny_model, change))
    return load_model("blind.onnx")


def test_rows_without_numbers_are_null_and_flagged(blind_to_bright: Model) -> None:
    white = np.random.default_rng(1).integers(230, 256, (40, 40, 3), dtype=np.uint8)
    answers = blind_to_bright.classify([DRAWN[0], white, DRAWN[1]])
    for values in (answers.embedding, *answers.probabilities.values()):
        assert np.isnan(values).all(axis=1).tolist() == [False, True, False]
    Path("some").mkdir()
    for name, picture in (("a", DRAWN[0]), ("b", white), ("c", DRAWN[1])):
        Image.fromarray(picture).save(f"some/{name}.png")
    result = catalogs.predict(open_source("some"), "c.parquet", blind_to_bright, embeddings=True)
    table = pa.parquet.read_table("c.parquet").to_pydict()
    assert table["flags"] == [0, 64, 0]
    computed = [name for name in table if name.startswith(("p_", "class", "set_", "entropy", "embedding"))]
    assert len(computed) >= 16
    for name in computed:
        assert [value is None for value in table[name]] == [False, True, False], name
    assert result.summary.tally.flagged == {"no_answer": 1}
    assert result.summary.tally.problems == {"b.png": "the model returned values that are not numbers"}
    found = predict(blind_to_bright.asking("four_class"), open_source("some"))
    assert np.isnan(found.probabilities).all(axis=1).tolist() == [False, True, False]
    assert set(found.problems) == {"b.png"}


def test_a_file_that_could_not_be_opened_is_not_written(tiny_model: Path) -> None:
    model = load_model(tiny_model)
    graph, _ = split_card(tiny_model.read_bytes())
    with pytest.raises(ModelError, match=r"^new\.onnx is damaged: its network has to give"):
        write_model(graph, model.card.model_copy(update={"questions": model.card.questions[:2]}), "new.onnx")
    assert list(Path().glob("*new*")) == []


def test_the_model_that_ships_answers_three_questions() -> None:
    assert shipped_model().stat().st_size < 12e6
    card = load_model().card
    assert [question.name for question in card.questions] == ["four_class", "clean5", "odd"]
    assert card.scores["part"] == "test"


def test_a_pipe_is_no_model(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.onnx")
    with pytest.raises(
        ModelError, match=r"^\S+pipe\.onnx is not a model file, but something else, or too large for one$"
    ):
        load_model(tmp_path / "pipe.onnx")


def test_a_card_that_another_program_wrote_is_refused() -> None:
    path = changed(shipped_model(), lambda card: json.dumps(json.loads(card), indent=1))
    with pytest.raises(ModelError, match="is damaged: the card is not a JSON object as `peculiar export` writes it"):
        load_model(path)


def test_a_card_without_a_network_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bare.onnx").write_bytes(seal(b"", load_model().card))
    with pytest.raises(ModelError, match=r"bare\.onnx is not a model file, or is damaged"):
        load_model(tmp_path / "bare.onnx")
