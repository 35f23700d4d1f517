import stat
from pathlib import Path

import numpy as np
import pytest

from peculiar.errors import RunError
from peculiar.exercise.adam import Adam
from peculiar.exercise.network import Network
from peculiar.exercise.weights import read_weights, write_weights


def test_what_was_written_is_read() -> None:
    net = Network(size=32)
    adam = Adam(net.vector, 0.1)
    adam.momentum += 2
    adam.steps = 7
    write_weights(Path("w.safetensors"), net.arrays(), {"history": "é\n"}, adam.state())
    weights, state, notes = read_weights(Path("w.safetensors"))
    assert set(weights) == set(net.arrays())
    assert all(np.array_equal(weights[name], part) for name, part in net.arrays().items())
    assert set(state) == {"momentum", "velocity", "steps"}
    assert (state["momentum"] == 2).all()
    assert state["steps"].shape == ()
    assert state["steps"] == 7
    assert notes == {"history": "é\n"}


def test_pytorch_reads_the_file_as_its_own() -> None:
    torch = pytest.importorskip("torch")
    from safetensors.torch import load_file

    from pytorch_network import TorchNet

    net = Network(5, 40)
    write_weights(Path("w.safetensors"), net.arrays())
    other = TorchNet(5, 40)
    other.load_state_dict(load_file("w.safetensors"))
    pictures = np.random.default_rng(1).random((2, 40, 40, 3), dtype=np.float32)
    with torch.inference_mode():
        expected = other(torch.from_numpy(pictures).permute(0, 3, 1, 2)).numpy()
    np.testing.assert_allclose(net.logits(pictures), expected, atol=1e-5)


def test_others_may_read_the_file_too() -> None:
    write_weights(Path("w.safetensors"), {"a": np.zeros(2)})
    Path("plain").touch()
    assert stat.S_IMODE(Path("w.safetensors").stat().st_mode) == stat.S_IMODE(Path("plain").stat().st_mode)


@pytest.mark.parametrize("content", [None, b"", b"\x08\0\0\0\0\0\0\0{}", b"no weights at all, but a text"])
def test_a_file_that_holds_none_is_refused(content: bytes | None) -> None:
    if content is not None:
        Path("w.safetensors").write_bytes(content)
    with pytest.raises(RunError, match=r"^w\.safetensors cannot be read \("):
        read_weights(Path("w.safetensors"))
