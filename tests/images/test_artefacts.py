"""Flaws of pictures: each measure answers to its own kind of damage, and to nothing that galaxies do."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage

from peculiar.images.artefacts import _SIZES, ARTEFACTS, MEASURES, measure_artefacts
from pictures import draw_galaxy

Picture = NDArray[np.uint8]


def galaxy(seed: int, *, size: int = 128, ratio: float = 1.0) -> Picture:
    """A galaxy in noise, blurred as by a telescope, of one colour."""
    light = draw_galaxy(size, size / 4, size / 2, size / 2, seed=seed, ratio=ratio).astype(float)
    blurred = ndimage.gaussian_filter(light, (1, 1, 0))
    return np.clip(blurred, 0, 255).astype(np.uint8)


def galaxies(count: int = 60) -> Picture:
    return np.stack([galaxy(seed, ratio=0.3 + 0.7 * (seed % 5) / 4) for seed in range(count)])


def lost(picture: Picture) -> None:
    picture[20:60] = 0


def stuck(picture: Picture) -> None:
    picture[64:] = picture[30]


def stepped(picture: Picture) -> None:
    picture[70:, :64] = np.minimum(picture[70:, :64] + 20.0, 255)


def hot(picture: Picture) -> None:
    picture[np.random.default_rng(0).random(picture.shape[:2]) < 0.01] = 255


def block(picture: Picture) -> None:
    picture[8:40, 8:40] = 128


def apart(picture: Picture) -> None:
    picture[..., 0] = np.roll(picture[..., 0], 12, axis=0)


DAMAGES = [
    (lost, "lines"),
    (lost, "still"),
    (stuck, "lines"),
    (stepped, "steps"),
    (hot, "sharp"),
    (block, "still"),
    (apart, "colours apart"),
]


@pytest.mark.parametrize(
    ("damage", "artefact"), DAMAGES, ids=[f"{damage.__name__}: {artefact}" for damage, artefact in DAMAGES]
)
@pytest.mark.parametrize("columns", [False, True])
@pytest.mark.slow
def test_each_measure_answers_to_its_damage(damage: Callable[[Picture], None], artefact: str, columns: bool) -> None:
    whole, damaged = galaxies(), galaxies()
    for picture in damaged:
        damage(picture.swapaxes(0, 1) if columns else picture)
    number = ARTEFACTS.index(artefact)
    assert measure_artefacts(damaged)[:, number].min() > measure_artefacts(whole)[:, number].max()


def stripes(picture: Picture) -> None:
    picture[:] = np.clip(picture + 20.0 * (np.arange(128) // 4 % 2)[:, None, None], 0, 255)


def glow(picture: Picture) -> None:
    picture[:] = np.clip(picture + np.linspace(0, 200, 128)[:, None, None], 0, 255)


def gone(picture: Picture) -> None:
    picture[:120] = 0


def coloured(picture: Picture) -> None:
    picture[30:50, 30:90, 1] = 250


def averaged(picture: Picture) -> None:
    picture[:] = picture.mean(axis=1, keepdims=True)


def noisy(picture: Picture) -> None:
    noise = np.random.default_rng(picture.sum()).normal(0, 15, picture.shape[:2])[..., None]
    picture[:] = np.clip(picture + noise, 0, 255)


CHANGES = [
    (stripes, "direction, 4 px", 1),
    (glow, "change, 32 px", 1),
    (glow, "values", 1),
    (noisy, "change, 1 px", 1),
    (noisy, "crossing, 2 px", 1),
    (averaged, "crossing, 1 px", -1),
    (gone, "disorder", -1),
    (gone, "commonest value", 1),
    (coloured, "green", 1),
    (apart, "red to blue", 1),
]


@pytest.mark.parametrize(
    ("change", "measure", "sign"), CHANGES, ids=[f"{one[0].__name__}: {one[1]}" for one in CHANGES]
)
@pytest.mark.parametrize("columns", [False, True])
@pytest.mark.slow
def test_each_measure_says_what_it_is_called(
    change: Callable[[Picture], None], measure: str, sign: int, columns: bool
) -> None:
    whole, changed = galaxies(), galaxies()
    for picture in changed:
        change(picture.swapaxes(0, 1) if columns else picture)
    number = MEASURES.index(measure)
    difference = sign * (measure_artefacts(changed) - measure_artefacts(whole))[:, number]
    assert difference.min() > 0


@pytest.mark.parametrize("size", _SIZES)
def test_cells_are_as_large_as_told(size: int) -> None:
    board = np.kron(np.indices((128 // size, 128 // size)).sum(axis=0) % 2, np.ones((size, size)))
    picture = np.repeat(board[..., None] * 60, 3, axis=2).astype(np.uint8)
    found = dict(zip(MEASURES, measure_artefacts(picture[None])[0], strict=True))
    # Each cell differs from the next by 3 x 60, both ways; crossing, by twice as much.
    assert found[f"change, {size} px"] == pytest.approx(np.log(360), abs=0.001)
    assert found[f"direction, {size} px"] == pytest.approx(0, abs=1e-6)
    assert found[f"crossing, {size} px"] == pytest.approx(0, abs=0.001)
    larger = [found[f"change, {other} px"] for other in _SIZES if other > size]
    assert larger == pytest.approx([np.log(0.1)] * len(larger), abs=0.001)


@settings(deadline=None)
@given(seed=st.integers(0, 1000), turns=st.integers(0, 3), mirrored=st.booleans())
def test_turning_changes_nothing(seed: int, turns: int, mirrored: bool) -> None:
    picture = np.random.default_rng(seed).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    turned = np.rot90(picture[:, ::-1] if mirrored else picture, turns)
    np.testing.assert_allclose(measure_artefacts(turned[None]), measure_artefacts(picture[None]), rtol=1e-5, atol=1e-5)


def test_the_batch_changes_no_bit() -> None:
    pictures = galaxies(10)
    alone = np.concatenate([measure_artefacts(pictures[row : row + 1]) for row in range(10)])
    np.testing.assert_array_equal(measure_artefacts(pictures), alone)


@pytest.mark.parametrize("size", [16, 32, 45, 128])
def test_any_size_and_any_content_have_finite_flaws(size: int) -> None:
    pictures = [np.full((size, size, 3), value, np.uint8) for value in (0, 255)]
    pictures += [np.eye(size, dtype=np.uint8)[..., None] * np.array([255, 0, 0], np.uint8)]
    found = measure_artefacts(np.stack(pictures))
    assert found.dtype == np.float32
    assert found.shape == (3, len(MEASURES))
    assert np.isfinite(found).all()


def test_no_picture_no_flaws() -> None:
    assert measure_artefacts(np.zeros((0, 128, 128, 3), np.uint8)).shape == (0, len(MEASURES))
