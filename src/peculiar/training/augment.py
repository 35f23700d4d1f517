"""Augmentation of training pictures, on the device."""

import math

import torch
from torch import Tensor
from torch.nn import functional

from peculiar.training.dimensions import MARGIN

# The zoom in natural logarithms, and the shift in half sides of the picture with its margin.
_ZOOM, _SHIFT = 0.25, 0.05

# Share of the pictures whose light is unchanged, because most pictures in use look like the training pictures.
_AS_IT_IS = 0.5


def views(pictures: Tensor, size: int) -> Tensor:
    """Turn, mirror, zoom and shift pictures at random, and change the light of half of them.

    Parameters
    ----------
    pictures : Tensor of uint8, shape (n, height, width, 3 times the number of extents)
        Framed with a margin of `peculiar.training.dimensions.MARGIN`.
    size : int
        Side of the views, in pixels.

    Returns
    -------
    Tensor of float32, shape (n, 3 times the number of extents, size, size)
        From 0 to 1, in channels-last layout. Random numbers follow `torch.manual_seed`.
    """
    seen = _move(pictures.permute(0, 3, 1, 2).to(torch.float32).mul_(1 / 255), size)
    other = torch.rand(len(seen), device=seen.device) >= _AS_IT_IS
    if other.any():
        # Extents lie below each other, so that the light of all changes alike.
        below = torch.cat(seen[other].chunk(seen.shape[1] // 3, dim=1), dim=2)
        seen[other] = torch.cat(_relight(below).chunk(seen.shape[1] // 3, dim=2), dim=1)
    return seen.contiguous(memory_format=torch.channels_last)


def middle(pictures: Tensor, size: int) -> Tensor:
    """Return the centre of pictures, as used outside training.

    Parameters
    ----------
    pictures : Tensor of uint8, shape (n, side, side, 3 times the number of extents)
        Framed with the same margin; `side` is `size` times the margin.
    size : int

    Returns
    -------
    Tensor of float32, shape (n, 3 times the number of extents, size, size)
    """
    rim = (pictures.shape[1] - size) // 2
    kept = pictures[:, rim : rim + size, rim : rim + size]
    return kept.permute(0, 3, 1, 2).to(torch.float32).mul_(1 / 255)


def _move(pictures: Tensor, size: int) -> Tensor:
    """Turn by any angle, mirror half, zoom by up to a quarter, shift by up to 4 % of the side."""
    count, device = len(pictures), pictures.device
    angle = _uniform(count, 0, 2 * math.pi, device)
    zoom = _uniform(count, -_ZOOM, _ZOOM, device).exp() / MARGIN
    mirror = torch.where(torch.rand(count, device=device) < 0.5, -1.0, 1.0)
    shift = _uniform(count, -_SHIFT, _SHIFT, device), _uniform(count, -_SHIFT, _SHIFT, device)
    sine, cosine = angle.sin() * zoom, angle.cos() * zoom
    rows = torch.stack([mirror * cosine, -sine, shift[0]], 1), torch.stack([mirror * sine, cosine, shift[1]], 1)
    grid = functional.affine_grid(torch.stack(rows, 1), [count, 3, size, size], align_corners=False)
    return functional.grid_sample(pictures, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def _relight(seen: Tensor) -> Tensor:
    """Change flux, colours, contrast and noise, and blur or coarsen some pictures, to imitate other telescopes."""
    count, device = len(seen), seen.device
    height, width = seen.shape[-2:]
    one, each = (count, 1, 1, 1), (count, 3, 1, 1)
    # Every seventh picture imitates a very different survey: other bands, stretch and sky.
    strange = (torch.rand(one, device=device) < 0.15).float()
    flux = _uniform(one, -0.3, 0.3, device).exp()
    colour = (_uniform(each, -0.13, 0.13, device) * (1 + 2 * strange)).exp()
    contrast = (_uniform(one, -0.25, 0.25, device) * (1 + strange)).exp()
    seen = (seen * flux * colour).clamp_(1e-4, 1) ** contrast
    grey = (torch.rand(one, device=device) < 0.1).float()
    saturation = _uniform(one, 0.5, 1.2, device) * (1 - grey)
    mean = seen.mean(dim=1, keepdim=True)
    seen = mean + (seen - mean) * saturation
    sky = strange * _uniform(one, 0, 0.12, device)
    seen = sky + seen * (1 - sky)
    # A quarter of a batch imitates a coarser telescope: light is summed over larger pixels.
    coarse = torch.rand(count, device=device) < 0.25
    if coarse.any():
        fewer = int(width * _uniform((), 0.35, 0.9, device).item())
        small = functional.interpolate(seen[coarse], (fewer * height // width, fewer), mode="area")
        seen[coarse] = functional.interpolate(small, (height, width), mode="bilinear", align_corners=False)
    noise = 0.06 * torch.rand(one, device=device) ** 2 * (1 + strange)
    return (seen + torch.randn_like(seen) * noise).clamp_(0, 1)


def _uniform(shape: int | tuple[int, ...], low: float, high: float, device: torch.device) -> Tensor:
    return torch.rand(shape, device=device) * (high - low) + low
