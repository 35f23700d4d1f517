import math

import numpy as np
import pytest

from peculiar.exercise.first_weights import first_weights
from peculiar.exercise.network import Network


@pytest.mark.parametrize("seed", [0, 222, 5489, 2**32 - 1])
@pytest.mark.parametrize(("classes", "size"), [(4, 128), (2, 21), (11, 70), (3, 299)])
def test_a_seed_gives_the_weights_that_it_gives_in_pytorch(classes: int, size: int, seed: int) -> None:
    torch = pytest.importorskip("torch")
    from pytorch_network import TorchNet

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        expected = TorchNet(classes, size).state_dict()
    found = Network(classes, size, seed=seed).arrays()
    assert list(found) == list(expected)
    for name, values in expected.items():
        # Bit for bit, but on processors that cannot multiply and add with one rounding.
        np.testing.assert_allclose(found[name], values.numpy(), rtol=0, atol=6e-8, err_msg=name)


def test_weights_begin_as_those_of_keras() -> None:
    fans = {"conv2d": (27, 72), "conv2d_1": (72, 72), "dense": (392, 16), "dense_1": (16, 4)}
    parts = Network().parts
    for name, fan in fans.items():
        assert not parts[f"{name}.bias"].any()
        weights, bound = parts[f"{name}.weight"], math.sqrt(6 / sum(fan))
        assert abs(weights).max() <= np.float32(bound)
        # Uniform up to the bound: the extremes are almost reached, and the spread is that of a uniform distribution.
        assert abs(weights).max() > 0.9 * bound
        assert weights.std() == pytest.approx(bound / math.sqrt(3), rel=0.15)


def test_seeds_decide_the_weights() -> None:
    shapes = {"one": (16, 8), "two": (8, 3, 3, 3)}
    first, same, other = (first_weights(shapes, seed) for seed in (5, 5, 6))
    assert all(np.array_equal(first[name], same[name]) for name in shapes)
    assert not any(np.isin(first[name], other[name]).all() for name in shapes)
