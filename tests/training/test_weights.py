from pathlib import Path

import torch
from torch import nn

from peculiar.training.weights import read_weights, to_input, write_weights


def test_tensors_come_back_whatever_their_layout() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).to(memory_format=torch.channels_last)
    state = {"0.step": torch.tensor(3.0), "0.exp_avg": torch.rand(4, 3, 3, 3)}
    write_weights(Path("w.safetensors"), net.state_dict(), {"history": "lines"}, state)
    tensors, found, notes = read_weights(Path("w.safetensors"))
    assert notes == {"history": "lines"}
    for ours, theirs in ((tensors, net.state_dict()), (found, state)):
        assert set(ours) == set(theirs)
        assert all(torch.equal(ours[name], tensor) for name, tensor in theirs.items())
        assert all(ours[name].dtype == tensor.dtype for name, tensor in theirs.items())


def test_what_was_read_may_be_changed() -> None:
    write_weights(Path("w.safetensors"), {"a": torch.zeros(3)})
    tensors, _, _ = read_weights(Path("w.safetensors"))
    tensors["a"] += 1
    assert tensors["a"].tolist() == [1, 1, 1]


def test_pictures_become_what_networks_take() -> None:
    pictures = torch.randint(0, 256, (2, 5, 4, 3), dtype=torch.uint8)
    taken = to_input(pictures, torch.device("cpu"))
    assert taken.shape == (2, 3, 5, 4)
    assert taken.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(taken[1, 2], pictures[1, :, :, 2] / 255)
