"""Views for training: as random as told, and never far from a galaxy."""

import numpy as np
import torch

from peculiar.training.augment import middle, views
from peculiar.training.dimensions import MARGIN
from pictures import draw_galaxy


def pictures(count: int = 8, size: int = 48) -> torch.Tensor:
    one = draw_galaxy(size, size / 5, size / 2 - 0.5, size / 2 - 0.5, ratio=0.5)
    return torch.from_numpy(np.stack([one] * count))


def test_views_have_the_size_range_and_layout_of_the_network() -> None:
    torch.manual_seed(1)
    seen = views(pictures(), 32)
    assert seen.shape == (8, 3, 32, 32)
    assert seen.dtype == torch.float32
    assert seen.is_contiguous(memory_format=torch.channels_last)
    assert float(seen.min()) >= 0
    assert float(seen.max()) <= 1


def test_views_repeat_with_the_seed_and_differ_without() -> None:
    def seen(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return views(pictures(), 32)

    assert torch.equal(seen(1), seen(1))
    assert not torch.equal(seen(1), seen(2))


def test_every_view_of_a_batch_is_another() -> None:
    torch.manual_seed(3)
    seen = views(pictures(), 32)
    assert all(not torch.equal(seen[0], other) for other in seen[1:])


def test_the_galaxy_stays_in_the_middle() -> None:
    torch.manual_seed(4)
    light = views(pictures(64), 32).mean(dim=1)
    assert float(light[:, 12:20, 12:20].mean()) > 2 * float(light[:, :4].mean())


def test_all_orientations_occur() -> None:
    torch.manual_seed(5)
    light = views(pictures(128), 32).mean(dim=(0, 1))
    along, across = light[16].sum(), light[:, 16].sum()
    assert 0.8 < float(along / across) < 1.25


def test_the_middle_is_what_the_margin_surrounds() -> None:
    one = pictures(1)
    seen = middle(one, 32)
    assert one.shape[1] == 32 * MARGIN
    assert seen.shape == (1, 3, 32, 32)
    np.testing.assert_allclose(seen[0].permute(1, 2, 0).numpy() * 255, one[0, 8:40, 8:40].numpy(), atol=1e-4)


def test_half_of_the_pictures_keep_their_light() -> None:
    torch.manual_seed(6)
    plain = torch.full((400, 48, 48, 3), 100, dtype=torch.uint8)
    seen = views(plain, 32)[:, :, 12:20, 12:20].flatten(1)
    kept = ((seen - 100 / 255).abs() < 1e-4).all(dim=1)
    assert 0.4 < float(kept.float().mean()) < 0.6
