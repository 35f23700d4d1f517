"""The compiled steps against those of NumPy and of PyTorch: the same numbers, and the same runs."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from peculiar.errors import LabelError, UsageError
from peculiar.exercise import kernel
from peculiar.exercise.adam import Adam
from peculiar.exercise.kernel import Kernel
from peculiar.exercise.layers import Floats
from peculiar.exercise.network import Network
from peculiar.exercise.run_folder import Arguments, load_run
from peculiar.exercise.run_folder import arguments as make_arguments
from peculiar.exercise.steps import Steps
from peculiar.exercise.train import fastest_steps, train
from peculiar.exercise.weights import read_weights
from peculiar.sources.dataset import Dataset

EXACT = np.arange(-16, 17, dtype=np.float32) / 64


@pytest.fixture
def without_numba(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("peculiar.exercise.train.fastest_steps", lambda: Steps)


def network(classes: int, size: int, seed: int, choices: Floats | None = None) -> tuple[Network, Adam]:
    """A network and its optimiser; all weights and biases at random, or drawn from `choices`."""
    rng = np.random.default_rng(seed)
    net = Network(classes, size)
    count = net.vector.size
    net.vector[:] = rng.normal(0, 0.2, count) if choices is None else rng.choice(choices, count)
    return net, Adam(net.vector, 0.001)


def noise(count: int, size: int, classes: int, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (count, size, size, 3), dtype=np.uint8), rng.integers(0, classes, count)


def without_step(optimizer: Adam, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a step leave the weights unchanged."""
    monkeypatch.setattr(optimizer, "advance", lambda: 0.0)


sizes, classes, counts, seeds = st.integers(21, 70), st.integers(2, 11), st.integers(1, 7), st.integers(0, 2**32 - 1)


@settings(deadline=None, max_examples=60)
@given(sizes, classes, counts, seeds)
def test_losses_and_gradients_are_numpys(size: int, classes: int, count: int, seed: int) -> None:
    """With pixels of 0 and 1 and weights on a grid the convolutions are exact, so that both see the same ties.

    There are many of them, in pooling and at ReLU's zero: both have to send gradients to the first of equal values, and
    none back from a zero. With other numbers rounding decides about a tie, and either way is right.
    """
    rng = np.random.default_rng(seed)
    pictures = rng.choice(np.array([0, 255], np.uint8), (count, size, size, 3), p=[0.7, 0.3])
    labels = rng.integers(0, classes, count)
    net, optimizer = network(classes, size, seed, EXACT)
    expected = np.empty_like(net.vector)
    logits, loss = net.gradients(pictures, labels, out=expected)
    optimizer.gradients.fill(np.nan)
    with pytest.MonkeyPatch.context() as patch:
        without_step(optimizer, patch)
        found, found_loss = Kernel(pictures, labels, net, optimizer).learn(np.arange(count))
    np.testing.assert_allclose(found, logits, rtol=1e-5, atol=1e-5)
    assert found_loss == pytest.approx(loss, rel=1e-5, abs=1e-5)
    np.testing.assert_allclose(optimizer.gradients, expected, rtol=1e-5, atol=1e-5 * max(1, abs(expected).max()))


@settings(deadline=None, max_examples=60)
@given(sizes, classes, counts, seeds)
def test_answers_are_numpys(size: int, classes: int, count: int, seed: int) -> None:
    pictures, labels = noise(count + 3, size, classes, seed)
    rows = np.random.default_rng(seed).permutation(count + 3)[:count]
    net, optimizer = network(classes, size, seed)
    found = Kernel(pictures, labels, net, optimizer).logits(rows)
    np.testing.assert_allclose(found, net.logits(pictures[rows]), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("size", "classes", "count"), [(21, 2, 1), (128, 4, 5), (131, 4, 8)])
def test_gradients_of_noise_are_pytorchs(size: int, classes: int, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    from pytorch_network import by_pytorch

    pictures, labels = noise(count, size, classes, 222)
    net, optimizer = network(classes, size, 222)
    logits, loss, expected = by_pytorch(net, pictures, labels)
    without_step(optimizer, monkeypatch)
    found, found_loss = Kernel(pictures, labels, net, optimizer).learn(np.arange(count))
    np.testing.assert_allclose(found, logits, atol=1e-5)
    assert found_loss == pytest.approx(loss, abs=1e-5)
    assert abs(expected).max() > 1e-3
    np.testing.assert_allclose(optimizer.gradients, expected, atol=1e-5)


def test_nothing_goes_back_through_filters_that_see_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    pictures, labels = noise(3, 40, 4, 222)
    net, optimizer = network(4, 40, 222)
    net.parts["conv2d_1.bias"][:] = -1000
    expected = np.empty_like(net.vector)
    net.gradients(pictures, labels, out=expected)
    without_step(optimizer, monkeypatch)
    Kernel(pictures, labels, net, optimizer).learn(np.arange(3))
    np.testing.assert_allclose(optimizer.gradients, expected, atol=1e-6)
    assert not optimizer.gradients[: net.parts["conv2d.weight"].size].any()
    assert optimizer.gradients[-4:].all()


def test_steps_are_adams() -> None:
    rng = np.random.default_rng(222)
    gradients = rng.normal(size=(3, 1000)) * 10.0 ** rng.integers(-9, 1, 1000)
    (net, ours), (_, theirs) = network(4, 32, 1), network(4, 32, 1)
    before = net.vector.copy()
    compiled = Kernel(*noise(2, 32, 4, 222), net, ours)
    for gradient in gradients.astype(np.float32):
        for optimizer in (ours, theirs):
            optimizer.gradients[:1000] = gradient
        compiled.step()
        theirs.step()
    assert ours.steps == theirs.steps == 3
    for name in ("weights", "momentum", "velocity"):
        np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name), err_msg=name)
    assert abs(net.vector - before).max() > 2e-3


def test_three_steps_are_numpys() -> None:
    pictures, labels = noise(15, 64, 4, 222)
    (net, ours), (other, theirs) = network(4, 64, 222), network(4, 64, 222)
    compiled, plain = Kernel(pictures, labels, net, ours), Steps(pictures, labels, other, theirs)
    before = net.vector.copy()
    for rows in np.arange(15).reshape(3, 5):
        assert compiled.learn(rows)[1] == pytest.approx(plain.learn(rows)[1], abs=1e-5)
    assert abs(net.vector - before).max() > 2e-3
    np.testing.assert_allclose(net.vector, other.vector, atol=1e-5)


def test_pictures_may_be_read_only_or_a_part_of_others_and_stay_as_they_are() -> None:
    pictures, labels = noise(6, 50, 4, 222)
    net, optimizer = network(4, 32, 222)
    part = pictures[::2, 3:35, 5:37]
    expected = net.logits(part)
    np.testing.assert_allclose(Kernel(part, labels[::2], net, optimizer).logits(np.arange(3)), expected, atol=1e-5)
    own = np.ascontiguousarray(part)
    Kernel(own, labels[::2], net, optimizer)
    assert own.flags.writeable
    own.flags.writeable = False
    np.testing.assert_allclose(Kernel(own, labels[::2], net, optimizer).logits(np.arange(3)), expected, atol=1e-5)


@pytest.mark.parametrize("shape", [(32, 32, 3), (64, 64, 3), (40, 41, 3), (40, 40, 4)])
def test_pictures_of_another_size_are_refused(shape: tuple[int, ...]) -> None:
    net, optimizer = network(4, 40, 222)
    with pytest.raises(UsageError, match=f"another size than {shape[0]} x {shape[1]} x {shape[2]}"):
        Kernel(np.zeros((2, *shape), np.uint8), np.zeros(2, np.int64), net, optimizer)


@pytest.mark.parametrize("label", [-1, 4])
def test_labels_of_no_class_are_refused(label: int) -> None:
    net, optimizer = network(4, 32, 222)
    with pytest.raises(LabelError, match=rf"from 0 to 3, received {min(label, 0)} to {max(label, 0)}"):
        Kernel(np.zeros((2, 32, 32, 3), np.uint8), np.array([0, label]), net, optimizer)


def arguments(**values: Any) -> Arguments:
    return make_arguments(**{"epochs": 3, "framing": {"size": 32}, **values})


def same(found: list[dict[str, Any]], expected: list[dict[str, Any]]) -> None:
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert list(one) == list(other)
        for key in ("loss", "categorical_accuracy", "auc", "auc_by_class"):
            assert one[key] == pytest.approx(other[key], abs=1e-3)
            assert one[f"val_{key}"] == pytest.approx(other[f"val_{key}"], abs=1e-3)


def test_a_training_is_numpys(galaxies: Dataset) -> None:
    compiled = train(galaxies, "compiled", arguments())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("peculiar.exercise.train.fastest_steps", lambda: Steps)
        plain = train(galaxies, "plain", arguments())
    same(compiled.history, plain.history)
    assert compiled.scores.log_loss == pytest.approx(plain.scores.log_loss, abs=1e-3)
    assert compiled.scores.confusion == plain.scores.confusion
    assert Path("compiled/split.csv").read_bytes() == Path("plain/split.csv").read_bytes()
    for weights in ("best", "last"):
        found, expected = load_run("compiled", weights=weights), load_run("plain", weights=weights)
        np.testing.assert_allclose(
            found.probabilities(galaxies.pictures), expected.probabilities(galaxies.pictures), atol=1e-3
        )
    shapes = [
        {name: array.shape for part in read_weights(Path(run, "last.safetensors"))[:2] for name, array in part.items()}
        for run in ("compiled", "plain")
    ]
    assert shapes[0] == shapes[1]


@pytest.mark.parametrize("first", [Kernel, Steps])
def test_a_run_goes_on_by_the_other_way(first: type[Steps], galaxies: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = train(galaxies, "whole", arguments())
    for way in (first, {Kernel: Steps, Steps: Kernel}[first]):
        monkeypatch.setattr("peculiar.exercise.train.fastest_steps", lambda way=way: way)
        resumed = train(galaxies, "run", arguments(epochs=1 if way == first else 3), resume=True)
    same(resumed.history, whole.history)


def ways(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Record which implementation each training step uses."""
    taken: list[str] = []
    for way in (Kernel, Steps):

        def learn(self: Steps, rows: Any, way: type[Steps] = way, function: Any = way.learn) -> Any:
            taken.append(way.__name__)
            return function(self, rows)

        monkeypatch.setattr(way, "learn", learn)
    return taken


def test_the_exercise_is_trained_by_numba(galaxies: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = ways(monkeypatch)
    train(galaxies, "run", arguments(epochs=1))
    assert fastest_steps() is Kernel
    assert taken == ["Kernel"] * 7


@pytest.mark.usefixtures("without_numba")
def test_without_numba_it_is_trained_by_numpy(galaxies: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = ways(monkeypatch)
    train(galaxies, "run", arguments(epochs=1))
    assert taken == ["Steps"] * 7


@pytest.mark.parametrize("gone", ["sys.modules['numba'] = None", "os.environ['NUMBA_DISABLE_JIT'] = '1'"])
def test_what_cannot_compile_is_no_error(gone: str) -> None:
    program = f"import os, sys; {gone}\nfrom peculiar.exercise import train; print(train.fastest_steps().__name__)"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout == "Steps\n"


def test_what_cannot_be_kept_is_compiled_again(monkeypatch: pytest.MonkeyPatch) -> None:
    compile_ = kernel.njit

    def without_a_place(signature: Any, *, cache: bool = False, **options: Any) -> Any:
        def decorate(function: Any) -> Any:
            if cache:
                raise RuntimeError(f"cannot cache function {function.__name__!r}: no locator available")
            return compile_(signature, **options)(function)

        return decorate

    monkeypatch.setattr(kernel, "njit", without_a_place)

    def twice(number: int) -> int:
        return 2 * number

    assert kernel._cached("int64(int64)")(twice)(4) == 8


@pytest.mark.slow
def test_compiled_code_is_kept_where_numba_is_told_to(tmp_path: Path) -> None:
    program = (
        "import numpy as np\nfrom peculiar.exercise.adam import Adam\n"
        "from peculiar.exercise.network import Network\n"
        "from peculiar.exercise import kernel\n"
        "net = Network(4, 21)\noptimizer = Adam(net.vector, 0.001)\n"
        "pictures, labels = np.zeros((2, 21, 21, 3), np.uint8), np.zeros(2, np.int64)\n"
        "kernel.Kernel(pictures, labels, net, optimizer).learn(np.arange(2))\n"
        "print(sum(kernel._through.stats.cache_hits.values()))"
    )
    surroundings = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "kept")}
    said = [
        subprocess.run(
            [sys.executable, "-c", program], env=surroundings, check=True, capture_output=True, text=True
        ).stdout
        for _ in range(2)
    ]
    assert said == ["0\n", "1\n"]
    assert {path.suffix for path in (tmp_path / "kept").rglob("*") if path.is_file()} == {".nbi", ".nbc"}
