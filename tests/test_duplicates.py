"""Near duplicates: the same galaxy at another scale is found, galaxies that only resemble each other are not."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from conftest import draw_galaxy
from peculiar.duplicates import near_duplicates
from peculiar.image import Framing, frame_pixels
from peculiar.sources import open_source


def scene(seed: int) -> NDArray[np.uint8]:
    """A galaxy with companions of its own, framed by its extent."""
    random = np.random.default_rng(seed)
    pixels = draw_galaxy(160, 22, 80, 80, seed=seed).astype(int)
    for _ in range(4):
        angle, distance = random.uniform(0, 2 * np.pi), random.uniform(8, 20)
        star = draw_galaxy(160, 4, 80 + distance * np.cos(angle), 80 + distance * np.sin(angle), seed=seed).astype(int)
        pixels += (star - 12).clip(0)
    return pixels.clip(0, 255).astype(np.uint8)


def framed(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return frame_pixels(pixels, Framing(64, crop="galaxy"))


def test_a_rescaled_and_recentred_copy_is_found_among_others() -> None:
    originals = [scene(seed) for seed in range(30)]
    copy = np.asarray(Image.fromarray(originals[7]).crop((6, 2, 156, 152)).resize((200, 200), Image.Resampling.BICUBIC))
    pictures = np.stack([framed(one) for one in [*originals, copy]])
    assert near_duplicates(pictures) == [(7, 30)]


def test_round_galaxies_that_resemble_each_other_are_no_duplicates() -> None:
    pictures = np.stack([framed(draw_galaxy(160, 22, 80, 80, seed=seed)) for seed in range(20)])
    assert near_duplicates(pictures) == []


def test_no_pictures_have_no_duplicates() -> None:
    assert near_duplicates(np.empty((0, 64, 64, 3), np.uint8)) == []


@pytest.mark.slow
def test_the_real_duplicates_are_found(real_data: Path) -> None:
    source = open_source(real_data / "odd_native.parquet")
    pictures = np.stack(
        [one.picture for one in source.galaxies(Framing(128, crop="galaxy")) if one.picture is not None]
    )
    assert 3 <= len(near_duplicates(pictures)) <= 12
