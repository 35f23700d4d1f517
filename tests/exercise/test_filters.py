"""Activations: the maps are those of the forward pass, for every kind of network and batch."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import matplotlib.image
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from peculiar.errors import DataError, UsageError
from peculiar.exercise import filters
from peculiar.exercise.filters import Activation, visualize_activations, visualize_galaxies
from peculiar.exercise.keras_network import to_keras
from peculiar.exercise.network import Network
from peculiar.exercise.run_folder import TrainedNet
from peculiar.images.framing import Framing
from peculiar.questions.question import FOUR_CLASS, Question
from peculiar.sources import open_source
from pytorch_network import TorchNet, to_torch

Pictures = NDArray[np.float32]


@pytest.fixture(scope="module")
def net() -> Network:
    net = Network()
    # Some filters stay silent, some are always on.
    net.parts["conv2d.bias"][:] = np.random.default_rng(222).uniform(-1, 1, 8)
    return net


@pytest.fixture(scope="module")
def torch_net(net: Network) -> TorchNet:
    """The same in PyTorch."""
    return to_torch(net).train()


@pytest.fixture(scope="module")
def pictures() -> Pictures:
    return np.random.default_rng(7).random((6, 128, 128, 3), dtype=np.float32)


LABELS = np.array([3, 0, 2, 1, 1, 0])


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skip the drawing, which takes most of the time."""
    monkeypatch.setattr(filters, "draw_galaxy", lambda *_, **__: None)
    monkeypatch.setattr(filters, "draw_maps", lambda *_: None)
    monkeypatch.setattr(filters, "draw_contact_sheet", lambda _: None)
    monkeypatch.setattr(filters, "save", lambda _, path: path)


def one_hot(labels: NDArray[Any] = LABELS) -> NDArray[np.float32]:
    return np.eye(4, dtype=np.float32)[labels]


def by_hand(net: Network, pictures: Pictures) -> tuple[list[Tensor], Tensor]:
    """The maps of both layers, and the probabilities."""
    tensors = dict(to_torch(net).named_parameters())
    hidden, maps = torch.from_numpy(pictures).permute(0, 3, 1, 2), []
    with torch.inference_mode():
        for name in ("conv2d", "conv2d_1"):
            hidden = functional.conv2d(hidden, tensors[f"{name}.weight"], tensors[f"{name}.bias"], stride=2).relu()
            maps.append(hidden.permute(0, 2, 3, 1))
            hidden = functional.max_pool2d(hidden, 2)
        hidden = functional.linear(
            hidden.permute(0, 2, 3, 1).flatten(1), tensors["dense.weight"], tensors["dense.bias"]
        )
        logits = functional.linear(hidden.relu(), tensors["dense_1.weight"], tensors["dense_1.bias"])
    return maps, logits.softmax(dim=1)


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("kind", ["ours", "PyTorch"])
def test_maps_and_probabilities_are_those_of_the_forward_pass(
    net: Network, torch_net: TorchNet, pictures: Pictures, kind: str
) -> None:
    maps, probabilities = by_hand(net, pictures)

    seen = visualize_activations(net if kind == "ours" else torch_net, [(pictures, one_hot())], count=6)

    assert len(seen) == 6
    for row, activation in enumerate(seen):
        np.testing.assert_array_equal(activation.picture, pictures[row])
        assert list(activation.maps) == ["conv2d", "conv2d_1"]
        assert activation.maps["conv2d"].shape == (63, 63, 8)
        assert activation.maps["conv2d_1"].shape == (15, 15, 8)
        for expected, found in zip(maps, activation.maps.values(), strict=True):
            np.testing.assert_allclose(found, expected[row], atol=1e-5)
        assert list(activation.probabilities) == ["Normal", "Ringed", "Merger", "Other"]
        np.testing.assert_allclose(list(activation.probabilities.values()), probabilities[row], atol=1e-6)
        assert activation.predicted == max(activation.probabilities, key=activation.probabilities.__getitem__)
        assert activation.actual == ("Normal", "Ringed", "Merger", "Other")[LABELS[row]]
    # Maps are cut at zero, and both zero and positive values occur.
    first = np.stack([activation.maps["conv2d"] for activation in seen])
    assert first.min() == 0 < first.max()


@pytest.mark.usefixtures("undrawn")
def test_the_keras_network_sees_the_same(net: Network, pictures: Pictures) -> None:
    ours = visualize_activations(net, [(pictures, LABELS)])
    model = to_keras(net)
    theirs = visualize_activations(model, [(pictures, LABELS)])

    convolutions = [layer.name for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
    assert len(ours) == len(theirs) == 5
    for one, other in zip(ours, theirs, strict=True):
        assert list(other.maps) == convolutions
        for found, expected in zip(other.maps.values(), one.maps.values(), strict=True):
            np.testing.assert_allclose(found, expected, atol=1e-5)
        assert other.probabilities == pytest.approx(one.probabilities, abs=1e-5)
        assert (other.predicted, other.actual, other.right) == (one.predicted, one.actual, one.right)


@pytest.mark.usefixtures("undrawn")
def test_functional_keras_models_and_linear_layers(pictures: Pictures) -> None:
    # A convolution without a ReLU of its own: its map is cut all the same.
    inputs = keras.Input(shape=(128, 128, 3))
    hidden = keras.layers.Conv2D(2, 3, strides=8, name="linear")(inputs)
    outputs = keras.layers.Dense(3)(keras.layers.GlobalAveragePooling2D()(hidden))
    model = keras.Model(inputs, outputs)
    # One filter whose map is positive, and one whose map is negative everywhere.
    model.get_layer("linear").set_weights([np.full((3, 3, 3, 2), [0.1, -0.1]), np.zeros(2)])

    (activation,) = visualize_activations(model, [(pictures, LABELS % 3)], count=1)

    raw = keras.ops.convert_to_numpy(model.get_layer("linear")(pictures[:1]))[0]
    assert raw.min() < 0
    np.testing.assert_allclose(activation.maps["linear"], raw.clip(min=0), atol=1e-6)
    # It ends in logits, which become probabilities.
    logits = keras.ops.convert_to_numpy(model(pictures[:1]))[0]
    np.testing.assert_allclose(
        list(activation.probabilities.values()), np.exp(logits) / np.exp(logits).sum(), atol=1e-6
    )
    assert list(activation.probabilities) == ["class 0", "class 1", "class 2"]


@pytest.mark.usefixtures("undrawn")
def test_a_network_may_end_in_softmax(torch_net: TorchNet, pictures: Pictures) -> None:
    (bare,) = visualize_activations(torch_net, [(pictures, LABELS)], count=1)
    (ended,) = visualize_activations(nn.Sequential(torch_net, nn.Softmax(dim=1)), [(pictures, LABELS)], count=1)
    assert ended.probabilities == pytest.approx(bare.probabilities, abs=1e-6)
    assert list(ended.maps) == ["0.conv2d", "0.conv2d_1"]


@pytest.mark.usefixtures("undrawn")
def test_a_module_with_a_part_called_net_is_asked_as_a_whole(torch_net: TorchNet, pictures: Pictures) -> None:
    class Wrapper(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = torch_net

        def forward(self, pictures: Tensor) -> Tensor:
            return -self.net(pictures)

    (bare,) = visualize_activations(torch_net, [(pictures, LABELS)], count=1)
    (turned,) = visualize_activations(Wrapper(), [(pictures, LABELS)], count=1)
    probabilities = 1 / np.array(list(bare.probabilities.values()))
    np.testing.assert_allclose(list(turned.probabilities.values()), probabilities / probabilities.sum(), atol=1e-5)
    assert list(turned.maps) == ["net.conv2d", "net.conv2d_1"]


@pytest.mark.usefixtures("undrawn")
def test_a_trained_net_knows_its_answers(net: Network, pictures: Pictures) -> None:
    question = Question("compass", ("north", "east", "south", "west"))
    trained = TrainedNet(net, question, Framing())
    (first, second) = visualize_activations(trained, [(pictures, np.array([3, -1, 0, 0, 0, 0]))], count=2)
    assert first.actual == "west"
    assert second.actual is None
    assert set(first.probabilities) == set(question.answers)
    (named,) = visualize_activations(trained, [(pictures, LABELS)], count=1, answers="NESW")
    assert list(named.probabilities) == list("NESW")


@pytest.mark.usefixtures("undrawn")
def test_right_wrong_and_not_known(
    net: Network, pictures: Pictures, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, probabilities = by_hand(net, pictures[:3])
    answers = ("Normal", "Ringed", "Merger", "Other")
    best = probabilities.argmax(dim=1).numpy()
    labels = np.array([best[0], (best[1] + 1) % 4, -1])

    seen = visualize_activations(net, [(pictures[:3], labels)], out=tmp_path / ("long " * 30))

    assert [activation.right for activation in seen] == [True, False, None]
    names = [answers[index] for index in best]
    sure = [f"({row.max():.0%} sure)" for row in probabilities]
    # Long lines stay whole.
    assert capsys.readouterr().out.splitlines() == [
        f"Galaxy 1: predicted {names[0]}, actual {names[0]} {sure[0]}: right",
        f"Galaxy 2: predicted {names[1]}, actual {answers[labels[1]]} {sure[1]}: wrong",
        f"Galaxy 3: predicted {names[2]} {sure[2]}",
        f"Figures are in {tmp_path / ('long ' * 30)}",
    ]


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("labels", [np.array([-1]), np.array([np.nan]), np.zeros((1, 4)), np.full((1, 4), np.nan)])
def test_no_label_is_not_the_first_class(net: Network, pictures: Pictures, labels: NDArray[Any]) -> None:
    (seen,) = visualize_activations(net, [(pictures[:1], labels)])
    assert seen.actual is None


def test_a_network_without_an_answer_is_refused(pictures: Pictures) -> None:
    net = Network()
    net.vector[-1] = np.nan
    with pytest.raises(DataError, match="the network returned values that are not numbers"):
        visualize_activations(net, [(pictures, LABELS)])


def test_galaxies_that_were_all_learned_are_named(net: Network, fake_npz: Path) -> None:
    source = open_source(fake_npz)
    trained = TrainedNet(net, FOUR_CLASS, Framing())
    trained.origin = SimpleNamespace(trained_on=set(source.ids()))  # type: ignore[assignment]
    with pytest.raises(DataError, match=f"{fake_npz}: the network was trained on all of its galaxies"):
        visualize_galaxies(source, trained)


@pytest.mark.usefixtures("undrawn")
def test_names_are_printed_as_they_are(net: Network, pictures: Pictures, capsys: pytest.CaptureFixture[str]) -> None:
    answers = ["[/]", "[red]", "[i]", "[link=x]"]
    (seen,) = visualize_activations(net, [(pictures, LABELS)], count=1, answers=answers, out="[bold]")
    out = capsys.readouterr().out
    assert f"predicted {seen.predicted}, actual [link=x] (" in out
    assert "Figures are in [bold]" in out


def same(found: list[Activation], expected: list[Activation]) -> bool:
    return len(found) == len(expected) and all(
        np.allclose(a.picture, b.picture, atol=1e-6)
        and a.actual == b.actual
        and a.probabilities == pytest.approx(b.probabilities, abs=1e-5)
        for a, b in zip(found, expected, strict=True)
    )


class Indexed:
    """An object that can only be indexed, like iterators of older versions of Keras."""

    def __init__(self, pictures: Pictures) -> None:
        self.pictures = pictures

    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: int) -> tuple[Pictures, NDArray[np.float32]]:
        if not 0 <= index < 3:
            raise AssertionError(index)
        return self.pictures[2 * index : 2 * index + 2], one_hot()[2 * index : 2 * index + 2]


class Sequenced(Indexed, keras.utils.PyDataset):
    def __init__(self, pictures: Pictures) -> None:
        keras.utils.PyDataset.__init__(self)
        Indexed.__init__(self, pictures)


def pairs(pictures: Pictures) -> Iterator[tuple[Pictures, NDArray[np.float32]]]:
    for start in (0, 2, 4):
        yield pictures[start : start + 2], one_hot()[start : start + 2]


BATCHES = {
    "generator": pairs,
    "iterator": lambda pictures: iter(list(pairs(pictures))),
    "list": lambda pictures: list(pairs(pictures)),
    "lists instead of tuples": lambda pictures: [list(pair) for pair in pairs(pictures)],
    "with weights as a third": lambda pictures: [(*pair, np.ones(2)) for pair in pairs(pictures)],
    "endless": lambda pictures: itertools.cycle(pairs(pictures)),
    "indexed": Indexed,
    "PyDataset": Sequenced,
    "class numbers": lambda pictures: [(pictures, LABELS)],
    "floating class numbers": lambda pictures: [(pictures, LABELS.astype(float))],
    "a column of class numbers": lambda pictures: [(pictures, LABELS[:, None])],
    "a list of class numbers": lambda pictures: [(pictures, LABELS.tolist())],
    "votes": lambda pictures: [(pictures, one_hot() * 0.6 + 0.1)],
    "double precision": lambda pictures: [(pictures.astype(float), one_hot())],
    "torch, channels last": lambda pictures: [(torch.from_numpy(pictures), torch.from_numpy(LABELS))],
    "torch, channels first": lambda pictures: [(torch.from_numpy(pictures).permute(0, 3, 1, 2), torch.tensor(LABELS))],
    "torch, with gradients": lambda pictures: [(torch.from_numpy(pictures).requires_grad_(), one_hot())],
    "keras tensors": lambda pictures: [(keras.ops.convert_to_tensor(pictures), keras.ops.convert_to_tensor(LABELS))],
    "DataLoader": lambda pictures: DataLoader(
        TensorDataset(torch.from_numpy(pictures).permute(0, 3, 1, 2), torch.tensor(LABELS)), batch_size=4
    ),
}


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("kind", BATCHES)
def test_batches_of_every_kind(net: Network, pictures: Pictures, kind: str) -> None:
    expected = visualize_activations(net, [(pictures, LABELS)])
    assert same(visualize_activations(net, BATCHES[kind](pictures)), expected)


@pytest.mark.usefixtures("undrawn")
def test_bytes_are_scaled(net: Network, fake_pictures: NDArray[np.uint8]) -> None:
    some = fake_pictures[::8]
    in_bytes = visualize_activations(net, [(some, LABELS[:5])])
    assert same(in_bytes, visualize_activations(net, [(some / 255, LABELS[:5])]))
    assert same(
        visualize_activations(net, [(torch.from_numpy(some).permute(0, 3, 1, 2), LABELS[:5])]),
        in_bytes,
    )
    assert max(activation.picture.max() for activation in in_bytes) <= 1


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(("count", "batches"), [(1, 1), (2, 1), (3, 2), (5, 3), (9, 5)])
def test_no_more_batches_are_taken_than_needed(net: Network, pictures: Pictures, count: int, batches: int) -> None:
    taken: list[int] = []

    def endless() -> Iterator[tuple[Pictures, NDArray[np.float32]]]:
        for number in itertools.count():
            taken.append(number)
            yield pictures[:2], one_hot()[:2]

    stream = endless()
    assert len(visualize_activations(net, stream, count=count)) == count
    assert len(taken) == batches
    # Whoever gave it can go on with it.
    next(stream)
    assert taken[-1] == batches


@pytest.mark.usefixtures("undrawn")
def test_fewer_galaxies_than_asked_for(net: Network, pictures: Pictures) -> None:
    assert len(visualize_activations(net, pairs(pictures), count=50)) == 6


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.usefixtures("undrawn")
def test_the_network_is_left_as_it_was(pictures: Pictures, training: bool) -> None:
    net = TorchNet().train(training)
    net.dense.train(not training)
    visualize_activations(net, [(pictures, LABELS)])
    with pytest.raises(DataError, match=r"does not take pictures of the shape \(64, 64, 3\)"):
        visualize_activations(net, [(pictures[:, ::2, ::2], LABELS)])
    assert [module.training for module in net.modules()] == [
        (not training) if module is net.dense else training for module in net.modules()
    ]
    assert not any(module._forward_hooks for module in net.modules())
    assert all(parameter.requires_grad for parameter in net.parameters())


class Flat(nn.Module):
    def forward(self, pictures: Tensor) -> Tensor:
        return pictures.flatten(1)[:, :4]


def keras_net(*layers: Any, begun: bool = True) -> keras.Model:
    return keras.Sequential([*([keras.Input(shape=(128, 128, 3))] if begun else []), *layers])


@pytest.mark.parametrize(
    ("model", "error", "message"),
    [
        (Flat(), UsageError, "no convolutional layer whose filters could be shown; give one that has"),
        (
            keras_net(keras.layers.GlobalAveragePooling2D()),
            UsageError,
            "no convolutional layer whose filters could be shown",
        ),
        (
            keras_net(keras.layers.Conv2D(2, 3), begun=False),
            UsageError,
            r"\(Sequential\) has no inputs yet.*begins with keras.Input",
        ),
        (nn.Conv2d(3, 4, 9, stride=9), UsageError, r"one value per class, \(n, classes\); received \(5, 4, 14, 14\)"),
        ("runs/first", UsageError, "of the exercise, of Keras or of PyTorch, received str; .*load_run"),
        (None, UsageError, "received NoneType"),
    ],
)
def test_models_that_cannot_be_shown(pictures: Pictures, model: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        visualize_activations(model, [(pictures, LABELS)])


def test_a_keras_network_for_pictures_of_another_size(pictures: Pictures) -> None:
    model = keras_net(keras.layers.Conv2D(2, 3), keras.layers.Flatten(), keras.layers.Dense(4))
    with pytest.raises(
        DataError, match=r"does not take pictures of the shape \(64, 64, 3\); give it those of the size"
    ):
        visualize_activations(model, [(pictures[:, ::2, ::2], LABELS)])


PICTURE = np.zeros((1, 128, 128, 3), np.float32)


@pytest.mark.parametrize(
    ("batches", "message"),
    [
        ([], "there is no picture in the batches; an iterator that has run out"),
        ([(PICTURE[:0], LABELS[:0])], "there is no picture in the batches"),
        (iter([]), "there is no picture in the batches"),
        (None, r"iterable of \(pictures, labels\), received NoneType"),
        (5, "received int"),
        ((PICTURE, LABELS[:1]), r"received ndarray; a single batch goes into a list, \[\(pictures, labels\)\]"),
        ([PICTURE], "pairs of .*, received ndarray"),
        ([(PICTURE,)], "pairs of .*, received tuple"),
        ([{"image": PICTURE}], "pairs of .*, received dict"),
        ([(PICTURE[0], LABELS[:1])], r"received pictures \(128, 128, 3\) and labels \(1,\)"),
        ([(PICTURE[..., :2], LABELS[:1])], r"received pictures \(1, 128, 128, 2\)"),
        ([(PICTURE, LABELS)], r"as many labels.*received pictures \(1, 128, 128, 3\) and labels \(6,\) of int64"),
        ([(PICTURE, 3)], r"and labels \(\) of int64"),
        ([(PICTURE, ["Normal"])], r"one-hot or class numbers; .* labels \(1,\) of <U6"),
        ([(PICTURE, np.zeros((1, 2, 2)))], r"labels \(1, 2, 2\)"),
        ([(PICTURE + 255, LABELS[:1])], r"divide by 255.*received float32 from 255.0 to 255.0"),
        ([(PICTURE - 0.5, LABELS[:1])], r"received float32 from -0.5 to -0.5"),
        ([(PICTURE.astype(int) + 200, LABELS[:1])], "or be uint8; received int64 from 200 to 200"),
        ([(PICTURE * np.nan, LABELS[:1])], "received float32 from nan to nan"),
        ([(PICTURE, np.array([["a", "b"]]))], r"labels \(1, 2\) of <U1"),
    ],
)
def test_batches_that_hold_something_else(net: Network, batches: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        visualize_activations(net, batches)


@pytest.mark.parametrize("count", [0, -3])
def test_at_least_one_galaxy(net: Network, pictures: Pictures, count: int) -> None:
    with pytest.raises(UsageError, match=f"at least one galaxy is needed, received count={count}"):
        visualize_activations(net, [(pictures, LABELS)], count=count)


def test_labels_of_another_question(net: Network, pictures: Pictures, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"go up to class 6, but the model knows 0 to 3 \(Normal, .*\); give labels of"):
        visualize_activations(net, [(pictures, LABELS * 2)], out=tmp_path / "out")
    with pytest.raises(UsageError, match="the model has 4 classes, received 2 names for them; give one a class"):
        visualize_activations(net, [(pictures, LABELS)], answers=("yes", "no"), out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_figures_are_written(torch_net: TorchNet, pictures: Pictures, tmp_path: Path) -> None:
    out = tmp_path / "deep" / "figures"
    seen = visualize_activations(nn.Sequential(torch_net), iter([(pictures, one_hot())]), count=2, out=out)

    expected = [
        [out / f"galaxy_{number}.png", out / f"galaxy_{number}_0_conv2d.png", out / f"galaxy_{number}_0_conv2d_1.png"]
        for number in (1, 2)
    ]
    assert [activation.files for activation in seen] == expected
    assert sorted(out.iterdir()) == sorted([*itertools.chain(*expected), out / "contact_sheet.png"])
    for file in out.iterdir():
        height, width, _ = matplotlib.image.imread(file).shape
        assert 300 < width < 2500
        assert 200 < height < 2500


def test_the_folder_is_called_activations_unless_told(
    net: Network, pictures: Pictures, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filters, "draw_contact_sheet", lambda seen: filters.draw_galaxy(seen[0][0], "", right=None))
    monkeypatch.setattr(filters, "draw_maps", lambda picture, *_: filters.draw_galaxy(picture, "", right=None))
    visualize_activations(net, [(pictures, LABELS)], count=1)
    assert len(list((tmp_path / "activations").iterdir())) == 4


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(("count", "words"), [(64, "what its 64 filters see"), (65, "what the first 64 of its 65")])
def test_the_title_says_how_many_filters_are_drawn(
    pictures: Pictures, monkeypatch: pytest.MonkeyPatch, count: int, words: str
) -> None:
    titles: list[str] = []
    monkeypatch.setattr(filters, "draw_maps", lambda picture, maps, title: titles.append(title))
    model = nn.Sequential(nn.Conv2d(3, count, 9, stride=9), nn.Flatten(), nn.Linear(196 * count, 4))
    (activation,) = visualize_activations(model, [(pictures, LABELS)], count=1)
    assert activation.maps["0"].shape == (14, 14, count)
    assert words in titles[0]
