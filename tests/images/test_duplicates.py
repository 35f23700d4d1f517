"""Duplicates: a galaxy is recognised when it is turned, mirrored, rescaled or cropped differently; others are not."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from peculiar.images.duplicates import PORTRAIT, find_duplicates, portrait
from peculiar.sources.simulated import simulate

GALAXIES = simulate(40, size=128, seed=3).pictures


def portraits(pictures: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    return np.stack([portrait(picture) for picture in pictures])


ORIGINALS = portraits(list(GALAXIES))


def turned(picture: Image.Image) -> Image.Image:
    return picture.rotate(37, Image.Resampling.BICUBIC)


def mirrored(picture: Image.Image) -> Image.Image:
    return picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)


def rescaled(picture: Image.Image) -> Image.Image:
    return picture.resize((200, 200), Image.Resampling.LANCZOS)


def cut_anew(picture: Image.Image) -> Image.Image:
    return picture.crop((4, 14, 106, 116))


@pytest.mark.parametrize("change", [turned, mirrored, rescaled, cut_anew])
@pytest.mark.parametrize("row", [3, 20, 31])
def test_a_changed_copy_is_found_and_nothing_else(change: object, row: int) -> None:
    copy = np.asarray(change(Image.fromarray(GALAXIES[row])))  # type: ignore[operator]
    found = find_duplicates(np.concatenate([ORIGINALS, portraits([copy])]))
    assert [(duplicate.first, duplicate.second) for duplicate in found] == [(row, 40)]
    assert found[0].mirrored == (change is mirrored)
    # To mirror left and right is to mirror top and bottom and turn by half a turn.
    assert abs(abs(found[0].turned) - {turned: 37, mirrored: 180}.get(change, 0)) < 3


@settings(max_examples=8, deadline=None)
@given(angle=st.floats(0, 360), flip=st.booleans())
def test_any_angle_is_told(angle: float, flip: bool) -> None:
    picture = Image.fromarray(GALAXIES[31]).rotate(angle, Image.Resampling.BICUBIC)
    copy = np.asarray(mirrored(picture) if flip else picture)
    (duplicate,) = find_duplicates(np.concatenate([ORIGINALS, portraits([copy])]))
    assert (duplicate.first, duplicate.second, duplicate.mirrored) == (31, 40, flip)
    assert duplicate.likeness > 0.4


def test_different_galaxies_are_no_duplicates() -> None:
    assert find_duplicates(ORIGINALS) == []


def test_featureless_pictures_are_no_duplicates() -> None:
    flat = [np.full((64, 64, 3), grey, dtype=np.uint8) for grey in (0, 7, 80, 255)]
    assert find_duplicates(portraits(flat)) == []


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_to_compare(count: int) -> None:
    assert find_duplicates(ORIGINALS[:count]) == []


@pytest.mark.parametrize("shape", [(32, 32, 3), (40, 300, 3), (500, 424, 3)])
def test_portraits_are_of_one_size(shape: tuple[int, int, int]) -> None:
    picture = np.random.default_rng(1).integers(0, 255, shape).astype(np.uint8)
    assert portrait(picture).shape == (2, PORTRAIT, PORTRAIT)


def test_a_star_that_touches_a_galaxy_does_not_move_its_middle() -> None:
    row, column = np.indices((160, 160)) - 79.5
    galaxy = 200 * np.exp(-(row**2 + column**2) / 288)
    star = 255 * np.exp(-(row**2 + (column - 32) ** 2) / 18)
    grey = (galaxy + star + 5).clip(0, 255).astype(np.uint8)
    framed = portrait(np.repeat(grey[:, :, None], 3, axis=2))
    middle = framed[0, 24:40, 24:40]
    peak = np.unravel_index(middle.argmax(), middle.shape)
    assert np.abs(np.array(peak) - 7.5).max() < 1


def test_in_small_regions_no_picture_is_a_copy_of_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    few = np.arange(3)
    monkeypatch.setattr("peculiar.images.duplicates._regions", lambda _: iter([(few, few)]))
    assert find_duplicates(ORIGINALS) == []


def test_progress_counts_every_galaxy() -> None:
    done: list[int] = []
    find_duplicates(ORIGINALS, progress=done.append)
    assert sum(done) == 40
