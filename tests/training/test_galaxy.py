"""The galaxy network: one or two extents, an embedding of its own, whitened."""

import numpy as np
import torch

from peculiar.training.networks.galaxy import GalaxyNet
from peculiar.training.recipe import Recipe


def make(**options: int) -> GalaxyNet:
    torch.manual_seed(222)
    return GalaxyNet({"one": 3, "other": 2}, 8, **options).eval()


def test_extents_go_through_the_body_as_one_batch_and_lie_side_by_side() -> None:
    net = make(context=2)
    pictures = torch.rand(3, 6, 32, 32)
    with torch.inference_mode():
        both = net.embed(pictures)
        alone = [net.body(part).mean(dim=(2, 3)) for part in (pictures[:, :3], pictures[:, 3:])]
    torch.testing.assert_close(both, torch.cat(alone, dim=1), rtol=0, atol=1e-5)


def test_a_model_s_picture_holds_both_extents() -> None:
    pictures = torch.rand(2, 3, 64, 64)
    own, wide = make(context=2).extents(pictures).split(3, dim=1)
    torch.testing.assert_close(own, pictures[:, :, 16:48, 16:48])
    torch.testing.assert_close(wide[:, :, 5, 7], pictures[:, :, 10:12, 14:16].mean(dim=(2, 3)))
    assert make().extents(pictures) is pictures


def test_training_keeps_the_extents_that_a_model_s_picture_holds() -> None:
    recipe = Recipe(width=8, size=32, context=2, pretrained=False)
    assert (recipe.framing.size, recipe.framing.margin) == (64, 2)
    assert (recipe.training_framing.size, recipe.training_framing.margin) == (96, 3)
    picture = np.random.default_rng(222).integers(0, 256, (96, 96, 3), dtype=np.uint8)
    kept = recipe.prepare(picture)
    assert kept.shape == (48, 48, 6)
    np.testing.assert_array_equal(kept[:, :, :3], picture[24:72, 24:72])
    whole = torch.from_numpy(picture[16:80, 16:80]).permute(2, 0, 1)[None].float()
    seen = torch.from_numpy(kept[8:40, 8:40]).permute(2, 0, 1)[None].float()
    assert float((make(context=2).extents(whole) - seen).abs().max()) <= 0.5


def test_whitening_changes_no_answer() -> None:
    net = make(embedding=5, hints=4)
    pictures = torch.rand(200, 3, 32, 32)
    with torch.no_grad():
        before, hints = net.answer(net.embed(pictures)), net.hints(net.embed(pictures))
        net.whiten(net.embed(pictures), least=1e-9)
        after = net.embed(pictures)
    torch.testing.assert_close(after.mean(dim=0), torch.zeros(5), rtol=0, atol=1e-3)
    torch.testing.assert_close(torch.cov(after.T), torch.eye(5), rtol=0, atol=1e-2)
    torch.testing.assert_close(net.answer(after), before, rtol=0, atol=1e-4)
    torch.testing.assert_close(net.hints(after), hints, rtol=0, atol=1e-4)


def test_a_direction_of_nothing_but_rounding_is_not_blown_up() -> None:
    net = make(embedding=5)
    same = torch.rand(1, 3, 32, 32).expand(50, -1, -1, -1) + 1e-3 * torch.rand(50, 1, 1, 1)
    with torch.no_grad():
        net.whiten(net.embed(same))
        assert float(net.embed(same).abs().max()) < 20


def test_an_embedding_of_its_own_also_joins_the_means_of_earlier_maps() -> None:
    net = make(embedding=5)
    pictures = torch.rand(2, 3, 32, 32)
    with torch.inference_mode():
        features = net._features(pictures)
        stem = net.body[1](net.body[0](pictures))  # the last maps before the second halving
        last = net.body(pictures)
    assert features.shape == (2, net.join.in_features)
    torch.testing.assert_close(features[:, : stem.shape[1]], stem.mean(dim=(2, 3)))
    torch.testing.assert_close(features[:, -last.shape[1] :], last.mean(dim=(2, 3)))
    assert make()._features(pictures).shape[1] == last.shape[1] < features.shape[1]
