"""The extent of the central galaxy: the same wherever it lies, however large the picture, whatever is around it."""

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from peculiar.images.background import rim
from peculiar.images.central_galaxy import central_extent
from peculiar.images.framing import Framing, frame_pixels
from pictures import draw_galaxy


def test_the_middle_is_found_where_the_galaxy_is() -> None:
    extent = central_extent(Image.fromarray(draw_galaxy(128, 20, 68, 60)))
    assert extent.found
    assert (extent.column, extent.row) == pytest.approx((68.5, 60.5), abs=1.5)


def test_the_radius_grows_with_the_galaxy() -> None:
    small, large = (central_extent(Image.fromarray(draw_galaxy(256, radius, 128, 128))).radius for radius in (20, 40))
    assert large / small == pytest.approx(2, rel=0.15)


def test_the_radius_is_that_of_the_long_axis() -> None:
    disc = central_extent(Image.fromarray(draw_galaxy(256, 40, 128, 128))).radius
    edge_on = central_extent(Image.fromarray(draw_galaxy(256, 40, 128, 128, ratio=0.25))).radius
    assert edge_on == pytest.approx(disc, rel=0.15)


def test_a_star_on_the_rim_changes_little() -> None:
    pixels = draw_galaxy(128, 20, 64, 64)
    alone = central_extent(Image.fromarray(pixels))
    pixels[4:12, 100:110] = 255
    with_star = central_extent(Image.fromarray(pixels))
    assert with_star.radius == pytest.approx(alone.radius, rel=0.05)


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (50, 1), (7, 5), (10, 400)])
def test_a_picture_without_a_galaxy_is_taken_in_half(shape: tuple[int, int]) -> None:
    extent = central_extent(Image.fromarray(np.full((*shape, 3), 90, dtype=np.uint8)))
    assert not extent.found
    assert extent.radius == min(shape) / 4


def test_the_same_galaxy_is_framed_alike_in_pictures_of_any_scale() -> None:
    large, small = draw_galaxy(424, 40, 212, 212), draw_galaxy(160, 20, 80, 80)
    one, other = (frame_pixels(pixels, Framing(64, crop="galaxy")).astype(float) for pixels in (large, small))
    assert np.abs(one - other).mean() < 4
    # In the middle, where a galaxy of another size would be much brighter or fainter.
    assert np.abs(one - other)[20:44, 20:44].mean() < 8


def test_turning_the_picture_turns_what_is_framed() -> None:
    pixels = draw_galaxy(160, 30, 84, 77, ratio=0.5)
    framing = Framing(64, crop="galaxy")
    turned = frame_pixels(np.ascontiguousarray(np.rot90(pixels)), framing)
    assert np.abs(np.rot90(frame_pixels(pixels, framing)).astype(int) - turned).mean() < 2


def test_a_margin_shows_more_around_the_same_middle() -> None:
    pixels = draw_galaxy(160, 20, 80, 80)
    plain = frame_pixels(pixels, Framing(64, crop="galaxy")).astype(int)
    wide = frame_pixels(pixels, Framing(96, crop="galaxy", margin=1.5)).astype(int)
    assert np.abs(wide[16:80, 16:80] - plain).mean() < 2


def test_what_lies_outside_the_picture_is_black() -> None:
    pixels = np.full((40, 40, 3), 200, dtype=np.uint8)
    wide = frame_pixels(pixels, Framing(80, margin=2.0))
    assert (wide[:15] == 0).all()
    assert (wide[25:55, 25:55] == 200).all()


@pytest.mark.parametrize("side", range(1, 13))
def test_tiny_pictures_have_a_middle(side: int) -> None:
    extent = central_extent(Image.new("RGB", (side, side), (90, 90, 90)))
    assert not extent.found
    assert extent.radius == side / 4


def plainly(picture: Image.Image) -> tuple[float, float, float]:
    """Return column, row and radius as the functions of NumPy and SciPy give them that say so by their names."""
    reduction = max(1, min(picture.size) // 64)
    light = ndimage.uniform_filter(np.asarray(picture.reduce(reduction), dtype=np.float32).mean(axis=2), 3)
    edges = rim(light)
    level = float(np.median(edges))
    scatter = float(1.4826 * np.median(np.abs(edges - np.median(edges))))
    height, width = light.shape
    top, left = (max(side // 2 - max(side // 10, 1), 0) for side in (height, width))
    middle = light[top : height - top, left : width - left]
    row, column = np.unravel_index(int(middle.argmax()), middle.shape)
    peak = float(middle[row, column])
    edge = level + max(3 * scatter, 0.08 * (peak - level), 3)
    if peak <= edge:
        return picture.width / 2, picture.height / 2, min(picture.size) / 4
    regions, _ = ndimage.label(light > edge)
    rows, columns = np.nonzero(regions == regions[row + top, column + left])
    radius = np.quantile(np.hypot(rows - rows.mean(), columns - columns.mean()), 0.95) + 0.5
    return (columns.mean() + 0.5) * reduction, (rows.mean() + 0.5) * reduction, radius * reduction


def test_the_extent_is_bit_for_bit_that_of_the_plain_functions() -> None:
    random = np.random.default_rng(222)
    for number in range(40):
        side = int(random.integers(40, 430))
        radius, ratio = random.uniform(0.02, 0.3) * side, random.uniform(0.2, 1)
        pixels = draw_galaxy(side, radius, *random.uniform(0.45, 0.55, 2) * side, ratio=ratio, seed=number)
        picture = Image.fromarray(pixels[: side - number % 7])
        found = central_extent(picture)
        assert (found.column, found.row, found.radius) == plainly(picture)
